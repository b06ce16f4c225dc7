"""What a run leaves in its folder while it goes on: `metrics.jsonl` (comparable byte for byte), `timing.jsonl`, `status.json`.

Every line is written whole and flushed, so that a reader at any moment sees complete lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from specbuilder.diagnostics import ResourceError, UsageError
from specbuilder.training.memory import PART, disk


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a mapping, as `write_text` writes a text."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a file that is never half there: to a sibling first, then renamed. Bytes are those of the text, since digests of some are kept."""
    beside = path.with_name(f".{path.name}{PART}")
    with disk(beside):
        beside.write_bytes(text.encode())
        beside.replace(path)


class Journal:
    """The lines of one run. A disk that is full does not stop a run that trains: lines that cannot be written are kept, and written with later ones."""

    def __init__(self, folder: Path, said: Callable[[str], None], texts: Mapping[str, str] = MappingProxyType({})) -> None:
        """`texts` are the lines from before the state that the run goes on from, by file; what came after it in the files is cut off. `said` hears of
        lines that cannot be written, once.
        """
        self.folder, self._said = folder, said
        self.details: Mapping[str, Any] = {}
        """What stands in every status."""
        self.state = ""
        """As `status.json` says."""
        self._is_troubled = False
        self._files = {name: _Lines(folder / name, texts.get(name, "")) for name in (METRICS, TIMING)}

    def evaluation(self, metrics: Mapping[str, Any], timing: Mapping[str, Any]) -> None:
        """One evaluation: figures that equal runs have in common, and times that they do not."""
        for name, row in ((METRICS, metrics), (TIMING, timing)):
            try:
                self._files[name].add(json.dumps(row) + "\n")
            except ResourceError as error:
                if not self._is_troubled:
                    self._said(f"{error.diagnostics[0].message}; the run goes on, and its lines are kept until there is room")
                self._is_troubled = True

    def texts(self) -> dict[str, str]:
        """All lines so far, whether they are on disk or not."""
        return {name: lines.text for name, lines in self._files.items()}

    def status(self, state: str, **details: Any) -> None:
        """`status.json`: running, finished, interrupted or failed."""
        write_json(self.folder / "status.json", {"state": state, **self.details, **details})
        self.state = state

    def close(self) -> None:
        for lines in self._files.values():
            lines.close()


METRICS, TIMING = "metrics.jsonl", "timing.jsonl"


class _Lines:
    """A file that lines are added to. How much of them is on disk is counted in bytes, so that what failed half-way is gone on with where it broke off."""

    def __init__(self, path: Path, text: str) -> None:
        self.text = text
        self._written = 0
        self._path = path
        with disk(path, is_journal=True):
            self._stream = path.open("wb", buffering=0)
        self.add("")

    def add(self, line: str) -> None:
        self.text += line
        whole = self.text.encode()
        with disk(self._path, is_journal=True):
            while self._written < len(whole):
                self._written += self._stream.write(whole[self._written :])

    def close(self) -> None:
        with suppress(OSError):
            self._stream.close()


def new_folder(root: Path, name: str) -> Path:
    """`runs/<name>/<number>`, the next free number; two runs at once never get the same. Raises `UsageError` where none can be made."""
    parent = root / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        taken = [int(entry.name) for entry in parent.iterdir() if entry.name.isdecimal()]
        return _numbered(parent, max(taken, default=0) + 1)
    except OSError as error:
        file = next((place for place in (parent, *parent.parents) if place.exists() and not place.is_dir()), None)
        reason = f"{file} is a file" if file is not None else error.strerror
        raise UsageError.of("SB0909", f"no run folder can be made in {parent}: {reason}", help="name another folder with `--runs`") from None


def _numbered(parent: Path, number: int) -> Path:
    while True:
        folder = parent / str(number)
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        return folder
