"""Kinds of our own, for `--kinds my_kinds.py`."""

from specbuilder.kinds import Example, Function, Infix, Input, Layer, PositiveFloat, PositiveInt, Refusal, TensorType, call, function, layer


@layer("squeeze_excite", primary="reduction")
class SqueezeExciteKind(Layer):
    """Channel attention (Hu et al., 2018)."""

    reduction: PositiveInt = 16

    module = "squeeze_excite.py:SqueezeExcite"
    takes = "[B, channels, H, W]"
    examples = (Example("squeeze_excite: 4", given="float32[B, 32, H, W]", gives="float32[B, 32, H, W]", parameters=552),)


@function("soft_clip", primary="limit")
class SoftClip(Function):
    """Bends values towards a limit, smoothly: limit * tanh(x / limit)."""

    limit: PositiveFloat = 1.0

    examples = (
        Example("soft_clip: 5.0", given="float32[B, 10]", gives="float32[B, 10]"),
        Example("soft_clip", given="int64[B]", refused="wants float32, but int64 arrives"),
    )

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype != "float32":
            raise Refusal(f"`soft_clip` wants float32, but {x.dtype} arrives")
        return x

    def source(self, x: TensorType) -> Infix:
        return Infix("*", (call("torch.tanh", Infix("/", (Input(), self.limit))), self.limit))
