"""The expression language against independent witnesses: Python's own evaluation for numbers and lists, numbers put in for symbols for dims."""

from __future__ import annotations

import math
import operator
import string
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from specbuilder import shapes
from specbuilder.language.expressions import ExpressionError, evaluate, parse, parse_template, render
from specbuilder.shapes import symbol

H, W = symbol("H"), symbol("W")
GIVEN: dict[str, Any] = {"a": 3, "rate": 0.5, "yes": True, "unit": "basic", "nothing": None, "depths": (2, 3, 6), "H": H, "W": W}


def outcome(text: str, given: Mapping[str, Any]) -> Any:
    """The value, or the error in its place."""
    try:
        return evaluate(parse(text), given.__getitem__, given)
    except ExpressionError as error:
        return error


# Against Python ------------------------------------------------------------------------------------------------------

NUMBERS = st.one_of(st.integers(0, 12).map(str), st.sampled_from(["0.5", "1.25", "3e0", "a", "b"]))
PYTHON_NAMES = {"a": 3, "b": 5}


@st.composite
def chains(draw: st.DrawFn, depth: int = 2, logical: bool = True) -> str:
    """Operands and operators in any order, so that only precedence says what belongs together. Brackets hold arithmetic."""

    def operand() -> str:
        signs = draw(st.sampled_from(["", "", "", "-", "not " if logical else "- "]))
        if depth and draw(st.integers(0, 3)) == 0:
            return f"{signs}({draw(chains(depth - 1, logical=False))})"
        return signs + draw(NUMBERS)

    operators = ["+", "-", "*", "/", "//", "%", "**"]
    if logical:
        operators += ["==", "!=", "<", "<=", ">", ">=", "and", "or", "if {} else"]
    text = operand()
    for _ in range(draw(st.integers(0, 5))):
        sign = draw(st.sampled_from(operators))
        text += f" {sign.format(operand()) if '{' in sign else sign} {operand()}"
    return text


@given(chains())
@settings(max_examples=400)
def test_arithmetic_and_logic_as_in_python(text: str) -> None:
    found = outcome(text, PYTHON_NAMES)
    if isinstance(found, ExpressionError):
        # Evaluating what is too large in Python would take forever; the caps have their own tests. Python also has complex numbers.
        assume("too large" not in found.message and "no real value" not in found.message)
        with pytest.raises((SyntaxError, ZeroDivisionError)):
            python(text)
    else:
        assert (type(found), found) == (type(python(text)), python(text))


def python(text: str) -> Any:
    return eval(text, {"__builtins__": {}}, dict(PYTHON_NAMES))


@given(st.lists(st.integers(0, 9), max_size=6), *[st.none() | st.integers(-8, 8)] * 3)
def test_slices_as_in_python(items: list[int], lower: int | None, upper: int | None, step: int | None) -> None:
    assume(step != 0)
    text = ":".join("" if bound is None else str(bound) for bound in (lower, upper, step))
    for sequence in (tuple(items), "".join(map(str, items))):
        assert evaluate(parse(f"x[{text}]"), {"x": sequence}.__getitem__) == sequence[lower:upper:step]


REALS = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6, allow_nan=False))


@given(st.lists(REALS, min_size=2, max_size=5))
def test_functions_as_in_python(items: list[float]) -> None:
    given_names = {"x": tuple(items), "y": items[0]}
    witnesses: dict[str, Callable[[], Any]] = {
        "min(x)": lambda: min(items),
        "max(x)": lambda: max(items),
        "max(x[0], x[1])": lambda: max(items[0], items[1]),
        "round(y)": lambda: round(items[0]),
        "round(y, 1)": lambda: round(items[0], 1),
        "floor(y)": lambda: math.floor(items[0]),
        "ceil(y)": lambda: math.ceil(items[0]),
        "abs(y)": lambda: abs(items[0]),
        "int(y)": lambda: int(items[0]),
        "len(x)": lambda: len(items),
        "sqrt(abs(y))": lambda: math.sqrt(abs(items[0])),
        "log(abs(y) + 1)": lambda: math.log(abs(items[0]) + 1),
    }
    for text, witness in witnesses.items():
        assert (type(witness()), witness()) == (type(found := evaluate(parse(text), given_names.__getitem__)), found), text
    assert evaluate(parse("sum(x)"), given_names.__getitem__) == pytest.approx(math.fsum(items), abs=1e-6)


@given(*[st.integers(-12, 12)] * 3)
def test_range_as_in_python(start: int, stop: int, step: int) -> None:
    assume(step != 0)
    assert evaluate(parse(f"range({start}, {stop}, {step})"), {}.__getitem__) == tuple(range(start, stop, step))


# Dims against numbers ------------------------------------------------------------------------------------------------


@st.composite
def dims(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(["H", "W", "1", "2", "3", "7"]))
    left = draw(dims(depth=depth - 1))
    sign = draw(st.sampled_from(["+", "-", "*", "//", "%"]))
    right = str(draw(st.integers(1, 8))) if sign in ("//", "%") else draw(dims(depth=depth - 1))
    return f"({left} {sign} {right})"


SIZES = [{"H": h, "W": w} for h in (1, 2, 7, 32, 33) for w in (1, 3, 16)]


@given(dims())
def test_a_dim_has_the_value_of_its_sizes(text: str) -> None:
    found = evaluate(parse(text), {"H": H, "W": W}.__getitem__)
    assert isinstance(found, int | shapes.Poly)
    for sizes in SIZES:
        assert shapes.evaluate(found, sizes) == evaluate(parse(text), sizes.__getitem__) == eval(text, dict(sizes))


ORDERS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@given(dims(depth=2), st.sampled_from(sorted(ORDERS)), dims(depth=2))
def test_a_decided_comparison_holds_for_all_sizes(left: str, sign: str, right: str) -> None:
    text = f"{left} {sign} {right}"
    answers = {ORDERS[sign](eval(left, dict(sizes)), eval(right, dict(sizes))) for sizes in SIZES}
    found = outcome(text, {"H": H, "W": W})
    if isinstance(found, ExpressionError):
        assert found.message.startswith("cannot decide `")
    else:
        assert {found} == answers


# Any text ------------------------------------------------------------------------------------------------------------

PIECES = st.one_of(
    st.sampled_from([*"()[],:+-*/%<>=.'\"$ \n\\", "**", "//", "==", "!=", " in ", " not ", " and ", " or ", " if ", " else ", "min", "len(", "sum"]),
    st.sampled_from([*GIVEN, "1", "0", "2.5", "1e3", "null", "true", "k="]),
    st.text(max_size=2),
    st.text(string.printable, max_size=4),
)


@given(st.lists(PIECES, max_size=25).map("".join))
@settings(max_examples=600)
def test_any_text_has_a_value_or_a_mistake_inside_it(text: str) -> None:
    found = outcome(text, GIVEN)
    if isinstance(found, ExpressionError):
        assert 0 <= found.start <= found.end <= len(text)


@given(st.lists(PIECES | st.sampled_from(["$", "$a", "$(", "$$", "${"]), max_size=25).map("".join))
@settings(max_examples=400)
def test_any_template_has_a_value_or_a_mistake_inside_it(text: str) -> None:
    try:
        template = parse_template(text)
        found = template and render(template, GIVEN.__getitem__, GIVEN)
    except ExpressionError as error:
        found = error
    if isinstance(found, ExpressionError):
        assert 0 <= found.start <= found.end <= len(text)
    else:
        assert (found is None and "$" not in text) or "$" in text


@given(st.text(), st.text(string.ascii_letters))
def test_a_dollar_sign_can_be_written(before: str, after: str) -> None:
    text = f"{before}${after}"
    template = parse_template(text.replace("$", "$$"))
    assert template is not None and template.whole is None
    assert render(template, {}.__getitem__) == text
