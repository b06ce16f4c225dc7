"""Reads the text form of a size: `16*h`, `(H + 31)//32`, `B`, `3`.

In: a text. Out: a `Dim`, or a `DimError` whose offsets point at what is wrong. Printing is `str`, and `parse_dim(str(dim)) == dim`.
Precedence and associativity are Python's. References such as `$width` have been replaced before a text comes here.
"""

from __future__ import annotations

import keyword
import re

from specbuilder.dims.polynomial import MAX_COEFFICIENT, MAX_DEGREE, Dim, DimError, Poly, symbol

MAX_LENGTH = 4096
MAX_NESTING = 50

_TOKEN = re.compile(r"[ \t\r\n]*(?:([0-9][0-9_]*)|([A-Za-z_][A-Za-z0-9_]*)|(\*\*|//|[-+*/%()])|(\S))")
_RESERVED = frozenset(keyword.kwlist) | {"true", "false", "null"}


def parse_dim(text: str) -> Dim:
    """The size that a text names."""
    return parse_dim_at(text, 0, len(text))


def parse_dim_at(text: str, start: int, end: int) -> Dim:
    """The size named by a part of a text; offsets in errors count from the start of the whole text."""
    return _Reader(text, start, end).whole()


class _Reader:
    """A recursive descent over the tokens between two offsets; `ahead`, `start`, `end` are the token ahead."""

    def __init__(self, text: str, start: int, end: int) -> None:
        if end - start > MAX_LENGTH:
            raise DimError(f"a size of more than {MAX_LENGTH} characters is too long", start, end)
        self.text, self.limit, self.first, self.depth = text, end, start, 0
        self.last = self.start = self.end = start
        self.ahead = ""
        self.advance()

    def advance(self) -> None:
        self.last = self.end
        found = _TOKEN.match(self.text, self.end, self.limit)
        if found is None:
            self.ahead, self.start, self.end = "", self.limit, self.limit
            return
        self.ahead, (self.start, self.end) = found[found.lastindex or 0], found.span(found.lastindex or 0)

    def whole(self) -> Dim:
        if not self.ahead:
            raise DimError("a size is missing", self.first, max(self.limit, self.first))
        dim = self.sum()
        if self.ahead:
            raise self.unexpected()
        return dim

    def unexpected(self) -> DimError:
        if not self.ahead:
            return DimError("the size ends too early", self.last, self.last)
        if self.ahead == "/":
            return DimError("`/` gives a fraction; write `//`", self.start, self.end)
        wanted = "an operator" if self.ahead.isalnum() or self.ahead == "(" else "a name or a number"
        if self.ahead in (")", *"$.,;:!?^&|<>=[]{}@#'\"`~\\") or not self.ahead.isascii():
            return DimError(f"`{self.ahead}` has no place here", self.start, self.end)
        return DimError(f"expected {wanted}, found `{self.ahead}`", self.start, self.end)

    def computed(self, operator: str, a: Dim, b: Dim, start: int) -> Dim:
        try:
            dim = _compute(operator, a, b)
        except DimError as error:
            raise DimError(error.message, start, self.last) from None
        if isinstance(dim, int) and abs(dim) >= MAX_COEFFICIENT:
            raise DimError("this number is too large for a size", start, self.last)
        return dim

    def sum(self) -> Dim:
        start, dim = self.start, self.product()
        while (operator := self.ahead) in ("+", "-"):
            self.advance()
            dim = self.computed(operator, dim, self.product(), start)
        return dim

    def product(self) -> Dim:
        start, dim = self.start, self.signed()
        while (operator := self.ahead) in ("*", "//", "%"):
            self.advance()
            dim = self.computed(operator, dim, self.signed(), start)
        return dim

    def signed(self) -> Dim:
        if self.ahead not in ("+", "-"):
            return self.power()
        sign = self.ahead
        self.enter()
        dim = self.signed()
        self.depth -= 1
        return -dim if sign == "-" else dim

    def power(self) -> Dim:
        start, dim = self.start, self.atom()
        if self.ahead != "**":
            return dim
        self.enter()
        dim = self.computed("**", dim, self.signed(), start)
        self.depth -= 1
        return dim

    def atom(self) -> Dim:
        ahead, start, end = self.ahead, self.start, self.end
        if ahead == "(":
            self.enter()
            dim = self.sum()
            if self.ahead != ")":
                raise DimError("this bracket is never closed", start, end) if not self.ahead else self.unexpected()
            self.depth -= 1
            self.advance()
            return dim
        if ahead[:1].isdigit() and ahead.isascii():
            self.advance()
            return _number(ahead, start, end)
        if ahead.isidentifier() and ahead.isascii():
            if ahead in _RESERVED:
                raise DimError(f"`{ahead}` cannot be the name of a size", start, end)
            self.advance()
            return symbol(ahead)
        raise self.unexpected()

    def enter(self) -> None:
        """Takes one token and goes one level down."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise DimError("this size is nested too deeply", self.start, self.end)
        self.advance()


def _number(text: str, start: int, end: int) -> int:
    if text.endswith("_") or "__" in text:
        raise DimError(f"`{text}` is no number", start, end)
    digits = text.replace("_", "")
    if len(digits) > 19 or int(digits) >= MAX_COEFFICIENT:
        raise DimError("this number is too large for a size", start, end)
    return int(digits)


def _compute(operator: str, a: Dim, b: Dim) -> Dim:
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    if operator == "*":
        return a * b
    if operator == "**":
        if isinstance(b, Poly) or isinstance(a, Poly):
            return a**b
        if not 0 <= b <= MAX_DEGREE:
            raise DimError(f"the exponent {b} must lie between 0 and {MAX_DEGREE}")
        return a**b
    if isinstance(b, int) and b == 0:
        raise DimError(f"`{a}` is divided by zero")
    return a // b if operator == "//" else a % b
