"""Blocks and lists within lists: what they read, what they are called, what they give. Each row is a small spec by hand."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

import pytest
import torch

from specbuilder.api import Spec, parse
from specbuilder.diagnostics import Diagnostics, Source, Span, SpecError
from specbuilder.graph.findings import Findings
from specbuilder.graph.graph import GraphNode, Item, Part
from tests.graph.test_expand import IMAGE, TWO, VEC, reads


def spec_of(blocks: str, nodes: str, inputs: str = VEC, top: str = "", outputs: str = "") -> Spec:
    def part(key: str, text: str, indent: str) -> list[str]:
        return [f"{key}:", textwrap.indent(textwrap.dedent(text).strip("\n"), indent)] if text else []

    lines = ["specbuilder: 1", "name: small", *([top] if top else []), *part("blocks", blocks, "  "), "model:"]
    lines += [*part("  inputs", inputs, "    "), *part("  nodes", nodes, "    "), *([f"  outputs: {outputs}"] if outputs else [])]
    return parse("\n".join(lines) + "\n")


def outline(items: tuple[Item, ...]) -> list[str]:
    """Parts with what is in them: `h.0(relu linear)`."""
    return [item.path[-1] if isinstance(item, GraphNode) else f"{item.name}({' '.join(map(str, outline(item.items)))})" for item in items]  # type: ignore[misc]


class Row(NamedTuple):
    name: str
    blocks: str
    nodes: str
    reads: list[str]
    outputs: dict[str, str] | None = None
    inputs: str = VEC
    top: str = ""
    written_outputs: str = ""


ROWS = [
    Row(
        "a block is used like a kind, its first param is the main one",
        "wide:\n  params: {out: int, act: bool = true}\n  nodes:\n    - linear: $out\n    - relu:\n      when: $act",
        "- wide: 8\n- wide: {out: 16, act: false}",
        ["wide.linear <- x", "wide.relu <- wide.linear", "wide_2.linear <- wide.relu"],
        {"output": "float32[B, 16]"},
    ),
    Row(
        "a block reads the sizes of what arrives",
        "grow:\n  inputs: {x: '[B, C]'}\n  let: {inner: $(2 * C)}\n  nodes:\n    - linear: $inner\n    - linear: $(inner + C)",
        "- grow",
        ["grow.linear <- x", "grow.linear_2 <- grow.linear"],
        {"output": "float32[B, 12]"},
    ),
    Row(
        "inputs in order, the first is what the first node reads",
        "mix:\n  inputs: [a, b]\n  nodes:\n    - linear: 4\n    - add:\n      from: [prev, b]",
        "- mix:\n  from: [b, a]",
        ["mix.linear <- b", "mix.add <- [mix.linear, a]"],
        inputs=TWO,
    ),
    Row(
        "inputs by name",
        "mix:\n  inputs: [a, b]\n  nodes:\n    - subtract:\n      from: [a, b]",
        "- mix:\n  from: {b: a, a: b}",
        ["mix.subtract <- b, a"],
        inputs=TWO,
    ),
    Row(
        "outputs by name; the first is the default",
        "two:\n  outputs: {high: top, low: linear}\n  nodes:\n    - linear: 4\n    - relu:\n      name: top",
        "- two:\n- add:\n  from: [two, two.low]",
        ["two.linear <- x", "two.top <- two.linear", "add <- [two.top, two.linear]"],
    ),
    Row(
        "an output may be a list, which is handed on as one thing, indexed and spread",
        "down:\n  outputs: {out: l, skips: [input, l.*]}\n  nodes:\n    - linear: 4\n      name: l\n      repeat: 2",
        "- down\n- concat: 1\n  from: down.skips\n- concat: 1\n  from: [down.skips.0, down.skips.-1]\n- concat: 1\n  from: [x, down.skips.*]",
        [
            "down.l.0 <- x",
            "down.l.1 <- down.l.0",
            "concat <- [x, down.l.0, down.l.1]",
            "concat_2 <- [x, down.l.1]",
            "concat_3 <- [x, x, down.l.0, down.l.1]",
        ],
    ),
    Row(
        "an input may be a list",
        "join:\n  inputs: [x, all]\n  nodes:\n    - concat: 1\n      from: [x, all.*]\n    - linear: 4\n    - add:\n      from: [prev, all.1]",
        "- linear: 4\n  name: l\n  repeat: 3\n- join:\n  from: {x: x, all: l.*}",
        ["l.0 <- x", "l.1 <- l.0", "l.2 <- l.1", "join.concat <- [x, l.0, l.1, l.2]", "join.linear <- join.concat", "join.add <- [join.linear, l.1]"],
    ),
    Row(
        "repeat carries the first input of a block, the others are read as written",
        "step:\n  inputs: [x, side]\n  nodes:\n    - linear: 4\n    - add:\n      from: [prev, side]",
        "- step:\n  from: [a, b]\n  repeat: 2",
        ["step.0.linear <- a", "step.0.add <- [step.0.linear, b]", "step.1.linear <- step.0.add", "step.1.add <- [step.1.linear, b]"],
        inputs=TWO,
    ),
    Row(
        "a block sees the variables of the file and not the columns around it",
        "inner:\n  params: {w: int}\n  nodes:\n    - linear: $(w + base)",
        "- inner: $w\n  repeat: {w: [8, 16]}",
        ["inner.0.linear <- x", "inner.1.linear <- inner.0.linear"],
        {"output": "float32[B, 116]"},
        top="vars: {base: 100}",
    ),
    Row(
        "params shadow variables, a default holds where nothing is given",
        "inner:\n  params: {w: int = 3}\n  nodes:\n    - linear: $w",
        "- inner\n- linear: $w",
        ["inner.linear <- x", "linear <- inner.linear"],
        {"output": "float32[B, 100]"},
        top="vars: {w: 100}",
    ),
    Row(
        "a block may use itself, as long as it ends",
        "deep:\n  params: {n: int}\n  nodes:\n    - linear: $(4 + n)\n    - deep: $(n - 1)\n      when: $(n > 0)",
        "- deep: 2",
        ["deep.linear <- x", "deep.deep.linear <- deep.linear", "deep.deep.deep.linear <- deep.deep.linear"],
        {"output": "float32[B, 4]"},
    ),
    Row(
        "a kind named by a param, with fields here and there",
        "act:\n  params: {unit: node}\n  nodes:\n    - $unit: {bias: false}\n    - relu",
        "- act: {unit: {linear: 8}}",
        ["act.linear <- x", "act.relu <- act.linear"],
        {"output": "float32[B, 8]"},
    ),
    Row(
        "what is handed in means what it meant where it was written",
        "act:\n  params: {unit: node}\n  let: {width: 1}\n  nodes:\n    - $unit",
        "- act: {unit: {linear: $width}}",
        ["act.linear <- x"],
        {"output": "float32[B, 6]"},
        top="vars: {width: 6}",
    ),
    Row(
        "a param of type node may have a default, and be handed on",
        "inner:\n  params: {unit: node = relu}\n  nodes:\n    - $unit\nouter:\n  params: {unit: node}\n  nodes:\n    - inner: {unit: $unit}\n    - inner",
        "- outer: sigmoid",
        ["outer.inner.sigmoid <- x", "outer.inner_2.relu <- outer.inner.sigmoid"],
    ),
    Row(
        "a list of nodes as a param",
        "wrap:\n  params: {body: nodes}\n  nodes:\n    - linear: 4\n    - $body\n    - linear: 4",
        "- wrap:\n    body: [relu, {linear: 8}]",
        ["wrap.linear <- x", "wrap.nodes.relu <- wrap.linear", "wrap.nodes.linear <- wrap.nodes.relu", "wrap.linear_2 <- wrap.nodes.linear"],
    ),
    Row(
        "sequence: a list in the place of a node, which sees the names around it and rebinds input",
        "",
        "- linear: 4\n  name: stem\n- sequence:\n    - relu\n    - add:\n      from: [prev, input, stem, x]\n  name: seq",
        ["stem <- x", "seq.relu <- stem", "seq.add <- [seq.relu, stem, stem, x]"],
    ),
    Row(
        "residual: the list plus its input",
        "",
        "- residual: [{linear: 8}, relu, {linear: 4}]",
        ["residual.linear <- x", "residual.relu <- residual.linear", "residual.linear_2 <- residual.relu", "residual <- [x, residual.linear_2]"],
        {"output": "float32[B, 4]"},
    ),
    Row(
        "branches all read what enters; an empty one is the identity",
        "",
        "- branches: {a: [{linear: 4}], b: []}\n  merge: add",
        ["branches.a.linear <- x", "branches <- [branches.a.linear, x]"],
    ),
    Row(
        "branches without merge have outputs by name",
        "",
        "- branches: {a: [{linear: 4}], b: [relu]}\n  name: br\n- add:\n  from: [br.b, br.a]",
        ["br.a.linear <- x", "br.b.relu <- x", "add <- [br.b.relu, br.a.linear]"],
    ),
    Row(
        "each: copies side by side; its name is the list",
        "",
        "- linear: $w\n  name: l\n  each: {w: [8, 16]}\n- concat: 1\n  from: l\n- add: 1\n  from: l.0",
        ["l.0 <- x", "l.1 <- x", "concat <- [l.0, l.1]", "add <- [l.0]"],
        {"output": "float32[B, 8]"},
    ),
    Row(
        "each with merge, and references as columns",
        "",
        "- linear: 4\n  from: $side\n  each: {side: [a, b]}\n  shared: true\n  merge: {concat: 1}",
        ["linear <- a", "linear <- b", "linear <- [linear, linear]"],
        {"output": "float32[B, 8]"},
        inputs=TWO,
    ),
    Row(
        "share calls an earlier node again",
        "",
        "- linear: 4\n  name: left\n  from: a\n- share: left\n  from: b\n- add:\n  from: [left, prev]",
        ["left <- a", "left <- b", "add <- [left, left]"],
        inputs=TWO,
    ),
    Row(
        "share of a block",
        "tower:\n  nodes:\n    - linear: 8\n    - relu",
        "- tower:\n  name: left\n  from: a\n- share: left\n  name: right\n  from: b\n- add:\n  from: [left, right]",
        ["left.linear <- a", "left.relu <- left.linear", "left.linear <- b", "left.relu <- left.linear", "add <- [left.relu, left.relu]"],
        inputs=TWO,
    ),
    Row(
        "a formula is one node, which names what it reads; absent it is what it names first",
        "",
        "- linear: 4\n  name: l\n- compute: 0.5 * x - l\n  name: c\n- compute: l * c\n  when: false\n- relu",
        ["l <- x", "c <- x, l", "relu <- l"],
    ),
    Row(
        "a repeated formula reads the copy before in the place of what it names first",
        "",
        "- linear: 4\n  name: l\n- compute: l * x + l\n  name: c\n  repeat: 2",
        ["l <- x", "c.0 <- l, x", "c.1 <- c.0, x"],
    ),
    Row(
        "an absent block is its first input",
        "b:\n  inputs: [x, y]\n  nodes:\n    - add:\n      from: [x, y]",
        "- linear: 4\n- b:\n  from: [x, prev]\n  when: false\n- relu",
        ["linear <- x", "relu <- x"],
    ),
    Row(
        "a block without nodes that are there is its input",
        "maybe:\n  params: {on: bool}\n  nodes:\n    - linear: 8\n      when: $on",
        "- maybe: false\n- relu",
        ["relu <- x"],
    ),
    Row(
        "the residual block of ResNet, whose shortcut depends on the width that arrives",
        "short:\n  params: {out: int}\n  inputs: {x: '[B, C]'}\n  nodes:\n    - linear: $out\n      when: $(C != out)\n"
        "basic:\n  params: {width: int}\n  nodes:\n    - linear: $width\n      name: body\n    - short: $width\n      from: input\n"
        "    - add:\n      from: [prev, body]",
        "- basic: 4\n- basic: 8",
        [
            "basic.body <- x",
            "basic.add <- [x, basic.body]",
            "basic_2.body <- basic.add",
            "basic_2.short.linear <- basic.add",
            "basic_2.add <- [basic_2.short.linear, basic_2.body]",
        ],
        {"output": "float32[B, 8]"},
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_list_becomes_graph(row: Row) -> None:
    spec = spec_of(row.blocks, row.nodes, row.inputs, row.top, row.written_outputs)
    assert reads(spec) == row.reads
    if row.outputs:
        assert {name: str(type) for name, type in spec.graph.output_types.items()} == row.outputs


def test_items_are_the_nodes_as_the_text_has_them() -> None:
    spec = spec_of(
        "unit:\n  nodes:\n    - linear: 4\n    - residual: [relu, {linear: 4}]",
        "- unit:\n  repeat: 2\n- sequence: [relu]\n- relu",
    )
    assert outline(spec.graph.items) == [
        "unit.0(linear unit.0.residual(relu linear) residual)",
        "unit.1(linear unit.1.residual(relu linear) residual)",
        "sequence(relu)",
        "relu",
    ]

    def flat(items: tuple[Item, ...]) -> list[GraphNode]:
        return [node for item in items for node in ([item] if isinstance(item, GraphNode) else flat(item.items))]

    assert flat(spec.graph.items) == list(spec.graph.nodes)


def test_part_says_what_it_was_given() -> None:
    spec = spec_of(
        "grow:\n  params: {by: int = 2}\n  inputs: {x: '[B, C]'}\n  let: {inner: $(by * C)}\n  nodes:\n    - linear: $inner", "- grow\n- grow: 3"
    )
    parts = [item for item in spec.graph.items if isinstance(item, Part)]
    assert [(part.block, {name: str(value) for name, value in part.arguments.items()}) for part in parts] == [
        ("grow", {"B": "B", "C": "4", "inner": "8", "by": "2"}),
        ("grow", {"B": "B", "C": "8", "inner": "24", "by": "3"}),
    ]
    assert [value.name for value in parts[1].inputs.values() if value is not None and not isinstance(value, tuple)] == ["grow.linear"]


def test_shared_weights_are_counted_once() -> None:
    spec = spec_of("", "- linear: 4\n  from: $side\n  each: {side: [a, b]}\n  shared: true\n  merge: {concat: 1}\n- linear: 8", inputs=TWO)
    assert [node.shares is not None for node in spec.graph.nodes] == [False, True, False, False]
    assert sum(parameter.shape[0] for node in spec.graph.nodes for parameter in node.owned.values()) == 4 + 4 + 8 + 8


def test_tie_is_the_other_nodes_tensor() -> None:
    spec = spec_of(
        "", "- linear: {out_features: 8, bias: false}\n  name: up\n- linear: {out_features: 4, bias: false}\n  name: down\n  tie: {weight: up.weight}"
    )
    tie = spec.graph.nodes[1].ties["weight"]
    assert (tie.node, tie.tensor, tie.is_transposed) == (spec.graph.nodes[0], "weight", True)
    assert not spec.graph.nodes[1].owned


CHAIN = """\
- linear: {out_features: 8, bias: false}
  name: a
- linear: 4
  name: b
  tie: {weight: a.weight}
- linear: 8
- linear: 4
  name: c
  tie: {weight: b.weight}
- linear: 8
- linear: 4
  name: d
  tie: {weight: c.weight}"""


def test_tie_to_a_tie_is_the_tensor_that_is_there() -> None:
    """`b` is the transpose of `a`, so no module holds it; `c` and `d` are `b`, one behind the other, and compute with that of `a` too."""
    spec = spec_of("", CHAIN)
    a, b, _, c, _, d = spec.graph.nodes
    assert [(node.ties["weight"].source.node, node.ties["weight"].source.is_transposed) for node in (b, c, d)] == [(a, True)] * 3
    assert spec.source.count(", self.a.weight.mT, self.") == 3
    model = spec.build()
    weight, x = model.get_parameter("a.weight"), torch.randn(3, 4)
    expected = x @ weight.T
    for name in ("b", "linear", "c", "linear_2", "d"):
        matrix = model.get_parameter(f"{name}.weight") if "linear" in name else weight.T
        expected = expected @ matrix.T + model.get_parameter(f"{name}.bias")
    assert torch.allclose(model(x), expected, atol=1e-5)
    assert sorted(name for name in model.state_dict() if name.endswith("weight")) == ["a.weight", "linear.weight", "linear_2.weight"]


def test_sizes_stay_symbolic_in_a_block() -> None:
    spec = spec_of(
        "cut:\n  inputs: {x: '[B, C, 2*h, W]'}\n  nodes:\n    - reshape: [$B, $C, $h, $(2 * W)]",
        "- cut",
        inputs="image: float32[B, 3, 16*s, W]",
    )
    assert {name: str(type) for name, type in spec.graph.output_types.items()} == {"output": "float32[B, 3, 8*s, 2*W]"}


@pytest.mark.parametrize(
    ("blocks", "nodes", "message"),
    [
        ("b:\n  nodes:\n    - linear: 4", "- b: {w: 3}", "`b` has no field `w`"),
        ("b:\n  params: {w: int}\n  nodes:\n    - linear: $w", "- b", "`b` needs `w`"),
        (
            "b:\n  params: {w: int}\n  nodes:\n    - linear: $w",
            "- b: wide",
            '`w` wants an integer or a size such as `$B`, but this is the text "wide"',
        ),
        ("b:\n  inputs: {x: '[B, C, H, W]'}\n  nodes:\n    - relu", "- b", "`b` wants [B, C, H, W] at `x`, but float32[B, 4] has 2 axes"),
        ("b:\n  inputs: {x: '[B, 5]'}\n  nodes:\n    - relu", "- b", "`b` wants size 5 on axis 1 of `x`, but [B, 4] has size 4"),
        ("b:\n  inputs: {x: 'int64[B, C]'}\n  nodes:\n    - relu", "- b", "`b` wants int64[B, C] at `x`, but float32[B, 4] arrives"),
        ("b:\n  nodes:\n    - b", "- b", "more than 64 blocks within one another"),
        ("", "- residual: [{linear: 8}]", "`residual` adds its input to what its list gives: equal shapes are wanted, found [B, 4] and [B, 8]"),
        ("", "- linear: 4\n- share: later\n- linear: 4\n  name: later", "`later` comes later; a node can read earlier nodes only"),
        ("", "- share: x", "`share` calls an earlier node again, but `x` is none"),
        (
            "",
            "- linear: 8\n  name: l\n- share: l",
            "`linear` shares the weights of an earlier use, but needs others: weight [8, 8], bias [8] here, weight [8, 4], bias [8] there",
        ),
        ("", "- linear: 4\n  tie: {weight: up.weight}", "no earlier node has a parameter `up.weight`"),
        ("", "- linear: 8\n  name: up\n- linear: 8\n  tie: {weight: up.weight}", "`weight` is [8, 8] and cannot be `up.weight`, which is [8, 4]"),
        ("", "- relu:\n  type: float32[B, 5]", "`type` says float32[B, 5], but `relu` gives float32[B, 4]"),
        ("", "- relu:\n  each: 2\n- relu", "`relu` reads one tensor, but a list of 2 arrives"),
        ("", "- branches: {a: [relu], b: []}\n  merge: subtract\n  name: s\n- add:\n  from: s.a", "`s` has no output `a`"),
    ],
)
def test_mistake_is_told(blocks: str, nodes: str, message: str) -> None:
    with pytest.raises(SpecError) as raised:
        spec_of(blocks, nodes)
    assert [found.message for found in raised.value.diagnostics if found.severity == "error" and found.message.startswith(message)], str(raised.value)


def test_mistake_in_a_block_shows_where_it_was_used() -> None:
    with pytest.raises(SpecError) as raised:
        spec_of("b:\n  params: {w: int}\n  nodes:\n    - linear: {out_features: $w, in_features: 5}", "- b: 8\n- b: 8", inputs=VEC)
    (found,) = [each for each in raised.value.diagnostics if each.severity == "error"]
    assert found.message == "`linear` wants 5 features per sample, but 4 arrive"
    assert [related.message for related in found.related] == ["in `b`, used here"]


def test_image_of_a_family() -> None:
    spec = spec_of(
        "conv:\n  params: {out: int, k: int = 3}\n  nodes:\n    - conv2d: {out_channels: $out, kernel_size: $k, padding: $(k // 2)}\n    - relu",
        "- sequence:\n    - conv: $(16 * 2 ** s)\n      repeat: $depth\n  name: layer$(s + 1)\n  repeat: {s: [0, 1], depth: [1, 2]}",
        inputs=IMAGE,
    )
    assert [node.name for node in spec.graph.nodes if node.parameters] == [
        "layer1.conv.0.conv2d",
        "layer2.conv.0.conv2d",
        "layer2.conv.1.conv2d",
    ]


@pytest.mark.parametrize("copies", [1, 2, 3])
@pytest.mark.parametrize(
    ("nodes", "gives"),
    [
        ("- linear: 4\n  each: $n\n  merge: add", ("float32[B, 4]", "float32[B, 4]", "float32[B, 4]")),
        ("- linear: 4\n  each: $n\n  merge: {concat: 1}", ("float32[B, 4]", "float32[B, 8]", "float32[B, 12]")),
        ("- linear: 4\n  each: $n\n  merge: {stack: 1}", ("float32[B, 1, 4]", "float32[B, 2, 4]", "float32[B, 3, 4]")),
        ("- linear: 4\n  repeat: $n\n  name: a\n- multiply:\n  from: a.*", ("float32[B, 4]", "float32[B, 4]", "float32[B, 4]")),
        ("- linear: 4\n  repeat: $n\n  name: a\n- concat: 1\n  from: {input: a.*}", ("float32[B, 4]", "float32[B, 8]", "float32[B, 12]")),
    ],
)
def test_a_list_may_hold_one(nodes: str, gives: tuple[str, ...], copies: int) -> None:
    """How many copies there are is a size of the family; one tensor where several are named is still a forgotten `from`."""
    spec = spec_of("", nodes, top=f"vars: {{n: {copies}}}")
    assert [str(type) for type in spec.graph.output_types.values()] == [gives[copies - 1]]
    x = torch.ones(2, 4)
    (type,) = spec.graph.output_types.values()
    assert list(spec.build()(x).shape) == [2, *type.shape[1:]]


def test_two_mistakes_of_one_place_in_one_copy_are_two() -> None:
    """What one copy tells twice of a place is told twice, and not folded into the first."""
    collected = Diagnostics()
    findings = Findings(collected)
    span = Span(Source("a.yaml", "- linear"), 2, 8)
    findings.begin()
    for number in range(2):
        if number:
            findings.next_copy()
        findings.warning("SB0422", "no rule was found for `a`", span)
        if not number:
            findings.warning("SB0422", "no rule was found for `b`", span)
    findings.end_copies()
    assert [found.message for found in collected] == ["no rule was found for `a`", "no rule was found for `b` (in copy 1 of 2)"]
