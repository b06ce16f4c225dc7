"""Samples in memory: brought by the caller, named, widened, split into parts. Columns of tensors, one row a sample."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, default_collate

from specbuilder.catalogue.contract import Column, Columns
from specbuilder.catalogue.datasets.arrays import check_finite, check_rows, plain_integers, tensor_of
from specbuilder.diagnostics import DataError, SpecbuilderError, UsageError
from specbuilder.plan.splits import split_counts
from specbuilder.shapes import TensorType, is_floating, is_integer, symbol
from specbuilder.training.expected import Expected
from specbuilder.training.random import split as permutation

if TYPE_CHECKING:
    from specbuilder.training.loader import Loaded
    from specbuilder.training.samples import Samples

Part: TypeAlias = "Columns | Samples | Loaded"
"""Columns in memory, the samples of a Dataset, or the batches of a DataLoader."""
Parts = Mapping[str, Part]
"""What a run is made of: `train` and the parts that it is judged on."""


def size(part: Part) -> int:
    """Number of samples."""
    return len(next(iter(part.values())).data) if isinstance(part, Mapping) else part.count


def type_of(column: Column) -> TensorType:
    """The type of a batch of it; a column with a scale is widened to float32."""
    dtype = "float32" if column.scale is not None else str(column.data.dtype).removeprefix("torch.")
    return TensorType(dtype, (symbol("B"), *column.data.shape[1:]))


def white(column: Column) -> float:
    """What 255 of a byte is in it: 255 where bytes are kept as the numbers that they are, else 1, as in all data sets of images."""
    return 255.0 if column.scale == 1.0 else 1.0


def fingerprint(parts: Mapping[str, Columns]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of all columns of all parts."""
    digest = hashlib.sha256()
    for part, columns in sorted(parts.items()):
        for name, column in sorted(columns.items()):
            digest.update(f"{part}/{name}/{column.data.dtype}/{tuple(column.data.shape)}/{column.scale}".encode())
            digest.update(column.data.contiguous().view(torch.uint8).numpy().data if column.data.numel() else b"")
    return digest.hexdigest()


def split(parts: Parts, shares: Mapping[str, float | int], seed: int) -> dict[str, Part]:
    """Cuts parts from `train`. Which sample goes where depends on the seed alone; within a part the samples keep their order."""
    from specbuilder.training.loader import Loaded

    if not shares:
        return dict(parts)
    train = parts["train"]
    assert not isinstance(train, Loaded), "a DataLoader was refused before"
    counts = split_counts({**dict.fromkeys(parts, 1), "train": size(train)}, shares)
    order = permutation(seed, "split", size(train))
    cut: dict[str, Part] = {name: part for name, part in parts.items() if name != "train"}
    start = 0
    for name in (*shares, "train"):
        rows = order[start : start + counts[name]].sort().values
        cut[name] = _picked(train, rows)
        start += counts[name]
    return {"train": cut.pop("train"), **cut}


def _picked(part: Columns | Samples, rows: Tensor) -> Columns | Samples:
    """The samples of those numbers."""
    if isinstance(part, Mapping):
        return {feature: Column(column.data[rows], column.scale) for feature, column in part.items()}
    return replace(part, rows=part.rows[rows])


# Data that the caller brings ------------------------------------------------------------------------------------------

Own = Any
"""A pair of tensors or arrays, a mapping of them by feature, a map-style Dataset of such, or a DataLoader of such."""


def columns_of(data: Own, expected: Expected, part: str) -> Columns:
    """Columns from tensors, arrays or a map-style Dataset; `part` is what messages call it.

    Of a pair (inputs, target), the features are called as the spec calls what its model reads, and `target`, or as `data.features` calls it. Floating-point
    numbers become those that the spec wants, whole numbers too where they stay the same numbers; elsewhere they become int64.
    """
    if is_dataset(data):
        data = _collated(data, part)
    tensors = {name: as_tensor(values, f"`{name}` of `{part}`") for name, values in by_feature(data, expected, part).items()}
    check_rows(tensors, f"`{part}`: ")
    check_finite(tensors, f"`{part}`: ")
    types = expected.types(tuple(tensors), expected.target_among(tuple(tensors)))
    return {name: fit(Column(tensor), types.get(name), expected.floats) for name, tensor in tensors.items()}


def by_feature(data: Own, expected: Expected, part: str) -> dict[str, Any]:
    """What a batch or a whole data set is made of, under the names of features."""
    inputs = [expected.feature_of(name) for name in expected.inputs]
    if isinstance(data, Mapping):
        return {str(name): values for name, values in data.items()}
    if isinstance(data, (tuple, list)) and len(data) == len(inputs) + 1:
        return dict(zip((*inputs, expected.target), data, strict=True))
    if isinstance(data, (tuple, list)) and len(data) == 2:
        x, y = data
        if isinstance(x, Mapping):
            return {**{str(name): values for name, values in x.items()}, expected.target: y}
        if isinstance(x, (tuple, list)) and len(x) == len(inputs):
            return {**dict(zip(inputs, x, strict=True)), expected.target: y}
    named = ", ".join(f"`{name}`" for name in inputs)
    wanted = f"a pair ({named}, target)" if len(inputs) == 1 else f"a pair (({named}), target)"
    found = f"a {type(data).__name__} of {len(data)}" if isinstance(data, (tuple, list)) else _article(type(data).__name__)
    raise UsageError.of("SB0802", f"`{part}=` wants {wanted} or a mapping of features, but this is {found}")


def _article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'AEIOUaeiou' else 'a'} {noun}"


def is_dataset(data: Own) -> bool:
    """Whether it is something that gives one sample at a time."""
    if isinstance(data, Dataset):
        return True
    return not isinstance(data, (tuple, list, Mapping, Tensor, np.ndarray, str, bytes)) and hasattr(data, "__getitem__") and hasattr(data, "__len__")


def check_countable(dataset: Any, part: str) -> None:
    """Refuses what gives samples but cannot be asked for the one of a number."""
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__") or type(dataset).__getitem__ is Dataset.__getitem__:
        help = "give it a `__len__` and a `__getitem__`, or wrap it in a DataLoader"
        raise UsageError.of("SB0802", f"`{part}=` is a Dataset whose samples cannot be counted and picked", help=help)
    if len(dataset) == 0:
        raise DataError.of("SB0804", f"`{part}`: there are no samples")


def _collated(dataset: Any, part: str) -> Any:
    """All samples of a Dataset, stacked."""
    check_countable(dataset, part)
    samples = [dataset[index] for index in range(len(dataset))]
    try:
        return default_collate(samples)
    except (TypeError, RuntimeError, KeyError, ValueError) as error:
        raise unstackable(part, error) from error


def unstackable(part: str, error: Exception) -> SpecbuilderError:
    """What torch says of samples that do not make a batch."""
    # From a worker process the message comes with the traceback in front.
    reason = " ".join(str(error).strip().splitlines()[-1].split()).removeprefix(f"{type(error).__name__}: ")
    help = "let each sample be numbers of one shape; make tensors of images in the Dataset itself"
    return DataError.of("SB0809", f"the samples of `{part}` cannot be stacked: {reason}", help=help)


def as_tensor(values: Any, what: str) -> Tensor:
    """On the CPU, in a dtype that a spec can name."""
    if isinstance(values, Tensor):
        if values.layout is not torch.strided or values.is_quantized:
            raise DataError.of("SB0809", f"{what} is no plain tensor", help="use `.to_dense()` or `.dequantize()`")
        if values.is_meta:
            raise DataError.of("SB0809", f"{what} is on the device `meta`, where tensors have no numbers")
        return plain_integers(values.detach().cpu(), what)
    if isinstance(values, (list, tuple)) and values and all(isinstance(value, Tensor) for value in values):
        try:
            return as_tensor(torch.stack(list(values)), what)
        except RuntimeError:
            raise DataError.of("SB0809", f"{what}: its samples differ in shape") from None
    try:
        return tensor_of(np.asarray(values), what)
    except ValueError:
        raise DataError.of("SB0809", f"{what}: its samples differ in shape") from None


def fit(column: Column, wanted: TensorType | None, floats: str) -> Column:
    """The column in the dtype that is wanted, where its numbers stay what they are; a mismatch that is left is for the plan to tell.

    Without a wish, floating-point numbers become `floats`, and small whole numbers int64.
    """
    data = column.data
    dtype = wanted.dtype if wanted is not None else floats if data.is_floating_point() else "int64"
    if column.scale is not None or data.dtype is torch.bool or data.is_complex() or dtype == str(data.dtype).removeprefix("torch."):
        return column
    if data.is_floating_point():
        return Column(data.to(getattr(torch, dtype))) if is_floating(dtype) else column
    if data.dtype is torch.uint8 and dtype == "float32":
        return Column(data, scale=1.0)  # widened batch by batch: a quarter of the memory
    if not (is_floating(dtype) or is_integer(dtype)):
        return column
    widened = data.to(getattr(torch, dtype))
    return Column(widened) if bool((widened.to(torch.int64) == data.to(torch.int64)).all()) else column
