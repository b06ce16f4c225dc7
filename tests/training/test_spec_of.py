"""`spec_of`: the spec of a run from its folder alone, checked as it was for the run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import specbuilder
from specbuilder.api import Spec, load, spec_of
from specbuilder.catalogue.own_class import forget
from specbuilder.cli import main
from specbuilder.diagnostics import DataError, Diagnostics, SpecbuilderError, SpecError, UsageError
from specbuilder.pipeline import plan_for
from specbuilder.training.data import gather

ROOT = Path(__file__).parent.parent.parent
HERE = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(autouse=True)
def no_kinds_are_left() -> Iterator[None]:
    """The kinds of a test end with it."""
    yield
    for module in [name for name in sys.modules if name.startswith("own_kinds_")]:
        forget(module)
        del sys.modules[module]


def as_in_the_folder(spec: Spec, folder: Path) -> None:
    """The spec comes to the plan and the code that the run had."""
    diagnostics = Diagnostics()
    plan = plan_for(spec.tree, spec.graph, gather(spec, {}, synthetic=False)[1], diagnostics, own_data=False)
    assert plan is not None
    assert json.loads(json.dumps(plan.as_json())) == json.loads((folder / "plan.json").read_text())
    assert spec.source == (folder / "model.py").read_text()


FAMILY = """\
specbuilder: 1
name: family
include: [../parts/sizes.yaml, blocks.yaml]
vars: {width: 16}
variants: {wide: {width: 32}}
model:
  inputs: {image: "float32[B, 1, 8, 8]"}
  nodes:
    - flatten
    - unit: $width
      repeat: $depth
    - sequence: [{linear: 16}, tanh]
      repeat: 2
    - linear: 10
data: {digits: , batch_size: 64, split: {test: 0.2}}
train: {steps: 30, loss: cross_entropy, optimizer: {adam: {lr: 1e-3}}, metrics: [accuracy], evaluate: 10 steps}
"""


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_spec_of_a_run_is_what_was_run(mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variant, `--set`, `--epochs` and included files, one of them from another root; and nothing but the folder is read."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "parts").mkdir()
    (tmp_path / "specs/net.yaml").write_text(mark + FAMILY, encoding="utf-8")
    (tmp_path / "specs/blocks.yaml").write_text("specbuilder: 1\nblocks: {unit: {params: {out: int}, nodes: [linear: $out, relu]}}\n")
    (tmp_path / "parts/sizes.yaml").write_text("specbuilder: 1\nvars: {depth: 1}\n")
    monkeypatch.chdir(tmp_path)
    argv = ["run", "specs/net.yaml", "--root", ".", "--variant", "wide", "--epochs", "1", "--device", "cpu"]
    options = ["--set", "vars.depth=2", "--set", "train.optimizer.lr=0.01", "--set", "train.evaluate=1 epoch"]
    assert main([*argv, *options]) == 0
    (folder,) = (tmp_path / "runs/family").iterdir()
    moved = folder.rename(tmp_path / "elsewhere")
    for path in ("specs/net.yaml", "specs/blocks.yaml", "parts/sizes.yaml"):
        (tmp_path / path).unlink()
    again = specbuilder.spec_of(moved)
    as_in_the_folder(again, moved)
    assert ", net.yaml:" in again.source, "the emitted file says where its classes are written"
    assert (again.variant, again.called, again.report.parameters) == (
        "wide",
        "net.yaml",
        64 * 32 + 32 + 32 * 32 + 32 + 32 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10,
    )
    assert again.plan is not None
    assert (again.plan.length.steps if again.plan.length else 0, again.plan.origins["train.epochs"]) == (23, "command line")
    second = again.train(root=tmp_path / "second", device="cpu")
    as_in_the_folder(specbuilder.spec_of(second.folder), moved)
    for name in ("sources.json", "model.py", "plan.json", "metrics.jsonl"):
        assert (second.folder / name).read_bytes() == (moved / name).read_bytes(), name


def test_spec_of_a_run_knows_its_own_kinds(tmp_path: Path) -> None:
    """In a new process and from the folder alone: the file that was given, the one that it is pasted from, and the one beside it that it imports."""
    user = tmp_path / "user"
    shutil.copytree(ROOT / "examples/own_kinds", user)
    kinds = (user / "my_kinds.py").read_text()
    (user / "my_kinds.py").write_text(
        kinds.replace("reduction: PositiveInt = 16", "reduction: PositiveInt = USUAL").replace("\n\n\n", "\nfrom sizes import USUAL\n\n\n", 1)
    )
    (user / "sizes.py").write_text("USUAL = 16\n")
    trained = f"import specbuilder; print(specbuilder.load('spec.yaml', kinds=['my_kinds.py']).train(synthetic=True, device='cpu', root={str(tmp_path)!r}).folder)"
    folder = Path(python(trained, user).strip())
    kept = {"kinds/1/my_kinds.py", "kinds/1/squeeze_excite.py", "kinds/1/sizes.py"}
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")} == {"model.py", "objective.py", *kept}
    assert [set(each["files"]) for each in json.loads((folder / "sources.json").read_text())["kinds"]] == [kept]
    shutil.rmtree(user)
    again = f"import specbuilder; spec = specbuilder.spec_of({str(folder)!r}); print(spec.source == open({str(folder / 'model.py')!r}).read(), spec.called)"
    assert python(again, tmp_path) == "True spec.yaml\n"


def python(code: str, folder: Path) -> str:
    """What a new process prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=HERE, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kinds_of(width: int) -> str:
    """A file with one kind, which is as wide as it says."""
    return f"""\
from specbuilder.kinds import Function, Infix, Input, TensorType, function


@function("mine")
class Mine(Function):
    \"\"\"A kind of mine.\"\"\"

    def infer(self, x: TensorType) -> TensorType:
        return x

    def source(self, x: TensorType) -> Infix:
        return Infix("*", (Input(), {width}))
"""


MINE = FAMILY.replace("include: [../parts/sizes.yaml, blocks.yaml]\n", "").replace(
    "- unit: $width\n      repeat: $depth", "- mine\n    - linear: $width"
)


def test_kinds_of_two_runs_and_of_the_user_do_not_mix(tmp_path: Path) -> None:
    """In one process, where a kind can have one meaning at a time: each folder and each file of the user brings its own."""
    (tmp_path / "net.yaml").write_text(MINE)
    folders = []
    for width in (2, 3):
        (tmp_path / "k.py").write_text(kinds_of(width))
        folders.append(load(tmp_path / "net.yaml", kinds=[tmp_path / "k.py"], set={"train.steps": 1}).train(root=tmp_path, device="cpu").folder)
    (tmp_path / "k.py").write_text(kinds_of(4))
    for _ in range(2):
        for folder in folders:
            as_in_the_folder(spec_of(folder), folder)
        assert "* 4" in load(tmp_path / "net.yaml", kinds=[tmp_path / "k.py"]).source
    # A file that an earlier call has loaded is kept too, since a spec may name its kinds.
    without = load(tmp_path / "net.yaml", set={"train.steps": 1}).train(root=tmp_path, device="cpu").folder
    assert (without / "kinds/1/k.py").read_text() == kinds_of(4)


Damage = Callable[[Path], None]


def in_sources(change: Callable[[dict[str, Any]], None]) -> Damage:
    def damage(folder: Path) -> None:
        sources = json.loads((folder / "sources.json").read_text())
        change(sources)
        (folder / "sources.json").write_text(json.dumps(sources))

    return damage


UNLIKE = "is not what the run was made of: its SHA-256 differs from the one in sources.json"
OF_ANOTHER_FORM = "{folder}/sources.json is damaged: it does not list what it keeps"
DAMAGE: dict[str, tuple[Damage, type[SpecbuilderError], str]] = {
    "no folder": (shutil.rmtree, UsageError, "{folder} is no run folder: it has no sources.json"),
    "no mapping": (lambda folder: void((folder / "sources.json").write_text("[]")), DataError, "{folder}/sources.json is damaged: it is no mapping"),
    "another spec": (lambda folder: void((folder / "spec.yaml").write_text("name: other")), DataError, "{folder}: `spec.yaml` " + UNLIKE),
    "no spec": (lambda folder: (folder / "spec.yaml").unlink(), DataError, "{folder}: there is no file `spec.yaml`"),
    "other kinds": (lambda folder: void((folder / "kinds/1/k.py").write_text(kinds_of(9))), DataError, "{folder}: `kinds/1/k.py` " + UNLIKE),
    "no name": (in_sources(lambda said: void(said["spec"].pop("name"))), DataError, "{folder}/sources.json is damaged: it names no spec"),
    "a spec elsewhere": (
        in_sources(lambda said: said["spec"].update(file="../a.yaml")),
        DataError,
        "{folder}/sources.json is damaged: it names no spec",
    ),
    "a number for text": (
        in_sources(lambda said: said.update(set={"a": 3})),
        DataError,
        "{folder}/sources.json is damaged: it does not say what was asked for",
    ),
    "a list for files": (in_sources(lambda said: said.update(included=[])), DataError, OF_ANOTHER_FORM),
    "kinds elsewhere": (in_sources(lambda said: said.update(kinds=[{"files": {"kinds/../k.py": ""}}])), DataError, OF_ANOTHER_FORM),
    "kinds outside": (
        in_sources(lambda said: said.update(kinds=[{"files": {"kinds/1/../../../k.py": ""}}])),
        DataError,
        "{folder}: `kinds/1/../../../k.py` leads out of the folder of the spec",
    ),
    "an unknown variant": (in_sources(lambda said: said.update(variant="wider")), SpecError, "there is no variant `wider`"),
}


def void(_: object) -> None:
    """For a lambda that returns nothing."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    (folder / "net.yaml").write_text(MINE)
    (folder / "k.py").write_text(kinds_of(2))
    return load(folder / "net.yaml", kinds=[folder / "k.py"], set={"train.steps": 1}).train(root=folder, device="cpu").folder


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_or_changed_folder_is_told(name: str, finished: Path, tmp_path: Path) -> None:
    damage, kind, message = DAMAGE[name]
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    as_in_the_folder(spec_of(folder), folder)
    damage(folder)
    with pytest.raises(kind) as raised:
        spec_of(folder)
    assert [found.message for found in raised.value.diagnostics] == [message.format(folder=folder)]


def test_folder_of_an_older_version_has_no_kinds(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(MINE.replace("- mine", "- relu"))
    folder = load(tmp_path / "net.yaml", set={"train.steps": 1}).train(root=tmp_path, device="cpu").folder
    in_sources(lambda said: void(said.pop("kinds")))(folder)
    as_in_the_folder(spec_of(folder), folder)
