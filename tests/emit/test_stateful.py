"""Models that keep a state: decoding in pieces gives what all of it gives at once, and both calls do what their types say.

The witness of a call with state is the call without, which `test_cases` holds against the described code; that of a recurrent layer is torch's own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn

from specbuilder.api import Spec, load, parse
from specbuilder.catalogue.own import load_kinds
from specbuilder.catalogue.own_class import forget
from specbuilder.diagnostics import SpecError
from specbuilder.emit.load import load as load_source
from specbuilder.graph.graph import Value
from specbuilder.shapes import Poly, evaluate
from tests.emit.drawn import Writer
from tests.emit.interpreter import all_values
from tests.emit.test_cases import check
from tests.graph.test_stateful import KEPT, network

DECODER = Path(__file__).parent / "cases" / "decoder.yaml"
PIECES = [[10], [1] * 10, [4, 3, 1, 2], [9, 1], [1, 9]]


def decoder() -> Any:
    return load(DECODER).build(seed=3).eval()


def tokens() -> Tensor:
    return torch.randint(0, 40, (2, 10), generator=torch.Generator().manual_seed(0))


def in_pieces(model: Any, x: Tensor, pieces: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
    """What all calls give, one after the other, and the state that the last one leaves."""
    state: dict[str, Tensor] = {}
    outputs = []
    for piece in x.split(pieces, 1):
        output, state = model(piece, state)
        outputs.append(output)
    return torch.cat(outputs, 1), state


@pytest.mark.parametrize("pieces", PIECES, ids=lambda pieces: " ".join(map(str, pieces)))
def test_decoder_in_pieces_gives_what_it_gives_at_once(pieces: list[int]) -> None:
    model = decoder().double()
    with torch.no_grad():
        expected = model(tokens())
        given, state = in_pieces(model, tokens(), pieces)
    # Sums over keys are taken in another order where the mask hides some of them, so that only the last bits may differ.
    torch.testing.assert_close(given, expected, rtol=1e-12, atol=1e-13)
    assert torch.equal(state["seen"], tokens())
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        "seen": (2, 10),
        **{f"layer.{at}.attention.{what}": (2, 2, 10, 4) for at in (0, 1) for what in ("keys", "values")},
    }


def test_first_call_with_state_is_bit_for_bit_the_call_without() -> None:
    model = decoder()
    with torch.no_grad():
        assert torch.equal(model(tokens(), {})[0], model(tokens()))
        assert torch.equal(model(tokens=tokens(), state={})[0], model(tokens(), None))


def test_decoder_looks_at_no_later_token() -> None:
    model, changed = decoder(), tokens()
    changed[:, 6:] = 39
    with torch.no_grad():
        torch.testing.assert_close(model(changed)[:, :6], model(tokens())[:, :6], rtol=0, atol=1e-6)
        assert not torch.allclose(model(changed)[:, 6:], model(tokens())[:, 6:])


def test_state_that_is_handed_in_is_left_as_it_was() -> None:
    model = decoder()
    with torch.no_grad():
        first: dict[str, Tensor] = {}
        _, state = model(tokens()[:, :4], first)
        before = {name: tensor.clone() for name, tensor in state.items()}
        one, _ = model(tokens()[:, 4:], state)
        again, _ = model(tokens()[:, 4:], state)
    assert first == {}
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())
    assert torch.equal(one, again)


def test_state_of_another_network_is_no_state() -> None:
    with pytest.raises(KeyError, match="seen"):
        decoder()(tokens(), {"layer.0.attention.keys": torch.zeros(2, 2, 1, 4)})


def test_type_of_the_state_names_what_a_call_leaves() -> None:
    spec = load(DECODER)
    state = load_source(spec.source, "model").State
    with torch.no_grad():
        assert list(state.__annotations__) == list(decoder()(tokens(), {})[1])
    assert set(state.__annotations__.values()) == {Tensor}


@pytest.mark.parametrize(("nodes", "blocks"), [row[1:3] for row in KEPT], ids=[row[0] for row in KEPT])
def test_later_call_gives_the_types_that_it_says(nodes: str, blocks: str) -> None:
    spec = network(nodes, blocks=blocks)
    threaded = spec.graph.threaded
    assert threaded is not None
    model: Any = spec.build().eval()
    x = torch.randn(2, 3, 8)
    with torch.no_grad():
        expected = model(x)
        given, state = model(x, {})
        assert torch.equal(given, expected)
        for _ in range(2):
            sizes = {"B": 2, "T": 3}
            for kept in threaded.kept:
                assert kept.past.type is not None
                names = {str(dim): size for dim, size in zip(kept.past.type.shape, state[kept.name].shape, strict=True) if isinstance(dim, Poly)}
                sizes |= {name: size for name, size in names.items() if name.isidentifier()}
                assert tuple(evaluate(dim, sizes) for dim in kept.past.type.shape) == state[kept.name].shape
            output, state = model(x, state)
            (type,) = threaded.graph.output_types.values()
            assert tuple(evaluate(dim, sizes) for dim in type.shape) == output.shape


SHIFTED = """
specbuilder: 1
name: shifted
blocks:
  remember:
    params: {width: int, deep: int}
    inputs: {x: "[B, T, C]"}
    nodes:
      - linear: $width
        from: x
      - append: 1
        name: seen
      - mean: {dim: 1, keepdim: true}
        name: sum
      - linear: 4
        from: x
        name: now
      - add: {broadcast: true}
        from: [now, sum]
      - remember: {width: $width, deep: $(deep - 1)}
        when: $(deep > 0)
model:
  inputs:
    x: float32[B, T, 4]
  nodes:
    - remember: {width: 4, deep: %s}
      name: blocks
      repeat: %s
    - relu
      name: last
  outputs: {last: last, first: blocks.0}
""".replace("- relu\n      name", "- relu:\n      name")


def check_in_pieces(spec: Spec) -> int:
    """Holds two calls of a few places against the nodes one by one; gives the number of classes of the block."""
    model: Any = spec.build(seed=0).eval()
    x = torch.randn(2, 5, 4)
    with torch.no_grad():
        _, state = model(x[:, :2], {})
        output, state = model(x[:, 2:], state)
        expected, kept = model(x, {})
        assert output.keys() == expected.keys() == {"last", "first"}
        # What the first block keeps is a function of its input alone.
        name = next(iter(state))
        torch.testing.assert_close(state[name], kept[name])
        assert {name: tensor.shape for name, tensor in state.items()} == {name: tensor.shape for name, tensor in kept.items()}
    assert spec.graph.threaded is not None
    assert list(state) == [each.name for each in spec.graph.threaded.kept]
    return spec.source.count("class Remember")


def test_copies_that_differ_in_a_number_share_a_class_and_keep_their_own() -> None:
    spec = parse((SHIFTED % ("0", "{w: [4, 4, 4]}")).replace("width: 4, deep", "width: $w, deep"))
    assert check_in_pieces(spec) == 1
    assert [each.name for each in spec.graph.threaded.kept] == [f"blocks.{at}.seen" for at in range(3)]  # type: ignore[union-attr]


@pytest.mark.parametrize("deep", [1, 45])
def test_state_passes_through_blocks_within_blocks(deep: int) -> None:
    # Beyond 40 classes within one another, a block is written where it is used.
    spec = parse(SHIFTED % (deep, 2))
    assert check_in_pieces(spec) >= 2
    assert len(spec.graph.threaded.kept) == 2 * (deep + 1)  # type: ignore[union-attr]


def test_compiled_decoder_is_one_graph_in_both_calls() -> None:
    model = decoder()
    torch._dynamo.reset()
    compiled: Any = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        expected = model(tokens())
        torch.testing.assert_close(compiled(tokens()), expected)
        torch.testing.assert_close(in_pieces(compiled, tokens(), [4, 3, 1, 2])[0], expected)


def test_call_without_state_is_exported() -> None:
    model = decoder()
    sizes = {"tokens": {0: torch.export.Dim("B", min=2, max=64), 1: torch.export.Dim("T", min=2, max=32)}}
    exported = torch.export.export(model, (tokens(),), dynamic_shapes=sizes).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(tokens()), model(tokens()))
        torch.testing.assert_close(exported(tokens()[:, :7]), model(tokens()[:, :7]))


# Random networks ------------------------------------------------------------------------------------------------------

TRAIL = '''
from specbuilder.kinds import *


@function("trail")
class Trail(Stateful):
    """A running sum: it keeps the shape of what arrives, so that it may stand anywhere."""

    def infer(self, x):
        return x

    def past(self, x, before):
        return (x,)

    def infer_later(self, past, x):
        return x

    def source(self, x):
        return Input()

    def source_later(self, past, x):
        return Infix("+", (Input(), past[0]))
'''


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    file = tmp_path_factory.mktemp("kinds") / "trail_kinds.py"
    file.write_text(TRAIL)
    load_kinds([file])
    yield
    forget_all()


def forget_all() -> None:
    for module in [name for name in sys.modules if name.startswith("own_kinds_")]:
        forget(module)
        del sys.modules[module]


@pytest.mark.usefixtures("trail")
@given(st.data())
def test_random_networks_keep_what_their_graphs_say(data: st.DataObject) -> None:
    text = re.sub(r"\brelu\b", "trail", Writer(data.draw).spec())
    try:
        spec = parse(text)
    except SpecError:
        assume(False)
        return
    check(spec)
    threaded = spec.graph.threaded
    if threaded is None:
        return
    model: Any = spec.build(seed=1).eval()
    tensors, state = model.state_dict(), {}
    past: dict[Value, Tensor | None] = {kept.past: None for kept in threaded.kept}
    for seed in range(3):
        inputs = {name: torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(seed)) for name in spec.graph.input_types}
        with torch.no_grad():
            output, state = model(**inputs, state=state)
            values = all_values(threaded.graph, tensors, inputs, {"B": 2, "T": 5}, past)
        given = output if isinstance(output, dict) else {next(iter(threaded.graph.outputs)): output}
        for name, value in threaded.graph.outputs.items():
            torch.testing.assert_close(given[name], values[value], rtol=1e-5, atol=1e-5, equal_nan=True)
        assert list(state) == [kept.name for kept in threaded.kept]
        for kept in threaded.kept:
            torch.testing.assert_close(state[kept.name], values[kept.value], rtol=1e-5, atol=1e-5, equal_nan=True)
        past = {kept.past: values[kept.value] for kept in threaded.kept}


# Layers that keep something -------------------------------------------------------------------------------------------

RECURRENT = '''
from specbuilder.kinds import *


@layer("recurrent", primary="hidden_size")
class Recurrent(Layer, Stateful):
    """A gated recurrent unit."""

    outputs = ("output", "hidden")
    keeps = ("hidden",)
    takes_none = %s
    hidden_size: PositiveInt

    def infer(self, x):
        return x.with_shape((*x.shape[:2], self.hidden_size)), x.with_shape((1, x.shape[0], self.hidden_size))

    def past(self, x, before):
        return (self.infer(x)[1],)

    def infer_later(self, past, x):
        return self.infer(x)

    def parameters(self, x):
        shapes = {"weight_ih": (3 * self.hidden_size, x.shape[2]), "weight_hh": (3 * self.hidden_size, self.hidden_size)}
        biases = dict.fromkeys(("bias_ih", "bias_hh"), (3 * self.hidden_size,))
        return {f"{name}_l0": Parameter(shape, "matrix" if len(shape) == 2 else "bias") for name, shape in (shapes | biases).items()}

    def source(self, x):
        return Module(call("nn.GRU", x.shape[2], self.hidden_size, batch_first=True))

    def source_later(self, past, x):
        return call(ITSELF, Input(), past[0])
'''
TAGGER = """
specbuilder: 1
name: tagger
model:
  inputs:
    x: float32[B, T, 8]
  nodes:
    - recurrent: $w
      name: memory
      repeat: {w: [8, 6, 4]}
    - recurrent: 4
      name: again
      repeat: 2
      shared: true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    forget_all()


@pytest.mark.parametrize("takes_none", [True, False])
def test_recurrent_layer_goes_on_where_it_ended(folder: Path, takes_none: bool) -> None:
    (folder / "kinds.py").write_text(RECURRENT % takes_none)
    (folder / "tagger.yaml").write_text(TAGGER)
    spec = load(folder / "tagger.yaml", kinds=[folder / "kinds.py"])
    model: Any = spec.build(seed=0)
    x = torch.randn(2, 7, 8)
    with torch.no_grad():
        given, state = in_pieces(model, x, [3, 1, 3])
        chain: list[nn.GRU] = [*model.memory, model.again, model.again]
        expected = x
        for at, layer in enumerate(chain):
            expected, hidden = layer(expected)
            torch.testing.assert_close(list(state.values())[at], hidden)
        torch.testing.assert_close(given, expected)
        torch.testing.assert_close(model(x), expected)
    assert list(state) == ["memory.0.hidden", "memory.1.hidden", "memory.2.hidden", "again.hidden", "again.hidden:2"]
    assert (" is None else self.memory" in spec.source) == (not takes_none)


def test_no_size_is_read_off_what_an_earlier_call_may_not_have_left() -> None:
    blocks = """
blocks:
  late:
    inputs: {x: "[B, T, C]", seen: "[B, S, C]"}
    nodes:
      - append: 1
        name: kept
        from: x
      - arange: {start: $(S - T), end: $S}
        name: here
    outputs: [here, kept]
"""
    model: Any = network("    - append: 1\n      name: seen\n    - late:\n      from: [x, seen]\n", blocks=blocks).build()
    x = torch.randn(2, 3, 8)
    assert model(x).tolist() == [0, 1, 2]
    given, state = model(x, {})
    assert given.tolist() == [0, 1, 2]
    assert model(x[:, :2], state)[0].tolist() == [3, 4]
