"""A variable keeps its type, whoever gives it another value: a variant, a file that includes it, `--set`.

The type is that of the value in the text: an integer, a number, true or false, a text, a list of these. Null and expressions have none that is known
before they are evaluated, so they take and give any value; what uses the variable is checked as always.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics, Related
from specbuilder.language.document import BROKEN, Mapping, Node, Scalar, Sequence, plain
from specbuilder.language.values import without_quotes

ANY, INTEGER, NUMBER, TRUTH, TEXT, MAPPING = "a value", "an integer", "a number", "true or false", "a text", "a mapping"
_PLURALS = {INTEGER: "integers", NUMBER: "numbers", TRUTH: "truth values", TEXT: "texts", MAPPING: "mappings"}

Type = str | tuple["Type"]
"""A word, or a tuple that holds the type of a list's items."""


def keeps_type(name: str, old: Node, new: Node, diagnostics: Diagnostics) -> bool:
    """Whether the new value of a variable is of the type of the old one; reported when not. The old one is then to be kept, so that one mistake is told."""
    wanted = _type_of(old)
    wrong = _misfit(wanted, new)
    if wrong is None:
        return True
    diagnostics.error(
        "SB0203",
        f"`{name}` wants {_described(wanted)}, but this is {shown(plain(wrong))}",
        wrong.span,
        help=_repair(wrong, wanted) or "a variable keeps its type",
        related=(Related(old.span, "its type is that of this value"),),
    )
    return False


def _type_of(node: Node) -> Type:
    if isinstance(node, Sequence):
        return (_common(map(_type_of, node.items)),)
    if isinstance(node, Mapping):
        return MAPPING
    if _is_open(node):
        return ANY
    return {bool: TRUTH, int: INTEGER, float: NUMBER}.get(type(node.value), TEXT)


def _is_open(node: Node) -> bool:
    return isinstance(node, Scalar) and (node.value is None or node.value is BROKEN or (isinstance(node.value, str) and "$" in node.value))


def _common(types: Iterable[Type]) -> Type:
    """The type that all items have; any where they differ."""
    found = list(types)
    return reduce(_joined, found) if found else ANY


def _joined(a: Type, b: Type) -> Type:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return (_joined(a[0], b[0]),)
    if a == b:
        return a
    return NUMBER if {a, b} == {INTEGER, NUMBER} else ANY


def _misfit(wanted: Type, node: Node) -> Node | None:
    """The part of a value that does not fit."""
    if wanted == ANY or (isinstance(node, Scalar) and (node.value is BROKEN or (isinstance(node.value, str) and "$" in node.value))):
        return None
    if isinstance(wanted, tuple):
        if not isinstance(node, Sequence):
            return node
        return next((wrong for item in node.items if (wrong := _misfit(wanted[0], item)) is not None), None)
    found = _type_of(node)
    fits = found == wanted or (wanted == NUMBER and found == INTEGER)
    return None if fits else node


def _described(wanted: Type) -> str:
    if not isinstance(wanted, tuple):
        return wanted
    item = wanted[0]
    if isinstance(item, tuple):
        return "a list of lists"
    return f"a list of {_PLURALS[item]}" if item in _PLURALS else "a list"


def _repair(node: Node, wanted: Type) -> str | None:
    item = wanted
    while isinstance(item, tuple):
        item = item[0]
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return None
    if item == TRUTH and node.value.lower() in ("yes", "no", "on", "off"):
        return f"write `{'true' if node.value.lower() in ('yes', 'on') else 'false'}`"
    return without_quotes(node) if item in (INTEGER, NUMBER) else None
