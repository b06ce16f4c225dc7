"""Tensors of the network's own: `parameter` is trained, `buffer` is not. They read nothing, and how they begin is said beside them, by `init`."""

from __future__ import annotations

from typing import Literal

from specbuilder.catalogue.contract import Attribute, Buffer, Call, Code, Example, Layer, Parameter, PositiveInt, Refusal, call, layer
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import DTYPES, Poly, TensorType

FREE_SIZE = "a size that has no number: a tensor of the network is made before anything arrives"
WHOLE = "whole numbers and booleans: nothing can train them"


class OwnTensor(Layer):
    """What both share."""

    inputs = ()
    is_off_chain = True

    shape: tuple[PositiveInt | Poly, ...] = Field(description="its sizes, such as `[$C, 1, 1]`; `[]` is a single number")

    def infer(self) -> TensorType:
        return TensorType(self._dtype(), self._sizes())

    def _dtype(self) -> str:
        raise NotImplementedError

    def _sizes(self) -> tuple[int, ...]:
        sizes = []
        for size in self.shape:
            if not isinstance(size, int):
                message = f"`{self.kind}` is made before anything arrives, but its size `{size}` depends on what does"
                raise Refusal(message, field="shape", help=f"declare a number instead of `{min(size.symbols)}` in the input")
            sizes.append(size)
        return tuple(sizes)

    def _empty(self) -> Call:
        dtype = self._dtype()
        return call("torch.empty", *(self._sizes() or ((),)), **({} if dtype == "float32" else {"dtype": Code(f"torch.{dtype}")}))


@layer("parameter", primary="shape", torch="nn.Parameter", aliases=("learnable",))
class OwnParameter(OwnTensor):
    """A tensor that is trained, under a name, for formulas that need one."""

    dtype: Literal["float32", "float64", "float16", "bfloat16"] = "float32"
    examples = (Example(text="parameter: [4, 1, 1]", given=(), gives="float32[4, 1, 1]", parameters=4),)

    def _dtype(self) -> str:
        return self.dtype

    def parameters(self) -> dict[str, Parameter]:
        return {"": Parameter(self._sizes(), "free", self.dtype)}

    def source(self) -> Attribute:
        return Attribute(call("nn.Parameter", self._empty()))


@layer("buffer", primary="shape", torch="nn.Buffer", aliases=("register_buffer",))
class OwnBuffer(OwnTensor):
    """A tensor that belongs to the network and is not trained."""

    dtype: Literal[DTYPES] = "float32"  # type: ignore[valid-type]  # the names are a constant
    examples = (Example(text="buffer: {shape: [4], dtype: int64}", given=(), gives="int64[4]"),)

    def _dtype(self) -> str:
        return self.dtype

    def buffers(self) -> dict[str, Buffer]:
        return {"": Buffer(self._sizes(), self.dtype)}

    def source(self) -> Attribute:
        return Attribute(self._empty(), is_buffer=True)
