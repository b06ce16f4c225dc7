"""Cut images out at random: pad, then take a window whose place is drawn for each sample. Translation, when the window is as large as the image.

All windows of a batch are one gather, with the rows and columns of each sample as index. Only a constant margin is really padded: in the other modes the
index of a place in the margin says which pixel of the image stands there, in any dtype.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from specbuilder.catalogue import windows
from specbuilder.catalogue.contract import Example, NonNegativeInt, Refusal, Transform, transform
from specbuilder.catalogue.declared import Field, fields_of
from specbuilder.catalogue.transforms import images
from specbuilder.shapes import Dim, TensorType, at_least

if TYPE_CHECKING:
    from torch import Tensor

Margins = NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt] | tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt, NonNegativeInt]
Mode = Literal["constant", "edge", "reflect", "symmetric"]


@transform("random_crop", primary="size", torch="torchvision.transforms.v2.RandomCrop", aliases=("crop", "random_shift", "random_translation"))
class RandomCrop(Transform):
    """Pads an image and cuts a window out of it at a random place: (B, C, H, W) -> (B, C, size, size)."""

    draws = 2

    size: windows.Sizes2 = Field(description="the window, one number or [height, width]")
    padding: Margins = Field(
        default=0, description="the margin that is added first: one number, [left and right, top and bottom] or [left, top, right, bottom]"
    )
    padding_mode: Mode = Field(
        default="constant", description="what the margin shows: `fill`, the last pixel, or the image mirrored without or with its last pixel"
    )
    fill: float = Field(default=0.0, description="the value of a constant margin")

    examples = (
        Example(text="random_crop: {size: 32, padding: 4}", given="float32[B, 3, 32, 32]", gives="float32[B, 3, 32, 32]"),
        Example(text="random_crop: [24, 28]", given="uint8[B, 1, 32, 32]", gives="uint8[B, 1, 24, 28]"),
        Example(text="random_crop: {size: 8, padding: 8, padding_mode: reflect}", given="float32[B, 1, 8, 8]", refused="mirrors a margin of 8"),
        Example(text="random_crop: 32", given="float32[B, 3, 28, 28]", refused="cuts out height 32, but only 28 is there"),
    )

    def infer(self, type: TensorType) -> TensorType:
        images.image(self.kind, type)
        self._check_margin(type)
        batch, channels, *sizes = type.shape
        left, top, right, bottom = self._margins()
        window = windows.each_axis(self.size, images.AXES)
        for axis, size, wanted, margin in zip(windows.AXES[images.AXES], sizes, window, ((top, bottom), (left, right)), strict=True):
            self._check_axis(axis, size, wanted, margin)
        return type.with_shape((batch, channels, *window))

    def _check_margin(self, type: TensorType) -> None:
        """What is written about the margin must have an effect."""
        if not any(self._margins()):
            for field in ("padding_mode", "fill"):
                if getattr(self, field) != fields_of(RandomCrop)[field].default:
                    raise Refusal(
                        f"`random_crop` adds no margin, so `{field}` has no effect", field=field, help=f"add `padding`, or delete `{field}`"
                    )
        if self.padding_mode == "constant":
            images.fill(self.kind, self.fill, type)
        elif self.fill:
            raise Refusal(f"`random_crop` fills nothing with `padding_mode: {self.padding_mode}`", field="fill", help="delete `fill`")

    def _check_axis(self, axis: str, size: Dim, window: int, margin: tuple[int, int]) -> None:
        there = size + sum(margin)
        fits = at_least(there, window)
        if fits is None:
            raise Refusal(f"`random_crop` cuts out {axis} {window}, but cannot prove that `{there}` is as large", field="size")
        if not fits:
            padding = f" (padding {sum(margin)} included)" if any(margin) else ""
            raise Refusal(f"`random_crop` cuts out {axis} {window}, but only {there} is there{padding}", field="size")
        # A mirror shows an image once; without the pixel at the edge one less.
        shown = {"reflect": size - 1, "symmetric": size}.get(self.padding_mode)
        if shown is not None and at_least(shown - max(margin), 0) is not True:
            raise Refusal(
                f"`random_crop` mirrors a margin of {max(margin)}, but {axis} `{size}` shows at most `{shown}` in a mirror",
                field="padding",
                help="make it smaller, or write `padding_mode: edge`",
            )

    def _margins(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom."""
        margins = windows.each_axis(self.padding, 4)
        left, top, right, bottom = margins * 2 if len(margins) == 2 else margins
        return left, top, right, bottom

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        from torch.nn.functional import pad

        left, top, right, bottom = self._margins()
        height, width = windows.each_axis(self.size, images.AXES)
        rows = _places(u[:, 0], x.shape[2] + top + bottom, height)  # B h, in the padded image
        columns = _places(u[:, 1], x.shape[3] + left + right, width)  # B w
        if self.padding_mode == "constant":
            x = pad(x, (left, right, top, bottom), value=self.fill)
        else:
            rows = _inside(rows - top, x.shape[2], self.padding_mode)
            columns = _inside(columns - left, x.shape[3], self.padding_mode)
        index = (rows * x.shape[3])[:, :, None] + columns[:, None, :]  # B h w
        pixels = x.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, x.shape[1], -1))  # B C hw
        return pixels.unflatten(2, (height, width))


def _places(u: Tensor, size: int, window: int) -> Tensor:
    """Where each sample's window lies on an axis: int64[B, window]; each beginning is equally likely."""
    import torch

    # With 24 random bits, u * n stays below n in float32 too.
    first = (u * (size - window + 1)).floor().long()
    return first[:, None] + torch.arange(window, device=u.device)


def _inside(places: Tensor, size: int, mode: Mode) -> Tensor:
    """The pixel that stands at each place, which may lie before 0 or past the end."""
    import torch

    if mode == "edge":
        return places.clamp(0, size - 1)
    if mode == "reflect":
        return size - 1 - (size - 1 - places.abs()).abs()
    places = torch.where(places < 0, -1 - places, places)
    return torch.where(places < size, places, 2 * size - 1 - places)
