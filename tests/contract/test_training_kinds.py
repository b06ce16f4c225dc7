"""Optimizers against torch.optim, schedules against torch.optim.lr_scheduler where the definitions agree, accuracy against hand counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from specbuilder.catalogue.contract import Metric, Optimizer, Refusal, Schedule
from specbuilder.catalogue.declared import fields_of
from specbuilder.catalogue.fields import check
from specbuilder.catalogue.lookup import all_kinds, find
from specbuilder.shapes import parse_type
from tests.contract.witness import evaluate


def constructed(optimizer: Optimizer) -> torch.optim.Optimizer:
    code = optimizer.source()
    cls: Callable[..., torch.optim.Optimizer] = getattr(torch.optim, code.function.removeprefix("torch.optim."))
    return cls([nn.Parameter(torch.zeros(2))], **{name: evaluate(value, ()) for name, value in code.kwargs})


OPTIMIZERS: list[type[Optimizer]] = [kind for kind in all_kinds("optimizer") if issubclass(kind, Optimizer)]


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.kind)
def test_optimizer_has_the_defaults_of_torch(kind: type[Optimizer]) -> None:
    theirs = getattr(torch.optim, kind.torch_name.removeprefix("torch.optim."))([nn.Parameter(torch.zeros(2))]).defaults
    assert kind().source().kwargs == ()
    assert {name: info.default for name, info in fields_of(kind).items()} == {name: theirs[name] for name in fields_of(kind)}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("sgd", {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}),
        ("sgd", {"lr": 0.1, "momentum": 0.5, "dampening": 0.5, "maximize": True}),
        ("adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1, "amsgrad": True}),
        ("adamw", {"lr": 0.01, "betas": (0.0, 0.5), "weight_decay": 0.0, "maximize": True}),
    ],
)
def test_optimizer_hands_its_fields_to_torch(name: str, fields: dict[str, Any]) -> None:
    kind = find("optimizer", name)
    assert kind is not None
    optimizer = kind(**fields)
    assert isinstance(optimizer, Optimizer)
    defaults = constructed(optimizer).defaults
    assert {field: defaults[field] for field in fields} == fields


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("sgd", {"nesterov": True}, "`nesterov` looks ahead along the momentum, but `momentum` is 0"),
        ("sgd", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "`nesterov` wants `dampening` 0, not 0.1"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(name: str, fields: dict[str, Any], message: str) -> None:
    kind = find("optimizer", name)
    assert kind is not None
    optimizer = kind(**fields)
    assert isinstance(optimizer, Optimizer)
    with pytest.raises(Refusal) as refusal:
        optimizer.source()
    assert refusal.value.message == message
    with pytest.raises(ValueError, match="Nesterov momentum requires"):
        torch.optim.SGD([nn.Parameter(torch.zeros(2))], **fields)


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=lambda kind: kind.kind)
@pytest.mark.parametrize("lr", [0, -0.1, float("inf"), float("nan"), True, "0.1"])
def test_rate_is_a_positive_finite_number(kind: type[Optimizer], lr: object) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        kind(lr=lr)  # type: ignore[arg-type]  # wrong on purpose


# Schedules -----------------------------------------------------------------------------------------------------------

STEPS = 40


def schedule(name: str, **fields: Any) -> Schedule:
    kind = find("schedule", name)
    assert kind is not None
    found = kind(**fields)
    assert isinstance(found, Schedule)
    return found


def factors(make: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler], steps: int = STEPS) -> list[float]:
    """The factor on a rate of 1 that torch uses at steps 0 to `steps`."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (schedule("constant"), lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0)),
        (schedule("linear"), lambda optimizer: lr_scheduler.LinearLR(optimizer, 1.0, 0.0, STEPS)),
        (schedule("linear", start=0.5, end=0.1), lambda optimizer: lr_scheduler.LinearLR(optimizer, 0.5, 0.1, STEPS)),
        (schedule("cosine"), lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, STEPS)),
        (schedule("cosine", end=0.1), lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=0.1)),
        (schedule("exponential", end=0.9**STEPS), lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.9)),
        (schedule("polynomial", power=2.0), lambda optimizer: lr_scheduler.PolynomialLR(optimizer, STEPS, 2.0)),
    ],
    ids=["constant", "linear", "linear between", "cosine", "cosine to 0.1", "exponential", "polynomial"],
)
def test_curve_is_that_of_torch(ours: Schedule, theirs: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]) -> None:
    assert [ours.curve(step / STEPS) for step in range(STEPS + 1)] == pytest.approx(factors(theirs), abs=1e-9)


def test_one_cycle_is_that_of_torch() -> None:
    ours, total = schedule("one_cycle"), 41
    theirs = factors(lambda optimizer: lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=total, cycle_momentum=False), steps=total - 2)
    up = 0.3 * total - 1  # torch's first phase ends there, between two steps
    expected = [ours.rise(step / up) if step <= up else ours.curve((step - up) / (total - 1 - up)) for step in range(total - 1)]
    assert theirs == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["linear", "cosine", "exponential", "polynomial", "one_cycle"])
def test_curve_goes_from_start_to_end(name: str) -> None:
    ours = schedule(name, start=0.8, end=0.2)
    assert (ours.curve(0), ours.curve(1)) == pytest.approx((0.8, 0.2))
    assert ours.rise(1) == pytest.approx(0.8)


def test_constant_takes_no_end() -> None:
    kind = find("schedule", "constant")
    assert kind is not None
    _, problems = check(kind, {"end": 0.5}, owner="constant")
    assert [problem.message for problem in problems] == ["`end`: `constant` stays at `start`; write `start`, or take `linear`"]


# Accuracy ------------------------------------------------------------------------------------------------------------


def accuracy() -> Metric:
    kind = find("metric", "accuracy")
    assert kind is not None
    found = kind()
    assert isinstance(found, Metric)
    return found


@pytest.mark.parametrize(
    ("logits", "classes", "correct", "count"),
    [
        ([[1.0, 2.0, 0.0], [3.0, 1.0, 2.0], [0.0, 0.0, 1.0], [5.0, 4.0, 6.0]], [1, 0, 2, 0], 3, 4),
        ([[0.1, 0.9]], [0], 0, 1),
        ([[[1.0, 0.0], [0.0, 1.0]]], [[0, 0]], 1, 2),  # B C L: two places of one sample
    ],
)
def test_accuracy_counts_by_hand(logits: list[Any], classes: list[Any], correct: int, count: int) -> None:
    metric = accuracy()
    input, target = torch.tensor(logits), torch.tensor(classes)
    metric.check(parse_type(f"float32{list(input.shape)}"), parse_type(f"int64{list(target.shape)}"))
    sums = metric.sums(input, target)
    assert isinstance(sums[0], Tensor)  # stays on the device: no host read per batch
    assert [float(each) for each in sums] == [correct, count]
    assert metric.value([float(each) for each in sums]) == correct / count


@pytest.mark.parametrize(
    ("input", "target", "message"),
    [
        ("float32[B]", "int64[B]", "`accuracy` wants logits [batch, classes, ...], but float32[B] arrives"),
        ("float32[B, 10]", "float32[B]", "`accuracy` wants class numbers int64[B], but float32[B] arrive"),
        ("float32[B, 10]", "int64[B, 1]", "`accuracy` wants class numbers int64[B], but int64[B, 1] arrive"),
        ("int64[B, 10]", "int64[B]", "`accuracy` wants floating-point numbers, but int64 arrives"),
        ("float32[B, 10, 7]", "int64[B, 8]", "`accuracy` wants equal shapes, found [B, 7] and [B, 8]"),
    ],
)
def test_accuracy_refuses(input: str, target: str, message: str) -> None:
    with pytest.raises(Refusal) as refusal:
        accuracy().check(parse_type(input), parse_type(target))
    assert refusal.value.message == message
