"""Functions of each element alone that are no activations: exp, log, sqrt, sin, abs, neg, clamp, cast and others. Shapes stay."""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Input, Method, Prefix, Refusal, call, function
from specbuilder.catalogue.functions.arithmetic import representable
from specbuilder.catalogue.functions.creation import Dtype, dtype_code
from specbuilder.catalogue.promotion import operand, together
from specbuilder.shapes import TensorType, is_floating, is_integer

BOOLS = "booleans, which are no numbers"
TURNED_BOUNDS = "a `min` above its `max`, which makes all elements one"
LOST_PART = "a complex number without its imaginary part"


class Analytic(Function):
    """Floating-point numbers in, the same type out."""

    stricter_than_torch = (demands.NOT_FLOATING,)

    def infer(self, x: TensorType) -> TensorType:
        demands.floating(self.kind, x)
        return x

    def source(self, x: TensorType) -> Expression:
        return call(self.torch_name, Input())


@function("exp", torch="torch.exp")
class Exp(Analytic):
    """e to the power of x."""

    examples = (Example(text="exp", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("log", torch="torch.log")
class Log(Analytic):
    """The natural logarithm."""

    examples = (Example(text="log", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("log1p", torch="torch.log1p")
class Log1p(Analytic):
    """log(1 + x), exact for small x."""

    examples = (Example(text="log1p", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("sqrt", torch="torch.sqrt")
class Sqrt(Analytic):
    """The square root."""

    examples = (Example(text="sqrt", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("rsqrt", torch="torch.rsqrt")
class Rsqrt(Analytic):
    """1 / sqrt(x)."""

    examples = (Example(text="rsqrt", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("sin", torch="torch.sin")
class Sin(Analytic):
    """The sine."""

    examples = (Example(text="sin", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("cos", torch="torch.cos")
class Cos(Analytic):
    """The cosine."""

    examples = (
        Example(text="cos", given="float32[B, 4]", gives="float32[B, 4]"),
        Example(text="cos", given="int64[B, 4]", refused="wants floating-point numbers, but int64 arrives"),
    )


@function("erf", torch="torch.erf")
class Erf(Analytic):
    """The error function."""

    examples = (Example(text="erf", given="float32[B, 4]", gives="float32[B, 4]"),)


class Numeric(Function):
    """Numbers of any kind in, the same type out."""

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype == "bool":
            raise Refusal(f"`{self.kind}` wants numbers, but bool arrives", help="convert it with `cast: float32`", code="SB0501")
        return x

    def source(self, x: TensorType) -> Expression:
        return call(self.torch_name, Input())


@function("abs", torch="torch.abs", aliases=("absolute",))
class Abs(Numeric):
    """The absolute value."""

    examples = (Example(text="abs", given="float32[B, 4]", gives="float32[B, 4]"),)

    def infer(self, x: TensorType) -> TensorType:
        return super().infer(x).with_dtype({"complex64": "float32", "complex128": "float64"}.get(x.dtype, x.dtype))


@function("square", torch="torch.square")
class Square(Numeric):
    """x times x."""

    stricter_than_torch = (BOOLS,)
    examples = (Example(text="square", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("neg", torch="torch.neg", aliases=("negative", "negate"))
class Neg(Numeric):
    """-x."""

    examples = (
        Example(text="neg", given="float32[B, 4]", gives="float32[B, 4]"),
        Example(text="neg", given="bool[B, 4]", refused="wants numbers, but bool arrives"),
    )

    def source(self, x: TensorType) -> Expression:
        return Prefix("-", Input())


@function("clamp", torch="torch.clamp", aliases=("clip",))
class Clamp(Function):
    """x, but no less than `min` and no more than `max`."""

    min: int | float | None = None
    max: int | float | None = None

    stricter_than_torch = (TURNED_BOUNDS, BOOLS)
    examples = (
        Example(text="clamp: {min: 0, max: 1}", given="float32[B, 4]", gives="float32[B, 4]"),
        Example(text="clamp: {min: 0.5}", given="int64[B, 4]", gives="float32[B, 4]"),
        Example(text="clamp", given="float32[B, 4]", refused="wants `min` or `max`"),
    )

    def infer(self, x: TensorType) -> TensorType:
        if self.min is None and self.max is None:
            raise Refusal("`clamp` wants `min` or `max`, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise Refusal(f"`clamp` wants `min` no larger than `max`, but {self.min} is larger than {self.max}", field="min")
        if x.dtype == "bool":
            raise Refusal("`clamp` wants numbers, but bool arrives", code="SB0501")
        if not is_floating(x.dtype) and not is_integer(x.dtype):
            raise Refusal(f"`clamp` wants numbers that can be compared, but {x.dtype} arrives", code="SB0501")
        result = operand(x)
        for bound in (self.min, self.max):
            result = result if bound is None else together(result, operand(bound))
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound is not None:
                representable(self.kind, bound, result.dtype, field=name)
        return x.with_dtype(result.dtype)

    def source(self, x: TensorType) -> Expression:
        return call("torch.clamp", Input(), **self.changed("min", "max"))


@function("cast", primary="dtype", torch="torch.Tensor.to", aliases=("to", "astype", "to_dtype"))
class Cast(Function):
    """The same elements in another dtype; floating-point numbers lose their fraction as whole ones, and are true unless 0 as booleans."""

    dtype: Dtype

    stricter_than_torch = (LOST_PART,)
    examples = (
        Example(text="cast: float32", given="bool[B, 4]", gives="float32[B, 4]"),
        Example(text="cast: int64", given="float32[B, 4]", gives="int64[B, 4]"),
        Example(text="cast: float32", given="complex64[B]", refused="would lose the imaginary part"),
    )

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype.startswith("complex") and not self.dtype.startswith("complex"):
            raise Refusal(f"`cast` to {self.dtype} would lose the imaginary part of {x.dtype}", field="dtype", code="SB0501")
        return x.with_dtype(self.dtype)

    def source(self, x: TensorType) -> Expression:
        return Input() if x.dtype == self.dtype else Method(Input(), "to", (dtype_code(self.dtype),))
