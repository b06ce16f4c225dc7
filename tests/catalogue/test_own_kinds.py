"""Kinds that users write in Python: what a file of them may say, what it comes to, and what is said when it is wrong.

Tables of files and of whole messages. Torch is the witness: each right kind is built and run, and what leaves must be what was said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from specbuilder.api import Spec, explain_value, load, load_run, parse
from specbuilder.catalogue import lookup, own, own_class
from specbuilder.catalogue.own_class import forget
from specbuilder.diagnostics import SpecError, UsageError, render_all
from specbuilder.emit.load import load as load_source
from specbuilder.language.schema import make_schema
from specbuilder.language.settings import STRUCTURAL
from specbuilder.language.vocabulary import CONSTRUCTS
from specbuilder.shapes import evaluate
from specbuilder.testing import check_kind

ROOT = Path(__file__).parent.parent.parent
HEAD = """
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from specbuilder.kinds import *

"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in; the kinds of a test end with it."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for module in [name for name in sys.modules if name.startswith("own_kinds_")]:
        forget(module)
        del sys.modules[module]


def module(arguments: str, made: str, left: str) -> str:
    """The text of an nn.Module `M`."""
    init = f"    def __init__(self{arguments and ', '}{arguments}) -> None:\n        super().__init__()\n"
    lines = "".join(f"        {line}\n" for line in made.split("; ") if line)
    return f"class M(nn.Module):\n{init}{lines}    def forward(self, x: Tensor):\n        {left}\n\n"


MINE = '@layer("mine", primary="k")\nclass Mine(Layer):\n    """A kind of mine."""\n    k: PositiveInt = 3\n    module = M\n'


def spec(given: str, *nodes: str) -> str:
    return "\n".join(["specbuilder: 1", "name: net", "model:", "  inputs:", f'    x: "{given}"', "  nodes:", *(f"    {node}" for node in nodes), ""])


def loaded(text: str, given: str, *nodes: str, head: str = HEAD) -> Spec:
    Path("k.py").write_text(head + text, encoding="utf-8")
    own.load_kinds(["k.py"])
    return parse(spec(given, *nodes))


# Right kinds ---------------------------------------------------------------------------------------------------------


class Right(NamedTuple):
    """A file, what arrives, a node; what leaves and how many parameters there are, counted by hand."""

    text: str
    given: str
    node: str
    gives: tuple[str, ...]
    parameters: int = 0


CONVOLUTION = module("k: int, channels: int", "self.w = nn.Conv2d(channels, 8, k, stride=2, padding=1)", "return self.w(x)") + MINE
GATE = 'def gate(x: Tensor, other: Tensor, power: float) -> Tensor:\n    return x * other.sigmoid() ** power\n\n@function("mine", primary="power")\n'

RIGHT = {
    "convolution, channels from what arrives": Right(
        CONVOLUTION + '    takes = "[B, channels, H, W]"\n', "float32[B, 4, H, W]", "- mine: 5", ("float32[B, 8, (H - 1)//2, (W - 1)//2]",), 808
    ),
    "sizes of the input that are multiples": Right(
        CONVOLUTION + '    takes = "[B, channels, H, W]"\n', "float32[B, 4, 16*h, 8*w]", "- mine", ("float32[B, 8, 8*h, 4*w]",), 4 * 8 * 9 + 8
    ),
    "several outputs, products of sizes": Right(
        module("k: int", "", "return x.flatten(2), x.flatten(0, 1).flatten(1)") + MINE,
        "float32[B, 4, H, W]",
        "- mine",
        ("float32[B, 4, H*W]", "float32[4*B, H*W]"),
    ),
    "sums of sizes": Right(
        module("k: int", "", "return torch.cat([x, x.transpose(1, 2)], 1).new_zeros(x.shape[1] + x.shape[2] + 1)") + MINE.replace("k:", "k:"),
        "float32[3, T, T]",
        "- mine",
        ("float32[2*T + 1]",),
    ),
    "two symbols that add up": Right(
        module("k: int", "", "return x.new_zeros(x.shape[0] + x.shape[1] + 1)") + MINE, "float32[S, T]", "- mine", ("float32[S + T + 1]",)
    ),
    "another dtype": Right(module("k: int", "", "return x.argmax(-1)") + MINE, "float32[B, 7]", "- mine", ("int64[B]",)),
    "norm, embedding, bias, buffer": Right(
        module(
            "k: int",
            "self.norm = nn.LayerNorm(4); self.table = nn.Embedding(5, 4); self.scale = nn.Parameter(torch.ones(4)); "
            'self.out_bias = nn.Parameter(torch.zeros(4)); self.register_buffer("mean", torch.zeros(2)); '
            'self.register_buffer("cache", torch.zeros(2), persistent=False)',
            "return self.norm(x) * self.scale + self.out_bias",
        )
        + MINE,
        "float32[B, 4]",
        "- mine",
        ("float32[B, 4]",),
        8 + 20 + 4 + 4,
    ),
    "a class of torch": Right(
        '@layer("mine", primary="upscale_factor")\nclass Mine(Layer):\n    upscale_factor: PositiveInt\n    module = nn.PixelShuffle\n',
        "float32[B, 12, H, W]",
        "- mine: 2",
        ("float32[B, 3, 2*H, 2*W]",),
    ),
    "a function of torch": Right(
        '@function("mine")\nclass Mine(Function):\n    function = F.hardtanh\n', "float32[B, 4]", "- mine", ("float32[B, 4]",)
    ),
    "a rule of one's own": Right(
        '@function("mine", primary="times")\nclass Mine(Function):\n    times: PositiveInt\n'
        "    def infer(self, x: TensorType) -> TensorType:\n        return x.with_shape((*x.shape[:-1], self.times * x.shape[-1]))\n"
        '    def source(self, x: TensorType) -> Call:\n        return call("torch.cat", (Input(),) * self.times, dim=-1)\n',
        "float32[B, T]",
        "- mine: 3",
        ("float32[B, 3*T]",),
    ),
}


@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT)
def test_kind_gives_what_torch_gives(case: Right) -> None:
    found = loaded(case.text, case.given, case.node)
    node = found.graph.nodes[0]
    assert tuple(str(value.type) for value in node.outputs) == case.gives
    assert found.report.parameters == case.parameters
    made = found.build()
    assert {name: tuple(each.shape) for name, each in made.state_dict().items()} == {
        node.key(name): each.shape for name, each in (*node.parameters.items(), *node.buffers.items())
    }
    for first in (7, 12, 40):
        (given,) = found.graph.input_types.values()
        sizes = {name: first + 3 * at for at, name in enumerate(sorted(given.symbols))}
        left = made(torch.zeros([evaluate(size, sizes) for size in given.shape]))
        (said,) = [value.type for value in found.graph.outputs.values()]
        assert said is not None
        assert list(left.shape) == [evaluate(size, sizes) for size in said.shape]
        assert str(left.dtype) == f"torch.{said.dtype}"


def test_roles_are_told_by_names_and_owners() -> None:
    found = loaded(RIGHT["norm, embedding, bias, buffer"].text, "float32[B, 4]", "- mine")
    assert {name: each.role for name, each in found.graph.nodes[0].parameters.items()} == {
        "scale": "free",
        "out_bias": "bias",
        "norm.weight": "norm",
        "norm.bias": "norm",
        "table.weight": "embedding",
    }


def test_kind_is_repeated_computed_and_wired_as_any_other() -> None:
    text = GATE + "class Mine(Function):\n    power: float = 2.0\n    function = gate\n"
    found = loaded(
        text,
        "float32[B, 4]",
        "- relu",
        "- mine: $(1.0 + 0.5)",
        "  name: gate",
        "  from: {x: x, other: relu}",
        "- mine:",
        "  from: [x, gate]",
        "  repeat: 2",
    )
    assert found.source.partition("def forward")[2] == (
        "(self, x: Tensor) -> Tensor:\n"
        "        # x: float32[B, 4]\n"
        "        h = F.relu(x)  # float32[B, 4]\n"
        "        gate_ = gate(x, h, power=1.5)  # float32[B, 4]\n"
        "        x = gate(x, gate_, power=2.0)  # float32[B, 4]\n"
        "        x = gate(x, gate_, power=2.0)  # float32[B, 4]\n"
        "        return x\n"
    )
    x = torch.randn(3, 4)
    gate = x * x.relu().sigmoid() ** 1.5
    expected = x * gate.sigmoid() ** 2 * gate.sigmoid() ** 2
    assert torch.allclose(found.build()(x), expected)


def test_field_errors_are_those_of_any_kind() -> None:
    text = module("k: int", "", "return x") + MINE
    with pytest.raises(SpecError) as caught:
        loaded(text, "float32[B, 4]", "- mine: 0", "- mine: {kay: 3}", "- mien")
    assert [(found.code, found.message, found.help) for found in caught.value.diagnostics] == [
        ("SB0204", "`k` wants a positive integer, but this is 0", None),
        ("SB0201", "`mine` has no field `kay`", "its fields are `k`"),
        ("SB0205", "unknown kind of node `mien`", "did you mean `mine` or `mean`?"),
    ]


def test_emitted_file_brings_all_that_the_class_needs_and_nothing_of_ours(folder: Path) -> None:
    text = (
        "EPS = 1e-5\n\n\ndef root(x: Tensor) -> Tensor:\n    return (x + EPS) ** 0.5  # of EPS\n\n\nclass Base(nn.Module):\n    turns = math.pi\n\n\n"
        + module("k: int", "", "return root(x.abs()) * self.turns").replace("M(nn.Module)", "M(Base)")
        + MINE
    )
    found = loaded(text, "float32[B, 4]", "- mine", "- mine")
    assert found.source.partition("class Net")[0].partition("\n\n")[2] == (
        "import math\nfrom torch import Tensor, nn\n\n\n"
        "EPS = 1e-5\n\n\ndef root(x: Tensor) -> Tensor:\n    return (x + EPS) ** 0.5  # of EPS\n\n\nclass Base(nn.Module):\n    turns = math.pi\n\n\n"
        "class M(Base):\n    def __init__(self, k: int) -> None:\n        super().__init__()\n    def forward(self, x: Tensor):\n"
        "        return root(x.abs()) * self.turns\n\n\n"
    )
    assert "specbuilder" not in found.source.partition("\n")[2]
    made = vars(load_source(found.source, "test"))["Net"]()
    assert made(torch.ones(1, 4)).tolist() == [
        [pytest.approx((1 + 1e-5) ** 0.25 * 0 + ((((1 + 1e-5) ** 0.5) * 3.141592653589793) + 1e-5) ** 0.5 * 3.141592653589793)] * 4
    ]


def test_class_may_be_imported_by_the_model_or_pasted_from_another_file(folder: Path) -> None:
    Path("parts.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Twice(nn.Module):\n    def forward(self, x):\n        return 2 * x\n", encoding="utf-8"
    )
    kinds = 'from specbuilder.kinds import Layer, layer\n@layer("{0}")\nclass K(Layer):\n    module = "{1}"\n'
    Path("a.py").write_text(kinds.format("pasted", "parts.py:Twice"), encoding="utf-8")
    Path("b.py").write_text(kinds.format("imported", "torch.nn:Softsign"), encoding="utf-8")
    Path("net.yaml").write_text(spec("float32[B, 4]", "- pasted", "- imported"), encoding="utf-8")
    found = load("net.yaml", kinds=["a.py", "b.py"])
    assert found.source.partition("\n\n")[2].startswith(
        "from torch import Tensor, nn\nfrom torch.nn import Softsign\n\n\nclass Twice(nn.Module):\n    def forward(self, x):\n        return 2 * x\n"
    )
    x = torch.randn(2, 4)
    assert torch.equal(found.build()(x), nn.functional.softsign(2 * x))
    Path("parts.py").write_text(Path("parts.py").read_text(encoding="utf-8").replace("2 * x", "3 * x"), encoding="utf-8")
    assert torch.equal(load("net.yaml", kinds=["a.py", "b.py"]).build()(x), nn.functional.softsign(3 * x)), "a file that changed is read again"
    assert sorted(path.name for path in folder.iterdir()) == ["a.py", "b.py", "net.yaml", "parts.py"], "nothing is written beside it"


# Files that cannot be loaded -----------------------------------------------------------------------------------------

NUMPY = "import numpy as np\n" + module("k: int", "", "return x * np.pi") + MINE
IDENTITY = "    module = nn.Identity\n"

BAD_FILES: dict[str, tuple[str, str]] = {
    "raises": (
        "size = 1 // 0\n",
        (
            "error[SB0932]: k.py cannot be loaded: ZeroDivisionError: integer division or modulo by zero\n"
            " --> k.py:9:1\n  |\n9 | size = 1 // 0\n  | ^^^^^^^^^^^^^"
        ),
    ),
    "no Python": ("def f(:\n", "error[SB0932]: k.py cannot be loaded: SyntaxError: invalid syntax\n --> k.py:9:1\n  |\n9 | def f(:\n  | ^^^^^^^"),
    "missing import": (
        "import not_there\n",
        (
            "error[SB0932]: k.py cannot be loaded: ModuleNotFoundError: No module named 'not_there'\n"
            " --> k.py:9:1\n  |\n9 | import not_there\n  | ^^^^^^^^^^^^^^^^"
        ),
    ),
    "ends the process": (
        "raise SystemExit(3)\n",
        "error[SB0932]: k.py cannot be loaded: SystemExit: 3\n --> k.py:9:1\n  |\n9 | raise SystemExit(3)\n  | ^^^^^^^^^^^^^^^^^^^",
    ),
    "nothing in it": (
        "x = 1\n",
        (
            "error[SB0933]: k.py declares no kind\n"
            '  = help: declare one: `@layer("my_kind")` above a class that derives from `Layer`, both from specbuilder.kinds'
        ),
    ),
}

DECLARATIONS: dict[str, tuple[str, str, str | None]] = {
    "catalogue's name": (
        '@layer("linear")\nclass A(Layer):\n' + IDENTITY,
        "`linear` is a kind of the catalogue already",
        "give your kind another name",
    ),
    "no name": (
        '@layer("Mine")\nclass A(Layer):\n' + IDENTITY,
        "`Mine` is no name for a kind: small letters, digits and `_`, a letter first",
        "give the kind another name",
    ),
    "structural key": (
        '@layer("repeat")\nclass A(Layer):\n' + IDENTITY,
        "`repeat` already has a meaning in the language",
        "give the kind another name",
    ),
    "language's own": (
        '@layer("sequence")\nclass A(Layer):\n' + IDENTITY,
        "`sequence` already has a meaning in the language",
        "give the kind another name",
    ),
    "twice in a file": (
        '@layer("mine")\nclass A(Layer):\n' + IDENTITY + '@layer("mine")\nclass B(Layer):\n' + IDENTITY,
        "`mine` is declared twice, by A and by B",
        "give one of the two another name",
    ),
    "no rules": (
        '@function("mine")\nclass A(Function):\n    pass\n',
        "`mine` says neither what leaves it nor what code it becomes: it has no `infer` and `source`",
        "write `infer` and `source`, or give the function: `function = ...`",
    ),
    "function of a layer": (
        '@layer("mine")\nclass A(Layer):\n    function = F.relu\n',
        "`mine` is a Layer, which has no `function`",
        "write `class ...(Function)`, or `module = ...`",
    ),
    "field that is a rule": (
        '@layer("mine")\nclass A(Layer):\n    infer: int = 3\n' + IDENTITY,
        "`mine` cannot have a field `infer`: that name has a meaning of its own",
        "give the field another name",
    ),
    "field that is a key": (
        '@layer("mine")\nclass A(Layer):\n    repeat: int = 3\n' + IDENTITY,
        "`mine` cannot have a field `repeat`: that name has a meaning of its own",
        "give the field another name",
    ),
    "type of a field": (
        '@layer("mine")\nclass A(Layer):\n    sizes: list[int]\n' + IDENTITY,
        "the field `sizes` has the type list[int], which fields cannot have",
        "such as int, float, bool, str or tuple[int, int]",
    ),
    "default of a field": (
        '@layer("mine")\nclass A(Layer):\n    k: PositiveInt = 0\n' + IDENTITY,
        "the default of `k`, 0, does not fit its type",
        None,
    ),
    "primary field": (
        '@layer("mine", primary="size")\nclass A(Layer):\n    sise: int = 1\n' + IDENTITY,
        "the primary field of `mine` is `size`, but it has no such field",
        "its fields are `sise`",
    ),
    "argument from nowhere": (
        module("k: int, channels: int", "", "return x") + MINE,
        "`M` needs `channels`, which is neither a field of `mine` nor a size in `takes`",
        'add a field `channels: int`, or name the axis that tells it: `takes = "[B, channels, H, W]"`',
    ),
    "field that goes nowhere": (
        module("width: int", "", "return x") + MINE,
        "`M` takes no argument `k`, which `mine` would give it",
        "it takes width",
    ),
    "import that was not asked for": (
        NUMPY,
        "`M` uses `np`, so the model would need `import numpy as np`, which is neither torch's nor Python's own",
        'if it may, say so in the kind: `requires = ("import numpy as np",)`',
    ),
    "import of ours": (
        module("k: int", "", "return x if call else x") + MINE,
        "`M` uses `call`, which is not at the top level of k.py",
        'define it there, outside of any `if` or `try`, or ask for an import: `requires = ("import math",)`',
    ),
    "name that means torch's": (
        module("k: int", "", "return F(x)").replace("class M", "def F(x: Tensor) -> Tensor:\n    return x\n\n\nclass M") + MINE,
        "k.py calls something of its own `F`, which means `from torch.nn import functional as F` in a model",
        "rename it",
    ),
    "class of another package": (
        'from json import JSONDecoder\n@layer("mine")\nclass A(Layer):\n    module = JSONDecoder\n',
        "`JSONDecoder` comes from json.decoder, so it is not clear whether the model may import it",
        'write `module = "json.decoder:JSONDecoder"`, and the model imports it; or define it in the file of the kind, and it is pasted',
    ),
    "lambda": (
        '@function("mine")\nclass A(Function):\n    function = lambda x: x\n',
        "`A.<lambda>` cannot be pasted into a model",
        "define it at the top level of a file",
    ),
    "file that is not there": (
        '@layer("mine")\nclass A(Layer):\n    module = "parts.py:Twice"\n',
        "the source text of `mine` cannot be read from parts.py",
        "define the kind in a file",
    ),
    "no place": (
        '@layer("mine")\nclass A(Layer):\n    module = "Twice"\n',
        '`module = "Twice"` is neither `FILE.py:NAME` nor `PACKAGE.MODULE:NAME`',
        None,
    ),
    "takes no sizes": (
        '@layer("mine")\nclass A(Layer):\n    takes = "B, C"\n' + IDENTITY,
        "`takes` wants sizes in brackets, but this is `B, C`",
        'such as `takes = "[B, channels, H, W]"`',
    ),
    "takes no port": (
        '@layer("mine")\nclass A(Layer):\n    inputs = (Port("a"),)\n    takes = {"b": "[B]"}\n' + IDENTITY,
        "`takes` of `mine` speaks of `b`, which is no port",
        "its ports are `a`",
    ),
    "keeps no port": (
        '@layer("mine")\nclass A(Layer, Stateful):\n    keeps = ("hidden",)\n' + IDENTITY,
        "`mine` keeps `hidden`, which is no output port",
        "its outputs are `output`",
    ),
    "no later call": (
        '@layer("mine")\nclass A(Layer, Stateful):\n    def past(self, x, before):\n        return (x,)\n' + IDENTITY,
        "`mine` is stateful, and does not say what a later call is: it has no `infer_later` and `source_later`",
        None,
    ),
}


@pytest.mark.parametrize(("text", "said"), BAD_FILES.values(), ids=BAD_FILES)
def test_file_that_cannot_be_loaded_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(text, "float32[B, 4]", "- mine")
    assert render_all(caught.value.diagnostics) == said
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("text", "message", "help"), DECLARATIONS.values(), ids=DECLARATIONS)
def test_declaration_that_cannot_be_a_kind(text: str, message: str, help: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(text, "float32[B, 4]", "- mine")
    (found,) = caught.value.diagnostics
    assert (found.code, found.message, found.help) == ("SB0933", message, help)
    assert found.span is not None
    assert found.span.source.name == "k.py"
    assert "mine" not in lookup.names("node"), "nothing of a wrong file stays"


def test_two_files_may_not_declare_one_name_nor_paste_one_name() -> None:
    text = HEAD + module("k: int", "", "return x") + MINE
    Path("a.py").write_text(text, encoding="utf-8")
    Path("b.py").write_text(text, encoding="utf-8")
    Path("c.py").write_text(text.replace('"mine"', '"other"').replace("return x", "return -x"), encoding="utf-8")
    own.load_kinds(["a.py", "a.py"])
    with pytest.raises(UsageError, match=r"`mine` is declared twice: in a.py and in b.py"):
        own.load_kinds(["b.py"])
    with pytest.raises(UsageError, match="`other` and `mine` paste two different things called `M`"):
        own.load_kinds(["c.py"])
    assert lookup.find("node", "mine") is not None
    assert lookup.find("node", "other") is None


@pytest.mark.parametrize(
    ("name", "message", "help"),
    [("kk.py", "there is no file kk.py", "did you mean `k.py`?"), ("nope/kk.py", "there is no file nope/kk.py", None)],
)
def test_file_that_is_not_there(name: str, message: str, help: str | None) -> None:
    Path("k.py").touch()
    with pytest.raises(UsageError) as caught:
        own.load_kinds([name])
    assert [(found.code, found.message, found.help) for found in caught.value.diagnostics] == [("SB0931", message, help)]


# Nodes that are wrong ------------------------------------------------------------------------------------------------

RULE = '@function("mine", primary="k")\nclass Mine(Function):\n    k: int = 3\n    def infer(self, x):\n        {infer}\n    def source(self, x): return {source}\n'
FLOPS = "    def flops(self, x): return {}\n"
RELU = 'call("F.relu", Input())'

BAD_NODES: dict[str, tuple[str, str, str, str | None]] = {
    "infer raises": (
        RULE.format(infer="return x.shap", source=RELU),
        "SB0420",
        "`infer` of `mine` failed: AttributeError: 'TensorType' object has no attribute 'shap'",
        "raised at k.py:13: `return x.shap`",
    ),
    "infer returns no type": (
        RULE.format(infer="return 4", source=RELU),
        "SB0420",
        "`infer` of `mine` must return a TensorType, or a tuple of them, but returned 4",
        "see k.py:12",
    ),
    "source returns text": (
        RULE.format(infer="return x", source='"F.relu"'),
        "SB0420",
        "`source` of `mine` must return a Module, or a `call(...)`, but returned 'F.relu'",
        "see k.py:14",
    ),
    "flops raises": (
        RULE.format(infer="return x", source=RELU) + FLOPS.format("1 // 0"),
        "SB0420",
        "`flops` of `mine` failed: ZeroDivisionError: integer division or modulo by zero",
        "raised at k.py:15: `def flops(self, x): return 1 // 0`",
    ),
    "infer refuses": (RULE.format(infer='raise Refusal("no thanks", help="none")', source=RELU), "SB0401", "no thanks", "none"),
    "torch refuses": (
        module("k: int", "self.w = nn.Linear(k, 2)", "return self.w(x)") + MINE,
        "SB0421",
        "`mine` does not run on float32[B, 4, H]: a and b must have same reduction dim, but got [96, 32] X [3, 2].",
        "raised at k.py:14: `return self.w(x)`; tried at B = 24, H = 32",
    ),
    "torch refuses to make it": (
        module("k: int", 'self.w = nn.Conv2d(k, 2, 1, padding="some")', "return self.w(x)") + MINE,
        "SB0421",
        "`mine` cannot be made: ValueError: Invalid padding string 'some', should be one of {'valid', 'same'}",
        'raised at k.py:12: `self.w = nn.Conv2d(k, 2, 1, padding="some")`',
    ),
    "numbers are looked at": (
        module("k: int", "", "return x * x.sum().item()") + MINE,
        "SB0421",
        "`mine` does not run on float32[B, 4, H]: Tensor.item() cannot be called on meta tensors",
        "raised at k.py:13: `return x * x.sum().item()`; tried at B = 24, H = 32",
    ),
    "not for every size": (
        module("k: int", "", "return x.view(x.shape[0], 4, 2, -1)") + MINE,
        "SB0421",
        "`mine` does not run for every H: it does at H = 32, but not at H = 33: shape '[24, 4, 2, -1]' is invalid for input of size 3168",
        "declare a size that it can take: a number, or a multiple such as `8*H`, in the input",
    ),
    "axes that depend on sizes": (
        module("k: int", "", "return x if x.shape[0] % 2 else x.flatten(1)") + MINE,
        "SB0421",
        "the number of axes or the dtype of what leaves `mine` depends on B: float32[24, 128] and float32[25, 4, 32]",
        "it must be the same for all sizes",
    ),
    "no tensor leaves": (
        module("k: int", "", 'return {"a": x}') + MINE,
        "SB0421",
        "`mine` must return a tensor or a tuple of tensors, but returned dict",
        None,
    ),
    "other axes than it takes": (
        module("k: int, channels: int", "", "return x") + MINE + '    takes = "[B, channels]"\n',
        "SB0401",
        "`mine` wants [B, channels], but float32[B, 4, H] has 3 axes",
        None,
    ),
    "another dtype than it takes": (
        module("k: int", "", "return x") + MINE + '    takes = "int64[...]"\n',
        "SB0501",
        "`mine` wants int64, but float32 arrives",
        None,
    ),
    "argument that is not fixed": (
        module("k: int, width: int", "", "return x") + MINE + '    takes = "[..., width]"\n',
        "SB0401",
        "`mine` makes its weights as large as its number of width, but that is `H`, which is not fixed",
        "declare a number instead of `H` in the input, or remove `H` first, as `adaptive_avg_pool2d: 1` does for height and width",
    ),
}


@pytest.mark.parametrize(("text", "code", "message", "help"), BAD_NODES.values(), ids=BAD_NODES)
def test_node_that_is_wrong_is_told_at_the_node(text: str, code: str, message: str, help: str | None) -> None:
    with pytest.raises(SpecError) as caught:
        loaded(text, "float32[B, 4, H]", "- mine")
    (found,) = caught.value.diagnostics
    said = found.message.replace("{'same', 'valid'}", "{'valid', 'same'}")  # a set, as torch prints it
    assert (found.code, said, found.help) == (code, message, help)
    assert found.span is not None
    assert str(found.span) == "spec.yaml:7:7"


def test_size_that_nothing_fits_is_a_symbol_of_its_own_and_said() -> None:
    text = module("k: int", "", "return x.new_zeros(x.shape[0], x.shape[1] ** 2, 3)") + MINE
    found = loaded(text, "float32[B, T]", "- mine", "- mine", "- flatten")
    assert next((each.severity, each.code, each.message) for each in found.warnings) == (
        "note",
        "SB0423",
        "torch was imported to check this: `mine` has no rules of its own",
    )
    name = str(found.graph.nodes[0].outputs[0].type).partition(", ")[2].partition(",")[0]
    assert name.startswith("mine_")
    assert found.warnings[1].severity == "warning"
    assert found.warnings[1].message == f"how axis 1 of `mine` follows from what arrives was not found, so its size is called `{name}`"
    assert str(found.warnings[1].span) == "spec.yaml:7:7"


ODD = """
def odd(x: Tensor, add: int) -> Tensor:
    return torch.cat([x] * (x.shape[-1] ** 2 % 5 + 1 + add), -1) + 1

@function("odd")
class Odd(Function):
    add: int = 0
    function = odd

@function("half")
class Half(Function):
    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape((*x.shape[:-1], x.shape[-1] // 2))

    def source(self, x: TensorType) -> Any:
        return call("torch.narrow", Input(), -1, 0, x.shape[-1] // 2)

"""
JOINED = ("- odd:", "  name: a", "- odd: {add: 1}", "  from: x", "- concat: {dim: 1}", "  from: [a, odd]", "- half")


def test_size_that_nothing_fits_is_read_where_it_first_stands() -> None:
    found = loaded(ODD, "float32[B, T]", *JOINED)
    one, two = (str(node.outputs[0].type).partition(", ")[2][:-1] for node in found.graph.nodes[:2])
    assert found.source.partition("def forward")[2] == (
        "(self, x: Tensor) -> Tensor:\n"
        "        # x: float32[B, T]\n"
        f"        a = odd(x, add=0)  # float32[B, {one}]\n"
        f"        x = odd(x, add=1)  # float32[B, {two}]\n"
        f"        x = torch.cat([a, x], 1)  # float32[B, {one} + {two}]\n"
        f"        x = torch.narrow(x, -1, 0, x.shape[1] // 2)  # float32[B, ({one} + {two})//2]\n"
        "        return x\n"
    )
    x = torch.randn(2, 3)
    assert found.build()(x).shape == (2, (3 * (9 % 5 + 1) + 3 * (9 % 5 + 2)) // 2)


def test_size_that_nothing_fits_is_read_within_the_class_that_it_arises_in() -> None:
    block = "\n".join(["blocks:", "  joined:", "    inputs: {x: any}", "    nodes:", *(f"      {line}" for line in JOINED), "model:"])
    Path("k.py").write_text(HEAD + ODD, encoding="utf-8")
    own.load_kinds(["k.py"])
    found = parse(spec("float32[B, T]", "- joined", "- joined").replace("model:", block))
    assert found.source.count("x.shape[1] // 2)") == 1, "both uses are one class"
    assert found.source.count("size: int") == 0, "nothing is handed in"
    first = (3 * (9 % 5 + 1) + 3 * (9 % 5 + 2)) // 2
    assert found.build()(torch.randn(2, 3)).shape == (2, (first * (first**2 % 5 + 1) + first * (first**2 % 5 + 2)) // 2)


def test_size_that_no_tensor_tells_is_an_error_of_the_node() -> None:
    text = (
        "from specbuilder.shapes import symbol\n"
        + ODD
        + (
            '@function("lost")\nclass Lost(Function):\n'
            '    def infer(self, x: TensorType) -> TensorType:\n        return x.with_shape((*x.shape[:-1], symbol("m")))\n\n'
            '    def source(self, x: TensorType) -> Any:\n        return call("torch.narrow", Input(), -1, 0, symbol("m"))\n'
        )
    )
    found = loaded(text, "float32[B, T]", "- relu", "- lost")
    with pytest.raises(SpecError) as caught:
        _ = found.source
    (error,) = caught.value.diagnostics
    assert (error.code, error.message, error.help, str(error.span)) == (
        "SB0424",
        "`lost` needs the size m, and no tensor before it has an axis that tells it",
        "give the kind that this size comes from an `infer`",
        "spec.yaml:8:7",
    )


def test_own_functions_are_called_in_formulas() -> None:
    text = 'def plus(x: Tensor, much: float = 1.0) -> Tensor:\n    return x + much\n\n@function("plus")\nclass Plus(Function):\n    much: float = 1.0\n    function = plus\n'
    found = loaded(text, "float32[B, 4]", "- compute: 2 * plus(x) + plus(x, 3.0)")
    assert [(each.code, each.message) for each in found.warnings] == [("SB0423", "torch was imported to check this: `plus` has no rules of its own")]
    x = torch.randn(2, 4)
    torch.testing.assert_close(found.build()(x), 2 * (x + 1) + x + 3)


def test_what_own_functions_in_formulas_cannot_do_is_said() -> None:
    wrong = ODD.replace("x.shape[-1] // 2)\n", "x.shape[5])\n")
    for node, code, message in (
        ("- compute: half(x)", "SB0420", "`source` of `half` failed: IndexError: tuple index out of range"),
        ("- compute: 1 + odd(x, 0)", "SB0422", "how axis 1 of `odd` follows from what arrives was not found, so its size is called"),
    ):
        try:
            said = loaded(wrong if code == "SB0420" else ODD, "float32[B, T]", node).warnings[-1]
        except SpecError as error:
            (said,) = error.diagnostics
        assert said.code == code
        assert said.message.startswith(message)


def test_nothing_in_the_emitted_file_hides_what_is_pasted() -> None:
    text = """
def x(x: Tensor) -> Tensor:
    return x + 1

@function("plus_one")
class PlusOne(Function):
    function = x

class each(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)

@layer("each_one")
class EachOne(Layer):
    module = each
    takes = "[..., channels]"

class Net(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x

@layer("twice")
class Twice(Layer):
    module = Net
"""
    block = [
        "blocks:",
        "  net:",
        "    params: {each: int}",
        "    nodes:",
        "      - each_one",
        "      - linear: $each",
        "      - twice",
        "      - plus_one",
    ]
    Path("k.py").write_text(HEAD + text, encoding="utf-8")
    own.load_kinds(["k.py"])
    init = "    - linear: 4\n      init: {weight: zeros}\n      repeat: 2\n"
    # An input may not be called `x` here: it keeps its name in `forward`. What enters a block may, and stands aside.
    written = spec("float32[B, 8]", "- net: 8", "- net: 4").replace("    x: ", "    image: ")
    found = parse(written.replace("model:", "\n".join([*block, "model:"])) + init)
    assert [line.partition("(")[0] for line in found.source.splitlines() if line.startswith(("class", "def"))] == [
        "class each",
        "class Net",
        "def x",
        "class Net2",
        "class Net_",
    ]
    assert found.emission.class_name == "Net_"
    made: Any = found.build()  # its attributes are what the spec names
    assert not made.linear[1].weight.any()
    arriving = by_hand = torch.randn(2, 8)
    for part in (made.net, made.net_2):
        by_hand = 2 * part.linear(part.each_one.linear(by_hand)) + 1
    for part in made.linear:
        by_hand = part(by_hand)
    torch.testing.assert_close(made(arriving), by_hand)


def test_reserved_names_are_those_of_the_language() -> None:
    assert own_class.STRUCTURAL == STRUCTURAL
    assert {*CONSTRUCTS, "parameter", "buffer"} == {*own_class.BUILT_IN}


def test_block_may_not_have_the_name_of_an_own_kind() -> None:
    text = module("k: int", "", "return x") + MINE
    Path("k.py").write_text(HEAD + text, encoding="utf-8")
    own.load_kinds(["k.py"])
    with pytest.raises(SpecError) as caught:
        parse(spec("float32[B, 4]", "- mine").replace("model:", "blocks:\n  mine:\n    nodes: [relu]\nmodel:"))
    assert [(each.code, each.message) for each in caught.value.diagnostics if each.severity == "error"] == [
        ("SB0302", "`mine` cannot be a block: there is a kind of that name")
    ]


def test_values_of_own_kinds_are_explained_and_set() -> None:
    Path("k.py").write_text(HEAD + module("k: int", "", "return x") + MINE, encoding="utf-8")
    Path("net.yaml").write_text(spec("float32[B, 4]", "- mine"), encoding="utf-8")
    value = explain_value("net.yaml", "model.nodes.mine.k", kinds=["k.py"], set={"model.nodes.mine.k": 5})
    assert value.setting.value == 5
    assert load("net.yaml", kinds=["k.py"], set={"model.nodes.mine.k": 5}).graph.nodes[0].kind.k == 5  # type: ignore[attr-defined]
    assert command("explain-value", "net.yaml", "model.nodes.mine.k", "--kinds", "k.py").returncode == 0
    assert command("validate", "net.yaml", "--variant", "all", "--kinds", "k.py").returncode == 0


@pytest.mark.parametrize(("rows", "at"), [(20, 24), (1024, 1536)])
def test_a_table_that_ends_is_said(rows: int, at: int) -> None:
    text = module("k: int", f"self.p = nn.Parameter(torch.zeros({rows}, 4))", "return x + self.p[: x.shape[1]]") + MINE
    found = loaded(text, "float32[4, T, 4]", "- mine")
    assert str(found.graph.nodes[0].outputs[0].type) == "float32[4, T, 4]"
    assert (found.warnings[1].code, found.warnings[1].help) == ("SB0422", "declare sizes that it can take")
    assert found.warnings[1].message.startswith(f"`mine` does not run for all sizes: not at T = {at}: ")


# Commands, packages, runs --------------------------------------------------------------------------------------------

TORCH_FREE = (ROOT / "examples/own_kinds/my_kinds.py").read_text(encoding="utf-8")
PROBE = "import sys; from specbuilder.cli import main; code = main(); print('torch' in sys.modules, file=sys.stderr); sys.exit(code)"


LOSS = """
@loss("mine_too")
class MineToo(Loss):
    \"\"\"Mine too.\"\"\"

    def infer(self, input: TensorType, target: TensorType) -> TensorType:
        return TensorType("float32", ())

    def source(self, input: TensorType, target: TensorType) -> Call:
        return call("F.mse_loss", Input(0), Input(1))
"""


def command(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), path)), "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], env=env, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_kind_with_rules_is_checked_without_torch() -> None:
    Path("k.py").write_text(TORCH_FREE, encoding="utf-8")
    (Path.cwd() / "squeeze_excite.py").write_text((ROOT / "examples/own_kinds/squeeze_excite.py").read_text(encoding="utf-8"), encoding="utf-8")
    Path("net.yaml").write_text(spec("float32[B, 4]", "- soft_clip: 3.0"), encoding="utf-8")
    done = command("validate", "net.yaml", "--kinds", "k.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "net.yaml: valid; 0 parameters, x float32[B, 4] -> output float32[B, 4]\n", "False\n")
    Path("net.yaml").write_text(spec("float32[B, 8, H, W]", "- squeeze_excite: 4"), encoding="utf-8")
    done = command("validate", "net.yaml", "--kinds", "k.py")
    assert (done.returncode, done.stdout) == (0, "net.yaml: valid; 42 parameters, x float32[B, 8, H, W] -> output float32[B, 8, H, W]\n")
    assert done.stderr == (
        "note[SB0423]: torch was imported to check this: `squeeze_excite` has no rules of its own\n"
        "  = help: an `infer` (for a layer, also `parameters`) in the kind spares it, and `flops` counts the cost, which is 0 without\n\nTrue\n"
    )


def test_every_command_takes_files_of_kinds() -> None:
    Path("a.py").write_text(HEAD + module("k: int", "print('hello')", "return x") + MINE + "print('loading')\n", encoding="utf-8")
    Path("b.py").write_text(HEAD + LOSS, encoding="utf-8")
    Path("net.yaml").write_text(spec("float32[B, 4]", "- mine: 2"), encoding="utf-8")
    files = ("--kinds", "a.py", "--kinds", "b.py")
    validate = command("validate", "--json", "net.yaml", *files)
    assert json.loads(validate.stdout)["valid"] is True, "what a file prints does not get into the JSON"
    assert json.loads(command("summary", "--json", "net.yaml", *files).stdout)["nodes"][0]["kind"] == "mine"
    assert "class M(nn.Module)" in command("emit", "net.yaml", *files).stdout
    assert command("kinds", "mine", *files).stdout.startswith(
        "mine  (layer)\n\n  A kind of mine.\n\nFields\n  k  a positive integer; default 3, written as `mine: ...`\n"
    )
    assert "  mine " in command("kinds", *files).stdout
    schema = json.loads(command("schema", *files).stdout)["$defs"]
    assert schema["node.mine"]["description"] == "A kind of mine."
    assert "loss.mine_too" in schema
    missing = command("validate", "net.yaml")
    assert missing.returncode == 3
    assert "unknown kind of node `mine`" in missing.stderr
    wrong = command("validate", "net.yaml", "--kinds", "c.py")
    assert (wrong.returncode, wrong.stderr.partition("\n")[0]) == (2, "error[SB0931]: there is no file c.py")


def test_schema_knows_own_kinds() -> None:
    loaded(module("k: int", "", "return x") + MINE, "float32[B, 4]", "- mine")
    assert "node.mine" in make_schema()["$defs"]


def test_run_folder_needs_no_file_of_the_user(folder: Path) -> None:
    text = (ROOT / "examples/own_kinds/spec.yaml").read_text(encoding="utf-8")
    for name in ("my_kinds.py", "squeeze_excite.py"):
        Path(name).write_text((ROOT / "examples/own_kinds" / name).read_text(encoding="utf-8"), encoding="utf-8")
    Path("spec.yaml").write_text(text, encoding="utf-8")
    run = load("spec.yaml", kinds=["my_kinds.py"]).train(synthetic=True, device="cpu")
    for name in ("my_kinds.py", "squeeze_excite.py"):
        Path(name).unlink()
    code = f"import specbuilder; print(type(specbuilder.load_run({str(run.folder)!r}).model).__name__)"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, encoding="utf-8", check=False)
    assert (done.stdout, done.stderr) == ("DigitsSe\n", "")
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(load_run(run.folder).model(x), run.model.eval()(x))


def package(folder: Path, name: str, module_text: str, *entries: str) -> None:
    """An installed package that offers kinds, as pip would leave it."""
    (folder / f"{name}.py").write_text(module_text, encoding="utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[specbuilder.kinds]\n" + "".join(f"{entry}\n" for entry in entries), encoding="utf-8")


def test_installed_package_offers_kinds(folder: Path) -> None:
    site = folder / "site"
    site.mkdir()
    text = (
        TORCH_FREE.replace('"squeeze_excite"', '"offered_excite"')
        .replace("squeeze_excite:", "offered_excite:")
        .replace('"soft_clip"', '"offered_clip"')
    )
    package(site, "offering", text, "offered_clip = offering:SoftClip", "broken = offering:Nothing", "strange = offering:SoftClip")
    (site / "squeeze_excite.py").write_text((ROOT / "examples/own_kinds/squeeze_excite.py").read_text(encoding="utf-8"), encoding="utf-8")
    answers = {}
    for kind in ("offered_clip: 3.0", "relu", "broken", "strange", "offered_clop"):
        Path("net.yaml").write_text(spec("float32[B, 4]", f"- {kind}"), encoding="utf-8")
        done = command("validate", "net.yaml", path=str(site))
        answers[kind] = (done.returncode, done.stderr)
    assert answers["offered_clip: 3.0"] == (0, "False\n")
    assert answers["relu"] == (0, "False\n")
    assert answers["offered_clop"][0] == 3
    assert "did you mean `offered_clip`?" in answers["offered_clop"][1]
    assert answers["broken"][0] == 2
    assert answers["broken"][1].startswith(
        "error[SB0932]: the kind `broken`, which the package offering offers, cannot be loaded: AttributeError: module 'offering' has no attribute 'Nothing'"
    )
    assert answers["strange"][0] == 2
    assert answers["strange"][1].startswith("error[SB0933]: the package offering offers a kind `strange`, but declares none of that name")


def test_packages_are_looked_at_for_an_unknown_name_only() -> None:
    code = "import sys, specbuilder.api as api; api.load(sys.argv[1]); print('importlib.metadata' in sys.modules)"
    Path("net.yaml").write_text(spec("float32[B, 4]", "- relu"), encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, "net.yaml"], env=env, capture_output=True, encoding="utf-8", check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


# check_kind ----------------------------------------------------------------------------------------------------------

EXAMPLE = '    examples = (Example("mine: {}", given="{}", gives="{}", parameters={}),)\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            CONVOLUTION
            + '    takes = "[B, channels, H, W]"\n'
            + EXAMPLE.format(5, "float32[B, 4, H, W]", "float32[B, 8, (H - 1)//2, (W - 1)//2]", 808),
            None,
        ),
        (
            CONVOLUTION + '    takes = "[B, channels, H, W]"\n' + EXAMPLE.format(5, "float32[B, 4, 9, 9]", "float32[B, 8, 4, 4]", 800),
            "example `mine: 5` has 808 parameters, not 800",
        ),
        (
            CONVOLUTION + '    takes = "[B, channels, H, W]"\n' + EXAMPLE.format(5, "float32[B, 4, 9, 9]", "float32[B, 8, 5, 4]", 808),
            "example `mine: 5` gives float32[B, 8, 4, 4], not float32[B, 8, 5, 4]",
        ),
        (
            RULE.format(infer="return x.with_shape((*x.shape, 1))", source=RELU) + EXAMPLE.format(5, "float32[B, 4]", "float32[B, 4, 1]", 0),
            "example `mine: 5` gives float32[2, 4, 1] by its rules at B = 2, but torch gives float32[2, 4]",
        ),
        (
            CONVOLUTION
            + '    takes = "[B, channels, H, W]"\n    def infer(self, x):\n        return x\n    def parameters(self, x):\n        return {}\n'
            + EXAMPLE.format(5, "float32[B, 4, H, W]", "float32[B, 4, H, W]", 0),
            "example `mine: 5` owns nothing by its rules, but the module owns mine.w.weight [8, 4, 5, 5], mine.w.bias [8]",
        ),
        (RULE.format(infer="return x", source=RELU), "`mine` has no examples to check: `examples = (Example(...),)`"),
        (
            RULE.format(infer='raise Refusal("no")', source=RELU) + EXAMPLE.format(5, "float32[B]", "float32[B]", 0),
            "example `mine: 5` is refused: no",
        ),
    ],
)
def test_check_kind_holds_examples_against_torch(text: str, message: str | None) -> None:
    Path("k.py").write_text(HEAD + text, encoding="utf-8")
    own.load_kinds(["k.py"])
    kind = lookup.find("node", "mine")
    assert kind is not None
    if message is None:
        check_kind(kind)  # type: ignore[arg-type]  # a node
        return
    with pytest.raises(AssertionError) as caught:
        check_kind(kind)  # type: ignore[arg-type]  # a node
    assert str(caught.value).partition("\n")[0] == message
