"""The names of a model's inputs are the arguments of `forward`, whatever they are called: `model(image=...)`."""

from __future__ import annotations

import ast
import inspect
import symtable
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from specbuilder.api import load, parse
from specbuilder.catalogue.own_class import forget
from specbuilder.diagnostics import SpecError
from specbuilder.emit.load import load as load_source
from specbuilder.emit.objective import emit_objective
from specbuilder.language.names import READ_BY_FORWARD

ZOO = sorted((Path(__file__).parent.parent.parent / "specs/zoo").glob("*.yaml"))


@pytest.mark.parametrize("name", ["max", "len", "str", "list", "x", "h", "hidden_state", "device", "b", "model", "target", "output", "image"])
def test_input_keeps_its_name(name: str) -> None:
    text = f"specbuilder: 1\nname: n\nmodel:\n  inputs: {{{name}: 'float32[B, 4]', other: 'float32[B, 4]'}}\n  nodes:\n    - add:\n      from: [{name}, other]\n    - linear: 3\n"
    model = parse(text).build()
    assert list(inspect.signature(model.forward).parameters) == [name, "other"]
    assert model(**{name: torch.ones(2, 4), "other": torch.ones(2, 4)}).shape == (2, 3)


def test_objective_takes_inputs_that_are_called_like_its_own_arguments() -> None:
    features = 'features: {target: "float32[B, 4]", model: "float32[B, 4]", label: "int64[B]"}, classes: {label: 3}, targets: [label]'
    text = (
        'specbuilder: 1\nname: n\nmodel:\n  inputs: {target: "float32[B, 4]", model: "float32[B, 4]"}\n'
        f"  nodes: [{{add: , from: [model, target]}}, linear: 3]\ndata: {{synthetic: {{{features}}}, batch_size: 2}}\n"
        "train: {steps: 1, loss: cross_entropy, optimizer: sgd}\n"
    )
    spec = parse(text)
    assert spec.plan is not None
    objective = load_source(emit_objective(spec.plan, spec.graph, "0"), "objective").objective
    model, (a, b), label = spec.build(), torch.randn(2, 2, 4), torch.tensor([0, 2])
    loss, output = objective(model, a, b, label)
    assert torch.equal(output, model(a, b))
    assert torch.equal(loss, torch.nn.functional.cross_entropy(output, label))


def globals_of(source: str) -> Iterator[str]:
    """What the functions of a file read from around them, but for names in capitals."""

    def walk(table: symtable.SymbolTable) -> Iterator[str]:
        if table.get_type() == "function":
            yield from (each.get_name() for each in table.get_symbols() if each.is_global() and each.is_referenced())
        for child in table.get_children():
            yield from walk(child)

    return (name for name in walk(symtable.symtable(source, "model.py", "exec")) if name == name.lower())


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_nothing_else_is_read_by_forward(path: Path) -> None:
    """So that what is refused as the name of an input is all that an input could hide. Builtins stand in the constructor only."""
    source = load(path).source
    network = [each for each in ast.parse(source).body if isinstance(each, ast.ClassDef)][-1]
    (forward,) = (each for each in network.body if isinstance(each, ast.FunctionDef) and each.name == "forward")
    assert set(globals_of(ast.unparse(forward))) <= READ_BY_FORWARD


OWN = """\
from specbuilder.kinds import Function, TensorType, function


def halved(x):
    return x * FACTOR


FACTOR = 0.5


@function("half")
class Half(Function):
    \"\"\"Half of it.\"\"\"

    function = halved
    takes = "[...]"

    def infer(self, x: TensorType) -> TensorType:
        return x
"""


def test_input_called_like_pasted_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    text = "specbuilder: 1\nname: n\nmodel:\n  inputs: {halved: 'float32[B, 4]'}\n  nodes: [relu, half]\n"
    try:
        with pytest.raises(SpecError) as raised:
            parse(text, kinds=[tmp_path / "own.py"])
        assert "def forward(self, halves: Tensor)" in parse(text.replace("halved", "halves")).source
        assert "def forward(self, halved: Tensor)" in parse(text.replace(", half]", "]")).source, "where nothing is pasted, nothing is hidden"
    finally:
        for module in [name for name in sys.modules if name.startswith("own_kinds_")]:
            forget(module)
            del sys.modules[module]
    (found,) = raised.value.diagnostics
    assert (found.code, found.span and found.span.text) == ("SB0302", "halved")
    assert (
        found.message == "`halved` cannot be the name of an input: `half` brings something of that name into the emitted file, and `forward` reads it"
    )
    assert found.help == "choose another, such as `halved_1`; an input is an argument of `forward` by its own name"
