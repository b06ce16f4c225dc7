"""Two witnesses for formulas: random ones, written for us and for torch, each run by torch.

What we accept torch runs, with the same dtype and shape, and the code that we emit computes the same numbers. What torch refuses we refuse; where we refuse
and torch does not, `STRICTER` says why. Types are compared on the meta device, where no number can be out of range; numbers on the CPU.
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
from torch.nn import functional as F  # the name that emitted files use

from specbuilder.emit.render import render
from specbuilder.graph.formula import Computed, compute
from specbuilder.graph.graph import Value
from specbuilder.graph.operands import FormulaProblems
from specbuilder.graph.scope import Named, Produced, Scope
from specbuilder.language.formulas import parse_formula
from specbuilder.shapes import TensorType, parse_type

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
    "i": "int64[4]",
    "j": "int32[2, 1]",
    "z": "int64[]",
}

STRICTER = {
    "the sum of two booleans says whether a union or a count is meant": r"of two booleans is not a sum",
    "a whole number that the dtype cannot hold would wrap round": r"which cannot hold",
    "division by the number 0": r"cannot divide by 0",
    "a kind wants floating-point numbers where torch takes others in some": r"wants floating-point numbers, but",
    "a product of vectors changes its meaning with the other side": r"`matmul` wants matrices",
    "a single number has no axis": r"which has none",
    "`~` of whole numbers flips their bits, which nobody means": r"`~` wants booleans",
    "a slice beyond its axis is clamped": r"goes beyond the last place|begins before the first place|ends before the first place",
    "an index that leaves nothing": r"leaves nothing|there is no place",
    "an index of booleans leaves a size that nobody knows": r"known only at run time",
    "an index computed at run time would be waited for": r"waited for at run time",
    "two `...` in one index": r"one `\.\.\.` at most",
    "a chain of comparisons, which torch takes where each tensor has one element": r"a chain of comparisons",
}
"""Why we refuse what torch accepts, and the messages that say it."""

# A formula, and the same for torch. Precedence is Python's, so what has no words of its own is one text for both.
Pair = tuple[str, str]

NUMBERS = ("0", "1", "2", "-1", "0.5", "300")
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
            return _between(draw, draw(st.sampled_from(COMPARISONS)), inner())
        case "logical":
            word = draw(st.sampled_from(("and", "or")))
            (ours, theirs), (other, their_other) = inner(), inner()
            return f"({ours} {word} {other})", f"torch.logical_{word}({theirs}, {their_other})"
        case "prefix":
            sign, (ours, theirs) = draw(st.sampled_from(("-", "~", "not "))), inner()
            return f"{sign}({ours})", f"torch.logical_not({theirs})" if sign == "not " else f"{sign}({theirs})"
        case "index":
            ours, theirs = inner()
            keys = ", ".join(draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=3)))
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
    except Exception as error:
        return error


def computed(text: str) -> Computed | FormulaProblems:
    try:
        return compute(parse_formula(text), tensors=lambda text: SCOPE.resolve(text).values, statics={}.__getitem__, known=())
    except FormulaProblems as problems:
        return problems


SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_formulas_against_torch() -> None:
    seen: Counter[str] = Counter()

    @given(formulas())
    @settings(max_examples=3000, suppress_health_check=SLOW, deadline=None)
    def holds(pair: Pair) -> None:
        ours, theirs = pair
        found, witness = computed(ours), run(theirs, ON_META)
        if isinstance(found, Computed):
            seen["accepted"] += 1
            assert isinstance(witness, Tensor), f"torch refuses {theirs}: {witness}"
            assert (found.type.dtype, found.type.shape) == (str(witness.dtype).removeprefix("torch."), tuple(witness.shape))
            same_numbers(found, theirs)
        elif isinstance(witness, Tensor):
            message = found.problems[0].message
            reason = next((reason for reason, pattern in STRICTER.items() if re.search(pattern, message)), None)
            assert reason is not None, f"torch accepts {theirs}, but: {message}"
            seen[reason] += 1
        else:
            seen["refused by both"] += 1

    holds()
    assert seen["accepted"] > 600
    assert seen["refused by both"] > 300
    assert {*STRICTER} - {*seen} == set()


def same_numbers(found: Computed, theirs: str) -> None:
    """What we emit computes what torch does; where numbers of ours are out of range for it, for both."""
    code = render(found.source, lambda reference: found.ports[reference.port].name, str)
    ours, witness = run(code, ON_CPU), run(theirs, ON_CPU)
    if isinstance(witness, Tensor):
        assert isinstance(ours, Tensor), f"{code}: {ours}"
        torch.testing.assert_close(ours, witness, rtol=0, atol=0, equal_nan=True)
    else:
        assert isinstance(ours, Exception)
