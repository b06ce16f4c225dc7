"""Which parameters of a node are not trained, as its `freeze` says."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from specbuilder.diagnostics import Diagnostics
from specbuilder.graph.initialise import NO_TENSOR, has_tensor
from specbuilder.language.freezes import is_freeze
from specbuilder.language.inits import Names
from specbuilder.language.tree import Entry
from specbuilder.language.values import Undefined, resolve, span_at


def frozen_tensors(
    written: Entry,
    title: str,
    parameters: Collection[str],
    buffers: Collection[str],
    lookup: Names,
    known: Iterable[str],
    diagnostics: Diagnostics,
    *,
    tied: Collection[str] = (),
) -> tuple[str, ...]:
    """The names, in the node, of the parameters that are frozen. `title` is what messages call the node, `tied` are tensors of other nodes."""
    try:
        value = resolve(written.value, lookup, known, diagnostics)
    except Undefined:
        return ()
    if not is_freeze(value, written, diagnostics) or value is False:
        return ()
    if value is True:
        own = tuple(name for name in parameters if name not in tied)
        if not own:
            diagnostics.error(
                NO_TENSOR, f"`{title}` has no parameters of its own, so there is nothing to freeze", written.span, help="delete `freeze`"
            )
        return own
    names = value if isinstance(value, tuple) else (value,)
    return tuple(name for at, name in enumerate(names) if _may_freeze(written, title, at, name, parameters, buffers, diagnostics, tied))


def _may_freeze(
    written: Entry,
    title: str,
    at: int,
    name: str,
    parameters: Collection[str],
    buffers: Collection[str],
    diagnostics: Diagnostics,
    tied: Collection[str],
) -> bool:
    span = span_at(written.node, (at,))
    if name in buffers:
        diagnostics.error(NO_TENSOR, f"`{name}` of `{title}` is a buffer, which is never trained", span, help=f"delete `{name}` here")
        return False
    if name in tied:
        diagnostics.error(NO_TENSOR, f"`{name}` of `{title}` is a tensor of another node", span, help="freeze it there")
        return False
    return has_tensor(title, name, parameters, span, diagnostics)
