"""Batches that worker processes read ahead: the same samples in the same order, changed by the same code, as the resident feed gives.

Workers read and collate only, each into memory that it shares with the training process, so that nothing is copied through a pipe; all changes happen
afterwards on the training device (`feed.Route`), and what is read for which batch is decided by `feed.Order`. So the number of workers cannot matter.

Why not torch's DataLoader: its wait cannot be left when the run is to stop, it does not say which sample a worker was at when it hung or died, and it sends
batches through /dev/shm. Here each worker notes the sample that it reads in shared memory, the training process looks up while it waits, and where
processes can be forked the memory is anonymous, which no small /dev/shm limits.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import signal
import sys
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from multiprocessing.connection import Connection
from time import monotonic
from types import MappingProxyType
from typing import Any, Protocol

import torch
import torch.multiprocessing as processes
from torch import Tensor

from specbuilder.catalogue.contract import Column, Columns
from specbuilder.diagnostics import DataError, Diagnostic, ResourceError, SpecbuilderError, UsageError
from specbuilder.graph.count import size as in_words
from specbuilder.training.columns import size
from specbuilder.training.feed import Batch, Order, Promise, Route, Stopped
from specbuilder.training.loader import Check
from specbuilder.training.samples import Samples, readable, reason_of, unreadable

AHEAD = 2
"""Batches that each worker reads ahead."""
TIMEOUT_S = 60.0
"""A worker that reads one sample for so long is given up."""
POLL_S = 0.05
"""How often the training process looks up while it waits."""
GRACE_S = 0.5
"""How long a worker may take to end by itself."""
_NOTHING = -1
_MAIN = "`workers: 0` reads in the training process"


class Source(Protocol):
    """Samples by number, wherever they are read."""

    @property
    def first(self) -> Columns:
        """One sample of each feature as it is stored; all others are like it."""
        ...

    @property
    def count(self) -> int: ...

    def fill(self, indices: Tensor, epoch: int, into: Mapping[str, Tensor], at: Callable[[int], None], *, is_alone: bool) -> None:
        """Reads samples into the rows of `into`; tells `at` which one is being read. `is_alone`: nothing else happens in this process."""
        ...

    def described(self, index: int) -> str:
        """The sample as messages name it."""
        ...

    def number(self, index: int) -> int:
        """The number that messages call the sample by."""
        ...


@dataclass(frozen=True, slots=True)
class InMemory:
    """Columns: a worker only picks rows. Forked, it has the columns in the same memory."""

    columns: Columns
    part: str

    @property
    def first(self) -> Columns:
        return {name: Column(column.data[:1], column.scale) for name, column in self.columns.items()}

    @property
    def count(self) -> int:
        return size(self.columns)

    def fill(self, indices: Tensor, epoch: int, into: Mapping[str, Tensor], at: Callable[[int], None], *, is_alone: bool) -> None:
        at(int(indices[0]))
        for name, tensor in into.items():
            torch.index_select(self.columns[name].data, 0, indices, out=tensor)

    def described(self, index: int) -> str:
        return f"sample {index} of the part `{self.part}`"

    def number(self, index: int) -> int:
        return index


@dataclass(frozen=True, slots=True)
class OneByOne:
    """The samples of a Dataset."""

    samples: Samples
    features: tuple[str, ...]
    seed: int

    @property
    def first(self) -> Columns:
        return {name: self.samples.first[name] for name in self.features}

    @property
    def count(self) -> int:
        return self.samples.count

    def fill(self, indices: Tensor, epoch: int, into: Mapping[str, Tensor], at: Callable[[int], None], *, is_alone: bool) -> None:
        for row, index in enumerate(indices.tolist()):
            at(index)
            sample = self.samples.read(index, epoch, self.seed, is_alone=is_alone)
            for name, tensor in into.items():
                tensor[row] = sample[name]

    def described(self, index: int) -> str:
        return self.samples.described(index)

    def number(self, index: int) -> int:
        return self.samples.number(index)


def source_of(part: Columns | Samples, features: Sequence[str], name: str, seed: int) -> Source:
    """What workers read from. Columns that no batch needs stay where they are."""
    if isinstance(part, Samples):
        return OneByOne(part, tuple(dict.fromkeys(features)), seed)
    return InMemory({feature: part[feature] for feature in features}, name)


# Memory that processes share ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a batch lies in a piece of shared memory: the numbers of its samples, then a tensor for each feature."""

    types: Mapping[str, tuple[torch.dtype, tuple[int, ...]]]
    batch_size: int

    @property
    def nbytes(self) -> int:
        """Of one batch, so that the next one begins well."""
        return _rounded(8 * self.batch_size) + sum(_rounded(self.batch_size * prod(shape) * dtype.itemsize) for dtype, shape in self.types.values())

    def slot(self, memory: Tensor, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The numbers and the features of the batch at that place."""
        at = number * self.nbytes
        indices = memory[at : at + 8 * self.batch_size].view(torch.int64)
        at += _rounded(8 * self.batch_size)
        tensors = {}
        for name, (dtype, shape) in self.types.items():
            nbytes = self.batch_size * prod(shape) * dtype.itemsize
            tensors[name] = memory[at : at + nbytes].view(dtype).view(self.batch_size, *shape)
            at += _rounded(nbytes)
        return indices, tensors


def _rounded(nbytes: int) -> int:
    return (nbytes + 63) // 64 * 64


def _shared(nbytes: int, workers: int, start: str) -> Tensor:
    """Memory that the processes see alike. Raises `ResourceError` where there is not so much."""
    help = f"use fewer `workers`; {_MAIN}"
    needed = f"the batches that {workers} {'workers read' if workers > 1 else 'worker reads'} ahead need {in_words(nbytes)}"
    if start == "fork":
        try:
            return torch.frombuffer(mmap.mmap(-1, max(nbytes, 1)), dtype=torch.uint8)
        except OSError as error:
            raise ResourceError.of("SB0605", f"memory ran out: {needed}", help=help) from error
    # Without this check a worker would die of SIGBUS at its first write.
    with suppress(OSError):
        free = shutil.disk_usage("/dev/shm").free  # noqa: S108  # no temporary file: where shared memory lies on Linux
        if free < nbytes:
            raise ResourceError.of("SB0605", f"shared memory ran out: {needed}, and /dev/shm has {in_words(free)} free", help=help)
    return torch.zeros(max(nbytes, 1), dtype=torch.uint8).share_memory_()


# In a worker ----------------------------------------------------------------------------------------------------------


def _work(worker: int, source: Source, layout: Layout, memory: Tensor, reading: Tensor, tasks: Connection, parent: int) -> None:
    """A worker's life: takes (slot, epoch, rows), answers with None or with what went wrong, ends at None."""
    # Ctrl-C and the end of a terminal reach every process of it; the training process decides what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _die_with(parent)
    torch.set_num_threads(1)
    noted = reading.numpy()

    def at(index: int) -> None:
        noted[worker, 0] = index
        noted[worker, 1] += 1

    with suppress(EOFError, OSError):
        while (task := tasks.recv()) is not None:
            slot, epoch, rows = task
            indices, tensors = layout.slot(memory, slot)
            try:
                source.fill(indices[:rows], epoch, {name: tensor[:rows] for name, tensor in tensors.items()}, at, is_alone=True)
            except SpecbuilderError as error:
                tasks.send((int(noted[worker, 0]), error.diagnostics[0], ""))
            except Exception as error:  # noqa: BLE001  # the caller's own code: what it raises is told by the training process
                tasks.send((int(noted[worker, 0]), reason_of(error), traceback.format_exc()))
            else:
                noted[worker, 0] = _NOTHING
                tasks.send(None)


def _die_with(parent: int) -> None:
    """A killed training process leaves no worker behind, even one that hangs: it would keep the files and the locks that it was forked with."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


class _InWorker(Exception):
    """The traceback of an error in a worker."""


# In the training process ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Worker:
    process: Any
    tasks: Connection
    asked: int = 0
    """Batches that it was asked for."""
    answered: int = 0


class WorkerFeed:
    """The batches of one part, read by worker processes, or with 0 workers in this one. The processes start with the first epoch and stay until `close`."""

    promise: Promise = "bit-exact"
    generators: Sequence[torch.Generator] = ()

    def __init__(
        self,
        source: Source,
        features: Sequence[str],
        route: Route,
        *,
        workers: int,
        batch_size: int,
        seed_of: Callable[[str], int],
        device: torch.device,
        shuffle: bool = False,
        drop_last: bool = False,
        memory_format: torch.memory_format = torch.contiguous_format,
        checks: Mapping[str, Check] = MappingProxyType({}),
        stop: Callable[[], bool] = lambda: False,
        timeout_s: float = TIMEOUT_S,
        start: str | None = None,
    ) -> None:
        self.source, self.features, self.route = source, tuple(features), route
        self.count, self.batch_size, self.seed_of, self.device, self.memory_format = source.count, batch_size, seed_of, device, memory_format
        self.checks, self.stop, self.timeout_s = checks, stop, timeout_s
        self.order = Order(self.count, batch_size, seed_of=seed_of, device=torch.device("cpu"), shuffle=shuffle, drop_last=drop_last)
        # Fewer batches than workers need fewer of them.
        self.workers = min(workers, self.order.batches)
        # On macOS, a forked process may not use the system's own libraries.
        self.start = start or ("fork" if "fork" in processes.get_all_start_methods() and sys.platform != "darwin" else "spawn")
        self.layout = Layout({name: (column.data.dtype, tuple(column.data.shape[1:])) for name, column in source.first.items()}, batch_size)
        self.scales = {name: column.scale for name, column in source.first.items()}
        self._memory: Tensor | None = None
        self._reading = torch.zeros(0)
        self._workers: list[_Worker] = []
        self._close = weakref.finalize(self, _end, self._workers, os.getpid())

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return self.order.batches

    def indices(self, epoch: int, batch: int) -> list[int]:
        """The numbers of the samples in a batch."""
        return self.order.of_batch(epoch, batch)

    def close(self) -> None:
        """Ends the workers."""
        self._close()

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `first` on. Raises `Stopped` when the run is asked to stop while samples are waited for, `DataError` for a
        sample that cannot be read and for a worker that dies or hangs.
        """
        indices = self.order.of_epoch(epoch)
        chosen = [indices[start : start + self.batch_size] for start in range(first * self.batch_size, len(indices), self.batch_size)]
        for of_batch, tensors in self._read(chosen, epoch) if self.workers else self._read_here(chosen, epoch):
            yield self._made(tensors, of_batch, epoch)

    def _made(self, tensors: Mapping[str, Tensor], indices: Tensor, epoch: int) -> Batch:
        """A batch as the model reads it: checked here, changed on the device."""
        for name, check in self.checks.items():
            self._check(check, tensors[name], indices)
        on_device = indices.to(self.device)
        return tuple(self._tensor(name, tensors[name], on_device, epoch) for name in self.features)

    def _check(self, check: Check, values: Tensor, indices: Tensor) -> None:
        """Refuses what the loss or an input cannot take, before it moves to the device."""
        try:
            check(values, 0)
        except DataError:
            # The row says nothing: which sample was it?
            for row, index in enumerate(indices.tolist()):
                check(values[row : row + 1], self.source.number(index))
            raise

    def _tensor(self, name: str, tensor: Tensor, indices: Tensor, epoch: int) -> Tensor:
        x = tensor.to(self.device, non_blocking=True)
        if (scale := self.scales[name]) is not None:
            x = x.to(torch.float32) * scale
        return self.route.change(x, indices, epoch, self.seed_of, self.memory_format) if name == self.route.feature else x

    def _kept(self, tensor: Tensor) -> Tensor:
        """A copy, since the memory that it was read into is read into again."""
        return tensor.pin_memory() if self.device.type == "cuda" else tensor.clone()

    # Reading

    def _read_here(self, chosen: Sequence[Tensor], epoch: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """The batches, read in this process."""
        at = _NOTHING

        def note(index: int) -> None:
            nonlocal at
            at = index

        for indices in chosen:
            if self.stop():
                raise Stopped
            pin = self.device.type == "cuda"
            tensors = {name: torch.empty(len(indices), *shape, dtype=dtype, pin_memory=pin) for name, (dtype, shape) in self.layout.types.items()}
            with readable(lambda: self.source.described(at)):
                self.source.fill(indices, epoch, tensors, note, is_alone=False)
            yield indices, tensors

    def _read(self, chosen: Sequence[Tensor], epoch: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """The batches, read by the workers in turn; each always has `AHEAD` of them to read."""
        memory = self._started()
        for number in range(self.workers):
            self._settle(number)
        for batch in range(min(AHEAD * self.workers, len(chosen))):
            self._ask(batch % self.workers, memory, chosen[batch], epoch)
        for batch, indices in enumerate(chosen):
            number = batch % self.workers
            worker = self._workers[number]
            slot = self._slot(number, worker.answered)
            self._raise(number, self._answer(number))
            _, tensors = self.layout.slot(memory, slot)
            kept = {name: self._kept(tensor[: len(indices)]) for name, tensor in tensors.items()}
            if (further := batch + AHEAD * self.workers) < len(chosen):
                self._ask(number, memory, chosen[further], epoch)
            yield indices, kept

    def _slot(self, number: int, batch: int) -> int:
        """Where a worker reads its batch of that running number into."""
        return number * AHEAD + batch % AHEAD

    def _ask(self, number: int, memory: Tensor, indices: Tensor, epoch: int) -> None:
        worker = self._workers[number]
        slot = self._slot(number, worker.asked)
        self.layout.slot(memory, slot)[0][: len(indices)] = indices
        # A worker that is no more is found when its answer is waited for.
        with suppress(OSError):
            worker.tasks.send((slot, epoch, len(indices)))
        worker.asked += 1

    def _settle(self, number: int) -> None:
        """What an epoch that was left early had asked for is waited for and dropped; a mistake in it comes up again when it is wanted."""
        worker = self._workers[number]
        while worker.answered < worker.asked:
            self._answer(number)

    def _answer(self, number: int) -> Any:
        """What a worker says of its next batch."""
        worker = self._workers[number]
        noted, since = int(self._reading[number, 1]), monotonic()
        while not worker.tasks.poll(POLL_S):
            if self.stop():
                raise Stopped
            if (now := int(self._reading[number, 1])) != noted:
                noted, since = now, monotonic()
            elif monotonic() - since >= self.timeout_s:
                raise self._hanging(number)
        try:
            answer = worker.tasks.recv()
        except (EOFError, OSError):
            worker.process.join(GRACE_S)
            # A signal to all processes ends workers too.
            if self.stop():
                raise Stopped from None
            raise self._dead(number) from None
        worker.answered += 1
        return answer

    def _hanging(self, number: int) -> DataError:
        """All workers are ended; what is said of the one that hangs."""
        sample = self._sample(number)
        self.close()
        message = f"worker {number} hangs: it has not read {sample or 'anything'} in {self.timeout_s:g} seconds"
        return DataError([Diagnostic(code="SB0813", message=message, help="look at that sample, and at the disk or the network that it comes from")])

    def _dead(self, number: int) -> DataError:
        """All workers are ended; what is said of the one that died."""
        sample = self._sample(number)
        code = self._workers[number].process.exitcode
        self.close()
        died = f"was killed by {_signal(-code)}" if code is not None and code < 0 else f"ended with exit code {code}"
        message = f"worker {number} {died} while it {f'read {sample}' if sample else 'had nothing to do'}"
        help = f"if memory ran out, use fewer `workers`; {_MAIN}"
        return DataError([Diagnostic(code="SB0812", message=message, help=help)])

    def _sample(self, number: int) -> str | None:
        """What a worker is reading."""
        index = int(self._reading[number, 0])
        return self.source.described(index) if index != _NOTHING else None

    def _raise(self, number: int, failure: tuple[int, Diagnostic | str, str] | None) -> None:
        """What went wrong in a worker, as it would be told without workers."""
        if failure is None:
            return
        index, reason, trace = failure
        self.close()
        if isinstance(reason, Diagnostic):
            raise DataError([reason])
        raise unreadable(self.source.described(index), reason, number) from _InWorker(trace)

    # Starting

    def _started(self) -> Tensor:
        """The memory of the workers, which run from now on."""
        if self._memory is None:
            nbytes = self.layout.nbytes * self.workers * AHEAD
            memory = _shared(nbytes, self.workers, self.start)
            self._reading = _shared(16 * self.workers, self.workers, self.start).view(torch.int64)[: 2 * self.workers].view(self.workers, 2)
            self._reading[:, 0] = _NOTHING
            context = processes.get_context(self.start)
            for number in range(self.workers):
                self._workers.append(self._start(context, number, memory))
            self._memory = memory
        return self._memory

    def _start(self, context: Any, number: int, memory: Tensor) -> _Worker:
        ours, theirs = context.Pipe()
        arguments = (number, self.source, self.layout, memory, self._reading, theirs, os.getpid())
        process = context.Process(target=_work, args=arguments, name=f"worker {number}", daemon=True)
        try:
            with warnings.catch_warnings():
                # Python warns of forking where there are threads. A worker takes no lock of theirs: it computes with one thread of its own.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
        except OSError as error:
            self.close()
            help = f"use fewer `workers`; {_MAIN}"
            raise ResourceError.of("SB0606", f"worker {number} cannot be started: {error.strerror}", help=help) from error
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            # Where processes cannot be forked, the samples are pickled; Python has no one error for what cannot be.
            self.close()
            help = f"define the Dataset and what it holds at the top of a module; {_MAIN}"
            raise UsageError.of("SB0814", f"the samples cannot be handed to worker processes: {error}", help=help) from error
        finally:
            theirs.close()
        return _Worker(process, ours)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _end(workers: list[_Worker], owner: int) -> None:
    """Ends workers: those that wait by themselves, the others at once. A forked process inherits the list, but the workers are not its own."""
    if os.getpid() != owner:
        return
    for worker in workers:
        with suppress(OSError):
            worker.tasks.send(None)
    deadline = monotonic() + GRACE_S
    for worker in workers:
        worker.process.join(max(0.0, deadline - monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()
        worker.tasks.close()
    workers.clear()
