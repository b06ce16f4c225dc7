"""What a summary looks like where a network has parts, and that it counts each tensor once."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuilder.api import parse
from specbuilder.report.summary import summary
from tests.conftest import Golden

CASES = Path(__file__).parent.parent / "emit" / "cases"


@pytest.mark.parametrize("name", ["family", "table", "towers", "tokens"])
def test_parts_are_shown_with_what_is_in_them(name: str, golden: Golden) -> None:
    spec = parse((CASES / f"{name}.yaml").read_text(encoding="utf-8"))
    golden(f"summary/{name}.txt", summary(spec.graph, spec.report, 120) + "\n")


def test_shared_and_tied_tensors_are_counted_once() -> None:
    text = """
specbuilder: 1
name: once
model:
  inputs: {x: "float32[B, 4]"}
  nodes:
    - linear: 8
      name: encoder
    - linear: {out_features: 8, bias: false}
      name: step
      repeat: 3
      shared: true
    - batch_norm1d:
      name: norm
    - share: norm
    - linear: 4
      name: decoder
      tie: {weight: encoder.weight}
"""
    spec = parse(text)
    by_node = {row.path: row.parameters for row in spec.report.rows if row.parameters}
    assert by_node == {"encoder": 4 * 8 + 8, "step": 8 * 8, "norm": 2 * 8, "decoder": 4}
    assert spec.report.parameters == sum(by_node.values()) == sum(parameter.numel() for parameter in spec.build().parameters())
    assert spec.report.parameters_by_role == {"bias": 8 + 4, "matrix": 4 * 8 + 8 * 8, "norm": 2 * 8}
    assert spec.report.buffers == 2 * 8 + 1 == sum(buffer.numel() for buffer in spec.build().buffers())
    assert spec.report.bytes == 4 * (spec.report.parameters + 2 * 8) + 8
