"""How tensors begin: which rule wins, which tensor is nobody's to begin, and what cannot be filled. Values are compared with torch's own functions."""

from __future__ import annotations

import pytest
import torch

from specbuilder.catalogue.contract import Call, Initializer, Parameter
from specbuilder.catalogue.lookup import find
from specbuilder.diagnostics import Diagnostics, Source, Span
from specbuilder.graph.freezing import frozen_tensors
from specbuilder.graph.graph import TypedGraph
from specbuilder.graph.initialise import initialise, own_inits
from specbuilder.language.freezes import decode_freeze
from specbuilder.language.inits import decode_init, decode_init_rules
from specbuilder.language.read import read_value
from tests.graph.networks import CONVOLUTIONS, TOKENS, as_parameter, graph_of, tied, with_node

NOWHERE = Span(Source("text", ""), 0, 0)
VALUES = {"depth": 8, "yes": True}
WEIGHT, BIAS = Parameter((4, 3), "matrix"), Parameter((4,), "bias")


def begun(graph: TypedGraph, rules: str) -> tuple[dict[str, str], Diagnostics]:
    """The call for each tensor that does not begin as torch has it, as text."""
    diagnostics = Diagnostics()
    trees = decode_init_rules(NOWHERE, read_value(rules, "a.yaml"), diagnostics)
    assert not list(diagnostics)
    found = initialise(graph, trees, VALUES.__getitem__, VALUES, diagnostics).inits
    return {key: _text(call) for key, call in found.items()}, diagnostics


def _text(call: Call) -> str:
    settings = [*map(str, call.args[1:]), *(f"{name}={value}" for name, value in call.kwargs)]
    return f"{call.function.removeprefix('nn.init.')}({', '.join(settings)})"


def told(diagnostics: Diagnostics) -> list[str]:
    return [f"{found.code} {found.message}" + (f" | {found.help}" if found.help else "") for found in diagnostics]


def test_last_matching_rule_wins() -> None:
    rules = "[{normal: 0.02, role: [matrix, embedding]}, {normal: 0.5, match: h.1.weight}, {zeros: , role: bias}]"
    inits, diagnostics = begun(graph_of(TOKENS), rules)
    assert told(diagnostics) == []
    assert inits == {
        "wte.weight": "normal_(std=0.02)",
        "h.0.weight": "normal_(std=0.02)",
        "h.0.bias": "zeros_()",
        "h.1.weight": "normal_(std=0.5)",
        "h.1.bias": "zeros_()",
        "h.2.weight": "normal_(std=0.02)",
        "h.2.bias": "zeros_()",
        "logits.weight": "normal_(std=0.02)",
    }


def test_what_no_rule_selects_begins_as_torch_has_it() -> None:
    graph = graph_of(CONVOLUTIONS)
    assert begun(graph, "[]")[0] == {}
    assert begun(graph, "[{zeros: , match: head}]")[0] == {"head.weight": "zeros_()", "head.bias": "zeros_()"}


def test_node_wins_over_rules() -> None:
    ones = find("initializer", "ones")
    assert ones is not None
    own = ones()
    assert isinstance(own, Initializer)
    graph = with_node(graph_of(TOKENS), "h.1", lambda node: node.replace(init={"weight": own}))
    inits, _ = begun(graph, "[{zeros: , match: h}]")
    assert inits["h.1.weight"] == "ones_()"
    assert inits["h.1.bias"] == "zeros_()"
    # A rule is not asked for what the node says, neither to fill it nor to be of use.
    assert told(begun(graph, "[{dirac: , match: h.1.weight}]")[1]) == [
        (
            "SB0525 this rule decides nothing: all that it selects begins as later rules or nodes say"
            " | delete it, or move it behind the rules that are more general"
        )
    ]


def test_buffers_of_layers_are_left_to_torch() -> None:
    inits, diagnostics = begun(graph_of(CONVOLUTIONS), "[{ones: , match: batch_norm2d}]")
    assert told(diagnostics) == []
    assert inits == {"batch_norm2d.weight": "ones_()", "batch_norm2d.bias": "ones_()"}


def test_tied_and_shared_tensors_are_left_to_the_other() -> None:
    graph = tied(graph_of(TOKENS), "logits", "wte")
    first = next(node for node in graph.nodes if node.name == "h.0")
    graph = with_node(graph, "h.1", lambda node: node.replace(path=first.path, shares=first))
    inits, diagnostics = begun(graph, "[{normal: 0.02, role: [matrix, embedding]}]")
    assert told(diagnostics) == []
    assert list(inits) == ["wte.weight", "h.0.weight", "h.2.weight"]


def test_values_are_those_of_torch() -> None:
    """The call of a rule fills a tensor as torch's function does with the same generator."""
    diagnostics = Diagnostics()
    trees = decode_init_rules(NOWHERE, read_value("[{kaiming_normal: {mode: fan_out}, match: h.0.weight}]", "a.yaml"), diagnostics)
    call = initialise(graph_of(TOKENS), trees, VALUES.__getitem__, VALUES, diagnostics).inits["h.0.weight"]
    torch.manual_seed(3)
    ours = getattr(torch.nn.init, call.function.removeprefix("nn.init."))(torch.empty(16, 16), **dict(call.kwargs))
    torch.manual_seed(3)
    assert torch.equal(ours, torch.nn.init.kaiming_normal_(torch.empty(16, 16), mode="fan_out"))


@pytest.mark.parametrize(
    ("rules", "messages"),
    [
        ("[{zeros: , match: haed}]", ["SB0522 `haed` matches no tensor | did you mean `head`?"]),
        (
            "[{xavier_uniform: , match: stem}]",
            [
                (
                    "SB0401 `stem.bias` cannot begin so: `xavier_uniform` wants at least 2 axes, but [8] has 1 axis"
                    " | select only what it can fill, such as `role: matrix` or `dims: [2, 4]`"
                )
            ],
        ),
        (
            "[{eye: , match: blocks}]",
            [
                (
                    "SB0401 `blocks.0.weight` cannot begin so: `eye` wants a matrix, but [8, 8, 3, 3] has 4 axes (and 11 more)"
                    " | select only what it can fill, such as `role: matrix` or `dims: [2, 4]`"
                )
            ],
        ),
        ("[{xavier_uniform: , match: stem}, {zeros: , role: bias}]", []),
        (
            "[{zeros: , match: stem}, {ones: }]",
            [
                (
                    "SB0525 this rule decides nothing: all that it selects begins as later rules or nodes say"
                    " | delete it, or move it behind the rules that are more general"
                )
            ],
        ),
        (
            "[{zeros: , match: running_mean}]",
            [
                "SB0522 nothing that this selects begins by a rule: `batch_norm2d.running_mean` is a buffer of `batch_norm2d`, which begins as torch has it"
            ],
        ),
        ("[{normal: $(-depth), match: stem}]", ["SB0204 `std` wants a number that is not negative, but this is -8"]),
    ],
)
def test_rule_that_cannot_be_followed(rules: str, messages: list[str]) -> None:
    assert told(begun(graph_of(CONVOLUTIONS), rules)[1]) == messages


def test_rule_for_a_tied_tensor_alone_is_told() -> None:
    _, diagnostics = begun(tied(graph_of(TOKENS), "logits", "wte"), "[{zeros: , match: logits}]")
    assert told(diagnostics) == ["SB0522 nothing that this selects begins by a rule: `logits.weight` is the same tensor as `wte.weight`"]


def test_parameter_must_say_how_it_begins() -> None:
    graph = as_parameter(as_parameter(graph_of(TOKENS), "h.0"), "h.1")
    _, diagnostics = begun(graph, "[]")
    help = "add `init: zeros` beside it, or a rule to `init` of the model"
    assert told(diagnostics) == [f"SB0524 the parameter `h.0` must say how it begins (and so must 1 more copy) | {help}"]
    inits, diagnostics = begun(graph, "[{zeros: , match: h.0-1}]")
    assert told(diagnostics) == []
    assert inits == {"h.0": "zeros_()", "h.1": "zeros_()"}


# A node --------------------------------------------------------------------------------------------------------------

BOTH = {"weight": WEIGHT, "bias": BIAS}


def own(text: str, parameters: dict[str, Parameter], *, tied: tuple[str, ...] = ()) -> tuple[dict[str, str], list[str]]:
    diagnostics = Diagnostics()
    tree = decode_init(NOWHERE, read_value(text, "a.yaml"), diagnostics)
    found = own_inits(tree, "linear", parameters, {}, VALUES.__getitem__, VALUES, diagnostics, tied=tied)
    return {name: repr(initializer) for name, initializer in found.items()}, told(diagnostics)


@pytest.mark.parametrize(
    ("text", "parameters", "inits"),
    [
        ("zeros", {"weight": WEIGHT}, {"weight": "Zeros()"}),
        ("{constant: 1e-6}", {"": BIAS}, {"": "Constant(val=1e-06)"}),
        ("{weight: orthogonal, bias: zeros}", BOTH, {"weight": "Orthogonal(gain=1.0)", "bias": "Zeros()"}),
        ("{bias: {constant: $depth}}", BOTH, {"bias": "Constant(val=8.0)"}),
    ],
)
def test_node_says_how_its_tensors_begin(text: str, parameters: dict[str, Parameter], inits: dict[str, str]) -> None:
    assert own(text, parameters) == (inits, [])


@pytest.mark.parametrize(
    ("text", "parameters", "messages"),
    [
        ("zeros", BOTH, ["SB0523 `linear` has 2 tensors, so the one that is meant must be named | such as `init: {weight: zeros}`"]),
        ("zeros", {}, ["SB0523 `linear` has no tensors that could begin somehow | delete `init`"]),
        ("{wieght: zeros}", BOTH, ["SB0523 `linear` has no tensor `wieght` | did you mean `weight`?"]),
        ("{scale: zeros}", BOTH, ["SB0523 `linear` has no tensor `scale` | its tensors are `weight`, `bias`"]),
        ("{bias: orthogonal}", BOTH, ["SB0401 `bias` of `linear` cannot begin so: `orthogonal` wants at least 2 axes, but [4] has 1 axis"]),
        ("eye", {"": BIAS}, ["SB0401 `linear` cannot begin so: `eye` wants a matrix, but [4] has 1 axis"]),
        (
            "normal",
            {"": Parameter((2,), "free", "int64")},
            ["SB0501 `linear` cannot begin so: `normal` gives floating-point numbers, but this is int64"],
        ),
    ],
)
def test_node_that_cannot_begin_so(text: str, parameters: dict[str, Parameter], messages: list[str]) -> None:
    assert own(text, parameters) == ({}, messages)


def test_tied_tensor_of_a_node_begins_elsewhere() -> None:
    inits, messages = own("{weight: zeros, bias: zeros}", BOTH, tied=("weight",))
    assert list(inits) == ["bias"]
    assert messages == ["SB0523 `weight` of `linear` is a tensor of another node | delete it; the other node says how it begins"]


# Freeze --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "frozen", "messages"),
    [
        ("true", ("weight", "bias"), []),
        ("false", (), []),
        ("weight", ("weight",), []),
        ("[bias, weight]", ("bias", "weight"), []),
        ("$yes", ("weight", "bias"), []),
        ("$depth", (), ["SB0203 `freeze` wants true, or names of tensors, but this is 8 | such as `freeze: true` or `freeze: [weight]`"]),
        ("wieght", (), ["SB0523 `linear` has no tensor `wieght` | did you mean `weight`?"]),
        ("[weight, scale]", ("weight",), ["SB0523 `linear` has no tensor `scale` | its tensors are `weight`, `bias`"]),
        ("mean", (), ["SB0523 `mean` of `linear` is a buffer, which is never trained | delete `mean` here"]),
    ],
)
def test_freeze_names_parameters(text: str, frozen: tuple[str, ...], messages: list[str]) -> None:
    diagnostics = Diagnostics()
    entry = decode_freeze(NOWHERE, read_value(text, "a.yaml"), diagnostics)
    assert entry is not None
    found = frozen_tensors(entry, "linear", ("weight", "bias"), ("mean",), VALUES.__getitem__, VALUES, diagnostics)
    assert (found, told(diagnostics)) == (frozen, messages)


def test_nothing_to_freeze_is_told() -> None:
    diagnostics = Diagnostics()
    entry = decode_freeze(NOWHERE, read_value("true", "a.yaml"), diagnostics)
    assert entry is not None
    assert frozen_tensors(entry, "relu", (), (), VALUES.__getitem__, VALUES, diagnostics) == ()
    assert told(diagnostics) == ["SB0523 `relu` has no parameters of its own, so there is nothing to freeze | delete `freeze`"]
    assert frozen_tensors(entry, "linear", ("weight", "bias"), (), VALUES.__getitem__, VALUES, diagnostics, tied=("weight",)) == ("bias",)
