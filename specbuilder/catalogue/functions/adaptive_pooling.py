"""Adaptive pooling: the size that leaves is named, and each place covers its share of what arrives. [batch, channels, ...] in and out.

Place i of n covers floor(i S / n) to ceil((i + 1) S / n) of an axis of size S, as in torch; n may be larger than S. `null` in a list keeps an axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from specbuilder.catalogue import demands, windows
from specbuilder.catalogue.contract import Example, Expression, Function, Input, PositiveInt, call, function
from specbuilder.shapes import TensorType


class AdaptivePooling(Function):
    """What the adaptive kinds share."""

    axes: ClassVar[int]

    if TYPE_CHECKING:  # each class declares it with its own number of axes
        output_size: Any

    stricter_than_torch = (demands.UNBATCHED, demands.EMPTY)

    def infer(self, x: TensorType) -> TensorType:
        demands.floating(self.kind, x)
        demands.rank(self.kind, x, (self.axes + 2,), windows.arrangement(self.axes))
        wanted = windows.each_axis(self.output_size, self.axes)
        places = (size if place is None else place for place, size in zip(wanted, x.shape[2:], strict=True))
        return x.with_shape((*x.shape[:2], *places))

    def source(self, x: TensorType) -> Expression:
        return call(self.torch_name, Input(), windows.short(self.output_size))


@function("adaptive_avg_pool1d", primary="output_size", torch="F.adaptive_avg_pool1d", aliases=("global_average_pooling1d",))
class AdaptiveAvgPool1d(AdaptivePooling):
    """Means: (B, C, L) -> (B, C, output_size)."""

    axes = 1
    output_size: PositiveInt | tuple[PositiveInt]
    stricter_than_torch = (demands.NOT_FLOATING, *AdaptivePooling.stricter_than_torch)
    examples = (Example(text="adaptive_avg_pool1d: 1", given="float32[B, 4, T]", gives="float32[B, 4, 1]"),)


@function("adaptive_avg_pool2d", primary="output_size", torch="F.adaptive_avg_pool2d", aliases=("global_average_pooling2d", "global_avg_pool", "gap"))
class AdaptiveAvgPool2d(AdaptivePooling):
    """Means: (B, C, H, W) -> (B, C, *output_size)."""

    axes = 2
    output_size: PositiveInt | tuple[PositiveInt | None, PositiveInt | None]
    stricter_than_torch = (demands.NOT_FLOATING, *AdaptivePooling.stricter_than_torch)
    examples = (
        Example(text="adaptive_avg_pool2d: 1", given="float32[B, 4, H, W]", gives="float32[B, 4, 1, 1]"),
        Example(text="adaptive_avg_pool2d: [1, null]", given="float32[B, 4, H, W]", gives="float32[B, 4, 1, W]"),
    )


@function("adaptive_avg_pool3d", primary="output_size", torch="F.adaptive_avg_pool3d", aliases=("global_average_pooling3d",))
class AdaptiveAvgPool3d(AdaptivePooling):
    """Means: (B, C, D, H, W) -> (B, C, *output_size)."""

    axes = 3
    output_size: PositiveInt | tuple[PositiveInt | None, PositiveInt | None, PositiveInt | None]
    stricter_than_torch = (demands.NOT_FLOATING, *AdaptivePooling.stricter_than_torch)
    examples = (Example(text="adaptive_avg_pool3d: [1, 2, 2]", given="float32[B, 4, 3, 8, 8]", gives="float32[B, 4, 1, 2, 2]"),)


@function("adaptive_max_pool1d", primary="output_size", torch="F.adaptive_max_pool1d", aliases=("global_max_pooling1d",))
class AdaptiveMaxPool1d(AdaptivePooling):
    """Maxima: (B, C, L) -> (B, C, output_size)."""

    axes = 1
    output_size: PositiveInt | tuple[PositiveInt]
    examples = (Example(text="adaptive_max_pool1d: 1", given="float32[B, 4, T]", gives="float32[B, 4, 1]"),)


@function("adaptive_max_pool2d", primary="output_size", torch="F.adaptive_max_pool2d", aliases=("global_max_pooling2d", "global_max_pool"))
class AdaptiveMaxPool2d(AdaptivePooling):
    """Maxima: (B, C, H, W) -> (B, C, *output_size)."""

    axes = 2
    output_size: PositiveInt | tuple[PositiveInt | None, PositiveInt | None]
    examples = (
        Example(text="adaptive_max_pool2d: 1", given="float32[B, 4, H, W]", gives="float32[B, 4, 1, 1]"),
        Example(text="adaptive_max_pool2d: 1", given="float32[B, 4]", refused="wants [batch, channels, height, width], but float32[B, 4] has 2 axes"),
    )


@function("adaptive_max_pool3d", primary="output_size", torch="F.adaptive_max_pool3d", aliases=("global_max_pooling3d",))
class AdaptiveMaxPool3d(AdaptivePooling):
    """Maxima: (B, C, D, H, W) -> (B, C, *output_size)."""

    axes = 3
    output_size: PositiveInt | tuple[PositiveInt | None, PositiveInt | None, PositiveInt | None]
    examples = (Example(text="adaptive_max_pool3d: 1", given="float32[B, 4, 3, 8, 8]", gives="float32[B, 4, 1, 1, 1]"),)
