"""What Python users import: `load`, `Spec`, `Run`, `load_run`.

    spec = specbuilder.load("specs/cnn.yaml", set={"train.epochs": 3})
    model = spec.build(seed=0)
    run = spec.train()

Torch is imported when a model is built, not before: a spec can be loaded, counted and printed without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specbuilder import __version__
from specbuilder.diagnostics import CheckError, DataError, Diagnostic, Diagnostics, InternalError, SpecError, UsageError
from specbuilder.emit.model import Emission, emit_model
from specbuilder.graph.count import Report
from specbuilder.graph.graph import TypedGraph
from specbuilder.graph.promises import BROKEN, broken_bounds
from specbuilder.language.tree import SpecTree
from specbuilder.pipeline import Checked, check, plan_for
from specbuilder.plan.plan import Plan

if TYPE_CHECKING:
    import torch
    from torch import nn

    from specbuilder.training.run import Host


def load(path: str | Path, *, set: Mapping[str, Any] | None = None, kinds: Sequence[str | Path] = ()) -> Spec:
    """Reads and checks a spec. `set` changes values by path, as `--set` does: `{"train.epochs": 3}`. `kinds` are Python files with own kinds.

    Raises `SpecError` with every mistake found, `CheckError` when only a promise in `expect` is broken, `UsageError` when the file cannot be read.
    """
    path = Path(path)
    if kinds:
        from specbuilder.catalogue.own import load_kinds

        load_kinds(kinds)
    return parse(read_file(path), str(path), set=set)


def parse(text: str | bytes, name: str = "spec.yaml", *, set: Mapping[str, Any] | None = None) -> Spec:
    """Checks a spec that is already in memory; `name` is what messages call it, and its suffix says YAML or JSON."""
    diagnostics = Diagnostics()
    changes = {place: value if isinstance(value, str) else json.dumps(value) for place, value in (set or {}).items()}
    checked = check(text, name, changes, diagnostics)
    raise_found(diagnostics)
    assert checked.tree is not None and checked.graph is not None and checked.report is not None
    return Spec(name, text if isinstance(text, str) else text.decode(), checked, tuple(diagnostics))


def read_file(path: Path) -> bytes:
    """The bytes of a spec. Raises `UsageError` when there is no such file."""
    try:
        if path.exists() and not path.is_file():
            raise UsageError.of("SB0901", f"{path} is no file", help="name a spec, a .yaml or .json file")
        return path.read_bytes()
    except FileNotFoundError:
        near = [entry.name for entry in path.parent.glob("*") if entry.suffix in (".yaml", ".yml", ".json")] if path.parent.is_dir() else []
        from specbuilder.diagnostics import did_you_mean

        raise UsageError.of("SB0901", f"there is no file {path}", help=did_you_mean(path.name, near)) from None
    except OSError as error:
        raise UsageError.of("SB0901", f"{path} cannot be read: {error.strerror}") from None


def carried(name: str) -> Path:
    """A spec that the package carries: `digits`, `cnn`, `mlp`. In a wheel they lie inside the package, in a checkout beside it."""
    package = Path(__file__).parent
    folder = package / "specs" if (package / "specs").is_dir() else package.parent / "specs"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = sorted(entry.stem for entry in folder.glob("*.yaml"))
        raise UsageError.of("SB0907", f"the package carries no spec `{name}`", help=f"it carries {', '.join(known)}")
    return path


def raise_found(diagnostics: Diagnostics) -> None:
    """Raises what was found: broken promises alone are a failed check, anything else an invalid spec."""
    errors = [found for found in diagnostics if found.severity == "error"]
    if errors and all(found.code == BROKEN for found in errors):
        raise CheckError(tuple(diagnostics))
    if errors:
        raise SpecError(tuple(diagnostics))


class Spec:
    """A checked spec: its network, its counts, its plan."""

    def __init__(self, origin: str, text: str, checked: Checked, warnings: tuple[Diagnostic, ...]) -> None:
        assert checked.tree is not None and checked.graph is not None and checked.report is not None
        self.origin: str = origin
        """Where it was read from."""
        self.text = text
        self.warnings = warnings
        self.tree: SpecTree = checked.tree
        self.graph: TypedGraph = checked.graph
        self.report: Report = checked.report
        self.plan: Plan | None = checked.plan
        """The training plan; None without `train`, or while only the data can tell what it needs."""

    def __repr__(self) -> str:
        return f"Spec({self.name!r}, {self.report.parameters:,} parameters)"

    @property
    def name(self) -> str:
        return self.tree.name

    @cached_property
    def emission(self) -> Emission:
        return emit_model(self.graph, Path(self.origin).name, __version__)

    @property
    def source(self) -> str:
        """The model as a Python file."""
        return self.emission.text

    def build(self, seed: int = 0, device: str = "cpu") -> nn.Module:
        """The model with fresh weights, in training mode: those that a run with `train.seed: seed` begins with. The global generator is left alone."""
        from specbuilder.emit.load import build
        from specbuilder.training.random import key

        return build(self.emission, key(seed, "init", 0), device)

    def train(
        self,
        *,
        train: Any = None,
        validation: Any = None,
        test: Any = None,
        device: str = "auto",
        root: str | Path = "runs",
        synthetic: bool = False,
        host: Host | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Run:
        """Runs the training plan and leaves a folder `root/<name>/<number>`.

        With `train` (and `validation`, `test`) the data is the caller's: a pair (inputs, target) of tensors or arrays, a mapping of them by feature,
        a map-style Dataset, or a DataLoader. Raises `CheckError` when a promise about a metric is broken; the run folder is complete then.
        """
        from specbuilder.training.data import gather
        from specbuilder.training.run import Texts, execute

        if self.tree.train is None or self.tree.data is None:
            key = self.tree.model.span
            raise SpecError.of("SB0202", "this spec has no `train` and `data`, so there is nothing to run", key, help="add both, or use `build()`")
        own = {name: part for name, part in (("train", train), ("validation", validation), ("test", test)) if part is not None}
        if own and "train" not in own:
            raise UsageError.of("SB0802", "own data needs `train=`")
        parts, facts = gather(self, own, synthetic=synthetic)
        diagnostics = Diagnostics()
        plan = plan_for(self.tree, self.graph, facts, diagnostics, own_data=bool(own))
        raise_found(diagnostics)
        if plan is None:
            raise InternalError("plan", "no plan and no error")
        from specbuilder.emit.objective import emit_objective

        texts = Texts(
            spec=self.text,
            spec_suffix=".json" if self.origin.endswith(".json") else ".yaml",
            model=self.emission,
            objective=emit_objective(plan, self.graph, __version__),
        )
        result = execute(plan, self.graph, parts, texts, root=Path(root), device=device, host=host, stop=stop or (lambda: False))
        run = Run(result.folder, result.state, dict(result.metrics), result.seconds, result.model)
        if result.state == "finished" and not synthetic:
            self._check_promises(run)
        return run

    def _check_promises(self, run: Run) -> None:
        diagnostics = Diagnostics()
        broken_bounds(self.tree, run.metrics, diagnostics)
        if diagnostics.has_errors:
            error = CheckError(tuple(diagnostics))
            error.run = run  # type: ignore[attr-defined]
            raise error


@dataclass(frozen=True, slots=True)
class Run:
    """A run that ended: its folder, its figures, its model."""

    folder: Path
    state: str
    """`finished` or `interrupted`."""
    metrics: Mapping[str, float]
    seconds: float
    model: nn.Module

    def history(self) -> list[dict[str, Any]]:
        """One row an evaluation, as in `metrics.jsonl`."""
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def load_run(folder: str | Path) -> Run:
    """A run from its folder alone: the emitted model with the weights of the end, in evaluation mode."""
    from specbuilder.emit.load import load as load_source

    folder = Path(folder)
    try:
        status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
        source = (folder / "model.py").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError.of("SB0901", f"{folder} is no run folder: it has no {Path(str(error.filename)).name}") from None
    if not (folder / "weights.safetensors").exists():
        raise DataError.of("SB0902", f"the run in {folder} left no weights; its state is `{status['state']}`")
    from safetensors.torch import load_file

    module = load_source(source, "model", str(folder / "model.py"))
    model = model_class(module)()
    model.load_state_dict(load_file(folder / "weights.safetensors"), strict=True)
    return Run(folder, status["state"], status.get("metrics", {}), status.get("seconds", 0.0), model.eval())


def model_class(module: Any) -> type[torch.nn.Module]:
    """The class of the model in an emitted file: the last one, since what it is made of stands before it."""
    return [found for found in vars(module).values() if isinstance(found, type) and found.__module__ == module.__name__][-1]
