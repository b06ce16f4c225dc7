"""Towers of convolutions, poolings and upsamplings: symbolic sizes against what torch makes of real ones, on the meta device.

The formulas are those of torch's reference pages, written here once more. Both ways: where all requirements hold torch runs and gives the computed size;
where one fails torch refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from specbuilder.api import model_class, parse
from specbuilder.diagnostics import Diagnostic, SpecError
from specbuilder.emit.load import load
from specbuilder.shapes import Dim, Requirement, equal, evaluate, holds, strongest, symbol
from tests.shapes.towers import Network, differ, drawn, outcome


@dataclass(frozen=True)
class Step:
    size: Callable[[Dim], Dim]
    module: Callable[[], nn.Module]


def conv(kernel: int, stride: int, padding: int, dilation: int) -> Step:
    return Step(
        lambda x: (x + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1,
        lambda: nn.Conv1d(1, 1, kernel, stride, padding, dilation, device="meta"),
    )


def pool(kernel: int, stride: int, padding: int) -> Step:
    return Step(lambda x: (x + 2 * padding - kernel) // stride + 1, lambda: nn.MaxPool1d(kernel, stride, padding))


def up(scale: int) -> Step:
    return Step(lambda x: x * scale, lambda: nn.Upsample(scale_factor=scale))


def transposed(kernel: int, stride: int, padding: int) -> Step:
    return Step(
        lambda x: (x - 1) * stride - 2 * padding + kernel,
        lambda: nn.ConvTranspose1d(1, 1, kernel, stride, padding, device="meta"),
    )


STEP = st.one_of(
    st.builds(conv, st.integers(1, 7), st.integers(1, 3), st.integers(0, 3), st.integers(1, 2)),
    st.integers(2, 4).flatmap(lambda kernel: st.builds(pool, st.just(kernel), st.integers(1, 3), st.integers(0, kernel // 2))),
    st.builds(up, st.integers(1, 3)),
    st.builds(transposed, st.integers(1, 4), st.integers(1, 3), st.integers(0, 1)),
)


def through(steps: list[Step], length: int) -> int | None:
    """The length that leaves in torch; None where torch refuses."""
    x: Tensor = torch.empty(1, 1, length, device="meta")
    for step in steps:
        try:
            x = step.module()(x)
        except RuntimeError:
            return None
        if x.shape[-1] == 0:
            return None
    return x.shape[-1]


def sizes_in(steps: list[Step]) -> list[Dim]:
    """The symbolic length before the first step and after each."""
    sizes: list[Dim] = [symbol("L")]
    for step in steps:
        sizes.append(step.size(sizes[-1]))
    return sizes


@given(st.lists(STEP, min_size=1, max_size=6), st.lists(st.integers(1, 70), min_size=4, max_size=4))
def test_tower_is_what_torch_makes_of_it(steps: list[Step], lengths: list[int]) -> None:
    sizes = sizes_in(steps)
    needed = strongest(Requirement(size, 1) for size in sizes)
    for length in (*lengths, 224):
        left = through(steps, length)
        assert all(holds(each, {"L": length}) for each in needed) is (left is not None)
        if left is not None:
            assert evaluate(sizes[-1], {"L": length}) == left


@given(st.lists(STEP, min_size=1, max_size=3), st.lists(STEP, min_size=1, max_size=3))
def test_verdict_on_two_towers_agrees_with_torch(a: list[Step], b: list[Step]) -> None:
    verdict = equal(sizes_in(a)[-1], sizes_in(b)[-1])
    for length in range(1, 40):
        left, right = through(a, length), through(b, length)
        if verdict is not None and left is not None and right is not None:
            assert (left == right) is verdict


# Whole networks -------------------------------------------------------------------------------------------------------

INCOMPLETE: tuple[tuple[str, str], ...] = ()
"""Equalities that hold for all sizes that were tried and that nothing here proves: how the message begins, and why."""


def sizes_of(network: Network, draw: Random, count: int) -> Iterator[tuple[dict[str, int], tuple[int, ...]]]:
    """Values of the symbols that meet what the spec says, with the shape of the input: small ones first, then any."""
    for number in range(count):
        limit = (2, 6, 20, 70)[number % 4]
        values = {name: draw.randint(1, limit) if number else 1 for name in network.symbols}
        sizes = network.sizes(values)
        if sizes is not None and min(sizes) >= 1:
            yield values, sizes


def check(seed: int) -> str | None:
    """Holds the network of a seed against torch; the message of an equality that is not proved though no size was found to break it."""
    network, draw = drawn(seed), Random(seed)
    try:
        spec = parse(network.text, "towers.json")
    except SpecError as error:
        return check_refusal(network, draw, error.diagnostics[0])
    (given,), (left,) = spec.graph.input_types.values(), spec.graph.output_types.values()
    with torch.device("meta"):
        model = model_class(load(spec.source, f"towers_{seed}"))()
    met = 0
    for _ in range(40):
        values = {name: draw.randint(1, draw.choice((6, 20, 70))) for name in sorted(given.symbols | left.symbols)} | {"B": 2}
        sizes = tuple(evaluate(dim, values) for dim in given.shape)
        if min(sizes) < 1:
            continue
        there = outcome(network, sizes)
        if all(holds(each, values) for each in spec.graph.requirements):
            wanted = tuple(evaluate(dim, values) for dim in left.shape)
            assert (there, tuple(model(torch.empty(*sizes, device="meta")).shape)) == (wanted, wanted), (seed, sizes)
            met += 1
        elif network.where == "True":
            assert there is None, (seed, sizes)
        if met == 5:
            break
    return None


def check_refusal(network: Network, draw: Random, told: Diagnostic) -> str | None:
    """Where a size is told that breaks it, it does; what no size meets, none does; and any other refusal is torch's too for some size."""
    assert told.code in ("SB0401", "SB0402"), told.message
    if (instance := re.search(r"\(not for (.*)\)", told.message)) is not None and network.where == "True":
        values = dict.fromkeys(network.symbols, 1) | {name: int(size) for name, size in (each.split(" = ") for each in instance[1].split(", "))}
        sizes = network.sizes(values)
        assert sizes is not None
        assert outcome(network, sizes) is None or differ(network, sizes), told.message
        return None
    always = told.code == "SB0402" or "found" in told.message
    for _, sizes in sizes_of(network, draw, 8 if always else 400):
        is_broken = outcome(network, sizes) is None or differ(network, sizes)
        assert is_broken or not always, (told.message, sizes)
        if is_broken and not always:
            return None
    return None if always else told.message


def holds_for(seeds: range) -> None:
    unproved = [(seed, message) for seed in seeds if (message := check(seed)) is not None]
    assert [each for each in unproved if not any(re.search(form, each[1]) for form, _ in INCOMPLETE)] == []


@pytest.mark.filterwarnings("ignore")  # of torch, of kernels on the meta device
def test_networks_of_two_towers_agree_with_torch() -> None:
    holds_for(range(400))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", range(400, 20_400, 1_000))
def test_many_networks_of_two_towers_agree_with_torch(first: int) -> None:
    holds_for(range(first, first + 1_000))
