"""Runs, as a Python user and as a user of the command line has them: folders, repeatability, interruption, failure."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader, TensorDataset

import specbuilder
from specbuilder.api import Spec, parse
from specbuilder.diagnostics import CheckError, DataError, ResourceError, RunError, SpecbuilderError, UsageError

ROOT = Path(__file__).parent.parent.parent
HERE = {**os.environ, "PYTHONPATH": str(ROOT)}
"""So that a command in another folder runs the package beside these tests, whichever is installed."""
FILES = {
    ".lock",
    "checkpoints",
    "spec.yaml",
    "sources.json",
    "plan.json",
    "decisions.json",
    "model.py",
    "objective.py",
    "metrics.jsonl",
    "timing.jsonl",
    "status.json",
    "weights.safetensors",
}


def digits(**changes: object) -> Spec:
    """The digits spec, shortened: two epochs, and no promise of accuracy."""
    return specbuilder.load(
        ROOT / "specs/digits.yaml", set={"train.epochs": 2, "expect": {}, **{key.replace("__", "."): value for key, value in changes.items()}}
    )


def test_a_run_folder_tells_everything(tmp_path: Path) -> None:
    run = digits().train(root=tmp_path, device="cpu")
    assert run.folder == tmp_path / "digits" / "1"
    assert {entry.name for entry in run.folder.iterdir()} == FILES
    assert (run.folder / "spec.yaml").read_text() == (ROOT / "specs/digits.yaml").read_text()
    status = json.loads((run.folder / "status.json").read_text())
    assert (status["state"], status["step"], status["metrics"]) == ("finished", 46, dict(run.metrics))
    rows = run.history()
    assert [(row["step"], row["epoch"]) for row in rows] == [(23, 1.0), (46, 2.0)]
    assert rows[-1]["test.accuracy"] == run.metrics["test.accuracy"]
    plan = json.loads((run.folder / "plan.json").read_text())
    assert plan["length"]["parts"] == {"train": 1438, "test": 359}
    assert plan["length"]["last_batch"] == 1438 - 22 * 64
    decisions = json.loads((run.folder / "decisions.json").read_text())
    assert decisions["device"] == {"value": "cpu", "reason": "asked for"}


def test_a_run_folder_keeps_what_the_spec_includes_and_how_it_was_asked_for(tmp_path: Path) -> None:
    text = (ROOT / "specs/digits.yaml").read_text()
    part = "specbuilder: 1\nvars: {classes: 10}\n"
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/sizes.yaml").write_text(part)
    spec_text = text.replace("name: digits\n", "name: digits\ninclude: parts/sizes.yaml\nvariants: {all_classes: {classes: 10}}\n")
    assert spec_text != text
    (tmp_path / "spec.yaml").write_text(spec_text)
    changes = {"train.epochs": 1, "expect": {}}
    run = specbuilder.load(tmp_path / "spec.yaml", variant="all_classes", set=changes).train(root=tmp_path / "runs", device="cpu")
    assert {entry.name for entry in run.folder.iterdir()} == {*FILES, "included"}
    assert (run.folder / "spec.yaml").read_text() == spec_text
    assert (run.folder / "included/1-sizes.yaml").read_text() == part
    assert json.loads((run.folder / "sources.json").read_text()) == {
        "spec": {"file": "spec.yaml", "name": "spec.yaml", "sha256": sha256(spec_text.encode()).hexdigest()},
        "variant": "all_classes",
        "set": {"train.epochs": "1", "expect": "{}"},
        "included": {"parts/sizes.yaml": {"file": "included/1-sizes.yaml", "sha256": sha256(part.encode()).hexdigest()}},
        "kinds": [],
    }
    origins = json.loads((run.folder / "plan.json").read_text())["origins"]
    assert (origins["train.epochs"], origins["train.loss"], origins["train.compile"]) == ("command line", "spec", "default")
    (tmp_path / "parts/sizes.yaml").unlink()
    again = specbuilder.load(run.folder / "spec.yaml", variant="all_classes", set=changes)
    assert again.source == (run.folder / "model.py").read_text()


def test_equal_runs_leave_equal_bytes_and_another_seed_other_ones(tmp_path: Path) -> None:
    first, second = (digits().train(root=tmp_path, device="cpu") for _ in range(2))
    other = digits(train__seed=1).train(root=tmp_path, device="cpu")
    assert second.folder.name == "2"
    for name in ("metrics.jsonl", "weights.safetensors", "plan.json", "model.py"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    assert (first.folder / "metrics.jsonl").read_bytes() != (other.folder / "metrics.jsonl").read_bytes()
    fresh, trained = digits().build(seed=0).state_dict(), load_file(first.folder / "weights.safetensors")
    assert fresh.keys() == trained.keys()
    assert not any(torch.equal(fresh[name], trained[name]) for name in fresh if name.endswith("weight"))


def test_a_run_starts_from_the_weights_that_build_gives(tmp_path: Path) -> None:
    spec = digits(train__optimizer={"sgd": {"lr": 1e-30}}, train__schedule="constant", train__seed=5)
    run = spec.train(root=tmp_path, device="cpu")
    assert torch.equal(run.model.get_parameter("logits.weight"), spec.build(seed=5).get_parameter("logits.weight"))
    assert not torch.equal(run.model.get_parameter("logits.weight"), spec.build(seed=6).get_parameter("logits.weight"))


def test_building_and_training_leave_the_global_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    spec = digits()
    spec.build(seed=0)
    spec.train(root=tmp_path, device="cpu")
    assert torch.equal(torch.rand(3), expected)


def test_load_run_gives_the_model_that_was_trained(tmp_path: Path) -> None:
    run = digits().train(root=tmp_path, device="cpu")
    again = specbuilder.load_run(run.folder)
    x = torch.rand(4, 1, 8, 8)
    assert not again.model.training
    assert torch.equal(again.model(x), run.model.eval()(x))
    assert again.metrics == run.metrics


def test_tied_weights_are_loaded_from_the_folder(tmp_path: Path) -> None:
    text = TOKENS.replace(
        "- flatten\n    - linear: 2",
        "- linear: {out_features: 5, bias: false}\n      tie: {weight: embedding.weight}\n    - permute: [0, 2, 1]",
    )
    x = torch.arange(24).reshape(8, 3) % 5
    run = parse(text).train(train=(x, x), root=tmp_path, device="cpu")
    model = specbuilder.load_run(run.folder).model
    assert torch.equal(model(x), run.model.eval()(x))
    assert model.get_parameter("linear.weight") is model.get_parameter("embedding.weight")


def test_the_folder_is_used_without_specbuilder_by_the_lines_that_a_run_prints(tmp_path: Path) -> None:
    run = digits().train(root=tmp_path, device="cpu")
    moved = run.folder.rename(tmp_path / "moved")
    script = (
        "import sys, torch; sys.path.insert(0, '.'); sys.modules['specbuilder'] = None\n"
        "from model import Digits; from safetensors.torch import load_file\n"
        "model = Digits()\n"
        'model.load_state_dict(load_file("weights.safetensors"))\n'
        "print(model.eval()(torch.ones(1, 1, 8, 8)).sum().item())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=moved, capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(run.model.eval()(torch.ones(1, 1, 8, 8)).sum().item(), rel=1e-6)


def test_a_broken_promise_is_told_when_the_run_is_complete(tmp_path: Path) -> None:
    text = (ROOT / "specs/digits.yaml").read_text().replace("epochs: 20", "epochs: 1")
    spec = parse(text, set={"expect": {"test.accuracy": {"min": 0.9999}}})
    with pytest.raises(CheckError) as caught:
        spec.train(root=tmp_path, device="cpu")
    assert "`expect` says test.accuracy is at least 0.9999, but it is 0." in caught.value.diagnostics[0].message
    assert json.loads((tmp_path / "digits/1/status.json").read_text())["state"] == "finished"


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"train.epochs": 1, "train.steps": None}, "test.accuracy is promised of the run as written, and `train.epochs` was set"),
        (
            {"train.epochs": 1, "train.seed": 3, "train.compile": "off"},
            "test.accuracy is promised of the run as written, and `train.epochs`, `train.seed` and `train.compile` were set",
        ),
    ],
)
def test_a_promise_about_a_metric_is_not_held_against_another_run(changes: dict[str, object], note: str, tmp_path: Path) -> None:
    run = specbuilder.load(ROOT / "specs/digits.yaml", set=changes).train(root=tmp_path, device="cpu")
    assert run.metrics["test.accuracy"] < 0.98
    assert run.notes == (note,)


def test_a_promise_about_a_metric_is_not_held_against_other_data(tmp_path: Path) -> None:
    text = (ROOT / "specs/digits.yaml").read_text().replace("epochs: 20", "epochs: 1")
    data = (torch.rand(160, 1, 8, 8), torch.arange(160) % 10)
    note = ("test.accuracy is promised of the run as written, and this one had other data",)
    assert parse(text).train(train=data, root=tmp_path, device="cpu").notes == note
    assert parse(text).train(synthetic=True, root=tmp_path, device="cpu").notes[1:] == note
    with pytest.raises(CheckError):
        parse(text).train(root=tmp_path, device="cpu")


def test_a_loss_that_is_no_number_ends_the_run_and_the_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        digits(train__optimizer={"sgd": {"lr": 1e30}}, train__schedule="constant").train(root=tmp_path, device="cpu")
    said = caught.value.diagnostics[0].message
    assert said.startswith("the training loss is not a number in step 2 (epoch 1); its batch holds the training samples 344, 1421, 66, ")
    assert said.endswith(" and 56 more")
    status = json.loads((tmp_path / "digits/1/status.json").read_text())
    samples = status.pop("samples")
    assert status == {"state": "failed", "error": said, "code": "SB1101"}
    assert (len(samples), samples[:3]) == (64, [344, 1421, 66])


def test_labels_outside_of_the_classes_are_found_before_anything_runs(tmp_path: Path) -> None:
    labels = torch.zeros(20, dtype=torch.int64)
    labels[7] = 10
    with pytest.raises(DataError) as caught:
        digits().train(train=(torch.rand(20, 1, 8, 8), labels), root=tmp_path, device="cpu")
    assert caught.value.diagnostics[0].message == "`target` of sample 7 of the part `train` is 10, but the model scores the classes 0 to 9"
    assert not (tmp_path / "digits").exists()


TOKENS = """
specbuilder: 1
name: tokens
model:
  inputs: {x: "int64[B, 3]"}
  nodes:
    - embedding: {num_embeddings: 5, embedding_dim: 2}
    - flatten
    - linear: 2
data:
  arrays: {train: nowhere.npz}
  batch_size: 4
train:
  epochs: 1
  loss: cross_entropy
  optimizer: sgd
  metrics: [accuracy]
"""


@pytest.mark.parametrize("is_loader", [False, True])
def test_numbers_that_an_embedding_has_no_vector_for_are_found_on_the_cpu(is_loader: bool, tmp_path: Path) -> None:
    x = torch.arange(24).reshape(8, 3) % 5
    x[6, 1] = 5
    data = (x, torch.zeros(8, dtype=torch.int64))
    with pytest.raises(DataError) as caught:
        parse(TOKENS).train(train=DataLoader(TensorDataset(*data), 4) if is_loader else data, root=tmp_path, device="cpu")
    assert caught.value.diagnostics[0].message == "`x` of sample 6 of the part `train` is 5, but `embedding` takes 0 to 4"


@pytest.mark.parametrize("is_loader", [False, True])
def test_loss_of_a_part_is_that_of_its_targets_in_one_batch_whatever_is_ignored(is_loader: bool, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(5, (22, 3), generator=generator)
    y = torch.randint(2, (22,), generator=generator)
    y[:5] = -1  # the whole first batch and one more
    y[9] = -1
    spec = parse(
        TOKENS, set={"train.loss": {"cross_entropy": {"ignore_index": -1}}, "train.optimizer": {"sgd": {"lr": 1e-30}}, "data.shuffle": False}
    )
    part = DataLoader(TensorDataset(x, y), 4) if is_loader else (x, y)
    run = spec.train(train=part, validation=part, root=tmp_path, device="cpu")
    with torch.no_grad():
        logits = run.model(x)
    whole = torch.nn.functional.cross_entropy(logits, y, ignore_index=-1).item()
    row = run.history()[-1]
    assert (row["train.loss"], row["validation.loss"]) == (pytest.approx(whole, rel=1e-6), pytest.approx(whole, rel=1e-6))
    assert run.metrics["validation.accuracy"] == int((logits.argmax(1) == y).sum()) / 16  # -1 is never the largest


def test_a_part_whose_targets_are_all_ignored_cannot_judge(tmp_path: Path) -> None:
    spec = parse(TOKENS, set={"train.loss": {"cross_entropy": {"ignore_index": 1}}})
    x = torch.zeros(8, 3, dtype=torch.int64)
    with pytest.raises(DataError) as caught:
        spec.train(train=(x, x[:, 0]), validation=(x, x[:, 0] + 1), root=tmp_path, device="cpu")
    assert caught.value.diagnostics[0].message == "every target that the run is judged on is 1, which the loss ignores"


def test_stop_ends_after_the_step_and_keeps_the_weights(tmp_path: Path) -> None:
    asked = iter([False] * 4 + [True] * 100)
    run = digits().train(root=tmp_path, device="cpu", stop=lambda: next(asked))
    assert run.state == "interrupted"
    assert json.loads((run.folder / "status.json").read_text()) == {"state": "interrupted", "step": 5, "steps": 46, "metrics": {}}
    assert load_file(run.folder / "weights.safetensors")["conv2d.weight"].isfinite().all()


def test_statistics_of_normalize_are_fitted_on_train_and_kept(tmp_path: Path) -> None:
    spec = digits(data__normalize="train", data__augment=[])
    run = spec.train(root=tmp_path, device="cpu")
    kept = load_file(run.folder / "normalization.safetensors")
    assert spec.plan is not None and spec.plan.dataset is not None
    from specbuilder.training.columns import split

    part = split(spec.plan.dataset.open(), {"test": 0.2}, 0)["train"]
    assert isinstance(part, Mapping)
    pixels = part["image"].data.double() / 16
    assert kept["mean"].item() == pytest.approx(pixels.mean().item(), rel=1e-6)
    assert kept["std"].item() == pytest.approx(pixels.std(correction=0).item(), rel=1e-6)


TEXT = """
specbuilder: 1
name: line
model:
  inputs: {x: "float32[B, 1]"}
  nodes:
    - linear: 1
      name: y
data:
  synthetic: {features: {x: "float32[B, 1]", target: "float32[B, 1]"}, targets: [target]}
  batch_size: 4
train:
  epochs: 200
  loss: mse_loss
  optimizer: {sgd: {lr: 0.1}}
"""


def test_own_arrays_are_learned(tmp_path: Path) -> None:
    x = torch.linspace(-1, 1, 32)[:, None]
    run = parse(TEXT).train(train=(x.numpy().astype("float64"), 3 * x + 1), validation=(x, 3 * x + 1), root=tmp_path, device="cpu")
    weight, bias = (parameter.item() for parameter in run.model.parameters())
    assert (weight, bias) == pytest.approx((3.0, 1.0), abs=1e-3)
    assert run.metrics["validation.loss"] < 1e-5


# The command line -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "reason"),
    [("file", "{tmp}/file is a file"), ("empty", "{tmp}/empty/tokens is a file"), ("/proc/foo", "No such file or directory")],
)
def test_a_folder_that_cannot_hold_runs_is_one_mistake(root: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/tokens").touch()
    data = (torch.zeros(8, 3, dtype=torch.int64), torch.zeros(8, dtype=torch.int64))
    with pytest.raises(UsageError) as caught:
        parse(TOKENS).train(train=data, root=tmp_path / root, device="cpu")
    found = caught.value.diagnostics[0]
    assert (found.code, found.message) == ("SB0909", f"no run folder can be made in {tmp_path / root / 'tokens'}: {reason.format(tmp=tmp_path)}")


def test_weights_that_the_machine_has_no_memory_for_are_told_with_their_size(tmp_path: Path) -> None:
    spec = parse(TOKENS, set={"model.nodes.embedding.embedding_dim": 9 * 10**10})
    data = (torch.zeros(8, 3, dtype=torch.int64), torch.zeros(8, dtype=torch.int64))
    said = f"memory ran out: the weights of the network need {4 * (5 * 9 + 9 * 6) * 10**10 / 2**40:.1f} TiB"
    for act in (spec.build, lambda: spec.train(train=data, root=tmp_path, device="cpu")):
        with pytest.raises(ResourceError) as caught:
            act()
        assert caught.value.diagnostics[0].message == said
    assert json.loads((tmp_path / "tokens/1/status.json").read_text()) == {"state": "failed", "error": said, "code": "SB0605"}


DAMAGE: dict[str, tuple[str, bytes | None, type[SpecbuilderError], str]] = {
    "no folder": ("", None, UsageError, "{folder} is no run folder: it has no status.json"),
    "half a status": (
        "status.json",
        b'{"state": ',
        DataError,
        "{folder}/status.json is damaged: JSONDecodeError: Expecting value: line 1 column 11 (char 10)",
    ),
    "a status of another kind": ("status.json", b"[1]", DataError, "{folder}/status.json is damaged: it is no mapping"),
    "a status without a state": ("status.json", b"{}", DataError, "{folder}/status.json is damaged: it is no status of a run"),
    "metrics of another kind": (
        "status.json",
        b'{"state": "finished", "metrics": 3}',
        DataError,
        "{folder}/status.json is damaged: it is no status of a run",
    ),
    "bytes for text": (
        "status.json",
        b"\xff\xfe",
        DataError,
        "{folder}/status.json is damaged: UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ),
    "half a model": ("model.py", b"class Digits(", DataError, "{folder}/model.py is damaged: SyntaxError: '(' was never closed (model.py, line 1)"),
    "no model": ("model.py", b"", DataError, "{folder}/model.py is damaged: ValueError: it defines no class"),
    "another model": ("model.py", b"class Digits:\n    pass\n", DataError, "{folder}/weights.safetensors is damaged: AttributeError: "),
    "half the weights": ("weights.safetensors", b"\x00", DataError, "{folder}/weights.safetensors is damaged: SafetensorError: "),
    "no weights": ("weights.safetensors", None, DataError, "the run in {folder} left no weights; its state is `finished`"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits(train__epochs=1).train(root=tmp_path_factory.mktemp("runs"), device="cpu").folder


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_in_a_run_folder_is_named(damage: str, finished: Path, tmp_path: Path) -> None:
    name, content, kind, said = DAMAGE[damage]
    folder = tmp_path / "1"
    if name:
        shutil.copytree(finished, folder)
        (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(kind) as caught:
        specbuilder.load_run(folder)
    assert caught.value.diagnostics[0].message.startswith(said.format(folder=folder))


@pytest.mark.parametrize("device", [None, torch.device("cpu"), "cpu"])
def test_a_device_may_be_torchs_own(device: torch.device | str | None, tmp_path: Path) -> None:
    assert next(digits().build(device=device).parameters()).device == torch.device("cpu")
    data = (torch.zeros(8, 3, dtype=torch.int64), torch.zeros(8, dtype=torch.int64))
    assert parse(TOKENS).train(train=data, root=tmp_path, device=device).state == "finished"


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
@pytest.mark.parametrize(("device", "kind"), [("cuda", ResourceError), ("foo", UsageError), ("meta", UsageError)])
def test_building_for_a_device_that_is_not_there_is_refused(device: str, kind: type[SpecbuilderError]) -> None:
    with pytest.raises(kind):
        digits().build(device=device)


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "specbuilder", *words]
    return subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, env=HERE)


def test_run_without_a_spec_trains_the_digits_that_the_package_carries(tmp_path: Path) -> None:
    done = command("run", "--epochs", "1", "--set", "expect={}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "digits  58,474 parameters  runs/digits/1"
    assert lines[1] == "data       digits: 1,438 train, 359 test; inputs image; target label"
    assert lines[2] == "plan       23 steps, 1 epoch of 23, batch 64, last batch 30"
    assert any(line.startswith("epoch 1") and "test.accuracy" in line for line in lines)
    assert "\x1b" not in done.stdout
    assert (tmp_path / "runs/digits/1/weights.safetensors").exists()


def test_run_as_json(tmp_path: Path) -> None:
    done = command("run", "--epochs", "1", "--set", "expect={}", "--json", cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert (answer["state"], answer["folder"]) == ("finished", "runs/digits/1")
    assert 0 < answer["metrics"]["test.accuracy"] < 1


def started(folder: Path, *words: str, **options: Any) -> tuple[subprocess.Popen[str], Path]:
    """A long run that has trained an epoch, and its folder."""
    arguments = [sys.executable, "-m", "specbuilder", "run", "--epochs", "100000", *words]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    process = subprocess.Popen(arguments, cwd=folder, text=True, env=HERE, **options)
    metrics = folder / "runs/digits/1/metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return process, metrics.parent


def state_of(folder: Path) -> str:
    return json.loads((folder / "status.json").read_text())["state"]


def test_ctrl_c_stops_cleanly(tmp_path: Path) -> None:
    process, folder = started(tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "stopping after this step" in err
    assert "go on with `specbuilder resume runs/digits/1`" in out
    assert state_of(folder) == "interrupted"
    assert (folder / "weights.safetensors").exists()


def test_a_second_ctrl_c_leaves_an_interrupted_run_too(tmp_path: Path) -> None:
    process, folder = started(tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, state_of(folder)) == (130, "interrupted")
    assert "Traceback" not in err


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminals that hang up")
def test_a_terminal_that_hangs_up_interrupts_the_run(tmp_path: Path) -> None:
    import pty

    parent, child = pty.openpty()
    # These tests may themselves run where a hang-up is ignored (`nohup`), which a child inherits.
    heard = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)
    process, folder = started(tmp_path, stdin=child, stdout=child, stderr=child, start_new_session=True, preexec_fn=heard)
    os.close(child)
    os.close(parent)  # all that it prints from now on fails
    process.send_signal(signal.SIGHUP)
    process.wait(timeout=60)
    assert (process.returncode, state_of(folder)) == (130, "interrupted")
    assert (folder / "weights.safetensors").exists()


def test_a_run_goes_on_when_its_reader_goes_away(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [sys.executable, "-m", "specbuilder", "run", "--epochs", "2"]
    done = subprocess.run(arguments, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120, check=False, env=HERE)
    os.close(writing)
    assert (done.returncode, done.stderr, state_of(tmp_path / "runs/digits/1")) == (0, "", "finished")


@pytest.mark.skipif(os.name != "posix", reason="no ulimit")
def test_weights_that_find_no_room_are_told_with_what_they_need(tmp_path: Path) -> None:
    # 64 blocks of 512 or 1,024 bytes; the weights take 4 x 58,474 bytes and their header.
    line = f'ulimit -f 64; exec "{sys.executable}" -m specbuilder run --epochs 1'
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False, env=HERE)
    assert done.returncode == 4
    said = "error[SB0910]: runs/digits/1/weights.safetensors cannot be written: File too large; it needs 229.7 KiB, "
    assert done.stderr.splitlines()[0].startswith(said), done.stderr
    status = json.loads((tmp_path / "runs/digits/1/status.json").read_text())
    assert status["state"] == "failed"
    assert not [entry.name for entry in (tmp_path / "runs/digits/1").iterdir() if "weights" in entry.name]


def test_made_up_samples_are_said_to_be(tmp_path: Path) -> None:
    done = command("run", "--epochs", "1", "--synthetic", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert lines[1] == "data       made-up samples in place of digits: 410 train, 102 test; inputs image; target label"
    assert "note       the samples are made up: there is nothing to learn in them, and the figures mean nothing" in lines
    folder = tmp_path / "runs/digits/1"
    assert json.loads((folder / "status.json").read_text())["data"] == "made up"
    assert json.loads((folder / "plan.json").read_text())["data"]["is_made_up"] is True


@pytest.mark.parametrize(("option", "value"), [("--runs", ""), ("--device", "CPU")])
def test_an_option_that_names_nothing_is_exit_2(option: str, value: str, tmp_path: Path) -> None:
    assert command("run", option, value, cwd=tmp_path).returncode == 2
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(os.name != "posix" or torch.cuda.is_available() or torch.backends.mps.is_available(), reason="a GPU is there")
def test_a_device_that_is_not_there_is_exit_4(tmp_path: Path) -> None:
    done = command("run", "--device", "cuda", cwd=tmp_path)
    assert done.returncode == 4
    assert "this machine has no `cuda` device that torch can use" in done.stderr
    assert not (tmp_path / "runs").exists()
