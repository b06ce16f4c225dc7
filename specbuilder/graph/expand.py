"""SpecTree to TypedGraph, in one walk: values, copies, names, wiring and types of each node, in the order of the text.

One walk suffices because references point backwards: when a node is reached, everything it reads has its type. A node that fails gives Unknown values,
and whatever reads those stays quiet, so that one mistake is told once. Does not import torch, and does not look at `data` or `train`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from specbuilder.catalogue import lookup
from specbuilder.catalogue.contract import Node, Refusal
from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics, InternalError, Related, Span
from specbuilder.graph.chain import Chain
from specbuilder.graph.copies import MOST_NODES, Columns, CopiesFound, rows_of
from specbuilder.graph.graph import Arrival, GraphNode, Path, TypedGraph, Value
from specbuilder.graph.scope import Named, Produced, Scope
from specbuilder.graph.variables import Variables
from specbuilder.graph.wire import Wiring, each
from specbuilder.language.decode import check_name
from specbuilder.language.tree import Deferred, Entry, NodeTree, SpecTree, Use
from specbuilder.language.uses import finish, unknown_help
from specbuilder.language.values import Undefined, resolve
from specbuilder.shapes import DimError, Poly, Requirement, TensorType, at_least, parse_type, strongest


def expand(tree: SpecTree, variables: Variables, diagnostics: Diagnostics) -> TypedGraph | None:
    """The typed graph, or None when anything in the model is wrong."""
    before = diagnostics.errors
    graph = _Walk(tree, variables, diagnostics).graph()
    return None if tree.model.is_wrong or diagnostics.errors > before else graph


class _Walk:
    """The state of one walk: the nodes made so far and where each value came from."""

    def __init__(self, tree: SpecTree, variables: Variables, diagnostics: Diagnostics) -> None:
        self.tree = tree
        self.variables = variables
        self.diagnostics = CopiesFound(diagnostics)
        self.nodes: list[GraphNode] = []
        self.requirements: list[Requirement] = []
        self.chain = Chain()
        self.wiring = Wiring(self.diagnostics)
        self.budget = MOST_NODES

    def graph(self) -> TypedGraph:
        inputs = tuple(self._inputs())
        scope = Scope(entry=inputs)
        for value, written in zip(inputs, self.tree.model.inputs, strict=True):
            scope.named[written.name] = Named((Produced({"": value}),), written.span)
        self.walk_list(self.tree.model.nodes, scope, prefix=())
        outputs = self._outputs(scope)
        self._unused(scope, outputs)
        return TypedGraph(
            name=self.tree.name,
            description=self.tree.description,
            inputs=inputs,
            nodes=tuple(self.nodes),
            items=tuple(self.nodes),
            outputs=outputs,
            requirements=strongest(self.requirements),
        )

    def _inputs(self) -> Iterator[Value]:
        for written in self.tree.model.inputs:
            value = Value((written.name,), self._input_type(written.type))
            self.chain.begin(value, written.name, written.span)
            yield value

    def _input_type(self, written: TensorType | Deferred | None) -> TensorType | None:
        if not isinstance(written, Deferred):
            return written
        try:
            text = str(resolve(written, self.variables, self.variables.names, self.diagnostics))
        except Undefined:
            return None
        try:
            return parse_type(text)
        except DimError as error:
            self.diagnostics.error("SB0502", f"{error.message}, in `{text}`", written.scalar.span)
            return None

    # Lists and copies ------------------------------------------------------------------------------------------------

    def walk_list(self, nodes: Sequence[NodeTree], scope: Scope, prefix: Path) -> None:
        """Walks one list of nodes; its names and its last value are in `scope` afterwards."""
        kinds = [self._kind_name(node.use) for node in nodes]
        scope.unnamed = Counter(kind for node, kind in zip(nodes, kinds, strict=True) if node.name is None)
        named = {str(node.name.value): node.name.span for node in reversed(nodes) if node.name and not node.name.is_deferred}
        scope.later = {kind: node.span for node, kind in zip(nodes, kinds, strict=True) if node.name is None and scope.unnamed[kind] == 1} | named
        numbers: Counter[str] = Counter()
        for node, kind in zip(nodes, kinds, strict=True):
            numbers[kind] += node.name is None
            auto = kind if numbers[kind] <= 1 else f"{kind}_{numbers[kind]}"
            if node.name is None and numbers[kind] > 1 and auto not in scope.named:
                scope.counted.add(auto)
            scope.own = auto if node.name is None else None if node.name.is_deferred else str(node.name.value)
            self._walk_node(node, auto, scope, prefix)
        scope.own = None

    def _kind_name(self, use: Use) -> str:
        if isinstance(use.kind, str):
            return use.kind
        try:
            return str(resolve(use.kind, self.variables, self.variables.names, Diagnostics()))
        except (Undefined, KeyError):
            return "unknown"

    def _walk_node(self, node: NodeTree, auto: str, scope: Scope, prefix: Path) -> None:
        rows = rows_of(node.repeat, self.variables, self.diagnostics, self.budget)
        self.budget -= len(rows) if node.repeat is not None else 0
        names: dict[str, list[Produced]] = {}
        is_repeated = node.repeat is not None
        keeps_own_name = node.name is not None and node.name.is_deferred
        produced: Produced | None = None
        for position, row in enumerate(rows):
            columns = Columns(self.variables, row)
            self.diagnostics.begin()
            name = self._name(node, auto, columns)
            path = (*prefix, name) if not is_repeated or keeps_own_name else (*prefix, name, position)
            # The next copy takes the default output of this one in place of its first input; `prev` stays the node before.
            produced = self._walk_copy(node, path, columns, scope, produced.default if produced is not None else None)
            names.setdefault(name, []).append(produced)
        self.diagnostics.end()
        scope.previous = produced
        for name, copies in names.items():
            self._declare(name, Named(tuple(copies), node.span, is_repeated and not keeps_own_name), node, scope)

    def _name(self, node: NodeTree, auto: str, columns: Columns) -> str:
        if node.name is None:
            return auto
        if not node.name.is_deferred:
            return str(node.name.value)
        try:
            name = str(resolve(node.name.value, columns, columns.names, self.diagnostics))
        except Undefined:
            return auto
        return name if check_name(name, node.name.span, self.diagnostics) else auto

    def _declare(self, name: str, named: Named, node: NodeTree, scope: Scope) -> None:
        span = node.name.span if node.name is not None else node.span
        earlier = scope.named.get(name)
        if earlier is not None and node.when is not None and earlier.is_absent != named.is_absent:
            # An exclusive pair (`when: $a`, `when: $(not a)`) may share a name: it means the one that is there.
            scope.named[name] = earlier if named.is_absent else named
        elif earlier is not None:
            self.diagnostics.error(
                "SB0304",
                f"the name `{name}` is taken",
                span,
                help="give one of the two another name",
                related=(Related(span=earlier.span, message="first used here"),),
            )
        else:
            scope.named[name] = Named(named.copies, span, named.is_repeated)

    # One copy --------------------------------------------------------------------------------------------------------

    def _walk_copy(self, node: NodeTree, path: Path, columns: Columns, scope: Scope, carried: Value | None) -> Produced:
        if not self._is_present(node.when, columns):
            return Produced({"": carried or self.wiring.first(node, columns, scope)}, is_absent=True)
        cls = self._class(node.use, columns)
        if cls is None:
            self.wiring.mark_read(node, columns, scope)
            return self._unknown(path, Node)
        arrivals = self.wiring.arrivals(node, cls, columns, scope, carried)
        kind = self._instance(node.use, cls, columns)
        if arrivals is None or kind is None:
            return self._unknown(path, cls)
        if any(value.type is None for arrival in arrivals for value in each(arrival)):
            return self._unknown(path, cls)
        return self._infer(node, kind, arrivals, path)

    def _unknown(self, path: Path, cls: type[Node]) -> Produced:
        names = cls.outputs
        return Produced({name if len(names) > 1 else "": Value(path, None, name if len(names) > 1 else "") for name in names})

    def _is_present(self, when: Entry | None, columns: Columns) -> bool:
        if when is None:
            return True
        try:
            value = resolve(when.value, columns, columns.names, self.diagnostics)
        except Undefined:
            return True
        if isinstance(value, bool):
            return value
        help = f"write `{'true' if value else 'false'}`" if value in (0, 1) else "such as `when: $(depth > 2)`"
        self.diagnostics.error("SB0203", f"`when` wants true or false, but this is {shown(value)}", when.span, help=help)
        return True

    def _class(self, use: Use, columns: Columns) -> type[Node] | None:
        if not isinstance(use.kind, Deferred):
            return use.cls  # type: ignore[return-value]  # the family of a node's use is `node`
        try:
            name = resolve(use.kind, columns, columns.names, self.diagnostics)
        except Undefined:
            return None
        cls = lookup.find("node", name) if isinstance(name, str) else None
        if cls is None:
            message = f"unknown kind of node `{name}`" if isinstance(name, str) else f"a kind is wanted here, but this is {shown(name)}"
            self.diagnostics.error("SB0205", message, use.span, help=unknown_help("node", str(name)))
        return cls  # type: ignore[return-value]

    def _instance(self, use: Use, cls: type[Node], columns: Columns) -> Node | None:
        if use.instance is not None:
            return use.instance  # type: ignore[return-value]
        if use.is_wrong:
            return None
        values: dict[str, Any] = {}
        is_whole = True
        for name, entry in use.fields.items():
            try:
                values[name] = resolve(entry.value, columns, columns.names, self.diagnostics)
            except Undefined:
                is_whole = False
        if not is_whole:
            return None
        for name, value in values.items():
            if isinstance(value, Poly):
                span = use.fields[name].span
                self.diagnostics.error("SB0505", f"`{name}` must be known when the network is built, but `{value}` depends on what arrives", span)
                return None
        return finish(use, cls, values, self.diagnostics)  # type: ignore[return-value]

    # Types -----------------------------------------------------------------------------------------------------------

    def _infer(self, node: NodeTree, kind: Node, arrivals: tuple[Arrival, ...], path: Path) -> Produced:
        types = tuple(
            None if arrival is None else arrival.type if isinstance(arrival, Value) else tuple(value.type for value in arrival)
            for arrival in arrivals
        )
        try:
            given = kind.infer(*types)
            outputs = given if isinstance(given, tuple) else (given,)
            self._require(node, kind, outputs, types)
            parameters, buffers, source = kind.parameters(*types), kind.buffers(*types), kind.source(*types)
            for remark in kind.remarks(*types):
                self.diagnostics.warning(remark.code, remark.message, node.span, help=remark.help)
        except Refusal as refusal:
            self._refuse(refusal, node, kind, arrivals)
            return self._unknown(path, type(kind))
        except DimError as error:
            self._refuse(Refusal(error.message), node, kind, arrivals)
            return self._unknown(path, type(kind))
        except Exception as error:
            raise InternalError("infer", f"the rule of `{kind.kind}` failed: {error!r}", ".".join(map(str, path))) from error
        names = kind.outputs if len(outputs) == len(kind.outputs) else tuple(map(str, range(len(outputs))))
        ports = {
            name if len(outputs) > 1 else "": Value(path, type, name if len(outputs) > 1 else "") for name, type in zip(names, outputs, strict=True)
        }
        made = GraphNode(
            path=path,
            kind=kind,
            inputs=arrivals,
            outputs=tuple(ports.values()),
            span=node.span,
            is_named=node.name is not None,
            parameters=parameters,
            buffers=buffers,
            source=source,
        )
        self.nodes.append(made)
        self.chain.extend(made)
        return Produced(ports)

    def _require(self, node: NodeTree, kind: Node, outputs: tuple[TensorType, ...], types: tuple[Any, ...]) -> None:
        """Every size is at least 1, and whatever else the kind asks for; what no size can meet is refused."""
        wanted = [Requirement(dim, 1) for output in outputs for dim in output.shape]
        for requirement in (*wanted, *kind.requirements(*types)):
            dim, minimum = requirement.dim, requirement.minimum
            if isinstance(dim, int):
                if dim < minimum:
                    raise Refusal(f"`{kind.kind}` would give a tensor of size {dim}: {outputs[0].shape_text}", code="SB0402")
            elif (met := at_least(dim, minimum)) is None:
                self.requirements.append(requirement)
            elif not met:
                raise Refusal(f"`{kind.kind}` would need {requirement}, which no size meets", code="SB0402")

    def _refuse(self, refusal: Refusal, node: NodeTree, kind: Node, arrivals: tuple[Arrival, ...]) -> None:
        blamed = self._blamed(refusal, kind, arrivals)
        self.diagnostics.error(
            refusal.code,
            refusal.message,
            self._blame_span(refusal, node),
            help=refusal.help,
            chain=self.chain.of(blamed) if blamed is not None else (),
            path=f"model.nodes.{self.tree.model.nodes.index(node)}" if node in self.tree.model.nodes else "",
        )

    def _blamed(self, refusal: Refusal, kind: Node, arrivals: tuple[Arrival, ...]) -> Value | None:
        ports = {port.name: arrival for port, arrival in zip(kind.inputs, arrivals, strict=True)}
        arrival = ports.get(refusal.port or "", arrivals[0] if arrivals else None)
        if isinstance(arrival, tuple):
            return arrival[refusal.item or 0] if arrival else None
        return arrival

    def _blame_span(self, refusal: Refusal, node: NodeTree) -> Span:
        fields = node.use.fields
        if refusal.field is not None and refusal.field in fields:
            return fields[refusal.field].span
        reads = node.reads
        if refusal.port is not None and reads is not None:
            if reads.named and refusal.port in reads.named:
                references = reads.named[refusal.port]
                return references[min(refusal.item or 0, len(references) - 1)].span
            if reads.ordered:
                return reads.ordered[refusal.item].span if refusal.item is not None and refusal.item < len(reads.ordered) else reads.span
        return node.span

    # Ends ------------------------------------------------------------------------------------------------------------

    def _outputs(self, scope: Scope) -> dict[str, Value]:
        written = self.tree.model.outputs
        if written is None:
            if not self.tree.model.nodes or scope.previous is None:
                return {}
            value = scope.previous.default
            last = self.tree.model.nodes[-1]
            self.wiring.used.add(value)
            return {str(value.path[0]) if last.name is not None else "output": value}
        found: dict[str, Value] = {}
        for output in written:
            values = self.wiring.read((output.reference,), Columns(self.variables, {}), scope)
            if len(values) != 1:
                if len(values) > 1:
                    message = f"an output is one tensor, but `{output.reference.text}` is {len(values)}"
                    self.diagnostics.error("SB0303", message, output.reference.span, help="name one of them, or join them with `concat`")
                continue
            name = output.name or _port_name(str(output.reference.text), values[0])
            if name in found:
                self.diagnostics.error("SB0304", f"two outputs are called `{name}`", output.span, help="name them: `outputs: {a: x, b: y}`")
            found[name] = values[0]
        return found

    def _unused(self, scope: Scope, outputs: Mapping[str, Value]) -> None:
        """Warns of nodes and inputs that nothing reads."""
        if any(value.type is None for value in outputs.values()) or not outputs:
            return
        for written in self.tree.model.inputs:
            if scope.named[written.name].copies[0].default not in self.wiring.used:
                self.diagnostics.warning("SB0307", f"nothing reads the input `{written.name}`", written.span)
        for node in self.nodes:
            if not any(value in self.wiring.used for value in node.outputs):
                self.diagnostics.warning("SB0307", f"nothing reads `{node.name}`, and it is no output", node.span)


def _port_name(reference: str, value: Value) -> str:
    return str(value.path[0]) if reference in ("prev", "input") else reference.replace(".", "_").replace("-", "")
