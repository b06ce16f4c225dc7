"""Samples that a caller's map-style Dataset gives one by one, read when they are wanted: named, widened and held against the first one.

The counterpart of `columns`, which reads everything at the start. What the Dataset draws from the generators of torch, numpy or Python while it reads a
sample comes from a stream of (seed, part, sample, epoch): neither the process that reads it nor what was read before can matter.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from specbuilder.catalogue.contract import Column, Columns
from specbuilder.catalogue.datasets.arrays import check_rows
from specbuilder.diagnostics import DataError, Diagnostic, SpecbuilderError
from specbuilder.shapes import TensorType
from specbuilder.training.columns import as_tensor, by_feature, check_countable, fit, type_of, unstackable
from specbuilder.training.expected import Expected
from specbuilder.training.random import Stream, key, seed_generators

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

    def read(self, index: int, epoch: int, seed: int, *, is_alone: bool = False) -> dict[str, Tensor]:
        """One sample, a row of each feature as it is stored. `is_alone`: nobody else in this process draws from the generators that a Dataset draws
        from, so that they need not be put back, which takes ten times as long as to seed them.
        """
        number = self.number(index)
        stream = key(seed, f"read.{self.part}.{number}", epoch)
        if is_alone:
            seed_generators(stream)
        with nullcontext() if is_alone else Stream(stream):
            tensors = _read(self.dataset, number, self.expected, self.part)
        columns = {name: fit(Column(tensor), self.wanted.get(name), self.expected.floats) for name, tensor in tensors.items()}
        if columns.keys() != self.first.keys() or not all(_alike(column, self.first[name]) for name, column in columns.items()):
            raise self._unlike_first(number, columns)
        return {name: column.data[0] for name, column in columns.items()}

    def _unlike_first(self, number: int, columns: Columns) -> DataError:
        types = {name: [_of_sample(each[name]) if name in each else "none" for each in (columns, self.first)] for name in (*self.first, *columns)}
        name, (found, wanted) = next((name, types) for name, types in types.items() if types[0] != types[1])
        message = f"`{name}` of sample {number} of the part `{self.part}` is {found}, but that of the first one is {wanted}"
        return DataError([Diagnostic(code="SB0810", message=message)])

    def chunks(self, feature: str) -> Iterator[Tensor]:
        """One feature of all samples, a few at a time, widened."""
        scale = self.first[feature].scale
        for start in range(0, self.count, _AT_ONCE):
            chunk = torch.stack([self._read_at_start(index)[feature] for index in range(start, min(start + _AT_ONCE, self.count))])
            yield chunk.to(torch.float32) * scale if scale is not None else chunk

    def _read_at_start(self, index: int) -> dict[str, Tensor]:
        with readable(lambda: self.described(index)):
            return self.read(index, 0, 0)

    def described(self, index: int) -> str:
        """The sample as messages name it: its number, its part, and what the Dataset's own `describe(number)` says of it, such as its file."""
        return _described(self.dataset, self.number(index), self.part)


def samples_of(dataset: Any, expected: Expected, part: str) -> Samples:
    """A Dataset to be read sample by sample; the first one is looked at now."""
    check_countable(dataset, part)
    with readable(lambda: _described(dataset, 0, part)), Stream(key(0, f"read.{part}.0", 0)):
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


def _alike(one: Column, other: Column) -> bool:
    return one.data.dtype is other.data.dtype and one.data.shape == other.data.shape and one.scale == other.scale


def _of_sample(column: Column) -> str:
    """The type of one sample as it is stored."""
    return str(TensorType(str(column.data.dtype).removeprefix("torch."), tuple(column.data.shape[1:])))


@contextmanager
def readable(described: Callable[[], str]) -> Iterator[None]:
    """Within, whatever the caller's own code raises is a `DataError` that names the sample."""
    try:
        yield
    except SpecbuilderError:
        raise
    except Exception as error:
        raise unreadable(described(), reason_of(error)) from error


def unreadable(sample: str, reason: str, worker: int | None = None) -> DataError:
    where = f" (in worker {worker})" if worker is not None else ""
    return DataError([Diagnostic(code="SB0811", message=f"{sample} cannot be read{where}: {reason}")])


def reason_of(error: Exception) -> str:
    """What an exception says, with its type."""
    return "".join(traceback.format_exception_only(error)).strip()


def _described(dataset: Any, number: int, part: str) -> str:
    said = _told(getattr(dataset, "describe", None), number)
    return f"sample {number} of the part `{part}`{f' ({said})' if said else ''}"


def _told(describe: Callable[[int], Any] | None, number: int) -> str:
    """What a Dataset says of a sample; nothing where it cannot, since there is a worse mistake to be told."""
    try:
        return " ".join(str(describe(number)).split()) if describe is not None else ""
    except Exception:  # noqa: BLE001  # the caller's own code, asked while an error is on its way
        return ""
