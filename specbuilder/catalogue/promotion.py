"""The dtype of an operation on several operands: torch's promotion (language.md section 2, rule 13).

In: types and plain numbers. Out: a dtype. The one idea: operands fall into three ranks of say, tensors with axes before single numbers (rank 0) before
numbers of the spec. Within a rank `shapes.promote` decides; a lower rank counts only when it is of a higher category (boolean, integer, floating, complex).
The tests compare it with `torch.result_type` for all pairs.
"""

from __future__ import annotations

from specbuilder.records import Record
from specbuilder.shapes import TensorType, is_floating, is_integer, promote

DEFAULT_FLOAT = "float32"
_COMPLEX_OF_WIDTH = {"float64": "complex128", "float16": "complex32"}
"""What floats become beside a single complex number. No tensor of a spec has complex32; `arithmetic` refuses it."""


class Operand(Record):
    """What promotion looks at: the dtype and how much say it has (2 tensor with axes, 1 rank-0 tensor, 0 number)."""

    dtype: str
    say: int

    @property
    def category(self) -> int:
        return 0 if self.dtype == "bool" else 1 if is_integer(self.dtype) else 2 if is_floating(self.dtype) else 3


def operand(given: TensorType | float) -> Operand:
    if isinstance(given, TensorType):
        return Operand(given.dtype, 2 if given.rank else 1)
    return Operand("bool" if isinstance(given, bool) else "int64" if isinstance(given, int) else DEFAULT_FLOAT, 0)


def together(a: Operand, b: Operand) -> Operand:
    """The result of an operation on both."""
    low, high = sorted((a, b), key=lambda each: each.say)
    if low.say == high.say or (low.category > high.category and high.category < 2):
        return Operand(promote(high.dtype, low.dtype), high.say)
    if low.category == 3 > high.category:
        return Operand(_COMPLEX_OF_WIDTH.get(high.dtype, "complex64"), high.say)
    return high
