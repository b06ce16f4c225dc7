"""What the transforms of images ask for: an image [batch, channels, height, width], and a fill that its pixels can hold.

In: the type that arrives and the name of the kind that asks. Out: nothing; a demand that is not met raises `Refusal`.
"""

from __future__ import annotations

from specbuilder.catalogue import demands, windows
from specbuilder.catalogue.contract import Refusal
from specbuilder.shapes import TensorType, is_floating, is_integer

AXES = 2

RANGES = {"bool": (0, 1), "uint8": (0, 2**8 - 1), "int8": (-(2**7), 2**7 - 1), "int16": (-(2**15), 2**15 - 1), "int32": (-(2**31), 2**31 - 1)}
"""Whole numbers that a pixel can hold; int64 holds all that a fill can be."""


def image(kind: str, x: TensorType) -> None:
    demands.rank(kind, x, (AXES + 2,), windows.arrangement(AXES))


def real(kind: str, x: TensorType) -> None:
    if not (is_floating(x.dtype) or is_integer(x.dtype) or x.dtype == "bool"):
        raise Refusal(f"`{kind}` wants real numbers, but {x.dtype} arrives", code="SB0501")


def fill(kind: str, value: float, x: TensorType) -> None:
    """Whole pixels take a whole number within their range: torch would cut off the rest without a word."""
    if is_floating(x.dtype) or (value.is_integer() and _within(value, x.dtype)):
        return
    low, high = RANGES.get(x.dtype, (None, None))
    span = f" from {low} to {high}" if low is not None else ""
    raise Refusal(f"`{kind}` fills with {value:g}, but {x.dtype} pixels are whole numbers{span}", field="fill", code="SB0501")


def _within(value: float, dtype: str) -> bool:
    low, high = RANGES.get(dtype, (value, value))
    return low <= value <= high
