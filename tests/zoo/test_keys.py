"""Names are the public contract: state-dict keys, selectors, checkpoints. The whole list of keys of five networks, with shapes, is fixed."""

from __future__ import annotations

import pytest

from tests.conftest import Golden
from tests.zoo.networks import network, on_meta

CASES = {
    "resnet18": ("resnet", "resnet18", {}),
    "gpt2": ("gpt2", "small", {"depth": 2}),
    "diffusion_unet": ("diffusion_unet", None, {}),
    "siamese": ("siamese", None, {}),
    "moe": ("moe", None, {"depth": 1}),
}


@pytest.mark.parametrize("title", CASES)
def test_keys_of_the_state_dict(title: str, golden: Golden) -> None:
    name, variant, changes = CASES[title]
    state = on_meta(network(name, variant, **changes)).state_dict()
    golden(f"zoo/keys/{title}.txt", "".join(f"{key} {list(tensor.shape)}\n" for key, tensor in state.items()))
