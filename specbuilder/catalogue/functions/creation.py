"""Tensors out of nothing: arange, zeros, ones, full, and those that are made like another one. They are made where the model runs."""

from __future__ import annotations

from typing import Literal

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import DEVICE, Argument, Code, Example, Expression, Function, Input, PositiveInt, Refusal, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.promotion import DEFAULT_FLOAT
from specbuilder.shapes import DTYPES, Dim, Poly, TensorType

Dtype = Literal["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
assert Dtype.__args__ == DTYPES  # type: ignore[attr-defined]

FREE_NUMBERS = "numbers that are not whole: `arange` counts, as indices do"
EMPTY = "an empty result: no size is 0"


def dtype_code(dtype: str) -> Code:
    """`torch.float32`, of a name that a field has checked."""
    assert dtype in DTYPES
    return Code(f"torch.{dtype}")


@function("arange", primary="end", torch="torch.arange", aliases=("range", "iota", "positions"))
class Arange(Function):
    """The whole numbers from `start` up to `end`, which is not among them: int64[end - start]."""

    inputs = ()
    positional = ("end",)

    end: int | Poly
    start: int | Poly = 0
    step: int = 1

    stricter_than_torch = (EMPTY,)
    examples = (
        Example(text="arange: 10", given=(), gives="int64[10]"),
        Example(text="arange: {end: 10, start: 1, step: 3}", given=(), gives="int64[3]"),
        Example(text="arange: {end: 3, start: 3}", given=(), refused="counts from 3 to 3, which gives nothing"),
    )

    def infer(self) -> TensorType:
        if self.step == 0:
            raise Refusal("`arange` wants a step other than 0", field="step")
        count: Dim = -((self.start - self.end) // self.step)
        if isinstance(count, int) and count < 1:
            step = f" in steps of {self.step}" if self.step != 1 else ""
            raise Refusal(f"`arange` counts from {self.start} to {self.end}{step}, which gives nothing", field="end")
        return TensorType("int64", (count,))

    def source(self) -> Expression:
        ends: tuple[Argument, ...] = (self.end,) if self.start == 0 and self.step == 1 else (self.start, self.end)
        return call("torch.arange", *ends, *((self.step,) if self.step != 1 else ()), device=DEVICE)


class Filled(Function):
    """A tensor of one value, of sizes that are given."""

    inputs = ()

    size: tuple[PositiveInt | Poly, ...] = Field(description="all sizes; `[]` is a single number")

    def _made(self, dtype: str | None, *value: Argument) -> Expression:
        chosen: dict[str, Argument] = {} if dtype is None else {"dtype": dtype_code(dtype)}
        return call(self.torch_name, self.size, *value, **chosen, device=DEVICE)


@function("zeros", primary="size", torch="torch.zeros")
class Zeros(Filled):
    """A tensor of zeros."""

    dtype: Dtype = "float32"
    stricter_than_torch = (demands.EMPTY,)
    examples = (Example(text="zeros: [4, 8]", given=(), gives="float32[4, 8]"),)

    def infer(self) -> TensorType:
        return TensorType(self.dtype, self.size)

    def source(self) -> Expression:
        return self._made(None if self.dtype == DEFAULT_FLOAT else self.dtype)


@function("ones", primary="size", torch="torch.ones")
class Ones(Zeros):
    """A tensor of ones."""

    examples = (Example(text="ones: {size: [4], dtype: bool}", given=(), gives="bool[4]"),)


@function("full", torch="torch.full", aliases=("constant_of_shape", "fill"))
class Full(Filled):
    """A tensor of one value; a whole number gives int64, true and false give bool."""

    fill_value: bool | int | float
    dtype: Dtype | None = Field(default=None, description="omitted, that of the value")

    stricter_than_torch = (demands.EMPTY,)
    examples = (Example(text="full: {size: [4], fill_value: 0.5}", given=(), gives="float32[4]"),)

    def infer(self) -> TensorType:
        return TensorType(self.dtype or self._own_dtype(), self.size)

    def source(self) -> Expression:
        # Torch takes the dtype from the value by itself.
        return self._made(None if self.dtype == self._own_dtype() else self.dtype, self.fill_value)

    def _own_dtype(self) -> str:
        value = self.fill_value
        return "bool" if isinstance(value, bool) else "int64" if isinstance(value, int) else DEFAULT_FLOAT


class Like(Function):
    """What the kinds share that are made like another tensor: its shape, and its dtype unless another is given."""

    dtype: Dtype | None = Field(default=None, description="omitted, that of what arrives")

    def infer(self, x: TensorType) -> TensorType:
        return x.with_dtype(self.dtype or x.dtype)

    def source(self, x: TensorType) -> Expression:
        chosen: dict[str, Argument] = {"dtype": dtype_code(self.dtype)} if self.dtype not in (None, x.dtype) else {}
        return call(self.torch_name, Input(), **chosen)


@function("zeros_like", primary="dtype", torch="torch.zeros_like")
class ZerosLike(Like):
    """Zeros in the shape of what arrives."""

    examples = (Example(text="zeros_like", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("ones_like", primary="dtype", torch="torch.ones_like")
class OnesLike(Like):
    """Ones in the shape of what arrives."""

    examples = (Example(text="ones_like: bool", given="float32[B, 4]", gives="bool[B, 4]"),)


class Random(Like):
    """Random numbers, drawn anew in each step."""

    stricter_than_torch = (demands.NOT_FLOATING,)

    def infer(self, x: TensorType) -> TensorType:
        left = super().infer(x)
        demands.floating(self.kind, left)
        return left


@function("randn_like", primary="dtype", torch="torch.randn_like", aliases=("normal_like", "gaussian_noise"))
class RandnLike(Random):
    """Normal noise (mean 0, variance 1) in the shape of what arrives."""

    examples = (Example(text="randn_like", given="float32[B, 4]", gives="float32[B, 4]"),)


@function("rand_like", primary="dtype", torch="torch.rand_like", aliases=("uniform_like",))
class RandLike(Random):
    """Uniform noise (0 to 1) in the shape of what arrives."""

    examples = (Example(text="rand_like", given="float32[B, 4]", gives="float32[B, 4]"),)
