"""What a run leaves in its folder while it goes on: `metrics.jsonl` (comparable byte for byte), `timing.jsonl`, `status.json`.

Every line is written whole and flushed, so that a reader at any moment sees complete lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a file that is never half there: to a sibling first, then renamed."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(path)


class Journal:
    """The lines of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._metrics = (folder / "metrics.jsonl").open("a", encoding="utf-8")
        self._timing = (folder / "timing.jsonl").open("a", encoding="utf-8")

    def evaluation(self, metrics: Mapping[str, Any], timing: Mapping[str, Any]) -> None:
        """One evaluation: figures that equal runs have in common, and times that they do not."""
        for stream, row in ((self._metrics, metrics), (self._timing, timing)):
            stream.write(json.dumps(row) + "\n")
            stream.flush()

    def status(self, state: str, **details: Any) -> None:
        """`status.json`: running, finished, interrupted or failed."""
        write_json(self.folder / "status.json", {"state": state, **details})

    def close(self) -> None:
        self._metrics.close()
        self._timing.close()


def new_folder(root: Path, name: str) -> Path:
    """`runs/<name>/<number>`, the next free number; two runs at once never get the same."""
    parent = root / name
    parent.mkdir(parents=True, exist_ok=True)
    taken = [int(entry.name) for entry in parent.iterdir() if entry.name.isdigit()]
    number = max(taken, default=0) + 1
    while True:
        folder = parent / str(number)
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        return folder
