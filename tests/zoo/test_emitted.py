"""The emitted file of each network's base, to be read in review: what a person would want to be handed."""

from __future__ import annotations

import pytest

from specbuilder.emit.model import emit_model
from tests.conftest import Golden
from tests.zoo.networks import NETWORKS, network


@pytest.mark.parametrize("name", NETWORKS)
def test_emitted_file(name: str, golden: Golden) -> None:
    golden(f"zoo/{name}.py", emit_model(network(name).graph, f"{name}.yaml", "X.Y.Z").text)
