"""Promotion against torch.result_type: every pair of dtypes, with axes and without, and plain numbers."""

from __future__ import annotations

from itertools import product

import torch

from specbuilder.catalogue.promotion import operand, together
from specbuilder.shapes import DTYPES, TensorType


def test_every_pair_of_operands_gives_what_torch_gives() -> None:
    tensors = [TensorType(dtype, shape) for dtype, shape in product(DTYPES, ((), (2,)))]
    for a, b in product(tensors, [*tensors, 2, 0.5]):
        if not isinstance(b, TensorType):
            there = torch.result_type(_tensor(a), b)
        else:
            there = torch.result_type(_tensor(a), _tensor(b))
        here = together(operand(a), operand(b)).dtype
        assert f"torch.{here}" == str(there), (str(a), str(b))
        assert together(operand(b), operand(a)).dtype == here


def _tensor(given: TensorType) -> torch.Tensor:
    return torch.zeros(tuple(int(str(size)) for size in given.shape), dtype=getattr(torch, given.dtype))
