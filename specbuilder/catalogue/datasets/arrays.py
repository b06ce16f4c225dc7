"""The user's own arrays: one file a part, each array in it a feature. Also the way of any array into a tensor.

In: paths of .npz or .safetensors files. Out: columns as they are stored. Nothing is ever unpickled. What does not hold together is a `DataError` that
names the file and the array; whether it fits the model is for the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specbuilder.catalogue.contract import Column, Columns, Dataset, dataset
from specbuilder.catalogue.declared import Field
from specbuilder.diagnostics import DataError, SpecbuilderError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

TARGET_NAMES = ("label", "labels", "target", "targets", "y")
"""What the thing to be learned is commonly called."""


@dataset("arrays", primary="train", aliases=("npz", "numpy", "safetensors", "tensors", "npy"))
class Arrays(Dataset):
    """Arrays out of .npz or .safetensors files: one file a part, each array in it a feature, one row a sample."""

    train: str = Field(description="the file to train on, .npz or .safetensors, seen from the current folder")
    validation: str | None = Field(default=None, description="the file of the part `validation`")
    test: str | None = Field(default=None, description="the file of the part `test`")
    targets: tuple[str, ...] = Field(
        default=(), description="the arrays that are no input of a model; by default `label`, `target` or `y`, else the last array"
    )

    def mistakes(self) -> Iterator[tuple[str, str]]:
        for part in ("train", "validation", "test"):
            if getattr(self, part) == "":
                yield part, "the name of a file is wanted, such as `train.npz`"

    def files(self) -> dict[str, Path]:
        """The file of each part."""
        written = {"train": self.train, "validation": self.validation, "test": self.test}
        return {part: Path(path).expanduser() for part, path in written.items() if path is not None}

    def part_names(self) -> tuple[str, ...]:
        return tuple(self.files())

    def target_names(self, features: Sequence[str]) -> tuple[str, ...]:
        """Which features are targets: as written, else by name, else the last."""
        return self.targets or targets_among(features) or tuple(features[-1:])

    def open(self) -> Mapping[str, Columns]:
        parts = {part: _read(path) for part, path in self.files().items()}
        for part, columns in parts.items():
            for name in self.targets:
                if name not in columns:
                    help = did_you_mean(name, columns) or f"it has {_listed(columns)}"
                    raise DataError.of("SB0801", f"{self.files()[part]} has no array `{name}`, which `targets` names", help=help)
            if missing := [name for name in parts["train"] if name not in columns]:
                raise DataError.of("SB0803", f"{self.files()[part]} has no array {_listed(missing)}, but {self.files()['train']} has")
            if extra := [name for name in columns if name not in parts["train"]]:
                raise DataError.of("SB0803", f"{self.files()[part]} has {_listed(extra)}, but {self.files()['train']} has not")
        return {part: {name: columns[name] for name in parts["train"]} for part, columns in parts.items()}


def targets_among(features: Iterable[str]) -> tuple[str, ...]:
    """The features whose names say that they are targets."""
    return tuple(name for name in features if name in TARGET_NAMES)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# Files ---------------------------------------------------------------------------------------------------------------


def _read(path: Path) -> Columns:
    """The columns of one file."""
    readers = {".npz": read_npz, ".safetensors": read_safetensors}
    if path.suffix not in readers:
        help = "write it with `numpy.savez(FILE, image=..., label=...)` or `safetensors.numpy.save_file`"
        found = f"not with `{path.suffix}`" if path.suffix else "and this one has no ending"
        raise DataError.of("SB0807", f"{path}: a file of arrays ends with .npz or .safetensors, {found}", help=help)
    if path.is_dir():
        raise DataError.of("SB0806", f"{path} is a folder, but a file of arrays is wanted")
    if not path.is_file():
        near = [str(entry) for entry in path.parent.glob("*") if entry.suffix in readers] if path.parent.is_dir() else []
        help = did_you_mean(str(path), near) or "paths are seen from the current folder; try without the file: `--synthetic`"
        raise DataError.of("SB0806", f"there is no file {path}", help=help)
    tensors = readers[path.suffix](path)
    if not tensors:
        raise DataError.of("SB0804", f"{path} has no arrays")
    check_rows(tensors, f"{path}: ")
    check_finite(tensors, f"{path}: ")
    return {name: Column(tensor) for name, tensor in tensors.items()}


def read_npz(path: Path) -> dict[str, Tensor]:
    """The arrays of an .npz file by name."""
    from zipfile import is_zipfile

    import numpy as np

    # What is no archive, numpy would take for a single array or a pickle.
    if not is_zipfile(path):
        content = path.read_bytes()
        if not content or content.startswith(b"PK"):
            reason = "the end of the file is missing" if content else "the file is empty"
            raise DataError.of("SB0807", f"{path} is broken: {reason}", help="write or copy it anew")
        help = "write it with `numpy.savez(FILE, image=..., label=...)`"
        raise DataError.of("SB0807", f"{path} is no .npz file: it holds no named arrays", help=help)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            return {name: _member(path, content, name) for name in content.files}
    except SpecbuilderError:
        raise
    except Exception as error:  # zip, header and bytes each fail in their own way, and all mean one thing to the user
        raise _broken(path, error) from error


def _member(path: Path, content: Any, name: str) -> Tensor:
    import numpy as np

    try:
        array = content[name]
    except Exception as error:  # as above
        if "allow_pickle" in str(error):
            help = "save numbers, truth values or complex numbers of one shape for all samples"
            raise DataError.of("SB0809", f"{path}: `{name}` holds Python objects, which are not loaded from a file", help=help) from None
        raise _broken(path, error, f", `{name}`") from error
    if not isinstance(array, np.ndarray):
        raise DataError.of("SB0807", f"{path}: `{name}` is no array")
    return tensor_of(array, f"{path}: `{name}`")


def read_npy(path: Path) -> Tensor:
    """The array of an .npy file."""
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # as in `read_npz`
        if "allow_pickle" in str(error) and path.read_bytes().startswith(b"\x93NUMPY"):
            raise DataError.of("SB0809", f"{path} holds Python objects, which are not loaded from a file") from None
        if "allow_pickle" in str(error):
            raise DataError.of("SB0807", f"{path} is no .npy file", help="write it with `numpy.save(FILE, array)`") from None
        raise _broken(path, error) from error
    if not isinstance(array, np.ndarray):
        raise DataError.of("SB0807", f"{path} is no .npy file: it holds several arrays", help="call it .npz")
    return tensor_of(array, str(path))


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file by name."""
    from safetensors.torch import load_file

    try:
        return {name: plain_integers(tensor, f"{path}: `{name}`") for name, tensor in load_file(path).items()}
    except SpecbuilderError:
        raise
    except Exception as error:  # as above
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception, where: str = "") -> SpecbuilderError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError.of("SB0807", f"{path}{where} cannot be read: {reason}")


# Arrays to tensors ---------------------------------------------------------------------------------------------------


def tensor_of(array: np.ndarray, what: str) -> Tensor:
    """The numbers of an array as a tensor of a dtype that a spec can name. `what` is how messages call it."""
    import numpy as np
    import torch

    if array.dtype.kind not in "biufc":
        raise DataError.of("SB0809", f"{what} holds {_noun(array.dtype)}, but numbers are wanted")
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        if array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise DataError.of("SB0809", f"{what} holds numbers beyond what int64 can hold")
        array = array.astype(np.int64)
    elif array.dtype.kind in "fc" and array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    # Torch takes neither foreign byte order nor negative strides, and warns of memory that it may not write.
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)).reshape(array.shape)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _noun(dtype: np.dtype) -> str:
    return {"O": "Python objects", "U": "texts", "S": "texts", "M": "dates", "m": "spans of time", "V": "records"}.get(dtype.kind, str(dtype))


def plain_integers(tensor: Tensor, what: str) -> Tensor:
    """The tensor in a dtype that a spec can name: wide integers without sign become int64."""
    import torch

    if tensor.dtype in (torch.uint16, torch.uint32, torch.uint64):
        return tensor_of(tensor.numpy(), what)
    if str(tensor.dtype).startswith(("torch.float8", "torch.float4", "torch.q", "torch.bits")):
        raise DataError.of("SB0809", f"{what} is {str(tensor.dtype).removeprefix('torch.')}, which is no dtype of a spec")
    return tensor


def check_rows(tensors: Mapping[str, Tensor], where: str) -> None:
    """Refuses what cannot be samples: no rows, or not the same number of rows. `where` begins each message."""
    for name, tensor in tensors.items():
        if tensor.ndim == 0:
            raise DataError.of("SB0803", f"{where}`{name}` is a single number, but one row a sample is wanted")
    lengths = {name: len(tensor) for name, tensor in tensors.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"`{name}` has {length}" for name, length in lengths.items())
        raise DataError.of("SB0803", f"{where}all features need the same number of samples, but {said}")
    if not all(lengths.values()):
        raise DataError.of("SB0804", f"{where}there are no samples")


def check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Refuses numbers that are none: a run on them only finds its loss to be NaN."""
    for name, tensor in tensors.items():
        if (row := _first_not_finite(tensor)) is not None:
            raise DataError.of("SB0809", f"{where}`{name}` of sample {row} is not finite: it holds NaN or infinity")


def _first_not_finite(tensor: Tensor) -> int | None:
    """The row of the first NaN or infinity, a chunk at a time so that little memory is used."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return None
    start = 0
    for chunk in tensor.split(4096):
        is_wrong = ~chunk.isfinite().reshape(len(chunk), -1).all(1)
        if bool(is_wrong.any()):
            return start + int(is_wrong.nonzero()[0])
        start += len(chunk)
    return None
