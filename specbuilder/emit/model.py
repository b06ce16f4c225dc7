"""TypedGraph to the source of an `nn.Module`: the file that trains, and that a person can read and keep.

Kinds with parameters, buffers or a training mode become attributes, whose paths are the paths of the graph; all others are plain calls in `forward`.
Each block and each repeated list is a class. Straight lines, the type of each as a comment; no import of ours. `outline` says what the units are,
`classes` which of them share a class, `constructor` and `forward` write its two functions.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from specbuilder.diagnostics import Span
from specbuilder.emit.classes import classes
from specbuilder.emit.constructor import init_lines
from specbuilder.emit.form import Form
from specbuilder.emit.forward import forward_lines
from specbuilder.emit.outline import Unit, outline, title
from specbuilder.emit.pasted import pasted
from specbuilder.emit.places import Places
from specbuilder.emit.render import comment, docstring
from specbuilder.graph.graph import STATE, Threaded, TypedGraph
from specbuilder.records import Record


class Emission(Record):
    """A source and the name of the class in it that is the model: the last one."""

    text: str
    class_name: str


def body_of(source: str) -> str:
    """An emitted file without its head, which names the spec and the version."""
    return source.split('"""', 2)[-1]


_IMPORTS = {
    "import math": r"\bmath\.",
    "import torch": r"\btorch\.",
    "from torch import Tensor, nn": r"",
    "from torch.nn import functional as F": r"\bF\.",
    "from typing import TypedDict": r"\bTypedDict\(",
}
_MEANT = frozenset(("Tensor", "F", "None", "True", "False"))
"""Names with a meaning that a class may not take."""


def emit_model(graph: TypedGraph, origin: str, version: str, called: Mapping[str, str] = MappingProxyType({})) -> Emission:
    """The source of the model. `origin` is the name of the spec, for the head of the file; `called` are files whose names are others than where they lie."""
    # Everything that is made stays alive until the text is there: collecting in between costs half of the time and frees nothing.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _emission(graph, origin, version, called)
    finally:
        if was_enabled:
            gc.enable()


def _emission(graph: TypedGraph, origin: str, version: str, called: Mapping[str, str]) -> Emission:
    brought = pasted(node.kind for node in graph.nodes)
    class_name = "".join(part.capitalize() for part in graph.name.split("_")) or "Network"
    while class_name in brought.names or class_name in _MEANT:
        class_name += "_"
    taken = {*_MEANT, class_name}
    threaded = graph.threaded
    state = ""
    if threaded is not None:
        graph, state = threaded.graph, "State" if "State" not in {class_name, *brought.names} else "State_"
        taken.add(state)
    top = outline(graph, threaded.kept if threaded is not None else ())
    forms = classes(top, graph.inits, taken, brought.names)
    forms[top].state_name = state
    places = Places(forms)
    texts = [
        *brought.texts,
        *(["\n".join(_state(state, threaded))] if threaded is not None else []),
        *("\n".join(_class(form, forms, places, graph, class_name, called)) for form in dict.fromkeys(forms.values())),
    ]
    body = "\n\n\n".join(texts)
    imports = sorted({*(line for line, use in _IMPORTS.items() if re.search(use, body)), *brought.imports}, key=_import_order)
    head = comment(f"Emitted by specbuilder {version} from {origin}. Plain PyTorch: nothing of specbuilder is needed to use it.")
    return Emission(text="\n".join([head, "", *imports, "", "", body, ""]), class_name=class_name)


def _class(form: Form, forms: Mapping[Unit, Form], places: Places, graph: TypedGraph, class_name: str, called: Mapping[str, str]) -> Iterator[str]:
    part = form.first.part
    yield f"class {form.name if part is not None else class_name}(nn.Module):"
    if part is None:
        yield from docstring(f"{graph.description or f'The network `{graph.name}`.'}{_calls(form)}", "    ")
    else:
        what = f"Block `{part.block}`" if part.block is not None else f"`{title(part.path)}`"
        yield from docstring(f"{what}, {_place(part.origin, called)}{f': {form.differs}' if form.differs else ''}.", "    ")
    yield ""
    if lines := list(init_lines(form, forms, places)):
        yield from (*lines, "")
    yield from forward_lines(form, places)


def _calls(form: Form) -> str:
    """How a network that keeps a state is called."""
    if not form.state_name:
        return ""
    inputs = ", ".join(name for name, _ in form.first.inputs)
    return f" `output = model({inputs})`, or bit by bit: `output, {STATE} = model({inputs}, {STATE})`, where `{STATE}` is `{{}}` at first."


def _state(name: str, threaded: Threaded) -> Iterator[str]:
    """The type of the state of a network: a plain dict."""
    yield f"{name} = TypedDict("
    yield f'    "{name}",'
    yield "    {"
    yield from (f'        "{each.name}": Tensor,  # {each.past.type}' for each in threaded.kept)
    yield "    },"
    yield "    total=False,"
    yield ")"
    counted = " and ".join(f"{before} counts the places of earlier calls where a call brings {size}" for before, size in threaded.before.items())
    yield from docstring(f"What a call leaves for the next one, `{{}}` before the first. {counted}; without a state it is 0.", "")


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _place(span: Span, called: Mapping[str, str]) -> str:
    """Where something is written, without the folder."""
    name = span.source.name
    return f"{called.get(name, name.rsplit('/', 1)[-1])}:{span.line}"
