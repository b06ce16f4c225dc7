"""Losses over classes: what is true is one of several classes (cross_entropy), or any number of them (binary_cross_entropy_with_logits).

Both take logits. `reduction` is torch's mean and sum, and batchmean: the sum divided by the number of samples.
"""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Input, Loss, Probability, Refusal, call, loss
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.losses.reduction import Reduction, alike, reduced
from specbuilder.shapes import Dim, TensorType, is_floating

CLASS_BYTES = "class numbers as uint8: one dtype for them, int64, is asked of data, losses and metrics alike"
NO_SHARE = "a label smoothing below 0, which makes true classes worth more than everything"


@loss(
    "cross_entropy",
    torch="F.cross_entropy",
    aliases=("categorical_crossentropy", "sparse_categorical_crossentropy", "cross_entropy_loss", "softmax_loss", "ce"),
)
class CrossEntropy(Loss):
    """How unlikely the true class is under the softmax of the logits: (B, C, ...) and int64 (B, ...), or probabilities (B, C, ...)."""

    ignore_index: int = Field(default=-100, description="targets of this class do not count")
    label_smoothing: Probability = Field(default=0.0, description="the share of the truth that is spread over all classes (C. Szegedy et al., 2016)")
    reduction: Reduction = "mean"

    stricter_than_torch = (demands.UNBATCHED, demands.MIXED_FLOATS, NO_SHARE, CLASS_BYTES)
    examples = (
        Example(text="cross_entropy", given=("float32[B, 10]", "int64[B]"), gives="float32[]"),
        Example(text="cross_entropy: {ignore_index: -1}", given=("float32[B, 19, H, W]", "int64[B, H, W]"), gives="float32[]"),
        Example(text="cross_entropy", given=("float32[B, 10]", "int64[B, 1]"), refused="wants class numbers int64[B], but int64[B, 1] arrive"),
    )

    def infer(self, input: TensorType, target: TensorType) -> TensorType:
        demands.floating(self.kind, input, port="input")
        if input.rank < 2:
            raise Refusal(f"`cross_entropy` wants logits [batch, classes, ...], but {input} arrives", port="input")
        if is_floating(target.dtype):
            self._probabilities(input, target)
        else:
            self._numbers(input, target)
        return TensorType(input.dtype, ())

    def classes(self, input: TensorType) -> Dim | None:
        return input.shape[1] if input.rank > 1 else None

    def ignored(self, target: TensorType) -> int | None:
        return None if is_floating(target.dtype) else self.ignore_index

    def source(self, input: TensorType, target: TensorType) -> Expression:
        settings = self.changed("ignore_index", "label_smoothing")
        return reduced(call("F.cross_entropy", Input(0), Input(1), **settings), self.reduction, input)

    def _numbers(self, input: TensorType, target: TensorType) -> None:
        wanted = TensorType("int64", (input.shape[0], *input.shape[2:]))
        if target.dtype != "int64" or target.rank != wanted.rank:
            raise Refusal(
                f"`cross_entropy` wants class numbers {wanted}, but {target} arrive",
                port="target",
                code="SB0501" if target.rank == wanted.rank else "SB0401",
            )
        demands.same_shape(self.kind, wanted, target, port="target")

    def _probabilities(self, input: TensorType, target: TensorType) -> None:
        if input.rank != target.rank:
            raise Refusal(f"`cross_entropy` wants class numbers int64 or probabilities {input}, but {target} arrive", port="target")
        demands.same_shape(self.kind, input, target, port="target")
        if input.dtype != target.dtype:
            raise Refusal(f"`cross_entropy` wants one dtype, but {input.dtype} and {target.dtype} arrive", port="target", code="SB0501")
        if self.ignore_index >= 0:
            raise Refusal(
                f"`cross_entropy` can ignore class {self.ignore_index} of class numbers only, but probabilities arrive", field="ignore_index"
            )


@loss(
    "binary_cross_entropy_with_logits",
    torch="F.binary_cross_entropy_with_logits",
    aliases=("bce", "bce_with_logits", "bce_with_logits_loss", "binary_crossentropy", "binary_cross_entropy", "sigmoid_cross_entropy"),
)
class BinaryCrossEntropyWithLogits(Loss):
    """How unlikely each true yes or no (1.0 or 0.0) is under the sigmoid of its logit: both of one shape."""

    reduction: Reduction = "mean"

    stricter_than_torch = (demands.NOT_FLOATING, demands.UNBATCHED, demands.MIXED_FLOATS)
    examples = (
        Example(text="binary_cross_entropy_with_logits", given=("float32[B, 5]", "float32[B, 5]"), gives="float32[]"),
        Example(text="binary_cross_entropy_with_logits", given=("float32[B, 1]", "float32[B]"), refused="wants equal shapes, found [B, 1] and [B]"),
    )

    def infer(self, input: TensorType, target: TensorType) -> TensorType:
        return alike(self.kind, input, target)

    def source(self, input: TensorType, target: TensorType) -> Expression:
        return reduced(call("F.binary_cross_entropy_with_logits", Input(0), Input(1)), self.reduction, input)
