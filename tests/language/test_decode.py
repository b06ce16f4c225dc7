"""Document to tree: what is known at once, what waits for the walk, and that one mistake is told once.

The messages of single mistakes are in tests/diagnostics; here is what the tree holds and how mistakes keep apart.
"""

from __future__ import annotations

import pytest

from specbuilder.catalogue.layers.linear import Linear
from specbuilder.diagnostics import Diagnostics
from specbuilder.language.decode import decode
from specbuilder.language.read import read
from specbuilder.language.tree import Deferred, From, NodeTree, SpecTree, Use

HEAD = "specbuilder: 1\nname: a\nmodel:\n  inputs:\n    x: float32[B, 4]\n  nodes:\n"


def tree_of(text: str) -> tuple[SpecTree, Diagnostics]:
    diagnostics = Diagnostics()
    document = read(text, "a.yaml", diagnostics)
    assert document is not None
    tree = decode(document, diagnostics)
    assert tree is not None
    return tree, diagnostics


def node_of(text: str) -> NodeTree:
    tree, diagnostics = tree_of(HEAD + "".join(f"    {line}\n" for line in text.splitlines()))
    assert not list(diagnostics)
    return tree.model.nodes[0]


def use_of(text: str) -> Use:
    body = node_of(text).body
    assert isinstance(body, Use)
    return body


def told(text: str) -> list[str]:
    _, diagnostics = tree_of(text)
    return [f"{found.span.line if found.span else 0} {found.code}" for found in diagnostics]


@pytest.mark.parametrize(
    "text", ["- linear: 8", "- linear: {out_features: 8}", "- linear:\n    out_features: 8", "- linear: {out_features: 8, bias: true}"]
)
def test_literal_kind_is_made_at_once(text: str) -> None:
    assert use_of(text).instance == Linear(out_features=8)


@pytest.mark.parametrize("text", ["- relu", "- relu:", "- relu: {}"])
def test_kind_without_fields(text: str) -> None:
    use = use_of(text)
    assert (use.title, dict(use.fields), use.instance is not None) == ("relu", {}, True)


@pytest.mark.parametrize(
    ("text", "deferred"),
    [
        ("- linear: $width", ["out_features"]),
        ("- linear: {out_features: 8, bias: $(width > 3)}", ["bias"]),
        ('- conv2d: {out_channels: 8, kernel_size: [3, "$k"]}', ["kernel_size"]),
    ],
)
def test_expression_waits(text: str, deferred: list[str]) -> None:
    use = use_of(text)
    assert use.instance is None
    assert not use.is_wrong
    assert [name for name, entry in use.fields.items() if entry.is_deferred] == deferred


def test_kind_out_of_a_variable_waits() -> None:
    use = use_of("- $unit: {out: 8}")
    assert isinstance(use.kind, Deferred)
    assert (use.title, use.cls, list(use.fields)) == ("$unit", None, ["out"])


def shape_of(reads: From | None) -> object:
    if reads is None:
        return None
    if reads.named is not None:
        return {port: [reference.text for reference in references] for port, references in reads.named.items()}
    return [reference.text for reference in reads.ordered]


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("- relu", None),
        ("- relu:\n  from: stem", ["stem"]),
        ("- add:\n  from: [prev, stem.0]", ["prev", "stem.0"]),
        ("- matmul:\n  from: {input: a, other: b}", {"input": ["a"], "other": ["b"]}),
        ("- concat: 1\n  from: {input: [a, b]}", {"input": ["a", "b"]}),
    ],
)
def test_forms_of_from(text: str, reads: object) -> None:
    assert shape_of(node_of(text).reads) == reads


def test_structural_keys_are_entries_with_their_place() -> None:
    node = node_of("- linear: 8\n  name: head\n  when: $(n > 1)\n  repeat: 3")
    assert node.name is not None
    assert node.when is not None
    assert node.repeat is not None
    assert (node.name.value, node.repeat.value, node.when.is_deferred) == ("head", 3, True)
    assert (node.name.key.text, node.name.span.text, str(node.repeat.span)) == ("name", "head", "a.yaml:10:15")


def test_value_that_is_nothing_has_the_place_of_its_key() -> None:
    tree, _ = tree_of(HEAD + "    - relu\ndata:\n  digits:\n  batch_size:\n")
    assert tree.data is not None
    assert tree.data.settings["batch_size"].span.text == "batch_size"


@pytest.mark.parametrize(
    ("nodes", "lines"),
    [
        ("    - linear: {out_featuers: 8}\n", ["7 SB0201"]),  # not missing as well
        ("    - linear:\n      out_features: 8\n      bias: false\n", ["8 SB0206"]),  # all fields beside, one mistake
        ("    - linear: $(1 +)\n", ["7 SB0501"]),  # not of a wrong type as well
        ("    - linear: 8\n      from: $(1 +)\n", ["8 SB0501"]),
        ("    - linear: 8\n      name: $(1 +)\n      repeat: $(2 +)\n      when: $(3 +)\n", ["8 SB0501", "9 SB0501", "10 SB0501"]),
        ("    - linaer: {out_featuers: 8, lots: of, unknown: keys}\n", ["7 SB0205"]),  # fields of an unknown kind cannot be judged
        ("    - linear: {out_features: 0, bias: 1, in_features: true}\n", ["7 SB0204", "7 SB0203", "7 SB0203"]),
        ("    - linear: 8\n      name: Head\n      nam: head\n", ["8 SB0302", "9 SB0201"]),
        ("    - 3\n    - [relu]\n    - null\n    - {}\n", ["7 SB0207", "8 SB0207", "9 SB0207", "10 SB0207"]),
    ],
)
def test_one_cause_is_one_error(nodes: str, lines: list[str]) -> None:
    assert told(HEAD + nodes) == lines


@pytest.mark.parametrize(
    ("train", "lines"),
    [
        ("  epochs: 1\n  loss: cross_entropy\n  optimiser: adam\n", ["12 SB0201"]),
        ("  epoch: 1\n  loss: cross_entropy\n  optimizer: adam\n", ["10 SB0201"]),
        ("  epochs: 1\n  steps: null\n  loss: cross_entropy\n  optimizer: adam\n", []),
        ("  epochs: 1\n  steps: 1\n  loss: cross_entropy\n  optimizer: adam\n", ["11 SB0202"]),
        ("  epochs: 1\n  loss: cross_entropy\n  optimizer: adam\n  batch_size: 3\n", ["13 SB0201"]),
    ],
)
def test_mistakes_in_train(train: str, lines: list[str]) -> None:
    assert told(f"{HEAD}    - relu\ndata: {{digits: {{}}, batch_size: 4}}\ntrain:\n{train}") == lines


@pytest.mark.parametrize(
    ("old", "new", "help"),
    [
        ("batch_size: 4", "batch_size: 4\n  epochs: 3", "`epochs` belongs to `train`"),
        ("batch_size: 4", "batch_size: 4\n  loss: mse_loss", "`loss` belongs to `train`"),
        ("epochs: 1", "epochs: 1\n  batch_size: 3", "`batch_size` belongs to `data`"),
        ("epochs: 1", "epochs: 1\n  lr: 0.1", "it is a field of the optimizer: `optimizer: {adam: {lr: 0.1}}`"),
        ("epochs: 1", "epochs: 1\n  learning_rate: 0.1", "it is a field of the optimizer: `optimizer: {adam: {lr: 0.1}}`"),
        ("name: a", "name: a\nnodes: [relu]", "`nodes` belongs to `model`"),
        ("name: a", "name: a\nepochs: 3", "`epochs` belongs to `train`"),
    ],
)
def test_key_of_another_section_is_sent_there(old: str, new: str, help: str) -> None:
    text = HEAD + "    - relu\ndata:\n  digits:\n  batch_size: 4\ntrain:\n  epochs: 1\n  loss: cross_entropy\n  optimizer: adam\n"
    assert text.count(old) == 1
    _, diagnostics = tree_of(text.replace(old, new))
    assert [(found.code, found.help) for found in diagnostics] == [("SB0201", help)]
