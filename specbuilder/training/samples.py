"""Samples that a caller's map-style Dataset gives one by one, read when they are wanted: named, widened and held against the first one.

The counterpart of `columns`, which reads everything at the start. What the Dataset draws from the generators of torch, numpy or Python while it reads a
sample comes from a stream of (seed, part, sample, epoch): neither the process that reads it nor what was read before can matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from specbuilder.catalogue.contract import Column, Columns
from specbuilder.catalogue.datasets.arrays import check_rows
from specbuilder.diagnostics import DataError
from specbuilder.shapes import TensorType
from specbuilder.training.columns import as_tensor, by_feature, check_countable, fit, type_of, unstackable
from specbuilder.training.expected import Expected
from specbuilder.training.random import Stream, key

_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """A part that a Dataset gives sample by sample."""

    dataset: Any
    expected: Expected
    part: str
    """As the caller gave it; a part that is cut from it keeps the name, since messages say where a sample is to be found."""
    first: Columns
    """One sample, which all others are like: dtypes as they are stored, scales, shapes."""
    wanted: Mapping[str, TensorType]
    """The types that the spec wants, as far as it tells."""
    rows: Tensor = field(repr=False)
    """Numbers of the samples in the Dataset."""

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def types(self) -> dict[str, TensorType]:
        return {name: type_of(column) for name, column in self.first.items()}

    def number(self, index: int) -> int:
        """What the Dataset, and so the caller, calls the sample."""
        return int(self.rows[index])

    def read(self, index: int, epoch: int, seed: int) -> dict[str, Tensor]:
        """One sample, a row of each feature as it is stored."""
        number = self.number(index)
        with Stream(key(seed, f"read.{self.part}.{number}", epoch)):
            tensors = _read(self.dataset, number, self.expected, self.part)
        columns = {name: fit(Column(tensor), self.wanted.get(name), self.expected.floats) for name, tensor in tensors.items()}
        for name in (*self.first, *columns):
            wanted, found = (type_of(each[name]) if name in each else None for each in (self.first, columns))
            if found != wanted:
                has, had = (_sample(type) if type is not None else "none" for type in (found, wanted))
                message = f"`{name}` of sample {number} of the part `{self.part}` is {has}, but that of the first one is {had}"
                raise DataError.of("SB0810", message)
        return {name: column.data[0] for name, column in columns.items()}

    def chunks(self, feature: str) -> Iterator[Tensor]:
        """One feature of all samples, a few at a time, widened."""
        scale = self.first[feature].scale
        for start in range(0, self.count, _AT_ONCE):
            chunk = torch.stack([self.read(index, 0, 0)[feature] for index in range(start, min(start + _AT_ONCE, self.count))])
            yield chunk.to(torch.float32) * scale if scale is not None else chunk

    def described(self, index: int) -> str:
        """The sample as messages name it: its number, its part, and what the Dataset's own `describe(number)` says of it, such as its file."""
        number = self.number(index)
        said = _told(getattr(self.dataset, "describe", None), number)
        return f"sample {number} of the part `{self.part}`{f' ({said})' if said else ''}"


def samples_of(dataset: Any, expected: Expected, part: str) -> Samples:
    """A Dataset to be read sample by sample; the first one is looked at now."""
    check_countable(dataset, part)
    with Stream(key(0, f"read.{part}.0", 0)):
        tensors = _read(dataset, 0, expected, part)
    wanted = expected.types(tuple(tensors), expected.target_among(tuple(tensors)))
    first = {name: fit(Column(tensor), wanted.get(name), expected.floats) for name, tensor in tensors.items()}
    return Samples(dataset=dataset, expected=expected, part=part, first=first, wanted=wanted, rows=torch.arange(len(dataset)))


def _read(dataset: Any, number: int, expected: Expected, part: str) -> dict[str, Tensor]:
    """One sample by feature, as a batch of one."""
    sample = dataset[number]
    try:
        collated = default_collate([sample])
    except (TypeError, RuntimeError, KeyError, ValueError) as error:
        raise unstackable(part, error) from error
    tensors = {name: as_tensor(values, f"`{name}` of sample {number} of `{part}`") for name, values in by_feature(collated, expected, part).items()}
    check_rows(tensors, f"`{part}`: ")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            message = f"`{part}`: `{name}` of sample {number} is not finite: it holds NaN or infinity"
            raise DataError.of("SB0809", message)
    return tensors


def _sample(type: TensorType) -> str:
    """The type of one sample: without the axis of the batch."""
    return str(TensorType(type.dtype, type.shape[1:]))


def _told(describe: Callable[[int], Any] | None, number: int) -> str:
    """What a Dataset says of a sample; nothing where it cannot, since there is a worse mistake to be told."""
    try:
        return " ".join(str(describe(number)).split()) if describe is not None else ""
    except Exception:  # noqa: BLE001  # the caller's own code, asked while an error is on its way
        return ""
