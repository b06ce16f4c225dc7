"""What the emitter makes of single graphs: tensors that the model holds, shared and tied weights, sizes and devices, names, nesting."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from specbuilder.catalogue.contract import DEVICE, ITSELF, TRAINING, Attribute, Index, Infix, Input, Module, call
from specbuilder.catalogue.functions.activations import Relu
from specbuilder.emit.load import build
from specbuilder.emit.model import emit_model
from specbuilder.graph.graph import Part, Tie, TypedGraph, Value
from specbuilder.shapes import symbol
from tests.emit.built import graph, linear, node, part, value
from tests.emit.interpreter import run

SIZES = {"B": 2, "T": 3}


def source(built: TypedGraph) -> str:
    return emit_model(built, "built.yaml", "X.Y.Z").text


def body(built: TypedGraph) -> list[str]:
    """The lines of the classes, without head, imports and docstrings."""
    lines = source(built).split("\n")
    first = next(at for at, line in enumerate(lines) if line.startswith("class "))
    return [line for line in lines[first:] if line and '"""' not in line and "super()" not in line]


def check(built: TypedGraph) -> nn.Module:
    model = build(emit_model(built, "built.yaml", "X.Y.Z"), seed=0).eval()
    for name, tensor in model.state_dict().items():
        torch.nn.init.normal_(tensor, std=0.5) if tensor.is_floating_point() else None
        assert name
    inputs = {str(each.path[0]): torch.randn([SIZES.get(str(dim), dim) for dim in each.type.shape]) for each in built.inputs if each.type}  # type: ignore[arg-type]
    with torch.no_grad():
        given, expected = model(**inputs), run(built, model.state_dict(), inputs, SIZES)
    given = given if isinstance(given, dict) else {next(iter(expected)): given}
    for name, tensor in expected.items():
        torch.testing.assert_close(given[name], tensor)
    return model


X = value("x")


def add(path: str, *terms: Value, **more: Any) -> Any:
    return node(path, Infix("+", tuple(Input(0, at) for at in range(len(terms)))), tuple(terms), **more)


def relu(path: str, x: Value, **more: Any) -> Any:
    return node(path, call("F.relu", Input()), x, **more)


def test_parameters_and_buffers_stand_in_the_containers_of_their_paths() -> None:
    scale = node("block.scale", Attribute(call("torch.empty", 4)), parameters={"": (4,)})
    table = node("block.table", Attribute(call("torch.ones", 4), is_buffer=True))
    tables = [node(f"tables.{at}", Attribute(call("torch.full", (4,), float(at)), is_buffer=True)) for at in range(2)]
    scales = [node(f"scales.{at}", Attribute(call("torch.full", (4,), float(at))), parameters={"": (4,)}) for at in range(2)]
    total = add("sum", X, *[each.outputs[0] for each in (scale, table, *tables, *scales)])
    built = graph((X,), {"sum": total.outputs[0]}, scale, table, *tables, *scales, total, inits={"block.scale": call("nn.init.ones_", Input())})
    assert body(built) == [
        "class Built(nn.Module):",
        "    def __init__(self) -> None:",
        "        self.block = nn.Module()",
        "        self.block.scale = nn.Parameter(torch.empty(4))",
        "        nn.init.ones_(self.block.scale)",
        '        self.block.register_buffer("table", torch.ones(4))',
        "        self.tables = nn.Module()",
        '        self.tables.register_buffer("0", torch.full((4,), 0.0))',
        '        self.tables.register_buffer("1", torch.full((4,), 1.0))',
        "        self.scales = nn.ParameterList([",
        "            nn.Parameter(torch.full((4,), 0.0)),",
        "            nn.Parameter(torch.full((4,), 1.0)),",
        "        ])",
        "    def forward(self, x: Tensor) -> Tensor:",
        "        # x: float32[B, 4]",
        "        # float32[B, 4]",
        '        x = x + self.block.scale + self.block.table + getattr(self.tables, "0") + getattr(self.tables, "1") + self.scales[0] + self.scales[1]',
        "        return x",
    ]
    model = check(built)
    assert list(dict(model.named_buffers())) == ["block.table", "tables.0", "tables.1"]


def test_a_module_is_called_as_its_kind_says_and_helpers_are_pasted_in_once() -> None:
    class Twice(Relu):
        helpers = ("def twice(x: Tensor) -> Tensor:\n    return 2 * x\n",)

    first = node("lstm", Module(call("nn.GRU", 4, 4), Index(call(ITSELF, Input()), (0,))), X, parameters={})
    second = node("twice", call("twice", Input()), first.outputs[0], kind=Twice())
    third = node("twice_2", Infix("*", (call("twice", Input()), TRAINING)), second.outputs[0], kind=Twice())
    text = source(graph((X,), {"out": third.outputs[0]}, first, second, third))
    assert text.count("def twice(x: Tensor)") == 1
    assert "x = self.lstm(x)[0]  # float32[B, 4]\n        x = twice(x)  # float32[B, 4]\n        x = twice(x) * self.training" in text


def test_a_class_without_tensors_is_told_sizes_and_device() -> None:
    made = node("clock.0.arange", call("torch.ones", symbol("B"), 4, device=DEVICE))
    again = node("clock.1.arange", call("torch.ones", symbol("B"), 4, device=DEVICE))
    parts = [part(f"clock.{at}", "clock", 3, {}, {"": each.outputs[0]}, each, is_copy=True) for at, each in enumerate((made, again))]
    total = add("sum", X, made.outputs[0], again.outputs[0])
    built = graph((X,), {"sum": total.outputs[0]}, *parts, total)
    assert "def forward(self, B: int, device: torch.device) -> Tensor:\n        x = torch.ones(B, 4, device=device)" in source(built)
    assert "h = self.clock[0](B, x.device)" in source(built)
    check(built)


def test_a_loop_does_not_write_over_what_its_lines_read_beside_the_copy_before() -> None:
    """`h` is read by every copy, and by nothing after them."""
    side = relu("relu", X)
    before, copies = X, []
    for at in range(3):
        inner = add(f"step.{at}.add", before, side.outputs[0])
        held = linear(f"step.{at}.linear", inner.outputs[0])
        copies.append(part(f"step.{at}", "step", 5, {"a": before, "b": side.outputs[0]}, {"": held.outputs[0]}, inner, held, is_copy=True))
        before = held.outputs[0]
    built = graph((X,), {"out": before}, side, *copies)
    assert "h = F.relu(x)  # float32[B, 4]\n        for step in self.step:\n            x = step(x, h)" in source(built)
    check(built)


def test_weights_are_shared_with_a_node_outside_the_part() -> None:
    """No class can reach them, so these copies are written inline."""
    first = linear("first", X)
    copies, before = [], first.outputs[0]
    for at in range(2):
        own = linear(f"h.{at}.own", before)
        again = linear("first", own.outputs[0], shares=first)
        copies.append(part(f"h.{at}", None, 7, {"input": before}, {"": again.outputs[0]}, own, again, is_copy=True))
        before = again.outputs[0]
    built = graph((X,), {"out": before}, first, *copies)
    assert body(built) == [
        "class Built(nn.Module):",
        "    def __init__(self) -> None:",
        "        self.first = nn.Linear(4, 4)",
        "        self.h = nn.ModuleList(nn.Module() for _ in range(2))",
        "        for each in self.h:",
        "            each.own = nn.Linear(4, 4)",
        "    def forward(self, x: Tensor) -> Tensor:",
        "        # x: float32[B, 4]",
        "        x = self.first(x)  # float32[B, 4]",
        "        x = self.h[0].own(x)  # float32[B, 4]",
        "        x = self.first(x)  # float32[B, 4]",
        "        x = self.h[1].own(x)  # float32[B, 4]",
        "        x = self.first(x)  # float32[B, 4]",
        "        return x",
    ]
    assert len(check(built).state_dict()) == 6


def test_a_part_that_uses_weights_in_another_way_is_written_inline() -> None:
    held = linear("tower.linear", X)
    first = part("tower", "tower", 4, {"x": X}, {"": held.outputs[0]}, held)
    activated = relu("tower.relu", held.outputs[0])
    again = linear("tower.linear", activated.outputs[0], shares=held)
    second = part("tower", "tower", 4, {"x": held.outputs[0]}, {"": again.outputs[0]}, activated, again, shares=first)
    built = graph((X,), {"out": again.outputs[0]}, first, second)
    assert "x = self.tower(x)  # float32[B, 4]\n        x = F.relu(x)  # float32[B, 4]\n        x = self.tower.linear(x)" in source(built)
    check(built)


def test_a_node_calls_what_a_part_holds() -> None:
    held = linear("tower.linear", X)
    again = linear("tower.linear", held.outputs[0], shares=held)
    built = graph((X,), {"out": again.outputs[0]}, part("tower", "tower", 4, {"x": X}, {"": held.outputs[0]}, held), again)
    assert source(built).count("nn.Linear(") == 1
    assert "x = self.tower(x)  # float32[B, 4]\n        x = self.tower.linear(x)" in source(built)
    check(built)


def test_ties_within_a_copy_and_across_copies() -> None:
    copies, before, firsts = [], X, []
    for at in range(2):
        a = linear(f"h.{at}.a", before)
        ties = {"weight": Tie(a, "weight")} | ({"bias": Tie(firsts[0], "bias")} if at else {})
        b = linear(f"h.{at}.b", a.outputs[0], ties=ties)
        firsts.append(a)
        copies.append(part(f"h.{at}", "pair", 8, {"x": before}, {"": b.outputs[0]}, a, b, is_copy=True))
        before = b.outputs[0]
    built = graph((X,), {"out": before}, *copies)
    assert "        self.b = nn.Linear(4, 4)\n        self.b.weight = self.a.weight\n" in source(built)
    assert "        self.h[1].b.bias = self.h[0].a.bias\n" in source(built)
    model = check(built)
    assert sum(parameter.numel() for parameter in model.parameters()) == 2 * (16 + 4) + 4


def test_names_that_python_or_the_file_needs_are_left_alone() -> None:
    a, b = value("filter"), value("x")
    first = relu("torch", a, named=True)
    second = relu("relu", b)
    total = add("sum", first.outputs[0], second.outputs[0], b, named=True)
    built = graph((a, b), {"sum": total.outputs[0]}, first, second, total)
    assert body(built) == [
        "class Built(nn.Module):",
        "    def forward(self, filter: Tensor, x: Tensor) -> Tensor:",
        "        # filter: float32[B, 4]",
        "        # x: float32[B, 4]",
        "        torch_ = F.relu(filter)  # float32[B, 4]",
        "        h = F.relu(x)  # float32[B, 4]",
        "        sum_ = torch_ + h + x  # float32[B, 4]",
        "        return sum_",
    ]
    check(built)


@pytest.mark.parametrize("depth", [39, 60, 300])
def test_deep_nesting_is_flattened_where_the_stack_would_suffer(depth: int) -> None:
    steps = [".".join(["part"] * level) for level in range(1, depth + 1)]
    held = linear(f"{steps[-1]}.linear", X)
    inner: Part | Any = held
    for path in reversed(steps):
        inner = part(path, "part", 2, {"x": X}, {"": held.outputs[0]}, inner)
    built = graph((X,), {"out": held.outputs[0]}, inner)
    model = check(built)
    assert list(model.state_dict()) == [f"{steps[-1]}.linear.weight", f"{steps[-1]}.linear.bias"]
    assert source(built).count("class Part") == min(depth, 40)


def test_a_flat_network_of_ten_thousand_nodes_is_one_line_each() -> None:
    nodes, before = [], X
    for at in range(5000):
        nodes += [held := linear(f"linear_{at}", before), activated := relu(f"relu_{at}", held.outputs[0])]
        before = activated.outputs[0]
    text = source(graph((X,), {"out": before}, *nodes))
    assert len(text.splitlines()) == 5000 + 10_000 + 15
