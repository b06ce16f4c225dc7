"""Parameters of every variant, from sources that share nothing with us: what torchvision publishes with its weights, papers, and counts by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from specbuilder.catalogue.torchvision_import import import_torchvision
from tests.zoo.networks import EVERY, network

TORCHVISION = {
    **{("resnet", name): name for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")},
    ("resnet", "resnext50"): "resnext50_32x4d",
    ("mobilenet_v2", None): "mobilenet_v2",
    **{("densenet", name): name for name in ("densenet121", "densenet161", "densenet169", "densenet201")},
    **{("convnext", name): f"convnext_{name}" for name in ("tiny", "small", "base")},
    **{("swin", name): f"swin_{name[0]}" for name in ("tiny", "small", "base")},
}


@pytest.mark.parametrize(("case", "other"), TORCHVISION.items(), ids=str)
def test_count_is_what_torchvision_publishes(case: tuple[str, str | None], other: str) -> None:
    weights = import_torchvision().models.get_model_weights(other).DEFAULT
    assert network(*case).report.parameters == weights.meta["num_params"]


def conv(inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> int:
    return inputs * outputs * kernel * kernel + bias * outputs


def linear(inputs: int, outputs: int, *, bias: bool = True) -> int:
    return inputs * outputs + bias * outputs


def norm(width: int) -> int:
    return 2 * width


def gpt2(width: int, depth: int) -> int:
    layer = norm(width) + linear(width, 3 * width) + linear(width, width) + norm(width) + linear(width, 4 * width) + linear(4 * width, width)
    return 50257 * width + 1024 * width + depth * layer + norm(width)


def bert() -> int:
    attention = linear(768, 3 * 768) + linear(768, 768)
    layer = attention + norm(768) + linear(768, 3072) + linear(3072, 768) + norm(768)
    return (30522 + 2 + 512) * 768 + norm(768) + 12 * layer


def moe() -> int:
    expert = linear(512, 1024) + linear(1024, 512)
    rms_norm = 512
    layer = linear(512, 4 * 512, bias=False) + 2 * rms_norm + linear(512, 8, bias=False) + 8 * expert
    return 32000 * 512 + 8 * layer + rms_norm + linear(512, 32000, bias=False)


def fpn() -> int:
    stages = sum(conv(a, b, 3, bias=False) + norm(b) + conv(b, b, 3, bias=False) + norm(b) for a, b in pairwise((3, 64, 128, 256, 512, 1024)))
    pyramid = conv(1024, 256, 1) + conv(512, 256, 1) + conv(256, 256, 1) + 3 * conv(256, 256, 3)
    return stages + pyramid + sum(4 * conv(256, 256, 3) + conv(256, 9 * outputs, 3) for outputs in (80, 4))


def unet() -> int:
    def block(a: int, b: int, *, attend: bool = False) -> int:
        body = norm(a) + conv(a, b, 3) + linear(512, b) + norm(b) + conv(b, b, 3)
        attention = norm(b) + conv(b, 3 * b, 1) + conv(b, b, 1)
        return body + (conv(a, b, 1) if a != b else 0) + attend * attention

    time = linear(128, 512) + linear(512, 512)
    down = block(128, 128) + block(128, 128)
    down += conv(128, 128, 3) + block(128, 256, attend=True) + block(256, 256, attend=True)
    down += 2 * (conv(256, 256, 3) + 2 * block(256, 256))
    # What each block on the way up takes in: what comes from below, beside what was put aside at this size, last first.
    up = 2 * (3 * block(256 + 256, 256) + conv(256, 256, 3))
    up += 2 * block(256 + 256, 256, attend=True) + block(256 + 128, 256, attend=True) + conv(256, 256, 3)
    up += block(256 + 128, 128) + 2 * block(128 + 128, 128)
    return time + conv(3, 128, 3) + down + block(256, 256, attend=True) + up + norm(128) + conv(128, 3, 3)


HAND = {
    ("bert_mean", None): bert(),
    ("diffusion_unet", None): unet(),
    ("fpn", None): fpn(),
    ("gpt2", "small"): gpt2(768, 12),
    ("gpt2", "medium"): gpt2(1024, 24),
    ("gpt2", "large"): gpt2(1280, 36),
    ("gpt2", "xl"): gpt2(1600, 48),
    ("moe", None): moe(),
    # The tower is one, whatever passes through it.
    ("siamese", None): conv(1, 32, 3) + conv(32, 64, 3) + conv(64, 128, 3) + linear(128 * 3 * 3, 128),
    ("vae", None): linear(784, 400) + 2 * linear(400, 20) + linear(20, 400) + linear(400, 784),
}


@pytest.mark.parametrize(("case", "count"), HAND.items(), ids=str)
def test_count_is_that_by_hand(case: tuple[str, str | None], count: int) -> None:
    assert network(*case).report.parameters == count


def test_counts_by_hand_are_those_of_papers() -> None:
    """BERT base has 109,482,240 with its pooler; the paper's U-Net, 35.7 million, has a second residual block in the middle."""
    assert bert() + linear(768, 768) == 109_482_240
    block = norm(256) + conv(256, 256, 3) + linear(512, 256) + norm(256) + conv(256, 256, 3)
    assert unet() + block == 35_746_307
    assert [gpt2(768, 12), gpt2(1024, 24), gpt2(1280, 36), gpt2(1600, 48)] == [124_439_808, 354_823_168, 774_030_080, 1_557_611_200]


def test_every_variant_is_counted() -> None:
    assert set(TORCHVISION) | set(HAND) == set(EVERY)
