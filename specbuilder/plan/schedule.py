"""A schedule on the steps of a run: the factor of each step, as plain numbers.

Warm-up is (k+1)/W, so no step runs at rate 0; step k of the N after warm-up reads its curve at k/N (plan.md P19).
"""

from __future__ import annotations

from specbuilder.catalogue.contract import Schedule
from specbuilder.plan.durations import Duration, Span, in_steps, parse_duration
from specbuilder.records import Record


class Steps(Record):
    """The spans of a schedule in steps."""

    begin: int
    warmup: int
    total: int
    """Warm-up and curve together, from `begin`."""


class DurationProblem(ValueError):
    """A duration of a schedule that is none or does not fit: the field, and why in plain words."""

    def __init__(self, field: str, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.field, self.message, self.help = field, message, help


def check_durations(kind: Schedule) -> None:
    """Raises `DurationProblem` for a text that is no duration, whatever the run."""
    for name in ("begin", "over", "warmup"):
        written = getattr(kind, name)
        if written is not None:
            _duration(name, written)


def schedule_steps(kind: Schedule, span: Span) -> Steps:
    """The spans of a schedule. Raises `DurationProblem` when they do not fit the run."""
    begin = _steps("begin", kind.begin, span)
    if begin and begin >= span.steps:
        message = f"`begin` is after {_steps_of(begin)}, but the run has {_steps_of(span.steps)}"
        raise DurationProblem("begin", message, "before it, nothing is learned; make it smaller")
    over = span.steps - begin if kind.over is None else _steps("over", kind.over, span)
    warmup = _steps("warmup", kind.warmup, span, of=over)
    if warmup >= over and warmup > 0:
        message = f"`warmup` takes {_steps_of(warmup)}, but the schedule has {_steps_of(over)}"
        raise DurationProblem("warmup", message, "make it shorter, or the run longer")
    return Steps(begin=begin, warmup=warmup, total=over)


def _steps(name: str, written: str | float, span: Span, of: int | None = None) -> int:
    duration = _duration(name, written)
    return 0 if duration is None else in_steps(duration, span, of)


def _steps_of(number: int) -> str:
    return f"{number:,} step{'' if number == 1 else 's'}"


def _duration(name: str, written: str | float) -> Duration | None:
    """The duration; None for 0."""
    if isinstance(written, str):
        duration = parse_duration(written)
        if duration is None:
            raise DurationProblem(name, f"`{name}` wants a duration such as `5 epochs`, `200 steps` or `10%`, but this is `{written}`")
        return duration
    if written:
        share = f"; a share of the run is `{written * 100:g}%`" if written < 1 else ""
        raise DurationProblem(name, f"`{name}` is {written:g}, but of what?", f"write `{written:g} epochs` or `{written:g} steps`{share}")
    return None


def factor(kind: Schedule, steps: Steps, step: int) -> float:
    """The factor on the rate at `step`, counted from 0."""
    at = step - steps.begin
    if at < 0:
        return 0.0
    if at < steps.warmup:
        return kind.rise((at + 1) / steps.warmup)
    rest = steps.total - steps.warmup
    return kind.curve(min((at - steps.warmup) / rest, 1.0) if rest > 0 else 1.0)


def is_flat(kind: Schedule) -> bool:
    """Whether the factor is the same at every step, so that the loop need not set any rate."""
    return kind.kind == "constant" and not kind.warmup and not kind.begin


__all__ = ["Duration", "DurationProblem", "Steps", "check_durations", "factor", "is_flat", "schedule_steps"]
