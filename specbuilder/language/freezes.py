"""`freeze` of a node: `true` for all its parameters, or the names of some. Whether the node has them is for `graph/freezing`."""

from __future__ import annotations

from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics, Span
from specbuilder.language.document import Node
from specbuilder.language.tree import Entry
from specbuilder.language.values import entry, placed, span_at


def decode_freeze(key: Span, node: Node, diagnostics: Diagnostics) -> Entry | None:
    """The entry, a literal one already checked; None after a mistake."""
    found = entry(key, placed(key, node), diagnostics)
    return found if found.is_deferred or is_freeze(found.value, found, diagnostics) else None


def is_freeze(value: object, written: Entry, diagnostics: Diagnostics) -> bool:
    """Whether the value can say what is frozen; reported when not."""
    if isinstance(value, (bool, str)):
        return True
    items = value if isinstance(value, tuple) and value else (value,)
    for at, item in enumerate(items):
        if not isinstance(item, str):
            span = span_at(written.node, (at,)) if isinstance(value, tuple) else written.span
            message = f"`freeze` wants true, or names of tensors, but this is {shown(item)}"
            diagnostics.error("SB0203", message, span, help="such as `freeze: true` or `freeze: [weight]`")
            return False
    return True
