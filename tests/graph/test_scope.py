"""References: what a name means in a list of nodes, and what is said of one that means nothing."""

from __future__ import annotations

import pytest

from specbuilder.diagnostics import Source, Span
from specbuilder.graph.graph import Value
from specbuilder.graph.scope import Named, Produced, ReferenceProblem, Scope
from specbuilder.shapes import parse_type

HERE = Span(Source("a.yaml", "0123456789"), 0, 1)
TYPE = parse_type("float32[B, 4]")


def value(name: str, port: str = "") -> Value:
    return Value((name,), TYPE, port)


def scope() -> Scope:
    """An input `image`; a node `stem`, three copies of `block`, an `lstm` of two ports, two unnamed `relu`, a later `head`."""
    image = value("image")
    made = Scope(entry=(image,))
    made.named["image"] = Named((Produced({"": image}),), HERE)
    made.named["stem"] = Named((Produced({"": value("stem")}),), HERE)
    made.named["block"] = Named(tuple(Produced({"": value(f"block.{i}")}) for i in range(3)), HERE, is_repeated=True)
    made.named["lstm"] = Named((Produced({port: value("lstm", port) for port in ("output", "hidden")}),), HERE)
    made.named["relu"] = Named((Produced({"": value("relu")}),), HERE)
    made.named["relu_2"] = Named((Produced({"": value("relu_2")}),), HERE)
    made.counted.add("relu_2")
    made.unnamed = {"relu": 2}
    made.later = {"head": HERE}
    made.previous = made.named["relu_2"].copies[0]
    return made


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("image", ["image"]),
        ("stem", ["stem"]),
        ("prev", ["relu_2"]),
        ("input", ["image"]),
        ("block", ["block.2"]),
        ("block.0", ["block.0"]),
        ("block.-1", ["block.2"]),
        ("block.*", ["block.0", "block.1", "block.2"]),
        ("lstm", ["lstm.output"]),
        ("lstm.hidden", ["lstm.hidden"]),
        ("lstm.1", ["lstm.hidden"]),
        ("lstm.*", ["lstm.output", "lstm.hidden"]),
    ],
)
def test_reference_means(text: str, found: list[str]) -> None:
    assert [each.name for each in scope().resolve(text).values] == found


@pytest.mark.parametrize(
    ("text", "code", "message", "help"),
    [
        ("steem", "SB0301", "no node or input is called `steem`", "did you mean `stem`?"),
        ("zzz", "SB0301", "no node or input is called `zzz`", "the names here are `image`, `stem`, `block`, `lstm`"),
        ("hed", "SB0301", "no node or input is called `hed`", "did you mean `head`?"),
        ("head", "SB0301", "`head` comes later; a node can read earlier nodes only", "move it up, or read another node"),
        ("relu", "SB0305", "`relu` could be any of 2 nodes", "give the one that is meant a `name`"),
        ("relu_2", "SB0305", "`relu_2` is a number that changes with the nodes before it, so nothing may refer to it", "give the node a `name`"),
        ("block.3", "SB0303", "`block.3` asks for number 3, but there are 3 copies, numbered from 0", None),
        ("block.-4", "SB0303", "`block.-4` asks for number -4, but there are 3 copies, numbered from 0", None),
        ("stem.0", "SB0303", "`stem` has no output `0`", "it has one output; write the name alone"),
        ("lstm.hiden", "SB0303", "`lstm` has no output `hiden`", "did you mean `hidden`?"),
        ("lstm.cell_state", "SB0303", "`lstm` has no output `cell_state`", "its outputs are `output`, `hidden`"),
        ("lstm.hidden.0", "SB0303", "`lstm.hidden.0` goes deeper than `lstm.hidden`, which is one tensor", None),
        ("", "SB0301", "no node or input is called ``", "the names here are `image`, `stem`, `block`, `lstm`"),
    ],
)
def test_reference_to_nothing(text: str, code: str, message: str, help: str | None) -> None:
    with pytest.raises(ReferenceProblem) as raised:
        scope().resolve(text)
    assert (raised.value.code, raised.value.message, raised.value.help) == (code, message, help)


def test_node_cannot_read_itself() -> None:
    made = scope()
    made.own = "head"
    with pytest.raises(ReferenceProblem, match="`head` cannot read itself"):
        made.resolve("head")


def test_input_of_two_must_be_named() -> None:
    made = Scope(entry=(value("a"), value("b")))
    with pytest.raises(ReferenceProblem, match="2 tensors enter this list"):
        made.resolve("prev")


def test_list_that_nothing_enters_gives_an_unknown_value() -> None:
    assert [each.type for each in Scope(entry=(), is_told=True).resolve("prev").values] == [None]
