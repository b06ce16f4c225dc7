"""Checkpoints on disk: file names with bytes in, the newest set of files that is whole and healthy out.

A checkpoint is a folder `step-00001200` with a manifest; nothing outside of it says that it counts, so a run folder may be copied or moved. It is made
beside its place under another name, put on the disk file by file, read back, and only then renamed. What is older goes after that, and only what enough
good ones have come after; so at each moment after the first save there is a good one, whenever the process ends or a call fails. `LATEST` and `BEST` are
hints for people; nothing here reads them. What the bytes mean is not known here.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from specbuilder.diagnostics import DataError, Diagnostic, InternalError, ResourceError
from specbuilder.graph.count import size
from specbuilder.records import Record
from specbuilder.training.durable import (
    Content,
    Disk,
    Odd,
    beside,
    is_left_over,
    make_all,
    opened,
    parts,
    patient,
    pieces,
    remove_all,
    replace,
    write,
)
from specbuilder.training.manifest import MANIFEST, MOST_BYTES, Manifest, Unreadable, is_name, parse, render

_NAME = re.compile(r"step-([0-9]{1,18})(\.new)?")
_NEW = ".new"
"""How a folder is called that takes the place of a checkpoint of the same step, while both are there."""
_TEMPORARY, _TRASH = ".tmp-", ".trash-"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BLOCK = 4096
"""File systems give room in pieces of about this size."""
_PIECE = 8 * 2**20
_PRIVATE = 0o700
"""While it is half written, a checkpoint is nobody else's."""


class Keep(Record):
    """Which checkpoints stay."""

    count: int = 2
    """How many healthy ones, the newest."""
    every: int | None = None
    """Each of a step that this number divides stays as well."""
    best: int | None = None
    """So does that of this step."""


class Checkpoint(Record):
    """The files of a checkpoint, read and verified."""

    path: Path
    manifest: Manifest
    files: Mapping[str, bytes]
    verified: bool = True
    """The digests of the manifest were taken of the very bytes in `files`."""


class Rejected(Record):
    """A checkpoint that cannot be used, and why."""

    path: Path
    reason: str


class Damaged(Exception):
    """A folder is not the checkpoint that was saved. The text says why."""


class Store:
    """The checkpoints in a folder. One process at a time saves there, which `lock.Lock` sees to, and one save at a time."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.folder = folder
        self.remarks: tuple[str, ...] = ()
        """What did not succeed around the last save, though the checkpoint itself is safe: in whole sentences, for the report."""
        self._disk = disk or Disk()
        self._parent: int | None = None
        """The step of the checkpoint that was saved or read last: the next one continues it."""
        self._good: dict[int, bool] = {}
        """By step, whether this process found the checkpoint whole and healthy."""

    def save(self, step: int, files: Mapping[str, Content], *, facts: Mapping[str, Any], healthy: bool, keep: Keep) -> Path:
        """Saves a checkpoint and removes what it supersedes. When this returns, the checkpoint is on the disk and has been read back.

        Raises `ResourceError` where it cannot be written; what was saved before is untouched then. A step that is there with the same content stays as it
        is; so does a healthy one where the new one is not.
        """
        parent = self._parent if self._parent is not None and self._parent < step else None
        planned = Manifest(step, parent, healthy, facts, {name: (_length(content), "0" * 64) for name, content in files.items()})
        needed = _room(planned, _rendered(planned, keep))
        self.remarks = ()
        self._try("What a process that is gone has left behind", self._sweep)
        try:
            path = patient(self._disk, lambda: self._publish(planned, files, needed, keep))
        except OSError as error:
            raise self._not_written(step, needed, error) from error
        self._parent = step
        is_good = self._good[step]
        if is_good:
            self._try("LATEST", lambda: replace(self._disk, self.folder / "LATEST", f"{path.name}\n".encode()))
        if keep.best is not None and os.path.lexists(best := self.folder / _name(keep.best)):
            self._try("BEST", lambda: replace(self._disk, self.folder / "BEST", f"{best.name}\n".encode()))
        self._try("A checkpoint that is no longer needed", lambda: self._prune(keep, step) if is_good else self._sweep())
        return path

    def newest(self) -> tuple[Checkpoint | None, tuple[Rejected, ...]]:
        """The newest checkpoint that is whole and healthy, and those that were tried before it, newest first, with the reason of each."""
        rejected: list[Rejected] = []
        for step, path in self._listed():
            try:
                found = self._load(step, path)
            except Damaged as damage:
                rejected.append(Rejected(path, str(damage)))
                continue
            if found.manifest.healthy:
                self._parent = step
                return found, tuple(rejected)
            rejected.append(Rejected(path, "it was not healthy when it was saved"))
        return None, tuple(rejected)

    def required(self) -> tuple[Checkpoint, tuple[Rejected, ...]]:
        """As `newest`, but with none there is a `DataError`."""
        found, rejected = self.newest()
        if found is None:
            help = "; ".join(f"{each.path.name}: {each.reason}" for each in rejected) or None
            raise DataError.of("SB0952", f"there is no {'good ' if rejected else ''}checkpoint in {self.folder}", help=help)
        return found, rejected

    def read(self, step: int) -> Checkpoint:
        """The checkpoint of a step, healthy or not. Raises `DataError` where it is damaged or not there."""
        damage = None
        for path in (path for each, path in self._listed() if each == step):
            try:
                found = self._load(step, path)
            except Damaged as error:
                damage = DataError.of("SB0951", f"the checkpoint {path} is damaged: {error}", help=self._others(step))
                continue
            self._parent = step
            return found
        raise damage or DataError.of("SB0952", f"there is no checkpoint of step {step} in {self.folder}", help=self._others(step))

    def steps(self) -> list[int]:
        """The steps that there are checkpoints of, from the first to the last. Whether they are good is not looked at."""
        return sorted({step for step, _ in self._listed()})

    # Saving ----------------------------------------------------------------------------------------------------------

    def _publish(self, planned: Manifest, files: Mapping[str, Content], needed: int, keep: Keep) -> Path:
        """One whole try. What an earlier one may have achieved, although a call said otherwise, is found and kept."""
        disk, step = self._disk, planned.step
        make_all(disk, self.folder)
        self._settle()
        path = self.folder / _name(step)
        is_there = os.path.lexists(path)
        if is_there and self._may_stay(path, planned, files):
            return path
        self._make_room(needed, keep)
        new = beside(self.folder, _TEMPORARY, str(step))
        target = path.with_name(path.name + _NEW) if is_there else path
        try:
            self._fill(new, planned, files)
            disk.rename(new, target)
        except OSError:
            self._quietly_remove(new)
            raise
        disk.sync_folder(self.folder)
        if is_there:
            self._take_place(target, path)
        self._good[step] = planned.healthy
        return path

    def _may_stay(self, path: Path, planned: Manifest, files: Mapping[str, Content]) -> bool:
        """Whether the checkpoint that is there already makes the new one needless. It is put on the disk once more: who knows how it came here."""
        try:
            there = self._examine(planned.step, path)[0]
        except Damaged:
            return False
        given = {name: (_length(content), _digest(content)) for name, content in files.items()}
        is_same = render(planned.replace(parent=there.parent, files=given)) == render(there)
        if not is_same and not (there.healthy and not planned.healthy):
            return False
        for name in (*there.files, MANIFEST):
            with opened(self._disk, path / name) as descriptor:
                self._disk.sync(descriptor)
        self._disk.sync_folder(path)
        self._disk.sync_folder(self.folder)
        self._good[planned.step] = there.healthy
        if not is_same:
            self.remarks += (f"{path.name} is healthy and stays; the new one of this step is not healthy and was not saved.",)
        return True

    def _fill(self, new: Path, planned: Manifest, files: Mapping[str, Content]) -> None:
        """A folder with everything in it, the manifest last, on the disk and read back."""
        disk = self._disk
        disk.make(new, _PRIVATE)
        written = {name: (_length(content), write(disk, new / name, content)) for name, content in files.items()}
        manifest = planned.replace(files=written)
        write(disk, new / MANIFEST, render(manifest))
        disk.open_up(new)
        disk.sync_folder(new)
        try:
            back = self._examine(planned.step, new)[0]
        except Damaged as damage:
            raise OSError(errno.EIO, f"it does not read back as it was written ({damage})") from None
        if render(back) != render(manifest):
            raise OSError(errno.EIO, "it does not read back as it was written")

    def _take_place(self, new: Path, path: Path) -> None:
        """Puts a checkpoint in the place of another one of its step. Until it is there, it counts under the name that it has."""
        if os.path.lexists(path):
            self._trash(path)
        self._disk.rename(new, path)
        self._disk.sync_folder(self.folder)

    def _settle(self) -> None:
        """Brings to its end what `_take_place` began in a process that is gone."""
        for step, new in [place for place in self._places() if place[1].name.endswith(_NEW)]:
            try:
                self._examine(step, new)
            except Damaged:
                self._trash(new)
                continue
            self._take_place(new, new.with_name(_name(step)))

    def _make_room(self, needed: int, keep: Keep) -> None:
        """Sees to it that there is room, or says at once that there is none. Nothing goes but what may go anyway."""
        free = self._disk.free(self.folder)
        if free is not None and free < needed:
            # A process that was killed may have left a checkpoint whose name is not on the disk yet; nothing goes on the strength of that one.
            self._disk.sync_folder(self.folder)
            # What was good when it was saved may not be now, and there is nothing newer yet.
            self._good.clear()
            self._prune(keep, None)
            free = self._disk.free(self.folder)
        if free is not None and free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _prune(self, keep: Keep, saved: int | None) -> None:
        """Removes each checkpoint that `keep.count` good ones are newer than, a damaged or unhealthy one too; but never the one just saved."""
        newer, superseded = 0, []
        for step in sorted({step for step, _ in self._places()}, reverse=True):
            stays = step in (saved, keep.best) or (keep.every is not None and step % keep.every == 0)
            if newer >= keep.count and not stays:
                superseded.append(self.folder / _name(step))
            elif newer < keep.count:
                newer += self._is_good(step)
        for path in superseded:
            self._trash(path)
        if superseded:
            self._disk.sync_folder(self.folder)  # before a file in them goes: what bears the name of a checkpoint is whole, after a power cut too
        self._sweep()

    def _is_good(self, step: int) -> bool:
        if step not in self._good:
            try:
                self._good[step] = self._examine(step, self.folder / _name(step))[0].healthy
            except Damaged:
                self._good[step] = False
            except OSError:
                return False
        return self._good[step]

    def _trash(self, path: Path) -> None:
        """Takes a folder out of the count in one step. Its files go with the next `_sweep`."""
        self._disk.rename(path, beside(self.folder, _TRASH, path.name))
        self._good.pop(next(_steps_of(path.name), -1), None)

    def _sweep(self) -> None:
        """Removes what is half written or half removed, and nobody's any more."""
        for name in self._names():
            if name.startswith((_TEMPORARY, _TRASH)) and is_left_over(name):
                remove_all(self._disk, self.folder / name)

    def _try(self, what: str, action: Callable[[], None]) -> None:
        """Does what the checkpoint does not depend on. Where it fails, a remark says so, and the next save tries again."""
        try:
            patient(self._disk, action)
        except OSError as error:
            self.remarks += (f"{what} could not be written or removed in {self.folder}: {error.strerror}.",)

    def _quietly_remove(self, path: Path) -> None:
        """The error that is under way says more than one of removing would; the next save removes what stays."""
        try:
            remove_all(self._disk, path)
        except OSError:
            return

    def _not_written(self, step: int, needed: int, error: OSError) -> ResourceError:
        free = self._disk.free(self.folder if self.folder.exists() else self.folder.parent)
        room = [f"it needs {size(needed)}", *([f"{size(free)} are free"] if free is not None else [])]
        help = "what was saved before is untouched" + ("; make room on this disk" if error.errno in _NO_ROOM else "")
        message = f"{self.folder / _name(step)} cannot be written: {error.strerror}; {', '.join(room)}"
        return ResourceError([Diagnostic("SB0910", message, help=help)])

    # Reading ---------------------------------------------------------------------------------------------------------

    def _load(self, step: int, path: Path) -> Checkpoint:
        """Reads and verifies; a disk that gives no bytes is damage too."""
        try:
            manifest, files = patient(self._disk, lambda: self._examine(step, path, keep_bytes=True))
        except OSError as error:
            raise Damaged(f"it cannot be read: {error.strerror}") from error
        self._good[step] = manifest.healthy
        return Checkpoint(path=path, manifest=manifest, files=files)

    def _examine(self, step: int, path: Path, *, keep_bytes: bool = False) -> tuple[Manifest, dict[str, bytes]]:
        """The manifest of a checkpoint whose files are all as it says, and no others; with their bytes where those are wanted."""
        if path.is_symlink():
            raise Damaged("it is a symbolic link")
        if not path.is_dir():
            raise Damaged("it is no folder")
        names = {entry.name for entry in path.iterdir()}
        manifest = self._manifest(path, names)
        if manifest.step != step:
            raise Damaged(f"its {MANIFEST} is that of step {manifest.step}")
        if missing := sorted(manifest.files.keys() - names):
            raise Damaged(f"the file {missing[0]} is missing")
        if foreign := sorted(names - manifest.files.keys() - {MANIFEST}):
            raise Damaged(f"the file {foreign[0]} is not part of it")
        files: dict[str, bytes] = {}
        for name, (length, digest) in manifest.files.items():
            found = self._content(path, name, length, digest, keep_bytes=keep_bytes)
            if keep_bytes:
                files[name] = found
        return manifest, files

    def _manifest(self, path: Path, names: set[str]) -> Manifest:
        if MANIFEST not in names:
            raise Damaged(f"it has no {MANIFEST}")
        try:
            with opened(self._disk, path / MANIFEST) as descriptor:
                length = self._disk.size(descriptor)
                if length > MOST_BYTES:
                    raise Damaged(f"its {MANIFEST} is damaged: it has {size(length)}")
                return parse(b"".join(pieces(self._disk, descriptor, length, _PIECE)))
        except Odd as odd:
            raise Damaged(f"its {MANIFEST} is {odd}") from None
        except Unreadable as reason:
            raise Damaged(f"its {MANIFEST} is damaged: {reason}") from None

    def _content(self, path: Path, name: str, length: int, digest: str, *, keep_bytes: bool) -> bytes:
        """The bytes of a file if they are wanted, after they were found to be the ones that were saved."""
        content, seen = b"", sha256()
        try:
            with opened(self._disk, path / name) as descriptor:
                found = self._disk.size(descriptor)
                if found != length:
                    raise Damaged(f"the file {name} has {found} bytes, and {length} were saved")
                if keep_bytes:
                    content = b"".join(pieces(self._disk, descriptor, length, length + 1))  # in one piece, so that nothing is copied
                    seen.update(content)
                else:
                    for piece in pieces(self._disk, descriptor, length, _PIECE):
                        seen.update(piece)
        except Odd as odd:
            raise Damaged(f"the file {name} is {odd}") from None
        if seen.hexdigest() != digest:
            raise Damaged(f"the file {name} does not hold the bytes that were saved")
        return content

    def _places(self) -> list[tuple[int, Path]]:
        """Step and path of what is called a checkpoint, newest first; of two of a step the one first that takes the other's place."""
        found = [(step, name) for name in self._names() for step in _steps_of(name)]
        return [(step, self.folder / name) for step, name in sorted(found, reverse=True)]

    def _listed(self) -> list[tuple[int, Path]]:
        try:
            return patient(self._disk, self._places)
        except OSError as error:
            raise DataError.of("SB0951", f"the checkpoints in {self.folder} cannot be read: {error.strerror}") from error

    def _names(self) -> list[str]:
        try:
            return sorted(entry.name for entry in self.folder.iterdir())
        except FileNotFoundError:
            return []

    def _others(self, step: int) -> str | None:
        others = [each for each in self.steps() if each != step]
        return f"there are checkpoints of the steps {', '.join(map(str, others))}" if others else None


def _name(step: int) -> str:
    return f"step-{step:08d}"


def _steps_of(name: str) -> Iterator[int]:
    """The step whose checkpoint is called so; nothing for any other name. A step has one name, so that none is there twice."""
    match = _NAME.fullmatch(name)
    if match is not None and name.removesuffix(_NEW) == _name(int(match[1])):
        yield int(match[1])


def _rendered(planned: Manifest, keep: Keep) -> int:
    """How long the manifest will be. What callers of ours must not hand in is found before anything is written."""
    if keep.count < 1 or (keep.every is not None and keep.every < 1) or planned.step < 0:
        raise InternalError("store", f"step {planned.step} cannot be kept by {keep}")
    if wrong := [name for name in planned.files if not is_name(name)]:
        raise InternalError("store", f"a file of a checkpoint cannot be called {wrong[0]!r}")
    try:
        rendered = render(planned)
    except (ValueError, TypeError, RecursionError) as error:
        raise InternalError("store", f"the facts of a checkpoint are not JSON: {error}") from error
    if len(rendered) > MOST_BYTES:
        raise InternalError("store", f"the manifest of a checkpoint has {len(rendered)} bytes")
    return len(rendered)


def _length(content: Content) -> int:
    return sum(len(part) for part in parts(content))


def _digest(content: Content) -> str:
    seen = sha256()
    for part in parts(content):
        seen.update(part)
    return seen.hexdigest()


def _room(planned: Manifest, manifest: int) -> int:
    """The bytes that a checkpoint takes, with a margin of a fifth."""
    lengths = [manifest, *(length for length, _ in planned.files.values())]
    return sum(-(-length // _BLOCK) * _BLOCK for length in lengths) * 6 // 5


__all__ = ["Checkpoint", "Keep", "Manifest", "Rejected", "Store"]
