"""Tensors to a safetensors file of the run folder: the weights that a run leaves, the statistics that inputs are normalized by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from specbuilder.training.memory import PART, disk


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Writes them contiguous and on the CPU, to a sibling first, then renamed. A tensor that two names share is stored under both, since
    `load_state_dict`, by which the folder is used without this package, wants all names.
    """
    stored: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        kept = tensor.detach().contiguous().cpu()
        # safetensors takes no memory twice.
        stored[name] = kept.clone() if kept.data_ptr() in seen else kept
        seen.add(kept.data_ptr())
    beside = path.with_name(f".{path.name}{PART}")
    with disk(beside, sum(tensor.nbytes for tensor in stored.values())):
        save_file(stored, beside)
        beside.replace(path)
