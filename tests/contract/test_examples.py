"""The examples that `specbuilder kinds NAME` shows hold, and torch agrees with them once symbols are numbers."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import pytest
from ruamel.yaml import YAML

from specbuilder.catalogue.contract import Example, Node
from specbuilder.shapes import DTYPES, Dim, TensorType, evaluate, parse_type
from tests.contract.draws import Use
from tests.contract.test_nodes import KINDS, Tally, compare, ours

OWN = [kind for kind in KINDS if kind.__module__.startswith("specbuilder.")]
EXAMPLES = [pytest.param(kind, example, id=f"{kind.kind}-{at}") for kind in OWN for at, example in enumerate(kind.examples)]


def fields(kind: type[Node], text: str) -> dict[str, Any]:
    """The fields of a node as a spec has it."""
    node = YAML(typ="safe", pure=True).load(text)
    value = None if isinstance(node, str) else next(iter(node.values()))
    assert (node if isinstance(node, str) else next(iter(node))) == kind.kind
    given: dict[str, Any] = {} if value is None else value if isinstance(value, dict) else {str(kind.primary): value}
    return {name: tuple(each) if isinstance(each, list) else each for name, each in given.items()}


def arriving(kind: type[Node], example: Example) -> tuple[Any, ...]:
    """The types at each port; an optional port that the example leaves out gets nothing."""
    types = tuple(map(parse_type, (example.given,) if isinstance(example.given, str) else example.given))
    if kind.inputs and kind.inputs[0].many:
        return (types,)
    found: dict[str, TensorType | None] = {}
    for at, port in enumerate(kind.inputs):
        found[port.name] = types[at] if at < len(types) else found[port.default] if port.default else None
    return tuple(found.values())


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_example_holds(kind: type[Node], example: Example) -> None:
    use = Use(kind, fields(kind, example.text), arriving(kind, example))
    verdict = ours(use)
    if example.refused is not None:
        assert isinstance(verdict, str)
        assert example.refused in verdict
        return
    assert not isinstance(verdict, str), verdict
    instance, left = verdict
    assert example.gives is not None
    assert left == tuple(map(parse_type, (example.gives,) if isinstance(example.gives, str) else example.gives))
    assert sum(prod(each.shape) for each in instance.parameters(*use.arriving).values()) == example.parameters


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_torch_agrees_with_the_example(kind: type[Node], example: Example) -> None:
    numbered = tuple(
        None if each is None else tuple(map(_numbered, each)) if isinstance(each, tuple) else _numbered(each) for each in arriving(kind, example)
    )
    tally = Tally()
    compare(Use(kind, fields(kind, example.text), numbered), tally)
    assert bool(tally.agreed) == (example.refused is None)


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.kind)
def test_torch_agrees_with_the_examples_in_every_dtype_and_of_lone_numbers(kind: type[Node]) -> None:
    """What draws meet too seldom: a kernel that lacks one dtype, an axis that is not there."""
    for example, dtype, is_number in product(kind.examples, DTYPES, (False, True)):
        types = tuple(
            None
            if each is None
            else tuple(_other(one, dtype, is_number) for one in each)
            if isinstance(each, tuple)
            else _other(each, dtype, is_number)
            for each in arriving(kind, example)
        )
        compare(Use(kind, fields(kind, example.text), types), Tally())


def _other(given: TensorType, dtype: str, is_number: bool) -> TensorType:
    return TensorType(dtype, () if is_number else _numbered(given).shape)


def _numbered(given: TensorType) -> TensorType:
    return given.with_shape(tuple(_size(size) for size in given.shape))


def _size(size: Dim) -> int:
    return evaluate(size, {"B": 2, "T": 6, "H": 10, "W": 12})


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.kind)
def test_kind_explains_itself(kind: type[Node]) -> None:
    assert kind.__doc__
    assert kind.torch_name
    assert any(example.gives for example in kind.examples)
