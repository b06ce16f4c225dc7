"""`MANIFEST.json`, the file that makes a folder a checkpoint: what it holds, and the SHA-256 of each file.

In: a `Manifest`, out: its bytes, and back. There is one way to write a manifest, and reading accepts no other: the bytes must be those that the content
gives again. So each changed byte is seen, be it a space, also in the digest that the manifest carries of its own content.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NoReturn

from specbuilder.records import Record

MANIFEST = "MANIFEST.json"
MOST_BYTES = 16 * 2**20
"""Of a manifest. Facts are few; whatever is larger is not ours."""
_FORMAT = 1
_KEYS = {"digest", "facts", "files", "format", "healthy", "parent", "step"}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Manifest(Record):
    """What a checkpoint says of itself."""

    step: int
    parent: int | None
    """The step of the checkpoint that this one continues."""
    healthy: bool
    facts: Mapping[str, Any]
    files: Mapping[str, tuple[int, str]]
    """Size and SHA-256 of each file by its name."""


class Unreadable(Exception):
    """Bytes that are no manifest. The text says why."""


def is_name(name: str) -> bool:
    """Whether a file of a checkpoint may be called that: one plain name, no path."""
    return _NAME.fullmatch(name) is not None and name != MANIFEST


def render(manifest: Manifest) -> bytes:
    """The bytes of a manifest. Raises `ValueError` or `TypeError` where a fact is not JSON."""
    content = {
        "format": _FORMAT,
        "step": manifest.step,
        "parent": manifest.parent,
        "healthy": manifest.healthy,
        "facts": dict(manifest.facts),
        "files": {name: {"size": size, "sha256": digest} for name, (size, digest) in manifest.files.items()},
    }
    return _text(content | {"digest": sha256(_text(content)).hexdigest()})


def parse(content: bytes) -> Manifest:
    """The manifest of bytes that `render` made; of any others, `Unreadable`."""
    try:
        read = json.loads(content.decode(), object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Unreadable("it is no valid JSON") from None
    if not isinstance(read, dict) or set(read) != _KEYS:
        raise Unreadable("it has other fields than a manifest")
    if type(read["format"]) is int and read["format"] != _FORMAT:
        raise Unreadable(f"it has the format {read['format']}, and this version reads the format {_FORMAT}")
    step, parent, healthy, facts, files = (read[key] for key in ("step", "parent", "healthy", "facts", "files"))
    is_typed = _is_step(step) and (parent is None or _is_step(parent)) and isinstance(healthy, bool) and isinstance(facts, dict)
    if not is_typed or not isinstance(files, dict) or not all(_is_entry(name, entry) for name, entry in files.items()):
        raise Unreadable("a field has a value of the wrong type")
    manifest = Manifest(step, parent, healthy, facts, {name: (entry["size"], entry["sha256"]) for name, entry in files.items()})
    if not _is_same(manifest, content):
        raise Unreadable("it is not as it was written")
    return manifest


def _is_same(manifest: Manifest, content: bytes) -> bool:
    try:
        return render(manifest) == content
    except (ValueError, RecursionError):
        return False


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _is_step(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_entry(name: str, entry: object) -> bool:
    if not is_name(name) or not isinstance(entry, dict) or set(entry) != {"size", "sha256"}:
        return False
    return _is_step(entry["size"]) and isinstance(entry["sha256"], str) and _DIGEST.fullmatch(entry["sha256"]) is not None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a key is there twice")
    return read


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
