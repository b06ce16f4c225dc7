"""What a file must bring along for its kinds: import lines and texts of classes and functions, each once, and the names that they take."""

from __future__ import annotations

import re
from collections.abc import Iterable

from specbuilder.catalogue.contract import Node
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


def pasted(kinds: Iterable[Node]) -> Pasted:
    """What these kinds need."""
    helpers = dict.fromkeys(text.strip("\n") for each in dict.fromkeys(kind.helpers for kind in kinds) for text in each)
    imports = tuple(sorted(text for text in helpers if _IMPORT.match(text)))
    return Pasted(imports, tuple(text for text in helpers if not _IMPORT.match(text)))
