"""Every variant of the zoo is valid, keeps its promises, and is told so without torch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from specbuilder.api import load
from specbuilder.diagnostics import CheckError
from tests.zoo.networks import EVERY, FOLDER, NETWORKS, VARIANTS

CODE = """
import sys
from specbuilder.cli import main
try:
    main(sys.argv[1:])
finally:
    print({"torch", "numpy", "torchvision"} & set(sys.modules), file=sys.stderr)
"""


def test_folder_holds_these_networks() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == sorted(NETWORKS)


def test_every_variant_is_valid_and_torch_is_not_imported() -> None:
    files = [str(FOLDER / f"{name}.yaml") for name in NETWORKS]
    done = subprocess.run([sys.executable, "-c", CODE, "validate", "--variant", "all", "--json", *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "set()\n"), done.stdout
    verdicts = json.loads(done.stdout)
    assert [(verdict["file"], verdict["variant"], verdict["valid"], verdict["diagnostics"]) for verdict in verdicts] == [
        (str(FOLDER / f"{name}.yaml"), variant, True, []) for name, variant in EVERY
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_first_variant_is_the_base_and_all_are_named(name: str) -> None:
    spec = load(FOLDER / f"{name}.yaml")
    assert spec.variants == tuple(variant for variant in VARIANTS[name] if variant is not None)
    assert not spec.warnings
    assert load(FOLDER / f"{name}.yaml", variant=VARIANTS[name][0]).report == spec.report


@pytest.mark.parametrize("name", NETWORKS)
def test_a_promise_that_does_not_hold_is_told(name: str) -> None:
    with pytest.raises(CheckError, match="but the network has"):
        load(FOLDER / f"{name}.yaml", set={"expect.parameters": 1})
