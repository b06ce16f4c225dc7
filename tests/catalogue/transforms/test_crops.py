"""`random_crop` is torchvision's pad and crop at the drawn place, and every place is equally likely."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specbuilder.catalogue.contract import Refusal
from specbuilder.catalogue.transforms.crops import Mode, RandomCrop
from specbuilder.shapes import parse_type

MODES: tuple[Mode, ...] = ("constant", "edge", "reflect", "symmetric")


@given(st.data())
def test_equal_to_torchvision(torchvision: ModuleType, data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    mode = data.draw(st.sampled_from(MODES))
    largest = min(height, width) - (mode == "reflect")
    margin = st.integers(0, 4 if mode in ("constant", "edge") else largest)
    padding = data.draw(st.one_of(margin, st.tuples(margin, margin), st.tuples(margin, margin, margin, margin)))
    left, top, right, bottom = (padding,) * 4 if isinstance(padding, int) else padding * (4 // len(padding))
    size = data.draw(st.integers(1, height + top + bottom)), data.draw(st.integers(1, width + left + right))
    fill = data.draw(st.sampled_from((0.0, -2.5))) if mode == "constant" and any((left, top, right, bottom)) else 0.0
    u = torch.tensor(data.draw(st.lists(st.tuples(draws(), draws()), min_size=1, max_size=4)))
    x = torch.arange(1.0, len(u) * 2 * height * width + 1).view(len(u), 2, height, width)

    found = RandomCrop(size=size, padding=padding, padding_mode=mode, fill=fill).apply(x, u)
    for i, (first, second) in enumerate(u.double().tolist()):
        padded = torchvision.pad(x[i], [left, top, right, bottom], fill=fill, padding_mode=mode)
        place = math.floor(first * (padded.shape[1] - size[0] + 1)), math.floor(second * (padded.shape[2] - size[1] + 1))
        assert torch.equal(found[i], torchvision.crop(padded, *place, *size))


BY_HAND: list[tuple[Mode, list[list[int]]]] = [
    ("constant", [[9, 9, 9, 9, 9], [9, 1, 2, 9, 9], [9, 3, 4, 9, 9]]),
    ("edge", [[1, 1, 2, 2, 2], [1, 1, 2, 2, 2], [3, 3, 4, 4, 4]]),
    ("symmetric", [[1, 1, 2, 2, 1], [1, 1, 2, 2, 1], [3, 3, 4, 4, 3]]),
]


@pytest.mark.parametrize(("mode", "expected"), BY_HAND)
def test_margin_by_hand(mode: Mode, expected: list[list[int]]) -> None:
    """Left 1, top 1, right 2, bottom 0 about [[1, 2], [3, 4]]."""
    crop = RandomCrop(size=(3, 5), padding=(1, 1, 2, 0), padding_mode=mode, fill=9.0 if mode == "constant" else 0.0)
    assert crop.apply(torch.tensor([[[[1, 2], [3, 4]]]]), torch.tensor([[0.9, 0.9]])).tolist() == [[expected]]


def draws() -> st.SearchStrategy[float]:
    """24 random bits, the ends included."""
    return st.integers(0, 2**24 - 1).map(lambda bits: bits / 2**24)


def test_largest_draw_stays_inside() -> None:
    """u * n must not round up to n for any n."""
    x = torch.zeros(1, 1, 1, 1)
    u = torch.full((1, 2), 1 - 2**-24)
    for size in (*range(1, 600), 2**12 - 1, 2**12 + 1):
        assert RandomCrop(size=1).apply(x.expand(1, 1, size, 1), u).shape == (1, 1, 1, 1)


def test_every_place_is_equally_likely() -> None:
    u = torch.rand(90_000, 2, generator=torch.Generator().manual_seed(0))
    pixels = torch.arange(9.0).view(1, 1, 3, 3).expand(len(u), 1, 3, 3)
    counts = RandomCrop(size=1).apply(pixels, u).flatten().long().bincount()
    assert len(counts) == 9
    assert (counts - 10_000).abs().max() < 6 * math.sqrt(10_000)


def test_whole_numbers_stay_exact_beyond_float32() -> None:
    """Segment numbers in int64 must not travel through float32, as they would in torch's own reflecting pad."""
    x = torch.arange(16).view(1, 1, 4, 4) + 2**53 + 1
    for mode in MODES:
        found = RandomCrop(size=4, padding=2, padding_mode=mode).apply(x, torch.tensor([[0.5, 0.5]]))
        assert torch.equal(found, x)


REFUSED = [
    ({"size": 32}, "float32[B, 3, 28, 32]", "size", "`random_crop` cuts out height 32, but only 28 is there", None),
    ({"size": 32, "padding": 1}, "float32[B, 3, 32, 28]", "size", "`random_crop` cuts out width 32, but only 30 is there (padding 2 included)", None),
    ({"size": 32}, "float32[B, 3, H, 32]", "size", "`random_crop` cuts out height 32, but cannot prove that `H` is as large", None),
    (
        {"size": 8, "padding": (0, 0, 0, 8), "padding_mode": "reflect"},
        "float32[B, 3, 8, 8]",
        "padding",
        "`random_crop` mirrors a margin of 8, but height `8` shows at most `7` in a mirror",
        "make it smaller, or write `padding_mode: edge`",
    ),
    (
        {"size": 8, "padding": (9, 0), "padding_mode": "symmetric"},
        "float32[B, 3, 8, 8]",
        "padding",
        "`random_crop` mirrors a margin of 9, but width `8` shows at most `8` in a mirror",
        "make it smaller, or write `padding_mode: edge`",
    ),
    (
        {"size": 8, "padding_mode": "edge"},
        "float32[B, 3, 8, 8]",
        "padding_mode",
        "`random_crop` adds no margin, so `padding_mode` has no effect",
        "add `padding`, or delete `padding_mode`",
    ),
    (
        {"size": 8, "fill": 1.0},
        "float32[B, 3, 8, 8]",
        "fill",
        "`random_crop` adds no margin, so `fill` has no effect",
        "add `padding`, or delete `fill`",
    ),
    (
        {"size": 8, "padding": 1, "padding_mode": "edge", "fill": 1.0},
        "float32[B, 3, 8, 8]",
        "fill",
        "`random_crop` fills nothing with `padding_mode: edge`",
        "delete `fill`",
    ),
    (
        {"size": 8, "padding": 1, "fill": 0.5},
        "uint8[B, 3, 8, 8]",
        "fill",
        "`random_crop` fills with 0.5, but uint8 pixels are whole numbers from 0 to 255",
        None,
    ),
    (
        {"size": 8, "padding": 1, "fill": 256.0},
        "uint8[B, 3, 8, 8]",
        "fill",
        "`random_crop` fills with 256, but uint8 pixels are whole numbers from 0 to 255",
        None,
    ),
    ({"size": 8, "padding": 1, "fill": 0.5}, "int64[B, 3, 8, 8]", "fill", "`random_crop` fills with 0.5, but int64 pixels are whole numbers", None),
    ({"size": 8}, "float32[B, 64]", None, "`random_crop` wants [batch, channels, height, width], but float32[B, 64] has 2 axes", None),
]


@pytest.mark.parametrize(("fields", "given", "field", "message", "help"), REFUSED)
def test_refused(fields: dict[str, Any], given: str, field: str | None, message: str, help: str | None) -> None:
    with pytest.raises(Refusal) as refusal:
        RandomCrop(**fields).infer(parse_type(given))
    assert (refusal.value.message, refusal.value.field, refusal.value.help) == (message, field, help)


@pytest.mark.parametrize(
    ("given", "gives"),
    [
        ("float32[B, 3, 2*h + 28, 32]", "float32[B, 3, 30, 30]"),
        ("bool[B, C, 32, 32]", "bool[B, C, 30, 30]"),
    ],
)
def test_symbolic_sizes_pass_when_they_are_large_enough(given: str, gives: str) -> None:
    assert str(RandomCrop(size=30).infer(parse_type(given))) == gives
