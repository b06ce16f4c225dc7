"""The lines of a run: what it is, what was decided, one line an evaluation, what came of it. Pure text; `cli` prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from specbuilder.plan.plan import Plan
from specbuilder.report import figures


def header(plan: Plan, parameters: int, folder: Path, decisions: Mapping[str, Any]) -> list[str]:
    """Name and size, data, length, and each decision with its reason."""
    length, facts = plan.length, plan.facts
    assert length is not None and facts is not None
    parts = ", ".join(f"{number:,} {part}" for part, number in length.parts.items())
    bound = ", ".join(f"{name} <- {feature}" if name != feature else name for name, feature in plan.bindings.items())
    epochs = f"{plan.train.epochs:g}" if plan.train.epochs is not None else f"{length.steps / length.steps_per_epoch:.3g}"
    last = f", last batch {length.last_batch}" if length.last_batch != plan.data.batch_size else ""
    source = plan.dataset.kind if plan.dataset is not None else "own data"
    if facts.is_made_up:
        source = f"made-up samples in place of {source}"
    lines = [
        f"{plan.name}  {figures.plural(parameters, 'parameter')}  {folder}",
        f"data       {source}: {parts}; inputs {bound}; target {plan.target}",
        f"plan       {figures.plural(length.steps, 'step')}, {epochs} epoch{'' if epochs == '1' else 's'} of {length.steps_per_epoch:,}, {_batch(plan)}{last}",
        *_accompanied(plan),
    ]
    shown = ("device", "precision", "compile")
    lines += [f"{name:<10} {decisions[name]['value']} ({decisions[name]['reason']})" for name in shown]
    return lines


def _batch(plan: Plan) -> str:
    passes = plan.data.batch_size // plan.micro_batch_size
    return f"batch {plan.data.batch_size}" + (f" = {passes} x {plan.micro_batch_size}" if passes > 1 else "")


def _accompanied(plan: Plan) -> list[str]:
    """A line for each thing that goes along with the steps, where it is on."""
    lines = []
    if plan.average is not None:
        assert plan.length is not None and plan.length.average is not None
        steps = plan.length.average
        begin = f" from step {steps.begin:,} on" if steps.begin else ""
        every = "every step" if steps.every == 1 else f"every {steps.every:,} steps"
        lines.append(f"average    {plan.average.kind}, {every}{begin}; its weights are evaluated and are the result")
    if plan.monitor is not None and (plan.early_stopping is not None or plan.checkpoint.best):
        said = f"monitor    {plan.monitor.name} ({plan.monitor.mode})"
        if plan.early_stopping is not None:
            patience, unit = plan.early_stopping.patience, plan.early_stopping.unit
            said += f"; ends after {figures.plural(patience, unit.removesuffix('s'))} without a better one"
        lines.append(said + ("; the best weights are the result" if plan.checkpoint.best else ""))
    return lines


def evaluation(row: Mapping[str, Any], timing: Mapping[str, Any], steps: int) -> str:
    """One evaluation as one line."""
    figures_of = [f"{name} {_figure(name, value)}" for name, value in row.items() if name not in ("step", "epoch", "lr")]
    seconds = timing["seconds"]
    rate = timing["samples_per_second"]
    left = seconds / max(row["step"] - timing["from_step"], 1) * (steps - row["step"])
    tail = [f"{figures.large(rate)} samples/s", f"lr {row['lr']:.3g}"]
    if row["step"] < steps:
        tail.append(f"{figures.duration(left)} left")
    return "  ".join([f"epoch {row['epoch']:g}".ljust(9), f"step {row['step']:,}".ljust(11), *figures_of, *tail])


def _figure(name: str, value: Any) -> str:
    return f"{value:.2%}" if name.endswith("accuracy") else f"{value:.4f}"


def ending(
    folder: Path, state: str, metrics: Mapping[str, float], weights: str, seconds: float, class_name: str, notes: Sequence[str] = ()
) -> list[str]:
    """What came of it, where it is, and the lines that load it without specbuilder."""
    lines = [f"result     {', '.join(f'{name} {_figure(name, value)}' for name, value in metrics.items())} ({weights})"] if metrics else []
    lines += [f"{'note':<10} {note}" for note in notes]
    lines += [f"{state:<10} in {figures.duration(seconds)}; folder {folder}"]
    if state == "interrupted":
        lines += [f"           go on with `specbuilder resume {folder}`; the weights so far are in weights.safetensors"]
    lines += [
        "",
        f"To use it without specbuilder, in {folder}:",
        f"  from model import {class_name}; from safetensors.torch import load_file",
        f"  model = {class_name}()",
        '  model.load_state_dict(load_file("weights.safetensors"))',
    ]
    return lines


def evaluated(folder: Path, metrics: Mapping[str, float]) -> str:
    """What the weights of a run come to, as the run itself says it."""
    return f"{'result':<10} {', '.join(f'{name} {_figure(name, value)}' for name, value in metrics.items())}; folder {folder}"


def table(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line a run: folder, state, steps, what it came to, and how long ago it wrote last."""
    rows = [("run", "state", "step", "metrics", "age")]
    for run in runs:
        steps = f"{run['step']:,}" if run["steps"] is None else f"{run['step']:,} of {run['steps']:,}"
        metrics = "  ".join(f"{name} {_figure(name, value)}" for name, value in run["metrics"].items())
        rows.append((run["folder"], run["state"], steps, metrics, figures.duration(run["age_s"])))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
