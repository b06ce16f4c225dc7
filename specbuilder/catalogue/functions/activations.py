"""Activations: functions of each element alone, and the two that compare elements along an axis (softmax, log_softmax).

Shape and dtype stay. Settings are torch's. In-place forms are left out: torch's compiler decides that better than a spec. `prelu` has weights and is a layer.
"""

from __future__ import annotations

from typing import Literal

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Input, PositiveFloat, call, function
from specbuilder.catalogue.declared import Field, fields_of
from specbuilder.shapes import TensorType

NO_BETA = "a beta of 0 or less, which divides by zero or turns the function round"


class Activation(Function):
    """What the activations share: floating-point numbers in, the same type out."""

    def infer(self, x: TensorType) -> TensorType:
        demands.floating(self.kind, x)
        return x

    def source(self, x: TensorType) -> Expression:
        return call(self.torch_name, Input(), **self.changed(*fields_of(type(self))))


@function("relu", torch="F.relu", aliases=("rectifier",))
class Relu(Activation):
    """max(x, 0)."""

    stricter_than_torch = (demands.NOT_FLOATING,)
    examples = (
        Example(text="relu", given="float32[B, 4]", gives="float32[B, 4]"),
        Example(text="relu", given="int64[B, 4]", refused="wants floating-point numbers, but int64 arrives"),
    )


@function("relu6", torch="F.relu6")
class Relu6(Activation):
    """min(max(x, 0), 6)."""

    stricter_than_torch = (demands.NOT_FLOATING,)
    examples = (Example(text="relu6", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("leaky_relu", primary="negative_slope", torch="F.leaky_relu", aliases=("lrelu",))
class LeakyRelu(Activation):
    """x where it is positive, else negative_slope * x."""

    negative_slope: float = 0.01
    examples = (Example(text="leaky_relu: 0.2", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("elu", primary="alpha", torch="F.elu")
class Elu(Activation):
    """x where it is positive, else alpha * (exp(x) - 1) (D. Clevert et al., 2016)."""

    alpha: float = 1.0
    examples = (Example(text="elu", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("selu", torch="F.selu")
class Selu(Activation):
    """A scaled `elu` that keeps mean and variance (G. Klambauer et al., 2017)."""

    examples = (Example(text="selu", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("gelu", primary="approximate", torch="F.gelu")
class Gelu(Activation):
    """x times the normal distribution's share below x (D. Hendrycks and K. Gimpel, 2016)."""

    approximate: Literal["none", "tanh"] = Field(default="none", description="`tanh` is the faster approximation that GPT-2 uses")
    examples = (
        Example(text="gelu", given="float32[B, 4]", gives="float32[B, 4]"),
        Example(text="gelu: tanh", given="float32[B, 4]", gives="float32[B, 4]"),
    )


@function("silu", torch="F.silu", aliases=("swish",))
class Silu(Activation):
    """x * sigmoid(x)."""

    stricter_than_torch = (demands.NOT_FLOATING,)
    examples = (Example(text="silu", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("mish", torch="F.mish")
class Mish(Activation):
    """x * tanh(softplus(x)) (D. Misra, 2019)."""

    examples = (Example(text="mish", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("sigmoid", torch="torch.sigmoid", aliases=("logistic",))
class Sigmoid(Activation):
    """1 / (1 + exp(-x)). For a binary loss leave it out: `binary_cross_entropy_with_logits` contains it."""

    stricter_than_torch = (demands.NOT_FLOATING,)
    examples = (Example(text="sigmoid", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("tanh", torch="torch.tanh")
class Tanh(Activation):
    """The hyperbolic tangent."""

    stricter_than_torch = (demands.NOT_FLOATING,)
    examples = (Example(text="tanh", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("hardswish", torch="F.hardswish", aliases=("hswish",))
class Hardswish(Activation):
    """x * relu6(x + 3) / 6 (A. Howard et al., "Searching for MobileNetV3", 2019)."""

    examples = (Example(text="hardswish", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("hardsigmoid", torch="F.hardsigmoid", aliases=("hsigmoid",))
class Hardsigmoid(Activation):
    """relu6(x + 3) / 6."""

    examples = (Example(text="hardsigmoid", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("softplus", torch="F.softplus")
class Softplus(Activation):
    """log(1 + exp(beta * x)) / beta: a smooth `relu`."""

    beta: PositiveFloat = 1.0
    threshold: float = Field(default=20.0, description="above it, beta * x is taken as it is, since the rest has vanished")

    stricter_than_torch = (NO_BETA,)
    examples = (Example(text="softplus", given="float32[B, 4]", gives="float32[B, 4]"),)


class Normalised(Activation):
    """Elements compared along an axis."""

    dim: int = Field(description="the axis that sums to one")

    stricter_than_torch = (demands.SCALAR_AXIS,)

    def infer(self, x: TensorType) -> TensorType:
        demands.axis(self.kind, self.dim, x)
        return super().infer(x)

    def source(self, x: TensorType) -> Expression:
        return call(self.torch_name, Input(), self.dim)


@function("softmax", primary="dim", torch="F.softmax")
class Softmax(Normalised):
    """exp(x) / sum of exp(x) along `dim`. For a loss over classes leave it out: `cross_entropy` contains it."""

    examples = (Example(text="softmax: -1", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("log_softmax", primary="dim", torch="F.log_softmax", aliases=("logsoftmax",))
class LogSoftmax(Normalised):
    """The logarithm of `softmax`, computed stably."""

    examples = (
        Example(text="log_softmax: 1", given="float32[B, 4, T]", gives="float32[B, 4, T]"),
        Example(text="log_softmax: 2", given="float32[B, 4]", refused="no axis 2 in [B, 4]: axes run from -2 to 1"),
    )
