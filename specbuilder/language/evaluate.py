"""Expression tree to value. Nothing of Python's own evaluation is used, and no name means anything but what the lookup says.

In: a tree and a lookup of names. Out: a plain value or a symbolic dim; or an `ExpressionError` with the place in the text.
Walks the tree; what operators do with values is left to `operations`, the closed list of functions to `calls`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from specbuilder.diagnostics import did_you_mean
from specbuilder.language import calls, operations
from specbuilder.language.calls import FUNCTIONS, Argument
from specbuilder.language.operations import Budget, Value, noun, shown
from specbuilder.language.syntax import Binary, Call, Compare, Conditional, Expression, List, Literal, Name, Slice, Subscript, Tuple, Unary
from specbuilder.language.tokens import ExpressionError, Place, clip

Lookup = Callable[[str], Value]


def evaluate(expression: Expression, lookup: Lookup, known: Iterable[str] = ()) -> Value:
    """The value. `lookup` gives that of a name or raises `KeyError`; `known` are the names that may be suggested then."""
    return Evaluation(lookup, known).value(expression)


class Evaluation:
    """Where names come from, and what evaluating may still cost. The expressions of one text share it."""

    __slots__ = ("_budget", "_known", "_lookup")

    def __init__(self, lookup: Lookup, known: Iterable[str]) -> None:
        self._lookup = lookup
        self._known = known
        self._budget = Budget()

    def value(self, node: Expression) -> Value:
        # Down the left side in a loop, so that a sum of hundreds of terms does not recurse; the parser bounds all other depth.
        pending: list[Binary | Subscript] = []
        while True:
            if isinstance(node, Binary):
                pending.append(node)
                node = node.left
            elif isinstance(node, Subscript):
                pending.append(node)
                node = node.value
            elif isinstance(node, Conditional):
                node = node.then if self._truth(node.condition) else node.otherwise
            else:
                break
        found = self._leaf(node)
        while pending:
            outer = pending.pop()
            found = self._binary(outer, found) if isinstance(outer, Binary) else self._subscript(outer, found)
        return found

    def _leaf(self, node: Expression) -> Value:
        match node:
            case Literal():
                return node.value
            case Name():
                return self._name(node)
            case Unary(operator="not"):
                return not self._truth(node.operand)
            case Unary():
                return operations.negative(self.value(node.operand), node)
            case Compare():
                return self._compare(node)
            case Call():
                return self._call(node)
            case Tuple() | List():
                return operations.checked_list(tuple([self.value(item) for item in node.items]), node, self._budget)
        raise ExpressionError("a slice stands only in an index", node.start, node.end)

    def _truth(self, node: Expression) -> bool:
        return operations.truth(self.value(node), node)

    def _name(self, node: Name) -> Value:
        try:
            return self._lookup(node.text)
        except KeyError:
            pass
        help = f"write `{node.text}(...)`" if node.text in FUNCTIONS else did_you_mean(node.text, self._known)
        raise ExpressionError(f"unknown name `{clip(node.text)}`", node.start, node.end, help)

    def _binary(self, node: Binary, left: Value) -> Value:
        if node.operator == "and":
            return self.value(node.right) if operations.truth(left, node.left) else left
        if node.operator == "or":
            return left if operations.truth(left, node.left) else self.value(node.right)
        return operations.arithmetic(node.operator, left, self.value(node.right), node, self._budget)

    def _compare(self, node: Compare) -> bool:
        """Each operand is evaluated once, and none after the first comparison that fails."""
        left = self.value(node.operands[0])
        for index, sign in enumerate(node.operators):
            right = self.value(node.operands[index + 1])
            at = node if len(node.operators) == 1 else _Pair(node.operands[index].start, node.operands[index + 1].end)
            if not operations.compared(sign, left, right, at, self._budget):
                return False
            left = right
        return True

    def _subscript(self, node: Subscript, value: Value) -> Value:
        if not isinstance(value, str | tuple):
            raise ExpressionError(f"{noun(value)} has no elements", node.start, node.end)
        if isinstance(node.key, Slice):
            part = value[self._slice(node.key)]
            self._budget.spend(len(part), node)
            return part
        if isinstance(node.key, Tuple):
            raise ExpressionError(f"{noun(value)} takes one index", node.key.start, node.key.end)
        index = _whole(self.value(node.key), node.key)
        if not -len(value) <= index < len(value):
            size = f"{len(value)} {'character' if isinstance(value, str) else 'element'}{'' if len(value) == 1 else 's'}"
            raise ExpressionError(f"index {index} is out of range: {noun(value)} of {size}", node.key.start, node.key.end)
        return value[index]

    def _slice(self, node: Slice) -> slice:
        lower, upper, step = (self._bound(part) for part in (node.lower, node.upper, node.step))
        if step == 0:
            raise ExpressionError("the step of a slice is not 0", node.start, node.end)
        return slice(lower, upper, step)

    def _bound(self, node: Expression | None) -> int | None:
        value = None if node is None else self.value(node)
        return None if value is None or node is None else _whole(value, node)

    def _call(self, node: Call) -> Value:
        name = node.function.text
        function = FUNCTIONS.get(name)
        if function is None:
            help = did_you_mean(name, FUNCTIONS) or f"the functions are {', '.join(FUNCTIONS)}"
            raise ExpressionError(f"unknown function `{clip(name)}`", node.function.start, node.function.end, help)
        if node.keywords:
            keyword = node.keywords[0][0]
            raise ExpressionError(f"`{name}` takes no argument called `{clip(keyword.text)}`", keyword.start, keyword.end)
        if not function.least <= len(node.arguments) <= function.most:
            raise ExpressionError(f"`{name}` takes {function.arity}, found {len(node.arguments)}", node.start, node.end)
        arguments = tuple([Argument(self.value(each), each) for each in node.arguments])
        return function.run(calls.Call(node, arguments, self._budget))


class _Pair(NamedTuple):
    """The place of two neighbours in a chain of comparisons."""

    start: int
    end: int


def _whole(index: Value, at: Place) -> int:
    if type(index) is not int:
        found = f"the number {shown(index)}" if isinstance(index, float) else noun(index)
        raise ExpressionError(f"an index is a whole number, found {found}", at.start, at.end)
    return index
