"""What keeping the state costs a run: the loop of digits with checkpoints as they are by default, against the same loop with none, in turns."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import specbuilder
from benchmarks.measure import interleaved
from specbuilder.training.assembly import assemble, wishes
from specbuilder.training.checkpoint import Checkpoints
from specbuilder.training.columns import split
from specbuilder.training.decide import decide, look
from specbuilder.training.journal import Journal
from specbuilder.training.loop import train
from specbuilder.training.run import CHECKPOINTS, Nothing, Silent
from specbuilder.training.store import Store

ROUNDS = 7
SPECS = Path(__file__).parent.parent / "specs"


def compare(name: str, epochs: int) -> None:
    spec = specbuilder.load(SPECS / f"{name}.yaml", set={"train.epochs": epochs, "expect": {}})
    job = spec.job({}, synthetic=False, host=None, stop=None)
    cut = split(job.parts, job.plan.data.split or {}, 0)
    decisions = decide(wishes(job.plan, job.graph, "cpu"), look())
    saved: list[int] = []

    class Counting(Store):
        def save(self, step: int, *rest: Any, **options: Any) -> Path:
            saved.append(step)
            return super().save(step, *rest, **options)

    def once(*, kept: bool) -> float:
        with TemporaryDirectory() as place:
            folder = Path(place)
            state, course = assemble(job.plan, job.graph, cut, job.texts.model, job.texts.objective, decisions, folder)
            nothing: Any = Nothing()
            journal = Journal(folder, print) if kept else nothing
            keeper = Checkpoints(Counting(folder / CHECKPOINTS), job.plan.checkpoint, journal, {}, print) if kept else nothing
            if kept:
                saved.clear()
                keeper.began(state)
            began = perf_counter()
            train(state, course, journal, Silent(), keeper, lambda: False)
            return perf_counter() - began

    found = interleaved(lambda: once(kept=True), lambda: once(kept=False), ROUNDS)
    low, high = found.interval(lambda a, b: a / b)
    seconds = sorted(found.a)[len(found.a) // 2]
    print(f"{name:<8} {seconds:6.2f} s with {len(saved)} checkpoints   ratio to none {found.ratio:.4f} [{low:.4f}, {high:.4f}]")


def main() -> None:
    compare("mlp", epochs=200)
    compare("digits", epochs=40)
