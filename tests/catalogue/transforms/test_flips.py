"""The flips are torchvision's, for the samples whose draw is below `p`."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from specbuilder.catalogue.contract import Refusal, Transform
from specbuilder.catalogue.transforms.flips import RandomHorizontalFlip, RandomVerticalFlip
from specbuilder.shapes import parse_type

BELOW_HALF = 0.5 - 2**-24


@pytest.mark.parametrize(("kind", "name"), [(RandomHorizontalFlip, "horizontal_flip"), (RandomVerticalFlip, "vertical_flip")])
@pytest.mark.parametrize(
    ("p", "flipped"),
    [
        (0.5, [True, True, False, False]),
        (0.0, [False, False, False, False]),
        (1.0, [True, True, True, True]),
        (2**-24, [True, False, False, False]),
    ],
)
def test_equal_to_torchvision(torchvision: ModuleType, kind: type[RandomHorizontalFlip], name: str, p: float, flipped: list[bool]) -> None:
    x = torch.arange(4 * 2 * 3 * 5).view(4, 2, 3, 5)
    u = torch.tensor([0.0, BELOW_HALF, 0.5, 1 - 2**-24])[:, None]
    found = kind(p=p).apply(x, u)
    mirror = getattr(torchvision, name)
    for i, flip in enumerate(flipped):
        assert torch.equal(found[i], mirror(x[i]) if flip else x[i])


@pytest.mark.parametrize("transform", [RandomHorizontalFlip(), RandomVerticalFlip()], ids=str)
def test_refused(transform: Transform) -> None:
    with pytest.raises(Refusal) as refusal:
        transform.infer(parse_type("float32[B, 3, 8]"))
    assert refusal.value.message == f"`{transform.kind}` wants [batch, channels, height, width], but float32[B, 3, 8] has 3 axes"
