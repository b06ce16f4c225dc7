"""Imports point one way, heavy packages stay where they belong, and code is executed in two named places only.

In: the source text of every module of the package. Out: one line per broken rule. The rules are the tables below; each exception
says what it is for. Everything is read with `ast`, so imports inside functions and under TYPE_CHECKING count as well. The checker
itself is tested on small planted texts first: a rule that cannot fail protects nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A module may import from its own row and from the rows above, never from below.
ORDER = (
    ("records",),
    ("diagnostics",),
    ("dims", "shapes"),
    ("catalogue",),
    ("kinds",),
    ("language",),
    ("graph",),
    ("plan",),
    ("emit",),
    ("training",),
    ("report",),
    ("pipeline",),
    ("api",),
    ("predicting",),
    ("runs",),
    ("cli", "testing"),
    ("__main__",),
)
RANK = {name: rank for rank, row in enumerate(ORDER) for name in row}

# `import specbuilder` is the public door: it looks names up in these when they are first used.
DOOR = {"specbuilder.api", "specbuilder.diagnostics", "specbuilder.runs"}

HEAVY = {"torch", "torchvision", "numpy"}

# Where heavy packages may be imported at module level. Everything left of these answers without torch.
HEAVY_AT_TOP = (
    "specbuilder.emit.load",  # turns emitted source into an nn.Module
    "specbuilder.training",  # runs it; imported by api and pipeline inside functions only
)

# Where they may be imported inside functions as well.
HEAVY_INSIDE = (
    "specbuilder.catalogue.averages",  # the run-time half of an average moves tensors
    "specbuilder.catalogue.datasets",  # the run-time half of a data set reads tensors
    "specbuilder.catalogue.transforms",  # that of a transform computes on them
    "specbuilder.catalogue.metrics",  # that of a metric sums on the device
    "specbuilder.catalogue.measuring",  # runs own kinds that have no rule on the meta device; imported only for those
    "specbuilder.catalogue.torchvision_import",  # declares the operators that a CPU-only torch lacks, then imports torchvision
    "specbuilder.testing",  # builds a user's kinds and runs them
    "specbuilder.api",  # takes the caller's own tensors, builds models for them
)

# What a command that only reads must not even begin to import: the closure of module-level imports of `specbuilder.cli`.
SLOW_TO_START = HEAVY | {"typer", "rich", "jsonschema", "typing_extensions", "sklearn", "PIL", "safetensors"}

# Each way to run code or to import by a computed name, and the modules that may.
EXECUTES: dict[str, tuple[str, ...]] = {
    "exec": (
        "specbuilder.emit.load",  # runs the source that we emitted ourselves
        "specbuilder.catalogue.own",  # runs the files that the user gave with `--kinds`; a spec cannot name one
    ),
    "compile": (
        "specbuilder.emit.load",  # gives that source its name in tracebacks
        "specbuilder.catalogue.own",  # gives those files theirs, and leaves no __pycache__ beside them
    ),
    "importlib.import_module": (
        "specbuilder.catalogue.lookup",  # kinds by name, out of the generated index
        "specbuilder.catalogue.own",  # the module that a kind asks the model to import, as `PACKAGE.MODULE:NAME`
        "specbuilder.catalogue.indexing",  # every module of our own folders, to generate it
    ),
    "eval": (),
    "__import__": (),
    "importlib.reload": (),
    "importlib.util.spec_from_file_location": (),
    "importlib.util.module_from_spec": (),
    "builtins.exec": (),
    "builtins.eval": (),
    "builtins.compile": (),
    "builtins.__import__": (),
    "runpy": (),
    "codeop": (),
}

# Formats that execute code when they are read. Weights are safetensors, arrays are read with allow_pickle=False.
PICKLES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "torch.load", "torch.save", "torch.serialization"}


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports, with all its dots: `from a.b import c` is `a.b.c`."""

    target: str
    line: int
    in_function: bool
    for_types_only: bool


def imports(tree: ast.AST, module: str) -> Iterator[Import]:
    """Every import of a module, wherever it stands."""

    def walk(node: ast.AST, in_function: bool, for_types_only: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, in_function, for_types_only)
        elif isinstance(node, ast.ImportFrom):
            package = node.module or ""
            if node.level:
                package = ".".join([*module.split(".")[: -node.level], *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(f"{package}.{alias.name}", node.lineno, in_function, for_types_only)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.body:
                yield from walk(child, in_function, True)
            for child in node.orelse:
                yield from walk(child, in_function, for_types_only)
        else:
            inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from walk(child, inside, for_types_only)

    return walk(tree, False, False)


def within(module: str, homes: tuple[str, ...]) -> bool:
    return any(module == home or module.startswith(home + ".") for home in homes)


def top(name: str) -> str:
    return name.split(".", 1)[0]


def check(module: str, text: str) -> list[str]:
    """What the text of a module does that it may not."""
    tree = ast.parse(text)
    found = [*imports(tree, module)]
    broken = [*wrong_directions(module, found), *wrong_weights(module, found), *wrong_powers(module, tree, found)]
    return [f"{module}:{line}: {message}" for line, message in sorted(set(broken))]


def wrong_directions(module: str, found: list[Import]) -> Iterator[tuple[int, str]]:
    area = area_of(module)
    if area not in RANK and area != "":
        yield 1, f"`{area}` has no place in the order"
        return
    for each in found:
        if top(each.target) != "specbuilder" or each.target == "specbuilder.__version__":
            continue
        if area == "":
            if not any(within(each.target, (home,)) for home in DOOR):
                yield each.line, f"the door may not import {each.target}"
            elif not each.in_function and not each.for_types_only:
                yield each.line, f"the door imports {each.target} before it is used"
            continue
        target = area_of(each.target)
        if target not in RANK:
            yield each.line, f"imports {each.target}, which has no place in the order"
        elif RANK[target] > RANK[area]:
            yield each.line, f"`{area}` may not import `{target}`"


def wrong_weights(module: str, found: list[Import]) -> Iterator[tuple[int, str]]:
    for each in found:
        if top(each.target) not in HEAVY or each.for_types_only or within(module, HEAVY_AT_TOP):
            continue
        if not each.in_function:
            yield each.line, f"imports {top(each.target)} at module level"
        elif not within(module, HEAVY_INSIDE):
            yield each.line, f"imports {top(each.target)} inside a function"


def wrong_powers(module: str, tree: ast.AST, found: list[Import]) -> Iterator[tuple[int, str]]:
    """Names that execute code or read pickles, also under another name: `from importlib import import_module as load`."""
    meant = {name.asname or top(name.name): name.name if name.asname else top(name.name) for name in names_of(tree, ast.Import)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            meant.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    used = [(each.line, each.target) for each in found]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id != "compile"):
            used.append((node.lineno, dotted(node, meant)))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "compile":
            # Only the call: `compile` is also an option of the plan, and reading that is no crime.
            used.append((node.lineno, dotted(node.func, meant)))
        elif (
            isinstance(node, ast.keyword) and node.arg == "allow_pickle" and not (isinstance(node.value, ast.Constant) and node.value.value is False)
        ):
            yield node.value.lineno, "allows pickles"
    for line, name in used:
        if any(within(name, (power,)) and module not in homes for power, homes in EXECUTES.items()):
            yield line, f"uses {name}"
        if any(within(name, (pickle,)) for pickle in PICKLES):
            yield line, f"uses {name}"


def names_of(tree: ast.AST, kind: type[ast.Import]) -> Iterator[ast.alias]:
    for node in ast.walk(tree):
        if isinstance(node, kind):
            yield from node.names


def dotted(node: ast.expr, meant: dict[str, str]) -> str:
    """`a.b.c` with `a` replaced by what it was imported as; anything else than plain names gives an empty string."""
    if isinstance(node, ast.Name):
        return meant.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (base := dotted(node.value, meant)):
        return f"{base}.{node.attr}"
    return ""


def area_of(module: str) -> str:
    """The part of the package that a module belongs to; the package itself is the empty string."""
    return module.split(".")[1] if "." in module else ""


def modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name."""
    found = {}
    for path in sorted((ROOT / "specbuilder").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_at_start(module: str, texts: dict[str, str]) -> dict[str, str]:
    """What importing a module imports in turn, ours and foreign; each with the module that asks for it."""
    reached: dict[str, str] = {}
    waiting = [(module, "")]
    while waiting:
        name, asked_by = waiting.pop()
        # Importing a.b.c runs a and a.b first; `from a.b import c` may mean a module or a name in one.
        for end in range(1, name.count(".") + 2):
            each = ".".join(name.split(".")[:end])
            if each in reached or (top(each) == "specbuilder" and each not in texts):
                continue
            reached[each] = asked_by
            if each in texts:
                package = each + ".__init__" if is_package(each, texts) else each
                waiting += [(i.target, each) for i in imports(ast.parse(texts[each]), package) if not i.in_function and not i.for_types_only]
    return reached


def is_package(module: str, texts: dict[str, str]) -> bool:
    return any(other.startswith(module + ".") for other in texts)


# The checker sees what it should ------------------------------------------------------------------------------------

PLANTED = [
    ("specbuilder.shapes", "from specbuilder.graph import infer", ["specbuilder.shapes:1: `shapes` may not import `graph`"]),
    ("specbuilder.shapes", "def f():\n    import specbuilder.cli", ["specbuilder.shapes:2: `shapes` may not import `cli`"]),
    ("specbuilder.shapes", "def f():\n    from specbuilder import cli", ["specbuilder.shapes:2: `shapes` may not import `cli`"]),
    ("specbuilder.graph.walk", "from ..emit import write", ["specbuilder.graph.walk:1: `graph` may not import `emit`"]),
    (
        "specbuilder.graph.walk",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from specbuilder.plan import Plan",
        ["specbuilder.graph.walk:3: `graph` may not import `plan`"],
    ),
    (
        "specbuilder.graph.walk",
        "from specbuilder import load",
        ["specbuilder.graph.walk:1: imports specbuilder.load, which has no place in the order"],
    ),
    ("specbuilder.helpers", "", ["specbuilder.helpers:1: `helpers` has no place in the order"]),
    ("specbuilder", "from specbuilder.api import load", ["specbuilder:1: the door imports specbuilder.api.load before it is used"]),
    ("specbuilder", "def f():\n    from specbuilder.graph import walk", ["specbuilder:2: the door may not import specbuilder.graph.walk"]),
    ("specbuilder.graph.walk", "import torch.nn as nn", ["specbuilder.graph.walk:1: imports torch at module level"]),
    ("specbuilder.graph.walk", "def f():\n    import numpy", ["specbuilder.graph.walk:2: imports numpy inside a function"]),
    ("specbuilder.graph.walk", "class A:\n    from torch import nn", ["specbuilder.graph.walk:2: imports torch at module level"]),
    (
        "specbuilder.graph.walk",
        "try:\n    import torchvision\nexcept ImportError:\n    pass",
        ["specbuilder.graph.walk:2: imports torchvision at module level"],
    ),
    ("specbuilder.catalogue.datasets.digits", "import numpy", ["specbuilder.catalogue.datasets.digits:1: imports numpy at module level"]),
    ("specbuilder.catalogue.layers.linear", "def f():\n    import torch", ["specbuilder.catalogue.layers.linear:2: imports torch inside a function"]),
    ("specbuilder.cli", "exec('1')", ["specbuilder.cli:1: uses exec"]),
    ("specbuilder.cli", "run = eval", ["specbuilder.cli:1: uses eval"]),
    ("specbuilder.cli", "compile('1', 'f', 'exec')", ["specbuilder.cli:1: uses compile"]),
    ("specbuilder.cli", "import builtins as b\nb.exec('1')", ["specbuilder.cli:2: uses builtins.exec"]),
    ("specbuilder.cli", "__import__('os')", ["specbuilder.cli:1: uses __import__"]),
    ("specbuilder.cli", "import importlib\nimportlib.import_module('os')", ["specbuilder.cli:2: uses importlib.import_module"]),
    (
        "specbuilder.cli",
        "from importlib import import_module as get\nget('os')",
        ["specbuilder.cli:1: uses importlib.import_module", "specbuilder.cli:2: uses importlib.import_module"],
    ),
    ("specbuilder.emit.load", "eval('1')", ["specbuilder.emit.load:1: uses eval"]),
    ("specbuilder.training.loop", "import pickle", ["specbuilder.training.loop:1: uses pickle"]),
    ("specbuilder.training.loop", "import torch as t\nt.load('w.pt')", ["specbuilder.training.loop:2: uses torch.load"]),
    ("specbuilder.training.loop", "from torch import load", ["specbuilder.training.loop:1: uses torch.load"]),
    ("specbuilder.training.loop", "import numpy\nnumpy.load('w.npz', allow_pickle=True)", ["specbuilder.training.loop:2: allows pickles"]),
]

ALLOWED = [
    ("specbuilder.graph.walk", "from specbuilder.language import tree\nfrom specbuilder.graph.types import Node\nfrom . import count"),
    ("specbuilder.catalogue.contract", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch import Tensor"),
    ("specbuilder.catalogue.datasets.digits", "def read():\n    import numpy\n    return numpy.load('x', allow_pickle=False)"),
    ("specbuilder.training.loop", "import torch\ntorch.compile(f)\nmodel.eval()\nmodel.load(1)"),
    ("specbuilder.emit.load", "import torch\nexec(compile('1', 'f', 'exec'), {})"),
    ("specbuilder.catalogue.lookup", "import importlib\nimportlib.import_module('specbuilder.catalogue.layers.linear')"),
    ("specbuilder.plan.decide", "import re\nre.compile('a')\ndef decide(compile: bool) -> bool:\n    return compile"),
    ("specbuilder.cli", "from specbuilder import __version__, api"),
    ("specbuilder", "def __getattr__(name):\n    from specbuilder import api"),
]


@pytest.mark.parametrize(("module", "text", "messages"), PLANTED)
def test_planted_violation_is_seen(module: str, text: str, messages: list[str]) -> None:
    assert check(module, text) == messages


@pytest.mark.parametrize(("module", "text"), ALLOWED)
def test_what_is_allowed_passes(module: str, text: str) -> None:
    assert check(module, text) == []


def test_slow_import_is_seen_through_others() -> None:
    texts = {
        "specbuilder": "",
        "specbuilder.cli": "from specbuilder.graph import walk\ndef f():\n    import rich",
        "specbuilder.graph": "",
        "specbuilder.graph.walk": "from .deep import x",
        "specbuilder.graph.deep": "import torch.nn\nx = 1",
    }
    reached = imported_at_start("specbuilder.cli", texts)
    assert reached["torch"] == "specbuilder.graph.deep"
    assert "rich" not in reached


# The package obeys --------------------------------------------------------------------------------------------------


def test_package_obeys_the_rules() -> None:
    broken = [line for module, path in modules().items() for line in check(module, path.read_text(encoding="utf-8"))]
    assert broken == []


@pytest.mark.parametrize(("module", "never"), [("specbuilder", {"pydantic", "ruamel", *SLOW_TO_START}), ("specbuilder.cli", SLOW_TO_START)])
def test_start_imports_nothing_slow(module: str, never: set[str]) -> None:
    texts = {name: path.read_text(encoding="utf-8") for name, path in modules().items()}
    slow = {f"{name} (by {asked_by})" for name, asked_by in imported_at_start(module, texts).items() if name in never}
    assert slow == set()
