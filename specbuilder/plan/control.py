"""What accompanies the steps of a run: passes within a batch, the average, the monitor, early stopping, checkpoints.

In: settings and kinds as written, the length of the run, the names of what is evaluated. Out: the values of the plan. What is wrong is raised as a
`ControlProblem`, which says under which keys; `make` puts the caret there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from specbuilder.catalogue.contract import Average, Loss, Metric
from specbuilder.diagnostics import did_you_mean
from specbuilder.language.settings import CheckpointSettings, DataSettings, EarlyStoppingSettings, MonitorSettings, TrainSettings
from specbuilder.plan.durations import Duration, DurationProblem, Span, in_steps, parse_duration, steps_of, written_duration
from specbuilder.plan.plan import AverageSteps, CheckpointPlan, EarlyStopping, Monitor

MOST_DIVIDED = 10**12
"""The largest batch whose divisors are looked for."""


class ControlProblem(ValueError):
    """What is wrong, and under which keys of `data` or `train`."""

    def __init__(self, code: str, message: str, *path: str, help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.path, self.help = code, message, path, help


# Known from the text alone -------------------------------------------------------------------------------------------


def feeding_problems(data: DataSettings) -> Iterator[ControlProblem]:
    """What is wrong in how batches are fed and divided."""
    if data.feed == "device" and data.workers not in ("auto", 0):
        message = f"`workers: {data.workers}` reads samples in processes of their own, but with `feed: device` they are on the device already"
        yield ControlProblem("SB0713", message, "workers", help="delete `workers`, or `feed`")
    micro, batch = data.micro_batch_size, data.batch_size
    if micro == "auto" or batch % micro == 0:
        return
    message = f"`micro_batch_size` {micro} does not divide `batch_size` {batch}"
    yield ControlProblem("SB0714", message, "micro_batch_size", help=_nearest_divisors(micro, batch))


def _nearest_divisors(number: int, whole: int) -> str | None:
    if number > whole:
        return f"at most {whole}"
    if whole > MOST_DIVIDED:
        return None
    small = [divisor for divisor in range(1, int(whole**0.5) + 1) if whole % divisor == 0]
    divisors = {*small, *(whole // divisor for divisor in small)}
    below, above = max(divisor for divisor in divisors if divisor < number), min(divisor for divisor in divisors if divisor > number)
    return f"the nearest that do are {below} and {above}"


def duration_problems(train: TrainSettings, average: Average | None) -> Iterator[ControlProblem]:
    """Durations that are none, whatever the length of the run."""
    one = Span(steps=1, steps_per_epoch=1, batch_size=1)
    checks: tuple[Callable[[], Any], ...] = (
        lambda: early_stopping_of(train.early_stopping, one),
        lambda: _every(train.checkpoint or CheckpointSettings()),
        lambda: _keep_every(train.checkpoint or CheckpointSettings(), one),
        lambda: average and (_of_average(average, "every"), _of_average(average, "begin")),
    )
    for check in checks:
        try:
            check()
        except ControlProblem as problem:
            yield problem


# Known with the data -------------------------------------------------------------------------------------------------


def micro_batch_of(data: DataSettings, loss: Loss) -> int:
    """Samples of one pass. Refuses to divide a batch whose loss needs all of it."""
    if data.micro_batch_size == "auto" or data.micro_batch_size == data.batch_size:
        return data.batch_size
    if loss.couples_samples:
        message = f"`{loss.kind}` compares the samples of a batch with one another, so passes of {data.micro_batch_size} would change the loss"
        raise ControlProblem("SB0714", message, "micro_batch_size", help=f"delete it, or write {data.batch_size}, which is `batch_size`")
    return data.micro_batch_size


def average_steps(average: Average, span: Span) -> AverageSteps:
    """When the average moves, in steps."""
    begin, every = (_in_steps(_of_average(average, name), span) for name in ("begin", "every"))
    if begin and begin >= span.steps:
        message = f"`begin` is after {steps_of(begin)}, but the run has {steps_of(span.steps)}"
        raise ControlProblem("SB0707", message, "average", "begin", help="make it smaller")
    if begin + every > span.steps:
        message = f"`every` is {steps_of(every)}, but the run has {steps_of(span.steps - begin)}{' after `begin`' if begin else ''}"
        raise ControlProblem("SB0707", message, "average", "every", help="the average would never move; make it smaller")
    return AverageSteps(begin=begin, every=every)


def evaluated_part(parts: Mapping[str, int]) -> str | None:
    """The part that is evaluated at every interval."""
    return next((part for part in ("validation", "test") if part in parts), None)


def monitor_of(written: str | MonitorSettings | None, metrics: Mapping[str, Metric], part: str | None) -> Monitor | None:
    """What is monitored when `part` is evaluated at every interval: as written, else its first metric, else its loss; None where there is nothing."""
    produced: dict[str, Literal["min", "max"]] = {}
    if part is not None:
        produced |= {f"{part}.{name}": metric.direction for name, metric in metrics.items()}
        produced[f"{part}.loss"] = "min"
    produced["train.loss"] = "min"
    if written is None:
        name = next(iter(produced))
        return Monitor(name=name, mode=produced[name]) if part is not None else None
    name, mode = (written, None) if isinstance(written, str) else (written.metric, written.mode)
    if name not in produced:
        path = ("monitor",) if isinstance(written, str) else ("monitor", "metric")
        listed = f"what it gives at every evaluation is {', '.join(f'`{each}`' for each in produced)}"
        if part == "validation" and name.startswith("test."):
            raise ControlProblem("SB0715", f"`{name}` is measured once, at the end of the run, so it cannot be monitored", *path, help=listed)
        if f"{part}.{name}" in produced:
            listed = f"write `{part}.{name}`"
        of = name.partition(".")[0]
        if of in ("validation", "test") and of != part:
            raise ControlProblem("SB0715", f"there is no part `{of}` to give `{name}`", *path, help=f"cut it off: `data: {{split: {{{of}: 0.1}}}}`")
        raise ControlProblem("SB0715", f"the run gives no metric `{name}`", *path, help=did_you_mean(name, produced) or listed)
    return Monitor(name=name, mode=mode or produced[name])


def monitor_remarks(
    written: str | MonitorSettings | None, monitor: Monitor, metrics: Mapping[str, Metric], *, is_used: bool
) -> Iterator[ControlProblem]:
    """What the user should know of a monitor that is right. `is_used`: whether anything is decided by it."""
    if isinstance(written, MonitorSettings) and written.mode is not None:
        metric = metrics.get(monitor.name.partition(".")[2])
        natural = metric.direction if metric is not None else "min"
        if written.mode != natural:
            message = (
                f"`mode: {written.mode}` takes the worst for the best: a {'larger' if natural == 'max' else 'smaller'} `{monitor.name}` is better"
            )
            yield ControlProblem("SB0719", message, "monitor", "mode", help="delete `mode`")
    if is_used and monitor.name.startswith("test."):
        message = f"the weights are chosen by `{monitor.name}`, so the figures of the test part will look better than the network is"
        yield ControlProblem("SB0718", message, help="cut off a part to choose by: `data: {split: {validation: 0.1}}`")


def early_stopping_of(written: EarlyStoppingSettings | None, span: Span) -> EarlyStopping | None:
    """How long is waited for something better."""
    if written is None:
        return None
    if isinstance(written.patience, int):
        return EarlyStopping(patience=written.patience, unit="evaluations", min_delta=written.min_delta)
    path = ("early_stopping", "patience")
    duration = _duration("patience", written.patience, *path)
    return EarlyStopping(patience=_in_steps(duration, span), unit="steps", min_delta=written.min_delta)


def checkpoint_of(train: TrainSettings, span: Span, monitor: Monitor | None) -> CheckpointPlan:
    """When the state is kept, and whether the best is."""
    written = train.checkpoint or CheckpointSettings()
    best = written.best if written.best is not None else train.early_stopping is not None
    if written.best and monitor is None:
        message = "nothing is evaluated, so that no weights are known to be the best"
        raise ControlProblem("SB0717", message, "checkpoint", "best", help=_CUT_OFF)
    every = _every(written)
    return CheckpointPlan(
        every_steps=_in_steps(every, span) if every is not None and every.seconds is None else None,
        every_seconds=every.seconds if every is not None else None,
        keep=written.keep,
        keep_every=_keep_every(written, span),
        best=best,
    )


_CUT_OFF = "cut off a part to evaluate: `data: {split: {validation: 0.1}}`"


def check_early_stopping(early_stopping: EarlyStopping | None, monitor: Monitor | None) -> None:
    """Refuses to wait for something better where nothing is compared."""
    if early_stopping is not None and monitor is None:
        message = "nothing is evaluated, so that `early_stopping` has nothing to go by"
        raise ControlProblem("SB0716", message, "early_stopping", help=_CUT_OFF)


# Durations -----------------------------------------------------------------------------------------------------------


def _of_average(average: Average, name: str) -> Duration | None:
    written = getattr(average, name)
    return _duration(name, written, "average", name) if name == "every" else _maybe_zero(name, written, "average", name)


def _every(written: CheckpointSettings) -> Duration | None:
    every, path = written.every, ("checkpoint", "every")
    if every is None:
        return None
    if not isinstance(every, str) and every:
        message, help = f"`every` is {every:g}, but of what?", f"write `{every:g} minutes`, `{every:g} epochs` or `{every:g} steps`"
        raise ControlProblem("SB0707", message, *path, help=help)
    duration = parse_duration(every, with_times=True) if isinstance(every, str) else Duration(0, "step")
    if duration is None:
        message = f"`every` wants a duration such as `10 minutes`, `5 epochs` or `200 steps`, but this is `{every}`"
        raise ControlProblem("SB0707", message, *path)
    return _positive("every", every, duration, *path)


def _keep_every(written: CheckpointSettings, span: Span) -> int | None:
    if written.keep_every is None:
        return None
    return _in_steps(_duration("keep_every", written.keep_every, "checkpoint", "keep_every"), span)


def _duration(name: str, written: str | float, *path: str) -> Duration:
    """A duration above 0."""
    return _positive(name, written, _maybe_zero(name, written, *path) or Duration(0, "step"), *path)


def _maybe_zero(name: str, written: str | float, *path: str) -> Duration | None:
    try:
        return written_duration(name, written)
    except DurationProblem as problem:
        raise ControlProblem("SB0707", problem.message, *path, help=problem.help) from None


def _positive(name: str, written: str | float, duration: Duration, *path: str) -> Duration:
    if duration.number == 0:
        shown = f"`{written}`" if isinstance(written, str) else f"{written:g}"
        if name == "patience":
            message, help = f"`patience` is {shown}, so that the run would end where it is not better once", "write `1 epoch` or more"
        else:
            message, help = f"`{name}` is {shown}, but nothing happens more often than at every step", "write `1 step` or more"
        raise ControlProblem("SB0707", message, *path, help=help)
    return duration


def _in_steps(duration: Duration | None, span: Span) -> int:
    return 0 if duration is None else in_steps(duration, span)
