"""Batches out of a caller's DataLoader: its order and its batches, our names, dtypes, transforms and checks.

A DataLoader is looked into once, to learn the types for the plan; every batch is then held against them. The random draws of a transform belong to the
running number of a sample within its epoch, since a loader does not tell which sample it is.

What a loader draws without a generator of its own (its order, the seeds of its workers, what its Dataset draws in this process) comes from a stream of
(seed, epoch), so that it is the same in a resumed run and disturbs nothing else. A generator of its own keeps its state from epoch to epoch.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler

from specbuilder.catalogue.contract import Column
from specbuilder.catalogue.datasets.arrays import check_rows
from specbuilder.diagnostics import DataError, UsageError
from specbuilder.shapes import TensorType
from specbuilder.training.columns import as_tensor, by_feature, fit, type_of, unstackable
from specbuilder.training.expected import Expected
from specbuilder.training.feed import Batch, Promise, Route
from specbuilder.training.random import Stream, key

Check = Callable[[Tensor, int], None]
"""Refuses numbers that the loss or an input cannot take; the number is that of the first sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A part that a DataLoader gives."""

    loader: DataLoader[Any]
    expected: Expected
    part: str
    types: Mapping[str, TensorType]
    """Of its first batch, and so of all."""
    count: int
    """Samples of an epoch."""
    batch_size: int

    def __len__(self) -> int:
        return self.count

    def batches(self, stream: AbstractContextManager[Any] | None = None) -> Iterator[dict[str, Tensor]]:
        """The batches of one pass, checked, widened, by feature. The loader runs within `stream`."""
        number = 0
        for raw in _drawn(self.loader, self.part, stream or nullcontext()):
            batch = _named(raw, self.expected, self.part)
            number += 1
            for name, wanted in self.types.items():
                found = type_of(Column(batch[name])) if name in batch else None
                if found != wanted:
                    has = f"`{name}` {found}" if found is not None else f"no `{name}`"
                    raise DataError.of("SB0810", f"batch {number} of the loader of `{self.part}` has {has}, but the first one had {wanted}")
            yield batch
        if number != len(self.loader):
            raise DataError.of("SB0810", f"the loader of `{self.part}` gave {number} batches, but its length is {len(self.loader)}")

    def chunks(self, feature: str) -> Iterator[Tensor]:
        """One feature of one pass that leaves no trace in any generator."""
        with _apart(self.loader):
            for batch in self.batches():
                yield batch[feature]


def loaded(loader: DataLoader[Any], expected: Expected, part: str) -> Loaded:
    """What a DataLoader gives. Raises `UsageError` where it says something else than the spec."""
    batch_size, drop_last = _batching(loader, part)
    count = _count(loader, batch_size, drop_last, part)
    if count == 0:
        raise DataError.of("SB0804", f"`{part}`: there are no samples")
    if part == "train":
        _check_agreement(loader, batch_size, count, expected)
    with _apart(loader):
        first = next(_drawn(loader, part, nullcontext()), None)
    if first is None:
        raise DataError.of("SB0810", f"the loader of `{part}` gave 0 batches, but its length is {len(loader)}")
    batch = _named(first, expected, part)
    rows = len(next(iter(batch.values())))
    if rows != min(batch_size, count):
        raise DataError.of("SB0810", f"the first batch of the loader of `{part}` has {rows} samples, but its batch size is {batch_size}")
    types = {name: type_of(Column(tensor)) for name, tensor in batch.items()}
    return Loaded(loader=loader, expected=expected, part=part, types=types, count=count, batch_size=batch_size)


def _drawn(loader: DataLoader[Any], part: str, stream: AbstractContextManager[Any]) -> Iterator[Any]:
    """The raw batches of one pass. Samples that do not stack are a `DataError`; what else the caller's own code raises is the caller's."""
    with stream:
        batches = iter(loader)
    while True:
        try:
            with stream:
                raw = next(batches)
        except StopIteration:
            return
        except (TypeError, RuntimeError, KeyError, ValueError) as error:
            if _is_of_collate(error):
                raise unstackable(part, error) from error
            raise
        yield raw


def _is_of_collate(error: Exception) -> bool:
    """Whether torch's own stacking raised it, here or in a worker process, whose traceback is in the message."""
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].endswith(_COLLATE) or _COLLATE in str(error)


_COLLATE = "torch/utils/data/_utils/collate.py"


def _named(raw: Any, expected: Expected, part: str) -> dict[str, Tensor]:
    """A batch by feature, in the dtypes that the spec wants."""
    tensors = {name: as_tensor(values, f"`{name}` of `{part}`") for name, values in by_feature(raw, expected, part).items()}
    check_rows(tensors, f"`{part}`: ")
    types = expected.types(tuple(tensors), expected.target_among(tuple(tensors)))
    columns = {name: fit(Column(tensor), types.get(name), expected.floats) for name, tensor in tensors.items()}
    return {name: column.data if column.scale is None else column.data.to(torch.float32) * column.scale for name, column in columns.items()}


def _batching(loader: DataLoader[Any], part: str) -> tuple[int, bool]:
    """Samples of a batch, and whether the last, smaller one is left out."""
    owner = loader if loader.batch_size is not None else loader.batch_sampler
    size = getattr(owner, "batch_size", None)
    if not isinstance(size, int):
        help = "make it with `batch_size=`, or give its batch sampler a `batch_size`"
        raise UsageError.of("SB0802", f"the DataLoader of `{part}=` does not say how many samples a batch has", help=help)
    return size, bool(getattr(owner, "drop_last", False))


def _count(loader: DataLoader[Any], batch_size: int, drop_last: bool, part: str) -> int:
    """Samples of an epoch."""
    try:
        if drop_last:
            return len(loader) * batch_size
        # Custom batch samplers count batches, their own sampler counts samples.
        sampler = loader.sampler if loader.batch_size is not None else getattr(loader.batch_sampler, "sampler", loader.dataset)
        return len(loader.dataset if isinstance(loader.dataset, IterableDataset) else sampler)  # type: ignore[arg-type]
    except TypeError:
        help = "give its dataset a `__len__` that counts the samples"
        raise UsageError.of("SB0802", f"the DataLoader of `{part}=` does not say how many samples it has", help=help) from None


def _check_agreement(loader: DataLoader[Any], batch_size: int, count: int, expected: Expected) -> None:
    """What the spec says of batches and order is what the loader does: nothing in it is left unheard."""
    data = expected.data
    if batch_size != data.batch_size:
        message = f"the DataLoader of `train=` has a batch size of {batch_size}, but `data.batch_size` of the spec is {data.batch_size}"
        raise UsageError.of("SB0802", message, help=f'make them equal, as with `set={{"data.batch_size": {batch_size}}}`')
    if data.drop_last and count % batch_size:
        message = "the DataLoader of `train=` gives its last, smaller batch, but `data.drop_last` of the spec is true"
        raise UsageError.of("SB0802", message, help="make it with `drop_last=True`")
    if "shuffle" in expected.written and isinstance(loader.sampler, SequentialSampler if data.shuffle else RandomSampler):
        does = "keeps one order" if data.shuffle else "shuffles"
        message = f"the DataLoader of `train=` {does}, but `data.shuffle` of the spec is {str(data.shuffle).lower()}"
        raise UsageError.of("SB0802", message, help=f"make it with `shuffle={data.shuffle}`")


@contextmanager
def _apart(loader: DataLoader[Any]) -> Iterator[None]:
    """A pass within leaves torch's generator and the loader's own where they were."""
    generator: torch.Generator | None = loader.generator
    state = generator.get_state() if generator is not None else None
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        if generator is not None and state is not None:
            generator.set_state(state)


_KNOWN = (SequentialSampler, RandomSampler, SubsetRandomSampler, WeightedRandomSampler, BatchSampler)
"""Samplers without a state but that of their generator."""


def _samplers(loader: DataLoader[Any]) -> tuple[object, ...]:
    """Whatever decides on the order."""
    of_batches = loader.batch_sampler
    return (of_batches, getattr(of_batches, "sampler", None)) if type(of_batches) is BatchSampler else (of_batches,)


class LoaderFeed:
    """The batches of a part that a DataLoader gives, on the device."""

    def __init__(
        self,
        loaded: Loaded,
        features: Sequence[str],
        route: Route,
        *,
        seed_of: Callable[[str], int],
        device: torch.device,
        checks: Mapping[str, Check] = MappingProxyType({}),
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.count = loaded.count
        self.loaded, self.features, self.route = loaded, tuple(features), route
        self.seed_of, self.device, self.checks, self.memory_format = seed_of, device, checks, memory_format

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return len(self.loaded.loader)

    @property
    def promise(self) -> Promise:
        """What a resumed run can count on, as far as a loader tells: the caller's own code may still do what it likes."""
        loader = self.loaded.loader
        if isinstance(loader.dataset, IterableDataset) or not all(type(sampler) in _KNOWN for sampler in _samplers(loader)):
            return "weights-only"
        # Workers that outlive an epoch take their generators along.
        return "same-order" if loader.num_workers and loader.persistent_workers else "bit-exact"

    @property
    def generators(self) -> Sequence[torch.Generator]:
        """The generators that the caller gave to the loader and its samplers: what the order of an epoch is drawn from begins where the last one ended."""
        owners = (self.loaded.loader, *_samplers(self.loaded.loader))
        found = (getattr(owner, "generator", None) for owner in owners)
        return tuple({id(generator): generator for generator in found if isinstance(generator, torch.Generator)}.values())

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0, in the loader's order. Those before `first` are drawn and left, since a loader cannot be entered in
        the middle.
        """
        seen = 0
        stream = Stream(key(self.seed_of("order"), f"order.{self.loaded.part}", epoch))
        for number, batch in enumerate(self.loaded.batches(stream)):
            rows = len(batch[self.features[-1]])
            if number >= first:
                for name, check in self.checks.items():
                    check(batch[name], seen)
                indices = torch.arange(seen, seen + rows, device=self.device)
                yield tuple(self._tensor(name, batch[name], indices, epoch) for name in self.features)
            seen += rows

    def indices(self, epoch: int, batch: int) -> list[int]:
        """The numbers of the samples of a batch, where the loader keeps the order of its Dataset; none otherwise, since it does not tell."""
        loader = self.loaded.loader
        if isinstance(loader.dataset, IterableDataset) or type(_samplers(loader)[-1]) is not SequentialSampler:
            return []
        start = batch * self.loaded.batch_size
        return list(range(start, min(start + self.loaded.batch_size, self.count)))

    def close(self) -> None:
        """A loader ends its own workers."""

    def _tensor(self, name: str, tensor: Tensor, indices: Tensor, epoch: int) -> Tensor:
        x = tensor.to(self.device)
        return self.route.change(x, indices, epoch, self.seed_of, self.memory_format) if name == self.route.feature else x
