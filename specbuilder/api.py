"""What Python users import: `load`, `Spec`, `Run`, `load_run`; and `spec_of`, the spec of a run.

    spec = specbuilder.load("specs/cnn.yaml", set={"train.epochs": 3})
    model = spec.build(seed=0)
    run = spec.train()

Torch is imported when a model is built, not before: a spec can be loaded, counted and printed without it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from specbuilder import __version__
from specbuilder.diagnostics import (
    CheckError,
    DataError,
    Diagnostic,
    Diagnostics,
    InternalError,
    SpecbuilderError,
    SpecError,
    UsageError,
    did_you_mean,
    strictly,
)
from specbuilder.graph.count import Report, size
from specbuilder.graph.graph import TypedGraph
from specbuilder.graph.promises import BROKEN, broken_bounds, metrics_promised
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.read import SIZE_AT_MOST
from specbuilder.language.tree import SpecTree
from specbuilder.pipeline import Checked, check, compose, plan_for
from specbuilder.plan.plan import Plan

if TYPE_CHECKING:
    import torch
    from torch import nn

    from specbuilder.emit.model import Emission
    from specbuilder.language.folders import Files
    from specbuilder.language.maps import Layout
    from specbuilder.report.provenance import Provenance
    from specbuilder.training.run import Host, Job, Result


def load(
    path: str | Path,
    *,
    variant: str | None = None,
    set: Mapping[str, Any] | None = None,
    roots: Sequence[str | Path] = (),
    kinds: Sequence[str | Path] = (),
    strict: bool = False,
) -> Spec:
    """Reads and checks a spec. `variant` is one of its `variants`; `set` changes values by path, as `--set` does: `{"train.epochs": 3}`; a text is
    read as `--set` reads it, `"{adam: {lr: 0.1}}"` too. What the spec includes lies in its folder or in one of `roots`. `kinds` are Python files with
    own kinds. With `strict`, as with `--strict`, a warning is an error.

    Raises `SpecError` with every mistake found, `CheckError` when only a promise in `expect` is broken, `UsageError` when the file cannot be read.
    """
    path = path_of(path)
    own = _load_kinds(kinds)
    return _checked(read_file(path), str(path), variant, set, files_at(path, roots), own, strict=strict)


def parse(
    text: str | bytes,
    name: str = "spec.yaml",
    *,
    variant: str | None = None,
    set: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    roots: Sequence[str | Path] = (),
    kinds: Sequence[str | Path] = (),
    strict: bool = False,
) -> Spec:
    """Checks a spec that is already in memory; `name` is what messages call it, and its suffix says YAML or JSON. With a `folder` it may include files."""
    own = _load_kinds(kinds)
    files = files_at(Path(folder) / Path(name).name, roots) if folder is not None else None
    return _checked(text, name, variant, set, files, own, strict=strict)


def spec_of(folder: str | Path, set: Mapping[str, Any] | None = None) -> Spec:
    """The spec of a run from its folder alone, checked as it was for the run: with its variant, with what was set, with the files that it includes and
    the own kinds that it names, all of which the folder keeps. `set` changes more. Python files of own kinds are executed, as `load_run` executes `model.py`.

    Raises `UsageError` where it is no run folder, `DataError` where something in it is damaged or changed, and what `load` raises.
    """
    from specbuilder.language.folders import SOURCES, Refused, asked

    folder = Path(folder)
    sources = _parsed(read_text(folder / SOURCES), folder / SOURCES)
    try:
        run = asked(folder, sources)
    except Refused as refused:
        raise DataError.of(refused.code, f"{folder}: {refused.message}", help=refused.help) from None
    except ValueError as error:
        raise _damaged(folder / SOURCES, str(error)) from None
    own: tuple[ModuleType, ...] = ()
    if run.kinds:
        from specbuilder.catalogue.own import load_file

        own = tuple(load_file(folder / file, is_copy=True) for file in run.kinds)
    changes = {**run.changes, **as_text(set or {})}
    return _checked(run.text, str(folder / run.file), run.variant, changes, run.files, own, called=run.name)


def _checked(
    text: str | bytes,
    name: str,
    variant: str | None,
    set: Mapping[str, Any] | None,
    files: Files | None,
    own: tuple[ModuleType, ...] = (),
    *,
    called: str = "",
    strict: bool = False,
) -> Spec:
    diagnostics = Diagnostics()
    changes = as_text({} if set is None else set)
    checked = check(text, name, changes, diagnostics, variant=variant, files=files)
    found = strictly(diagnostics) if strict else tuple(diagnostics)
    raise_found(found)
    assert checked.tree is not None and checked.graph is not None and checked.report is not None
    text = text if isinstance(text, str) else text.decode()
    return Spec(name, text, checked, found, variant=variant, changes=changes, own_kinds=own, called=called)


def as_text(changes: Mapping[str, Any]) -> dict[str, str]:
    """Values as the text that `--set` would have them in; a text is one already. Raises `UsageError` for what is no value of a spec."""
    if not isinstance(changes, Mapping):
        help = 'such as `set={"train.epochs": 3}`'
        raise UsageError.of("SB0903", f"`set` wants a mapping of paths to values, not {changes!r}", help=help)
    texts: dict[str, str] = {}
    for place, value in changes.items():
        if not isinstance(place, str):
            raise UsageError.of("SB0903", f"a path of `set` is a text, not {place!r}", help="such as `train.epochs`")
        try:
            texts[place] = value if isinstance(value, str) else json.dumps(value, default=_as_plain)
        except (TypeError, ValueError, RecursionError):
            message = f"the value of `{place}` in `set` is nothing that a spec can hold: {type(value).__name__}"
            raise UsageError.of("SB0903", message, help="it takes numbers, texts, booleans, null, lists and mappings") from None
    return texts


def _as_plain(value: Any) -> Any:
    """A number of numpy or an array as Python has it, a path as text."""
    if isinstance(value, Path):
        return str(value)
    if callable(plain := getattr(value, "tolist", None)):
        return plain()
    raise TypeError


def path_of(path: object) -> Path:
    """The path of a spec. Raises `UsageError` when it is none."""
    if not isinstance(path, str | PathLike):
        raise UsageError.of("SB0901", f"the path of a spec is a text or a Path, not {path!r}")
    if not str(path):
        raise UsageError.of("SB0901", "the path of the spec is empty", help="name a spec, a .yaml or .json file")
    return Path(path)


def files_at(path: Path, roots: Sequence[str | Path]) -> Files:
    """What a spec at `path` may include. Raises `UsageError` when a root is no folder."""
    from specbuilder.language.folders import files_of

    for root in roots:
        if not Path(root).is_dir():
            raise UsageError.of("SB0908", f"there is no folder {root} to include files from")
    return files_of(path, tuple(map(Path, roots)))


def _load_kinds(files: Sequence[str | Path]) -> tuple[ModuleType, ...]:
    """The modules of a user's files, whose kinds a spec may name from here on."""
    if not files:
        return ()
    from specbuilder.catalogue.own import load_kinds

    return load_kinds(files)


def variants_of(
    path: str | Path, *, set: Mapping[str, Any] | None = None, roots: Sequence[str | Path] = (), kinds: Sequence[str | Path] = ()
) -> dict[str, bool]:
    """The variants of a spec by name, and whether each is the base, `{}`. Raises what `load` raises where they cannot be told."""
    _load_kinds(kinds)
    path, diagnostics = path_of(path), Diagnostics()
    composed = compose(read_file(path), str(path), as_text({} if set is None else set), diagnostics, files=files_at(path, roots))
    if composed is None or not composed.varied.variants:
        return {}
    written = composed.written.root.get("variants")
    return {name: isinstance(written, MappingNode) and not _entries(written.get(name)) for name in composed.varied.variants}


def explain_value(
    path: str | Path,
    place: str,
    *,
    variant: str | None = None,
    set: Mapping[str, Any] | None = None,
    roots: Sequence[str | Path] = (),
    kinds: Sequence[str | Path] = (),
) -> Provenance:
    """Where the value at `place`, such as `train.optimizer.lr`, comes from. Other mistakes of the spec are no hindrance; `load` tells them."""
    from specbuilder.report.provenance import trace

    _load_kinds(kinds)
    path, diagnostics = path_of(path), Diagnostics()
    composed = compose(read_file(path), str(path), as_text({} if set is None else set), diagnostics, variant=variant, files=files_at(path, roots))
    diagnostics.raise_errors()
    assert composed is not None
    found = trace(composed.written, composed.varied, composed.final, place, variant, diagnostics)
    diagnostics.raise_errors()
    assert found is not None
    return found


def _entries(node: object) -> tuple[object, ...]:
    return node.entries if isinstance(node, MappingNode) else ()


def read_file(path: Path) -> bytes:
    """The bytes of a spec. Raises `UsageError` when there is no such file."""
    try:
        # A pipe is read as a file is (`<(...)`, /dev/stdin); what never ends, as /dev/zero, is not opened.
        if path.exists() and not path.is_file() and not path.is_fifo():
            raise UsageError.of("SB0901", f"{path} is no file", help="name a spec, a .yaml or .json file")
        with path.open("rb") as file:
            return file.read(SIZE_AT_MOST + 1)
    except FileNotFoundError:
        near = [entry.name for entry in path.parent.glob("*") if entry.suffix in (".yaml", ".yml", ".json")] if path.parent.is_dir() else []
        raise UsageError.of("SB0901", f"there is no file {path}", help=did_you_mean(path.name, near)) from None
    except OSError as error:
        raise UsageError.of("SB0901", f"{path} cannot be read: {error.strerror}") from None


def carried(name: str) -> Path:
    """A spec that the package carries: `digits`, `cnn`, `mlp`. In a wheel they lie inside the package, in a checkout beside it."""
    package = Path(__file__).parent
    folder = package / "specs" if (package / "specs").is_dir() else package.parent / "specs"
    known = sorted(entry.stem for entry in folder.glob("*.yaml"))
    if name not in known:
        raise UsageError.of("SB0907", f"the package carries no spec `{name}`", help=f"it carries {', '.join(known)}")
    return folder / f"{name}.yaml"


def raise_found(diagnostics: Iterable[Diagnostic]) -> None:
    """Raises what was found: broken promises alone are a failed check, anything else an invalid spec."""
    found = tuple(diagnostics)
    errors = [each for each in found if each.severity == "error"]
    if errors and all(each.code == BROKEN for each in errors):
        raise CheckError(found)
    if errors:
        raise SpecError(found)


class Spec:
    """A checked spec: its network, its counts, its plan."""

    def __init__(
        self,
        origin: str,
        text: str,
        checked: Checked,
        warnings: tuple[Diagnostic, ...],
        *,
        variant: str | None = None,
        changes: Mapping[str, str] | None = None,
        own_kinds: Sequence[ModuleType] = (),
        called: str = "",
    ) -> None:
        assert checked.tree is not None and checked.graph is not None and checked.report is not None
        self.origin: str = origin
        """Where it was read from."""
        self.called = called or Path(origin).name
        """The name of its file; of a copy, that of what it was made of."""
        self.text = text
        self.variant = variant
        self.changes: Mapping[str, str] = changes or {}
        """What was set by path, as text."""
        self._own_kinds = tuple(own_kinds)
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

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of all variants that the spec has."""
        return self.tree.document.variants

    @cached_property
    def emission(self) -> Emission:
        from specbuilder.emit.model import emit_model

        variant = f", variant {self.variant}" if self.variant is not None else ""
        return emit_model(self.graph, f"{self.called}{variant}", __version__, {self.tree.document.source.name: self.called})

    @property
    def source(self) -> str:
        """The model as a Python file."""
        return self.emission.text

    def build(self, seed: int = 0, device: str | torch.device | None = "cpu") -> nn.Module:
        """The model with fresh weights, in training mode: those that a run with `train.seed: seed` begins with. The global generator is left alone.

        Raises `ResourceError` where the device or the memory is not there.
        """
        from specbuilder.emit.load import build
        from specbuilder.training.decide import Wishes, decide, device_named, look
        from specbuilder.training.memory import memory
        from specbuilder.training.random import key

        chosen = decide(Wishes(device=device_named(device, "cpu")), look()).device.value
        with memory(f"the weights of the network need {size(self.report.bytes)}"):
            return build(self.emission, key(seed, "init", 0), chosen)

    def convert(self, state: Mapping[str, torch.Tensor], map: str | None = None) -> dict[str, torch.Tensor]:
        """The tensors of another model's state dict under the names of this one, as the map of this name in `maps` says; without one, names are kept.

            model.load_state_dict(spec.convert(torchvision.models.resnet18().state_dict(), map="torchvision"))

        Raises `DataError` with every tensor that is missing, left over, filled twice or of another shape.
        """
        from specbuilder.graph.mapping import double, fillings
        from specbuilder.graph.variables import Variables

        layout = self._layout(map) if map is not None else None
        if unfit := [name for name, value in state.items() if not hasattr(value, "shape")]:
            raise UsageError.of("SB0927", f"a state dict holds tensors, but `{unfit[0]}` is a {type(state[unfit[0]]).__name__}")
        diagnostics = Diagnostics()
        variables = Variables(self.tree.variables, diagnostics)
        shapes = {name: tuple(value.shape) for name, value in state.items()}
        found = fillings(layout, shapes, self.graph, variables, variables.names, diagnostics)
        for a, b in double(found, self.graph):
            if not state[a].equal(state[b]):
                message = f"`{a}` and `{b}` of the checkpoint differ, but in this network they are one tensor"
                diagnostics.error("SB0924", message, help="leave one of them out with `drop`")
        if diagnostics.has_errors:
            raise DataError(tuple(diagnostics))
        return {key: state[filling.source].t() if filling.is_transposed else state[filling.source] for key, filling in found.items()}

    def _layout(self, name: str) -> Layout:
        known = self.tree.maps
        if name not in known:
            help = did_you_mean(name, known) or (f"it has {', '.join(f'`{other}`' for other in known)}" if known else "add `maps` to the spec")
            raise UsageError.of("SB0927", f"the spec has no map `{name}`", self.tree.model.span, help=help)
        return known[name]

    def train(
        self,
        *,
        train: Any = None,
        validation: Any = None,
        test: Any = None,
        device: str | torch.device | None = "auto",
        root: str | Path = "runs",
        synthetic: bool = False,
        host: Host | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Run:
        """Runs the training plan and leaves a folder `root/<name>/<number>`.

        With `train` (and `validation`, `test`) the data is the caller's: a pair (inputs, target) of tensors or arrays, a mapping of them by feature,
        a map-style Dataset, or a DataLoader. A Dataset is read whole at the start, or with `data.feed: workers` sample by sample while the run goes on;
        where it has a method `describe(number)`, messages name its samples by what that says, such as a file.

        Raises `CheckError` when a promise about a metric is broken; the run folder is complete then. Such a promise is of the run as the spec has it: with
        other data, or with anything set but `expect` itself, it is not checked, and `Run.notes` says so.
        """
        from specbuilder.training.decide import device_named
        from specbuilder.training.run import execute

        device = device_named(device, "auto")
        if not str(root):
            raise UsageError.of("SB0909", "the folder for runs has no name", help="leave out `--runs`, or name a folder such as `runs`")
        own = {name: part for name, part in (("train", train), ("validation", validation), ("test", test)) if part is not None}
        job = self.job(own, synthetic=synthetic, host=host, stop=stop)
        return self.ended(execute(job, root=Path(root), device=device), has_own_data=bool(own), synthetic=synthetic)

    def job(self, own: Mapping[str, Any], *, synthetic: bool, host: Host | None, stop: Callable[[], bool] | None) -> Job:
        """What is to be run: the plan over the data as it is, the network, the texts that the run folder keeps."""
        from specbuilder.emit.objective import emit_objective
        from specbuilder.training.data import gather
        from specbuilder.training.run import Job, Silent, Texts

        if self.tree.train is None or self.tree.data is None:
            key = self.tree.model.span
            raise SpecError.of("SB0202", "this spec has no `train` and `data`, so there is nothing to run", key, help="add both, or use `build()`")
        if own and "train" not in own:
            raise UsageError.of("SB0802", "own data needs `train=`")
        parts, facts = gather(self, own, synthetic=synthetic)
        diagnostics = Diagnostics()
        plan = plan_for(self.tree, self.graph, facts, diagnostics, own_data=bool(own))
        raise_found(diagnostics)
        if plan is None:
            raise InternalError("plan", "no plan and no error")
        suffix = ".json" if self.origin.endswith(".json") else ".yaml"
        texts = Texts(
            spec=self.text,
            spec_suffix=suffix,
            beside=self.texts_beside(f"spec{suffix}"),
            model=self.emission,
            objective=emit_objective(plan, self.graph, __version__),
        )
        return Job(plan=plan, graph=self.graph, parts=parts, texts=texts, host=host or Silent(), stop=stop or (lambda: False))

    def ended(self, result: Result, *, has_own_data: bool, synthetic: bool) -> Run:
        """The run that a result is of, its figures held against what the spec promises. Raises `CheckError` where a promise is broken."""
        unlike = self._unlike_written(has_own_data, synthetic) if result.state == "finished" else None
        made_up = ("the samples are made up: there is nothing to learn in them, and the figures mean nothing",) if synthetic else ()
        notes = made_up + tuple(f"{name} is promised of the run as written, and {unlike}" for name in metrics_promised(self.tree)) if unlike else ()
        run = Run(result.folder, result.state, dict(result.metrics), result.seconds, result.model, notes, result.kind_of_weights)
        if result.state == "finished" and unlike is None:
            self._check_promises(run)
        return run

    def _unlike_written(self, is_own: bool, synthetic: bool) -> str | None:
        """What sets a run apart from that which the spec describes, and its promises about metrics are of. A variant is part of the text."""
        if is_own or synthetic:
            return "this one had other data"
        changed = [f"`{path}`" for path in self.changes if path.partition(".")[0] not in ("expect", "name", "description")]
        if self.changes.get("train.steps") == "null" and "train.epochs" in self.changes:
            changed.remove("`train.steps`")  # which `--epochs` sets beside it
        if not changed:
            return None
        return f"{changed[0]} was set" if len(changed) == 1 else f"{', '.join(changed[:-1])} and {changed[-1]} were set"

    def texts_beside(self, spec: str) -> dict[str, str]:
        """The files beside the spec that make a run folder self-contained, by their path in it: what it includes, the own kinds that it may name, and how
        it was asked for.
        """
        from specbuilder.language.folders import SOURCES

        document = self.tree.document
        kept = {f"included/{number}-{Path(each.place).name}": each for number, each in enumerate(document.included, start=1)}
        kinds = self._texts_of_kinds()
        sources = {
            "spec": {"file": spec, "name": self.called, "sha256": document.digest},
            "variant": self.variant,
            "set": dict(self.changes),
            "included": {each.place: {"file": file, "sha256": each.digest} for file, each in kept.items()},
            "kinds": [{"files": {file: _digest(text) for file, text in files.items()}} for files in kinds],
        }
        texts = {SOURCES: json.dumps(sources, indent=2, ensure_ascii=False) + "\n"}
        return texts | {file: each.text for file, each in kept.items()} | {file: text for files in kinds for file, text in files.items()}

    def _texts_of_kinds(self) -> list[dict[str, str]]:
        """The files of own kinds by their path in a run folder, each after the one that it is needed for: those that were given with the spec, and those of
        which it names a kind although they were given before.
        """
        if "specbuilder.catalogue.own" not in sys.modules:
            return []
        from specbuilder.catalogue.own import named_in, texts_behind

        document = self.tree.document
        named = named_in((document.source.text, *(each.text for each in document.included), *self.changes.values()))
        modules = dict.fromkeys((*self._own_kinds, *named))
        return [{f"kinds/{number}/{file}": text for file, text in texts_behind(each).items()} for number, each in enumerate(modules, start=1)]

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
    notes: tuple[str, ...] = ()
    """What the user should know of its figures: promises that were not held against it, and why."""
    weights: str = "weights of the last step"
    """Whose weights the result is."""

    def history(self) -> list[dict[str, Any]]:
        """One row an evaluation, as in `metrics.jsonl`."""
        path = self.folder / "metrics.jsonl"
        return [_parsed(line, path) for line in read_text(path).splitlines()]


def load_run(folder: str | Path) -> Run:
    """A run from its folder alone: the emitted model with the weights of the end, in evaluation mode.

    Raises `UsageError` where it is no run folder, `DataError` where something in it is damaged.
    """
    from specbuilder.emit.load import load as load_source

    folder = Path(folder)
    status = _parsed(read_text(folder / "status.json"), folder / "status.json")
    source = read_text(folder / "model.py")
    state, metrics, seconds = status.get("state"), status.get("metrics", {}), status.get("seconds", 0.0)
    if not isinstance(state, str) or not isinstance(metrics, dict) or not isinstance(seconds, (int, float)):
        raise _damaged(folder / "status.json", "it is no status of a run")
    weights = folder / "weights.safetensors"
    if not weights.exists():
        raise DataError.of("SB0902", f"the run in {folder} left no weights; its state is `{state}`")
    from safetensors.torch import load_file

    try:
        model = model_class(load_source(source, "model", str(folder / "model.py")))()
    except Exception as error:  # what is damaged fails in any way that Python code can
        raise _damaged(folder / "model.py", error) from error
    try:
        model.load_state_dict(load_file(weights), strict=True)
    except Exception as error:  # header, bytes, names and shapes each fail in their own way
        raise _damaged(weights, error) from error
    return Run(folder, state, metrics, seconds, model.eval())


def _digest(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode()).hexdigest()


def read_text(path: Path) -> str:
    """A file of a run folder."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError.of("SB0901", f"{path.parent} is no run folder: it has no {path.name}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a file of a run folder."""
    return _parsed(read_text(path), path)


def _parsed(text: str, path: Path) -> dict[str, Any]:
    """The mapping that a line or a file of JSON is."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _damaged(path, error) from error
    if not isinstance(found, dict):
        raise _damaged(path, "it is no mapping")
    return found


def _damaged(path: Path, reason: Exception | str) -> SpecbuilderError:
    said = reason if isinstance(reason, str) else f"{type(reason).__name__}: {' '.join(str(reason).split())}"
    return DataError.of("SB0902", f"{path} is damaged: {said}")


def model_class(module: Any) -> type[torch.nn.Module]:
    """The model of an emitted file: the last class that it defines, after those of its blocks and of what is pasted."""
    classes = [found for found in vars(module).values() if isinstance(found, type) and found.__module__ == module.__name__]
    if not classes:
        raise ValueError("it defines no class")
    return classes[-1]
