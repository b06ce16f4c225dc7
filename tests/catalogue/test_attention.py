"""Attention against its formula, in both modes; what the contract tests cannot draw."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from specbuilder.catalogue.contract import ITSELF, Attribute, Module, Node, Refusal
from specbuilder.catalogue.layers.stochastic_depth import CLASS
from specbuilder.catalogue.lookup import find
from specbuilder.emit.render import render, symbols
from specbuilder.shapes import TensorType, parse_type, symbol

# B batch, H heads, L places that ask, S places that are read, D features of a head


def node(name: str, **fields: Any) -> Node:
    kind = find("node", name)
    assert kind is not None and issubclass(kind, Node)
    return kind(**fields)


def text(source: Any) -> str:
    return render(source, lambda reference: "qkvpm"[reference.port], lambda name: name)


TOKENS = parse_type("float32[B, T, 8]")
HEADS = parse_type("float32[B, 2, T, 4]")

CODE = [
    ({}, (), "F.scaled_dot_product_attention(q, k, v)"),
    ({"is_causal": True}, (), "F.scaled_dot_product_attention(q, k, v, is_causal=True)"),
    ({"dropout_p": 0.1}, (), "F.scaled_dot_product_attention(q, k, v, dropout_p=0.1 * self.training)"),
    ({"scale": 0.5}, ("bool[T, T]",), "F.scaled_dot_product_attention(q, k, v, attn_mask=p, scale=0.5)"),
]


@pytest.mark.parametrize(("fields", "mask", "expected"), CODE)
def test_function_is_one_call_and_drops_in_training_only(fields: dict[str, Any], mask: tuple[str, ...], expected: str) -> None:
    assert text(node("scaled_dot_product_attention", **fields).source(HEADS, HEADS, HEADS, *map(parse_type, mask))) == expected


MODULES = [
    ({}, "nn.MultiheadAttention(8, 2, batch_first=True)", "module(q, k, v, need_weights=False)[0]"),
    (
        {"is_causal": True, "dropout": 0.1, "bias": False},
        "nn.MultiheadAttention(8, 2, dropout=0.1, bias=False, batch_first=True)",
        "module(q, k, v, attn_mask=torch.ones(T, T, dtype=torch.bool, device=device).triu(1), is_causal=True, need_weights=False)[0]",
    ),
]


@pytest.mark.parametrize(("fields", "constructor", "call"), MODULES)
def test_module_is_called_for_its_output_alone(fields: dict[str, Any], constructor: str, call: str) -> None:
    source = node("multihead_attention", num_heads=2, **fields).source(TOKENS, TOKENS, TOKENS)
    assert isinstance(source, Module) and source.call is not None
    assert (text(source.constructor), text(source.call)) == (constructor, call)
    assert set(symbols(source.call)) <= {"T"} and ITSELF == "module"


def test_causal_attention_sees_nothing_later() -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, batch_first=True)
    source = node("multihead_attention", num_heads=2, is_causal=True).source(*[parse_type("float32[3, 5, 8]")] * 3)
    assert isinstance(source, Module) and source.call is not None
    names = {"torch": torch, "module": module, "device": torch.device("cpu")}

    def run(x: Tensor) -> Tensor:
        return eval(text(source.call), {**names, "q": x, "k": x, "v": x})

    x = torch.randn(3, 5, 8)
    changed = torch.cat([x[:, :3], torch.randn(3, 2, 8)], 1)
    for mode in (True, False):
        module.train(mode)
        with torch.set_grad_enabled(mode):  # without gradients and in evaluation, torch takes another path
            torch.testing.assert_close(run(x)[:, :3], run(changed)[:, :3])
            assert not torch.equal(run(x)[:, 3:], run(changed)[:, 3:])


def test_masks_mean_opposite_things_as_documented() -> None:
    """True: not looked at (module), looked at (function). By the formula, place by place."""
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 4, 8) for _ in range(3))  # B H L D
    seen = torch.tensor([True, True, False, True])
    weights = (query @ key.mT / sqrt(8)).masked_fill(~seen, -torch.inf).softmax(-1)
    source = node("scaled_dot_product_attention").source(*[parse_type("float32[2, 3, 4, 8]")] * 3, parse_type("bool[1, 4]"))
    names = {"F": nn.functional, "q": query, "k": key, "v": value, "p": seen[None]}
    torch.testing.assert_close(eval(text(source), names), weights @ value)


REFUSED = [
    ("multihead_attention", {"num_heads": 2}, ("float32[B, T, C]",) * 3, None, None, "makes its weights as large as its number of features"),
    ("multihead_attention", {"num_heads": 2}, ("float32[T, 8]",) * 3, None, "query", "wants [batch, places, features], but float32[T, 8] has 2 axes"),
    (
        "multihead_attention",
        {"num_heads": 2},
        ("float32[B, T, 8]", "float32[B, S, 8]", "float32[B, T, 8]"),
        None,
        "value",
        "wants equal sizes of `key` and `value` on axis 1, but cannot prove that `S` equals `T`",
    ),
    (
        "multihead_attention",
        {"num_heads": 2, "is_causal": True},
        (*("float32[B, T, 8]",) * 3, "", "bool[T, T]"),
        None,
        "attn_mask",
        "gets two masks, `attn_mask` and `is_causal`",
    ),
    (
        "multihead_attention",
        {"num_heads": 2},
        (*("float32[B, T, 8]",) * 3, "bool[B, T]", "float32[T, T]"),
        None,
        "attn_mask",
        "wants both masks of true and false, but `attn_mask` is float32",
    ),
    (
        "scaled_dot_product_attention",
        {"enable_gqa": True},
        ("float32[B, 8, T, 4]", "float32[B, 3, T, 4]", "float32[B, 3, T, 4]"),
        None,
        "key",
        "cannot share 3 heads of `key` among 8 of `query`: they do not divide",
    ),
    (
        "scaled_dot_product_attention",
        {},
        (*("float32[B, 2, T, 4]",) * 3, "bool[T, S]"),
        None,
        "attn_mask",
        "wants a mask of [B, 2, T, T], or one that stretches to it, but [T, S] arrives",
    ),
]


@pytest.mark.parametrize(("name", "fields", "given", "field", "port", "message"), REFUSED)
def test_refusals(name: str, fields: dict[str, Any], given: tuple[str, ...], field: str | None, port: str | None, message: str) -> None:
    with pytest.raises(Refusal) as refusal:
        node(name, **fields).infer(*(parse_type(each) if each else None for each in given))
    assert refusal.value.message.startswith(f"`{name}` {message}")
    assert (refusal.value.field, refusal.value.port) == (field, port)


# Tensors of the network's own ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fields", "constructor", "is_buffer"),
    [
        ("parameter", {"shape": (4, 1, 1)}, "nn.Parameter(torch.empty(4, 1, 1))", False),
        ("parameter", {"shape": ()}, "nn.Parameter(torch.empty(()))", False),
        ("parameter", {"shape": (2,), "dtype": "bfloat16"}, "nn.Parameter(torch.empty(2, dtype=torch.bfloat16))", False),
        ("buffer", {"shape": (3,), "dtype": "int64"}, "torch.empty(3, dtype=torch.int64)", True),
    ],
)
def test_tensor_of_ones_own(name: str, fields: dict[str, Any], constructor: str, is_buffer: bool) -> None:
    made = node(name, **fields)
    source = made.source()
    assert isinstance(source, Attribute)
    assert (text(source.constructor), source.is_buffer, made.is_off_chain, made.inputs) == (constructor, is_buffer, True, ())
    assert [*made.parameters(), *made.buffers()] == [""]


def test_tensor_of_ones_own_has_a_fixed_size() -> None:
    with pytest.raises(Refusal) as refusal:
        node("parameter", shape=(4, symbol("T"))).infer()
    assert refusal.value.message == "`parameter` is made before anything arrives, but its size `T` depends on what does"
    assert (refusal.value.field, refusal.value.help) == ("shape", "declare a number instead of `T` in the input")


# Stochastic depth ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_pasted_class_drops_whole_samples_in_training(p: float) -> None:
    names: dict[str, Any] = {"torch": torch, "nn": nn, "Tensor": Tensor}
    exec(CLASS, names)
    module = names["StochasticDepth"](p)
    torch.manual_seed(0)
    left = module(torch.ones(4000, 3))
    assert bool((left == left[:, :1]).all())
    assert {round(value, 6) for value in left[:, 0].tolist()} == ({0.0} if p == 1 else {1.0} if p == 0 else {0.0, round(1 / (1 - p), 6)})
    assert float(left.mean()) == pytest.approx(0 if p == 1 else 1, abs=0.05)
    assert bool((module.eval()(torch.ones(5, 3)) == 1).all())


def test_result_of_a_choice_is_a_type() -> None:
    left = node("where", input=0.0, other=-100.0).infer(parse_type("bool[B, T]"))
    assert left == TensorType("float32", parse_type("bool[B, T]").shape)
