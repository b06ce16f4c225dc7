"""The rule behind sizes that were seen: found where there is one of the form floor((a*x + b) / c), and never made up where there is none."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specbuilder.catalogue.fitting import LARGEST_DIVISOR, MOST_ASKED, Line, fit
from specbuilder.shapes import symbol

FIRST = st.sampled_from((1, 2, 8, 24, 32, 40, 64, 224))

FITTING: list[tuple[str, Callable[[int], int], Line]] = [
    ("as it came", lambda x: x, Line(1, 0, 1)),
    ("always 7", lambda x: 0 * x + 7, Line(0, 7, 1)),
    ("stride 2, kernel 3, padding 1", lambda x: (x + 2 - 3) // 2 + 1, Line(1, 1, 2)),
    ("five of these", lambda x: (x + 31) // 32, Line(1, 31, 32)),
    ("transposed, stride 2, kernel 4", lambda x: 2 * (x - 1) + 4, Line(2, 2, 1)),
    ("two thirds, rounded up", lambda x: -(-2 * x // 3), Line(2, 2, 3)),
    ("frames of sound, hop 160", lambda x: x // 160 + 1, Line(1, 160, 160)),
    ("what is missing to 5000", lambda x: 5000 - x, Line(-1, 5000, 1)),
]

NOT_FITTING: list[tuple[str, Callable[[int], int]]] = [
    ("all pairs", lambda x: x * x),
    ("half of the pairs", lambda x: x * (x - 1) // 2),
    ("at least 8", lambda x: max(x, 8)),
    ("at most 30", lambda x: min(x, 30)),
    ("what is left over", lambda x: x % 7 + 1),
    ("a root", isqrt),
    ("bits", int.bit_length),
    ("up to a multiple of 8", lambda x: -(-x // 8) * 8),
    ("into a fixed number", lambda x: 2400 // x),
    ("no order at all", lambda x: hash((x, "size")) % 1000 if x else 0),
]


@pytest.mark.parametrize(("rule", "line"), [case[1:] for case in FITTING], ids=[case[0] for case in FITTING])
def test_rule_is_found(rule: Callable[[int], int], line: Line) -> None:
    assert fit(rule, 24) == line


@pytest.mark.parametrize("rule", [case[1] for case in NOT_FITTING], ids=[case[0] for case in NOT_FITTING])
def test_no_rule_is_made_up(rule: Callable[[int], int]) -> None:
    assert fit(rule, 24) is None


@settings(max_examples=200)
@given(a=st.integers(-8, 16), b=st.integers(-300, 300), c=st.integers(1, LARGEST_DIVISOR), first=FIRST)
def test_every_rule_of_the_form_is_found_exactly(a: int, b: int, c: int, first: int) -> None:
    asked: list[int] = []

    def ask(x: int) -> int:
        asked.append(x)
        return (a * x + b) // c

    line = fit(ask, first)
    assert line is not None
    assert [line(x) for x in range(1, 3000)] == [(a * x + b) // c for x in range(1, 3000)]
    assert len(asked) == len(set(asked)) <= MOST_ASKED


@given(k=st.integers(1, 20), s=st.integers(1, 8), p=st.integers(0, 10), most=st.integers(100, 1000))
def test_sizes_that_cannot_arrive_do_not_stop_it(k: int, s: int, p: int, most: int) -> None:
    """Too small for the kernel, too large for a table of positions: no answer, and the rule for the others all the same."""

    def ask(x: int) -> int | None:
        return (x + 2 * p - k) // s + 1 if k <= x + 2 * p and x <= most else None

    line = fit(ask, 24)
    assert line is not None
    assert [line(x) for x in range(k, most + 1)] == [ask(x) if ask(x) is not None else line(x) for x in range(k, most + 1)]


@given(values=st.lists(st.integers(1, 10**6), min_size=40, max_size=40, unique=True), first=FIRST)
def test_sizes_without_order_fit_nothing(values: list[int], first: int) -> None:
    line = fit(lambda x: values[x * 7919 % 40], first)
    assert line is None


def test_line_says_what_it_is_of_a_symbol() -> None:
    assert str(Line(1, 31, 32)(symbol("H"))) == "(H + 31)//32"
    assert str(Line(2, 2, 1)(symbol("T"))) == "2*T + 2"
