"""The few system calls that make a file last, one method each, and the three things that are done with them: write, replace, remove.

In: paths and bytes. Out: files that are whole and on the disk, not only in the memory of the system, when a function returns. No other module syncs or
renames what a checkpoint consists of, so a test that fails or records the methods of `Disk` has seen everything that can go wrong.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

Bytes = bytes | bytearray | memoryview
Content = Bytes | Sequence[Bytes]
"""What a file is to hold: in one piece, or in several that follow one another."""
T = TypeVar("T")

PASSING = (errno.EIO, errno.ESTALE)
"""Errors that may be gone at the next try: a cable, a server that starts anew."""
WAITS_S = (0.1, 0.5)
"""Between three tries."""
_PIECE = 8 * 2**20
_NO_SYNC_OF_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""What file systems say that keep the entries of folders by themselves."""


class Odd(Exception):
    """What lies at a path is no plain file. The text says what it is."""


class Disk:
    """The system calls."""

    def make(self, folder: Path, mode: int = 0o777) -> None:
        """A new folder; fails where there is one."""
        folder.mkdir(mode)

    def open_up(self, folder: Path) -> None:
        """Lets those into a folder who may look into the one it is in."""
        with suppress(OSError):
            folder.chmod(stat.S_IMODE(folder.parent.stat().st_mode) & 0o777)

    def create(self, file: Path) -> int:
        """A new file to write to; fails where there is one, or a link."""
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)

    def write(self, descriptor: int, content: memoryview) -> int:
        """Writes the beginning of the content, and says how much of it."""
        return os.write(descriptor, content)

    def sync(self, descriptor: int) -> None:
        """Returns when the content of a file is on the disk. On macOS `fsync` alone leaves it in the cache of the drive."""
        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is None:
            os.fsync(descriptor)
        else:
            fcntl.fcntl(descriptor, full)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Returns when the names in a folder are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_SYNC_OF_FOLDERS:
                raise
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def unlink(self, file: Path) -> None:
        file.unlink()

    def remove(self, folder: Path) -> None:
        """Removes an empty folder."""
        folder.rmdir()

    def open(self, file: Path) -> int:
        """A plain file to read from; never through a link, and never waiting for the other end of a pipe."""
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Odd("a symbolic link") from None
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Odd("no file")
        return descriptor

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def read(self, descriptor: int, at_most: int) -> bytes:
        return os.read(descriptor, at_most)

    def forget(self, descriptor: int) -> None:
        """Lets go of the copy of a file that the system has in memory, where it can be told to: the next read asks the disk."""
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def free(self, folder: Path) -> int | None:
        """Bytes that this user may still write there; None where the file system does not say."""
        try:
            figures = os.statvfs(folder)
        except OSError:
            return None
        return figures.f_bavail * figures.f_frsize if figures.f_blocks else None

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def patient(disk: Disk, action: Callable[[], T]) -> T:
    """Up to three tries of something that begins anew each time. A sync that failed is never merely repeated: systems drop what they could not write and
    report success the second time.
    """
    for wait in WAITS_S:
        try:
            return action()
        except OSError as error:
            if error.errno not in PASSING:
                raise
        disk.sleep(wait)
    return action()


def beside(folder: Path, prefix: str, what: str) -> Path:
    """A new name in a folder that says what it is for and whose it is: `.tmp-1200-4711-5f0c9a3e`. The random part is not from a generator that training
    draws from.
    """
    return folder / f"{prefix}{what}-{os.getpid()}-{secrets.token_hex(4)}"


def parts(content: Content) -> tuple[memoryview, ...]:
    """The bytes of a content, without a copy."""
    whole = (content,) if isinstance(content, Bytes) else content
    return tuple(memoryview(part).cast("B") for part in whole)


def write(disk: Disk, file: Path, content: Content) -> str:
    """A new file, on the disk when this returns. Gives the SHA-256 of what was handed to the system."""
    digest = sha256()
    descriptor = disk.create(file)
    try:
        for part in parts(content):
            for start in range(0, len(part), _PIECE):
                piece = part[start : start + _PIECE]
                digest.update(piece)
                while piece:
                    written = disk.write(descriptor, piece)
                    if written == 0:
                        raise OSError(errno.EIO, os.strerror(errno.EIO))
                    piece = piece[written:]
        disk.sync(descriptor)
        disk.forget(descriptor)
    finally:
        disk.close(descriptor)
    return digest.hexdigest()


@contextmanager
def opened(disk: Disk, file: Path) -> Iterator[int]:
    """A plain file to read from."""
    descriptor = disk.open(file)
    try:
        yield descriptor
    finally:
        disk.close(descriptor)


def pieces(disk: Disk, descriptor: int, length: int, at_most: int) -> Iterator[bytes]:
    """The content of an open file in pieces of at most so many bytes. Of one that has become longer than it was, just enough to tell."""
    rest = length + 1
    while rest and (piece := disk.read(descriptor, min(rest, at_most))):
        rest -= len(piece)
        yield piece


def replace(disk: Disk, file: Path, content: bytes) -> None:
    """A small file that is never half there."""
    new = beside(file.parent, ".tmp-", file.name)
    write(disk, new, content)
    disk.rename(new, file)
    disk.sync_folder(file.parent)


def make_all(disk: Disk, folder: Path) -> None:
    """A folder with those above it, made where they are missing."""
    if folder.is_dir():
        return
    make_all(disk, folder.parent)
    with suppress(FileExistsError):
        disk.make(folder)
    disk.sync_folder(folder.parent)


def remove_all(disk: Disk, path: Path) -> None:
    """Removes a file, or a folder with what is in it; of a link only the link. What is gone already is no failure."""
    with suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            disk.unlink(path)
            return
        for entry in sorted(path.iterdir()):
            remove_all(disk, entry)
        disk.remove(path)


def is_left_over(name: str) -> bool:
    """Whether a name that `beside` made belongs to a process that is gone. One of this very process does: whoever asks is not writing."""
    pid = name.split("-")[-2] if name.count("-") >= 3 else ""
    if not pid.isdecimal() or int(pid) == os.getpid():
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
