"""Loss and metrics over a part of the data: sums on the device, read once at the end.

The loss of a part is what it would be for the whole part in one batch: the mean of a batch weighs as much as it has targets that count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from specbuilder.catalogue.contract import Metric
from specbuilder.diagnostics import DataError
from specbuilder.training.feed import Batch, Stopped
from specbuilder.training.step import Context, Objective
from specbuilder.training.weighing import Weighing


@torch.no_grad()
def evaluate(
    model: nn.Module,
    objective: Objective,
    batches: Iterable[Batch],
    metrics: Mapping[str, Metric],
    *,
    context: Context | None,
    weighing: Weighing,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """`loss` (of a sum, the mean over samples) and each metric. The model is left in the mode it was in. Raises `Stopped` when asked to stop midway."""
    was_training = model.training
    model.eval()
    loss_sum: Tensor | float = 0.0
    count: int | Tensor = 0
    sums: dict[str, list[Any]] = {name: [0] * metric.terms for name, metric in metrics.items()}
    for batch in batches:
        if stop():
            model.train(was_training)
            raise Stopped
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
