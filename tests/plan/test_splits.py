"""Parts of the data after a split, counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuilder.plan.splits import SplitProblem, split_counts

DIGITS = {"train": 1797}
CIFAR = {"train": 50000, "test": 10000}


@pytest.mark.parametrize(
    ("parts", "split", "wanted"),
    [
        (DIGITS, {}, {"train": 1797}),
        (DIGITS, {"test": 0.2}, {"train": 1438, "test": 359}),  # 359.4
        (DIGITS, {"test": 0.25}, {"train": 1348, "test": 449}),  # 449.25
        (DIGITS, {"test": 0.5}, {"train": 898, "test": 899}),  # 898.5, half up
        (DIGITS, {"test": 300, "validation": 0.1}, {"train": 1317, "test": 300, "validation": 180}),  # both of the whole
        (CIFAR, {}, {"train": 50000, "test": 10000}),
        (CIFAR, {"validation": 5000}, {"train": 45000, "test": 10000, "validation": 5000}),
        (DIGITS, {"test": 1}, {"train": 1796, "test": 1}),
    ],
)
def test_counts(parts: dict[str, int], split: dict[str, float | int], wanted: dict[str, int]) -> None:
    assert split_counts(parts, split) == wanted


@pytest.mark.parametrize(
    ("parts", "split", "part", "message", "help"),
    [
        (DIGITS, {"train": 0.8}, "train", "`train` is what the split leaves over", "name the other parts only"),
        (CIFAR, {"test": 0.2}, "test", "the data already has a part `test`", "delete `test`; its own part is taken"),
        (DIGITS, {"val": 0.2}, "val", "a part is called `validation` or `test`, not `val`", "write `validation`"),
        (DIGITS, {"fold": 0.2}, "fold", "a part is called `validation` or `test`, not `fold`", None),
        (DIGITS, {"test": 1.5}, "test", "`test` is 1.5: a share is below 1, and a count is an integer", None),
        (DIGITS, {"test": 0.0001}, "test", "`test` would have no sample: 0.0001 of 1797", None),
        (DIGITS, {"test": 1797}, "test", "the split takes 1,797 of 1,797 samples and leaves none to train on", None),
        (DIGITS, {"test": 0.5, "validation": 0.6}, None, "the split takes 1,977 of 1,797 samples and leaves none to train on", None),
    ],
)
def test_splits_that_do_not_fit(parts: dict[str, int], split: dict[str, float | int], part: str | None, message: str, help: str | None) -> None:
    with pytest.raises(SplitProblem) as raised:
        split_counts(parts, split)
    assert (raised.value.part, raised.value.message, raised.value.help) == (part, message, help)


@given(st.integers(2, 10**6), st.one_of(st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(1, 10**6)))
def test_nothing_is_lost(whole: int, size: float) -> None:
    try:
        counts = split_counts({"train": whole}, {"test": size})
    except SplitProblem:
        return
    assert sum(counts.values()) == whole
    assert min(counts.values()) >= 1
