"""Stochastic gradient descent, with momentum and Nesterov's variant of it (I. Sutskever et al., 2013)."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Lt

from specbuilder.catalogue.contract import Call, NonNegativeFloat, Optimizer, PositiveFloat, Probability, Refusal, call, optimizer
from specbuilder.catalogue.declared import Field


@optimizer("sgd", primary="lr", torch="torch.optim.SGD", aliases=("stochastic_gradient_descent", "momentum", "nesterov"))
class Sgd(Optimizer):
    """A step against the gradient, or against its running sum."""

    has_fused = True

    lr: PositiveFloat = 1e-3
    momentum: Annotated[float, Ge(0), Lt(1)] = Field(default=0.0, description="how much of the running sum is kept at each step")
    dampening: Probability = Field(default=0.0, description="how much of the new gradient is left out of the running sum")
    weight_decay: NonNegativeFloat = Field(default=0.0, description="times the weight, added to the gradient")
    nesterov: bool = Field(default=False, description="look ahead along the running sum")
    maximize: bool = False

    def source(self) -> Call:
        """The constructor. Raises `Refusal` for fields that contradict each other."""
        if self.nesterov and not self.momentum:
            raise Refusal(
                "`nesterov` looks ahead along the momentum, but `momentum` is 0", field="nesterov", help="add `momentum: 0.9`", code="SB0204"
            )
        if self.nesterov and self.dampening:
            raise Refusal(f"`nesterov` wants `dampening` 0, not {self.dampening}", field="dampening", help="delete `dampening`", code="SB0204")
        return call("torch.optim.SGD", **self.changed("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"))
