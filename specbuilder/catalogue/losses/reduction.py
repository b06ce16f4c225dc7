"""From elements to one number: torch's mean and sum, and `batchmean`, the sum divided by the number of samples, in every loss."""

from __future__ import annotations

from typing import Literal

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Call, Expression, Infix, Refusal
from specbuilder.shapes import TensorType

Reduction = Literal["mean", "sum", "batchmean"]


def reduced(written: Call, reduction: Reduction, input: TensorType) -> Expression:
    """The call with its reduction: torch's own where it has it."""
    if reduction == "mean":
        return written
    total = Call(written.function, written.args, (*written.kwargs, ("reduction", "sum")))
    return total if reduction == "sum" else Infix("/", (total, input.shape[0]))


def alike(kind: str, input: TensorType, target: TensorType) -> TensorType:
    """One shape with a batch axis, one floating dtype: what losses over elements demand. Gives the type of the loss."""
    demands.floating(kind, input, port="input")
    demands.floating(kind, target, port="target")
    if not input.rank:
        raise Refusal(f"`{kind}` wants a batch of samples, but a single number arrives", port="input")
    if input.rank != target.rank and {input.rank, target.rank} == {1, 2} and 1 in (input.shape[-1], target.shape[-1]):
        message = f"`{kind}` wants equal shapes, found {input.shape_text} and {target.shape_text}"
        raise Refusal(message, port="target", help="remove the axis of size 1 with `squeeze: 1`, or declare it on both sides")
    demands.same_shape(kind, input, target, port="target")
    if input.dtype != target.dtype:
        raise Refusal(f"`{kind}` wants one dtype, but {input.dtype} and {target.dtype} arrive", port="target", code="SB0501")
    return TensorType(input.dtype, ())
