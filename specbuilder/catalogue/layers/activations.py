"""Activations with weights: `prelu`. Shapes stay."""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Layer, Module, Parameter, PositiveInt, Refusal, call, layer
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import TensorType


@layer("prelu", primary="num_parameters", torch="nn.PReLU", aliases=("parametric_relu",))
class Prelu(Layer):
    """x where it is positive, else a trained slope times x (K. He et al., "Delving deep into rectifiers", 2015)."""

    num_parameters: PositiveInt = Field(default=1, description="1, or one slope for each channel (axis 1)")
    init: float = Field(default=0.25, description="the slope at first")

    examples = (
        Example(text="prelu", given="float32[B, 4]", gives="float32[B, 4]", parameters=1),
        Example(text="prelu: 4", given="float32[B, 4, H, W]", gives="float32[B, 4, H, W]", parameters=4),
        Example(text="prelu: 3", given="float32[B, 4]", refused="has 3 slopes, but [B, 4] has 4 channels"),
    )

    def infer(self, x: TensorType) -> TensorType:
        demands.as_weights(self.kind, x)
        channels = x.shape[1] if x.rank > 1 else 1
        if self.num_parameters not in (1, channels):
            message = f"`prelu` has {self.num_parameters} slopes, but {x.shape_text} has {demands.counted(channels, 'channel', 'channels')}"
            raise Refusal(message, field="num_parameters")
        return x

    def parameters(self, x: TensorType) -> dict[str, Parameter]:
        return {"weight": demands.parameter("free", self.num_parameters)}

    def source(self, x: TensorType) -> Module:
        return Module(call("nn.PReLU", **self.changed("num_parameters", "init")))
