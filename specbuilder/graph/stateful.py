"""The call with state of a network that has a stateful node: the same walk once more, in which such a node also reads what it kept.

In: the typed graph of the call without state, and the walk. Out: the graph with the one of the call with state, or errors that say that they are about
that call. How many places earlier calls gave is a size of its own, `P`; nodes that get equally many places in a call have been given equally many before,
so that one `P` serves them all, and masks and keys are proved to fit. What a node kept was typed by the call that kept it, when fewer places had come
before; nothing in its type but the axis that it counts may depend on that. A call without state is the call with state for P = 0: that both walks make the same
network is checked, so that one code serves both calls. A node that is called twice, shared, keeps what each of its calls was given. A network without a
stateful node is walked once and never comes here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, ClassVar

from specbuilder.catalogue.contract import ITSELF, Attribute, Call, IfNone, Input, Module, Node, Port, Refusal, Source, Stateful
from specbuilder.diagnostics import Diagnostic, Diagnostics
from specbuilder.graph.graph import Arrival, GraphNode, Kept, Past, Path, Threaded, TypedGraph
from specbuilder.graph.growing import Growing
from specbuilder.graph.leaf import Leaves, type_of
from specbuilder.graph.place import Place
from specbuilder.graph.scope import Produced
from specbuilder.graph.wire import each
from specbuilder.language.tree import NodeTree
from specbuilder.records import Record
from specbuilder.shapes import Dim, DimError, Poly, TensorType, substitute, symbol

MakeLeaves = Callable[[Growing, Diagnostics], Leaves]


def thread(graph: TypedGraph, walk: Callable[[MakeLeaves, Diagnostics], TypedGraph], diagnostics: Diagnostics) -> TypedGraph:
    """The graph with that of its call with state. `walk` walks the same text with other leaves; what is wrong in that call alone is told."""
    state, found = _State(_symbols(graph)), Diagnostics()
    later = walk(lambda growing, findings: _LaterLeaves(growing, findings, state), found)
    known = {(each.code, each.span) for each in diagnostics}
    for mistake in found:
        if mistake.severity == "error" or (mistake.code, mistake.span) not in known:
            diagnostics.add(_in_that_call(mistake, state))
    if found.has_errors:
        return graph
    for node in _differing(graph, later, state):
        message = f"the call with state would need another network: `{node.name}` is not what it is without"
        help = f"{state.words}; let nothing but sizes depend on that"
        diagnostics.error("SB0425", message, node.span, help=help)
        return graph
    later = later.replace(inits=graph.inits)
    return graph.replace(threaded=Threaded(later, tuple(state.kept), {str(name): size for size, name in state.before.items()}))


def _symbols(graph: TypedGraph) -> set[str]:
    values = (*graph.inputs, *(value for node in graph.nodes for value in node.outputs))
    return {name for value in values if value.type is not None for name in value.type.symbols}


class _State:
    """What the nodes of one walk keep, in order, and how many places they kept before."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.before: dict[Dim, Poly] = {}
        self.kept: list[Kept] = []
        self._calls = Counter[str]()

    def places(self, size: Dim) -> Poly:
        """How many places earlier calls gave where this one gives `size`: the same for all that give equally many."""
        if size not in self.before:
            names = ("P", *(f"P{number}" for number in range(2, len(self.taken) + 3)))
            name = next(name for name in names if name not in self.taken)
            self.taken.add(name)
            self.before[size] = symbol(name)
        return self.before[size]

    @property
    def words(self) -> str:
        return " and ".join(f"`{before}` places of earlier calls stand before the `{size}` of this one" for size, before in self.before.items())

    def keep(self, node: GraphNode, kind: Stateful) -> None:
        """A stateful node has been made."""
        self._calls[node.name] += 1
        count = self._calls[node.name]
        for port, past in zip(kind.keeps, node.inputs[-len(kind.keeps) :], strict=True):
            value = node.outputs[kind.outputs.index(port)]
            name = value.name if count == 1 else f"{value.name}:{count}"
            assert isinstance(past, Past)
            self.kept.append(Kept(name, past, value))


class _LaterLeaves(Leaves):
    """Makes nodes as in a call with state."""

    def __init__(self, growing: Growing, diagnostics: Diagnostics, state: _State) -> None:
        super().__init__(growing, diagnostics)
        self.state = state

    def grow(self, node: NodeTree, kind: Node, arrivals: tuple[Arrival, ...], path: Path, place: Place) -> Produced:
        if not isinstance(kind, Stateful) or any(value.type is None for arrival in arrivals for value in each(arrival)):
            return super().grow(node, kind, arrivals, path, place)
        try:
            types = self._past(kind, tuple(map(type_of, arrivals)))
        except Refusal as refusal:
            return self.refuse(refusal, node, kind, arrivals, path)
        except DimError as error:
            return self.refuse(Refusal(error.message), node, kind, arrivals, path)
        past = tuple(Past(path, type, name) for type, name in zip(types, _past_names(type(kind)), strict=True))
        before = len(self.growing.nodes)
        produced = super().grow(node, _later(kind), (*arrivals, *past), path, place)
        if len(self.growing.nodes) > before:
            self.state.keep(self.growing.nodes[-1], kind)
        return produced

    def _past(self, kind: Stateful, types: tuple[Any, ...]) -> tuple[TensorType, ...]:
        """The types of what a node kept in an earlier call. The places that had come before then were others, so that nothing it kept may depend on them."""
        now = {str(name): symbol(f"{name}_then") for name in self.state.before.values()}
        back: dict[str, Dim] = {f"{name}_then": name for name in self.state.before.values()}
        past = kind.past(*(_at(now, type) for type in types), before=lambda size: self.state.places(substitute(size, back)))
        if len(past) != len(kind.keeps):
            wanted = f"{len(kind.keeps)} types, one for each that it keeps"
            raise Refusal(f"`past` of `{kind.kind}` must return {wanted}, but returned {len(past)}", code="SB0420")
        for type in past:
            if grown := [dim for dim in type.shape if isinstance(dim, Poly) and dim.symbols & back.keys()]:
                size = substitute(grown[0], back)
                message = f"`{kind.kind}` keeps what has `{size}` places on an axis that grows from call to call, so that earlier ones do not fit"
                raise Refusal(message, help="keep it before it is joined with what came before, or along that axis")
        return past


# The kind of a node in such a call -----------------------------------------------------------------------------------


def _past_names(cls: type[Stateful]) -> tuple[str, ...]:
    return ("past",) if len(cls.keeps) == 1 else tuple(f"past_{port}" for port in cls.keeps)


def _later(kind: Stateful) -> Stateful:
    """The kind as it is in a call with state: what it kept arrives at ports behind its own."""
    later = object.__new__(_later_class(type(kind)))
    later.__dict__.update(kind.__dict__, itself=kind)
    return later


@cache
def _later_class(cls: type[Stateful]) -> type[Stateful]:
    own = len(cls.inputs)
    past = tuple(Input(own + at) for at in range(len(cls.keeps)))

    class Later(cls):
        """Rules are asked of the kind itself, whose rules may ask one another."""

        itself: ClassVar[Stateful]
        inputs = (*cls.inputs, *(Port(name, optional=True) for name in _past_names(cls)))

        def infer(self, *types: Any, **_: Any) -> TensorType | tuple[TensorType, ...]:
            return self.itself.infer_later(types[own:], *types[:own])

        def requirements(self, *types: Any, **_: Any) -> Any:
            return self.itself.requirements(*types[:own])

        def parameters(self, *types: Any, **_: Any) -> Any:
            return self.itself.parameters(*types[:own])

        def buffers(self, *types: Any, **_: Any) -> Any:
            return self.itself.buffers(*types[:own])

        def flops(self, *types: Any, **_: Any) -> Any:
            return self.itself.flops(*types[:own])

        def remarks(self, *types: Any, **_: Any) -> Any:
            return self.itself.remarks(*types[:own])

        def source(self, *types: Any, **_: Any) -> Source:
            """One code for both calls: without a state, what it kept is None."""
            first, further = self.itself.source(*types[:own]), self.itself.source_later(past, *types[:own])
            assert not isinstance(first, Attribute)
            if not isinstance(first, Module):
                return further if cls.takes_none else IfNone(past[0], first, further)
            arriving = tuple(Input(port) for port, type in enumerate(types[:own]) if type is not None)
            return first.replace(call=further if cls.takes_none else IfNone(past[0], first.call or Call(ITSELF, arriving), further))

    return Later


# Both calls side by side ---------------------------------------------------------------------------------------------


def _in_that_call(mistake: Diagnostic, state: _State) -> Diagnostic:
    """What is wrong in the call with state alone, in words that say so. A warning there is a mistake: it is about what came before."""
    help = f"with a state, {state.words}"
    # What the help of a rule says of a size is about what is declared, and this one is not.
    if mistake.help is not None and not any(f"`{name}`" in mistake.help for name in state.before.values()):
        help = f"{help}; {mistake.help}"
    return mistake.replace(severity="error", message=f"in a call with state, {mistake.message}", help=help)


def _differing(graph: TypedGraph, later: TypedGraph, state: _State) -> Iterator[GraphNode]:
    """The nodes that are not the same where no place came before."""
    start: Mapping[str, Dim] = {str(name): 0 for name in state.before.values()}
    for node, other in zip(graph.nodes, later.nodes, strict=False):
        is_same = node.path == other.path and dict(node.parameters) == dict(other.parameters)
        is_same = is_same and [_at(start, value.type) for value in other.outputs] == [value.type for value in node.outputs]
        if not is_same or (not isinstance(node.kind, Stateful) and _at(start, other.source) != _at(start, node.source)):
            yield node
    if len(graph.nodes) != len(later.nodes):
        yield max(graph.nodes, later.nodes, key=len)[min(len(graph.nodes), len(later.nodes))]


def _at(sizes: Mapping[str, Dim], value: Any) -> Any:
    """A type or a code with some sizes replaced."""
    if isinstance(value, Poly):
        return substitute(value, sizes)
    if isinstance(value, tuple):
        return type(value)(_at(sizes, item) for item in value)
    if isinstance(value, TensorType):
        return value.with_shape(_at(sizes, value.shape))
    if isinstance(value, Call) and value.function == "torch.arange":
        # It is written without its start where that is 0.
        args = _at(sizes, value.args)
        return Call(value.function, args[1:] if len(args) == 2 and args[0] == 0 else args, _at(sizes, value.kwargs))
    if isinstance(value, Record):
        return value.replace(**{name: _at(sizes, inner) for name, inner in value.__dict__.items()})
    return value
