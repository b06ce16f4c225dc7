"""JSON text to located nodes.

A reader of our own, because the one of the standard library keeps no places, takes the last of two equal keys and accepts `NaN`. Strict JSON: no
comments, no trailing commas. A wrong number or a double key is reported and reading goes on; where the grammar breaks, reading ends with one error.
"""

from __future__ import annotations

import gc
import re
from json.decoder import JSONDecodeError, scanstring  # pyright: ignore[reportAttributeAccessIssue]

from specbuilder.diagnostics import Diagnostics, Fix, Related, Source, Span
from specbuilder.language.document import BROKEN, Mapping, Node, Scalar, Sequence
from specbuilder.language.keys import duplicate_key, undisguised
from specbuilder.language.scalars import NumberProblem, integer, real, shortened

DEPTH_AT_MOST = 64

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"([^"\\\x00-\x1f]*)"')
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?(?![\w.+-])")
_WORD = re.compile(r"[-+]?[\w.$'+-]+|.")
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_WORDS = {"true": True, "false": False, "null": None}
_NOT_FINITE = frozenset(("NaN", "Infinity", "-Infinity", "+Infinity", "nan", "inf", "-inf", ".nan", ".inf", "-.inf"))


class Broken(Exception):
    """The grammar does not go on here; why has been reported."""


def read_json(source: Source, diagnostics: Diagnostics) -> Node | None:
    """The root node; None for an empty text and after a mistake that ends reading."""
    reader = _Reader(source, diagnostics)
    # Tens of thousands of nodes that all stay alive: collecting in between costs a third of the time and frees nothing.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return reader.document()
    except Broken:
        return None
    finally:
        if was_enabled:
            gc.enable()


class _Reader:
    __slots__ = ("at", "diagnostics", "source", "text")

    def __init__(self, source: Source, diagnostics: Diagnostics) -> None:
        self.source, self.text, self.diagnostics, self.at = source, source.text, diagnostics, 0

    def document(self) -> Node | None:
        self._skip()
        if self.at == len(self.text):
            return None
        root = self._value(0)
        self._skip()
        if self.at < len(self.text):
            raise self._broken("the text goes on behind its end", self._word(self.at), help="a JSON file holds one value")
        return root

    def _skip(self) -> None:
        self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]

    def _value(self, depth: int) -> Node:
        sign = self.text[self.at : self.at + 1]
        if sign == '"':
            return self._string()
        if sign in ("{", "["):
            if depth >= DEPTH_AT_MOST:
                raise self._broken(
                    f"more than {DEPTH_AT_MOST} levels of lists and mappings in one another",
                    self._word(self.at),
                    code="SB0112",
                    help="name inner parts as `blocks`",
                )
            return self._mapping(depth) if sign == "{" else self._sequence(depth)
        match = _NUMBER.match(self.text, self.at)
        return self._number(match) if match is not None else self._bare()

    def _mapping(self, depth: int) -> Mapping:
        start, entries = self.at, {}
        self.at += 1
        self._skip()
        text = self.text
        if text.startswith("}", self.at):
            self.at += 1
            return Mapping((), Span(self.source, start, self.at))
        while True:
            if not text.startswith('"', self.at):
                raise self._no_key(start)
            key = self._string()
            colon = _COLON.match(text, self.at)
            if colon is None:
                raise self._no_colon(key, start)
            self.at = colon.end()
            value = self._value(depth + 1)
            name = key.value if key.text.isascii() else undisguised(str(key.value), key.span, self.diagnostics)
            if (first := entries.setdefault(name, (key, value))[0]) is not key:
                duplicate_key(str(name), key.span, first.span, self.diagnostics)
            if self._ends("}", start):
                return Mapping(tuple(entries.values()), Span(self.source, start, self.at))

    def _sequence(self, depth: int) -> Sequence:
        start, items = self.at, []
        self.at += 1
        self._skip()
        if self.text.startswith("]", self.at):
            self.at += 1
            return Sequence((), Span(self.source, start, self.at))
        while True:
            items.append(self._value(depth + 1))
            if self._ends("]", start):
                return Sequence(tuple(items), Span(self.source, start, self.at))

    def _ends(self, closing: str, start: int) -> bool:
        """Behind a value: takes the bracket and says True, or takes the comma and says False."""
        text = self.text
        comma = _COMMA.match(text, self.at)
        if comma is not None:
            self.at = comma.end()
            if text.startswith(closing, self.at):
                place = text.index(",", comma.start())
                span = Span(self.source, place, place + 1)
                fix = Fix(title="delete the comma", span=span, text="", grade="safe")
                raise self._broken(f"a comma stands before `{closing}`", span, help="delete the comma", fixes=(fix,))
            return False
        end = self.at
        self._skip()
        if text.startswith(closing, self.at):
            self.at += 1
            return True
        if self.at == len(text):
            raise self._unclosed(start)
        if text[self.at] in "]}":
            related = (Related(span=Span(self.source, start, start + 1), message="opened here"),)
            raise self._broken(
                f"`{text[self.at]}` cannot close `{text[start]}`",
                self._word(self.at),
                code="SB0113",
                related=related,
                help=f"close it with `{closing}`",
            )
        if text[self.at] in "/#":
            raise self._comment()
        fix = Fix(title="add a comma", span=Span(self.source, end, end), text=",", grade="likely")
        raise self._broken(f"a `,` or `{closing}` is missing before this", self._word(self.at), help="separate values by commas", fixes=(fix,))

    def _string(self) -> Scalar:
        start = self.at
        match = _STRING.match(self.text, start)
        if match is not None:
            self.at = end = match.end()
            return Scalar(match[1], Span(self.source, start, end), match[1], start + 1, False)
        try:
            value, end = scanstring(self.text, start + 1)
        except JSONDecodeError as error:
            raise self._bad_string(start, error) from None
        self.at = end
        span = Span(self.source, start, end)
        if any("\ud800" <= character <= "\udfff" for character in value):
            self.diagnostics.error(
                "SB0111", "this text holds half of a character", span, help="`\\ud800` to `\\udfff` come in pairs; write the character itself"
            )
            value = BROKEN
        return Scalar(value, span, self.text[start + 1 : end - 1], start + 1, False)

    def _bad_string(self, start: int, error: JSONDecodeError) -> Broken:
        if "Unterminated" in error.msg:
            return self._broken("this quote is never closed", Span(self.source, start, start + 1), code="SB0113", help='add `"` where the text ends')
        if "control character" in error.msg:
            sign = self.text[error.pos]
            if sign == "\n":
                return self._broken(
                    "this quote is not closed on its line",
                    Span(self.source, start, start + 1),
                    code="SB0113",
                    help='add `"` where the text ends; a line break in it is written `\\n`',
                )
            return self._broken("a tab inside of a text", Span(self.source, error.pos, error.pos + 1), help="write `\\t`")
        at = self.text.rfind("\\", start, error.pos + 1)
        return self._broken(
            "a text has a `\\` that means nothing", Span(self.source, at, min(at + 2, len(self.text))), help="write `\\\\` for a backslash"
        )

    def _number(self, match: re.Match[str]) -> Scalar:
        start, self.at = self.at, match.end()
        text, span = match[0], Span(self.source, start, match.end())
        value = integer(text) if match.lastindex == 1 else real(text)
        if isinstance(value, NumberProblem):
            self.diagnostics.error("SB0110", value.message, span, help=value.help)
            return Scalar(BROKEN, span, text, start, True)
        return Scalar(value, span, text, start, True)

    def _bare(self) -> Scalar:
        """`true`, `false`, `null`; everything else that is not in quotes is a mistake."""
        if self.at >= len(self.text):
            raise self._broken("a value is missing at the end of the file", Span(self.source, self.at, self.at), help="write the value")
        start, span = self.at, self._word(self.at)
        text, self.at = span.text, span.end
        if text in _WORDS:
            return Scalar(_WORDS[text], span, text, start, True)
        if text in _NOT_FINITE:
            self.diagnostics.error(
                "SB0110",
                f"`{text}` is not a finite number",
                span,
                help="every number of a spec is finite; leave the key out, or put quotes around a text",
            )
            return Scalar(BROKEN, span, text, start, True)
        if text[0] in "/#":
            raise self._comment(start)
        if text[0] in ",]}:":
            raise self._broken(f"a value is missing before `{text[0]}`", span, help="write the value")
        if text[0].isdigit() or text[0] in "+-.":
            raise self._broken(
                f"`{shortened(text)}` is no number of JSON", span, help="numbers look like `12`, `-0.5` or `1e-3`; put quotes around a text"
            )
        word = {"true": "true", "false": "false", "none": "null", "null": "null"}.get(text.lower())
        wanted = word or f'"{shortened(text.strip(chr(39)))}"'
        fix = Fix(title=f"write `{wanted}`", span=span, text=wanted, grade="likely")
        raise self._broken(f"`{shortened(text)}` is no value of JSON", span, help=f"write `{wanted}`", fixes=(fix,))

    def _no_key(self, start: int) -> Broken:
        if self.at >= len(self.text):
            return self._unclosed(start)
        span = self._word(self.at)
        if span.text[0] in "/#":
            return self._comment()
        if span.text[0].isalpha() or span.text[0] in "_$'":
            wanted = f'"{shortened(span.text.strip(chr(39)))}"'
            fix = Fix(title="put quotes around the key", span=span, text=wanted, grade="safe")
            return self._broken(f"the key `{shortened(span.text)}` needs double quotes", span, help=f"write `{wanted}`", fixes=(fix,))
        return self._broken("a key is missing here", span, help='write `"key": value`')

    def _no_colon(self, key: Scalar, start: int) -> Broken:
        self._skip()
        if self.at >= len(self.text):
            return self._unclosed(start)
        return self._broken(f"a `:` is missing behind the key `{shortened(str(key.value))}`", key.span, help='write `"key": value`')

    def _unclosed(self, start: int) -> Broken:
        sign = self.text[start]
        return self._broken(
            f"this `{sign}` is never closed",
            Span(self.source, start, start + 1),
            code="SB0113",
            help=f"add `{'}' if sign == '{' else ']'}` where it ends",
        )

    def _comment(self, at: int | None = None) -> Broken:
        at = self.at if at is None else at
        end = self.text.find("\n", at)
        span = Span(self.source, at, end if end >= 0 else len(self.text))
        return self._broken("JSON has no comments", span, help="delete it, or write the spec as YAML")

    def _word(self, at: int) -> Span:
        match = _WORD.match(self.text, at)
        return Span(self.source, at, match.end() if match else at)

    def _broken(self, message: str, span: Span, *, code: str = "SB0116", **details: object) -> Broken:
        self.diagnostics.error(code, message, span, **details)
        return Broken()
