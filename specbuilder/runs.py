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

from specbuilder.api import Run, load_run, spec_of
from specbuilder.diagnostics import DataError, SpecbuilderError, UsageError
from specbuilder.predicting import Prediction, evaluate_run, predict
from specbuilder.records import Record

if TYPE_CHECKING:
    from specbuilder.training.run import Host, Job

ENDED = ("finished",)
"""States that leave nothing to do."""
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
    spec = spec_of(folder, set)
    stored = read_json(folder / "plan.json")
    own = {name: part for name, part in (("train", train), ("validation", validation), ("test", test)) if part is not None}
    synthetic = _check_data(stored, own)
    job = spec.job(own, synthetic=synthetic, host=host, stop=stop)
    is_longer = _check_plan(folder, stored, job, allow_plan_change=allow_plan_change)
    if status.get("state") in ENDED and not is_longer:
        if host is not None:
            host.said(f"the run in {folder} is finished; there is nothing left to do")
        return load_run(folder)
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


def _check_data(stored: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether the samples of the run were made up. Raises `UsageError` where they came from Python code and are not given again."""
    data = stored.get("data", {})
    if data.get("is_made_up"):
        return True
    if data.get("dataset") is None and not own:
        help = "go on with it in Python: `specbuilder.resume(folder, train=(inputs, target))`"
        raise UsageError.of("SB0955", "the samples of this run were given in Python, and a folder does not hold them", help=help)
    return False


def _check_plan(folder: Path, stored: Mapping[str, Any], job: Job, *, allow_plan_change: bool) -> bool:
    """Whether the run becomes longer or shorter. Raises `UsageError` where something else of its plan, or of its network, is not what it was."""
    from specbuilder.plan.difference import differences

    found = differences(stored, json.loads(json.dumps(job.plan.as_json())))
    fixed = [difference for difference in found if not difference.is_of_length]
    if not fixed and _body(_read(folder / "model.py")) != _body(job.texts.model.text):
        raise UsageError.of("SB0956", f"the network is another than that of the run in {folder}", help="begin a new run")
    if fixed or (found and not allow_plan_change):
        listed = "; ".join(map(str, found))
        help = "begin a new run" if fixed else "add `--allow-plan-change` to make the run longer or shorter"
        raise UsageError.of("SB0956", f"the plan is another than that of the run in {folder}: {listed}", help=help)
    return bool(found)


def _body(source: str) -> str:
    """An emitted file without its head, which names the spec and the version."""
    return source.split('"""', 2)[-1]


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


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a file of a run folder."""
    try:
        found = json.loads(_read(path))
    except ValueError as error:
        raise DataError.of("SB0902", f"{path} is damaged: {error}") from error
    if not isinstance(found, dict):
        raise DataError.of("SB0902", f"{path} is damaged: it is no mapping")
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError.of("SB0901", f"{path.parent} is no run folder: it has no {path.name}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError.of("SB0902", f"{path} is damaged: {error}") from error


__all__ = ["Listed", "Prediction", "evaluate_run", "list_runs", "predict", "resume"]
