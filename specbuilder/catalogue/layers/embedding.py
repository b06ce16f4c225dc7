"""Embedding: a trained vector for each of a number of things. (...) of int64 or int32 -> (..., embedding_dim)."""

from __future__ import annotations

from collections.abc import Mapping

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Argument, Example, Expression, Input, Layer, Module, Parameter, PositiveInt, Refusal, call, layer
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import TensorType


@layer("embedding", torch="nn.Embedding", aliases=("embed", "lookup_table"))
class Embedding(Layer):
    """A vector for each number 0 to num_embeddings - 1: (...) -> (..., embedding_dim)."""

    num_embeddings: PositiveInt = Field(description="how many things there are: the vocabulary, the longest text")
    embedding_dim: PositiveInt = Field(description="the length of a vector")
    padding_idx: int | None = Field(default=None, description="this one is 0 at first and is not trained; negative counts from the end")

    stricter_than_torch = (demands.EMPTY,)
    examples = (
        Example(text="embedding: {num_embeddings: 100, embedding_dim: 8}", given="int64[B, T]", gives="float32[B, T, 8]", parameters=800),
        Example(text="embedding: {num_embeddings: 100, embedding_dim: 8}", given="float32[B, T]", refused="wants whole numbers"),
    )

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype not in ("int64", "int32"):
            raise Refusal(
                f"`embedding` wants whole numbers (int64 or int32), but {x.dtype} arrives", help="declare the input as int64", code="SB0501"
            )
        if self.padding_idx is not None and not -self.num_embeddings <= self.padding_idx < self.num_embeddings:
            message = f"`embedding` has {self.num_embeddings} vectors, so there is none with number {self.padding_idx}"
            raise Refusal(message, field="padding_idx")
        return TensorType(demands.WEIGHTS, (*x.shape, self.embedding_dim))

    def limits(self) -> Mapping[str, int]:
        return {"input": self.num_embeddings}

    def parameters(self, x: TensorType) -> dict[str, Parameter]:
        return {"weight": demands.parameter("embedding", self.num_embeddings, self.embedding_dim)}

    def source(self, x: TensorType) -> Module:
        return Module(call("nn.Embedding", self.num_embeddings, self.embedding_dim, **self.changed("padding_idx")))

    def with_transposed(self, tensor: str, held: Mapping[str, Argument]) -> Expression | None:
        return call("F.embedding", Input(), held["weight"], **self.changed("padding_idx")) if tensor == "weight" else None
