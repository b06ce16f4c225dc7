"""Mirror images at random: each sample is mirrored if its draw is below `p`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from specbuilder.catalogue.contract import Example, Probability, Transform, transform
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.transforms import images
from specbuilder.shapes import TensorType

if TYPE_CHECKING:
    from torch import Tensor


class AnyFlip(Transform):
    """What the two flips share."""

    draws = 1
    axis: ClassVar[int]

    p: Probability = Field(default=0.5, description="the chance that an image is mirrored")

    def infer(self, type: TensorType) -> TensorType:
        images.image(self.kind, type)
        return type

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        import torch

        return torch.where(u[:, :1, None, None] < self.p, x.flip(self.axis), x)  # B C H W


@transform("random_horizontal_flip", primary="p", torch="torchvision.transforms.v2.RandomHorizontalFlip", aliases=("hflip", "random_flip", "mirror"))
class RandomHorizontalFlip(AnyFlip):
    """Exchanges left and right in a share of the images."""

    axis = -1
    examples = (
        Example(text="random_horizontal_flip", given="float32[B, 3, H, W]", gives="float32[B, 3, H, W]"),
        Example(text="random_horizontal_flip: 0.1", given="float32[B, 64]", refused="wants [batch, channels, height, width]"),
    )


@transform("random_vertical_flip", primary="p", torch="torchvision.transforms.v2.RandomVerticalFlip", aliases=("vflip",))
class RandomVerticalFlip(AnyFlip):
    """Exchanges top and bottom in a share of the images."""

    axis = -2
    examples = (Example(text="random_vertical_flip", given="float32[B, 3, H, W]", gives="float32[B, 3, H, W]"),)
