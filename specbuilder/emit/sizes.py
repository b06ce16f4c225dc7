"""Symbolic sizes as code: which axes of which tensors tell them.

A size is written as a formula over axes, `16*h` being half of an axis that has `32*h`. One formula serves all copies of a class, so it is proved for each.
Axes are symbols of their own here, `axis_0_2` for axis 2 of tensor 0; `place` reads them back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specbuilder.dims.polynomial import Floor, Monomial, over
from specbuilder.shapes import Dim, DimError, Poly, substitute, symbol

_LARGEST_DIVISOR = 64

Shapes = Sequence[Sequence[Dim]]
"""The shapes of some tensors."""


def direct(sizes: Sequence[Dim], shapes: Sequence[Shapes]) -> Dim | None:
    """The axis that is the size, in every copy: `sizes` and `shapes` have one entry a copy."""
    for at, shape in enumerate(shapes[0]):
        for axis, dim in enumerate(shape):
            if dim == sizes[0] and all(len(copy[at]) > axis and copy[at][axis] == size for size, copy in zip(sizes[1:], shapes[1:], strict=True)):
                return _axis(at, axis)
    return None


def formula(sizes: Sequence[Dim], shapes: Sequence[Shapes]) -> Dim | None:
    """The size computed from axes, in every copy."""
    for size, tensors in dict(zip(sizes, shapes, strict=True)).items():
        try:
            found = _over_axes(size, tensors)
            if found is not None and all(substitute(found, _axes(copy)) == other for other, copy in zip(sizes, shapes, strict=True)):
                return found
        except (DimError, KeyError):  # too long to compute with, or an axis that another copy does not have
            continue
    return None


def place(name: str) -> tuple[int, int]:
    """The tensor and the axis that a symbol stands for."""
    _, at, axis = name.split("_")
    return int(at), int(axis)


def single(dim: Dim) -> str | None:
    """The name of a size that is nothing but a symbol."""
    text = str(dim)
    return text if isinstance(dim, Poly) and text.isidentifier() else None


def _axis(at: int, axis: int) -> Poly:
    return symbol(f"axis_{at}_{axis}")


def _axes(shapes: Shapes) -> dict[str, Dim]:
    return {f"axis_{at}_{axis}": dim for at, shape in enumerate(shapes) for axis, dim in enumerate(shape)}


def _over_axes(size: Dim, shapes: Shapes) -> Dim | None:
    """The formula for one copy. Atoms (names, floors) are looked for in the axes one by one, as `factor * atom + offset`."""
    known: dict[object, Dim] = {}
    for at, shape in enumerate(shapes):
        for axis, dim in enumerate(shape):
            if isinstance(dim, Poly) and (solved := _solved(dim, _axis(at, axis))) is not None:
                known.setdefault(solved[0], solved[1])
    found = _translated(size, known)
    if found is None:
        found = _from_sums(size, shapes, known)
    return found if found is not None else _translated(size, _with_differences(known, shapes))


def _parts(monomial: Monomial, known: Mapping[object, Dim]) -> list[Monomial]:
    """A product as products that are known, the longest first, and single factors."""
    parts: list[Monomial] = []
    rest = monomial
    for whole in sorted((whole for whole in known if isinstance(whole, tuple) and len(whole) > 1), key=len, reverse=True):
        while rest and (left := over(rest, whole)) is not None:
            parts.append(whole)
            rest = left
    return [*parts, *((atom,) for atom in rest)]


def _from_sums(size: Dim, shapes: Shapes, known: Mapping[object, Dim]) -> Dim | None:
    """The formula where an axis is a sum of names, none of which is known alone: a multiple of the axis, or the floor of a fraction of it."""
    axes = [
        (dim, _axis(at, axis)) for at, shape in enumerate(shapes) for axis, dim in enumerate(shape) if isinstance(dim, Poly) and len(dim.terms) > 1
    ]
    for dim, axis in axes:
        for divisor in sorted(_divisors(size)):
            for above in range(divisor):
                offset = size - (dim + above) // divisor
                if isinstance(offset, int):
                    return (axis + above) // divisor + offset
        try:
            factor = size // dim
        except DimError:  # no multiple
            continue
        translated = _translated(factor, known)
        if translated is None:
            translated = _from_sums(factor, shapes, known)
        if translated is not None:
            return axis * translated
    return None


def _with_differences(known: Mapping[object, Dim], shapes: Shapes) -> Mapping[object, Dim]:
    """What is known, and each name that an axis has beside what is known: `P` where one axis is `P + T` and another `T`."""
    found = dict(known)
    for at, shape in enumerate(shapes):
        for axis, dim in enumerate(shape):
            missing = [(monomial, factor) for monomial, factor in dim.terms if monomial and monomial not in found] if isinstance(dim, Poly) else []
            if len(missing) != 1 or len(missing[0][0]) != 1 or not isinstance(name := missing[0][0][0], str) or missing[0][1] < 1:
                continue
            rest = _translated(dim - missing[0][1] * symbol(name), found)
            if rest is not None:
                found[missing[0][0]] = (_axis(at, axis) - rest) // missing[0][1]
    return found


def _divisors(size: Dim) -> set[int]:
    """1, and what the floors in a size divide by."""
    floors = [atom for monomial, _ in size.terms for atom in monomial if isinstance(atom, Floor)] if isinstance(size, Poly) else []
    return {1, *(floor.divisor for floor in floors if floor.divisor <= _LARGEST_DIVISOR)}


def _solved(dim: Poly, axis: Poly) -> tuple[object, Dim] | None:
    """The one monomial that a size is linear in, and what it is in terms of the axis."""
    monomials = [(monomial, factor) for monomial, factor in dim.terms if monomial]
    if len(monomials) != 1 or monomials[0][1] < 1:
        return None
    monomial, factor = monomials[0]
    offset = dict(dim.terms).get((), 0)
    return monomial, (axis - offset) // factor


def _translated(size: Dim, known: Mapping[object, Dim]) -> Dim | None:
    if isinstance(size, int):
        return size
    total: Dim = 0
    for monomial, factor in size.terms:
        product: Dim = factor
        for part in _parts(monomial, known):
            found = known.get(part)
            if found is None and part and not isinstance(part[0], str):
                inside = _translated(part[0].inside, known)
                found = None if inside is None else inside // part[0].divisor
            if found is None:
                return None
            product = product * found
        total = total + product
    return total
