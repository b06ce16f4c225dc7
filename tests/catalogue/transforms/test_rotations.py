"""`random_rotation` is torchvision's rotate by the drawn angle: bit for bit with `nearest`, within a tolerance with `bilinear`."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from specbuilder.catalogue.contract import Refusal
from specbuilder.catalogue.fields import check
from specbuilder.catalogue.transforms.rotations import RandomRotation
from specbuilder.shapes import parse_type

SIZES = [(1, 1), (1, 6), (8, 8), (9, 9), (17, 24), (32, 32), (64, 40)]


def numbered(count: int, channels: int, height: int, width: int) -> Tensor:
    """Images whose pixels all differ, none of them 0."""
    return torch.arange(1.0, channels * height * width + 1).view(1, channels, height, width).expand(count, -1, -1, -1).contiguous()


def drawn(count: int) -> Tensor:
    return torch.rand(count, 1, generator=torch.Generator().manual_seed(count))


def angles(low: float, high: float, u: Tensor) -> list[float]:
    return [low + each * (high - low) for each in u[:, 0].tolist()]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(("degrees", "low", "high"), [(10.0, -10.0, 10.0), ((-180.0, 180.0), -180.0, 180.0), ((350.0, 800.0), 350.0, 800.0)])
def test_nearest_is_torchvision_bit_for_bit(
    torchvision: ModuleType, height: int, width: int, degrees: float | tuple[float, float], low: float, high: float
) -> None:
    u = drawn(40)
    x = numbered(len(u), 2, height, width)
    found = RandomRotation(degrees=degrees).apply(x, u)
    for i, angle in enumerate(angles(low, high, u)):
        assert torch.equal(found[i], torchvision.rotate(x[i], angle, fill=0.0)), angle


def test_large_images_show_small_errors_of_the_angle(torchvision: ModuleType) -> None:
    """Far from the centre an angle in float32 would pick other pixels."""
    u = drawn(10)
    x = numbered(len(u), 1, 256, 320)
    found = RandomRotation(degrees=(350.0, 800.0)).apply(x, u)
    for i, angle in enumerate(angles(350.0, 800.0, u)):
        assert torch.equal(found[i], torchvision.rotate(x[i], angle, fill=0.0)), angle


@given(st.integers(1, 12), st.integers(1, 12), st.floats(-360, 360), st.floats(-3, 3, width=32))
def test_nearest_at_any_one_angle(torchvision: ModuleType, height: int, width: int, angle: float, fill: float) -> None:
    x = numbered(1, 1, height, width)
    found = RandomRotation(degrees=(angle, angle), fill=fill).apply(x, torch.tensor([[0.3]]))
    assert torch.equal(found[0], torchvision.rotate(x[0], angle, fill=fill))


@pytest.mark.parametrize(("height", "width", "turns"), [(h, w, turns) for h, w in SIZES for turns in range(-2, 5) if h == w or turns % 2 == 0])
def test_quarter_turns_move_whole_pixels(height: int, width: int, turns: int) -> None:
    """By hand: counter-clockwise, as rot90. Oblong images cannot show an odd one, since it would be cut off."""
    x = numbered(1, 2, height, width)
    rotation = RandomRotation(degrees=(90.0 * turns, 90.0 * turns))
    assert torch.equal(rotation.apply(x, torch.tensor([[0.7]])), torch.rot90(x, turns, (2, 3)))


@pytest.mark.parametrize("fill", [0.0, 0.7])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_bilinear_is_torchvision_within_a_tolerance(torchvision: ModuleType, height: int, width: int, fill: float) -> None:
    u = drawn(30)
    x = torch.rand(30, 3, height, width, generator=torch.Generator().manual_seed(0))
    found = RandomRotation(degrees=45, interpolation="bilinear", fill=fill).apply(x, u)
    for i, angle in enumerate(angles(-45, 45, u)):
        expected = torchvision.rotate(x[i], angle, interpolation=torchvision.InterpolationMode.BILINEAR, fill=fill)
        torch.testing.assert_close(found[i], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_whole_pixels_are_those_of_torchvision(torchvision: ModuleType, interpolation: Literal["nearest", "bilinear"]) -> None:
    u = drawn(30)
    x = (numbered(30, 1, 12, 20) % 251).to(torch.uint8)
    rotation = RandomRotation(degrees=20, interpolation=interpolation, fill=9)
    found = rotation.apply(x, u)
    for i, angle in enumerate(angles(-20, 20, u)):
        expected = torchvision.rotate(x[i], angle, interpolation=torchvision.InterpolationMode(interpolation), fill=9)
        differ = (found[i].int() - expected.int()).abs()
        if interpolation == "nearest":
            assert differ.sum() == 0
        else:  # a value half-way between two whole numbers may round either way
            assert differ.max() <= 1
            assert differ.sum() <= 2


def test_large_whole_numbers_stay_exact() -> None:
    x = torch.arange(25).view(1, 1, 5, 5) + 2**53 + 1
    assert torch.equal(RandomRotation(degrees=(90.0, 90.0)).apply(x, torch.tensor([[0.0]])), torch.rot90(x, 1, (2, 3)))


REFUSED = [
    ({"degrees": 5}, "float32[B, 3, 8]", None, "`random_rotation` wants [batch, channels, height, width], but float32[B, 3, 8] has 3 axes"),
    ({"degrees": 5}, "complex64[B, 3, 8, 8]", None, "`random_rotation` wants real numbers, but complex64 arrives"),
    (
        {"degrees": 5, "fill": 300},
        "uint8[B, 3, 8, 8]",
        "fill",
        "`random_rotation` fills with 300, but uint8 pixels are whole numbers from 0 to 255",
    ),
]


@pytest.mark.parametrize(("fields", "given", "field", "message"), REFUSED)
def test_refused(fields: dict[str, Any], given: str, field: str | None, message: str) -> None:
    with pytest.raises(Refusal) as refusal:
        RandomRotation(**fields).infer(parse_type(given))
    assert (refusal.value.message, refusal.value.field) == (message, field)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"degrees": (10.0, -10.0)}, "`degrees`: the lowest angle, 10, is above the highest, -10"),
        ({"degrees": -10}, "`degrees` wants a number that is not negative or a list of 2 numbers, but this is -10"),
        ({"degrees": 10, "interpolation": "bicubic"}, '`interpolation` wants `nearest` or `bilinear`, but this is the text "bicubic"'),
    ],
)
def test_wrong_fields(fields: dict[str, object], message: str) -> None:
    rotation, problems = check(RandomRotation, fields, owner="random_rotation")
    assert rotation is None
    assert [problem.message for problem in problems] == [message]
