"""Samples made up from types: what a spec can be tried with where its data is not at hand.

In: features and how many samples of each part. Out: columns. Each is a pure function of part, feature and type, so that a column never changes because
another one came or went. There is nothing to learn in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from specbuilder.catalogue.contract import Column, Columns, DataFacts, Dataset, Feature, PositiveInt, dataset
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import DimError, Poly, TensorType, is_floating, parse_type

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = 10
"""Values that a whole-number feature takes where nobody says how many."""
_SEED = "specbuilder"


@dataset("synthetic", aliases=("fake", "fake_data", "dummy"))
class Synthetic(Dataset):
    """Made-up samples of the types that it is told: always the same ones. One part, `train`; cut others with `split`.

    Floating-point features are drawn from the standard normal distribution, whole numbers evenly from 0 to `classes` - 1, truth values evenly.
    """

    features: dict[str, str] = Field(
        description='the type of each feature, as in `image: "float32[B, 3, 32, 32]"`; all sizes but the first are numbers'
    )
    classes: dict[str, PositiveInt] = Field(default={}, description=f"how many values a whole-number feature takes; {CLASSES} where it is not said")
    samples: PositiveInt = Field(default=512, description="how many samples there are")
    targets: tuple[str, ...] = Field(
        default=(), description="the features that are no input of a model; by default those called `label`, `target` or `y`"
    )

    def mistakes(self) -> Iterator[tuple[str, str]]:
        types: dict[str, TensorType] = {}
        if not self.features:
            yield "features", "at least one feature is wanted"
        for name, text in self.features.items():
            try:
                types[name] = _parsed(name, text)
            except ValueError as error:
                yield "features", str(error)
        for field, named in (("classes", tuple(self.classes)), ("targets", self.targets)):
            for name in named:
                if name not in self.features:
                    yield field, f"there is no feature `{name}`; they are {', '.join(f'`{known}`' for known in self.features)}"
        for name, count in self.classes.items():
            if name in types:
                dtype = types[name].dtype
                if dtype not in _LARGEST:
                    yield "classes", f"`{name}` is {dtype}, and only whole numbers have classes"
                elif count - 1 > _LARGEST[dtype]:
                    yield "classes", f"`{name}` is {dtype}, which cannot hold {count} classes"

    def facts(self) -> DataFacts:
        targets = self.targets or tuple(name for name in self.features if name in ("label", "target", "y"))
        features = {}
        for name, text in self.features.items():
            type = parse_type(text)
            classes = self.classes.get(name, CLASSES) if type.dtype in _LARGEST else None
            features[name] = Feature(type=type, classes=classes, is_target=name in targets)
        return DataFacts(features=features, parts={"train": self.samples})

    def open(self) -> Mapping[str, Columns]:
        facts = self.facts()
        return make_up(facts.features, facts.parts)


def _parsed(name: str, text: str) -> TensorType:
    try:
        type = parse_type(text)
    except DimError as error:
        raise ValueError(f"`{name}`: {error.message}") from None
    if not type.shape:
        raise ValueError(f"`{name}` is {type}, which has no axis for the samples; write {type.dtype}[B]")
    for dim in type.shape[1:]:
        if isinstance(dim, Poly):
            raise ValueError(f"`{name}` is {type}: made-up samples need a number in place of `{dim}`")
    if not isinstance(type.shape[0], Poly):
        raise ValueError(f"`{name}` is {type}, but the first axis counts the samples and is written as a name, such as `B`")
    return type


# Making up -----------------------------------------------------------------------------------------------------------

_LARGEST = {"uint8": 2**8 - 1, "int8": 2**7 - 1, "int16": 2**15 - 1, "int32": 2**31 - 1, "int64": 2**63 - 1}


def make_up(features: Mapping[str, Feature], parts: Mapping[str, int]) -> Mapping[str, Columns]:
    """Columns for these features, whose sizes are numbers but for the first, in parts of these many samples."""
    return {part: {name: Column(_tensor(f"{part}/{name}", feature, count)) for name, feature in features.items()} for part, count in parts.items()}


def _tensor(stream: str, feature: Feature, count: int) -> Tensor:
    import torch

    shape = (count, *(size for size in feature.type.shape[1:] if isinstance(size, int)))
    assert len(shape) == feature.type.rank, f"{feature.type} has a size that is no number"
    generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(f"{_SEED}/{stream}".encode()).digest()[:8], "little", signed=True))
    name = feature.type.dtype
    dtype = getattr(torch, name)
    if name == "bool":
        return torch.randint(2, shape, generator=generator).bool()
    if name in _LARGEST:
        return torch.randint(min(feature.classes or CLASSES, _LARGEST[name]), shape, generator=generator).to(dtype)
    # Drawn in float32 and rounded, so that all widths of one feature have the same values.
    drawn = torch.randn(shape, generator=generator, dtype=torch.float32 if is_floating(name) else torch.complex64)
    return drawn.to(dtype)
