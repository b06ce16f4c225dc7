"""A run from its first line to its last: a new one, and one that is taken up again in its folder.

Both are one road: the folder is locked, everything is assembled, a checkpoint is put back where there is one, the loop follows its course, the result
is saved and judged. The folder tells the state of the run at any moment.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from specbuilder.diagnostics import CheckError, DataError, ResourceError, RunError, SpecbuilderError
from specbuilder.emit.model import Emission, body_of
from specbuilder.graph.count import bytes_of, size
from specbuilder.graph.graph import TypedGraph
from specbuilder.plan.difference import identity
from specbuilder.plan.plan import Plan
from specbuilder.training import columns as data
from specbuilder.training.assembly import assemble, wishes
from specbuilder.training.checkpoint import NEVER, Checkpoints, Kept, kept_in
from specbuilder.training.checks import check_values
from specbuilder.training.decide import Decisions, decide, look
from specbuilder.training.evaluate import evaluate
from specbuilder.training.feed import Promise, Stopped
from specbuilder.training.journal import Journal, new_folder, write_json, write_text
from specbuilder.training.lock import Lock
from specbuilder.training.loop import Course, Outcome, Watcher, judged, train
from specbuilder.training.memory import disk, memory
from specbuilder.training.random import key
from specbuilder.training.state import State, put, take
from specbuilder.training.store import Store
from specbuilder.training.weights import write_tensors

CHECKPOINTS = "checkpoints"


class Host(Watcher, Protocol):
    """Who hears of a whole run."""

    def started(self, folder: Path, plan: Plan, parameters: int, decisions: Decisions) -> None: ...

    def said(self, text: str) -> None:
        """Something that the user must know."""
        ...


class Silent:
    """Nobody listens."""

    def started(self, folder: Path, plan: Plan, parameters: int, decisions: Decisions) -> None: ...

    def said(self, text: str) -> None: ...

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
    kind_of_weights: str
    """Whose weights the result is: `weights of the last step`."""
    model: nn.Module


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is run."""

    plan: Plan
    graph: TypedGraph
    parts: data.Parts
    texts: Texts
    host: Host
    stop: Callable[[], bool]


def execute(job: Job, *, root: Path, device: str = "auto") -> Result:
    """A new run, in a new folder below `root`, to the end of the plan or until `stop` says so."""
    decisions = decide(wishes(job.plan, job.graph, device), look())
    cut = _cut(job)
    folder = new_folder(root, job.plan.name)
    with Lock(folder):
        _write_texts(folder, job.texts, job.plan, decisions)
        return _run(job, cut, decisions, folder, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """How a run is taken up again."""

    recorded: Mapping[str, Any]
    """`decisions.json` as it was."""
    device: str | None = None
    fallback: bool = True
    """Whether an older checkpoint may stand in for a damaged one."""
    verify: bool = False
    """Whether the steps before the checkpoint are made again first, and compared bit by bit."""


def resume(job: Job, folder: Path, again: Again) -> Result:
    """Takes up the run in a folder where its last good checkpoint left it, or at its beginning where it never came to one.

    Raises `DataError` where there are checkpoints but none is good, `CheckError` where a replay differs.
    """
    with Lock(folder), threads(again.recorded):
        recorded = again.recorded
        asked = again.device or str(recorded["device"]["value"])
        decisions = decide(wishes(job.plan, job.graph, asked), look())
        kept = _last_kept(job, folder, fallback=again.fallback)
        cut = _cut(job)
        if again.verify and kept is not None:
            _verify(job, cut, decisions, folder, kept)
        differing = _differences(recorded, decisions)
        _write_texts(folder, job.texts, job.plan, decisions)
        return _run(job, cut, decisions, folder, kept, differing)


def _last_kept(job: Job, folder: Path, *, fallback: bool) -> Kept | None:
    """What the newest good checkpoint holds; None where the run never wrote one. What had to be passed over is said."""
    store = Store(folder / CHECKPOINTS)
    if not store.steps():
        return None
    checkpoint, rejected = store.required()
    for each in rejected:
        job.host.said(f"passed over {each.path.name}: {each.reason}")
    if rejected and not fallback:
        message = f"{rejected[0].path.name} is not good: {rejected[0].reason}; the last good checkpoint is {checkpoint.path.name}"
        raise DataError.of("SB0952", message, help="leave out `--no-fallback` to go on from there")
    kept = kept_in(checkpoint)
    if kept.facts != _identity(job):
        raise DataError.of("SB0951", f"{checkpoint.path} is of another run: its plan, network or data is another", help="put the run's own back")
    return kept


def _identity(job: Job) -> dict[str, Any]:
    """What tells the states of this run from those of runs with another plan or network; the fingerprint of the data stands in the plan."""
    return {"plan": identity(job.plan.as_json()), "network": sha256(body_of(job.texts.model.text).encode()).hexdigest()}


def _cut(job: Job) -> data.Parts:
    check_values(job.plan, job.graph, job.parts)
    return data.split(job.parts, job.plan.data.split or {}, job.plan.seeds.of("split"))


def _differences(recorded: Mapping[str, Any], decisions: Decisions) -> list[str]:
    """What is decided otherwise than at the start, of all that bits depend on."""
    now = decisions.as_json()
    watched = ("device", "precision", "compile", "memory_format", "optimizer_form", "threads")
    found = [f"{name} is {now[name]['value']}, was {recorded[name]['value']}" for name in watched if now[name]["value"] != recorded[name]["value"]]
    before = recorded["versions"]
    return found + [f"{name} is {version}, was {before.get(name)}" for name, version in now["versions"].items() if version != before.get(name)]


def _run(job: Job, cut: data.Parts, decisions: Decisions, folder: Path, kept: Kept | None, differing: list[str] | None) -> Result:
    """`differing` is what is decided otherwise than when the run began; None where it begins now."""
    journal = Journal(folder, job.host.said, kept.journal if kept is not None else {})
    try:
        journal.status("running", step=kept.snapshot.step if kept is not None else 0)
        with determinism(job.plan.train.deterministic), _forked(job.plan):
            state, course = _assembled(job, cut, decisions, folder, kept)
            if differing is not None:
                journal.details = {"resumed": _promised(state, course, differing, job.host)}
            try:
                return _train(job, state, course, decisions, folder, journal)
            finally:
                for feed in course.feeds.values():
                    feed.close()
    except BaseException as error:
        if journal.state == "running":
            _end(journal, error)
        raise
    finally:
        journal.close()


def _promised(state: State, course: Course, differing: list[str], host: Host) -> dict[str, Any]:
    """What holds of a run that is taken up again, told and for `status.json`."""
    level: Promise = course.feeds["train"].promise
    reasons = [*differing, *([] if level == "bit-exact" else ["the samples come from a DataLoader of the caller"])]
    if level == "bit-exact" and differing:
        level = "same-order"
    why = f" ({'; '.join(reasons)})" if reasons else ""
    host.said(f"resumed    after step {state.step:,}; {level}{why}")
    return {"step": state.step, "promise": level, "because": reasons}


def _end(journal: Journal, error: BaseException) -> None:
    """Says how the run ended, where there is still room to say it."""
    with suppress(ResourceError):
        if isinstance(error, KeyboardInterrupt):
            journal.status("interrupted", error="stopped at once")
        else:
            code = {"code": error.diagnostics[0].code} if isinstance(error, SpecbuilderError) and error.diagnostics else {}
            journal.status("failed", error=_said(error), **code)


def _said(error: BaseException) -> str:
    return error.diagnostics[0].message if isinstance(error, SpecbuilderError) and error.diagnostics else f"{type(error).__name__}: {error}"


def _train(job: Job, state: State, course: Course, decisions: Decisions, folder: Path, journal: Journal) -> Result:
    plan, began = job.plan, monotonic()
    store = Store(folder / CHECKPOINTS)
    keeper = Checkpoints(store, plan.checkpoint, journal, _identity(job), job.host.said)
    keeper.began(state)
    job.host.started(folder, plan, sum(each.numel() for each in state.model.parameters()), decisions)
    try:
        with _room(job, state):
            outcome = train(state, course, journal, job.host, keeper, job.stop)
    finally:
        keeper.close()
    result_step = _to_result(state, plan, store, outcome)
    write_tensors(state.model.state_dict(), folder / "weights.safetensors")
    last = next((part for part in ("test", "validation") if part in course.feeds), None)
    metrics: dict[str, float] = {}
    if last is not None and outcome == "finished":
        try:
            final = evaluate(
                state.model,
                course.objective,
                course.feeds[last].epoch(0),
                plan.metrics,
                context=course.context,
                weighing=course.weighing,
                stop=job.stop,
            )
            metrics = {f"{last}.{name}": value for name, value in final.items()}
        except Stopped:
            outcome = "interrupted"
    made_up = {"data": "made up"} if plan.facts is not None and plan.facts.is_made_up else {}
    early = {"stopped_early": True} if state.control.stopped_early else {}
    best = {"result_step": result_step} if result_step != state.step else {}
    journal.status(outcome, step=state.step, steps=course.length.steps, metrics=metrics, **early, **best, **made_up)
    return Result(
        folder=folder,
        state=outcome,
        steps=state.step,
        seconds=monotonic() - began,
        metrics=metrics,
        kind_of_weights=f"{'averaged weights' if state.averaged is not None and state.averaged.updates else 'weights'} of "
        + (f"the best step, {result_step:,}" if result_step != state.step else "the last step"),
        model=state.model,
    )


def _assembled(job: Job, cut: data.Parts, decisions: Decisions, folder: Path, kept: Kept | None) -> tuple[State, Course]:
    state, course = assemble(job.plan, job.graph, cut, job.texts.model, job.texts.objective, decisions, folder, job.stop)
    if kept is not None:
        put(kept.snapshot, state)
    return state, course


@contextmanager
def _room(job: Job, state: State) -> Iterator[None]:
    """Within, running out of memory says what was reckoned with and three things to do."""
    weights = bytes_of(job.graph)
    moments = sum(value.nbytes for found in state.optimizer.state.values() for value in found.values() if isinstance(value, Tensor))
    plan = job.plan
    what = (
        f"the weights and their gradients take {size(2 * weights)}, what the optimizer remembers {size(moments or 2 * weights)}, "
        f"and the rest is the inner values of {plan.micro_batch_size} samples"
    )
    help = "write a smaller `micro_batch_size` (the result is the same), a smaller `batch_size`, or use `precision: bf16`"
    with memory(what, help=help):
        yield


def _to_result(state: State, plan: Plan, store: Store, outcome: Outcome) -> int:
    """Makes the model the result of the run: the best weights where they are asked for, the average where there is one. The step that they are of."""
    best = state.control.best_step
    if outcome == "finished" and plan.checkpoint.best and best is not None and best != state.step:
        snapshot = kept_in(store.read(best)).snapshot
        averaged = snapshot.values["average"]
        state.model.load_state_dict(snapshot.tensors["average" if averaged is not None and averaged["updates"] else "model"])
        return best
    if (judge := judged(state)) is not state.model:
        state.model.load_state_dict(judge.state_dict())
    return state.step


class Nothing:
    """A journal and a keeper of a replay: it leaves no trace."""

    next_step = NEVER

    def evaluation(self, metrics: Mapping[str, Any], timing: Mapping[str, Any]) -> None: ...

    def evaluated(self, state: State, *, is_best: bool) -> None: ...

    def reached(self, state: State) -> None: ...

    def ticked(self, state: State) -> None: ...

    def left(self, state: State) -> None: ...


def _verify(job: Job, cut: data.Parts, decisions: Decisions, folder: Path, kept: Kept) -> None:
    """Makes the steps from the checkpoint before, or from the beginning, again, and compares every bit of the state."""
    target = kept.snapshot
    store = Store(folder / CHECKPOINTS)
    before = [step for step in store.steps() if step < target.step]
    earlier = _read_or_none(store, before[-1]) if before else None
    start = earlier.snapshot.step if earlier is not None else 0
    with determinism(job.plan.train.deterministic), _forked(job.plan):
        state, course = _assembled(job, cut, decisions, folder, earlier)
        nothing: Any = Nothing()
        train(state, course, nothing, Silent(), nothing, lambda: state.step >= target.step and state.is_due == target.values["position"]["is_due"])
        again = take(state)
    if again.digest() != target.digest():
        groups = [name for name in again.tensors if not _equal(again.tensors[name], target.tensors[name])]
        values = [name for name in again.values if again.values[name] != target.values[name]]
        what = ", ".join(dict.fromkeys((*groups, *values)))
        message = f"steps {start + 1} to {target.step}, made again, come to other bits than the checkpoint of step {target.step}: {what}"
        raise CheckError.of("SB0954", message, help="compare `decisions.json` with this machine; leave out `--verify` to go on all the same")
    job.host.said(f"verified   steps {start + 1:,} to {target.step:,} made again: every bit is the same")


def _read_or_none(store: Store, step: int) -> Kept | None:
    with suppress(DataError):
        return kept_in(store.read(step))
    return None


def _equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _write_texts(folder: Path, texts: Texts, plan: Plan, decisions: Decisions) -> None:
    written = {f"spec{texts.spec_suffix}": texts.spec, **texts.beside, "model.py": texts.model.text, "objective.py": texts.objective}
    for file, text in written.items():
        with disk(folder / file):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / file, text)
    write_json(folder / "plan.json", plan.as_json())
    write_json(folder / "decisions.json", decisions.as_json())


@contextmanager
def determinism(wanted: bool) -> Iterator[None]:
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
    """The generators of torch, which dropout draws from, of Python and of numpy, which own data sets may draw from: seeded by the stream `model` for the
    run, and put back afterwards.
    """
    seed = key(plan.seeds.of("model"), "model", 0)
    python, legacy = random.getstate(), np.random.get_state(legacy=True)  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed & 0xFFFF_FFFF)  # noqa: NPY002  # that one is what own data sets draw from
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


@contextmanager
def threads(recorded: Mapping[str, Any]) -> Iterator[None]:
    """As many threads as the run began with: sums are rounded in another order on another number."""
    before, wanted = torch.get_num_threads(), recorded["threads"]["value"]
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


__all__ = ["Again", "Host", "Job", "Result", "RunError", "Silent", "Texts", "execute", "resume"]
