"""Changing the size of images and the like: upsample. [batch, channels, ...] in and out."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Literal

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Input, PositiveFloat, PositiveInt, Refusal, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.windows import AXES, each_axis, short
from specbuilder.shapes import Dim, TensorType

RANKS = {"nearest": (3, 4, 5), "linear": (3,), "bilinear": (4,), "bicubic": (4,), "trilinear": (5,)}
"""How many axes what arrives has, for each way to fill in."""
ROUGHEST = 64
"""The largest denominator of a scale for which a size that has no number is scaled: below it, torch's own rounding is exact."""


@function("upsample", primary="scale_factor", torch="nn.Upsample", aliases=("interpolate", "resize", "up_sampling2d", "upsampling"))
class Upsample(Function):
    """More places, filled in by `mode`: (B, C, H, W) -> (B, C, H', W'), also of one and of three axes. A scale below 1 gives fewer."""

    size: PositiveInt | tuple[PositiveInt, ...] | None = Field(default=None, description="the size that leaves; this or `scale_factor`")
    scale_factor: PositiveInt | PositiveFloat | tuple[PositiveInt | PositiveFloat, ...] | None = Field(
        default=None, description="how many times larger"
    )
    mode: Literal["nearest", "linear", "bilinear", "bicubic", "trilinear"] = "nearest"
    align_corners: bool | None = Field(default=None, description="whether the outermost places stay where they are; not for `nearest`")

    stricter_than_torch = (demands.NOT_FLOATING,)
    examples = (
        Example(text="upsample: 2", given="float32[B, 4, H, W]", gives="float32[B, 4, 2*H, 2*W]"),
        Example(text="upsample: 1.5", given="float32[B, 4, T]", gives="float32[B, 4, 3*T//2]"),
        Example(text="upsample: {size: [8, 6], mode: bilinear}", given="float32[B, 4, H, W]", gives="float32[B, 4, 8, 6]"),
        Example(text="upsample: {scale_factor: 2, mode: bilinear}", given="float32[B, 4, T]", refused="wants [batch, channels, height, width]"),
    )

    def infer(self, x: TensorType) -> TensorType:
        demands.floating(self.kind, x)
        ranks = RANKS[self.mode]
        places = AXES[ranks[0] - 2]
        demands.rank(
            self.kind, x, ranks, "[batch, channels, ...] of one to three axes" if len(ranks) > 1 else f"[batch, channels, {', '.join(places)}]"
        )
        if (self.size is None) == (self.scale_factor is None):
            raise Refusal("`upsample` wants either `size` or `scale_factor`")
        if self.mode == "nearest" and self.align_corners is not None:
            raise Refusal("`upsample` has no corners to align in the mode `nearest`", field="align_corners")
        return x.with_shape((*x.shape[:2], *self._places(x)))

    def source(self, x: TensorType) -> Expression:
        settings = self.changed("size", "scale_factor", "mode", "align_corners")
        return call("F.interpolate", Input(), **{name: short(value) for name, value in settings.items()})

    def _places(self, x: TensorType) -> tuple[Dim, ...]:
        count = x.rank - 2
        if self.size is not None:
            sizes = each_axis(self.size, count)
            self._one_each(sizes, x, "size")
            return sizes
        scales = self.scale_factor if isinstance(self.scale_factor, tuple) else (self.scale_factor or 1,) * count
        self._one_each(scales, x, "scale_factor")
        return tuple(self._scaled(size, scale) for size, scale in zip(x.shape[2:], scales, strict=True))

    def _one_each(self, numbers: tuple[float, ...], x: TensorType, field: str) -> None:
        if len(numbers) != x.rank - 2:
            found = demands.counted(x.rank - 2, "axis", "axes")
            raise Refusal(f"`upsample` gives {demands.counted(len(numbers), 'number', 'numbers')} for {found} of {x.shape_text}", field=field)

    def _scaled(self, size: Dim, scale: float) -> Dim:
        if isinstance(size, int):
            left = floor(size * scale)
            if left < 1:
                raise Refusal(f"`upsample` leaves nothing of a size of {size} at a scale of {scale}", field="scale_factor")
            return left
        ratio = Fraction(scale)
        if ratio.denominator > ROUGHEST:
            raise Refusal(f"`upsample` cannot tell what {scale} times `{size}` is rounded to", field="scale_factor", help="give `size`")
        return size * ratio.numerator // ratio.denominator
