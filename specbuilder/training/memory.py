"""Memory and disk that are not there: what torch and the system say about it, as a `ResourceError` in words and sizes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from safetensors import SafetensorError

from specbuilder.diagnostics import ResourceError
from specbuilder.graph.count import size

PART = ".part"
"""How the name of a file ends that is not whole yet; it begins with a dot."""
_OUT_OF_MEMORY = re.compile("can't allocate memory|not enough memory|out of memory|calculation overflowed")
"""What torch's allocators say; that of the CPU has no exception of its own."""


@contextmanager
def memory(what: str, help: str | None = None) -> Iterator[None]:
    """Within, running out of memory is a `ResourceError`. `what` says what needed it."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        is_memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or _OUT_OF_MEMORY.search(str(error))
        if not is_memory:
            raise
        raise ResourceError.of("SB0605", f"memory ran out: {what}", help=help) from error


@contextmanager
def disk(path: Path, needed: int | None = None, *, is_journal: bool = False) -> Iterator[None]:
    """Within, a file that cannot be written is a `ResourceError` that says how much room there is. A file that is half there is taken away; of a
    journal, what was written before stays.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        if not is_journal:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else str(error).rpartition("I/O error: ")[2].partition(" (os error")[0]
        room = [f"it needs {size(needed)}"] if needed is not None else []
        with suppress(OSError):
            room.append(f"{size(shutil.disk_usage(path.parent).free)} are free")
        # What is renamed when it is whole is called as it will be then.
        file = path.with_name(path.name.removeprefix(".").removesuffix(PART)) if path.name.endswith(PART) else path
        raise ResourceError.of("SB0910", f"{file} cannot be written: {reason}; {', '.join(room)}") from error
