"""Selectors on networks: what they select, counted by hand, and what is said of those that select nothing."""

from __future__ import annotations

import pytest

from specbuilder.diagnostics import Diagnostics, Source, Span
from specbuilder.graph.graph import TypedGraph
from specbuilder.graph.selection import Selection
from specbuilder.language.read import read_value
from specbuilder.language.selectors import decode_selector
from tests.graph.networks import CONVOLUTIONS, TOKENS, graph_of, tied, with_node

NOWHERE = Span(Source("text", ""), 0, 0)
STATISTICS = ["batch_norm2d.running_mean", "batch_norm2d.running_var", "batch_norm2d.num_batches_tracked"]


def selected(graph: TypedGraph, text: str) -> tuple[list[str], Diagnostics]:
    diagnostics = Diagnostics()
    tree = decode_selector(NOWHERE, read_value(text, "a.yaml"), diagnostics)
    assert tree.selector is not None, [found.message for found in diagnostics]
    return [tensor.key for tensor in Selection(graph).of(tree.selector, diagnostics)], diagnostics


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("stem", ["stem.weight", "stem.bias"]),
        ("bias", ["stem.bias", "batch_norm2d.bias", "head.bias"]),
        ("{role: bias}", ["stem.bias", "head.bias"]),
        ("{role: norm}", ["batch_norm2d.weight", "batch_norm2d.bias"]),
        ("{kind: batch_norm2d}", ["batch_norm2d.weight", "batch_norm2d.bias", *STATISTICS]),
        ("{kind: batch_norm2d, role: norm, match: weight}", ["batch_norm2d.weight"]),
        ("{dims: 2}", ["head.weight"]),
        ("{dims: [0, 2]}", ["batch_norm2d.num_batches_tracked", "head.weight"]),
        ("{dims: 4, except: [blocks.0-10, stem]}", ["blocks.11.weight"]),
        ("[blocks.0-1, head.bias]", ["blocks.0.weight", "blocks.1.weight", "head.bias"]),
        ("blocks.10-99", ["blocks.10.weight", "blocks.11.weight"]),
        ("{except: blocks, dims: 4}", ["stem.weight"]),
    ],
)
def test_selector_selects(text: str, keys: list[str]) -> None:
    found, diagnostics = selected(graph_of(CONVOLUTIONS), text)
    assert not list(diagnostics)
    assert found == keys


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("stm", "`stm` matches no tensor", "did you mean `stem`?"),
        ("stem.wieght", "`stem.wieght` matches no tensor", "did you mean `stem.weight`?"),
        ("block.0.weight", "`block.0.weight` matches no tensor", "did you mean `blocks.0.weight`?"),
        ("blocks.12", "`blocks.12` matches no tensor", "under `blocks` stand `0` to `11`"),
        ("blocks.0.bias", "`blocks.0.bias` matches no tensor", "under `blocks.0` stands `weight`"),
        ("head.weight.0", "`head.weight.0` matches no tensor", "nothing stands under `head.weight`: it is a tensor"),
        ("/weight", "`/weight` matches no tensor", "the paths begin with `stem`, `batch_norm2d`, `blocks`, `head`"),
        ("zebra", "`zebra` matches no tensor", "the paths begin with `stem`, `batch_norm2d`, `blocks`, `head`"),
        ("relu", "`relu` matches no tensor", "the paths begin with `stem`, `batch_norm2d`, `blocks`, `head`"),
        ("[stem, bais]", "`bais` matches no tensor", "did you mean `bias`?"),
        ("stem|tail.weight", "`tail` in `stem|tail.weight` matches no tensor", "delete `tail`, or write what is meant"),
        ("{role: embedding}", "this selects nothing: no tensor has this `role`", None),
        ("{match: stem, role: norm}", "this selects nothing: `match` holds for 2 and `role` holds for 2, but for no tensor all of them", None),
        ("{match: stem, except: stem}", "this selects nothing: `match` holds for 2, and `except` takes all of that away", None),
        ("{match: stem, except: setm}", "`setm` matches no tensor", "did you mean `stem`?"),
    ],
)
def test_selector_that_selects_nothing(text: str, message: str, help: str | None) -> None:
    found, diagnostics = selected(graph_of(CONVOLUTIONS), text)
    (told,) = diagnostics
    assert (told.code, told.message, told.help) == ("SB0522", message, help)
    assert told.span is not None
    assert found == []


def test_error_points_at_the_item_of_a_list() -> None:
    _, diagnostics = selected(graph_of(CONVOLUTIONS), "{match: [stem, bais]}")
    (told,) = diagnostics
    assert told.span is not None
    assert told.span.text == "bais"


def test_shared_weights_are_there_once() -> None:
    graph = graph_of(TOKENS)
    first = next(node for node in graph.nodes if node.name == "h.0")
    shared = with_node(graph, "h.1", lambda node: node.replace(path=first.path, shares=first))
    assert selected(shared, "h")[0] == ["h.0.weight", "h.0.bias", "h.2.weight", "h.2.bias"]


def test_tied_tensor_says_what_it_is() -> None:
    graph = tied(graph_of(TOKENS), "logits", "wte")
    tensors = {tensor.key: tensor for tensor in Selection(graph).tensors}
    tie = tensors["logits.weight"].tie
    assert tie is not None
    assert tie.node.key(tie.tensor) == "wte.weight"
    assert tensors["wte.weight"].tie is None


def test_tensor_below_its_node_is_a_path() -> None:
    """`out_proj.weight` of an attention is two steps."""
    graph = graph_of(TOKENS)
    parameters = next(node for node in graph.nodes if node.name == "h.0").parameters
    nested = with_node(graph, "h.0", lambda node: node.replace(parameters={"out_proj.weight": parameters["weight"]}))
    assert selected(nested, "out_proj")[0] == ["h.0.out_proj.weight"]
    assert selected(nested, "h.*.out_proj.weight")[0] == ["h.0.out_proj.weight"]


def test_thirty_patterns_over_ten_thousand_nodes_look_at_few_paths() -> None:
    """Counted, not timed: each pattern looks only at the paths that hold its rarest word."""
    from specbuilder.graph.selection import Paths
    from specbuilder.language.selectors import parse_pattern

    paths = Paths([("blocks", str(number), "linear", name) for number in range(10_000) for name in ("weight", "bias")])
    looked = 0

    class Counting(list[tuple[str, ...]]):
        def __getitem__(self, index: object) -> tuple[str, ...]:  # type: ignore[override]
            nonlocal looked
            looked += 1
            return super().__getitem__(index)  # type: ignore[index, return-value]

    paths.paths = Counting(paths.paths)
    for number in range(30):
        assert len(paths.matching(parse_pattern(f"blocks.{number}.linear.weight", NOWHERE))) == 1
    assert looked == 60
