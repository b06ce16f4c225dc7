"""Turn images at random about their centre: each sample by its own angle, all samples of a batch in one call.

The pixel that `nearest` picks is that of torchvision.transforms.v2.functional.rotate, bit for bit: its float32 steps are done here one by one, since
torch's own affine grid and grid sampling round differently on each device. For the same reason sine and cosine are taken in float64 and rounded.
`bilinear` is grid sampling, equal between devices within a tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from specbuilder.catalogue.contract import Example, NonNegativeFloat, Transform, transform
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.transforms import images
from specbuilder.shapes import TensorType

if TYPE_CHECKING:
    from torch import Tensor


@transform("random_rotation", primary="degrees", torch="torchvision.transforms.v2.RandomRotation", aliases=("rotate", "rotation"))
class RandomRotation(Transform):
    """Turns an image counter-clockwise by a random angle; what comes from outside shows `fill`."""

    draws = 1

    degrees: NonNegativeFloat | tuple[float, float] = Field(description="the largest angle to either side, or [lowest, highest]")
    interpolation: Literal["nearest", "bilinear"] = Field(default="nearest", description="how a pixel between four others gets its value")
    fill: float = Field(default=0.0, description="the value of what lies outside the image")

    examples = (
        Example(text="random_rotation: 10", given="float32[B, 3, 32, 32]", gives="float32[B, 3, 32, 32]"),
        Example(text="random_rotation: {degrees: [0, 90], interpolation: bilinear}", given="float32[B, 3, H, W]", gives="float32[B, 3, H, W]"),
        Example(text="random_rotation: 10", given="float32[B, 64]", refused="wants [batch, channels, height, width]"),
    )

    def mistakes(self) -> Iterator[tuple[str, str]]:
        if isinstance(self.degrees, tuple) and self.degrees[0] > self.degrees[1]:
            yield "degrees", f"the lowest angle, {self.degrees[0]:g}, is above the highest, {self.degrees[1]:g}"

    def infer(self, type: TensorType) -> TensorType:
        images.image(self.kind, type)
        images.real(self.kind, type)
        images.fill(self.kind, self.fill, type)
        return type

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        x_places, y_places = _sources(self._angles(u[:, 0]), x.shape[2], x.shape[3])
        if self.interpolation == "nearest":
            return _nearest(x, x_places, y_places, self.fill)
        return _bilinear(x, x_places, y_places, self.fill)

    def _angles(self, u: Tensor) -> Tensor:
        """Degrees, float64[B]; float32 on Apple's GPU, which has nothing wider."""
        low, high = self.degrees if isinstance(self.degrees, tuple) else (-self.degrees, self.degrees)
        wide = u if u.device.type == "mps" else u.double()
        return low + wide * (high - low)


def _sources(angles: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Where each pixel comes from, as x and y: float32[B, H, W] each, from -1 to 1 between the outer edges of the image."""
    import torch

    turns = torch.deg2rad(-angles)
    cos, sin = turns.cos().float()[:, None, None], turns.sin().float()[:, None, None]
    columns = (torch.arange(width, device=angles.device) - (width - 1) / 2)[None, None, :]  # from the centre
    rows = (torch.arange(height, device=angles.device) - (height - 1) / 2)[None, :, None]
    x = columns * (cos / (0.5 * width)) + rows * (sin / (0.5 * width))
    y = columns * (-sin / (0.5 * height)) + rows * (cos / (0.5 * height))
    return x, y


def _nearest(image: Tensor, x: Tensor, y: Tensor, fill: float) -> Tensor:
    from torch.nn.functional import pad

    channels, height, width = image.shape[1:]
    # A border of one pixel shows the fill, and all that lies further out is moved onto it.
    bordered = pad(image, (1, 1, 1, 1), value=fill)
    column, row = (((each + 1) * (size / 2) - 0.5).round_().clamp_(-1, size).long() + 1 for each, size in ((x, width), (y, height)))
    index = (row * (width + 2) + column).flatten(1)  # B HW
    return bordered.flatten(2).gather(2, index[:, None].expand(-1, channels, -1)).unflatten(2, (height, width))


def _bilinear(image: Tensor, x: Tensor, y: Tensor, fill: float) -> Tensor:
    import torch
    from torch.nn.functional import grid_sample, pad

    dtype = torch.promote_types(image.dtype, torch.float32)
    covered = pad(image.to(dtype), (0, 0, 0, 0, 0, 1), value=1.0)  # a channel of ones, which tells how much of a pixel lies inside
    sampled = grid_sample(covered, torch.stack((x, y), -1).to(dtype), mode="bilinear", padding_mode="zeros", align_corners=False)
    pixels, share = sampled[:, :-1], sampled[:, -1:]
    # Not `pixels + (1 - share) * fill`: torchvision weighs pixels on the border with `share` twice, and equality with it counts for more here.
    turned = (pixels - fill) * share + fill
    return (turned if image.is_floating_point() else turned.round()).to(image.dtype)
