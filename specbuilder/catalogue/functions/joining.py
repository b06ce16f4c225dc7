"""Functions that join a list of tensors: `concat` along an axis that is there, `stack` along a new one. Both want `dim` to be said."""

from __future__ import annotations

from functools import reduce

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Gathered, Input, Port, Refusal, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import TensorType, promote

ALONE = "a single tensor: nearly always a forgotten `from`"


class Joining(Function):
    """What both share: a list arrives, dtypes follow torch's promotion."""

    inputs = (Port("input", many=True),)

    dim: int

    stricter_than_torch = (ALONE,)

    def source(self, input: tuple[TensorType, ...]) -> Expression:
        return call(self.torch_name, Input(), self.dim)

    def _several(self, input: tuple[TensorType, ...]) -> None:
        if len(input) < 2 and not isinstance(input, Gathered):
            raise Refusal(f"`{self.kind}` wants at least two tensors, but one arrives", help="name them: `from: [prev, other]`")
        for item, each in enumerate(input):
            if each.rank != input[0].rank:
                raise Refusal(f"`{self.kind}` wants equal ranks, found {input[0].shape_text} and {each.shape_text}", port="input", item=item)

    def _dtype(self, input: tuple[TensorType, ...]) -> str:
        return reduce(promote, (each.dtype for each in input))


@function("concat", primary="dim", torch="torch.cat", aliases=("concatenate", "merge_concat", "filter_concat"))
class Concat(Joining):
    """Tensors one after the other along the axis `dim`; all other sizes are equal."""

    dim: int = Field(description="the axis along which they follow each other")
    examples = (
        Example(text="concat: 1", given=("float32[B, 4, H, W]", "float32[B, 8, H, W]"), gives="float32[B, 12, H, W]"),
        Example(text="concat: 1", given=("float32[B, 4, 8]", "float32[B, 4, 9]"), refused="wants equal sizes on axis 2, found 8 and 9"),
    )

    def infer(self, input: tuple[TensorType, ...]) -> TensorType:
        self._several(input)
        first = input[0]
        along = demands.axis(self.kind, self.dim, first)
        for item, each in enumerate(input):
            for at, (a, b) in enumerate(zip(first.shape, each.shape, strict=True)):
                if at != along:
                    demands.same_size(self.kind, a, b, where=f"on axis {at}", port="input", item=item)
        size = sum(each.shape[along] for each in input[1:]) + first.shape[along]
        return TensorType(self._dtype(input), (*first.shape[:along], size, *first.shape[along + 1 :]))


@function("stack", primary="dim", torch="torch.stack")
class Stack(Joining):
    """Tensors of one shape beside each other, along a new axis `dim`."""

    dim: int = Field(description="where the new axis stands")
    examples = (Example(text="stack: 1", given=("float32[B, 4]", "float32[B, 4]"), gives="float32[B, 2, 4]"),)

    def infer(self, input: tuple[TensorType, ...]) -> TensorType:
        self._several(input)
        first = input[0]
        at = demands.axis(self.kind, self.dim, first, extra=1)
        for item, each in enumerate(input):
            demands.same_shape(self.kind, first, each, port="input", item=item)
        return TensorType(self._dtype(input), (*first.shape[:at], len(input), *first.shape[at:]))
