"""What a spec says of its data before anyone has looked: the types that its model takes, the names that it gives, and a stand-in made from both.

In: a checked spec. Out: `Expected`, which own data and opened files are named and widened by, and from which `--synthetic` makes samples. Nothing here
touches a file or a tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol, runtime_checkable

from specbuilder.catalogue.contract import DataFacts, Dataset, Feature, Loss
from specbuilder.catalogue.datasets.arrays import targets_among
from specbuilder.catalogue.fields import check
from specbuilder.diagnostics import Diagnostics, InternalError, Span
from specbuilder.graph.graph import TypedGraph
from specbuilder.graph.variables import Variables
from specbuilder.language.settings import DataSettings
from specbuilder.language.tree import SpecTree
from specbuilder.language.values import resolve
from specbuilder.plan.binding import bind_names
from specbuilder.plan.limits import limits
from specbuilder.plan.make import make_kind
from specbuilder.plan.plan import Plan
from specbuilder.shapes import Dim, Poly, TensorType, is_floating, is_integer, parse_type, substitute, symbol

SAMPLES = 512
"""Made-up samples of a part."""
SIZES = (32, 64, 128, 224, 256, 512, 1024)
"""Tried in turn for the sizes that a model leaves open, until its requirements hold."""


class Checked(Protocol):
    """What a checked spec knows; `api.Spec` is one."""

    @property
    def tree(self) -> SpecTree: ...

    @property
    def graph(self) -> TypedGraph: ...

    @property
    def plan(self) -> Plan | None: ...


@runtime_checkable
class Opaque(Protocol):
    """A dataset that only its files can describe, such as `arrays`. Two things it can tell all the same."""

    def part_names(self) -> Sequence[str]: ...

    def target_names(self, features: Sequence[str]) -> Sequence[str]:
        """Which of the features are targets."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a spec says of its data."""

    graph: TypedGraph
    dataset: Dataset
    where: Span | None
    """Where the dataset is named."""
    data: DataSettings
    written: frozenset[str]
    """The keys of `data` that stand in the spec."""
    loss: Loss
    facts: DataFacts | None
    """As the dataset states them."""

    @property
    def inputs(self) -> Mapping[str, TensorType]:
        return self.graph.input_types

    @property
    def declared(self) -> dict[str, TensorType]:
        """The types under `data.features`."""
        return {name: parse_type(text) for name, text in (self.data.features or {}).items()}

    def feature_of(self, input: str) -> str:
        """The feature that an input reads, where nobody else has named it."""
        return (self.data.bind or {}).get(input, input)

    @property
    def target(self) -> str:
        """What the target is called, where nobody else has named it: as declared, else `target`."""
        bound = self.bound(tuple(self.declared), targets_among(self.declared))
        left = [name for name in self.declared if name not in bound.values()]
        return left[0] if len(left) == 1 else "target"

    def target_among(self, features: Sequence[str]) -> tuple[str, ...]:
        """Which of the caller's features are targets: the one that the spec declares, else those with the usual names."""
        return (self.target,) if self.target in features else targets_among(features)

    def bound(self, features: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
        """Input: feature, as the plan will bind them."""
        return bind_names(self.inputs, {name: name in targets for name in features}, self.data.bind or {})

    def types(self, features: Sequence[str], targets: Sequence[str]) -> dict[str, TensorType]:
        """The type that each feature should have, as far as the spec tells: declared, or that of the input that reads it."""
        read = {feature: self.inputs[input] for input, feature in self.bound(features, targets).items()}
        return {name: type for name, type in (read | self.declared).items() if name in features}

    @property
    def floats(self) -> str:
        """The dtype of floating-point features that no input reads: a target is compared with the output."""
        dtypes = {type.dtype for type in self.graph.output_types.values()}
        return dtypes.pop() if len(dtypes) == 1 and is_floating(next(iter(dtypes))) else "float32"


def expect(spec: Checked) -> Expected:
    """What a spec says. It has `data` and `train`, and was found to be right."""
    data, train = spec.tree.data, spec.tree.train
    assert data is not None and train is not None
    quiet = Diagnostics()
    variables = Variables(spec.tree.variables, quiet)
    values = {name: resolve(entry.value, variables, variables.names, quiet) for name, entry in data.settings.items()}
    settings, _ = check(DataSettings, values, owner="data")
    dataset = make_kind(data.dataset, variables, quiet) if data.dataset is not None else None
    loss = make_kind(train.uses["loss"][0], variables, quiet)
    if settings is None or not isinstance(dataset, Dataset) or not isinstance(loss, Loss):
        raise InternalError("data", "a checked spec has no dataset, no loss, or a wrong setting")
    return Expected(
        graph=spec.graph,
        dataset=dataset,
        where=data.dataset.span if data.dataset is not None else None,
        data=settings,
        written=frozenset(data.settings),
        loss=loss,
        facts=dataset.facts(),
    )


# A stand-in ----------------------------------------------------------------------------------------------------------


def stand_in(expected: Expected) -> tuple[dict[str, Feature], dict[str, int]]:
    """Features and parts of made-up data in place of the dataset: as its facts say, else as `data.features` declares, else as model and loss want them."""
    facts = expected.facts
    if facts is not None:
        features = {name: _counted(expected, name, feature) for name, feature in facts.features.items()}
        return features, {part: _samples(expected, part, count) for part, count in facts.parts.items()}
    dataset = expected.dataset
    parts = dataset.part_names() if isinstance(dataset, Opaque) else ("train",)
    return _features(expected), {part: _samples(expected, part, None) for part in parts}


def _features(expected: Expected) -> dict[str, Feature]:
    sizes = _sizes(expected)
    types = expected.declared or {expected.feature_of(input): type for input, type in expected.inputs.items()}
    bound = expected.bound(tuple(types), targets_among(types))
    types |= {expected.feature_of(input): type for input, type in expected.inputs.items() if input not in bound}
    target = _target(expected, sizes)
    left = [name for name in types if name not in expected.bound(tuple(types), targets_among(types)).values()]
    features = {
        name: _counted(expected, name, Feature(type=_concrete(type, sizes), is_target=name in left, classes=target.classes if name in left else None))
        for name, type in types.items()
    }
    if not left:
        named = expected.dataset.target_names(()) if isinstance(expected.dataset, Opaque) else ()
        features[named[0] if named else expected.target] = target
    return features


def _target(expected: Expected, sizes: Mapping[str, Dim]) -> Feature:
    """What the loss compares with: class numbers where it scores classes, else something of the output's type."""
    judged = _concrete(next(iter(expected.graph.output_types.values())), sizes)
    classes = expected.loss.classes(judged)
    if isinstance(classes, int):
        return Feature(type=TensorType("int64", (judged.shape[0], *judged.shape[2:])), classes=classes, is_target=True)
    return Feature(type=judged, is_target=True)


def _counted(expected: Expected, name: str, feature: Feature) -> Feature:
    """With no more classes than an embedding that reads the feature has vectors."""
    if feature.classes is not None or not is_integer(feature.type.dtype):
        return feature
    bounds = limits(expected.graph)
    found = [bounds[input].below for input in bounds if expected.feature_of(input) == name or len(expected.inputs) == 1]
    return Feature(type=feature.type, classes=min(found) if found else None, is_target=feature.is_target)


def _samples(expected: Expected, part: str, count: int | None) -> int:
    """Enough for the split and for a whole batch, and no more than there are."""
    if part != "train":
        return min(count or SAMPLES, SAMPLES)
    split = (expected.data.split or {}).values()
    shares = sum(size for size in split if isinstance(size, float))
    rows = max(SAMPLES, ceil(expected.data.batch_size / max(1 - shares, 0.01))) + sum(size for size in split if isinstance(size, int))
    return min(count or rows, rows)


def _sizes(expected: Expected) -> dict[str, Dim]:
    """A number for each size that the model leaves open, but for the batch."""
    types = (*expected.inputs.values(), *expected.declared.values())
    names = {name for type in types for dim in type.shape[1:] if isinstance(dim, Poly) for name in dim.symbols}
    for size in SIZES:
        sizes: dict[str, Dim] = dict.fromkeys(names, size)
        values = [(substitute(requirement.dim, sizes), requirement.minimum) for requirement in expected.graph.requirements]
        if all(not isinstance(value, int) or value >= minimum for value, minimum in values):
            return sizes
    return dict.fromkeys(names, SIZES[0])


def _concrete(type: TensorType, sizes: Mapping[str, Dim]) -> TensorType:
    return TensorType(type.dtype, (symbol("B"), *(substitute(dim, dict(sizes)) for dim in type.shape[1:])))
