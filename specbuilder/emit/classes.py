"""Units to classes: which units share one.

Units of one origin share a class when their code is equal but for its leaves; leaves in which they differ become arguments. Inner classes are settled
before outer ones, so that their arguments are leaves of the outer ones, which is how an argument is passed through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from specbuilder.catalogue.contract import DEVICE, ITSELF, Call, Input
from specbuilder.catalogue.declared import fields_of
from specbuilder.emit.code import Held, is_plain, take_apart
from specbuilder.emit.form import Form, Piece, Tied
from specbuilder.emit.leaves import settle
from specbuilder.emit.nodes import After, after, constructor, source_of, use
from specbuilder.emit.outline import Step, Unit, is_named, title
from specbuilder.graph.graph import Path, Value


def classes(top: Unit, inits: Mapping[str, Call], taken: set[str], pasted: frozenset[str] = frozenset()) -> dict[Unit, Form]:
    """The class of each unit, in the order of the file: what a class uses stands before it. Those of parts bear names, none of which is in `taken` or
    among what is `pasted`.
    """
    found = _Classes(top, inits, pasted)
    named = {unit: found.forms[unit] for unit in _all(top)}
    _name(named, {*taken, *pasted})
    return named


def _all(unit: Unit) -> Iterator[Unit]:
    """A unit and all within it, inner ones first."""
    for step in unit.steps:
        if isinstance(step.item, Unit):
            yield from _all(step.item)
    yield unit


class _Classes:
    """Settles the classes of a network, innermost first."""

    def __init__(self, top: Unit, inits: Mapping[str, Call], pasted: frozenset[str]) -> None:
        self.inits, self.pasted = inits, pasted
        self.entering = frozenset(name for _, value in top.inputs if value.type is not None for name in value.type.symbols)
        self.forms: dict[Unit, Form] = {}
        self.owners: dict[Path, Unit] = {}
        self.inlined: set[Unit] = set()
        self.loose: dict[Unit, list[Tied]] = {}
        by_height: dict[int, list[Unit]] = {}
        for unit in _all(top):
            by_height.setdefault(unit.height, []).append(unit)
            if unit.owner is None:
                self.owners[unit.path] = unit
        for height in sorted(by_height):
            self._settle(by_height[height])

    def _settle(self, units: Sequence[Unit]) -> None:
        groups: dict[object, list[tuple[Unit, list[list[Piece]], list[Tied]]]] = {}
        for unit in units:
            self._write_out(unit)
            pieces = [list(self._pieces(step)) for step in unit.steps]
            ties = self._ties(unit)
            groups.setdefault(self._structure(unit, pieces, ties), []).append((unit, pieces, ties))
        keys = {unit: key for key, members in groups.items() for unit, _, _ in members}
        for key, members in groups.items():
            apart = {unit for unit, _, _ in members if unit.owner is not None and keys.get(self.owners[unit.path]) != key}
            self.inlined |= apart
            if len(apart) < len(members):
                self._group([member for member in members if member[0] not in apart])

    def _group(self, members: Sequence[tuple[Unit, list[list[Piece]], list[Tied]]]) -> None:
        uses = [unit for unit, _, _ in members]
        form = Form(uses, members[0][1], members[0][2], {unit: at for at, unit in enumerate(uses)}, self.pasted)
        self.forms |= dict.fromkeys(uses, form)
        settle(form, [pieces for _, pieces, _ in members], [form.position[self.owners[unit.path]] for unit in uses], self.entering)

    def _write_out(self, unit: Unit) -> None:
        """A part that uses the weights of another one, but not as that one does, cannot be a call of it: its steps are written in its place."""
        if not any(step.item in self.inlined for step in unit.steps if isinstance(step.item, Unit)):
            return
        steps: list[Step] = []
        for step in unit.steps:
            if isinstance(step.item, Unit) and step.item in self.inlined:
                for inner in step.item.steps:
                    inner.is_owner = False
                steps += step.item.steps
                unit.titles |= step.item.titles
            else:
                steps.append(step)
        unit.steps[:] = steps

    def _pieces(self, step: Step) -> Iterator[Piece]:
        if isinstance(step.item, Unit):
            form = self.forms[step.item]
            at = form.position[step.item]
            if step.is_owner:
                names = [parameter.name for parameter in form.parameters]
                yield Piece("made", Call("", tuple([parameter.values[at] for parameter in form.parameters])), leaf_names=names)
            more = (*(size.values[at] for size in form.passed), *((DEVICE,) if form.wants_device else ()))
            code = Call(ITSELF, (*map(Input, range(len(step.reads))), *more))
            yield Piece("used", code, leaf_names=[size.name for size in form.passed])
            return
        node = step.item
        if step.is_owner and (made := constructor(node)) is not None:
            yield Piece("made", made, node.kind)
            yield from (Piece("after", each) for each in after(node, self.inits))
        if (used := use(node)) is not None:
            yield Piece("used", used, node.kind)

    def _ties(self, unit: Unit) -> list[Tied]:
        """The ties whose both ends are in the unit and in no unit within it; the others are handed outwards."""
        found: list[Tied] = []
        for step in unit.steps:
            if step.is_owner and isinstance(step.item, Unit):
                found += self.loose.get(step.item, ())
            elif step.is_owner and not isinstance(step.item, Unit) and step.item.ties:
                sources = ((tensor, source_of(tie)) for tensor, tie in step.item.ties.items())
                found += [Tied(Held(step.path, tensor), source) for tensor, source in sources if not source.is_transposed]
        depth = len(unit.path)
        self.loose[unit] = [tied for tied in found if tied.source.path[:depth] != unit.path]
        return [tied for tied in found if tied.source.path[:depth] == unit.path]

    def _structure(self, unit: Unit, pieces: list[list[Piece]], ties: list[Tied]) -> object:
        """Everything but the leaves, which are put into the pieces. Equal for units that can be one class."""
        numbers: dict[Value, int] = {}
        for value in (*(value for _, value in unit.inputs), *unit.outside):
            numbers.setdefault(value, len(numbers))
        depth = len(unit.path)
        structure: list[object] = [(name, numbers[value]) for name, value in unit.inputs]
        if unit.part is not None:
            origin = unit.part.origin
            structure += [unit.part.block, origin.source.name, origin.start, origin.end]
        step: Step

        def read(reference: Input | Held) -> object:
            if isinstance(reference, Held):
                return reference.path[depth:], reference.tensor, reference.is_transposed
            arrival = step.arrival(reference)
            if isinstance(arrival, tuple):
                return tuple([numbers[value] for value in arrival])
            return None if arrival is None else numbers[arrival]

        for step, codes in zip(unit.steps, pieces, strict=True):
            for value in step.outputs:
                numbers.setdefault(value, len(numbers))
            form = self.forms[step.item] if isinstance(step.item, Unit) else None
            structure.append((step.path[depth:], step.is_owner, is_named(step), form, *[numbers[value] for value in step.outputs]))
            for piece in codes:
                _take_apart(piece, read, structure)
        structure += [("out", name, numbers[value]) for name, value in unit.outputs]
        structure += [(tied.tensor.path[depth:], tied.tensor.tensor, tied.source.path[depth:], tied.source.tensor) for tied in ties]
        return tuple(structure)


def _take_apart(piece: Piece, read: Any, structure: list[object]) -> None:
    code = piece.code
    if isinstance(code, After):
        structure.append(("after", code.tensor, code.code is None))
        if code.code is not None:
            take_apart(code.code, lambda _: None, structure, piece.leaves)
        return
    if piece.kind is not None and isinstance(code, Call) and code.kwargs:
        fields = fields_of(type(piece.kind))
        piece.order = [name for name, _ in code.kwargs]
        piece.keywords = {name: value for name, value in code.kwargs if is_plain(value) and name in fields and not fields[name].is_required}
        code = Call(code.function, code.args, tuple([pair for pair in code.kwargs if pair[0] not in piece.keywords]))
    structure.append(piece.place)
    take_apart(code, read, structure, piece.leaves)


# Names ---------------------------------------------------------------------------------------------------------------


def _name(named: Mapping[Unit, Form], taken: set[str]) -> None:
    """Names classes after their blocks or nodes, and says how classes of one block differ."""
    firsts: dict[object, Form] = {}
    numbers: Counter[str] = Counter()
    for form in dict.fromkeys(named.values()):
        part = form.first.part
        if part is None:
            continue
        base = "".join(word.capitalize() for word in (part.block or title(form.first.path)).split("_")) or "Part"
        numbers[base] += 1
        while (name := base if numbers[base] == 1 else f"{base}{numbers[base]}") in taken:
            numbers[base] += 1
        taken.add(name)
        form.name = name
        other = firsts.setdefault((part.block, part.origin.source.name, part.origin.start, part.origin.end), form)
        if other is not form:
            form.differs = f"as `{other.name}`, but {_difference(form.first, other.first, named)}"


def _difference(unit: Unit, other: Unit, named: Mapping[Unit, Form]) -> str:
    """How a class differs from another one of the same block."""
    own, others = _steps(unit), _steps(other)
    more = [path for path in own if path not in others]
    less = [path for path in others if path not in own]
    said = [f"{word} {_folded(paths, extra)}" for word, extra, paths in (("with", "more ", more), ("without", "", less)) if paths]
    if said:
        return " and ".join(said)
    pairs = ((path, own[path].item, others[path].item) for path in own)
    classes = [(path, named[a]) for path, a, b in pairs if isinstance(a, Unit) and isinstance(b, Unit) and named[a] is not named[b]]
    return (
        f"with `{classes[0][1].name}` as {_folded([path for path, form in classes if form is classes[0][1]])}" if classes else "wired in another way"
    )


def _steps(unit: Unit) -> dict[Path, Step]:
    depth = len(unit.path)
    return {step.path[depth:]: step for step in unit.steps}


def _folded(paths: Sequence[Path], extra: str = "") -> str:
    """Paths for a sentence; the copies of one node are counted."""
    copies = Counter(path[:-1] for path in paths if isinstance(path[-1:][0] if path else "", int))
    said: dict[str, None] = {}
    for path in paths:
        count = copies[path[:-1]] if path and isinstance(path[-1], int) else 0
        text = ".".join(map(str, path[:-1] if count > 1 else path))
        said[f"{count} {extra}copies of `{text}`" if count > 1 else f"`{text}`"] = None
    return ", ".join(said) if len(said) <= 4 else f"{', '.join(list(said)[:3])} and {len(said) - 3} others"
