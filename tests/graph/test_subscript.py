"""Indexing with sizes that are names: what is said for all sizes holds for each, with torch as the witness for the shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuilder.catalogue.contract import Refusal
from specbuilder.graph.subscript import Key, Range, Remaining, Subscripted, subscript
from specbuilder.shapes import Poly, TensorType, evaluate, holds, symbol

H, W = symbol("H"), symbol("W")
OFFSETS = st.integers(-6, 6)
ENDS = st.one_of(st.none(), OFFSETS, OFFSETS.map(lambda offset: H + offset), st.sampled_from([H // 2, (H + 1) // 2, -H]))
KEYS = st.one_of(
    OFFSETS,
    st.sampled_from([H - 1, H // 2, -H]),
    st.builds(Range, ENDS, ENDS, st.one_of(st.none(), st.integers(1, 4))),
    st.none(),
    st.just(Remaining()),
    st.just(TensorType("int64", (5,))),
)
SHAPES = st.sampled_from([(H, H), (H, W, H), (2 * H + 1, 3), (H // 2 + 1, W)])


def answer(x: TensorType, keys: Sequence[Key]) -> Subscripted | None:
    try:
        return subscript(x, keys)
    except Refusal:
        return None


def at_sizes(dim: int | Poly | None, sizes: dict[str, int]) -> int | None:
    return None if dim is None else evaluate(dim, sizes)


def key_at_sizes(key: Key, sizes: dict[str, int]) -> Key:
    if isinstance(key, Range):
        return Range(at_sizes(key.start, sizes), at_sizes(key.stop, sizes), key.step)
    return evaluate(key, sizes) if isinstance(key, Poly) else key


def of_torch(key: Key) -> Any:
    match key:
        case Range():
            return slice(key.start, key.stop, key.step)
        case Remaining():
            return ...
        case TensorType():
            return torch.zeros([dim for dim in key.shape if isinstance(dim, int)], dtype=torch.int64)
    return key


@given(SHAPES, st.lists(KEYS, min_size=1, max_size=4), st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=1500, deadline=None)
def test_what_holds_for_all_sizes_holds_for_each(shape: tuple[int | Poly, ...], keys: list[Key], h: int, w: int) -> None:
    sizes = {"H": h, "W": w}
    named = answer(TensorType("float32", shape), keys)
    there = tuple(evaluate(dim, sizes) for dim in shape)
    here = [key_at_sizes(key, sizes) for key in keys]
    concrete = answer(TensorType("float32", there), here)
    if named is None or not all(holds(requirement, sizes) for requirement in named.requirements):
        # A size may be counted from the other end once it is known (`x[H - 4]` at H = 3), but never by an index that is right for no size.
        assert concrete is None or any(isinstance(dim, Poly) for key in keys for dim in parts(key))
        return
    assert concrete is not None
    assert concrete.requirements == ()
    assert tuple(evaluate(dim, sizes) for dim in named.type.shape) == concrete.type.shape
    assert tuple(torch.zeros(there)[tuple(map(of_torch, here))].shape) == concrete.type.shape


def parts(key: Key) -> tuple[object, ...]:
    return (key.start, key.stop) if isinstance(key, Range) else (key,)


@pytest.mark.parametrize(
    ("keys", "shape", "requirements"),
    [
        ([Range(1, -1)], "[H - 2, W]", ["H >= 3"]),
        ([Range(None, H // 2)], "[H//2, W]", ["H >= 2"]),
        ([Range(H // 2)], "[H - H//2, W]", []),
        ([Range(-H)], "[H, W]", []),
        ([H - 1], "[W]", []),
        ([-1, -1], "[]", []),
        ([Range(step=2), Range(1, None, 2)], "[(H + 1)//2, W//2]", ["W >= 2"]),
    ],
)
def test_what_symbolic_sizes_give(keys: list[Key], shape: str, requirements: list[str]) -> None:
    found = subscript(TensorType("float32", (H, W)), keys)
    assert (found.type.shape_text, [str(requirement) for requirement in found.requirements]) == (shape, requirements)
