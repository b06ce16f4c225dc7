"""How `validate` and `emit` grow with the text: whole processes over generated JSON specs of 10 to 10,000 nodes, flat and with blocks and formulas.

The processor time of each process, the median of interleaved rounds, beside that of a loop of pure Python: on a busy machine compare those. The first
slope is that of the least-squares line through the logarithms, the second that from 1,000 to 10,000 nodes without the time that 10 nodes take.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from math import log
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

ROUNDS = 3
NODES = (10, 100, 1_000, 10_000)
LOOP = "total = 0\nfor i in range(10_000_000): total += i"
"""The reference, which nothing here makes faster: times of two runs compare by it."""


def flat(count: int) -> dict[str, Any]:
    """Layers, norms and activations one after the other."""
    kinds = ({"linear": 64}, "relu", {"layer_norm": {}}, {"dropout": 0.1})
    return _spec([kinds[number % 4] for number in range(count)])


def mixed(count: int) -> dict[str, Any]:
    """Blocks of five nodes with params and formulas, each used by its own entry of the list with other values."""
    block = {
        "params": {"width": "int", "scale": "float = 0.5"},
        "inputs": {"x": "[B, C]"},
        "let": {"inner": "$(width * 2)"},
        "nodes": [{"linear": "$inner"}, "gelu", {"linear": "$C"}, {"compute": "$scale * prev + x"}, {"layer_norm": {}}],
    }
    uses = [{"unit": {"width": 16 + number % 8, "scale": 0.5}} for number in range(count // 5)]
    return _spec(uses) | {"blocks": {"unit": block}}


def _spec(nodes: list[Any]) -> dict[str, Any]:
    return {"specbuilder": 1, "name": "scale", "model": {"inputs": {"x": "float32[B, 64]"}, "nodes": nodes}}


def slope(counts: tuple[int, ...], seconds: list[float]) -> float:
    """Of the line through the logarithms."""
    x, y = [log(count) for count in counts], [log(max(each, 1e-4)) for each in seconds]
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True)) / sum((a - middle_x) ** 2 for a in x)


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    began = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return perf_counter() - began, usage.ru_utime + usage.ru_stime


def main() -> None:
    with TemporaryDirectory() as folder:
        commands: dict[tuple[str, int], list[str]] = {("reference loop", 0): [sys.executable, "-c", LOOP]}
        for title, make in (("flat", flat), ("mixed", mixed)):
            for count in NODES:
                path = Path(folder) / f"{title}_{count}.json"
                path.write_text(json.dumps(make(count)), encoding="utf-8")
                for command in ("validate", "emit"):
                    commands[f"{command} {title}", count] = [sys.executable, "-m", "specbuilder", command, str(path)]
        for path in _zoo():
            commands[f"validate {path.name}", 0] = [sys.executable, "-m", "specbuilder", "validate", str(path)]
        found: dict[tuple[str, int], list[tuple[float, float]]] = {key: [] for key in commands}
        for _ in range(ROUNDS):
            for key, command in commands.items():
                found[key].append(measured(command))
    clock = {key: median(each[0] for each in times) for key, times in found.items()}
    processor = {key: median(each[1] for each in times) for key, times in found.items()}
    loop = processor["reference loop", 0]
    print(f"{'':<32} {'nodes':>7} {'clock':>8} {'processor':>10} {'of the loop':>12}")
    for title, count in commands:
        print(f"{title:<32} {count or '':>7} {clock[title, count]:7.3f}s {processor[title, count]:9.3f}s {processor[title, count] / loop:12.2f}")
    for title in dict.fromkeys(title for title, count in commands if count):
        seconds = [processor[title, count] for count in NODES]
        above = [each - seconds[0] for each in seconds[-2:]]
        print(f"{title:<32} slope {slope(NODES, seconds):.2f} of whole processes, {slope(NODES[-2:], above):.2f} of what nodes add")


def _zoo() -> list[Path]:
    """The networks that we ship."""
    return sorted((Path(__file__).parent.parent / "specs").rglob("*.yaml"))
