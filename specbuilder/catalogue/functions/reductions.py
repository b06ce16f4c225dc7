"""Reductions: mean, sum, product, spread and the largest element, over some axes or over all of them; and running sums."""

from __future__ import annotations

from typing import Any

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Input, NonNegativeInt, Refusal, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import TensorType, is_floating, is_integer

NEGATIVE_CORRECTION = "a correction below 0"


class Reduction(Function):
    """What the reductions share."""

    dim: int | tuple[int, ...] | None = Field(default=None, description="the axes to reduce; omitted, all of them, the batch included")
    keepdim: bool = Field(default=False, description="keep reduced axes, with size 1")

    stricter_than_torch = (demands.SCALAR_AXIS, demands.NO_AXIS)

    def infer(self, x: TensorType) -> TensorType:
        gone = demands.axes(self.kind, self.dim, x)
        kept = tuple(1 if at in gone else size for at, size in enumerate(x.shape) if self.keepdim or at not in gone)
        return TensorType(self._dtype(x), kept)

    def source(self, x: TensorType) -> Expression:
        dim = tuple(range(x.rank)) if self.dim is None and self.keepdim else self.dim
        chosen: tuple[Any, ...] = () if dim is None else (dim,)
        return call(self.torch_name, Input(), *chosen, **self.changed("keepdim"))

    def _dtype(self, x: TensorType) -> str:
        return x.dtype


@function("mean", primary="dim", torch="torch.mean", aliases=("average", "reduce_mean"))
class Mean(Reduction):
    """The mean over the axes `dim`."""

    stricter_than_torch = (demands.NOT_FLOATING, demands.SCALAR_AXIS, demands.NO_AXIS)
    examples = (
        Example(text="mean: [2, 3]", given="float32[B, 4, H, W]", gives="float32[B, 4]"),
        Example(text="mean: {dim: 1, keepdim: true}", given="float32[B, 4]", gives="float32[B, 1]"),
        Example(text="mean", given="float32[B, 4]", gives="float32[]"),
        Example(text="mean: 1", given="int64[B, 4]", refused="wants floating-point numbers, but int64 arrives"),
    )

    def _dtype(self, x: TensorType) -> str:
        demands.floating(self.kind, x)
        return x.dtype


@function("sum", primary="dim", torch="torch.sum", aliases=("reduce_sum",))
class Sum(Reduction):
    """The sum over the axes `dim`; whole numbers and booleans are summed as int64."""

    examples = (
        Example(text="sum: -1", given="float32[B, 4]", gives="float32[B]"),
        Example(text="sum: 1", given="bool[B, 4]", gives="int64[B]"),
    )

    def _dtype(self, x: TensorType) -> str:
        return "int64" if x.dtype == "bool" or is_integer(x.dtype) else x.dtype


@function("amax", primary="dim", torch="torch.amax", aliases=("reduce_max", "max"))
class Amax(Reduction):
    """The largest element over the axes `dim`."""

    examples = (Example(text="amax: 1", given="float32[B, 4]", gives="float32[B]"),)

    def _dtype(self, x: TensorType) -> str:
        if not is_floating(x.dtype) and not is_integer(x.dtype) and x.dtype != "bool":
            raise Refusal(f"`{self.kind}` wants numbers that can be compared, but {x.dtype} arrives", code="SB0501")
        return x.dtype


@function("amin", primary="dim", torch="torch.amin", aliases=("reduce_min", "min"))
class Amin(Amax):
    """The smallest element over the axes `dim`."""

    examples = (Example(text="amin: 1", given="float32[B, 4]", gives="float32[B]"),)


@function("logsumexp", primary="dim", torch="torch.logsumexp", aliases=("log_sum_exp",))
class Logsumexp(Reduction):
    """The logarithm of the sum of exp(x) over the axes `dim`, computed stably."""

    dim: int | tuple[int, ...] = Field(description="the axes to reduce")

    stricter_than_torch = (demands.NOT_FLOATING, demands.SCALAR_AXIS, demands.NO_AXIS)
    examples = (Example(text="logsumexp: 1", given="float32[B, 4]", gives="float32[B]"),)

    def _dtype(self, x: TensorType) -> str:
        demands.floating(self.kind, x)
        return x.dtype


class Spread(Reduction):
    """How far the elements lie from their mean."""

    correction: NonNegativeInt = Field(default=1, description="the divisor is the number of elements less this: 1 for a sample, 0 for all there are")
    keepdim: bool = Field(default=False, description="keep reduced axes, with size 1")

    stricter_than_torch = (demands.SCALAR_AXIS, demands.NO_AXIS, NEGATIVE_CORRECTION, demands.NOT_FLOATING)

    def _dtype(self, x: TensorType) -> str:
        demands.floating(self.kind, x)
        return x.dtype

    def source(self, x: TensorType) -> Expression:
        dim = tuple(range(x.rank)) if self.dim is None and self.keepdim else self.dim
        chosen: tuple[Any, ...] = () if dim is None else (dim,)
        return call(self.torch_name, Input(), *chosen, **self.changed("correction", "keepdim"))


@function("var", primary="dim", torch="torch.var", aliases=("variance",))
class Var(Spread):
    """The variance over the axes `dim`."""

    examples = (Example(text="var: 1", given="float32[B, 4]", gives="float32[B]"),)


@function("std", primary="dim", torch="torch.std", aliases=("standard_deviation", "stddev"))
class Std(Spread):
    """The standard deviation over the axes `dim`."""

    examples = (Example(text="std: 1", given="float32[B, 4]", gives="float32[B]"),)


@function("prod", primary="dim", torch="torch.prod", aliases=("product", "reduce_prod"))
class Prod(Function):
    """The product over the axis `dim`, or of all elements; that of whole numbers and booleans is int64."""

    dim: int | None = Field(default=None, description="the axis to reduce; omitted, all of them, the batch included")
    keepdim: bool = Field(default=False, description="keep the reduced axis, with size 1")

    stricter_than_torch = (demands.SCALAR_AXIS,)
    examples = (
        Example(text="prod: 1", given="float32[B, 4]", gives="float32[B]"),
        Example(text="prod: {keepdim: true}", given="float32[B, 4]", refused="keeps the axis `dim`, but none is named"),
    )

    def infer(self, x: TensorType) -> TensorType:
        dtype = "int64" if x.dtype == "bool" or is_integer(x.dtype) else x.dtype
        if self.dim is None:
            if self.keepdim:
                raise Refusal("`prod` keeps the axis `dim`, but none is named", field="keepdim")
            return TensorType(dtype, ())
        at = demands.axis(self.kind, self.dim, x)
        return TensorType(dtype, (*x.shape[:at], *([1] if self.keepdim else []), *x.shape[at + 1 :]))

    def source(self, x: TensorType) -> Expression:
        return call("torch.prod", Input(), *(() if self.dim is None else (self.dim,)), **self.changed("keepdim"))


@function("cumsum", primary="dim", torch="torch.cumsum", aliases=("cumulative_sum",))
class Cumsum(Function):
    """The sum of all elements up to each one along the axis `dim`; that of whole numbers and booleans is int64."""

    dim: int

    stricter_than_torch = (demands.SCALAR_AXIS,)
    examples = (Example(text="cumsum: 1", given="float32[B, T]", gives="float32[B, T]"),)

    def infer(self, x: TensorType) -> TensorType:
        demands.axis(self.kind, self.dim, x)
        return x.with_dtype("int64") if x.dtype == "bool" or is_integer(x.dtype) else x

    def source(self, x: TensorType) -> Expression:
        return call("torch.cumsum", Input(), self.dim)
