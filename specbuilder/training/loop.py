"""The loop: steps, evaluations, the end. One hand-written loop over an explicit state.

Effects come in as arguments: what is told of (`Watcher`), what is written (`Journal`), what asks to stop (`stop`). Times never steer the training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from time import monotonic
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from specbuilder.catalogue.contract import Metric, Schedule
from specbuilder.diagnostics import RunError
from specbuilder.plan.plan import Length
from specbuilder.plan.schedule import factor, is_flat
from specbuilder.training.evaluate import Weighing, evaluate
from specbuilder.training.feed import Batches
from specbuilder.training.journal import Journal
from specbuilder.training.step import Context, Objective, Step

TICK_S = 0.1
"""How often the watcher hears of progress between evaluations."""


class Watcher(Protocol):
    """Who is told how a run goes: the command line, or nobody."""

    def progress(self, step: int, steps: int) -> None: ...

    def evaluated(self, row: Mapping[str, Any], timing: Mapping[str, Any]) -> None: ...


@dataclass(slots=True)
class State:
    """All that changes while a run goes on. Everything else is a pure function of the plan."""

    model: nn.Module
    optimizer: Optimizer
    step: int = 0
    """Optimizer steps done."""
    loss_sum: Tensor = field(default_factory=lambda: torch.zeros(()))
    """Of the samples since the last evaluation, on the device."""
    samples: int = 0
    counted: Tensor | None = None
    """How many of their targets count, on the device; None: all of them do, and `samples` says it."""


@dataclass(slots=True)
class Clock:
    """Times that are shown and never steer."""

    began: float = field(default_factory=monotonic)
    interval_began: float = field(default_factory=monotonic)
    next_tick: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What the loop follows."""

    length: Length
    schedule: Schedule
    metrics: Mapping[str, Metric]
    feeds: Mapping[str, Batches]
    shown: str | None
    """The part that is evaluated at every interval."""
    step: Step
    objective: Objective
    context: Context | None
    weighing: Weighing


def train(state: State, course: Course, journal: Journal, watcher: Watcher, stop: Callable[[], bool]) -> bool:
    """Runs to the end of the plan; False when asked to stop before. Raises `RunError` when the loss is no number any more."""
    length, feed = course.length, course.feeds["train"]
    set_rate = _rates(state.optimizer, course)
    is_sum = course.weighing.reduction == "sum"
    clock = Clock()
    state.model.train()
    while state.step < length.steps:
        epoch = state.step // length.steps_per_epoch
        for batch in feed.epoch(epoch):
            if set_rate is not None:
                set_rate(state.step)
            samples = batch[-1].size(0)
            course.step(batch, 1 if is_sum else samples)
            state.step += 1
            state.samples += samples
            if state.step % length.evaluate_every == 0 or state.step == length.steps:
                _look(state, course, journal, watcher, clock)
            elif monotonic() >= clock.next_tick:
                watcher.progress(state.step, length.steps)
                clock.next_tick = monotonic() + TICK_S
            if state.step == length.steps:
                return True
            if stop():
                return False
    return True


def _rates(optimizer: Optimizer, course: Course) -> Callable[[int], None] | None:
    """Sets the rate of a step; None where it never changes, so that the loop has nothing to do."""
    schedule, steps = course.schedule, course.length.schedule
    base = [group["lr"] if not isinstance(group["lr"], Tensor) else float(group["lr"]) for group in optimizer.param_groups]
    if is_flat(schedule) and factor(schedule, steps, 0) == 1.0:
        return None
    groups = list(zip(optimizer.param_groups, base, strict=True))

    def set_rate(step: int) -> None:
        scale = factor(schedule, steps, step)
        for group, rate in groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * scale)
            else:
                group["lr"] = rate * scale

    return set_rate


def _look(state: State, course: Course, journal: Journal, watcher: Watcher, clock: Clock) -> None:
    """Reads the training loss, evaluates the shown part, writes a line."""
    length = course.length
    weight = int(state.counted) if state.counted is not None else state.samples
    loss = float(state.loss_sum) / weight if weight else nan
    row: dict[str, Any] = {"step": state.step, "epoch": round(state.step / length.steps_per_epoch, 6), "train.loss": loss}
    if not loss == loss or loss in (float("inf"), float("-inf")):
        raise RunError.of(
            "SB1101", f"the training loss is {loss} at step {state.step}", help="try a smaller `lr`, or look for infinite values in the data"
        )
    samples = state.samples
    state.loss_sum.zero_()
    state.samples = 0
    if state.counted is not None:
        state.counted.zero_()
    training_s = monotonic() - clock.interval_began
    if course.shown is not None:
        found = evaluate(
            state.model, course.objective, course.feeds[course.shown].epoch(0), course.metrics, context=course.context, weighing=course.weighing
        )
        row |= {f"{course.shown}.{name}": value for name, value in found.items()}
    row["lr"] = float(state.optimizer.param_groups[0]["lr"])
    timing = {"step": state.step, "seconds": round(monotonic() - clock.began, 3), "samples_per_second": round(samples / max(training_s, 1e-9), 1)}
    journal.evaluation(row, timing)
    watcher.evaluated(row, timing)
    clock.interval_began = monotonic()
