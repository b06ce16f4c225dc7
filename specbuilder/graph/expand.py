"""SpecTree to TypedGraph, in one walk: values, copies, names, wiring and types of each node, in the order of the text.

One walk suffices because references point backwards: when a node is reached, everything it reads has its type. A node that fails gives Unknown values,
and whatever reads those stays quiet, so that one mistake is told once. Does not import torch, and does not look at `data` or `train`.

This file walks lists: of the model, of blocks, of `sequence`, `residual` and `branches`. `wire` says what a node reads, `leaf` makes a node of a kind,
`bind` holds what enters a block against its declaration, `size` counts before anything is made.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from specbuilder.catalogue import demands, lookup
from specbuilder.catalogue.contract import Node, Refusal, Stateful
from specbuilder.catalogue.declared import fields_of
from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics, Related
from specbuilder.graph.bind import bind
from specbuilder.graph.copies import row, rows_of
from specbuilder.graph.environment import Environment, Names
from specbuilder.graph.facts import Facts, facts_of
from specbuilder.graph.findings import Findings
from specbuilder.graph.formula import Computation, compute
from specbuilder.graph.graph import STATE, Arrival, Path, TypedGraph, Value
from specbuilder.graph.growing import DEEPEST_NESTING, DEEPEST_RECURSION, MOST_NODES, MOST_WALKED, Growing
from specbuilder.graph.initialise import initialise
from specbuilder.graph.instance import Instances
from specbuilder.graph.leaf import Leaves, unknown
from specbuilder.graph.operands import FormulaProblems
from specbuilder.graph.place import Place
from specbuilder.graph.scope import NAMELESS, Named, Output, Produced, ReferenceProblem, Scope, is_index
from specbuilder.graph.size import Sizes
from specbuilder.graph.unread import Unread
from specbuilder.graph.variables import Variables
from specbuilder.graph.wire import Wiring, each, first_reference
from specbuilder.language.blocks import BlockKind
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.nodes import check_name
from specbuilder.language.tree import (
    BlockTree,
    BranchesTree,
    ComputeTree,
    Deferred,
    Entry,
    ListTree,
    NodeArgument,
    NodesArgument,
    NodeTree,
    OutputTree,
    ShareTree,
    SpecTree,
    Use,
)
from specbuilder.language.unused import names_in
from specbuilder.language.values import Undefined, part, resolve
from specbuilder.language.vocabulary import Vocabulary
from specbuilder.records import Record
from specbuilder.shapes import Dim, DimError, TensorType, parse_type, same_shape, strongest, substitute, symbol

_FRAMES = 40_000
"""Python frames that the deepest nesting may need; these are frames of Python alone, which cost no stack of the process."""


def expand(tree: SpecTree, variables: Variables, diagnostics: Diagnostics) -> TypedGraph | None:
    """The typed graph, or None when anything in the model is wrong."""
    before = diagnostics.errors
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _FRAMES))
    try:
        graph = _Walk(tree, variables, diagnostics).graph()
        if diagnostics.errors == before:
            graph = initialise(graph, tree.model.init, variables, variables.names, diagnostics)
        if diagnostics.errors == before and any(isinstance(node.kind, Stateful) for node in graph.nodes):
            graph = _with_state(graph, tree, variables, diagnostics)
    finally:
        sys.setrecursionlimit(limit)
    return None if tree.model.is_wrong or diagnostics.errors > before else graph


def _with_state(graph: TypedGraph, tree: SpecTree, variables: Variables, diagnostics: Diagnostics) -> TypedGraph:
    """The graph with that of its call with state."""
    from specbuilder.graph.stateful import thread

    for written in tree.model.inputs:
        if written.name == STATE:
            message = f"a network that keeps a state takes it as `{STATE}`, so no input may be called that"
            diagnostics.error("SB0304", message, written.span, help="give the input another name")
    return thread(graph, lambda leaves, found: _Walk(tree, variables, found, leaves).graph(), diagnostics)


class Made(Record, identity=True):
    """How a node was made, so that `share` can call it again."""

    node: NodeTree
    path: Path
    place: Place


class _Walk:
    """The state of one walk: the nodes made so far and where each value came from."""

    def __init__(
        self, tree: SpecTree, variables: Variables, diagnostics: Diagnostics, leaves: Callable[[Growing, Diagnostics], Leaves] = Leaves
    ) -> None:
        self.tree = tree
        self.variables = variables
        self.vocabulary = Vocabulary(tree.blocks)  # type: ignore[arg-type]  # decode puts blocks there
        self.findings = Findings(diagnostics)
        self.instances = Instances(self.vocabulary, self.findings)
        self.told = diagnostics
        self.growing = Growing()
        self.leaves = leaves(self.growing, self.findings)
        self.wiring = Wiring(self.findings)
        self.unread = Unread(self.wiring.used)
        self.sizes = Sizes(tree, variables)
        self.recursion = 0

    def graph(self) -> TypedGraph:
        inputs = tuple(self._inputs())
        facts = facts_of(self.tree.model.where, [value.type for value in inputs if value is not None], self.variables, self.findings)
        inputs = tuple(self._with_facts(value, facts) for value in inputs)
        for value, written in zip(inputs, self.tree.model.inputs, strict=True):
            if value is not None:
                self.growing.chain.begin(value, written.name, written.span)
        self.growing.requirements += facts.requirements
        present = tuple(value for value in inputs if value is not None)
        scope = Scope(entry=present, is_told=not present)
        for value, written in zip(inputs, self.tree.model.inputs, strict=True):
            produced = Produced({"": value}) if value is not None else Produced({}, is_absent=True, is_off_chain=True)
            scope.named[written.name] = Named((produced,), written.span)
        sizes = {name: symbol(name) for value in present if value.type is not None for name in sorted(value.type.symbols)} | facts.sizes
        place = Place(Environment(sizes, self.variables) if sizes else self.variables, scope, ())
        nodes = self.tree.model.nodes
        if not nodes or self._may_make(self.sizes.of_list(nodes), self.sizes.heaviest(nodes)):
            self.walk_list(nodes, place)
        outputs = self._outputs(place)
        self._unused(scope, outputs, present)
        return TypedGraph(
            name=self.tree.name,
            description=self.tree.description,
            inputs=present,
            nodes=tuple(self.growing.nodes),
            items=self.growing.items,
            outputs=outputs,
            requirements=strongest(self.growing.requirements),
        )

    def _inputs(self) -> Iterator[Value | None]:
        for written in self.tree.model.inputs:
            if not self._is_present(written.when, self.variables):
                yield None
                continue
            yield Value((written.name,), self._type(written.type, self.variables))

    def _with_facts(self, value: Value | None, facts: Facts) -> Value | None:
        if value is None or value.type is None or not facts.sizes:
            return value
        return value.replace(type=value.type.with_shape(tuple(substitute(dim, facts.sizes) for dim in value.type.shape)))

    def _type(self, written: TensorType | Deferred | None, names: Names) -> TensorType | None:
        if not isinstance(written, Deferred):
            return written
        try:
            text = str(resolve(written, names, names.names, self.findings))
        except Undefined:
            return None
        try:
            return parse_type(text)
        except DimError as error:
            self.findings.error("SB0502", f"{error.message}, in `{text}`", written.scalar.span)
            return None

    # Lists and copies ------------------------------------------------------------------------------------------------

    def walk_list(self, nodes: Sequence[NodeTree], place: Place) -> None:
        """Walks one list of nodes; its names and its last value are in the scope afterwards."""
        scope = place.scope
        kinds = [self._kind_name(node, place.names) for node in nodes]
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
            self._walk_node(node, auto, place)
            if self.growing.is_full:
                return
        scope.own = None

    def _kind_name(self, node: NodeTree, names: Names) -> str:
        """What an unnamed node is called: its kind."""
        if not isinstance(node.body, Use) or isinstance(node.body.kind, str):
            return node.title
        try:
            value = resolve(node.body.kind, names, names.names, Diagnostics())
        except (Undefined, KeyError):
            return "unknown"
        if isinstance(value, NodeArgument):
            return value.use.title if isinstance(value.use.kind, str) else "node"
        return "nodes" if isinstance(value, NodesArgument) else str(value)

    def _walk_node(self, node: NodeTree, auto: str, place: Place) -> None:
        word, copies = ("each", node.each) if node.each is not None else ("repeat", node.repeat)
        rows = rows_of(word, copies, place.names, self.findings)
        if copies is not None and len(rows) > 1 and not self._may_make(self.sizes.of_copies(node, place.names), copies.span):
            rows = rows[:1]
        names: dict[str, list[Produced]] = {}
        copied: list[Produced] = []
        keeps_own_name = node.name is not None and node.name.is_deferred
        is_counted = copies is not None and not keeps_own_name
        produced: Produced | None = None
        if copies is not None:
            self.findings.begin()
        for position in range(len(rows)):
            if not self._may_walk(node):
                break
            if position:
                self.findings.next_copy()
            values = row(rows, position)
            here = place.seeing(Environment(values, place.names)) if values else place
            given = self._name(node, auto, here.names)
            name = given if given is not None else auto
            path = (*place.prefix, name, position) if is_counted and not node.is_shared else (*place.prefix, name)
            self.growing.sharing += node.is_shared and position > 0
            # The next copy takes the default output of this one in place of its first input; `prev` stays the node before.
            carried = produced.default if produced is not None and word == "repeat" and copies is not None else None
            produced = self._walk_copy(node, path, here, carried, is_copy=copies is not None)
            self.growing.sharing -= node.is_shared and position > 0
            copied.append(produced)
            self._call(node, given, produced, names, place.scope)
            if self.growing.is_full:
                break
        if copies is not None:
            self.findings.end_copies()
        if produced is None:
            produced = unknown((*place.prefix, auto), ("",))
            names[auto] = [produced]
        if node.each is not None:
            produced = self._as_list(node, copied, (*place.prefix, next(iter(names), auto)), place)
        if not produced.is_off_chain:
            place.scope.previous = produced
        span = node.name.span if node.name is not None else node.span
        for name, found in names.items():
            if node.each is not None and node.merge is not None:
                named = Named((produced,), span)
            else:
                named = Named(tuple(found), span, is_counted, is_list=node.each is not None)
            self._declare(name, named, node, place.scope)
            place.scope.made.append((node, name, named))

    def _may_walk(self, node: NodeTree) -> bool:
        """Whether one more copy may be walked, an absent one too: the end of what no arithmetic saw coming."""
        self.growing.walked += 1
        if not self.growing.is_full and (self.growing.walked > MOST_WALKED or len(self.growing.nodes) > MOST_NODES):
            self.growing.is_full = True
            self.findings.error("SB0601", f"this goes beyond the {MOST_NODES:,} nodes that a network has at most", node.span)
        return not self.growing.is_full or self.growing.walked == 1

    def _may_make(self, count: int, span: Any) -> bool:
        """Whether so many nodes may still be made; told when not."""
        if self.growing.is_full or count <= MOST_NODES - len(self.growing.nodes):
            return not self.growing.is_full
        self.growing.is_full = True
        self.findings.error("SB0601", f"this asks for {count:,} nodes, but a network has at most {MOST_NODES:,}", span)
        return False

    def _name(self, node: NodeTree, auto: str, names: Names) -> str | None:
        """What a copy is called; None where that is wrong, which is told."""
        if node.name is None:
            return auto if node.title else None
        if not node.name.is_deferred:
            return str(node.name.value)
        try:
            name = str(resolve(node.name.value, names, names.names, self.findings))
        except Undefined:
            return None
        return name if check_name(name, node.name.span, self.findings) else None

    def _call(self, node: NodeTree, name: str | None, produced: Produced, names: dict[str, list[Produced]], scope: Scope) -> None:
        """Takes down what a copy is called: with a name that holds an index it is a module of its own, and with shared weights it is none."""
        if name is None:
            scope.has_nameless = True
            return
        if names and node.name is not None and node.name.is_deferred and node.is_shared == (name not in names):
            if node.is_shared:
                message = f"copies with shared weights have one name, but this one is called `{name}` and the first `{next(iter(names))}`"
                self.findings.error("SB0304", message, node.name.span, help="give all of them one name, or leave out `shared`")
            else:
                help = "leave the name without an index: copies are numbered"
                self.findings.error("SB0304", f"two copies are called `{name}`", node.name.span, help=help)
            return
        names.setdefault(name, []).append(produced)

    def _declare(self, name: str, named: Named, node: NodeTree, scope: Scope) -> None:
        earlier = scope.named.get(name)
        if earlier is not None and node.when is not None and earlier.is_absent != named.is_absent:
            # An exclusive pair (`when: $a`, `when: $(not a)`) may share a name: it means the one that is there.
            scope.named[name] = earlier if named.is_absent else named
        elif earlier is not None:
            self.findings.error(
                "SB0304",
                f"the name `{name}` is taken",
                named.span,
                help="give one of the two another name",
                related=(Related(span=earlier.span, message="first used here"),),
            )
        else:
            scope.named[name] = named

    def _as_list(self, node: NodeTree, copies: list[Produced], path: Path, place: Place) -> Produced:
        """What the copies of `each` give together: a list, or what `merge` makes of it."""
        values = tuple(value for copy in copies for value in each(copy.default))
        return Produced({"": values}) if node.merge is None else self._merged(node, node.merge, values, path, place)

    def _merged(self, node: NodeTree, merge: Use, values: tuple[Value, ...], path: Path, place: Place) -> Produced:
        cls = self.instances.cls(merge, place)
        kind = self.instances.of(merge, cls, place) if cls is not None else None
        if cls is None or kind is None:
            return unknown(path, ("",))
        arrivals = self.wiring.joined(cls.inputs, values)
        if arrivals is None:
            self.findings.error("SB0303", f"`{merge.title}` reads {len(cls.inputs)} tensors, but {len(values)} are to be merged", merge.span)
            return unknown(path, ("",))
        joining = NodeTree(merge, name=node.name)
        if isinstance(kind, BlockKind):
            return self._block(joining, kind, arrivals, path, place, is_copy=False)
        return self.leaves.grow(joining, kind, arrivals, path, place)

    # One copy --------------------------------------------------------------------------------------------------------

    def _walk_copy(self, node: NodeTree, path: Path, place: Place, carried: Output | None, *, is_copy: bool) -> Produced:
        if not self._is_present(node.when, place.names):
            cls = node.body.cls if isinstance(node.body, Use) else None
            if cls is not None and issubclass(cls, Node) and cls.is_off_chain:
                return Produced({}, is_absent=True, is_off_chain=True)
            return Produced({"": carried if carried is not None else self.wiring.first(node, place)}, is_absent=True)
        produced = self._body(node, path, place, place, carried, is_copy=is_copy)
        if node.type is not None:
            self._assert_type(node, node.type, produced, place)
        return produced.replace(made=Made(node, path, place))

    def _body(self, node: NodeTree, path: Path, place: Place, there: Place, carried: Output | None, *, is_copy: bool) -> Produced:
        """What a node is. It reads in `place`; what it says means what it means `there`, which is another place where it is shared or handed in."""
        match node.body:
            case Use():
                return self._use(node, node.body, path, place, there, carried, is_copy=is_copy)
            case ListTree():
                return self._open_list(node, node.body, path, place, there, carried, is_copy=is_copy)
            case BranchesTree():
                return self._branches(node, node.body, path, place, there, carried, is_copy=is_copy)
            case ComputeTree():
                return self._compute(node, node.body, path, there, carried)
            case ShareTree():
                return self._share(node, node.body, path, place, carried)

    def _is_present(self, when: Entry | None, names: Names) -> bool:
        if when is None:
            return True
        try:
            value = resolve(when.value, names, names.names, self.findings)
        except Undefined:
            return True
        if isinstance(value, bool):
            return value
        help = f"write `{'true' if value else 'false'}`" if value in (0, 1) else "such as `when: $(depth > 2)`"
        self.findings.error("SB0203", f"`when` wants true or false, but this is {shown(value)}", when.span, help=help)
        return True

    def _assert_type(self, node: NodeTree, written: Entry, produced: Produced, place: Place) -> None:
        """`type`: what the node is said to give."""
        value = produced.default
        try:
            text = str(resolve(written.value, place.names, place.names.names, self.findings))
            wanted = parse_type(text)
        except Undefined:
            return
        except DimError as error:
            self.findings.error("SB0502", error.message, written.span, help="a type is dtype and sizes, such as `float32[B, 10]`")
            return
        if not isinstance(value, Value):
            self.findings.error("SB0404", f"`type` says {wanted}, but `{node.title}` gives a list of {len(value)}", written.span)
        elif value.type is not None and (wanted.dtype != value.type.dtype or same_shape(wanted.shape, value.type.shape) is not True):
            message = f"`type` says {wanted}, but `{node.title}` gives {value.type}"
            self.findings.error("SB0404", message, written.span, chain=self.growing.chain.of(value))

    # Kinds and blocks ------------------------------------------------------------------------------------------------

    def _use(self, node: NodeTree, use: Use, path: Path, place: Place, there: Place, carried: Output | None, *, is_copy: bool) -> Produced:
        if isinstance(use.kind, Deferred) and isinstance(given := self.instances.named(use, there), (NodeArgument, NodesArgument)):
            return self._argument(node, use, given, path, place, there, carried, is_copy=is_copy)
        cls = self.instances.cls(use, there)
        if cls is None:
            self.wiring.mark_read(node, place)
            return unknown(path, ("",))
        kind = self.instances.of(use, cls, there)
        return self._apply(node, cls, kind, path, place, carried, is_copy=is_copy)

    def _apply(
        self, node: NodeTree, cls: type[Node], kind: Node | None, path: Path, place: Place, carried: Output | None, *, is_copy: bool
    ) -> Produced:
        arrivals = self.wiring.arrivals(node, cls.inputs, place, carried)
        if arrivals is None or kind is None:
            return unknown(path, _ports_of(cls))
        if isinstance(kind, BlockKind):
            self._has_no_tensors(node)
            return self._block(node, kind, arrivals, path, place, is_copy=is_copy)
        return self.leaves.grow(node, kind, arrivals, path, place)

    def _argument(
        self,
        node: NodeTree,
        use: Use,
        given: NodeArgument | NodesArgument,
        path: Path,
        place: Place,
        here: Place,
        carried: Output | None,
        *,
        is_copy: bool,
    ) -> Produced:
        """A param of type `node` or `nodes` in the place of a kind. What it says was written elsewhere, and means what it means there."""
        # A default stands in the head of its block, where only the variables of the file are known.
        there = given.place if isinstance(given.place, Place) else Place(self.variables, Scope(entry=()), path)
        if isinstance(given, NodesArgument):
            if use.fields:
                self.findings.error("SB0203", f"`{use.title}` is a list of nodes and takes no fields", use.span)
            return self._open_list(node, given.nodes, path, place, there, carried, is_copy=is_copy)
        inner = given.use
        if isinstance(inner.kind, Deferred) and isinstance(further := self.instances.named(inner, there), (NodeArgument, NodesArgument)):
            return self._argument(node, inner, further, path, place, there, carried, is_copy=is_copy)
        cls = self.instances.cls(inner, there)
        if cls is None or inner.is_wrong:
            self.wiring.mark_read(node, place)
            return unknown(path, ("",))
        kind = self.instances.joined(cls, (inner, there), (use, here))
        return self._apply(node, cls, kind, path, place, carried, is_copy=is_copy)

    def _has_no_tensors(self, node: NodeTree) -> None:
        """A block has no tensors of its own: what is said of tensors belongs beside the kinds in it."""
        said = {"init": node.init, "tie": next(iter((node.tie or {}).values()), None), "freeze": node.freeze}
        for word, value in said.items():
            if value is not None:
                help = (
                    "write it beside a kind in the block, or as a rule of `model.init`" if word == "init" else "write it beside a kind in the block"
                )
                self.findings.error("SB0201", f"`{word}` is for a node with weights of its own, and `{node.title}` is a block", value.span, help=help)

    def _block(self, node: NodeTree, kind: BlockKind, arrivals: tuple[Arrival, ...], path: Path, place: Place, *, is_copy: bool) -> Produced:
        block = type(kind).block
        if any(value.type is None for arrival in arrivals for value in each(arrival)):
            return unknown(path, _ports_of(type(kind)))
        if not self._may_nest(node, block.name):
            return unknown(path, _ports_of(type(kind)))
        params = {name: getattr(kind, name) for name in fields_of(type(kind))}
        entered: dict[str, Output] = {each.name: arrival for each, arrival in zip(block.inputs, arrivals, strict=True) if arrival is not None}
        sizes = self._bound(node, block, entered, Environment(params, self.variables))
        if sizes is None:
            return unknown(path, _ports_of(type(kind)))
        self.findings.begin()
        self.recursion += 1
        lets = Variables(block.lets, self.findings, Environment({**sizes, **params}, self.variables))
        scope = Scope(entry=tuple(entered.values()), is_block=True)
        for each_input in block.inputs:
            scope.named[each_input.name] = Named((Produced({"": entered[each_input.name]}),), each_input.span)
        inner = Place(lets, scope, path)
        self.growing.open_part()
        self.unread.begin_block(entered)
        self.walk_list(block.nodes, inner)
        ports = self._block_outputs(block, inner, path)
        self.unread.end_block(block, entered, ports.values())
        self.unread.close(scope.made, ports.values(), path, entered.values())
        arguments = {name: value for name, value in params.items() if not isinstance(value, (NodeArgument, NodesArgument))}
        self.growing.close_part(path, block.name, block.span, {**sizes, **lets.known, **arguments}, entered, ports, is_copy=is_copy)
        self.recursion -= 1
        self.findings.end_use(block.name, node.span)
        return Produced(ports)

    def _may_nest(self, node: NodeTree, name: str) -> bool:
        if self.growing.is_full:
            return False
        if self.recursion >= DEEPEST_RECURSION or self.growing.depth >= DEEPEST_NESTING:
            self.growing.is_full = True
            deep = f"{DEEPEST_RECURSION} blocks" if self.recursion >= DEEPEST_RECURSION else f"{DEEPEST_NESTING} lists"
            help = f"does `{name}` use itself without an end? End it with `when`, such as `when: $(depth > 0)`"
            self.findings.error("SB0602", f"more than {deep} within one another", node.span, help=help)
            return False
        return True

    def _bound(self, node: NodeTree, block: BlockTree, entered: Mapping[str, Output], names: Names) -> dict[str, Dim] | None:
        """The sizes that the inputs of a block bind; None after a mistake."""
        sizes: dict[str, Dim] = {}
        for declared in block.inputs:
            if declared.type is None:
                continue
            output = entered[declared.name]
            try:
                text = str(resolve(declared.type.value, names, names.names, self.findings))
                sizes = bind(block.name, declared.name, text, output, sizes)
            except Undefined:
                return None
            except DimError as error:
                self.findings.error("SB0502", error.message, declared.type.span, help='such as "[B, C, H, W]" or "float32[B, T]"')
                return None
            except Refusal as refusal:
                chain = self.growing.chain.of(output) if isinstance(output, Value) else ()
                related = (Related(declared.type.span, "declared here"),)
                span = node.reads.span if node.reads is not None else node.span
                self.findings.error(refusal.code, refusal.message, span, chain=chain, related=related, help=refusal.help)
                return None
        return sizes

    def _block_outputs(self, block: BlockTree, place: Place, path: Path) -> dict[str, Output]:
        if block.outputs is None:
            return {"": place.scope.previous.default if place.scope.previous is not None else next(iter(place.scope.entry), Value(path, None))}
        ports: dict[str, Output] = {}
        for written in block.outputs:
            found = [self.wiring.find(reference, place) for reference in written.references]
            name = written.name or _port_name(written)
            if None in found:
                ports[name] = Value(path, None)
            elif written.is_list or (len(found) == 1 and found[0] is not None and found[0].form != "one"):
                ports[name] = tuple(value for one in found if one is not None for value in one.values)
            else:
                assert found[0] is not None
                ports[name] = found[0].output
        return ports

    # Lists in the place of a node ------------------------------------------------------------------------------------

    def _open_list(
        self, node: NodeTree, body: ListTree, path: Path, place: Place, there: Place, carried: Output | None, *, is_copy: bool
    ) -> Produced:
        """`sequence` and `residual`. `there` is where the list was written: for a `nodes` param not where it is used."""
        entered = self.wiring.entry(node, place, carried)
        if not self._may_nest(node, body.word):
            return unknown(path, ("",))
        out = self._list(body, entered, path, there, is_copy=is_copy)
        if body.word == "residual":
            return self._residual(node, entered, out, path)
        return Produced({"": out})

    def _list(self, body: ListTree, entered: Output | None, path: Path, place: Place, *, is_copy: bool) -> Output:
        scope = Scope(entry=() if entered is None else (entered,), outer=place.scope)
        inner = Place(place.names, scope, path)
        self.growing.open_part()
        self.walk_list(body.nodes, inner)
        out = scope.previous.default if scope.previous is not None else entered if entered is not None else Value(path, None)
        self.unread.close(scope.made, (out,), path, (entered,))
        columns = place.names.own if isinstance(place.names, Environment) else {}
        self.growing.close_part(path, None, body.span, columns, {"input": entered}, {"": out}, is_copy=is_copy)
        return out

    def _residual(self, node: NodeTree, entered: Output | None, out: Output, path: Path) -> Produced:
        """The list plus its input."""
        add = lookup.find("node", "add")
        assert add is not None
        if not isinstance(entered, Value) or not isinstance(out, Value):
            if entered is None:
                self.findings.error("SB0303", "`residual` adds its input, but nothing enters it", node.span, help="name what it reads with `from`")
            elif isinstance(out, tuple) or isinstance(entered, tuple):
                self.findings.error("SB0303", "`residual` adds one tensor to another, but a list arrives", node.span)
            return unknown(path, ("",))
        self.wiring.used.update((entered, out))
        if entered.type is None or out.type is None:
            return unknown(path, ("",))
        try:
            if entered.type.dtype != out.type.dtype:
                raise Refusal(f"`residual` wants its list to keep the type, but {entered.type} enters and {out.type} leaves", code="SB0403")
            demands.same_shape("residual", entered.type, out.type)
        except Refusal as refusal:
            message = refusal.message.replace("wants equal shapes, found", "adds its input to what its list gives: equal shapes are wanted, found")
            help = refusal.help or "let the list end with as many features as it begins with, or write the sum out with `add`"
            self.findings.error("SB0403", message, node.span, chain=self.growing.chain.of(out), help=help)
            return unknown(path, ("",))
        return self.leaves.grow(node, add(), ((entered, out),), path, Place(self.variables, Scope(entry=()), ()))  # type: ignore[arg-type]  # add is a node

    def _branches(
        self, node: NodeTree, body: BranchesTree, path: Path, place: Place, there: Place, carried: Output | None, *, is_copy: bool
    ) -> Produced:
        entered = self.wiring.entry(node, place, carried)
        if not self._may_nest(node, "branches"):
            return unknown(path, ("",))
        self.growing.open_part()
        ports = {name: self._list(branch, entered, (*path, name), there, is_copy=False) for name, branch in body.branches.items()}
        produced = Produced(ports)
        if node.merge is not None:
            values = tuple(value for output in ports.values() for value in each(output))
            produced = self._merged(node, node.merge, values, path, place)
        columns = there.names.own if isinstance(there.names, Environment) else {}
        self.growing.close_part(path, None, body.span, columns, {"input": entered}, produced.ports, is_copy=is_copy)
        return produced

    def _share(self, node: NodeTree, body: ShareTree, path: Path, place: Place, carried: Output | None) -> Produced:
        """An earlier node, called again with its weights."""
        reference = body.reference
        try:
            text = str(resolve(reference.text, place.names, place.names.names, self.findings))
            head, *steps = text.split(".")
            copies = place.scope.copies_of(head).copies
        except Undefined:
            return unknown(path, ("",))
        except ReferenceProblem as problem:
            self.wiring.report(problem, reference.span)
            return unknown(path, ("",))
        chosen = copies[int(steps[0])] if steps and is_index(steps[0]) and -len(copies) <= int(steps[0]) < len(copies) else copies[-1]
        if chosen.default is NAMELESS:
            return unknown(path, ("",))
        if not isinstance(chosen.made, Made) or len(steps) > 1:
            help = "name a node of this list; an input cannot be called" if head in ("prev", "input") or chosen.made is None else None
            self.findings.error("SB0303", f"`share` calls an earlier node again, but `{text}` is none", reference.span, help=help)
            return unknown(path, ("",))
        made = chosen.made
        self.growing.sharing += 1
        shared = made.node.body.replace(span=node.span) if isinstance(made.node.body, Use) else made.node.body
        produced = self._body(made.node.replace(body=shared, reads=node.reads, tie=None), made.path, place, made.place, carried, is_copy=False)
        self.growing.sharing -= 1
        return produced

    def _compute(self, node: NodeTree, body: ComputeTree, path: Path, place: Place, carried: Output | None) -> Produced:
        """A formula. It names what it reads itself; in a repeat, what it names first is the copy before."""
        if node.reads is not None:
            help = "write its name into the formula"
            self.findings.error("SB0303", "a formula names what it reads itself", node.reads.span, help=help)
        if body.formula is None:
            return unknown(path, ("",))

        first = first_reference(body)

        def tensors(text: str) -> tuple[Value, ...]:
            values = each(carried) if carried is not None and text == first else place.scope.resolve(text).values
            self.wiring.used.update(values)
            return values

        try:
            computed = compute(body.formula, tensors=tensors, statics=place.names, known=place.names.names)
        except FormulaProblems as problems:
            for problem in problems.problems:
                chain = self.growing.chain.of(problem.value) if problem.value is not None else ()
                related = (Related(span=problem.related[0], message=problem.related[1]),) if problem.related else ()
                span = part(body.scalar, problem.start, problem.end)
                self.findings.error(
                    problem.code, problem.message, span, help=problem.help, chain=chain, related=related, path=".".join(map(str, path))
                )
            return unknown(path, ("",))
        return self.leaves.grow(node, Computation(computed), computed.arrivals, path, place)

    # Ends ------------------------------------------------------------------------------------------------------------

    def _outputs(self, place: Place) -> dict[str, Value]:
        written, scope = self.tree.model.outputs, place.scope
        if written is None:
            if not self.tree.model.nodes or scope.previous is None:
                return {}
            last = self.tree.model.nodes[-1]
            value = scope.previous.default
            self.wiring.used.update(each(value))
            if not isinstance(value, Value):
                message = f"the last node gives a list of {len(value)} tensors, but an output is one"
                self.findings.error("SB0303", message, last.span, help="join them with `merge`, or name the outputs")
                return {}
            return {_output_name(last, value): value}
        found: dict[str, Value] = {}
        for output in written:
            read = self.wiring.find(output.references[0], place)
            if read is None:
                continue
            if len(read.values) != 1:
                message = f"an output is one tensor, but `{output.references[0].text}` is {len(read.values)}"
                self.findings.error("SB0303", message, output.references[0].span, help="name one of them, or join them with `concat`")
                continue
            name = output.name or _port_name(output, read.values[0])
            if name in found:
                self.findings.error("SB0304", f"two outputs are called `{name}`", output.span, help="name them: `outputs: {a: x, b: y}`")
            found[name] = read.values[0]
        return found

    def _unused(self, scope: Scope, outputs: Mapping[str, Value], present: Iterable[Value]) -> None:
        """Warns of nodes and inputs that nothing reads. After a mistake, whatever is wrong may have been meant to read them."""
        if self.told.has_errors or not outputs:
            return
        for written in self.tree.model.inputs:
            ports = scope.named[written.name].copies[0].ports
            if ports and ports[""] not in self.wiring.used and not self._says_size(ports[""], present):
                self.findings.warning("SB0307", f"nothing reads the input `{written.name}`", written.span)
        self.unread.close(scope.made, outputs.values(), (), ())
        self.unread.warn(self.tree.document, self.findings)

    def _says_size(self, value: Output, present: Iterable[Value]) -> bool:
        """Whether an input of the model is there for a size that it alone has, and that a node names."""
        assert isinstance(value, Value)
        others = {name for other in present if other is not value and other.type is not None for name in other.type.symbols}
        own = value.type.symbols - others if value.type is not None else set()
        model = self.tree.document.root.get("model")
        return bool(own) and isinstance(model, MappingNode) and any(name in own for name in names_in(model.get("nodes")))


def _ports_of(cls: type[Node]) -> tuple[str, ...]:
    """The outputs of a kind or block by name."""
    if issubclass(cls, BlockKind):
        return tuple(output.name or _port_name(output) for output in cls.block.outputs or ()) or ("",)
    return cls.outputs


def _output_name(last: NodeTree, value: Value) -> str:
    if last.name is None:
        return "output"
    return str(last.name.value) if not last.name.is_deferred else str(value.path[0])


def _port_name(output: OutputTree, value: Value | None = None) -> str:
    reference = str(output.references[0].text)
    if reference in ("prev", "input"):
        return str(value.path[0]) if value is not None else reference
    return reference.replace(".", "_").replace("-", "")
