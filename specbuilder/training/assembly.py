"""Plan, graph, data and decisions to what the loop follows: the model and its state, the feeds, the step.

Everything that a run is made of is put together here, in the order in which it happens. Random streams: weights from `init`, order from `order`,
augmentation from `augment.<transform>`, dropout from `model`, each of its own seed, so that none disturbs another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from specbuilder.catalogue.contract import Module, Transform
from specbuilder.emit.load import build, load
from specbuilder.emit.model import Emission
from specbuilder.graph.count import bytes_of, size
from specbuilder.graph.graph import TypedGraph
from specbuilder.language.settings import Statistics
from specbuilder.plan.plan import Plan
from specbuilder.training import columns as data
from specbuilder.training.average import Averaged
from specbuilder.training.checks import value_checks
from specbuilder.training.decide import Decisions, Wishes
from specbuilder.training.feed import Batch, Batches, Feed, Normalization, Route, chunks, fit_normalization, normalization
from specbuilder.training.loader import Loaded, LoaderFeed
from specbuilder.training.loop import Course, rates
from specbuilder.training.memory import memory
from specbuilder.training.random import key
from specbuilder.training.samples import Samples
from specbuilder.training.state import State
from specbuilder.training.step import Add, Gate, Objective, autocast, make_optimizer, make_step
from specbuilder.training.weighing import Weighing
from specbuilder.training.weights import write_tensors
from specbuilder.training.workers import WorkerFeed, source_of


def wishes(plan: Plan, graph: TypedGraph, device: str) -> Wishes:
    return Wishes(
        device=device,
        precision=plan.train.precision,
        compile=plan.train.compile,
        optimizer_has_fused=plan.optimizer.has_fused,
        has_convolution=any(isinstance(node.source, Module) and "Conv2d" in node.source.constructor.function for node in graph.nodes),
        feed=plan.data.feed,
        workers=plan.data.workers,
    )


def assemble(
    plan: Plan,
    graph: TypedGraph,
    cut: data.Parts,
    emission: Emission,
    objective_text: str,
    decisions: Decisions,
    folder: Path,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[State, Course]:
    """The state before the first step, and the course of the run. Draws from torch's generators: a state that is put back goes on top."""
    device = torch.device(decisions.device.value)
    with memory(f"the weights of the network need {size(bytes_of(graph))}"):
        model = build(emission, key(plan.seeds.of("init"), "init", 0), device, str(folder / "model.py"))
    model.to(memory_format=format_of(decisions))  # type: ignore[call-overload]  # torch's stubs know this form for tensors only
    objective = objective_of(objective_text, decisions, folder)
    feeds = _feeds(plan, graph, cut, decisions, folder, stop)
    optimizer = make_optimizer(
        plan.optimizer.source(),
        model.parameters(),
        decisions.optimizer_form.value,
        lr_as_tensor=device if decisions.compile.value != "off" and device.type == "cuda" else None,
    )
    context = autocast(decisions.precision.value, device)
    weighing = weighing_of(plan, cut)
    assert plan.length is not None
    state = State(model=model, optimizer=optimizer, loss_sum=torch.zeros((), device=device), generators=feeds["train"].generators)
    if weighing.ignored is not None:
        state.counted = torch.zeros((), dtype=torch.int64, device=device)
    if plan.average is not None:
        assert plan.length.average is not None
        state.averaged = Averaged(model, plan.average, begin=plan.length.average.begin, every=plan.length.average.every)
    gate = Gate(state.loss_sum, optimizer) if device.type != "cpu" and decisions.optimizer_form.value == "fused" else None
    step = make_step(
        model,
        objective,
        optimizer,
        state.loss_sum,
        context=context,
        add=_adding(state, weighing),
        gate=gate,
        micro_batch_size=plan.micro_batch_size if plan.micro_batch_size < plan.data.batch_size else None,
        weighing=weighing,
    )
    return state, Course(
        length=plan.length,
        schedule=plan.schedule,
        rates=rates(optimizer),
        metrics=plan.metrics,
        feeds=feeds,
        shown=next((part for part in ("validation", "test") if part in feeds), None),
        step=step,
        objective=objective,
        context=context,
        weighing=weighing,
        monitor=plan.monitor,
        early_stopping=plan.early_stopping,
        gate=gate,
    )


def format_of(decisions: Decisions) -> torch.memory_format:
    """In which order weights and images lie in memory."""
    return torch.channels_last if decisions.memory_format.value == "channels_last" else torch.contiguous_format


def objective_of(text: str, decisions: Decisions, folder: Path) -> Objective:
    """The emitted objective, compiled where that is decided."""
    objective = load(text, "objective", str(folder / "objective.py")).objective
    if decisions.compile.value == "off":
        return objective
    return torch.compile(objective, fullgraph=True, dynamic=False, mode=decisions.compile.value)


def _feeds(plan: Plan, graph: TypedGraph, cut: data.Parts, decisions: Decisions, folder: Path, stop: Callable[[], bool]) -> dict[str, Batches]:
    fitted = _normalization(plan, cut["train"], torch.device(decisions.device.value), folder)
    feeds: dict[str, Batches] = {}
    for part, columns in cut.items():
        is_train = part == "train"
        route = route_of(plan, plan.pipeline.augment if is_train else plan.pipeline.inference, fitted)
        feeds[part] = feed_of(plan, graph, part, columns, route, decisions, is_trained_on=is_train, stop=stop)
    return feeds


def route_of(plan: Plan, transforms: Sequence[Transform], fitted: Normalization | None) -> Route:
    """What is done to the transformed feature: `prepare`, these transforms, the normalization."""
    pipeline = plan.pipeline
    return Route(feature=pipeline.feature, transforms=_with_streams((*pipeline.prepare, *transforms)), normalization=fitted)


def feed_of(
    plan: Plan,
    graph: TypedGraph,
    part: str,
    columns: data.Part,
    route: Route,
    decisions: Decisions,
    *,
    is_trained_on: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Batches:
    """The batches of a part, as it is decided that samples are fed; in their own order unless it is trained on."""
    features = [*(plan.bindings[name] for name in graph.input_types), plan.target]
    device = torch.device(decisions.device.value)
    common: dict[str, Any] = {"seed_of": plan.seeds.of, "device": device, "memory_format": format_of(decisions)}
    with memory(f"the samples are kept on the device {device}"):
        if isinstance(columns, Loaded):
            return LoaderFeed(columns, features, route, checks=value_checks(plan, graph, part), **common)
        common |= {
            "batch_size": plan.data.batch_size,
            "shuffle": is_trained_on and plan.data.shuffle,
            "drop_last": is_trained_on and plan.data.drop_last,
        }
        if isinstance(columns, Mapping) and decisions.feed.value == "device":
            return Feed(columns, features, route, **common)
        # Columns are checked as a whole before the run.
        checks = value_checks(plan, graph, columns.part) if isinstance(columns, Samples) else {}
        source = source_of(columns, features, part, plan.seeds.of("augment"))
        return WorkerFeed(source, features, route, workers=decisions.workers.value, checks=checks, stop=stop, **common)


def _with_streams(transforms: Sequence[Transform]) -> tuple[tuple[str, Transform], ...]:
    """Each transform with the name of its stream: `augment.random_crop`, and `augment.random_crop.2` for a second one."""
    seen: Counter[str] = Counter()
    named = []
    for transform in transforms:
        seen[transform.kind] += 1
        number = f".{seen[transform.kind]}" if seen[transform.kind] > 1 else ""
        named.append((f"augment.{transform.kind}{number}", transform))
    return tuple(named)


def _normalization(plan: Plan, columns: data.Part, device: torch.device, folder: Path) -> Normalization | None:
    """The normalization of the transformed feature; fitted statistics are kept beside the weights."""
    wish = plan.data.normalize
    if wish == "none":
        return None
    assert plan.facts is not None
    rank = plan.facts.features[plan.pipeline.feature].type.rank
    if isinstance(wish, Statistics):
        mean, std = (torch.tensor(value, dtype=torch.float32).reshape(-1) for value in (wish.mean, wish.std))
    else:
        feature = plan.pipeline.feature
        given = chunks(columns, feature) if isinstance(columns, Mapping) else columns.chunks(feature)
        mean, std = fit_normalization(given, plan.pipeline.prepare)
    write_tensors({"mean": mean, "std": std}, folder / "normalization.safetensors")
    return normalization(mean, std, rank, device)


def weighing_of(plan: Plan, cut: data.Parts) -> Weighing:
    """What batches weigh. Targets are counted on the device only where some may be ignored: the others need not pay for it."""
    ignored = plan.loss.ignored(plan.loss_types[1])
    is_there = ignored is not None and any(
        not isinstance(columns, Mapping) or bool((columns[plan.target].data == ignored).any()) for columns in cut.values()
    )
    return Weighing(reduction=getattr(plan.loss, "reduction", "mean"), ignored=ignored if is_there else None)


def _adding(state: State, weighing: Weighing) -> Add | None:
    """How the loss of a batch is summed up where its targets are counted."""
    counted = state.counted
    if counted is None:
        return None

    def add(loss: Tensor, batch: Batch, _: int) -> None:
        weight = weighing.count(batch[-1])
        state.loss_sum.add_(weighing.total(loss, weight))
        counted.add_(weight)

    return add
