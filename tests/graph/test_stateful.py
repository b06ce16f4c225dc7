"""The call with state: what a network keeps, under which names, and the types of that call beside those of the call without.

Tables of specs first. `tests/emit/test_stateful.py` runs them.
"""

from __future__ import annotations

import pytest

from specbuilder.api import Spec, parse
from specbuilder.catalogue.contract import Stateful
from specbuilder.graph.stateful import thread
from specbuilder.shapes import substitute


def network(nodes: str, inputs: str = "x: float32[B, T, 8]", blocks: str = "") -> Spec:
    return parse(f"specbuilder: 1\nname: n\n{blocks}\nmodel:\n  inputs:\n    {inputs}\n  nodes:\n{nodes}")


TWICE = """
blocks:
  twice:
    nodes:
      - append: 1
        name: seen
      - append: 1
"""

KEPT = [
    ("unnamed", "    - append: 1\n", "", {"append": "float32[B, P, 8]"}, "float32[B, P + T, 8]"),
    ("named", "    - append: -2\n      name: seen\n", "", {"seen": "float32[B, P, 8]"}, "float32[B, P + T, 8]"),
    # Nodes that get equally many places in each call have been given equally many.
    ("one count for equal sizes", "    - append: 1\n      name: a\n    - append: 1\n      name: b\n      from: x\n    - add:\n      from: [a, b]\n", "", {"a": "float32[B, P, 8]", "b": "float32[B, P, 8]"}, "float32[B, P + T, 8]"),
    # What arrives at the second has all places of the first, so that it keeps more of them.
    ("behind another", "    - twice\n", TWICE, {"twice.seen": "float32[B, P, 8]", "twice.append": "float32[B, P2, 8]"}, "float32[B, P + P2 + T, 8]"),
    ("copies", "    - append: 1\n      name: a\n      each: 2\n      merge: {stack: 0}\n", "", {"a.0": "float32[B, P, 8]", "a.1": "float32[B, P, 8]"}, "float32[2, B, P + T, 8]"),
    # Each call keeps its own, although the weights are one.
    ("shared copies", "    - sequence: [{linear: 8}, {append: 0}]\n      name: a\n      repeat: 2\n      shared: true\n", "", {"a.append": "float32[P, T, 8]", "a.append:2": "float32[P2, T, 8]"}, "float32[B + P + P2, T, 8]"),
    ("called again", "    - append: 1\n      name: a\n    - share: a\n      from: x\n    - add:\n      from: [a, prev]\n", "", {"a": "float32[B, P, 8]", "a:2": "float32[B, P, 8]"}, "float32[B, P + T, 8]"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "blocks", "kept", "output"), [row[1:] for row in KEPT], ids=[row[0] for row in KEPT])
def test_state_has_the_names_and_types_that_the_table_says(nodes: str, blocks: str, kept: dict[str, str], output: str) -> None:
    spec = network(nodes, blocks=blocks)
    threaded = spec.graph.threaded
    assert threaded is not None
    assert {each.name: str(each.past.type) for each in threaded.kept} == kept
    assert list(map(str, threaded.graph.output_types.values())) == [output]
    # The call without state is that with no place before.
    start = dict.fromkeys(threaded.before, 0)
    for node, other in zip(spec.graph.nodes, threaded.graph.nodes, strict=True):
        assert node.path == other.path
        for value, later in zip(node.outputs, other.outputs, strict=True):
            assert value.type is not None
            assert later.type is not None
            assert value.type == later.type.with_shape(tuple(substitute(dim, start) for dim in later.type.shape))


def test_name_of_the_count_is_one_that_is_free() -> None:
    spec = network("    - append: 1\n", inputs="x: float32[P, T, P2]")
    assert spec.graph.threaded is not None
    assert list(spec.graph.threaded.before) == ["P3"]


def test_network_that_keeps_nothing_is_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr("specbuilder.graph.stateful.thread", lambda *given: calls.append(given) or thread(*given))
    assert network("    - relu\n").graph.threaded is None
    assert not calls
    assert network("    - append: 1\n").graph.threaded is not None
    assert len(calls) == 1


def test_names_parameters_and_outputs_are_those_of_the_call_without_state() -> None:
    spec = network("    - append: 1\n    - linear: 4\n      name: head\n      init: {weight: zeros}\n")
    assert spec.report.parameters == 8 * 4 + 4
    assert {name: str(type) for name, type in spec.graph.output_types.items()} == {"head": "float32[B, T, 4]"}
    assert list(spec.build().state_dict()) == ["head.weight", "head.bias"]
    assert spec.graph.threaded is not None
    assert spec.graph.threaded.graph.inits == spec.graph.inits
    assert [node.kind.kind for node in spec.graph.threaded.graph.nodes if isinstance(node.kind, Stateful)] == ["append"]
