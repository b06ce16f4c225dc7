"""`specbuilder.load` and what it is given: values of Python as a spec has them, and plain words for what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuilder.api import load, parse
from specbuilder.diagnostics import SpecError, UsageError

DIGITS = Path(__file__).parent.parent.parent / "specs" / "digits.yaml"


@pytest.mark.parametrize(
    ("changes", "lr"),
    [
        ({"train.optimizer.lr": np.float64(0.5)}, 0.5),
        ({"train.optimizer.lr": np.float32(0.5)}, 0.5),
        ({"train.optimizer": {"adam": {"lr": np.array(0.5)}}}, 0.5),
        ({"train.optimizer": "{adam: {lr: 0.5}}"}, 0.5),
        ({"train.optimizer.lr": 2}, 2),
    ],
)
def test_value_of_python_is_set_as_the_text_has_it(changes: dict[str, Any], lr: float) -> None:
    plan = load(DIGITS, set=changes).plan
    assert plan is not None
    assert plan.optimizer.lr == lr  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([1], "`set` wants a mapping of paths to values, not [1]"),
        ({3: 4}, "a path of `set` is a text, not 3"),
        ({"train.epochs": {1, 2}}, "the value of `train.epochs` in `set` is nothing that a spec can hold: set"),
        ({"train.epochs": b"3"}, "the value of `train.epochs` in `set` is nothing that a spec can hold: bytes"),
    ],
)
def test_what_cannot_be_set_is_told(changes: Any, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        load(DIGITS, set=changes)
    assert [(found.code, found.message) for found in raised.value.diagnostics] == [("SB0903", message)]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (None, "the path of a spec is a text or a Path, not None"),
        (3, "the path of a spec is a text or a Path, not 3"),
        ("", "the path of the spec is empty"),
        (Path(), ". is no file"),
    ],
)
def test_what_is_no_path_is_told(path: Any, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        load(path)
    assert [(found.code, found.message) for found in raised.value.diagnostics] == [("SB0901", message)]


@pytest.mark.parametrize("is_file", [True, False])
def test_strict_refuses_what_is_a_warning(is_file: bool, tmp_path: Path) -> None:
    text = 'specbuilder: 1\nname: a\nvars: {width: 3}\nmodel: {inputs: {x: "float32[B, 4]"}, nodes: [relu]}\n'
    (tmp_path / "a.yaml").write_text(text)
    assert [(found.severity, found.code) for found in (load(tmp_path / "a.yaml") if is_file else parse(text)).warnings] == [("warning", "SB0306")]
    with pytest.raises(SpecError) as raised:
        load(tmp_path / "a.yaml", strict=True) if is_file else parse(text, strict=True)
    assert [found.message for found in raised.value.diagnostics] == ["the variable `width` is never used (an error because of `--strict`)"]
