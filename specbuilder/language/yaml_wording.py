"""What ruamel says about a text it cannot parse, in words that a beginner can act on."""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml.error import MarkedYAMLError

from specbuilder.diagnostics import Diagnostics, Related, Source, Span
from specbuilder.language.scalars import shortened
from specbuilder.language.yaml_repair import Repaired


def syntax_error(source: Source, error: MarkedYAMLError, repaired: Repaired, diagnostics: Diagnostics) -> None:
    """Reports the one thing that stopped the parser."""
    mark, opened = error.problem_mark or error.context_mark, error.context_mark
    at = repaired.original(mark.index) if mark is not None else 0
    begun = repaired.original(opened.index) if opened is not None else at
    code, message, span, details = _words(source, str(error.problem or ""), str(error.context or ""), at, begun)
    diagnostics.error(code, message, span, **details)


def _words(source: Source, problem: str, context: str, at: int, begun: int) -> tuple[str, str, Span, dict[str, Any]]:
    here = _word_at(source, at)
    if "could not find expected ':'" in problem:
        span = _word_at(source, begun)
        return (
            "SB0115",
            f"`{shortened(span.text)}` is no key and no value: a `:` is missing",
            span,
            {"help": "write `key: value`, or begin an entry of a list with `- `"},
        )
    if "mapping values are not allowed" in problem:
        return "SB0102", "a `:` has no place here", here, {"help": "put quotes around a text that holds `: `, or begin a new line for a key"}
    if "sequence entries are not allowed" in problem:
        return "SB0102", "a `- ` has no place here", here, {"help": "begin the list on a new line, or put quotes around a text that begins with `- `"}
    if "expected <block end>" in problem:
        what = "list" if "sequence" in context or "collection" in context else "mapping"
        opened = Related(span=_word_at(source, begun), message=f"the {what} begins here")
        return (
            "SB0102",
            "the indentation of this line matches no line above it",
            here,
            {"related": (opened,), "help": f"give all lines of one {what} the same indentation"},
        )
    if "escape" in problem:
        return (
            "SB0102",
            "a text in double quotes has a `\\` that means nothing",
            _span(source, max(at - 1, 0), at + 1),
            {"help": "write `\\\\` for a backslash, or use single quotes"},
        )
    if "cannot start any token" in problem:
        return "SB0102", f"nothing can begin with `{source.text[at : at + 1]}` here", here, {"help": "put quotes around a text that begins with it"}
    if "block scalar" in context or "block scalar" in problem:
        return "SB0102", "a text after `|` or `>` begins on the next line, indented", here, {"help": "write `key: |`, and the text indented below it"}
    if "expected ',' or" in problem:
        closing = "]" if "]" in problem else "}"
        opened = Related(span=_span(source, begun, begun + 1), message="opened here")
        return (
            "SB0113",
            f"a `,` or `{closing}` is missing before this",
            here,
            {"related": (opened,), "help": "separate values by commas, and close what was opened"},
        )
    if "document" in problem:
        return "SB0108", "a second document begins here", here, {"help": "a spec is one document"}
    return "SB0102", "this cannot be read as YAML", here, {"help": "compare the indentation and the quotes with the lines around it"}


_WORD = re.compile(r"[^\s,\[\]{}]+")


def _word_at(source: Source, at: int) -> Span:
    """The word at a place; at the end of a line or of the text, the last character that is there."""
    match = _WORD.match(source.text, at)
    if match is None and not source.text[at : at + 1].strip():
        at = max(len(source.text[:at].rstrip()) - 1, 0)
    return _span(source, at, match.end() if match else at + 1)


def _span(source: Source, start: int, end: int) -> Span:
    return Span(source, start, max(min(end, len(source.text)), start))
