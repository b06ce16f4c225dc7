"""One process at a time in a run folder; the lock goes with its process, however that ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from specbuilder.diagnostics import ResourceError, UsageError
from specbuilder.training.lock import Lock, is_locked

HOLDER = """if True:
    import sys, time
    from pathlib import Path
    from specbuilder.training.lock import Lock
    with Lock(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.readline()
"""
FORKING = """if True:
    import os, sys, time
    from pathlib import Path
    from specbuilder.training.lock import Lock
    with Lock(Path(sys.argv[1])):
        child = os.fork()
        if child == 0:
            sys.stdin.close()
            time.sleep(60)
            os._exit(0)
        print(f"held {child}", flush=True)
        sys.stdin.readline()
"""


@contextmanager
def holder(folder: Path, code: str = HOLDER) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that holds the folder, and what it printed."""
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with holder(tmp_path) as (other, said):
        assert said == "held"
        assert is_locked(tmp_path)
        with pytest.raises(UsageError) as error, Lock(tmp_path):
            pass
        assert str(error.value) == (
            f"error[SB0953]: the run in {tmp_path} goes on in process {other.pid} on {socket.gethostname()}\n  = help: wait until it ends, or stop it"
        )
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == other.pid  # whoever is refused writes nothing into it


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    with holder(tmp_path) as (other, _):
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert (tmp_path / ".lock").exists()
        assert not is_locked(tmp_path)
        with Lock(tmp_path) as lock:
            assert lock.is_held
            assert json.loads((tmp_path / ".lock").read_text()) == {"pid": os.getpid(), "host": socket.gethostname()}


def test_a_worker_that_outlives_its_parent_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path, FORKING) as (other, said):
        child = int(said.removeprefix("held "))
        try:
            assert is_locked(tmp_path)  # the child's copy is closed, and that frees nothing
            other.send_signal(signal.SIGKILL)
            other.wait()
            with Lock(tmp_path) as lock:
                assert lock.is_held
            os.kill(child, 0)  # and it does live
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_second_holder_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with Lock(tmp_path), pytest.raises(UsageError), Lock(tmp_path):
        pass
    with Lock(tmp_path) as lock:
        assert lock.is_held
    assert not lock.is_held
    assert not is_locked(tmp_path)


def test_whoever_only_looks_does_not_stop_a_run_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`is_locked` holds the folder for an instant. Here the instant ends while `Lock` waits."""
    looking = Lock(tmp_path)
    looking.__enter__()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        looking.__exit__(None, None, None)

    monkeypatch.setattr(time, "sleep", sleep)
    with Lock(tmp_path) as lock:
        assert lock.is_held
    assert waits == [0.05]


@pytest.mark.parametrize("said", [b"", b"\xff", b"[1]", b'{"pid": "a"}', b'{"pid": 1}', b"[" * 1000])
def test_a_lock_that_does_not_say_whose_it_is_still_holds(tmp_path: Path, said: bytes) -> None:
    with Lock(tmp_path):
        (tmp_path / ".lock").write_bytes(said)
        with pytest.raises(UsageError) as error, Lock(tmp_path):
            pass
    assert error.value.diagnostics[0].message == f"the run in {tmp_path} goes on in another process"


def test_what_the_file_says_cannot_drive_the_terminal(tmp_path: Path) -> None:
    with Lock(tmp_path):
        (tmp_path / ".lock").write_text(json.dumps({"pid": 7, "host": "\x1b[31mnode"}))
        with pytest.raises(UsageError) as error, Lock(tmp_path):
            pass
    assert error.value.diagnostics[0].message == f"the run in {tmp_path} goes on in process 7 on \\x1b[31mnode"


def test_a_folder_that_is_not_there_and_a_link_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as error, Lock(tmp_path / "none"):
        pass
    assert str(error.value) == f"error[SB0910]: {tmp_path}/none/.lock cannot be written: No such file or directory"
    assert not is_locked(tmp_path / "none")
    (tmp_path / "precious").write_bytes(b"1")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(ResourceError) as error, Lock(tmp_path):
        pass
    assert str(error.value) == f"error[SB0910]: {tmp_path}/.lock cannot be written: Too many levels of symbolic links"
    assert (tmp_path / "precious").read_bytes() == b"1"
