"""Matrix products: `matmul`. (..., M, K) times (..., K, N) -> (..., M, N)."""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Input, Port, Refusal, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.functions.arithmetic import SURPRISING_STRETCH, stretched
from specbuilder.shapes import Dim, TensorType

VECTORS = "vectors (rank 1): what their product means changes with the other side"


@function("matmul", torch="torch.matmul", aliases=("mm", "bmm", "batch_matmul", "dot"))
class Matmul(Function):
    """The product of matrices, the last two axes of what arrives; axes before them are batches and stretch as in `multiply`."""

    inputs = (Port("input"), Port("other"))

    broadcast: bool = Field(default=False, description="allow that the batches differ in rank or that both stretch")

    stricter_than_torch = (demands.NOT_FLOATING, VECTORS, SURPRISING_STRETCH)
    examples = (
        Example(text="matmul", given=("float32[B, T, 4]", "float32[B, 4, T]"), gives="float32[B, T, T]"),
        Example(text="matmul", given=("float32[B, T, 4]", "float32[4, 8]"), gives="float32[B, T, 8]"),
        Example(text="matmul", given=("float32[B, T, 4]", "float32[B, 5, T]"), refused="the columns of [B, T, 4], found 4 and 5"),
    )

    def infer(self, input: TensorType, other: TensorType) -> TensorType:
        for port, each in (("input", input), ("other", other)):
            demands.floating(self.kind, each, port=port)
            if each.rank < 2:
                raise Refusal(f"`matmul` wants matrices, but {each} has {demands.counted(each.rank, 'axis', 'axes')}", port=port)
        if input.dtype != other.dtype:
            raise Refusal(f"`matmul` wants one dtype, but {input.dtype} and {other.dtype} arrive", port="other", code="SB0501")
        where = f"for the rows of {other.shape_text} and the columns of {input.shape_text}"
        demands.same_size(self.kind, input.shape[-1], other.shape[-2], where=where, port="other")
        return input.with_shape((*self._batch(input, other), input.shape[-2], other.shape[-1]))

    def flops(self, input: TensorType, other: TensorType) -> Dim:
        return 2 * demands.numel(self._batch(input, other)) * input.shape[-2] * input.shape[-1] * other.shape[-1]

    def source(self, input: TensorType, other: TensorType) -> Expression:
        return call("torch.matmul", Input(0), Input(1))

    def _batch(self, input: TensorType, other: TensorType) -> tuple[Dim, ...]:
        return stretched(self.kind, (input.shape[:-2], other.shape[:-2]), asked=self.broadcast, ports=(("input", None), ("other", None)))
