"""What nothing uses is a warning at its place in the text: variables, blocks, inputs and nodes, also within blocks, lists and branches.

In a text, `@` stands in front of each place that is warned of, in the order of the messages.
"""

from __future__ import annotations

import pytest

from specbuilder.api import parse
from specbuilder.diagnostics import SpecError

HEAD = "specbuilder: 1\nname: n\n"
MODEL = "model:\n  inputs: {x: 'float32[B, 8]'}\n  nodes:\n"
TWO = "model:\n  inputs: {x: 'float32[B, 8]', @y: 'float32[B, 8]'}\n  nodes:\n"

NAMES: dict[str, tuple[str, list[str]]] = {
    "a variable": ("vars: {@w: 3}\n" + MODEL + "    - relu\n", ["the variable `w` is never used"]),
    "a variable called like a kind": ("vars: {@relu: 3}\n" + MODEL + "    - relu\n", ["the variable `relu` is never used"]),
    "a variable that an alias repeats": ("vars: {w: &w 64}\n" + MODEL + "    - linear: *w\n", []),
    "a variable of which an alias repeats a part": ("vars: {ws: [&w 64, 32]}\n" + MODEL + "    - linear: *w\n", []),
    "an expression that an alias repeats": ("vars: {v: 3, w: &w $(v * 2)}\n" + MODEL + "    - linear: *w\n", []),
    "an alias that is not used either": (
        "vars: {@w: &w 64, @v: *w}\n" + MODEL + "    - relu\n",
        ["the variable `w` is never used", "the variable `v` is never used"],
    ),
    "a block that an alias repeats": ("blocks:\n  a: &a\n    nodes: [relu]\n  b: *a\n" + MODEL + "    - b\n", []),
    "a variable of another unused one": ("vars: {a: 3, @b: $a}\n" + MODEL + "    - relu\n", ["the variable `b` is never used"]),
    "a variable of an unused block": (
        "vars: {a: 3}\nblocks: {@bl: {nodes: [linear: $a]}}\n" + MODEL + "    - relu\n",
        ["the block `bl` is never used"],
    ),
    "a variable of a fact alone": ("vars: {most: 9}\n" + MODEL.replace("inputs:", "where: [B <= most]\n  inputs:") + "    - relu\n", []),
    "a variable of a variant alone": ("vars: {a: 1, b: 2}\nvariants: {v: {a: $b}}\n" + MODEL + "    - linear: $a\n", []),
    "a variable that a variant sets": ("vars: {@a: 1}\nvariants: {v: {a: 2}}\n" + MODEL + "    - relu\n", ["the variable `a` is never used"]),
    "a variable of an absent node": ("vars: {on: false, w: 3}\n" + MODEL + "    - relu\n    - linear: $w\n      when: $on\n", []),
    "a block": ("blocks: {@bl: {nodes: [relu]}}\n" + MODEL + "    - relu\n", ["the block `bl` is never used"]),
    "a block of a variable": ("vars: {unit: bl}\nblocks: {bl: {nodes: [relu]}}\n" + MODEL + "    - $unit\n", []),
    "a block that uses itself": (
        "blocks: {@bl: {params: {d: int}, nodes: [{bl: $(d - 1), when: $(d > 0)}]}}\n" + MODEL + "    - relu\n",
        ["the block `bl` is never used"],
    ),
    "a block of an unused block": ("blocks: {@a: {nodes: [b]}, b: {nodes: [relu]}}\n" + MODEL + "    - relu\n", ["the block `a` is never used"]),
    "two blocks that use each other": (
        "blocks: {@a: {nodes: [b]}, @b: {nodes: [{a: , when: false}]}}\n" + MODEL + "    - relu\n",
        ["the block `a` is never used", "the block `b` is never used"],
    ),
}

INPUTS: dict[str, tuple[str, list[str]]] = {
    "of the model": (TWO + "    - relu:\n      from: x\n", ["nothing reads the input `y`"]),
    "of the model, for its size": (TWO.replace("@", "").replace("8]'}", "T]'}") + "    - compute: x * $T\n", []),
    "of the model, for a size that others have": (TWO + "    - compute: x * $B\n", ["nothing reads the input `y`"]),
    "of the model, absent": (TWO.replace("@y: 'float32[B, 8]'", "y: {type: 'float32[B, 8]', when: false}") + "    - relu:\n      from: x\n", []),
    "of a block": (
        "blocks: {bl: {inputs: [a, @b], nodes: [{relu: , from: a}]}}\n" + MODEL + "    - linear: 8\n    - bl:\n      from: [x, prev]\n",
        ["nothing reads the input `b`"],
    ),
    "of a block, for its size": (
        "blocks: {bl: {inputs: {a: any, b: '[B, E]'}, nodes: [{linear: $E, from: a}]}}\n"
        + MODEL
        + "    - linear: 5\n    - bl:\n      from: [x, prev]\n",
        [],
    ),
    "of a block, for a size that others have": (
        "blocks: {bl: {inputs: {a: '[B, D]', @b: '[B, E]'}, nodes: [{linear: $D, from: a}]}}\n"
        + MODEL
        + "    - linear: 5\n    - bl:\n      from: [x, prev]\n",
        ["nothing reads the input `b`"],
    ),
    "of a block, which hands it on": (
        "blocks: {bl: {inputs: [a, b], nodes: [{relu: , from: a}], outputs: [prev, b]}}\n"
        + MODEL
        + "    - linear: 5\n    - bl:\n      from: [x, prev]\n",
        [],
    ),
    "of a block, read in one use of two": (
        "blocks: {bl: {params: {on: bool}, inputs: [a, b], nodes: [{add: , from: [a, b], when: $on}]}}\n"
        + MODEL
        + "    - linear: 8\n    - bl: true\n      from: [x, prev]\n    - bl: false\n      from: [prev, x]\n",
        [],
    ),
}

NODES: dict[str, tuple[str, list[str]]] = {
    "a node": (MODEL + "    - @linear: 3\n    - relu:\n      from: x\n", ["nothing reads `linear`, and it is no output"]),
    "a node with a name": (MODEL + "    - @linear: 3\n      name: a\n    - relu:\n      from: x\n", ["nothing reads `a`, and it is no output"]),
    "a repeated node": (MODEL + "    - @linear: 8\n      repeat: 3\n    - relu:\n      from: x\n", ["nothing reads `linear`, and it is no output"]),
    "a repeated node of which one copy is read": (
        MODEL + "    - @linear: 8\n      name: a\n      repeat: 3\n    - relu:\n      from: a.0\n",
        ["nothing reads `a`, and it is no output"],
    ),
    "copies side by side": (
        MODEL + "    - @linear: 8\n      name: a\n      each: 3\n    - relu:\n      from: x\n",
        ["nothing reads `a`, and it is no output"],
    ),
    "one copy of those side by side": (
        MODEL + "    - @linear: 8\n      name: a\n      each: 3\n    - add:\n      from: [a.0, a.2]\n",
        ["nothing reads `a.1`, and it is no output"],
    ),
    "a sequence": (MODEL + "    - @sequence: [{linear: 8}, relu]\n    - relu:\n      from: x\n", ["nothing reads `sequence`, and it is no output"]),
    "in a sequence": (
        MODEL + "    - sequence: [{@linear: 8, name: q}, {relu: , from: input}]\n      repeat: 3\n",
        ["nothing reads `q`, and it is no output"],
    ),
    "in a residual": (MODEL + "    - residual: [{@linear: 8, name: q}, {relu: , from: input}]\n", ["nothing reads `q`, and it is no output"]),
    "in a branch": (
        MODEL + "    - branches: {a: [{@linear: 8, name: q}, {relu: , from: input}], b: []}\n      merge: add\n",
        ["nothing reads `q`, and it is no output"],
    ),
    "a branch": (
        MODEL + "    - branches: {@a: [{linear: 8}], b: []}\n      name: br\n    - relu:\n      from: br.b\n",
        ["nothing reads the branch `br.a`, and it is no output"],
    ),
    "all branches": (
        MODEL + "    - @branches: {a: [{linear: 8}], b: [relu]}\n      name: br\n    - relu:\n      from: x\n",
        ["nothing reads `br`, and it is no output"],
    ),
    "in a block of two uses": (
        "blocks: {bl: {nodes: [{@linear: 8, name: q}, {relu: , from: input}]}}\n" + MODEL + "    - bl\n    - bl\n",
        ["nothing reads `q`, and it is no output"],
    ),
    "a sequence in a block": (
        "blocks: {bl: {nodes: [{@sequence: [{linear: 8}, relu], name: q}, {relu: , from: input}]}}\n" + MODEL + "    - bl\n    - bl\n",
        ["nothing reads `q`, and it is no output"],
    ),
    "in a block, read in one use of two": (
        "blocks: {bl: {params: {on: bool}, nodes: [{linear: 8, name: q}, {relu: , from: input}, {add: , from: [prev, q], when: $on}]}}\n"
        + MODEL
        + "    - bl: true\n    - bl: false\n",
        [],
    ),
    "a use of a block": (
        "blocks: {bl: {nodes: [relu]}}\n" + MODEL + "    - @bl\n    - relu:\n      from: x\n",
        ["nothing reads `bl`, and it is no output"],
    ),
    "a use of a block with named outputs": (
        "blocks: {bl: {nodes: [{linear: 8, name: q}, {linear: 8, name: r}], outputs: {a: q, b: r}}}\n"
        + MODEL
        + "    - @bl\n    - relu:\n      from: x\n",
        ["nothing reads `bl`, and it is no output"],
    ),
    "an output of a block": (
        "blocks: {bl: {nodes: [{linear: 8, name: q}, {linear: 8, name: r}], outputs: {a: q, b: r}}}\n" + MODEL + "    - bl\n    - relu\n",
        [],
    ),
    "a parameter": (MODEL + "    - @parameter: [3]\n      init: zeros\n      name: p\n    - relu\n", ["nothing reads `p`, and it is no output"]),
    "what an absent node stands for": (
        MODEL + "    - linear: 8\n      name: a\n    - relu:\n      when: false\n      name: b\n    - add:\n      from: [x, b]\n",
        [],
    ),
}


@pytest.mark.parametrize("name", [*NAMES, *INPUTS, *NODES])
def test_what_nothing_uses_is_told_where_it_stands(name: str) -> None:
    marked, messages = (NAMES | INPUTS | NODES)[name]
    *before, _ = (HEAD + marked).split("@")
    places = [sum(map(len, before[: number + 1])) for number in range(len(before))]
    warnings = parse((HEAD + marked).replace("@", "")).warnings
    assert [(found.message, found.span.start if found.span else -1) for found in warnings] == list(zip(messages, places, strict=True))
    assert {found.severity for found in warnings} <= {"warning"}


def test_after_a_mistake_nothing_is_called_unread() -> None:
    """The node that is wrong may have been meant to read it."""
    with pytest.raises(SpecError) as raised:
        parse(HEAD + TWO.replace("@", "") + "    - linear: 8\n      name: a\n    - relu:\n      from: x\n")
    assert [found.message for found in raised.value.diagnostics] == ["2 tensors enter this list, so the one to read must be named"]
