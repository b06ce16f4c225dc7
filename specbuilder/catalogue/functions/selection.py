"""Functions that pick elements or say where they are: topk, sort, argmax, argmin, one_hot, gather, index_select. Positions are int64."""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Input, Port, PositiveInt, Refusal, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import Requirement, TensorType, at_least, is_floating, is_integer

COUNTED_CLASSES = "as many classes as the batch happens to have (-1)"
NOTHING_CHOSEN = "no position at all, which gives an empty tensor"
LIST_OF_ONE = "a single number (rank 0) as a list of one"


def _comparable(kind: str, x: TensorType, *, bools: bool = True) -> None:
    if not (is_floating(x.dtype) or is_integer(x.dtype) or (bools and x.dtype == "bool")):
        raise Refusal(f"`{kind}` wants numbers that can be compared, but {x.dtype} arrives", code="SB0501")


@function("topk", primary="k", torch="torch.topk", aliases=("top_k",))
class Topk(Function):
    """The `k` largest elements along the axis `dim`, and their positions: `top.values`, `top.indices`."""

    outputs = ("values", "indices")

    k: PositiveInt
    dim: int = -1
    largest: bool = Field(default=True, description="false: the smallest ones")
    sorted: bool = Field(default=True, description="the largest first; false: in any order")

    stricter_than_torch = (NOTHING_CHOSEN, demands.SCALAR_AXIS)
    examples = (
        Example(text="topk: 2", given="float32[B, T, 8]", gives=("float32[B, T, 2]", "int64[B, T, 2]")),
        Example(text="topk: 9", given="float32[B, 8]", refused="wants the 9 largest of 8 elements"),
    )

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        _comparable(self.kind, x, bools=False)
        at = demands.axis(self.kind, self.dim, x)
        if at_least(x.shape[at], self.k) is False:
            which = "largest" if self.largest else "smallest"
            raise Refusal(f"`topk` wants the {self.k} {which} of {demands.counted(x.shape[at], 'element', 'elements')}", field="k")
        shape = (*x.shape[:at], self.k, *x.shape[at + 1 :])
        return TensorType(x.dtype, shape), TensorType("int64", shape)

    def requirements(self, x: TensorType) -> tuple[Requirement, ...]:
        return (Requirement(x.shape[self.dim], self.k),)

    def source(self, x: TensorType) -> Expression:
        return call("torch.topk", Input(), self.k, **self.changed("dim", "largest", "sorted"))


@function("sort", primary="dim", torch="torch.sort")
class Sort(Function):
    """The elements in order along the axis `dim`, and the positions they had: `values`, `indices`."""

    outputs = ("values", "indices")

    dim: int = -1
    descending: bool = Field(default=False, description="the largest first")

    stricter_than_torch = (demands.SCALAR_AXIS,)
    examples = (Example(text="sort", given="float32[B, 8]", gives=("float32[B, 8]", "int64[B, 8]")),)

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        _comparable(self.kind, x)
        demands.axis(self.kind, self.dim, x)
        return x, x.with_dtype("int64")

    def source(self, x: TensorType) -> Expression:
        return call("torch.sort", Input(), **self.changed("dim", "descending"))


class Position(Function):
    """Where an extreme element is."""

    dim: int | None = Field(default=None, description="the axis; omitted, the position among all elements")
    keepdim: bool = Field(default=False, description="keep the axis, with size 1")

    stricter_than_torch = (demands.SCALAR_AXIS,)

    def infer(self, x: TensorType) -> TensorType:
        _comparable(self.kind, x, bools=False)
        at = None if self.dim is None else demands.axis(self.kind, self.dim, x)
        kept = tuple(1 if at in (None, axis) else size for axis, size in enumerate(x.shape) if self.keepdim or at not in (None, axis))
        return TensorType("int64", kept)

    def source(self, x: TensorType) -> Expression:
        return call(self.torch_name, Input(), **self.changed("dim", "keepdim"))


@function("argmax", primary="dim", torch="torch.argmax")
class Argmax(Position):
    """The position of the largest element."""

    examples = (
        Example(text="argmax: 1", given="float32[B, 10]", gives="int64[B]"),
        Example(text="argmax: 2", given="float32[B, 10]", refused="no axis 2 in [B, 10]"),
    )


@function("argmin", primary="dim", torch="torch.argmin")
class Argmin(Position):
    """The position of the smallest element."""

    examples = (Example(text="argmin: 1", given="float32[B, 10]", gives="int64[B]"),)


@function("one_hot", primary="num_classes", torch="F.one_hot", aliases=("onehot", "to_categorical"))
class OneHot(Function):
    """1 at the place that each number names and 0 elsewhere: int64[...] -> int64[..., num_classes]."""

    num_classes: PositiveInt

    stricter_than_torch = (COUNTED_CLASSES,)
    examples = (
        Example(text="one_hot: 10", given="int64[B]", gives="int64[B, 10]"),
        Example(text="one_hot: 10", given="float32[B]", refused="wants int64, but float32 arrives"),
    )

    def infer(self, x: TensorType) -> TensorType:
        _whole(self.kind, x, ("int64",))
        return x.with_shape((*x.shape, self.num_classes))

    def source(self, x: TensorType) -> Expression:
        return call("F.one_hot", Input(), self.num_classes)


def _whole(kind: str, x: TensorType, dtypes: tuple[str, ...], port: str | None = None) -> None:
    if x.dtype not in dtypes:
        raise Refusal(f"`{kind}` wants {' or '.join(dtypes)}, but {x.dtype} arrives", port=port, help="`cast: int64` converts", code="SB0501")


@function("gather", primary="dim", torch="torch.gather")
class Gather(Function):
    """The elements of `input` at the places that `index` names along the axis `dim`; elsewhere `index` is no larger than `input`."""

    inputs = (Port("input"), Port("index"))
    positional = ("input", "dim", "index")

    dim: int

    stricter_than_torch = (demands.SCALAR_AXIS, LIST_OF_ONE)
    examples = (
        Example(text="gather: 1", given=("float32[B, 10]", "int64[B, 3]"), gives="float32[B, 3]"),
        Example(text="gather: 1", given=("float32[B, 10]", "int64[B]"), refused="wants equal ranks, found [B, 10] and [B]"),
    )

    def infer(self, input: TensorType, index: TensorType) -> TensorType:
        _whole(self.kind, index, ("int64", "int32"), "index")
        if input.rank != index.rank:
            raise Refusal(f"`gather` wants equal ranks, found {input.shape_text} and {index.shape_text}", port="index")
        along = demands.axis(self.kind, self.dim, input)
        for at, (size, chosen) in enumerate(zip(input.shape, index.shape, strict=True)):
            if at == along:
                continue
            verdict = at_least(size - chosen, 0)
            if not verdict:
                found = f"is {chosen}" if verdict is False else f"is `{chosen}`, which cannot be proved to be"
                raise Refusal(f"`gather` wants an index of at most {size} on axis {at}, but it {found}", port="index")
        return input.with_shape(index.shape)

    def source(self, input: TensorType, index: TensorType) -> Expression:
        return call("torch.gather", Input(0), self.dim, Input(1))


@function("index_select", primary="dim", torch="torch.index_select", aliases=("take",))
class IndexSelect(Function):
    """The places of the axis `dim` that `index`, a list of numbers, names."""

    inputs = (Port("input"), Port("index"))
    positional = ("input", "dim", "index")

    dim: int

    stricter_than_torch = (demands.SCALAR_AXIS, LIST_OF_ONE)
    examples = (
        Example(text="index_select: 1", given=("float32[B, 10]", "int64[3]"), gives="float32[B, 3]"),
        Example(text="index_select: 1", given=("float32[B, 10]", "int64[B, 3]"), refused="wants a list of numbers, but int64[B, 3] has 2 axes"),
    )

    def infer(self, input: TensorType, index: TensorType) -> TensorType:
        _whole(self.kind, index, ("int64", "int32"), "index")
        if index.rank != 1:
            axes = demands.counted(index.rank, "axis", "axes")
            raise Refusal(f"`index_select` wants a list of numbers, but {index} has {axes}", port="index")
        at = demands.axis(self.kind, self.dim, input)
        return input.with_shape((*input.shape[:at], index.shape[0], *input.shape[at + 1 :]))

    def source(self, input: TensorType, index: TensorType) -> Expression:
        return call("torch.index_select", Input(0), self.dim, Input(1))
