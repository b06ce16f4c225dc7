"""Durations as a spec writes them: `5 epochs`, `200 steps`, `30%`, `1000 samples` (plan.md 2.0). Pure arithmetic."""

from __future__ import annotations

import re
from math import floor, isfinite
from typing import Literal

from specbuilder.records import Record

Unit = Literal["step", "epoch", "sample", "%"]

_DURATION = re.compile(r"\s*(\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)\s*(steps?|epochs?|samples?|%)\s*\Z")


class Duration(Record):
    """A number and its unit."""

    number: float
    unit: Unit

    def __str__(self) -> str:
        number = f"{self.number:g}"
        return f"{number}%" if self.unit == "%" else f"{number} {self.unit}{'' if self.number == 1 else 's'}"


class Span(Record):
    """What durations are measured against: the length of a run."""

    steps: int
    steps_per_epoch: int
    batch_size: int


def parse_duration(text: str) -> Duration | None:
    """The duration, or None when the text is none."""
    found = _DURATION.match(text)
    if found is None:
        return None
    unit = found.group(2).rstrip("s") if found.group(2) != "%" else "%"
    number = float(found.group(1).replace("_", ""))
    return Duration(number, unit) if isfinite(number) else None  # type: ignore[arg-type]  # the pattern admits these units only


def in_steps(duration: Duration, span: Span, of: int | None = None) -> int:
    """Steps, rounded half up, at least 1 for anything above 0. `of` is what a percentage is of: the whole run unless given."""
    if duration.number == 0:
        return 0
    exact = {
        "step": duration.number,
        "epoch": duration.number * span.steps_per_epoch,
        "sample": duration.number / span.batch_size,
        "%": duration.number / 100 * (span.steps if of is None else of),
    }[duration.unit]
    return max(1, floor(exact + 0.5))
