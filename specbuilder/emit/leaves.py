"""The leaves of a class: which are the same in all of its instances, which are arguments, and how sizes are told.

In: the codes of each use of the class, taken apart. Out: the codes of the first use with each leaf resolved: a literal, the name of an argument, a `Size`
with a name, or a formula over the axes of what the step reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from specbuilder.catalogue.contract import Call, Code, Input
from specbuilder.diagnostics import InternalError, SpecError
from specbuilder.emit import sizes
from specbuilder.emit.code import Held, leaf_names, take_apart
from specbuilder.emit.form import Form, Named, Piece, key
from specbuilder.emit.nodes import After
from specbuilder.emit.outline import Unit, title
from specbuilder.emit.signatures import parameters_of
from specbuilder.graph.graph import GraphNode, Past, Value
from specbuilder.language.names import MODULE_ATTRIBUTES, READ_BY_FORWARD
from specbuilder.records import Record
from specbuilder.shapes import Dim, Poly


class Size(Record):
    """A size with a name of its own in `forward`: read off an input, or passed."""

    name: str


def settle(form: Form, copies: Sequence[list[list[Piece]]], owners: Sequence[int], entering: frozenset[str]) -> None:
    """Resolves the leaves of `form.pieces`. `copies` are the pieces of each use; `owners` says which use owns the weights of each; `entering` are the
    symbols of the sizes that enter the network.
    """
    _Leaves(form, copies, owners, entering).settle()


class _Leaves:
    def __init__(self, form: Form, copies: Sequence[list[list[Piece]]], owners: Sequence[int], entering: frozenset[str]) -> None:
        self.form, self.copies, self.owners, self.entering = form, copies, owners, entering
        self.is_single = len(copies) == 1
        self.is_shared = any(owner != at for at, owner in enumerate(owners))
        depth = len(form.first.path)
        self.taken = {
            *READ_BY_FORWARD,
            "super",
            "device",
            *form.pasted,
            *MODULE_ATTRIBUTES,
            *(str(step.path[depth]) for step in form.first.steps if len(step.path) > depth),
        }
        self.size_names: dict[object, str] = {}

    def settle(self) -> None:
        form = self.form
        for at, pieces in enumerate(form.pieces):
            for number, piece in enumerate(pieces):
                copies = [piece] if self.is_single else [copy[at][number] for copy in self.copies]
                piece.leaves = [self._leaf(at, piece, position, values) for position, values in enumerate(self._columns(at, piece, copies))]
        arriving = (*(value for _, value in form.first.inputs), *form.first.outside)
        form.wants_device = all(isinstance(value, Past) for value in arriving) and any(map(_asks_device, _codes(form)))

    def _columns(self, at: int, piece: Piece, copies: Sequence[Piece]) -> list[Sequence[Any]]:
        """The values of each leaf, one for each use; those of keywords last."""
        piece.order = _merged([copy.order for copy in copies])
        piece.names = [name for name in piece.order if any(name in copy.keywords for copy in copies)]
        columns: list[Sequence[Any]] = list(zip(*(copy.leaves for copy in copies), strict=True))
        return columns + [self._keyword_values(at, name, copies) for name in piece.names]

    def _keyword_values(self, at: int, name: str, copies: Sequence[Piece]) -> Sequence[Any]:
        """A keyword that a copy leaves out has the value of the kind's field."""
        return [copy.keywords[name] if name in copy.keywords else getattr(self._item(use, at).kind, name) for use, copy in enumerate(copies)]

    def _item(self, use: int, at: int) -> GraphNode:
        item = self.form.uses[use].steps[at].item
        assert isinstance(item, GraphNode)
        return item

    def _leaf(self, at: int, piece: Piece, position: int, values: Sequence[Any]) -> Any:
        first = values[0]
        if piece.place != "used":
            if any(isinstance(value, Poly) for value in values):
                raise InternalError("emit", "a constructor depends on a symbolic size", str(self.form.first.steps[at].path))
            values = [values[owner] for owner in self.owners] if self.is_shared else values
        elif isinstance(first, Poly) or (
            self.is_shared and any(not _same(values[owner], value) for owner, value in zip(self.owners, values, strict=True))
        ):
            return self._size(at, piece, position, values)
        if self.is_single or all(_same(first, value) for value in values):
            return first
        if self._comes_apart(values):
            return tuple([self._leaf(at, piece, position, column) for column in zip(*values, strict=True)])
        name = self._argument(piece, position, values)
        if piece.place != "used":
            return Code(name)
        self.form.kept.add(name)
        return Code(f"self.{name}")

    def _comes_apart(self, values: Sequence[Any]) -> bool:
        """Whether tuples are better written with arguments in them: `(C, 1, 1)`."""
        if any(type(value) is not tuple or len(value) != len(values[0]) for value in values) or self.form.called(values):
            return False
        return any(all(_same(column[0], value) for value in column) or self.form.called(column) for column in zip(*values, strict=True))

    # Arguments -------------------------------------------------------------------------------------------------------

    def _argument(self, piece: Piece, position: int, values: Sequence[Any]) -> str:
        """The constructor's argument that has these values."""
        form, found = self.form, key(values)
        if found in form.arguments:
            return form.arguments[found]
        wanted = form.titles().get(found) or self._keyword(piece, position)
        name = form.arguments[found] = _new(wanted, self.taken)
        form.parameters.append(Named(name, tuple(values)))
        return name

    def _keyword(self, piece: Piece, position: int) -> str:
        """What a leaf is called where it stands."""
        code = piece.code.code if isinstance(piece.code, After) else piece.code
        names = [*piece.leaf_names] if piece.leaf_names else list(leaf_names(_without(code, piece.names), parameters_of))
        name = [*names, *piece.names][position]
        return name if name.isidentifier() else "value"

    # Sizes -----------------------------------------------------------------------------------------------------------

    def _size(self, at: int, piece: Piece, position: int, values: Sequence[Any]) -> Any:
        """What tells a size in every use: what arrives at the step, if it can; else what arrives at the class; else it is passed."""
        form = self.form
        read = [_shapes(unit.steps[at].reads) for unit in form.uses]
        if (found := sizes.direct(values, read)) is not None:
            return found
        entered = [_shapes((*(value for _, value in unit.inputs), *unit.outside)) for unit in form.uses]
        over_inputs = sizes.direct(values, entered)
        if over_inputs is None:
            if (found := sizes.formula(values, read)) is not None:
                return found
            over_inputs = sizes.formula(values, entered)
        over_made = self._told_within(at, values) if over_inputs is None else None
        if over_inputs is None and over_made is None and form.first.part is None:
            raise self._untold(at, values[0])
        known = over_inputs if over_inputs is not None else ("made", over_made) if over_made is not None else key(values)
        if known not in self.size_names:
            name = self.size_names[known] = _new(self._size_name(piece, position, values), self.taken)
            if over_inputs is not None:
                form.measured[name] = over_inputs
            elif over_made is not None:
                form.told[name] = over_made
            else:
                form.passed.append(Named(name, tuple(values)))
        return Size(self.size_names[known])

    def _told_within(self, at: int, values: Sequence[Any]) -> Dim | None:
        """A size that does not follow from what enters the network, since nothing is known of it: read off what an earlier step of the class made."""
        if not any(value.symbols - self.entering for value in values if isinstance(value, Poly)):
            return None
        made = [_shapes(list(values_of(unit, at))) for unit in self.form.uses]
        found = sizes.direct(values, made)
        return found if found is not None else sizes.formula(values, made)

    def _untold(self, at: int, size: Any) -> Exception:
        step = self.form.first.steps[at]
        if isinstance(size, Poly) and size.symbols <= self.entering:
            return InternalError("emit", f"no input tells the size {size}", ".".join(map(str, step.path)))
        span = step.item.span if isinstance(step.item, GraphNode) else step.item.part.origin if step.item.part is not None else None
        message = f"`{title(step.path)}` needs the size {size}, and no tensor before it has an axis that tells it"
        return SpecError.of("SB0424", message, span, help="give the kind that this size comes from an `infer`")

    def _size_name(self, piece: Piece, position: int, values: Sequence[Any]) -> str:
        symbol = sizes.single(values[0]) if all(_same(values[0], value) for value in values) else None
        return self.form.titles().get(key(values)) or symbol or self._keyword(piece, position).replace("value", "size")


def values_of(unit: Unit, before: int) -> Iterator[Value]:
    """What arrives at a unit, and what its steps up to one of them give, in an order that copies share."""
    yield from (value for _, value in unit.inputs)
    yield from unit.outside
    yield from (value for step in unit.steps[:before] for value in step.outputs)


def _codes(form: Form) -> Iterator[Any]:
    return (piece.code for pieces in form.pieces for piece in pieces if piece.place == "used")


def _asks_device(code: Any) -> bool:
    structure: list[object] = []
    take_apart(code, _nothing, structure, [])
    return ("code", "device") in structure


def _nothing(_: Input | Held) -> object:
    return None


def _shapes(values: Sequence[Any]) -> list[Sequence[Dim]]:
    # What a state holds tells nothing: it may not be there.
    return [value.type.shape if value.type is not None and not isinstance(value, Past) else () for value in values]


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b if type(a) is not tuple else key(a) == key(b))


def _merged(orders: Sequence[Sequence[str]]) -> list[str]:
    """Names in an order that agrees with each of the given ones, as far as they agree."""
    merged = list(orders[0])
    for order in orders[1:]:
        if order == merged:
            continue
        at = 0
        for name in order:
            if name in merged:
                at = merged.index(name) + 1
            else:
                merged.insert(at, name)
                at += 1
    return merged


def _without(code: Any, names: Sequence[str]) -> Any:
    return Call(code.function, code.args, tuple(pair for pair in code.kwargs if pair[0] not in names)) if isinstance(code, Call) and names else code


def _new(wanted: str, taken: set[str]) -> str:
    """The name, numbered where it is taken."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    taken.add(name)
    return name
