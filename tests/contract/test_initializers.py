"""Initializers against torch.nn.init: the same functions, the same arguments and defaults, the same numbers drawn, the same shapes refused.

An initializer sees the shape of one tensor. `stricter_than_torch` names what torch takes and we do not.
"""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from specbuilder.catalogue.contract import Initializer, Refusal
from specbuilder.catalogue.declared import fields_of, make
from specbuilder.catalogue.lookup import all_kinds
from specbuilder.diagnostics import Diagnostics
from specbuilder.language.read import read_value
from specbuilder.language.uses import decode_use
from specbuilder.shapes import parse_type
from tests.contract.witness import REFUSALS, evaluate

KINDS: list[type[Initializer]] = [kind for kind in all_kinds("initializer") if issubclass(kind, Initializer)]
THEIRS = {name: function for name, function in vars(nn.init).items() if name.endswith("_") and not name.startswith("_")}


def theirs(kind: type[Initializer]) -> Any:
    return THEIRS[f"{kind.kind}_"]


def drawn(seed: int, shape: tuple[int, ...], fill: Any) -> Tensor:
    """A tensor [*shape] after `fill`, with the generator at `seed`."""
    tensor = torch.full(shape, 7.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.manual_seed(seed)
        fill(tensor)
    return tensor


def test_every_function_of_torch_is_there() -> None:
    assert {f"{kind.kind}_" for kind in KINDS} == set(THEIRS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_arguments_and_defaults_are_those_of_torch(kind: type[Initializer]) -> None:
    arguments = {name: found.default for name, found in inspect.signature(theirs(kind)).parameters.items() if name not in ("tensor", "generator")}
    assert {name: inspect.Parameter.empty if field.is_required else field.default for name, field in fields_of(kind).items()} == arguments
    assert kind.torch_name == f"nn.init.{kind.kind}_"
    assert kind.__doc__


def test_nonlinearities_are_those_of_torch() -> None:
    for name in ("kaiming_uniform", "kaiming_normal"):
        hints = inspect.signature(THEIRS[f"{name}_"], eval_str=True).parameters["nonlinearity"].annotation
        kind = next(kind for kind in KINDS if kind.kind == name)
        assert fields_of(kind)["nonlinearity"].annotation == hints


NUMBERS = st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.02, 0.5, 1.0, 4.0])
DRAWS: dict[str, st.SearchStrategy[Any]] = {
    "groups": st.integers(1, 4),
    "sparsity": st.sampled_from([-0.5, 0.0, 0.1, 0.3, 0.5, 0.9, 1.0, 1.5]),
    "mode": st.sampled_from(["fan_in", "fan_out"]),
    "nonlinearity": st.sampled_from(["linear", "conv2d", "conv_transpose1d", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "gelu"]),
}
SHAPES = st.one_of(*(st.tuples(*[st.integers(1, 5)] * axes) for axes in (0, 1, 2, 2, 2, 2, 3, 4, 5, 6)))
STRICTER = {
    "trunc_normal": lambda fields, _: fields["std"] < 0 or not fields["a"] - 2 * fields["std"] <= fields["mean"] <= fields["b"] + 2 * fields["std"],
    "sparse": lambda fields, _: not 0 <= fields["sparsity"] <= 1,
}
"""What torch takes and we refuse, as the classes say in `stricter_than_torch`."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_it_draws_and_refuses_as_torch_does(kind: type[Initializer]) -> None:
    verdicts: Counter[str] = Counter()

    @settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
    @given(fields=st.fixed_dictionaries({name: DRAWS.get(name, NUMBERS) for name in fields_of(kind)}), shape=SHAPES, seed=st.integers(0, 99))
    def holds(fields: dict[str, Any], shape: tuple[int, ...], seed: int) -> None:
        try:
            expected: Tensor | None = drawn(seed, shape, lambda tensor: theirs(kind)(tensor, **fields))
        except (*REFUSALS, UserWarning):
            expected = None
        if (made := make(kind, fields)) is None or not _fills(made, shape):
            strict = kind.kind in STRICTER and STRICTER[kind.kind](fields, shape)
            assert expected is None or strict
            verdicts["stricter" if strict else "refused"] += 1
            return
        assert expected is not None, "torch refuses what we accept"
        call = made.source()
        ours = drawn(seed, shape, lambda tensor: evaluate(call, [tensor]))
        assert torch.equal(ours, expected)
        verdicts["agreed"] += 1

    holds()
    assert verdicts["agreed"] >= 10
    if kind.kind not in ("constant", "zeros", "ones"):
        assert verdicts["refused"] + verdicts["stricter"] >= 10


def _fills(made: Initializer, shape: tuple[int, ...]) -> bool:
    try:
        made.check(shape)
    except Refusal:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_whole_numbers_are_filled_as_torch_does(kind: type[Initializer]) -> None:
    fields = {"val": 2.0} if kind.kind == "constant" else {"sparsity": 0.5} if kind.kind == "sparse" else {}
    shape = (4, 4, 4) if kind.kind == "dirac" else (4, 4)
    try:
        theirs(kind)(torch.zeros(shape, dtype=torch.int64), **fields)
        fills = True
    except REFUSALS:
        fills = False
    assert kind.for_any_dtype == fills


EXAMPLES = [pytest.param(kind, example, id=f"{kind.kind}-{at}") for kind in KINDS for at, example in enumerate(kind.examples)]


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_example_holds(kind: type[Initializer], example: Any) -> None:
    diagnostics = Diagnostics()
    use, _ = decode_use("initializer", read_value(f"{{{example.text}}}" if ":" in example.text else example.text, "example"), diagnostics)
    assert not list(diagnostics)
    assert use is not None
    assert isinstance(use.instance, kind)
    shape = tuple(int(str(size)) for size in parse_type(example.given).shape)
    if example.refused is None:
        assert example.gives == example.given
        use.instance.check(shape)
        return
    with pytest.raises(Refusal) as refusal:
        use.instance.check(shape)
    assert refusal.value.message == example.refused


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_kind_has_an_example_that_works(kind: type[Initializer]) -> None:
    assert any(example.gives for example in kind.examples)
