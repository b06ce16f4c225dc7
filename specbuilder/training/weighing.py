"""What the losses of batches weigh against one another, so that a part in many batches counts as it would in one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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
