"""What is done with run folders: go on with a run, list what runs there are, and (`predicting`) evaluate and use what a run has come to.

A run folder holds all that a run needs but its samples. Nothing here trusts it: texts are held against the digests that were kept with them, states
against those of their checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from specbuilder.api import Run, load_run, read_json, read_text, spec_of
from specbuilder.diagnostics import SpecbuilderError, UsageError
from specbuilder.emit.model import body_of
from specbuilder.predicting import Prediction, evaluate_run, given_in_python, predict
from specbuilder.records import Record

if TYPE_CHECKING:
    from specbuilder.training.run import Host, Job

NOT_A_NUMBER = "SB1101"
"""The code of a run that failed since its loss was no number: made again, its steps come to the same."""


def resume(
    folder: str | Path,
    *,
    train: Any = None,
    validation: Any = None,
    test: Any = None,
    device: str | None = None,
    set: Mapping[str, Any] | None = None,
    allow_plan_change: bool = False,
    fallback: bool = True,
    verify: bool = False,
    host: Host | None = None,
    stop: Callable[[], bool] | None = None,
) -> Run:
    """Goes on with a run from its last good checkpoint, to the same bits as if it had never stopped. A run that is finished is given back as it is.

    Own data (`train`, `validation`, `test`) must be given again. `set` changes values of the spec; where the plan differs from that of the run, only its
    length may, and only with `allow_plan_change`. Without `fallback`, a damaged checkpoint is an error instead of a step back to the one before; with
    `verify`, the steps before the checkpoint are made again and compared.

    Raises `UsageError` for what is no run folder, is running, or has another plan; `DataError` where data or checkpoints are not what they were.
    """
    from specbuilder.training.decide import device_named
    from specbuilder.training.run import Again
    from specbuilder.training.run import resume as go_on

    folder = Path(folder)
    status = read_json(folder / "status.json")
    is_finished = status.get("state") == "finished"
    if is_finished and not set:
        return _finished(folder, host)
    spec = spec_of(folder, set)
    stored = read_json(folder / "plan.json")
    own = {name: part for name, part in (("train", train), ("validation", validation), ("test", test)) if part is not None}
    synthetic = bool(stored["data"]["is_made_up"])
    if not own and not synthetic and stored["data"]["dataset"] is None:
        raise given_in_python("go on with it in Python: `specbuilder.resume(folder, train=(inputs, target))`")
    job = spec.job(own, synthetic=synthetic, host=host, stop=stop)
    if not _is_other_length(folder, stored, job, allow_plan_change=allow_plan_change) and is_finished:
        return _finished(folder, host)
    if status.get("code") == NOT_A_NUMBER:
        message = f"the run in {folder} failed: {status.get('error')}"
        help = "its steps, made again, come to the same; begin a new run with a smaller `lr`"
        raise UsageError.of("SB0955", message, help=help)
    again = Again(
        recorded=read_json(folder / "decisions.json"),
        device=device_named(device, "auto") if device is not None else None,
        fallback=fallback,
        verify=verify,
    )
    return spec.ended(go_on(job, folder, again), has_own_data=bool(own), synthetic=synthetic)


def _finished(folder: Path, host: Host | None) -> Run:
    if host is not None:
        host.said(f"the run in {folder} is finished; there is nothing left to do")
    return load_run(folder)


def _is_other_length(folder: Path, stored: Mapping[str, Any], job: Job, *, allow_plan_change: bool) -> bool:
    """Whether the run becomes longer or shorter. Raises `UsageError` where something else of its plan, or of its network, is not what it was."""
    from specbuilder.plan.difference import differences

    found = differences(stored, json.loads(json.dumps(job.plan.as_json())))
    fixed = [difference for difference in found if not difference.is_of_length]
    if not fixed and body_of(read_text(folder / "model.py")) != body_of(job.texts.model.text):
        raise UsageError.of("SB0956", f"the network is another than that of the run in {folder}", help="begin a new run")
    if fixed or (found and not allow_plan_change):
        listed = "; ".join(map(str, found))
        help = "begin a new run" if fixed else "add `--allow-plan-change` to make the run longer or shorter"
        raise UsageError.of("SB0956", f"the plan is another than that of the run in {folder}: {listed}", help=help)
    return bool(found)


class Listed(Record):
    """One run folder at a glance."""

    folder: Path
    state: str
    step: int
    steps: int | None
    metrics: Mapping[str, float]
    age_s: float

    def as_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "state": self.state,
            "step": self.step,
            "steps": self.steps,
            "metrics": dict(self.metrics),
            "age_s": round(self.age_s, 1),
        }


def list_runs(root: str | Path) -> list[Listed]:
    """The runs in `root/<name>/<number>`, by name and number. A folder that says `running` but is not locked was killed: `stopped`."""
    root = Path(root)
    if not root.is_dir():
        raise UsageError.of("SB0901", f"there is no folder {root}", help="name the folder that `--runs` named; the default is `runs`")
    folders = [path.parent for path in root.glob("*/*/status.json") if path.parent.name.isdecimal()]
    return [_listed(folder) for folder in sorted(folders, key=lambda folder: (folder.parent.name, int(folder.name)))]


def _listed(folder: Path) -> Listed:
    from specbuilder.training.lock import is_locked

    path = folder / "status.json"
    try:
        status = read_json(path)
    except SpecbuilderError:
        status = {"state": "damaged"}
    state = str(status.get("state"))
    if state == "running" and not is_locked(folder):
        state = "stopped"
    row = _last_row(folder)
    told = status.get("metrics")
    figures = told if isinstance(told, dict) and told else {name: value for name, value in row.items() if "." in name and isinstance(value, float)}
    step = status.get("step") if state in ("finished", "interrupted") else row.get("step", 0)
    return Listed(
        folder=folder,
        state=state,
        step=step if isinstance(step, int) else 0,
        steps=_steps(folder),
        metrics=figures,
        age_s=max(0.0, time() - max(each.stat().st_mtime for each in (path, folder / "metrics.jsonl") if each.exists())),
    )


def _last_row(folder: Path) -> dict[str, Any]:
    try:
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return json.loads(lines[-1]) if lines else {}
    except (OSError, ValueError):
        return {}


def _steps(folder: Path) -> int | None:
    try:
        return read_json(folder / "plan.json")["length"]["steps"]
    except (SpecbuilderError, KeyError, TypeError):
        return None


__all__ = ["Listed", "Prediction", "evaluate_run", "list_runs", "predict", "resume"]
