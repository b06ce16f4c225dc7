"""What sizes must meet, as a user reads it, and exactly where torch begins to accept."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from specbuilder.catalogue.contract import Node
from specbuilder.catalogue.lookup import find
from specbuilder.shapes import TensorType, evaluate, holds, parse_type
from tests.contract.witness import witness

CONV = {"out_channels": 2, "kernel_size": 1}

TABLE: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("conv1d", {**CONV, "padding": 2, "padding_mode": "reflect"}, "float32[B, 3, H]", ["H >= 3"]),
    ("conv2d", {**CONV, "padding": (2, 0), "padding_mode": "circular"}, "float32[B, 3, H, W]", ["H >= 2"]),
    ("conv2d", {**CONV, "padding": 2, "padding_mode": "replicate"}, "float32[B, 3, H, W]", []),
    ("conv2d", {"out_channels": 2, "kernel_size": 4, "padding": 1}, "float32[B, 3, H, W]", []),
    ("max_pool2d", {"kernel_size": 3, "stride": 2}, "float32[B, 3, H, W]", []),
    ("max_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}, "float32[B, 3, H, W]", []),
    ("avg_pool3d", {"kernel_size": (1, 2, 3), "padding": (0, 1, 1)}, "float32[B, 3, 2, H, W]", ["2 >= 1", "H >= 2", "W >= 3"]),
    ("group_norm", {"num_groups": 4}, "float32[B, 4, H, W]", ["B*H*W >= 2"]),
    ("instance_norm2d", {}, "float32[B, 4, H, W]", ["H*W >= 2"]),
    ("instance_norm1d", {}, "float32[B, 4, H]", ["H >= 2"]),
    ("conv_transpose1d", {"out_channels": 2, "kernel_size": 2, "padding": 2}, "float32[B, 3, H]", []),
]


@pytest.mark.parametrize(("name", "fields", "given", "expected"), TABLE)
def test_requirements_are_where_torch_begins_to_accept(name: str, fields: dict[str, Any], given: str, expected: list[str]) -> None:
    kind = find("node", name)
    assert kind is not None
    assert issubclass(kind, Node)
    node, x = kind(**fields), parse_type(given)
    requirements, left = node.requirements(x), node.infer(x)
    assert [str(each) for each in requirements] == expected
    assert isinstance(left, TensorType)
    for batch, height, width in product((1, 2), range(1, 6), range(1, 6)):
        sizes = {"B": batch, "H": height, "W": width}
        met = all(holds(each, sizes) for each in requirements) and all(evaluate(size, sizes) >= 1 for size in left.shape)
        says = witness(kind, fields, (x.with_shape(tuple(evaluate(size, sizes) for size in x.shape)),))
        empty = not isinstance(says, str) and "0" in says.types[0].partition("[")[2].strip("]").split(
            ", "
        )  # some kernels give nothing instead of refusing
        assert met == (not isinstance(says, str) and not empty), (sizes, says)
