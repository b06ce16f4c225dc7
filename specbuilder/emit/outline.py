"""TypedGraph to units: what becomes a class, what is written inline, and what each of them reads from outside.

A block and every copy of a repeated list is a unit; single lists are written inline in the unit around them. A unit is a list of steps, each one node or
one inner unit. Where a class cannot reach what its nodes use (weights shared from outside it), or Python's stack would suffer, the part is written inline
as well. What the classes are, and what their lines say, is left to `classes`, `constructor` and `forward`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from specbuilder.catalogue.contract import Attribute, Input, Module
from specbuilder.diagnostics import InternalError
from specbuilder.emit.nodes import source_of
from specbuilder.graph.graph import Arrival, GraphNode, Item, Kept, Part, Past, Path, TypedGraph, Value

MOST_NESTED = 40
"""Classes within classes: each level takes Python about five frames of a call."""


@dataclass(eq=False, slots=True)
class Step:
    """One node or one inner unit: what it constructs, and the line of `forward` that it is. Its path is that of the graph."""

    path: Path
    item: GraphNode | Unit
    reads: tuple[Value, ...]
    outputs: tuple[Value, ...]
    is_owner: bool
    """Whether it constructs anything; where not, an earlier step has."""

    def arrival(self, reference: Input) -> Arrival:
        if isinstance(self.item, Unit):
            return self.reads[reference.port]
        arrival = self.item.inputs[reference.port]
        return arrival[reference.item] if isinstance(arrival, tuple) and reference.item is not None else arrival


@dataclass(eq=False, slots=True)
class Unit:
    """One instance of a class: a part of the graph, or all of it."""

    path: Path
    part: Part | None
    inputs: tuple[tuple[str, Value], ...]
    """What arrives by name; lists are spread out."""
    outputs: tuple[tuple[str, Value], ...]
    owner: Part | None = None
    """The part whose weights it uses, where those are another one's."""
    steps: list[Step] = field(default_factory=list)
    outside: list[Value] = field(default_factory=list)
    """What its nodes read that is neither an input nor made within, in order of first use."""
    titles: dict[Value, str] = field(default_factory=dict)
    """Names of values after the named lists that they leave."""
    kept: tuple[Kept, ...] = ()
    """Of the whole network: the state that it takes and leaves. What units within it keep stands among what they read from outside and leave."""
    height: int = 0
    """How many units are nested in it, one in the other."""

    @property
    def arguments(self) -> Mapping[str, object]:
        return self.part.arguments if self.part is not None else {}


def outline(graph: TypedGraph, kept: tuple[Kept, ...] = ()) -> Unit:
    """The unit of the whole network; `kept` is its state, where the graph is that of a call with one."""
    return _Outline(graph, kept).top()


class _Outline:
    def __init__(self, graph: TypedGraph, kept: tuple[Kept, ...]) -> None:
        self.graph, self.kept = graph, kept
        self.kept_values = {each.value for each in kept}
        self.first_parts: dict[Path, Part] = {}
        self.known: dict[Part, Unit | None] = {}

    def top(self) -> Unit:
        inputs = tuple((str(value.path[0]), value) for value in self.graph.inputs)
        unit = Unit((), None, inputs, tuple(self.graph.outputs.items()), kept=self.kept)
        self._fill(unit, self.graph.items, depth=0)
        if strange := [value for value in unit.outside if not isinstance(value, Past)]:
            raise InternalError("emit", f"nothing makes the value that is read as `{strange[0].name}`")
        return unit

    def _fill(self, unit: Unit, items: tuple[Item, ...], depth: int) -> None:
        """The steps of a unit, with single lists written out. A stack, not a recursion: lists may be nested deeper than Python's own stack."""
        steps = _Steps(unit)
        waiting = list(reversed(items))
        while waiting:
            item = waiting.pop()
            if isinstance(item, GraphNode):
                steps.node(item)
                continue
            inner = self._unit(item, depth, waiting)
            if inner is not None:
                steps.unit(inner)
                continue
            value = next(iter(item.outputs.values()), None)
            if _is_named(item) and not item.is_copy and isinstance(value, Value) and not (waiting and _is_sum_of(item, waiting[-1])):
                unit.titles.setdefault(value, title(item.path))
            waiting += reversed(item.items)
        if self.kept and unit.part is not None:
            unit.outputs = (*unit.outputs, *self._kept_in(unit))
        steps.read(value for _, value in unit.outputs)

    def _kept_in(self, unit: Unit) -> Iterator[tuple[str, Value]]:
        """What nodes of a unit keep leaves it too, to be handed outwards; it arrives as whatever is read from outside does."""
        leaving = {value for _, value in unit.outputs}
        for step in unit.steps:
            for value in step.outputs:
                if value in self.kept_values and value not in leaving:
                    leaving.add(value)
                    yield "_".join(map(str, (*value.path[len(unit.path) :], *([value.port] if value.port else [])))), value

    def _unit(self, part: Part, depth: int, following: list[Item]) -> Unit | None:
        """The unit of a part; None where it is written inline. The sum of a repeated residual follows its list and belongs to it."""
        if part in self.known:
            return self.known[part]
        first = self.first_parts.setdefault(part.path, part)
        if (first.block is None and not first.is_copy) or depth >= MOST_NESTED:
            return None
        items, outputs = part.items, part.outputs
        is_residual = bool(following) and _is_sum_of(part, following[-1])
        if is_residual:
            node = following[-1]
            assert isinstance(node, GraphNode)
            items, outputs = (*items, node), {"": node.outputs[0]}
        unit = Unit(part.path, part, tuple(_spread(part.inputs)), tuple(_spread(outputs)), None if first is part else first)
        self._fill(unit, items, depth + 1)
        self.known[part] = unit if all(_is_within(unit.path, step) for step in unit.steps) else None
        if is_residual and self.known[part] is not None:
            following.pop()
        return self.known[part]


class _Steps:
    """Adds steps to a unit, and keeps what it has read and made so far."""

    def __init__(self, filled: Unit) -> None:
        self.filled = filled
        self.inside = {value for _, value in filled.inputs}
        self.made: set[Path] = set()
        self.units: set[Path] = set()

    def node(self, node: GraphNode) -> None:
        is_owner = isinstance(node.source, (Module, Attribute)) and self._owns(node.path, node.shares is not None)
        self._add(Step(node.path, node, tuple(node.arriving()), node.outputs, is_owner))

    def unit(self, unit: Unit) -> None:
        reads = (*(value for _, value in unit.inputs), *unit.outside)
        self._add(Step(unit.path, unit, reads, tuple(value for _, value in unit.outputs), self._owns(unit.path, unit.owner is not None)))
        self.units.add(unit.path)
        self.filled.height = max(self.filled.height, unit.height + 1)

    def read(self, values: Iterable[Value]) -> None:
        for value in values:
            if value not in self.inside:
                self.inside.add(value)
                self.filled.outside.append(value)

    def _add(self, step: Step) -> None:
        self.filled.steps.append(step)
        self.read(step.reads)
        self.inside.update(step.outputs)

    def _owns(self, path: Path, is_shared: bool) -> bool:
        """Whether nothing has made this path before: neither a step nor the class that another step is. In a part that shares weights, all is seen as in
        the part that owns them, so that both are one class.
        """
        if path in self.made or (is_shared and any(path[:length] in self.units for length in range(1, len(path)))):
            return False
        self.made.add(path)
        return True


def _is_sum_of(part: Part, item: Item) -> bool:
    """Whether a node adds what entered a list to what left it."""
    entered, left = part.inputs.get("input"), next(iter(part.outputs.values()), None)
    return part.block is None and isinstance(item, GraphNode) and item.path == part.path and item.inputs == ((entered, left),)


def _is_within(path: Path, step: Step) -> bool:
    """Whether a class at `path` reaches everything that a step uses."""
    if step.path[: len(path)] != path:
        return False
    return isinstance(step.item, Unit) or all(tie.path[: len(path)] == path for tie in map(source_of, step.item.ties.values()) if tie.is_transposed)


def _spread(arrivals: Mapping[str, Arrival]) -> Iterator[tuple[str, Value]]:
    for name, arrival in arrivals.items():
        if isinstance(arrival, Value):
            yield name, arrival
        elif arrival is not None:
            yield from ((f"{name}_{at}", value) for at, value in enumerate(arrival))


def title(path: Path) -> str:
    """What a node is called: the last name in its path."""
    return next((step for step in reversed(path) if isinstance(step, str)), "")


def _is_named(part: Part) -> bool:
    """Whether a part has a name of its own, rather than its kind's."""
    plain = re.escape(part.block) if part.block is not None else "sequence|residual|branches"
    return re.fullmatch(rf"(?:{plain})(?:_\d+)?", title(part.path)) is None


def is_named(step: Step) -> bool:
    """Whether the text names it."""
    if isinstance(step.item, GraphNode):
        return step.item.is_named
    return step.item.part is not None and _is_named(step.item.part)
