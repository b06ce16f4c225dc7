"""Two witnesses for formulas: random ones, written for us and for torch, each run by torch.

What we accept torch runs, with the same dtype and shape, and the code that we emit computes the same numbers. What torch refuses we refuse; where we refuse
and torch does not, `STRICTER` says why. The witness runs on the CPU, and where it fails there on the meta device: no number is out of range without numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F  # as emitted files call it

from specbuilder.emit.render import render
from specbuilder.graph.formula import Computed, compute
from specbuilder.graph.graph import Value
from specbuilder.graph.operands import FormulaProblems
from specbuilder.graph.scope import Named, Produced, Scope
from specbuilder.language.formulas import parse_formula
from specbuilder.shapes import TensorType, parse_type

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")  # what torch takes and wishes it did not

TENSORS = {
    "a": "float32[2, 3]",
    "b": "float32[3]",
    "c": "float32[2, 1]",
    "s": "float32[]",
    "h": "float16[3]",
    "n": "int64[2, 3]",
    "u": "uint8[2, 3]",
    "m": "bool[2, 3]",
    "t": "float32[2, 3, 4]",
    "q": "float32[2, 3, 2, 3]",
    "i": "int64[4]",
    "j": "int32[2, 1]",
    "z": "int64[]",
}

Pair = tuple[str, str]
"""A formula, and the same for torch."""

STRICTER: dict[str, tuple[str, Pair]] = {
    "the sum of two booleans: say whether a union or a count is meant": (r"of two booleans is not a sum", ("m + m", "m + m")),
    "a whole number that the dtype cannot hold, which would wrap round": (r"which cannot hold", ("300 - u", "300 - u")),
    "division by the number 0": (r"cannot divide by 0", ("a / 0", "a / 0")),
    "whole numbers, in functions of floating-point ones": (r"wants floating-point numbers, but", ("exp(n)", "torch.exp(n)")),
    "booleans, which are no numbers": (r"wants (whole or floating-point )?numbers( that can be compared)?, but bool arrives", ("m ** 2", "m ** 2")),
    "bytes as booleans": (r"wants true and false at `condition`, but uint8 arrives", ("where(u, a, 0.0)", "torch.where(u, a, 0.0)")),
    "a product of vectors, whose meaning changes with the other side": (r"`matmul` wants matrices", ("matmul(a, b)", "torch.matmul(a, b)")),
    "an axis of size 1 that stretches along a letter": (r"for the letter", ("einsum('ab,ab->b', a, c)", "torch.einsum('ab,ab->b', a, c)")),
    "an axis of a single number": (r"which has none", ("sum(s, -1)", "torch.sum(s, -1)")),
    "`~` of whole numbers flips their bits, which nobody means": (r"`~` wants (booleans|a tensor)", ("~n", "~n")),
    "a slice beyond its axis, which is clamped": (r"(goes beyond the last|begins before the first|ends before the first) place", ("a[:9]", "a[:9]")),
    "an index that leaves nothing": (r"leaves nothing", ("a[1:1]", "a[1:1]")),
    "an index of booleans: how much it leaves nobody knows": (r"known only at run time", ("a[m]", "a[m]")),
    "an index that is computed would be waited for": (r"waited for at run time", ("a[z]", "a[z]")),
    "two `...` in one index": (r"one `\.\.\.` at most", ("a[..., ...]", "a[..., ...]")),
    "a chain of comparisons, which torch takes of single numbers": (r"a chain of comparisons", ("0 < s < 1", "0 < s < 1")),
    "a large power of numbers that are known": (r"the exponent \d+ is too large", ("a + 0 ** 300", "a + 0 ** 300")),
}
"""Why we refuse what torch accepts: how the message says it, and an example."""

# Precedence is Python's, so what has no words of its own is one text for both.
NUMBERS = ("0", "1", "2", "-1", "(-2)", "0.5", "300")
ARITHMETIC = ("+", "-", "*", "/", "//", "%", "**")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
KEYS = ("0", "1", "-1", "3", ":", "1:", ":-1", "::2", ":9", "-9:", "1:1", "None", "...", "i", "j", "z", "m", "u", "b")
CALLS: tuple[Pair, ...] = (
    ("tanh({})", "torch.tanh({})"),
    ("relu({})", "F.relu({})"),
    ("sum({}, 1)", "torch.sum({}, 1)"),
    ("sum({}, -1, True)", "torch.sum({}, -1, True)"),
    ("sum({})", "torch.sum({})"),
    ("mean({}, dim=(0, 1))", "torch.mean({}, dim=(0, 1))"),
    ("amax({}, 0, keepdim=true)", "torch.amax({}, 0, keepdim=True)"),
    ("softmax({}, -1)", "F.softmax({}, -1)"),
    ("concat({}, {}, 0)", "torch.cat(({}, {}), 0)"),
    ("concat([{}, {}], dim=-1)", "torch.cat([{}, {}], dim=-1)"),
    ("stack({}, {}, dim=1)", "torch.stack(({}, {}), dim=1)"),
    ("add({}, {})", "torch.add({}, {})"),
    ("matmul({}, {})", "torch.matmul({}, {})"),
    ("transpose({}, 0, 1)", "torch.transpose({}, 0, 1)"),
    ("unsqueeze({}, 1)", "torch.unsqueeze({}, 1)"),
    ("flatten({}, 0)", "torch.flatten({}, 0)"),
    ("reshape({}, (3, -1))", "torch.reshape({}, (3, -1))"),
    ("float32({})", "({}).to(torch.float32)"),
    ("float16({})", "({}).to(torch.float16)"),
    ("int64({})", "({}).to(torch.int64)"),
    ("bool({})", "({}).to(torch.bool)"),
    ("exp({})", "torch.exp({})"),
    ("abs({})", "torch.abs({})"),
    ("clamp({}, min=1)", "torch.clamp({}, min=1)"),
    ("clamp({}, 0, 0.5)", "torch.clamp({}, 0, 0.5)"),
    ("where({}, {}, {})", "torch.where({}, {}, {})"),
    ("where({}, 0.0, {})", "torch.where({}, 0.0, {})"),
    ("where({}, 1, -2.5)", "torch.where({}, 1, -2.5)"),
    ("zeros_like({})", "torch.zeros_like({})"),
    ("({} + arange(3))", "({} + torch.arange(3, device=device))"),
    ("one_hot({}, 9)", "F.one_hot({}, 9)"),
    ("einsum('ab,ab->b', {}, {})", "torch.einsum('ab,ab->b', {}, {})"),
)


@st.composite
def formulas(draw: st.DrawFn, depth: int = 3) -> Pair:
    """A formula that reads at least one tensor."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        name = draw(st.sampled_from(sorted(TENSORS)))
        return name, name

    def inner() -> Pair:
        return draw(formulas(depth=draw(st.integers(0, depth - 1))))

    match draw(st.sampled_from(("arithmetic", "arithmetic", "comparison", "logical", "prefix", "index", "call", "call"))):
        case "arithmetic":
            return _between(draw, draw(st.sampled_from(ARITHMETIC)), inner())
        case "comparison":
            # In brackets, so that no chain of comparisons comes about.
            ours, theirs = _between(draw, draw(st.sampled_from(COMPARISONS)), inner())
            return f"({ours})", f"({theirs})"
        case "logical":
            word = draw(st.sampled_from(("and", "or")))
            (ours, theirs), (other, their_other) = inner(), inner()
            return f"({ours} {word} {other})", f"torch.logical_{word}({theirs}, {their_other})"
        case "prefix":
            sign, (ours, theirs) = draw(st.sampled_from(("-", "~", "not"))), inner()
            return (f"(not {ours})", f"torch.logical_not({theirs})") if sign == "not" else (f"{sign}{ours}", f"{sign}{theirs}")
        case "index":
            ours, theirs = inner()
            keys = ", ".join(draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=4)))
            return f"({ours})[{keys}]", f"({theirs})[{keys}]"
        case _:
            ours, theirs = draw(st.sampled_from(CALLS))
            pairs = [inner() for _ in range(ours.count("{}"))]
            return ours.format(*[pair[0] for pair in pairs]), theirs.format(*[pair[1] for pair in pairs])


def _between(draw: st.DrawFn, sign: str, first: Pair) -> Pair:
    """An operator between this and another tensor or a number, in either order, with brackets or without."""
    number = draw(st.sampled_from(NUMBERS))
    second = draw(st.sampled_from(((number, number), draw(formulas(depth=1)))))
    (ours, theirs), (other, their_other) = draw(st.permutations((first, second)))
    before, after = draw(st.sampled_from((("", ""), ("(", ")"))))
    return f"{before}{ours} {sign} {other}{after}", f"{before}{theirs} {sign} {their_other}{after}"


VALUES = {name: Value((name,), parse_type(type)) for name, type in TENSORS.items()}
SCOPE = Scope(entry=(), named={name: Named((Produced({"": value}),), None) for name, value in VALUES.items()})  # type: ignore[arg-type]  # no place is asked for


def made(type: TensorType, device: str) -> Tensor:
    """A tensor of the type with small numbers: 0 and 1 where they may be an index."""
    shape = tuple(dim for dim in type.shape if isinstance(dim, int))
    numbers = torch.arange(1, 1 + torch.Size(shape).numel()).reshape(shape) % (2 if type.dtype in ("int64", "int32", "bool") else 7)
    return numbers.to(getattr(torch, type.dtype)).to(device)


ON_META: dict[str, Any] = {"torch": torch, "F": F, **{name: made(parse_type(type), "meta") for name, type in TENSORS.items()}}
ON_CPU: dict[str, Any] = {"torch": torch, "F": F, **{name: made(parse_type(type), "cpu") for name, type in TENSORS.items()}}


def run(code: str, names: dict[str, Any]) -> Tensor | Exception:
    try:
        return eval(code, {"device": names["a"].device, **names})
    except Exception as error:  # noqa: BLE001  # whatever torch raises is its refusal
        return error


def computed(text: str) -> Computed | FormulaProblems:
    try:
        return compute(parse_formula(text), tensors=lambda text: SCOPE.resolve(text).values, statics={}.__getitem__, known=())
    except FormulaProblems as problems:
        return problems


SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


IN_SHORT, AT_LENGTH = 1_000, pytest.param(20_000, marks=pytest.mark.long)


@pytest.mark.parametrize("draws", [IN_SHORT, AT_LENGTH])
def test_formulas_against_torch(draws: int) -> None:
    seen: Counter[str] = Counter()

    @given(formulas())
    @settings(max_examples=draws, suppress_health_check=SLOW, deadline=None)
    def holds(pair: Pair) -> None:
        ours, theirs = pair
        found, witness = computed(ours), run(theirs, ON_CPU)
        if isinstance(found, Computed):
            seen["accepted"] += 1
            same_numbers(found, witness)
            witness = run(theirs, ON_META) if isinstance(witness, Exception) else witness
            assert isinstance(witness, Tensor), f"torch refuses {theirs}: {witness}"
            assert (found.type.dtype, found.type.shape) == (str(witness.dtype).removeprefix("torch."), tuple(witness.shape))
        elif isinstance(witness, Tensor):
            seen["stricter"] += 1
            assert reason(found) is not None, f"torch accepts {theirs}, but: {found}"
        else:
            seen["refused by both"] += 1

    holds()
    assert min(seen["accepted"], seen["refused by both"]) > draws / 4


def reason(found: FormulaProblems) -> str | None:
    """Why we are stricter than torch, going by the first mistake."""
    return next((reason for reason, (pattern, _) in STRICTER.items() if re.search(pattern, found.problems[0].message)), None)


@pytest.mark.parametrize("why", STRICTER)
def test_where_formulas_are_stricter_than_torch(why: str) -> None:
    ours, theirs = STRICTER[why][1]
    found = computed(ours)
    assert isinstance(found, FormulaProblems)
    assert reason(found) == why
    assert isinstance(run(theirs, ON_CPU), Tensor)


def same_numbers(found: Computed, witness: Tensor | Exception) -> None:
    """What we emit computes what torch does; where numbers are out of range, for both."""
    code = render(found.source, lambda reference: found.ports[reference.port].name, str)
    ours = run(code, ON_CPU)
    if isinstance(witness, Tensor):
        assert isinstance(ours, Tensor), f"{code}: {ours}"
        torch.testing.assert_close(ours, witness, rtol=0, atol=0, equal_nan=True)
    else:
        assert isinstance(ours, Exception)
