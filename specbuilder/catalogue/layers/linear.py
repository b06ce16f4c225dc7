"""Layers that multiply by a matrix: `linear`. (..., I) -> (..., O) on the last axis, whatever stands before it."""

from __future__ import annotations

from collections.abc import Mapping

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Argument, Example, Expression, Input, Layer, Module, Parameter, PositiveInt, call, layer
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import Dim, TensorType


@layer("linear", primary="out_features", torch="nn.Linear", aliases=("dense", "fc", "fully_connected", "affine", "inner_product"))
class Linear(Layer):
    """Affine map of the last axis, y = x W^T + b: (..., I) -> (..., O)."""

    out_features: PositiveInt
    in_features: PositiveInt | None = Field(default=None, description="inferred; written, it is checked")
    bias: bool = True

    stricter_than_torch = (demands.EMPTY,)
    examples = (
        Example(text="linear: 8", given="float32[B, 4]", gives="float32[B, 8]", parameters=40),
        Example(text="linear: {out_features: 8, bias: false}", given="float32[B, T, 4]", gives="float32[B, T, 8]", parameters=32),
        Example(text="linear: {out_features: 8, in_features: 5}", given="float32[B, 4]", refused="wants 5 features per sample, but 4 arrive"),
    )

    def infer(self, x: TensorType) -> TensorType:
        demands.as_weights(self.kind, x)
        self._features(x)
        return x.with_shape((*x.shape[:-1], self.out_features))

    def parameters(self, x: TensorType) -> dict[str, Parameter]:
        weight = {"weight": demands.parameter("matrix", self.out_features, self._features(x))}
        return weight | {"bias": demands.parameter("bias", self.out_features)} if self.bias else weight

    def flops(self, x: TensorType) -> Dim:
        return 2 * demands.numel(x.shape) * self.out_features

    def source(self, x: TensorType) -> Module:
        return Module(call("nn.Linear", self._features(x), self.out_features, **self.changed("bias")))

    def with_transposed(self, tensor: str, held: Mapping[str, Argument]) -> Expression | None:
        return call("F.linear", Input(), held["weight"], *((held["bias"],) if self.bias else ())) if tensor == "weight" else None

    def _features(self, x: TensorType) -> int:
        demands.at_least_one_axis(self.kind, x)
        features = demands.fixed(self.kind, x.shape[-1], "features")
        demands.agrees(self.kind, "in_features", self.in_features, features, "feature")
        return features
