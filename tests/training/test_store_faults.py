"""Whatever call fails, and wherever the process or the power goes, a good checkpoint is there and the next save works.

Every call that a save makes is counted by a first run that only records, then failed, each in turn and in each way. What a power cut may leave is
worked out by a model of a disk that keeps only what was synced, by the rules of POSIX and not by the order in which our code happens to call.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from specbuilder.diagnostics import ResourceError
from specbuilder.training.durable import Disk
from specbuilder.training.store import Keep, Store

T = TypeVar("T")
Action = Callable[[], Any]


class Exit(BaseException):
    """The process ends here."""


class Watched(Disk):
    """Records each call, and from the call number `at` on lets `fault` decide. Syncs nothing: a process that ends does not lose what it wrote."""

    def __init__(self, at: int | None = None, fault: Fault | None = None) -> None:
        self.calls: list[tuple[str, str]] = []
        self.slept: list[float] = []
        self.is_short = False
        self.has_ended = False
        self._at, self._fault = at, fault
        self._open: dict[int, Path] = {}

    def _call(self, name: str, what: str, action: Callable[[], T]) -> T:
        assert not self.has_ended, f"{name} {what} after the end of the process"
        index = len(self.calls)
        self.calls.append((name, re.sub(r"-[0-9]+-[0-9a-f]{8}(?![0-9a-f])", "", what)))
        if self._at is None or self._fault is None or index < self._at:
            return action()
        return self._fault(self, index == self._at, name, action)

    def make(self, folder: Path, mode: int = 0o777) -> None:
        self._call("make", folder.name, lambda: super(Watched, self).make(folder, mode))

    def open_up(self, folder: Path) -> None:
        self._call("open_up", folder.name, lambda: super(Watched, self).open_up(folder))

    def create(self, file: Path) -> int:
        descriptor = self._call("create", _short(file), lambda: super(Watched, self).create(file))
        self._open[descriptor] = file
        return descriptor

    def write(self, descriptor: int, content: memoryview) -> int:
        def action() -> int:
            part = content[: max(1, len(content) // 2)] if self.is_short else content
            return super(Watched, self).write(descriptor, part)

        return self._call("write", _short(self._open[descriptor]), action)

    def sync(self, descriptor: int) -> None:
        self._call("sync", _short(self._open[descriptor]), lambda: None)

    def sync_folder(self, folder: Path) -> None:
        self._call("sync_folder", folder.name, lambda: None)

    def rename(self, source: Path, target: Path) -> None:
        self._call("rename", f"{source.name} to {target.name}", lambda: super(Watched, self).rename(source, target))

    def unlink(self, file: Path) -> None:
        self._call("unlink", _short(file), lambda: super(Watched, self).unlink(file))

    def remove(self, folder: Path) -> None:
        self._call("remove", folder.name, lambda: super(Watched, self).remove(folder))

    def open(self, file: Path) -> int:
        descriptor = self._call("open", _short(file), lambda: super(Watched, self).open(file))
        self._open[descriptor] = file
        return descriptor

    def read(self, descriptor: int, at_most: int) -> bytes:
        return self._call("read", _short(self._open[descriptor]), lambda: super(Watched, self).read(descriptor, at_most))

    def free(self, folder: Path) -> int | None:
        return None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


Fault = Callable[[Watched, bool, str, Action], Any]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: thousands of small folders, of which nothing needs to last."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None) as folder:
        yield Path(folder)


def _short(file: Path) -> str:
    return file.name if file.parent.name == "checkpoints" else f"{file.parent.name}/{file.name}"


def failing(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def save(store: Store, step: int, tag: str = "", keep: Keep | None = None) -> Path:
    return store.save(step, content(step, tag), facts={"tag": tag}, healthy=True, keep=keep or Keep())


def content(step: int, tag: str = "") -> dict[str, bytes]:
    return {"a": f"{tag} a of {step} ".encode() * 9, "b": f"{tag} b of {step} ".encode() * 300}


# The faults ----------------------------------------------------------------------------------------------------------


def once_eio(disk: Watched, is_first: bool, name: str, action: Action) -> Any:
    if is_first:
        raise failing(errno.EIO)
    return action()


def done_but_eio(disk: Watched, is_first: bool, name: str, action: Action) -> Any:
    """The server did it, and the answer was lost."""
    if is_first:
        result = action()
        if name in ("create", "open"):
            os.close(result)
        raise failing(errno.EIO)
    return action()


def always_eio(disk: Watched, is_first: bool, name: str, action: Action) -> Any:
    raise failing(errno.EIO)


def once_no_room(disk: Watched, is_first: bool, name: str, action: Action) -> Any:
    if is_first:
        raise failing(errno.ENOSPC)
    return action()


def full(disk: Watched, is_first: bool, name: str, action: Action) -> Any:
    if name in ("make", "create", "write", "sync"):
        raise failing(errno.ENOSPC)
    return action()


def over_quota(disk: Watched, is_first: bool, name: str, action: Action) -> Any:
    """Half of it, then no more."""
    if name == "write":
        if not disk.is_short:
            disk.is_short = True
            return action()
        raise failing(errno.EDQUOT)
    return action()


def short(disk: Watched, is_first: bool, name: str, action: Action) -> Any:
    disk.is_short = True
    return action()


def end(disk: Watched, is_first: bool, name: str, action: Action) -> Any:
    disk.has_ended = True
    raise Exit


CHANGING = ("make", "create", "write", "rename", "unlink", "remove")
SYNCING = ("sync", "sync_folder")
READING = ("open", "read")
FAULTS: dict[Fault, tuple[str, ...]] = {
    once_eio: (*CHANGING, *SYNCING, *READING),
    done_but_eio: (*CHANGING, *SYNCING),
    always_eio: (*CHANGING, *SYNCING, *READING),
    once_no_room: (*CHANGING, *SYNCING),
    full: ("make", "create", "write", "sync"),
    over_quota: ("write",),
    short: ("write",),
    end: CHANGING,  # before each; so after the one before, too
}
"""Each fault with the calls that it begins at."""
SUCCEED = [once_eio, short]


# What is there when it happens ---------------------------------------------------------------------------------------


def two(store: Store) -> None:
    save(store, 1)
    save(store, 2)


def one(store: Store) -> None:
    save(store, 3, tag="old", keep=Keep(count=1))


def same(store: Store) -> None:
    save(store, 1)
    save(store, 3)


def damaged(store: Store) -> None:
    save(store, 2)
    (save(store, 3) / "a").write_bytes(b"")


def left_over(store: Store) -> None:
    """Ended while step 2 took the place of another one, and while something else was written and removed."""
    save(store, 1)
    save(store, 2)
    shutil.move(save(Store(store.folder.parent / "other", Watched()), 2, tag="old"), store.folder / "step-00000002.new")
    shutil.copytree(store.folder / "step-00000001", store.folder / ".trash-step-00000000-99999999999-00000000")
    shutil.copytree(store.folder / "step-00000001", store.folder / ".tmp-2-99999999999-00000000")


SCENES: list[tuple[Callable[[Store], None], Keep]] = [
    (two, Keep(best=2)),
    (one, Keep(count=1)),
    (same, Keep(count=1)),
    (damaged, Keep(count=1)),
    (left_over, Keep(count=1)),
]


@pytest.mark.parametrize("fault", list(FAULTS), ids=lambda fault: fault.__name__)
@pytest.mark.parametrize(("scene", "keep"), SCENES, ids=[scene.__name__ for scene, _ in SCENES])
def test_whatever_fails_a_good_checkpoint_is_there(memory: Path, scene: Callable[[Store], None], keep: Keep, fault: Fault) -> None:
    template = memory / "checkpoints"
    scene(Store(template, Watched()))
    before = Store(template, Watched()).newest()[0]
    assert before is not None
    shutil.copytree(template, memory / "recorded" / "checkpoints")
    recording = Watched()
    save(Store(memory / "recorded" / "checkpoints", recording), 3, keep=keep)
    calls = [at for at, (name, _) in enumerate(recording.calls) if name in FAULTS[fault]]
    for at in calls:
        folder = memory / str(at) / "checkpoints"
        shutil.copytree(template, folder)
        disk = Watched(at, fault)
        outcome = tried(Store(folder, disk), keep)
        found, _ = Store(folder, Watched()).newest()
        where = f"at call {at}: {disk.calls[at]}"
        assert found is not None, where
        assert found.files == content(3) if outcome == "saved" else found.files in (before.files, content(3)), where
        if fault in SUCCEED:
            assert outcome == "saved", where
        if fault in (once_no_room, full, over_quota) and outcome == "failed" and disk.calls[at][0] not in ("unlink", "remove"):
            assert [entry.name for entry in folder.iterdir() if entry.name.startswith(".tmp-3-")] == [], where
        assert len(disk.slept) <= 8, where
        after = Store(folder, Watched())
        save(after, 4, keep=keep)
        assert after.remarks == (), where
        assert [entry.name for entry in folder.iterdir() if entry.name.startswith(".")] == [], where
        last, rejected = Store(folder, Watched()).newest()
        assert last is not None and last.files == content(4) and rejected == (), where
        shutil.rmtree(memory / str(at))
    assert len(calls) >= (1 if fault in (over_quota, short) else 3)  # there was something to fail


def tried(store: Store, keep: Keep) -> str:
    try:
        save(store, 3, keep=keep)
    except ResourceError:
        return "failed"
    except Exit:
        return "ended"
    return "saved"


def test_real_ends_of_a_process_leave_a_good_checkpoint(tmp_path: Path) -> None:
    """`os._exit` in the middle of a call: no `finally`, nothing flushed."""
    code = """if True:
        import os, sys
        from pathlib import Path
        from specbuilder.training.durable import Disk
        from specbuilder.training.store import Keep, Store
        left = int(sys.argv[2])
        def ending(name):
            method = getattr(Disk, name)
            def called(self, *arguments):
                global left
                left -= 1
                if left < 0:
                    os._exit(9)
                return method(self, *arguments)
            return called
        for name in ("make", "create", "write", "sync", "sync_folder", "rename", "unlink", "remove"):
            setattr(Disk, name, ending(name))
        Store(Path(sys.argv[1])).save(2, {"a": b"new" * 999}, facts={}, healthy=True, keep=Keep(count=1))
    """
    ends = []
    for calls in (2, 6, 8, 9, 12, 15, 16, 99):
        store = Store(tmp_path / str(calls))
        store.save(1, {"a": b"old"}, facts={}, healthy=True, keep=Keep())
        ends.append(subprocess.run([sys.executable, "-c", code, str(store.folder), str(calls)], check=False).returncode)
        found, rejected = Store(store.folder).newest()
        assert found is not None and rejected == ()
        assert found.files["a"] in (b"old", b"new" * 999)
        Store(store.folder).save(3, {"a": b"next"}, facts={}, healthy=True, keep=Keep(count=1))
        assert sorted(entry.name for entry in store.folder.iterdir()) == ["LATEST", "step-00000003"]
    assert ends == [9, 9, 9, 9, 9, 9, 9, 0]


SAVER = """if True:
    import os, sys
    from pathlib import Path
    from specbuilder.training.store import Keep, Store
    store = Store(Path(sys.argv[1]))
    found, rejected = store.newest()
    step = found.manifest.step if found else 0
    assert rejected == ()
    assert found is None or found.files == {"a": b"%d " % step * 5000, "b": b"%d" % step}
    while True:
        step += 1
        store.save(step, {"a": b"%d " % step * 5000, "b": b"%d" % step}, facts={}, healthy=True, keep=Keep(count=1))
        assert store.remarks == ()
        print(step, flush=True)
"""


def killed(folder: Path, draw: random.Random) -> tuple[list[int], str]:
    """A process that saves for ever is killed at a random moment of its life, most of which is within `save`. The steps that it says are saved."""
    process = subprocess.Popen([sys.executable, "-c", SAVER, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(draw.random() * 0.1)
    process.kill()
    more, errors = process.communicate()
    # The last line may be half there.
    return [int(line) for line in (first + more).splitlines(keepends=True) if line.endswith("\n")], errors


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.long)])
def test_a_killed_process_loses_at_most_what_it_was_saving(tmp_path: Path, kills: int) -> None:
    folder = tmp_path / "checkpoints"
    draw = random.Random(kills)
    last = 0
    for _ in range(kills):
        saved, errors = killed(folder, draw)
        assert errors == ""
        assert saved[0] in (last + 1, last + 2)
        last = saved[-1]
        found, rejected = Store(folder).newest()
        assert found is not None and found.manifest.step in (last, last + 1) and rejected == ()
        assert sum(entry.name.startswith(".") for entry in folder.iterdir()) <= 3
    Store(folder).save(last + 9, {}, facts={}, healthy=True, keep=Keep(count=1))
    assert sorted(entry.name for entry in folder.iterdir()) == ["LATEST", f"step-{last + 9:08d}"]


# Errors that pass, and those that do not -----------------------------------------------------------------------------


class Rotting(Watched):
    """Writes other bytes than it is given, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def write(self, descriptor: int, content: memoryview) -> int:
        if self.times > 0 and len(content) > 1000:
            self.times -= 1
            content = memoryview(bytes(content[:-1]) + bytes([content[-1] ^ 1]))
        return super().write(descriptor, content)


@pytest.mark.parametrize(("times", "slept"), [(0, []), (1, [0.1]), (2, [0.1, 0.5])])
def test_what_does_not_read_back_is_written_again(tmp_path: Path, times: int, slept: list[float]) -> None:
    disk = Rotting(times)
    store = Store(tmp_path / "checkpoints", disk)
    save(store, 1)
    assert disk.slept == slept
    found, rejected = store.newest()
    assert found is not None and found.files == content(1) and rejected == ()


def test_what_never_reads_back_is_no_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    save(Store(folder, Watched()), 1, keep=Keep(count=1))
    with pytest.raises(ResourceError) as error:
        save(Store(folder, Rotting(3)), 2, keep=Keep(count=1))
    assert str(error.value) == (
        f"error[SB0910]: {folder}/step-00000002 cannot be written: it does not read back as it was written "
        "(the file b does not hold the bytes that were saved); it needs 14.4 KiB\n  = help: what was saved before is untouched"
    )
    assert sorted(entry.name for entry in folder.iterdir()) == ["LATEST", "step-00000001"]


@pytest.mark.parametrize(
    ("code", "said", "help"),
    [
        (errno.EIO, "Input/output error", "what was saved before is untouched"),
        (errno.ESTALE, "Stale file handle", "what was saved before is untouched"),
        (errno.ENOSPC, "No space left on device", "what was saved before is untouched; make room on this disk"),
        (errno.EDQUOT, "Disk quota exceeded", "what was saved before is untouched; make room on this disk"),
        (errno.EROFS, "Read-only file system", "what was saved before is untouched"),
    ],
)
def test_errors_are_said_in_words_and_passing_ones_tried_three_times(tmp_path: Path, code: int, said: str, help: str) -> None:
    def fault(disk: Watched, is_first: bool, name: str, action: Action) -> Any:
        if name == "write":
            raise failing(code)
        return action()

    folder = tmp_path / "checkpoints"
    disk = Watched(0, fault)
    with pytest.raises(ResourceError) as error:
        save(Store(folder, disk), 1)
    assert str(error.value) == f"error[SB0910]: {folder}/step-00000001 cannot be written: {said}; it needs 14.4 KiB\n  = help: {help}"
    tries = [name for name, _ in disk.calls].count("write")
    assert (tries, disk.slept) == ((3, [0.1, 0.5]) if code in (errno.EIO, errno.ESTALE) else (1, []))


def test_a_disk_that_gives_no_bytes_is_told_of_and_the_one_before_chosen(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    two(Store(folder, Watched()))
    unreadable = folder / "step-00000002" / "b"

    class Bad(Watched):
        def open(self, file: Path) -> int:
            if file == unreadable:
                raise failing(errno.EIO)
            return super().open(file)

    disk = Bad()
    found, rejected = Store(folder, disk).newest()
    assert found is not None and found.files == content(1)
    assert [(each.path.name, each.reason) for each in rejected] == [("step-00000002", "it cannot be read: Input/output error")]
    assert disk.slept == [0.1, 0.5]


def test_hints_and_pruning_that_fail_are_remarks(tmp_path: Path) -> None:
    def fault(disk: Watched, is_first: bool, name: str, action: Action) -> Any:
        if name in ("rename", "unlink") and ("LATEST" in disk.calls[-1][1] or "trash" in disk.calls[-1][1]):
            raise failing(errno.EACCES)
        return action()

    folder = tmp_path / "checkpoints"
    save(Store(folder, Watched()), 1)
    store = Store(folder, Watched(0, fault))
    save(store, 2, keep=Keep(count=1))
    assert store.remarks == (
        f"LATEST could not be written or removed in {folder}: Permission denied.",
        f"A checkpoint that is no longer needed could not be written or removed in {folder}: Permission denied.",
    )
    assert Store(folder).steps() == [1, 2]


# The order in which things reach the disk ----------------------------------------------------------------------------


def test_each_thing_is_on_the_disk_before_the_next_relies_on_it(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    save(Store(folder, Watched()), 1)
    disk = Watched()
    save(Store(folder, disk), 2, keep=Keep(count=1, best=2))
    assert [f"{name} {what}" for name, what in disk.calls] == [
        "make .tmp-2",
        "create .tmp-2/a",
        "write .tmp-2/a",
        "sync .tmp-2/a",
        "create .tmp-2/b",
        "write .tmp-2/b",
        "sync .tmp-2/b",
        "create .tmp-2/MANIFEST.json",
        "write .tmp-2/MANIFEST.json",
        "sync .tmp-2/MANIFEST.json",
        "open_up .tmp-2",
        "sync_folder .tmp-2",
        # Read back, to the end and once more, to see that it is the end.
        "open .tmp-2/MANIFEST.json",
        *["read .tmp-2/MANIFEST.json"] * 2,
        "open .tmp-2/a",
        *["read .tmp-2/a"] * 2,
        "open .tmp-2/b",
        *["read .tmp-2/b"] * 2,
        "rename .tmp-2 to step-00000002",
        "sync_folder checkpoints",
        "create .tmp-LATEST",
        "write .tmp-LATEST",
        "sync .tmp-LATEST",
        "rename .tmp-LATEST to LATEST",
        "sync_folder checkpoints",
        "create .tmp-BEST",
        "write .tmp-BEST",
        "sync .tmp-BEST",
        "rename .tmp-BEST to BEST",
        "sync_folder checkpoints",
        "rename step-00000001 to .trash-step-00000001",
        "sync_folder checkpoints",
        "unlink .trash-step-00000001/MANIFEST.json",
        "unlink .trash-step-00000001/a",
        "unlink .trash-step-00000001/b",
        "remove .trash-step-00000001",
    ]


def test_another_one_of_the_same_step_is_there_before_the_old_one_goes(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    one(Store(folder, Watched()))
    disk = Watched()
    save(Store(folder, disk), 3, keep=Keep(count=1))
    calls = [f"{name} {what}" for name, what in disk.calls]
    assert [call for call in calls[calls.index("sync_folder .tmp-3") :] if not call.startswith(("open", "read"))] == [
        "sync_folder .tmp-3",
        "rename .tmp-3 to step-00000003.new",
        "sync_folder checkpoints",
        "rename step-00000003 to .trash-step-00000003",
        "rename step-00000003.new to step-00000003",
        "sync_folder checkpoints",
        "create .tmp-LATEST",
        "write .tmp-LATEST",
        "sync .tmp-LATEST",
        "rename .tmp-LATEST to LATEST",
        "sync_folder checkpoints",
        "unlink .trash-step-00000003/MANIFEST.json",
        "unlink .trash-step-00000003/a",
        "unlink .trash-step-00000003/b",
        "remove .trash-step-00000003",
    ]


def test_one_that_is_kept_is_put_on_the_disk_too(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    same(Store(folder, Watched()))
    disk = Watched()
    save(Store(folder, disk), 3)
    assert [what for name, what in disk.calls if name in SYNCING][:5] == [
        "step-00000003/a",
        "step-00000003/b",
        "step-00000003/MANIFEST.json",
        "step-00000003",
        "checkpoints",
    ]
    assert not [call for call in disk.calls if call[0] == "make"]


def test_what_is_left_over_makes_room_first(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    left_over(Store(folder, Watched()))
    disk = Watched()
    save(Store(folder, disk), 3)
    made_or_removed = [f"{name} {what}" for name, what in disk.calls if name in ("make", "remove")]
    assert made_or_removed[:3] == ["remove .tmp-2", "remove .trash-step-00000000", "make .tmp-3"]


def test_the_folders_above_are_on_the_disk_too(tmp_path: Path) -> None:
    disk = Watched()
    save(Store(tmp_path / "run" / "checkpoints", disk), 1)
    assert disk.calls[:4] == [("make", "run"), ("sync_folder", tmp_path.name), ("make", "checkpoints"), ("sync_folder", "run")]


# Power cuts ----------------------------------------------------------------------------------------------------------


class File:
    """What was written, and what of it a power cut leaves."""

    def __init__(self, content: bytes) -> None:
        self.written = self.kept = content

    def states(self) -> list[bytes]:
        return [self.kept] if self.kept == self.written else [self.kept, self.written, b"\0" * len(self.written)]


class Folder:
    """What it holds, what it held when it was last synced, and the changes since then: a power cut leaves any of them done and any undone."""

    def __init__(self, entries: dict[str, File | Folder]) -> None:
        self.entries, self.kept = dict(entries), dict(entries)
        self.changes: list[tuple[str | None, str | None, File | Folder]] = []

    def change(self, taken: str | None, put: str | None, node: File | Folder) -> None:
        """A new name, a name less, or a name for another one."""
        self.entries = changed(self.entries, [(taken, put, node)])
        self.changes.append((taken, put, node))

    def sync(self) -> None:
        self.kept, self.changes = dict(self.entries), []

    def states(self) -> Iterator[dict[str, File | Folder]]:
        for done in itertools.product((False, True), repeat=len(self.changes)):
            yield changed(self.kept, [change for change, is_done in zip(self.changes, done, strict=True) if is_done])


def changed(entries: dict[str, File | Folder], changes: list[tuple[str | None, str | None, File | Folder]]) -> dict[str, File | Folder]:
    entries = dict(entries)
    for taken, put, node in changes:
        if taken is not None:
            entries.pop(taken, None)
        if put is not None:
            entries[put] = node
    return entries


class Cut(Disk):
    """A disk that keeps what is synced. Does everything on the real one as well, and works out what a power cut would leave after each call."""

    def __init__(self, root: Path, after_each: Callable[[str], None]) -> None:
        self.root, self.after_each = root, after_each
        self.tree = as_durable(root)
        self.descriptors: dict[int, File] = {}

    def _folder(self, path: Path) -> Folder:
        node = self.tree
        for part in path.relative_to(self.root).parts:
            found = node.entries[part]
            assert isinstance(found, Folder)
            node = found
        return node

    def _put(self, path: Path, node: File | Folder) -> None:
        self._folder(path.parent).change(None, path.name, node)

    def _take(self, path: Path) -> None:
        parent = self._folder(path.parent)
        parent.change(path.name, None, parent.entries[path.name])

    def make(self, folder: Path, mode: int = 0o777) -> None:
        super().make(folder, mode)
        self._put(folder, Folder({}))
        self.after_each(f"make {folder.name}")

    def create(self, file: Path) -> int:
        descriptor = super().create(file)
        node = self.descriptors[descriptor] = File(b"")
        self._put(file, node)
        self.after_each(f"create {file.name}")
        return descriptor

    def write(self, descriptor: int, content: memoryview) -> int:
        written = super().write(descriptor, content)
        self.descriptors[descriptor].written += bytes(content[:written])
        self.after_each("write")
        return written

    def sync(self, descriptor: int) -> None:
        node = self.descriptors.get(descriptor)
        if node is not None:
            node.kept = node.written
        self.after_each("sync")

    def sync_folder(self, folder: Path) -> None:
        self._folder(folder).sync()
        self.after_each(f"sync {folder.name}")

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        parent = self._folder(source.parent)
        assert source.parent == target.parent
        parent.change(source.name, target.name, parent.entries[source.name])
        self.after_each(f"rename {source.name} to {target.name}")

    def unlink(self, file: Path) -> None:
        super().unlink(file)
        self._take(file)
        self.after_each(f"unlink {file.name}")

    def remove(self, folder: Path) -> None:
        super().remove(folder)
        self._take(folder)
        self.after_each(f"remove {folder.name}")

    def remains(self) -> Iterator[dict[str, bytes | None]]:
        """What may be there after a power cut now: bytes by path, None for a folder. Names of the root with each set of the changes since its last
        sync, those of the folders in it and the bytes of files at their best and at their worst.
        """
        seen = set()
        for names in self.tree.states():
            for is_kept, files in itertools.product((True, False), (0, 1, 2)):
                left: dict[str, bytes | None] = {}
                for name, node in names.items():
                    inner: dict[str, File | Folder] = {name: node}
                    if isinstance(node, Folder):
                        left[name] = None
                        inner = {f"{name}/{each}": file for each, file in (node.kept if is_kept else node.entries).items()}
                    for path, file in inner.items():
                        assert isinstance(file, File)
                        states = file.states()
                        left[path] = states[min(files, len(states) - 1)]
                key = tuple(sorted(left.items(), key=lambda item: item[0]))
                if key not in seen:
                    seen.add(key)
                    yield left


def as_durable(root: Path) -> Folder:
    return Folder({entry.name: as_durable(entry) if entry.is_dir() else File(entry.read_bytes()) for entry in root.iterdir()})


@pytest.mark.parametrize(("scene", "keep"), SCENES, ids=[scene.__name__ for scene, _ in SCENES])
def test_a_power_cut_leaves_a_good_checkpoint(memory: Path, scene: Callable[[Store], None], keep: Keep) -> None:
    folder = memory / "checkpoints"
    scene(Store(folder, Watched()))
    before = Store(folder, Watched()).newest()[0]
    assert before is not None
    cuts = 0

    def looked_at(when: str, expected: tuple[Mapping[str, bytes], ...] = (before.files, content(3))) -> None:
        nonlocal cuts
        for left in disk.remains():
            cuts += 1
            copy = memory / "cut" / "checkpoints"
            copy.mkdir(parents=True)
            for path, content_left in left.items():
                if content_left is None:
                    (copy / path).mkdir()
                else:
                    (copy / path).write_bytes(content_left)
            found, _ = Store(copy, Watched()).newest()
            assert found is not None, f"a power cut after {when} left no good checkpoint: {sorted(left)}"
            assert found.files in expected, f"a power cut after {when} left {found.path.name}: {sorted(left)}"
            shutil.rmtree(memory / "cut")

    disk = Cut(folder, looked_at)
    save(Store(folder, disk), 3, keep=keep)
    looked_at("the save", (content(3),))
    assert cuts > (5 if scene is same else 30)


def test_room_is_not_made_because_of_a_checkpoint_whose_name_is_not_on_the_disk(memory: Path) -> None:
    """A process was killed between the rename of step 2 and the sync of the folder; on a full disk, the next one makes room. Then the power goes."""
    folder = memory / "checkpoints"
    save(Store(folder, Watched()), 1)
    found: list[list[int]] = []

    class Full(Cut):
        is_killed = False

        def sync_folder(self, folder: Path) -> None:
            if folder == self.root and not self.is_killed:
                self.is_killed = True
                raise Exit
            super().sync_folder(folder)

        def free(self, folder: Path) -> int | None:
            return 0 if self.is_killed else None

    def looked_at(when: str) -> None:
        for left in disk.remains():
            whole = [step for step in (1, 2) if all(left.get(f"step-0000000{step}/{name}") == each for name, each in content(step).items())]
            assert whole, f"a power cut after {when} left no good checkpoint: {sorted(left)}"
            found.append(whole)

    disk = Full(folder, looked_at)
    with pytest.raises(Exit):
        save(Store(folder, disk), 2, keep=Keep(count=1))
    with pytest.raises(ResourceError):
        save(Store(folder, disk), 3, keep=Keep(count=1))
    assert Store(folder).steps() == [2]
    assert found[-1] == [2]
