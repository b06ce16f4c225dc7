"""What is proved about sizes, against brute force.

The tables hold the cases of the language page; the properties draw towers of floors and hold every verdict against all sizes up to a bound,
computed by Python's own ints.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import pairwise, product

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from specbuilder.dims.proof import _degree, _periods
from specbuilder.shapes import Poly, at_least, compare, counterexample, divisible, equal, evaluate, parse_dim, symbol
from tests.shapes.drawn import expressions

H = symbol("H")

EQUAL = [
    # ResNet: the strided 3x3 path and the strided 1x1 shortcut
    ("(H + 2 - 3)//2 + 1", "(H - 1)//2 + 1", True),
    ("(H + 31)//32", "((((((H - 1)//2 + 1 - 1)//2 + 1 - 1)//2 + 1 - 1)//2 + 1) - 1)//2 + 1", True),
    # U-Net: four times down and up again
    ("((((16*h//2)//2)//2)//2)*2*2*2*2", "16*h", True),
    ("((((8*h//2)//2)//2)//2)*2*2*2*2", "8*h", None),
    ("H//2*2", "H", None),
    # what no normal form above shows
    ("H//2 + (H + 1)//2", "H", True),
    ("H//3 + (H + 1)//3 + (H + 2)//3", "H", True),
    ("H + H//2", "3*H//2", True),
    ("(2*(H//3) + H//2)//1", "H//2 + H//3*2", True),
    ("(H % 6) % 3", "H % 3", True),
    ("(H % 2)**2", "H % 2", True),
    ("(H//2)*((H + 1)//2)", "H**2//4", True),
    ("(H*H + H)//2 * 2", "H**2 + H", True),
    ("W*(H//2 + (H + 1)//2)", "H*W", True),
    ("(H + W)//2 + (H + W + 1)//2", "H + W", True),
    ("(H//2)//3", "(H//3)//2", True),
    ("B*512*((H + 31)//32)*((W + 31)//32)", "512*B*((H - 1)//32 + 1)*(((W + 15)//16 + 1)//2)", True),
    ("3", "3", True),
    # refuted: different whatever the size
    ("3", "4", False),
    ("H", "H + 1", False),
    ("2*H", "2*W + 1", False),
    ("H//2", "H//2 + 1", False),
    ("(H + 2)//2", "H//2", False),
    ("H", "0", False),
    ("H*W", "0", False),
    ("3*H", "2", False),
    ("4*H//2*3", "6*W - 1", False),
    ("H**2 + 1", "2*H - 1", False),
    ("H**2 + 5", "4*H", False),
    ("H//2 - 1000", "H + 1", False),
    ("H*H - H", "2*W + 1", False),  # always even
    # neither
    ("H", "W", None),
    ("H", "1", None),
    ("H", "32", None),
    ("H", "2*W", None),
    ("(H + 31)//32", "H//32", None),
    ("H", "H//2", False),
    ("2*(H//3)//5", "0", None),  # zero up to 8
]


@pytest.mark.parametrize(("a", "b", "verdict"), EQUAL)
def test_equality(a: str, b: str, verdict: bool | None) -> None:
    assert equal(parse_dim(a), parse_dim(b)) is verdict
    assert equal(parse_dim(b), parse_dim(a)) is verdict


COMPARED = [
    ("H", ">=", "1", True),
    ("H", ">", "0", True),
    ("H", ">", "1", None),
    ("H", "<", "1", False),
    ("H", "<=", "0", False),
    ("H", "!=", "0", True),
    ("H", "!=", "H", False),
    ("H", "==", "1", None),
    ("H", "<", "H + 1", True),
    ("H", "<=", "H", True),
    ("H", "<", "H", False),
    ("H//2", "<=", "H", True),
    ("H//2", "<", "H", True),
    ("H % 32", "<", "32", True),
    ("H % 32", ">=", "0", True),
    ("H % 32", "<", "31", None),
    ("H % 32", "==", "0", None),
    ("32*h % 32", "==", "0", True),
    ("H*W", ">=", "1", True),
    ("H*W", ">=", "H", True),
    ("H*W + 1", ">=", "H + W", True),
    ("H**2", ">=", "H", True),
    ("H**2 + 30", ">=", "11*H", True),
    ("H**2 + 29", ">=", "11*H", None),
    ("H", ">=", "W", None),
    ("(H//640)*(W//640)", ">=", "0", True),  # too many classes; intervals tell
    ("3", "<", "4", True),
]


@pytest.mark.parametrize(("a", "sign", "b", "verdict"), COMPARED)
def test_comparison(a: str, sign: str, b: str, verdict: bool | None) -> None:
    assert compare(sign, parse_dim(a), parse_dim(b)) is verdict


DIVISIBLE = [
    ("16*h", 8, True),
    ("8*h", 16, None),
    ("H*(H + 1)", 2, True),
    ("H*(H + 1)*(H + 2)", 6, True),
    ("2*H + 1", 2, False),
    ("H", 2, None),
    ("H//2*4", 4, True),
    ("12", 4, True),
    ("12", 5, False),
]


@pytest.mark.parametrize(("dim", "divisor", "verdict"), DIVISIBLE)
def test_divisibility(dim: str, divisor: int, verdict: bool | None) -> None:
    assert divisible(parse_dim(dim), divisor) is verdict


COUNTEREXAMPLES = [
    ("H", "W", {"H": 1, "W": 2}),
    ("H//2*2", "H", {"H": 3}),  # not 1, where the left side would not exist
    ("8*h//16*16", "8*h", {"h": 3}),
    ("H", "1", {"H": 2}),
    ("H", "H - 9", {"H": 10}),
    ("H//2", "H//2 - H", {"H": 1}),
    ("a+b+c+d+e+f+g+h+j+k+l+m+n", "a+b+c+d+e+f+g+h+j+k+l+m+2*n", dict.fromkeys("abcdefghjklmn", 1)),
    ("H//2 + (H + 1)//2", "H", None),
    ("3", "4", {}),
    ("3", "3", None),
]


@pytest.mark.parametrize(("a", "b", "sizes"), COUNTEREXAMPLES)
def test_counterexample(a: str, b: str, sizes: dict[str, int] | None) -> None:
    assert counterexample(parse_dim(a), parse_dim(b)) == sizes


def test_counterexample_keeps_to_what_is_allowed() -> None:
    assert counterexample(H // 2 * 2, H, lambda sizes: sizes["H"] >= 32) == {"H": 33}


def test_too_many_classes_is_an_honest_none() -> None:
    assert equal(parse_dim("H//5000 + (H + 2500)//5000"), parse_dim("H//2500")) is None
    assert equal(parse_dim("H//50 + (H + 25)//50"), parse_dim("H//25")) is True


# Towers --------------------------------------------------------------------------------------------------------------

STEPS = ("(({x} + {n})//{m})", "({m}*{x} - {n})", "({x}//2)", "({x} - {x} % {m})", "({x} + {x}//{m})")
REWRITTEN = (
    "({x}//3 + ({x} + 1)//3 + ({x} + 2)//3)",
    "({x}//{m}*{m} + {x} % {m})",
    "(({m}*{x} + {m} - 1)//{m})",
    "(-((-{m}*{x})//{m}))",
    "(({x} + 1)//2 + {x}//2)",
)
"""Each is x."""

Tower = tuple[str, str]
"""A size, and the same size written in another way."""


@st.composite
def towers(draw: st.DrawFn, names: tuple[str, ...] = ("H",)) -> Tower:
    plain = disguised = draw(st.sampled_from(names))
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            disguised = draw(st.sampled_from(REWRITTEN)).format(x=disguised, m=draw(st.sampled_from((2, 3))))
        step, n, m = draw(st.sampled_from(STEPS)), draw(st.integers(0, 5)), draw(st.integers(2, 3))
        plain, disguised = step.format(x=plain, n=n, m=m), step.format(x=disguised, n=n, m=m)
    return plain, disguised


def python(text: str) -> Callable[..., int]:
    """The size as Python computes it."""
    return eval(f"lambda H, W=0: {text}")


@example("H//2 + H//3", 1, 1)
@example("H**2//3", 1, 1)
@example("(2*(H//3) + W)//4", 1, 1)
@given(expressions(("H", "W")), st.integers(1, 50), st.integers(1, 50))
def test_within_a_class_a_size_is_a_polynomial(text: str, h: int, w: int) -> None:
    """The fact that every proof stands on: steps as long as the period, one more than the degree, and nothing is left of the differences."""
    dim = parse_dim(text)
    assume(isinstance(dim, Poly) and "H" in dim.symbols)
    assert isinstance(dim, Poly)
    period, degree, f = _periods(dim, 1).get("H", 1), _degree(dim, "H"), python(text)
    differences = [f(h + k * period, w) for k in range(degree + 3)]
    for _ in range(degree + 1):
        differences = [b - a for a, b in pairwise(differences)]
    assert differences == [0, 0]


@given(towers())
def test_the_same_size_in_disguise_is_proved_equal(tower: Tower) -> None:
    plain, disguised = tower
    assert all(python(plain)(h) == python(disguised)(h) for h in range(1, 60))
    assert equal(parse_dim(plain), parse_dim(disguised)) is True


@given(towers(), towers(), st.integers(-6, 6))
def test_with_one_symbol_every_verdict_is_that_of_all_sizes(a: Tower, b: Tower, shift: int) -> None:
    """Slopes, steps and constants are so small that whatever happens at all happens early."""
    left, right = f"{a[0]} + {shift}", b[0]
    f, g = python(left), python(right)
    pairs = [(f(h), g(h)) for h in range(1, 3000)]
    for sign, holds in {"==": operator.eq, "<": operator.lt, ">=": operator.ge}.items():
        seen = {holds(*pair) for pair in pairs}
        verdict = seen.pop() if len(seen) == 1 else None
        assert compare(sign, parse_dim(left), parse_dim(right)) is verdict, sign


@given(towers(("H", "W")), towers(("H", "W")), st.integers(-6, 6))
def test_with_two_symbols_no_verdict_is_wrong(a: Tower, b: Tower, shift: int) -> None:
    left, right = f"({a[0]})*W + {shift}", f"({b[1]})*H"
    f, g = python(left), python(right)
    pairs = [(f(h, w), g(h, w)) for h, w in product(range(1, 40), repeat=2)]
    for sign, holds in {"==": operator.eq, "<": operator.lt, ">=": operator.ge}.items():
        verdict = compare(sign, parse_dim(left), parse_dim(right))
        assert verdict is None or {holds(*pair) for pair in pairs} == {verdict}, sign


@given(towers(("H", "W")), towers(("H", "W")))
def test_a_counterexample_is_one(a: Tower, b: Tower) -> None:
    left, right = parse_dim(a[0]), parse_dim(b[1])
    found = counterexample(left, right)
    if equal(left, right) is True:
        assert found is None
    else:
        assert found is not None
        assert evaluate(left, found) != evaluate(right, found)


@settings(max_examples=30)
@given(towers(), st.integers(2, 6))
def test_divisibility_is_that_of_all_sizes(tower: Tower, divisor: int) -> None:
    f = python(tower[0])
    seen = {f(h) % divisor == 0 for h in range(1, 3000)}
    assert divisible(parse_dim(tower[0]), divisor) is (seen.pop() if len(seen) == 1 else None)


@given(towers(("H", "W")), st.integers(-20, 20))
def test_at_least_is_never_wrong(tower: Tower, minimum: int) -> None:
    dim = parse_dim(f"{tower[0]} - H//3 + W")
    assume(not isinstance(dim, int))
    verdict = at_least(dim, minimum)
    if verdict is not None:
        assert all((evaluate(dim, {"H": h, "W": w}) >= minimum) is verdict for h, w in product(range(1, 30), repeat=2))
