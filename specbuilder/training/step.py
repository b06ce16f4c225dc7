"""One optimizer step: chosen once when a run starts, and then straight, without a branch on any option.

`make_step` looks at the plan and the decisions and returns one function of a batch. The loss is added to a sum on the device; nothing is read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from specbuilder.catalogue.contract import Call
from specbuilder.training.feed import Batch

Objective = Callable[..., tuple[Tensor, Tensor]]
Step = Callable[[Batch, int], None]
"""Takes a batch and how much its loss weighs."""
Add = Callable[[Tensor, Batch, int], None]
"""Adds the loss of a batch, weighed, to what is summed up on the device."""
Context = Callable[[], AbstractContextManager[Any]]


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


def make_step(
    model: nn.Module, objective: Objective, optimizer: Optimizer, loss_sum: Tensor, *, context: Context | None, add: Add | None = None
) -> Step:
    """The step. Adds the loss of each batch, times its weight, to `loss_sum`, unless `add` does it in another way."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    update = optimizer.step

    def weighed(loss: Tensor, _: Batch, weight: int) -> None:
        loss_sum.add_(loss, alpha=weight)

    add = add or weighed

    def plain(batch: Batch, weight: int) -> None:
        loss, _ = objective(model, *batch)
        loss.backward()
        update()
        for parameter in parameters:
            parameter.grad = None
        add(loss.detach(), batch, weight)

    if context is None:
        return plain

    def in_context(batch: Batch, weight: int) -> None:
        with context():
            loss, _ = objective(model, *batch)
        loss.backward()
        update()
        for parameter in parameters:
            parameter.grad = None
        add(loss.detach(), batch, weight)

    return in_context
