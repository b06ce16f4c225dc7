"""The facts of the data back out of `plan.json`, so that the plan of a run can be made again where its data is not at hand.

In: the content of `plan.json`. Out: `DataFacts`, as far as a plan needs them; how many classes a feature has is not kept, since the run was checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuilder.catalogue.contract import DataFacts, Feature
from specbuilder.shapes import DimError, parse_type


def facts_of(stored: Mapping[str, Any]) -> DataFacts:
    """Raises `ValueError` where it is no plan of a run."""
    try:
        data = stored["data"]
        features = {
            name: Feature(
                type=parse_type(type),
                class_names=tuple(data["class_names"].get(name, ())),
                is_target=name in data["targets"],
                white=float(data["white"].get(name, 1.0)),
            )
            for name, type in data["features"].items()
        }
        return DataFacts(
            features=features,
            parts=dict(data["parts"]),
            fingerprint=data["fingerprint"],
            batch_sizes=dict(data["batch_sizes"]),
            is_made_up=bool(data["is_made_up"]),
        )
    except (KeyError, TypeError, AttributeError, DimError) as error:
        raise ValueError(f"it does not say what the data was: {type(error).__name__}: {error}") from error
