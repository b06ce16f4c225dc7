"""Rules with symbols say what they say with numbers: infer, then substitute, equals substitute, then infer.

The witness is the rule itself on numbers, which `test_nodes` holds against torch. Sizes on some axes of a drawn use become symbols, equal sizes the same one. A rule may
refuse what it cannot prove; what it accepts must hold for the numbers, as far as the requirements it states are met.
"""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from specbuilder.catalogue.contract import Loss, Node, Refusal
from specbuilder.shapes import Dim, TensorType, evaluate, holds, symbol
from tests.contract.draws import Arriving, Use, uses
from tests.contract.test_nodes import CASES, SLOW

DRAWS = 60
TRAINING_ONLY = "has one value for each channel"
"""Batch normalisation of a lone value is refused in training only, so it is no requirement on what arrives."""


@st.composite
def symbolic(draw: DrawFn, use: Use) -> tuple[Arriving, ...]:
    """The same types, with the sizes on some axes as symbols: size 4 is `s4` on each of them."""
    chosen = draw(st.sampled_from(({0}, {0, 2}, {0, 2, 3}, {2, 3, 4}, {0, 1}, {1}, {0, 1, 2, 3, 4})))

    def renamed(each: TensorType) -> TensorType:
        return each.with_shape(tuple(symbol(f"s{size}") if at in chosen else size for at, size in enumerate(each.shape)))

    return tuple(None if each is None else tuple(map(renamed, each)) if isinstance(each, tuple) else renamed(each) for each in use.arriving)


NUMBERS = {f"s{size}": size for size in range(1, 20)}


def number(size: Dim) -> int:
    return evaluate(size, NUMBERS)


def accepts(kind: Node, arriving: tuple[Arriving, ...]) -> tuple[TensorType, ...] | str:
    try:
        left = kind.infer(*arriving)
    except Refusal as refusal:
        return refusal.message
    return left if isinstance(left, tuple) else (left,)


@pytest.mark.parametrize("kind", CASES)
def test_symbols_and_numbers_agree(kind: type[Node]) -> None:
    accepted = 0

    @settings(max_examples=DRAWS, derandomize=True, database=None, deadline=None, suppress_health_check=SLOW)
    @given(st.data())
    def each(data: st.DataObject) -> None:
        nonlocal accepted
        use = data.draw(uses(kind))
        try:
            instance = kind(**use.fields)
        except ValueError:
            return
        arriving = data.draw(symbolic(use))
        with_symbols, with_numbers = accepts(instance, arriving), accepts(instance, use.arriving)
        if isinstance(with_symbols, str):
            return
        here = f"{use} as {arriving}"
        requirements = instance.requirements(*arriving) if not isinstance(instance, Loss) else ()
        met = all(holds(each, NUMBERS) for each in requirements) and all(number(size) >= 1 for each in with_symbols for size in each.shape)
        if isinstance(with_numbers, str):
            assert not met or TRAINING_ONLY in with_numbers, f"{here}: {with_numbers}"
            return
        accepted += 1
        assert met, f"{here}: {', '.join(map(str, requirements))}"
        assert tuple(each.with_shape(tuple(map(number, each.shape))) for each in with_symbols) == with_numbers, here
        assert number(instance.flops(*arriving)) == instance.flops(*use.arriving), here
        same = {name: prod(parameter.shape) for name, parameter in instance.parameters(*arriving).items()}
        assert same == {name: prod(parameter.shape) for name, parameter in instance.parameters(*use.arriving).items()}, here

    each()
    assert accepted, "no draw with symbols was accepted"
