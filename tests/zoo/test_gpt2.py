"""GPT-2 of the zoo against one written by hand, as nanoGPT is: the same outputs and gradients, bit for bit, from checkpoints of both layouts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from specbuilder.api import Spec
from tests.zoo.networks import network

DEPTH, DIM, HEADS, VOCABULARY, CONTEXT = 2, 64, 4, 97, 32


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        q, k, v = (part.view(B, T, HEADS, D // HEADS).transpose(1, 2) for part in self.c_attn(x).split(DIM, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, D))


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(DIM, 4 * DIM), nn.Linear(4 * DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = nn.LayerNorm(DIM), Attention(), nn.LayerNorm(DIM), Mlp()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Reference(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(VOCABULARY, DIM),
                "wpe": nn.Embedding(CONTEXT, DIM),
                "h": nn.ModuleList(Block() for _ in range(DEPTH)),
                "ln_f": nn.LayerNorm(DIM),
            }
        )
        self.lm_head = nn.Linear(DIM, VOCABULARY, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight  # type: ignore[assignment]

    def forward(self, tokens: Tensor) -> Tensor:
        parts: Any = self.transformer
        x = parts["wte"](tokens) + parts["wpe"](torch.arange(tokens.shape[1]))
        for block in parts["h"]:
            x = block(x)
        return self.lm_head(parts["ln_f"](x))


def small() -> Spec:
    return network("gpt2", "small", depth=DEPTH, dim=DIM, heads=HEADS, vocabulary=VOCABULARY, context=CONTEXT, drop=0.0)


@pytest.fixture(scope="module")
def reference() -> Reference:
    """By hand, with tensors drawn so that each one matters: fresh norms are ones, and biases zeros."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Reference()
        for parameter in model.parameters():
            nn.init.normal_(parameter, 1.0 if parameter.dim() == 1 else 0.0, 0.2)
    return model


def published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The layout of the published files: no prefix, no head, matrices of layers as (in, out), and a causal mask in each layer."""
    found = {name.removeprefix("transformer."): tensor for name, tensor in state.items() if name != "lm_head.weight"}
    found = {name: tensor.t() if name.startswith("h.") and tensor.dim() == 2 else tensor for name, tensor in found.items()}
    masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, CONTEXT, CONTEXT).tril() for layer in range(DEPTH)}
    return {**found, **masks}


@pytest.mark.parametrize("layout", ["nanogpt", "huggingface"])
def test_outputs_and_gradients_equal_those_of_a_model_by_hand(reference: Reference, layout: str) -> None:
    spec = small()
    model: Any = spec.build()
    state = reference.state_dict()
    model.load_state_dict(spec.convert(state if layout == "nanogpt" else published(state), map=layout))
    assert model.logits.weight is model.wte.weight
    tokens = torch.randint(0, VOCABULARY, (2, 7), generator=torch.Generator().manual_seed(1))
    outputs = []
    for each in (model, reference):
        each.zero_grad()
        outputs.append(each(tokens))
        F.cross_entropy(outputs[-1].flatten(0, 1), tokens.roll(-1, 1).flatten()).backward()
    assert torch.equal(*outputs)
    gradients = {name: parameter.grad for name, parameter in reference.named_parameters()}
    expected = spec.convert(gradients, map="nanogpt")  # type: ignore[arg-type]
    assert {name for name, _ in model.named_parameters()} == set(expected) - {"logits.weight"}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.equal(expected[name]), name
    # Tied: what comes through the head and what comes through the table meet in one gradient, in rows that no token asked for as well.
    assert (model.wte.weight.grad.abs().sum(1) > 0).all()


def test_no_token_sees_those_after_it(reference: Reference) -> None:
    spec = small()
    model = spec.build().eval()
    model.load_state_dict(spec.convert(reference.state_dict(), map="nanogpt"))
    a = torch.arange(8)[None]
    b = torch.cat([a[:, :5], a[:, 5:] + 20], 1)
    with torch.no_grad():
        same, other = (model(a) == model(b)).all(2)[0].split(5)
    assert same.all()
    assert not other.any()


def test_weights_begin_as_the_paper_says() -> None:
    """0.02 for matrices and tables, 0.02 / sqrt(2 L) for those that end a residual, zero for biases; norms keep what torch gives them."""
    model = small().build(seed=3)
    for name, parameter in model.named_parameters():
        if "norm" in name or "ln_f" in name:
            assert torch.equal(parameter, torch.full_like(parameter, float(name.endswith("weight")))), name
        elif name.endswith("bias"):
            assert not parameter.any(), name
        else:
            assert parameter.std().item() == pytest.approx(0.02 / 2 if "c_proj" in name else 0.02, rel=0.06), name
            assert abs(parameter.mean().item()) < 0.001, name
