"""`expect`: what a spec promises of its network, held against what the stages found. Promises of metrics are checked when a run ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuilder.catalogue.contract import Dataset
from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics, did_you_mean
from specbuilder.graph.count import Report
from specbuilder.graph.graph import TypedGraph
from specbuilder.graph.variables import Variables
from specbuilder.language.tree import Entry, SpecTree
from specbuilder.language.values import Undefined, key_at, resolve, span_at, text_at
from specbuilder.shapes import DimError, parse_type

BROKEN = "SB0604"
"""The code of a promise that does not hold: exit 6 when nothing else is wrong."""

_DROP = "correct it, or leave all promises out with `--set 'expect={}'`"


def check_promises(tree: SpecTree, graph: TypedGraph, report: Report, variables: Variables, diagnostics: Diagnostics) -> None:
    """Reports each promise that is broken, and each that cannot be one."""
    for name, entry in tree.expect.items():
        try:
            value = resolve(entry.value, variables, variables.names, diagnostics)
        except Undefined:
            continue
        if name == "outputs":
            if _are_types(entry, value, diagnostics):
                _outputs(entry, value, graph, diagnostics)
        elif "." in name:
            _bounds(tree, name, entry, value, diagnostics)
        elif not _is_count(name, entry, value, diagnostics):
            continue
        elif value != (found := getattr(report, name)):
            said = f"{found:,}" if isinstance(found, int) else str(found)
            diagnostics.error(BROKEN, f"`expect` says {value:,} {name}, but the network has {said}", entry.span, help=_DROP)


def check_forms(tree: SpecTree, variables: Variables, diagnostics: Diagnostics) -> None:
    """What can be said of promises when the network is wrong: whether they are promises at all."""
    for name, entry in tree.expect.items():
        try:
            value = resolve(entry.value, variables, variables.names, diagnostics)
        except Undefined:
            continue
        if name == "outputs":
            _are_types(entry, value, diagnostics)
        elif "." in name:
            _bounds(tree, name, entry, value, diagnostics)
        else:
            _is_count(name, entry, value, diagnostics)


def _is_count(name: str, entry: Entry, value: Any, diagnostics: Diagnostics) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return True
    digits = value.replace(",", "").replace("_", "") if isinstance(value, str) else ""
    help = f"write `{digits}`" if digits.isdecimal() else None
    diagnostics.error("SB0203", f"`{name}` wants an integer, but this is {shown(value)}", entry.span, help=help)
    return False


def _are_types(entry: Entry, value: Any, diagnostics: Diagnostics) -> bool:
    if not isinstance(value, Mapping):
        diagnostics.error("SB0203", "`outputs` promises types by name", entry.span, help='such as `outputs: {logits: "float32[B, 10]"}`')
        return False
    is_right = True
    for name, text in value.items():
        try:
            parse_type(str(text))
        except DimError as error:
            diagnostics.error("SB0502", error.message, text_at(entry.node, (name,), error.start, error.end))
            is_right = False
    return is_right


def _outputs(entry: Entry, value: Any, graph: TypedGraph, diagnostics: Diagnostics) -> None:
    types = graph.output_types
    for name, text in value.items():
        if name not in types:
            named = " and ".join(f"`{output}`" for output in types)
            help = did_you_mean(name, types) or (f"its output is called {named}" if len(types) == 1 else f"its outputs are called {named}")
            diagnostics.error(BROKEN, f"the network has no output `{name}`", key_at(entry.node, name), help=help)
            continue
        wanted = parse_type(str(text))
        if wanted != types[name]:
            span = span_at(entry.node, (name,))
            diagnostics.error(BROKEN, f"`expect` says `{name}` is {wanted}, but it is {types[name]}", span, help=_DROP)


def _bounds(tree: SpecTree, name: str, entry: Entry, value: Any, diagnostics: Diagnostics) -> None:
    problem, help = _metric_problem(tree, name)
    if problem is not None:
        diagnostics.error("SB0603", problem, entry.key, help=help)
    if isinstance(value, Mapping) and (unknown := [key for key in value if key not in ("min", "max")]):
        for key in unknown:
            help = did_you_mean(key, ("min", "max")) or "a promise about a metric has `min`, `max`, or both"
            diagnostics.error("SB0201", f"unknown key `{key}` in the bounds of `{name}`", key_at(entry.node, key), help=help)
        return
    is_right = isinstance(value, Mapping) and value and set(value) <= {"min", "max"}
    if not is_right or not all(isinstance(bound, (int, float)) and not isinstance(bound, bool) for bound in value.values()):
        number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.9
        bound = "max" if name.endswith("loss") else "min"
        message = f"`{name}` wants bounds, `min` or `max` or both, but this is {shown(value)}"
        diagnostics.error("SB0203", message, entry.span, help=f"such as `{name}: {{{bound}: {number}}}`")


def _metric_problem(tree: SpecTree, name: str) -> tuple[str | None, str | None]:
    """Why no run can have a metric of this name, and what to do."""
    if tree.train is None:
        return f"`{name}` is a figure of a run, but the spec has no `train`", "add `data` and `train`, or delete it"
    part, _, metric = name.partition(".")
    known = ("loss", *(use.title for use in tree.train.uses.get("metrics", ())))
    if metric not in known:
        return f"the run has no metric `{metric}`", did_you_mean(
            name, [f"{part}.{found}" for found in known]
        ) or f"it has {', '.join(f'`{part}.{found}`' for found in known)}"
    if part not in ("validation", "test"):
        return f"a run ends with figures of the `test` or the `validation` part, not of `{part}`", did_you_mean(part, ("validation", "test"))
    parts = _parts(tree)
    if parts is not None and part not in parts:
        help = f"cut one from `train` with `data: {{split: {{{part}: 0.2}}}}`"
        return f"the data has no part `{part}`", help
    if parts is not None and part == "validation" and "test" in parts:
        return "the figures at the end are those of the `test` part", f"write `test.{metric}`"
    return None, None


def _parts(tree: SpecTree) -> set[str] | None:
    """The parts of the data, where they are known from the text alone."""
    if tree.data is None or tree.data.dataset is None or not isinstance(tree.data.dataset.instance, Dataset):
        return None
    facts = tree.data.dataset.instance.facts()
    split = tree.data.settings.get("split")
    written = split.value if split is not None else {}
    return {*facts.parts, *written} if facts is not None and isinstance(written, Mapping) else None


def metrics_promised(tree: SpecTree) -> tuple[str, ...]:
    """The metrics that are promised something."""
    return tuple(name for name in tree.expect if "." in name)


def broken_bounds(tree: SpecTree, metrics: Mapping[str, float], diagnostics: Diagnostics) -> None:
    """The promises about metrics, after a run."""
    variables = Variables(tree.variables, diagnostics)
    for name, entry in tree.expect.items():
        if "." not in name:
            continue
        bounds = resolve(entry.value, variables, variables.names, diagnostics)
        if name not in metrics:
            diagnostics.error(BROKEN, f"the run has no metric `{name}`", entry.key, help=did_you_mean(name, metrics) or _listed(metrics))
            continue
        found = metrics[name]
        if ("min" in bounds and not found >= bounds["min"]) or ("max" in bounds and not found <= bounds["max"]):
            wanted = " and ".join(f"at {'least' if side == 'min' else 'most'} {bound:g}" for side, bound in bounds.items())
            diagnostics.error(BROKEN, f"`expect` says {name} is {wanted}, but it is {found:.6g}", entry.span)


def _listed(metrics: Mapping[str, float]) -> str | None:
    return f"it has {', '.join(f'`{name}`' for name in metrics)}" if metrics else None
