"""What a list of nodes may name: the kinds of the catalogue and the blocks of the spec itself.

A block is a kind whose fields are its params, so whatever is done with a kind (checking fields, suggesting names, wiring ports) is done with a block too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from specbuilder.catalogue import lookup
from specbuilder.catalogue.contract import Family, Kind, Node
from specbuilder.diagnostics import did_you_mean
from specbuilder.language.tree import BlockTree
from specbuilder.records import Record

CONSTRUCTS = ("sequence", "residual", "branches", "share", "compute")
"""What stands in the place of a kind and is none."""


class BlockKind(Node):
    """Base of the kinds that specs define: one class for each block, made by `blocks`."""

    block: ClassVar[BlockTree]


class Vocabulary(Record, identity=True):
    """Finds kinds by name; blocks are nodes."""

    blocks: Mapping[str, type[BlockKind]]

    def find(self, family: Family, name: str) -> type[Kind] | None:
        """The class, or None when the family has no such kind."""
        found = self.blocks.get(name) if family == "node" else None
        return found if found is not None else lookup.find(family, name)

    def has(self, family: Family, name: str) -> bool:
        return (family == "node" and name in self.blocks) or lookup.has(family, name)

    def unknown(self, family: Family, name: str) -> str:
        """What to tell someone who wrote a name that the family does not have."""
        own = did_you_mean(name, (*self.blocks, *CONSTRUCTS)) if family == "node" else None
        tail = name.rpartition(".")[2]
        found = lookup.unknown(family, name) or own or (lookup.unknown(family, tail) if tail != name else None)
        return found or "`specbuilder kinds` lists what there is"


CATALOGUE = Vocabulary({})
"""For lists that can name no block: losses, transforms, and the like."""
