"""Functions that arrange elements anew and compute nothing: flatten, unflatten, reshape, permute, transpose, squeeze, unsqueeze, roll, identity."""

from __future__ import annotations

from collections.abc import Sequence

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Input, Refusal, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import Dim, DimError, Poly, TensorType, divisible, equal

Size = int | Poly
"""A size as a field: a number, or what `$B` or `$(2 * T)` becomes."""

NO_SQUEEZE = "squeezing an axis whose size is not 1, which torch leaves as it is in silence"


@function("identity", torch="nn.Identity", aliases=("noop", "pass", "none"))
class Identity(Function):
    """What arrives, as it is."""

    examples = (Example(text="identity", given="float32[B, 4]", gives="float32[B, 4]"),)

    def infer(self, x: TensorType) -> TensorType:
        return x

    def source(self, x: TensorType) -> Expression:
        return Input()


@function("flatten", torch="torch.flatten", aliases=("view_flat", "ravel"))
class Flatten(Function):
    """Joins axes into one, by default all but the batch, as nn.Flatten does: (B, C, H, W) -> (B, C H W)."""

    start_dim: int = 1
    end_dim: int = -1

    stricter_than_torch = (demands.SCALAR_AXIS,)
    examples = (
        Example(text="flatten", given="float32[B, 4, 3, 3]", gives="float32[B, 36]"),
        Example(text="flatten: {start_dim: 2}", given="float32[B, 4, H, W]", gives="float32[B, 4, H*W]"),
        Example(text="flatten: {start_dim: 3}", given="float32[B, 4]", refused="no axis 3 in [B, 4]"),
    )

    def infer(self, x: TensorType) -> TensorType:
        first = demands.axis(self.kind, self.start_dim, x, field="start_dim")
        last = demands.axis(self.kind, self.end_dim, x, field="end_dim")
        if first > last:
            raise Refusal(f"`flatten` begins at axis {first}, which is after its end, axis {last}", field="start_dim")
        return x.with_shape((*x.shape[:first], demands.numel(x.shape[first : last + 1]), *x.shape[last + 1 :]))

    def source(self, x: TensorType) -> Expression:
        return call("torch.flatten", Input(), self.start_dim, **self.changed("end_dim"))


def filled(kind: str, sizes: Sequence[Dim], total: Dim, field: str) -> tuple[Dim, ...]:
    """The sizes with the one -1 replaced by what is left of `total` elements."""
    text = f"[{', '.join(map(str, sizes))}]"
    for at, size in enumerate(sizes):
        if isinstance(size, int) and size < 1 and size != -1:
            raise Refusal(f"`{kind}` wants positive sizes, or one -1 for what is left, but {text} has {size} at position {at}", field=field)
    if list(sizes).count(-1) > 1:
        raise Refusal(f"`{kind}` can work out one -1, but {text} has {list(sizes).count(-1)}", field=field)
    known = demands.numel([size for size in sizes if size != -1])
    if -1 in sizes:
        rest = _quotient(total, known)
        if rest is None:
            raise Refusal(f"`{kind}` cannot arrange {total} elements as {text}: they do not divide by {known}", field=field)
        return tuple(rest if size == -1 else size for size in sizes)
    if equal(total, known) is not True:
        wording = "are not" if equal(total, known) is False else "cannot be proved to be"
        raise Refusal(f"`{kind}` cannot arrange {total} elements as {text}: these {wording} {known}", field=field, help="put -1 for one of the sizes")
    return tuple(sizes)


def _quotient(total: Dim, known: Dim) -> Dim | None:
    """total / known where it is a whole number for every size."""
    if isinstance(known, int):
        return total // known if divisible(total, known) is True else None
    try:
        return total // known
    except DimError:
        return None


@function("reshape", primary="shape", torch="torch.reshape", aliases=("view",))
class Reshape(Function):
    """The same elements in a new shape, the batch axis included; one size may be -1: what is left."""

    shape: tuple[Size, ...] = Field(description="all sizes, the batch's included: `[-1, 4, 8]`")

    examples = (
        Example(text="reshape: [-1, 2, 2]", given="float32[B, 4]", gives="float32[B, 2, 2]"),
        Example(text="reshape: [-1, 3]", given="float32[5, 4]", refused="cannot arrange 20 elements as [-1, 3]: they do not divide by 3"),
    )

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(filled(self.kind, self.shape, demands.numel(x.shape), "shape"))

    def source(self, x: TensorType) -> Expression:
        return call("torch.reshape", Input(), self.shape)


@function("unflatten", torch="torch.unflatten")
class Unflatten(Function):
    """Splits an axis into several: (B, 784) -> (B, 1, 28, 28)."""

    dim: int
    unflattened_size: tuple[Size, ...] = Field(description="the sizes that replace the axis; one may be -1: what is left")

    examples = (
        Example(text="unflatten: {dim: 1, unflattened_size: [1, 28, 28]}", given="float32[B, 784]", gives="float32[B, 1, 28, 28]"),
        Example(text="unflatten: {dim: 1, unflattened_size: [-1, 5]}", given="float32[B, 784]", refused="they do not divide by 5"),
    )

    def infer(self, x: TensorType) -> TensorType:
        at = demands.axis(self.kind, self.dim, x)
        if not self.unflattened_size:
            raise Refusal("`unflatten` wants at least one size", field="unflattened_size")
        return x.with_shape((*x.shape[:at], *filled(self.kind, self.unflattened_size, x.shape[at], "unflattened_size"), *x.shape[at + 1 :]))

    def source(self, x: TensorType) -> Expression:
        return call("torch.unflatten", Input(), self.dim, self.unflattened_size)


@function("permute", primary="dims", torch="torch.permute")
class Permute(Function):
    """Axes in a new order, all of them named: (B, C, H, W) under [0, 2, 3, 1] -> (B, H, W, C)."""

    dims: tuple[int, ...]

    examples = (
        Example(text="permute: [0, 2, 3, 1]", given="float32[B, 4, H, W]", gives="float32[B, H, W, 4]"),
        Example(text="permute: [0, 1]", given="float32[B, 4, 3]", refused="names 2 axes, but [B, 4, 3] has 3"),
    )

    def infer(self, x: TensorType) -> TensorType:
        if len(self.dims) != x.rank:
            raise Refusal(f"`permute` names {demands.counted(len(self.dims), 'axis', 'axes')}, but {x.shape_text} has {x.rank}", field="dims")
        order = demands.axes(self.kind, self.dims, x, field="dims") if self.dims else ()
        return x.with_shape(tuple(x.shape[axis] for axis in order))

    def source(self, x: TensorType) -> Expression:
        return call("torch.permute", Input(), self.dims)


@function("transpose", torch="torch.transpose", aliases=("swapaxes", "swapdims"))
class Transpose(Function):
    """Two axes change places."""

    dim0: int
    dim1: int

    stricter_than_torch = (demands.SCALAR_AXIS,)
    examples = (Example(text="transpose: {dim0: 1, dim1: 2}", given="float32[B, T, 4]", gives="float32[B, 4, T]"),)

    def infer(self, x: TensorType) -> TensorType:
        a, b = demands.axis(self.kind, self.dim0, x, field="dim0"), demands.axis(self.kind, self.dim1, x, field="dim1")
        shape = list(x.shape)
        shape[a], shape[b] = shape[b], shape[a]
        return x.with_shape(tuple(shape))

    def source(self, x: TensorType) -> Expression:
        return call("torch.transpose", Input(), self.dim0, self.dim1)


@function("squeeze", primary="dim", torch="torch.squeeze")
class Squeeze(Function):
    """Removes axes of size 1. Which ones must be said, so that a batch of one sample keeps its axis."""

    dim: int | tuple[int, ...]

    stricter_than_torch = (NO_SQUEEZE, demands.SCALAR_AXIS, demands.NO_AXIS)
    examples = (
        Example(text="squeeze: 1", given="float32[B, 1]", gives="float32[B]"),
        Example(text="squeeze: 1", given="float32[B, 4]", refused="wants size 1 on axis 1, but the size is 4"),
    )

    def infer(self, x: TensorType) -> TensorType:
        gone = demands.axes(self.kind, self.dim, x)
        for axis in gone:
            if x.shape[axis] != 1:
                raise Refusal(f"`squeeze` wants size 1 on axis {axis}, but the size is {x.shape[axis]}", field="dim")
        return x.with_shape(tuple(size for axis, size in enumerate(x.shape) if axis not in gone))

    def source(self, x: TensorType) -> Expression:
        return call("torch.squeeze", Input(), self.dim)


@function("unsqueeze", primary="dim", torch="torch.unsqueeze", aliases=("expand_dims",))
class Unsqueeze(Function):
    """Adds an axis of size 1 before the axis `dim`."""

    dim: int

    examples = (Example(text="unsqueeze: 1", given="float32[B, 4]", gives="float32[B, 1, 4]"),)

    def infer(self, x: TensorType) -> TensorType:
        at = demands.axis(self.kind, self.dim, x, extra=1)
        return x.with_shape((*x.shape[:at], 1, *x.shape[at:]))

    def source(self, x: TensorType) -> Expression:
        return call("torch.unsqueeze", Input(), self.dim)


@function("roll", primary="shifts", torch="torch.roll")
class Roll(Function):
    """Elements move along axes, and those that leave at the end come in at the front."""

    shifts: int | tuple[int, ...]
    dims: int | tuple[int, ...] | None = Field(default=None, description="the axis of each shift; omitted, all elements are one row")

    stricter_than_torch = (demands.NO_AXIS,)
    examples = (
        Example(text="roll: {shifts: [-1, -1], dims: [1, 2]}", given="float32[B, H, W, 4]", gives="float32[B, H, W, 4]"),
        Example(text="roll: {shifts: [1, 2], dims: 1}", given="float32[B, 4]", refused="has 2 shifts for 1 axis"),
    )

    def infer(self, x: TensorType) -> TensorType:
        shifts = (self.shifts,) if isinstance(self.shifts, int) else self.shifts
        dims = (self.dims,) if isinstance(self.dims, int) else self.dims
        if not shifts:
            raise Refusal("`roll` wants at least one shift", field="shifts")
        if dims is None:
            if len(shifts) > 1:
                raise Refusal(f"`roll` has {len(shifts)} shifts, but no `dims` to say along which axes", field="shifts")
            return x
        if not dims:
            raise Refusal("`roll` names no axis: the list is empty", field="dims")
        if len(shifts) != len(dims):
            axes = demands.counted(len(dims), "axis", "axes")
            raise Refusal(f"`roll` has {demands.counted(len(shifts), 'shift', 'shifts')} for {axes}", field="dims")
        for dim in dims:
            demands.axis(self.kind, dim, x, field="dims")
        return x

    def source(self, x: TensorType) -> Expression:
        return call("torch.roll", Input(), self.shifts, *(() if self.dims is None else (self.dims,)))
