"""What every test may use: the `golden` fixture, and the settings of hypothesis.

`golden("validate/unknown_kind.txt", text)` compares a printed text with the file under tests/golden; `pytest --update-golden` writes
the files anew, and the change is read in review. Texts with times, paths or versions in them are for the test to clean, not for this file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import settings

# Tests may run side by side on two cores; a pool of threads for each would only make them wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

GOLDEN = Path(__file__).parent / "golden"

# Draws have no time limit (a shared machine would fail them at random); in CI the same draws come every time.
settings.register_profile("here", deadline=None, max_examples=50)
settings.register_profile("fixed", deadline=None, max_examples=50, derandomize=True, database=None, print_blob=True)
settings.load_profile("fixed" if os.environ.get("CI") else "here")


class Golden(Protocol):
    """Compares a text with a golden file, named relative to tests/golden."""

    def __call__(self, name: str, text: str) -> None: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing with them")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums on one thread of torch, whatever the environment says: on another number they are rounded in another order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
            return
        if not path.is_file():
            pytest.fail(f"tests/golden/{name} does not exist; `pytest --update-golden` writes it")
        # Bytes, not read_text: that would turn \r\n into \n and hide a difference.
        expected = path.read_bytes().decode("utf-8")
        assert text == expected, f"differs from tests/golden/{name}; if the new text is right, run `pytest --update-golden`"

    return compare
