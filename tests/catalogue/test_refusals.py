"""What a user reads when a rule refuses: whole messages, the field or port that is blamed, and the help."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from specbuilder.catalogue.contract import Node, Refusal
from specbuilder.catalogue.explain import explain
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


CHOICES = [
    ("where", {}, ("bool[B]", "float32[B]"), "other", None, "`where` wants `other`, a tensor or a number"),
    ("where", {"input": 1}, ("bool[B]", "float32[B]", "float32[B]"), "input", None, "`where` gets `input` twice: a tensor and the number 1"),
    ("where", {"other": 300}, ("bool[B]", "uint8[B]"), "other", None, "`where` gives uint8, which cannot hold 300"),
    ("masked_fill", {"value": 0.5}, ("int64[B]", "bool[B]"), "value", None, "`masked_fill` cannot put 0.5 into a tensor of int64"),
    ("lt", {"other": 0}, ("complex64[B]",), None, None, "`lt` wants numbers that can be compared, but complex64 arrives"),
    ("pow", {"exponent": 2}, ("float32[B]", "float32[B]"), "exponent", None, "`pow` gets its other operand twice: a tensor and the number 2"),
    ("floor_divide", {"other": 2}, ("bool[B]",), None, None, "`floor_divide` wants whole or floating-point numbers, but bool arrives"),
    ("clamp", {"min": 1, "max": 0}, ("float32[B]",), "min", None, "`clamp` wants `min` no larger than `max`, but 1 is larger than 0"),
    ("cast", {"dtype": "int64"}, ("complex64[B]",), "dtype", None, "`cast` to int64 would lose the imaginary part of complex64"),
    ("topk", {"k": 9, "largest": False}, ("float32[B, 8]",), "k", None, "`topk` wants the 9 smallest of 8 elements"),
    (
        "gather",
        {"dim": 1},
        ("float32[B, 4]", "int64[C, 3]"),
        None,
        "index",
        "`gather` wants an index of at most B on axis 0, but it is `C`, which cannot be proved to be",
    ),
    ("gather", {"dim": 1}, ("float32[3, 4]", "int64[5, 3]"), None, "index", "`gather` wants an index of at most 3 on axis 0, but it is 5"),
    ("one_hot", {"num_classes": 4}, ("int32[B]",), None, None, "`one_hot` wants int64, but int32 arrives"),
    (
        "split",
        {"split_size_or_sections": (2, 3), "dim": 1},
        ("float32[B, T]",),
        "split_size_or_sections",
        None,
        "`split` splits axis 1 into 5, but its size is T",
    ),
    (
        "split",
        {"split_size_or_sections": 2},
        ("float32[B, T]",),
        "dim",
        None,
        "`split` cannot tell how many tensors it gives: the size of axis 0 is `B`",
    ),
    ("chunk", {"chunks": 2, "dim": 1}, ("float32[B, T]",), "dim", None, "`chunk` cannot tell how many tensors it gives: the size of axis 1 is `T`"),
    ("unbind", {}, ("float32[20000, 3]",), None, None, "`unbind` would give more than 10,000 tensors, which is the most a node gives"),
    ("roll", {"shifts": (1, 2)}, ("float32[B, 4]",), "shifts", None, "`roll` has 2 shifts, but no `dims` to say along which axes"),
    ("upsample", {}, ("float32[B, 4, H, W]",), None, None, "`upsample` wants either `size` or `scale_factor`"),
    (
        "upsample",
        {"scale_factor": (2, 2, 2)},
        ("float32[B, 4, H, W]",),
        "scale_factor",
        None,
        "`upsample` gives 3 numbers for 2 axes of [B, 4, H, W]",
    ),
    ("upsample", {"scale_factor": 0.3}, ("float32[B, 4, H]",), "scale_factor", None, "`upsample` cannot tell what 0.3 times `H` is rounded to"),
    (
        "upsample",
        {"scale_factor": 2, "align_corners": True},
        ("float32[B, 4, H]",),
        "align_corners",
        None,
        "`upsample` has no corners to align in the mode `nearest`",
    ),
    ("pairwise_distance", {}, ("float32[B, 8]", "float64[B, 8]"), None, "x2", "`pairwise_distance` wants one dtype, but float32 and float64 arrive"),
    ("prod", {"keepdim": True}, ("float32[B, 8]",), "keepdim", None, "`prod` keeps the axis `dim`, but none is named"),
]


@pytest.mark.parametrize(("name", "fields", "given", "field", "port", "message"), CHOICES)
def test_choices_and_parts_say_what_does_not_fit(
    name: str, fields: dict[str, Any], given: tuple[str, ...], field: str | None, port: str | None, message: str
) -> None:
    found = refusal(name, fields, *given)
    assert (found.message, found.field, found.port) == (message, field, port)


@pytest.mark.parametrize(
    ("equation", "given", "message"),
    [
        ("ij,jk->ik", ("float32[B, 4]",), "`einsum` has 2 operands in its equation, but 1 tensor arrives"),
        ("ij,jk->ik", ("float32[B, 4]", "float32[4]"), "`einsum` reads an operand as `jk`, but float32[4] has 1 axis"),
        ("ij,jk->ik", ("float32[B, 4]", "float64[4, 4]"), "`einsum` wants one dtype, but float32 and float64 arrive"),
        (
            "ij,jk->ik",
            ("float32[B, T]", "float32[4, 4]"),
            "`einsum` wants equal sizes for the letter `j`, but cannot prove that `T` equals `4` (not for T = 1)",
        ),
        ("...i,...i->...", ("float32[B, 4, 3]", "float32[5, 3]"), "`einsum` cannot stretch [B, 4] and [5] to one shape for `...`"),
    ],
)
def test_einsum_says_what_does_not_match(equation: str, given: tuple[str, ...], message: str) -> None:
    assert refusal("einsum", {"equation": equation}, *given).message == message


@pytest.mark.parametrize(
    ("equation", "blamed", "message"),
    [
        ("ij,jj->i", "jj", "the letter `j` stands twice in `jj`"),
        ("ij,j1->i", "j1", "`1` has no meaning here: axes are letters, and `...` stands for further ones"),
        ("ij,jk->iz", "iz", "no operand has `z`, which the result has"),
        ("ij,jk->i k!", "i k!", "`!` has no meaning here: axes are letters, and `...` stands for further ones"),
    ],
)
def test_equation_is_told_with_its_place(equation: str, blamed: str, message: str) -> None:
    kind = find("node", "einsum")
    assert kind is not None
    (problem,) = explain(kind, {"equation": equation}, "einsum")
    assert problem.message == f"`equation`: {message}"
    assert problem.part is not None
    assert equation[slice(*problem.part)] == blamed


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
