"""What a run leaves in its folder while it goes on: `metrics.jsonl` (comparable byte for byte), `timing.jsonl`, `status.json`.

Every line is written whole and flushed, so that a reader at any moment sees complete lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from specbuilder.diagnostics import UsageError
from specbuilder.training.memory import PART, disk


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a file that is never half there: to a sibling first, then renamed."""
    beside = path.with_name(f".{path.name}{PART}")
    with disk(beside):
        beside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        beside.replace(path)


class Journal:
    """The lines of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = ""
        """As `status.json` says."""
        self._metrics, self._timing = (_opened(folder / name) for name in ("metrics.jsonl", "timing.jsonl"))

    def evaluation(self, metrics: Mapping[str, Any], timing: Mapping[str, Any]) -> None:
        """One evaluation: figures that equal runs have in common, and times that they do not."""
        for stream, row in ((self._metrics, metrics), (self._timing, timing)):
            with disk(Path(stream.name), is_journal=True):
                stream.write(json.dumps(row) + "\n")
                stream.flush()

    def status(self, state: str, **details: Any) -> None:
        """`status.json`: running, finished, interrupted or failed."""
        write_json(self.folder / "status.json", {"state": state, **details})
        self.state = state

    def close(self) -> None:
        self._metrics.close()
        self._timing.close()


def _opened(path: Path) -> TextIO:
    with disk(path):
        return path.open("a", encoding="utf-8")


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
