"""Numbers that a loss or an input cannot take, found on the CPU before anything runs: a GPU would only abort."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from specbuilder.diagnostics import DataError
from specbuilder.graph.graph import TypedGraph
from specbuilder.plan.limits import limits
from specbuilder.plan.plan import Plan
from specbuilder.training.columns import Parts
from specbuilder.training.loader import Check


def check_values(plan: Plan, graph: TypedGraph, parts: Parts) -> None:
    """Refuses class numbers outside of what the model scores, and numbers that an input does not take."""
    for part, columns in parts.items():
        if not isinstance(columns, Mapping):
            continue  # checked batch by batch
        for feature, check in value_checks(plan, graph, part).items():
            check(columns[feature].data, 0)


def value_checks(plan: Plan, graph: TypedGraph, part: str) -> dict[str, Check]:
    """For each feature whose numbers have bounds, what refuses those beyond."""
    checks: dict[str, Check] = {}
    for input, limit in limits(graph).items():
        feature = plan.bindings[input]
        checks[feature] = _within(limit.below, None, f"`{feature}` of sample {{row}} of the part `{part}` is {{value}}, but {limit}")
    classes = plan.loss.classes(plan.loss_types[0])
    if isinstance(classes, int) and plan.loss_types[1].dtype == "int64":
        said = f"`{plan.target}` of sample {{row}} of the part `{part}` is {{value}}, but the model scores the classes 0 to {classes - 1}"
        checks[plan.target] = _within(classes, plan.loss.ignored(plan.loss_types[1]), said)
    return checks


def _within(below: int, ignored: int | None, said: str) -> Check:
    def check(values: Tensor, first: int) -> None:
        wrong = (values < 0) | (values >= below)
        if ignored is not None:
            wrong &= values != ignored
        if bool(wrong.any()):
            row = first + int(wrong.reshape(len(values), -1).any(1).nonzero()[0])
            raise DataError.of("SB0805", said.format(row=row, value=int(values[wrong][0])))

    return check
