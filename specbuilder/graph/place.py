"""Where a list of nodes stands: what `$` means there, which nodes can be read, and the path before the names of its own nodes."""

from __future__ import annotations

from specbuilder.graph.environment import Names
from specbuilder.graph.graph import Path
from specbuilder.graph.scope import Scope
from specbuilder.records import Record


class Place(Record, identity=True):
    names: Names
    scope: Scope
    prefix: Path

    def seeing(self, names: Names) -> Place:
        """The same place, with other values behind the `$`."""
        return Place(names, self.scope, self.prefix)
