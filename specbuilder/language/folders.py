"""Where included files come from: the folder of the spec, other roots that the caller declares, or the copies that a run folder keeps.

The only place of the language that opens files. Nothing is read that does not really lie in a root: a path is taken apart as text first, then every link
is followed, and what is opened at the end is a regular file of moderate size. What cannot be read is refused in words; where it stands is known to
`include`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from codecs import BOM_UTF8
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from specbuilder.diagnostics import did_you_mean
from specbuilder.language.read import SIZE_AT_MOST
from specbuilder.records import Record

SUFFIXES = (".yaml", ".yml", ".json")
SOURCES = "sources.json"
"""What a run folder says about the texts that it keeps."""

_KEPT = re.compile(r"included/[^/\\]+\Z")
_KEPT_KINDS = re.compile(r"kinds/[0-9]+/[^\\]+\.py\Z")


class Refused(Exception):
    """A file that is not read, and why."""

    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help


class FileFound(Record):
    """The bytes of a file, and what tells it from every other file, whatever path leads to it."""

    identity: object
    data: bytes


class Files(Protocol):
    """Gives files by their path from the folder of the spec. Raises `Refused`; `called` is how messages name the file."""

    def read(self, place: str, called: str) -> FileFound: ...

    def spec(self) -> object:
        """The identity of the spec itself."""
        ...


class Folder:
    """The folder of a spec on the disk, and further roots."""

    def __init__(self, spec: Path, roots: tuple[Path, ...] = ()) -> None:
        self._spec = spec
        self._base = _plain(spec.parent)
        self._roots = (self._base, *map(_plain, roots))

    def spec(self) -> object:
        try:
            status = self._spec.stat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino)

    def read(self, place: str, called: str) -> FileFound:
        path = _plain(self._base / place)
        if not any(path.is_relative_to(root) for root in self._roots):
            raise Refused("SB1001", f"`{called}` leads out of the folder of the spec", "move the file there, or name its folder with `--root`")
        real = Path(os.path.realpath(path))
        if not any(real.is_relative_to(os.path.realpath(root)) for root in self._roots):
            raise Refused("SB1001", f"`{called}` is a link that leads out of the folder of the spec", "copy the file there")
        try:
            return _opened(real, called)
        except FileNotFoundError:
            raise Refused("SB0911", f"there is no file `{called}`", _near(path, called)) from None
        except OSError as error:
            raise Refused("SB0911", f"`{called}` cannot be read: {error.strerror}") from None


def _plain(path: Path) -> Path:
    """The path from the root of the disk, its `..` taken out as text: no link is followed."""
    return Path(os.path.normpath(path.absolute()))


def _opened(path: Path, called: str) -> FileFound:
    _regular(path.stat(), called)
    # Whatever has come in between: no link is followed, and no pipe waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        _regular(status, called)
        data = stream.read(SIZE_AT_MOST + 1)
    if len(data) > SIZE_AT_MOST:
        raise Refused("SB0112", f"`{called}` is too large: more than {SIZE_AT_MOST // 2**20} MiB")
    return FileFound((status.st_dev, status.st_ino), data)


def _regular(status: os.stat_result, called: str) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    names = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    what = names.get(stat.S_IFMT(status.st_mode), "something else")
    raise Refused("SB0911", f"`{called}` is no file but {what}", "name a file that ends in `.yaml` or `.json`")


def _near(path: Path, called: str) -> str | None:
    """A file of that folder whose name is nearly the one that is missing."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in SUFFIXES]
    except OSError:
        return None
    before = called[: len(called) - len(path.name)] if called.endswith(path.name) else ""
    help = did_you_mean(path.name, names)
    return help.replace("`", f"`{before}", 1) if help and before and " or " not in help else help


class Kept:
    """The files that a run folder keeps. Nothing outside of it is read, and nothing that was changed since."""

    def __init__(self, folder: Path, included: Mapping[str, Any]) -> None:
        self._folder, self._included = folder, included

    def spec(self) -> object:
        return None

    def read(self, place: str, called: str) -> FileFound:
        entry = self._included.get(place)
        file = entry.get("file") if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping) or not isinstance(file, str) or not _KEPT.match(file):
            raise Refused("SB0911", f"the run folder keeps no file `{called}`")
        return _as_run(self._folder, file, entry.get("sha256"))


def _as_run(folder: Path, file: str, sha256: object) -> FileFound:
    """A file of a run folder that is still what the run was made of."""
    found = Folder(folder / SOURCES).read(file, file)
    # A mark in front of the text is no part of it, as `read` has it.
    if hashlib.sha256(found.data.removeprefix(BOM_UTF8)).hexdigest() != sha256:
        raise Refused("SB0914", f"`{file}` is not what the run was made of: its SHA-256 differs from the one in {SOURCES}")
    return found


class Asked(Record):
    """What a run was asked for, as its folder tells it."""

    file: str
    """The spec, a file of the folder."""
    name: str
    """What the spec was called where it came from."""
    text: bytes
    variant: str | None
    changes: Mapping[str, str]
    kinds: tuple[str, ...]
    """The files of own kinds, in the folder."""
    files: Kept


def asked(folder: Path, sources: Mapping[str, Any]) -> Asked:
    """What `sources.json` says, once every file that it lists is found to be as it was. Raises `Refused` for what differs, `ValueError` for what it cannot
    have said.
    """
    spec, variant, changes, included = sources.get("spec"), sources.get("variant"), sources.get("set"), sources.get("included")
    kinds = sources.get("kinds", [])
    if not (isinstance(spec, dict) and spec.get("file") in ("spec.yaml", "spec.json") and isinstance(spec.get("name"), str)):
        raise ValueError("it names no spec")
    if not isinstance(variant, str | None) or not isinstance(changes, dict) or not all(isinstance(text, str) for text in changes.values()):
        raise ValueError("it does not say what was asked for")
    if not isinstance(included, dict) or not isinstance(kinds, list):
        raise ValueError("it does not list what it keeps")
    for entry in kinds:
        files = entry.get("files") if isinstance(entry, dict) else None
        if not isinstance(files, dict) or not files or not all(_KEPT_KINDS.match(file) for file in files):
            raise ValueError("it does not list what it keeps")
        for file, sha256 in files.items():
            _as_run(folder, file, sha256)
    text = _as_run(folder, spec["file"], spec.get("sha256")).data
    first = tuple(next(iter(entry["files"])) for entry in kinds)
    return Asked(spec["file"], spec["name"], text, variant, changes, first, Kept(folder, included))


def files_of(spec: Path, roots: tuple[Path, ...] = ()) -> Files:
    """What the spec at `spec` may include: the copies beside it when it lies in a run folder, else the files of its folder and of the roots."""
    try:
        sources = json.loads((spec.parent / SOURCES).read_text(encoding="utf-8"))
        if sources["spec"]["file"] == spec.name:
            return Kept(spec.parent, sources["included"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return Folder(spec, roots)
