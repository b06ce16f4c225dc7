"""What the operators of expressions do with values: numbers, texts, lists, symbolic dims.

In: values and the node to blame. Out: a value, or an `ExpressionError` that names what was found. Whole numbers stay whole, a boolean is no number,
a dim stays symbolic, and what is not so for every size is refused, never guessed. Sizes of results are checked before they are made, and a `Budget`
counts the elements that are looked at. Walking the tree is left to `evaluate`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from specbuilder.language.tokens import LARGEST, ExpressionError, Place, clip
from specbuilder.shapes import DimError, Poly, compare

Value = int | float | bool | str | None | Poly | tuple["Value", ...]

LONGEST_STRING = 4096
LONGEST_LIST = 100_000
DEEPEST_LIST = 64
LARGEST_EXPONENT = 64
MOST_STEPS = 1_000_000
"""How many elements of lists and characters of strings one evaluation may make or look at."""

_OPERATIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Budget:
    """What an evaluation may still cost."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_STEPS

    def spend(self, steps: int, at: Place) -> None:
        self.left -= steps
        if self.left < 0:
            raise ExpressionError(f"the expression takes more than {MOST_STEPS:_} steps", at.start, at.end)


class Undecided(ExpressionError):
    """A question about dims whose answer depends on their sizes."""


def is_number(value: Value) -> bool:
    return type(value) is int or type(value) is float


def noun(value: object) -> str:
    """What a message calls a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case tuple():
            return "a list"
        case Poly():
            return f"the dim `{shown(value)}`"
    return "a mapping"


def shown(value: Value) -> str:
    """The value as it would be written, short enough for a message."""
    if isinstance(value, tuple):
        return clip(f"[{', '.join(shown(item) for item in value[:10])}{', ...' if len(value) > 10 else ''}]")
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return clip(repr(value) if isinstance(value, str) else str(value))


# Truth and comparison ------------------------------------------------------------------------------------------------


def truth(value: Value, at: Place) -> bool:
    """As in Python: null, false, 0 and what is empty are false. A dim counts only if it is 0 for every size, or for none."""
    return _decided("!=", value, 0, at) if isinstance(value, Poly) else bool(value)


def _decided(sign: str, left: Value, right: Value, at: Place) -> bool:
    """A comparison with a dim on at least one side."""
    a, b = _whole(left), _whole(right)
    if a is None or b is None:
        raise ExpressionError(f"`{sign}` of {noun(left)} and {noun(right)}", at.start, at.end, "a dim is compared with whole numbers and dims")
    answer = compare(sign, a, b)
    if answer is None:
        symbols = sorted({symbol for value in (a, b) if isinstance(value, Poly) for symbol in value.symbols})
        question = f"{shown(left)} {sign} {shown(right)}"
        raise Undecided(f"cannot decide `{question}` for every {' and '.join(symbols)}", at.start, at.end)
    return answer


def _whole(value: Value) -> int | Poly | None:
    """The value as a whole number or dim; None when it is neither."""
    if isinstance(value, Poly) or type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def compared(sign: str, left: Value, right: Value, at: Place, budget: Budget) -> bool:
    """The answer of one comparison, `in` and `not in` included."""
    match sign:
        case "==":
            return equal(left, right, at, budget)
        case "!=":
            return not equal(left, right, at, budget)
        case "in":
            return contains(right, left, at, budget)
        case "not in":
            return not contains(right, left, at, budget)
    return ordered(sign, left, right, at)


def equal(left: Value, right: Value, at: Place, budget: Budget) -> bool:
    """As in Python, but a boolean equals no number. Lists with dims differ if any pair of elements does for every size."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return _equal_lists(left, right, at, budget)
    if isinstance(left, Poly) or isinstance(right, Poly):
        comparable = _whole(left) is not None and _whole(right) is not None
        return comparable and _decided("==", left, right, at)
    if isinstance(left, str) and isinstance(right, str):
        budget.spend(min(len(left), len(right)), at)
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _equal_lists(left: tuple[Value, ...], right: tuple[Value, ...], at: Place, budget: Budget) -> bool:
    if len(left) != len(right):
        return False
    budget.spend(len(left), at)
    undecided: Undecided | None = None
    for one, other in zip(left, right, strict=True):
        try:
            if not equal(one, other, at, budget):
                return False
        except Undecided as error:
            undecided = undecided or error
    if undecided is not None:
        raise undecided
    return True


def contains(whole: Value, part: Value, at: Place, budget: Budget) -> bool:
    if isinstance(whole, str) and isinstance(part, str):
        budget.spend(len(whole), at)
        return part in whole
    if not isinstance(whole, tuple):
        raise ExpressionError(f"`in` looks for {noun(part)} in {noun(whole)}", at.start, at.end, "a list or a string stands on its right")
    budget.spend(len(whole), at)
    undecided: Undecided | None = None
    for item in whole:
        try:
            if equal(part, item, at, budget):
                return True
        except Undecided as error:
            undecided = undecided or error
    if undecided is not None:
        raise undecided
    return False


def ordered(sign: str, left: Value, right: Value, at: Place) -> bool:
    """`<` and its kin: numbers with numbers, strings with strings, dims with whole numbers and dims."""
    if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
        return _ORDERS[sign](left, right)
    if isinstance(left, Poly | int | float) and isinstance(right, Poly | int | float) and not isinstance(left, bool) and not isinstance(right, bool):
        return _decided(sign, left, right, at)
    raise wrong_types(sign, left, right, at)


def wrong_types(sign: str, left: Value, right: Value, at: Place) -> ExpressionError:
    help = None
    if isinstance(left, bool) or isinstance(right, bool):
        help = "a boolean is no number; `int(...)` makes it one"
    elif sign == "+" and isinstance(left, str) != isinstance(right, str):
        help = "a text takes a value in with `$`: `conv$(n + 1)`"
    return ExpressionError(f"`{sign}` of {noun(left)} and {noun(right)}", at.start, at.end, help)


# Arithmetic ----------------------------------------------------------------------------------------------------------


def negative(value: Value, at: Place) -> Value:
    if isinstance(value, bool) or not isinstance(value, int | float | Poly):
        raise ExpressionError(f"`-` of {noun(value)}", at.start, at.end)
    return _dim("-", 0, value, at) if isinstance(value, Poly) else -value


def arithmetic(sign: str, left: Value, right: Value, at: Place, budget: Budget) -> Value:
    if is_number(left) and is_number(right):
        return _number(sign, left, right, at)
    if isinstance(left, Poly) or isinstance(right, Poly):
        return _dim(sign, left, right, at)
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        return _concatenated(left, right, at, budget)
    if sign == "+" and isinstance(left, tuple) and isinstance(right, tuple):
        return _concatenated(left, right, at, budget)
    if sign == "*" and isinstance(left, str | tuple) and type(right) is int:
        return _repeated(left, right, at, budget)
    if sign == "*" and isinstance(right, str | tuple) and type(left) is int:
        return _repeated(right, left, at, budget)
    raise wrong_types(sign, left, right, at)


def _number(sign: str, left: Any, right: Any, at: Place) -> int | float:
    if sign == "**" and type(left) is int and type(right) is int and right > LARGEST_EXPONENT:
        raise ExpressionError(f"the exponent {right} is too large: at most {LARGEST_EXPONENT}", at.start, at.end)
    try:
        result = _OPERATIONS[sign](left, right)
    except ZeroDivisionError:
        raise ExpressionError("division by zero", at.start, at.end) from None
    except OverflowError:
        raise ExpressionError("the result is too large for a number", at.start, at.end) from None
    if isinstance(result, complex):
        raise ExpressionError("a power of a negative number with a fraction as exponent has no real value", at.start, at.end)
    return within_bounds(result, at, was_finite=math.isfinite(left) and math.isfinite(right))


def within_bounds(number: float, at: Place, *, was_finite: bool = True) -> int | float:
    """The number, unless it left the range of numbers. Infinity comes out only where infinity went in."""
    if isinstance(number, int):
        if abs(number) >= LARGEST:
            raise ExpressionError("the result is too large: whole numbers stay below 2**63", at.start, at.end)
    elif was_finite and not math.isfinite(number):
        raise ExpressionError("the result is too large for a number", at.start, at.end)
    return number


def _dim(sign: str, left: Value, right: Value, at: Place) -> Value:
    """Arithmetic with a dim on at least one side. It stays whole, so there are no fractions."""
    dim = left if isinstance(left, Poly) else right
    other = right if dim is left else left
    if isinstance(other, bool) or not isinstance(other, int | float | Poly):
        raise wrong_types(sign, left, right, at)
    if sign == "/":
        raise ExpressionError(f"`/` makes a fraction of {noun(dim)}", at.start, at.end, "`//` divides and stays whole")
    if isinstance(other, float):
        raise ExpressionError(f"`{sign}` of {noun(dim)} and a fraction", at.start, at.end, "a dim goes only with whole numbers and dims")
    if sign in ("//", "%") and type(right) is int and right <= 0:
        raise ExpressionError("division by zero" if right == 0 else f"`{sign}` of {noun(dim)} by a negative number", at.start, at.end)
    if sign == "**" and not (type(right) is int and 0 <= right <= LARGEST_EXPONENT):
        raise ExpressionError(f"the exponent of {noun(dim)} must be a whole number from 0 to {LARGEST_EXPONENT}", at.start, at.end)
    try:
        result = _OPERATIONS[sign](left, right)
    except DimError as error:
        raise ExpressionError(error.message, at.start, at.end) from None
    return within_bounds(result, at) if isinstance(result, int) else result


# Lists and strings ---------------------------------------------------------------------------------------------------


def _concatenated(left: Any, right: Any, at: Place, budget: Budget) -> Value:
    check_length(len(left) + len(right), left, at, budget)
    return checked_list(left + right, at, budget) if isinstance(left, tuple) else left + right


def _repeated(part: str | tuple[Value, ...], times: int, at: Place, budget: Budget) -> Value:
    check_length(len(part) * max(times, 0), part, at, budget)
    return checked_list(part * times, at, budget) if isinstance(part, tuple) else part * times


def check_length(length: int, like: str | tuple[Value, ...], at: Place, budget: Budget) -> None:
    """Refuses a string or list that would be too long, before it is made."""
    what, parts, most = ("string", "characters", LONGEST_STRING) if isinstance(like, str) else ("list", "elements", LONGEST_LIST)
    if length > most:
        raise ExpressionError(f"a {what} of {length} {parts} is too long: at most {most}", at.start, at.end)
    budget.spend(length, at)


def checked_list(items: tuple[Value, ...], at: Place, budget: Budget) -> tuple[Value, ...]:
    """The list, unless it holds too much, counting what stands in the lists inside it: `[[...] * 1000] * 1000` shares its parts, its reader does not."""
    count, depth, layer = 0, 0, [items]
    while layer:
        count += sum(map(len, layer))
        depth += 1
        if count > LONGEST_LIST or depth > DEEPEST_LIST:
            limit = f"hold at most {LONGEST_LIST} elements in all" if count > LONGEST_LIST else f"are nested at most {DEEPEST_LIST} deep"
            raise ExpressionError(f"this list is too large: lists {limit}", at.start, at.end)
        layer = [item for part in layer for item in part if isinstance(item, tuple)]
    budget.spend(count, at)
    return items
