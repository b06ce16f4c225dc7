"""The traps found in a YAML text, and the text repaired so that the parser can read on behind them.

A trap that swallowed part of a scalar is covered by letters of the same number, so that places stay; a missing character is inserted and accounted
for. `yaml_traps` finds, this file books, `read_yaml` reads the result and takes covered scalars from the source.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from specbuilder.diagnostics import Diagnostics, Fix, Related, Source, Span
from specbuilder.language.scalars import shortened
from specbuilder.records import Record


class Repaired(Record):
    """The text as the parser shall read it."""

    text: str
    insertions: tuple[int, ...] = ()
    """Places in `text` of characters that the source lacks."""
    kept: Mapping[int, int] = MappingProxyType({})
    """Start and end in the source of scalars that are texts as written."""
    found_any: bool = False
    is_faithful: bool = True
    """Whether the repaired text says what was meant; else it only serves to find more mistakes."""

    def original(self, offset: int) -> int:
        """The place in the source of a place in `text`."""
        return offset - bisect_left(self.insertions, offset) if self.insertions else offset


@dataclass(slots=True)
class Findings:
    """Reports mistakes of a text and books the edits that let reading go on."""

    source: Source
    diagnostics: Diagnostics
    is_faithful: bool = True
    count: int = 0
    edits: list[tuple[int, int, str]] = field(default_factory=list)
    kept: dict[int, int] = field(default_factory=dict)

    def error(self, code: str, message: str, start: int, end: int, **details: Any) -> None:
        self.diagnostics.error(code, message, self.span(start, end), **details)
        self.count += 1

    def span(self, start: int, end: int) -> Span:
        """Never past the end of the line it begins in, so that carets stay under the text."""
        line_end = self.source.text.find("\n", start, end)
        return Span(self.source, start, end if line_end < 0 else max(line_end, start + 1))

    def fix(self, title: str, start: int, end: int, text: str, grade: Literal["safe", "likely"]) -> tuple[Fix]:
        return (Fix(title=title, span=Span(self.source, start, end), text=text, grade=grade),)

    def wants_quotes(self, start: int, end: int, message: str, *, help: str = "", grade: Literal["safe", "likely"] = "safe") -> None:
        """A scalar that YAML does not read as the text it is."""
        fixed = quoted(self.source.text[start:end])
        help = help or (f"put quotes around this: `{fixed}`" if len(fixed) <= 60 and "\n" not in fixed else "put quotes around this")
        self.error("SB0114", message, start, end, help=help, fixes=self.fix("put quotes around this", start, end, fixed, grade))
        self.cover(start, end)

    def missing_colon(self, start: int, end: int, key: tuple[int, int], *, is_entry: bool, is_sure: bool) -> None:
        """`- relu` with `name:` under it."""
        word = shortened(self.source.text[start:end])
        help = f"write `{'- ' if is_entry else ''}{word}:`"
        related = (Related(span=self.span(*key), message="belongs to it"),)
        fixes = self.fix(help, end, end, ":", "safe" if is_sure else "likely")
        self.error("SB0115", f"`{word}` needs a `:` because keys stand under it", start, end, related=related, help=help, fixes=fixes)
        self.insert(end, ":")

    def no_key(self, start: int, end: int) -> None:
        """A word alone on a line among keys."""
        message = f"`{shortened(self.source.text[start:end])}` is no key and no value: a `:` is missing"
        self.error("SB0115", message, start, end, help="write `key: value`, or begin an entry of a list with `- `")
        self.is_faithful = False

    def missing_space(self, start: int, at: int) -> None:
        """`key:value`."""
        fixes = self.fix("add a space", at, at, " ", "safe")
        self.error("SB0115", f"`{self.source.text[start:at]}` needs a space behind it", start, at, help="write `key: value`", fixes=fixes)
        self.insert(at, " ")

    def too_deep(self, value: tuple[int, int], key: tuple[int, int], column: int) -> None:
        """`- linear: 10` with a deeper `name:` under it."""
        name = self.source.text[slice(*key)]
        line = self.source.text.rfind("\n", 0, key[0]) + 1
        related = (Related(span=self.span(*value), message="this value"),)
        help = f"begin `{name}` in column {column + 1}, beside that key, or write the value as a field beside it"
        fixes = self.fix("put it beside the key above", line, key[0], " " * column, "likely")
        self.error("SB0102", f"`{name}` stands under a key that has a value already", *key, related=related, help=help, fixes=fixes)
        self.is_faithful = False

    def invisible(self, start: int, end: int, at: int, meant: str) -> None:
        """A character that looks like a space or like nothing, in a scalar that would read differently without it."""
        character = self.source.text[at]
        message = f"a character that looks like {'a space' if character.isspace() else 'nothing'} (U+{ord(character):04X})"
        fixes = self.fix("write what it looks like", start, end, meant, "safe")
        self.error("SB0111", message, at, at + 1, help="delete it, or type a plain space", fixes=fixes)
        self.is_faithful = False

    def cover(self, start: int, end: int) -> None:
        self.edits.append((start, end, "x" * (end - start)))
        self.kept[start] = max(end, self.kept.get(start, 0))

    def blank(self, start: int, end: int) -> None:
        self.edits.append((start, end, " " * (end - start)))

    def insert(self, at: int, text: str) -> None:
        self.edits.append((at, at, text))

    def repaired(self) -> Repaired:
        text, parts, insertions, last, shift = self.source.text, [], [], 0, 0
        # At one place insertions come first, and of two covers the longer one counts.
        for start, end, by in sorted(self.edits, key=lambda edit: (edit[0], edit[1] > edit[0], -edit[1])):
            if start < last:
                continue
            parts += [text[last:start], by]
            if start == end:
                insertions += [start + shift + i for i in range(len(by))]
                shift += len(by)
            last = end
        return Repaired("".join([*parts, text[last:]]), tuple(insertions), self.kept, bool(self.count), self.is_faithful)


def quoted(text: str) -> str:
    """The text as a YAML scalar in quotes."""
    return f'"{text}"' if '"' not in text and "\\" not in text else "'" + text.replace("'", "''") + "'"
