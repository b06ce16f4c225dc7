"""Losses over numbers: mse_loss, l1_loss, smooth_l1_loss, huber_loss. What the model says and what is true have one shape and one dtype.

Torch would stretch (B, 1) against (B) to (B, B) and train on nonsense, so shapes must be equal here.
"""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Input, Loss, NonNegativeFloat, PositiveFloat, call, loss
from specbuilder.catalogue.declared import Field, fields_of
from specbuilder.catalogue.losses.reduction import Reduction, alike, reduced
from specbuilder.shapes import TensorType


class Difference(Loss):
    """What these losses share: the elements of `input` minus those of `target`."""

    reduction: Reduction = "mean"

    stricter_than_torch = (demands.NOT_FLOATING, demands.UNBATCHED, demands.STRETCHED_TARGET, demands.MIXED_FLOATS)

    def infer(self, input: TensorType, target: TensorType) -> TensorType:
        return alike(self.kind, input, target)

    def source(self, input: TensorType, target: TensorType) -> Expression:
        settings = self.changed(*(name for name in fields_of(type(self)) if name != "reduction"))
        return reduced(call(self.torch_name, Input(0), Input(1), **settings), self.reduction, input)


@loss("mse_loss", torch="F.mse_loss", aliases=("mse", "mean_squared_error", "l2_loss", "euclidean_loss"))
class MseLoss(Difference):
    """The squared difference."""

    examples = (
        Example(text="mse_loss", given=("float32[B, 1]", "float32[B, 1]"), gives="float32[]"),
        Example(text="mse_loss", given=("float32[B, 1]", "float32[B]"), refused="wants equal shapes, found [B, 1] and [B]"),
    )


@loss("l1_loss", torch="F.l1_loss", aliases=("l1", "mae", "mean_absolute_error"))
class L1Loss(Difference):
    """The absolute difference."""

    examples = (Example(text="l1_loss: {reduction: sum}", given=("float32[B, 3]", "float32[B, 3]"), gives="float32[]"),)


@loss("smooth_l1_loss", torch="F.smooth_l1_loss", aliases=("smooth_l1",))
class SmoothL1Loss(Difference):
    """The absolute difference, squared below `beta` (R. Girshick, "Fast R-CNN", 2015)."""

    beta: NonNegativeFloat = Field(default=1.0, description="the difference at which square turns into straight")
    examples = (Example(text="smooth_l1_loss: {beta: 5.0}", given=("float32[B, 3]", "float32[B, 3]"), gives="float32[]"),)


@loss("huber_loss", torch="F.huber_loss", aliases=("huber",))
class HuberLoss(Difference):
    """`smooth_l1_loss` times `delta`: half the square below `delta`, straight with slope `delta` above (P. Huber, 1964)."""

    delta: PositiveFloat = Field(default=1.0, description="the difference at which square turns into straight")
    examples = (Example(text="huber_loss", given=("float32[B, 3]", "float32[B, 3]"), gives="float32[]"),)
