"""A run folder has one holder at a time; the second one is told who holds it, and a holder that dies holds nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from specbuilder.diagnostics import ResourceError, UsageError
from specbuilder.training.lock import Lock, is_locked

HOLDER = """if True:
    import os, sys
    from pathlib import Path
    from specbuilder.diagnostics import UsageError
    from specbuilder.training.lock import Lock
    try:
        with Lock(Path(sys.argv[1])):
            if len(sys.argv) > 2 and os.fork() == 0:
                print(f"held by {os.getppid()}, and a worker of it is {os.getpid()}", flush=True)
                sys.stdin.read()
                os._exit(0)
            elif len(sys.argv) == 2:
                print("held", flush=True)
            sys.stdin.read()
    except UsageError as error:
        print(error)
"""


def holder(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), *more], stdin=PIPE, stdout=PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def said(folder: Path, pid: int) -> str:
    return f"error[SB0953]: the run in {folder} goes on in process {pid} on {socket.gethostname()}\n  = help: wait until it ends, or stop it"


def test_the_second_of_two_processes_is_told_who_is_the_first(tmp_path: Path) -> None:
    first = holder(tmp_path)
    assert line(first) == "held"
    with pytest.raises(UsageError) as error, Lock(tmp_path):
        pass
    assert (str(error.value), error.value.exit_code) == (said(tmp_path, first.pid), 2)
    assert holder(tmp_path).communicate("")[0].strip() == said(tmp_path, first.pid)
    first.communicate("")
    with Lock(tmp_path) as lock:
        assert lock.is_held
        assert holder(tmp_path).communicate("")[0].strip() == said(tmp_path, os.getpid())
    assert not lock.is_held
    assert holder(tmp_path).communicate("")[0].strip() == "held"


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    process = holder(tmp_path)
    assert line(process) == "held"
    assert is_locked(tmp_path)
    process.kill()
    process.communicate()
    assert not is_locked(tmp_path)
    with Lock(tmp_path) as lock:
        assert lock.is_held


def test_a_worker_that_outlives_its_killed_parent_holds_nothing(tmp_path: Path) -> None:
    process = holder(tmp_path, "with a worker")
    worker = int(line(process).rpartition(" ")[2])
    with pytest.raises(UsageError), Lock(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.kill(worker, 0)  # it is there
    with Lock(tmp_path) as lock:
        assert lock.is_held
    process.communicate("")


def test_one_process_does_not_hold_a_folder_twice(tmp_path: Path) -> None:
    with Lock(tmp_path):
        with pytest.raises(UsageError) as error, Lock(tmp_path):
            pass
        assert str(error.value) == said(tmp_path, os.getpid())
        with pytest.raises(UsageError), Lock(tmp_path):
            pass  # the one that failed freed nothing


def test_an_error_within_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Lock(tmp_path):
        raise ZeroDivisionError
    with Lock(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x", "host": 1}', '{"pid": null, "host": 1}', "[" * 900])
def test_whatever_the_file_says_the_folder_is_held(tmp_path: Path, text: str) -> None:
    with Lock(tmp_path):
        (tmp_path / ".lock").write_text(text)
        with pytest.raises(UsageError) as error, Lock(tmp_path):
            pass
    assert str(error.value) == f"error[SB0953]: the run in {tmp_path} goes on in another process\n  = help: wait until it ends, or stop it"


def test_a_lock_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as error, Lock(tmp_path / "none"):
        pass
    assert str(error.value) == f"error[SB0910]: {tmp_path}/none/.lock cannot be written: No such file or directory"
    (tmp_path / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResourceError), Lock(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_whoever_is_refused_writes_nothing(tmp_path: Path) -> None:
    with Lock(tmp_path):
        before = (tmp_path / ".lock").read_bytes()
        (tmp_path / ".lock").write_bytes(b"other" + before)
        with pytest.raises(UsageError), Lock(tmp_path):
            pass
        assert (tmp_path / ".lock").read_bytes() == b"other" + before


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


def test_looking_is_not_holding_and_makes_no_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
    with Lock(tmp_path):
        assert is_locked(tmp_path)
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_what_the_file_says_cannot_drive_the_terminal(tmp_path: Path) -> None:
    with Lock(tmp_path):
        (tmp_path / ".lock").write_text(json.dumps({"pid": 7, "host": "\x1b[31mnode"}))
        with pytest.raises(UsageError) as error, Lock(tmp_path):
            pass
    assert error.value.diagnostics[0].message == f"the run in {tmp_path} goes on in process 7 on \\x1b[31mnode"
