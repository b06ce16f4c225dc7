"""The spec as a typed tree: every key known, every literal checked, everything with a `$` still deferred.

Pure data, made by `decode` and read by the walk (`graph`) and the plan. Each value keeps the document node it was written as, so that any later
stage can put a caret under it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from specbuilder.catalogue.contract import Family, Kind
from specbuilder.diagnostics import Span
from specbuilder.language.document import Document, Node, Scalar
from specbuilder.language.expressions import Template
from specbuilder.records import Record
from specbuilder.shapes import TensorType

if TYPE_CHECKING:
    from specbuilder.language.maps import Layout


class Deferred(Record):
    """A scalar with a `$`: its value is known once the names in it are."""

    template: Template
    scalar: Scalar


Value = int | float | bool | str | None | Deferred | tuple["Value", ...] | Mapping[str, "Value"]


class Entry(Record):
    """A key and its value. `key` is where the name stands, `node` what was written as the value."""

    key: Span
    node: Node
    value: Value
    is_deferred: bool = False

    @property
    def span(self) -> Span:
        return self.node.span


class Use(Record):
    """A kind with fields, as written once in the text, in whatever section.

    `instance` is there when everything is literal and right. `is_wrong`: a mistake was reported, so later stages keep quiet about it.
    """

    family: Family
    kind: str | Deferred
    span: Span
    cls: type[Kind] | None
    fields: Mapping[str, Entry]
    instance: Kind | None = None
    is_wrong: bool = False

    @property
    def title(self) -> str:
        return self.kind if isinstance(self.kind, str) else self.kind.scalar.text


class Reference(Record):
    """A name in `from` or `outputs`: `stem`, `block.2`, `lstm.hidden`, `heads.*`."""

    text: str | Deferred
    span: Span


class From(Record):
    """What a node reads: references in port order, or by port."""

    span: Span
    ordered: tuple[Reference, ...] = ()
    named: Mapping[str, tuple[Reference, ...]] | None = None
    """By port; more than one reference only for a port that takes a list."""
    port_keys: Mapping[str, Span] | None = None


class NodeTree(Record):
    """One entry of a list of nodes: a kind and its structural keys."""

    use: Use
    name: Entry | None = None
    reads: From | None = None
    when: Entry | None = None
    repeat: Entry | None = None

    @property
    def span(self) -> Span:
        return self.use.span


class InputTree(Record):
    name: str
    span: Span
    type: TensorType | Deferred | None
    """None after a mistake."""
    type_span: Span


class OutputTree(Record):
    name: str | None
    """The port; None when it is to be called by the reference."""
    reference: Reference
    span: Span


class ModelTree(Record):
    span: Span
    inputs: tuple[InputTree, ...]
    nodes: tuple[NodeTree, ...]
    outputs: tuple[OutputTree, ...] | None
    is_wrong: bool = False
    """A mistake in this section was reported, so a graph of what is left would be another network."""


class DataTree(Record):
    """`data`: the dataset, its lists of transforms, and all other keys as entries."""

    span: Span
    dataset: Use | None
    settings: Mapping[str, Entry]
    transforms: Mapping[str, tuple[Use, ...]]
    """`prepare`, `augment`, `inference`, as far as written."""


class TrainTree(Record):
    """`train`: kinds by key (`loss`, `optimizer`, `schedule`, `metrics`) and all other keys as entries."""

    span: Span
    uses: Mapping[str, tuple[Use, ...]]
    settings: Mapping[str, Entry]


class SpecTree(Record):
    document: Document
    name: str
    description: str
    variables: Mapping[str, Entry]
    model: ModelTree
    data: DataTree | None
    train: TrainTree | None
    expect: Mapping[str, Entry]
    maps: Mapping[str, Layout] = MappingProxyType({})
    """Layouts of other models' checkpoints, by name."""
