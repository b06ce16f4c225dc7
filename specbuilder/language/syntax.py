"""Text to expression tree: the grammar of the small language behind `$`, and what `formulas` adds to it.

In: a text. Out: frozen nodes, each with the offsets of its first character and of the one after its last; or an `ExpressionError`.
Computes nothing and knows no names; `evaluate` does. One function parses every level of precedence, so one counter bounds the
depth, and with it the recursion here and in whoever walks the tree: a hostile text ends as a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, NoReturn, TypeVar

from specbuilder.language.tokens import ELSEWHERE, ExpressionError, Token, clip, number, read_token, string, word_at

_Item = TypeVar("_Item")

LONGEST_TEXT = 4096
MOST_NODES = 1000
DEEPEST = 64

# Nodes ---------------------------------------------------------------------------------------------------------------
# Named tuples, since eleven of them are defined in 1 ms where frozen dataclasses take 6, and every command waits for that.


class Literal(NamedTuple):
    start: int
    end: int
    value: int | float | bool | str | None


class Name(NamedTuple):
    start: int
    end: int
    text: str


class Unary(NamedTuple):
    start: int
    end: int
    operator: str
    """`-` or `not`; in a formula also `~`."""
    operand: Expression


class Binary(NamedTuple):
    start: int
    end: int
    operator: str
    """Arithmetic, `and`, `or`. A long chain leans to the left: `a + b + c` is `(a + b) + c`."""
    left: Expression
    right: Expression


class Compare(NamedTuple):
    start: int
    end: int
    operands: tuple[Expression, ...]
    operators: tuple[str, ...]
    """One fewer than the operands: `0 < a <= b` is a comparison of three."""


class Conditional(NamedTuple):
    start: int
    end: int
    condition: Expression
    then: Expression
    otherwise: Expression


class Call(NamedTuple):
    start: int
    end: int
    function: Name
    arguments: tuple[Expression, ...]
    keywords: tuple[tuple[Name, Expression], ...]


class Subscript(NamedTuple):
    start: int
    end: int
    value: Expression
    key: Expression
    """A `Slice`, or a `Tuple` that holds some, only ever stands here."""


class Slice(NamedTuple):
    start: int
    end: int
    lower: Expression | None
    upper: Expression | None
    step: Expression | None


class Tuple(NamedTuple):
    start: int
    end: int
    items: tuple[Expression, ...]


class List(NamedTuple):
    start: int
    end: int
    items: tuple[Expression, ...]


class Static(NamedTuple):
    """`$name` or `$(...)` within a formula: its names are variables, while those around it are nodes."""

    start: int
    end: int
    expression: Expression


class Dotted(NamedTuple):
    """`top.indices`, `layers.*` or `levels.$i` in a formula. A reference without dots is a `Name`."""

    start: int
    end: int
    parts: tuple[str | Static, ...]


class Rest(NamedTuple):
    """`...` in an index of a formula: all axes that no other key stands for."""

    start: int
    end: int


Expression = Literal | Name | Unary | Binary | Compare | Conditional | Call | Subscript | Slice | Tuple | List | Static | Dotted | Rest


def names(expression: Expression) -> tuple[Name, ...]:
    """Every use of a name, in the order of the text. The names of functions and of keyword arguments are not among them."""
    found: list[Name] = []
    waiting: list[Expression] = [expression]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Name):
            found.append(node)
        else:
            waiting += children(node)
    return tuple(sorted(found, key=lambda name: name.start))


def children(node: Expression) -> Iterator[Expression]:
    """What a node is made of, one level down. What stands behind the `$` of a formula is another language and not among it."""
    match node:
        case Unary():
            yield node.operand
        case Binary():
            yield from (node.left, node.right)
        case Compare():
            yield from node.operands
        case Conditional():
            yield from (node.condition, node.then, node.otherwise)
        case Call():
            yield from node.arguments
            yield from (value for _, value in node.keywords)
        case Subscript():
            yield from (node.value, node.key)
        case Slice():
            yield from (part for part in (node.lower, node.upper, node.step) if part is not None)
        case Tuple() | List():
            yield from node.items
        case Dotted():
            yield from (part for part in node.parts if isinstance(part, Static))


# Parsing -------------------------------------------------------------------------------------------------------------

CONSTANTS: dict[str, bool | None] = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_OPERATOR_WORDS = frozenset(("and", "or", "not", "in", "if", "else"))
RESERVED = _OPERATOR_WORDS | CONSTANTS.keys()
"""Words that are no names."""

# How tightly an operator binds. `0` is the conditional.
_LEVELS = {"or": 1, "and": 2, "+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6, "**": 8}
_NOT, _COMPARISON, _MINUS = 3, 4, 7
_PREFIXES = {"not": _NOT, "-": _MINUS, "~": _MINUS}
_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">=", "in", "not"))
_CLOSERS = {"(": ")", "[": "]"}


def parse(text: str) -> Expression:
    """The text as one expression."""
    return Parser(text).whole()


class Parser:
    """Reads expressions from a text. Looks at most one token ahead, so what follows an expression in brackets may be anything."""

    _elsewhere: Mapping[str, str] = ELSEWHERE

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST_TEXT:
            raise ExpressionError(f"a text with expressions has at most {LONGEST_TEXT} characters, this one has {len(text)}", 0, len(text))
        self.position = 0
        self._text = text
        self._ahead: Token | None = None
        self._nodes = 0
        self._depth = 0
        self._openers: list[Token] = []

    def whole(self) -> Expression:
        """The text as one expression."""
        if self._peek().kind == "end":
            raise ExpressionError("the expression is empty", 0, len(self._text))
        found = self._expression()
        if self._peek().kind != "end":
            self._unexpected("an operator or the end")
        return found

    def enclosed(self, position: int) -> Expression:
        """The expression in the round brackets that open at `position`; `self.position` is then behind them."""
        self.position = position
        return self._round_brackets()

    def reference(self, position: int) -> Expression:
        """The expression of the `$` at `position`: the name after it, or what is in the brackets; `self.position` is then behind it."""
        text, start = self._text, position + 1
        if text.startswith("(", start):
            return self.enclosed(start)
        word = word_at(text, start)
        self.position = start + len(word)
        if word in RESERVED:
            help = f"write `$({word})`" if word in CONSTANTS else "a dollar sign is written `$$`"
            raise ExpressionError(f"`{word}` is a word of expressions, not a name", start, self.position, help)
        if word:
            return Name(start, self.position, word)
        if text.startswith("{", start):
            help = "write `$name` or `$(...)`; a dollar sign is written `$$`"
            raise ExpressionError("`$` stands before a name or `(`, found `{`", position, start + 1, help)
        found = f"found `{text[start]}`" if start < len(text) else "found the end"
        raise ExpressionError(f"`$` stands before a name or `(`, {found}", position, min(start + 1, len(text)), "a dollar sign is written `$$`")

    # Tokens

    def _peek(self) -> Token:
        if self._ahead is None:
            self._ahead = read_token(self._text, self.position)
        return self._ahead

    def _next(self) -> Token:
        token = self._peek()
        self._ahead = None
        self.position = token.end
        return token

    def _accept(self, text: str) -> bool:
        if self._peek().text != text:
            return False
        self._next()
        return True

    def _expect(self, text: str, wanted: str) -> None:
        if not self._accept(text):
            self._unexpected(wanted)

    def _unexpected(self, wanted: str) -> NoReturn:
        token = self._peek()
        if token.kind == "end" and self._openers:
            opener = self._openers[-1]
            raise ExpressionError(f"this `{opener.text}` is never closed", opener.start, opener.end)
        found = "the end" if token.kind == "end" else f"`{clip(token.text)}`"
        raise ExpressionError(f"expected {wanted}, found {found}", token.start, token.end, self._elsewhere.get(token.text))

    # Operators

    def _expression(self) -> Expression:
        return self._operators(0)

    def _operators(self, level: int) -> Expression:
        """An expression of operators that bind at least as tightly as `level`. All recursion of the parser passes here."""
        if self._depth > DEEPEST:
            token = self._peek()
            raise ExpressionError(f"the expression is nested more than {DEEPEST} deep", token.start, token.end)
        self._depth += 1
        found: Expression = self._prefix(level)
        while (longer := self._infix(found, level)) is not None:
            found = longer
        self._depth -= 1
        return found

    def _prefix(self, level: int) -> Expression:
        token = self._peek()
        own = _PREFIXES.get(token.text, -1)
        if own < level:
            return self._postfix()
        self._count()
        self._next()
        operand = self._operators(own)
        return Unary(token.start, operand.end, token.text, operand)

    def _infix(self, left: Expression, level: int) -> Expression | None:
        """`left` with the operator after it and what that takes; None when the next operator binds less tightly, or there is none."""
        operator = self._peek().text
        if operator == "if" and level == 0:
            return self._conditional(left)
        if operator in _COMPARISONS:
            return self._comparison(left) if level <= _COMPARISON else None
        own = _LEVELS.get(operator, -1)
        if own < level:
            return None
        self._count()
        self._next()
        # A power groups to the right and takes a sign: 2 ** -3 ** 2.
        right = self._operators(_MINUS if operator == "**" else own + 1)
        return Binary(left.start, right.end, operator, left, right)

    def _conditional(self, then: Expression) -> Conditional:
        self._count()
        self._next()
        condition = self._operators(1)
        self._expect("else", "`else`")
        otherwise = self._expression()
        return Conditional(then.start, otherwise.end, condition, then, otherwise)

    def _comparison(self, left: Expression) -> Compare:
        self._count()
        operands, operators = [left], []
        while (operator := self._peek().text) in _COMPARISONS:
            self._next()
            if operator == "not":
                self._expect("in", "`in`")
                operator = "not in"
            operators.append(operator)
            operands.append(self._operators(_COMPARISON + 1))
        return Compare(left.start, operands[-1].end, tuple(operands), tuple(operators))

    # Operands

    def _postfix(self) -> Expression:
        found = self._atom()
        while (opener := self._peek()).text in _CLOSERS:
            self._count()
            if opener.text == "[":
                key = self._subscript()
                found = Subscript(found.start, self.position, found, key)
            elif isinstance(found, Name):
                found = self._call(found)
            else:
                raise ExpressionError("only a name can be called", opener.start, opener.end, self._instead_of_calling(found))
        return found

    def _instead_of_calling(self, called: Expression) -> str | None:
        """What to write where something is called that is no name."""
        return None

    def _atom(self) -> Expression:
        self._count()
        token = self._peek()
        if token.text == "(":
            inner = self._round_brackets()
            return inner if isinstance(inner, Literal | Name) else inner._replace(start=token.start, end=self.position)
        if token.text == "[":
            items, _ = self._items(self._expression)
            return List(token.start, self.position, tuple(items))
        if token.kind in ("end", "sign") or token.text in _OPERATOR_WORDS:
            self._unexpected("a value")
        self._next()
        if token.kind == "number":
            return Literal(token.start, token.end, number(token))
        if token.kind == "string":
            return Literal(token.start, token.end, string(token))
        if token.text in CONSTANTS:
            return Literal(token.start, token.end, CONSTANTS[token.text])
        return Name(token.start, token.end, token.text)

    def _round_brackets(self) -> Expression:
        start = self._peek().start
        items, ends_in_comma = self._items(self._expression, at_least_one="a value")
        return items[0] if len(items) == 1 and not ends_in_comma else Tuple(start, self.position, tuple(items))

    def _call(self, function: Name) -> Call:
        arguments: list[Expression] = []
        keywords: dict[str, tuple[Name, Expression]] = {}

        def argument() -> None:
            value = self._expression()
            if isinstance(value, Name) and self._accept("="):
                if value.text in keywords:
                    raise ExpressionError(f"`{value.text}` is given twice", value.start, value.end)
                keywords[value.text] = (value, self._expression())
            elif keywords:
                raise ExpressionError("an argument without a name stands after one with a name", value.start, value.end)
            else:
                arguments.append(value)

        self._items(argument)
        return Call(function.start, self.position, function, tuple(arguments), tuple(keywords.values()))

    def _subscript(self) -> Expression:
        start = self._peek().end
        items, ends_in_comma = self._items(self._index, at_least_one="an index")
        return items[0] if len(items) == 1 and not ends_in_comma else Tuple(start, self.position - 1, tuple(items))

    def _index(self) -> Expression:
        start = self._peek().start
        lower = self._bound()
        if not self._accept(":"):
            return lower if lower is not None else self._expression()
        self._count()
        upper = self._bound()
        step = self._bound() if self._accept(":") else None
        return Slice(start, self.position, lower, upper, step)

    def _bound(self) -> Expression | None:
        return None if self._peek().text in (":", "]", ",") else self._expression()

    def _items(self, item: Callable[[], _Item], *, at_least_one: str = "") -> tuple[list[_Item], bool]:
        """What stands between brackets, and whether a comma is last."""
        opener = self._next()
        closer = _CLOSERS[opener.text]
        self._openers.append(opener)
        items: list[_Item] = []
        ends_in_comma = False
        while self._peek().text != closer:
            items.append(item())
            ends_in_comma = self._accept(",")
            if not ends_in_comma:
                break
        if not items and at_least_one:
            self._unexpected(at_least_one)
        self._expect(closer, f"an operator, `,` or `{closer}`")
        self._openers.pop()
        return items, ends_in_comma

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            token = self._peek()
            raise ExpressionError(f"an expression has at most {MOST_NODES} parts", token.start, token.end)
