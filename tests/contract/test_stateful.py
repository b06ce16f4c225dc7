"""The later calls of stateful kinds, with torch as the witness: what arrived before and what arrives now give what all of it gives at once.

Each kind has a row in `LATER` that says what torch makes of pieces; a kind without one fails. The first call is held against torch in `test_nodes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from specbuilder.catalogue.contract import Input, Refusal, Stateful
from specbuilder.shapes import Dim, Poly, TensorType, evaluate, symbol
from tests.contract.draws import uses
from tests.contract.test_nodes import KINDS, SLOW
from tests.contract.witness import evaluate as value_of
from tests.contract.witness import tensors, type_text

STATEFUL = [kind for kind in KINDS if issubclass(kind, Stateful) and kind.__module__.startswith("specbuilder.")]
DRAWS = 60

LATER: dict[str, Callable[[Sequence[Tensor], dict[str, Any]], Tensor]] = {"append": lambda pieces, fields: torch.cat(tuple(pieces), fields["dim"])}
"""What torch gives for all pieces at once, by kind."""


def places(size: Dim) -> Dim:
    """How many places came before where `size` arrive."""
    return symbol("P") if isinstance(size, Poly) else 2 * size


@pytest.mark.parametrize("kind", STATEFUL, ids=lambda kind: kind.kind)
def test_a_later_call_goes_on_where_the_one_before_ended(kind: type[Stateful]) -> None:
    accepted = 0

    @settings(max_examples=DRAWS, derandomize=True, database=None, deadline=None, suppress_health_check=SLOW)
    @given(st.data())
    def each(data: st.DataObject) -> None:
        nonlocal accepted
        use = data.draw(uses(kind))
        instance, own = kind(**use.fields), len(kind.inputs)
        try:
            past = instance.past(*use.arriving, before=places)
        except Refusal:
            with pytest.raises(Refusal):
                instance.infer(*use.arriving)
            return
        accepted += 1
        left = instance.infer_later(past, *use.arriving)
        given, kept = tensors(use.arriving), tensors(past)
        code = instance.source_later(tuple(Input(own + at) for at in range(len(past))), *use.arriving)
        found: Any = value_of(code, [*given, *kept])
        types = left if isinstance(left, tuple) else (left,)
        outputs: tuple[Any, ...] = found if isinstance(found, tuple) else (found,)
        assert [type_text(tensor) for tensor in outputs] == list(map(str, types)), str(use)
        assert torch.equal(outputs[0], LATER[kind.kind]((kept[0], given[0]), use.fields)), str(use)
        # What a call leaves is what the next one takes, and symbols say what numbers say.
        assert [each.dtype for each in past] == [types[kind.outputs.index(port)].dtype for port in kind.keeps]
        first = use.arriving[0]
        assert isinstance(first, TensorType)
        named = first.with_shape(tuple(symbol(f"s{at}") for at in range(first.rank)))
        later = instance.infer_later(instance.past(named, *use.arriving[1:], before=places), named, *use.arriving[1:])
        numbers = {f"s{at}": evaluate(size, {}) for at, size in enumerate(first.shape)}
        shape = (later[0] if isinstance(later, tuple) else later).shape
        assert [evaluate(size, numbers | {"P": 2 * numbers[f"s{at}"]}) for at, size in enumerate(shape)] == list(types[0].shape), str(use)

    each()
    assert accepted, "nothing was accepted"


def test_every_stateful_kind_says_what_it_keeps() -> None:
    assert {kind.kind for kind in STATEFUL} == set(LATER)
    assert all(set(kind.keeps) <= set(kind.outputs) for kind in STATEFUL)
