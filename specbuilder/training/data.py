"""From a spec or a caller to samples: opens what the spec names, takes what the caller brings, or makes something of the right shape.

Out: parts and what is known of them, from which the plan is made. Whether they fit the model is for the plan; here they are named, widened to the dtypes
that the spec wants, and held against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils.data import DataLoader

from specbuilder.catalogue.contract import Columns, DataFacts, Feature
from specbuilder.catalogue.datasets.arrays import targets_among
from specbuilder.catalogue.datasets.synthetic import make_up
from specbuilder.diagnostics import DataError, UsageError
from specbuilder.language.settings import DataSettings
from specbuilder.shapes import TensorType
from specbuilder.training.columns import Part, Parts, columns_of, fingerprint, fit, is_dataset, size, type_of, white
from specbuilder.training.expected import Checked, Expected, Opaque, expect, stand_in
from specbuilder.training.loader import Loaded, loaded
from specbuilder.training.samples import Samples, samples_of

KEEP_WHOLE = 'load the spec with `set={"data.split": None}`'


def gather(spec: Checked, own: Mapping[str, Any], *, synthetic: bool = False) -> tuple[Parts, DataFacts]:
    """The samples of a run and what is known of them.

    Own data takes the place of the spec's dataset. Then `data.bind`, `data.features`, transforms and `data.split` hold as they do for any data: a split
    cuts its parts from `train`. It cannot cut a part that the caller brings as well, nor anything from a DataLoader: both are a `UsageError`.
    With `synthetic`, made-up samples take its place; their fingerprint says so.
    """
    expected = expect(spec)
    if own:
        if synthetic:
            raise UsageError.of("SB0802", "own data and made-up data exclude each other", help="give `train=` or `synthetic=True`")
        _check_split(own, expected)
        return _own(own, expected)
    if synthetic:
        features, counts = stand_in(expected)
        parts = make_up(features, counts)
        return parts, DataFacts(features=features, parts=counts, fingerprint=f"synthetic {fingerprint(parts)}", is_made_up=True)
    return _opened(expected)


def _opened(expected: Expected) -> tuple[Parts, DataFacts]:
    """The parts of the spec's dataset, and its facts: those it states, with the counts and the fingerprint of what is really there."""
    try:
        parts: Mapping[str, Columns] = expected.dataset.open()
    except DataError as error:
        # The dataset knows what is wrong, the spec where it is named.
        raise DataError([found.replace(span=found.span or expected.where) for found in error.diagnostics]) from error
    if expected.facts is None:
        names = tuple(parts["train"])
        targets = expected.dataset.target_names(names) if isinstance(expected.dataset, Opaque) else targets_among(names)
        types = expected.types(names, targets)
        parts = {part: {name: fit(column, types.get(name), expected.floats) for name, column in columns.items()} for part, columns in parts.items()}
        features = {name: Feature(type=type_of(column), is_target=name in targets, white=white(column)) for name, column in parts["train"].items()}
    else:
        features = expected.facts.features
    _check_alike(parts)
    return parts, DataFacts(features=features, parts={part: size(columns) for part, columns in parts.items()}, fingerprint=fingerprint(parts))


# Data that the caller brings ------------------------------------------------------------------------------------------


def _own(own: Mapping[str, Any], expected: Expected) -> tuple[Parts, DataFacts]:
    parts = {part: _own_part(data, expected, part) for part, data in own.items()}
    _check_alike(parts)
    types, train = types_of(parts["train"]), parts["train"]
    targets = expected.target_among(tuple(types))
    columns = train if isinstance(train, Mapping) else train.first if isinstance(train, Samples) else {}
    whites = {name: white(column) for name, column in columns.items()}
    whole = {part: columns for part, columns in parts.items() if isinstance(columns, Mapping)}
    facts = DataFacts(
        features={name: Feature(type=type, is_target=name in targets, white=whites.get(name, 1.0)) for name, type in types.items()},
        parts={part: size(columns) for part, columns in parts.items()},
        fingerprint=fingerprint(whole) if len(whole) == len(parts) else None,
        batch_sizes={part: columns.batch_size for part, columns in parts.items() if isinstance(columns, Loaded)},
    )
    return parts, facts


def _own_part(data: Any, expected: Expected, part: str) -> Part:
    """Read now, but for a DataLoader, and for a Dataset that workers are to read."""
    if isinstance(data, DataLoader):
        return loaded(data, expected, part)
    return samples_of(data, expected, part) if is_dataset(data) and reads_ahead(expected.data) else columns_of(data, expected, part)


def reads_ahead(data: DataSettings) -> bool:
    """Whether the spec wants its samples read while the run goes on: `feed: workers`, or a number of `workers`."""
    return data.feed == "workers" or (data.feed == "auto" and isinstance(data.workers, int) and data.workers > 0)


def given_parts(spec: Checked, own: Mapping[str, Any], facts: DataFacts) -> Parts:
    """Parts of the caller that a run is judged on, without the data that it was made with: `facts` are those of the run, whose features they have."""
    expected = expect(spec)
    parts = {part: _own_part(data, expected, part) for part, data in own.items()}
    for part, columns in parts.items():
        _check_types(part, types_of(columns), {name: feature.type for name, feature in facts.features.items()}, "the data of the run")
    return parts


def _check_split(own: Mapping[str, Any], expected: Expected) -> None:
    for part in expected.data.split or {}:
        if part in own:
            message = f"`{part}=` is given, and `data.split` of the spec cuts a part `{part}` as well"
            raise UsageError.of("SB0802", message, help=f"{KEEP_WHOLE}, or leave `{part}=` out")
        if isinstance(own["train"], DataLoader):
            message = f"`data.split` of the spec cuts a part `{part}` from `train=`, but a DataLoader cannot be cut"
            raise UsageError.of("SB0802", message, help=f"{KEEP_WHOLE} and give `{part}=`, or give the Dataset itself as `train=`")


def types_of(part: Part) -> dict[str, TensorType]:
    """The type of each feature of a part."""
    return {name: type_of(column) for name, column in part.items()} if isinstance(part, Mapping) else dict(part.types)


def _check_alike(parts: Parts) -> None:
    """All parts have the features of `train`, of the same types."""
    wanted = types_of(parts["train"])
    for part, columns in parts.items():
        _check_types(part, types_of(columns), wanted, "`train`")


def _check_types(part: str, given: Mapping[str, TensorType], wanted: Mapping[str, TensorType], whose: str) -> None:
    if set(given) != set(wanted):
        has = ", ".join(f"`{name}`" for name in given)
        raise DataError.of("SB0803", f"the part `{part}` has the features {has}, but {whose} has {', '.join(f'`{name}`' for name in wanted)}")
    for name, type in wanted.items():
        if given[name] != type:
            raise DataError.of("SB0803", f"`{name}` of the part `{part}` is {given[name]}, but that of {whose} is {type}")
