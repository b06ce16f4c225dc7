"""The loop: steps, evaluations, the end. One hand-written loop over an explicit state.

Effects come in as arguments: what is told of (`Watcher`), what is written (`Journal`, `Keeper`), what asks to stop (`stop`). Times never steer the
training; they only say when a checkpoint is worth its cost. A run that is taken up again enters here with the state of its checkpoint, and does what it
would have done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from time import monotonic
from typing import Any, Literal, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from specbuilder.catalogue.contract import Metric, Schedule
from specbuilder.diagnostics import RunError, SpecbuilderError
from specbuilder.plan.plan import EarlyStopping, Length, Monitor
from specbuilder.plan.schedule import factor, is_flat
from specbuilder.training.evaluate import evaluate
from specbuilder.training.feed import Batch, Batches, Stopped
from specbuilder.training.journal import Journal
from specbuilder.training.state import State
from specbuilder.training.step import Context, Gate, NotFinite, Objective, Step
from specbuilder.training.weighing import Weighing

TICK_S = 0.1
"""How often the watcher hears of progress between evaluations."""
NAMED_AT_MOST = 8
"""Samples that a message names."""

Outcome = Literal["finished", "interrupted"]


class Watcher(Protocol):
    """Who is told how a run goes: the command line, or nobody."""

    def progress(self, step: int, steps: int) -> None: ...

    def evaluated(self, row: Mapping[str, Any], timing: Mapping[str, Any]) -> None: ...


class Keeper(Protocol):
    """Who keeps the state of a run on disk."""

    next_step: int
    """The next step after which `reached` wants to be called, besides evaluations; beyond the end where there is none."""

    def evaluated(self, state: State, *, is_best: bool) -> None: ...

    def reached(self, state: State) -> None: ...

    def ticked(self, state: State) -> None:
        """Called between steps now and then, for checkpoints by the clock."""
        ...

    def left(self, state: State) -> None:
        """The run ends here, whole or not: what there is must be on disk when this returns."""
        ...


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
    rates: tuple[float, ...]
    """The rate of each group of the optimizer, before the schedule."""
    metrics: Mapping[str, Metric]
    feeds: Mapping[str, Batches]
    shown: str | None
    """The part that is evaluated at every interval."""
    step: Step
    objective: Objective
    context: Context | None
    weighing: Weighing
    monitor: Monitor | None = None
    early_stopping: EarlyStopping | None = None
    gate: Gate | None = None


def train(state: State, course: Course, journal: Journal, watcher: Watcher, keeper: Keeper, stop: Callable[[], bool]) -> Outcome:
    """Runs to the end of the plan, or until asked to stop. Raises `RunError` when the loss is no number any more."""
    clock = Clock()
    try:
        outcome = _follow(state, course, journal, watcher, keeper, stop, clock)
    except Stopped:
        outcome = "interrupted"
    keeper.left(state)
    return outcome


def _follow(state: State, course: Course, journal: Journal, watcher: Watcher, keeper: Keeper, stop: Callable[[], bool], clock: Clock) -> Outcome:
    length, feed = course.length, course.feeds["train"]
    set_rate = _rates(state.optimizer, course)
    is_sum = course.weighing.reduction == "sum"
    step, averaged, steps, every = course.step, state.averaged, length.steps, length.evaluate_every
    first_step = state.step
    if state.is_due:
        _look(state, course, journal, watcher, keeper, stop, clock, first_step)
    state.model.train()
    while state.step < steps and not state.control.stopped_early:
        for batch in _batches(feed, state, length):
            if set_rate is not None:
                set_rate(state.step)
            samples = batch[-1].size(0)
            try:
                step(batch, 1 if is_sum else samples)
            except NotFinite:
                raise _not_finite(state.step, course, journal, is_untouched=True) from None
            state.step += 1
            state.samples += samples
            if averaged is not None:
                averaged.follow(state.step)
            if state.step % every == 0 or state.step == steps:
                state.is_due = True
                _look(state, course, journal, watcher, keeper, stop, clock, first_step)
                if state.control.stopped_early:
                    return "finished"
            elif state.step == keeper.next_step:
                keeper.reached(state)
            elif monotonic() >= clock.next_tick:
                watcher.progress(state.step, steps)
                keeper.ticked(state)
                clock.next_tick = monotonic() + TICK_S
            if state.step == steps:
                return "finished"
            if stop():
                return "interrupted"
    return "finished"


def _batches(feed: Batches, state: State, length: Length) -> Iterator[Batch]:
    """The batches from where the state stands to the end of its epoch."""
    epoch, first = divmod(state.step, length.steps_per_epoch)
    # The generators of a caller's loader go back to where the epoch began; there are none otherwise.
    if first and state.epoch_began:
        for generator, began in zip(feed.generators, state.epoch_began, strict=True):
            generator.set_state(began)
    else:
        state.epoch_began = [generator.get_state() for generator in feed.generators]
    return feed.epoch(epoch, first)


def rates(optimizer: Optimizer) -> tuple[float, ...]:
    """The rates of a freshly made optimizer, which a schedule multiplies."""
    return tuple(float(group["lr"]) for group in optimizer.param_groups)


def _rates(optimizer: Optimizer, course: Course) -> Callable[[int], None] | None:
    """Sets the rate of a step; None where it never changes, so that the loop has nothing to do."""
    schedule, steps = course.schedule, course.length.schedule
    if is_flat(schedule) and factor(schedule, steps, 0) == 1.0:
        return None
    groups = list(zip(optimizer.param_groups, course.rates, strict=True))

    def set_rate(step: int) -> None:
        scale = factor(schedule, steps, step)
        for group, rate in groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * scale)
            else:
                group["lr"] = rate * scale

    return set_rate


def judged(state: State) -> nn.Module:
    """The weights that are evaluated and saved: the average, once there is one."""
    averaged = state.averaged
    return averaged.model if averaged is not None and averaged.updates else state.model


def _look(
    state: State,
    course: Course,
    journal: Journal,
    watcher: Watcher,
    keeper: Keeper,
    stop: Callable[[], bool],
    clock: Clock,
    first_step: int,
) -> None:
    """Reads the training loss, evaluates the shown part, writes a line. The state changes only when all of it is done, so that an evaluation which is
    broken off can be made again.
    """
    length = course.length
    weight = int(state.counted) if state.counted is not None else state.samples
    loss = float(state.loss_sum) / weight if weight else nan
    if not isfinite(loss) and weight:
        gate = course.gate
        raise _not_finite(first_step + int(gate.passed) if gate is not None else state.step - 1, course, journal, is_untouched=gate is not None)
    row: dict[str, Any] = {"step": state.step, "epoch": round(state.step / length.steps_per_epoch, 6), "train.loss": loss}
    training_s = monotonic() - clock.interval_began
    if course.shown is not None:
        batches = course.feeds[course.shown].epoch(0)
        found = evaluate(judged(state), course.objective, batches, course.metrics, context=course.context, weighing=course.weighing, stop=stop)
        row |= {f"{course.shown}.{name}": value for name, value in found.items()}
    row["lr"] = float(state.optimizer.param_groups[0]["lr"])
    timing = {
        "step": state.step,
        "from_step": first_step,
        "seconds": round(monotonic() - clock.began, 3),
        "samples_per_second": round(state.samples / max(training_s, 1e-9), 1),
    }
    is_best = _control(state, course, row)
    state.loss_sum.zero_()
    state.samples = 0
    if state.counted is not None:
        state.counted.zero_()
    state.is_due = False
    journal.evaluation(row, timing)
    watcher.evaluated(row, timing)
    keeper.evaluated(state, is_best=is_best)
    clock.interval_began = monotonic()


def _control(state: State, course: Course, row: Mapping[str, Any]) -> bool:
    """Keeps the best value of the monitored figure, and stops early; whether this is the best so far. What is no number is never the best."""
    monitor, stopping, control = course.monitor, course.early_stopping, state.control
    if monitor is None or (value := row.get(monitor.name)) is None:
        return False
    gain = -1 if monitor.mode == "min" else 1
    ahead = gain * (value - control.best) if control.best is not None else inf
    is_best = isfinite(value) and ahead > (stopping.min_delta if stopping is not None else 0)
    control.waited = 0 if is_best else control.waited + 1
    if is_best:
        control.best, control.best_step = value, state.step
    if stopping is not None:
        waited = control.waited if stopping.unit == "evaluations" else state.step - (control.best_step or 0)
        control.stopped_early = waited >= stopping.patience
    return is_best


def _not_finite(step: int, course: Course, journal: Journal, *, is_untouched: bool) -> SpecbuilderError:
    """What is said of a loss that is no number: in which step, over which samples, and what the weights are now. `step` steps went well before. All of
    the samples stand in `status.json`.
    """
    epoch, number = divmod(step, course.length.steps_per_epoch)
    message = f"the training loss is not a number in step {step + 1} (epoch {epoch + 1})"
    found = course.feeds["train"].indices(epoch, number)
    if found:
        journal.details = {**journal.details, "samples": found}
        named = ", ".join(str(index) for index in found[:NAMED_AT_MOST])
        more = f" and {len(found) - NAMED_AT_MOST} more" if len(found) > NAMED_AT_MOST else ""
        message += f"; its batch holds the training samples {named}{more}"
    help = "try a smaller `lr`, or look for infinite values in the data"
    if is_untouched:
        help += "; the optimizer made no step with it, and the checkpoints are from before"
    return RunError.of("SB1101", message, help=help)
