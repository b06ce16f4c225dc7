"""Pages about kinds: the list of a family, and everything about one."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from specbuilder.catalogue import lookup
from specbuilder.catalogue.contract import Family, Kind, Layer, Node, Stateful
from specbuilder.catalogue.declared import FieldFacts, fields_of, keys_of, type_of_key
from specbuilder.catalogue.explain import describe

TITLES: dict[Family, str] = {
    "node": "Nodes (`model.nodes`)",
    "loss": "Losses (`train.loss`)",
    "optimizer": "Optimizers (`train.optimizer`)",
    "schedule": "Schedules (`train.schedule`)",
    "average": "Averages of the weights (`train.average`)",
    "metric": "Metrics (`train.metrics`)",
    "initializer": "Initializers (`init` of a node, `model.init`)",
    "dataset": "Datasets (`data`)",
    "transform": "Transforms (`data.prepare`, `augment`, `inference`)",
}


def listing(families: Sequence[Family]) -> str:
    """Every kind with its first line, by family."""
    blocks = []
    for family in families:
        kinds = lookup.all_kinds(family)
        wide = max((len(kind.kind) for kind in kinds), default=0)
        lines = [f"  {kind.kind.ljust(wide)}  {first_line(kind)}" for kind in kinds]
        blocks.append("\n".join([TITLES[family], *lines]))
    return "\n\n".join(blocks)


def first_line(kind: type[Kind]) -> str:
    return inspect.getdoc(kind).splitlines()[0] if inspect.getdoc(kind) else ""  # type: ignore[union-attr]


def page(kind: type[Kind]) -> str:
    """Everything about one kind: what it does, its fields, ports, examples with results, and where it is stricter than torch."""
    what = "layer" if issubclass(kind, Layer) else "function" if kind.family == "node" else kind.family
    what = f"stateful {what}" if issubclass(kind, Stateful) else what
    lines = [f"{kind.kind}  ({what}{f', {kind.torch_name}' if kind.torch_name else ''})", "", *_indented(inspect.getdoc(kind) or "")]
    fields = [_field(kind, name, info) for name, info in keys_of(kind).items()]
    if kind.extra is not None:
        fields.append(("...", f"{describe(type_of_key(kind, ''))}; any other key; {fields_of(kind)[kind.extra].description}"))
    if fields:
        wide = max(len(name) for name, _ in fields)
        lines += ["", "Fields", *(f"  {name.ljust(wide)}  {words}" for name, words in fields)]
    if issubclass(kind, Node):
        ports = [port.name + (" (a list)" if port.many else " (optional)" if port.optional else "") for port in kind.inputs]
        lines += ["", f"Reads  {', '.join(ports) or 'nothing'}", f"Gives  {', '.join(kind.outputs)}"]
    if kind.examples:
        lines += ["", "Examples", *(line for example in kind.examples for line in _example(example))]
    if kind.stricter_than_torch:
        lines += ["", "Stricter than torch", *(f"  - {reason}" for reason in kind.stricter_than_torch)]
    return "\n".join(lines)


def as_json(kind: type[Kind]) -> dict[str, Any]:
    """The page as data."""
    return {
        "name": kind.kind,
        "family": kind.family,
        "torch": kind.torch_name or None,
        "summary": first_line(kind),
        "primary": kind.primary,
        "fields": {name: dict(_described(info)) for name, info in fields_of(kind).items()},
        "inputs": [port.name for port in kind.inputs] if issubclass(kind, Node) else None,
        "outputs": list(kind.outputs) if issubclass(kind, Node) else None,
        "examples": [example.text for example in kind.examples],
        "stricter_than_torch": list(kind.stricter_than_torch),
    }


def _described(info: FieldFacts) -> dict[str, Any]:
    found: dict[str, Any] = {"type": _words(info), "required": info.is_required}
    if not info.is_required:
        found["default"] = info.default
    if info.description:
        found["description"] = info.description
    return found


def _words(info: FieldFacts) -> str:
    return describe(info.annotation)


def _field(kind: type[Kind], name: str, info: FieldFacts) -> tuple[str, str]:
    default = "required" if info.is_required else f"default {_written(info.default)}" if info.default is not None else "optional"
    primary = f", written as `{kind.kind}: ...`" if name == kind.primary else ""
    return name, f"{_words(info)}; {default}{primary}" + (f"; {info.description}" if info.description else "")


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _example(example: Any) -> list[str]:
    given = example.given if isinstance(example.given, str) else ", ".join(example.given)
    if example.refused is not None:
        return [f"  - {example.text}", f"      {given} is refused: {example.refused}"]
    gives = example.gives if isinstance(example.gives, str) else ", ".join(example.gives or ())
    counted = f", {example.parameters:,} parameters" if example.parameters else ""
    return [f"  - {example.text}", f"      {given} -> {gives}{counted}"]


def _indented(text: str) -> list[str]:
    return [f"  {line}" if line else "" for line in text.splitlines()]
