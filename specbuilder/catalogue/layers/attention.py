"""Attention with weights: multihead_attention. (B, L, E) asks, (B, S, ...) is read -> (B, L, E).

A. Vaswani et al., "Attention is all you need" (2017). B batch, L places that ask, S places that are read, E features, H heads of E/H features each.
"""

from __future__ import annotations

from typing import Literal

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import (
    DEVICE,
    ITSELF,
    Argument,
    Code,
    Example,
    Index,
    Input,
    Layer,
    Method,
    Module,
    Parameter,
    Port,
    PositiveInt,
    Probability,
    Refusal,
    Remark,
    call,
    layer,
)
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import Dim, TensorType

ADDED_PADDING = "a floating-point `key_padding_mask`: a mask of places is true or false"
MIXED_MASKS = "two masks of different dtype, which torch deprecates"
SECOND_MASK = "a mask beside `is_causal`, which is one"


@layer("multihead_attention", primary="num_heads", torch="nn.MultiheadAttention", aliases=("mha", "self_attention", "multi_head_attention"))
class MultiheadAttention(Layer):
    """Each place looks at all places of `key`, in several heads, and takes a mixture of `value`: (B, L, E), (B, S, ...) -> (B, L, E).

    `key` is `query` and `value` is `key` unless said. In both masks true means: not looked at (in `scaled_dot_product_attention` it means the opposite).
    """

    inputs = (
        Port("query"),
        Port("key", default="query"),
        Port("value", default="key"),
        Port("key_padding_mask", optional=True),
        Port("attn_mask", optional=True),
    )

    num_heads: PositiveInt
    embed_dim: PositiveInt | None = Field(default=None, description="the features of `query`: inferred; written, it is checked")
    dropout: Probability = Field(default=0.0, description="the chance that a place is not looked at, in training")
    bias: bool = True
    kdim: PositiveInt | None = Field(default=None, description="the features of `key`: inferred; written, it is checked")
    vdim: PositiveInt | None = Field(default=None, description="the features of `value`: inferred; written, it is checked")
    batch_first: Literal[True] = Field(default=True, description="the batch is the first axis, always")
    is_causal: bool = Field(default=False, description="no place looks at a later one")

    stricter_than_torch = (demands.UNBATCHED, ADDED_PADDING, MIXED_MASKS, SECOND_MASK)
    examples = (
        Example(text="multihead_attention: 2", given="float32[B, T, 8]", gives="float32[B, T, 8]", parameters=288),
        Example(
            text="multihead_attention: {num_heads: 2, is_causal: true, bias: false}",
            given="float32[B, T, 8]",
            gives="float32[B, T, 8]",
            parameters=256,
        ),
        Example(
            text="multihead_attention: {num_heads: 2}",
            given=("float32[B, T, 8]", "float32[B, 5, 6]", "float32[B, 5, 6]", "bool[B, 5]"),
            gives="float32[B, T, 8]",
            parameters=256,
        ),
        Example(text="multihead_attention: 3", given="float32[B, T, 8]", refused="cannot split 8 features into 3 heads of one size"),
    )

    def infer(
        self,
        query: TensorType,
        key: TensorType,
        value: TensorType,
        key_padding_mask: TensorType | None = None,
        attn_mask: TensorType | None = None,
    ) -> TensorType:
        self._features(query, key, value)
        for port, each in (("key", key), ("value", value)):
            demands.same_size(self.kind, query.shape[0], each.shape[0], where="of the batch", port=port)
        demands.same_size(self.kind, key.shape[1], value.shape[1], where="of `key` and `value` on axis 1", port="value")
        if key_padding_mask is not None:
            self._padding(key_padding_mask, key)
        if attn_mask is not None:
            self._mask(attn_mask, key_padding_mask, query, key)
        return query

    def parameters(self, query: TensorType, key: TensorType, value: TensorType, *masks: TensorType | None) -> dict[str, Parameter]:
        embed, keys, values = self._features(query, key, value)
        found = {"in_proj_weight": demands.parameter("matrix", 3 * embed, embed)}
        if not embed == keys == values:
            widths = {"q_proj_weight": embed, "k_proj_weight": keys, "v_proj_weight": values}
            found = {name: demands.parameter("matrix", embed, width) for name, width in widths.items()}
        if self.bias:
            found["in_proj_bias"] = demands.parameter("bias", 3 * embed)
        found["out_proj.weight"] = demands.parameter("matrix", embed, embed)
        if self.bias:
            found["out_proj.bias"] = demands.parameter("bias", embed)
        return found

    def flops(self, query: TensorType, key: TensorType, value: TensorType, *masks: TensorType | None) -> Dim:
        embed, keys, values = self._features(query, key, value)
        batch, asking, read = query.shape[0], query.shape[1], key.shape[1]
        projections = asking * embed * embed + read * keys * embed + read * values * embed + asking * embed * embed
        return 2 * batch * (projections + 2 * asking * read * embed)

    def source(
        self,
        query: TensorType,
        key: TensorType,
        value: TensorType,
        key_padding_mask: TensorType | None = None,
        attn_mask: TensorType | None = None,
    ) -> Module:
        embed, keys, values = self._features(query, key, value)
        settings: dict[str, Argument] = {**self.changed("dropout", "bias")}
        if not embed == keys == values:
            settings |= {"kdim": keys, "vdim": values}
        masks: dict[str, Argument] = {}
        if key_padding_mask is not None:
            masks["key_padding_mask"] = Input(3)
        if self.is_causal:
            masks["attn_mask"] = self._causal(query.shape[1], key.shape[1])
            masks["is_causal"] = True
        elif attn_mask is not None:
            masks["attn_mask"] = Input(4)
        uses = call(ITSELF, Input(0), Input(1), Input(2), **masks, need_weights=False)
        return Module(call("nn.MultiheadAttention", embed, self.num_heads, **settings, batch_first=True), Index(uses, (0,)))

    def remarks(self, query: TensorType, key: TensorType, value: TensorType, *masks: TensorType | None) -> tuple[Remark, ...]:
        return demands.causal(self.kind, query.shape[1], key.shape[1]) if self.is_causal else ()

    def _causal(self, asking: Dim, read: Dim) -> Argument:
        """Torch wants the mask beside `is_causal`. It is boolean, as `key_padding_mask` is: torch deprecates masks of two dtypes."""
        return Method(call("torch.ones", asking, read, dtype=Code("torch.bool"), device=DEVICE), "triu", (1,))

    def _features(self, query: TensorType, key: TensorType, value: TensorType) -> tuple[int, int, int]:
        found = []
        for port, field, x in (("query", "embed_dim", query), ("key", "kdim", key), ("value", "vdim", value)):
            demands.as_weights(self.kind, x, port=port)
            demands.rank(self.kind, x, (3,), "[batch, places, features]", port=port)
            features = demands.fixed(self.kind, x.shape[2], "features")
            demands.agrees(self.kind, field, getattr(self, field), features, "feature")
            found.append(features)
        embed, keys, values = found
        if embed % self.num_heads:
            raise Refusal(f"`{self.kind}` cannot split {embed} features into {self.num_heads} heads of one size", field="num_heads")
        return embed, keys, values

    def _padding(self, mask: TensorType, key: TensorType) -> None:
        port = "key_padding_mask"
        if mask.dtype != "bool":
            message = f"`{self.kind}` wants a mask of true and false for `key_padding_mask`, but {mask.dtype} arrives"
            raise Refusal(message, port=port, help="true means: padding, not looked at; `~mask` in `compute` turns a mask round", code="SB0501")
        demands.same_shape(self.kind, TensorType("bool", key.shape[:2]), mask, port=port)

    def _mask(self, mask: TensorType, padding: TensorType | None, query: TensorType, key: TensorType) -> None:
        port = "attn_mask"
        if self.is_causal:
            raise Refusal(f"`{self.kind}` gets two masks, `attn_mask` and `is_causal`", port=port, help="join them into one `attn_mask`")
        if mask.dtype not in ("bool", "float32"):
            message = f"`{self.kind}` wants a mask of true and false, or of float32 numbers to add, but {mask.dtype} arrives"
            raise Refusal(message, port=port, code="SB0501")
        if padding is not None and mask.dtype != "bool":
            raise Refusal(f"`{self.kind}` wants both masks of true and false, but `attn_mask` is {mask.dtype}", port=port, code="SB0501")
        places = (query.shape[1], key.shape[1])
        wanted = places if mask.rank == 2 else (query.shape[0] * self.num_heads, *places)
        demands.same_shape(self.kind, TensorType(mask.dtype, wanted), mask, port=port)
