"""What a file must bring along for its kinds: import lines and texts of classes and functions, each once, and the names that they take."""

from __future__ import annotations

import re
from collections.abc import Iterable

from specbuilder.catalogue.contract import Node
from specbuilder.diagnostics import Diagnostics
from specbuilder.graph.graph import TypedGraph
from specbuilder.language.tree import InputTree
from specbuilder.records import Record

_DEFINED = re.compile(r"^(?:class|def|async def)\s+(\w+)|^(\w+)\s*(?::[^=\n]+)?=", re.MULTILINE)
_IMPORT = re.compile(r"(?:import|from)\s")


class Pasted(Record):
    """What stands above the classes of the network."""

    imports: tuple[str, ...]
    texts: tuple[str, ...]
    """In an order in which each finds what it needs."""

    @property
    def names(self) -> frozenset[str]:
        """What no class and no variable of the file may be called."""
        bound = (line.rpartition(" as ")[2] if " as " in line else line.rpartition("import ")[2].partition(".")[0] for line in self.imports)
        return frozenset((*bound, *(first or second for text in self.texts for first, second in _DEFINED.findall(text))))


def check_inputs(inputs: Iterable[InputTree], graph: TypedGraph, diagnostics: Diagnostics) -> None:
    """Refuses inputs of the model that are called like something that a kind brings along: as arguments of `forward` they would hide it."""
    kinds = dict.fromkeys(node.kind for node in graph.nodes if node.kind.helpers)
    for written in inputs:
        kind = next((kind.kind for kind in kinds if written.name in pasted((kind,)).names), None)
        if kind is not None:
            message = f"`{written.name}` cannot be the name of an input: `{kind}` brings something of that name into the emitted file, and `forward` reads it"
            help = f"choose another, such as `{written.name}_1`; an input is an argument of `forward` by its own name"
            diagnostics.error("SB0302", message, written.span, help=help)


def pasted(kinds: Iterable[Node]) -> Pasted:
    """What these kinds need."""
    helpers = dict.fromkeys(text.strip("\n") for each in dict.fromkeys(kind.helpers for kind in kinds) for text in each)
    imports = tuple(sorted(text for text in helpers if _IMPORT.match(text)))
    return Pasted(imports, tuple(text for text in helpers if not _IMPORT.match(text)))
