"""Source to `nn.Module`: the one place that executes code, and only code that `emit` wrote.

A source is run as a module whose name is the hash of its text, and shown to `linecache`, so that a traceback inside the model points at its lines.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
from contextlib import nullcontext
from types import ModuleType

import torch
from torch import nn

from specbuilder.emit.model import Emission


def load(text: str, title: str, path: str | None = None) -> ModuleType:
    """The module of an emitted source; `path` is the file it was written to, if it was."""
    name = f"specbuilder_{title}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    filename = path or f"<{name}>"
    if name in sys.modules and sys.modules[name].__file__ == filename:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = filename
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), module.__dict__)
    sys.modules[name] = module
    return module


def build(emission: Emission, seed: int, device: torch.device | str = "cpu", path: str | None = None) -> nn.Module:
    """The model with fresh weights, in training mode. Weights are drawn on the CPU, so they are the same for every device; on the meta device, which holds
    shapes alone, none are drawn.

    `seed` is the seed of the generator itself. The global generator is left as it was.
    """
    make = getattr(load(emission.text, "model", path), emission.class_name)
    device = torch.device(device)
    with torch.random.fork_rng(devices=[]), device if device.type == "meta" else nullcontext():
        torch.manual_seed(seed)
        model = make()
    return model.to(device)
