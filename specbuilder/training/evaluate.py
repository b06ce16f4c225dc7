"""Loss and metrics over a part of the data: sums on the device, read once at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from specbuilder.catalogue.contract import Metric
from specbuilder.training.feed import Batch
from specbuilder.training.step import Context, Objective


@torch.no_grad()
def evaluate(
    model: nn.Module,
    objective: Objective,
    batches: Iterable[Batch],
    metrics: Mapping[str, Metric],
    *,
    context: Context | None,
    is_sum: bool = False,
) -> dict[str, float]:
    """`loss` (mean over samples) and each metric. The model is left in the mode it was in; `is_sum`: the loss is already a sum over the batch."""
    was_training = model.training
    model.eval()
    loss_sum: Tensor | float = 0.0
    count = 0
    sums: dict[str, list[Any]] = {name: [0] * metric.terms for name, metric in metrics.items()}
    for batch in batches:
        target = batch[-1]
        with context() if context is not None else nullcontext():
            loss, output = objective(model, *batch)
        loss_sum = loss_sum + loss.double() * (1 if is_sum else len(target))
        count += len(target)
        for name, metric in metrics.items():
            sums[name] = [total + term for total, term in zip(sums[name], metric.sums(output.float(), target), strict=True)]
    model.train(was_training)
    found = {"loss": float(loss_sum) / max(count, 1)}
    return found | {name: metric.value([float(term) for term in sums[name]]) for name, metric in metrics.items()}
