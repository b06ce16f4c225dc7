"""The zoo's texts against what they were on paper, before there was a language to run: none grew by more than a tenth, and mostly not at all."""

from __future__ import annotations

import re

import pytest

from tests.zoo.networks import FOLDER, NETWORKS

ON_PAPER = {
    "bert_mean": 44,
    "convnext": 49,
    "densenet": 47,
    "diffusion_unet": 99,
    "fpn": 60,
    "gpt2": 56,
    "mobilenet_v2": 44,
    "moe": 52,
    "resnet": 66,
    "siamese": 19,
    "swin": 93,
    "vae": 18,
}
"""Lines, as `lines` counts them."""

ASIDE = re.compile(r"^(description|maps|expect):")


def lines(text: str) -> int:
    """Lines of a spec that say something of the network: neither empty, nor a comment, nor of `description`, `maps`, `expect`."""
    count, is_aside = 0, False
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line[0].isspace():
            is_aside = ASIDE.match(line) is not None
        count += not is_aside
    return count


@pytest.mark.parametrize("name", NETWORKS)
def test_no_text_grew_by_more_than_a_tenth(name: str) -> None:
    assert lines((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")) <= 1.1 * ON_PAPER[name]


def test_what_counts_as_a_line() -> None:
    text = "# a\nname: a\ndescription: a\n\nmaps:\n  b:\n    - {from: c, to: d}\nmodel:\n  # e\n  nodes: [relu]\nexpect:\n  parameters: 0\n"
    assert lines(text) == 3
