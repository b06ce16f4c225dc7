"""Checkpoints through maps: what goes where, and everything that is wrong about one, at once. Witnesses are the state dicts of torch and torchvision."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn

from specbuilder.api import Spec, parse
from specbuilder.catalogue.torchvision_import import import_torchvision
from specbuilder.diagnostics import DataError, Diagnostics, UsageError
from specbuilder.graph.graph import TypedGraph
from specbuilder.graph.mapping import double, fillings
from specbuilder.language.document import Mapping
from specbuilder.language.maps import Layout, decode_maps
from specbuilder.language.read import read
from tests.graph.networks import CONVOLUTIONS, TOKENS, graph_of, tied

VALUES = {"first": 1, "trunk": "blocks"}


def layout_of(text: str) -> Layout:
    diagnostics = Diagnostics()
    document = read(f"maps:\n  other:\n{text}", "a.yaml", diagnostics)
    assert document is not None
    assert isinstance(document.root, Mapping)
    ((key, node),) = document.root.entries
    maps = decode_maps(key.span, node, diagnostics, tuple(VALUES))
    assert not list(diagnostics), [found.message for found in diagnostics]
    return maps["other"]


Shapes = dict[str, tuple[int, ...]]


def mapped(text: str, source: Shapes, graph: TypedGraph) -> tuple[dict[str, str], list[str]]:
    diagnostics = Diagnostics()
    found = fillings(layout_of(text) if text else None, source, graph, VALUES.__getitem__, VALUES, diagnostics)
    messages = [
        f"{each.code} {each.message}" + (f" | {each.help}" if each.help else "") + (f" @ {each.span.text}" if each.span else "")
        for each in diagnostics
    ]
    return {key: filling.source + (" turned" if filling.is_transposed else "") for key, filling in found.items()}, messages


# A checkpoint that another program might have left of the network CONVOLUTIONS.
NORM = {"weight": (8,), "bias": (8,), "running_mean": (8,), "running_var": (8,), "num_batches_tracked": ()}
OTHER: Shapes = {
    "conv1.weight": (8, 3, 3, 3),
    "conv1.bias": (8,),
    **{f"bn1.{name}": shape for name, shape in NORM.items()},
    **{f"layer{number}.weight": (8, 8, 3, 3) for number in range(1, 13)},
    "fc.weight": (8192, 10),
    "fc.bias": (10,),
    "steps": (),
}
MAP = """
    - {from: conv1, to: stem}
    - {from: bn1, to: batch_norm2d}
    - from: layer{i}
      to: $trunk.$(i - first)
    - {from: fc, to: head, transpose: true}
    - drop: steps
"""


def test_every_tensor_goes_where_the_map_says() -> None:
    found, messages = mapped(MAP, OTHER, graph_of(CONVOLUTIONS))
    assert messages == []
    assert found == {
        "stem.weight": "conv1.weight",
        "stem.bias": "conv1.bias",
        **{f"batch_norm2d.{name}": f"bn1.{name}" for name in NORM},
        **{f"blocks.{number}.weight": f"layer{number + 1}.weight" for number in range(12)},
        "head.weight": "fc.weight turned",
        "head.bias": "fc.bias",
    }


def changed(remove: tuple[str, ...] = (), **added: tuple[int, ...]) -> Shapes:
    """The checkpoint without some names, and with others; `__` stands for the dot."""
    return {name: shape for name, shape in OTHER.items() if name not in remove} | {name.replace("__", "."): shape for name, shape in added.items()}


@pytest.mark.parametrize(
    ("text", "source", "messages"),
    [
        (MAP, changed(("fc.bias",)), ["SB0922 nothing in the checkpoint fills `head.bias` [10] @ other"]),
        (
            MAP,
            changed(("bn1.num_batches_tracked",)),
            ["SB0922 nothing in the checkpoint fills `batch_norm2d.num_batches_tracked` [] @ other"],
        ),
        (
            MAP,
            changed(tuple(f"layer{number}.weight" for number in range(1, 13))),
            ["SB0922 nothing in the checkpoint fills `blocks.0.weight` [8, 8, 3, 3] (and 11 more like it) @ other"],
        ),
        (
            MAP,
            changed(aux__weight=(7, 7), aux__bias=(7,)),
            [
                "SB0921 `aux.weight` [7, 7] of the checkpoint goes nowhere | add a pair for it, or `- drop: aux` if it is not wanted @ other",
                "SB0921 `aux.bias` [7] of the checkpoint goes nowhere | add a pair for it, or `- drop: aux` if it is not wanted @ other",
            ],
        ),
        (
            MAP,
            changed(("fc.bias",), classifier__bias=(10,)),
            [
                "SB0921 `classifier.bias` [10] of the checkpoint goes nowhere | of its shape, `head.bias` of the network is still empty @ other",
                "SB0922 nothing in the checkpoint fills `head.bias` [10] | of its shape, `classifier.bias` of the checkpoint goes nowhere @ other",
            ],
        ),
        (
            MAP,
            changed(fc__bias=(1000,)),
            ["SB0925 `fc.bias` of the checkpoint is [1000], but `head.bias` of the network is [10] @ head"],
        ),
        (
            MAP.replace(", transpose: true", ""),
            OTHER,
            ["SB0925 `fc.weight` of the checkpoint is [8192, 10], but `head.weight` of the network is [10, 8192] | add `transpose: true` @ head"],
        ),
        (
            MAP,
            changed(fc__weight=(10, 8192)),
            [
                (
                    "SB0925 `fc.weight` of the checkpoint, transposed, is [8192, 10], but `head.weight` of the network is [10, 8192]"
                    " | delete `transpose` @ head"
                )
            ],
        ),
        (
            MAP.replace("to: stem}", "to: stem, transpose: true}"),
            OTHER,
            [
                "SB0926 `transpose` is for matrices, but `conv1.weight` is [8, 3, 3, 3] | make an entry of its own for it @ {from: conv1, to: stem, transpose: true}"
            ],
        ),
        (
            MAP.replace("to: head", "to: haed"),
            OTHER,
            [
                (
                    "SB0923 `fc.weight` would become `haed.weight`, but the network has no such tensor (and 1 more like it)"
                    " | did you mean `head.weight`? @ haed"
                )
            ],
        ),
        (
            MAP.replace("$(i - first)", "$i"),
            OTHER,
            [
                (
                    "SB0923 `layer12.weight` would become `blocks.12.weight`, but the network has no such tensor"
                    " | under `blocks` stand `0` to `11` @ $trunk.$i"
                )
            ],
        ),
        (
            MAP.replace("$(i - first)", "$(i // 2)"),
            OTHER,
            [
                "SB0922 nothing in the checkpoint fills `blocks.7.weight` [8, 8, 3, 3] (and 4 more like it) @ other",
                (
                    "SB0924 `layer2.weight` and `layer3.weight` of the checkpoint both become `blocks.1.weight` (and 4 more like it)"
                    " | let `to` say in what they differ, or leave one out with `drop` @ $trunk.$(i // 2)"
                ),
            ],
        ),
        (
            MAP,
            changed(layer_norm__weight=(8,)),
            ["SB0501 `-` of a string and a number, for `layer_norm.weight` @ i - first"],
        ),
    ],
)
def test_checkpoint_that_does_not_fit(text: str, source: Shapes, messages: list[str]) -> None:
    assert mapped(text, source, graph_of(CONVOLUTIONS))[1] == messages


def test_all_mistakes_are_told_at_once() -> None:
    text = MAP.replace("to: stem", "to: stam")
    source = changed(("bn1.bias",), fc__bias=(1000,), aux__weight=(7, 7))
    messages = mapped(text, source, graph_of(CONVOLUTIONS))[1]
    assert [message.partition(" |")[0].partition(" @")[0] for message in messages] == [
        "SB0921 `aux.weight` [7, 7] of the checkpoint goes nowhere",
        "SB0922 nothing in the checkpoint fills `batch_norm2d.bias` [8]",
        "SB0923 `conv1.weight` would become `stam.weight`, but the network has no such tensor (and 1 more like it)",
        "SB0925 `fc.bias` of the checkpoint is [1000], but `head.bias` of the network is [10]",
    ]


def test_without_a_map_names_are_kept() -> None:
    graph = graph_of(TOKENS)
    shapes = {
        "wte.weight": (50, 16),
        "layer_norm.weight": (16,),
        "layer_norm.bias": (16,),
        **{f"h.{number}.{name}": shape for number in range(3) for name, shape in {"weight": (16, 16), "bias": (16,)}.items()},
    }
    found, messages = mapped("", {**shapes, "logits.weight": (50, 16)}, graph)
    assert messages == []
    assert all(key == source for key, source in found.items())
    assert mapped("", shapes, graph)[1] == ["SB0922 nothing in the checkpoint fills `logits.weight` [50, 16]"]


@pytest.mark.parametrize("present", [("wte.weight",), ("logits.weight",), ("wte.weight", "logits.weight")])
def test_tied_tensors_are_filled_by_either(present: tuple[str, ...]) -> None:
    graph = tied(graph_of(TOKENS), "logits", "wte")
    shapes = {"layer_norm.weight": (16,), "layer_norm.bias": (16,)}
    shapes |= {f"h.{number}.{name}": shape for number in range(3) for name, shape in {"weight": (16, 16), "bias": (16,)}.items()}
    diagnostics = Diagnostics()
    found = fillings(None, {**shapes, **dict.fromkeys(present, (50, 16))}, graph, VALUES.__getitem__, VALUES, diagnostics)
    assert not list(diagnostics)
    assert (found["wte.weight"].source, found["logits.weight"].source) == (present[0], present[-1])
    assert list(double(found, graph)) == ([("wte.weight", "logits.weight")] if len(present) == 2 else [])


# Through the door ----------------------------------------------------------------------------------------------------


def spec_of(text: str, maps: str) -> Spec:
    """A spec with a map, called `other`."""
    return parse(f"{text}\nmaps:\n  other:\n{maps}")


ALEXNET = """
specbuilder: 1
name: alexnet
model:
  inputs: {image: "float32[B, 3, H, W]"}
  nodes:
    - conv2d: {out_channels: 64, kernel_size: 11, stride: 4, padding: 2}
    - relu
    - max_pool2d: {kernel_size: 3, stride: 2}
    - conv2d: {out_channels: 192, kernel_size: 5, padding: 2}
    - relu
    - max_pool2d: {kernel_size: 3, stride: 2}
    - conv2d: {out_channels: 384, kernel_size: 3, padding: 1}
    - relu
    - conv2d: {out_channels: 256, kernel_size: 3, padding: 1}
    - relu
    - conv2d: {out_channels: 256, kernel_size: 3, padding: 1}
    - relu
    - max_pool2d: {kernel_size: 3, stride: 2}
    - adaptive_avg_pool2d: 6
    - flatten
    - dropout
    - linear: 4096
    - relu
    - dropout
    - linear: 4096
    - relu
    - linear: 20
expect: {parameters: 57085780}
"""
ALEXNET_MAP = """
    - {from: features.0, to: conv2d}
    - from: features.{i:3|6|8|10}
      to: conv2d_$([3, 6, 8, 10][i] if i < 0 else 2 if i == 3 else i // 2)
    - {from: classifier.1, to: linear}
    - from: classifier.{i:4|6}
      to: linear_$(i // 2)
"""


def test_alexnet_of_torchvision_gives_the_same_numbers() -> None:
    theirs = import_torchvision().models.alexnet(num_classes=20).eval()
    spec = spec_of(ALEXNET, ALEXNET_MAP)
    model = spec.build().eval()
    model.load_state_dict(spec.convert(theirs.state_dict(), map="other"))
    image = torch.randn(2, 3, 80, 80)  # B C H W
    with torch.no_grad():
        assert torch.equal(model(image), theirs(image))


class Conv1d(nn.Module):
    """GPT-2's linear layer, whose weight stands the other way round: [in, out]."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(16, 16)), nn.Parameter(torch.randn(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # B T D -> B T D
        return x @ self.weight + self.bias


class Tokens(nn.Module):
    """The network TOKENS with other names and transposed weights."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.norm = nn.Embedding(50, 16), nn.LayerNorm(16)
        self.layers = nn.ModuleList(nn.Sequential(OrderedDict(mlp=Conv1d())) for _ in range(3))
        self.head = nn.Linear(16, 50, bias=False)
        self.register_buffer("mask", torch.ones(4))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:  # B T -> B T V
        x = self.norm(self.tokens(tokens))
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


TOKENS_MAP = """
    - {from: tokens, to: wte}
    - {from: norm, to: layer_norm}
    - {from: "layers.{i}.mlp", to: h.$i, transpose: true}
    - {from: head, to: logits}
    - drop: mask
"""


def test_transposed_weights_give_the_same_numbers() -> None:
    theirs = Tokens()
    spec = spec_of(TOKENS, TOKENS_MAP)
    model = spec.build()
    model.load_state_dict(spec.convert(theirs.state_dict(), map="other"))
    tokens = torch.randint(0, 50, (2, 7))  # B T
    assert torch.allclose(model(tokens), theirs(tokens), atol=1e-5)


def test_mistakes_come_as_one_error_with_all_of_them() -> None:
    state = Tokens().state_dict()
    del state["norm.bias"]
    state["extra"] = torch.zeros(3)
    with pytest.raises(DataError) as error:
        spec_of(TOKENS, TOKENS_MAP).convert(state, map="other")
    assert [found.message for found in error.value.diagnostics] == [
        "`extra` [3] of the checkpoint goes nowhere",
        "nothing in the checkpoint fills `layer_norm.bias` [16]",
    ]


def test_two_values_for_one_tensor_are_told() -> None:
    spec = spec_of(TOKENS, TOKENS_MAP)
    spec.graph = tied(spec.graph, "logits", "wte")
    state = Tokens().state_dict()
    with pytest.raises(DataError) as error:
        spec.convert(state, map="other")
    assert [found.message for found in error.value.diagnostics] == [
        "`tokens.weight` and `head.weight` of the checkpoint differ, but in this network they are one tensor"
    ]
    state["head.weight"] = state["tokens.weight"].clone()
    assert torch.equal(spec.convert(state, map="other")["logits.weight"], state["tokens.weight"])


@pytest.mark.parametrize(("name", "help"), [("othr", "did you mean `other`?"), ("zebra", "it has `other`")])
def test_map_that_the_spec_has_not(name: str, help: str) -> None:
    with pytest.raises(UsageError) as error:
        spec_of(TOKENS, TOKENS_MAP).convert({}, map=name)
    (found,) = error.value.diagnostics
    assert (found.message, found.help) == (f"the spec has no map `{name}`", help)


def test_what_is_no_tensor_is_told() -> None:
    with pytest.raises(UsageError) as error:
        spec_of(TOKENS, TOKENS_MAP).convert({"epoch": 3}, map="other")  # type: ignore[dict-item]  # wrong on purpose
    assert error.value.diagnostics[0].message == "a state dict holds tensors, but `epoch` is a int"
