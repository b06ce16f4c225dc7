"""What `read` gives: the text as located nodes, and nothing about what they mean.

A node is a scalar, a mapping or a sequence; each knows its place in the text, so that any later stage can put a caret under it. Keys are always
strings and stand once in their mapping. Pure data: two nodes are equal only if they are the same place, which also keeps comparing and hashing cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as MappingOf
from types import MappingProxyType
from typing import Any

from specbuilder.diagnostics import Source, Span
from specbuilder.records import Record

OPTION = "--set"
"""What messages call the text of an option: the source of every node that `--set` put into a document."""
OPTIONS = (OPTION, "--epochs")
"""All options that put a value into a document."""


class Broken:
    """Stands for a value that cannot be read. That has been told, so whoever needs it stays quiet."""


BROKEN: Any = Broken()


class Scalar(Record, identity=True):
    """A number, a boolean, a text or nothing. `text` is what was written, without quotes and before escapes; it starts at `content`."""

    value: int | float | bool | str | Broken | None
    span: Span
    text: str
    content: int
    plain: bool
    """Written without quotes, so that `value` was found by what the text looks like."""

    def __repr__(self) -> str:
        return f"Scalar({self.value!r} at {self.span})"


class Mapping(Record, identity=True):
    """Keys and values in the order of the text."""

    entries: tuple[tuple[Scalar, Node], ...]
    span: Span

    def get(self, key: str) -> Node | None:
        """The value under `key`."""
        return next((value for name, value in self.entries if name.value == key), None)

    def key(self, key: str) -> Scalar | None:
        """Where `key` is written."""
        return next((name for name, _ in self.entries if name.value == key), None)

    def keys(self) -> Iterator[str]:
        return (str(name.value) for name, _ in self.entries)

    def __repr__(self) -> str:
        return f"Mapping({', '.join(self.keys())} at {self.span})"


class Sequence(Record, identity=True):
    items: tuple[Node, ...]
    span: Span

    def __repr__(self) -> str:
        return f"Sequence({len(self.items)} items at {self.span})"


Node = Scalar | Mapping | Sequence


class IncludedText(Record):
    """A file that a spec includes. `place` is its path from the folder of the spec, `digest` the SHA-256 of the text in UTF-8."""

    place: str
    text: str
    digest: str


class Document(Record, identity=True):
    """A text that could be read. `digest` is the SHA-256 of the text in UTF-8, by which two runs tell that they had the same spec."""

    source: Source
    root: Mapping
    digest: str
    included: tuple[IncludedText, ...] = ()
    """The files whose blocks and variables stand in `root`."""
    overruled: MappingOf[str, Node] = MappingProxyType({})
    """What included files say of variables that the spec sets anew."""
    variants: tuple[str, ...] = ()
    """The names of its variants, once they have been checked."""


def without(mapping: Mapping, key: str) -> Mapping:
    """The mapping with one entry less."""
    return Mapping(tuple(entry for entry in mapping.entries if entry[0].value != key), mapping.span)


def with_value(mapping: Mapping, key: Scalar, value: Node) -> Mapping:
    """The mapping with another value under a key, which is added where it is new."""
    if any(name.value == key.value for name, _ in mapping.entries):
        return Mapping(tuple((name, value if name.value == key.value else old) for name, old in mapping.entries), mapping.span)
    return Mapping((*mapping.entries, (key, value)), mapping.span)


def plain(node: Node) -> Any:
    """The node as dict, list or scalar, without its places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {str(key.value): plain(value) for key, value in node.entries}
