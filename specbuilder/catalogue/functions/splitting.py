"""Functions that take a tensor apart along an axis: unbind, chunk, split. Each gives several tensors, called by their number: `qkv.0`."""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Call, Example, Expression, Function, Index, Input, NonNegativeInt, PositiveInt, Refusal, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import Dim, Poly, TensorType, divisible

EMPTY_PART = "a part of size 0, which holds nothing"
MOST_PARTS = 10_000


class Splitting(Function):
    """What the three share: a list of parts."""

    dim: int

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        parts = self._parts(x)
        if len(parts) > MOST_PARTS:
            raise Refusal(f"`{self.kind}` would give more than {MOST_PARTS:,} tensors, which is the most a node gives")
        return parts

    def source(self, x: TensorType) -> Expression:
        # A lone part is the output itself, not a tuple of it.
        return Index(self._call(), (0,)) if len(self._parts(x)) == 1 else self._call()

    def _axis(self, x: TensorType) -> tuple[int, Dim]:
        at = demands.axis(self.kind, self.dim, x)
        return at, x.shape[at]

    def _along(self, x: TensorType, sizes: tuple[Dim, ...]) -> tuple[TensorType, ...]:
        at, _ = self._axis(x)
        return tuple(x.with_shape((*x.shape[:at], size, *x.shape[at + 1 :])) for size in sizes)

    def _uncounted(self, size: Dim) -> Refusal:
        help = "split it by a list of sizes" if self.kind == "split" else None
        return Refusal(f"`{self.kind}` cannot tell how many tensors it gives: the size of axis {self.dim} is `{size}`", field="dim", help=help)

    def _parts(self, x: TensorType) -> tuple[TensorType, ...]:
        raise NotImplementedError

    def _call(self) -> Call:
        raise NotImplementedError


@function("unbind", primary="dim", torch="torch.unbind", aliases=("unstack",))
class Unbind(Splitting):
    """Each place along the axis `dim` as a tensor of its own, without that axis."""

    dim: int = 0
    examples = (
        Example(text="unbind: 0", given="float32[2, B, 4]", gives=("float32[B, 4]", "float32[B, 4]")),
        Example(text="unbind: 2", given="float32[B, 4]", refused="no axis 2 in [B, 4]"),
    )

    def _parts(self, x: TensorType) -> tuple[TensorType, ...]:
        at, size = self._axis(x)
        if isinstance(size, Poly):
            raise self._uncounted(size)
        part = x.with_shape((*x.shape[:at], *x.shape[at + 1 :]))
        return (part,) * min(size, MOST_PARTS + 1)

    def _call(self) -> Call:
        return call("torch.unbind", Input(), self.dim)


@function("chunk", primary="chunks", torch="torch.chunk")
class Chunk(Splitting):
    """At most `chunks` parts of one size, the last one smaller where they do not divide."""

    chunks: PositiveInt
    dim: int = 0
    examples = (
        Example(text="chunk: {chunks: 2, dim: 1}", given="float32[B, 4]", gives=("float32[B, 2]", "float32[B, 2]")),
        Example(text="chunk: {chunks: 2, dim: 1}", given="float32[B, 2*T]", gives=("float32[B, T]", "float32[B, T]")),
    )

    def _parts(self, x: TensorType) -> tuple[TensorType, ...]:
        _, size = self._axis(x)
        if isinstance(size, Poly):
            if divisible(size, self.chunks) is not True:
                raise self._uncounted(size)
            return self._along(x, (size // self.chunks,) * min(self.chunks, MOST_PARTS + 1))
        return self._along(x, _steps(size, -(-size // self.chunks)))

    def _call(self) -> Call:
        return call("torch.chunk", Input(), self.chunks, **self.changed("dim"))


@function("split", primary="split_size_or_sections", torch="torch.split")
class Split(Splitting):
    """Parts of the given sizes, or of one size, the last one smaller where it does not divide."""

    split_size_or_sections: PositiveInt | tuple[NonNegativeInt, ...] = Field(description="the size of a part, or all sizes")
    dim: int = 0

    stricter_than_torch = (EMPTY_PART,)
    examples = (
        Example(text="split: {split_size_or_sections: [1, 3], dim: 1}", given="float32[B, 4]", gives=("float32[B, 1]", "float32[B, 3]")),
        Example(text="split: {split_size_or_sections: 3, dim: 1}", given="float32[B, 4]", gives=("float32[B, 3]", "float32[B, 1]")),
        Example(text="split: {split_size_or_sections: [1, 2], dim: 1}", given="float32[B, 4]", refused="splits axis 1 into 3, but its size is 4"),
    )

    def _parts(self, x: TensorType) -> tuple[TensorType, ...]:
        at, size = self._axis(x)
        if isinstance(self.split_size_or_sections, int):
            if isinstance(size, Poly):
                raise self._uncounted(size)
            return self._along(x, _steps(size, self.split_size_or_sections))
        sections = self.split_size_or_sections
        if 0 in sections or not sections:
            raise Refusal("`split` wants sizes of at least 1", field="split_size_or_sections")
        if sum(sections) != size:
            message = f"`split` splits axis {at} into {sum(sections)}, but its size is {size}"
            raise Refusal(message, field="split_size_or_sections")
        return self._along(x, sections)

    def _call(self) -> Call:
        return call("torch.split", Input(), self.split_size_or_sections, **self.changed("dim"))


def _steps(size: int, step: int) -> tuple[int, ...]:
    """The sizes of the parts; more than any node gives need not be counted."""
    count = min(size // step, MOST_PARTS + 1)
    return (step,) * count + ((size % step,) if size % step else ())
