"""The twelve networks of specs/zoo, their variants, and inputs that are small enough for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from specbuilder.api import Spec, load, parse
from specbuilder.emit.load import build
from specbuilder.shapes import evaluate

FOLDER = Path(__file__).parent.parent.parent / "specs" / "zoo"

VARIANTS: Mapping[str, tuple[str | None, ...]] = {
    "bert_mean": (None,),
    "convnext": ("tiny", "small", "base"),
    "densenet": ("densenet121", "densenet161", "densenet169", "densenet201"),
    "diffusion_unet": (None,),
    "fpn": (None,),
    "gpt2": ("small", "medium", "large", "xl"),
    "mobilenet_v2": (None,),
    "moe": (None,),
    "resnet": ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50"),
    "siamese": (None,),
    "swin": ("tiny", "small", "base"),
    "vae": (None,),
}
NETWORKS = tuple(VARIANTS)
EVERY = tuple((name, variant) for name, variants in VARIANTS.items() for variant in variants)

SIZES = {"B": 2, "T": 5, "H": 64, "W": 32, "h": 2, "w": 1}
"""What the symbols in the inputs stand for; height and width differ, so that one cannot pass for the other."""


def network(name: str, variant: str | None = None, **changes: object) -> Spec:
    """A network of the zoo. `changes` are variables; what the spec promises of the sizes it has is left out then."""
    if not changes:
        return load(FOLDER / f"{name}.yaml", variant=variant)
    text, found, _ = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").partition("\nexpect:")
    assert found
    return parse(text, f"{name}.yaml", variant=variant, set={f"vars.{key}": value for key, value in changes.items()})


def inputs_of(spec: Spec, device: str = "cpu", sizes: Mapping[str, int] = SIZES) -> dict[str, Tensor]:
    """Inputs of a network by name: small numbers for tokens and steps, half of the tokens of a mask."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, type in spec.graph.input_types.items():
        shape = [evaluate(dim, sizes) for dim in type.shape]
        drawn = torch.randn(shape, generator=generator)
        found[name] = {"float32": drawn, "int64": (drawn > 0).to(torch.int64), "bool": drawn > 0}[type.dtype].to(device)
    return found


def on_meta(spec: Spec) -> nn.Module:
    """The emitted model without numbers: shapes and names alone, whatever its size."""
    return build(spec.emission, 0, "meta")


def shapes_of(spec: Spec, sizes: Mapping[str, int] = SIZES) -> dict[str, tuple[int, ...]]:
    """What the graph says of the outputs, at these sizes."""
    return {name: tuple(evaluate(dim, sizes) for dim in type.shape) for name, type in spec.graph.output_types.items()}
