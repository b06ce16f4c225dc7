"""What sizes must meet: how it is said, and that saying it shorter loses nothing. The witness is brute force."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuilder.shapes import Requirement, evaluate, holds, parse_dim, strongest

SAID = [
    ("H", 32, "H >= 32", ("H", ">=", 32)),
    ("1024 - T", 0, "T <= 1024", ("T", "<=", 1024)),
    ("2*H", 5, "H >= 3", ("H", ">=", 3)),
    ("7 - 2*H", 0, "H <= 3", ("H", "<=", 3)),
    ("H//2", 1, "H >= 2", ("H", ">=", 2)),
    ("(H - 5)//2 + 1", 1, "H >= 5", ("H", ">=", 5)),
    ("(H + 31)//32", 1, "H >= 1", ("H", ">=", 1)),
    ("(H + 31)//32", 7, "H >= 193", ("H", ">=", 193)),
    ("3*((H + 31)//32) - 2", 8, "H >= 97", ("H", ">=", 97)),
    ("5 - H//2", 0, "H <= 11", ("H", "<=", 11)),
    ("(2*(H//3) + 1)//5 - 1", 2, "H >= 21", ("H", ">=", 21)),
    ("H - 2*W", 3, "H - 2*W >= 3", None),
    ("(H - 2*W)//4", 3, "H - 2*W >= 12", None),
    ("2*H - 4*W - 1", 2, "H - 2*W >= 2", None),
    ("9 - H - W", 0, "H + W <= 9", None),
    ("B*H*W", 2, "B*H*W >= 2", None),
    ("H**2", 5, "H**2 >= 5", None),
    ("H//2 + H//3", 4, "H//2 + H//3 >= 4", None),
    ("3", 4, "3 >= 4", None),
]


@pytest.mark.parametrize(("dim", "minimum", "text", "solved"), SAID)
def test_requirement_is_said_solved(dim: str, minimum: int, text: str, solved: tuple[str, str, int] | None) -> None:
    requirement = Requirement(parse_dim(dim), minimum)
    assert str(requirement) == text
    assert requirement.solved == solved


STRONGEST = [
    (["H - 2", "H - 31", "H", "H - 2"], ["H >= 32"]),
    (["(H + 31)//32", "(H - 5)//2 + 1", "W//4"], ["H >= 5", "W >= 4"]),
    (["1025 - T", "513 - T", "T"], ["T <= 512"]),
    (["H - 3", "9 - H"], ["H >= 4", "H <= 8"]),
    (["H - W - 3", "H - 3", "H - 4", "W - 1"], ["H - W >= 4", "W >= 2"]),
    (["H - W - 3", "H - 9"], ["H - W >= 4", "H >= 10"]),
    (["B*H - 1"], ["B*H >= 2"]),
    (["H//2 + W//2", "H//2 + W//2 - 4"], ["H//2 + W//2 >= 5"]),
    (["H", "H + W", "3"], []),
    (["2", "0"], ["0 >= 1"]),
]


@pytest.mark.parametrize(("dims", "texts"), STRONGEST)
def test_strongest(dims: list[str], texts: list[str]) -> None:
    assert [str(each) for each in strongest(Requirement(parse_dim(dim), 1) for dim in dims)] == texts


def test_strongest_keeps_the_order_and_the_first_of_equals() -> None:
    first, second, third = Requirement(parse_dim("W//2"), 2), Requirement(parse_dim("H//2"), 1), Requirement(parse_dim("H"), 2)
    assert strongest([first, second, third]) == (first, second)


@st.composite
def linear(draw: st.DrawFn) -> str:
    h, w, constant = draw(st.integers(-4, 4)), draw(st.integers(-2, 2)), draw(st.integers(-9, 9))
    text = f"({h}*H + {w}*W + {constant})"
    for _ in range(draw(st.integers(0, 2))):
        text = f"({draw(st.sampled_from((-3, -1, 1, 2)))}*({text}//{draw(st.integers(2, 4))}) + {draw(st.integers(-3, 3))})"
    return text


@given(linear(), st.integers(-5, 5))
def test_what_is_said_is_what_is_meant(text: str, minimum: int) -> None:
    requirement = Requirement(parse_dim(text), minimum)
    left, sign, right = str(requirement).rpartition("= ")[0][:-2], str(requirement).rpartition("=")[0][-1], int(str(requirement).rpartition("= ")[2])
    for h, w in product(range(1, 25), repeat=2):
        sizes = {"H": h, "W": w}
        said = evaluate(parse_dim(left), sizes)
        assert (said >= right if sign == ">" else said <= right) is holds(requirement, sizes) is (eval(text, {}, sizes) >= minimum)


@given(st.lists(st.tuples(linear(), st.integers(-5, 5)), max_size=6))
def test_the_strongest_say_as_much_as_all(drawn: list[tuple[str, int]]) -> None:
    given = [Requirement(parse_dim(text), minimum) for text, minimum in drawn]
    kept = strongest(given)
    assert set(kept) <= set(given)
    for h, w in product(range(1, 25), repeat=2):
        sizes = {"H": h, "W": w}
        assert all(holds(each, sizes) for each in kept) is all(holds(each, sizes) for each in given)
