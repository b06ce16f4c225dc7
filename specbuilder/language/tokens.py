"""Characters to tokens: numbers, strings, words and signs of an expression, and the one error that all of the expression language raises.

In: a text and a position. Out: the token there, or the value of a literal. What tokens mean together is left to `syntax`.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple, Protocol

LARGEST = 2**63
"""Every whole number is smaller than this, with or without its sign."""


class Place(Protocol):
    """What an error can point at: a token, a node."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class ExpressionError(Exception):
    """A mistake in an expression, at `start` to `end` of the text it was given as. The place is empty where the text ends too early."""

    def __init__(self, message: str, start: int, end: int, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.help = help


class Token(NamedTuple):
    kind: str
    """`number`, `string`, `word`, `sign`, or `end`."""
    text: str
    start: int
    end: int


# A number takes in every character that may follow a digit, so that `2H` and `1.5.2` are one mistake, not two tokens.
_TOKEN = re.compile(
    r"""(?P<number>(?:[0-9]|\.[0-9])(?:[eE][+-]?[0-9]|[A-Za-z0-9_.])*)
      | (?P<string>'(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*")
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>\*\*|//|==|!=|<=|>=|&&|\|\||[-+*/%<>()\[\],:=])""",
    re.VERBOSE,
)
# Compiled when the first such literal comes, which in most specs is never.
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_INTEGER = r"0|[1-9][0-9]*(?:_[0-9]+)*"
_FLOAT = rf"(?:{_DIGITS}\.(?:{_DIGITS})?|\.{_DIGITS}|{_DIGITS}(?=[eE]))(?:[eE][+-]?{_DIGITS})?"
_FACTOR = r"([1-9][0-9]*)([A-DF-Za-df-z][A-Za-z0-9_]*)"
_ESCAPE = r"(?s)\\(.)"
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}

# Spellings of other languages, and what they are called here.
ELSEWHERE = {
    "=": "`==` compares",
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
    "^": "a power is written `**`",
    "?": "write `a if condition else b`",
    "$": "inside an expression names stand without `$`",
    "is": "`==` compares",
    ".": "there are no attributes in expressions",
    "{": "there are no mappings in expressions",
    "for": "there are no loops in expressions",
    "lambda": "there are no functions of your own in expressions",
}


def after_space(text: str, start: int) -> int:
    """The first place from `start` on that is no white space."""
    while start < len(text) and text[start] in " \t\r\n":
        start += 1
    return start


def read_token(text: str, start: int) -> Token:
    """The token that begins at `start` or after the white space there."""
    start = after_space(text, start)
    if start == len(text):
        return Token("end", "", start, start)
    found = _TOKEN.match(text, start)
    if found is not None:
        return Token(found.lastgroup or "", found.group(), start, found.end())
    character = text[start]
    if character in "'\"":
        line_end = text.find("\n", start)
        raise ExpressionError("this string is never closed", start, line_end if line_end >= 0 else len(text))
    raise ExpressionError(f"unexpected `{character}`", start, start + 1, ELSEWHERE.get(character))


def word_at(text: str, start: int) -> str:
    """The word that begins at `start`; empty when none does."""
    found = _TOKEN.match(text, start)
    return found.group() if found and found.lastgroup == "word" else ""


def clip(text: str) -> str:
    """The text, short enough for a message."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def number(token: Token) -> int | float:
    """The value of a `number`: decimal, `_` between digits, as in Python."""
    text = token.text
    if re.fullmatch(_INTEGER, text):
        digits = text.replace("_", "")
        if len(digits) > len(str(LARGEST)) or (value := int(digits)) >= LARGEST:
            raise ExpressionError(f"`{clip(text)}` is too large: whole numbers stay below 2**63", token.start, token.end)
        return value
    if re.fullmatch(_FLOAT, text):
        value = float(text)
        if math.isinf(value):
            raise ExpressionError(f"`{clip(text)}` is too large for a number", token.start, token.end)
        return value
    help = None
    if (factor := re.fullmatch(_FACTOR, text)) is not None:
        help = f"write `{factor[1]} * {clip(factor[2])}`"
    elif text.isdecimal():
        help = f"write `{clip(text.lstrip('0') or '0')}`"
    raise ExpressionError(f"`{clip(text)}` is no number", token.start, token.end, help)


def string(token: Token) -> str:
    """The value of a `string`, its escapes resolved."""

    def character(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            start = token.start + 1 + found.start()
            raise ExpressionError(f"unknown escape `{found[0]}` in a string", start, start + 2, "a backslash is written `\\\\`")
        return _ESCAPES[found[1]]

    content = token.text[1:-1]
    return re.sub(_ESCAPE, character, content) if "\\" in content else content
