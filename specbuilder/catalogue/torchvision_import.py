"""Imports torchvision where its native library cannot be loaded, as beside a CPU-only torch that meets a torchvision wheel built for CUDA.

There, `import torchvision` dies with "operator torchvision::nms does not exist": it describes two operators that only the native library declares. With
their schemas declared first, models, data sets and v2 transforms work; compiled detection and image-decoding operators stay absent, and say so when
called. Call this before any import that may reach torchvision: torchmetrics and timm do. Where the native library loads, nothing is declared.
"""

from __future__ import annotations

from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.library import Library

SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
"""As torchvision's own library declares them."""


def import_torchvision() -> ModuleType:
    """The module `torchvision`, imported even where its native library is unusable."""
    declare_missing_operators()
    import torchvision

    return torchvision


@cache  # the declarations live as long as the library object, which the cache keeps
def declare_missing_operators() -> Library | None:
    """Declares what `import torchvision` needs and nobody has declared; None where nothing was missing."""
    import torch
    from torch.library import Library

    _load_native_library()
    missing = {name: schema for name, schema in SCHEMAS.items() if not hasattr(torch.ops.torchvision, name)}
    if not missing:
        return None
    library = Library("torchvision", "FRAGMENT")
    for name, schema in missing.items():
        library.define(name + schema)
    return library


def _load_native_library() -> None:
    """What torchvision does first when it is imported: only this tells whether its operators will be there."""
    import torch

    spec = find_spec("torchvision")
    folders = spec.submodule_search_locations or () if spec else ()
    for path in (Path(folder) / f"_C{suffix}" for folder in folders for suffix in EXTENSION_SUFFIXES):
        if path.is_file():
            try:
                torch.ops.load_library(path)
            except OSError:  # linked against a library that is not there
                return
