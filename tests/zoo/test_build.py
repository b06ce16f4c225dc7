"""Every variant of every network builds and runs: on the meta device, which has shapes but no numbers, and the base of each on real tensors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from specbuilder.api import Spec
from tests.zoo.networks import EVERY, NETWORKS, VARIANTS, inputs_of, network, on_meta, shapes_of


def run(spec: Spec, model: nn.Module, device: str) -> dict[str, Tensor]:
    given = model(**inputs_of(spec, device))
    return given if isinstance(given, dict) else {next(iter(spec.graph.outputs)): given}


@pytest.mark.parametrize(("name", "variant"), EVERY, ids=str)
def test_every_variant_has_the_shapes_that_the_graph_says(name: str, variant: str | None) -> None:
    spec = network(name, variant)
    model = on_meta(spec)
    assert {key: tuple(tensor.shape) for key, tensor in run(spec, model, "meta").items()} == shapes_of(spec)
    assert sum(parameter.numel() for parameter in model.parameters()) == spec.report.parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_base_runs_forward_and_backward(name: str) -> None:
    """Numbers are finite, and every parameter is reached by the gradient."""
    spec = network(name, VARIANTS[name][0], **SMALL.get(name, {}))
    model = spec.build()
    outputs = run(spec, model, "cpu")
    assert {key: tuple(tensor.shape) for key, tensor in outputs.items()} == shapes_of(spec)
    assert all(tensor.isfinite().all() for tensor in outputs.values())
    torch.stack([(tensor * torch.randn_like(tensor)).sum() for tensor in outputs.values()]).sum().backward()
    assert [key for key, parameter in model.named_parameters() if parameter.grad is None] == []


SMALL = {
    "bert_mean": {"vocabulary": 100, "depth": 2},
    "gpt2": {"vocabulary": 100, "depth": 2},
    "moe": {"vocabulary": 100, "depth": 2},
}
"""What is the same in every copy, or is only a longer table, need not be held in memory here; the meta device has seen it."""
