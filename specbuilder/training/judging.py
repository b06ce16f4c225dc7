"""A run that has ended: what its weights come to on a part of the data, and what they say of samples that nobody knows the answer for.

Both go the way that an evaluation within the run goes: `prepare` and `inference`, the normalization that the folder keeps, batches of the plan's size,
the model in evaluation mode, on as many threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from specbuilder.diagnostics import DataError, ResourceError
from specbuilder.graph.graph import TypedGraph
from specbuilder.plan.plan import Plan
from specbuilder.training.assembly import feed_of, format_of, objective_of, route_of, weighing_of, wishes
from specbuilder.training.columns import Parts
from specbuilder.training.decide import Decisions, decide, device_named, look
from specbuilder.training.evaluate import evaluate
from specbuilder.training.feed import Normalization, Route, normalization
from specbuilder.training.inputs import Sample
from specbuilder.training.memory import memory
from specbuilder.training.run import determinism, threads
from specbuilder.training.step import autocast


def decided(plan: Plan, graph: TypedGraph, recorded: Mapping[str, Any], device: object, *, elsewhere: bool) -> Decisions:
    """As the run was executed, or on another device that is asked for. `elsewhere`: where the device of the run is not there, on the best that is."""
    if device is not None:
        return decide(wishes(plan, graph, device_named(device, "auto")), look())
    try:
        return decide(wishes(plan, graph, str(recorded["device"]["value"])), look())
    except ResourceError:
        if not elsewhere:
            raise
        return decide(wishes(plan, graph, "auto"), look())


def judge(
    model: nn.Module,
    objective_text: str,
    plan: Plan,
    graph: TypedGraph,
    cut: Parts,
    part: str,
    decisions: Decisions,
    recorded: Mapping[str, Any],
    folder: Path,
) -> dict[str, float]:
    """Loss and metrics of a part. `cut` holds all parts that there are: whether targets are ignored is asked of them all, as in the run."""
    device = _place(model, decisions)
    objective, columns = objective_of(objective_text, decisions, folder), cut[part]
    with threads(recorded), determinism(plan.train.deterministic):
        feed = feed_of(plan, graph, part, columns, _route(plan, device, folder), decisions)
        try:
            context = autocast(decisions.precision.value, device)
            return evaluate(model, objective, feed.epoch(0), plan.metrics, context=context, weighing=weighing_of(plan, cut))
        finally:
            feed.close()


def answers(
    model: nn.Module,
    plan: Plan,
    graph: TypedGraph,
    samples: Sequence[Sample],
    decisions: Decisions,
    recorded: Mapping[str, Any],
    folder: Path,
) -> list[Tensor]:
    """The output of the model for each sample, on the CPU and without the batch axis; floats as float32."""
    device, memory_format = _place(model, decisions), format_of(decisions)
    context, route = autocast(decisions.precision.value, device), _route(plan, device, folder)
    found: list[Tensor] = []
    needed = f"{min(len(samples), plan.data.batch_size)} samples pass through the network at once"
    with threads(recorded), determinism(plan.train.deterministic), memory(needed), torch.no_grad():
        for batch in _batches(samples, plan.data.batch_size):
            indices = torch.arange(len(found), len(found) + len(batch), device=device)
            tensors = []
            for name in graph.input_types:
                x = torch.stack([sample.values[name] for sample in batch]).to(device)
                is_routed = plan.bindings[name] == route.feature
                tensors.append(route.change(x, indices, 0, plan.seeds.of, memory_format) if is_routed else x)
            with _told(len(batch)), context() if context is not None else nullcontext():
                said = model(*tensors)
            output = said[plan.output] if len(graph.outputs) > 1 else said
            found += (output.float() if output.is_floating_point() else output).cpu().unbind()
    return found


@contextmanager
def _told(rows: int) -> Iterator[None]:
    """Within, values that torch refuses, as a norm over a single one, are told in words."""
    try:
        yield
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise DataError.of("SB0811", f"the model cannot read {rows} sample{'' if rows == 1 else 's'} of this size at once: {reason}") from error


def _place(model: nn.Module, decisions: Decisions) -> torch.device:
    """Puts the model where it is to compute, in evaluation mode."""
    device = torch.device(decisions.device.value)
    with memory(f"the weights of the network are kept on the device {device}"):
        model.to(device).to(memory_format=format_of(decisions)).eval()  # type: ignore[call-overload]  # as in `assemble`
    return device


def _batches(samples: Sequence[Sample], size: int) -> Iterator[list[Sample]]:
    """Neighbours of one shape together, at most `size` of them."""
    for _, alike in groupby(samples, lambda sample: {name: value.shape for name, value in sample.values.items()}):
        group = list(alike)
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _route(plan: Plan, device: torch.device, folder: Path) -> Route:
    return route_of(plan, plan.pipeline.inference, _normalization(plan, device, folder))


def _normalization(plan: Plan, device: torch.device, folder: Path) -> Normalization | None:
    """With the statistics that the run kept."""
    if plan.data.normalize == "none":
        return None
    assert plan.facts is not None
    path = folder / "normalization.safetensors"
    try:
        stored = load_file(path)
        return normalization(stored["mean"], stored["std"], plan.facts.features[plan.pipeline.feature].type.rank, device)
    except Exception as error:  # absence, header, bytes and names each fail in their own way
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise DataError.of("SB0902", f"{path}, by which the inputs are normalized, cannot be read: {reason}") from error


__all__ = ["answers", "decided", "judge"]
