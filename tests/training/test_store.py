"""Checkpoints on disk as a user of the store sees them: what stays, what is chosen, what is refused and in which words."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from specbuilder.diagnostics import DataError, InternalError, ResourceError
from specbuilder.training.durable import Disk
from specbuilder.training.store import Checkpoint, Keep, Manifest, Rejected, Store


def content(step: int, tag: str = "") -> dict[str, bytes]:
    return {"state.json": b'{"step": %d}' % step, "weights.safetensors": f"{tag}weights of {step} ".encode() * 40}


def save(store: Store, step: int, *, healthy: bool = True, keep: Keep | None = None, tag: str = "", **facts: Any) -> Path:
    return store.save(step, content(step, tag), facts=facts, healthy=healthy, keep=keep or Keep())


class Quick(Disk):
    """Waits for nothing: what is on the disk when is for test_store_faults.py."""

    def sync(self, descriptor: int) -> None:
        return

    def sync_folder(self, folder: Path) -> None:
        return


def quick(folder: Path) -> Store:
    return Store(folder, Quick())


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def damage(path: Path) -> None:
    (path / "weights.safetensors").write_bytes(b"other")


# What is saved comes back --------------------------------------------------------------------------------------------


def test_a_checkpoint_comes_back_byte_for_byte(tmp_path: Path) -> None:
    store = Store(tmp_path / "run" / "checkpoints")
    files = {"empty": b"", "every_byte": bytes(range(256)) * 50, "view": memoryview(bytearray(b"abc"))}
    facts = {"plan": "0f3a", "metric": 0.1 + 0.2, "größe": [1, -1e-300, True, None, {"a": "\u2028"}]}
    path = store.save(1200, files, facts=facts, healthy=True, keep=Keep())
    assert path == tmp_path / "run" / "checkpoints" / "step-00001200"
    found, rejected = Store(store.folder).newest()
    assert rejected == ()
    assert found == Checkpoint(
        path=path,
        manifest=Manifest(
            step=1200,
            parent=None,
            healthy=True,
            facts=facts,
            files={
                "empty": (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),  # as everybody knows it
                "every_byte": (12800, sha256(bytes(range(256)) * 50).hexdigest()),
                "view": (3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),  # FIPS 180-2, appendix B.1
            },
        ),
        files={name: bytes(each) for name, each in files.items()},
        verified=True,
    )
    assert names(store.folder) == ["LATEST", "step-00001200"]
    assert (store.folder / "LATEST").read_text() == "step-00001200\n"
    assert store.remarks == ()


def test_a_file_may_come_in_parts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parts = [b"one ", memoryview(bytearray(b"two ")), b"", bytearray(b"three")]
    path = store.save(1, {"a": parts, "b": []}, facts={}, healthy=True, keep=Keep())
    assert store.read(1).files == {"a": b"one two three", "b": b""}
    inode = path.stat().st_ino
    assert Store(tmp_path).save(1, {"a": b"one two three", "b": b""}, facts={}, healthy=True, keep=Keep()).stat().st_ino == inode


def test_the_manifest_is_plain_json_whose_digest_anybody_can_check(tmp_path: Path) -> None:
    path = save(Store(tmp_path), 3, plan="abc")
    read = json.loads((path / "MANIFEST.json").read_text())
    assert {name: sha256((path / name).read_bytes()).hexdigest() for name in content(3)} == {n: e["sha256"] for n, e in read["files"].items()}
    digest = read.pop("digest")
    assert sha256((json.dumps(read, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()).hexdigest() == digest
    assert read.keys() == {"format", "step", "parent", "healthy", "facts", "files"}


def test_nothing_there_is_no_failure(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert store.newest() == (None, ())
    assert store.steps() == []
    assert not store.folder.exists()


def test_the_parent_is_the_checkpoint_that_was_saved_or_read_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store, 10)
    save(store, 20)
    again = Store(tmp_path)
    save(again, 25, keep=Keep(count=9))
    once_more = Store(tmp_path)
    once_more.read(20)
    save(once_more, 30, keep=Keep(count=9))
    assert {step: store.read(step).manifest.parent for step in store.steps()} == {10: None, 20: 10, 25: None, 30: 20}


def test_a_copied_and_a_moved_folder_stay_valid(tmp_path: Path) -> None:
    save(Store(tmp_path / "a" / "checkpoints"), 5)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a").rename(tmp_path / "c")
    for place in ("b", "c"):
        found, rejected = Store(tmp_path / place / "checkpoints").newest()
        assert found is not None and found.files == content(5) and rejected == ()


def test_the_folder_may_be_a_link_to_a_larger_disk(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "checkpoints").symlink_to(tmp_path / "large")
    save(Store(tmp_path / "checkpoints"), 1)
    assert names(tmp_path / "large") == ["LATEST", "step-00000001"]
    assert Store(tmp_path / "checkpoints").read(1).files == content(1)


@pytest.mark.parametrize(("umask", "folder", "file"), [(0o022, 0o755, 0o644), (0o077, 0o700, 0o600), (0o002, 0o775, 0o664)])
def test_whoever_may_look_into_the_run_may_look_into_its_checkpoints(tmp_path: Path, umask: int, folder: int, file: int) -> None:
    before = os.umask(umask)
    try:
        path = save(Store(tmp_path / "run" / "checkpoints"), 1)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path.parent.parent, path.parent, path)] == [folder] * 3
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.iterdir()} == {file}


def test_torch_is_not_needed(tmp_path: Path) -> None:
    code = "import sys, specbuilder.training.store, specbuilder.training.lock; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What stays ----------------------------------------------------------------------------------------------------------

RETENTION = [
    ("two by default", Keep(), "10 20 30 40", [30, 40]),
    ("one", Keep(count=1), "10 20 30", [30]),
    ("three", Keep(count=3), "10 20 30 40 50", [30, 40, 50]),
    ("each that the number divides", Keep(count=1, every=20), "10 20 30 40 50", [20, 40, 50]),
    ("the best", Keep(best=10), "10 20 30 40", [10, 30, 40]),
    ("the best and each", Keep(count=1, every=30, best=20), "10 20 30 40 50", [20, 30, 50]),
    ("a best that is not there", Keep(best=15), "10 20 30", [20, 30]),
    ("unhealthy ones push nothing out", Keep(), "10 20 30! 40! 50!", [10, 20, 30, 40, 50]),
    ("unhealthy ones go when enough healthy ones are newer", Keep(), "10 20! 30 40!", [10, 20, 30, 40]),
    ("all of them", Keep(), "10 20! 30 40! 50", [30, 40, 50]),
    ("unhealthy first", Keep(count=1), "10! 20! 30", [30]),
    ("damaged ones push nothing out", Keep(), "10 20 30x 40", [20, 30, 40]),
    ("damaged ones go as well", Keep(), "10x 20 30", [20, 30]),
    ("the one just saved stays though newer ones are there", Keep(count=1), "30 10", [10, 30]),
]


@pytest.mark.parametrize("is_new_process", [False, True], ids=["one process", "a process each"])
@pytest.mark.parametrize(("keep", "saved", "stay"), [row[1:] for row in RETENTION], ids=[row[0] for row in RETENTION])
def test_what_stays(tmp_path: Path, keep: Keep, saved: str, stay: list[int], is_new_process: bool) -> None:
    """`!` is saved as unhealthy; `x` is damaged after it was saved, before another process saves the next."""
    store = quick(tmp_path)
    for word in saved.split():
        path = save(store, int(word.rstrip("!x")), healthy="!" not in word, keep=keep)
        if "x" in word:
            damage(path)
        if is_new_process or "x" in word:
            store = quick(tmp_path)
    assert store.steps() == stay
    assert {name for name in names(tmp_path) if name.startswith(".")} == set()


def test_only_a_healthy_one_lets_others_go(tmp_path: Path) -> None:
    store = quick(tmp_path)
    save(store, 10)
    save(store, 20)
    save(store, 30, healthy=False, keep=Keep(count=1))
    assert store.steps() == [10, 20, 30]
    save(store, 40, keep=Keep(count=1))
    assert store.steps() == [40]


def test_latest_and_best_are_hints(tmp_path: Path) -> None:
    store = quick(tmp_path)
    save(store, 10)
    save(store, 20, keep=Keep(best=10))
    save(store, 30, keep=Keep(best=10), healthy=False)
    assert ((tmp_path / "LATEST").read_text(), (tmp_path / "BEST").read_text()) == ("step-00000020\n", "step-00000010\n")
    (tmp_path / "LATEST").write_text("step-00000099\n")
    (tmp_path / "BEST").unlink()
    found, _ = store.newest()
    assert found is not None and found.manifest.step == 20


def test_what_dead_processes_left_is_removed_and_what_live_ones_write_is_not(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True).stdout.strip()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"1")
    store = quick(tmp_path / "checkpoints")
    save(store, 1)
    gone = [f".tmp-7-{dead}-0a0b0c0d", f".trash-step-00000007-{dead}-0a0b0c0d", f".tmp-8-{os.getpid()}-00000000", ".tmp-what", ".trash-"]
    stay = [f".tmp-9-{os.getppid()}-00000000", "notes"]
    for name in [*gone, *stay]:
        (store.folder / name / "deep").mkdir(parents=True)
        (store.folder / name / "deep" / "file").write_bytes(b"1")
        (store.folder / name / "link").symlink_to(outside)
    (store.folder / f".tmp-LATEST-{dead}-0a0b0c0d").write_bytes(b"step")
    save(store, 2)
    assert names(store.folder) == sorted([*stay, "LATEST", "step-00000001", "step-00000002"])
    assert names(outside) == ["precious"]


# The same step again -------------------------------------------------------------------------------------------------

AGAIN = [
    ("the same content", {}, {}, "", "first"),
    ("other content", {}, {"tag": "other "}, "", "second"),
    ("other facts", {}, {"metric": 0.5}, "", "second"),
    ("damaged", {}, {}, "x", "second"),
    ("a healthy one instead of an unhealthy one", {"healthy": False}, {"tag": "other "}, "", "second"),
    ("an unhealthy one instead of a healthy one", {}, {"healthy": False, "tag": "other "}, "", "first"),
    ("an unhealthy one instead of a damaged one", {}, {"healthy": False, "tag": "other "}, "x", "second"),
]


@pytest.mark.parametrize(("first", "second", "harm", "holds"), [row[1:] for row in AGAIN], ids=[row[0] for row in AGAIN])
def test_a_step_that_is_there_already(tmp_path: Path, first: dict[str, Any], second: dict[str, Any], harm: str, holds: str) -> None:
    store = quick(tmp_path)
    path = save(store, 7, **first)
    inode = path.stat().st_ino
    if harm:
        damage(path)
    assert save(store, 7, **second) == path
    assert (path.stat().st_ino == inode) == (holds == "first")
    expected = first if holds == "first" else second
    found = store.read(7)
    assert found.files == content(7, expected.get("tag", ""))
    assert found.manifest.healthy == expected.get("healthy", True)
    assert names(tmp_path) == (["LATEST", "step-00000007"] if first.get("healthy", True) or holds == "second" else ["step-00000007"])
    is_refused = not second.get("healthy", True) and holds == "first"
    said = "step-00000007 is healthy and stays; the new one of this step is not healthy and was not saved."
    assert store.remarks == ((said,) if is_refused else ())


# What is refused, and said -------------------------------------------------------------------------------------------


def test_the_newest_good_one_is_chosen_and_each_other_has_its_reason(tmp_path: Path) -> None:
    store = quick(tmp_path)
    for step in (10, 20, 30, 40, 50):
        save(store, step, healthy=step != 40, keep=Keep(count=9))
    damage(tmp_path / "step-00000050")
    (tmp_path / "step-00000030" / "state.json").unlink()
    (tmp_path / "step-60").mkdir()  # no name of ours
    found, rejected = store.newest()
    assert found is not None and found.manifest.step == 20
    assert rejected == (
        Rejected(tmp_path / "step-00000050", "the file weights.safetensors has 5 bytes, and 560 were saved"),
        Rejected(tmp_path / "step-00000040", "it was not healthy when it was saved"),
        Rejected(tmp_path / "step-00000030", "the file state.json is missing"),
    )
    assert store.read(40).manifest.healthy is False
    with pytest.raises(DataError) as error:
        store.read(50)
    assert str(error.value) == (
        f"error[SB0951]: the checkpoint {tmp_path}/step-00000050 is damaged: the file weights.safetensors has 5 bytes, and 560 were saved\n"
        "  = help: there are checkpoints of the steps 10, 20, 30, 40"
    )
    with pytest.raises(DataError) as error:
        store.read(55)
    assert str(error.value) == (
        f"error[SB0952]: there is no checkpoint of step 55 in {tmp_path}\n  = help: there are checkpoints of the steps 10, 20, 30, 40, 50"
    )
    assert store.required() == (found, rejected)


def test_no_good_checkpoint_is_an_error_that_names_each(tmp_path: Path) -> None:
    store = quick(tmp_path)
    with pytest.raises(DataError) as error:
        store.required()
    assert str(error.value) == f"error[SB0952]: there is no checkpoint in {tmp_path}"
    save(store, 1, healthy=False)
    damage(save(store, 2))
    with pytest.raises(DataError) as error:
        store.required()
    assert str(error.value) == (
        f"error[SB0952]: there is no good checkpoint in {tmp_path}\n"
        "  = help: step-00000002: the file weights.safetensors has 5 bytes, and 520 were saved; step-00000001: it was not healthy when it was saved"
    )


def test_links_pipes_and_other_things_are_refused(tmp_path: Path) -> None:
    def linked_file(path: Path) -> None:
        (path / "state.json").rename(tmp_path / "state")
        (path / "state.json").symlink_to(tmp_path / "state")

    def linked_manifest(path: Path) -> None:
        (path / "MANIFEST.json").rename(tmp_path / "manifest")
        (path / "MANIFEST.json").symlink_to(tmp_path / "manifest")

    def linked_folder(path: Path) -> None:
        path.rename(tmp_path / "folder")
        path.symlink_to(tmp_path / "folder")

    def pipe(path: Path) -> None:
        (path / "state.json").unlink()
        os.mkfifo(path / "state.json")

    def folder(path: Path) -> None:
        (path / "state.json").unlink()
        (path / "state.json").mkdir()

    def plain(path: Path) -> None:
        shutil.rmtree(path)
        path.write_bytes(b"")

    def other_step(path: Path) -> None:
        shutil.rmtree(path)
        shutil.copytree(path.with_name("step-00000001"), path)

    def empty(path: Path) -> None:
        shutil.rmtree(path)
        path.mkdir()

    table = [
        (linked_file, "the file state.json is a symbolic link"),
        (linked_manifest, "its MANIFEST.json is a symbolic link"),
        (linked_folder, "it is a symbolic link"),
        (pipe, "the file state.json is no file"),
        (folder, "the file state.json is no file"),
        (plain, "it is no folder"),
        (other_step, "its MANIFEST.json is that of step 1"),
        (empty, "it has no MANIFEST.json"),
    ]
    for number, (harm, reason) in enumerate(table):
        store = quick(tmp_path / str(number))
        save(store, 1)
        path = save(store, 2)
        harm(path)
        found, rejected = store.newest()
        assert found is not None and found.manifest.step == 1
        assert rejected == (Rejected(path, reason),), harm.__name__
        assert save(quick(store.folder), 2) == path
        assert quick(store.folder).read(2).files == content(2), harm.__name__


@pytest.mark.parametrize(
    ("files", "facts", "keep", "message"),
    [
        ({"../a": b""}, {}, Keep(), "a file of a checkpoint cannot be called '../a'"),
        ({"MANIFEST.json": b""}, {}, Keep(), "a file of a checkpoint cannot be called 'MANIFEST.json'"),
        ({".hidden": b""}, {}, Keep(), "a file of a checkpoint cannot be called '.hidden'"),
        ({}, {"metric": float("nan")}, Keep(), "the facts of a checkpoint are not JSON: Out of range float values are not JSON compliant"),
        ({}, {"a": {1}}, Keep(), "the facts of a checkpoint are not JSON: Object of type set is not JSON serializable"),
        ({}, {}, Keep(count=0), "step 1 cannot be kept by Keep(count=0, every=None, best=None)"),
    ],
)
def test_mistakes_of_callers_are_found_before_anything_is_written(
    tmp_path: Path, files: dict[str, bytes], facts: dict[str, Any], keep: Keep, message: str
) -> None:
    with pytest.raises(InternalError) as error:
        quick(tmp_path).save(1, files, facts=facts, healthy=True, keep=keep)
    assert message in str(error.value)
    assert names(tmp_path) == []


# No room -------------------------------------------------------------------------------------------------------------


class Full(Quick):
    """A disk that says how much is free."""

    def __init__(self, *free: int) -> None:
        self.answers = list(free)

    def free(self, folder: Path) -> int | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_too_little_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    save(quick(tmp_path), 1)
    # Three files of one block of 4096 bytes each, and a fifth: 14745.6.
    with pytest.raises(ResourceError) as error:
        save(Store(tmp_path, Full(14744)), 2)
    assert str(error.value) == (
        f"error[SB0910]: {tmp_path}/step-00000002 cannot be written: No space left on device; it needs 14.4 KiB, 14.4 KiB are free\n"
        "  = help: what was saved before is untouched; make room on this disk"
    )
    assert names(tmp_path) == ["LATEST", "step-00000001"]
    save(Store(tmp_path, Full(14745)), 2)


def test_room_is_made_only_of_what_may_go_anyway(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save(quick(tmp_path), step, keep=Keep(count=3))
    save(Store(tmp_path, Full(0, 10**6)), 4, keep=Keep(count=2))
    assert quick(tmp_path).steps() == [3, 4]
    with pytest.raises(ResourceError):
        save(Store(tmp_path, Full(0)), 5, keep=Keep(count=1))
    assert quick(tmp_path).steps() == [4]


def test_making_room_looks_anew_at_what_is_good(tmp_path: Path) -> None:
    disk = Full(10**6)
    store = Store(tmp_path, disk)
    save(store, 1)
    damage(save(store, 2))
    disk.answers = [0]
    with pytest.raises(ResourceError):
        save(store, 3, keep=Keep(count=1))
    found, _ = store.newest()
    assert found is not None and found.manifest.step == 1


def test_a_file_size_limit_of_the_system_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    """RLIMIT_FSIZE gives EFBIG in the middle of a file, as a full disk gives ENOSPC, without having to fill one."""
    code = """if True:
        import resource, sys
        from pathlib import Path
        from specbuilder.diagnostics import ResourceError
        from specbuilder.training.store import Keep, Store
        store = Store(Path(sys.argv[1]))
        store.save(1, {"a": b"a" * 5000}, facts={}, healthy=True, keep=Keep(count=1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
        try:
            store.save(2, {"a": b"a" * 5000, "b": b"b" * 1_000_000}, facts={}, healthy=True, keep=Keep(count=1))
        except ResourceError as error:
            print(error.diagnostics[0].message.partition(" MiB")[0])
        print([path.name for path in sorted(store.folder.iterdir())])
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.save(2, {"a": b"a" * 5000, "b": b"b" * 1_000_000}, facts={}, healthy=True, keep=Keep(count=1))
        print([path.name for path in sorted(store.folder.iterdir())])
    """
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [
        f"{tmp_path}/step-00000002 cannot be written: File too large; it needs 1.2",
        "['LATEST', 'step-00000001']",
        "['LATEST', 'step-00000002']",
    ]


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = quick(tmp_path / "file")
    with pytest.raises(ResourceError) as error:
        save(store, 1)
    assert error.value.diagnostics[0].message.startswith(f"{tmp_path}/file/step-00000001 cannot be written: Not a directory; it needs 14.4 KiB, ")
    with pytest.raises(DataError) as unread:
        store.newest()
    assert str(unread.value) == f"error[SB0951]: the checkpoints in {tmp_path}/file cannot be read: Not a directory"
