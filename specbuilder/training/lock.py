"""One process at a time in a run folder: `.lock` in it is held, by `flock`, for as long as the run lasts.

The system lets go of the lock when the process ends, however it ends, so there is nothing to tidy up after a crash; that the file is there means
nothing. What it says, process and host, is for the message to whoever comes second.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
import weakref
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from specbuilder.diagnostics import ResourceError, UsageError, visible

FILE = ".lock"
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
_LONGEST = 1000
_TRIES, _WAIT_S = 5, 0.05
"""`is_locked` holds the folder for a moment too; whoever wants it for a run does not give up for that."""


class Lock:
    """`with Lock(folder):` holds a run folder. A second holder, in this process or another one, gets a `UsageError`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """False within `with` on a file system that knows no locks: there the user has to take care."""
        return self._descriptor is not None

    def __enter__(self) -> Self:
        path = self.folder / FILE
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ResourceError.of("SB0910", f"{path} cannot be written: {error.strerror}") from error
        try:
            _take(descriptor)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            message = f"the run in {self.folder} goes on in {holder}"
            raise UsageError.of("SB0953", message, help="wait until it ends, or stop it") from None
        except OSError as error:
            os.close(descriptor)
            if error.errno not in _WITHOUT_LOCKS:
                raise ResourceError.of("SB0910", f"{path} cannot be locked: {error.strerror}") from error
            return self
        self._descriptor = descriptor
        _HELD.add(self)
        # The lock holds whether or not there is room on the disk to say whose it is.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode() + b"\n", 0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._let_go()

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        _HELD.discard(self)


def _take(descriptor: int) -> None:
    for _ in range(_TRIES - 1):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_WAIT_S)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(folder: Path) -> bool:
    """Whether a run holds the folder at this moment."""
    try:
        descriptor = os.open(folder / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    finally:
        os.close(descriptor)
    return False


def _holder(descriptor: int) -> str:
    """`process 4711 on node3`, as far as the file says."""
    with suppress(OSError, ValueError, RecursionError, TypeError, KeyError):
        said = json.loads(os.pread(descriptor, _LONGEST, 0).decode())
        return f"process {int(said['pid'])} on {visible(str(said['host']))}"
    return "another process"


_HELD: weakref.WeakSet[Lock] = weakref.WeakSet()


def _in_child() -> None:
    """A forked worker has the lock's descriptor too, and would hold the folder after its parent was killed. Closing its copy frees nothing here."""
    for lock in tuple(_HELD):
        lock._let_go()


os.register_at_fork(after_in_child=_in_child)
