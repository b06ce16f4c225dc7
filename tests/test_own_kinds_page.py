"""docs/own-kinds.md says what is so: its code is the code of the example files, its commands are run and print what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "own-kinds.md").read_text(encoding="utf-8")
FILES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples" / "own_kinds").iterdir()) if path.is_file()}
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
CODE = [text for language, text in BLOCKS if language in ("python", "yaml")]
COMMANDS = [text for language, text in BLOCKS if language == "console"]


@pytest.mark.parametrize("text", CODE, ids=lambda text: text.splitlines()[0][:40])
def test_code_of_the_page_is_that_of_the_files(text: str) -> None:
    assert any(text in file for file in FILES.values())


def test_page_shows_all_code_of_the_files() -> None:
    shown = "".join(CODE)
    for name in ("squeeze_excite.py", "my_kinds.py", "test_my_kinds.py"):
        lines = [line for line in FILES[name].splitlines() if line and not line.startswith('"""')]
        assert [line for line in lines if line not in shown] == [], name


@pytest.mark.parametrize("text", COMMANDS, ids=lambda text: text.splitlines()[0])
def test_command_of_the_page_prints_what_it_shows(text: str, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    first, _, shown = text.partition("\n")
    words = first.removeprefix("$ specbuilder ").split()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "specbuilder", *words], cwd=tmp_path, env=env, capture_output=True, encoding="utf-8", check=False, timeout=120
    )
    assert (done.returncode, done.stderr + done.stdout) == (0, shown)


def test_tests_of_the_page_pass(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_kinds.py"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert "2 passed" in done.stdout, done.stdout
