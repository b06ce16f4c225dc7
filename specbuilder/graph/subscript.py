"""What `x[...]` gives: numbers, slices, new axes and index tensors, as torch has them.

In: the type of `x` and the keys. Out: the type, and what symbolic sizes must meet; or a `Refusal` whose `item` is the position of the key to blame.
A place beyond an axis is a mistake here, for slices too: torch would clamp `x[:10]` in silence, and a size `min(H, 10)` can promise nothing to what follows.
Which tensors and numbers the keys are is left to `formula`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Refusal
from specbuilder.records import Record
from specbuilder.shapes import Dim, Poly, Requirement, TensorType, at_least, broadcast

CLAMPED = "a slice that goes beyond its axis, which torch clamps in silence"
HOLLOW = "an index that leaves nothing"
MASK = "an index of booleans (or of uint8, which torch takes for booleans): how much it leaves is known only at run time"
SINGLE = "an index that is a single number computed at run time: the program would wait for it"
RESTS = "two `...` in one index, of which torch takes the second for `:`"
LISTED = "a list or a truth value as an index"
STRICTER_THAN_TORCH = (CLAMPED, HOLLOW, MASK, SINGLE, RESTS, LISTED)
"""What torch accepts and an index refuses."""


class Range(Record):
    """`1:-1`; the ends may be sizes."""

    start: Dim | None = None
    stop: Dim | None = None
    step: int | None = None

    def __str__(self) -> str:
        written = ":".join("" if end is None else str(end) for end in (self.start, self.stop))
        return written if self.step is None else f"{written}:{self.step}"


class Remaining(Record):
    """`...`: as many `:` as there are axes left."""


Key = int | Poly | Range | Remaining | TensorType | None
"""A place, a range, the rest, an index tensor, or a new axis."""


class Subscripted(Record):
    """What an index gives, and what sizes must meet for it."""

    type: TensorType
    requirements: tuple[Requirement, ...]


def subscript(x: TensorType, keys: Sequence[Key]) -> Subscripted:
    """The type of `x[keys]`."""
    taken = [at for at, key in enumerate(keys) if key is not None and not isinstance(key, Remaining)]
    if len(taken) > x.rank:
        has = demands.counted(x.rank, "axis", "axes") if x.rank else "no axes"
        raise Refusal(f"{x.shape_text} has {has}, but this index names {len(taken)}", item=taken[x.rank])
    rests = [at for at, key in enumerate(keys) if isinstance(key, Remaining)]
    if len(rests) > 1:
        raise Refusal("an index has one `...` at most", item=rests[1])
    requirements: list[Requirement] = []
    axes = iter(enumerate(x.shape))
    # What becomes of each axis: its size, or the index tensor that takes its place.
    found: list[Dim | TensorType] = []
    for item, key in enumerate(keys):
        if key is None:
            found.append(1)
        elif isinstance(key, Remaining):
            found += [next(axes)[1] for _ in range(x.rank - len(taken))]
        else:
            axis, size = next(axes)
            left = _along(key, _Axis(x, axis, size, item, requirements))
            found += [] if left is None else [left]
    found += [size for _, size in axes]
    return Subscripted(x.with_shape(tuple(_joined(found, keys))), tuple(requirements))


class _Axis(Record):
    """One axis under its key, and the list that takes what its size must meet."""

    x: TensorType
    axis: int
    size: Dim
    item: int
    requirements: list[Requirement]

    def refusal(self, message: str, help: str | None = None, code: str = "SB0401") -> Refusal:
        return Refusal(f"{message} on axis {self.axis} of {self.x.shape_text}", item=self.item, help=help, code=code)

    def require(self, dim: Dim, minimum: int, otherwise: str) -> None:
        """`dim >= minimum`: is so, is asked of the sizes, or is refused."""
        met = at_least(dim, minimum)
        if met is False:
            raise self.refusal(otherwise, code="SB0402")
        if met is None:
            self.requirements.append(Requirement(dim, minimum))


def _along(key: int | Poly | Range | TensorType, axis: _Axis) -> Dim | TensorType | None:
    """What a key leaves of its axis; None is nothing."""
    if isinstance(key, Range):
        return _range(key, axis)
    if isinstance(key, TensorType):
        return _index_tensor(key, axis)
    if _is_from_the_end(key):
        axis.require(axis.size + key, 0, f"there is no place {key}")
    else:
        axis.require(key, 0, f"there is no place {key}")
        axis.require(axis.size - key, 1, f"there is no place {key}")
    return None


def _is_from_the_end(place: Dim) -> bool:
    return at_least(place, 0) is False


def _range(key: Range, axis: _Axis) -> Dim:
    step = 1 if key.step is None else key.step
    if step < 1:
        raise axis.refusal(f"a step must be at least 1, but this is {step},", help="`flip` turns an axis round, where the catalogue has it")
    start = _end(key, key.start, 0, axis)
    stop = _end(key, key.stop, axis.size, axis)
    axis.require(stop - start, 1, f"`{key}` leaves nothing")
    return (stop - start + step - 1) // step


def _end(key: Range, place: Dim | None, otherwise: Dim, axis: _Axis) -> Dim:
    """An end of a range, counted from the front."""
    if place is None:
        return otherwise
    if _is_from_the_end(place):
        axis.require(axis.size + place, 0, f"`{key}` begins before the first place" if place is key.start else f"`{key}` ends before the first place")
        return axis.size + place
    axis.require(place, 0, f"`{key}` is out of range")
    axis.require(axis.size - place, 0, f"`{key}` goes beyond the last place")
    return place


def _index_tensor(key: TensorType, axis: _Axis) -> TensorType:
    if key.dtype in ("bool", "uint8"):
        help = "`where(mask, x, 0.0)` keeps the shape; an index that is meant is converted: `int64(...)`"
        raise Refusal(f"an index of {key.dtype} leaves a size that is known only at run time", item=axis.item, help=help, code="SB0501")
    if key.dtype not in ("int64", "int32"):
        help = "convert it: `int64(...)`"
        raise Refusal(f"an index is a tensor of int64 or int32, but {key.dtype} arrives", item=axis.item, help=help, code="SB0501")
    if not key.rank:
        help = "give it an axis, `i[None]`, or a number that is known: `$i`"
        raise Refusal("an index that is a single number would have to be waited for at run time", item=axis.item, help=help)
    return key


def _joined(found: Sequence[Dim | TensorType], keys: Sequence[Key]) -> Iterator[Dim]:
    """The sizes that are left. Index tensors stretch to one shape, which stands where they are, or in front of all where something is between them."""
    places = [at for at, each in enumerate(found) if isinstance(each, TensorType)]
    sizes = [each for each in found if not isinstance(each, TensorType)]
    if not places:
        return iter(sizes)
    together = _stretched(keys)
    are_adjacent = places[-1] - places[0] + 1 == len(places)
    first = places[0] if are_adjacent else 0
    return iter([*sizes[:first], *together, *sizes[first:]])


def _stretched(keys: Sequence[Key]) -> tuple[Dim, ...]:
    shape: tuple[Dim, ...] = ()
    for item, key in enumerate(keys):
        if isinstance(key, TensorType):
            both = broadcast((shape, key.shape))
            if both is None:
                before = TensorType("int64", shape).shape_text
                raise Refusal(f"index tensors must stretch to one shape, found {before} and {key.shape_text}", item=item)
            shape = both
    return shape
