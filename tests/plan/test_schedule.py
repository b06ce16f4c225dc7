"""Schedules on the steps of a run: factors against tables made by hand, and against torch's own schedulers."""

from __future__ import annotations

from math import cos, pi

import pytest
import torch

from specbuilder.catalogue.contract import Schedule
from specbuilder.catalogue.schedules.curves import Constant, Cosine, Exponential, Linear, OneCycle, Polynomial
from specbuilder.plan.durations import Span
from specbuilder.plan.schedule import DurationProblem, Steps, check_durations, factor, is_flat, schedule_steps

RUN = Span(steps=10, steps_per_epoch=5, batch_size=8)


def factors(kind: Schedule, span: Span = RUN) -> list[float]:
    steps = schedule_steps(kind, span)
    return [factor(kind, steps, step) for step in range(span.steps)]


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (Constant(), [1.0] * 10),
        (Constant(start=0.5), [0.5] * 10),
        (Linear(), [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
        (Linear(end=0.5), [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55]),
        # Warm-up is (k + 1) / 2, so that no step runs at rate 0; the 8 steps after it read the curve at k / 8.
        (Linear(warmup="2 steps"), [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        (Linear(warmup="20%"), [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        (Linear(warmup="2 steps", warmup_start=0.5), [0.75, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        (Linear(over="1 epoch"), [1.0, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0]),
        (Linear(begin="1 epoch"), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.8, 0.6, 0.4, 0.2]),
        (Linear(begin="1 epoch", over="2 steps"), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.5, 0.0, 0.0, 0.0]),
        (Constant(warmup="4 steps"), [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
        (Exponential(end=2**-10), [2.0**-k for k in range(10)]),
        (Polynomial(power=2), [(1 - k / 10) ** 2 for k in range(10)]),
        (Cosine(), [(1 + cos(pi * k / 10)) / 2 for k in range(10)]),
    ],
)
def test_factor_of_each_step(kind: Schedule, wanted: list[float]) -> None:
    assert factors(kind) == pytest.approx(wanted, abs=1e-15)


def rates_of_torch(make: object, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)  # type: ignore[operator]
    rates = []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def test_cosine_is_that_of_torch() -> None:
    wanted = rates_of_torch(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50), 50)
    assert factors(Cosine(), Span(steps=50, steps_per_epoch=5, batch_size=8)) == pytest.approx(wanted, abs=1e-12)


def test_linear_is_that_of_torch() -> None:
    wanted = rates_of_torch(lambda optimizer: torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=50), 50)
    assert factors(Linear(end=0.1), Span(steps=50, steps_per_epoch=5, batch_size=8)) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        (Linear(), Steps(begin=0, warmup=0, total=10)),
        (Linear(warmup="50%", over="4 steps"), Steps(begin=0, warmup=2, total=4)),  # a share of the schedule, not of the run
        (Linear(begin="2 steps"), Steps(begin=2, warmup=0, total=8)),
        (Linear(begin="2 steps", warmup="25%"), Steps(begin=2, warmup=2, total=8)),
        (OneCycle(), Steps(begin=0, warmup=3, total=10)),
        (Linear(warmup="8 samples"), Steps(begin=0, warmup=1, total=10)),
    ],
)
def test_spans_in_steps(kind: Schedule, steps: Steps) -> None:
    assert schedule_steps(kind, RUN) == steps


@pytest.mark.parametrize(
    ("kind", "field", "message", "help"),
    [
        (Linear(warmup="3 epochs"), "warmup", "`warmup` takes 15 steps, but the schedule has 10 steps", "make it shorter, or the run longer"),
        (Linear(warmup="100%"), "warmup", "`warmup` takes 10 steps, but the schedule has 10 steps", "make it shorter, or the run longer"),
        (Linear(warmup=5), "warmup", "`warmup` is 5, but of what?", "write `5 epochs` or `5 steps`"),
        (Linear(begin=0.1), "begin", "`begin` is 0.1, but of what?", "write `0.1 epochs` or `0.1 steps`; a share of the run is `10%`"),
        (Linear(over="soon"), "over", "`over` wants a duration such as `5 epochs`, `200 steps` or `10%`, but this is `soon`", None),
        (
            Linear(begin="2 epochs"),
            "begin",
            "`begin` is after 10 steps, but the run has 10 steps",
            "before it, nothing is learned; make it smaller",
        ),
    ],
)
def test_durations_that_do_not_fit(kind: Schedule, field: str, message: str, help: str | None) -> None:
    with pytest.raises(DurationProblem) as raised:
        schedule_steps(kind, RUN)
    assert (raised.value.field, raised.value.message, raised.value.help) == (field, message, help)


def test_texts_are_checked_before_the_length_is_known() -> None:
    check_durations(Linear(warmup="30 epochs"))
    with pytest.raises(DurationProblem, match="`over` wants a duration"):
        check_durations(Linear(over="soon"))


@pytest.mark.parametrize(
    ("kind", "flat"), [(Constant(), True), (Constant(warmup="2 steps"), False), (Constant(begin="2 steps"), False), (Linear(), False)]
)
def test_flat(kind: Schedule, flat: bool) -> None:
    assert is_flat(kind) is flat
