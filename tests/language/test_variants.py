"""`variants`: what a variant changes, what keeps its type, and what of `--set` and `--variant` wins.

The messages of single mistakes are in tests/diagnostics.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import specbuilder
from specbuilder.api import parse, variants_of
from specbuilder.diagnostics import Diagnostics, SpecError
from specbuilder.language.document import plain
from specbuilder.language.read import read, read_value
from specbuilder.language.var_types import keeps_type
from specbuilder.language.variants import choose

TEXT = """\
specbuilder: 1
name: a
vars: {width: 8, depth: 2, label: null}
variants:
  base: {}
  wide: {width: 16}
  deep: {depth: 4, width: $(depth * 3), label: x}
model:
  inputs:
    x: float32[B, 4]
  nodes:
    - linear: $width
      repeat: $(1 if label == "none" else 1)
    - linear: $depth
"""


def chosen(variant: str | None) -> tuple[Any, Diagnostics]:
    diagnostics = Diagnostics()
    document = read(TEXT, "a.yaml", diagnostics)
    assert document is not None
    return choose(document, variant, diagnostics), diagnostics


@pytest.mark.parametrize(
    ("variant", "variables"),
    [
        (None, {"width": 8, "depth": 2, "label": None}),
        ("base", {"width": 8, "depth": 2, "label": None}),
        ("wide", {"width": 16, "depth": 2, "label": None}),
        ("deep", {"width": "$(depth * 3)", "depth": 4, "label": "x"}),
    ],
)
def test_variant_sets_variables_and_nothing_else(variant: str | None, variables: Any) -> None:
    document, diagnostics = chosen(variant)
    assert not list(diagnostics)
    assert document.variants == ("base", "wide", "deep")
    before = read(TEXT, "a.yaml", Diagnostics())
    assert before is not None
    assert plain(document.root) == {key: value for key, value in plain(before.root).items() if key != "variants"} | {"vars": variables}


def test_value_of_a_variant_has_its_place_there() -> None:
    document, _ = chosen("wide")
    assert str(document.root.get("vars").get("width").span) == "a.yaml:6:17"


@pytest.mark.parametrize(
    ("variant", "changes", "parameters"),
    [
        (None, {}, (4 + 1) * 8 + (8 + 1) * 2),
        ("base", {}, (4 + 1) * 8 + (8 + 1) * 2),
        ("wide", {}, (4 + 1) * 16 + (16 + 1) * 2),
        ("deep", {}, (4 + 1) * 12 + (12 + 1) * 4),
        ("deep", {"vars.depth": 3}, (4 + 1) * 9 + (9 + 1) * 3),  # the option wins over the variant
        ("wide", {"vars.width": 2}, (4 + 1) * 2 + (2 + 1) * 2),
        ("wide", {"variants.wide.width": 3}, (4 + 1) * 3 + (3 + 1) * 2),  # the option changes the variant
        (None, {"variants.wide.width": 3}, (4 + 1) * 8 + (8 + 1) * 2),
        ("wide", {"variants.wide.depth": 3}, (4 + 1) * 16 + (16 + 1) * 3),
    ],
)
def test_what_wins(variant: str | None, changes: dict[str, int], parameters: int) -> None:
    assert parse(TEXT, variant=variant, set=changes).report.parameters == parameters


def test_unknown_variable_in_an_option_of_a_variant_is_told_in_the_option() -> None:
    with pytest.raises(SpecError) as caught:
        parse(TEXT, set={"variants.wide.widht": 3})
    assert [(found.message, str(found.span)) for found in caught.value.diagnostics] == [
        ("there is no variable `widht` for a variant to set", "--set:1:15")
    ]


def test_variants_in_json() -> None:
    text = '{"specbuilder": 1, "name": "a", "vars": {"w": 1}, "variants": {"b": {"w": 3}}, "model": {"inputs": {"x": "float32[B, 4]"}, "nodes": [{"linear": "$w"}]}}'
    assert parse(text, "a.json", variant="b").report.parameters == 15


def test_emitted_file_names_the_variant() -> None:
    assert "from spec.yaml, variant wide." in parse(TEXT, variant="wide").source.splitlines()[0]
    assert "variant" not in parse(TEXT).source.splitlines()[0]


def test_variants_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TEXT)
    assert variants_of(tmp_path / "a.yaml") == {"base": True, "wide": False, "deep": False}
    assert specbuilder.load(tmp_path / "a.yaml", variant="wide").variants == ("base", "wide", "deep")


# A variable keeps its type -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1", "2", None),
        ("1", "$n", None),
        ("1", "2.0", "`v` wants an integer, but this is 2.0"),
        ("1", "true", "`v` wants an integer, but this is the truth value `true`"),
        ("1", "null", "`v` wants an integer, but this is nothing"),
        ("1", "{a: 1}", "`v` wants an integer, but this is a mapping"),
        ("1.0", "2", None),
        ("1.0", "a", '`v` wants a number, but this is the text "a"'),
        ("true", "false", None),
        ("true", "1", "`v` wants true or false, but this is 1"),
        ("relu", "gelu", None),
        ("relu", "1", "`v` wants a text, but this is 1"),
        ("null", "1", None),
        ("$n", "a", None),
        ("[1, 2]", "[3, 4, 5]", None),
        ("[1, 2]", "[]", None),
        ("[1, 2]", "[3, $n]", None),
        ("[1, 2]", "3", "`v` wants a list of integers, but this is 3"),
        ("[1, 2]", "[3, 0.5]", "`v` wants a list of integers, but this is 0.5"),
        ("[1, 0.5]", "[3, 4]", None),
        ("[1, 0.5]", "[a]", '`v` wants a list of numbers, but this is the text "a"'),
        ("[1, a]", "[null, {}]", None),
        ("[]", "[a]", None),
        ("[[1], [2]]", "[[3, 4]]", None),
        ("[[1], [2]]", "[3]", "`v` wants a list of lists, but this is 3"),
        ("[[1], [2]]", "[[a]]", '`v` wants a list of lists, but this is the text "a"'),
        ("{a: 1}", "{b: x}", None),
        ("{a: 1}", "[1]", "`v` wants a mapping, but this is a list of one"),
    ],
)
def test_type_of_a_variable(old: str, new: str, message: str | None) -> None:
    diagnostics = Diagnostics()
    assert keeps_type("v", read_value(old, "old"), read_value(new, "new"), diagnostics) == (message is None)
    assert [found.message for found in diagnostics] == ([message] if message is not None else [])
