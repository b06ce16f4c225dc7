"""When a run keeps its state, and in which files: the state of `state.py` to the store of `store.py` and back.

A snapshot is copied between two steps and written by a thread beside the training. One is written after an evaluation, unless the last one cost more than
a hundredth of the time since; at every new best, where the best is the result; at what `checkpoint.every` says; and when the run ends, however it ends.
Everything is safetensors or JSON. `metrics.jsonl` as it was goes along, so that a run that is taken up again writes what it would have written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from specbuilder.diagnostics import DataError, ResourceError
from specbuilder.plan.plan import CheckpointPlan
from specbuilder.training.journal import METRICS, TIMING, Journal
from specbuilder.training.state import Snapshot, State, take
from specbuilder.training.store import Checkpoint, Keep, Store

WORTH = 100
"""A checkpoint after an evaluation must cost less than the time since the last one, divided by this."""
NEVER = 1 << 62
_FIRST_COST_S = 0.03
_BYTES_A_SECOND = 300e6
"""What the first one is taken to cost, before one has been measured."""
STATE = "state.json"
TENSORS = ".safetensors"


def files_of(snapshot: Snapshot, journal: Mapping[str, str]) -> dict[str, bytes]:
    """The files of a checkpoint."""
    tensors = {f"{group}{TENSORS}": safetensors.torch.save(dict(found)) for group, found in snapshot.tensors.items()}
    texts = {name: text.encode() for name, text in journal.items()}
    return {**tensors, STATE: (json.dumps({"step": snapshot.step, **snapshot.values}) + "\n").encode(), **texts}


@dataclass(frozen=True, slots=True)
class Kept:
    """What a checkpoint holds."""

    snapshot: Snapshot
    journal: Mapping[str, str]
    facts: Mapping[str, Any]


def kept_in(checkpoint: Checkpoint) -> Kept:
    """The state that the verified files of a checkpoint hold. Raises `DataError` where they hold none."""
    files = checkpoint.files
    if missing := sorted({STATE, METRICS, TIMING} - {*files}):
        raise DataError.of("SB0951", f"{checkpoint.path} has no {missing[0]}")
    tensors: dict[str, Mapping[str, Tensor]] = {}
    try:
        values = json.loads(files[STATE])
        for name, content in files.items():
            if name.endswith(TENSORS):
                tensors[name.removesuffix(TENSORS)] = safetensors.torch.load(content)
        step = values.pop("step")
    except (ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise DataError.of("SB0951", f"{checkpoint.path} is damaged: {error}") from error
    return Kept(Snapshot(step, tensors, values), {name: files[name].decode() for name in (METRICS, TIMING)}, checkpoint.manifest.facts)


class Checkpoints:
    """Keeps the state of one run; what the loop calls `Keeper`."""

    def __init__(self, store: Store, plan: CheckpointPlan, journal: Journal, facts: Mapping[str, Any], said: Callable[[str], None]) -> None:
        self.next_step = NEVER
        self._store, self._plan, self._journal, self._facts, self._said = store, plan, journal, facts, said
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[float] | None = None
        self._last = monotonic()
        self._cost: float | None = None
        self._saved: tuple[int, bool] | None = None
        """The step that was saved last, and whether its evaluation was still to come."""
        self._is_troubled = False
        """Whether the last one could not be written."""

    def began(self, state: State) -> None:
        """The run begins, or goes on, here."""
        self._saved = (state.step, state.is_due) if state.step else None
        self._took_place(state.step)

    def evaluated(self, state: State, *, is_best: bool) -> None:
        if (is_best and self._plan.best) or state.step == self.next_step or (not self._has_interval() and self._is_worth_it(state)):
            self._save(state)

    def reached(self, state: State) -> None:
        self._save(state)

    def ticked(self, state: State) -> None:
        seconds = self._plan.every_seconds
        if seconds is not None and monotonic() - self._last >= seconds:
            self._save(state)

    def left(self, state: State) -> None:
        """Writes the last state and waits until it is on disk. Where it cannot be written, that is said, and the one before stays."""
        self._wait()
        if self._saved != (state.step, state.is_due):
            self._save(state)
            self._wait()
        self._pool.shutdown()

    def close(self) -> None:
        """Ends the writing without a last state; what is being written is finished."""
        self._wait()
        self._pool.shutdown()

    def _has_interval(self) -> bool:
        return self._plan.every_steps is not None or self._plan.every_seconds is not None

    def _is_worth_it(self, state: State) -> bool:
        cost = self._cost
        if cost is None:
            held = sum(tensor.nbytes for tensor in state.model.state_dict().values())
            cost = _FIRST_COST_S + 3 * held / _BYTES_A_SECOND
        return monotonic() - self._last >= cost * WORTH

    def _save(self, state: State) -> None:
        """Copies the state now and writes it beside the training; waits for the one before, since two must not be written at once."""
        self._wait()
        began = monotonic()
        snapshot = take(state)
        journal = self._journal.texts()
        best = state.control.best_step if self._plan.best else None
        keep = Keep(count=self._plan.keep, every=self._plan.keep_every, best=best)
        copied = monotonic() - began
        self._pending = self._pool.submit(self._write, snapshot, journal, keep, copied)
        self._saved = state.step, state.is_due
        self._took_place(state.step)

    def _took_place(self, step: int) -> None:
        """From here the next interval counts."""
        self._last = monotonic()
        if (every := self._plan.every_steps) is not None:
            self.next_step = (step // every + 1) * every

    def _write(self, snapshot: Snapshot, journal: Mapping[str, str], keep: Keep, copied: float) -> float:
        began = monotonic()
        self._store.save(snapshot.step, files_of(snapshot, journal), facts=self._facts, healthy=snapshot.is_finite(), keep=keep)
        return copied + monotonic() - began

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            self._cost, self._is_troubled = pending.result(), False
            for remark in self._store.remarks:
                self._said(remark)
        except ResourceError as error:
            if not self._is_troubled:
                self._said(f"no checkpoint could be kept: {error.diagnostics[0].message}; the run goes on, and those before are untouched")
            self._is_troubled = True
            self._saved = None
