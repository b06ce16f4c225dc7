"""The spec as a typed tree: every key known, every literal checked, everything with a `$` still deferred.

Pure data, made by `decode` and read by the walk (`graph`) and the plan. Each value keeps the document node it was written as, so that any later
stage can put a caret under it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal

from specbuilder.catalogue.contract import Family, Kind, Port
from specbuilder.diagnostics import Span
from specbuilder.language.document import Broken, Document, Node, Scalar
from specbuilder.language.expressions import Template
from specbuilder.language.formulas import Formula
from specbuilder.language.syntax import Compare
from specbuilder.records import Record
from specbuilder.shapes import TensorType

if TYPE_CHECKING:
    from specbuilder.language.inits import InitTree, RuleTree
    from specbuilder.language.maps import Layout


class Deferred(Record):
    """A scalar with a `$`: its value is known once the names in it are."""

    template: Template
    scalar: Scalar


Value = int | float | bool | str | None | Deferred | Broken | tuple["Value", ...] | Mapping[str, "Value"]


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

    text: str | Deferred | Broken
    span: Span


class From(Record):
    """What a node reads: references in port order, or by port."""

    span: Span
    ordered: tuple[Reference, ...] = ()
    named: Mapping[str, tuple[Reference, ...]] | None = None
    """By port; more than one reference only for a port that takes a list."""
    port_keys: Mapping[str, Span] | None = None


class ListTree(Record, identity=True):
    """`sequence` or `residual`: a list of nodes in the place of one."""

    word: Literal["sequence", "residual"]
    span: Span
    nodes: tuple[NodeTree, ...]


class BranchesTree(Record, identity=True):
    """`branches`: lists that all read what enters."""

    span: Span
    branches: Mapping[str, ListTree]


class ComputeTree(Record, identity=True):
    """`compute`: a formula; None after a mistake in it."""

    span: Span
    scalar: Scalar
    formula: Formula | None


class ShareTree(Record, identity=True):
    """`share`: an earlier node, called again."""

    span: Span
    reference: Reference


Body = Use | ListTree | BranchesTree | ComputeTree | ShareTree


class NodeTree(Record, identity=True):
    """One entry of a list of nodes: what it is, and its structural keys."""

    body: Body
    name: Entry | None = None
    reads: From | None = None
    when: Entry | None = None
    repeat: Entry | None = None
    each: Entry | None = None
    is_shared: bool = False
    """Whether all copies have one set of weights."""
    merge: Use | None = None
    """The kind that joins what the copies or branches give."""
    init: InitTree | None = None
    tie: Mapping[str, Reference] | None = None
    freeze: Entry | None = None
    type: Entry | None = None

    @property
    def span(self) -> Span:
        return self.body.span

    @property
    def title(self) -> str:
        """What messages call it: its kind or construct."""
        match self.body:
            case Use():
                return self.body.title
            case ListTree():
                return self.body.word
            case BranchesTree():
                return "branches"
            case ComputeTree():
                return "compute"
            case _:
                return "share"


class NodeArgument(Record, identity=True):
    """The value of a param of type `node`: a kind with fields. `place` is where it was written, as the walk knows it: what its `$` mean."""

    words: ClassVar[str] = "a kind, with fields if need be"

    use: Use
    place: object = None

    def written_in(self, place: object) -> NodeArgument:
        """The same, where it was written."""
        return NodeArgument(self.use, place)


class NodesArgument(Record, identity=True):
    """The value of a param of type `nodes`: a list of nodes. `place` as for `NodeArgument`."""

    words: ClassVar[str] = "a list of nodes"

    nodes: ListTree
    place: object = None

    def written_in(self, place: object) -> NodesArgument:
        """The same, where it was written."""
        return NodesArgument(self.nodes, place)


class BlockInput(Record):
    """An input of a block. `type` is the text of its sizes, dtype included if it is written; None takes anything, lists too."""

    name: str
    span: Span
    type: Entry | None = None


class BlockTree(Record, identity=True):
    """What a block does; its params are the fields of its kind."""

    name: str
    span: Span
    inputs: tuple[BlockInput, ...]
    lets: Mapping[str, Entry]
    nodes: tuple[NodeTree, ...]
    outputs: tuple[OutputTree, ...] | None
    is_wrong: bool = False
    """A mistake in it was reported."""

    @property
    def ports(self) -> tuple[Port, ...]:
        return tuple(Port(each.name, is_either=True) for each in self.inputs)


class Relation(Record):
    """A declared fact about sizes, `T <= 1024`. The scalar is where it is written; the names in it are sizes or variables."""

    scalar: Scalar
    expression: Compare


class InputTree(Record):
    name: str
    span: Span
    type: TensorType | Deferred | None
    """None after a mistake."""
    type_span: Span
    when: Entry | None = None


class OutputTree(Record):
    name: str | None
    """The port; None when it is to be called by the reference."""
    references: tuple[Reference, ...]
    span: Span
    is_list: bool = False
    """Written as a list, so that the port hands a list on (blocks only)."""


class ModelTree(Record):
    span: Span
    inputs: tuple[InputTree, ...]
    nodes: tuple[NodeTree, ...]
    outputs: tuple[OutputTree, ...] | None
    where: tuple[Relation, ...] = ()
    """Declared facts about sizes."""
    init: tuple[RuleTree, ...] = ()
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
    blocks: Mapping[str, type[Kind]]
    """The kinds that the spec itself defines (`BlockKind`)."""
    model: ModelTree
    data: DataTree | None
    train: TrainTree | None
    expect: Mapping[str, Entry]
    maps: Mapping[str, Layout] = MappingProxyType({})
    """Layouts of other models' checkpoints, by name."""
