"""Initializers against torch.nn.init: the same functions, the same arguments and defaults, the same numbers drawn, the same shapes refused.

An initializer sees the shape of one tensor. `stricter_than_torch` names what torch takes and we do not.
"""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from specbuilder.catalogue.contract import Initializer, Refusal
from specbuilder.catalogue.declared import fields_of, make
from specbuilder.catalogue.initializers.constants import Constant
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


NUMBERS = [-3.0, -1.0, -0.5, 0.0, 0.02, 0.5, 1.0, 4.0]
CHOICES: dict[str, list[Any]] = {
    "groups": [1, 2, 3, 4],
    "sparsity": [-0.5, 0.0, 0.1, 0.3, 0.5, 0.9, 1.0, 1.5],
    "mode": ["fan_in", "fan_out"],
    "nonlinearity": ["linear", "conv2d", "conv_transpose1d", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "gelu"],
}
AXES = [0, 1, 2, 2, 2, 3, 4, 5, 6]
STRICTER = {
    "trunc_normal": lambda fields: fields["std"] < 0 or not fields["a"] - 2 * fields["std"] <= fields["mean"] <= fields["b"] + 2 * fields["std"],
    "sparse": lambda fields: not 0 <= fields["sparsity"] <= 1,
}
"""What torch takes and we refuse, as the classes say in `stricter_than_torch`."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_it_draws_and_refuses_as_torch_does(kind: type[Initializer]) -> None:
    verdicts: Counter[str] = Counter()
    choose = Random(kind.kind)  # the same draws every time
    for seed in range(200):
        fields = {name: choose.choice(CHOICES.get(name, NUMBERS)) for name in fields_of(kind)}
        shape = tuple(choose.randint(1, 5) for _ in range(choose.choice(AXES)))
        verdicts[verdict(kind, fields, shape, seed)] += 1
    assert verdicts["agreed"] >= 20
    if kind.kind not in ("constant", "zeros", "ones"):
        assert verdicts["refused"] >= 20


def verdict(kind: type[Initializer], fields: dict[str, Any], shape: tuple[int, ...], seed: int) -> str:
    try:
        expected: Tensor | None = drawn(seed, shape, lambda tensor: theirs(kind)(tensor, **fields))
    except (*REFUSALS, UserWarning):
        expected = None
    made = make(kind, fields)
    if made is None or not _fills(made, shape):
        if kind.kind in STRICTER and STRICTER[kind.kind](fields):
            return "stricter"
        assert expected is None, f"{kind.kind} of {fields} refuses {shape}"
        return "refused"
    assert expected is not None, f"torch refuses {kind.kind} of {fields} for {shape}"
    assert torch.equal(drawn(seed, shape, lambda tensor: evaluate(made.source(), [tensor])), expected)
    return "agreed"


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
    if fills:
        kind(**fields).check_dtype("int64")
        return
    with pytest.raises(Refusal) as refusal:
        kind(**fields).check_dtype("int64")
    assert refusal.value.message == f"`{kind.kind}` gives floating-point numbers, but this is int64"


@pytest.mark.parametrize(("val", "dtype", "fits"), [(2.0, "int64", True), (0.5, "int64", False), (1.0, "bool", True), (2.0, "bool", False)])
def test_constant_is_a_number_of_its_dtype(val: float, dtype: str, fits: bool) -> None:
    constant = Constant(val=val)
    assert (torch.full((2,), 7, dtype=torch.int64).to(getattr(torch, dtype)).fill_(val).double() == val).all() == fits
    if fits:
        constant.check_dtype(dtype)
        return
    with pytest.raises(Refusal) as refusal:
        constant.check_dtype(dtype)
    assert refusal.value.message == f"`constant` of {val:g} does not fit {dtype}"


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
