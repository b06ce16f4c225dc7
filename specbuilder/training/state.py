"""All that changes while a run goes on, as one value; what a checkpoint keeps of it, and how it is put back.

`State` lives on the device and is changed in place by the loop. `take` copies it to the CPU as a `Snapshot`: tensors in five groups, plain values in
seven. `put` writes a snapshot into a freshly built state; random generators come last, since building a model, a compiled graph or a loader draws from
them. Every group must be there, whole: a snapshot that lacks one is refused, never filled up with fresh values.

Not in it, being pure functions of the plan: the order of samples, their augmentation and the learning rate of each step.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from specbuilder.diagnostics import DataError
from specbuilder.training.average import Averaged


@dataclass(slots=True)
class Control:
    """What decides over the course of a run besides the number of steps."""

    best: float | None = None
    """The best value of the monitored figure so far."""
    best_step: int | None = None
    waited: int = 0
    """Evaluations since the last improvement that counts for early stopping."""
    stopped_early: bool = False


@dataclass(slots=True)
class State:
    """All that changes while a run goes on. Everything else is a pure function of the plan."""

    model: nn.Module
    optimizer: Optimizer
    averaged: Averaged | None = None
    step: int = 0
    """Optimizer steps done."""
    loss_sum: Tensor = field(default_factory=lambda: torch.zeros(()))
    """Of the samples since the last evaluation, on the device."""
    samples: int = 0
    counted: Tensor | None = None
    """How many of their targets count, on the device; None: all of them do, and `samples` says it."""
    is_due: bool = False
    """Whether the evaluation of this step is still to come."""
    control: Control = field(default_factory=Control)
    generators: Sequence[torch.Generator] = ()
    """Those of a caller's loader, which its order is drawn from."""
    epoch_began: Sequence[Tensor] = ()
    """What they were when the epoch began."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state at the end of a step, on the CPU. Nothing in it is shared with the run that goes on."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    """`model` (parameters and buffers), `optimizer` (`PARAMETER/QUANTITY`), `average`, `random`, `sums`; by name."""
    values: Mapping[str, Any]
    """`optimizer`, `schedule`, `scaler`, `average`, `random`, `position`, `control`: what is no tensor, as JSON has it."""

    def digest(self) -> str:
        """SHA-256 over every bit of it: equal for equal states."""
        total = hashlib.sha256(json.dumps(self.values, sort_keys=True).encode())
        for group, tensors in sorted(self.tensors.items()):
            for name, tensor in sorted(tensors.items()):
                total.update(f"{group}/{name}/{tensor.dtype}/{tuple(tensor.shape)}".encode())
                total.update(_bytes(tensor))
        return total.hexdigest()

    def is_finite(self) -> bool:
        """Whether weights, moments and averages are all numbers that training can go on from."""
        floating = [each for group in ("model", "optimizer", "average") for each in self.tensors[group].values() if each.is_floating_point()]
        return all(bool(torch.isfinite(each).all()) for each in floating)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def _kept(tensor: Tensor) -> Tensor:
    """A copy on the CPU that later steps leave alone."""
    return tensor.detach().to("cpu", copy=True).contiguous()


# Out -----------------------------------------------------------------------------------------------------------------


def take(state: State) -> Snapshot:
    """What a checkpoint keeps of the state. To be called between two steps."""
    moments, settings = _optimizer_out(state)
    averaged = state.averaged
    tensors: dict[str, Mapping[str, Tensor]] = {
        "model": {name: _kept(tensor) for name, tensor in state.model.state_dict().items()},
        "optimizer": moments,
        "average": {name: _kept(tensor) for name, tensor in averaged.model.state_dict().items()} if averaged is not None else {},
        "random": {**_generators(state), **_of_loader(state)},
        "sums": {"loss_sum": _kept(state.loss_sum)} | ({"counted": _kept(state.counted)} if state.counted is not None else {}),
    }
    control = state.control
    values = {
        "optimizer": settings,
        "schedule": {"lr": [float(group["lr"]) for group in state.optimizer.param_groups]},
        "scaler": None,
        "average": {"updates": averaged.updates} if averaged is not None else None,
        "random": {"python": _python_out(), "numpy": _numpy_out()},
        "position": {"step": state.step, "samples": state.samples, "is_due": state.is_due},
        "control": {name: getattr(control, name) for name in Control.__slots__},
    }
    return Snapshot(state.step, tensors, values)


def _optimizer_out(state: State) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Moments by the name of their parameter, and what of them is no tensor."""
    tensors: dict[str, Tensor] = {}
    settings: dict[str, Any] = {}
    for name, parameter in _trained(state):
        for quantity, value in state.optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{name}/{quantity}"] = _kept(value)
            else:
                settings[f"{name}/{quantity}"] = value
    return tensors, settings


def _trained(state: State) -> list[tuple[str, nn.Parameter]]:
    """The parameters of the optimizer with their names, in its order."""
    names = {parameter: name for name, parameter in state.model.named_parameters()}
    return [(names[parameter], parameter) for group in state.optimizer.param_groups for parameter in group["params"]]


def _generators(state: State) -> dict[str, Tensor]:
    """The state of torch's generators that the run draws from: that of the CPU and that of its device."""
    found = {"cpu": torch.get_rng_state()}
    device = state.loss_sum.device
    if device.type == "cuda":
        found["device"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        found["device"] = torch.mps.get_rng_state()
    return found


def _of_loader(state: State) -> dict[str, Tensor]:
    """The generators of a caller's loader: as they are, and as they were when the epoch began."""
    now = {f"loader.{number}": generator.get_state() for number, generator in enumerate(state.generators)}
    return now | {f"epoch.{number}": began.clone() for number, began in enumerate(state.epoch_began)}


def _python_out() -> list[Any]:
    version, words, gauss = random.getstate()
    return [version, list(words), gauss]


def _numpy_out() -> list[Any]:
    name, words, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002  # the global one, which own data sets draw from
    return [str(name), [int(word) for word in words], int(position), int(has_gauss), float(gauss)]


# In ------------------------------------------------------------------------------------------------------------------

_GROUPS = ("average", "model", "optimizer", "random", "sums")
_VALUES = ("average", "control", "optimizer", "position", "random", "scaler", "schedule")


def put(snapshot: Snapshot, state: State) -> None:
    """Makes a freshly built state what it was when the snapshot was taken. Raises `DataError` for a snapshot that lacks something or has too much: then
    nothing has been changed but what was compared before.
    """
    _check_names("groups of tensors", snapshot.tensors, _GROUPS)
    _check_names("groups of values", snapshot.values, _VALUES)
    _check(snapshot, state)
    state.model.load_state_dict({name: tensor.clone() for name, tensor in snapshot.tensors["model"].items()})
    _optimizer_in(snapshot, state)
    if state.averaged is not None:
        state.averaged.model.load_state_dict({name: tensor.clone() for name, tensor in snapshot.tensors["average"].items()})
        state.averaged.updates = snapshot.values["average"]["updates"]
    state.loss_sum.copy_(snapshot.tensors["sums"]["loss_sum"])
    if state.counted is not None:
        state.counted.copy_(snapshot.tensors["sums"]["counted"])
    position = snapshot.values["position"]
    state.step, state.samples, state.is_due = position["step"], position["samples"], position["is_due"]
    state.control = Control(**snapshot.values["control"])
    randoms = snapshot.tensors["random"]
    for number, generator in enumerate(state.generators):
        generator.set_state(randoms[f"loader.{number}"])
    state.epoch_began = [randoms[f"epoch.{number}"] for number in range(len(state.generators)) if f"epoch.{number}" in randoms]
    # Last of all, since whatever is built draws from them.
    torch.set_rng_state(randoms["cpu"])
    device = state.loss_sum.device
    if device.type == "cuda":
        torch.cuda.set_rng_state(randoms["device"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(randoms["device"])
    version, words, gauss = snapshot.values["random"]["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = snapshot.values["random"]["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002


def _check(snapshot: Snapshot, state: State) -> None:
    """Names and shapes of what is there against what the run has."""
    model = state.model.state_dict()
    _check_tensors("the weights", snapshot.tensors["model"], model)
    _check_tensors("the averaged weights", snapshot.tensors["average"], model if state.averaged is not None else {})
    sums = {"loss_sum": state.loss_sum} | ({"counted": state.counted} if state.counted is not None else {})
    _check_tensors("the sums", snapshot.tensors["sums"], sums)
    randoms = {name: None for name in snapshot.tensors["random"] if not name.startswith("epoch.")}
    _check_names("generators", randoms, (*_generators(state), *(f"loader.{number}" for number in range(len(state.generators)))))
    trained = [name for name, _ in _trained(state)]
    named = {*snapshot.tensors["optimizer"], *snapshot.values["optimizer"]}
    quantities = {key.rpartition("/")[2] for key in named}
    if snapshot.step and not quantities and _has_moments(state.optimizer):
        raise DataError.of("SB0951", "the checkpoint has no state of the optimizer")
    _check_names("moments", dict.fromkeys(named), tuple(f"{name}/{quantity}" for name in trained for quantity in quantities))
    for key, tensor in snapshot.tensors["optimizer"].items():
        parameter = state.model.get_parameter(key.rpartition("/")[0])
        if tensor.ndim and tensor.shape != parameter.shape:
            raise DataError.of("SB0951", f"the moment `{key}` of the checkpoint has the shape {list(tensor.shape)}, not {list(parameter.shape)}")
    if (snapshot.values["average"] is None) != (state.averaged is None):
        raise DataError.of("SB0951", "the checkpoint lacks the average of the weights, or has one that the plan does not")
    _check_names("values of the position", snapshot.values["position"], ("is_due", "samples", "step"))
    _check_names("values of the control", snapshot.values["control"], tuple(Control.__slots__))
    _check_names("generators of Python", snapshot.values["random"], ("numpy", "python"))
    if len(snapshot.values["schedule"]["lr"]) != len(state.optimizer.param_groups):
        raise DataError.of("SB0951", "the checkpoint has learning rates of another number of groups")
    if snapshot.values["position"]["step"] != snapshot.step:
        raise DataError.of("SB0951", f"the checkpoint of step {snapshot.step} says that it is of step {snapshot.values['position']['step']}")


def _has_moments(optimizer: Optimizer) -> bool:
    """Whether it remembers anything from step to step; plain gradient descent does not."""
    return not (isinstance(optimizer, torch.optim.SGD) and not any(group["momentum"] for group in optimizer.param_groups))


def _check_names(what: str, found: Mapping[str, Any], wanted: tuple[str, ...]) -> None:
    missing, more = sorted({*wanted} - {*found}), sorted({*found} - {*wanted})
    if missing or more:
        said = f"lacks `{missing[0]}`" if missing else f"has `{more[0]}`, which the run does not"
        raise DataError.of("SB0951", f"the checkpoint {said}: its {what} are not those of the run")


def _check_tensors(what: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    _check_names(f"tensors of {what}", found, tuple(wanted))
    for name, tensor in found.items():
        if tensor.shape != wanted[name].shape or tensor.dtype != wanted[name].dtype:
            has = f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
            want = f"{str(wanted[name].dtype).removeprefix('torch.')}{list(wanted[name].shape)}"
            raise DataError.of("SB0951", f"`{name}` of {what} in the checkpoint is {has}, but the run has {want}")


def _optimizer_in(snapshot: Snapshot, state: State) -> None:
    """Through `load_state_dict`, which knows on what device each optimizer wants its step count. It is given copies: torch would keep what it gets."""
    trained = _trained(state)
    places = {name: place for place, (name, _) in enumerate(trained)}
    moments: dict[int, dict[str, Any]] = {}
    for key, value in {**snapshot.tensors["optimizer"], **snapshot.values["optimizer"]}.items():
        name, _, quantity = key.rpartition("/")
        moments.setdefault(places[name], {})[quantity] = value.clone() if isinstance(value, Tensor) else value
    now = state.optimizer.state_dict()
    rates = [group["lr"] for group in state.optimizer.param_groups]
    state.optimizer.load_state_dict({"state": moments, "param_groups": now["param_groups"]})
    for group, held, rate in zip(state.optimizer.param_groups, rates, snapshot.values["schedule"]["lr"], strict=True):
        # A rate that is a tensor stays that tensor: a compiled step holds on to it.
        group["lr"] = held.fill_(rate) if isinstance(held, Tensor) else rate
