"""The functions that an expression may call: a closed list, each with the number of arguments it takes.

In: evaluated arguments, each with its node. Out: a value, or an `ExpressionError`. They do what Python's of the same name do, to numbers, lists and
strings; a dim passes where the answer holds for every size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from specbuilder.language.operations import (
    Budget,
    Undecided,
    Value,
    arithmetic,
    check_length,
    negative,
    noun,
    ordered,
    shown,
    within_bounds,
)
from specbuilder.language.syntax import Call as CallNode
from specbuilder.language.syntax import Expression
from specbuilder.language.tokens import ExpressionError
from specbuilder.shapes import Poly

MOST_DIGITS = 64
ANY_NUMBER = 10**6


class Argument(NamedTuple):
    value: Value
    node: Expression


class Call(NamedTuple):
    """One call under way: the node, its evaluated arguments, and what the evaluation may still cost."""

    node: CallNode
    arguments: tuple[Argument, ...]
    budget: Budget

    @property
    def name(self) -> str:
        return self.node.function.text

    @property
    def first(self) -> Value:
        return self.arguments[0].value

    def wrong(self, index: int, wanted: str) -> ExpressionError:
        value, node = self.arguments[index]
        found = f"the number {shown(value)}" if isinstance(value, float) else noun(value)
        return ExpressionError(f"`{self.name}` takes {wanted}, found {found}", node.start, node.end)

    def whole(self, index: int) -> int:
        value = self.arguments[index].value
        if type(value) is not int:
            raise self.wrong(index, "whole numbers")
        return value

    def real(self, index: int, wanted: str = "a number") -> int | float:
        value = self.arguments[index].value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(index, wanted)
        return value

    def items(self) -> tuple[Value, ...]:
        """The first argument as a list."""
        if not isinstance(self.first, tuple):
            raise self.wrong(0, "a list")
        self.budget.spend(len(self.first), self.node)
        return self.first

    def computed(self, compute: Callable[..., int | float], *numbers: float) -> int | float:
        """A function of numbers that has no value everywhere."""
        try:
            return within_bounds(compute(*numbers), self.node)
        except (ValueError, ZeroDivisionError, OverflowError):
            given = ", ".join(map(shown, numbers))
            raise ExpressionError(f"`{self.name}({given})` has no value", self.node.start, self.node.end) from None


class Function(NamedTuple):
    run: Callable[[Call], Value]
    least: int = 1
    most: int = 1

    @property
    def arity(self) -> str:
        """How many arguments it takes, in words."""
        if self.most == ANY_NUMBER:
            return "a list, or at least one value"
        count = f"{self.least} to {self.most}" if self.least < self.most else str(self.least)
        return f"{count} argument{'' if self.most == 1 else 's'}"


# The functions -------------------------------------------------------------------------------------------------------


def _min(call: Call) -> Value:
    return _extreme("<=", call)


def _max(call: Call) -> Value:
    return _extreme(">=", call)


def _extreme(sign: str, call: Call) -> Value:
    items = tuple(argument.value for argument in call.arguments) if len(call.arguments) > 1 else call.items()
    if not items:
        raise ExpressionError(f"`{call.name}` of an empty list", call.node.start, call.node.end)
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int | float | str | Poly) or isinstance(item, str) != isinstance(items[0], str):
            wanted = "strings with strings" if isinstance(items[0], str) else "numbers"
            raise ExpressionError(f"`{call.name}` compares {wanted}, found {noun(item)}", call.node.start, call.node.end)
    best = items[0]
    for item in items[1:]:
        best = best if _is_before(sign, best, item, call) else item
    return best


_MIRRORED = {"<=": ">=", ">=": "<="}


def _is_before(sign: str, left: Value, right: Value, call: Call) -> bool:
    """Whether `left` is at least as extreme as `right`, for every size of the dims in them."""
    try:
        return ordered(sign, left, right, call.node)
    except Undecided as undecided:
        # H <= 1 is open, since they may be equal; but H >= 1 always holds, so the smaller is 1.
        try:
            if ordered(_MIRRORED[sign], left, right, call.node):
                return False
        except Undecided:
            pass
        raise undecided from None


def _round(call: Call) -> Value:
    if isinstance(call.first, Poly):
        return call.first
    if len(call.arguments) == 1:
        return call.computed(round, call.real(0))
    digits = call.whole(1)
    if abs(digits) > MOST_DIGITS:
        node = call.arguments[1].node
        raise ExpressionError(f"`round` keeps at most {MOST_DIGITS} digits, found {digits}", node.start, node.end)
    return call.computed(round, call.real(0), digits)


def _floor(call: Call) -> Value:
    return call.first if isinstance(call.first, Poly) else call.computed(math.floor, call.real(0))


def _ceil(call: Call) -> Value:
    return call.first if isinstance(call.first, Poly) else call.computed(math.ceil, call.real(0))


def _int(call: Call) -> Value:
    if isinstance(call.first, bool | Poly):
        return int(call.first) if isinstance(call.first, bool) else call.first
    return call.computed(int, call.real(0, "a number or a boolean"))


def _len(call: Call) -> Value:
    if not isinstance(call.first, str | tuple):
        raise call.wrong(0, "a list or a string")
    return len(call.first)


def _range(call: Call) -> Value:
    bounds = [call.whole(index) for index in range(len(call.arguments))]
    start, stop, step = (0, bounds[0], 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    if step == 0:
        node = call.arguments[2].node
        raise ExpressionError("the step of a range is not 0", node.start, node.end)
    # Not len(range(...)), which fails where the length does not fit a machine word.
    check_length(max(0, -((start - stop) // step)), (), call.node, call.budget)
    return tuple(range(start, stop, step))


def _sum(call: Call) -> Value:
    """One addition after the other: Python's own sum rounds differently from version 3.12 on, and a plan may not depend on that."""
    total: int | float = 0
    dims: list[Poly] = []
    for item in (*(argument.value for argument in call.arguments[1:]), *call.items()):
        if isinstance(item, Poly):
            dims.append(item)
        elif isinstance(item, bool) or not isinstance(item, int | float):
            raise ExpressionError(f"`sum` adds numbers, found {noun(item)}", call.node.start, call.node.end)
        else:
            total += item
    result: Value = within_bounds(total, call.node)
    for dim in dims:
        result = arithmetic("+", result, dim, call.node, call.budget)
    return result


def _abs(call: Call) -> Value:
    if isinstance(call.first, Poly):
        return call.first if _is_before(">=", call.first, 0, call) else negative(call.first, call.node)
    return abs(call.real(0))


def _log(call: Call) -> Value:
    numbers = [call.real(index) for index in range(len(call.arguments))]
    return call.computed(_logarithm, *numbers)


def _logarithm(number: float, base: float = math.e) -> float:
    # math.log(2**29, 2) divides two roundings and is no whole number; these two are exact.
    exact = {2: math.log2, 10: math.log10, math.e: math.log}.get(base)
    return exact(number) if exact else math.log(number, base)


def _sqrt(call: Call) -> Value:
    return call.computed(math.sqrt, call.real(0))


FUNCTIONS: Mapping[str, Function] = {
    "min": Function(_min, 1, ANY_NUMBER),
    "max": Function(_max, 1, ANY_NUMBER),
    "round": Function(_round, 1, 2),
    "floor": Function(_floor),
    "ceil": Function(_ceil),
    "len": Function(_len),
    "range": Function(_range, 1, 3),
    "sum": Function(_sum, 1, 2),
    "abs": Function(_abs),
    "int": Function(_int),
    "log": Function(_log, 1, 2),
    "sqrt": Function(_sqrt),
}
