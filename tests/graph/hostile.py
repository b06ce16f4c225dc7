"""Specs that ask for far too much, and how to run one in a process of its own. Used by the tests and by the benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
LINEAR: dict[str, Any] = {"linear": 8}


@dataclass(frozen=True)
class Hostile:
    text: Callable[[], str]
    code: int
    says: str
    """What the first line says, behind the code; where it is fine, a part of it."""


@dataclass(frozen=True)
class Answer:
    code: int
    first: str
    whole: str
    seconds: float
    mebibytes: float


def spec(
    nodes: list[Any], *, blocks: Mapping[str, Any] | None = None, variables: Mapping[str, Any] | None = None, input: str = "float32[B, 8]"
) -> Callable[[], str]:
    whole: dict[str, Any] = {"specbuilder": 1, "name": "hostile"}
    whole |= {"vars": variables} if variables else {}
    whole |= {"blocks": blocks} if blocks else {}
    return lambda: json.dumps(whole | {"model": {"inputs": {"x": input}, "nodes": nodes}})


def sequence(nodes: list[Any], repeat: Any) -> dict[str, Any]:
    return {"sequence": nodes, "repeat": repeat}


def doubling(when: str | None, last: Any) -> dict[str, Any]:
    """Forty blocks, each of which uses the one before twice."""
    beside = {} if when is None else {"when": when}
    return {f"b{n}": {"nodes": [{f"b{n - 1}": None, **beside}, {f"b{n - 1}": None, **beside}]} for n in range(1, 41)} | {"b0": {"nodes": [last]}}


def halving(last: list[Any]) -> dict[str, Any]:
    """A block that uses itself twice, `n` deep."""
    again = {"r": "$(n - 1)", "when": "$(n > 0)"}
    return {"r": {"params": {"n": "int"}, "nodes": [again, again, *last]}}


def asks(count: int) -> str:
    return f"SB0601: this asks for {count:,} nodes, but a network has at most 100,000"


DEEP = "SB0602: more than 64 blocks within one another"
LONG = "SB0501: a text with expressions has at most 4096 characters, this one has {}"
DOWN = {"r": {"params": {"n": "int"}, "nodes": [LINEAR, {"r": "$(n - 1)", "when": "$(n > 0)"}]}}
BODIES = {
    "d": {
        "params": {"body": "nodes", "n": "int"},
        "nodes": [{"d": {"body": ["$body", "$body"], "n": "$(n - 1)"}, "when": "$(n > 0)"}, {"$body": None, "when": "$(n == 0)"}],
    }
}
COPIES = {"b": {"params": {"n": "int"}, "nodes": [{"linear": 8, "repeat": "$n"}]}}
BLOCK_AGAIN = {"r": {"params": {"body": "nodes"}, "nodes": [{"r": {"body": ["$body", "$body"]}}]}}
NODE_AGAIN = {"r": {"params": {"f": "node"}, "nodes": [{"r": {"f": {"r": {"f": "$f"}}}}, {"$f": None}]}}
NESTED = '{"specbuilder":1,"name":"t","model":{"inputs":{"x":"float32[B, 8]"},"nodes":[' + '{"sequence":[' * 10**5 + '"relu"' + "]}" * 10**5 + "]}}"

SPECS: dict[str, Hostile] = {
    "10^9 copies": Hostile(spec([{"linear": 8, "repeat": 10**9}]), 3, asks(10**9)),
    "10^9 copies side by side": Hostile(spec([{"linear": 8, "each": 10**9, "merge": "add"}]), 3, asks(10**9)),
    "10^9 absent copies": Hostile(spec([{"linear": 8, "repeat": 10**9, "when": False}]), 3, asks(10**9)),
    "10^12 copies, nested": Hostile(spec([sequence([sequence([LINEAR], 10**6)], 10**6)]), 3, asks(10**12)),
    "10^12 copies, by a variable": Hostile(spec([sequence([sequence([LINEAR], "$n")], "$n")], variables={"n": 10**6}), 3, asks(10**12)),
    "10^11 copies, by columns": Hostile(spec([sequence([sequence([sequence([LINEAR], "$n")], "$n")], {"n": [10**4] * 1000})]), 3, asks(10**11)),
    "10^12 copies, by a param": Hostile(spec([{"b": 10**6, "repeat": 10**6}], blocks=COPIES), 3, asks(10**12)),
    "10^12 copies, each within a block that doubles": Hostile(spec([{"b40": None}], blocks=doubling(None, LINEAR)), 3, asks(2**40)),
    "the same where `when` is true": Hostile(spec([{"b40": None}], blocks=doubling("$(1 > 0)", LINEAR)), 3, asks(2**40)),
    "a column of 10^9": Hostile(
        spec([{"linear": 8, "repeat": {"n": "$(range(1000000000))"}}]), 3, "SB0501: a list of 1000000000 elements is too long: at most 100000"
    ),
    "150,000 nodes written out": Hostile(spec(["relu"] * 150_000), 3, "SB0601: 150,000 nodes are written out, but a spec has at most 100,000"),
    "150,000 nodes written out in lists": Hostile(
        spec([{"sequence": ["relu"] * 50_000}, {"residual": ["relu"] * 50_000}, {"branches": {"a": ["relu"] * 50_000}, "merge": "add"}]),
        3,
        "SB0601: 150,000 nodes are written out, but a spec has at most 100,000",
    ),
    "500,000 nodes written out": Hostile(spec(["relu"] * 500_000), 3, "SB0112: the spec is too large: 500003 entries of JSON, more than 200000"),
    "10^12 parameters": Hostile(
        spec([{"linear": 10**6}], input="float32[B, 1000000]"),
        3,
        "SB0607: the network has 1,000,001,000,000 parameters, but one has at most 1,000,000,000,000",
    ),
    "10^37 parameters": Hostile(
        spec([{"linear": 2**62}, {"linear": 2**62}]),
        3,
        "SB0607: the network has 21,267,647,932,558,654,012,577,773,148,759,392,256 parameters, "
        "21,267,647,932,558,653,971,072,598,982,912,901,120 of them here, but one has at most 1,000,000,000,000",
    ),
    "an expression 10^6 deep": Hostile(spec([{"linear": "$(" + "(" * 10**6 + "1" + ")" * 10**6 + ")"}]), 3, LONG.format(2_000_004)),
    "an expression of 10^6 signs": Hostile(spec([{"linear": "$(" + "-" * 10**6 + "1)"}]), 3, LONG.format(1_000_004)),
    "a formula 10^6 deep": Hostile(spec([{"compute": "(" * 10**6 + "prev" + ")" * 10**6}]), 3, LONG.format(2_000_004)),
    "a formula of 10^6 characters": Hostile(spec([{"compute": "prev + " * 142_857 + "prev"}]), 3, LONG.format(1_000_003)),
    "a size 10^6 deep": Hostile(
        spec([LINEAR], input="float32[B, " + "(" * 10**6 + "8" + ")" * 10**6 + "]"), 3, "SB0502: a size of more than 4096 characters is too long"
    ),
    "recursion without an end": Hostile(spec([{"r": None}], blocks={"r": {"nodes": [LINEAR, {"r": None}]}}), 3, DEEP),
    "recursion without an end, twice": Hostile(spec([{"r": None}], blocks={"r": {"nodes": [{"r": None}, {"r": None}]}}), 3, DEEP),
    "recursion of two blocks": Hostile(
        spec([{"r": None}], blocks={"r": {"nodes": [LINEAR, {"q": None}]}, "q": {"nodes": [LINEAR, {"r": None}, {"r": None}]}}), 3, DEEP
    ),
    "recursion through a param `node`": Hostile(spec([{"r": {"f": "relu"}}], blocks=NODE_AGAIN), 3, DEEP),
    "recursion through a param `nodes`": Hostile(spec([{"r": {"body": ["relu"]}}], blocks=BLOCK_AGAIN), 3, DEEP),
    "recursion that ends, 2^60 leaves": Hostile(spec([{"r": 60}], blocks=halving([LINEAR])), 3, asks(2**61 - 1)),
    "lists that double when they are handed on": Hostile(spec([{"d": {"body": ["relu"], "n": 40}}], blocks=BODIES), 3, asks(2**40)),
    "empty lists that double": Hostile(spec([{"d": {"body": [], "n": 40}}], blocks=BODIES), 3, asks(2**40)),
    "recursion 64 deep": Hostile(spec([{"r": 63}], blocks=DOWN), 0, "valid; 4,608 parameters"),
    "recursion 65 deep": Hostile(spec([{"r": 64}], blocks=DOWN), 3, DEEP),
    "lists 10^5 deep": Hostile(lambda: NESTED, 3, "SB0112: more than 64 levels of lists and mappings in one another"),
    "variables that double": Hostile(
        spec([{"linear": "$(len(l59))"}], variables={"l0": [1]} | {f"l{n}": f"$(l{n - 1} + l{n - 1})" for n in range(1, 60)}),
        3,
        "SB0501: a list of 131072 elements is too long: at most 100000",
    ),
    "a chain of 20,000 variables": Hostile(
        spec([{"linear": "$l20000"}], variables={"l0": 8} | {f"l{n}": f"$(l{n - 1} + 0)" for n in range(1, 20_001)}),
        3,
        "SB0503: more than 64 variables, each of which needs the next",
    ),
}


LAUNCHER = """
import json, resource, subprocess, sys
code = subprocess.run([sys.executable, "-m", "specbuilder", "validate", sys.argv[1]], stdout=sys.stderr).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""
"""A small process between this one and the one that is measured: Linux counts what a process was before it became another program as its own memory,
and a process that runs tests may hold torch."""


def run(text: str, folder: Path) -> Answer:
    """`specbuilder validate` in a process of its own."""
    path = folder / "hostile.json"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", LAUNCHER, str(path)], capture_output=True, text=True, cwd=ROOT, check=True)
    code, seconds, memory = json.loads(done.stdout)
    kibibytes = memory / 1024 if sys.platform == "darwin" else memory
    return Answer(code, done.stderr.partition("\n")[0], done.stderr, seconds, kibibytes / 1024)
