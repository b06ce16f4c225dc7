"""The kind of a use: its name and its fields, as far as they are expressions, over the names that its place sees.

In: a use as decoded and a place. Out: a kind of the catalogue or a block with its arguments; None where something in it cannot be had, which has been told.
"""

from __future__ import annotations

from typing import Any

from specbuilder.catalogue.contract import Node
from specbuilder.catalogue.declared import admits
from specbuilder.catalogue.fields import shown
from specbuilder.graph.findings import Findings
from specbuilder.graph.place import Place
from specbuilder.language.nodes import with_arguments
from specbuilder.language.tree import Deferred, NodeArgument, NodesArgument, Use
from specbuilder.language.uses import PRIMARY, finish
from specbuilder.language.values import Undefined, resolve
from specbuilder.language.vocabulary import Vocabulary
from specbuilder.shapes import Poly


class Instances:
    """Makes kinds out of uses."""

    def __init__(self, vocabulary: Vocabulary, findings: Findings) -> None:
        self.vocabulary, self.findings = vocabulary, findings

    def named(self, use: Use, place: Place) -> Any:
        """What the expression in the place of a kind comes to: a name, or a node or list of nodes that was handed in."""
        assert isinstance(use.kind, Deferred)
        try:
            return resolve(use.kind, place.names, place.names.names, self.findings)
        except Undefined:
            return None

    def cls(self, use: Use, place: Place) -> type[Node] | None:
        if not isinstance(use.kind, Deferred):
            return use.cls  # type: ignore[return-value]  # the family of a node's use is `node`
        name = self.named(use, place)
        if name is None:
            return None
        cls = self.vocabulary.find("node", name) if isinstance(name, str) else None
        if cls is None:
            message = f"unknown kind of node `{name}`" if isinstance(name, str) else f"a kind is wanted here, but this is {shown(name)}"
            self.findings.error("SB0205", message, use.span, help=self.vocabulary.unknown("node", str(name)))
        return cls  # type: ignore[return-value]

    def of(self, use: Use, cls: type[Node], place: Place) -> Node | None:
        if use.instance is not None:
            return use.instance  # type: ignore[return-value]
        if use.is_wrong:
            return None
        if use.cls is None:
            use = with_arguments(use, cls, self.vocabulary, self.findings)
        values = self._values(use, cls, place)
        return None if values is None else finish(use, cls, values, self.findings)  # type: ignore[return-value]

    def joined(self, cls: type[Node], given: tuple[Use, Place], here: tuple[Use, Place]) -> Node | None:
        """The kind of a node that was handed in, with the fields that are added where it is used; each means what it means where it was written."""
        (inner, there), (use, place) = given, here
        there_values = self._values(with_arguments(inner, cls, self.vocabulary, self.findings), cls, there)
        added = with_arguments(use, cls, self.vocabulary, self.findings)
        here_values = self._values(added, cls, place)
        if there_values is None or here_values is None:
            return None
        for name in here_values.keys() & there_values.keys():
            self.findings.error("SB0203", f"`{name}` is given twice: with the node that was handed in, and here", added.fields[name].key)
            here_values.pop(name)
        whole = added.replace(fields={**inner.fields, **added.fields})
        return finish(whole, cls, {**there_values, **here_values}, self.findings)  # type: ignore[return-value]

    def _values(self, use: Use, cls: type[Node], place: Place) -> dict[str, Any] | None:
        """The fields of a use with their values; None when one of them cannot be had, which has been told."""
        values: dict[str, Any] = {}
        is_whole = True
        for name, entry in use.fields.items():
            if isinstance(entry.value, (NodeArgument, NodesArgument)):
                values[name] = entry.value if entry.value.place is not None else entry.value.written_in(place)
                continue
            try:
                values[name] = resolve(entry.value, place.names, place.names.names, self.findings)
            except Undefined:
                is_whole = False
                continue
            key = cls.primary if name == PRIMARY and cls.primary else name
            if isinstance(values[name], Poly) and not admits(cls, key, values[name]):
                message = f"`{name or cls.primary}` must be known when the network is built, but `{values[name]}` depends on what arrives"
                self.findings.error("SB0505", message, entry.span)
                is_whole = False
        return values if is_whole else None
