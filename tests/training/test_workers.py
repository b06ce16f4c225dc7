"""Worker processes: the same bits as the resident feed whatever their number, and what is said when one fails.

The witness is the feed that keeps everything on the device, over two epochs with a ragged last batch, all kinds of changes and both orders. Faults are
real: an exception, `os._exit`, SIGKILL, a read that never ends. No test looks at how long anything took.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, TensorDataset

import specbuilder.training.workers as workers_module
from specbuilder.api import Run, Spec, parse
from specbuilder.catalogue.contract import Column, Columns, Transform
from specbuilder.catalogue.lookup import find
from specbuilder.diagnostics import SpecbuilderError, render_all
from specbuilder.training.data import gather
from specbuilder.training.feed import Batch, Batches, Feed, Normalization, Route, Stopped
from specbuilder.training.loader import Loaded, LoaderFeed
from specbuilder.training.samples import Samples
from specbuilder.training.workers import WorkerFeed, source_of

CPU = torch.device("cpu")
COUNT = 23
IMAGES = torch.randint(0, 256, (COUNT, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
COLUMNS: Columns = {"image": Column(IMAGES, 1.0), "target": Column(torch.arange(COUNT) % 4)}
FEATURES = ("image", "target")


def children() -> set[str]:
    """The processes that this one started, dead ones that nobody has asked for included; not the one by which Python tracks shared memory."""
    found = {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}
    return {pid for pid in found if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()}


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Every test ends what it starts."""
    before = children()
    yield
    assert multiprocessing.active_children() == []
    assert children() <= before


def transform(name: str, **fields: object) -> Transform:
    kind = find("transform", name)
    assert kind is not None
    made = kind(**fields)
    assert isinstance(made, Transform)
    return made


ROUTE = Route(
    feature="image",
    transforms=(
        ("augment.random_crop", transform("random_crop", size=8, padding=2)),
        ("augment.random_rotation", transform("random_rotation", degrees=20)),
        ("augment.random_horizontal_flip", transform("random_horizontal_flip")),
    ),
    normalization=Normalization(torch.full((1, 3, 1, 1), 0.3), torch.full((1, 3, 1, 1), 0.4)),
)

SPEC = """
specbuilder: 1
name: tiny
model:
  inputs: {{image: "float32[B, 3, 8, 8]"}}
  nodes: [flatten, linear: 4]
data:
  arrays: nowhere.npz
  batch_size: 8
{data}
train:
  epochs: 2
  loss: cross_entropy
  optimizer: {{sgd: {{lr: 0.01}}}}
  compile: "off"
"""


def spec(data: str) -> Spec:
    return parse(SPEC.format(data="".join(f"  {line}\n" for line in data.splitlines())))


class Pictures(Dataset[Any]):
    """A map-style Dataset. `fault` is what happens at one of its samples."""

    def __init__(self, fault: Callable[[], object] | None = None, at: int = 8) -> None:
        self.fault, self.at = fault, at

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> Any:
        if self.fault is not None and index == self.at and (said := self.fault()) is not None:
            return said
        return IMAGES[index], index % 4

    def describe(self, index: int) -> str:
        return f"pictures/{index}.png"


def samples(dataset: Any) -> Samples:
    parts, _ = gather(spec("feed: workers"), {"train": dataset})
    train = parts["train"]
    assert isinstance(train, Samples)
    return train


def options(**changed: Any) -> dict[str, Any]:
    return {"batch_size": 5, "seed_of": lambda _: 7, "device": CPU, **changed}


def resident(**changed: Any) -> Feed:
    return Feed(COLUMNS, FEATURES, ROUTE, **options(**changed))


def feed(part: Any = COLUMNS, *, workers: int, **changed: Any) -> WorkerFeed:
    return WorkerFeed(source_of(part, FEATURES, "train", 7), FEATURES, ROUTE, workers=workers, **options(**changed))


def same(one: Sequence[Batch], other: Sequence[Batch]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


def error(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(SpecbuilderError) as refused:
        call()
    return refused.value.exit_code, render_all(refused.value.diagnostics)


def drained(found: Batches) -> list[Batch]:
    return list(found.epoch(0))


# The same bits ---------------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], Any]] = {"columns": lambda: COLUMNS, "a Dataset": lambda: samples(Pictures())}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_number_of_workers_changes_no_bit(part: str, workers: int, shuffle: bool) -> None:
    witness, found = resident(shuffle=shuffle), feed(PARTS[part](), workers=workers, shuffle=shuffle)
    assert found.batches == witness.batches == 5
    for epoch in (0, 1, 7):
        whole = list(witness.epoch(epoch))
        assert [len(batch[1]) for batch in whole] == [5, 5, 5, 5, 3]
        assert same(whole, list(found.epoch(epoch)))
        for first in range(len(whole) + 1):
            assert same(whole[first:], list(found.epoch(epoch, first)))
            assert same(whole[first:], list(witness.epoch(epoch, first)))
        # The labels say which samples they are.
        for number, batch in enumerate(whole):
            assert witness.indices(epoch, number) == found.indices(epoch, number)
            assert [index % 4 for index in found.indices(epoch, number)] == batch[1].tolist()
    found.close()


@given(data=st.data())
@settings(max_examples=25)
def test_chunks_batches_and_where_it_begins_change_no_bit(data: st.DataObject) -> None:
    batch_size, shuffle, drop_last = data.draw(st.integers(1, 30)), data.draw(st.booleans()), data.draw(st.booleans())
    at_once, epoch = data.draw(st.integers(1, 6)), data.draw(st.integers(0, 40))
    changed = {"batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last}
    single, chunked, read = resident(**changed), resident(**changed), feed(workers=0, **changed)
    single._at_once, chunked._at_once = 1, at_once
    first = data.draw(st.integers(0, single.batches))
    whole = list(single.epoch(epoch))
    assert len(whole) == single.batches
    assert same(whole[first:], list(chunked.epoch(epoch, first)))
    assert same(whole[first:], list(read.epoch(epoch, first)))


@pytest.mark.parametrize("workers", [0, 3])
def test_an_epoch_that_was_left_early_leaves_nothing_behind(workers: int) -> None:
    witness, found = resident(shuffle=True), feed(samples(Pictures()), workers=workers, shuffle=True)
    for epoch in range(3):
        assert same(list(witness.epoch(epoch))[:2], [batch for batch, _ in zip(found.epoch(epoch), range(2), strict=False)])
    assert same(list(witness.epoch(3)), list(found.epoch(3)))
    found.close()
    found.close()


def test_a_batch_is_not_overwritten_by_later_ones() -> None:
    """Without transforms nothing is copied on the way but what was read into shared memory."""
    plain = WorkerFeed(source_of(COLUMNS, FEATURES, "train", 7), ("target", "target"), Route(feature="image"), workers=1, **options(batch_size=1))
    assert [int(batch[0]) for batch in plain.epoch(0)] == [index % 4 for index in range(COUNT)]
    plain.close()


class Drawing(Dataset[Any]):
    """Draws from every generator that code of others draws from."""

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> Any:
        import random

        # The old generator of numpy is the one that such code uses.
        drawn = torch.rand(3), np.random.rand(3).astype(np.float32), torch.tensor([random.random() for _ in range(2)])  # noqa: NPY002
        return torch.cat([torch.as_tensor(each) for each in drawn]).repeat(24).reshape(3, 8, 8), index % 4


def test_what_a_dataset_draws_belongs_to_the_sample_and_the_epoch() -> None:
    part = samples(Drawing())
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found = {workers: feed(part, workers=workers, shuffle=True, batch_size=4) for workers in (0, 1, 3)}
    drawn = {workers: [list(each.epoch(epoch)) for epoch in range(2)] for workers, each in found.items()}
    for each in found.values():
        each.close()
    assert same(drawn[0][0], drawn[1][0])
    assert same(drawn[0][1], drawn[3][1])
    assert same(drawn[0][0], drawn[3][0])
    sample = part.read(5, 0, 7)["image"]
    assert not torch.equal(sample, part.read(5, 1, 7)["image"])
    assert not torch.equal(sample, part.read(6, 0, 7)["image"])
    assert not torch.equal(sample, part.read(5, 0, 8)["image"])
    assert torch.equal(before, torch.get_rng_state())


def test_spawned_workers_read_the_same() -> None:
    """Where processes cannot be forked, everything is pickled and the memory is torch's."""
    found = feed(workers=1, shuffle=True, start="spawn")
    assert same(list(resident(shuffle=True).epoch(2)), list(found.epoch(2)))
    found.close()


# Through the door that users take --------------------------------------------------------------------------------------

AUGMENTED = "normalize: train\naugment: [random_crop: {size: 8, padding: 1}, random_horizontal_flip]\nsplit: {validation: 6}\n"


def weights(run: Run) -> dict[str, Tensor]:
    return dict(run.model.state_dict())


def test_a_run_is_the_same_however_it_is_fed(tmp_path: Path) -> None:
    def run(data: str, own: Any) -> Run:
        return spec(AUGMENTED + data).train(train=own, root=tmp_path, device="cpu")

    witness = run("feed: device", Pictures())
    others = [run("feed: workers\nworkers: 0", Pictures()), run("workers: 2", Pictures()), run("workers: 1", (IMAGES, torch.arange(COUNT) % 4))]
    for other in others:
        assert all(torch.equal(tensor, weights(witness)[name]) for name, tensor in weights(other).items())
        assert other.metrics == witness.metrics
        assert (other.folder / "metrics.jsonl").read_bytes() == (witness.folder / "metrics.jsonl").read_bytes()


def test_a_run_is_stopped_while_a_read_hangs(tmp_path: Path) -> None:
    asked = iter([False, False])
    run = spec("workers: 2\nshuffle: false").train(train=Pictures(hangs), root=tmp_path, device="cpu", stop=lambda: next(asked, True))
    assert run.state == "interrupted"


# Faults ----------------------------------------------------------------------------------------------------------------

SAMPLE = "sample 8 of the part `train` (pictures/8.png)"
MEMORY = "  = help: if memory ran out, use fewer `workers`; `workers: 0` reads in the training process"

DISK = "  = help: look at that sample, and at the disk or the network that it comes from"


def broken() -> object:
    raise OSError("truncated file")


def killed() -> object:
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def hangs() -> object:
    time.sleep(1000)
    return None


FAULTS: dict[str, tuple[Callable[[], object], int, str]] = {
    "raises, no workers": (broken, 0, f"error[SB0811]: {SAMPLE} cannot be read: OSError: truncated file"),
    "raises": (broken, 2, f"error[SB0811]: {SAMPLE} cannot be read (in worker 1): OSError: truncated file"),
    "leaves": (lambda: os._exit(3), 2, f"error[SB0812]: worker 1 ended with exit code 3 while it read {SAMPLE}\n{MEMORY}"),
    "is killed": (killed, 2, f"error[SB0812]: worker 1 was killed by SIGKILL while it read {SAMPLE}\n{MEMORY}"),
    "hangs": (
        hangs,
        2,
        f"error[SB0813]: worker 1 hangs: it has not read {SAMPLE} in 0.3 seconds\n{DISK}",
    ),
    "another shape": (
        lambda: (torch.zeros(3, 4, 8, dtype=torch.uint8), 0),
        2,
        "error[SB0810]: `image` of sample 8 of the part `train` is uint8[3, 4, 8], but that of the first one is uint8[3, 8, 8]",
    ),
    "another dtype": (
        lambda: (IMAGES[0] / 2, 0),
        2,
        "error[SB0810]: `image` of sample 8 of the part `train` is float32[3, 8, 8], but that of the first one is uint8[3, 8, 8]",
    ),
    "another feature": (
        lambda: {"image": IMAGES[0]},
        2,
        "error[SB0810]: `target` of sample 8 of the part `train` is none, but that of the first one is int64[]",
    ),
    "not finite": (
        lambda: (torch.full((3, 8, 8), torch.nan), 0),
        2,
        "error[SB0809]: `train`: `image` of sample 8 is not finite: it holds NaN or infinity",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_worker_and_sample(name: str) -> None:
    fault, workers, expected = FAULTS[name]
    source = source_of(samples(Pictures(fault)), FEATURES, "train", 7)
    found = WorkerFeed(source, FEATURES, ROUTE, workers=workers, timeout_s=0.3, **options())
    batches = found.epoch(0)
    # What was read before is not lost.
    assert torch.equal(next(batches)[0], next(resident().epoch(0))[0])
    assert error(lambda: next(batches)) == (5, expected)


def test_a_traceback_of_a_worker_is_kept() -> None:
    found = feed(samples(Pictures(broken)), workers=1)
    with pytest.raises(SpecbuilderError) as caught:
        drained(found)
    assert 'raise OSError("truncated file")' in str(caught.value.__cause__)


def test_a_dataset_that_describes_nothing_is_named_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    part = samples(Pictures(broken))
    monkeypatch.setattr(Pictures, "describe", lambda *_: 1 / 0)
    assert error(lambda: drained(feed(part, workers=1)))[1].startswith("error[SB0811]: sample 8 of the part `train` cannot be read (in worker 0)")
    monkeypatch.delattr(Pictures, "describe")
    assert error(lambda: drained(feed(part, workers=0)))[1].startswith("error[SB0811]: sample 8 of the part `train` cannot be read: OSError")


@pytest.mark.parametrize("workers", [0, 2])
def test_labels_beyond_the_classes_are_found_before_they_reach_the_device(workers: int, tmp_path: Path) -> None:
    """Cut into parts and shuffled: what is named is the sample of the caller's Dataset."""
    wrong = Pictures(lambda: (IMAGES[0], 9))
    data = f"feed: workers\nworkers: {workers}\nsplit: {{validation: 6}}"
    message = "error[SB0805]: `target` of sample 8 of the part `train` is 9, but the model scores the classes 0 to 3"
    assert error(lambda: spec(data).train(train=wrong, root=tmp_path, device="cpu")) == (5, message)


@pytest.mark.parametrize(("at", "data"), [(0, ""), (8, "normalize: train")])
def test_a_sample_that_cannot_be_read_before_the_run_begins(at: int, data: str, tmp_path: Path) -> None:
    """At the first look, and where the normalization is fitted."""
    found = error(lambda: spec(f"feed: workers\n{data}").train(train=Pictures(broken, at), root=tmp_path, device="cpu"))
    assert found == (5, f"error[SB0811]: sample {at} of the part `train` (pictures/{at}.png) cannot be read: OSError: truncated file")


def test_a_dataset_that_cannot_be_counted_or_is_empty(tmp_path: Path) -> None:
    empty = TensorDataset(IMAGES[:0])
    assert error(lambda: spec("feed: workers").train(train=empty, root=tmp_path)) == (5, "error[SB0804]: `train`: there are no samples")


# Stopping --------------------------------------------------------------------------------------------------------------


def test_a_stop_ends_the_wait_for_a_read_that_hangs() -> None:
    asked = iter([False, False, True])
    found = feed(samples(Pictures(hangs)), workers=2, stop=lambda: next(asked, True))
    with pytest.raises(Stopped):
        drained(found)
    found.close()


def test_without_workers_a_stop_is_heard_between_batches() -> None:
    asked = iter([False, False, True])
    found = feed(workers=0, stop=lambda: next(asked))
    batches = found.epoch(0)
    assert len([next(batches), next(batches)]) == 2
    with pytest.raises(Stopped):
        next(batches)


def test_a_worker_that_died_of_the_signal_that_stops_the_run_is_no_fault() -> None:
    is_stopped = False

    def stop() -> bool:
        return is_stopped

    found = feed(samples(Pictures(hangs)), workers=1, stop=stop)
    batches = found.epoch(0)
    next(batches)
    found._workers[0].process.terminate()
    found._workers[0].process.join()
    is_stopped = True
    with pytest.raises(Stopped):
        next(batches)
    found.close()


def test_ctrl_c_and_the_end_of_a_terminal_do_not_reach_workers() -> None:
    found = feed(workers=2, batch_size=1)
    batches = found.epoch(0)
    next(batches)
    for worker in found._workers:
        os.kill(worker.process.pid, signal.SIGINT)
        os.kill(worker.process.pid, signal.SIGHUP)
    assert len(list(batches)) == COUNT - 1
    found.close()


def test_a_feed_that_nobody_holds_ends_its_workers() -> None:
    found = feed(workers=2)
    next(found.epoch(0))
    pids = [worker.process.pid for worker in found._workers]
    del found
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


KILLED = """
import os, signal, sys, time
sys.path.insert(0, {folder!r})
import test_workers as t
found = t.feed(t.samples(t.Pictures(t.hangs)), workers=2)
next(found.epoch(0))
print(*[worker.process.pid for worker in found._workers], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker that hangs outlives a killed run until its read ends")
def test_workers_of_a_killed_run_end_even_where_they_hang() -> None:
    """They would hold its files, and its lock with them."""
    ended = subprocess.run(
        [sys.executable, "-c", KILLED.format(folder=str(Path(__file__).parent))],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path.cwd(),
        timeout=60,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    pids = [int(pid) for pid in ended.stdout.split()]
    assert len(pids) == 2
    # Their ends of stdout are closed, since `run` waited for that; the last of a process goes a moment later.
    while any(_lives(pid) for pid in pids):
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    """Whether a process is there and no zombie that its new parent has still to see."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# What a machine lacks --------------------------------------------------------------------------------------------------


LESS = "  = help: use fewer `workers`; `workers: 0` reads in the training process"


def test_too_little_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch takes 64 bytes for the numbers of its 5 samples, 960 for their images, 64 for their labels; two are read ahead by each worker."""
    monkeypatch.setattr(workers_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=64))
    said = "shared memory ran out: the batches that 2 workers read ahead need 4.2 KiB, and /dev/shm has 64 B free"
    assert error(lambda: drained(feed(workers=2, start="spawn"))) == (4, f"error[SB0605]: {said}\n{LESS}")


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(workers_module.mmap, "mmap", refused)
    said = "memory ran out: the batches that 1 worker reads ahead need 2.1 KiB"
    assert error(lambda: drained(feed(workers=1, start="fork"))) == (4, f"error[SB0605]: {said}\n{LESS}")


def test_a_dataset_that_cannot_be_pickled_where_processes_cannot_be_forked() -> None:
    class Inner(Pictures):
        pass

    code, text = error(lambda: drained(feed(samples(Inner()), workers=1, start="spawn")))
    assert code == 2
    assert text.startswith("error[SB0814]: the samples cannot be handed to worker processes: Can't")
    assert text.endswith("  = help: define the Dataset and what it holds at the top of a module; `workers: 0` reads in the training process")


# A caller's DataLoader -------------------------------------------------------------------------------------------------


def loader_feed(loader: DataLoader[Any]) -> LoaderFeed:
    parts, _ = gather(spec(""), {"train": loader})
    train = parts["train"]
    assert isinstance(train, Loaded)
    return LoaderFeed(train, FEATURES, ROUTE, seed_of=lambda _: 7, device=CPU)


def of_loader(**changed: Any) -> LoaderFeed:
    return loader_feed(DataLoader(changed.pop("dataset", Drawing()), batch_size=8, **changed))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_without_a_generator_draws_from_a_stream_of_the_epoch(shuffle: bool, num_workers: int) -> None:
    def made() -> LoaderFeed:
        return of_loader(shuffle=shuffle, num_workers=num_workers)

    torch.manual_seed(1)
    before = torch.get_rng_state()
    whole = list(made().epoch(3))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert same(whole, list(made().epoch(3)))
    assert all(same(whole[first:], list(made().epoch(3, first))) for first in range(1, 4))
    assert not same(whole, list(made().epoch(4)))
    assert made().promise == "bit-exact"
    assert made().generators == ()


def test_a_loader_with_a_generator_goes_on_from_where_the_epoch_began() -> None:
    def made() -> LoaderFeed:
        return of_loader(dataset=Pictures(), shuffle=True, generator=torch.Generator().manual_seed(3))

    found = made()
    list(found.epoch(0))
    began = [generator.get_state() for generator in found.generators]
    whole = list(found.epoch(1))
    again = made()
    for generator, state in zip(again.generators, began, strict=True):
        generator.set_state(state)
    assert same(whole[2:], list(again.epoch(1, 2)))
    assert len(began) == 1


class Every(RandomSampler):
    """A sampler of the caller, which may remember anything."""


def test_what_a_loader_can_promise() -> None:
    dataset = Pictures()
    assert of_loader(dataset=dataset, shuffle=True).promise == "bit-exact"
    assert of_loader(dataset=dataset, num_workers=1, persistent_workers=True).promise == "same-order"
    assert of_loader(dataset=dataset, sampler=Every(dataset)).promise == "weights-only"
    assert [of_loader(dataset=dataset).indices(0, batch) for batch in range(3)] == [list(range(8)), list(range(8, 16)), list(range(16, 23))]
    assert of_loader(dataset=dataset, shuffle=True).indices(0, 0) == []
