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
vars: {width: 8, dims: [1, 2]}
blocks:
  conv_bn:
    params: {out: int, k: int = 3}
    nodes:
      - conv2d: {out_channels: $out, kernel_size: $k}
      - batch_norm2d
model:
  nodes:
    - relu
    - linear: 10
      name: head
    - conv2d: {out_channels: 8, kernel_size: [3, 5]}
    - tanh
    - tanh
    - conv_bn: 64
      name: stem
    - sequence:
        - linear: 4
        - relu
      name: h
      repeat: 3
    - branches: {left: [relu, {linear: 3}], right: []}
      name: fork
    - dropout: {p: 0.5}
      name: drop
      repeat: {p: [0.1, 0.2]}
    - permute: [0, 2, 1]
train:
  epochs: 3
  optimizer: {adam: {lr: 0.1}}
  loss: cross_entropy
  metrics: [accuracy]
expect:
  test.accuracy: {min: 0.5}
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
        ("model.nodes.-1", "relu", ("model", "nodes", 9), "relu"),
        ("model.nodes.conv2d.conv2d.kernel_size", "[1, 1]", ("model", "nodes", 2, "conv2d", "kernel_size"), [1, 1]),
        ("model.nodes.2.conv2d.kernel_size.1", "7", ("model", "nodes", 2, "conv2d", "kernel_size"), [3, 7]),
        ("model.nodes.relu.name", "act", ("model", "nodes", 0), {"relu": None, "name": "act"}),  # a word becomes a mapping
        # The kind may be skipped, and what stands for its main field is written out.
        ("model.nodes.head.out_features", "5", ("model", "nodes", 1), {"linear": {"out_features": 5}, "name": "head"}),
        ("model.nodes.head.bias", "false", ("model", "nodes", 1), {"linear": {"out_features": 10, "bias": False}, "name": "head"}),
        ("model.nodes.head.repeat", "2", ("model", "nodes", 1), {"linear": 10, "name": "head", "repeat": 2}),
        ("model.nodes.conv2d.kernel_size.1", "7", ("model", "nodes", 2, "conv2d", "kernel_size"), [3, 7]),
        ("model.nodes.permute.1", "1", ("model", "nodes", 9, "permute"), [0, 1, 1]),
        ("model.nodes.permute.dims", "[0, 1]", ("model", "nodes", 9), {"permute": {"dims": [0, 1]}}),
        ("train.optimizer.weight_decay", "0.1", ("train", "optimizer"), {"adam": {"lr": 0.1, "weight_decay": 0.1}}),
        ("train.loss.label_smoothing", "0.1", ("train", "loss"), {"cross_entropy": {"label_smoothing": 0.1}}),
        ("train.loss.cross_entropy.label_smoothing", "0.1", ("train", "loss"), {"cross_entropy": {"label_smoothing": 0.1}}),
        ("train.metrics.0", "{accuracy: {k: 5}}", ("train", "metrics"), [{"accuracy": {"k": 5}}]),
        ("train.schedule.cosine.warmup", "10%", ("train", "schedule"), {"cosine": {"warmup": "10%"}}),  # a new kind
        # Blocks, and what is made of them.
        ("blocks.conv_bn.nodes.conv2d.bias", "true", ("blocks", "conv_bn", "nodes", 0, "conv2d", "bias"), True),
        ("blocks.conv_bn.nodes.batch_norm2d.eps", "1e-3", ("blocks", "conv_bn", "nodes", 1), {"batch_norm2d": {"eps": 1e-3}}),
        ("blocks.conv_bn.params.k", "int = 5", ("blocks", "conv_bn", "params", "k"), "int = 5"),
        ("model.nodes.stem.k", "7", ("model", "nodes", 5), {"conv_bn": {"out": 64, "k": 7}, "name": "stem"}),
        ("model.nodes.stem.conv_bn", "{out: 3}", ("model", "nodes", 5, "conv_bn"), {"out": 3}),
        ("model.nodes.h.linear.out_features", "5", ("model", "nodes", 6, "sequence", 0), {"linear": {"out_features": 5}}),
        ("model.nodes.h.sequence.0", "gelu", ("model", "nodes", 6, "sequence"), ["gelu", "relu"]),
        ("model.nodes.fork.left.linear.bias", "false", ("model", "nodes", 7, "branches", "left", 1), {"linear": {"out_features": 3, "bias": False}}),
        ("model.nodes.drop.repeat.p", "[0.3]", ("model", "nodes", 8, "repeat"), {"p": [0.3]}),
        ("model.nodes.drop.repeat.p.1", "0.3", ("model", "nodes", 8, "repeat"), {"p": [0.1, 0.3]}),
        # Keys with a dot in them.
        ("expect.test.accuracy", "{min: 0.9}", ("expect",), {"test.accuracy": {"min": 0.9}}),
        ("expect.test.accuracy.min", "0.9", ("expect",), {"test.accuracy": {"min": 0.9}}),
        ("expect.test.loss.max", "2", ("expect",), {"test.accuracy": {"min": 0.5}, "test.loss": {"max": 2}}),
        ("expect.parameters", "9", ("expect",), {"test.accuracy": {"min": 0.5}, "parameters": 9}),
        ("vars.dims.0", "3", ("vars", "dims"), [3, 2]),
        # What nobody knows is added where `decode` tells it.
        ("train.epoch", "5", ("train", "epoch"), 5),
        ("trian.epochs", "5", ("trian",), {"epochs": 5}),
        ("model.nodes.head.bais", "1", ("model", "nodes", 1), {"linear": {"out_features": 10, "bais": 1}, "name": "head"}),
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
        ("model.nodes.10", "relu", (13, 2), "there is no entry 10; the list has 10, numbered from 0", None),
        ("model.nodes.-11", "relu", (13, 3), "there is no entry -11; the list has 10, numbered from 0", None),
        ("model.nodes.haed", "relu", (13, 4), "no entry of the list is called `haed`", "did you mean `head`?"),
        ("model.nodes.zzz", "relu", (13, 3), "no entry of the list is called `zzz`", "use its position, from 0"),
        ("model.nodes.tanh", "relu", (13, 4), "2 entries are called `tanh`", "use a position, from 0: 3 or 4"),
        ("model.nodes.tanh_2", "relu", (13, 6), "`tanh_2` has no name of its own: it is `tanh` number 2", "use its position, from 0: 4"),
        ("model.nodes.tanh_3", "relu", (13, 6), "no entry of the list is called `tanh_3`", "did you mean `tanh`?"),
        ("vars.widht", "3", (6, 5), "there is no variable `widht`", "did you mean `width`?"),
        ("vars.heads", "3", (6, 5), "there is no variable `heads`", "there are `width`, `dims`"),
        ("vars.width", "ten", (12, 3), '`width` wants an integer, but this is the text "ten"', "a variable keeps its type"),
        ("vars.dims.1", "ten", (13, 3), '`dims` wants a list of integers, but this is the text "ten"', "a variable keeps its type"),
        ("variants.small.width", "3", (10, 5), "there is no variant `small`: nothing stands in `variants`", None),
        ("blocks.conv_bm.nodes.conv2d.bias", "true", (8, 7), "there is no block `conv_bm`", "did you mean `conv_bn`?"),
        ("blocks.conv_bn.nodes.conv3d.bias", "true", (22, 6), "no entry of the list is called `conv3d`", "did you mean `conv2d`?"),
        ("blocks.conv_bn.params.out_channels", "1", (23, 12), "there is no param `out_channels`", "there are `out`, `k`"),
        ("blocks.conv_bn.let.a", "1", (20, 1), "there is no name `a`: nothing stands in `let`", None),
        ("model.inputs.x", "1", (14, 1), "there is no input `x`: nothing stands in `inputs`", None),
        ("model.nodes.drop.repeat.q", "[1]", (25, 1), "there is no column `q`", "there is `p`"),
        ("model.nodes.fork.lfet", "[]", (18, 4), "there is no branch `lfet`", "did you mean `left`?"),
        ("model.nodes.head.nmae", "a", (18, 4), "`linear` has no field `nmae`", "did you mean `name`?"),
        (
            "model.nodes.head.relu",
            "{}",
            (18, 4),
            "there is no `relu` here, but `linear`",
            "to put another in its place, set the whole of it: `{relu: ...}`",
        ),
        (
            "model.nodes.stem.conv2d.bias",
            "true",
            (18, 6),
            "`conv_bn` has no param `conv2d`",
            "its params are `out`, `k`; its nodes are in `blocks.conv_bn.nodes`",
        ),
        (
            "train.optimizer.sgd.lr",
            "1",
            (17, 3),
            "there is no `sgd` here, but `adam`",
            "to put another in its place, set the whole of it: `{sgd: ...}`",
        ),
        (
            "model.nodes.h.0.bias",
            "false",
            (15, 1),
            "`0` could be a copy or a node of the list",
            "write `sequence.0` for that node of its list; copies have no text of their own",
        ),
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
