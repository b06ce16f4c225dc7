"""What torch.compile makes of emitted classes: as many frames as there are distinct instances, not as there are copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from specbuilder.api import parse

BLOCK = """
specbuilder: 1
name: deep
blocks:
  block:
    params: {width: int}
    nodes:
      - residual: [layer_norm, {linear: $width}, gelu, {linear: 16}]
model:
  inputs: {x: "float32[B, 16]"}
  nodes:
    - block: %s
      name: blocks
      repeat: %s
"""
EQUAL = BLOCK % ("8", "96")
WIDTHS = BLOCK % ("$w", f"{{w: {[8 * (at % 12 + 1) for at in range(96)]}}}")


class Counting:
    """A backend that runs what it is given, and counts how often it is asked."""

    def __init__(self) -> None:
        self.frames = 0

    def __call__(self, module: GraphModule, _: Any) -> Callable[..., Any]:
        self.frames += 1
        return module.forward


@pytest.mark.long
@pytest.mark.parametrize(("text", "distinct"), [(EQUAL, 1), (WIDTHS, 12)], ids=["96 equal copies", "96 copies of 12 widths"])
def test_copies_are_compiled_once_for_each_distinct_instance(text: str, distinct: int) -> None:
    spec = parse(text)
    assert spec.source.count("class Block(") == 1
    model: Any = spec.build().eval()
    x = torch.randn(4, 16)
    expected = model(x)
    torch._dynamo.reset()
    backend = Counting()
    blocks: nn.ModuleList = model.blocks
    with torch._dynamo.config.patch(recompile_limit=distinct + 2):
        for block in blocks:
            block.forward = torch.compile(block.forward, backend=backend, fullgraph=True)
        with torch.no_grad():  # else the first copy is compiled twice: its input needs no gradient
            torch.testing.assert_close(model(x), expected)
    assert backend.frames == distinct


@pytest.mark.long
def test_a_whole_model_is_one_frame() -> None:
    spec = parse(WIDTHS)
    model: Any = spec.build().eval()
    torch._dynamo.reset()
    backend = Counting()
    x = torch.randn(4, 16)
    torch.testing.assert_close(torch.compile(model, backend=backend, fullgraph=True)(x), model(x))
    assert backend.frames == 1
