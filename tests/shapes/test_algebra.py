"""Sizes as symbols: what they print as, what they come to for given numbers, and where they end.

The witness is Python itself: the same text, evaluated with ints.
"""

from __future__ import annotations

import copy
import pickle
from math import prod
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuilder.shapes import Dim, DimError, Poly, evaluate, parse_dim, substitute, symbol
from tests.shapes.drawn import NAMES, expressions

SIZES = st.fixed_dictionaries({name: st.integers(1, 300) for name in NAMES})


@given(expressions(), SIZES)
def test_a_size_is_what_python_computes(text: str, sizes: dict[str, int]) -> None:
    assert evaluate(parse_dim(text), sizes) == eval(text, {}, sizes)


@given(expressions(), SIZES)
def test_text_is_read_back_as_the_same_size_and_is_python(text: str, sizes: dict[str, int]) -> None:
    dim = parse_dim(text)
    again = parse_dim(str(dim))
    assert again == dim
    assert hash(again) == hash(dim)
    assert str(again) == str(dim)
    assert eval(str(dim), {}, sizes) == evaluate(dim, sizes)


@given(expressions(), expressions(), SIZES)
def test_substitution_is_evaluation_of_the_parts(text: str, part: str, sizes: dict[str, int]) -> None:
    dim, inner = parse_dim(text), parse_dim(part)
    whole = substitute(dim, {"H": inner, "W": 7})
    assert evaluate(whole, sizes) == evaluate(dim, {**sizes, "H": evaluate(inner, sizes), "W": 7})


@given(expressions())
def test_a_constant_is_a_plain_int_and_a_poly_has_symbols(text: str) -> None:
    dim = parse_dim(text)
    assert isinstance(dim, int) or dim.symbols
    difference = dim - dim
    assert type(difference) is int
    assert difference == 0


PRINTED = [
    ("B", "B"),
    ("3", "3"),
    ("600_000", "600000"),
    ("16 * h", "16*h"),
    ("w*h*2", "2*h*w"),
    ("h*h*w", "h**2*w"),
    ("(h + 1)**2", "h**2 + 2*h + 1"),
    ("1 + H", "H + 1"),
    ("1024 - T", "1024 - T"),
    ("-T", "-T"),
    ("-2*T - 1", "-2*T - 1"),
    ("W + H - 3", "H + W - 3"),
    ("H//2", "H//2"),
    ("-(H//2)", "-(H//2)"),
    ("(-H)//2", "(-H)//2"),
    ("-H//2", "(-H)//2"),
    ("3*H//2", "3*H//2"),
    ("3*(H//2)", "3*(H//2)"),
    ("W*(H//2)*3", "3*W*(H//2)"),
    ("(H//2)**2", "(H//2)**2"),
    ("H//2 + 1", "H//2 + 1"),
    ("(H - 5)//2 + 1", "(H - 3)//2"),
    ("(H + 6 - 7)//2 + 1", "(H + 1)//2"),
    ("((H + 1)//2 - 1)//2 + 1", "(H + 3)//4"),
    ("(H//2 + W//2)//3", "(H + 2*(W//2))//6"),
    ("H//2//2//2", "H//8"),
    ("(W + H//2)//3", "(H + 2*W)//6"),
    ("2*(H//2)//3", "2*(H//2)//3"),
    ("(6*H + 4)//8", "(3*H + 2)//4"),
    ("(32*h + 31)//32", "h"),
    ("(16*h - 1)//2 + 1", "8*h"),
    ("(2*H + W)//2", "H + W//2"),
    ("H//1", "H"),
    ("H//-2", "(-H)//2"),
    ("H % 32", "H % 32"),
    ("(H + 7) % 5", "(H + 2) % 5"),
    ("2*H % 4", "2*(H % 2)"),
    ("4*H % 2", "0"),
    ("H % 2 + 1", "H - 2*(H//2) + 1"),
    ("H - H", "0"),
    ("H*0 + 2", "2"),
    ("H**0", "1"),
    ("(B*T)//T", "B"),
    ("(B*T)//B*2", "2*T"),
    ("B*(T + 1)//(T + 1)", "B"),
    ("(4*B*T + 2*T)//(6*T)", "(2*B + 1)//3"),
    ("B*T % T", "0"),
    ("(H**2 - W**2)//(H - W)", "H + W"),
    ("B*(H//2)//(H//2)", "B"),
    ("2**3*-1", "-8"),
    ("-2**2", "-4"),
    ("7//2 + 7 % 4", "6"),
    ("+H", "H"),
    ("- -H", "H"),
]


@pytest.mark.parametrize(("text", "printed"), PRINTED)
def test_printed_form(text: str, printed: str) -> None:
    assert str(parse_dim(text)) == printed
    assert parse_dim(printed) == parse_dim(text)


def test_seven_by_seven_and_pool_print_as_in_the_language_page() -> None:
    size: Dim = symbol("H")
    for kernel, padding in ((7, 3), (3, 1), (3, 1), (3, 1), (3, 1)):
        size = (size + 2 * padding - kernel) // 2 + 1
    assert str(size) == "(H + 31)//32"
    assert size == (symbol("H") + 31) // 32


REFUSED = [
    ("", "a size is missing", ""),
    ("  ", "a size is missing", "  "),
    ("3/2", "`/` gives a fraction; write `//`", "/"),
    ("H +", "the size ends too early", ""),
    ("(H + 1", "this bracket is never closed", "("),
    ("H)", "`)` has no place here", ")"),
    ("H W", "expected an operator, found `W`", "W"),
    ("2H", "expected an operator, found `H`", "H"),
    ("H(2)", "expected an operator, found `(`", "("),
    ("H * *", "expected a name or a number, found `*`", "*"),
    ("$n + 1", "`$` has no place here", "$"),
    ("H²", "`²` has no place here", "²"),
    ("٣", "`٣` has no place here", "٣"),
    ("höhe", "`ö` has no place here", "ö"),
    ("1.5", "`.` has no place here", "."),
    ("lambda", "`lambda` cannot be the name of a size", "lambda"),
    ("2*true", "`true` cannot be the name of a size", "true"),
    ("1__0", "`1__0` is no number", "1__0"),
    ("9223372036854775808", "this number is too large for a size", "9223372036854775808"),
    ("9" * 5000, "a size of more than 4096 characters is too long", "9" * 5000),
    ("H + 9223372036854775807 * 2", "this number is too large for a size", "9223372036854775807 * 2"),
    ("1 + 9223372036854775807*H*2", "18446744073709551614 is too large for a size", "9223372036854775807*H*2"),
    ("H//0", "`H` is divided by zero", "H//0"),
    ("H % 0", "`H` is divided by zero", "H % 0"),
    ("B + 3//(2 - 2)", "`3` is divided by zero", "3//(2 - 2)"),
    ("B*T//H", "cannot divide `B*T` by `H`: that is a whole size only where the division is exact", "B*T//H"),
    ("B + 2*T//(2*T + 2)", "cannot divide `2*T` by `2*T + 2`: that is a whole size only where the division is exact", "2*T//(2*T + 2)"),
    ("(3*T + W)//(2*T + W)", "cannot divide `3*T + W` by `2*T + W`: that is a whole size only where the division is exact", "(3*T + W)//(2*T + W)"),
    ("1 + 10 % H", "cannot divide `10` by `H`: that is a whole size only where the division is exact", "10 % H"),
    ("2**H", "the exponent `H` must be a number", "2**H"),
    ("H**-1", "the exponent -1 must lie between 0 and 64", "H**-1"),
    ("2**2**2**2**2", "the exponent 65536 must lie between 0 and 64", "2**2**2**2**2"),
    ("3 + 2**64", "this number is too large for a size", "2**64"),
    ("H**64*H", "a product of more than 64 sizes is too long to compute with", "H**64*H"),
    ("(" * 60 + "H", "this size is nested too deeply", "("),
    ("-" * 60 + "H", "this size is nested too deeply", "-"),
    ("+".join(f"a{n}" for n in range(600)), "a size of more than 512 terms is too long to compute with", "+".join(f"a{n}" for n in range(513))),
    ("(a+b+c+d+e+f+g+h+j+k)**9", "a size of more than 512 terms is too long to compute with", "(a+b+c+d+e+f+g+h+j+k)**9"),
    ("H" + "//2*3" * 40, "this size is too long to compute with", "H" + "//2*3" * 32 + "//2"),
    ("H" + "//2" * 63, "9223372036854775808 is too large for a size", "H" + "//2" * 63),
]


@pytest.mark.parametrize(("text", "message", "marked"), REFUSED, ids=[text[:24] for text, _, _ in REFUSED])
def test_what_is_refused_says_why_and_where(text: str, message: str, marked: str) -> None:
    with pytest.raises(DimError) as caught:
        parse_dim(text)
    error = caught.value
    assert (error.message, text[error.start : error.end]) == (message, marked)
    assert str(error) == message


def test_growth_ends_with_an_error() -> None:
    def grow(size: Dim, steps: int) -> Dim:
        return grow(3 * (size // 2) + 5 * (size // 7), steps - 1) if steps else size

    with pytest.raises(DimError, match="this size is too long to compute with"):
        grow(symbol("H"), 40)


def test_a_size_is_neither_ordered_nor_true_nor_an_index() -> None:
    h: Any = symbol("H")
    for wrong in (lambda: h < 3, lambda: h >= 3, lambda: h > h, lambda: range(h), lambda: int(h), lambda: h / 2, lambda: h + 1.0, lambda: 1.5 * h):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError, match=r"whether `H//2` is zero depends on H; use `equal` or `compare`"):
        bool(h // 2)


def test_equality_is_that_of_the_normal_form() -> None:
    h = symbol("H")
    assert h + 1 == 1 + h
    assert h != 1
    assert h != "H"
    assert h in [1, h]
    assert -1 not in [h, h + 1]
    assert (h + 1) // 2 + h // 2 != h  # equal for every size, which `equal` proves
    assert {h // 2: "half"}[h // 2] == "half"
    floor = (h * symbol("W") + 1) // 2
    assert isinstance(floor, Poly)
    assert floor.symbols == {"H", "W"}


def test_both_sides_may_be_numbers() -> None:
    h = symbol("H")
    assert [str(dim) for dim in (1 + h, 1 - h, 2 * h, 0 // h, 0 % h, h**2, h // h, h % h, prod([2, h, 3]), 1**2 * h)] == [
        "H + 1", "1 - H", "2*H", "0", "0", "H**2", "1", "0", "6*H", "H",
    ]  # fmt: skip
    with pytest.raises(DimError, match="the exponent `H` must be a number"):
        pow(2, h)


def test_copies_are_equal() -> None:
    dim = parse_dim("(H + 31)//32 * W")
    assert copy.deepcopy(dim) == dim
    assert pickle.loads(pickle.dumps(dim)) == dim
