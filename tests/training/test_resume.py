"""A run that is stopped and taken up again comes to the same bits as one that never stopped.

The witness is the run that was let through: the files of its last checkpoint (weights, buffers, moments, averages, generators, position, control) and its
`metrics.jsonl`, byte for byte. Each group of the state is also left out of a checkpoint once, which must be refused: what nobody would miss proves nothing.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import specbuilder
from specbuilder.api import Spec, parse
from specbuilder.diagnostics import CheckError, DataError, UsageError
from specbuilder.runs import list_runs
from specbuilder.training.journal import METRICS, Journal
from specbuilder.training.run import Silent
from specbuilder.training.store import Keep, Store

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.usefixtures("one_thread")
STEPS = 12
SPEC = f"""
specbuilder: 1
name: small
model:
  inputs: {{image: "float32[B, 1, 8, 8]"}}
  nodes:
    - conv2d: {{out_channels: 4, kernel_size: 3, padding: 1}}
    - batch_norm2d
    - relu
    - dropout: 0.3
    - flatten
    - linear: 10
data:
  digits:
  batch_size: 48
  micro_batch_size: 24
  split: {{validation: 100, test: 1500}}
  augment:
    - random_crop: {{size: 8, padding: 1}}
    - random_rotation: {{degrees: 10}}
train:
  steps: {STEPS}
  evaluate: 4 steps
  loss: cross_entropy
  optimizer: {{adam: {{lr: 0.01}}}}
  schedule: {{cosine: {{warmup: 3 steps}}}}
  average: {{ema: {{decay: 0.8, begin: 2 steps}}}}
  metrics: [accuracy]
  checkpoint: {{best: true, keep: 3}}
"""
"""Five steps an epoch, the last one of five samples: steps 5 and 10 end an epoch, 4, 8 and 12 are evaluated."""


def small(**changes: Any) -> Spec:
    return parse(SPEC, set={key.replace("__", "."): value for key, value in changes.items()})


def stop_after(steps: int) -> Callable[[], bool]:
    """Asks to stop when the loop has made so many steps."""
    asked = iter(range(1, 1 << 30))
    return lambda: next(asked) >= steps


def outcome(folder: Path) -> dict[str, str]:
    """The digest of every file of the last checkpoint, of the metrics and of the result."""
    last = max((folder / "checkpoints").glob("step-*"))
    files = [*(path for path in last.iterdir() if path.name not in ("MANIFEST.json", "timing.jsonl")), folder / "metrics.jsonl"]
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in (*files, folder / "weights.safetensors")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    torch.set_num_threads(1)
    return outcome(small().train(root=tmp_path_factory.mktemp("whole"), device="cpu").folder)


MOMENTS = range(1, STEPS + 3 * (STEPS // 4))
"""Polls: one a step, and one for each of the three batches of an evaluation; the last evaluation ends the run."""


@pytest.mark.parametrize("polls", [polls for polls in MOMENTS if polls % 3])
def test_stopped_at_any_moment_and_taken_up_again(polls: int, whole: dict[str, str], tmp_path: Path) -> None:
    """Between two steps, and in the middle of evaluations."""
    run = small().train(root=tmp_path, device="cpu", stop=stop_after(polls))
    assert run.state == "interrupted"
    assert specbuilder.resume(run.folder).state == "finished"
    assert outcome(run.folder) == whole


def test_stopped_and_taken_up_in_another_process(whole: dict[str, str], tmp_path: Path) -> None:
    """A third of the moments."""
    folders = [small().train(root=tmp_path, device="cpu", stop=stop_after(polls)).folder for polls in MOMENTS if not polls % 3]
    assert len(folders) == 6
    in_another_process(*folders)
    for folder in folders:
        assert outcome(folder) == whole


def in_another_process(*folders: Path) -> None:
    """`specbuilder resume` of each in one fresh process."""
    code = "import sys; from specbuilder.cli import main\nfor folder in sys.argv[1:]: assert main(['resume', folder]) == 0"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, *map(str, folders)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("bit-exact") == len(folders)


def test_with_workers_that_read(whole: dict[str, str], tmp_path: Path) -> None:
    """Who reads the samples changes no bit, and may change from one start to the next."""
    for workers, polls in ((0, 3), (2, 7)):
        run = small(data__feed="workers", data__workers=workers).train(root=tmp_path, device="cpu", stop=stop_after(polls))
        specbuilder.resume(run.folder, set={"data.workers": 2 - workers})
        assert outcome(run.folder) == whole


KILLS = """
import os, random, signal, sys
from pathlib import Path
import torch
import specbuilder
from specbuilder.api import parse

torch.set_num_threads(1)
root, draws, text = Path(sys.argv[1]), random.Random(int(sys.argv[2])), sys.stdin.read()
folder = root / "small/1"

def run(polls):
    asked = iter(range(1, 1 << 30))
    def stop():
        if next(asked) >= polls:
            os.kill(os.getpid(), signal.SIGKILL)
        return False
    if folder.exists():
        specbuilder.resume(folder, stop=stop)
    else:
        parse(text, set={"train.checkpoint": "{every: 1 step, best: true, keep: 3}"}).train(root=root, device="cpu", stop=stop)

kept = 0
for _ in range(int(sys.argv[3])):
    polls = draws.randint(2, 5)
    if not (pid := os.fork()):
        run(polls)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    steps = [int(entry.name[5:]) for entry in (folder / "checkpoints").glob("step-????????")]
    assert max(steps, default=0) >= kept, "what was kept once is never lost"
    kept = max(steps, default=0)
    if kept >= 9:
        break
specbuilder.resume(folder)
"""
"""Runs and kills itself, as by `kill -9`, at a random poll of the loop or of an evaluation, whatever is being written; forked, so that torch is imported
once. What is left is gone on with.
"""


def kill_and_resume(seed: int, kills: int, whole: dict[str, str], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLS, str(tmp_path), str(seed), str(kills)]
    done = subprocess.run(command, input=SPEC, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not [*(tmp_path / "small/1/checkpoints").glob(".t*")], "what was half written is tidied up"
    assert outcome(tmp_path / "small/1") == whole


def test_killed_at_random_moments(whole: dict[str, str], tmp_path: Path) -> None:
    kill_and_resume(0, 5, whole, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 41))
def test_killed_at_many_random_moments(seed: int, whole: dict[str, str], tmp_path: Path) -> None:
    kill_and_resume(seed, 5, whole, tmp_path)


def test_three_times_in_a_row(whole: dict[str, str], tmp_path: Path) -> None:
    run = small().train(root=tmp_path, device="cpu", stop=stop_after(2))
    for polls in (2, 5, 4):
        assert specbuilder.resume(run.folder, stop=stop_after(polls)).state == "interrupted"
    specbuilder.resume(run.folder)
    assert outcome(run.folder) == whole


def test_from_the_beginning_where_no_checkpoint_was_written(whole: dict[str, str], tmp_path: Path) -> None:
    run = small().train(root=tmp_path, device="cpu", stop=stop_after(3))
    shutil.rmtree(run.folder / "checkpoints")
    specbuilder.resume(run.folder)
    assert outcome(run.folder) == whole


GROUPS = ("model", "optimizer", "average", "random", "sums")
VALUES = ("optimizer", "schedule", "scaler", "average", "random", "position", "control")


def rewritten(folder: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """The last checkpoint with other files, under a manifest that vouches for them."""
    store = Store(folder / "checkpoints")
    checkpoint, _ = store.newest()
    assert checkpoint is not None
    files = dict(checkpoint.files)
    change(files)
    shutil.rmtree(folder / "checkpoints")
    store.save(checkpoint.manifest.step, files, facts=checkpoint.manifest.facts, healthy=True, keep=Keep())


@pytest.mark.parametrize("group", GROUPS)
def test_a_checkpoint_without_a_group_of_tensors_is_refused(group: str, tmp_path: Path) -> None:
    run = small().train(root=tmp_path, device="cpu", stop=stop_after(6))

    def without(files: dict[str, bytes]) -> None:
        del files[f"{group}.safetensors"]

    rewritten(run.folder, without)
    with pytest.raises(DataError, match="SB0951"):
        specbuilder.resume(run.folder)


@pytest.mark.parametrize("group", GROUPS)
def test_a_checkpoint_with_an_empty_group_of_tensors_is_refused(group: str, tmp_path: Path) -> None:
    run = small().train(root=tmp_path, device="cpu", stop=stop_after(6))

    def empty(files: dict[str, bytes]) -> None:
        files[f"{group}.safetensors"] = safetensors.torch.save({})

    rewritten(run.folder, empty)
    with pytest.raises(DataError, match="SB0951"):
        specbuilder.resume(run.folder)


@pytest.mark.parametrize("group", VALUES)
def test_a_checkpoint_without_a_group_of_values_is_refused(group: str, tmp_path: Path) -> None:
    run = small().train(root=tmp_path, device="cpu", stop=stop_after(6))

    def without(files: dict[str, bytes]) -> None:
        values = json.loads(files["state.json"])
        del values[group]
        files["state.json"] = json.dumps(values).encode()

    rewritten(run.folder, without)
    with pytest.raises(DataError, match="SB0951"):
        specbuilder.resume(run.folder)


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    run = small().train(root=tmp_path, device="cpu")
    before = outcome(run.folder)
    again = specbuilder.resume(run.folder)
    assert (again.state, dict(again.metrics)) == ("finished", dict(run.metrics))
    assert outcome(run.folder) == before


def test_a_longer_run_goes_on_only_when_that_is_allowed(tmp_path: Path) -> None:
    run = small().train(root=tmp_path, device="cpu")
    with pytest.raises(UsageError, match=r"train\.steps: 12 -> 16") as caught:
        specbuilder.resume(run.folder, set={"train.steps": 16})
    assert "--allow-plan-change" in str(caught.value.diagnostics[0].help)
    longer = specbuilder.resume(run.folder, set={"train.steps": 16}, allow_plan_change=True)
    assert [row["step"] for row in longer.history()] == [4, 8, 12, 16]


def test_another_plan_or_network_is_refused(tmp_path: Path) -> None:
    run = small().train(root=tmp_path, device="cpu", stop=stop_after(3))
    with pytest.raises(UsageError, match=r"train\.optimizer\.adam\.lr: 0\.01 -> 0\.1"):
        specbuilder.resume(run.folder, set={"train.optimizer.adam.lr": 0.1}, allow_plan_change=True)
    with pytest.raises(UsageError, match="the network is another"):
        specbuilder.resume(run.folder, set={"model.nodes.3": "{dropout: 0.4}"}, allow_plan_change=True)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    """Its tensors have the names and shapes of this run's, and its digests are right."""
    run, other = (small(train__optimizer=f"{{adam: {{lr: {lr}}}}}").train(root=tmp_path, device="cpu", stop=stop_after(3)) for lr in (0.01, 0.02))
    shutil.rmtree(run.folder / "checkpoints")
    shutil.copytree(other.folder / "checkpoints", run.folder / "checkpoints")
    with pytest.raises(DataError, match="of another run"):
        specbuilder.resume(run.folder)


def test_a_run_on_own_data_wants_it_again(tmp_path: Path) -> None:
    text = SPEC.replace("  digits:\n", "  arrays: {train: nowhere.npz}\n").replace("{validation: 100, test: 1500}", "{validation: 100}")
    data = (torch.rand(297, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(297) % 10)
    at_once = parse(text).train(train=data, root=tmp_path, device="cpu")
    run = parse(text).train(train=data, root=tmp_path, device="cpu", stop=stop_after(5))
    with pytest.raises(UsageError, match="given in Python"):
        specbuilder.resume(run.folder)
    with pytest.raises(UsageError, match=r"data\.fingerprint"):
        specbuilder.resume(run.folder, train=(data[0] + 1, data[1]))
    specbuilder.resume(run.folder, train=data)
    assert outcome(run.folder) == outcome(at_once.folder)
    assert specbuilder.resume(run.folder).state == "finished", "nothing is wanted of a run that is finished"


class FullDisk:
    """A file that takes half of what it is given once, and then nothing until there is room."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.has_room, self.took_half = stream, False, False

    def write(self, content: bytes) -> int:
        if self.has_room:
            return self.stream.write(content)
        if not self.took_half:
            self.took_half = True
            return self.stream.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        self.stream.close()


def test_lines_that_find_no_room_are_told_once_and_written_later(tmp_path: Path) -> None:
    said: list[str] = []
    journal = Journal(tmp_path, said.append)
    lines = journal._files[METRICS]  # a full disk cannot be had otherwise
    lines._stream = disk = FullDisk(lines._stream)  # type: ignore[assignment]
    for step in (1, 2):
        journal.evaluation({"step": step}, {"step": step})
    assert len(said) == 1
    assert "metrics.jsonl cannot be written: No space left on device" in said[0]
    assert journal.texts()[METRICS] == '{"step": 1}\n{"step": 2}\n'
    disk.has_room = True
    journal.evaluation({"step": 3}, {"step": 3})
    assert (tmp_path / METRICS).read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n' == journal.texts()[METRICS]
    journal.close()


def test_verify_makes_the_steps_again(tmp_path: Path) -> None:
    said: list[str] = []

    class Host(Silent):
        def said(self, text: str) -> None:
            said.append(text)

    run = small().train(root=tmp_path, device="cpu", stop=stop_after(6))
    specbuilder.resume(run.folder, stop=stop_after(1), verify=True, host=Host())
    assert any(text.startswith("verified") for text in said), said

    def moved(files: dict[str, bytes]) -> None:
        tensors = safetensors.torch.load(files["model.safetensors"])
        tensors["linear.bias"][3] += 2**-20
        files["model.safetensors"] = safetensors.torch.save(tensors)

    rewritten(run.folder, moved)
    with pytest.raises(CheckError, match="other bits"):
        specbuilder.resume(run.folder, verify=True)


def test_a_damaged_checkpoint_is_passed_over_and_said(whole: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = small(train__checkpoint="{every: 2 steps, keep: 3, best: true}").train(root=tmp_path, device="cpu", stop=stop_after(9))
    last = max((run.folder / "checkpoints").glob("step-*")) / "model.safetensors"
    content = bytearray(last.read_bytes())
    content[-1] ^= 1
    last.write_bytes(content)
    with pytest.raises(DataError, match="SB0952"):
        specbuilder.resume(run.folder, fallback=False)
    in_another_process(run.folder)
    assert outcome(run.folder)["metrics.jsonl"] == whole["metrics.jsonl"]
    assert outcome(run.folder)["model.safetensors"] == whole["model.safetensors"]


def test_runs_are_listed(tmp_path: Path) -> None:
    small().train(root=tmp_path, device="cpu", stop=stop_after(3))
    small().train(root=tmp_path, device="cpu")
    found = [(each.folder.name, each.state, each.step, each.steps) for each in list_runs(tmp_path)]
    assert found == [("1", "interrupted", 3, STEPS), ("2", "finished", STEPS, STEPS)]
