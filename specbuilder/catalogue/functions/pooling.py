"""Pooling: a window slides over [batch, channels, ...] and gives its maximum or mean; adaptive kinds name the size that leaves instead.

`windows` has the formulas, `ceil_mode` with torch's rule for the last window included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from specbuilder.catalogue import demands, windows
from specbuilder.catalogue.contract import Example, Expression, Function, Input, PositiveInt, Refusal, call, function
from specbuilder.catalogue.declared import Field, fields_of
from specbuilder.shapes import Dim, Requirement, TensorType

ODD_DIVISOR = "a divisor below 0, which turns the sign round"


class Pooling(Function):
    """What pooling over a window shares; each kind adds the settings of its window."""

    axes: ClassVar[int]

    if TYPE_CHECKING:  # each class declares these with its own number of axes
        kernel_size: Any
        stride: Any
        padding: Any
        ceil_mode: Any

    stricter_than_torch = (demands.NOT_FLOATING, demands.UNBATCHED)

    def infer(self, x: TensorType) -> TensorType:
        demands.floating(self.kind, x)
        demands.rank(self.kind, x, (self.axes + 2,), windows.arrangement(self.axes))
        kernels = windows.each_axis(self.kernel_size, self.axes)
        strides = kernels if self.stride is None else windows.each_axis(self.stride, self.axes)
        paddings, dilations = windows.each_axis(self.padding, self.axes), windows.each_axis(getattr(self, "dilation", 1), self.axes)
        places: list[Dim] = []
        for name, size, kernel, stride, padding, dilation in zip(
            windows.AXES[self.axes], x.shape[2:], kernels, strides, paddings, dilations, strict=True
        ):
            if padding > kernel // 2:
                raise Refusal(f"`{self.kind}` wants padding of at most half the kernel, but {padding} is more than {kernel} // 2", field="padding")
            place = windows.pooled(size, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=self.ceil_mode)
            if isinstance(place, int) and place < 1:
                windows.fits(self.kind, name, size, kernel=kernel, dilation=dilation, before=padding, after=padding)
            places.append(place)
        return x.with_shape((*x.shape[:2], *places))

    def source(self, x: TensorType) -> Expression:
        settings = windows.changed(self, *(name for name in fields_of(type(self)) if name != "kernel_size"))
        if settings.get("stride") == windows.short(self.kernel_size):
            del settings["stride"]
        return call(self.torch_name, Input(), windows.short(self.kernel_size), **settings)


class MaxPooling(Pooling):
    """The largest value of each window."""


@function("max_pool1d", primary="kernel_size", torch="F.max_pool1d", aliases=("max_pooling1d",))
class MaxPool1d(MaxPooling):
    """The largest value of each window: (B, C, L) -> (B, C, L')."""

    axes = 1
    kernel_size: windows.Sizes1
    stride: windows.Sizes1 | None = Field(default=None, description="omitted, windows do not overlap: the kernel")
    padding: windows.Margins1 = 0
    dilation: windows.Sizes1 = 1
    ceil_mode: bool = False
    examples = (Example(text="max_pool1d: 2", given="float32[B, 4, 9]", gives="float32[B, 4, 4]"),)


@function("max_pool2d", primary="kernel_size", torch="F.max_pool2d", aliases=("max_pooling2d", "maxpool", "pool", "pooling"))
class MaxPool2d(MaxPooling):
    """The largest value of each window: (B, C, H, W) -> (B, C, H', W')."""

    axes = 2
    kernel_size: windows.Sizes2
    stride: windows.Sizes2 | None = Field(default=None, description="omitted, windows do not overlap: the kernel")
    padding: windows.Margins2 = 0
    dilation: windows.Sizes2 = 1
    ceil_mode: bool = False
    examples = (
        Example(text="max_pool2d: 2", given="float32[B, 4, 9, 9]", gives="float32[B, 4, 4, 4]"),
        Example(text="max_pool2d: {kernel_size: 2, ceil_mode: true}", given="float32[B, 4, 9, 9]", gives="float32[B, 4, 5, 5]"),
        Example(text="max_pool2d: 3", given="float32[B, 4, 2, 9]", refused="kernel 3 does not fit: height 2 (padding 0 included) is smaller"),
    )


@function("max_pool3d", primary="kernel_size", torch="F.max_pool3d", aliases=("max_pooling3d",))
class MaxPool3d(MaxPooling):
    """The largest value of each window: (B, C, D, H, W) -> (B, C, D', H', W')."""

    axes = 3
    kernel_size: windows.Sizes3
    stride: windows.Sizes3 | None = Field(default=None, description="omitted, windows do not overlap: the kernel")
    padding: windows.Margins3 = 0
    dilation: windows.Sizes3 = 1
    ceil_mode: bool = False
    examples = (Example(text="max_pool3d: [1, 2, 2]", given="float32[B, 4, 3, 8, 8]", gives="float32[B, 4, 3, 4, 4]"),)


class MeanPooling(Pooling):
    """The mean of each window."""

    count_include_pad: bool = Field(default=True, description="zeros of the padding count as values")


@function("avg_pool1d", primary="kernel_size", torch="F.avg_pool1d", aliases=("average_pooling1d", "mean_pool1d"))
class AvgPool1d(MeanPooling):
    """The mean of each window: (B, C, L) -> (B, C, L')."""

    axes = 1
    kernel_size: windows.Sizes1
    stride: windows.Sizes1 | None = Field(default=None, description="omitted, windows do not overlap: the kernel")
    padding: windows.Margins1 = 0
    ceil_mode: bool = False
    examples = (Example(text="avg_pool1d: 2", given="float32[B, 4, T]", gives="float32[B, 4, T//2]"),)


@function("avg_pool2d", primary="kernel_size", torch="F.avg_pool2d", aliases=("average_pooling2d", "mean_pool2d", "avgpool"))
class AvgPool2d(MeanPooling):
    """The mean of each window: (B, C, H, W) -> (B, C, H', W')."""

    axes = 2
    kernel_size: windows.Sizes2
    stride: windows.Sizes2 | None = Field(default=None, description="omitted, windows do not overlap: the kernel")
    padding: windows.Margins2 = 0
    ceil_mode: bool = False
    divisor_override: PositiveInt | None = Field(default=None, description="divide by this instead of the number of values")

    stricter_than_torch = (*MeanPooling.stricter_than_torch, ODD_DIVISOR)
    examples = (Example(text="avg_pool2d: 2", given="float32[B, 4, 8, 8]", gives="float32[B, 4, 4, 4]"),)


# Torch compares the kernel of avg_pool3d with the axis as it arrives, without its padding, and in ceil_mode too. Its kernel on the CPU knows no half precision.
@function("avg_pool3d", primary="kernel_size", torch="F.avg_pool3d", aliases=("average_pooling3d", "mean_pool3d"))
class AvgPool3d(MeanPooling):
    """The mean of each window: (B, C, D, H, W) -> (B, C, D', H', W')."""

    axes = 3
    kernel_size: windows.Sizes3
    stride: windows.Sizes3 | None = Field(default=None, description="omitted, windows do not overlap: the kernel")
    padding: windows.Margins3 = 0
    ceil_mode: bool = False
    divisor_override: PositiveInt | None = Field(default=None, description="divide by this instead of the number of values")

    stricter_than_torch = (*MeanPooling.stricter_than_torch, ODD_DIVISOR)
    examples = (Example(text="avg_pool3d: 2", given="float32[B, 4, 4, 8, 8]", gives="float32[B, 4, 2, 4, 4]"),)

    def infer(self, x: TensorType) -> TensorType:
        left = super().infer(x)
        if x.dtype in ("float16", "bfloat16"):
            message = f"`avg_pool3d` wants float32 or float64, but {x.dtype} arrives, which torch does not average over three axes on the CPU"
            raise Refusal(message, help="declare the input as float32", code="SB0501")
        for name, size, kernel in zip(windows.AXES[3], x.shape[2:], windows.each_axis(self.kernel_size, 3), strict=True):
            if isinstance(size, int) and size < kernel:
                message = f"`avg_pool3d` with kernel {kernel} does not fit: {name} {size} (padding never counts here) is smaller"
                raise Refusal(message, field="kernel_size")
        return left

    def requirements(self, x: TensorType) -> tuple[Requirement, ...]:
        return tuple(Requirement(size, kernel) for size, kernel in zip(x.shape[2:], windows.each_axis(self.kernel_size, 3), strict=True))
