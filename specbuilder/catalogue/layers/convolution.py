"""Convolutions: conv1d, conv2d, conv3d. [batch, channels, ...] in, the same arrangement out; `windows` has the formulas.

Weights are (out_channels, in_channels / groups, *kernel). FLOPs are torch's count: two per weight and place of the output.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from specbuilder.catalogue import demands, windows
from specbuilder.catalogue.contract import Example, Layer, Module, Parameter, PositiveInt, Refusal, call, layer
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import Dim, Requirement, TensorType

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]

CROPPED = "a negative padding, which crops: torch takes it in some padding modes only"


class Convolution(Layer):
    """What the convolutions share; each adds the settings of its window."""

    axes: ClassVar[int]

    out_channels: PositiveInt
    in_channels: PositiveInt | None = Field(default=None, description="inferred; written, it is checked")
    groups: PositiveInt = Field(default=1, description="channels are split into this many groups, each with weights of its own")
    bias: bool = True

    if TYPE_CHECKING:  # each class declares these with its own number of axes
        kernel_size: Any
        stride: Any
        padding: Any
        dilation: Any
        padding_mode: Any

    stricter_than_torch = (demands.UNBATCHED, CROPPED)

    def infer(self, x: TensorType) -> TensorType:
        demands.as_weights(self.kind, x)
        self._channels(x)
        return x.with_shape((x.shape[0], self.out_channels, *self._places(x)))

    def requirements(self, x: TensorType) -> tuple[Requirement, ...]:
        if self.padding_mode in ("zeros", "replicate"):
            return ()
        beyond = 1 if self.padding_mode == "reflect" else 0
        return tuple(Requirement(size, max(margins) + beyond) for size, margins in zip(x.shape[2:], self._margins(), strict=True) if max(margins))

    def parameters(self, x: TensorType) -> dict[str, Parameter]:
        kernel = windows.each_axis(self.kernel_size, self.axes)
        weight = {"weight": demands.parameter("matrix", self.out_channels, self._channels(x) // self.groups, *kernel)}
        return weight | {"bias": demands.parameter("bias", self.out_channels)} if self.bias else weight

    def flops(self, x: TensorType) -> Dim:
        weights = self.out_channels * (self._channels(x) // self.groups) * prod(windows.each_axis(self.kernel_size, self.axes))
        return 2 * weights * x.shape[0] * demands.numel(self._places(x))

    def source(self, x: TensorType) -> Module:
        settings = windows.changed(self, "stride", "padding", "dilation", "groups", "bias", "padding_mode")
        return Module(call(self.torch_name, self._channels(x), self.out_channels, windows.short(self.kernel_size), **settings))

    def _channels(self, x: TensorType) -> int:
        """The channels that arrive, checked against everything that depends on them."""
        demands.rank(self.kind, x, (self.axes + 2,), windows.arrangement(self.axes))
        channels = demands.fixed(self.kind, x.shape[1], "channels")
        demands.agrees(self.kind, "in_channels", self.in_channels, channels, "channel")
        windows.groups(self.kind, self.groups, channels, self.out_channels)
        return channels

    def _margins(self) -> tuple[tuple[int, int], ...]:
        """Padding before and after, for each axis."""
        if self.padding == "valid":
            return ((0, 0),) * self.axes
        if self.padding != "same":
            return tuple((each, each) for each in windows.each_axis(self.padding, self.axes))
        settings = zip(windows.each_axis(self.kernel_size, self.axes), windows.each_axis(self.dilation, self.axes), strict=True)
        beyond = (windows.reach(kernel, dilation) - 1 for kernel, dilation in settings)
        return tuple((total // 2, total - total // 2) for total in beyond)

    def _places(self, x: TensorType) -> tuple[Dim, ...]:
        """The size that leaves, for each axis of the window."""
        strides = windows.each_axis(self.stride, self.axes)
        if self.padding == "same" and any(stride > 1 for stride in strides):
            raise Refusal(
                f'`{self.kind}` keeps the size with padding "same" only at stride 1, not {max(strides)}',
                field="padding",
                help="give `padding` as a number",
            )
        kernels, dilations = windows.each_axis(self.kernel_size, self.axes), windows.each_axis(self.dilation, self.axes)
        names, margins = windows.AXES[self.axes], self._margins()
        places = []
        for name, size, kernel, stride, dilation, (before, after) in zip(names, x.shape[2:], kernels, strides, dilations, margins, strict=True):
            self._can_mirror(name, size, max(before, after))
            windows.fits(self.kind, name, size, kernel=kernel, dilation=dilation, before=before, after=after)
            places.append(windows.slid(size, kernel=kernel, stride=stride, padding=before + after, dilation=dilation))
        return tuple(places)

    def _can_mirror(self, name: str, size: Dim, margin: int) -> None:
        """Padding with the image itself needs enough of it: reflect leaves the edge out, circular goes round once."""
        if not margin or not isinstance(size, int):
            return
        if self.padding_mode == "reflect" and margin >= size:
            raise Refusal(f"`{self.kind}` cannot reflect {margin} of {name} {size}: at most {size - 1}", field="padding")
        if self.padding_mode == "circular" and margin > size:
            raise Refusal(f"`{self.kind}` cannot go round {margin} of {name} {size}: at most {size}", field="padding")


@layer("conv1d", torch="nn.Conv1d", aliases=("convolution1d", "temporal_conv"))
class Conv1d(Convolution):
    """Convolution over a length: (B, C, L) -> (B, out_channels, L')."""

    axes = 1
    kernel_size: windows.Sizes1
    stride: windows.Sizes1 = 1
    padding: windows.Margins1 | Literal["same", "valid"] = 0
    dilation: windows.Sizes1 = 1
    padding_mode: PaddingMode = "zeros"
    examples = (
        Example(text="conv1d: {out_channels: 8, kernel_size: 3, padding: same}", given="float32[B, 4, T]", gives="float32[B, 8, T]", parameters=104),
        Example(text="conv1d: {out_channels: 8, kernel_size: 5}", given="float32[B, 4, 3]", refused="kernel 5 does not fit: length 3"),
    )


@layer("conv2d", torch="nn.Conv2d", aliases=("conv", "convolution", "convolution2d", "cnn"))
class Conv2d(Convolution):
    """Convolution over height and width: (B, C, H, W) -> (B, out_channels, H', W')."""

    axes = 2
    kernel_size: windows.Sizes2
    stride: windows.Sizes2 = 1
    padding: windows.Margins2 | Literal["same", "valid"] = 0
    dilation: windows.Sizes2 = 1
    padding_mode: PaddingMode = "zeros"
    examples = (
        Example(
            text="conv2d: {out_channels: 8, kernel_size: 3, padding: 1}", given="float32[B, 3, 32, 32]", gives="float32[B, 8, 32, 32]", parameters=224
        ),
        Example(
            text="conv2d: {out_channels: 64, kernel_size: 7, stride: 2, padding: 3, bias: false}",
            given="float32[B, 3, H, W]",
            gives="float32[B, 64, (H + 1)//2, (W + 1)//2]",
            parameters=9408,
        ),
        Example(
            text="conv2d: {out_channels: 8, kernel_size: 3, groups: 2}",
            given="float32[B, 3, 8, 8]",
            refused="cannot split the 3 channels that arrive into 2 groups",
        ),
    )


@layer("conv3d", torch="nn.Conv3d", aliases=("convolution3d",))
class Conv3d(Convolution):
    """Convolution over depth, height and width: (B, C, D, H, W) -> (B, out_channels, D', H', W')."""

    axes = 3
    kernel_size: windows.Sizes3
    stride: windows.Sizes3 = 1
    padding: windows.Margins3 | Literal["same", "valid"] = 0
    dilation: windows.Sizes3 = 1
    padding_mode: PaddingMode = "zeros"
    examples = (
        Example(
            text="conv3d: {out_channels: 8, kernel_size: [1, 3, 3], stride: [1, 2, 2]}",
            given="float32[B, 3, 4, 9, 9]",
            gives="float32[B, 8, 4, 4, 4]",
            parameters=224,
        ),
        Example(text="conv3d: {out_channels: 8, kernel_size: 3}", given="float32[B, 3, 2, 9, 9]", refused="kernel 3 does not fit: depth 2"),
    )
