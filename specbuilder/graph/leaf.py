"""One node of the catalogue in the graph: its fields with their values, the types that leave it, what it owns, and what sizes it needs.

In: a use of a kind, and what arrives. Out: what it produces; the node is added to the graph. A rule that refuses becomes an error with the chain of shapes
that led there, and whatever reads the node stays quiet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuilder.catalogue.contract import Attribute, Gathered, Input, Node, Refusal
from specbuilder.diagnostics import Diagnostics, InternalError, Span, did_you_mean
from specbuilder.graph.freezing import frozen_tensors
from specbuilder.graph.graph import Arrival, GraphNode, Path, Tie, Value
from specbuilder.graph.growing import Growing, same_weights
from specbuilder.graph.initialise import own_inits
from specbuilder.graph.place import Place
from specbuilder.graph.scope import Produced, is_index
from specbuilder.graph.wire import each
from specbuilder.language.tree import NodeTree, Reference
from specbuilder.language.values import Undefined, resolve, text_at
from specbuilder.shapes import DimError, Poly, Requirement, TensorType, at_least

MOST_LISTED = 500
"""How many nodes are looked through for a name to suggest."""


class Leaves:
    """Makes nodes of the graph."""

    def __init__(self, growing: Growing, diagnostics: Diagnostics) -> None:
        self.growing, self.diagnostics = growing, diagnostics

    def grow(self, node: NodeTree, kind: Node, arrivals: tuple[Arrival, ...], path: Path, place: Place) -> Produced:
        """The node of one copy."""
        types = tuple(type_of(arrival) for arrival in arrivals)
        if any(value.type is None for arrival in arrivals for value in each(arrival)):
            return unknown(path, type(kind).outputs)
        try:
            given = kind.infer(*types)
            outputs = given if isinstance(given, tuple) else (given,)
            self.require(kind.kind, outputs, kind.requirements(*types))
            parameters, buffers, source = kind.parameters(*types), kind.buffers(*types), kind.source(*types)
            for remark in kind.remarks(*types):
                self.diagnostics.warning(remark.code, remark.message, node.span, help=remark.help)
        except Refusal as refusal:
            return self.refuse(refusal, node, kind, arrivals, path)
        except DimError as error:
            return self.refuse(Refusal(error.message), node, kind, arrivals, path)
        except Exception as error:
            raise InternalError("infer", f"the rule of `{kind.kind}` failed: {error!r}", ".".join(map(str, path))) from error
        ports = kind.outputs if len(outputs) == len(kind.outputs) else tuple(map(str, range(len(outputs))))
        is_lone = len(outputs) == 1
        values = tuple(Value(path, type, "" if is_lone else port) for port, type in zip(ports, outputs, strict=True))
        shares = self.growing.owner(path)
        if shares is not None and not same_weights(shares.parameters, parameters):
            message = f"`{node.title}` shares the weights of an earlier use, but needs others: {_shapes(parameters)} here, {_shapes(shares.parameters)} there"
            self.diagnostics.error("SB0405", message, node.span, chain=self._chain(arrivals))
            return unknown(path, kind.outputs)
        if self.growing.sharing and shares is None and path in self.growing.owners:
            raise InternalError("infer", "shared weights without an owner", ".".join(map(str, path)))
        tied = tuple(node.tie or ())
        names, found = place.names, self.diagnostics
        init = own_inits(node.init, node.title, parameters, buffers, names, names.names, found, tied=tied) if node.init is not None else {}
        frozen = frozen_tensors(node.freeze, node.title, parameters, buffers, names, names.names, found, tied=tied) if node.freeze is not None else ()
        made = GraphNode(
            path=path,
            kind=kind,
            inputs=arrivals,
            outputs=values,
            span=node.span,
            is_named=node.name is not None,
            parameters=parameters,
            buffers=buffers,
            source=source,
            shares=shares,
            init=init,
            frozen=frozen,
        )
        ties = self._ties(node, made, place) if node.tie and shares is None else {}
        if ties is None:
            return unknown(path, kind.outputs)
        self.growing.add(made.replace(ties=ties) if ties else made)
        return Produced({value.port: value for value in values}, is_off_chain=isinstance(source, Attribute))

    def require(self, kind: str, outputs: tuple[TensorType, ...], more: tuple[Requirement, ...]) -> None:
        """Every size is at least 1, and whatever else the kind asks for; what no size can meet is refused."""
        wanted = [Requirement(dim, 1) for output in outputs for dim in output.shape if at_least(dim, 1) is not True]
        for requirement in (*wanted, *more):
            dim, minimum = requirement.dim, requirement.minimum
            if isinstance(dim, int):
                if dim < minimum:
                    raise Refusal(f"`{kind}` would give a tensor of size {dim}: {outputs[0].shape_text}", code="SB0402")
            elif (met := at_least(dim, minimum)) is None:
                self.growing.requirements.append(requirement)
            elif not met:
                raise Refusal(f"`{kind}` would need {requirement}, which no size meets", code="SB0402")

    def refuse(self, refusal: Refusal, node: NodeTree, kind: Node, arrivals: tuple[Arrival, ...], path: Path) -> Produced:
        """Tells a refusal, and gives what stands for the node from then on."""
        blamed = _blamed(refusal, kind, arrivals)
        self.diagnostics.error(
            refusal.code,
            refusal.message,
            _blame_span(refusal, node),
            help=refusal.help,
            chain=self.growing.chain.of(blamed) if blamed is not None else (),
            path=".".join(map(str, path)),
        )
        return unknown(path, kind.outputs)

    def _chain(self, arrivals: tuple[Arrival, ...]) -> tuple[str, ...]:
        first = next((value for arrival in arrivals for value in each(arrival)), None)
        return self.growing.chain.of(first) if first is not None else ()

    # Ties ------------------------------------------------------------------------------------------------------------

    def _ties(self, node: NodeTree, made: GraphNode, place: Place) -> dict[str, Tie] | None:
        """The tensors that are another node's; None after a mistake."""
        found: dict[str, Tie] = {}
        for tensor, reference in (node.tie or {}).items():
            if tensor not in made.parameters:
                known = ", ".join(f"`{name}`" for name in made.parameters)
                help = f"its parameters are {known}" if known else "it has no parameters"
                self.diagnostics.error("SB0303", f"`{node.title}` has no parameter `{tensor}`", reference.span, help=help)
                return None
            tie = self._tie(made, tensor, reference, place)
            if tie is None or not self._may_tie(made, tensor, tie, reference):
                return None
            found[tensor] = tie
        return found

    def _tie(self, made: GraphNode, tensor: str, reference: Reference, place: Place) -> Tie | None:
        try:
            text = str(resolve(reference.text, place.names, place.names.names, self.diagnostics))
        except Undefined:
            return None
        *steps, name = text.split(".")
        other = self._nearest(tuple(int(step) if is_index(step) else step for step in steps), place.prefix)
        if other is None and steps and place.scope.may_be_nameless(steps[0]):
            return None
        if other is None or name not in other.parameters:
            known = [node.key(each) for node in self.growing.nodes[:MOST_LISTED] for each in node.parameters]
            help = did_you_mean(text, known) or (f"such as `{known[0]}`" if known else None)
            self.diagnostics.error("SB0301", f"no earlier node has a parameter `{text}`", reference.span, help=help)
            return None
        mine, theirs = made.parameters[tensor].shape, other.parameters[name].shape
        if mine == theirs:
            return Tie(other, name)
        if len(mine) == 2 and mine == theirs[::-1]:
            return Tie(other, name, is_transposed=True)
        message = f"`{tensor}` is {list(mine)} and cannot be `{text}`, which is {list(theirs)}"
        self.diagnostics.error("SB0406", message, reference.span)
        return None

    def _may_tie(self, made: GraphNode, tensor: str, tie: Tie, reference: Reference) -> bool:
        """Whether the kind can compute with the tensor: one that is another's transposed is held by no module."""
        if not tie.source.is_transposed or made.kind.with_transposed(tensor, dict.fromkeys(made.parameters, Input())) is not None:
            return True
        mine, theirs = (list(node.parameters[name].shape) for node, name in ((made, tensor), (tie.source.node, tie.source.tensor)))
        source = tie.source.node.key(tie.source.tensor)
        message = f"`{tensor}` of `{made.kind.kind}` cannot be the transpose of another tensor, but it is {mine} and `{source}` is {theirs}"
        self.diagnostics.error("SB0406", message, reference.span, help=f"tie it to a tensor that is {mine} as it stands")
        return False

    def _nearest(self, path: Path, prefix: Path) -> GraphNode | None:
        """The node of this path, seen from the list it is named in, or from one around it."""
        for length in range(len(prefix), -1, -1):
            if (found := self.growing.owners.get((*prefix[:length], *path))) is not None:
                return found
        return None


def unknown(path: Path, names: tuple[str, ...]) -> Produced:
    """What stands for a node in which a mistake was told."""
    ports = [name if len(names) > 1 else "" for name in names] or [""]
    return Produced({name: Value(path, None, name) for name in ports})


def needs_size(values: Mapping[str, Any]) -> tuple[str, Poly] | None:
    """A field whose value depends on what arrives."""
    return next(((name, value) for name, value in values.items() if isinstance(value, Poly)), None)


def type_of(arrival: Arrival) -> Any:
    """The type that arrives at a port, as the rules of a kind take it."""
    if arrival is None:
        return None
    if isinstance(arrival, Value):
        return arrival.type
    types = (value.type for value in arrival)
    return Gathered(types) if isinstance(arrival, Gathered) else tuple(types)


def _shapes(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {list(parameter.shape)}" for name, parameter in parameters.items())


def _blamed(refusal: Refusal, kind: Node, arrivals: tuple[Arrival, ...]) -> Value | None:
    ports = {port.name: arrival for port, arrival in zip(kind.inputs, arrivals, strict=True)}
    arrival = ports.get(refusal.port or "", arrivals[0] if arrivals else None)
    if isinstance(arrival, tuple):
        return arrival[refusal.item or 0] if arrival else None
    return arrival


def _blame_span(refusal: Refusal, node: NodeTree) -> Span:
    fields = getattr(node.body, "fields", {})
    if refusal.field is not None and refusal.field in fields:
        written = fields[refusal.field]
        return written.span if refusal.part is None or written.is_deferred else text_at(written.node, (), *refusal.part)
    reads = node.reads
    if refusal.port is not None and reads is not None:
        if reads.named and refusal.port in reads.named:
            references = reads.named[refusal.port]
            return references[min(refusal.item or 0, len(references) - 1)].span
        if reads.ordered:
            return reads.ordered[refusal.item].span if refusal.item is not None and refusal.item < len(reads.ordered) else reads.span
    return node.span
