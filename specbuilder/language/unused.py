"""Warns of variables and blocks that nothing in the spec names: not the network at hand, not a variant of it, not another block.

The text decides, not the walk, so that a block of one variant is not called unused because the others do without it. A name is used where an expression
says it, a block also where its bare name stands. What is repeated by a YAML alias is used too, under whatever name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from specbuilder.diagnostics import Diagnostics
from specbuilder.language.document import Document, Mapping, Node, Scalar, Sequence

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFINES = {"vars": "variable", "blocks": "block"}

Definition = tuple[str, str]
"""A section and a name in it."""


def warn_unused(document: Document, diagnostics: Diagnostics) -> None:
    """`document` is the spec with what it includes and all its variants. An included file may hold more than one spec needs, so only the spec's own text
    is looked through for what it defines.
    """
    root = document.root
    defined = {(section, str(key.value)): (key, value) for section in _DEFINES for key, value in _entries(root.get(section))}
    own = {name for name, (key, _) in defined.items() if key.span.source is document.source}
    if not own:
        return
    named = {name: _named((value,)) & defined.keys() for name, (_, value) in defined.items()}
    first = (_named(_others(root)) | _facts(root)) & defined.keys()
    if own <= _reached(first, named):
        return
    first |= _repeated(root, {name: value for name, (_, value) in defined.items()}, named)
    used = _reached(first, named)
    reached = {name: _reached({name}, named) for name in defined.keys() - used}
    for name in own - used:
        # What only another unused thing names is told when that one is gone, unless the two name each other.
        if not any(name in others and other not in reached[name] for other, others in reached.items()):
            section, word = name
            diagnostics.warning("SB0306", f"the {_DEFINES[section]} `{word}` is never used", defined[name][0].span, help="delete it")


def names_in(node: Node | None) -> Iterator[str]:
    """Every word of the expressions in a part of the text."""
    return (word for word, is_bare in _words(node) if not is_bare) if node is not None else iter(())


def _entries(node: Node | None) -> tuple[tuple[Scalar, Node], ...]:
    return node.entries if isinstance(node, Mapping) else ()


def _reached(names: set[Definition], named: dict[Definition, set[Definition]]) -> set[Definition]:
    """These, and what they name, and so on."""
    found, waiting = set(names), list(names)
    while waiting:
        new = named[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def _named(nodes: Iterable[Node]) -> set[Definition]:
    """What a part of the text may name."""
    found: set[Definition] = set()
    for node in nodes:
        for word, is_bare in _words(node):
            found.add(("blocks", word))
            if not is_bare:
                found.add(("vars", word))
    return found


def _others(root: Mapping) -> Iterator[Node]:
    """The text around the definitions. A variant names the variables that it sets, which is no use of them."""
    for section, node in root.entries:
        if section.value == "variants":
            yield from (value for _, variant in _entries(node) for _, value in _entries(variant))
        elif section.value not in _DEFINES:
            yield node


def _facts(root: Mapping) -> set[Definition]:
    """The names in `model.where`: a fact says variables and sizes alike, without a `$`."""
    model = root.get("model")
    where = model.get("where") if isinstance(model, Mapping) else None
    return {("vars", word) for text, _ in _words(where) for word in _WORD.findall(text)} if where is not None else set()


def _words(node: Node) -> Iterator[tuple[str, bool]]:
    """The words of expressions, and texts that are none as a whole: the bare names."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Scalar):
            if isinstance(each.value, str):
                if "$" in each.value:
                    yield from ((word, False) for word in _WORD.findall(each.value))
                else:
                    yield each.value, True
        elif isinstance(each, Sequence):
            waiting += each.items
        else:
            for key, value in each.entries:
                waiting += (key, value)


def _repeated(root: Mapping, defined: dict[Definition, Node], named: dict[Definition, set[Definition]]) -> set[Definition]:
    """Definitions of which a part stands around them as well: an alias gives the very node that it repeats. Those that share a part name each other."""
    inside: dict[int, set[Definition]] = {}
    for name, value in defined.items():
        for part in _parts(value):
            inside.setdefault(id(part), set()).add(name)
    for names in inside.values():
        for name in names if len(names) > 1 else ():
            named[name] |= names
    return {name for node in _others(root) for part in _parts(node) for name in inside.get(id(part), ())}


def _parts(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, Sequence):
            waiting += each.items
        elif isinstance(each, Mapping):
            waiting += (value for _, value in each.entries)
