"""`init` of a node, `model.init` and `freeze`, as written: what is told apart by the names of the catalogue, and what cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from specbuilder.diagnostics import Diagnostics, Source, Span
from specbuilder.language.document import Mapping, Node
from specbuilder.language.freezes import decode_freeze
from specbuilder.language.inits import decode_init, decode_init_rules, resolve_init, resolve_rules
from specbuilder.language.read import read

NOWHERE = Span(Source("text", ""), 0, 0)
VALUES = {"depth": 8, "std": 0.5}


def written(text: str) -> Node:
    """The value of the key `it` in a text."""
    diagnostics = Diagnostics()
    document = read(f"it: {text}" if "\n" not in text else f"it:\n{text}", "a.yaml", diagnostics)
    assert document is not None, [found.message for found in diagnostics]
    assert isinstance(document.root, Mapping)
    found = document.root.get("it")
    assert found is not None
    return found


def told(diagnostics: Diagnostics) -> list[str]:
    return [f"{found.code} {found.message}" + (f" | {found.help}" if found.help else "") for found in diagnostics]


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("zeros", {"": "Zeros()"}),
        ("{zeros: }", {"": "Zeros()"}),
        ("{normal: {std: 0.02}}", {"": "Normal(mean=0.0, std=0.02)"}),
        ("{normal: 0.02}", {"": "Normal(mean=0.0, std=0.02)"}),
        ("{constant: 1e-6}", {"": "Constant(val=1e-06)"}),
        ("{weight: zeros}", {"weight": "Zeros()"}),
        ("{weight: {normal: {std: 0.02}}, bias: zeros}", {"weight": "Normal(mean=0.0, std=0.02)", "bias": "Zeros()"}),
        ("{weight: {xavier_uniform: 2}}", {"weight": "XavierUniform(gain=2.0)"}),
    ],
)
def test_kind_and_tensors_are_told_apart(text: str, uses: dict[str, str]) -> None:
    diagnostics = Diagnostics()
    tree = decode_init(NOWHERE, written(text), diagnostics)
    assert told(diagnostics) == []
    assert {name: repr(use.instance) for name, use in tree.uses.items()} == uses
    assert list(tree.names) == list(uses)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("nromal", ["SB0205 unknown initializer `nromal` | did you mean `normal`?"]),
        ("{nromal: {std: 0.02}}", ["SB0205 unknown initializer `nromal` | did you mean `normal`?"]),
        ("he_normal", ["SB0205 unknown initializer `he_normal` | did you mean `kaiming_normal`?"]),
        ("{weight: {nromal: 1}}", ["SB0205 unknown initializer `nromal` | did you mean `normal`?"]),
        ("{weight: zeros, bias: zreos}", ["SB0205 unknown initializer `zreos` | did you mean `zeros`?"]),
        ("{normal: {sdt: 0.02}}", ["SB0201 `normal` has no field `sdt` | its fields are `mean`, `std`"]),
        ("{normal: {std: -1}}", ["SB0204 `std` wants a number that is not negative, but this is -1"]),
        ("{uniform: {a: 2, b: 1}}", ["SB0204 `b`: `uniform` goes from `a` up to `b`, but 1 is below 2"]),
        ("{trunc_normal: {mean: 9}}", ["SB0204 `mean`: 9 lies more than two `std` outside of -2 to 2, where nothing is drawn"]),
        ("0.5", ["SB0207 an initializer is wanted here, but this is 0.5 | such as `normal: {std: 0.02}`"]),
        ("[zeros]", ["SB0207 an initializer is wanted here, but this is a list of one | such as `normal: {std: 0.02}`"]),
        ("{}", ["SB0207 an initializer is wanted here, but this is empty | such as `normal: {std: 0.02}`"]),
        ("{zeros: , ones: }", ["SB0207 one entry holds two kinds, `zeros` and `ones` | keep one initializer"]),
    ],
)
def test_init_that_cannot_be_read(text: str, messages: list[str]) -> None:
    diagnostics = Diagnostics()
    decode_init(NOWHERE, written(text), diagnostics)
    assert told(diagnostics) == messages


def resolved(text: str) -> tuple[dict[str, str], Diagnostics]:
    diagnostics = Diagnostics()
    uses = decode_init(NOWHERE, written(text), diagnostics).uses
    found = resolve_init(uses, VALUES.__getitem__, VALUES, diagnostics)
    return {name: repr(initializer) for name, initializer in found.items()}, diagnostics


@pytest.mark.parametrize(
    ("text", "found", "messages"),
    [
        ("{normal: {std: $std}}", {"": "Normal(mean=0.0, std=0.5)"}, []),
        ("{normal: $(std / 2)}", {"": "Normal(mean=0.0, std=0.25)"}, []),
        ("{weight: {normal: $(std / depth)}, bias: zeros}", {"weight": "Normal(mean=0.0, std=0.0625)", "bias": "Zeros()"}, []),
        ("{weight: {normal: $(-std)}, bias: ones}", {"bias": "Ones()"}, ["SB0204 `std` wants a number that is not negative, but this is -0.5"]),
        ("{normal: $dpth}", {}, ["SB0501 unknown name `dpth` | did you mean `depth`?"]),
    ],
)
def test_expressions_are_finished(text: str, found: dict[str, str], messages: list[str]) -> None:
    initializers, diagnostics = resolved(text)
    assert initializers == found
    assert told(diagnostics) == messages


RULES = """
  - normal: {std: 0.02}
    role: [matrix, embedding]
  - normal: {std: $(std / depth)}
    match: [c_proj.weight, h.$(depth - 1)]
    except: ln
  - zeros:
    role: bias
  - ones
"""


def test_rules_are_kinds_with_selectors() -> None:
    diagnostics = Diagnostics()
    trees = decode_init_rules(NOWHERE, written(RULES), diagnostics)
    rules = resolve_rules(trees, VALUES.__getitem__, VALUES, diagnostics)
    assert told(diagnostics) == []
    assert [repr(rule.initializer) for rule in rules] == [
        "Normal(mean=0.0, std=0.02)",
        "Normal(mean=0.0, std=0.0625)",
        "Zeros()",
        "Ones()",
    ]
    assert [([*map(str, rule.selector.match)], rule.selector.roles, [*map(str, rule.selector.excluded)]) for rule in rules] == [
        ([], ("matrix", "embedding"), []),
        (["c_proj.weight", "h.7"], (), ["ln"]),
        ([], ("bias",), []),
        ([], (), []),
    ]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "{normal: 1}",
            ["SB0203 `init` of a model is a list of rules, but this is a mapping | such as `- normal: {std: 0.02}`, and under it `role: matrix`"],
        ),
        ("[{normal: 1, mach: stem}]", ["SB0201 unknown key `mach` beside `normal` | did you mean `match`?"]),
        ("[{normal: 1, role: bais}]", ["SB0203 unknown role `bais` | did you mean `bias`?"]),
        ("[{role: bias}]", ["SB0207 no initializer stands beside `role` | begin the entry with a kind, such as `normal: {std: 0.02}`"]),
        ("[{nromal: 1, role: bias}]", ["SB0205 unknown initializer `nromal` | did you mean `normal`?"]),
        (
            "[{normal: {std: 1, role: bias}}]",
            ["SB0206 `role` belongs one level out, beside `normal` | write `role: bias` on a line of its own, indented like `normal`"],
        ),
        ("[3]", ["SB0207 an initializer is wanted here, but this is 3 | such as `normal: {std: 0.02}`"]),
    ],
)
def test_rules_that_cannot_be_read(text: str, messages: list[str]) -> None:
    diagnostics = Diagnostics()
    decode_init_rules(NOWHERE, written(text), diagnostics)
    assert told(diagnostics) == messages


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("false", False), ("weight", "weight"), ("[weight, bias]", ("weight", "bias")), ("[weight]", ("weight",))]
)
def test_freeze_is_true_or_names(text: str, value: Any) -> None:
    diagnostics = Diagnostics()
    found = decode_freeze(NOWHERE, written(text), diagnostics)
    assert told(diagnostics) == []
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("1", ["SB0203 `freeze` wants true, or names of tensors, but this is 1 | such as `freeze: true` or `freeze: [weight]`"]),
        ("[]", ["SB0203 `freeze` wants true, or names of tensors, but this is a list of 0 | such as `freeze: true` or `freeze: [weight]`"]),
        ("[weight, 2]", ["SB0203 `freeze` wants true, or names of tensors, but this is 2 | such as `freeze: true` or `freeze: [weight]`"]),
        (
            "{weight: true}",
            ["SB0203 `freeze` wants true, or names of tensors, but this is a mapping | such as `freeze: true` or `freeze: [weight]`"],
        ),
    ],
)
def test_freeze_that_cannot_be_read(text: str, messages: list[str]) -> None:
    diagnostics = Diagnostics()
    assert decode_freeze(NOWHERE, written(text), diagnostics) is None
    assert told(diagnostics) == messages
