"""Reductions: mean, sum and the largest element, over some axes or over all of them."""

from __future__ import annotations

from typing import Any

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Input, Refusal, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import TensorType, is_floating, is_integer


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
            raise Refusal(f"`amax` wants numbers that can be compared, but {x.dtype} arrives", code="SB0501")
        return x.dtype
