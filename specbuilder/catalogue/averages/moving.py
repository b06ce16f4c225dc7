"""Running means of the weights: ema. Evaluated and kept in place of the weights that are trained, they follow those more smoothly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from annotated_types import Gt, Lt

from specbuilder.catalogue.contract import Average, average
from specbuilder.catalogue.declared import Field

if TYPE_CHECKING:
    import torch


@average("ema", primary="decay", aliases=("exponential_moving_average", "moving_average", "model_ema", "polyak", "polyak_averaging"))
class Ema(Average):
    """The mean of the weights so far, where later ones weigh more (B. Polyak and A. Juditsky, 1992): decay * mean + (1 - decay) * weight."""

    decay: Annotated[float, Gt(0), Lt(1)] = Field(default=0.999, description="how much of the mean is kept each time")

    def update(self, average: list[torch.Tensor], weights: list[torch.Tensor], updates: int) -> None:
        import torch

        # One call for all tensors, as `torch.optim.swa_utils.get_ema_multi_avg_fn` makes it.
        torch._foreach_lerp_(average, weights, 1 - self.decay)  # pyright: ignore[reportPrivateImportUsage]
