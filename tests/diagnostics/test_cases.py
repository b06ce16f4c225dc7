"""Every mistake that a spec can have, one file each under `cases`: what is said about it, and where.

The first lines of a case say what must be found, in the order of the text: a code and the token under which the caret begins (`# SB0201 kernal_size`, the
only place in the text that reads so, or a line and column, `# SB0304 11:13`). `# set: PATH=VALUE` is given to `--set`, `# exit: 6` is another exit code
than 3, `# variant: NAME` is given to `--variant`. In JSON these lines stand in `description`. A folder is a case of several files: `spec.yaml` (or
`spec.json`) is the spec, and a token is looked for in the file that the mistake is told of. The whole text that a user sees is a golden file of the same name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from specbuilder.api import parse
from specbuilder.diagnostics import Diagnostic, SpecbuilderError, as_json, render_all
from specbuilder.graph.expand import MOST_NODES
from tests.conftest import Golden

CASES = Path(__file__).parent / "cases"
PATHS = sorted(CASES.iterdir())


class Mark(NamedTuple):
    """What a case says must be found."""

    code: str
    token: str


class Case(NamedTuple):
    name: str
    text: str
    marks: tuple[Mark, ...]
    changes: dict[str, str]
    exit_code: int
    variant: str | None = None
    folder: Path | None = None


def read_case(path: Path) -> Case:
    folder = path if path.is_dir() else None
    if folder is not None:
        path = next(folder.glob("spec.*"))
    text = path.read_text(encoding="utf-8")
    head = (
        json.loads(text)["description"].split("; ") if path.suffix == ".json" else [line[2:] for line in text.splitlines() if line.startswith("# ")]
    )
    marks = tuple(Mark(*line.split(" ", 1)) for line in head if re.match(r"SB\d{4} ", line))
    settings = [line.split(": ", 1) for line in head if line.startswith(("set: ", "exit: ", "variant: "))]
    changes = dict(value.split("=", 1) for key, value in settings if key == "set")
    exit_code = next((int(value) for key, value in settings if key == "exit"), 3)
    variant = next((value for key, value in settings if key == "variant"), None)
    return Case(path.name, text, marks, changes, exit_code, variant, folder)


def golden_name(path: Path) -> str:
    return f"{path.stem}{'_json' if path.suffix == '.json' else ''}.txt"


def found_in(case: Case) -> SpecbuilderError | None:
    try:
        parse(case.text, case.name, variant=case.variant, set=case.changes, folder=case.folder)
    except SpecbuilderError as error:
        return error
    return None


def place_of(mark: Mark, case: Case, diagnostic: Diagnostic) -> tuple[int, int]:
    """Line and column that the mark asks for."""
    if re.fullmatch(r"\d+:\d+", mark.token):
        line, column = mark.token.split(":")
        return int(line), int(column)
    assert diagnostic.span is not None
    text = diagnostic.span.source.text
    body = "".join(" " * len(line) if line.startswith("# ") else line for line in text.splitlines(keepends=True))
    if case.name.endswith(".json"):
        body = re.sub(r'"description": "[^"]*"', lambda found: " " * len(found[0]), text)
    assert body.count(mark.token) == 1, f"`{mark.token}` stands {body.count(mark.token)} times in {case.name}"
    return diagnostic.span.source.position(body.index(mark.token))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_mistake_is_told_where_it_is(path: Path, golden: Golden) -> None:
    case = read_case(path)
    assert case.marks, "the first lines of a case say what must be found"
    error = found_in(case)
    assert error is not None, "nothing is told of this mistake"
    said = [(found.code, found.span.line, found.span.column) for found in error.diagnostics if found.span is not None]
    wanted = [(mark.code, *place_of(mark, case, found)) for mark, found in zip(case.marks, error.diagnostics, strict=False)]
    assert said == wanted + [("?", 0, 0)] * (len(case.marks) - len(wanted)), render_all(error.diagnostics)
    assert error.exit_code == case.exit_code
    golden(f"diagnostics/{golden_name(path)}", render_all(error.diagnostics) + "\n")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_messages_are_of_one_cast(path: Path) -> None:
    """No message twice at one place, none that repeats itself, no empty help, and the JSON form says the same."""
    error = found_in(read_case(path))
    assert error is not None
    for found in error.diagnostics:
        assert found.message == found.message.strip()
        assert not found.message.endswith((".", "!"))
        assert "copies)" not in found.message or "repeat" in path.stem, "one mistake was told by two stages"
        assert not re.search(r"\b(None|True|False|dict|tuple|NoneType|int|str)\b", found.message), found.message
        assert found.help is None or (found.help.strip() and found.help != found.message)
        form = as_json(found)
        assert form["message"] == found.message
        assert form["range"]["line"] == (found.span.line if found.span else None)
    places = [(found.span.start, found.code, found.message) for found in error.diagnostics if found.span is not None]
    assert len(set(places)) == len(places)
    sources = [found.span.source.name for found in error.diagnostics if found.span is not None]
    if len(set(sources)) == 1:
        assert [place[0] for place in places] == sorted(place[0] for place in places)


def test_every_case_has_its_golden_and_no_golden_is_left_over() -> None:
    wanted = {golden_name(path) for path in PATHS}
    assert {path.name for path in (CASES.parent.parent / "golden" / "diagnostics").iterdir()} == wanted


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff", "---\n"])
def test_empty_text_is_told_to_be_empty(text: str) -> None:
    error = found_in(Case("empty.yaml", text, (), {}, 3))
    assert error is not None
    assert [(found.code, found.message) for found in error.diagnostics] == [("SB0109", "the file is empty")]


# Sweeps: every key and every field mistyped --------------------------------------------------------------------------

WHOLE = """\
specbuilder: 1
name: whole
description: Every section there is.
vars: {width: 16}
model:
  inputs:
    image: float32[B, 1, 8, 8]
  nodes:
    - conv2d: {out_channels: $width, kernel_size: 3, padding: 1, bias: false}
      name: stem
    - batch_norm2d:
      repeat: 2
    - relu:
      from: batch_norm2d
      when: $(width > 1)
    - flatten
    - linear: 10
      name: logits
  outputs: {logits: logits}
data:
  digits:
  batch_size: 64
  split: {test: 0.2}
  shuffle: true
  augment:
    - random_crop: {size: 8, padding: 1}
train:
  epochs: 2
  seed: {default: 0, order: 1}
  loss: {cross_entropy: {label_smoothing: 0.1}}
  optimizer: {adamw: {lr: 1e-3, weight_decay: 0.1}}
  schedule: {cosine: {warmup: 10%}}
  metrics: [accuracy]
  evaluate: 1 epoch
expect:
  parameters: 10458
  outputs: {logits: "float32[B, 10]"}
  test.accuracy: {min: 0.1}
"""


def words_of(text: str) -> Iterator[tuple[int, int]]:
    """Where each word that is a key, a kind or a field stands."""
    for found in re.finditer(r"[a-z_][a-z0-9_.]*(?=:(\s|$))|(?<=- )[a-z_0-9]+$|(?<=\[)accuracy", text, re.MULTILINE):
        yield found.span()


def test_whole_spec_is_right() -> None:
    spec = parse(WHOLE)
    assert not spec.warnings
    assert spec.plan is not None


@pytest.mark.parametrize("span", list(words_of(WHOLE)), ids=lambda span: f"{WHOLE[slice(*span)]}@{span[0]}")
def test_no_mistyped_word_is_ignored(span: tuple[int, int]) -> None:
    """A letter is doubled in one word: something is told within that line or about that word, unless it is the user's own name."""
    start, end = span
    word = WHOLE[start:end]
    wrong = f"{word[:1]}q{word[1:]}"
    text = WHOLE[:start] + wrong + WHOLE[end:]
    error = found_in(Case("a.yaml", text, (), {}, 3))
    if word in ("image", "order") and error is None:
        pytest.skip("a name of the user's")
    assert error is not None, f"`{wrong}` was ignored"
    at = text.count("\n", 0, start) + 1
    about = [
        found for found in error.diagnostics if found.span is not None and (found.span.line == at or wrong in found.message or word in found.message)
    ]
    assert about, render_all(error.diagnostics)


def test_more_than_fifty_mistakes_are_counted() -> None:
    nodes = "".join(f"    - lineaar: {number}\n" for number in range(1, 61))
    text = f"specbuilder: 1\nname: many\nmodel:\n  inputs:\n    x: float32[B, 4]\n  nodes:\n{nodes}"
    error = found_in(Case("many.yaml", text, (), {}, 3))
    assert error is not None
    assert len(error.diagnostics) == 60
    assert render_all(error.diagnostics).endswith("\n\nand 10 more")


def test_copies_fold_and_cost_nothing() -> None:
    text = f"specbuilder: 1\nname: many\nmodel:\n  inputs:\n    x: float32[B, 4]\n  nodes:\n    - linear: $widht\n      repeat: {MOST_NODES}\n"
    error = found_in(Case("many.yaml", text, (), {}, 3))
    assert error is not None
    assert [found.message for found in error.diagnostics] == ["unknown name `widht`"]
