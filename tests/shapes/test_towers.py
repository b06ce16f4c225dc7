"""Towers of convolutions, poolings and upsamplings: symbolic sizes against what torch makes of real ones, on the meta device.

The formulas are those of torch's reference pages, written here once more. Both ways: where all requirements hold torch runs and gives the computed size;
where one fails torch refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from specbuilder.shapes import Dim, Requirement, equal, evaluate, holds, strongest, symbol


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
