"""What a spec may ask for: what is too much is refused by arithmetic, before it takes time or memory. Times are for `python -m benchmarks limits`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.graph.hostile import SPECS, run


@pytest.mark.parametrize("name", SPECS)
def test_what_asks_for_too_much_is_refused_by_arithmetic(name: str, tmp_path: Path) -> None:
    hostile = SPECS[name]
    answer = run(hostile.text(), tmp_path)
    assert answer.code == hostile.code, answer.whole[:2000]
    if hostile.code:
        code, _, message = hostile.says.partition(": ")
        assert answer.first == f"error[{code}]: {message}"
    else:
        assert hostile.says in answer.first
    assert len(answer.whole) < 20_000  # a line of a million characters is shown in part
    assert answer.mebibytes < 200
