"""The BERT of the zoo against torch's own post-norm encoder with the same weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.zoo.networks import network

DEPTH, DIM, HEADS, VOCABULARY = 2, 32, 4, 50


def reference(depth: int) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(DIM, HEADS, 4 * DIM, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True, norm_first=False)
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


def keys(depth: int) -> dict[str, str]:
    """Torch's names of the tensors of its encoder, by ours."""
    parts = {
        "residual.multihead_attention": "self_attn",
        "layer_norm": "norm1",
        "residual_2.linear": "linear1",
        "residual_2.linear_2": "linear2",
        "layer_norm_2": "norm2",
    }
    names = {"self_attn": ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")}
    return {
        f"layer.{at}.{ours}.{name}": f"layers.{at}.{theirs}.{name}"
        for at in range(depth)
        for ours, theirs in parts.items()
        for name in names.get(theirs, ("weight", "bias"))
    }


def by_hand(model: Any, encoder: nn.Module, ids: Tensor, types: Tensor, mask: Tensor) -> Tensor:
    """The tables of `model`, torch's encoder, and each sentence's mean over its own tokens, one by one."""
    table = model.word_embeddings.weight[ids] + model.token_type_embeddings.weight[types] + model.position_embeddings.weight[: ids.shape[1]]
    x = encoder(model.layer_norm(table), src_key_padding_mask=mask.logical_not())
    return torch.stack([row[kept].mean(0) for row, kept in zip(x, mask, strict=True)])


def test_sentences_equal_those_of_the_encoder_of_torch() -> None:
    """In training mode, where torch runs the same functions (its evaluation mode has a kernel of its own) and dropout is off; gradients as well."""
    model = network("bert_mean", vocabulary=VOCABULARY, dim=DIM, depth=DEPTH, heads=HEADS, drop=0.0).build()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(1.0 if parameter.dim() == 1 else 0.0, 0.3, generator=generator)
    encoder, names, state = reference(DEPTH), keys(DEPTH), model.state_dict()
    encoder.load_state_dict({theirs: state[ours] for ours, theirs in names.items()})
    ids = torch.randint(1, VOCABULARY, (3, 6), generator=generator)
    types = torch.randint(0, 2, (3, 6), generator=generator)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2, [True] + [False] * 5])
    ours, expected = model(ids, types, mask), by_hand(model, encoder, ids, types, mask)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    ours.square().sum().backward(inputs=list(model.parameters()))
    expected.square().sum().backward(inputs=list(encoder.parameters()))
    theirs = dict(encoder.named_parameters())
    for name, parameter in model.named_parameters():
        if name in names:
            torch.testing.assert_close(parameter.grad, theirs[names[name]].grad, rtol=1e-4, atol=1e-4, msg=name)


def test_padding_changes_nothing() -> None:
    model = network("bert_mean", vocabulary=VOCABULARY, dim=DIM, depth=DEPTH, heads=HEADS).build().eval()
    ids, types = torch.arange(1, 7)[None], torch.zeros(1, 6, dtype=torch.int64)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    with torch.no_grad():
        longer, shorter = model(ids, types, mask), model(ids[:, :4], types[:, :4], mask[:, :4])
        torch.testing.assert_close(longer, shorter, rtol=1e-5, atol=1e-6)
        other = model(ids, types, torch.ones_like(mask))
    assert not torch.allclose(longer, other, rtol=1e-3)
