"""Scalars with a `$`: what they are taken apart into, and what comes out."""

from __future__ import annotations

from typing import Any

import pytest

from specbuilder.language.expressions import ExpressionError, Reference, Template, parse_template, render
from specbuilder.shapes import symbol

H = symbol("H")
NAMES: dict[str, Any] = {"n": 3, "unit": "basic", "rate": 0.5, "yes": True, "nothing": None, "dims": (96, 192), "H": H, "taller": H + 1, "fields": {}}


def template(text: str) -> Template:
    found = parse_template(text)
    assert found is not None
    return found


VALUES: list[tuple[str, Any]] = [
    # one reference keeps its type
    ("$n", 3),
    ("$unit", "basic"),
    ("$rate", 0.5),
    ("$yes", True),
    ("$nothing", None),
    ("$dims", (96, 192)),
    ("$H", H),
    ("$(n)", 3),
    ("$(n / 2)", 1.5),
    ("$(dims[::-1])", (192, 96)),
    ("$(1, n)", (1, 3)),
    ("$(\n  n\n  + 1\n)", 4),
    ("$(')')", ")"),
    ("$('$')", "$"),
    # white space around it, as a folded block of YAML leaves it, does not make it text
    ("$(n + 1)\n", 4),
    ("$n\n", 3),
    (" $n ", " 3 "),
    # in a longer text values are written out
    ("layer$(n + 1)", "layer4"),
    ("$unit.$n", "basic.3"),
    ("$unit$n", "basic3"),
    ("$n$n", "33"),
    ("$n $n", "3 3"),
    ("layer$n.$(dims[1] // 2).weight", "layer3.96.weight"),
    ("$(-1 - n).skips", "-4.skips"),
    ("$(unit)_$n", "basic_3"),
    ("float32[B, $n, 16*h]", "float32[B, 3, 16*h]"),
    # a dim is written so that the text can be read again
    ("float32[B, $H]", "float32[B, H]"),
    ("float32[B, 2*$taller]", "float32[B, 2*(H + 1)]"),
    ("float32[B, 2*$(H // 2)]", "float32[B, 2*(H//2)]"),
    # `$$` is a dollar sign
    ("$$", "$"),
    ("$$n", "$n"),
    ("$$$n", "$3"),
    ("$$$$", "$$"),
    ("a$$(n)", "a$(n)"),
    ("costs 3$$", "costs 3$"),
]


@pytest.mark.parametrize(("text", "expected"), VALUES)
def test_value(text: str, expected: object) -> None:
    found = render(template(text), NAMES.__getitem__, NAMES)
    assert (type(found), found) == (type(expected), expected)


ERRORS: list[tuple[str, str, int, int, str | None]] = [
    ("$", "`$` stands before a name or `(`, found the end", 0, 1, "a dollar sign is written `$$`"),
    ("3$ each", "`$` stands before a name or `(`, found ` `", 1, 3, "a dollar sign is written `$$`"),
    ("a$1", "`$` stands before a name or `(`, found `1`", 1, 3, "a dollar sign is written `$$`"),
    ("$$$", "`$` stands before a name or `(`, found the end", 2, 3, "a dollar sign is written `$$`"),
    ("${n}", "`$` stands before a name or `(`, found `{`", 0, 2, "write `$name` or `$(...)`; a dollar sign is written `$$`"),
    ("$if", "`if` is a word of expressions, not a name", 1, 3, "a dollar sign is written `$$`"),
    ("x$true", "`true` is a word of expressions, not a name", 2, 6, "write `$(true)`"),
    ("a $(n", "this `(` is never closed", 3, 4, None),
    ("a $(n + ) b", "expected a value, found `)`", 8, 9, None),
    ("$(n #2)", "unexpected `#`", 4, 5, None),
    ("$()", "expected a value, found `)`", 2, 3, None),
    ("$(n) and $(m)", "unknown name `m`", 11, 12, None),
    ("$untit", "unknown name `untit`", 1, 6, "did you mean `unit`?"),
    ("$(n + yes)", "`+` of a number and a boolean", 2, 9, "a boolean is no number; `int(...)` makes it one"),
    ("x$rate", "`$rate` is the number 0.5; inside a text stand only whole numbers and strings", 1, 6, None),
    ("x$(n / 2)y", "`$(n / 2)` is the number 1.5; inside a text stand only whole numbers and strings", 1, 9, None),
    ("x$yes", "`$yes` is a boolean; inside a text stand only whole numbers and strings", 1, 5, None),
    ("x$nothing", "`$nothing` is null; inside a text stand only whole numbers and strings", 1, 9, None),
    ("x$fields", "`$fields` is a mapping; inside a text stand only whole numbers and strings", 1, 8, None),
    ("$dims[0]", "`$dims` is a list; inside a text stand only whole numbers and strings", 0, 5, "an index goes inside: `$(dims[...])`"),
    ("x$('a' * 4096)", "the text becomes 4097 characters long: at most 4096", 0, 14, None),
    ("$" * 5000, "a text with expressions has at most 4096 characters, this one has 5000", 0, 5000, None),
]


@pytest.mark.parametrize(("text", "message", "start", "end", "help"), ERRORS)
def test_mistake(text: str, message: str, start: int, end: int, help: str | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        render(template(text), NAMES.__getitem__, NAMES)
    error = caught.value
    assert (error.message, error.start, error.end, error.help) == (message, start, end, help)


@pytest.mark.parametrize("text", ["", "relu", "float32[B, 3]", "a # b", "1 + 1"])
def test_text_without_a_dollar_sign_is_no_template(text: str) -> None:
    assert parse_template(text) is None


def test_parts_carry_their_places() -> None:
    found = template("a$$b$n.$(unit)c")
    assert [(part.start, part.end) if isinstance(part, Reference) else part for part in found.parts] == ["a$b", (4, 6), ".", (7, 14), "c"]
    assert found.whole is None
    assert [(name.text, name.start, name.end) for name in found.names] == [("n", 5, 6), ("unit", 9, 13)]


def test_all_references_of_a_text_share_one_cap() -> None:
    with pytest.raises(ExpressionError, match="an expression has at most 1000 parts"):
        parse_template("$(0)" * 1001)
