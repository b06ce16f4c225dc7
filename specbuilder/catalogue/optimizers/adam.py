"""Adam and AdamW: steps of a running mean of the gradient, each divided by a running mean of its square.

D. Kingma and J. Ba, "Adam: a method for stochastic optimization" (2015); I. Loshchilov and F. Hutter, "Decoupled weight decay regularization" (2019).
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Lt

from specbuilder.catalogue.contract import Call, NonNegativeFloat, Optimizer, PositiveFloat, call, optimizer
from specbuilder.catalogue.declared import Field

Beta = Annotated[float, Ge(0), Lt(1)]


class AdamLike(Optimizer):
    """What Adam and AdamW share: everything but the default of the decay."""

    has_fused = True

    lr: PositiveFloat = 1e-3
    betas: tuple[Beta, Beta] = Field(
        default=(0.9, 0.999), description="how much of the running mean of the gradient, and of its square, is kept at each step"
    )
    eps: PositiveFloat = Field(default=1e-8, description="added to the divisor")
    amsgrad: bool = Field(default=False, description="divide by the largest running mean of the square so far (S. Reddi et al., 2018)")
    maximize: bool = False

    def source(self) -> Call:
        return call(self.torch_name, **self.changed("lr", "betas", "eps", "weight_decay", "amsgrad", "maximize"))


@optimizer("adam", primary="lr", torch="torch.optim.Adam", aliases=("adam_optimizer",))
class Adam(AdamLike):
    """Adam; `weight_decay` adds to the gradient, which is rarely wanted: see `adamw`."""

    weight_decay: NonNegativeFloat = 0.0


@optimizer("adamw", primary="lr", torch="torch.optim.AdamW", aliases=("adam_w", "fused_adam"))
class AdamW(AdamLike):
    """Adam with decay that shrinks the weights themselves, by lr * weight_decay at each step."""

    weight_decay: NonNegativeFloat = 0.01
