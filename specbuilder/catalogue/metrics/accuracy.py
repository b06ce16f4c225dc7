"""Accuracy: the share of samples whose largest logit is that of the true class. Sums: how many are right, how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Metric, Refusal, metric
from specbuilder.shapes import TensorType

if TYPE_CHECKING:
    from torch import Tensor


@metric("accuracy", aliases=("acc", "categorical_accuracy", "sparse_categorical_accuracy", "multiclass_accuracy", "top1"))
class Accuracy(Metric):
    """(B, C, ...) logits and int64 (B, ...) classes -> the share of classes that have the largest logit."""

    terms = 2

    def check(self, input: TensorType, target: TensorType) -> None:
        demands.floating(self.kind, input, port="input")
        if input.rank < 2:
            raise Refusal(f"`accuracy` wants logits [batch, classes, ...], but {input} arrives", port="input")
        wanted = TensorType("int64", (input.shape[0], *input.shape[2:]))
        if target.dtype != "int64" or target.rank != wanted.rank:
            raise Refusal(f"`accuracy` wants class numbers {wanted}, but {target} arrive", port="target", code="SB0501")
        demands.same_shape(self.kind, wanted, target, port="target")

    def sums(self, input: Tensor, target: Tensor, mask: Tensor | None = None) -> Sequence[Tensor | int]:
        # input B C ..., target B ..., mask B ...
        is_right = input.argmax(1) == target
        return (is_right.sum(), target.numel()) if mask is None else ((is_right & mask).sum(), mask.sum())

    def value(self, sums: Sequence[float]) -> float:
        correct, count = sums
        return correct / count
