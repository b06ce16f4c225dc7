"""Dropout: random zeros in training, nothing in evaluation. Shapes stay. Layers, since they know which mode they are in.

N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014).
"""

from __future__ import annotations

from typing import ClassVar

from specbuilder.catalogue import demands, windows
from specbuilder.catalogue.contract import Example, Layer, Module, Probability, call, layer
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import TensorType


class AnyDropout(Layer):
    """What the kinds of dropout share."""

    p: Probability = Field(default=0.5, description="the chance of a zero; what is kept is scaled by 1 / (1 - p)")

    stricter_than_torch = (demands.NOT_FLOATING,)

    def infer(self, x: TensorType) -> TensorType:
        demands.floating(self.kind, x)
        return x

    def source(self, x: TensorType) -> Module:
        return Module(call(self.torch_name, self.p))


class ChannelDropout(AnyDropout):
    """Zeros whole channels, since neighbours within one tell the same (J. Tompson et al., 2015)."""

    axes: ClassVar[int]

    stricter_than_torch = (demands.NOT_FLOATING, demands.UNBATCHED)

    def infer(self, x: TensorType) -> TensorType:
        demands.rank(self.kind, x, (self.axes + 2,), windows.arrangement(self.axes))
        return super().infer(x)


@layer("dropout", primary="p", torch="nn.Dropout", aliases=("drop",))
class Dropout(AnyDropout):
    """Zeros single elements of any shape."""

    examples = (Example(text="dropout: 0.1", given="float32[B, 4]", gives="float32[B, 4]"),)


@layer("dropout1d", primary="p", torch="nn.Dropout1d", aliases=("spatial_dropout1d",))
class Dropout1d(ChannelDropout):
    """Zeros whole channels: (B, C, L) -> (B, C, L)."""

    axes = 1
    examples = (Example(text="dropout1d: 0.1", given="float32[B, 4, 9]", gives="float32[B, 4, 9]"),)


@layer("dropout2d", primary="p", torch="nn.Dropout2d", aliases=("spatial_dropout2d",))
class Dropout2d(ChannelDropout):
    """Zeros whole channels: (B, C, H, W) -> (B, C, H, W)."""

    axes = 2
    examples = (Example(text="dropout2d: 0.1", given="float32[B, 4, 9, 9]", gives="float32[B, 4, 9, 9]"),)


@layer("dropout3d", primary="p", torch="nn.Dropout3d", aliases=("spatial_dropout3d",))
class Dropout3d(ChannelDropout):
    """Zeros whole channels: (B, C, D, H, W) -> (B, C, D, H, W)."""

    axes = 3
    examples = (Example(text="dropout3d: 0.1", given="float32[B, 4, 2, 9, 9]", gives="float32[B, 4, 2, 9, 9]"),)
