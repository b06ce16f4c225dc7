"""The typed graph: what the walk makes and everything after it reads.

A `Value` is one tensor with its type; nodes read values and give values, in the order of the text, so the list of nodes is already a topological order.
Values are told apart by identity: two of equal type are two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from specbuilder.catalogue.contract import Buffer, Call, Initializer, Node, Parameter, Source
from specbuilder.diagnostics import Span
from specbuilder.records import Record
from specbuilder.shapes import Dim, Requirement, TensorType

Path = tuple[str | int, ...]

STATE = "state"
"""What a model with stateful nodes calls its last argument."""


class Value(Record, identity=True):
    """One tensor: the path of what makes it, and its type; None is Unknown, after a mistake."""

    path: Path
    type: TensorType | None
    port: str = ""

    @property
    def name(self) -> str:
        dotted = ".".join(map(str, self.path))
        return f"{dotted}.{self.port}" if self.port else dotted


class Past(Value, identity=True):
    """What a stateful node kept in the call before. Its type is that of a call with state; in a call without, nothing is there."""


Arrival = Value | tuple[Value, ...] | None
"""What a port reads: a tensor, a list of them, or nothing (an optional port)."""


class Tie(Record):
    """One tensor of a node that is a tensor of an earlier node."""

    node: GraphNode
    tensor: str
    is_transposed: bool = False

    @property
    def source(self) -> Tie:
        """The tie to the tensor behind it: where that one is another's transposed, no module holds it, and it is the other's."""
        found, tie, is_transposed = self, self, self.is_transposed
        while (further := tie.node.ties.get(tie.tensor)) is not None:
            tie, is_transposed = further, is_transposed != further.is_transposed
            if further.is_transposed:
                found = Tie(further.node, further.tensor, is_transposed)
        return found


class GraphNode(Record, identity=True):
    """One node, complete: what it is, what it reads and gives, what it owns, and the code it becomes.

    Its tensors are called `path.tensor` in the state dict; a parameter or buffer node is a tensor itself, which is called by the path alone and stands
    in `parameters` or `buffers` under the empty name.
    """

    path: Path
    kind: Node
    inputs: tuple[Arrival, ...]
    outputs: tuple[Value, ...]
    span: Span
    is_named: bool
    source: Source
    parameters: Mapping[str, Parameter] = MappingProxyType({})
    buffers: Mapping[str, Buffer] = MappingProxyType({})
    shares: GraphNode | None = None
    """The node whose weights it uses, and whose path it bears; it owns nothing then."""
    ties: Mapping[str, Tie] = MappingProxyType({})
    """Tensors that are another node's; they stand in `parameters` all the same."""
    init: Mapping[str, Initializer] = MappingProxyType({})
    """How its tensors begin, as the node itself says; rules of the model are for the rest."""
    frozen: tuple[str, ...] = ()
    """Tensors that are not trained."""

    @property
    def name(self) -> str:
        return ".".join(map(str, self.path))

    def key(self, tensor: str) -> str:
        """The name of one of its tensors in the state dict."""
        return f"{self.name}.{tensor}" if tensor else self.name

    @property
    def owned(self) -> Mapping[str, Parameter]:
        """The parameters that are its own: neither shared nor tied."""
        if self.shares is not None:
            return {}
        return {name: parameter for name, parameter in self.parameters.items() if name not in self.ties} if self.ties else self.parameters

    @property
    def types(self) -> tuple[TensorType | tuple[TensorType, ...] | None, ...]:
        """The types that arrive, as the rules of the kind take them."""
        return tuple(_types(arrival) for arrival in self.inputs)

    def arriving(self) -> Iterator[Value]:
        """All values it reads, in port order."""
        for arrival in self.inputs:
            if isinstance(arrival, Value):
                yield arrival
            elif arrival is not None:
                yield from arrival


class Part(Record, identity=True):
    """One copy of a block, of a sequence, a residual or a branch: the nodes in it, under a path of their own."""

    path: Path
    block: str | None
    """The block's name; None for a list that stands in the text itself (sequence, residual, branch)."""
    origin: Span
    """Where the block or the list is written. Parts of one origin come from one text, with other values."""
    arguments: Mapping[str, object]
    """The block's params, `let` and bound dims by name, or the columns of a repeated list: what copies may differ in."""
    inputs: Mapping[str, Arrival]
    """What entered, by the declared names of a block; a list has one, `input`. Nodes within read the values themselves."""
    outputs: Mapping[str, Value | tuple[Value, ...]]
    """What leaves, by port; an output may be a list, and may be a value that entered."""
    items: tuple[Item, ...]
    """In the order of the text."""
    is_copy: bool = False
    """Whether it is one of the copies of `repeat` or `each`: the last step of its path is then a number, unless each copy has its own name."""
    shares: Part | None = None
    """The part whose weights it uses, and whose path it bears."""

    @property
    def name(self) -> str:
        return ".".join(map(str, self.path))


Item = GraphNode | Part


def _types(arrival: Arrival) -> TensorType | tuple[TensorType, ...] | None:
    if arrival is None:
        return None
    if isinstance(arrival, Value):
        assert arrival.type is not None
        return arrival.type
    return tuple(value.type for value in arrival if value.type is not None)


class TypedGraph(Record):
    """A checked network: nothing in it is Unknown."""

    name: str
    description: str
    inputs: tuple[Value, ...]
    nodes: tuple[GraphNode, ...]
    """All of them, in the order in which they run, those within parts too."""
    items: tuple[Item, ...]
    """The same as the text has them: nodes, and parts with nodes in them."""
    outputs: Mapping[str, Value]
    requirements: tuple[Requirement, ...]
    inits: Mapping[str, Call] = MappingProxyType({})
    """How tensors begin that do not begin as torch has it, by state-dict key; `Input()` in the call is the tensor."""
    threaded: Threaded | None = None
    """The call with state, of a network in which some node is stateful."""

    @property
    def output_types(self) -> dict[str, TensorType]:
        return {name: value.type for name, value in self.outputs.items() if value.type is not None}

    @property
    def input_types(self) -> dict[str, TensorType]:
        return {str(value.path[0]): value.type for value in self.inputs if value.type is not None}


class Kept(Record, identity=True):
    """One tensor of the state of a network."""

    name: str
    """Its key in the state: the path of its node, with the port where several leave that, with `:2` for the second call of a node that is shared."""
    past: Past
    """As it arrives."""
    value: Value
    """As it leaves."""


class Threaded(Record, identity=True):
    """A network once more, typed for a call with state. With no place before, it is the network itself."""

    graph: TypedGraph
    """Node for node the same. A stateful node reads what it kept behind what arrives at its ports."""
    kept: tuple[Kept, ...]
    before: Mapping[str, Dim]
    """The sizes that count places of earlier calls, by name, with the size that counts those of this call."""
