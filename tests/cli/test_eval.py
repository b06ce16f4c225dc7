"""`specbuilder eval` and `evaluate_run`: the figures of a run again, from its folder alone.

The witness is the run itself: what it printed and kept in `status.json` and `metrics.jsonl`, bit for bit.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from specbuilder import cli
from specbuilder.api import Spec, parse
from specbuilder.diagnostics import DataError, ResourceError, SpecbuilderError, UsageError
from specbuilder.runs import evaluate_run
from specbuilder.training import judging

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.usefixtures("one_thread")
SPEC = """
specbuilder: 1
name: small
model:
  inputs: {image: "float32[B, 1, 8, 8]"}
  nodes:
    - conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
    - batch_norm2d
    - relu
    - dropout: 0.3
    - flatten
    - linear: 10
data:
  digits:
  batch_size: 48
  split: {validation: 100, test: 201}
  normalize: train
  augment:
    - random_crop: {size: 8, padding: 1}
train:
  steps: 12
  evaluate: 4 steps
  loss: cross_entropy
  optimizer: {adam: {lr: 0.01}}
  metrics: [accuracy]
"""


def small(**changes: Any) -> Spec:
    return parse(SPEC, set={key.replace("__", "."): value for key, value in changes.items()})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return small().train(root=tmp_path_factory.mktemp("runs"), device="cpu").folder


def status(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "status.json").read_text())


def last_row(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])


def of(part: str, row: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name.startswith(f"{part}.")}


def test_figures_are_those_of_the_run_bit_for_bit(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert evaluate_run(run) == evaluate_run(run, "test") == status(run)["metrics"]
    assert evaluate_run(run, "validation") == of("validation", last_row(run))
    assert list(evaluate_run(run, "train")) == ["train.loss", "train.accuracy"]
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before, "an evaluation leaves the folder alone"


def test_the_threads_are_those_of_the_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def evaluate(*arguments: Any, **settings: Any) -> dict[str, float]:
        seen.append(torch.get_num_threads())
        return judging_evaluate(*arguments, **settings)

    judging_evaluate = judging.evaluate
    monkeypatch.setattr(judging, "evaluate", evaluate)
    torch.set_num_threads(2)
    assert evaluate_run(run) == status(run)["metrics"]
    assert seen == [1]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"train__average": "{ema: {decay: 0.8}}"}, "test"),
        ({"train__checkpoint": "{best: true}", "train__optimizer": "{sgd: {lr: 1}}"}, "test"),
        ({"data__split": "{validation: 100}"}, "validation"),
        ({"data__split": "null"}, "train"),
        ({"train__loss": "{cross_entropy: {ignore_index: 3}}"}, "test"),
        ({"data__normalize": "{mean: [0.3], std: [0.4]}", "train__precision": "bf16"}, "test"),
    ],
    ids=["average", "best", "no test part", "only train", "ignored targets", "given statistics"],
)
def test_other_plans(changes: dict[str, Any], part: str, tmp_path: Path) -> None:
    folder = small(**changes).train(root=tmp_path, device="cpu").folder
    found = evaluate_run(folder)
    assert list(found) == [f"{part}.loss", f"{part}.accuracy"]
    if part != "train":
        assert found == status(folder)["metrics"]


def test_a_moved_folder_on_the_command_line(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "elsewhere")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "specbuilder", "eval", "elsewhere", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"version": 1, "folder": "elsewhere", "split": "test", "metrics": status(run)["metrics"]}
    assert folder.is_dir()


KIND = """
from torch import Tensor, nn
from specbuilder.kinds import Layer, layer

class Halved(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 2

@layer("halved")
class HalvedKind(Layer):
    module = Halved
"""


def test_own_kinds_come_out_of_the_folder(tmp_path: Path) -> None:
    """Made in one process, used in another, where their file is gone."""
    (tmp_path / "mine.py").write_text(KIND)
    (tmp_path / "spec.yaml").write_text(SPEC.replace("    - relu", "    - halved"))
    np.save(tmp_path / "a.npy", np.zeros((1, 8, 8), np.float32))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def in_a_process(code: str) -> str:
        command = [sys.executable, "-c", f"import sys; from specbuilder.cli import main\n{code}"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    in_a_process("sys.exit(main(['run', 'spec.yaml', '--kinds', 'mine.py', '--device', 'cpu']))")
    for file in ("mine.py", "spec.yaml"):
        (tmp_path / file).unlink()
    found = in_a_process("sys.exit(main(['eval', 'runs/small/1', '--json']) or main(['predict', 'runs/small/1', 'a.npy']))")
    folder = tmp_path / "runs" / "small" / "1"
    figures, rest = json.JSONDecoder().raw_decode(found)
    assert figures["metrics"] == status(folder)["metrics"]
    assert found[rest:].split()[:5] == ["input", "class", "probability", "next", "a.npy"]


def test_as_text(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = status(run)["metrics"]
    assert cli.main(["eval", str(run)]) == 0
    said = f"test.loss {metrics['test.loss']:.4f}, test.accuracy {metrics['test.accuracy']:.2%}"
    assert capsys.readouterr().out == f"result     {said}; folder {run}\n"


def test_mistakes_are_told_in_words(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["eval", str(run), "--split", "tets"]) == 2
    assert capsys.readouterr().err == "error[SB0958]: there is no part `tets`\n  = help: did you mean `test`?\n\n"
    assert cli.main(["eval", str(run), "--split", "holdout"]) == 2
    assert capsys.readouterr().err == "error[SB0958]: there is no part `holdout`\n  = help: the parts are `train`, `validation`, `test`\n\n"
    assert cli.main(["eval", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error[SB0901]: {tmp_path} is no run folder: it has no status.json\n\n"


def broken(run: Path, tmp_path: Path, file: str, text: str | None) -> Path:
    folder = shutil.copytree(run, tmp_path / "broken")
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("file", "text", "said", "error"),
    [
        ("weights.safetensors", None, "the run in {folder} left no weights; its state is `finished`", DataError),
        ("weights.safetensors", "x", "{folder}/weights.safetensors is damaged: ", DataError),
        ("plan.json", "{}", "{folder}/plan.json is damaged: it does not say what the data was: KeyError: 'data'", DataError),
        (
            "decisions.json",
            "{}",
            "{folder}/decisions.json is damaged: it does not say on which device and on how many threads the run was",
            DataError,
        ),
        ("normalization.safetensors", None, "{folder}/normalization.safetensors, by which the inputs are normalized, cannot be read: ", DataError),
        ("objective.py", None, "{folder} is no run folder: it has no objective.py", UsageError),
        ("spec.yaml", "specbuilder: 1", "{folder}: ", DataError),
    ],
)
def test_damaged_folders(file: str, text: str | None, said: str, error: type[SpecbuilderError], run: Path, tmp_path: Path) -> None:
    folder = broken(run, tmp_path, file, text)
    with pytest.raises(error) as caught:
        evaluate_run(folder)
    assert caught.value.diagnostics[0].message.startswith(said.format(folder=folder))


def test_data_that_has_changed_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    part = {"image": rng.random((60, 1, 8, 8), np.float32), "label": rng.integers(10, size=60)}
    np.savez(tmp_path / "train.npz", **part)
    spec = parse(SPEC.replace("  digits:", f"  arrays: {tmp_path}/train.npz").replace("100, test: 201", "20"))
    folder = spec.train(root=tmp_path / "runs", device="cpu").folder
    assert evaluate_run(folder) == status(folder)["metrics"]
    np.savez(tmp_path / "train.npz", **{**part, "image": part["image"] + 1})
    with pytest.raises(DataError) as caught:
        evaluate_run(folder)
    (found,) = caught.value.diagnostics
    assert found.code == "SB0957"
    assert found.message.startswith(f"the data is not what it was when the run in {folder} was made: its fingerprint is ")


def test_made_up_samples_are_made_up_again(tmp_path: Path) -> None:
    folder = small().train(root=tmp_path, device="cpu", synthetic=True).folder
    assert evaluate_run(folder) == status(folder)["metrics"]


def test_own_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(150, 1, 8, 8, generator=generator), torch.randint(10, (150,), generator=generator)
    spec = small(data__split="{validation: 50}")
    folder = spec.train(train=(x[:120], y[:120]), test=(x[120:], y[120:]), root=tmp_path, device="cpu").folder
    figures = status(folder)["metrics"]
    assert evaluate_run(folder, test=(x[120:], y[120:])) == figures
    assert evaluate_run(folder, train=(x[:120], y[:120]), test=(x[120:], y[120:])) == figures
    assert evaluate_run(folder, "validation", train=(x[:120], y[:120])) == of("validation", last_row(folder))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x[120:], y[120:]), batch_size=48)
    assert evaluate_run(folder, test=loader) == figures
    assert evaluate_run(folder, test=(x[:30], y[:30])) != figures
    assert cli.main(["eval", str(folder)]) == 2
    assert capsys.readouterr().err == (
        "error[SB0955]: the samples of this run were given in Python, and a folder does not hold them\n"
        "  = help: evaluate it in Python: `specbuilder.runs.evaluate_run(folder, test=(inputs, target))`\n\n"
    )
    with pytest.raises(DataError, match="`image` of the part `test` is float32"):
        evaluate_run(folder, test=(torch.rand(30, 3, 8, 8), y[:30]))
    with pytest.raises(DataError, match="the model scores the classes 0 to 9"):
        evaluate_run(folder, test=(x[:30], y[:30] + 5))


class Counted(torch.utils.data.Dataset[Any]):
    """Own samples, read one by one."""

    def __len__(self) -> int:
        return 70

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.full((1, 8, 8), index, dtype=torch.uint8), index % 10


def test_own_samples_that_are_read_while_the_run_goes_on(tmp_path: Path) -> None:
    folder = small(data__split="{test: 30}", data__feed="workers", data__workers=0).train(train=Counted(), root=tmp_path, device="cpu").folder
    assert evaluate_run(folder, train=Counted()) == status(folder)["metrics"]
    assert json.loads((folder / "plan.json").read_text())["data"]["white"] == {"image": 255.0}
    assert list(evaluate_run(folder, test=Counted())) == ["test.loss", "test.accuracy"]


def test_another_device(run: Path) -> None:
    assert evaluate_run(run, device="cpu") == status(run)["metrics"]
    with pytest.raises(UsageError, match="there is no device called"):
        evaluate_run(run, device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match="this machine has no `cuda` device"):
            evaluate_run(run, device="cuda")
