"""specs/zoo/README.md says what the specs say: `pytest tests/zoo/test_readme.py --update-golden` writes it anew."""

from __future__ import annotations

import re

import pytest

from tests.zoo.networks import FOLDER, NETWORKS, VARIANTS, network
from tests.zoo.test_lines import lines

README = FOLDER / "README.md"

ABOVE = """# The zoo

Twelve networks, each one readable text, with its paper and its promises in it. `make test` holds them to these numbers; against torchvision where it has the network, bit for bit
but for Swin, which calls torch's fused attention; GPT-2 against one written by hand. A checkpoint of torchvision goes in through the map in the spec:

```python
spec = specbuilder.load("specs/zoo/resnet.yaml", variant="resnet50")
model = spec.build()
model.load_state_dict(spec.convert(torchvision.models.resnet50(weights="DEFAULT").state_dict(), map="torchvision"))
```

`specbuilder summary specs/zoo/swin.yaml --variant small` shows what is inside, `specbuilder emit` the PyTorch that it becomes. Lines are those that describe the network:
without comments, `description`, `expect` and `maps`.

"""
BELOW = """
This file is generated (`pytest tests/zoo/test_readme.py --update-golden`).
"""


def shown(name: str) -> list[str]:
    """The row of a network: what it shows of the language, its variants with their sizes."""
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    header = " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))
    found = re.search(r"Shows: (.*?)\.? From:", header)
    assert found is not None, f"the header of {name}.yaml does not say what it shows"
    specs = [network(name, variant) for variant in VARIANTS[name]]
    variants = "<br>".join(variant or "" for variant in VARIANTS[name])
    counts = "<br>".join(f"{spec.report.parameters:,}" for spec in specs)
    return [f"[{name}]({name}.yaml)", found[1], variants, counts, str(lines(text))]


def table() -> str:
    rows = [["name", "shows", "variants", "parameters", "lines"], ["---", "---", "---", "---:", "---:"], *map(shown, NETWORKS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def test_readme_says_what_the_specs_say(request: pytest.FixtureRequest) -> None:
    text = ABOVE + table() + BELOW
    if request.config.getoption("--update-golden"):
        README.write_text(text, encoding="utf-8", newline="")
    assert README.read_text(encoding="utf-8") == text
