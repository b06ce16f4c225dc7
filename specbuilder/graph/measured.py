"""Says once that torch was imported to check a spec, and for which kinds: a user's own kinds that have no rule of their own."""

from __future__ import annotations

from specbuilder.diagnostics import Diagnostic, Diagnostics
from specbuilder.graph.graph import TypedGraph


def note_measured(graph: TypedGraph, diagnostics: Diagnostics) -> None:
    """Adds the note, if there is anything to say."""
    measured = sorted({node.kind.kind for node in graph.nodes if node.kind.is_measured})
    if measured:
        names = ", ".join(f"`{name}`" for name in measured)
        has = "have" if len(measured) > 1 else "has"
        message = f"torch was imported to check this: {names} {has} no rules of {'their' if len(measured) > 1 else 'its'} own"
        help = "an `infer` (for a layer, also `parameters`) in the kind spares it, and `flops` counts the cost, which is 0 without"
        diagnostics.add(Diagnostic("SB0423", message, severity="note", help=help))
