"""The digits that ship with the package are those of UCI, as scikit-learn has them, and their licence travels with them."""

from __future__ import annotations

import gzip
from collections import Counter
from importlib.resources import files

import pytest

FOLDER = files("specbuilder.catalogue.datasets") / "digits"
COUNT = 1797


def content() -> bytes:
    return gzip.decompress((FOLDER / "digits.gz").read_bytes())


def test_length_and_range() -> None:
    data = content()
    assert len(data) == COUNT * (1 + 64)
    assert set(data[:COUNT]) == set(range(10))
    assert set(data[COUNT:]) == set(range(17))


def test_as_many_of_each_digit_as_uci_documents() -> None:
    counts = Counter(content()[:COUNT])
    assert [counts[digit] for digit in range(10)] == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_equal_to_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    expected = datasets.load_digits()
    data = content()
    assert list(data[:COUNT]) == expected.target.tolist()
    assert list(data[COUNT:]) == expected.data.ravel().tolist()


def test_attribution_stands_beside_the_data() -> None:
    text = (FOLDER / "ATTRIBUTION.txt").read_text(encoding="utf-8")
    for needed in ("E. Alpaydin", "C. Kaynak", "CC BY 4.0", "10.24432/C50P49", "Changes"):
        assert needed in text
