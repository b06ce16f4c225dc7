"""A selector applied to a network: which of its tensors are meant, and what to say of a pattern that means none.

In: a `TypedGraph` and `Selector`s. Out: `Tensor`s in graph order. Paths are indexed by their steps once, so that a pattern looks only at the tensors that
have its rarest word in their path. What is done with the tensors (how they begin, how they learn) is for others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property

from specbuilder.catalogue.contract import Buffer, Parameter
from specbuilder.diagnostics import Diagnostics, Span, suggest
from specbuilder.graph.graph import GraphNode, Tie, TypedGraph
from specbuilder.language.selectors import Pattern, Selector, Step
from specbuilder.records import Record

MATCHES_NOTHING = "SB0522"
MOST_LISTED = 8

Words = tuple[str, ...]
"""The steps of a path."""


class Tensor(Record, identity=True):
    """One tensor of a network, by the place where it is called; shared weights are called once."""

    key: str
    path: Words
    node: GraphNode
    name: str
    """What its node calls it; empty for a parameter or buffer node, which is its tensor."""
    held: Parameter | Buffer

    @property
    def is_buffer(self) -> bool:
        return isinstance(self.held, Buffer)

    @property
    def role(self) -> str | None:
        return self.held.role if isinstance(self.held, Parameter) else None

    @property
    def tie(self) -> Tie | None:
        """The tensor of an earlier node that it is, where it has none of its own."""
        return self.node.ties.get(self.name)


def tensors_of(graph: TypedGraph) -> Iterator[Tensor]:
    """Every tensor of the state dict in graph order; tied ones say so themselves."""
    for node in graph.nodes:
        if node.shares is None and (node.parameters or node.buffers):
            above = tuple(map(str, node.path))
            for held in (node.parameters, node.buffers):
                for name, tensor in held.items():
                    yield Tensor(node.key(name), (*above, *name.split(".")) if name else above, node, name, tensor)


class Paths:
    """Paths, indexed by the words in them."""

    def __init__(self, paths: Sequence[Words]) -> None:
        self.paths = paths
        self.places: dict[str, list[int]] = {}
        """The numbers of the paths that hold a word, in order."""
        for number, path in enumerate(paths):
            for word in path:
                places = self.places.setdefault(word, [])
                if not places or places[-1] != number:
                    places.append(number)

    @cached_property
    def _indices(self) -> tuple[str, ...]:
        return tuple(word for word in self.places if word.isdecimal())

    def matching(self, pattern: Pattern) -> Sequence[int]:
        """The numbers of the paths that a pattern stands for, in order."""
        runs = self._accepted(pattern)
        rarest = min((self._holding(words) for run in runs for words in run if words is not None), key=len, default=range(len(self.paths)))
        if len(runs) == len(runs[0]) == 1 and not pattern.is_anchored:
            return rarest
        return [number for number in rarest if _end(self.paths[number], runs, is_anchored=pattern.is_anchored) >= 0]

    def _accepted(self, pattern: Pattern) -> list[list[frozenset[str] | None]]:
        """For each step of a pattern the words that it accepts; None is any."""
        return [[None if step.is_any else frozenset((*step.words, *self._within(step))) for step in run] for run in pattern.runs]

    def _within(self, step: Step) -> Iterator[str]:
        """The indices of the network that lie in the ranges of a step."""
        return (word for word in self._indices if any(low <= int(word) <= high for low, high in step.ranges)) if step.ranges else iter(())

    def _holding(self, words: frozenset[str]) -> Sequence[int]:
        found = [self.places[word] for word in words if word in self.places]
        return found[0] if len(found) == 1 else sorted(set().union(*found))

    # What to say of a pattern that stands for nothing ----------------------------------------------------------------

    def unmatched(self, pattern: Pattern) -> Step | None:
        """The alternative of a pattern that adds nothing, `v` in `q|v`, where the others do."""
        for step, other in _by_alternative(pattern):
            if not self.matching(other):
                return step
        return None

    def near(self, pattern: Pattern) -> str | None:
        """Help for a pattern that matches nothing: at most two real paths like it, or what stands where it goes wrong."""
        steps = pattern.steps
        for at, step in enumerate(steps):
            for word in step.words:
                if word in self.places:
                    continue
                similar = suggest(word, [known for known in self.places if not known.isdecimal()])
                meant = [_with_step(pattern, at, _instead(step, word, known)) for known in similar]
                if found := [f"`{other}`" for other in meant if self.matching(other)]:
                    return f"did you mean {' or '.join(found)}?"
        for size in range(len(steps) - 1, 0, -1):
            if begun := self.matching(head := _head(pattern, size)):
                return self._what_follows(pattern, head, begun, steps[size])
        beginnings = dict.fromkeys(path[0] for path in self.paths)
        if not beginnings:
            return "this network has no tensors"
        return f"the paths begin with {_listed(beginnings)}" if pattern.is_anchored or len(beginnings) <= MOST_LISTED else None

    def _what_follows(self, pattern: Pattern, head: Pattern, begun: Sequence[int], wanted: Step) -> str:
        runs = self._accepted(head)
        ends = ((self.paths[number], _end(self.paths[number], runs, is_anchored=head.is_anchored)) for number in begun)
        after = dict.fromkeys(path[end] for path, end in ends if end < len(path))
        if not after:
            return f"nothing stands under `{head}`: it is a tensor"
        near = [word for wrong in wanted.words for word in suggest(wrong, after)]
        meant = [_with_step(pattern, len(head.steps), Step((word,))) for word in near]
        if found := [f"`{other}`" for other in meant if self.matching(other)]:
            return f"did you mean {' or '.join(found[:2])}?"
        return f"under `{head}` stand{'s' if len(after) == 1 else ''} {_listed(after)}"


def _end(path: Words, runs: list[list[frozenset[str] | None]], *, is_anchored: bool) -> int:
    """Where the part of the path that a pattern names ends; -1 when it does not name this path.

    The first place of each run is as good as any, since what follows may be anything.
    """
    at, last = 0, 0 if is_anchored else len(path)
    for run in runs:
        size = len(run)
        for start in range(at, min(last, len(path) - size) + 1):
            for words, word in zip(run, path[start : start + size], strict=True):
                if words is not None and word not in words:
                    break
            else:
                at, last = start + size, len(path)
                break
        else:
            return -1
    return at


def _by_alternative(pattern: Pattern) -> Iterator[tuple[Step, Pattern]]:
    for at, step in enumerate(pattern.steps):
        alternatives = step.alternatives
        if len(alternatives) > 1:
            yield from ((alternative, _with_step(pattern, at, alternative)) for alternative in alternatives)


def _with_step(pattern: Pattern, at: int, step: Step) -> Pattern:
    """The pattern with its step at `at`, counted through all runs, replaced."""
    runs, passed = [], 0
    for run in pattern.runs:
        inside = at - passed
        runs.append((*run[:inside], step, *run[inside + 1 :]) if 0 <= inside < len(run) else run)
        passed += len(run)
    return Pattern(tuple(runs), pattern.span, pattern.is_anchored)


def _instead(step: Step, wrong: str, right: str) -> Step:
    return Step(tuple(right if word == wrong else word for word in step.words), step.ranges)


def path_pattern(path: str) -> Pattern:
    """A path as the pattern that stands for it, to ask what is near it."""
    return Pattern((tuple(Step((word,)) for word in path.split(".")),), _NOWHERE)


_NOWHERE: Span = None  # type: ignore[assignment]  # such a pattern stands in no text


def _head(pattern: Pattern, size: int) -> Pattern:
    """The first `size` steps of a pattern."""
    runs, left = [], size
    for run in pattern.runs:
        if left > 0:
            runs.append(run[:left])
        left -= len(run)
    return Pattern(tuple(runs), pattern.span, pattern.is_anchored)


def _listed(words: Collection[str]) -> str:
    """Words for a reader, copies as a range: "`0` to `11`"."""
    indices = sorted(int(word) for word in words if word.isdecimal())
    named = [f"`{word}`" for word in words if not word.isdecimal()]
    if indices:
        named.append(f"`{indices[0]}` to `{indices[-1]}`" if len(indices) > 2 else ", ".join(f"`{index}`" for index in indices))
    more = len(named) - MOST_LISTED
    return ", ".join(named[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


class Selection:
    """Finds the tensors that selectors mean. Each index is made when a selector first asks for it."""

    def __init__(self, graph: TypedGraph) -> None:
        self.tensors = tuple(tensors_of(graph))

    @cached_property
    def paths(self) -> Paths:
        return Paths([tensor.path for tensor in self.tensors])

    @cached_property
    def _roles(self) -> Mapping[object, set[int]]:
        return self._grouped(lambda tensor: tensor.role)

    @cached_property
    def _kinds(self) -> Mapping[object, set[int]]:
        return self._grouped(lambda tensor: tensor.node.kind.kind)

    @cached_property
    def _ranks(self) -> Mapping[object, set[int]]:
        return self._grouped(lambda tensor: len(tensor.held.shape))

    def _grouped(self, key: Callable[[Tensor], object]) -> Mapping[object, set[int]]:
        found: dict[object, set[int]] = {}
        for number, tensor in enumerate(self.tensors):
            found.setdefault(key(tensor), set()).add(number)
        return found

    def of(self, selector: Selector, diagnostics: Diagnostics) -> tuple[Tensor, ...]:
        """The tensors that meet all of a selector, in graph order. What matches nothing is reported, and then nothing is selected."""
        return tuple(self.tensors[number] for number in self.numbers(selector, diagnostics))

    def numbers(self, selector: Selector, diagnostics: Diagnostics) -> Sequence[int]:
        """The same as places in `tensors`."""
        before = diagnostics.errors
        parts: dict[str, set[int]] = {}
        if selector.match:
            parts["match"] = self._matched(selector.match, diagnostics)
        if selector.roles:
            parts["role"] = _joined(self._roles, selector.roles)
        if selector.kinds:
            parts["kind"] = _joined(self._kinds, selector.kinds)
        if selector.dims:
            parts["dims"] = _joined(self._ranks, selector.dims)
        excluded = self._matched(selector.excluded, diagnostics)
        if diagnostics.errors > before:
            return ()
        held = [*parts.values()] or [set(range(len(self.tensors)))]
        found = set.intersection(*held) - excluded
        if not found:
            diagnostics.error(MATCHES_NOTHING, f"this selects nothing: {_why_nothing(parts, excluded)}", selector.span)
        return sorted(found)

    def _matched(self, patterns: Sequence[Pattern], diagnostics: Diagnostics) -> set[int]:
        found: set[int] = set()
        for pattern in patterns:
            matching = self.paths.matching(pattern)
            if not matching:
                diagnostics.error(MATCHES_NOTHING, f"`{pattern}` matches no tensor", pattern.span, help=self.paths.near(pattern))
            elif (idle := self.paths.unmatched(pattern)) is not None:
                help = f"delete `{idle}`, or write what is meant"
                diagnostics.error(MATCHES_NOTHING, f"`{idle}` in `{pattern}` matches no tensor", pattern.span, help=help)
            found.update(matching)
        return found


def _joined(groups: Mapping[object, set[int]], names: Sequence[object]) -> set[int]:
    return set().union(*(groups[name] for name in names if name in groups))


def _why_nothing(parts: Mapping[str, set[int]], excluded: Collection[int]) -> str:
    if not parts:
        return "`except` takes all of it away" if excluded else "the network has no tensors"
    if len(parts) == 1 and not all(parts.values()):
        return f"no tensor has this `{next(iter(parts))}`"
    held = " and ".join(f"`{name}` holds for {len(found)}" for name, found in parts.items())
    if set.intersection(*parts.values()):
        return f"{held}, and `except` takes all of that away"
    return f"{held}, but for no tensor all of them"
