"""Warns of variables and blocks that nothing in the spec names: not the network at hand, not a variant of it, not another block.

The text decides, not the walk, so that a block of one variant is not called unused because the others do without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from specbuilder.diagnostics import Diagnostics
from specbuilder.language.document import Document, Mapping, Node, Scalar, Sequence

_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_DEFINES = {"vars": "variable", "blocks": "block"}


def warn_unused(document: Document, diagnostics: Diagnostics) -> None:
    """`document` is the spec with what it includes and all its variants. An included file may hold more than one spec needs, so only the spec's own text
    is looked through for what it defines.
    """
    defined = [(noun, key) for section, noun in _DEFINES.items() for key in _keys(document.root.get(section)) if key.span.source is document.source]
    if not defined:
        return
    named = set(_named(document.root))
    for noun, key in defined:
        if key.value not in named:
            diagnostics.warning("SB0306", f"the {noun} `{key.value}` is never used", key.span, help="delete it")


def _keys(node: Node | None) -> list[Scalar]:
    return [key for key, _ in node.entries] if isinstance(node, Mapping) else []


def _named(root: Mapping) -> Iterator[str]:
    """Every name that is used: words in texts with a `$`, words that stand alone, and the keys of nodes; but not where they are defined."""
    for section, node in root.entries:
        if section.value == "variants" and isinstance(node, Mapping):
            inner = [value for _, variant in node.entries if isinstance(variant, Mapping) for _, value in variant.entries]
        elif section.value in _DEFINES and isinstance(node, Mapping):
            inner = [value for _, value in node.entries]
        else:
            inner = [node]
        for each in inner:
            yield from _words(each)


def _words(node: Node) -> Iterator[str]:
    if isinstance(node, Scalar):
        if isinstance(node.value, str):
            yield from _WORD.findall(node.value) if "$" in node.value else (node.value,)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _words(item)
    else:
        for key, value in node.entries:
            yield from _words(key)
            yield from _words(value)
