"""Functions that keep what arrives from call to call: append, which joins it behind what arrived before, as a KV cache does."""

from __future__ import annotations

from collections.abc import Callable

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Input, Stateful, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import Dim, TensorType


@function("append", primary="dim", torch="torch.concat", aliases=("kv_cache", "cache"))
class Append(Stateful):
    """What arrives, behind what arrived in earlier calls along the axis `dim`. Without a state nothing came before, and it changes nothing."""

    dim: int = Field(description="the axis along which calls follow each other")

    examples = (
        Example(text="append: 2", given="float32[B, 4, T, 8]", gives="float32[B, 4, T, 8]"),
        Example(text="append: 1", given="int64[B, T]", gives="int64[B, T]"),
        Example(text="append: 2", given="int64[B, T]", refused="has no axis 2 in [B, T]"),
    )

    def past(self, x: TensorType, *, before: Callable[[Dim], Dim]) -> tuple[TensorType, ...]:
        return (self._with_places(x, before(x.shape[demands.axis(self.kind, self.dim, x)])),)

    def infer(self, x: TensorType) -> TensorType:
        demands.axis(self.kind, self.dim, x)
        return x

    def infer_later(self, past: tuple[TensorType, ...], x: TensorType) -> TensorType:
        along = demands.axis(self.kind, self.dim, x)
        return self._with_places(x, past[0].shape[along] + x.shape[along])

    def source(self, x: TensorType) -> Expression:
        return Input()

    def source_later(self, past: tuple[Input, ...], x: TensorType) -> Expression:
        return call("torch.cat", (past[0], Input()), self.dim)

    def _with_places(self, x: TensorType, count: Dim) -> TensorType:
        """The same type with another number of places."""
        along = demands.axis(self.kind, self.dim, x)
        return x.with_shape((*x.shape[:along], count, *x.shape[along + 1 :]))
