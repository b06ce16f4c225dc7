"""What each port of a node reads: `from` and its forms, the default input, the value that a repeat carries from copy to copy.

In: a node of the tree, the ports of its kind, the names in scope. Out: the values that arrive, in port order. A reference that means nothing is told
once, under the reference. Types are none of its business.
"""

from __future__ import annotations

from collections.abc import Iterable

from specbuilder.catalogue.contract import Node, Port
from specbuilder.diagnostics import Diagnostics, Related, Span, did_you_mean
from specbuilder.graph.copies import Columns
from specbuilder.graph.graph import Arrival, Value
from specbuilder.graph.scope import ReferenceProblem, Scope
from specbuilder.language.tree import From, NodeTree, Reference
from specbuilder.language.values import Undefined, resolve

ByPort = dict[str, tuple[Value, ...]]


class Wiring:
    """Resolves what nodes read, and remembers which values were read at all."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self.used: set[Value] = set()

    def arrivals(self, node: NodeTree, cls: type[Node], columns: Columns, scope: Scope, carried: Value | None) -> tuple[Arrival, ...] | None:
        """What each port reads; None after a mistake. `carried` is what the copy before gives, in place of the first input."""
        if not cls.inputs:
            if node.reads is not None:
                self.diagnostics.error("SB0303", f"`{node.use.title}` reads nothing", node.reads.span, help="delete `from`")
                return None
            return ()
        by_port = self._by_port(node, cls.inputs, columns, scope)
        if by_port is None:
            return None
        if carried is not None:
            first = cls.inputs[0].name
            by_port[first] = (carried, *by_port.get(first, ())[1:])
        for port in cls.inputs:
            # In port order, so that a default may be a default itself: `value` reads `key`, which reads `query`.
            if port.default and port.name not in by_port:
                by_port[port.name] = by_port.get(port.default, ())
        missing = [port for port in cls.inputs if not port.optional and not by_port.get(port.name)]
        if missing:
            self._missing(node, cls.inputs, missing)
            return None
        arrivals = tuple(_arrival(port, by_port.get(port.name, ())) for port in cls.inputs)
        for arrival in arrivals:
            self.used.update(each(arrival))
        return arrivals

    def first(self, node: NodeTree, columns: Columns, scope: Scope) -> Value:
        """What an absent node stands for: its first input."""
        reads = node.reads
        first = reads.ordered[:1] if reads and reads.ordered else next(iter(reads.named.values()), ())[:1] if reads and reads.named else ()
        values = self.read(first, columns, scope) if first else self._before(node, scope)
        return values[0] if values else Value(("absent",), None)

    def mark_read(self, node: NodeTree, columns: Columns, scope: Scope) -> None:
        """A node of unknown kind still reads what it reads: its references are checked, and nothing it names is called unused."""
        if node.reads is None:
            self.used.update(self._before(node, scope))
            return
        for references in (node.reads.ordered, *(node.reads.named or {}).values()):
            self.read(references, columns, scope)

    def read(self, references: Iterable[Reference], columns: Columns, scope: Scope) -> tuple[Value, ...]:
        """The values of references; wrong ones are reported and missing."""
        values: list[Value] = []
        for reference in references:
            try:
                text = resolve(reference.text, columns, columns.names, self.diagnostics)
                found = scope.resolve(str(text))
            except Undefined:
                continue
            except ReferenceProblem as problem:
                self._report(problem, reference.span)
                continue
            self.used.update(found)
            values += found
        return tuple(values)

    def _by_port(self, node: NodeTree, ports: tuple[Port, ...], columns: Columns, scope: Scope) -> ByPort | None:
        reads = node.reads
        if reads is None:
            return {ports[0].name: self._before(node, scope)}
        if reads.named is not None:
            return self._named(reads, node, ports, columns, scope)
        values = self.read(reads.ordered, columns, scope)
        if len(values) < len(reads.ordered):
            return None
        if ports[0].many:
            return {ports[0].name: values}
        if len(values) > len(ports):
            takes = f"{len(ports)} tensor{'s' if len(ports) > 1 else ''}"
            span = reads.ordered[len(ports)].span if len(values) == len(reads.ordered) else reads.span
            help = "join them first, with `add` or `concat`" if len(ports) == 1 else f"its ports are {_listed(ports)}"
            self.diagnostics.error("SB0303", f"`{node.use.title}` reads {takes}, but {len(values)} are given", span, help=help)
            return None
        return {port.name: (value,) for port, value in zip(ports, values, strict=False)}

    def _named(self, reads: From, node: NodeTree, ports: tuple[Port, ...], columns: Columns, scope: Scope) -> ByPort | None:
        assert reads.named is not None and reads.port_keys is not None
        known = {port.name: port for port in ports}
        found: ByPort = {}
        is_right = True
        for name, references in reads.named.items():
            values = self.read(references, columns, scope)
            if name not in known:
                help = did_you_mean(name, known) or (f"its ports are {_listed(ports)}" if len(ports) > 1 else f"its port is {_listed(ports)}")
                self.diagnostics.error("SB0303", f"`{node.use.title}` has no port `{name}`", reads.port_keys[name], help=help)
                is_right = False
            elif len(values) > 1 and not known[name].many:
                self.diagnostics.error("SB0303", f"the port `{name}` reads one tensor, but {len(values)} are given", reads.port_keys[name])
                is_right = False
            elif len(values) < len(references):
                is_right = False
            else:
                found[name] = values
        return found if is_right else None

    def _before(self, node: NodeTree, scope: Scope) -> tuple[Value, ...]:
        try:
            return scope.resolve("prev")
        except ReferenceProblem as problem:
            self._report(problem, node.span)
            return (Value(("unknown",), None),)

    def _missing(self, node: NodeTree, ports: tuple[Port, ...], missing: list[Port]) -> None:
        names = " and ".join(f"`{port.name}`" for port in missing)
        span = node.reads.span if node.reads is not None else node.span
        message = f"`{node.use.title}` reads nothing at its port{'s' if len(missing) > 1 else ''} {names}"
        if node.reads is not None and node.reads.named:
            help = f"add {' and '.join(f'`{port.name}: ...`' for port in missing)} with the node to read"
        else:
            help = f"write `from: [{', '.join(port.name for port in ports)}]` with a node for each"
        self.diagnostics.error("SB0303", message, span, help=help)

    def _report(self, problem: ReferenceProblem, span: Span) -> None:
        related = (Related(span=problem.related[0], message=problem.related[1]),) if problem.related else ()
        self.diagnostics.error(problem.code, problem.message, span, help=problem.help, related=related)


def each(arrival: Arrival) -> tuple[Value, ...]:
    """All values of what a port reads."""
    return () if arrival is None else (arrival,) if isinstance(arrival, Value) else arrival


def _arrival(port: Port, values: tuple[Value, ...]) -> Arrival:
    return (values if port.many else values[0]) if values else None


def _listed(ports: tuple[Port, ...]) -> str:
    return ", ".join(f"`{port.name}`" for port in ports)
