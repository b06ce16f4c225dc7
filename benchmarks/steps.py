"""The training step of a spec against its tuned hand-written twin: microseconds over, and ratio."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn

import specbuilder
from benchmarks.measure import interleaved
from benchmarks.twins import CNN_KEYS, MLP_KEYS, Cnn, Mlp, copy_weights, fit
from specbuilder.api import Spec
from specbuilder.emit.load import load
from specbuilder.emit.objective import emit_objective
from specbuilder.training.columns import split
from specbuilder.training.feed import Feed, Route
from specbuilder.training.loop import Course, rates, train
from specbuilder.training.run import Nothing, Silent
from specbuilder.training.state import State
from specbuilder.training.step import make_optimizer, make_step
from specbuilder.training.weighing import Weighing

ROUNDS = 25
CPU = torch.device("cpu")


def runner(spec: Spec, epochs: int) -> tuple[nn.Module, Callable[[], State], Feed]:
    """The model and the real loop of specbuilder over that many epochs, without the reading of files before and the evaluations between."""
    plan = spec.plan
    assert plan is not None and plan.dataset is not None and plan.length is not None
    parts = split(plan.dataset.open(), plan.data.split or {}, 0)
    feed = Feed(
        parts["train"], ["image", "label"], Route(feature="image"), batch_size=plan.data.batch_size, seed_of=plan.seeds.of, device=CPU, shuffle=True
    )
    model = spec.build(seed=0)
    objective = load(emit_objective(plan, spec.graph, "0"), "objective").objective
    length = type(plan.length)(
        parts=plan.length.parts,
        steps=epochs * plan.length.steps_per_epoch,
        steps_per_epoch=plan.length.steps_per_epoch,
        last_batch=plan.length.last_batch,
        evaluate_every=10**9,
        schedule=plan.length.schedule,
    )
    optimizer = make_optimizer(plan.optimizer.source(), list(model.parameters()), "fused", lr_as_tensor=None)

    def run() -> State:
        state = State(model=model, optimizer=optimizer)
        step = make_step(model, objective, optimizer, state.loss_sum, context=None)
        course = Course(
            length=length,
            schedule=plan.schedule,
            rates=rates(optimizer),
            metrics={},
            feeds={"train": feed},
            shown=None,
            step=step,
            objective=objective,
            context=None,
            weighing=Weighing(),
        )
        nothing: Any = Nothing()
        train(state, course, nothing, Silent(), nothing, lambda: False)
        return state

    return model, run, feed


def compare(title: str, path: str, twin: nn.Module, keys: dict[str, str], epochs: int, changes: dict[str, Any]) -> None:
    spec = specbuilder.load(path, set={"train.schedule": "constant", **changes})
    model, run, feed = runner(spec, epochs)
    copy_weights(model, twin, keys)
    assert spec.plan is not None
    settings = dict(spec.plan.optimizer.source().kwargs)
    optimizer = getattr(torch.optim, spec.plan.optimizer.source().function.rsplit(".", 1)[-1])(twin.parameters(), fused=True, **settings)
    images, labels = feed.columns["image"].float() / 16, feed.columns["label"]
    steps = epochs * feed.batches

    def ours() -> float:
        began = perf_counter()
        run()
        return (perf_counter() - began) / steps

    def theirs() -> float:
        began = perf_counter()
        fit(twin, optimizer, images, labels, batch_size=feed.batch_size, steps=steps, order=lambda _: torch.randperm(feed.count))
        return (perf_counter() - began) / steps

    found = interleaved(ours, theirs, ROUNDS)
    low, high = found.interval(lambda a, b: (a - b) * 1e6)
    ratio_low, ratio_high = found.interval(lambda a, b: a / b)
    a, b = (sorted(times)[len(times) // 2] * 1e6 for times in (found.a, found.b))
    print(
        f"{title:<22} {a:8.1f} us  twin {b:8.1f} us  over {found.difference * 1e6:+7.1f} us [{low:+.1f}, {high:+.1f}]"
        f"  ratio {found.ratio:.3f} [{ratio_low:.3f}, {ratio_high:.3f}]"
    )


def main() -> None:
    specs = Path(__file__).parent.parent / "specs"
    for threads in (1, torch.get_num_threads()):
        torch.set_num_threads(threads)
        print(f"{threads} thread{'s' if threads > 1 else ''}, batch 64, {ROUNDS} rounds, the order of each epoch included")
        compare("digits MLP", str(specs / "mlp.yaml"), Mlp(), MLP_KEYS, 16, {})
        compare("digits CNN", str(specs / "digits.yaml"), Cnn(), CNN_KEYS, 1, {"data.augment": []})
