"""`--set PATH=VALUE`: where a path leads, what a value is, and what is said of a path that leads nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from specbuilder.diagnostics import Diagnostics
from specbuilder.language.document import plain
from specbuilder.language.override import override
from specbuilder.language.read import read

TEXT = """\
name: a
empty:
model:
  nodes:
    - relu
    - linear: 10
      name: head
    - conv2d: {out_channels: 8, kernel_size: [3, 5]}
    - tanh
    - tanh
train:
  epochs: 3
  optimizer: {adam: {lr: 0.1}}
  loss: cross_entropy
"""


def changed(**changes: str) -> tuple[Any, Diagnostics]:
    return changed_by({path.replace("__", "."): value for path, value in changes.items()})


def changed_by(changes: dict[str, str]) -> tuple[Any, Diagnostics]:
    diagnostics = Diagnostics()
    document = read(TEXT, "a.yaml", diagnostics)
    assert document is not None
    return plain(override(document, changes, diagnostics).root), diagnostics


def at(value: Any, *steps: str | int) -> Any:
    for step in steps:
        value = value[step]
    return value


@pytest.mark.parametrize(
    ("path", "value", "where", "wanted"),
    [
        ("train.epochs", "5", ("train", "epochs"), 5),
        ("train.epochs", "1e-3", ("train", "epochs"), 1e-3),
        ("train.epochs", "null", ("train", "epochs"), None),
        ("train.epochs", "", ("train", "epochs"), None),
        ("train.epochs", '"5"', ("train", "epochs"), "5"),
        ("train.epochs", "$n", ("train", "epochs"), "$n"),
        ("train.seed", "7", ("train", "seed"), 7),  # a new key
        ("train.seed.order", "7", ("train", "seed"), {"order": 7}),  # a new mapping
        ("empty.a.b", "1", ("empty",), {"a": {"b": 1}}),  # under nothing
        ("train.optimizer.adam.lr", "0.5", ("train", "optimizer"), {"adam": {"lr": 0.5}}),
        ("train.optimizer.lr", "0.5", ("train", "optimizer"), {"adam": {"lr": 0.5}}),  # a lone kind may be skipped
        ("train.optimizer", "sgd", ("train", "optimizer"), "sgd"),
        ("train.optimizer", "{sgd: {lr: 0.2}}", ("train", "optimizer"), {"sgd": {"lr": 0.2}}),
        ("model.nodes.1.linear", "20", ("model", "nodes", 1), {"linear": 20, "name": "head"}),
        ("model.nodes.head.linear", "20", ("model", "nodes", 1), {"linear": 20, "name": "head"}),
        ("model.nodes.-1", "relu", ("model", "nodes", 4), "relu"),
        ("model.nodes.conv2d.conv2d.kernel_size", "[1, 1]", ("model", "nodes", 2, "conv2d", "kernel_size"), [1, 1]),
        ("model.nodes.2.conv2d.kernel_size.1", "7", ("model", "nodes", 2, "conv2d", "kernel_size"), [3, 7]),
        ("model.nodes.relu.name", "act", ("model", "nodes", 0), {"relu": None, "name": "act"}),  # a word becomes a mapping
    ],
)
def test_path_leads_to(path: str, value: str, where: tuple[str | int, ...], wanted: Any) -> None:
    found, diagnostics = changed_by({path: value})
    assert not list(diagnostics)
    assert at(found, *where) == wanted


def test_the_rest_stays_and_changes_add_up() -> None:
    before, _ = changed()
    after, _ = changed(train__epochs="5", model__nodes__head__linear="20")
    before["train"]["epochs"] = 5
    before["model"]["nodes"][1]["linear"] = 20
    assert after == before


@pytest.mark.parametrize(
    ("path", "value", "place", "message", "help"),
    [
        ("name.x", "3", (6, 1), "there is no place for `x`: what stands before it is a single value", None),
        ("train.epochs.x.y", "3", (14, 1), "there is no place for `x`: what stands before it is a single value", None),
        ("model.nodes.9", "relu", (13, 1), "there is no entry 9; the list has 5, numbered from 0", None),
        ("model.nodes.-6", "relu", (13, 2), "there is no entry -6; the list has 5, numbered from 0", None),
        ("model.nodes.haed", "relu", (13, 4), "no entry of the list is called `haed`", "did you mean `head`?"),
        ("model.nodes.zzz", "relu", (13, 3), "no entry of the list is called `zzz`", "use its position, from 0"),
        ("model.nodes.tanh", "relu", (13, 4), "2 entries are called `tanh`", "use a position, from 0: 3 or 4"),
        ("train..epochs", "3", (7, 1), "a step of this path is empty", "write it like `train.epochs`"),
        ("train.epochs", "[3", (14, 2), "this `[` is never closed", "add `]` where the list ends"),
    ],
)
def test_path_leads_nowhere(path: str, value: str, place: tuple[int, int], message: str, help: str | None) -> None:
    _, diagnostics = changed_by({path: value})
    (found,) = list(diagnostics)
    assert found.span is not None
    assert found.span.source.text == f"{path}={value}"
    assert (found.span.column, found.span.end - found.span.start) == place
    assert (found.message, found.help) == (message, help)


def test_value_has_its_place_in_the_option() -> None:
    diagnostics = Diagnostics()
    document = read(TEXT, "a.yaml", diagnostics)
    assert document is not None
    root = override(document, {"train.optimizer": "{sgd: {lr: x}}"}, diagnostics).root
    train = root.get("train")
    assert train is not None
    node: Any = train
    for step in ("optimizer", "sgd", "lr"):
        node = node.get(step)
    assert str(node.span) == "--set:1:28"
    assert node.span.text == "x"
