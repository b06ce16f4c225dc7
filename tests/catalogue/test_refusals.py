"""What a user reads when a rule refuses: whole messages, the field or port that is blamed, and the help."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from specbuilder.catalogue.contract import Node, Refusal
from specbuilder.catalogue.lookup import find
from specbuilder.shapes import parse_type


def refusal(name: str, fields: dict[str, Any], *given: str, family: Any = "node") -> Refusal:
    kind = find(family, name)
    assert kind is not None
    node = kind(**fields)
    assert isinstance(node, Node)
    types = tuple(map(parse_type, given))
    with pytest.raises(Refusal) as caught:
        node.infer(types) if node.inputs[0].many else node.infer(*types)
    return caught.value


CONV = {"out_channels": 8, "kernel_size": 3}

SIZES: list[tuple[str, dict[str, Any], tuple[str, ...], str | None, str, str | None]] = [
    (
        "linear",
        {"out_features": 10, "in_features": 256},
        ("float32[B, 512]",),
        "in_features",
        "`linear` wants 256 features per sample, but 512 arrive",
        "delete `in_features`; it is inferred",
    ),
    (
        "linear",
        {"out_features": 10},
        ("float32[B, 128, 16*h]",),
        None,
        "`linear` makes its weights as large as its number of features, but that is `16*h`, which is not fixed",
        "declare a number instead of `h` in the input, or remove `h` first, as `adaptive_avg_pool2d: 1` does for height and width",
    ),
    ("conv2d", CONV, ("float32[B, 3, 32]",), None, "`conv2d` wants [batch, channels, height, width], but float32[B, 3, 32] has 3 axes", None),
    (
        "conv2d",
        {"out_channels": 8, "kernel_size": 5, "padding": 1},
        ("float32[B, 3, 2, 9]",),
        "kernel_size",
        "`conv2d` with kernel 5 does not fit: height 4 (padding 1 included) is smaller",
        None,
    ),
    (
        "conv1d",
        {"out_channels": 8, "kernel_size": 3, "dilation": 4},
        ("float32[B, 3, 8]",),
        "kernel_size",
        "`conv1d` with kernel 3, spread over 9 by its dilation, does not fit: length 8 (padding 0 included) is smaller",
        None,
    ),
    (
        "conv2d",
        {**CONV, "groups": 2},
        ("float32[B, 3, 8, 8]",),
        "groups",
        "`conv2d` cannot split the 3 channels that arrive into 2 groups of one size",
        None,
    ),
    (
        "conv2d",
        {**CONV, "padding": "same", "stride": 2},
        ("float32[B, 3, 8, 8]",),
        "padding",
        '`conv2d` keeps the size with padding "same" only at stride 1, not 2',
        "give `padding` as a number",
    ),
    (
        "conv2d",
        {**CONV, "padding": 4, "padding_mode": "reflect"},
        ("float32[B, 3, 4, 8]",),
        "padding",
        "`conv2d` cannot reflect 4 of height 4: at most 3",
        None,
    ),
    (
        "conv_transpose2d",
        {**CONV, "padding": 3},
        ("float32[B, 3, 2, 8]",),
        "padding",
        "`conv_transpose2d` leaves height -2 of 2: padding 3 takes away more than there is",
        None,
    ),
    (
        "max_pool2d",
        {"kernel_size": 3},
        ("float32[B, 3, 2, 8]",),
        "kernel_size",
        "`max_pool2d` with kernel 3 does not fit: height 2 (padding 0 included) is smaller",
        None,
    ),
    (
        "max_pool2d",
        {"kernel_size": 3, "padding": 2},
        ("float32[B, 3, 8, 8]",),
        "padding",
        "`max_pool2d` wants padding of at most half the kernel, but 2 is more than 3 // 2",
        None,
    ),
    ("flatten", {"start_dim": 3}, ("float32[B, 4]",), "start_dim", "`flatten` has no axis 3 in [B, 4]: axes run from -2 to 1", None),
    ("mean", {"dim": (1, -1)}, ("float32[B, 4]",), "dim", "`mean` names axis 1 twice", None),
    ("squeeze", {"dim": 1}, ("float32[B, T]",), "dim", "`squeeze` wants size 1 on axis 1, but the size is T", None),
    (
        "unflatten",
        {"dim": 1, "unflattened_size": (5, -1)},
        ("float32[B, 48]",),
        "unflattened_size",
        "`unflatten` cannot arrange 48 elements as [5, -1]: they do not divide by 5",
        None,
    ),
    (
        "reshape",
        {"shape": (2, 24)},
        ("float32[B, 48]",),
        "shape",
        "`reshape` cannot arrange 48*B elements as [2, 24]: these cannot be proved to be 48",
        "put -1 for one of the sizes",
    ),
    (
        "batch_norm2d",
        {},
        ("float32[1, 8, 1, 1]",),
        None,
        "`batch_norm2d` has one value for each channel of [1, 8, 1, 1], which has no variance to train with",
        "normalise before the places are pooled to one, or make the batch larger",
    ),
    (
        "matmul",
        {},
        ("float32[B, T, 4]", "float32[B, 5, T]"),
        None,
        "`matmul` wants equal sizes for the rows of [B, 5, T] and the columns of [B, T, 4], found 4 and 5",
        None,
    ),
]

JOINS: list[tuple[str, dict[str, Any], tuple[str, ...], str | None, str, str | None]] = [
    (
        "add",
        {},
        ("float32[B, 64, 32, 32]", "float32[B, 128, 16, 16]"),
        None,
        "`add` wants equal sizes on axis 1, found 64 and 128",
        None,
    ),
    ("add", {}, ("float32[B, 4]",), None, "`add` wants at least two operands, but one arrives", "name them: `from: [prev, other]`"),
    (
        "add",
        {},
        ("float32[B, T, 8]", "float32[T, 8]"),
        None,
        "`add` wants equal ranks, found [B, T, 8] and [T, 8]",
        "write `broadcast: true` if [B, T, 8] is meant",
    ),
    (
        "multiply",
        {},
        ("float32[B, 4, 1]", "float32[B, 1, 8]"),
        None,
        "`multiply` would stretch both [B, 4, 1] and [B, 1, 8] to [B, 4, 8]",
        "write `broadcast: true` if that is meant",
    ),
    (
        "add",
        {},
        ("bool[B]", "bool[B]"),
        None,
        "`add` of two booleans is not a sum: torch would make it a logical or",
        "use `logical_or` for a union, or convert with `cast` to count",
    ),
    ("add", {}, ("float16[B]", "complex64[]"), None, "`add` of float16 and complex64 gives complex32, for which torch has few functions", None),
    ("add", {"other": 300}, ("uint8[B]",), "other", "`add` gives uint8, which cannot hold 300", None),
    (
        "subtract",
        {"other": 2},
        ("float32[B]", "float32[B]"),
        "other",
        "`subtract` gets its other operand twice: a tensor and the number 2",
        None,
    ),
    (
        "concat",
        {"dim": 1},
        ("float32[B, 64, 2*(H//2)]", "float32[B, 64, H]"),
        None,
        "`concat` wants equal sizes on axis 2, but cannot prove that `2*(H//2)` equals `H` (not for H = 3)",
        "declare `2*H` instead of `H` in the input",
    ),
    (
        "concat",
        {"dim": 1},
        ("float32[B, 64, H]", "float32[B, 64, W]"),
        None,
        "`concat` wants equal sizes on axis 2, but cannot prove that `H` equals `W` (not for H = 1, W = 2)",
        "call the size `H` in both inputs if it is the same",
    ),
    (
        "stack",
        {"dim": 0},
        ("float32[B, 4]", "float32[B, T]"),
        None,
        "`stack` wants equal sizes on axis 1, but cannot prove that `4` equals `T` (not for T = 1)",
        "declare 4 instead of `T` in the input",
    ),
]


@pytest.mark.parametrize(("name", "fields", "given", "field", "message", "help"), SIZES + JOINS)
def test_message(name: str, fields: dict[str, Any], given: tuple[str, ...], field: str | None, message: str, help: str | None) -> None:
    found = refusal(name, fields, *given)
    assert (found.message, found.field, found.help) == (message, field, help)


@pytest.mark.parametrize(
    ("name", "given", "message", "help"),
    [
        (
            "linear",
            "int64[B, 4]",
            "`linear` wants floating-point numbers, but int64 arrives",
            "declare the input as float32, or turn categories into vectors with `embedding`",
        ),
        ("linear", "float64[B, 4]", "`linear` has float32 weights, but float64 arrives", "declare the input as float32"),
    ],
)
def test_dtypes_have_a_code_of_their_own(name: str, given: str, message: str, help: str) -> None:
    found = refusal(name, {"out_features": 4}, given)
    assert (found.message, found.help, found.code) == (message, help, "SB0501")


@pytest.mark.parametrize(
    ("name", "given", "message", "help"),
    [
        (
            "mse_loss",
            ("float32[B, 1]", "float32[B]"),
            "`mse_loss` wants equal shapes, found [B, 1] and [B]",
            "remove the axis of size 1 with `squeeze: 1`, or declare it on both sides",
        ),
        ("mse_loss", ("float32[B]", "float64[B]"), "`mse_loss` wants one dtype, but float32 and float64 arrive", None),
        (
            "l1_loss",
            ("float32[B, 3]", "int64[B, 3]"),
            "`l1_loss` wants floating-point numbers, but int64 arrives",
            "declare the input as float32, or",
        ),
        ("cross_entropy", ("float32[B, 10]", "int32[B]"), "`cross_entropy` wants class numbers int64[B], but int32[B] arrive", None),
        (
            "cross_entropy",
            ("float32[B, 10, T]", "int64[B, 7]"),
            "`cross_entropy` wants equal sizes on axis 1, but cannot prove that `T` equals `7`",
            "declare 7",
        ),
        ("cross_entropy", ("float32[B]", "int64[B]"), "`cross_entropy` wants logits [batch, classes, ...], but float32[B] arrives", None),
    ],
)
def test_losses_say_what_does_not_match(name: str, given: tuple[str, ...], message: str, help: str | None) -> None:
    found = refusal(name, {}, *given, family="loss")
    assert found.message.startswith(message)
    assert (found.help or "").startswith(help or "")
    assert found.port in ("input", "target")


def test_the_operand_that_does_not_fit_is_blamed() -> None:
    found = refusal("add", {}, "float32[B, 4]", "float32[B, 4]", "float32[B, 5]")
    assert (found.port, found.item) == ("input", 2)
    found = refusal("subtract", {}, "float32[B, 4]", "float32[B, 5]")
    assert (found.port, found.item) == ("other", None)


def test_torch_would_give_complex32() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of complex32, once in a process
        both = torch.zeros(2, dtype=torch.float16) + torch.zeros((), dtype=torch.complex64)
    assert both.dtype == torch.complex32
