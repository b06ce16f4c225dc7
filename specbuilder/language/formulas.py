"""Text to tree for formulas, what stands behind `compute`: the grammar of expressions, over tensors.

In: a text. Out: a `Formula`, or an `ExpressionError` with offsets into the text. A name is a node or an input, also with dots; behind `$` stands a static
expression, whose names are variables. `~`, `...` in an index, and dots are all that is new; caps on length, parts and depth hold for both languages
together. What a formula means is left to `graph.formula`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from specbuilder.language.syntax import Dotted, Expression, Name, Parser, Rest, Slice, Static, children, names
from specbuilder.language.tokens import ELSEWHERE, ExpressionError, Token, after_space, read_token
from specbuilder.records import Record


class Formula(Record, identity=True):
    """A formula, taken apart."""

    text: str
    expression: Expression

    @property
    def references(self) -> tuple[Name | Dotted, ...]:
        """Every use of a tensor, in the order of the text."""
        return tuple(sorted((node for node in _nodes(self.expression) if isinstance(node, Name | Dotted)), key=lambda node: node.start))

    @property
    def names(self) -> tuple[Name, ...]:
        """Every use of a variable, in the order of the text."""
        found = (name for node in _nodes(self.expression) if isinstance(node, Static) for name in names(node.expression))
        return tuple(sorted(found, key=lambda name: name.start))


def _nodes(expression: Expression) -> Iterator[Expression]:
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += children(node)


def parse_formula(text: str) -> Formula:
    """The text as one formula."""
    return Formula(text, _Parser(text).whole())


_SIGNS = ("$", "~", "...")
_STEP = re.compile(r"-?[0-9]+|[A-Za-z_][A-Za-z0-9_]*|\*")
_ELSEWHERE = {
    **{word: help for word, help in ELSEWHERE.items() if word != "$"},
    "&": "write `and`",
    "|": "write `or`",
    "@": "write `matmul(a, b)`",
    ".": "make what stands before it a node of its own with a `name`, and write `name.output`",
}


class _Parser(Parser):
    """The parser of expressions with a second one for what is static; both count into the same caps."""

    _elsewhere = _ELSEWHERE

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._static = Parser(text)

    def _peek(self) -> Token:
        if self._ahead is None:
            start = after_space(self._text, self.position)
            sign = next((sign for sign in _SIGNS if self._text.startswith(sign, start)), None)
            if sign is not None:
                self._ahead = Token("sign", sign, start, start + len(sign))
            else:
                self._ahead = self._read(start)
        return self._ahead

    def _read(self, start: int) -> Token:
        try:
            return read_token(self._text, start)
        except ExpressionError as error:
            character = self._text[error.start : error.start + 1]
            help = self._elsewhere.get(character) if error.message.startswith("unexpected") else error.help
            raise ExpressionError(error.message, error.start, error.end, help) from None

    def _atom(self) -> Expression:
        token = self._peek()
        if token.text == "$":
            self._count()
            self._next()
            return self._behind_dollar(token.start)
        if token.text == "...":
            raise ExpressionError("`...` stands only in an index", token.start, token.end)
        found = super()._atom()
        # Not for a name in brackets, which has its place inside them.
        is_name = isinstance(found, Name) and found.end == self.position
        return self._dotted(found) if is_name and self._text.startswith(".", self.position) else found

    def _behind_dollar(self, at: int) -> Static:
        """The static expression of the `$` at `at`."""
        self._static._nodes, self._static._depth = self._nodes, self._depth
        expression = self._static.reference(at)
        self._nodes = self._static._nodes
        self.position = self._static.position
        return Static(at, self.position, expression)

    def _dotted(self, head: Expression) -> Dotted:
        assert isinstance(head, Name)
        parts: list[str | Static] = [head.text]
        while self._text.startswith(".", self.position):
            at = self.position + 1
            step = _STEP.match(self._text, at)
            if self._text.startswith("$", at):
                parts.append(self._behind_dollar(at))
            elif step is not None:
                parts.append(step.group())
                self.position = step.end()
            else:
                raise ExpressionError(
                    "after `.` stands an output, a number or `*`", self.position, at, "such as `top.indices`, `layers.0`, `layers.*`"
                )
        for _ in parts:
            self._count()
        return Dotted(head.start, self.position, tuple(parts))

    def _instead_of_calling(self, called: Expression) -> str | None:
        if isinstance(called, Dotted) and isinstance(called.parts[-1], str):
            head, name = called.parts[0], called.parts[-1]
            return f"write `{name}(...)`" if head in ("torch", "F", "nn") else f"write `{name}({'.'.join(map(str, called.parts[:-1]))}, ...)`"
        return None

    def _index(self) -> Expression | Slice:
        token = self._peek()
        if token.text != "...":
            return super()._index()
        self._count()
        self._next()
        return Rest(token.start, token.end)
