"""Beginnings whose scale follows from the shape: xavier, kaiming, orthogonal. All want an axis of outputs and one of inputs."""

from __future__ import annotations

from typing import Literal

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Call, Example, Initializer, Input, NonNegativeFloat, Refusal, call, initializer
from specbuilder.catalogue.declared import Field

Nonlinearity = Literal[
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"
]  # fmt: skip


class Scaled(Initializer):
    """What these share: a vector has no inputs to scale by."""

    def check(self, shape: tuple[int, ...]) -> None:
        if len(shape) < 2:
            raise Refusal(f"`{self.kind}` wants at least 2 axes, but {[*shape]} has {demands.counted(len(shape), 'axis', 'axes')}")


class Xavier(Scaled):
    """A spread of `gain` times the root of 2 / (inputs + outputs)."""

    gain: NonNegativeFloat = 1.0

    def source(self) -> Call:
        return call(self.torch_name, Input(), **self.changed("gain"))


@initializer("xavier_uniform", primary="gain", torch="nn.init.xavier_uniform_", aliases=("glorot_uniform", "xavier", "glorot"))
class XavierUniform(Xavier):
    """Uniform, scaled by inputs and outputs (X. Glorot and Y. Bengio, 2010)."""

    examples = (
        Example(text="xavier_uniform", given="float32[8, 4]", gives="float32[8, 4]"),
        Example(text="xavier_uniform", given="float32[8]", refused="`xavier_uniform` wants at least 2 axes, but [8] has 1 axis"),
    )


@initializer("xavier_normal", primary="gain", torch="nn.init.xavier_normal_", aliases=("glorot_normal",))
class XavierNormal(Xavier):
    """Normal, scaled by inputs and outputs (X. Glorot and Y. Bengio, 2010)."""

    examples = (Example(text="xavier_normal: 1.4", given="float32[8, 4]", gives="float32[8, 4]"),)


class Kaiming(Scaled):
    """A spread that keeps the variance of what passes through the layer and its nonlinearity."""

    a: float = Field(default=0.0, description="the slope below 0 of `leaky_relu`")
    mode: Literal["fan_in", "fan_out"] = Field(default="fan_in", description="`fan_in` keeps the variance forward, `fan_out` backward")
    nonlinearity: Nonlinearity = Field(default="leaky_relu", description="what comes after the layer")

    def source(self) -> Call:
        return call(self.torch_name, Input(), **self.changed("a", "mode", "nonlinearity"))


@initializer("kaiming_uniform", primary="nonlinearity", torch="nn.init.kaiming_uniform_", aliases=("he_uniform", "kaiming", "he"))
class KaimingUniform(Kaiming):
    """Uniform, scaled by inputs or outputs (K. He et al., "Delving deep into rectifiers", 2015)."""

    examples = (Example(text="kaiming_uniform: {a: 0.2}", given="float32[8, 4]", gives="float32[8, 4]"),)


@initializer("kaiming_normal", primary="nonlinearity", torch="nn.init.kaiming_normal_", aliases=("he_normal", "msra"))
class KaimingNormal(Kaiming):
    """Normal, scaled by inputs or outputs (K. He et al., "Delving deep into rectifiers", 2015)."""

    examples = (Example(text="kaiming_normal: {mode: fan_out, nonlinearity: relu}", given="float32[8, 4, 3, 3]", gives="float32[8, 4, 3, 3]"),)


@initializer("orthogonal", primary="gain", torch="nn.init.orthogonal_", aliases=("ortho",))
class Orthogonal(Scaled):
    """A random orthogonal matrix of the first axis against all others (A. Saxe et al., 2013)."""

    gain: float = 1.0

    examples = (
        Example(text="orthogonal", given="float32[8, 4]", gives="float32[8, 4]"),
        Example(text="orthogonal", given="float32[8]", refused="`orthogonal` wants at least 2 axes, but [8] has 1 axis"),
    )

    def source(self) -> Call:
        return call("nn.init.orthogonal_", Input(), **self.changed("gain"))
