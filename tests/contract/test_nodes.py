"""Two witnesses: every layer, function and loss against torch, on drawn fields and drawn types.

What we accept torch runs, with the same types, parameters, buffers and FLOPs, and the code we describe is the call that torch was given. What torch refuses we
refuse. Where we refuse and torch does not, the kind says so in `stricter_than_torch`, and `EXCUSES` says which refusals that sentence covers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Attribute, Call, Layer, Loss, Module, Node, Refusal
from specbuilder.catalogue.declared import fields_of
from specbuilder.catalogue.fields import check
from specbuilder.catalogue.functions import (
    activations,
    arithmetic,
    arrangement,
    attention,
    comparisons,
    creation,
    distances,
    einops,
    elementwise,
    joining,
    pooling,
    products,
    reductions,
    selection,
    splitting,
)
from specbuilder.catalogue.layers import attention as weighted_attention
from specbuilder.catalogue.layers import batch_normalisation
from specbuilder.catalogue.layers.convolution import CROPPED
from specbuilder.catalogue.lookup import all_kinds
from specbuilder.catalogue.losses import classification
from specbuilder.shapes import TensorType
from tests.contract.draws import Use, uses
from tests.contract.witness import Answer, Arriving, told, witness

KINDS: list[type[Node]] = [kind for family in ("node", "loss") for kind in all_kinds(family) if issubclass(kind, Node)]  # type: ignore[misc]
CASES = [pytest.param(kind, id=f"{kind.family}-{kind.kind}") for kind in KINDS if kind.__module__.startswith("specbuilder.")]

SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)

DRAWS = 8_000 // len(CASES) + 1
LONG_DRAWS = 42_000 // len(CASES) + 1

NEVER_REFUSED_BY_TORCH = {
    *(
        "cast",
        "cos",
        "exp",
        "identity",
        "log",
        "log1p",
        "logical_not",
        "ones_like",
        "rsqrt",
        "sigmoid",
        "sin",
        "sqrt",
        "square",
        "tanh",
        "zeros_like",
    ),
}
"""Kinds whose torch function takes whatever arrives."""


_HALF, _FLOATS = TensorType("float16", (2,)), TensorType("float32", (2,))
_SINGLE_COMPLEX, _BYTES = TensorType("complex64", ()), TensorType("uint8", (2,))
_TOKENS, _BATCHLESS, _PLACES = TensorType("float32", (2, 3, 4)), TensorType("float32", (3, 4)), TensorType("bool", (3, 3))
_ONE = TensorType("float32", (1, 1, 1, 1))
RARE: list[tuple[str, dict[str, Any], tuple[Arriving, ...], str]] = [
    *[(name, {}, ((_HALF, _SINGLE_COMPLEX),), arithmetic.HALF_COMPLEX) for name in ("add", "multiply")],
    ("subtract", {}, (_HALF, _SINGLE_COMPLEX), arithmetic.HALF_COMPLEX),
    *[(name, {"other": 300}, ((_BYTES,),), arithmetic.WRAPPED) for name in ("add", "multiply")],
    ("subtract", {"other": 300}, (_BYTES, None), arithmetic.WRAPPED),
    ("divide", {"other": 0}, (_FLOATS, None), arithmetic.BY_ZERO),
    *[(name, {}, ((TensorType("float32", (3, 2)), _FLOATS),), arithmetic.SURPRISING_STRETCH) for name in ("add", "multiply")],
    ("add", {}, ((TensorType("bool", (2,)), TensorType("bool", (2,))),), arithmetic.ADDED_BOOLS),
    ("embedding", {"num_embeddings": 4, "embedding_dim": 0}, (TensorType("int64", (2,)),), demands.EMPTY),
    ("matmul", {}, (TensorType("int64", (2, 2)), TensorType("int64", (2, 2))), demands.NOT_FLOATING),
    ("cross_entropy", {}, (TensorType("float32", (2, 3)), _BYTES), classification.CLASS_BYTES),
    ("cross_entropy", {}, (TensorType("float32", (2, 3)), TensorType("float64", (2, 3))), demands.MIXED_FLOATS),
    ("cross_entropy", {}, (TensorType("float32", (3,)), TensorType("int64", ())), demands.UNBATCHED),
    ("layer_norm", {}, (TensorType("float16", (2, 4)),), demands.OTHER_FLOAT),
    ("group_norm", {"num_groups": 2, "affine": False, "num_channels": 6}, (TensorType("float32", (2, 4, 3)),), batch_normalisation.IDLE_ASSERTION),
    ("multihead_attention", {"num_heads": 2}, (*(_BATCHLESS,) * 3, None, None), demands.UNBATCHED),
    ("multihead_attention", {"num_heads": 2, "is_causal": True}, (*(_TOKENS,) * 3, None, _PLACES), weighted_attention.SECOND_MASK),
    (
        "multihead_attention",
        {"num_heads": 2},
        (*(_TOKENS,) * 3, TensorType("bool", (2, 3)), _PLACES.with_dtype("float32")),
        weighted_attention.MIXED_MASKS,
    ),
    *[(name, {"other": 0}, (_FLOATS, None), arithmetic.BY_ZERO) for name in ("floor_divide", "remainder")],
    *[(name, {"correction": -1}, (_FLOATS,), reductions.NEGATIVE_CORRECTION) for name in ("var", "std")],
    ("topk", {"k": 0}, (_FLOATS,), selection.NOTHING_CHOSEN),
    ("where", {}, (TensorType("bool", (2,)), _HALF, _SINGLE_COMPLEX), arithmetic.HALF_COMPLEX),
    *[(name, {}, (_HALF, _SINGLE_COMPLEX), arithmetic.HALF_COMPLEX) for name in ("eq", "ne")],
    ("gather", {"dim": 0}, (TensorType("float32", ()), TensorType("int64", ())), demands.SCALAR_AXIS),
    ("stochastic_depth", {"p": 0.0}, (TensorType("float32", ()),), demands.SCALAR_AXIS),
    ("scaled_dot_product_attention", {}, (*(_ONE,) * 2, TensorType("float32", (1, 1, 2, 1)), None), attention.IGNORED_VALUES),
    *[
        (name, {}, (_FLOATS, None), arithmetic.ALONE)
        for name in ("pow", "floor_divide", "remainder", "eq", "ne", "lt", "le", "gt", "ge", "subtract", "divide")
    ],
    ("index_select", {"dim": 0}, (TensorType("float32", ()), TensorType("int64", (1,))), demands.SCALAR_AXIS),
    ("group_norm", {"num_groups": 2}, (TensorType("float16", (2, 4, 3)),), demands.OTHER_FLOAT),
]
for _axes in (1, 2, 3):
    _shape = (2, 4, *[5] * _axes)
    _floating, _whole = (TensorType("float32", _shape),), (TensorType("int64", _shape),)
    _idle = {"affine": False, "track_running_stats": False, "num_features": 3}
    RARE += [
        (f"adaptive_avg_pool{_axes}d", {"output_size": 1}, (TensorType("complex64", _shape),), demands.NOT_FLOATING),
        (f"avg_pool{_axes}d", {"kernel_size": 2}, _whole, demands.NOT_FLOATING),
        (f"conv{_axes}d", {"out_channels": 4, "kernel_size": 1, "padding": -1, "padding_mode": "reflect"}, _floating, CROPPED),
        (f"conv{_axes}d", {"out_channels": 4, "in_channels": 4, "kernel_size": 1}, (TensorType("float32", _shape[1:]),), demands.UNBATCHED),
        (f"conv_transpose{_axes}d", {"out_channels": 4, "in_channels": 4, "kernel_size": 1}, (TensorType("float32", _shape[1:]),), demands.UNBATCHED),
        (f"batch_norm{_axes}d", {}, (TensorType("bfloat16", _shape),), demands.OTHER_FLOAT),
        (f"batch_norm{_axes}d", _idle, _floating, batch_normalisation.IDLE_ASSERTION),
        (f"instance_norm{_axes}d", {"momentum": 1.5}, _floating, batch_normalisation.ODD_MOMENTUM),
        (f"instance_norm{_axes}d", _idle, _floating, batch_normalisation.IDLE_ASSERTION),
    ]
    if _axes > 1:
        RARE += [(f"avg_pool{_axes}d", {"kernel_size": 2, "divisor_override": -1}, _floating, pooling.ODD_DIVISOR)]
"""Reasons that draws meet seldom, each with a use that torch accepts and we refuse."""


def said(pattern: str) -> Callable[[str], bool]:
    return lambda message: re.search(pattern, message) is not None


EXCUSES: dict[str, Callable[[str], bool]] = {
    demands.NOT_FLOATING: said(r"wants floating-point numbers, but (u?int|bool|complex)\d* arrives"),
    demands.OTHER_FLOAT: said(r"has float32 weights, but (float16|bfloat16|float64) arrives"),
    demands.UNBATCHED: said(r"wants (logits )?\[batch, |wants a batch of samples"),
    demands.SCALAR_AXIS: said(r"but a single number arrives"),
    demands.NO_AXIS: said(r"names no axis: the list is empty"),
    demands.STRETCHED_TARGET: said(r"wants equal (shapes|sizes)"),
    demands.MIXED_FLOATS: said(r"wants one dtype, but "),
    demands.EMPTY: said(r"wants a positive|wants a list of values, each a positive|wants a list of positive|leaves \w+ 0 of"),
    arithmetic.SURPRISING_STRETCH: said(r"wants equal ranks|would stretch both"),
    arithmetic.ALONE: said(r"at least two operands, but one arrives"),
    arithmetic.ADDED_BOOLS: said(r"of two booleans is not a sum"),
    arithmetic.WRAPPED: said(r"which cannot hold"),
    arithmetic.HALF_COMPLEX: said(r"gives complex32"),
    arithmetic.BY_ZERO: said(r"cannot divide by 0"),
    arrangement.NO_SQUEEZE: said(r"wants size 1 on axis \d+, but the size is"),
    joining.ALONE: said(r"at least two tensors, but one arrives"),
    classification.CLASS_BYTES: said(r"wants class numbers .* but uint8"),
    classification.NO_SHARE: said(r"`label_smoothing` wants"),
    CROPPED: said(r"`padding` wants"),
    pooling.ODD_DIVISOR: said(r"`divisor_override` wants"),
    products.VECTORS: said(r"wants matrices, but"),
    activations.NO_BETA: said(r"`beta` wants a positive"),
    arithmetic.BOOLS: said(r"wants (whole or floating-point )?numbers, but bool arrives"),
    distances.ODD_NORM: said(r"`(p|eps)` wants"),
    selection.COUNTED_CLASSES: said(r"`num_classes` wants"),
    attention.IGNORED_VALUES: said(r"wants equal sizes of `key` and `value`"),
    attention.ODD_CHANCE: said(r"`dropout_p` wants"),
    distances.LONE_NUMBER: said(r"wants vectors, but a single number arrives"),
    attention.FEW_AXES: said(r"wants \[batch, \.\.\., places, features\]"),
    attention.STRETCHED_BATCH: said(r"wants equal (ranks|sizes on axis)"),
    weighted_attention.ADDED_PADDING: said(r"wants a mask of true and false for `key_padding_mask`"),
    weighted_attention.MIXED_MASKS: said(r"wants both masks of true and false"),
    weighted_attention.SECOND_MASK: said(r"gets two masks"),
    comparisons.BYTE_MASK: said(r"wants true and false at `condition`, but uint8 arrives"),
    comparisons.OTHER_CATEGORY: said(r"cannot put \S+ into a tensor of"),
    creation.EMPTY: said(r"which gives nothing"),
    products.TWO_DTYPES: said(r"wants one dtype"),
    distances.TWO_DTYPES: said(r"wants one dtype"),
    einops.NAMES: said(r"is no name of an axis"),
    elementwise.BOOLS: said(r"wants numbers, but bool arrives"),
    elementwise.TURNED_BOUNDS: said(r"wants `min` no larger than `max`"),
    elementwise.LOST_PART: said(r"would lose the imaginary part"),
    products.REPEATED: said(r"stands twice in"),
    products.STRETCHED: said(r"wants equal sizes for the letter"),
    reductions.NEGATIVE_CORRECTION: said(r"`correction` wants"),
    selection.NOTHING_CHOSEN: said(r"`k` wants"),
    selection.LIST_OF_ONE: said(r"wants a list of numbers|wants equal ranks, found (\[\] and \[\w+\]|\[\w+\] and \[\])$"),
    splitting.EMPTY_PART: said(r"wants sizes of at least 1|wants a"),
    batch_normalisation.IDLE_ASSERTION: said(r"wants \d+ channels? per sample|`num_(features|channels)` wants"),
    batch_normalisation.NO_EPS: said(r"`eps` wants a positive number"),
    batch_normalisation.ODD_MOMENTUM: said(r"`momentum` wants a number at least 0 and at most 1"),
}


@dataclass(slots=True)
class Tally:
    """What came of the draws of one kind."""

    agreed: int = 0
    refused_by_both: int = 0
    excusals: int = 0
    excused: Counter[str] = field(default_factory=Counter)

    @property
    def draws(self) -> int:
        return self.agreed + self.refused_by_both + self.excusals


def ours(use: Use) -> tuple[Node, tuple[TensorType, ...]] | str:
    """What our rules make of a use: the instance and the types that leave, or the refusal."""
    kind, problems = check(use.kind, use.fields, owner=use.kind.kind)
    if kind is None:
        return "; ".join(problem.message for problem in problems)
    try:
        left = kind.infer(*use.arriving)
    except Refusal as refusal:
        check_blame(use, refusal)
        return refusal.message
    return kind, left if isinstance(left, tuple) else (left,)


def check_blame(use: Use, refusal: Refusal) -> None:
    """A refusal names its kind, and blames fields and ports that exist."""
    assert refusal.message.startswith(f"`{use.kind.kind}` "), refusal.message
    assert refusal.field is None or refusal.field in fields_of(use.kind), refusal.field
    assert refusal.part is None or 0 <= refusal.part[0] < refusal.part[1] <= len(use.fields[refusal.field or ""]), refusal.part
    assert refusal.port is None or refusal.port in {port.name for port in use.kind.inputs}, refusal.port


def compare(use: Use, tally: Tally) -> None:
    """One draw before both witnesses."""
    verdict = ours(use)
    torch_says = witness(use.kind, use.fields, use.arriving)
    if isinstance(verdict, str):
        if isinstance(torch_says, str):
            tally.refused_by_both += 1
            return
        reasons = [reason for reason in use.kind.stricter_than_torch if EXCUSES[reason](verdict)]
        assert reasons, f"{use}\nwe refuse: {verdict}\ntorch gives: {torch_says.types}"
        tally.excused.update(reasons)
        tally.excusals += 1
        return
    kind, left = verdict
    assert isinstance(torch_says, Answer), f"{use}\nwe give: {', '.join(map(str, left))}\ntorch refuses: {torch_says}"
    accepted(kind, use, left, torch_says)
    tally.agreed += 1


def accepted(kind: Node, use: Use, left: tuple[TensorType, ...], answer: Answer) -> None:
    """Both accept: everything we say about the use is what torch shows."""
    here = str(use)
    assert tuple(map(str, left)) == answer.types, here
    if not isinstance(kind, Loss):
        assert tuple((name, str(TensorType(each.dtype, each.shape))) for name, each in kind.parameters(*use.arriving).items()) == answer.parameters, (
            here
        )
        assert tuple((name, str(TensorType(each.dtype, each.shape))) for name, each in kind.buffers(*use.arriving).items()) == answer.buffers, here
    assert kind.flops(*use.arriving) == answer.flops, here
    source = kind.source(*use.arriving)
    assert isinstance(source, (Module, Attribute)) == isinstance(kind, Layer), here
    run = told(kind, source, use.arriving)
    assert kind.helpers or run.module == answer.module, here
    for a, b in zip(run.output, answer.output, strict=True):
        close = TOLERANCE if kind.kind in ANOTHER_ORDER else 0
        torch.testing.assert_close(a, b, rtol=close, atol=close, equal_nan=True, msg=here)
    defaults_left_out(kind, source, here)


ANOTHER_ORDER = {"einops_reduce"}
"""Kinds that add the same numbers in another order than their witness."""
TOLERANCE = 0.01


OUR_DEFAULTS = {"batch_first"}
"""Fields whose default is not torch's."""


def defaults_left_out(kind: Node, source: Any, here: str) -> None:
    """The described code is what an engineer writes: no argument that repeats a default, no (3, 3) for 3."""
    code = source.constructor if isinstance(source, (Module, Attribute)) else source
    if isinstance(code, Call):
        for name, value in code.kwargs:
            info = fields_of(type(kind)).get(name)
            assert info is None or info.is_required or value != info.default or name in OUR_DEFAULTS, f"{here}: {name}={value}"


def draw_and_compare(kind: type[Node], draws: int) -> Tally:
    tally = Tally()

    @settings(max_examples=draws, derandomize=True, database=None, deadline=None, suppress_health_check=SLOW)
    @given(uses(kind))
    def each(use: Use) -> None:
        compare(use, tally)

    each()
    return tally


@pytest.mark.parametrize("kind", CASES)
def test_kind_and_torch_agree(kind: type[Node]) -> None:
    tally = draw_and_compare(kind, DRAWS)
    assert tally.agreed, "nothing was accepted"
    if kind.kind in NEVER_REFUSED_BY_TORCH:
        assert not tally.refused_by_both
    else:
        assert 4 * tally.refused_by_both >= tally.draws, f"torch refused only {tally.refused_by_both} of {tally.draws}: {tally}"


@pytest.mark.parametrize(("name", "fields", "arriving", "reason"), RARE)
def test_torch_accepts_what_a_rare_reason_refuses(name: str, fields: dict[str, Any], arriving: tuple[Arriving, ...], reason: str) -> None:
    kind = next(kind for kind in KINDS if kind.kind == name)
    tally = Tally()
    compare(Use(kind, fields, arriving), tally)
    assert set(tally.excused) == {reason}, witness(kind, fields, arriving)


@pytest.mark.long
@pytest.mark.parametrize("kind", CASES)
def test_kind_and_torch_agree_on_many_draws(kind: type[Node]) -> None:
    tally = draw_and_compare(kind, LONG_DRAWS)
    # Whether an empty result of a transposed convolution is refused depends on which kernel torch picks.
    varying = {demands.EMPTY} if kind.kind.startswith("conv_transpose") else set()
    assert set(tally.excused) | varying | {reason for name, _, _, reason in RARE if name == kind.kind} >= set(kind.stricter_than_torch), (
        "a reason that no draw needs is no reason"
    )
