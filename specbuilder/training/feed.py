"""Batches out of columns: which samples, in which order, changed how. A pure function of (seed, epoch, index).

The samples live on the device. Work is done for a chunk of many batches at once and handed out as views, since a gather and a transform cost the same
dozen of kernel launches for one batch as for fifty; results do not depend on the chunk, because every sample's changes depend on that sample alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from specbuilder.catalogue.contract import Column, Columns, Transform
from specbuilder.training.columns import size
from specbuilder.training.random import order, uniforms

Batch = tuple[Tensor, ...]
"""The tensors that the objective takes, in its order."""


Promise = Literal["bit-exact", "same-order", "weights-only"]
"""What a resumed run can count on: the same bits; the same samples in the same order, but not the same draws of the caller's own code; neither."""


class Batches(Protocol):
    """What the loop takes samples from: columns on the device, worker processes, or a caller's DataLoader."""

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        ...

    @property
    def promise(self) -> Promise:
        """What holds of `epoch(epoch, first)` in another process."""
        ...

    @property
    def generators(self) -> Sequence[torch.Generator]:
        """Generators with a state that an epoch begins from. Who goes on within an epoch sets them to what they were when it began; mostly there are none,
        since an epoch is a pure function of (seed, epoch).
        """
        ...

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0, from the batch of number `first` on: the same bits as the whole epoch gives. Raises `Stopped` where it
        waits for samples and the run is asked to stop.
        """
        ...

    def indices(self, epoch: int, batch: int) -> list[int]:
        """The numbers of the samples in a batch, counted from 0 in the part as it was cut; none where nobody knows them."""
        ...

    def close(self) -> None:
        """Ends what the feed keeps running. It can be called twice; no epoch can be asked for afterwards."""
        ...


class Stopped(Exception):
    """The run was asked to stop while samples were waited for. No mistake of anybody: the loop ends as it does between two steps."""


_CHUNK_BYTES = {"cpu": 32 << 20, "cuda": 256 << 20, "mps": 64 << 20}
_ORDERS_AT_ONCE = 16
_WIDENED_AT_MOST = 64 << 20
"""Bytes of a column as float32; a larger one stays as it is stored, since it would fill the device."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """(x - mean) / std, shaped to broadcast over a batch."""

    mean: Tensor
    std: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.std).to(x.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What is done to the transformed feature on the way to the model."""

    feature: str
    transforms: tuple[tuple[str, Transform], ...] = ()
    """With the name of each one's random stream."""
    normalization: Normalization | None = None

    def change(self, x: Tensor, indices: Tensor, epoch: int, seed_of: Callable[[str], int], memory_format: torch.memory_format) -> Tensor:
        """A batch of the feature as the model reads it. `indices` are the numbers of its samples, which their draws belong to."""
        for stream, transform in self.transforms:
            x = transform.apply(x, _draws(transform, stream, indices, epoch, seed_of))
        if self.normalization is not None:
            x = self.normalization(x)
        return x.contiguous(memory_format=memory_format) if x.ndim == 4 else x


def _draws(transform: Transform, stream: str, indices: Tensor, epoch: int, seed_of: Callable[[str], int]) -> Tensor:
    if transform.draws == 0:
        return torch.empty(len(indices), 0, device=indices.device)
    return uniforms(seed_of(stream), stream, range(epoch, epoch + 1), indices, transform.draws, indices.device)[0]


def _held(column: Column, device: torch.device) -> Column:
    """The column on the device; a small one is widened once instead of in every epoch, to the same values."""
    data = column.data.to(device)
    if column.scale is None or data.numel() * 4 > _WIDENED_AT_MOST:
        return Column(data, column.scale)
    return Column(data.to(torch.float32) * column.scale)


class Order:
    """Which samples make which batch of a part: a pure function of (seed, epoch)."""

    def __init__(
        self, count: int, batch_size: int, *, seed_of: Callable[[str], int], device: torch.device, shuffle: bool = False, drop_last: bool = False
    ) -> None:
        self.count, self.batch_size, self.seed_of, self.device = count, batch_size, seed_of, device
        self.shuffle, self.drop_last = shuffle, drop_last
        self._orders: tuple[int, Tensor] | None = None

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        whole, rest = divmod(self.count, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def of_epoch(self, epoch: int) -> Tensor:
        """The numbers of the samples of an epoch, in its order: int64[N]."""
        indices = self._shuffled(epoch) if self.shuffle else torch.arange(self.count, device=self.device)
        return indices[: self.batches * self.batch_size] if self.drop_last else indices

    def of_batch(self, epoch: int, batch: int) -> list[int]:
        """The numbers of the samples of a batch."""
        return self.of_epoch(epoch)[batch * self.batch_size :][: self.batch_size].tolist()

    def _shuffled(self, epoch: int) -> Tensor:
        """The order of an epoch. Several are made at once: the cost is in the number of kernels, not in their size."""
        if self._orders is None or not self._orders[0] <= epoch < self._orders[0] + len(self._orders[1]):
            at_once = min(_ORDERS_AT_ONCE, max(1, (4 << 20) // self.count))
            self._orders = epoch, order(self.seed_of("order"), "order", range(epoch, epoch + at_once), self.count, self.device)
        first, orders = self._orders
        return orders[epoch - first]


class Feed:
    """The batches of one part, on the device."""

    promise: Promise = "bit-exact"
    generators: Sequence[torch.Generator] = ()

    def __init__(
        self,
        columns: Columns,
        features: Sequence[str],
        route: Route,
        *,
        batch_size: int,
        seed_of: Callable[[str], int],
        device: torch.device,
        shuffle: bool = False,
        drop_last: bool = False,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.count = size(columns)
        held = {name: _held(columns[name], device) for name in features}
        self.columns: Mapping[str, Tensor] = {name: column.data for name, column in held.items()}
        self.scales = {name: column.scale for name, column in held.items()}
        self.features, self.route = tuple(features), route
        self.order = Order(self.count, batch_size, seed_of=seed_of, device=device, shuffle=shuffle, drop_last=drop_last)
        self.batch_size, self.seed_of, self.device, self.memory_format = batch_size, seed_of, device, memory_format
        self._at_once = self._chunk_batches()

    def _chunk_batches(self) -> int:
        """How many batches are made at once."""
        of_sample = sum(column[0].numel() * 4 for column in self.columns.values()) * 4  # float copies that the transforms make
        budget = _CHUNK_BYTES.get(self.device.type, 32 << 20)
        return max(1, budget // max(of_sample * self.batch_size, 1))

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        return self.order.batches

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `first` on. Chunks lie as in the whole epoch, since rounding may depend on where a sample lies in its tensor."""
        indices, at_once, skipped = self.order.of_epoch(epoch), self._at_once * self.batch_size, first % self._at_once
        for start in range((first - skipped) * self.batch_size, len(indices), at_once):
            tensors = [self._tensor(name, indices[start : start + at_once], epoch) for name in self.features]
            yield from zip(*(tensor.split(self.batch_size)[skipped:] for tensor in tensors), strict=True)
            skipped = 0

    def indices(self, epoch: int, batch: int) -> list[int]:
        """The numbers of the samples in a batch."""
        return self.order.of_batch(epoch, batch)

    def close(self) -> None:
        """Nothing is kept running."""

    def _tensor(self, name: str, indices: Tensor, epoch: int) -> Tensor:
        x = self.columns[name][indices]
        if (scale := self.scales[name]) is not None:
            x = x.to(torch.float32) * scale
        return self.route.change(x, indices, epoch, self.seed_of, self.memory_format) if name == self.route.feature else x


def chunks(columns: Columns, feature: str) -> Iterator[Tensor]:
    """One feature of a part, a few thousand samples at a time."""
    column = columns[feature]
    for chunk in column.data.split(4096):
        yield chunk.to(torch.float32) * column.scale if column.scale is not None else chunk


def fit_normalization(chunks: Iterable[Tensor], prepare: Sequence[Transform]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of a feature over a part, after `prepare`, in float64: per channel for images [C, H, W], per column for rows."""
    total, squares, count = None, None, 0
    for x in chunks:
        for transform in prepare:
            x = transform.apply(x, torch.empty(len(x), 0))
        x = x.to(torch.float64)
        axes = [0, *range(2, x.ndim)] if x.ndim > 2 else [0]
        count += x.numel() // x.shape[1] if x.ndim > 1 else x.numel()
        total = x.sum(axes) if total is None else total + x.sum(axes)
        squares = (x * x).sum(axes) if squares is None else squares + (x * x).sum(axes)
    assert total is not None and squares is not None
    mean = total / count
    # A column that never changes would divide by 0; it stays as it is.
    std = (squares / count - mean * mean).clamp(min=0).sqrt()
    return mean.float(), torch.where(std > 1e-12, std, torch.ones_like(std)).float()


def normalization(mean: Tensor, std: Tensor, rank: int, device: torch.device) -> Normalization:
    """Shaped for a batch of that rank: channels stand at axis 1."""
    shape = [1, -1, *([1] * (rank - 2))] if rank > 1 else [-1]
    return Normalization(mean.reshape(shape).to(device), std.reshape(shape).to(device))
