"""Formulas as a table: what a text gives and the code that it becomes; what is said of one that gives nothing; and torch as the witness of both."""

from __future__ import annotations

from typing import Any

import pytest

from specbuilder.catalogue import lookup
from specbuilder.diagnostics import Diagnostics, Source, Span
from specbuilder.emit.model import emit_model
from specbuilder.emit.render import render
from specbuilder.graph.count import count
from specbuilder.graph.formula import OPERATORS, PREFIXES, Computation, Computed, compute
from specbuilder.graph.graph import GraphNode, TypedGraph, Value
from specbuilder.graph.operands import FormulaProblems
from specbuilder.graph.scope import Named, Produced, Scope
from specbuilder.language.formulas import parse_formula
from specbuilder.language.values import Undefined
from specbuilder.shapes import parse_type, symbol

HERE = Span(Source("a.yaml", "0123456789"), 0, 1)

TENSORS = {
    "x": "float32[B, 4]",
    "y": "float32[B, 4]",
    "row": "float32[4]",
    "column": "float32[B, 1]",
    "single": "float32[]",
    "half": "float16[B, 4]",
    "whole": "int64[B, 4]",
    "bytes": "uint8[B, 4]",
    "mask": "bool[B, 4]",
    "image": "float32[B, 3, H, W]",
    "tall": "float32[B, 3, 16*h, 8]",
    "cube": "float32[3, 4, 5]",
    "index": "int64[7]",
    "grid": "int64[2, 7]",
    "place": "int64[]",
    "small": "int32[7]",
    "tiny": "int8[7]",
    "mean": "float32[B, 20]",
    "log_var": "float32[B, 20]",
}

STATICS: dict[str, Any] = {
    "n": 7,
    "k": 2,
    "rate": 0.5,
    "deep": True,
    "flat": False,
    "unit": "x",
    "dims": (0, 1),
    "H": symbol("H"),
    "W": symbol("W"),
    "B": symbol("B"),
    "far": 13,
    "window": 7,
    "shift": 3,
    "experts": 8,
}


def value(name: str, type: str | None = None, *, port: str = "") -> Value:
    return Value(tuple(int(step) if step.isdigit() else step for step in name.split(".")), parse_type(type) if type else None, port)


def scope() -> Scope:
    """The tensors above; three copies of `layers`; `top` with two ports; a node `broken` that a mistake left Unknown; a later node `head`."""
    made = Scope(entry=(value("image", TENSORS["image"]),))
    for name, type in TENSORS.items():
        made.named[name] = Named((Produced({"": value(name, type)}),), HERE)
    made.named["layers"] = Named(tuple(Produced({"": value(f"layers.{at}", "float32[B, 4]")}) for at in range(3)), HERE, is_repeated=True)
    ports = {"values": "float32[B, T, 2]", "indices": "int64[B, T, 2]"}
    made.named["top"] = Named((Produced({port: value("top", type, port=port) for port, type in ports.items()}),), HERE)
    made.named["broken"] = Named((Produced({"": value("broken")}),), HERE)
    made.previous = made.named["x"].copies[0]
    made.later = {"head": HERE}
    return made


def statics(name: str) -> Any:
    if name == "undefined":
        raise Undefined(name)
    return STATICS[name]


def computed(text: str) -> Computed:
    here = scope()
    return compute(parse_formula(text), tensors=lambda text: here.resolve(text).values, statics=statics, known=STATICS)


def emitted(found: Computed) -> str:
    """The code, with each tensor under the name that the formula has for it."""
    return render(found.source, lambda reference: found.ports[reference.port].name.replace(".", "_"), lambda size: size)


def described(text: str) -> tuple[str, str, list[str]]:
    found = computed(text)
    return str(found.type), emitted(found), [str(requirement) for requirement in found.requirements]


GOOD: list[tuple[str, str, str]] = [
    # references
    ("x", "float32[B, 4]", "x"),
    ("prev", "float32[B, 4]", "prev"),
    ("input", "float32[B, 3, H, W]", "input"),
    ("layers + layers.0", "float32[B, 4]", "layers + layers_0"),
    ("layers.-1 * layers.$(k - 1)", "float32[B, 4]", "layers_-1 * layers_1"),
    ("top.values", "float32[B, T, 2]", "top_values"),
    # arithmetic follows torch, unasked
    ("x + y", "float32[B, 4]", "x + y"),
    ("x + row", "float32[B, 4]", "x + row"),
    ("row + column", "float32[B, 4]", "row + column"),
    ("x + single", "float32[B, 4]", "x + single"),
    ("half * single", "float16[B, 4]", "half * single"),
    ("whole / whole", "float32[B, 4]", "whole / whole"),
    ("bytes * 2", "uint8[B, 4]", "bytes * 2"),
    ("mask * x", "float32[B, 4]", "mask * x"),
    # numbers on either side read as they are written
    ("1 - x", "float32[B, 4]", "1 - x"),
    ("2 / x", "float32[B, 4]", "2 / x"),
    ("0 / whole", "float32[B, 4]", "0 / whole"),
    ("0.5 * x", "float32[B, 4]", "0.5 * x"),
    ("0.5 + whole", "float32[B, 4]", "0.5 + whole"),
    ("x - -1", "float32[B, 4]", "x - -1"),
    ("2 ** x", "float32[B, 4]", "2 ** x"),
    ("(-2) ** whole", "int64[B, 4]", "(-2) ** whole"),
    ("-2 ** whole", "int64[B, 4]", "-2 ** whole"),
    ("whole ** 2", "int64[B, 4]", "whole ** 2"),
    ("7 // whole % 3", "int64[B, 4]", "7 // whole % 3"),
    ("0 < x", "bool[B, 4]", "0 < x"),
    ("x != y", "bool[B, 4]", "x != y"),
    # `and`, `or`, `not`: the signs of Python where booleans arrive
    ("x > 0 and not mask", "bool[B, 4]", "(x > 0) & ~mask"),
    ("mask or x < y", "bool[B, 4]", "mask | (x < y)"),
    ("~mask and ~(x == 0) or mask", "bool[B, 4]", "~mask & ~(x == 0) | mask"),
    ("whole and mask", "bool[B, 4]", "torch.logical_and(whole, mask)"),
    ("not whole", "bool[B, 4]", "torch.logical_not(whole)"),
    ("-(x + y)", "float32[B, 4]", "-(x + y)"),
    ("-x ** 2", "float32[B, 4]", "-x ** 2"),
    ("(-x) ** 2", "float32[B, 4]", "(-x) ** 2"),
    # what is static is computed now; sizes stay sizes
    ("$rate * x + $(n - 1)", "float32[B, 4]", "0.5 * x + 6"),
    ("2 * 3 * x * 2 * 3", "float32[B, 4]", "6 * x * 2 * 3"),
    ("x / $H", "float32[B, 4]", "x / H"),
    ("$(H - 1) * whole", "int64[B, 4]", "(H - 1) * whole"),
    ("$H / whole", "float32[B, 4]", "H / whole"),
    ("x if $deep else broken", "float32[B, 4]", "x"),
    ("(x if $n < 3 else y) + row", "float32[B, 4]", "y + row"),
    ("x if not $flat and $n == 7 else y", "float32[B, 4]", "x"),
    # brackets where Python needs them, and nowhere else
    ("(x + y) * row", "float32[B, 4]", "(x + y) * row"),
    ("x - (y - row)", "float32[B, 4]", "x - (y - row)"),
    ("(x - y) - row", "float32[B, 4]", "x - y - row"),
    ("x - y + row - y", "float32[B, 4]", "x - y + row - y"),
    ("x / (y * row)", "float32[B, 4]", "x / (y * row)"),
    # calls: the kinds, in torch's order of arguments
    ("tanh(x)", "float32[B, 4]", "torch.tanh(x)"),
    ("sum(x, 1)", "float32[B]", "torch.sum(x, 1)"),
    ("sum(x, -1, True)", "float32[B, 1]", "torch.sum(x, -1, keepdim=True)"),
    ("sum(x, keepdim=true, dim=1)", "float32[B, 1]", "torch.sum(x, 1, keepdim=True)"),
    ("mean(x, (0, 1))", "float32[]", "torch.mean(x, (0, 1))"),
    ("mean(x, $dims)", "float32[]", "torch.mean(x, (0, 1))"),
    ("mean(mean)", "float32[]", "torch.mean(mean)"),
    ("softmax(x + y, dim=-1)", "float32[B, 4]", "F.softmax(x + y, -1)"),
    ("concat(x, y, dim=1)", "float32[B, 8]", "torch.cat((x, y), 1)"),
    ("concat(x, tanh(y), 1)", "float32[B, 8]", "torch.cat((x, torch.tanh(y)), 1)"),
    ("concat([x, y], 1)", "float32[B, 8]", "torch.cat((x, y), 1)"),
    ("concat((x, layers.*), 1)", "float32[B, 16]", "torch.cat((x, layers_0, layers_1, layers_2), 1)"),
    ("stack(layers.*, dim=0)", "float32[3, B, 4]", "torch.stack((layers_0, layers_1, layers_2), 0)"),
    ("add(layers.*)", "float32[B, 4]", "layers_0 + layers_1 + layers_2"),
    ("add(x, 2)", "float32[B, 4]", "x + 2"),
    ("add(x, row)", "float32[B, 4]", "x + row"),
    ("subtract(x, other=1)", "float32[B, 4]", "x - 1"),
    ("subtract(other=x, input=y)", "float32[B, 4]", "y - x"),
    ("reshape(image, (-1, $k)) if $flat else flatten(image, 2)", "float32[B, 3, H*W]", "torch.flatten(image, 2)"),
    ("reshape(x, ($B, 2, 2))", "float32[B, 2, 2]", "torch.reshape(x, (B, 2, 2))"),
    ("matmul(x, transpose(y, 0, 1))", "float32[B, B]", "torch.matmul(x, torch.transpose(y, 0, 1))"),
    ("identity(x) + 1", "float32[B, 4]", "x + 1"),
    ("float32(mask)", "float32[B, 4]", "mask.to(torch.float32)"),
    ("float32(x + y)", "float32[B, 4]", "x + y"),
    ("bool(x - y)", "bool[B, 4]", "(x - y).to(torch.bool)"),
    ("where(mask, x, 0.0)", "float32[B, 4]", "torch.where(mask, x, 0.0)"),
    ("where(x > 0, other=0, input=x)", "float32[B, 4]", "torch.where(x > 0, x, 0)"),
    ("clamp(x, 0, max=1)", "float32[B, 4]", "torch.clamp(x, min=0, max=1)"),
    ("einsum('bi,bj->ij', x, y)", "float32[4, 4]", 'torch.einsum("bi,bj->ij", x, y)'),
    ("rearrange(image, 'b c h w -> b (c h) w')", "float32[B, 3*H, W]", "image.flatten(1, 2)"),
    ("rearrange(x, 'b (c k) -> b k c', k=$k)", "float32[B, 2, 2]", "x.reshape(-1, 2, 2).permute(0, 2, 1)"),
    # indexing
    ("x[:, None]", "float32[B, 1, 4]", "x[:, None]"),
    ("x[:, None] - y[None, null]", "float32[1, B, B, 4]", "x[:, None] - y[None, None]"),
    ("(x + y)[:, 1]", "float32[B]", "(x + y)[:, 1]"),
    ("tanh(x)[:, -1]", "float32[B]", "torch.tanh(x)[:, -1]"),
    ("-x[:, 0] if $flat else x[:, $k]", "float32[B]", "x[:, 2]"),
    ("x[:, 1:]", "float32[B, 3]", "x[:, 1:]"),
    ("x[:, :-1]", "float32[B, 3]", "x[:, :-1]"),
    ("x[:, -3:-1]", "float32[B, 2]", "x[:, -3:-1]"),
    ("x[:, 1:4:2]", "float32[B, 2]", "x[:, 1:4:2]"),
    ("x[:, ::3]", "float32[B, 2]", "x[:, ::3]"),
    ("x[..., None]", "float32[B, 4, 1]", "x[..., None]"),
    ("image[..., 0]", "float32[B, 3, H]", "image[..., 0]"),
    ("image[0, ..., None, 0]", "float32[3, H, 1]", "image[0, ..., None, 0]"),
    ("image[0][1]", "float32[H, W]", "image[0][1]"),
    ("single[None]", "float32[1]", "single[None]"),
    ("tall[:, :, ::16]", "float32[B, 3, h, 8]", "tall[:, :, ::16]"),
    ("image[:, :, $(H - 1)]", "float32[B, 3, W]", "image[:, :, H - 1]"),
    ("image[:, :, :$H]", "float32[B, 3, H, W]", "image[:, :, :H]"),
    # index tensors: side by side they stay in place, else they come first; numbers are taken out before
    ("row[index]", "float32[7]", "row[index]"),
    ("x[:, grid]", "float32[B, 2, 7]", "x[:, grid]"),
    ("cube[grid]", "float32[2, 7, 4, 5]", "cube[grid]"),
    ("cube[small]", "float32[7, 4, 5]", "cube[small]"),
    ("cube[:, index, grid]", "float32[3, 2, 7]", "cube[:, index, grid]"),
    ("cube[index, :, grid]", "float32[2, 7, 4]", "cube[index, :, grid]"),
    ("image[:, index, :, grid]", "float32[2, 7, B, H]", "image[:, index, :, grid]"),
    ("cube[:, index, None, index]", "float32[7, 3, 1]", "cube[:, index, None, index]"),
    ("cube[index, None, :, grid]", "float32[2, 7, 1, 4]", "cube[index, None, :, grid]"),
    ("image[:, index, 0, index]", "float32[B, 7]", "image[:, index, 0, index]"),
    ("image[:, 0, index]", "float32[B, 7, W]", "image[:, 0, index]"),
    ("row[index + 1]", "float32[7]", "row[index + 1]"),
]


@pytest.mark.parametrize(("text", "type", "code"), GOOD)
def test_what_a_formula_gives(text: str, type: str, code: str) -> None:
    assert described(text)[:2] == (type, code)


REQUIRED: list[tuple[str, str, list[str]]] = [
    ("image[:, 1]", "float32[B, H, W]", []),
    ("image[:, :, 3]", "float32[B, 3, W]", ["H >= 4"]),
    ("image[:, :, -3]", "float32[B, 3, W]", ["H >= 3"]),
    ("image[:, :, 1:]", "float32[B, 3, H - 1, W]", ["H >= 2"]),
    ("image[:, :, :-2]", "float32[B, 3, H - 2, W]", ["H >= 2", "H >= 3"]),
    ("image[:, :, 1:-1, ::2]", "float32[B, 3, H - 2, (W + 1)//2]", ["H >= 3"]),
    ("image[:, :, :8]", "float32[B, 3, 8, W]", ["H >= 8"]),
    ("image[:, :, -8:]", "float32[B, 3, 8, W]", ["H >= 8"]),
    ("image[:, :, :$(H - 4)]", "float32[B, 3, H - 4, W]", ["H >= 4", "H >= 5"]),
    ("tall[:, :, :16]", "float32[B, 3, 16, 8]", []),
]


@pytest.mark.parametrize(("text", "type", "requirements"), REQUIRED)
def test_what_an_index_asks_of_sizes(text: str, type: str, requirements: list[str]) -> None:
    found = described(text)
    assert (found[0], found[2]) == (type, requirements)


Problem = tuple[str, str, str, str | None]
"""Code, message, the characters to blame, help."""

_AS_ITSELF = "where a number is wanted it is written as it is, with `$`"

BAD: list[tuple[str, list[Problem]]] = [
    # references and variables
    ("x + head", [("SB0301", "`head` comes later; a node can read earlier nodes only", "head", "move it up, or read another node")]),
    ("x + n", [("SB0301", "no node or input is called `n`", "n", "the variable is written `$n`")]),
    ("x + layer", [("SB0301", "no node or input is called `layer`", "layer", "did you mean `layers`?")]),
    ("top.vals * 2", [("SB0303", "`top` has no output `vals`", "top.vals", "did you mean `values`?")]),
    ("x * $m", [("SB0501", "unknown name `m`", "m", "give it a value: `vars: {m: ...}`")]),
    ("x * $rat", [("SB0501", "unknown name `rat`", "rat", "did you mean `rate`?")]),
    ("x * $(1 / 0)", [("SB0501", "division by zero", "1 / 0", None)]),
    ("layers.$rate", [("SB0501", "in a reference stands a name or a whole number, but this is the number 0.5", "$rate", None)]),
    # all mistakes at once, in the order of the text; what depends on one stays quiet
    (
        "foo(x) + tnah(y) * $m + bar",
        [
            ("SB0205", "unknown function `foo`", "foo", "`specbuilder kinds` lists what there is"),
            ("SB0205", "unknown function `tnah`", "tnah", "did you mean `tanh`?"),
            ("SB0501", "unknown name `m`", "m", "give it a value: `vars: {m: ...}`"),
            ("SB0301", "no node or input is called `bar`", "bar", None),
        ],
    ),
    ("broken + 1", []),
    ("sum(broken, dims=9)", []),
    ("x * $undefined", []),
    ("x[$undefined:]", []),
    ("broken + foo(x)", [("SB0205", "unknown function `foo`", "foo", "`specbuilder kinds` lists what there is")]),
    # what gives no tensor
    ("$n + 1", [("SB0501", "a formula gives a tensor, but this is the number 8", "$n + 1", _AS_ITSELF)]),
    ("$unit", [("SB0501", "a formula gives a tensor, but this is `'x'`", "$unit", _AS_ITSELF)]),
    ("layers.*", [("SB0501", "a formula gives a tensor, but this is a list of 3 tensors", "layers.*", "join them, with `concat` or `stack`")]),
    # operators
    ("x + true", [("SB0501", "`+` wants a tensor or a number here, but this is `true`", "true", None)]),
    ("x + $unit", [("SB0501", "`+` wants a tensor or a number here, but this is `'x'`", "$unit", None)]),
    ("x * $dims", [("SB0501", "`*` wants a tensor or a number here, but this is a list", "$dims", None)]),
    (
        "x + layers.*",
        [("SB0303", "`+` wants a tensor or a number here, but this is a list of 3 tensors", "layers.*", "`add(...)` takes lists")],
    ),
    (
        "x - layers.*",
        [("SB0303", "`-` wants a tensor or a number here, but this is a list of 3 tensors", "layers.*", "name one of them, such as `layers.0`")],
    ),
    ("mask and $deep", [("SB0501", "`and` wants a tensor here, but this is `true`", "$deep", None)]),
    ("image + x", [("SB0401", "`+` wants equal shapes, found [B, 3, H, W] and [B, 4]", "x", None)]),
    ("whole + tanh(row[None] + mean)", [("SB0401", "`+` wants equal sizes on axis 1, found 4 and 20", "mean", None)]),
    (
        "x + image[:, 0, 0, :]",
        [
            (
                "SB0401",
                "`+` wants equal sizes on axis 1, but cannot prove that `4` equals `W` (not for W = 1)",
                "image[:, 0, 0, :]",
                "declare 4 instead of `W` in the input",
            )
        ],
    ),
    (
        "mask + mask",
        [
            (
                "SB0501",
                "`+` of two booleans is not a sum: torch would make it a logical or",
                "mask + mask",
                "use `logical_or` for a union, or convert with `cast` to count",
            )
        ],
    ),
    ("1 - mask", [("SB0501", "`-` wants numbers, but bool arrives", "1 - mask", None)]),
    ("300 - bytes", [("SB0501", "`-` gives uint8, which cannot hold 300", "300", None)]),
    ("x / 0", [("SB0401", "`/` cannot divide by 0", "0", None)]),
    (
        "x if mask else y",
        [
            (
                "SB0505",
                "the condition of `if` must be known when the network is built, but this is a tensor, bool[B, 4]",
                "mask",
                "`where(condition, a, b)` chooses for each element",
            )
        ],
    ),
    ("x if $H > 8 else y", [("SB0501", "cannot decide `H > 8` for every H", "$H > 8", None)]),
    ("0 < x < 1", [("SB0501", "a chain of comparisons has one answer, and tensors have many", "0 < x < 1", "write `a < b and b < c`")]),
    ("x in layers.*", [("SB0501", "`in` looks into lists and texts that are known, not into tensors", "x in layers.*", None)]),
    (
        "~whole",
        [("SB0501", "`~` wants booleans, but int64 arrives", "whole", "`x == 0` compares, and `not x` is true where x is 0")],
    ),
    # calls
    ("float(x)", [("SB0205", "unknown function `float`", "float", "did you mean `float32`?")]),
    ("max(x, 1)", [("SB0205", "unknown function `max`", "max", "did you mean `amax`?")]),
    ("x * len(3)", [("SB0205", "unknown function `len`", "len", "numbers are computed within `$`: `$(len(...))`")]),
    ("mse_loss(x, y)", [("SB0205", "unknown function `mse_loss`", "mse_loss", "`mse_loss` is a loss; it belongs to `train.loss`")]),
    (
        "linear(x, 4)",
        [
            (
                "SB0303",
                "`linear` has weights or a state, and a formula calls functions only",
                "linear",
                "make it a node of its own with a `name`, and write that name here",
            )
        ],
    ),
    ("tanh()", [("SB0303", "`tanh` wants a tensor as its `input`", "tanh", None)]),
    ("tanh(3)", [("SB0303", "`tanh` wants a tensor here, but this is the number 3", "3", None)]),
    ("x * sum(3)", [("SB0303", "`sum` wants a tensor here, but this is the number 3", "3", "numbers are computed within `$`: `$(sum(...))`")]),
    ("tanh(x, y)", [("SB0201", "`tanh` takes 1 argument, but 2 are given", "y", None)]),
    (
        "tanh(layers.*)",
        [
            (
                "SB0303",
                "`tanh` takes one tensor here, but this is a list of 3 tensors",
                "layers.*",
                "name one of them, or join them with `concat` or `stack`",
            )
        ],
    ),
    ("sum(x, dims=1)", [("SB0201", "`sum` has no argument `dims`", "dims", "did you mean `dim`?")]),
    ("sum(x, size=1)", [("SB0201", "`sum` has no argument `size`", "size", "its arguments are `dim`, `keepdim`, `input`")]),
    ("sum(x, 1, dim=1)", [("SB0201", "`dim` of `sum` is given twice", "dim", None)]),
    ("sum(x, y)", [("SB0505", "`dim` of `sum` must be known when the network is built, but this is a tensor, float32[B, 4]", "y", None)]),
    ("sum(x, $H)", [("SB0505", "`dim` must be known when the network is built, but `H` depends on what arrives", "$H", None)]),
    ("sum(x, 1.5)", [("SB0203", "`dim` wants an integer or a list of integers, but this is 1.5", "1.5", None)]),
    ("sum(x, (0, 1.5))", [("SB0203", "`dim` wants an integer or a list of integers, but this is 1.5", "1.5", None)]),
    ("sum(x + y, dim=5)", [("SB0401", "`sum` has no axis 5 in [B, 4]: axes run from -2 to 1", "5", None)]),
    ("softmax(x)", [("SB0202", "`softmax` needs `dim`", "softmax", "add `dim`: an integer")]),
    ("mean(whole)", [("SB0501", "`mean` wants floating-point numbers, but int64 arrives", "mean", "convert it: `float32(...)`")]),
    ("concat(x, 1)", [("SB0401", "`concat` wants at least two tensors, but one arrives", "concat", None)]),
    ("concat([x, row], 1)", [("SB0401", "`concat` wants equal ranks, found [B, 4] and [4]", "row", None)]),
    ("concat([x, 3], 1)", [("SB0501", "a list holds tensors or values, not both: this is the number 3", "3", None)]),
    ("einsum('bi,bj->iq', x, y)", [("SB0204", "`equation`: no operand has `q`, which the result has", "iq", None)]),
    (
        "rearrange(image, 'b c (h k) w -> b c h k w', k=$k)",
        [
            (
                "SB0401",
                "`rearrange` cannot split axis 2, which is `H`, into `(h k)`: that it divides by 2 cannot be proved",
                "(h k)",
                "declare `2*h` instead of `H` in the input",
            )
        ],
    ),
    (
        "rearrange(image, $unit)",
        [("SB0204", "`pattern`: a pattern has two sides, such as `b c h w -> b (c h w)`, but here is no `->`", "$unit", None)],
    ),
    ("one_hot(whole, $H)", [("SB0505", "`num_classes` must be known when the network is built, but `H` depends on what arrives", "$H", None)]),
    (
        "topk(x, 2)",
        [
            (
                "SB0303",
                "`topk` gives several tensors, `values` and `indices`, and a formula has no name for them",
                "topk",
                "make it a node of its own with a `name`, and write `name.values`",
            )
        ],
    ),
    (
        "unbind(x, 1)",
        [
            (
                "SB0303",
                "`unbind` gives a list of tensors, and a formula has no name for them",
                "unbind",
                "make it a node of its own with a `name`, and write `name.0`",
            )
        ],
    ),
    ("where(x, y, 0.0)", [("SB0501", "`where` wants true and false at `condition`, but float32 arrives", "x", "compare it: `x > 0`")]),
    ("exp(whole)", [("SB0501", "`exp` wants floating-point numbers, but int64 arrives", "exp", "convert it: `float32(...)`")]),
    ("abs(mask)", [("SB0501", "`abs` wants numbers, but bool arrives", "abs", "convert it with `float32(...)`")]),
    # indexing
    ("x[0, 0, 0]", [("SB0401", "[B, 4] has 2 axes, but this index names 3", "0", None)]),
    ("single[0]", [("SB0401", "[] has no axes, but this index names 1", "0", None)]),
    ("x[..., ...]", [("SB0401", "an index has one `...` at most", "...", None)]),
    ("x[:, 4]", [("SB0402", "there is no place 4 on axis 1 of [B, 4]", "4", None)]),
    ("x[:, -5]", [("SB0402", "there is no place -5 on axis 1 of [B, 4]", "-5", None)]),
    ("x[:, :5]", [("SB0402", "`:5` goes beyond the last place on axis 1 of [B, 4]", ":5", None)]),
    ("x[:, -5:]", [("SB0402", "`-5:` begins before the first place on axis 1 of [B, 4]", "-5:", None)]),
    ("x[:, 2:2]", [("SB0402", "`2:2` leaves nothing on axis 1 of [B, 4]", "2:2", None)]),
    ("image[:, :, $H]", [("SB0402", "there is no place H on axis 2 of [B, 3, H, W]", "$H", None)]),
    (
        "x[:, ::-1]",
        [
            (
                "SB0401",
                "a step must be at least 1, but this is -1, on axis 1 of [B, 4]",
                "::-1",
                "`flip` turns an axis round, where the catalogue has it",
            )
        ],
    ),
    ("x[:, ::$H]", [("SB0505", "the step of a slice must be known when the network is built, but this is `H`", "::$H", None)]),
    (
        "x[0.5]",
        [("SB0501", "an index is a whole number, a slice, `null` or a tensor of whole numbers, but this is the number 0.5", "0.5", None)],
    ),
    ("x[true]", [("SB0501", "an index is a whole number, a slice, `null` or a tensor of whole numbers, but this is `true`", "true", None)]),
    ("x[[0, 1]]", [("SB0501", "an index is a whole number, a slice, `null` or a tensor of whole numbers, but this is a list", "[0, 1]", None)]),
    (
        "x[:, x:]",
        [
            (
                "SB0501",
                "a slice is made of whole numbers that are known when the network is built, but this is a tensor, float32[B, 4]",
                "x",
                None,
            )
        ],
    ),
    (
        "x[mask]",
        [
            (
                "SB0501",
                "an index of bool leaves a size that is known only at run time",
                "mask",
                "`where(mask, x, 0.0)` keeps the shape; an index that is meant is converted: `int64(...)`",
            )
        ],
    ),
    ("x[tiny]", [("SB0501", "an index is a tensor of int64 or int32, but int8 arrives", "tiny", "convert it: `int64(...)`")]),
    (
        "x[place]",
        [
            (
                "SB0401",
                "an index that is a single number would have to be waited for at run time",
                "place",
                "give it an axis, `i[None]`, or a number that is known: `$i`",
            )
        ],
    ),
    ("cube[index, grid[:, :2]]", [("SB0401", "index tensors must stretch to one shape, found [7] and [2, 2]", "grid[:, :2]", None)]),
    ("$dims[0] * x", [("SB0501", "only a tensor takes an index here, but this is a list", "$dims", "an index goes inside: `$(x[...])`")]),
    (
        "layers.*[0]",
        [("SB0303", "an index goes into one tensor, but this is a list of 3 tensors", "layers.*", "name one of them, such as `layers.0`")],
    ),
    # a formula is one expression, which Python and whoever emits it must be able to walk
    (
        "x" + " - y + y" * 40,
        [
            (
                "SB0601",
                "a formula applies at most 64 operations to one tensor",
                "x" + " - y + y" * 32 + " - y",
                "make a part of it a node of its own with a `name`",
            )
        ],
    ),
]


@pytest.mark.parametrize(("text", "problems"), BAD, ids=[text[:60] for text, _ in BAD])
def test_what_is_said_of_a_formula_that_is_wrong(text: str, problems: list[Problem]) -> None:
    with pytest.raises(FormulaProblems) as caught:
        computed(text)
    assert [(each.code, each.message, text[each.start : each.end], each.help) for each in caught.value.problems] == problems


@pytest.mark.parametrize(
    ("text", "blamed"),
    [("x + image", "image"), ("mean(tanh(y) * whole - whole, 7)", "y"), ("x[:, 9]", "x"), ("x[mask]", "mask"), ("x + head", None)],
)
def test_the_tensor_to_blame_is_the_first_that_arrives_there(text: str, blamed: str | None) -> None:
    with pytest.raises(FormulaProblems) as caught:
        computed(text)
    (problem,) = caught.value.problems
    assert (problem.value.name if problem.value is not None else None) == blamed


def test_a_later_node_is_shown() -> None:
    with pytest.raises(FormulaProblems) as caught:
        computed("x + head")
    assert caught.value.problems[0].related == (HERE, "`head` stands here")


# The formulas of the drafts ------------------------------------------------------------------------------------------

DRAFTS: list[tuple[str, dict[str, str], dict[str, Any], str, str]] = [
    # vae
    (
        "mean + exp(0.5 * log_var) * randn_like(mean)",
        {"mean": "float32[B, 20]", "log_var": "float32[B, 20]"},
        {},
        "float32[B, 20]",
        "mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)",
    ),
    # convnext
    (
        "prev * layer_scale",
        {"prev": "float32[B, 96, 8*h, 8*w]", "layer_scale": "float32[96, 1, 1]"},
        {},
        "float32[B, 96, 8*h, 8*w]",
        "prev * layer_scale",
    ),
    # bert_mean
    ("~attention_mask", {"attention_mask": "bool[B, T]"}, {}, "bool[B, T]", "~attention_mask"),
    (
        "float32(attention_mask)[:, :, None]",
        {"attention_mask": "bool[B, T]"},
        {},
        "float32[B, T, 1]",
        "attention_mask.to(torch.float32)[:, :, None]",
    ),
    (
        "sum(layer * weight, 1) / clamp(sum(weight, 1), min=1)",
        {"layer": "float32[B, T, 768]", "weight": "float32[B, T, 1]"},
        {},
        "float32[B, 768]",
        "torch.sum(layer * weight, 1) / torch.clamp(torch.sum(weight, 1), min=1)",
    ),
    # diffusion_unet
    (
        "exp(arange($(width // 2)) * $(-log(10000) / (width // 2 - 1)))",
        {},
        {"width": 128},
        "float32[64]",
        "torch.exp(torch.arange(64, device=device) * -0.14619587892025687)",
    ),
    ("float32(input)[:, None] * f", {"input": "int64[B]", "f": "float32[64]"}, {}, "float32[B, 64]", "input.to(torch.float32)[:, None] * f"),
    (
        "concat(sin(angle), cos(angle), dim=1)",
        {"angle": "float32[B, 64]"},
        {},
        "float32[B, 128]",
        "torch.cat((torch.sin(angle), torch.cos(angle)), 1)",
    ),
    (
        "first + prev[:, :, None, None]",
        {"first": "float32[B, 256, h, w]", "prev": "float32[B, 256]"},
        {},
        "float32[B, 256, h, w]",
        "first + prev[:, :, None, None]",
    ),
    # moe
    ("one_hot(top.indices, $experts)", {"top.indices": "int64[B, T, 2]"}, {"experts": 8}, "int64[B, T, 2, 8]", "F.one_hot(top_indices, 8)"),
    (
        "einsum('bted,btke,btk->btd', expert, float32(hot), top.values / sum(top.values, -1, True))",
        {"expert": "float32[B, T, 8, 512]", "hot": "int64[B, T, 2, 8]", "top.values": "float32[B, T, 2]"},
        {},
        "float32[B, T, 512]",
        'torch.einsum("bted,btke,btk->btd", expert, hot.to(torch.float32), top_values / torch.sum(top_values, -1, keepdim=True))',
    ),
    (
        "$experts * sum(mean(chance, (0, 1)) * mean(float32(hot), (0, 1, 2)))",
        {"chance": "float32[B, T, 8]", "hot": "int64[B, T, 2, 8]"},
        {"experts": 8},
        "float32[]",
        "8 * torch.sum(torch.mean(chance, (0, 1)) * torch.mean(hot.to(torch.float32), (0, 1, 2)))",
    ),
    # swin
    ("arange($n)", {}, {"n": 7}, "int64[7]", "torch.arange(7, device=device)"),
    ("(a[:, None] - a + $(n - 1))", {"a": "int64[7]"}, {"n": 7}, "int64[7, 7]", "a[:, None] - a + 6"),
    (
        "flatten($far * offset[:, None, :, None] + offset[None, :, None, :], 0)",
        {"offset": "int64[7, 7]"},
        {"far": 13},
        "int64[2401]",
        "torch.flatten(13 * offset[:, None, :, None] + offset[None, :, None, :], 0)",
    ),
    (
        "relative_position_bias_table[index]",
        {"relative_position_bias_table": "float32[169, 3]", "index": "int64[2401]"},
        {},
        "float32[2401, 3]",
        "relative_position_bias_table[index]",
    ),
    ("arange($H)", {}, {"H": 56}, "int64[56]", "torch.arange(56, device=device)"),
    (
        "int64(r >= $(H - window)) + int64(r >= $(H - shift))",
        {"r": "int64[56]"},
        {"H": 56, "window": 7, "shift": 3},
        "int64[56]",
        "(r >= 49).to(torch.int64) + (r >= 53).to(torch.int64)",
    ),
    ("3 * region[:, None] + region", {"region": "int64[56]"}, {}, "int64[56, 56]", "3 * region[:, None] + region"),
    (
        "bias + where(ids[:, None, :, None] == ids[:, None, None, :], 0.0, -100.0)",
        {"bias": "float32[3, 49, 49]", "ids": "int64[64, 49]"},
        {},
        "float32[64, 3, 49, 49]",
        "bias + torch.where(ids[:, None, :, None] == ids[:, None, None, :], 0.0, -100.0)",
    ),
    # a size that stays a name
    ("arange($T)[None]", {}, {"T": symbol("T")}, "int64[1, T]", "torch.arange(T, device=device)[None]"),
]


@pytest.mark.parametrize(("text", "arriving", "known", "type", "code"), DRAFTS, ids=[row[0] for row in DRAFTS])
def test_formulas_of_the_drafts(text: str, arriving: dict[str, str], known: dict[str, Any], type: str, code: str) -> None:
    values = {name: (value(name, each),) for name, each in arriving.items()}
    found = compute(parse_formula(text), tensors=values.__getitem__, statics=known.__getitem__, known=known)
    assert (str(found.type), emitted(found)) == (type, code)


# The node ------------------------------------------------------------------------------------------------------------


def test_each_distinct_tensor_arrives_once_in_the_order_of_the_text() -> None:
    found = computed("y * x + y[:, 0:] - prev")
    assert [arriving.name for arriving in found.arrivals] == ["y", "x"]
    assert [port.name for port in found.ports] == ["y", "x"]
    assert emitted(found) == "y * x + y[:, 0:] - x"


def test_the_node_of_a_formula_answers_what_was_computed() -> None:
    found = computed("matmul(image[0, 0], transpose(image[0, 1], 0, 1)) * 0.5")
    kind = Computation(found)
    node = GraphNode(
        path=("half",), kind=kind, inputs=found.arrivals, outputs=(Value(("half",), found.type),), span=HERE, is_named=True, source=found.source
    )
    assert (kind.kind, str(kind.infer(*node.types)), str(kind.flops(*node.types))) == ("compute", "float32[H, H]", "2*H**2*W")
    assert kind.source(*node.types) is found.source
    assert [port.name for port in kind.inputs] == ["image"]
    assert (kind.parameters(*node.types), kind.helpers) == ({}, ())


def test_the_node_is_emitted_and_counted_as_any_other() -> None:
    x = value("x", "float32[B, T]")
    found = compute(
        parse_formula("1 - matmul(x[None], transpose(x, 0, 1)) / $(T - 1)"),
        tensors={"x": (x,)}.__getitem__,
        statics={"T": symbol("T")}.__getitem__,
        known=(),
    )
    out = Value(("out",), found.type)
    node = GraphNode(("out",), Computation(found), found.arrivals, (out,), HERE, is_named=True, source=found.source)
    graph = TypedGraph("tiny", "", (x,), (node,), (node,), {"out": out}, found.requirements)
    text = emit_model(graph, "a.yaml", "0").text
    assert "        out = 1 - torch.matmul(x[None], torch.transpose(x, 0, 1)) / (x.shape[1] - 1)  # float32[1, B, B]\n" in text
    report = count(graph, Diagnostics())
    assert report is not None
    (row,) = report.rows
    assert (row.path, row.kind, str(row.flops)) == ("out", "compute", "2*T")


def test_a_long_chain_is_one_expression() -> None:
    text = " + ".join(["x"] * 400)
    assert described(text)[:2] == ("float32[B, 4]", text)


def test_every_operator_is_a_kind() -> None:
    missing = {sign: name for sign, name in (OPERATORS | PREFIXES).items() if lookup.find("node", name) is None}
    assert missing == {}
