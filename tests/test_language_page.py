"""Every spec on the page of the language is valid, without a warning, and becomes a model that runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from specbuilder.api import parse
from specbuilder.shapes import TensorType, evaluate

PAGE = (Path(__file__).parent.parent / "docs" / "language.md").read_text(encoding="utf-8")
SPECS = re.findall(r"```yaml\n(specbuilder: 1\n.*?)```", PAGE, re.DOTALL)
SIZES = {"B": 2, "T": 5, "H": 16, "W": 12}


def tensor(type: TensorType) -> torch.Tensor:
    shape = [evaluate(dim, SIZES) for dim in type.shape]
    return torch.randn(shape) if type.dtype == "float32" else torch.zeros(shape, dtype=getattr(torch, type.dtype))


@pytest.mark.parametrize("text", SPECS, ids=[text.splitlines()[1] for text in SPECS])
def test_spec_of_the_page_runs(text: str) -> None:
    spec = parse(text)
    assert not spec.warnings
    output = spec.build(seed=0)(*map(tensor, spec.graph.input_types.values()))
    outputs = output if isinstance(output, dict) else {"": output}
    types = list(spec.graph.output_types.values())
    assert [tuple(each.shape) for each in outputs.values()] == [tuple(evaluate(dim, SIZES) for dim in type.shape) for type in types]


def test_decoder_of_the_page_gives_bit_by_bit_what_it_gives_at_once() -> None:
    (spec,) = [spec for spec in map(parse, SPECS) if spec.graph.threaded is not None]
    model = spec.build(seed=0)
    tokens = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        _, state = model(tokens[:, :5], {})
        logits, state = model(tokens[:, 5:6], state)
        torch.testing.assert_close(logits, model(tokens[:, :6])[:, 5:])
    assert "attention.0.keys" in state


def test_page_shows_every_key_of_a_node() -> None:
    from specbuilder.language.settings import STRUCTURAL

    assert [key for key in STRUCTURAL if f"`{key}" not in PAGE] == []
