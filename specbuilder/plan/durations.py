"""Durations as a spec writes them: `5 epochs`, `200 steps`, `30%`, `1000 samples` (plan.md 2.0), and times where those are admitted. Pure arithmetic."""

from __future__ import annotations

import re
from math import floor, isfinite
from typing import Literal

from specbuilder.records import Record

Unit = Literal["step", "epoch", "sample", "%", "second", "minute", "hour"]

_DURATION = re.compile(r"\s*(\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)\s*(steps?|epochs?|samples?|seconds?|minutes?|hours?|%)\s*\Z")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}


class Duration(Record):
    """A number and its unit."""

    number: float
    unit: Unit

    @property
    def seconds(self) -> float | None:
        """How long it is, of a time; None of what is measured in steps."""
        return self.number * _SECONDS[self.unit] if self.unit in _SECONDS else None

    def __str__(self) -> str:
        number = f"{self.number:g}"
        return f"{number}%" if self.unit == "%" else f"{number} {self.unit}{'' if self.number == 1 else 's'}"


class Span(Record):
    """What durations are measured against: the length of a run."""

    steps: int
    steps_per_epoch: int
    batch_size: int


class DurationProblem(ValueError):
    """A duration that is none or does not fit: the field, and why in plain words."""

    def __init__(self, field: str, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.field, self.message, self.help = field, message, help


def parse_duration(text: str, *, with_times: bool = False) -> Duration | None:
    """The duration, or None when the text is none. Times are none unless they are asked for: where they steer, no two runs are equal."""
    found = _DURATION.match(text)
    if found is None:
        return None
    unit = found.group(2).rstrip("s") if found.group(2) != "%" else "%"
    number = float(found.group(1).replace("_", ""))
    if not isfinite(number) or (unit in _SECONDS and not with_times):
        return None
    return Duration(number, unit)  # type: ignore[arg-type]  # the pattern admits these units only


def written_duration(name: str, written: str | float) -> Duration | None:
    """The duration of the field `name`; None for 0. Raises `DurationProblem` for what is none."""
    if isinstance(written, str):
        duration = parse_duration(written)
        if duration is None:
            help = "time does not steer it: equal runs are equal on any machine" if parse_duration(written, with_times=True) else None
            raise DurationProblem(name, f"`{name}` wants a duration such as `5 epochs`, `200 steps` or `10%`, but this is `{written}`", help)
        return duration
    if written:
        share = f"; a share of the run is `{written * 100:g}%`" if written < 1 else ""
        raise DurationProblem(name, f"`{name}` is {written:g}, but of what?", f"write `{written:g} epochs` or `{written:g} steps`{share}")
    return None


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


def steps_of(number: int) -> str:
    """A number of steps, as messages have it."""
    return f"{number:,} step{'' if number == 1 else 's'}"
