"""Says once that torch was imported to check a spec, and for which kinds: a user's own kinds that have no rule of their own."""

from __future__ import annotations

from specbuilder.catalogue.contract import Node
from specbuilder.diagnostics import Diagnostic, Diagnostics
from specbuilder.graph.formula import Computation
from specbuilder.graph.graph import TypedGraph


def _measured(kind: Node) -> tuple[str, ...]:
    """The kinds of a node that torch was asked about: its own, or those in its formula."""
    return (kind.kind,) if kind.is_measured else kind.computed.measured if isinstance(kind, Computation) else ()


def note_measured(graph: TypedGraph, diagnostics: Diagnostics) -> None:
    """Adds the note, if there is anything to say."""
    measured = sorted({name for node in graph.nodes for name in _measured(node.kind)})
    if measured:
        names = ", ".join(f"`{name}`" for name in measured)
        has = "have" if len(measured) > 1 else "has"
        message = f"torch was imported to check this: {names} {has} no rules of {'their' if len(measured) > 1 else 'its'} own"
        help = "an `infer` (for a layer, also `parameters`) in the kind spares it, and `flops` counts the cost, which is 0 without"
        diagnostics.add(Diagnostic("SB0423", message, severity="note", help=help))
