"""Loss and metrics over a part of the data: sums on the device, read once at the end.

The loss of a part is what it would be for the whole part in one batch: the mean of a batch weighs as much as it has targets that count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from specbuilder.catalogue.contract import Metric
from specbuilder.diagnostics import DataError
from specbuilder.training.feed import Batch
from specbuilder.training.step import Context, Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """What the losses of batches weigh against one another."""

    reduction: str = "mean"
    ignored: int | None = None
    """The value of targets that do not count, where there may be any: without one, nothing is counted on the device."""

    def count(self, target: Tensor) -> int | Tensor:
        """What the loss of this batch was divided by, or is to be divided by: its samples, or where some are ignored its targets that count."""
        return len(target) if self.ignored is None or self.reduction != "mean" else (target != self.ignored).sum()

    def total(self, loss: Tensor, count: int | Tensor) -> Tensor:
        """The sum that a batch adds. Where nothing counts, a mean is 0/0, and the sum is 0."""
        if self.reduction == "sum":
            return loss
        return loss * count if isinstance(count, int) else torch.where(count > 0, loss * count, 0)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    objective: Objective,
    batches: Iterable[Batch],
    metrics: Mapping[str, Metric],
    *,
    context: Context | None,
    weighing: Weighing,
) -> dict[str, float]:
    """`loss` (of a sum, the mean over samples) and each metric. The model is left in the mode it was in."""
    was_training = model.training
    model.eval()
    loss_sum: Tensor | float = 0.0
    count: int | Tensor = 0
    sums: dict[str, list[Any]] = {name: [0] * metric.terms for name, metric in metrics.items()}
    for batch in batches:
        target = batch[-1]
        with context() if context is not None else nullcontext():
            loss, output = objective(model, *batch)
        counted = weighing.count(target)
        loss_sum = loss_sum + weighing.total(loss.double(), counted)
        count = count + counted
        mask = target != weighing.ignored if weighing.ignored is not None else None
        for name, metric in metrics.items():
            sums[name] = [total + term for total, term in zip(sums[name], metric.sums(output.float(), target, mask), strict=True)]
    model.train(was_training)
    if not int(count):
        raise DataError.of("SB0805", f"every target that the run is judged on is {weighing.ignored}, which the loss ignores")
    found = {"loss": float(loss_sum) / int(count)}
    return found | {name: metric.value([float(term) for term in sums[name]]) for name, metric in metrics.items()}
