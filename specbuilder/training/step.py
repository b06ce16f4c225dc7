"""One optimizer step: chosen once when a run starts, and then straight, without a branch on any option.

`make_step` looks at the plan and the decisions and returns one function of a batch. The loss is added to a sum on the device; nothing is read back from
one. A loss that is no number any more stops the run before the optimizer has moved a weight: on the CPU the sum lies in memory that Python can see, so
the step looks; elsewhere a gate on the device closes, behind which a fused optimizer does nothing, and the loop finds it closed when it reads the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from specbuilder.catalogue.contract import Call
from specbuilder.training.feed import Batch
from specbuilder.training.weighing import Weighing

Objective = Callable[..., tuple[Tensor, Tensor]]
Step = Callable[[Batch, int], None]
"""Takes a batch and how much its loss weighs."""
Add = Callable[[Tensor, Batch, int], None]
"""Adds the loss of a batch, weighed, to what is summed up on the device."""
Context = Callable[[], AbstractContextManager[Any]]


class NotFinite(Exception):
    """The loss of this step is no number; the optimizer has not moved."""


def make_optimizer(call: Call, parameters: Iterable[nn.Parameter], form: str, *, lr_as_tensor: torch.device | None) -> Optimizer:
    """The optimizer of a plan, of all `parameters` but the frozen ones. Under compile the rate is a tensor, so that a new rate is no new program."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    cls = getattr(torch.optim, call.function.rsplit(".", 1)[-1])
    settings: dict[str, Any] = dict(call.kwargs)
    if lr_as_tensor is not None and "lr" in settings:
        settings["lr"] = torch.tensor(settings["lr"], device=lr_as_tensor)
    if form == "fused":
        settings["fused"] = True
    return cls(trained, **settings)


def autocast(precision: str, device: torch.device) -> Context | None:
    """What surrounds forward and loss: bf16 autocast, or nothing at all."""
    return partial(torch.autocast, device.type, dtype=torch.bfloat16) if precision == "bf16" else None


class Gate:
    """Closes on the device with the first loss that is no number. A fused optimizer behind a closed gate leaves weights, moments and counts alone."""

    def __init__(self, loss_sum: Tensor, optimizer: Optimizer) -> None:
        self.closed = torch.zeros((), device=loss_sum.device)
        self.passed = torch.zeros((), device=loss_sum.device)
        """Steps that went through since it was made."""
        self._loss_sum = loss_sum
        # The door by which `GradScaler` has fused optimizers skip a step; the sum stays no number, so it stays closed.
        optimizer.found_inf = self.closed  # type: ignore[attr-defined]

    def __call__(self) -> None:
        self.closed.copy_(torch.isfinite(self._loss_sum).logical_not_())
        self.passed.add_(1 - self.closed)


def _seen(loss_sum: Tensor) -> Callable[[], None]:
    """Raises `NotFinite` when the sum on the CPU is no number any more. Looking at it costs a tenth of a microsecond: no operation of torch is involved."""
    item = loss_sum.numpy().item

    def check() -> None:
        if not isfinite(item()):
            raise NotFinite

    return check


def _unseen() -> None:
    """Where an optimizer has no fused form on a device, the loop finds out when it reads the sum, and the steps since have moved the weights."""


def make_step(
    model: nn.Module,
    objective: Objective,
    optimizer: Optimizer,
    loss_sum: Tensor,
    *,
    context: Context | None,
    add: Add | None = None,
    gate: Gate | None = None,
    micro_batch_size: int | None = None,
    weighing: Weighing | None = None,
) -> Step:
    """The step. Adds the loss of each batch, times its weight, to `loss_sum`, unless `add` does it in another way.

    With a `micro_batch_size`, gradients are added up over pieces of the batch: each loss weighs as its share of the targets that count in the whole batch
    (`weighing`), so that the gradient is that of the batch at once, within rounding.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    update = optimizer.step
    forward = objective if context is None else _within(context, objective)
    check: Callable[[], None] = gate or (_seen(loss_sum) if loss_sum.device.type == "cpu" else _unseen)

    def weighed(loss: Tensor, _: Batch, weight: int) -> None:
        loss_sum.add_(loss, alpha=weight)

    add = add or weighed

    def whole(batch: Batch, weight: int) -> None:
        loss, _ = forward(model, *batch)
        add(loss.detach(), batch, weight)
        check()
        loss.backward()
        update()
        for parameter in parameters:
            parameter.grad = None

    if micro_batch_size is None:
        return whole
    assert weighing is not None
    is_sum = weighing.reduction == "sum"

    def in_pieces(batch: Batch, _: int) -> None:
        counted = weighing.count(batch[-1])
        # Where no target counts at all, there is nothing to learn: 0, not 0/0.
        whole_count: int | Tensor = counted.clamp(min=1) if isinstance(counted, Tensor) else counted
        for piece in zip(*(tensor.split(micro_batch_size) for tensor in batch), strict=True):
            loss, _output = forward(model, *piece)
            add(loss.detach(), piece, 1 if is_sum else len(piece[-1]))
            share = weighing.total(loss, weighing.count(piece[-1]))
            (share if is_sum else share / whole_count).backward()
        check()
        update()
        for parameter in parameters:
            parameter.grad = None

    return in_pieces


def _within(context: Context, objective: Objective) -> Objective:
    def forward(*arguments: Any) -> tuple[Tensor, Tensor]:
        with context():
            return objective(*arguments)

    return forward
