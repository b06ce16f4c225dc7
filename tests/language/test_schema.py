"""What the JSON Schema accepts and refuses, beside what `specbuilder validate` accepts and refuses.

`decode` is the independent witness: the schema is made from pydantic's schemas, `decode` runs pydantic's validators. Where the two must differ is named here
and in the header of the schema.
"""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from ruamel.yaml import YAML

from specbuilder.catalogue import lookup
from specbuilder.catalogue.contract import REGISTRY, Family, Kind, Transform
from specbuilder.catalogue.declared import fields_of
from specbuilder.diagnostics import Diagnostic, Diagnostics
from specbuilder.language.decode import decode
from specbuilder.language.document import plain
from specbuilder.language.read import read
from specbuilder.language.schema import make_schema
from specbuilder.pipeline import check

ROOT = Path(__file__).parent.parent.parent
COMMITTED = ROOT / "schemas" / "spec.schema.json"
SPECS = sorted((ROOT / "specs").rglob("*.yaml"))
# Other tests declare kinds of their own; these are not in the committed file.
KINDS = [kind for family in get_args(Family) for kind in lookup.all_kinds(family) if kind.__module__.startswith("specbuilder.")]

VALIDATOR = Draft202012Validator(make_schema())

GOOD = """
specbuilder: 1
name: small
vars: {width: 8, on: true, act: relu}
model:
  inputs:
    image: float32[B, 1, 8, 8]
  nodes:
    - flatten
    - linear: 10
      name: logits
data:
  digits:
  batch_size: 64
train:
  epochs: 2
  loss: cross_entropy
  optimizer: adam
"""


def refusal(spec: Any) -> str | None:
    """What the schema says first, as an editor finds it: the innermost mistake of the alternative that comes nearest."""
    error = best_match(VALIDATOR.iter_errors(spec))
    return None if error is None else f"{error.json_path}: {error.message}"


def values(text: str) -> Any:
    document = read(text, "spec.yaml", Diagnostics())
    assert document is not None
    return plain(document.root)


def found(text: str) -> list[Diagnostic]:
    """The errors of all stages that need no torch."""
    diagnostics = Diagnostics()
    check(text, "spec.yaml", {}, diagnostics)
    return [each for each in diagnostics if each.severity == "error"]


def decoded(spec: Any) -> list[Diagnostic]:
    """The errors of `decode`."""
    diagnostics = Diagnostics()
    document = read(json.dumps(spec), "spec.json", diagnostics)
    assert document is not None
    decode(document, diagnostics)
    return [each for each in diagnostics if each.severity == "error"]


# The file ------------------------------------------------------------------------------------------------------------


def test_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(make_schema())


def test_every_reference_leads_somewhere() -> None:
    schema = make_schema()
    references = set(_references(schema))
    assert references
    assert {each.removeprefix("#/$defs/") for each in references} <= schema["$defs"].keys()


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [found for each in schema for found in _references(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
    return own + [found for each in schema.values() for found in _references(each)]


def test_committed_file_is_fresh() -> None:
    # In a process of its own, since other tests declare kinds.
    printed = subprocess.run([sys.executable, "-m", "specbuilder", "schema"], cwd=ROOT, check=True, capture_output=True).stdout
    assert COMMITTED.read_bytes() == printed, "run `make schema`"


def test_committed_file_loads_fast_in_an_editor() -> None:
    assert COMMITTED.stat().st_size < 500_000


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_our_specs_are_accepted(path: Path) -> None:
    assert refusal(values(path.read_text())) is None


# One flat schema for each value: what an editor shows is the one thing that is wrong.
FLAT: list[tuple[str, str, dict[str, Any]]] = [
    ("node.linear", "bias", {"type": ["boolean", "string"], "pattern": r"\$"}),
    ("node.conv2d", "groups", {"type": ["integer", "string"], "exclusiveMinimum": 0, "pattern": r"\$"}),
    ("node.linear", "in_features", {"type": ["integer", "null", "string"], "exclusiveMinimum": 0, "pattern": r"\$"}),
    ("schedule.cosine", "warmup", {"type": ["string", "number"], "minimum": 0}),
    ("schedule.cosine", "over", {"type": ["string", "null"]}),
]


@pytest.mark.parametrize(("kind", "field", "wanted"), FLAT, ids=[f"{kind}-{field}" for kind, field, _ in FLAT])
def test_field_is_flat(kind: str, field: str, wanted: dict[str, Any]) -> None:
    shown = {"description", "markdownDescription", "default", "patternErrorMessage"}
    found = make_schema()["$defs"][kind]["properties"][field]
    assert {key: value for key, value in found.items() if key not in shown} == wanted


def test_own_kind_is_in_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lines(Transform):
        """Draws lines."""

        kind = "lines"
        ends: tuple[int, str]

    monkeypatch.setitem(REGISTRY["transform"], "lines", Lines)
    ours = Draft202012Validator(make_schema())
    assert ours.is_valid(spec_with(Lines, {"lines": {"ends": [1, "a"]}}))
    assert not ours.is_valid(spec_with(Lines, {"lines": {"ends": ["a", "a"]}}))
    assert not ours.is_valid(spec_with(Lines, {"lines": {"ends": [1]}}))


# Good and bad specs --------------------------------------------------------------------------------------------------

TYPE = r"^\\s*(bool|uint8|int8|int16|int32|int64|float16|bfloat16|float32|float64|complex64|complex128)\\s*\\[[^\\[\\]]*\\]\\s*$|\\$"

# What replaces what in GOOD.
ACCEPTED: list[tuple[str, str]] = [
    ("- flatten", "- flatten:"),
    ("- flatten", "- flatten: {}"),
    ("- flatten", "- flatten: {start_dim: $(1)}"),
    ("- flatten", "- flatten\n    - $act"),
    ("- flatten", "- flatten\n    - $act: {}\n      name: a"),
    ("- flatten", "- flatten\n    - $act:"),
    ("- flatten", "- flatten\n    - linear: {out_features: $width, bias: $on}"),
    ("- flatten", "- flatten\n    - linear: $(width * 2)\n      when: $on\n      repeat: 2\n      name: a\n      from: prev"),
    ("- flatten", "- flatten\n    - linear: $w\n      repeat: {w: [8, 16]}"),
    ("- flatten", "- flatten:\n      name: a\n    - linear: 8\n      name: b\n    - concat: 1\n      from: [a, b]"),
    ("- flatten", "- conv2d: {out_channels: 2, kernel_size: [3, $(1 + 2)], padding: same}\n    - flatten"),
    ("- flatten", "- max_pool2d: [2, 2]\n    - flatten"),
    ("- flatten", "- flatten:\n      name: a$width"),
    ("data:", "  outputs: [logits]\ndata:"),
    ("data:", "  outputs: {a: logits}\ndata:"),
    ("data:", 'expect: {parameters: 650, outputs: {logits: "float32[B, 10]"}}\ndata:'),
    ("batch_size: 64", "batch_size: 64\n  split: {test: 0.2}\nexpect: {test.loss: {max: 0.9}}"),
    ("digits:", "digits: {}"),
    ("batch_size: 64", "batch_size: $(width * 8)"),
    ("data:", "variants: {small: {}, large: {width: 16, act: gelu}}\ndata:"),
    ("batch_size: 64", "batch_size: 64\n  augment: {random_crop: 8}"),
    ("batch_size: 64", "batch_size: 64\n  augment: [{random_crop: [8, 8]}, random_rotation: 10]"),
    ("batch_size: 64", "batch_size: 64\n  augment: []"),
    ("batch_size: 64", "batch_size: 64\n  normalize: {mean: 0.5, std: [0.5]}"),
    ("batch_size: 64", "batch_size: 64\n  split: {test: 0.2, validation: 100}"),
    ("epochs: 2", "epochs: 0.5"),
    ("epochs: 2", "steps: 10\n  seed: {init: 1}\n  evaluate: 1 epoch"),
    ("epochs: 2", "epochs: 2\n  average: ema"),
    ("epochs: 2", "epochs: 2\n  average: {ema: 0.99}"),
    ("epochs: 2", "epochs: 2\n  average: {ema: {decay: 0.99, every: 2 steps, begin: 1 epoch, buffers: false}}"),
    ("epochs: 2", "epochs: 2\n  monitor: train.loss"),
    ("epochs: 2", "epochs: 2\n  monitor: {metric: train.loss, mode: min}\n  early_stopping: {patience: 3, min_delta: 0.01}"),
    ("epochs: 2", "epochs: 2\n  monitor: train.loss\n  early_stopping: {patience: 50%}"),
    ("epochs: 2", "epochs: 2\n  checkpoint: {every: 10 minutes, keep: 3, keep_every: 1 epoch, best: false}"),
    ("epochs: 2", "epochs: 2\n  checkpoint: {}"),
    ("loss: cross_entropy", "loss: [cross_entropy]"),
    ("loss: cross_entropy", "loss: {cross_entropy: {label_smoothing: 0.1}}\n  metrics: accuracy"),
    ("optimizer: adam", "optimizer: {sgd: {lr: 1e-2}}\n  schedule: {cosine: {warmup: 1 epoch}}\n  metrics: [accuracy]"),
]

# ... what the schema says to it, and the code of what `specbuilder validate` says.
REFUSED: list[tuple[str, str, str, str]] = [
    # the top
    ("data:", "variants: {}\ndata:", "$.variants: {} should be non-empty", "SB0203"),
    ("data:", "variants: {small: 3}\ndata:", "$.variants.small: 3 is not of type 'object'", "SB0203"),
    ("data:", "variants: {all: {}}\ndata:", "$.variants: 'all' should not be valid under {'const': 'all'}", "SB0302"),
    ("data:", "variants: {Small: {}}\ndata:", "$.variants: 'Small' does not match '^[a-z_][a-z0-9_]*$'", "SB0302"),
    ("name: small", "", "$: 'name' is a required property", "SB0202"),
    ("name: small", "name: Small", "$.name: 'Small' does not match '^[a-z_][a-z0-9_]*$'", "SB0302"),
    ("name: small", "name: 3", "$.name: 3 is not of type 'string'", "SB0203"),
    ("name: small", "name: small\ncolour: red", "$: Additional properties are not allowed ('colour' was unexpected)", "SB0201"),
    ("specbuilder: 1", "specbuilder: 2", "$.specbuilder: 1 was expected", "SB0203"),
    ("specbuilder: 1", "specbuilder: true", "$.specbuilder: 1 was expected", "SB0203"),
    ("specbuilder: 1", "", "$: 'specbuilder' is a required property", "SB0202"),
    ("vars: {", "vars: {Width: 8, ", "$.vars: 'Width' does not match '^[a-z_][a-z0-9_]*$'", "SB0302"),
    # the model
    ("  nodes:", "  layers: []\n  nodes:", "$.model: Additional properties are not allowed ('layers' was unexpected)", "SB0201"),
    ("image: float32[B, 1, 8, 8]", "image: float[B, 64]", f"$.model.inputs.image: 'float[B, 64]' does not match '{TYPE}'", "SB0502"),
    ("image: float32[B, 1, 8, 8]", "image: float32", f"$.model.inputs.image: 'float32' does not match '{TYPE}'", "SB0502"),
    ("image: float32[B, 1, 8, 8]", "image: 64", "$.model.inputs.image: 64 is not of type 'object', 'string'", "SB0203"),
    ("data:", "  outputs: logits\ndata:", "$.model.outputs: 'logits' is not of type 'array', 'object'", "SB0203"),
    # a node
    ("- flatten", "- flaten", "$.model.nodes[0]: 'flaten' is not valid under any of the given schemas", "SB0205"),
    ("- flatten", "- flaten: {}", "$.model.nodes[0]: 'flaten' does not match any of the regexes: '\\\\$'", "SB0205"),
    ("- flatten", "- linear", "$.model.nodes[0]: 'linear' is not valid under any of the given schemas", "SB0202"),
    ("- flatten", "- linear:", "$.model.nodes[0].linear: None is not of type 'object', 'integer', 'string'", "SB0202"),
    ("- flatten", "- linear: {}", "$.model.nodes[0].linear: 'out_features' is a required property", "SB0202"),
    ("- flatten", "- linear: {bias: true}", "$.model.nodes[0].linear: 'out_features' is a required property", "SB0202"),
    ("- flatten", "- 3", "$.model.nodes[0]: 3 is not valid under any of the given schemas", "SB0207"),
    ("- flatten", "- {}", "$.model.nodes[0]: {} is not valid under any of the given schemas", "SB0207"),
    ("- flatten", "- name: a", "$.model.nodes[0]: {'name': 'a'} is not valid under any of the given schemas", "SB0207"),
    (
        "- flatten",
        "- flatten:\n      relu:",
        "$.model.nodes[0]: {'flatten': None, 'relu': None} is not valid under any of the given schemas",
        "SB0207",
    ),
    ("- flatten", "- $act:\n      relu:", "$.model.nodes[0]: {'$act': None, 'relu': None} is not valid under any of the given schemas", "SB0207"),
    (
        "- flatten",
        "- flatten:\n      relu:\n      name: a\n      when: true",
        "$.model.nodes[0]: {'flatten': None, 'relu': None, 'name': 'a', 'when': True} is not valid under any of the given schemas",
        "SB0207",
    ),
    ("- flatten", "- flatten:\n      naem: a", "$.model.nodes[0]: 'naem' does not match any of the regexes: '\\\\$'", "SB0201"),
    ("- flatten", "- flatten: {name: a}", "$.model.nodes[0].flatten: Additional properties are not allowed ('name' was unexpected)", "SB0206"),
    ("- flatten", "- flatten: 2", "$.model.nodes[0].flatten: 2 is not of type 'object', 'null'", "SB0203"),
    ("- flatten", "- flatten: {start: 1}", "$.model.nodes[0].flatten: Additional properties are not allowed ('start' was unexpected)", "SB0201"),
    ("- flatten", "- sequence: []", "$.model.nodes[0].sequence: [] should be non-empty", "SB0203"),
    ("- flatten", "- flatten:\n      each: 0", "$.model.nodes[0].each: 0 is less than the minimum of 1", "SB0203"),
    ("- flatten", "- flatten:\n      name: A", "$.model.nodes[0].name: 'A' does not match '^[a-z_][a-z0-9_]*$|\\\\$'", "SB0302"),
    ("- flatten", "- flatten:\n      from: 3", "$.model.nodes[0].from: 3 is not of type 'string', 'array', 'object'", "SB0203"),
    ("- flatten", "- flatten:\n      when: 3", "$.model.nodes[0].when: 3 is not of type 'boolean', 'string'", "SB0203"),
    ("- flatten", "- flatten:\n      when: yes", "$.model.nodes[0].when: 'yes' does not match '\\\\$'", "SB0203"),
    ("- flatten", "- flatten:\n      repeat: 0", "$.model.nodes[0].repeat: 0 is less than the minimum of 1", "SB0203"),
    ("- flatten", "- flatten:\n      repeat: true", "$.model.nodes[0].repeat: True is not of type 'integer', 'object', 'string'", "SB0203"),
    ("- flatten", "- flatten:\n      repeat: {w: 3}", "$.model.nodes[0].repeat.w: 3 is not of type 'array', 'string'", "SB0203"),
    # a field
    ("linear: 10", 'linear: "32"', "$.model.nodes[1].linear: '32' does not match '\\\\$'", "SB0203"),
    ("linear: 10", "linear: true", "$.model.nodes[1].linear: True is not of type 'object', 'integer', 'string'", "SB0203"),
    ("linear: 10", "linear: 0", "$.model.nodes[1].linear: 0 is less than or equal to the minimum of 0", "SB0204"),
    ("linear: 10", "linear: 2.5", "$.model.nodes[1].linear: 2.5 is not of type 'object', 'integer', 'string'", "SB0203"),
    ("linear: 10", "linear: [10]", "$.model.nodes[1].linear: [10] is not of type 'object', 'integer', 'string'", "SB0203"),
    ("linear: 10", "linear: {out_features: 10, bias: 1}", "$.model.nodes[1].linear.bias: 1 is not of type 'boolean', 'string'", "SB0203"),
    ("linear: 10", "linear: {out_features: null}", "$.model.nodes[1].linear.out_features: None is not of type 'integer', 'string'", "SB0203"),
    ("- flatten", "- max_pool2d: [2, 2, 2]", "$.model.nodes[0].max_pool2d: [2, 2, 2] is too long", "SB0203"),
    (
        "- flatten",
        "- conv2d: {out_channels: 2, kernel_size: 3, padding: some}",
        "$.model.nodes[0].conv2d.padding: 'some' is not valid under any of the given schemas",
        "SB0203",
    ),
    # data
    ("digits:", "", "$.data: {'batch_size': 64} is not valid under any of the given schemas", "SB0202"),
    (
        "digits:",
        "digits:\n  cifar10:",
        "$.data: {'digits': None, 'cifar10': None, 'batch_size': 64} is valid under each of {'required': ['digits']}, {'required': ['cifar10']}",
        "SB0201",
    ),
    ("digits:", "digit:", "$.data: Additional properties are not allowed ('digit' was unexpected)", "SB0205"),
    ("batch_size: 64", "shuffle: true", "$.data: 'batch_size' is a required property", "SB0202"),
    ("batch_size: 64", "batch_size: 64\n  bucket: 4", "$.data: Additional properties are not allowed ('bucket' was unexpected)", "SB0209"),
    ("batch_size: 64", "batch_size: true", "$.data.batch_size: True is not of type 'integer', 'string'", "SB0203"),
    ("batch_size: 64", 'batch_size: "64"', "$.data.batch_size: '64' does not match '\\\\$'", "SB0203"),
    ("batch_size: 64", "batch_size: 64\n  split: {test: 0}", "$.data.split.test: 0 is less than or equal to the minimum of 0", "SB0204"),
    ("batch_size: 64", "batch_size: 64\n  normalize: all", "$.data.normalize: 'all' is not valid under any of the given schemas", "SB0203"),
    (
        "batch_size: 64",
        "batch_size: 64\n  augment: random_crop",
        "$.data.augment: 'random_crop' is not one of ['random_horizontal_flip', 'random_vertical_flip']",
        "SB0202",
    ),
    (
        "batch_size: 64",
        "batch_size: 64\n  augment: [{random_crop: 8, name: a}]",
        "$.data.augment[0]: {'random_crop': 8, 'name': 'a'} is not valid under any of the given schemas",
        "SB0201",
    ),
    # train
    ("data:\n  digits:\n  batch_size: 64\n", "", "$: 'data' is a dependency of 'train'", "SB0202"),
    ("epochs: 2", "", "$.train: {'loss': 'cross_entropy', 'optimizer': 'adam'} is not valid under any of the given schemas", "SB0202"),
    (
        "epochs: 2",
        "epochs: 2\n  steps: 2",
        "$.train: {'epochs': 2, 'steps': 2, 'loss': 'cross_entropy', 'optimizer': 'adam'} is valid under each of {'required': ['steps']}, {'required': ['epochs']}",
        "SB0202",
    ),
    ("epochs: 2", "epochs: 2\n  average: ewma", "$.train.average: 'ewma' is not one of ['ema']", "SB0205"),
    (
        "epochs: 2",
        "epochs: 2\n  early_stopping: {patience: 0}",
        "$.train.early_stopping.patience: 0 is less than or equal to the minimum of 0",
        "SB0203",
    ),
    ("epochs: 2", "epochs: 2\n  early_stopping: {}", "$.train.early_stopping: 'patience' is a required property", "SB0202"),
    ("epochs: 2", "epochs: 2\n  early_stopping: 3", "$.train.early_stopping: 3 is not of type 'object', 'null', 'string'", "SB0203"),
    ("epochs: 2", "epochs: 2\n  checkpoint: {keep: 0}", "$.train.checkpoint.keep: 0 is less than or equal to the minimum of 0", "SB0204"),
    ("epochs: 2", "epochs: 2\n  checkpoint: {kep: 1}", "$.train.checkpoint: Additional properties are not allowed ('kep' was unexpected)", "SB0201"),
    ("epochs: 2", "epochs: 2\n  monitor: {mode: max}", "$.train.monitor: 'metric' is a required property", "SB0202"),
    ("epochs: 2", "epochs: 2\n  phases: []", "$.train: Additional properties are not allowed ('phases' was unexpected)", "SB0209"),
    ("epochs: 2", "epochs: 2\n  precision: fp8", "$.train.precision: 'fp8' is not valid under any of the given schemas", "SB0204"),
    ("loss: cross_entropy", "", "$.train: 'loss' is a required property", "SB0202"),
    (
        "loss: cross_entropy",
        "loss: cross_entrop",
        "$.train.loss: 'cross_entrop' is not one of ['binary_cross_entropy_with_logits', 'cross_entropy', 'huber_loss', 'l1_loss', 'mse_loss', 'smooth_l1_loss']",
        "SB0205",
    ),
    (
        "loss: cross_entropy",
        "loss: $act",
        "$.train.loss: '$act' is not one of ['binary_cross_entropy_with_logits', 'cross_entropy', 'huber_loss', 'l1_loss', 'mse_loss', 'smooth_l1_loss']",
        "SB0205",
    ),
    ("loss: cross_entropy", "loss: []", "$.train.loss: [] is not valid under any of the given schemas", "SB0209"),
    ("optimizer: adam", "optimizer: {adam: {}, sgd: {}}", "$.train.optimizer: {'adam': {}, 'sgd': {}} has too many properties", "SB0207"),
    ("optimizer: adam", "optimizer: {adam: {betas: 0.9}}", "$.train.optimizer.adam.betas: 0.9 is not of type 'array', 'string'", "SB0203"),
    ("optimizer: adam", "optimizer: adam\n  metrics:", "$.train.metrics: None is not valid under any of the given schemas", "SB0207"),
    # expect
    ("data:", "expect: {size: 3}\ndata:", "$.expect: 'size' does not match any of the regexes: '\\\\.'", "SB0201"),
    ("data:", 'expect: {parameters: "650"}\ndata:', "$.expect.parameters: '650' does not match '\\\\$'", "SB0203"),
    ("data:", "expect: {test.loss: 0.9}\ndata:", "$.expect['test.loss']: 0.9 is not of type 'object', 'string'", "SB0203"),
    (
        "data:",
        "expect: {test.loss: {low: 0.9}}\ndata:",
        "$.expect['test.loss']: Additional properties are not allowed ('low' was unexpected)",
        "SB0201",
    ),
]


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_the_spec_that_the_tables_change_is_accepted() -> None:
    assert refusal(values(GOOD)) is None
    assert found(GOOD) == []


@pytest.mark.parametrize(("old", "new"), ACCEPTED, ids=[new for _, new in ACCEPTED])
def test_accepted_by_both(old: str, new: str) -> None:
    text = changed(old, new)
    assert refusal(values(text)) is None
    assert found(text) == []


@pytest.mark.parametrize(("old", "new", "message", "code"), REFUSED, ids=[new or f"no {old}" for old, new, _, _ in REFUSED])
def test_refused_by_both(old: str, new: str, message: str, code: str) -> None:
    text = changed(old, new)
    assert refusal(values(text)) == message
    assert code in [each.code for each in found(text)]


@pytest.mark.parametrize(
    ("path", "is_right"),
    [
        ('"a.yaml"', True),
        ('"parts/a.json"', True),
        ('"../a.yml"', True),
        ('["a.yaml", "b.yaml"]', True),
        ('["a.yaml", "a.yaml"]', False),
        ("[]", False),
        ("3", False),
        ('"/a.yaml"', False),
        ('"~/a.yaml"', False),
        ('"a.txt"', False),
        ('"$a.yaml"', False),
    ],
)
def test_path_of_an_included_file(path: str, is_right: bool) -> None:
    """`decode` never sees the key, so the schema stands alone here; tests/diagnostics has the same paths."""
    assert (refusal({**values(GOOD), "include": json.loads(path)}) is None) == is_right


# Every kind ----------------------------------------------------------------------------------------------------------


SMALL = values(GOOD)


def spec_with(kind: type[Kind], use: Any) -> dict[str, Any]:
    """A spec that holds this use of a kind, in the place of its family."""
    spec = deepcopy(SMALL)
    if kind.family == "node":
        spec["model"]["nodes"].insert(0, use)
    elif kind.family == "dataset":
        spec["data"] = {**({use: None} if isinstance(use, str) else use), "batch_size": 64}
    elif kind.family == "initializer":
        spec["model"]["init"] = [{use: None} | {"match": "logits"} if isinstance(use, str) else {**use, "match": "logits"}]
    elif kind.family == "transform":
        spec["data"]["augment"] = [use]
    else:
        spec["train"]["metrics" if kind.family == "metric" else kind.family] = use
    return spec


EXAMPLES = [
    pytest.param(kind, example.text, id=f"{kind.family}-{kind.kind}-{at}")
    for kind in KINDS
    for at, example in enumerate(kind.examples)
    # Other refused examples are refused for what arrives.
    if example.refused is None
]


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_examples_of_kinds_are_accepted_by_both(kind: type[Kind], text: str) -> None:
    spec = spec_with(kind, YAML(typ="safe", pure=True).load(text))
    assert refusal(spec) is None
    assert decoded(spec) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.extra is None], ids=lambda kind: f"{kind.family}-{kind.kind}")
def test_a_field_that_no_kind_has_is_refused_by_both(kind: type[Kind]) -> None:
    spec = spec_with(kind, {kind.kind: {"nonsense": 1}})
    assert refusal(spec) is not None
    assert "SB0201" in [each.code for each in decoded(spec)]


@pytest.mark.parametrize(
    ("key", "value", "in_schema"),
    [("d", 2, True), ("d", "$n", True), ("z", 2, True), ("d", 0, False), ("d", "2", False), ("D", 2, False)],
)
def test_keys_that_are_no_fields_are_sizes_of_axes(key: str, value: object, in_schema: bool) -> None:
    kind = next(kind for kind in KINDS if kind.kind == "rearrange")
    spec = spec_with(kind, {"rearrange": {"pattern": "b (c d) -> b c d", key: value}})
    assert (refusal(spec) is None) == in_schema
    # Which axes a pattern has no schema can tell.
    assert (decoded(spec) == []) == (in_schema and key == "d")


NODE_EXAMPLES = [YAML(typ="safe", pure=True).load(each.values[1]) for each in EXAMPLES if each.values[0].family == "node"]  # type: ignore[union-attr]
STRUCTURE = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["stem", "layer$(s + 1)", "a_1"]),
        "from": st.sampled_from(["prev", "a.2", ["a", "b"], {"input": "a"}, {"input": ["a", "$b"]}]),
        "when": st.sampled_from([True, "$on", "$(width > 3)"]),
        "repeat": st.sampled_from([1, 4, "$width", {"w": [8, 16]}, {"w": [8, "$width"], "s": "$width"}]),
    },
)


@st.composite
def nodes(draw: st.DrawFn) -> Any:
    node, structure = draw(st.sampled_from(NODE_EXAMPLES)), draw(STRUCTURE)
    return {**({node: None} if isinstance(node, str) else node), **structure} if structure else node


@given(nodes=st.lists(nodes(), min_size=1, max_size=4))
def test_drawn_nodes_are_accepted_by_both(nodes: list[Any]) -> None:
    spec = deepcopy(SMALL)
    spec["model"]["nodes"] = nodes
    assert refusal(spec) is None
    assert decoded(spec) == []


# No integral floats and no huge numbers: JSON Schema takes 2.0 for an integer, and has no largest number. Expressions stand alone: a list that holds one
# is left to later stages by `decode` as a whole, while the schema looks at the rest of it.
LITERALS = st.sampled_from([None, True, False, -1, 0, 1, 3, -0.5, 0.25, 2.5, "32", "same", "none", "mean", "reflect", "nearest"])
EXPRESSIONS = st.sampled_from(["$width", "$(2 * width)", "a$on"])
ANYTHING = LITERALS | EXPRESSIONS | st.lists(LITERALS, max_size=4) | st.dictionaries(st.sampled_from(["a", "mean"]), LITERALS, max_size=2)


@st.composite
def uses(draw: st.DrawFn) -> tuple[type[Kind], Any]:
    """A kind with values drawn without regard to what it takes; some of them fit."""
    kind = draw(st.sampled_from(KINDS))
    shape = draw(st.sampled_from(["bare", "value", "fields"]))
    if shape == "bare":
        return kind, kind.kind
    if shape == "value":
        return kind, {kind.kind: draw(ANYTHING)}
    known = fields_of(kind)
    needed = {name: ANYTHING for name, field in known.items() if field.is_required}
    others = {name: ANYTHING for name in [*known, "nonsense"][:6] if name not in needed}
    fields = draw(st.fixed_dictionaries(needed, optional=others))
    if fields and draw(st.integers(0, 9)) == 0:
        fields.pop(draw(st.sampled_from(sorted(fields))))
    return kind, {kind.kind: fields}


def is_beyond_a_schema(kind: type[Kind], found: list[Diagnostic]) -> bool:
    """Whether all that is wrong is what the kind checks in Python, over more than one field or item."""
    return bool(found) and kind.mistakes is not Kind.mistakes and all(each.code == "SB0204" and "wants" not in each.message for each in found)


@settings(max_examples=400)
@given(use=uses())
def test_verdict_on_any_field_is_the_same(use: tuple[type[Kind], Any]) -> None:
    kind, written = use
    spec = spec_with(kind, written)
    is_valid, found = VALIDATOR.is_valid(spec), decoded(spec)
    assert is_valid == (not found or is_beyond_a_schema(kind, found)), found
