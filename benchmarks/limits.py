"""What hostile specs cost: processor time and the largest memory of `specbuilder validate`, each refused by arithmetic. The specs are those of the tests."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.graph.hostile import SPECS, run


def main() -> None:
    with TemporaryDirectory() as folder:
        for name, hostile in SPECS.items():
            answer = run(hostile.text(), Path(folder))
            print(f"{name:<58} code {answer.code}  {answer.seconds:5.2f} s  {answer.mebibytes:4.0f} MiB  {answer.first[:100]}")
