"""Transposed convolutions: conv_transpose1d, conv_transpose2d, conv_transpose3d. Each place that arrives is spread over a window of the output.

Weights are (in_channels, out_channels / groups, *kernel). FLOPs are torch's count: two per weight and place of the input.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from specbuilder.catalogue import demands, windows
from specbuilder.catalogue.contract import Example, Layer, Module, Parameter, PositiveInt, Refusal, call, layer
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import Dim, TensorType


class TransposedConvolution(Layer):
    """What the transposed convolutions share; each adds the settings of its window."""

    axes: ClassVar[int]

    out_channels: PositiveInt
    in_channels: PositiveInt | None = Field(default=None, description="inferred; written, it is checked")
    groups: PositiveInt = Field(default=1, description="channels are split into this many groups, each with weights of its own")
    bias: bool = True

    if TYPE_CHECKING:  # each class declares these with its own number of axes
        kernel_size: Any
        stride: Any
        padding: Any
        output_padding: Any
        dilation: Any

    stricter_than_torch = (demands.UNBATCHED, demands.EMPTY)

    def infer(self, x: TensorType) -> TensorType:
        demands.as_weights(self.kind, x)
        self._channels(x)
        return x.with_shape((x.shape[0], self.out_channels, *self._places(x)))

    def parameters(self, x: TensorType) -> dict[str, Parameter]:
        kernel = windows.each_axis(self.kernel_size, self.axes)
        weight = {"weight": demands.parameter("matrix", self._channels(x), self.out_channels // self.groups, *kernel)}
        return weight | {"bias": demands.parameter("bias", self.out_channels)} if self.bias else weight

    def flops(self, x: TensorType) -> Dim:
        weights = self._channels(x) * (self.out_channels // self.groups) * prod(windows.each_axis(self.kernel_size, self.axes))
        return 2 * weights * x.shape[0] * demands.numel(x.shape[2:])

    def source(self, x: TensorType) -> Module:
        settings = windows.changed(self, "stride", "padding", "output_padding", "groups", "bias", "dilation")
        return Module(call(self.torch_name, self._channels(x), self.out_channels, windows.short(self.kernel_size), **settings))

    def _channels(self, x: TensorType) -> int:
        demands.rank(self.kind, x, (self.axes + 2,), windows.arrangement(self.axes))
        channels = demands.fixed(self.kind, x.shape[1], "channels")
        demands.agrees(self.kind, "in_channels", self.in_channels, channels, "channel")
        windows.groups(self.kind, self.groups, channels, self.out_channels)
        return channels

    def _places(self, x: TensorType) -> tuple[Dim, ...]:
        """The size that leaves, for each axis of the window."""
        settings = [windows.each_axis(each, self.axes) for each in (self.kernel_size, self.stride, self.padding, self.dilation, self.output_padding)]
        places = []
        for name, size, kernel, stride, padding, dilation, more in zip(windows.AXES[self.axes], x.shape[2:], *settings, strict=True):
            if more >= max(stride, dilation):
                message = f"`{self.kind}` wants output_padding below its stride or its dilation, but {more} is not below {max(stride, dilation)}"
                raise Refusal(message, field="output_padding")
            place = windows.spread(size, kernel=kernel, stride=stride, padding=padding, dilation=dilation, output_padding=more)
            if isinstance(place, int) and place < 1:
                raise Refusal(f"`{self.kind}` leaves {name} {place} of {size}: padding {padding} takes away more than there is", field="padding")
            places.append(place)
        return tuple(places)


@layer("conv_transpose1d", torch="nn.ConvTranspose1d", aliases=("deconv1d", "conv1d_transpose", "deconvolution1d"))
class ConvTranspose1d(TransposedConvolution):
    """Transposed convolution over a length: (B, C, L) -> (B, out_channels, L')."""

    axes = 1
    kernel_size: windows.Sizes1
    stride: windows.Sizes1 = 1
    padding: windows.Margins1 = 0
    output_padding: windows.Margins1 = Field(
        default=0, description="added to one side of the output, to choose between sizes that a stride maps to one"
    )
    dilation: windows.Sizes1 = 1
    examples = (
        Example(
            text="conv_transpose1d: {out_channels: 8, kernel_size: 2, stride: 2}", given="float32[B, 4, T]", gives="float32[B, 8, 2*T]", parameters=72
        ),
    )


@layer("conv_transpose2d", torch="nn.ConvTranspose2d", aliases=("deconv", "deconv2d", "conv2d_transpose", "deconvolution", "up_conv"))
class ConvTranspose2d(TransposedConvolution):
    """Transposed convolution over height and width: (B, C, H, W) -> (B, out_channels, H', W')."""

    axes = 2
    kernel_size: windows.Sizes2
    stride: windows.Sizes2 = 1
    padding: windows.Margins2 = 0
    output_padding: windows.Margins2 = Field(
        default=0, description="added to one side of the output, to choose between sizes that a stride maps to one"
    )
    dilation: windows.Sizes2 = 1
    examples = (
        Example(
            text="conv_transpose2d: {out_channels: 8, kernel_size: 4, stride: 2, padding: 1}",
            given="float32[B, 4, H, W]",
            gives="float32[B, 8, 2*H, 2*W]",
            parameters=520,
        ),
        Example(
            text="conv_transpose2d: {out_channels: 8, kernel_size: 2, output_padding: 1}",
            given="float32[B, 4, 8, 8]",
            refused="output_padding below its stride or its dilation, but 1 is not below 1",
        ),
    )


@layer("conv_transpose3d", torch="nn.ConvTranspose3d", aliases=("deconv3d", "conv3d_transpose", "deconvolution3d"))
class ConvTranspose3d(TransposedConvolution):
    """Transposed convolution over depth, height and width: (B, C, D, H, W) -> (B, out_channels, D', H', W')."""

    axes = 3
    kernel_size: windows.Sizes3
    stride: windows.Sizes3 = 1
    padding: windows.Margins3 = 0
    output_padding: windows.Margins3 = Field(
        default=0, description="added to one side of the output, to choose between sizes that a stride maps to one"
    )
    dilation: windows.Sizes3 = 1
    examples = (
        Example(
            text="conv_transpose3d: {out_channels: 2, kernel_size: 2, stride: 2, bias: false}",
            given="float32[B, 4, 2, 3, 3]",
            gives="float32[B, 2, 4, 6, 6]",
            parameters=64,
        ),
    )
