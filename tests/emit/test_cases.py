"""Specs and the files that they become: each in tests/emit/cases, its source in tests/golden/emit. What the file computes is held against the described code,
its keys against the graph, its parameters against the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from specbuilder.api import Spec, parse
from specbuilder.emit.model import emit_model
from specbuilder.graph.graph import TypedGraph
from specbuilder.shapes import evaluate
from tests.conftest import Golden
from tests.emit.interpreter import run

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
SIZES = {"B": 2, "T": 5, "H": 16, "W": 12, "h": 4, "w": 3}


OTHER_SIZES = {"B": 3, "T": 7, "H": 9, "W": 10, "h": 3, "w": 5}


def inputs_of(graph: TypedGraph, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, type in graph.input_types.items():
        shape = [evaluate(dim, sizes) for dim in type.shape]
        found[name] = torch.randint(0, 40, shape, generator=generator) if type.dtype == "int64" else torch.randn(shape, generator=generator)
    return found


def check(spec: Spec) -> None:
    """The file against the graph: keys, parameters, what is trained, and values at two sizes."""
    model: Any = spec.build(seed=1).eval()
    state = model.state_dict()
    transposed = {node.key(name) for node in spec.graph.nodes for name, tie in node.ties.items() if tie.is_transposed}
    nodes = [node for node in spec.graph.nodes if node.shares is None]
    assert {node.key(name) for node in nodes for name in (*node.parameters, *node.buffers)} - transposed == set(state)
    assert sum(parameter.numel() for parameter in model.parameters()) == spec.report.parameters
    frozen = {node.key(name) for node in nodes for name in node.frozen if name not in node.ties}
    assert {name for name, parameter in model.named_parameters() if not parameter.requires_grad} == frozen
    for sizes in (SIZES, OTHER_SIZES):
        inputs = inputs_of(spec.graph, sizes)
        with torch.no_grad():
            given, expected = model(**inputs), run(spec.graph, state, inputs, sizes)
        given = given if isinstance(given, dict) else {next(iter(expected)): given}
        assert list(given) == list(expected)
        for name, tensor in expected.items():
            torch.testing.assert_close(given[name], tensor, rtol=1e-5, atol=1e-6, msg=f"{name} differs", equal_nan=True)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_emitted_file(path: Path, golden: Golden) -> None:
    spec = parse(path.read_text(encoding="utf-8"), path.name)
    golden(f"emit/{path.stem}.py.txt", emit_model(spec.graph, path.name, "X.Y.Z").text)
    check(spec)
