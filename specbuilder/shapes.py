"""Types of tensors: a dtype and a shape whose sizes may be symbols. The door to everything about sizes.

In: texts such as `float32[B, 3, 16*h, 16*w]`, and shapes. Out: `TensorType`, its text form, and the few rules of torch about dtypes and broadcasting that
every stage shares. Torch-free; the rules are tested against torch. The algebra of sizes and its proofs stand in `specbuilder.dims`; what each kind
does to a shape is left to the kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from specbuilder.diagnostics import suggest
from specbuilder.dims.polynomial import Dim, DimError, Poly, evaluate, substitute, symbol
from specbuilder.dims.proof import at_least, compare, counterexample, divisible, equal
from specbuilder.dims.requirement import Requirement, holds, strongest
from specbuilder.dims.text import parse_dim, parse_dim_at

__all__ = [
    "DTYPES",
    "Dim",
    "DimError",
    "Poly",
    "Requirement",
    "TensorType",
    "at_least",
    "broadcast",
    "compare",
    "counterexample",
    "divisible",
    "equal",
    "evaluate",
    "holds",
    "is_floating",
    "is_integer",
    "parse_dim",
    "parse_type",
    "promote",
    "same_shape",
    "stretches_both_ways",
    "strongest",
    "substitute",
    "symbol",
]

Shape = tuple[Dim, ...]

# dtypes --------------------------------------------------------------------------------------------------------------

_INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_COMPLEX = ("complex64", "complex128")
DTYPES = ("bool", *_INTEGERS, *_FLOATS, *_COMPLEX)
_ALIASES = {
    "float": "float32",
    "half": "float16",
    "double": "float64",
    "int": "int64",
    "long": "int64",
    "short": "int16",
    "byte": "uint8",
    "boolean": "bool",
}
_OTHER_SPELLINGS = {
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f64": "float64",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "u8": "uint8",
}


def is_floating(dtype: str) -> bool:
    """As torch: complex numbers are not floating."""
    return dtype in _FLOATS


def is_integer(dtype: str) -> bool:
    """Whole numbers; bool is none."""
    return dtype in _INTEGERS


def promote(a: str, b: str) -> str:
    """The dtype of an operation on two tensors that have axes: torch.promote_types."""
    low, high = sorted((a, b), key=DTYPES.index)
    if low == high:
        return low
    if high in _COMPLEX:
        return "complex128" if low == "float64" else high
    if (low, high) == ("float16", "bfloat16"):
        return "float32"
    if (low, high) == ("uint8", "int8"):
        return "int16"
    return high


# Types ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TensorType:
    """What is known of a tensor before it exists: `float32[B, 3, 32, 32]`."""

    dtype: str
    shape: Shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def numel(self) -> Dim:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def shape_text(self) -> str:
        return f"[{', '.join(map(str, self.shape))}]"

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset[str]().union(*(dim.symbols for dim in self.shape if isinstance(dim, Poly)))

    def with_shape(self, shape: Shape) -> TensorType:
        """The same dtype in another shape."""
        return TensorType(self.dtype, shape)

    def with_dtype(self, dtype: str) -> TensorType:
        """The same shape of another dtype."""
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}{self.shape_text}"


def parse_type(text: str) -> TensorType:
    """Reads `float32[B, 3, 16*h, 16*w]`; a single number is `float32[]`."""
    opening = text.find("[")
    closing = len(text.rstrip())
    if opening < 0:
        name = text.strip()
        message = (
            f"`{name}` has no shape; a single number is `{name}[]`" if name in DTYPES else "a type is a dtype with a shape, such as `float32[B, 3]`"
        )
        raise DimError(message, 0, len(text))
    dtype = _parse_dtype(text, opening)
    if text[closing - 1] != "]":
        raise DimError("a type ends with `]`", closing, closing)
    return TensorType(dtype, _parse_shape(text, opening + 1, closing - 1))


def _parse_dtype(text: str, end: int) -> str:
    name = text[:end].strip()
    if name in DTYPES:
        return name
    start = text.index(name)
    if not name:
        raise DimError("the dtype is missing; write `float32[...]`", 0, max(end, 1))
    found = suggest(name, DTYPES, aliases=_ALIASES | _OTHER_SPELLINGS)
    did_you_mean = f"; did you mean {' or '.join(f'`{each}`' for each in found)}?" if found else f"; known are {', '.join(DTYPES)}"
    raise DimError(f"unknown dtype `{name}`{did_you_mean}", start, start + len(name))


def _parse_shape(text: str, start: int, end: int) -> Shape:
    if not text[start:end].strip():
        return ()
    dims, depth, first = [], 0, start
    for at in range(start, end + 1):
        character = text[at] if at < end else ","
        depth += (character == "(") - (character == ")")
        if at == end or (character == "," and depth == 0):
            dims.append(_parse_size(text, first, at))
            first = at + 1
    return tuple(dims)


def _parse_size(text: str, start: int, end: int) -> Dim:
    dim = parse_dim_at(text, start, end)
    if at_least(dim, 1) is False:
        written = text[start:end]
        first = start + len(written) - len(written.lstrip())
        raise DimError(
            f"a size is at least 1, but this is {dim}" if isinstance(dim, int) else f"`{dim}` is never a size of 1 or more",
            first,
            first + len(written.strip()),
        )
    return dim


# Shapes side by side -------------------------------------------------------------------------------------------------


def same_shape(a: Shape, b: Shape) -> bool | None:
    """True: equal for all sizes. False: for none. None: neither is proved."""
    if len(a) != len(b):
        return False
    verdicts = [equal(left, right) for left, right in zip(a, b, strict=True)]
    return False if False in verdicts else None if None in verdicts else True


def broadcast(shapes: Sequence[Shape]) -> Shape | None:
    """The shape that all of these stretch to, axes counted from the back; None if that is not so for every size. A symbol is not known to be 1."""
    rank = max(map(len, shapes), default=0)
    together: list[Dim] = [1] * rank
    for shape in shapes:
        for at, dim in enumerate(shape, rank - len(shape)):
            if together[at] == 1:
                together[at] = dim
            elif dim != 1 and not equal(together[at], dim):
                return None
    return tuple(together)


def stretches_both_ways(a: Shape, b: Shape) -> bool:
    """Whether each of two shapes that broadcast stretches along some axis of the other, as [B, 1] and [B] do; a missing axis counts as size 1."""
    rank = max(len(a), len(b))
    pairs = list(zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True))
    return any(left == 1 and right != 1 for left, right in pairs) and any(right == 1 and left != 1 for left, right in pairs)
