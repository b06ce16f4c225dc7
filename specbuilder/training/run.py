"""Plan, graph and data to a finished run folder.

Everything that a run is made of is put together here, in the order in which it happens; the loop itself is `loop.train`. Random streams: weights from
`init`, order from `order`, augmentation from `augment.<transform>`, dropout from `model`, each of its own seed, so that none disturbs another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from specbuilder.catalogue.contract import Module, Transform
from specbuilder.diagnostics import DataError, ResourceError, RunError, SpecbuilderError
from specbuilder.emit.load import build, load
from specbuilder.emit.model import Emission
from specbuilder.graph.count import bytes_of, size
from specbuilder.graph.graph import TypedGraph
from specbuilder.language.settings import Statistics
from specbuilder.plan.limits import limits
from specbuilder.plan.plan import Plan
from specbuilder.training import columns as data
from specbuilder.training.decide import Decisions, Wishes, decide, look
from specbuilder.training.evaluate import Weighing, evaluate
from specbuilder.training.feed import Batch, Batches, Feed, Normalization, Route, chunks, fit_normalization, normalization
from specbuilder.training.journal import Journal, new_folder, write_json
from specbuilder.training.loader import Check, Loaded, LoaderFeed
from specbuilder.training.loop import Course, State, Watcher, train
from specbuilder.training.memory import PART, disk, memory
from specbuilder.training.random import key
from specbuilder.training.samples import Samples
from specbuilder.training.step import Add, autocast, make_optimizer, make_step
from specbuilder.training.workers import WorkerFeed, source_of


class Host(Watcher, Protocol):
    """Who hears of a whole run."""

    def started(self, folder: Path, plan: Plan, decisions: Decisions) -> None: ...


class Silent:
    """Nobody listens."""

    def started(self, folder: Path, plan: Plan, decisions: Decisions) -> None: ...

    def progress(self, step: int, steps: int) -> None: ...

    def evaluated(self, row: Mapping[str, Any], timing: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The texts that a run folder keeps."""

    spec: str
    spec_suffix: str
    beside: Mapping[str, str]
    """Further texts by their path in the folder: what the spec includes, and `sources.json`, which says where each comes from."""
    model: Emission
    objective: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run came to."""

    folder: Path
    state: str
    """`finished` or `interrupted`."""
    steps: int
    seconds: float
    metrics: Mapping[str, float]
    """Of the final weights: `test.*` where there is a test part, else `validation.*`."""
    model: nn.Module


def execute(
    plan: Plan,
    graph: TypedGraph,
    parts: data.Parts,
    texts: Texts,
    *,
    root: Path,
    device: str = "auto",
    host: Host | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Trains to the end of the plan, or until `stop` says so. The run folder tells the state of the run at any moment."""
    host = host or Silent()
    decisions = decide(_wishes(plan, graph, device), look())
    _check_values(plan, graph, parts)
    cut = data.split(parts, plan.data.split or {}, plan.seeds.of("split"))
    folder = new_folder(root, plan.name)
    _write_texts(folder, texts, plan, decisions)
    journal = Journal(folder)
    journal.status("running", step=0)
    began = monotonic()
    try:
        with _determinism(plan.train.deterministic), _forked(plan):
            result = _train(plan, graph, cut, texts, decisions, folder, journal, host, stop, began)
    except BaseException as error:
        if journal.state == "running":
            _end(journal, error)
        raise
    finally:
        journal.close()
    return result


def _end(journal: Journal, error: BaseException) -> None:
    """Says how the run ended, where there is still room to say it."""
    with suppress(ResourceError):
        if isinstance(error, KeyboardInterrupt):
            journal.status("interrupted", error="stopped at once")
        else:
            journal.status("failed", error=_said(error))


def _said(error: BaseException) -> str:
    return error.diagnostics[0].message if isinstance(error, SpecbuilderError) and error.diagnostics else f"{type(error).__name__}: {error}"


def _train(
    plan: Plan,
    graph: TypedGraph,
    cut: data.Parts,
    texts: Texts,
    decisions: Decisions,
    folder: Path,
    journal: Journal,
    host: Host,
    stop: Callable[[], bool],
    began: float,
) -> Result:
    device = torch.device(decisions.device.value)
    memory_format = torch.channels_last if decisions.memory_format.value == "channels_last" else torch.contiguous_format
    needed = bytes_of(graph)
    with memory(f"the weights of the network need {size(needed)}"):
        model = build(texts.model, key(plan.seeds.of("init"), "init", 0), device, str(folder / "model.py"))
    model.to(memory_format=memory_format)  # type: ignore[call-overload]  # torch's stubs know this form for tensors only
    objective = load(texts.objective, "objective", str(folder / "objective.py")).objective
    if decisions.compile.value != "off":
        objective = torch.compile(objective, fullgraph=True, dynamic=False, mode=decisions.compile.value)
    with memory(f"the samples are kept on the device {device}"):
        feeds = _feeds(plan, graph, cut, device, memory_format, folder, decisions, stop)
    host.started(folder, plan, decisions)
    optimizer = make_optimizer(
        plan.optimizer.source(),
        model.parameters(),
        decisions.optimizer_form.value,
        lr_as_tensor=device if decisions.compile.value != "off" and device.type == "cuda" else None,
    )
    context = autocast(decisions.precision.value, device)
    weighing = _weighing(plan, cut)
    state = State(model=model, optimizer=optimizer, loss_sum=torch.zeros((), device=device))
    if weighing.ignored is not None:
        state.counted = torch.zeros((), dtype=torch.int64, device=device)
    assert plan.length is not None
    course = Course(
        length=plan.length,
        schedule=plan.schedule,
        metrics=plan.metrics,
        feeds=feeds,
        shown=next((part for part in ("validation", "test") if part in feeds), None),
        step=make_step(model, objective, optimizer, state.loss_sum, context=context, add=_adding(state, weighing)),
        objective=objective,
        context=context,
        weighing=weighing,
    )
    with memory(f"the weights, their gradients and a batch of {plan.data.batch_size} do not fit", help="try a smaller `batch_size`"):
        is_whole = train(state, course, journal, host, stop)
    save_weights(model, folder)
    outcome = "finished" if is_whole else "interrupted"
    last = next((part for part in ("test", "validation") if part in feeds), None)
    metrics: dict[str, float] = {}
    if last is not None and is_whole:
        final = evaluate(model, objective, feeds[last].epoch(0), plan.metrics, context=context, weighing=weighing)
        metrics = {f"{last}.{name}": value for name, value in final.items()}
    made_up = {"data": "made up"} if plan.facts is not None and plan.facts.is_made_up else {}
    journal.status(outcome, step=state.step, steps=plan.length.steps, metrics=metrics, **made_up)
    return Result(folder=folder, state=outcome, steps=state.step, seconds=monotonic() - began, metrics=metrics, model=model)


def _wishes(plan: Plan, graph: TypedGraph, device: str) -> Wishes:
    return Wishes(
        device=device,
        precision=plan.train.precision,
        compile=plan.train.compile,
        optimizer_has_fused=plan.optimizer.has_fused,
        has_convolution=any(isinstance(node.source, Module) and "Conv2d" in node.source.constructor.function for node in graph.nodes),
        feed=getattr(plan.data, "feed", "auto"),
        workers=getattr(plan.data, "workers", "auto"),
    )


def _feeds(
    plan: Plan,
    graph: TypedGraph,
    cut: data.Parts,
    device: torch.device,
    memory_format: torch.memory_format,
    folder: Path,
    decisions: Decisions,
    stop: Callable[[], bool],
) -> dict[str, Batches]:
    features = [*(plan.bindings[name] for name in graph.input_types), plan.target]
    pipeline = plan.pipeline
    fitted = _normalization(plan, cut["train"], device, folder)
    feeds: dict[str, Batches] = {}
    for part, columns in cut.items():
        is_train = part == "train"
        transforms = (*pipeline.prepare, *(pipeline.augment if is_train else pipeline.inference))
        route = Route(feature=pipeline.feature, transforms=_streams(transforms), normalization=fitted)
        if isinstance(columns, Loaded):
            checks = _value_checks(plan, graph, part)
            feeds[part] = LoaderFeed(columns, features, route, seed_of=plan.seeds.of, device=device, checks=checks, memory_format=memory_format)
            continue
        settings: dict[str, Any] = {
            "batch_size": plan.data.batch_size,
            "seed_of": plan.seeds.of,
            "device": device,
            "shuffle": is_train and plan.data.shuffle,
            "drop_last": is_train and plan.data.drop_last,
            "memory_format": memory_format,
        }
        if isinstance(columns, Mapping) and decisions.feed.value == "device":
            feeds[part] = Feed(columns, features, route, **settings)
            continue
        # Columns are checked as a whole before the run.
        checks = _value_checks(plan, graph, columns.part) if isinstance(columns, Samples) else {}
        source = source_of(columns, features, part, plan.seeds.of("augment"))
        feeds[part] = WorkerFeed(source, features, route, workers=decisions.workers.value, checks=checks, stop=stop, **settings)
    return feeds


def _streams(transforms: Sequence[Transform]) -> tuple[tuple[str, Transform], ...]:
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
    with disk(folder / "normalization.safetensors"):
        save_file({"mean": mean.contiguous(), "std": std.contiguous()}, folder / "normalization.safetensors")
    return normalization(mean, std, rank, device)


def _weighing(plan: Plan, cut: data.Parts) -> Weighing:
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


def _check_values(plan: Plan, graph: TypedGraph, parts: data.Parts) -> None:
    """Class numbers outside of what the model scores, and numbers that an input does not take, found on the CPU before anything runs: a GPU would only
    abort.
    """
    for part, columns in parts.items():
        if not isinstance(columns, Mapping):
            continue
        for feature, check in _value_checks(plan, graph, part).items():
            check(columns[feature].data, 0)


def _value_checks(plan: Plan, graph: TypedGraph, part: str) -> dict[str, Check]:
    """For each feature whose numbers have bounds, what refuses those beyond."""
    checks: dict[str, Check] = {}
    for input, limit in limits(graph).items():
        feature = plan.bindings[input]
        checks[feature] = _within(limit.below, None, f"`{feature}` of sample {{row}} of the part `{part}` is {{value}}, but {limit}")
    classes = plan.loss.classes(plan.loss_types[0])
    if isinstance(classes, int) and plan.loss_types[1].dtype == "int64":
        said = f"`{plan.target}` of sample {{row}} of the part `{part}` is {{value}}, but the model scores the classes 0 to {classes - 1}"
        checks[plan.target] = _within(classes, plan.loss.ignored(plan.loss_types[1]), said)
    return checks


def _within(below: int, ignored: int | None, said: str) -> Check:
    def check(values: Tensor, first: int) -> None:
        wrong = (values < 0) | (values >= below)
        if ignored is not None:
            wrong &= values != ignored
        if bool(wrong.any()):
            row = first + int(wrong.reshape(len(values), -1).any(1).nonzero()[0])
            raise DataError.of("SB0805", said.format(row=row, value=int(values[wrong][0])))

    return check


def save_weights(model: nn.Module, folder: Path) -> None:
    """`weights.safetensors`: the state dict, contiguous and on the CPU. A tensor that two names share is stored under both, since `load_state_dict`, by
    which the folder is used without this package, wants all names.
    """
    stored: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in model.state_dict().items():
        kept = tensor.detach().contiguous().cpu()
        # safetensors takes no memory twice.
        stored[name] = kept.clone() if kept.data_ptr() in seen else kept
        seen.add(kept.data_ptr())
    beside = folder / f".weights.safetensors{PART}"
    with disk(beside, sum(tensor.nbytes for tensor in stored.values())):
        save_file(stored, beside)
        beside.replace(folder / "weights.safetensors")


def _write_texts(folder: Path, texts: Texts, plan: Plan, decisions: Decisions) -> None:
    written = {f"spec{texts.spec_suffix}": texts.spec, **texts.beside, "model.py": texts.model.text, "objective.py": texts.objective}
    for file, text in written.items():
        with disk(folder / file):
            (folder / file).parent.mkdir(exist_ok=True)
            # As it is, since digests of some are kept too.
            (folder / file).write_bytes(text.encode())
    write_json(folder / "plan.json", plan.as_json())
    write_json(folder / "decisions.json", decisions.as_json())


@contextmanager
def _determinism(wanted: bool) -> Iterator[None]:
    """Refuses kernels without a deterministic form while the run lasts."""
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextmanager
def _forked(plan: Plan) -> Iterator[None]:
    """Torch's own generators, which dropout draws from, seeded by the stream `model` for the run and put back afterwards."""
    with torch.random.fork_rng():
        torch.manual_seed(key(plan.seeds.of("model"), "model", 0))
        yield


__all__ = ["Host", "Result", "RunError", "Silent", "Texts", "execute", "save_weights"]
