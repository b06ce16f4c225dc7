"""What each port of a node reads: `from` and its forms, the default input, the value that a repeat carries from copy to copy.

In: a node of the tree, the ports of its kind or block, the place it stands in. Out: what arrives, in port order. A reference that means nothing is told
once, under the reference. Types are none of its business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from specbuilder.catalogue.contract import Gathered, Port
from specbuilder.diagnostics import Diagnostics, Related, Span, did_you_mean
from specbuilder.graph.graph import Arrival, Value
from specbuilder.graph.place import Place
from specbuilder.graph.scope import Found, Output, ReferenceProblem
from specbuilder.language.syntax import Dotted
from specbuilder.language.tree import ComputeTree, From, NodeTree, Reference
from specbuilder.language.values import Undefined, resolve

ByPort = dict[str, Arrival]


class Wiring:
    """Resolves what nodes read, and remembers which values were read at all."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self.used: set[Value] = set()

    def arrivals(self, node: NodeTree, ports: Sequence[Port], place: Place, carried: Output | None) -> tuple[Arrival, ...] | None:
        """What each port reads; None after a mistake. `carried` is what the copy before gives, in place of the first input."""
        if not ports:
            if node.reads is not None:
                self.diagnostics.error("SB0303", f"`{node.title}` reads nothing", node.reads.span, help="delete `from`")
                return None
            return ()
        by_port = self._by_port(node, ports, place, carried)
        if by_port is None:
            return None
        for port in ports:
            # In port order, so that a default may be a default itself: `value` reads `key`, which reads `query`.
            if port.default and port.name not in by_port:
                by_port[port.name] = by_port.get(port.default)
        missing = [port for port in ports if not port.optional and by_port.get(port.name) in (None, ())]
        if missing:
            self._missing(node, ports, missing)
            return None
        arrivals = tuple(by_port.get(port.name) for port in ports)
        for arrival in arrivals:
            self.used.update(each(arrival))
        return arrivals

    def joined(self, ports: Sequence[Port], values: tuple[Value, ...]) -> tuple[Arrival, ...] | None:
        """What each port reads when a list arrives as one (`merge`): all of it at a port that takes a list, else one a port; None where they are too many."""
        self.used.update(values)
        if len(ports) > 0 and ports[0].many:
            return (Gathered(values), *(None for _ in ports[1:]))
        if len(values) > len(ports):
            return None
        return (*values, *(None for _ in ports[len(values) :]))

    def entry(self, node: NodeTree, place: Place, carried: Output | None) -> Output | None:
        """What enters a list that stands in the place of a node; None when it is not told and nothing is there."""
        reads = node.reads
        if carried is not None:
            return carried
        if reads is None:
            try:
                return self._use(place.scope.resolve("prev"))
            except ReferenceProblem:
                return None
        if reads.named is not None or len(reads.ordered) > 1:
            self.diagnostics.error(
                "SB0303", f"`{node.title}` reads one tensor", reads.span, help="its nodes may read others by name: `from: [prev, other]`"
            )
            return Value(("unknown",), None)
        found = next((self.find(reference, place) for reference in reads.ordered), None)
        return Value(("unknown",), None) if found is None else found.output

    def first(self, node: NodeTree, place: Place) -> Output:
        """What an absent node stands for: its first input."""
        reads = node.reads
        if isinstance(node.body, ComputeTree) and (named := first_reference(node.body)) is not None:
            found = self.find(Reference(named, node.span), place)
            return Value(("absent",), None) if found is None else found.output
        first = reads.ordered[:1] if reads and reads.ordered else next(iter(reads.named.values()), ())[:1] if reads and reads.named else ()
        found = self.find(first[0], place) if first else self._before(node, place)
        return Value(("absent",), None) if found is None else found.output

    def mark_read(self, node: NodeTree, place: Place) -> None:
        """A node of unknown kind still reads what it reads: its references are checked, and nothing it names is called unused."""
        if node.reads is None:
            try:
                self._use(place.scope.resolve("prev"))
            except ReferenceProblem:
                return
            return
        for references in (node.reads.ordered, *(node.reads.named or {}).values()):
            for reference in references:
                self.find(reference, place)

    def find(self, reference: Reference, place: Place) -> Found | None:
        """What a reference means; a wrong one is reported, and None."""
        try:
            text = resolve(reference.text, place.names, place.names.names, self.diagnostics)
            found = place.scope.resolve(str(text))
        except Undefined:
            return None
        except ReferenceProblem as problem:
            self.report(problem, reference.span)
            return None
        self.used.update(found.values)
        return found

    def _use(self, found: Found) -> Output:
        self.used.update(found.values)
        return found.output

    def _by_port(self, node: NodeTree, ports: Sequence[Port], place: Place, carried: Output | None) -> ByPort | None:
        reads = node.reads
        if reads is None:
            found = Found((), "spread") if carried is not None else self._before(node, place)
            items = [found] if found is not None else None
        elif reads.named is not None:
            return self._named(reads, node, ports, place, carried)
        else:
            read = [self.find(reference, place) for reference in (reads.ordered if carried is None else reads.ordered[1:])]
            items = None if None in read else [each for each in read if each is not None]
        if items is None:
            return None
        if carried is not None:
            items = [_as_found(carried), *items]
        return self._in_order(node, ports, items)

    def _in_order(self, node: NodeTree, ports: Sequence[Port], items: list[Found]) -> ByPort | None:
        """References given in port order. `x.*` counts as all that it spreads to; a list is one thing where a port takes lists."""
        if ports[0].many:
            return {ports[0].name: _gathered(items)}
        outputs: list[Output] = []
        for found in items:
            outputs += found.values if found.form == "spread" else (found.output,)
        if len(outputs) > len(ports):
            self._too_many(node, ports, outputs, as_written=len(outputs) == len(items))
            return None
        by_port: ByPort = dict(zip((port.name for port in ports), outputs, strict=False))
        return by_port if all(self._fits(node, port, by_port.get(port.name)) for port in ports) else None

    def _fits(self, node: NodeTree, port: Port, output: Arrival) -> bool:
        if not isinstance(output, tuple) or port.many or port.is_either:
            return True
        span = node.reads.span if node.reads is not None else node.span
        message = f"`{node.title}` reads one tensor{_at(port)}, but a list of {len(output)} arrives"
        self.diagnostics.error("SB0303", message, span, help="join them first, with `add` or `concat`, or pick one: `.0` is the first")
        return False

    def _too_many(self, node: NodeTree, ports: Sequence[Port], outputs: list[Output], *, as_written: bool) -> None:
        takes = f"{len(ports)} tensor{'s' if len(ports) > 1 else ''}"
        reads = node.reads
        span = node.span if reads is None else reads.ordered[len(ports)].span if as_written and len(reads.ordered) > len(ports) else reads.span
        help = "join them first, with `add` or `concat`" if len(ports) == 1 else f"its ports are {_listed(ports)}"
        self.diagnostics.error("SB0303", f"`{node.title}` reads {takes}, but {len(outputs)} are given", span, help=help)

    def _named(self, reads: From, node: NodeTree, ports: Sequence[Port], place: Place, carried: Output | None) -> ByPort | None:
        assert reads.named is not None and reads.port_keys is not None
        known = {port.name: port for port in ports}
        found: ByPort = {}
        is_right = True
        for name, references in reads.named.items():
            if carried is not None and name == ports[0].name:
                # Every copy but the first reads the copy before; what the first read has been looked at.
                found[name] = (*each(carried), *(found_values(self, references[1:], place))) if ports[0].many else carried
                continue
            read = [self.find(reference, place) for reference in references]
            items = [each for each in read if each is not None]
            if name not in known:
                help = did_you_mean(name, known) or (f"its ports are {_listed(ports)}" if len(ports) > 1 else f"its port is {_listed(ports)}")
                self.diagnostics.error("SB0303", f"`{node.title}` has no port `{name}`", reads.port_keys[name], help=help)
                is_right = False
            elif len(items) < len(references):
                is_right = False
            else:
                found[name] = arrival = _arrival(known[name], items)
                if isinstance(arrival, tuple) and not known[name].many and not known[name].is_either:
                    self.diagnostics.error("SB0303", f"the port `{name}` reads one tensor, but {len(arrival)} are given", reads.port_keys[name])
                    is_right = False
        if carried is not None and ports[0].name not in found:
            found[ports[0].name] = each(carried) if ports[0].many else carried
        return found if is_right else None

    def _before(self, node: NodeTree, place: Place) -> Found | None:
        try:
            return place.scope.resolve("prev")
        except ReferenceProblem as problem:
            self.report(problem, node.span)
            return Found((Value(("unknown",), None),))

    def _missing(self, node: NodeTree, ports: Sequence[Port], missing: list[Port]) -> None:
        names = " and ".join(f"`{port.name}`" for port in missing)
        span = node.reads.span if node.reads is not None else node.span
        message = f"`{node.title}` reads nothing at its port{'s' if len(missing) > 1 else ''} {names}"
        if node.reads is not None and node.reads.named:
            help = f"add {' and '.join(f'`{port.name}: ...`' for port in missing)} with the node to read"
        else:
            help = f"write `from: [{', '.join(port.name for port in ports)}]` with a node for each"
        self.diagnostics.error("SB0303", message, span, help=help)

    def report(self, problem: ReferenceProblem, span: Span) -> None:
        related = (Related(span=problem.related[0], message=problem.related[1]),) if problem.related else ()
        self.diagnostics.error(problem.code, problem.message, span, help=problem.help, related=related)


def first_reference(body: ComputeTree) -> str | None:
    """What a formula names first: its first input. None where a part of that name is an expression."""
    found = body.formula.references[0] if body.formula is not None and body.formula.references else None
    if isinstance(found, Dotted):
        return ".".join(map(str, found.parts)) if all(isinstance(part, str) for part in found.parts) else None
    return found.text if found is not None else None


def each(arrival: Arrival) -> tuple[Value, ...]:
    """All values of what a port reads."""
    return () if arrival is None else (arrival,) if isinstance(arrival, Value) else arrival


def found_values(wiring: Wiring, references: Iterable[Reference], place: Place) -> tuple[Value, ...]:
    """The values of references; wrong ones are reported and missing."""
    found = (wiring.find(reference, place) for reference in references)
    return tuple(value for one in found if one is not None for value in one.values)


def _as_found(output: Output) -> Found:
    return Found((output,)) if isinstance(output, Value) else Found(output, "list")


def _gathered(items: Sequence[Found]) -> tuple[Value, ...]:
    """All values of references. Where one of them is a list, how many there are is a matter of sizes."""
    values = (value for found in items for value in found.values)
    return tuple(values) if all(found.form == "one" for found in items if found.values) else Gathered(values)


def _arrival(port: Port, items: list[Found]) -> Arrival:
    if port.many or len(items) > 1 or items[0].form == "spread":
        values = _gathered(items)
        return values[0] if len(values) == 1 and not port.many and not port.is_either else values
    return items[0].output


def _at(port: Port) -> str:
    return f" at its port `{port.name}`" if port.name != "input" else ""


def _listed(ports: Sequence[Port]) -> str:
    return ", ".join(f"`{port.name}`" for port in ports)
