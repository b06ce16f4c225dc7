"""Commands that only read answer without torch: nobody waits a second to hear about a typing mistake.

Each command runs in a process of its own, through the door of the command line; what it printed and which modules it left in
`sys.modules` are looked at from outside. The last test proves that the probe sees a heavy module where there is one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "torchvision", "numpy", "typer", "rich")

PROBE = """
import json, sys
try:
    {code}
finally:
    print(json.dumps(sorted({{name.split(".")[0] for name in sys.modules}})), file=sys.stderr)
"""

COMMANDS = [
    ["validate", "specs/cnn.yaml"],
    ["validate", "specs/cnn.yaml", "specs/digits.yaml", "specs/mlp.yaml", "--json"],
    ["validate", "specs/mlp.yaml", "--set", "vars.width=32", "--set", "expect={}"],
    ["explain-value", "tests/report/family/spec.yaml", "model.nodes.mid.out_features", "--variant", "big"],
    ["emit", "specs/cnn.yaml"],
    ["summary", "specs/cnn.yaml"],
    ["kinds"],
    ["kinds", "linear"],
    ["schema"],
]


def probe(code: str, *arguments: str) -> tuple[int, str, set[str]]:
    """Exit code, what was printed, and the modules that were imported, of a fresh process that runs `code`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSTARTUP": "", "COVERAGE_PROCESS_START": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code), *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    *before, modules = done.stderr.splitlines() or ["[]"]
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + "\n".join(before), set(json.loads(modules))


def run_command(*arguments: str) -> tuple[int, str, set[str]]:
    return probe("from specbuilder.cli import main; sys.exit(main())", *arguments)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_reading_command_leaves_torch_alone(command: list[str]) -> None:
    code, printed, modules = run_command(*command)
    assert code == 0, printed
    assert printed.strip() != ""
    assert modules & {*HEAVY} == set()


def test_right_spec_costs_no_pydantic() -> None:
    """Pydantic is there to say what is wrong; it takes half of what `validate` may take."""
    code, printed, modules = run_command("validate", "specs/cnn.yaml")
    assert code == 0, printed
    assert modules & {"pydantic", "pydantic_core", "jsonschema"} == set()


def test_refusing_a_spec_leaves_torch_alone(tmp_path: Path) -> None:
    spec = tmp_path / "bad.yaml"
    spec.write_text((ROOT / "specs" / "cnn.yaml").read_text(encoding="utf-8").replace("max_pool2d", "max_pol2d"), encoding="utf-8")
    code, printed, modules = run_command("validate", str(spec))
    assert code == 3, printed
    assert "max_pool2d" in printed
    assert modules & {*HEAVY} == set()


def test_importing_the_package_imports_next_to_nothing() -> None:
    code, _, modules = probe("import specbuilder; specbuilder.SpecError")
    assert code == 0
    assert modules & {*HEAVY, "pydantic", "ruamel", "jsonschema"} == set()


def test_probe_sees_a_heavy_module() -> None:
    _, _, modules = probe("import numpy")
    assert "numpy" in modules
