"""What keeping the state costs a run: the loop of digits with checkpoints as they are by default, against the same loop with none, in turns."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import specbuilder
from benchmarks.measure import interleaved
from benchmarks.steps import Nobody
from specbuilder.training.assembly import assemble, wishes
from specbuilder.training.checkpoint import Checkpoints
from specbuilder.training.columns import split
from specbuilder.training.decide import decide, look
from specbuilder.training.journal import Journal
from specbuilder.training.loop import train
from specbuilder.training.run import CHECKPOINTS
from specbuilder.training.store import Store

ROUNDS = 7


def main() -> None:
    specs = Path(__file__).parent.parent / "specs"
    for name, changes in (("mlp", {"train.epochs": 200}), ("digits", {"train.epochs": 40})):
        spec = specbuilder.load(specs / f"{name}.yaml", set={**changes, "expect": {}})
        job = spec.job({}, synthetic=False, host=None, stop=None)
        cut = split(job.parts, job.plan.data.split or {}, 0)
        decisions = decide(wishes(job.plan, job.graph, "cpu"), look())
        written: list[int] = []

        def once(*, kept: bool) -> float:
            with TemporaryDirectory(dir=".") as place:
                folder = Path(place)
                state, course = assemble(job.plan, job.graph, cut, job.texts.model, job.texts.objective, decisions, folder)  # noqa: B023
                journal = Journal(folder)
                nobody: Any = Nobody()
                store = Store(folder / CHECKPOINTS)
                keeper = Checkpoints(store, job.plan.checkpoint, journal, {}, print) if kept else nobody  # noqa: B023
                if kept:
                    keeper.began(state)
                began = perf_counter()
                train(state, course, journal, nobody, keeper, lambda: False)
                seconds = perf_counter() - began
                if kept:
                    written.append(keeper.written)  # noqa: B023
                journal.close()
                return seconds

        found = interleaved(lambda: once(kept=True), lambda: once(kept=False), ROUNDS)
        low, high = found.interval(lambda a, b: a / b)
        seconds = sorted(found.a)[len(found.a) // 2]
        print(f"{name:<8} {seconds:6.2f} s with {max(written)} checkpoints   ratio to none {found.ratio:.4f} [{low:.4f}, {high:.4f}]")
