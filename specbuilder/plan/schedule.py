"""A schedule on the steps of a run: the factor of each step, as plain numbers.

Warm-up is (k+1)/W, so no step runs at rate 0; step k of the N after warm-up reads its curve at k/N (plan.md P19).
"""

from __future__ import annotations

from specbuilder.catalogue.contract import Schedule
from specbuilder.plan.durations import Duration, DurationProblem, Span, in_steps, steps_of, written_duration
from specbuilder.records import Record


class Steps(Record):
    """The spans of a schedule in steps."""

    begin: int
    warmup: int
    total: int
    """Warm-up and curve together, from `begin`."""


def check_durations(kind: Schedule) -> None:
    """Raises `DurationProblem` for a text that is no duration, whatever the run."""
    for name in ("begin", "over", "warmup"):
        written = getattr(kind, name)
        if written is not None:
            written_duration(name, written)


def schedule_steps(kind: Schedule, span: Span) -> Steps:
    """The spans of a schedule. Raises `DurationProblem` when they do not fit the run."""
    begin = _steps("begin", kind.begin, span)
    if begin and begin >= span.steps:
        message = f"`begin` is after {steps_of(begin)}, but the run has {steps_of(span.steps)}"
        raise DurationProblem("begin", message, "before it, nothing is learned; make it smaller")
    over = span.steps - begin if kind.over is None else _steps("over", kind.over, span)
    warmup = _steps("warmup", kind.warmup, span, of=over)
    if warmup >= over and warmup > 0:
        message = f"`warmup` takes {steps_of(warmup)}, but the schedule has {steps_of(over)}"
        raise DurationProblem("warmup", message, "make it shorter, or the run longer")
    return Steps(begin=begin, warmup=warmup, total=over)


def _steps(name: str, written: str | float, span: Span, of: int | None = None) -> int:
    duration = written_duration(name, written)
    return 0 if duration is None else in_steps(duration, span, of)


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
