"""Functions that name their axes: rearrange, einops_reduce, einops_repeat, as the package einops has them (A. Rogozhnikov, 2022).

`patterns` reads the text. Here its axes get sizes: from what arrives, from keys beside the pattern (`h: 8`), and by exact division, proved for every size.
The code is reshape, permute and the like, as one would write it by hand, and einops is not needed to run it. The batch and other sizes that have no number stay free:
a reshape works one of them out by itself (-1), and where there are more, each axis is split and joined alone (`unflatten`, `flatten`), which asks for no other size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Index, Input, Method, PositiveInt, Refusal, Slice, function
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.patterns import ELLIPSIS, Axis, Group, Pattern, PatternError, parse_pattern
from specbuilder.shapes import Dim, DimError, Poly, TensorType, divisible, equal, is_integer

NAMES = "names of axes in upper case, or that begin or end with `_`: names in a spec have neither"
Names = tuple[str, ...]
Mistake = tuple[str, str] | tuple[str, str, tuple[int, int]]


class Layout(Function):
    """What the three share: a pattern, and sizes by name."""

    extra = "axes"

    pattern: str = Field(description="both sides, such as `b (h p) c -> b h p c`; axes in parentheses are one axis of the tensor")
    axes: dict[str, PositiveInt | Poly] = Field(default={}, description="the size of an axis of the pattern, under its name")

    stricter_than_torch = (NAMES,)

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong with the pattern by itself, and sizes of axes that it does not have."""
        try:
            pattern = parse_pattern(self.pattern)
            self._suits(pattern)
        except PatternError as error:
            yield "pattern", error.message, (error.start, error.end)
            return
        known = {**pattern.axes("left"), **pattern.axes("right")}
        for name in self.axes:
            if name not in known:
                named = [f"`{axis.text}`" for axis in known.values() if axis.number is None and axis.name != ELLIPSIS]
                yield name, f"the pattern has no such axis; its axes are {', '.join(named)}" if named else "the pattern has no such axis"

    def _suits(self, pattern: Pattern) -> None:
        """Raises `PatternError` for what this kind does not do."""
        raise NotImplementedError

    # Sizes -----------------------------------------------------------------------------------------------------------

    def _layout(self, x: TensorType) -> tuple[list[Names], list[Names], dict[str, Dim]]:
        """The groups of both sides with `...` written out, and the size of every axis."""
        pattern = parse_pattern(self.pattern)
        dots = [at for at, group in enumerate(pattern.left) if _is_ellipsis(group)]
        count = x.rank - len(pattern.left) + 1 if dots else 0
        if count < 0 or (not dots and x.rank != len(pattern.left)):
            expected = demands.counted(len(pattern.left) - len(dots), "axis", "axes")
            more = " or more" if dots else ""
            raise self._refusal(f"reads {expected}{more}, but {x.shape_text} has {x.rank}", 0, self.pattern.index("->"))
        hidden = tuple(f"{ELLIPSIS}{at}" for at in range(count))
        sizes: dict[str, Dim] = {name: x.shape[dots[0] + at] for at, name in enumerate(hidden)}
        sizes |= {axis.name: axis.number for side in ("left", "right") for axis in pattern.axes(side).values() if axis.number is not None}
        sizes |= self.axes
        at = 0
        for group in pattern.left:
            if _is_ellipsis(group):
                at += count
                continue
            self._divide(group, at, x.shape[at], sizes)
            at += 1
        return list(_written_out(pattern.left, hidden)), list(_written_out(pattern.right, hidden)), sizes

    def _divide(self, group: Group, at: int, size: Dim, sizes: dict[str, Dim]) -> None:
        """Finds the one size of a group that is not known yet, or checks that all of them make up the axis."""
        unknown = [axis for axis in group.axes if axis.name not in sizes]
        known = demands.numel([sizes[axis.name] for axis in group.axes if axis.name in sizes])
        if len(unknown) > 1:
            names = " and ".join(f"`{axis.name}`" for axis in unknown)
            help = f"give one of them beside the pattern: `{unknown[-1].name}: 2`"
            raise self._refusal(f"cannot tell the sizes of {names} in `{group.text}`, which is {size}", group.start, group.end, help)
        if not unknown:
            self._same(group, at, size, known)
            return
        found = _quotient(size, known)
        if found is None:
            raise self._indivisible(group, at, size, known)
        sizes[unknown[0].name] = found

    def _same(self, group: Group, at: int, size: Dim, known: Dim) -> None:
        verdict = equal(size, known)
        if verdict is True:
            return
        if verdict is False:
            raise self._refusal(f"reads axis {at} as `{group.text}`, which is {known}, but its size is {size}", group.start, group.end)
        message = f"reads axis {at} as `{group.text}`, which is {known}, but cannot prove that its size `{size}` is that"
        raise self._refusal(message, group.start, group.end)

    def _indivisible(self, group: Group, at: int, size: Dim, known: Dim) -> Refusal:
        if isinstance(known, int) and divisible(size, known) is False:
            return self._refusal(
                f"cannot split axis {at}, which is {size}, into `{group.text}`: it does not divide by {known}", group.start, group.end
            )
        message = f"cannot split axis {at}, which is `{size}`, into `{group.text}`: that it divides by {known} cannot be proved"
        name = str(size)
        help = f"declare `{known}*{name.lower()}` instead of `{name}` in the input" if isinstance(known, int) and name.isidentifier() else None
        return self._refusal(message, group.start, group.end, help)

    def _refusal(self, message: str, start: int, end: int, help: str | None = None) -> Refusal:
        return Refusal(f"`{self.kind}` {message}", field="pattern", part=(start, end), help=help)

    # Types and code --------------------------------------------------------------------------------------------------

    def infer(self, x: TensorType) -> TensorType:
        _, right, sizes = self._layout(x)
        return TensorType(self._dtype(x), tuple(demands.numel([sizes[name] for name in group]) for group in right))

    def _dtype(self, x: TensorType) -> str:
        return x.dtype

    def source(self, x: TensorType) -> Expression:
        left, right, sizes = self._layout(x)
        here, there = [name for group in left for name in group], [name for group in right for name in group]
        code = _split(Input(), left, sizes)
        code, here = self._reduced(code, here, there)
        order = tuple(here.index(name) for name in there if name in here)
        if order != tuple(range(len(order))):
            code = Method(code, "permute", order)
        code = _repeated(code, here, there, sizes)
        return _joined(code, right, sizes)

    def _reduced(self, code: Expression, here: list[str], there: list[str]) -> tuple[Expression, list[str]]:
        return code, here


def _is_ellipsis(group: Group) -> bool:
    return any(axis.name == ELLIPSIS for axis in group.axes)


def _written_out(groups: Sequence[Group], hidden: Names) -> Iterator[Names]:
    for group in groups:
        if len(group.axes) == 1 and _is_ellipsis(group) and group.end - group.start == len(ELLIPSIS):
            yield from ((name,) for name in hidden)
        else:
            yield tuple(name for axis in group.axes for name in (hidden if axis.name == ELLIPSIS else (axis.name,)))


def _quotient(total: Dim, known: Dim) -> Dim | None:
    """total / known where it is a whole number for every size."""
    if isinstance(known, int):
        return total // known if divisible(total, known) is True else None
    try:
        return total // known
    except DimError:
        return None


def _free(sizes: Sequence[Dim]) -> tuple[Dim, ...]:
    """The sizes with -1 for the first that is no number."""
    first = next((at for at, size in enumerate(sizes) if isinstance(size, Poly)), None)
    return tuple(-1 if at == first else size for at, size in enumerate(sizes))


def _fits_a_reshape(sizes: Sequence[Dim]) -> bool:
    return sum(isinstance(size, Poly) for size in sizes) <= 1


def _reshape(code: Expression, sizes: Sequence[Dim]) -> Expression:
    return Method(code, "reshape", _free(sizes) or ((),))


def _split(code: Expression, groups: Sequence[Names], sizes: dict[str, Dim]) -> Expression:
    """Every axis on its own."""
    if all(len(group) == 1 for group in groups):
        return code
    apart = [sizes[name] for group in groups for name in group]
    if _fits_a_reshape(apart):
        return _reshape(code, apart)
    at = 0
    for group in groups:
        if not group:
            code = Method(code, "squeeze", (at,))
        elif len(group) > 1:
            code = Method(code, "unflatten", (at, _free([sizes[name] for name in group])))
        at += len(group)
    return code


def _joined(code: Expression, groups: Sequence[Names], sizes: dict[str, Dim]) -> Expression:
    """The axes of each group as one."""
    if all(len(group) == 1 for group in groups):
        return code
    together = [demands.numel([sizes[name] for name in group]) for group in groups]
    if _fits_a_reshape(together):
        return _reshape(code, together)
    left = sum(map(len, groups))
    for at, group in enumerate(groups):
        if not group:
            code = Method(code, "unsqueeze", (at,))
        elif len(group) > 1:
            code = Method(code, "flatten", (at,) if len(group) == left else (at, at + len(group) - 1))
        left -= len(group)
    return code


def _repeated(code: Expression, here: Sequence[str], there: Sequence[str], sizes: dict[str, Dim]) -> Expression:
    """The axes of `there` that are not here yet, each stretched to its size."""
    if all(name in here for name in there):
        return code
    keys = [Slice() if name in here else None for name in there]
    while keys and keys[-1] is not None:
        keys.pop()
    wide = tuple(-1 if name in here else sizes[name] for name in there)
    return Method(Index(code, tuple(keys)), "expand", wide)


def _only(pattern: Pattern, side: str, other: str, message: str) -> None:
    """Refuses an axis that one side has and the other has not."""
    beyond = pattern.axes(other)
    for axis in pattern.axes(side).values():
        if axis.name not in beyond:
            raise PatternError(message.format(axis.text), axis.start, axis.end)


def _no_numbers(axes: dict[str, Axis], where: str) -> None:
    for axis in axes.values():
        if axis.number is not None:
            raise PatternError(f"a number other than 1 stands for an axis {where}; give it a name", axis.start, axis.end)


@function("rearrange", primary="pattern", torch="einops.rearrange", aliases=("einops", "einops_rearrange"))
class Rearrange(Layout):
    """The same elements under a new arrangement: axes split, swapped and joined as the pattern says."""

    examples = (
        Example(text="rearrange: b c h w -> b (h w) c", given="float32[B, 4, H, W]", gives="float32[B, H*W, 4]"),
        Example(text="rearrange: {pattern: b t (k h d) -> k b h t d, k: 3, h: 2}", given="float32[B, T, 24]", gives="float32[3, B, 2, T, 4]"),
        Example(text="rearrange: b ... -> b (...)", given="float32[B, 4, 3, 3]", gives="float32[B, 36]"),
        Example(text="rearrange: {pattern: b (h p) -> b h p, p: 3}", given="float32[B, 8]", refused="it does not divide by 3"),
    )

    def _suits(self, pattern: Pattern) -> None:
        _no_numbers({**pattern.axes("left"), **pattern.axes("right")}, "in `einops_repeat` and `einops_reduce` only")
        _only(pattern, "left", "right", "`{}` stands on the left side only; `einops_reduce` reduces over an axis")
        _only(pattern, "right", "left", "`{}` stands on the right side only; `einops_repeat` adds an axis")


@function("einops_reduce", primary="pattern", torch="einops.reduce")
class EinopsReduce(Layout):
    """Axes that the right side does not have are reduced: their mean, sum, largest, smallest element or product."""

    reduction: Literal["mean", "sum", "max", "min", "prod"]

    examples = (
        Example(text="einops_reduce: {pattern: b c h w -> b c, reduction: mean}", given="float32[B, 4, H, W]", gives="float32[B, 4]"),
        Example(
            text="einops_reduce: {pattern: b c (h 2) (w 2) -> b c h w, reduction: max}", given="float32[B, 4, 8, 6]", gives="float32[B, 4, 4, 3]"
        ),
        Example(
            text="einops_reduce: {pattern: b t c -> b c, reduction: mean}",
            given="int64[B, T, 4]",
            refused="wants floating-point numbers, but int64 arrives",
        ),
    )

    def _suits(self, pattern: Pattern) -> None:
        _only(pattern, "right", "left", "`{}` stands on the right side only; `einops_repeat` adds an axis")

    def _dtype(self, x: TensorType) -> str:
        if self._gone():
            if self.reduction == "mean":
                demands.floating(self.kind, x)
            if self.reduction in ("max", "min") and x.dtype.startswith("complex"):
                raise Refusal(f"`{self.kind}` wants numbers that can be compared, but {x.dtype} arrives", field="reduction", code="SB0501")
            if self.reduction in ("sum", "prod") and (x.dtype == "bool" or is_integer(x.dtype)):
                return "int64"
        return x.dtype

    def _gone(self) -> bool:
        pattern = parse_pattern(self.pattern)
        return not pattern.axes("left").keys() <= pattern.axes("right").keys()

    def _reduced(self, code: Expression, here: list[str], there: list[str]) -> tuple[Expression, list[str]]:
        gone = tuple(at for at, name in enumerate(here) if name not in there)
        if not gone:
            return code, here
        method = {"max": "amax", "min": "amin"}.get(self.reduction, self.reduction)
        if method == "prod":  # takes one axis at a time
            for dim in reversed(gone):
                code = Method(code, method, (dim,))
        else:
            code = Method(code, method, (gone if len(gone) > 1 else min(gone),))
        return code, [name for name in here if name in there]


@function("einops_repeat", primary="pattern", torch="einops.repeat")
class EinopsRepeat(Layout):
    """Axes that only the right side has are new: the elements are repeated along them."""

    examples = (
        Example(text="einops_repeat: {pattern: b c -> b t c, t: 5}", given="float32[B, 4]", gives="float32[B, 5, 4]"),
        Example(text="einops_repeat: b c h w -> b c (h 2) (w 2)", given="float32[B, 4, H, W]", gives="float32[B, 4, 2*H, 2*W]"),
        Example(text="einops_repeat: b c -> b t c", given="float32[B, 4]", refused="`t` is new, so its size must be given: add `t: 2`"),
    )

    def _suits(self, pattern: Pattern) -> None:
        _no_numbers(pattern.axes("left"), "that is new or reduced")
        _only(pattern, "left", "right", "`{}` stands on the left side only; `einops_reduce` reduces over an axis")
        for axis in pattern.axes("right").values():
            if axis.name not in pattern.axes("left") and axis.number is None and axis.name not in self.axes:
                if axis.name == ELLIPSIS:
                    raise PatternError("`...` stands on the right side only", axis.start, axis.end)
                raise PatternError(f"`{axis.name}` is new, so its size must be given: add `{axis.name}: 2`", axis.start, axis.end)
