"""From a list of nodes to a typed graph: names, wiring, copies, types and outputs, each row a small spec by hand."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

import pytest

from specbuilder.api import Spec, parse
from specbuilder.graph.graph import Value

VEC = "x: float32[B, 4]"
TWO = "a: float32[B, 4]\nb: float32[B, 4]"
IMAGE = "image: float32[B, 3, H, W]"


def spec_of(nodes: str, inputs: str = VEC, top: str = "", outputs: str = "") -> Spec:
    lines = ["specbuilder: 1", "name: small", *([top] if top else []), "model:", "  inputs:", textwrap.indent(inputs, "    ")]
    lines += ["  nodes:", textwrap.indent(textwrap.dedent(nodes).strip("\n"), "    "), *([f"  outputs: {outputs}"] if outputs else [])]
    return parse("\n".join(lines) + "\n")


def reads(spec: Spec) -> list[str]:
    """Each node as `name <- what it reads`; a list in brackets."""

    def one(arrival: object) -> str:
        if isinstance(arrival, Value):
            return arrival.name
        return f"[{', '.join(map(one, arrival))}]" if isinstance(arrival, tuple) else "-"

    return [f"{node.name} <- {', '.join(map(one, node.inputs))}" for node in spec.graph.nodes]


class Row(NamedTuple):
    name: str
    nodes: str
    reads: list[str]
    outputs: dict[str, str]
    inputs: str = VEC
    top: str = ""
    written_outputs: str = ""


ROWS = [
    Row("each reads the one before", "- relu\n- linear: 8", ["relu <- x", "linear <- relu"], {"output": "float32[B, 8]"}),
    Row("a named last node names the output", "- linear: 8\n  name: head", ["head <- x"], {"head": "float32[B, 8]"}),
    Row(
        "unnamed nodes of one kind are counted in their list",
        "- relu\n- linear: 8\n- relu\n- relu",
        ["relu <- x", "linear <- relu", "relu_2 <- linear", "relu_3 <- relu_2"],
        {"output": "float32[B, 8]"},
    ),
    Row(
        "a named one does not count",
        "- relu:\n  name: act\n- relu\n- relu",
        ["act <- x", "relu <- act", "relu_2 <- relu"],
        {"output": "float32[B, 4]"},
    ),
    Row(
        "a lone unnamed node may be read by its kind",
        "- linear: 4\n- relu\n- add:\n  from: [linear, prev]",
        ["linear <- x", "relu <- linear", "add <- [linear, relu]"],
        {"output": "float32[B, 4]"},
    ),
    Row("prev of the first node is the input", "- add:\n  from: [prev, x]", ["add <- [x, x]"], {"output": "float32[B, 4]"}),
    Row(
        "input is what entered the list",
        "- linear: 4\n- add:\n  from: [prev, input]",
        ["linear <- x", "add <- [linear, x]"],
        {"output": "float32[B, 4]"},
    ),
    Row(
        "ports by name, in any order",
        "- matmul:\n  from: {other: b, input: a}",
        ["matmul <- a, b"],
        {"output": "float32[B, 4, 4]"},
        inputs="a: float32[B, 4, 4]\nb: float32[B, 4, 4]",
    ),
    Row("two inputs in order", "- concat: 1\n  from: [b, a]", ["concat <- [b, a]"], {"output": "float32[B, 8]"}, inputs=TWO),
    Row(
        "repeat carries the output, the name means the last copy",
        "- linear: 4\n  name: layer\n  repeat: 3\n- add:\n  from: [layer, layer.0, layer.-2]",
        ["layer.0 <- x", "layer.1 <- layer.0", "layer.2 <- layer.1", "add <- [layer.2, layer.0, layer.1]"],
        {"output": "float32[B, 4]"},
    ),
    Row(
        "repeat carries the first input only; the others are read as written",
        "- linear: 4\n  name: skip\n- add:\n  from: [prev, skip]\n  repeat: 2",
        ["skip <- x", "add.0 <- [skip, skip]", "add.1 <- [add.0, skip]"],
        {"output": "float32[B, 4]"},
    ),
    Row(
        "prev is the node before in the text, never the copy before",
        "- linear: 4\n- add:\n  from: [x, prev]\n  repeat: 2",
        ["linear <- x", "add.0 <- [x, linear]", "add.1 <- [add.0, linear]"],
        {"output": "float32[B, 4]"},
    ),
    Row("a lone copy has its number too", "- linear: 4\n  name: layer\n  repeat: 1", ["layer.0 <- x"], {"layer": "float32[B, 4]"}),
    Row(
        "columns",
        "- linear: $width\n  repeat: {width: [8, 16]}",
        ["linear.0 <- x", "linear.1 <- linear.0"],
        {"output": "float32[B, 16]"},
    ),
    Row(
        "i is the position, columns shadow variables, the column itself is read outside",
        "- linear: $(width + i)\n  repeat: {width: $widths}",
        ["linear.0 <- x", "linear.1 <- linear.0"],
        {"output": "float32[B, 17]"},
        top="vars: {width: 1000, widths: [8, 16]}",
    ),
    Row(
        "a name with an index is each copy's own",
        "- linear: 4\n  name: layer$(i + 1)\n  repeat: 2\n- add:\n  from: [layer1, layer2]",
        ["layer1 <- x", "layer2 <- layer1", "add <- [layer1, layer2]"],
        {"output": "float32[B, 4]"},
    ),
    Row(
        "all copies where a list is taken",
        "- linear: 4\n  name: layer\n  repeat: 3\n- concat: 1\n  from: layer.*",
        ["layer.0 <- x", "layer.1 <- layer.0", "layer.2 <- layer.1", "concat <- [layer.0, layer.1, layer.2]"],
        {"output": "float32[B, 12]"},
    ),
    Row(
        "an absent node is its first input, by name and as prev",
        "- linear: 8\n- relu:\n  name: act\n  when: false\n- add:\n  from: [act, prev]",
        ["linear <- x", "add <- [linear, linear]"],
        {"output": "float32[B, 8]"},
    ),
    Row(
        "fields of an absent node are not evaluated, its number is taken",
        "- linear: $(1 // 0)\n  when: false\n- linear: 8",
        ["linear_2 <- x"],
        {"output": "float32[B, 8]"},
    ),
    Row(
        "when per copy",
        "- linear: $w\n  name: layer\n  when: $(w > 4)\n  repeat: {w: [8, 2, 16]}",
        ["layer.0 <- x", "layer.2 <- layer.0"],
        {"layer": "float32[B, 16]"},
    ),
    Row(
        "an exclusive pair shares a name, here the first is there",
        "- linear: 4\n  name: act\n  when: $smooth\n- relu:\n  name: act\n  when: $(not smooth)\n- add:\n  from: [act, x]",
        ["act <- x", "add <- [act, x]"],
        {"output": "float32[B, 4]"},
        top="vars: {smooth: true}",
    ),
    Row(
        "an exclusive pair shares a name, here the second is there",
        "- linear: 4\n  name: act\n  when: $smooth\n- relu:\n  name: act\n  when: $(not smooth)\n- add:\n  from: [act, x]",
        ["act <- x", "add <- [act, x]"],
        {"output": "float32[B, 4]"},
        top="vars: {smooth: false}",
    ),
    Row(
        "a kind out of a variable, with fields",
        "- $unit: {out_features: 8}\n- $act",
        ["linear <- x", "relu <- linear"],
        {"output": "float32[B, 8]"},
        top="vars: {unit: linear, act: relu}",
    ),
    Row("a kind out of a variable, with its primary field", "- $unit: 8", ["linear <- x"], {"output": "float32[B, 8]"}, top="vars: {unit: linear}"),
    Row(
        "outputs as a list are called by their reference",
        "- linear: 8\n  name: left\n- linear: 2\n  name: right\n  from: x",
        ["left <- x", "right <- x"],
        {"right": "float32[B, 2]", "left": "float32[B, 8]"},
        written_outputs="[right, left]",
    ),
    Row(
        "outputs by name",
        "- linear: 8\n  name: left\n- linear: 2\n  name: right\n  from: x",
        ["left <- x", "right <- x"],
        {"scores": "float32[B, 2]", "features": "float32[B, 8]"},
        written_outputs="{scores: right, features: left}",
    ),
    Row(
        "an output of a copy",
        "- linear: 8\n  name: layer\n  repeat: 2",
        ["layer.0 <- x", "layer.1 <- layer.0"],
        {"layer_0": "float32[B, 8]", "layer": "float32[B, 8]"},
        written_outputs="[layer.0, layer]",
    ),
    Row("a type with an expression", "- relu", ["relu <- x"], {"output": "float32[B, 12]"}, inputs="x: float32[B, $(3 * n)]", top="vars: {n: 4}"),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_spec_becomes_graph(row: Row) -> None:
    spec = spec_of(row.nodes, row.inputs, row.top, row.written_outputs)
    assert reads(spec) == row.reads
    assert {name: str(type) for name, type in spec.graph.output_types.items()} == row.outputs
    assert list(spec.graph.outputs) == list(row.outputs), "in the order of the text"


def test_equal_copies_own_their_weights() -> None:
    assert spec_of("- linear: 4\n  repeat: 3").report.parameters == 3 * (4 * 4 + 4)


@pytest.mark.parametrize(
    ("nodes", "inputs", "requirements", "output"),
    [
        ("- conv2d: {out_channels: 8, kernel_size: 3}", IMAGE, ["H >= 3", "W >= 3"], "float32[B, 8, H - 2, W - 2]"),
        ("- max_pool2d: 2\n  repeat: 3", IMAGE, ["H >= 8", "W >= 8"], "float32[B, 3, H//8, W//8]"),
        ("- conv2d: {out_channels: 8, kernel_size: 3, padding: 1}", IMAGE, [], "float32[B, 8, H, W]"),
        ("- max_pool2d: 2\n- conv2d: {out_channels: 1, kernel_size: 3}", IMAGE, ["H >= 6", "W >= 6"], None),
        ("- adaptive_avg_pool2d: 1\n- flatten\n- linear: 10", IMAGE, [], "float32[B, 10]"),
        ("- reshape: [$B, -1, 2]\n- reshape: {shape: [$(2 * B), 2]}", VEC, [], "float32[2*B, 2]"),
        ("- reshape: [$B, $(3 * H), $W]", IMAGE, [], "float32[B, 3*H, W]"),
    ],
)
def test_symbolic_sizes_give_requirements(nodes: str, inputs: str, requirements: list[str], output: str | None) -> None:
    spec = spec_of(nodes, inputs)
    assert [str(requirement) for requirement in spec.graph.requirements] == requirements
    if output is not None:
        assert str(spec.graph.output_types["output"]) == output


@pytest.mark.parametrize(
    ("nodes", "inputs", "top", "warnings"),
    [
        ("- relu:\n  from: a", TWO, "", [("SB0307", "nothing reads the input `b`", 6)]),
        ("- linear: 4\n- relu:\n  from: x", VEC, "", [("SB0307", "nothing reads `linear`, and it is no output", 7)]),
        ("- relu", VEC, "vars: {unused: 3}", [("SB0306", "the variable `unused` is never used", 3)]),
        ("- relu", VEC, "", []),
        ("- linear: 4\n  repeat: $n", VEC, "vars: {n: 2}", []),
        ("- linear: 4\n  name: layer\n  repeat: 3\n- add:\n  from: [layer.0, layer]", VEC, "", []),
    ],
)
def test_what_nothing_reads_is_a_warning(nodes: str, inputs: str, top: str, warnings: list[tuple[str, str, int]]) -> None:
    spec = spec_of(nodes, inputs, top)
    assert [(found.code, found.message, found.span.line if found.span else 0) for found in spec.warnings] == warnings
    assert all(found.severity == "warning" for found in spec.warnings)


def test_chain_of_shapes_folds_its_middle() -> None:
    from specbuilder.diagnostics import SpecError

    nodes = "".join(f"- linear: {width}\n" for width in range(10, 20)) + "- conv2d: {out_channels: 1, kernel_size: 3}"
    with pytest.raises(SpecError) as raised:
        spec_of(nodes)
    assert raised.value.diagnostics[0].chain == (
        "x [B, 4] l.5",
        "...",
        "linear_7 [B, 16] l.13",
        "linear_8 [B, 17] l.14",
        "linear_9 [B, 18] l.15",
        "linear_10 [B, 19] l.16",
    )
