"""A checkpoint's names onto a network's: which tensor goes where, or everything that is wrong about it, at once.

In: a `Layout`, the names and shapes of the checkpoint, the graph. Out: for each tensor of the network, by its name in the state dict, what fills it. Every
tensor is filled once, with its own shape, and nothing of the checkpoint is left over. No tensor is touched here, and no torch imported.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from specbuilder.diagnostics import Diagnostics, Span
from specbuilder.graph.graph import TypedGraph
from specbuilder.graph.selection import Paths, Tensor, path_pattern, tensors_of
from specbuilder.language.expressions import ExpressionError
from specbuilder.language.maps import Layout, Pair
from specbuilder.language.values import Undefined, report
from specbuilder.records import Record

LEFT_OVER = "SB0921"
MISSING = "SB0922"
NO_SUCH_TENSOR = "SB0923"
FILLED_TWICE = "SB0924"
OTHER_SHAPE = "SB0925"
NOT_A_MATRIX = "SB0926"

Shape = tuple[int, ...]


class Filling(Record):
    """What fills a tensor of the network: a tensor of the checkpoint, perhaps transposed."""

    source: str
    is_transposed: bool = False


class _Move(Record):
    """A tensor of the checkpoint on its way; `target` is None where it is left out on purpose."""

    source: str
    shape: Shape
    target: str | None
    pair: Pair | None
    under: str = ""
    """The end of both names that came along, since it stands under what the pair speaks of."""

    @property
    def is_transposed(self) -> bool:
        return self.pair is not None and self.pair.is_transposed and len(self.shape) == 2

    @property
    def arrives(self) -> Shape:
        """Its shape after the move."""
        return self.shape[::-1] if self.is_transposed else self.shape

    @property
    def span(self) -> Span | None:
        return self.pair.target.scalar.span if self.pair is not None and self.pair.target is not None else None


def fillings(
    layout: Layout | None,
    source: Mapping[str, Shape],
    graph: TypedGraph,
    lookup: Callable[[str], Any],
    known: Iterable[str],
    diagnostics: Diagnostics,
) -> Mapping[str, Filling]:
    """What fills each tensor of the network, in graph order. Without a layout, names are kept. What is wrong is in `diagnostics`."""
    tensors = {tensor.key: tensor for tensor in tensors_of(graph) if tensor.tie is None or not tensor.tie.is_transposed}
    moves, left = _moves(layout, source, lookup, tuple(known), diagnostics)
    arrived = _arrived(moves, tensors, diagnostics)
    filled = {key: Filling(move.source, move.is_transposed) for key, move in arrived.items()}
    _fill_ties(filled, tensors)
    missing = [key for key in tensors if key not in filled and _owner(tensors[key]) == key]
    place = layout.span if layout is not None else None
    _tell_left(left, source, {key: tensors[key].held.shape for key in missing}, place, diagnostics)
    spoken = {*left, *(move.source for move in moves if move.target is None or move.target in tensors)}
    astray = Counter(shape for name, shape in source.items() if name not in spoken)
    _tell_missing(
        [key for key in missing if not _taken(astray, tensors[key].held.shape)], tensors, {name: source[name] for name in left}, place, diagnostics
    )
    return {key: filled[key] for key in tensors if key in filled}


def _taken(astray: Counter[Shape], shape: Shape) -> bool:
    """Whether a tensor of this shape went astray by a mistake that has been told: what is missing because of it is no second one."""
    taken = next((found for found in (shape, shape[::-1]) if astray[found]), None)
    if taken is not None:
        astray[taken] -= 1
    return taken is not None


def double(found: Mapping[str, Filling], graph: TypedGraph) -> Iterator[tuple[str, str]]:
    """Pairs of tensors of the checkpoint that fill what is one tensor in the network: only their values can tell whether they agree."""
    for tensor in tensors_of(graph):
        if tensor.tie is not None and tensor.key in found:
            mine, owners = found[tensor.key], found[_owner(tensor)]
            if mine.source != owners.source and mine.is_transposed == owners.is_transposed:
                yield owners.source, mine.source


def _moves(
    layout: Layout | None, source: Mapping[str, Shape], lookup: Callable[[str], Any], known: Sequence[str], diagnostics: Diagnostics
) -> tuple[list[_Move], list[str]]:
    """Where each tensor of the checkpoint goes, and those that no pair speaks of. A wrong expression is told once a pair."""
    moves: list[_Move] = []
    left: list[str] = []
    broken: set[Pair] = set()
    for name, shape in source.items():
        if layout is None:
            moves.append(_Move(name, shape, name, None))
            continue
        found = next(((pair, held) for pair in layout.pairs if (held := pair.origin.captured(name)) is not None), None)
        if found is None:
            left.append(name)
            continue
        pair, (captures, under) = found
        if pair.target is None:
            moves.append(_Move(name, shape, None, pair))
            continue
        try:
            moves.append(_Move(name, shape, pair.target.named(captures, lookup, known) + under, pair, under))
        except ExpressionError as error:
            if pair not in broken:
                report(ExpressionError(f"{error.message}, for `{name}`", error.start, error.end, error.help), pair.target.scalar, diagnostics)
            broken.add(pair)
        except Undefined:
            broken.add(pair)
    return moves, left


def _arrived(moves: Sequence[_Move], tensors: Mapping[str, Tensor], diagnostics: Diagnostics) -> Mapping[str, _Move]:
    """The moves that arrive somewhere, by where. A tensor of another shape counts as arrived: it is not missing as well."""
    arrived: dict[str, _Move] = {}
    nowhere: list[_Move] = []
    twice: list[_Move] = []
    misshaped: list[_Move] = []
    for move in moves:
        if move.target is None:
            continue
        if move.target not in tensors:
            nowhere.append(move)
        elif move.target in arrived:
            twice.append(move)
        else:
            arrived[move.target] = move
            if move.pair is not None and move.pair.is_transposed and len(move.shape) > 2:
                message = f"`transpose` is for matrices, but `{move.source}` is {[*move.shape]}"
                diagnostics.error(NOT_A_MATRIX, message, move.pair.span, help="make an entry of its own for it")
            elif move.arrives != tensors[move.target].held.shape:
                misshaped.append(move)
    _tell_nowhere(nowhere, tensors, diagnostics)
    for alike in _alike(twice):
        first = arrived[str(alike[0].target)].source
        message = f"`{first}` and `{alike[0].source}` of the checkpoint both become `{alike[0].target}`{_more(alike)}"
        diagnostics.error(FILLED_TWICE, message, alike[0].span, help="let `to` say in what they differ, or leave one out with `drop`")
    for alike in _alike(misshaped):
        _tell_shape(alike, tensors[str(alike[0].target)].held.shape, diagnostics)
    return arrived


def _tell_nowhere(moves: Sequence[_Move], tensors: Mapping[str, Tensor], diagnostics: Diagnostics) -> None:
    paths = Paths([tensor.path for tensor in tensors.values()]) if moves else None
    for alike in _alike(moves, what=lambda move: move.source.removesuffix(move.under)):
        first = alike[0]
        message = f"`{first.source}` would become `{first.target}`, but the network has no such tensor{_more(alike)}"
        diagnostics.error(NO_SUCH_TENSOR, message, first.span, help=paths.near(path_pattern(str(first.target))) if paths is not None else None)


def _tell_shape(alike: Sequence[_Move], wanted: Shape, diagnostics: Diagnostics) -> None:
    move = alike[0]
    is_turned = len(move.shape) == 2 and move.arrives[::-1] == wanted
    help = None if not is_turned else "delete `transpose`" if move.is_transposed else "add `transpose: true`" if move.pair is not None else None
    turned = ", transposed," if move.is_transposed else ""
    found = f"`{move.source}` of the checkpoint{turned} is {[*move.arrives]}"
    diagnostics.error(OTHER_SHAPE, f"{found}, but `{move.target}` of the network is {[*wanted]}{_more(alike)}", move.span, help=help)


def _fill_ties(filled: dict[str, Filling], tensors: Mapping[str, Tensor]) -> None:
    """Tensors that are one, and of which the checkpoint has any, are all filled by it."""
    for key, tensor in tensors.items():
        owner = _owner(tensor)
        if key != owner and key in filled:
            filled.setdefault(owner, filled[key])
    for key, tensor in tensors.items():
        if key not in filled and (owner := _owner(tensor)) in filled:
            filled[key] = filled[owner]


def _owner(tensor: Tensor) -> str:
    """The name of the tensor that a tied one is, in the end."""
    key, tie = tensor.key, tensor.tie
    while tie is not None:
        key, tie = tie.node.key(tie.tensor), tie.node.ties.get(tie.tensor)
    return key


# What is left over, and what is missing ------------------------------------------------------------------------------


def _tell_left(left: Sequence[str], source: Mapping[str, Shape], empty: Mapping[str, Shape], span: Span | None, diagnostics: Diagnostics) -> None:
    for alike in _alike_names(left):
        name = alike[0]
        help = _same_shape(name, source[name], empty, "of its shape, {} of the network {} still empty")
        top = name.partition(".")[0]
        message = f"`{name}` {[*source[name]]} of the checkpoint goes nowhere{_more(alike)}"
        diagnostics.error(LEFT_OVER, message, span, help=help or f"add a pair for it, or `- drop: {top}` if it is not wanted")


def _tell_missing(
    missing: Sequence[str], tensors: Mapping[str, Tensor], left: Mapping[str, Shape], span: Span | None, diagnostics: Diagnostics
) -> None:
    for alike in _alike_names(missing):
        key = alike[0]
        shape = tensors[key].held.shape
        help = _same_shape(key, shape, left, "of its shape, {} of the checkpoint go{} nowhere")
        diagnostics.error(MISSING, f"nothing in the checkpoint fills `{key}` {[*shape]}{_more(alike)}", span, help=help)


def _same_shape(name: str, shape: Shape, others: Mapping[str, Shape], sentence: str) -> str | None:
    """At most two others of the same shape, those most alike in name first. Scalars are all of one shape, so that says nothing."""
    fitting = [other for other, found in others.items() if found == shape] if shape else []
    near = sorted(fitting, key=lambda other: -difflib.SequenceMatcher(None, name, other).ratio())[:2] if len(fitting) <= 50 else []
    if not near:
        return None
    is_one = len(near) == 1
    verb = ("is" if is_one else "are") if "still" in sentence else ("es" if is_one else "")
    return sentence.format(" and ".join(f"`{other}`" for other in near), verb)


_DIGITS = re.compile(r"[0-9]+")


def _alike(moves: Sequence[_Move], what: Callable[[_Move], str] = lambda move: move.source) -> Iterable[Sequence[_Move]]:
    """Moves of one pair that differ in numbers only: the same mistake in many copies."""
    found: dict[tuple[object, str], list[_Move]] = {}
    for move in moves:
        found.setdefault((move.pair, _DIGITS.sub("#", what(move))), []).append(move)
    return found.values()


def _alike_names(names: Sequence[str]) -> Iterable[Sequence[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_DIGITS.sub("#", name), []).append(name)
    return found.values()


def _more(alike: Sequence[object]) -> str:
    return f" (and {len(alike) - 1} more like it)" if len(alike) > 1 else ""
