"""`specbuilder validate` as a whole process, against one that only imports typer's usual company: the floor of a comparable tool."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.measure import interleaved

FLOOR = """
import typer, rich.console, ruamel.yaml
from pydantic import BaseModel
class Settings(BaseModel):
    width: int
"""
ROUNDS = 25


def main() -> None:
    spec = Path(__file__).parent.parent / "specs" / "cnn.yaml"
    ours = lambda: _timed([sys.executable, "-m", "specbuilder", "validate", str(spec)])  # noqa: E731
    floor = lambda: _timed([sys.executable, "-c", FLOOR])  # noqa: E731
    found = interleaved(ours, floor, ROUNDS)
    print(f"validate specs/cnn.yaml  {median(found.a) * 1e3:6.1f} ms")
    print(f"imports alone            {median(found.b) * 1e3:6.1f} ms")
    low, high = found.interval(lambda a, b: a / b)
    print(f"ratio                    {found.ratio:6.3f} [{low:.3f}, {high:.3f}]")


def _timed(command: list[str]) -> float:
    began = perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return perf_counter() - began
