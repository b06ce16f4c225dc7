"""Finding kinds by name: only what is asked for is imported, and a wrong name gets one good answer or none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from specbuilder.catalogue import indexing
from specbuilder.catalogue.contract import REGISTRY, Family
from specbuilder.catalogue.declared import fields_of
from specbuilder.catalogue.index import ALIASES, KINDS
from specbuilder.catalogue.lookup import all_kinds, find, names, unknown


def test_index_is_fresh() -> None:
    assert indexing.FILE.read_text(encoding="utf-8") == indexing.index(), "run `python -m specbuilder.catalogue.indexing`"


@pytest.mark.parametrize("family", REGISTRY)
def test_every_kind_of_the_index_is_found(family: Family) -> None:
    for name in KINDS[family]:
        kind = find(family, name)
        assert kind is not None
        assert (kind.kind, kind.family) == (name, family)
        assert kind.primary is None or kind.primary in fields_of(kind)
    assert names(family) == tuple(kind.kind for kind in all_kinds(family))


@pytest.mark.parametrize("family", REGISTRY)
def test_aliases_lead_to_kinds_and_are_none(family: Family) -> None:
    for alias, name in ALIASES[family].items():
        assert name in KINDS[family]
        assert alias not in KINDS[family]


def test_only_the_module_that_is_named_is_imported() -> None:
    code = """
import sys
from specbuilder.catalogue.lookup import find, unknown
find("node", "relu"); unknown("node", "Conv2d"); find("node", "nothing")
folders = ("layers", "functions", "losses", "optimizers", "schedules", "datasets", "transforms", "metrics", "initializers")
print(*sorted(name for name in sys.modules if name.startswith("specbuilder.catalogue.") and name.split(".")[2] in folders))
print([name for name in ("torch", "numpy", "torchvision") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["specbuilder.catalogue.functions specbuilder.catalogue.functions.activations", "[]"]


@pytest.mark.parametrize(
    ("family", "name", "help"),
    [
        ("node", "Conv2d", "did you mean `conv2d`?"),
        ("node", "MaxPool2d", "did you mean `max_pool2d`?"),
        ("node", "nn.Linear", "did you mean `linear`?"),
        ("node", "Dense", "did you mean `linear`?"),
        ("node", "fully_connected", "did you mean `linear`?"),
        ("node", "batch_norm", "did you mean `batch_norm2d`?"),
        ("node", "swish", "did you mean `silu`?"),
        ("node", "relu7", "did you mean `relu` or `relu6`?"),
        ("node", "adam", "`adam` is an optimizer; it belongs to `train.optimizer`"),
        ("node", "cross_entropy", "`cross_entropy` is a loss; it belongs to `train.loss`"),
        ("loss", "softmax", "`softmax` is a node; it belongs to `model.nodes`"),
        ("loss", "CrossEntropyLoss", "did you mean `cross_entropy`?"),
        ("loss", "bce", "did you mean `binary_cross_entropy_with_logits`?"),
        ("optimizer", "cosine", "`cosine` is a schedule; it belongs to `train.schedule`"),
        ("optimizer", "AdamW", "did you mean `adamw`?"),
        ("schedule", "OneCycleLR", "did you mean `one_cycle`?"),
        ("metric", "acc", "did you mean `accuracy`?"),
        ("initializer", "he_normal", "did you mean `kaiming_normal`?"),
        ("initializer", "normal_", "did you mean `normal`?"),
        ("initializer", "linear", "`linear` is a node; it belongs to `model.nodes`"),
        ("node", "zebra", None),
    ],
)
def test_unknown_name_gets_one_good_answer_or_none(family: Family, name: str, help: str | None) -> None:
    assert unknown(family, name) == help
