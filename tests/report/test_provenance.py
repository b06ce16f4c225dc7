"""`explain-value`: where a value comes from, and every step of an expression on the way to it.

What is printed is a golden file; the table says what must be true of it: the value, and who set it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from specbuilder.api import explain_value
from specbuilder.diagnostics import SpecError
from specbuilder.report.provenance import as_json, render
from tests.conftest import Golden

FAMILY = Path(__file__).parent / "family"


@pytest.mark.parametrize(
    ("name", "path", "variant", "changes", "value", "origin"),
    [
        ("literal", "train.epochs", None, {}, 2, "text"),
        ("skipped_kind", "train.optimizer.lr", None, {}, 1e-3, "text"),
        ("default_of_kind", "train.optimizer.adam.eps", None, {}, 1e-8, "default"),
        ("default_of_word", "train.loss.label_smoothing", None, {}, 0.0, "default"),
        ("default_of_setting", "data.shuffle", None, {}, True, "default"),
        ("default_of_node", "model.nodes.mid.when", None, {}, True, "default"),
        ("default_of_param", "model.nodes.stem.k", None, {}, 3, "default"),
        ("default_that_an_option_replaced", "train.optimizer.eps", None, {"train.optimizer.eps": "1e-6"}, 1e-6, "command line"),
        ("nothing", "model.outputs", None, {}, None, "nothing"),
        ("variable", "vars.width", None, {}, 64, "text"),
        ("variable_of_variant", "vars.width", "big", {}, 256, "variant"),
        ("variable_of_empty_variant", "vars.width", "small", {}, 64, "text"),
        ("variable_of_option_and_variant", "vars.width", "big", {"vars.width": "8"}, 8, "command line"),
        ("variable_of_included_file", "vars.extra", None, {}, 1, "included"),
        ("variable_set_over_an_included_one", "vars.drop", None, {}, 0.2, "text"),
        ("expression", "vars.half", None, {"vars.width": "32"}, 16, "text"),
        ("every_step", "model.nodes.mid.out_features", "big", {"vars.depth": "4"}, 128 * 2 + 4 - 1, "text"),
        ("side_that_is_taken", "model.nodes.1.out_features", None, {"vars.depth": "1"}, 16, "text"),
        ("primary_written_short", "model.nodes.logits.out_features", None, {}, 10, "text"),
        ("copies", "model.nodes.wide.out_features", None, {}, (64, 129), "text"),
        ("column", "model.nodes.wide.repeat.scale", None, {}, (1, 2), "text"),
        ("text_with_a_value_in_it", "model.nodes.5.name", None, {}, "layer4", "text"),
        ("within_a_block", "blocks.conv_bn.nodes.conv2d.out_channels", None, {}, None, "text"),
        ("size_of_what_arrives", "blocks.conv_bn.nodes.conv2d.groups", None, {}, None, "text"),
        ("mapping", "data.split", None, {}, {"test": 0.2}, "text"),
        ("mapping_of_option", "train.optimizer", None, {"train.optimizer": "{sgd: {lr: 0.1}}"}, {"sgd": {"lr": 0.1}}, "command line"),
        ("of_a_variant", "variants.big.depth", None, {}, 5, "text"),
    ],
)
def test_where_it_comes_from(
    name: str,
    path: str,
    variant: str | None,
    changes: dict[str, str],
    value: Any,
    origin: str,
    golden: Golden,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(FAMILY)
    found = explain_value("spec.yaml", path, variant=variant, set=changes)
    assert (found.setting.value, found.setting.origin) == (value, origin)
    golden(f"explain_value/{name}.txt", render(found) + "\n")


def test_json_holds_all_of_it(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FAMILY)
    found = explain_value("spec.yaml", "model.nodes.mid.out_features", variant="big", set={"vars.depth": 4})
    golden("explain_value/every_step.json", json.dumps(as_json(found), indent=2) + "\n")
    copies = as_json(explain_value("spec.yaml", "model.nodes.wide.out_features"))
    assert (json.loads(json.dumps(copies))["value"], copies["per_copy"]) == ([64, 129], True)
    assert [(each["name"], each["values"]) for each in copies["names"]] == [("scale", [1, 2]), ("i", [0, 1])]


@pytest.mark.parametrize(
    ("path", "place", "message", "help"),
    [
        ("train.optimizer.adam.lrr", (22, 3), "`adam` has no field `lrr`", "did you mean `lr`?"),
        ("trian.epochs", (1, 5), "a spec has no key `trian`", "did you mean `train`?"),
        ("train.epoch", (7, 5), "`train` has no key `epoch`", "did you mean `epochs`?"),
        ("vars.widht", (6, 5), "there is no variable `widht`", "did you mean `width`?"),
        ("model.nodes.midd.out_features", (13, 4), "no entry of the list is called `midd`", "did you mean `mid`?"),
        ("model.nodes.stem.kk", (18, 2), "`conv_bn` has no param `kk`", "its params are `out`, `k`; its nodes are in `blocks.conv_bn.nodes`"),
        ("blocks.conv_bm", (8, 7), "there is no block `conv_bm`", "did you mean `conv_bn`?"),
        ("train.epochs.x", (14, 1), "there is no place for `x`: what stands before it is a single value", None),
        ("train.schedule.lr", (16, 2), "there is no kind `lr` for this place", None),
        ("include", (1, 7), "`include` is followed before anything has a value", None),
        ("", (1, 1), "a step of this path is empty", "write it like `train.epochs`"),
    ],
)
def test_path_that_does_not_exist(path: str, place: tuple[int, int], message: str, help: str | None) -> None:
    with pytest.raises(SpecError) as caught:
        explain_value(FAMILY / "spec.yaml", path)
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert (found.code, found.span.column, found.span.end - found.span.start, found.message, found.help) == ("SB0208", *place, message, help)
    assert found.span.source.name == "PATH"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vars.half": "$(widht // 2)"}, "unknown name `widht`"),
        ({"vars.width": "$half"}, "these variables need each other: `half` -> `width` -> `half`"),
        ({"vars.width": "$(1 +)"}, "expected a value, found `)`"),
        ({"vars.width": "0", "vars.half": "$(1 // width)"}, "division by zero"),
    ],
)
def test_expression_that_has_no_value_is_told(changes: dict[str, str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        explain_value(FAMILY / "spec.yaml", "model.nodes.mid.out_features", set=changes)
    assert [found.message for found in caught.value.diagnostics] == [message]


def test_other_mistakes_are_no_hindrance() -> None:
    assert explain_value(FAMILY / "spec.yaml", "vars.half", set={"model.nodes.relu": "reluu"}).setting.value == 32


def test_long_expression_shows_its_whole_only() -> None:
    text = "$(" + " + ".join(["width"] * 400) + ")"
    found = explain_value(FAMILY / "spec.yaml", "vars.half", set={"vars.half": text})
    assert found.setting.value == 400 * 64
    assert [step.value for step in found.steps] == [400 * 64]
