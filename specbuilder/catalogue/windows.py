"""Sizes under a sliding window: what convolutions and poolings share.

In: the size of an axis and the window's settings. Out: the size that leaves, as torch computes it, symbolic sizes included. The formulas are those of
torch.nn.Conv2d, torch.nn.ConvTranspose2d and torch.nn.MaxPool2d; V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016),
derives them. A setting is one number for all axes or one for each; a window that is larger than its padded axis is refused here, with the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuilder.catalogue.contract import Kind, NonNegativeInt, PositiveInt, Refusal
from specbuilder.catalogue.declared import fields_of
from specbuilder.shapes import Dim

Sizes1 = PositiveInt | tuple[PositiveInt]
Sizes2 = PositiveInt | tuple[PositiveInt, PositiveInt]
Sizes3 = PositiveInt | tuple[PositiveInt, PositiveInt, PositiveInt]
Margins1 = NonNegativeInt | tuple[NonNegativeInt]
Margins2 = NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt]
Margins3 = NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""What the axes of a 1d, 2d or 3d kind are called."""


def arrangement(axes: int) -> str:
    """How a reader knows what arrives: `[batch, channels, height, width]`."""
    return f"[batch, channels, {', '.join(AXES[axes])}]"


def each_axis(setting: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """A setting for every axis: 3 is (3, 3)."""
    return (setting,) * axes if isinstance(setting, int) else tuple(setting)


def short(setting: Any) -> Any:
    """A setting as a good engineer writes it: (3, 3) is 3, and whatever is no tuple of one number stays."""
    return setting[0] if isinstance(setting, tuple) and len(set(setting)) == 1 and setting[0] is not None else setting


def changed(kind: Kind, *names: str) -> dict[str, Any]:
    """The settings that differ from their defaults, each in its short form."""
    fields = fields_of(type(kind))
    return {name: value for name in names if (value := short(getattr(kind, name))) != fields[name].default}


def reach(kernel: int, dilation: int) -> int:
    """How many places a dilated kernel spans."""
    return dilation * (kernel - 1) + 1


def slid(size: Dim, *, kernel: int, stride: int, padding: int, dilation: int) -> Dim:
    """floor((size + padding - dilation (kernel - 1) - 1) / stride) + 1, with `padding` the sum of both sides."""
    return (size + padding - reach(kernel, dilation)) // stride + 1


def pooled(size: Dim, *, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> Dim:
    """As `slid`, with `padding` on each side; with `ceil_mode` a last window that hangs over the end counts if it begins inside or on the left padding.

    Torch rounds up and then takes one window away if (windows - 1) stride >= size + padding. Since padding < reach, that is the smaller of
    ceil((size + 2 padding - reach) / stride) + 1 and ceil((size + padding) / stride), and constants decide which one it is.
    """
    if not ceil_mode:
        return slid(size, kernel=kernel, stride=stride, padding=2 * padding, dilation=dilation)
    return (size + padding + min(0, padding + stride - reach(kernel, dilation)) + stride - 1) // stride


def spread(size: Dim, *, kernel: int, stride: int, padding: int, dilation: int, output_padding: int) -> Dim:
    """(size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1: what a convolution with these settings maps back to `size`."""
    return (size - 1) * stride - 2 * padding + reach(kernel, dilation) + output_padding


def fits(kind: str, axis: str, size: Dim, *, kernel: int, dilation: int, before: int, after: int) -> None:
    """Refuses a window that is larger than its padded axis. What symbolic sizes must meet follows from the size that leaves."""
    if not isinstance(size, int) or size + before + after >= reach(kernel, dilation):
        return
    span = f"kernel {kernel}" if dilation == 1 else f"kernel {kernel}, spread over {reach(kernel, dilation)} by its dilation,"
    padding = f"padding {before}" if before == after else f"padding {before} and {after}"
    raise Refusal(f"`{kind}` with {span} does not fit: {axis} {size + before + after} ({padding} included) is smaller", field="kernel_size")


def groups(kind: str, count: int, arriving: int, leaving: int) -> None:
    """Both numbers of channels must split into the groups."""
    for channels, name in ((arriving, "channels that arrive"), (leaving, "channels of `out_channels`")):
        if channels % count:
            raise Refusal(f"`{kind}` cannot split the {channels} {name} into {count} groups of one size", field="groups")
