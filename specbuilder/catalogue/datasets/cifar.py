"""CIFAR-10, read by torchvision out of the folder that its authors distribute.

Out: columns of the stored bytes. Nothing is fetched unless the spec says `download: true`; whatever goes wrong is a `DataError` that says what to do.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from specbuilder.catalogue.contract import Column, Columns, DataFacts, Dataset, Feature, dataset
from specbuilder.catalogue.declared import Field
from specbuilder.diagnostics import DataError, SpecbuilderError
from specbuilder.shapes import TensorType, symbol

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PARTS = {"train": 50_000, "test": 10_000}


@dataset("cifar10", aliases=("cifar",), torch="torchvision.datasets.CIFAR10")
class Cifar10(Dataset):
    """60,000 photographs of ten classes of things (A. Krizhevsky, 2009): 50,000 in `train`, 10,000 in `test`.

    `image` float32[B, 3, 32, 32], 0 to 1 in steps of 1/255; `label` int64[B], the class.
    """

    root: str = Field(default="data", description="the folder that holds `cifar-10-batches-py`, seen from the current folder")
    download: bool = Field(default=False, description="whether to fetch the files (163 MiB) where they are missing or broken")

    def facts(self) -> DataFacts:
        B = symbol("B")
        return DataFacts(
            features={
                "image": Feature(type=TensorType("float32", (B, 3, 32, 32))),
                "label": Feature(type=TensorType("int64", (B,)), classes=len(_CLASSES), class_names=_CLASSES, is_target=True),
            },
            parts=_PARTS,
        )

    def open(self) -> Mapping[str, Columns]:
        from specbuilder.catalogue.torchvision_import import import_torchvision

        import_torchvision()
        from torchvision.datasets import CIFAR10

        root = Path(self.root).expanduser()
        if self.download:
            _fetch(CIFAR10, root)
        return {"train": _read(CIFAR10, root, is_train=True), "test": _read(CIFAR10, root, is_train=False)}


def _fetch(cifar: type[CIFAR10], root: Path) -> None:
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        cifar(root, download=True)
    except Exception as error:  # network, disk, archive: each library raises its own, and all mean one thing to the user
        for folder in made:
            # Only what is empty: a file that came in part is torchvision's to go on with.
            with suppress(OSError):
                folder.rmdir()
        message = f"CIFAR-10 could not be downloaded into {root}: {_reason(error)}"
        help = f"put the files into {root / cifar.base_folder} by hand, or try without them: `--synthetic`"
        raise DataError.of("SB0808", message, help=help) from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _read(cifar: type[CIFAR10], root: Path, *, is_train: bool) -> Columns:
    """One part. torchvision compares every file with its MD5 before it unpickles any, so only the files of the authors are ever executed."""
    import numpy as np
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the pickles are of 2009, and numpy remarks on it
            part = cifar(root, train=is_train)
    except (RuntimeError, OSError) as error:
        raise _missing(cifar, root, error) from error
    # torchvision turned the bytes [N, 3, 32, 32] into a view [N, 32, 32, 3]: turned back, they are as they were stored.
    images = torch.from_numpy(np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)))
    return {"image": Column(images, scale=1 / 255), "label": Column(torch.tensor(part.targets, dtype=torch.int64))}


def _missing(cifar: type[CIFAR10], root: Path, error: Exception) -> SpecbuilderError:
    """What is wrong with the folder, file by file."""
    folder = root / cifar.base_folder
    files = [*(name for name, _ in (*cifar.train_list, *cifar.test_list)), str(cifar.meta["filename"])]
    absent = [name for name in files if not (folder / name).is_file()]
    if len(absent) == len(files):
        help = "write `download: true` to fetch it, name the folder that has it with `root`, or try without it: `--synthetic`"
        return DataError.of("SB0806", f"CIFAR-10 is not in {folder.absolute()}", help=help)
    help = "write `download: true` to fetch them again"
    if absent:
        return DataError.of("SB0806", f"CIFAR-10 in {folder.absolute()} is not complete: {', '.join(absent)} missing", help=help)
    broken = [name for name, md5 in _checksums(cifar) if not _has_md5(folder / name, md5)]
    said = f"{', '.join(broken)} not as published" if broken else _reason(error)
    return DataError.of("SB0807", f"CIFAR-10 in {folder.absolute()} is broken: {said}", help=help)


def _checksums(cifar: type[CIFAR10]) -> list[tuple[str, str]]:
    return [*((name, md5) for name, md5 in (*cifar.train_list, *cifar.test_list)), (str(cifar.meta["filename"]), str(cifar.meta["md5"]))]


def _has_md5(path: Path, md5: str) -> bool:
    from torchvision.datasets.utils import check_md5

    try:
        return check_md5(path, md5)
    except OSError:
        return False
