"""Which feature meets which input, and what sizes that fixes."""

from __future__ import annotations

import pytest

from specbuilder.plan.binding import bind_names, match
from specbuilder.shapes import Dim, parse_type

F32 = parse_type("float32[B, 4]")


@pytest.mark.parametrize(
    ("inputs", "features", "written", "bound"),
    [
        (["image"], {"image": False, "label": True}, {}, {"image": "image"}),
        (["x"], {"image": False, "label": True}, {}, {"x": "image"}),  # lone to lone
        (["x"], {"image": False, "depth": False, "label": True}, {}, {}),  # two could be meant
        (["x"], {"image": False, "depth": False}, {"x": "depth"}, {"x": "depth"}),
        (["image", "x"], {"image": False, "depth": False, "label": True}, {}, {"image": "image", "x": "depth"}),  # what is left over
        (["a", "b"], {"a": False, "b": False, "y": True}, {"a": "b", "b": "a"}, {"a": "b", "b": "a"}),
        (["label"], {"image": False, "label": True}, {}, {"label": "label"}),  # by name even a target
        (["x"], {"label": True}, {}, {}),
    ],
)
def test_names_are_bound(inputs: list[str], features: dict[str, bool], written: dict[str, str], bound: dict[str, str]) -> None:
    assert bind_names(dict.fromkeys(inputs, F32), features, written) == bound


@pytest.mark.parametrize(
    ("wanted", "given", "sizes"),
    [
        ("float32[B, 1, 8, 8]", "float32[B, 1, 8, 8]", {}),
        ("float32[B, 1, H, W]", "float32[B, 1, 8, 6]", {"H": 8, "W": 6}),
        ("float32[B, 1, H, H]", "float32[B, 1, 8, 8]", {"H": 8}),
        ("float32[B, 3, 16*h, 16*w]", "float32[B, 3, 32, 48]", {"h": 2, "w": 3}),
        ("float32[B, T + 1]", "float32[B, 5]", {"T": 4}),
        ("float32[N, 4]", "float32[B, 4]", None),
    ],
)
def test_types_match(wanted: str, given: str, sizes: dict[str, int] | None) -> None:
    found: dict[str, Dim] = {}
    assert match(parse_type(wanted), parse_type(given), found) is None
    if sizes is not None:
        assert {name: size for name, size in found.items() if name != "B"} == sizes
    else:
        assert str(found["N"]) == "B", "a symbol may stand for another"


@pytest.mark.parametrize(
    ("wanted", "given", "why"),
    [
        ("float32[B, 4]", "int64[B, 4]", "its dtype is int64, not float32"),
        ("float32[B, 64]", "float32[B, 1, 8, 8]", "it has 4 axes, not 2"),
        ("float32[B, 1, 28, 28]", "float32[B, 1, 8, 8]", "axis 2 has size 8, not 28"),
        ("float32[B, 1, H, H]", "float32[B, 1, 8, 6]", "axis 3 has size 6, not 8"),
        ("float32[B, 3, 16*h, 8]", "float32[B, 3, 40, 8]", "axis 2 has size 40, not 16*h"),
    ],
)
def test_types_that_do_not_match(wanted: str, given: str, why: str) -> None:
    assert match(parse_type(wanted), parse_type(given), {}) == why
