"""Attention without weights: scaled_dot_product_attention. (..., L, D) asks, (..., S, D) is asked, (..., S, V) is mixed -> (..., L, V)."""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import (
    TRAINING,
    Argument,
    Example,
    Expression,
    Function,
    Infix,
    Input,
    Port,
    Probability,
    Refusal,
    Remark,
    call,
    function,
)
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import Dim, TensorType, broadcast, equal

STRETCHED_BATCH = "batches and heads that differ: torch stretches them in some kernels only"
FEW_AXES = "matrices without a batch"
IGNORED_VALUES = "more or fewer values than keys, which one of torch's kernels on a CPU takes without a word"
ODD_CHANCE = "a chance below 0"


@function("scaled_dot_product_attention", torch="F.scaled_dot_product_attention", aliases=("sdpa", "dot_product_attention"))
class ScaledDotProductAttention(Function):
    """softmax(query key^T / sqrt(D)) value, by torch's fastest kernel. In a boolean `attn_mask` true means: looked at; numbers are added.

    Dropout is on in training only.
    """

    inputs = (Port("query"), Port("key"), Port("value"), Port("attn_mask", optional=True))

    dropout_p: Probability = Field(default=0.0, description="the chance that a place is not looked at, in training")
    is_causal: bool = Field(default=False, description="no place looks at a later one")
    scale: float | None = Field(default=None, description="the factor before the softmax; omitted, 1 / sqrt(D)")
    enable_gqa: bool = Field(default=False, description="fewer heads (axis -3) of key and value, each for several of query")

    stricter_than_torch = (FEW_AXES, STRETCHED_BATCH, IGNORED_VALUES, ODD_CHANCE)
    examples = (
        Example(
            text="scaled_dot_product_attention: {is_causal: true}",
            given=("float32[B, 2, T, 8]", "float32[B, 2, T, 8]", "float32[B, 2, T, 8]"),
            gives="float32[B, 2, T, 8]",
        ),
        Example(
            text="scaled_dot_product_attention",
            given=("float32[B, 2, T, 8]", "float32[B, 2, 5, 8]", "float32[B, 2, 5, 6]", "bool[B, 1, T, 5]"),
            gives="float32[B, 2, T, 6]",
        ),
        Example(
            text="scaled_dot_product_attention",
            given=("float32[B, T, 8]", "float32[B, T, 6]", "float32[B, T, 6]"),
            refused="wants equal sizes of `query` and `key` on the last axis, found 8 and 6",
        ),
    )

    def infer(self, query: TensorType, key: TensorType, value: TensorType, attn_mask: TensorType | None = None) -> TensorType:
        for port, each in (("query", query), ("key", key), ("value", value)):
            demands.floating(self.kind, each, port=port)
            if each.rank < 3:
                axes = demands.counted(each.rank, "axis", "axes")
                raise Refusal(f"`{self.kind}` wants [batch, ..., places, features], but {each} has {axes}", port=port)
            if each.dtype != query.dtype:
                raise Refusal(f"`{self.kind}` wants one dtype, but {query.dtype} and {each.dtype} arrive", port=port, code="SB0501")
        self._batches(query, key, value)
        demands.same_size(self.kind, query.shape[-1], key.shape[-1], where="of `query` and `key` on the last axis", port="key")
        demands.same_size(self.kind, key.shape[-2], value.shape[-2], where="of `key` and `value` on the axis before the last", port="value")
        if attn_mask is not None:
            self._mask(attn_mask, query, key)
        return query.with_shape((*query.shape[:-1], value.shape[-1]))

    def flops(self, query: TensorType, key: TensorType, value: TensorType, attn_mask: TensorType | None = None) -> Dim:
        return 2 * demands.numel(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])

    def source(self, query: TensorType, key: TensorType, value: TensorType, attn_mask: TensorType | None = None) -> Expression:
        settings: dict[str, Argument] = {"attn_mask": Input(3)} if attn_mask is not None else {}
        if self.dropout_p:
            # The function does not know which mode it is in: 0 in evaluation.
            settings["dropout_p"] = Infix("*", (self.dropout_p, TRAINING))
        return call("F.scaled_dot_product_attention", Input(0), Input(1), Input(2), **settings, **self.changed("is_causal", "scale", "enable_gqa"))

    def remarks(self, query: TensorType, key: TensorType, value: TensorType, attn_mask: TensorType | None = None) -> tuple[Remark, ...]:
        return demands.causal(self.kind, query.shape[-2], key.shape[-2]) if self.is_causal else ()

    def _batches(self, query: TensorType, key: TensorType, value: TensorType) -> None:
        """The axes before the last two are equal, but for heads of which each serves several."""
        for port, each in (("key", key), ("value", value)):
            if each.rank != query.rank:
                raise Refusal(f"`{self.kind}` wants equal ranks, found {query.shape_text} and {each.shape_text}", port=port)
            for at in range(query.rank - 2):
                if at == query.rank - 3 and self.enable_gqa:
                    self._shared_heads(query.shape[at], each.shape[at], port)
                else:
                    demands.same_size(self.kind, query.shape[at], each.shape[at], where=f"on axis {at}", port=port)

    def _shared_heads(self, asking: Dim, serving: Dim, port: str) -> None:
        if isinstance(asking, int) and isinstance(serving, int):
            if asking % serving:
                raise Refusal(f"`{self.kind}` cannot share {serving} heads of `{port}` among {asking} of `query`: they do not divide", port=port)
        elif equal(asking, serving) is not True:
            raise Refusal(f"`{self.kind}` cannot prove that {asking} heads of `query` share {serving} of `{port}` evenly", port=port)

    def _mask(self, mask: TensorType, query: TensorType, key: TensorType) -> None:
        port = "attn_mask"
        if self.is_causal:
            raise Refusal(f"`{self.kind}` gets two masks, `attn_mask` and `is_causal`", port=port, help="join them into one `attn_mask`")
        if mask.dtype not in ("bool", query.dtype):
            message = f"`{self.kind}` wants a mask of true and false, or of {query.dtype} numbers to add, but {mask.dtype} arrives"
            raise Refusal(message, port=port, code="SB0501")
        wanted = (*query.shape[:-1], key.shape[-2])
        if mask.rank < 2 or broadcast((wanted, mask.shape)) != wanted:
            text = TensorType(mask.dtype, wanted).shape_text
            raise Refusal(f"`{self.kind}` wants a mask of {text}, or one that stretches to it, but {mask.shape_text} arrives", port=port)
