"""Arithmetic of tensors, element by element: add, subtract, multiply, divide, floor_divide, remainder, pow.

Operands are what arrives, or one tensor and a number (`multiply: 0.5`). Shapes may stretch where nobody can be surprised: one side has size 1 where the other
has more, or is a single number. That ranks differ, or that both sides stretch, must be asked for by `broadcast: true`, since it is the classic silent mistake
of (B, 1) and (B). dtypes follow torch's promotion.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Gathered, Infix, Input, Port, Refusal, function
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.promotion import DEFAULT_FLOAT, Operand, operand, together
from specbuilder.shapes import DTYPES, Dim, TensorType, broadcast, stretches_both_ways

SURPRISING_STRETCH = "shapes of different rank, or that both stretch, without `broadcast: true`: the classic silent mistake"
ALONE = "a single operand: nearly always a forgotten `from`"
ADDED_BOOLS = "a sum of two booleans, which torch makes a logical or: say which is meant"
WRAPPED = "a whole number that the dtype cannot hold, which torch wraps round in silence (uint8: 0 + 300 = 44)"
HALF_COMPLEX = "complex32, for which torch has few functions"
BY_ZERO = "division by the number 0"
BOOLS = "booleans as operands"


def stretched(kind: str, shapes: Sequence[tuple[Dim, ...]], *, asked: bool, ports: Sequence[tuple[str, int | None]]) -> tuple[Dim, ...]:
    """The shape that these shapes stretch to, from left to right. `ports` says where each arrives: a port, and the position in its list."""
    shape = shapes[0]
    for other, (port, item) in zip(shapes[1:], ports[1:], strict=True):
        shape = _stretched(kind, shape, other, asked=asked, port=port, item=item)
    return shape


def _stretched(kind: str, a: tuple[Dim, ...], b: tuple[Dim, ...], *, asked: bool, port: str, item: int | None) -> tuple[Dim, ...]:
    if a == b or not a or not b:
        return a or b
    found = f"{_text(a)} and {_text(b)}"
    both = broadcast((a, b))
    if both is None:
        if len(a) == len(b):
            for at, (p, q) in enumerate(zip(a, b, strict=True)):
                if p != 1 and q != 1:
                    demands.same_size(kind, p, q, where=f"on axis {at}", port=port, item=item)
        raise Refusal(f"`{kind}` wants equal shapes, found {found}", port=port, item=item)
    if asked:
        return both
    if len(a) != len(b):
        help = f"write `broadcast: true` if {_text(both)} is meant"
        raise Refusal(f"`{kind}` wants equal ranks, found {found}", port=port, item=item, help=help)
    if stretches_both_ways(a, b):
        message = f"`{kind}` would stretch both {found} to {_text(both)}"
        raise Refusal(message, port=port, item=item, help="write `broadcast: true` if that is meant")
    return both


def _text(shape: tuple[Dim, ...]) -> str:
    return TensorType("float32", shape).shape_text


class Combining(Function):
    """What all operations on several operands share; `sign` is Python's, `second` the field that may hold the last operand as a number."""

    sign: ClassVar[str]
    second: ClassVar[str] = "other"

    if TYPE_CHECKING:  # each class declares it after its number
        broadcast: bool

    @property
    def number(self) -> float | None:
        """The operand that the spec gives as a number."""
        return getattr(self, self.second, None)

    def infer(self, *types: Any) -> TensorType:
        operands = self._operands(*types)
        numbers = () if self.number is None else (self.number,)
        if len(operands) + len(numbers) < 2 and not isinstance(operands, Gathered):
            raise Refusal(f"`{self.kind}` wants at least two operands, but one arrives", help="name them: `from: [prev, other]`")
        shape = stretched(self.kind, [each.shape for each in operands], asked=self.broadcast, ports=self._ports(len(operands)))
        result = reduce(self._together, map(operand, (*operands, *numbers)))
        if numbers:
            representable(self.kind, numbers[0], result.dtype, field=self.second)
        return TensorType(self._left(result.dtype), shape)

    def _operands(self, *types: Any) -> tuple[TensorType, ...]:
        """The tensors that arrive, in order."""
        raise NotImplementedError

    def _ports(self, count: int) -> list[tuple[str, int | None]]:
        """Where each operand arrives."""
        ports: list[tuple[str, int | None]] = [(port.name, None) for port in self.inputs]
        return ports[:count]

    def _together(self, a: Operand, b: Operand) -> Operand:
        result = together(a, b)
        if result.dtype not in DTYPES:
            raise Refusal(f"`{self.kind}` of {a.dtype} and {b.dtype} gives {result.dtype}, for which torch has few functions", code="SB0501")
        return result

    def _left(self, dtype: str) -> str:
        """The dtype that leaves, given that of the operands together."""
        return dtype


def representable(kind: str, number: float, dtype: str, *, field: str) -> None:
    """Torch would wrap round a whole number that the dtype cannot hold."""
    if dtype in _LARGEST and abs(number) > _LARGEST[dtype]:
        raise Refusal(f"`{kind}` gives {dtype}, which cannot hold {number}", field=field, code="SB0501")


_LARGEST = {"uint8": 255, "int8": 127, "int16": 2**15 - 1, "int32": 2**31 - 1, "int64": 2**63 - 1}


class Variadic(Combining):
    """An operation whose order does not matter takes any number of tensors."""

    inputs = (Port("input", many=True),)

    other: int | float | None = Field(default=None, description="a number as the other operand")
    broadcast: bool = Field(default=False, description="allow that ranks differ or that both sides stretch")

    stricter_than_torch = (SURPRISING_STRETCH, ALONE, WRAPPED, HALF_COMPLEX)

    def _operands(self, *types: Any) -> tuple[TensorType, ...]:
        return types[0]

    def _ports(self, count: int) -> list[tuple[str, int | None]]:
        return [("input", item) for item in range(count)]

    def source(self, input: tuple[TensorType, ...]) -> Expression:
        tensors = tuple(Input(0, item) for item in range(len(input)))
        numbers = () if self.other is None else (self.other,)
        return tensors[0] if len(tensors) == 1 and not numbers else Infix(self.sign, (*tensors, *numbers))


class Binary(Combining):
    """An operation whose order matters takes two operands."""

    def _operands(self, *types: Any) -> tuple[TensorType, ...]:
        operands = tuple(each for each in types if each is not None)
        if len(operands) == 2 and self.number is not None:
            raise Refusal(f"`{self.kind}` gets its other operand twice: a tensor and the number {self.number}", field=self.second)
        return operands

    def source(self, input: TensorType, other: TensorType | None = None) -> Expression:
        return Infix(self.sign, (Input(0), Input(1) if self.number is None else self.number))


class WithOther(Binary):
    """The other operand is called `other`, a tensor or a number."""

    inputs = (Port("input"), Port("other", optional=True))

    other: int | float | None = Field(default=None, description="a number as the other operand")
    broadcast: bool = Field(default=False, description="allow that ranks differ or that both sides stretch")

    stricter_than_torch = (SURPRISING_STRETCH, ALONE, WRAPPED, HALF_COMPLEX)


@function("add", primary="other", torch="torch.add", aliases=("plus", "merge_add", "elementwise_add"))
class Add(Variadic):
    """The sum of all that arrives, and of the number `other` if there is one."""

    sign = "+"
    stricter_than_torch = (SURPRISING_STRETCH, ALONE, WRAPPED, HALF_COMPLEX, ADDED_BOOLS)
    examples = (
        Example(text="add", given=("float32[B, 4]", "float32[B, 4]"), gives="float32[B, 4]"),
        Example(text="add: 1", given="int64[B, 4]", gives="int64[B, 4]"),
        Example(text="add: {broadcast: true}", given=("float32[B, T, 8]", "float32[T, 8]"), gives="float32[B, T, 8]"),
        Example(text="add", given=("float32[B, 64, 32, 32]", "float32[B, 128, 16, 16]"), refused="wants equal sizes on axis 1, found 64 and 128"),
        Example(text="add", given=("float32[B, 1]", "float32[B]"), refused="wants equal ranks, found [B, 1] and [B]"),
    )

    def _together(self, a: Operand, b: Operand) -> Operand:
        if a.dtype == b.dtype == "bool":
            help = "use `logical_or` for a union, or convert with `cast` to count"
            raise Refusal("`add` of two booleans is not a sum: torch would make it a logical or", help=help, code="SB0501")
        return super()._together(a, b)


@function("multiply", primary="other", torch="torch.multiply", aliases=("mul", "times", "scale", "elementwise_mul"))
class Multiply(Variadic):
    """The product of all that arrives, and of the number `other` if there is one."""

    sign = "*"
    examples = (
        Example(text="multiply: 0.5", given="float32[B, 4]", gives="float32[B, 4]"),
        Example(text="multiply", given=("float32[B, 64, H, W]", "float32[B, 64, 1, 1]"), gives="float32[B, 64, H, W]"),
    )


@function("subtract", primary="other", torch="torch.subtract", aliases=("sub", "minus"))
class Subtract(WithOther):
    """`input` minus `other`, a tensor or a number."""

    sign = "-"
    examples = (Example(text="subtract: 1", given="float32[B, 4]", gives="float32[B, 4]"),)

    def _together(self, a: Operand, b: Operand) -> Operand:
        if "bool" in (a.dtype, b.dtype):
            raise Refusal("`subtract` wants numbers, but bool arrives", code="SB0501")
        return super()._together(a, b)


@function("divide", primary="other", torch="torch.divide", aliases=("div", "true_divide"))
class Divide(WithOther):
    """`input` divided by `other`, a tensor or a number; whole numbers give floating-point ones."""

    sign = "/"
    stricter_than_torch = (SURPRISING_STRETCH, ALONE, BY_ZERO)
    examples = (
        Example(text="divide: 255", given="uint8[B, 4]", gives="float32[B, 4]"),
        Example(text="divide: 0", given="float32[B, 4]", refused="cannot divide by 0"),
    )

    def _together(self, a: Operand, b: Operand) -> Operand:
        if self.other == 0:
            raise Refusal("`divide` cannot divide by 0", field="other")
        result = super()._together(a, b)
        return Operand(DEFAULT_FLOAT, result.say) if result.category < 2 else result


class Whole(WithOther):
    """What floor_divide and remainder share: real numbers."""

    stricter_than_torch = (SURPRISING_STRETCH, ALONE, WRAPPED, BY_ZERO, BOOLS)

    def _together(self, a: Operand, b: Operand) -> Operand:
        if self.other == 0:
            raise Refusal(f"`{self.kind}` cannot divide by 0", field="other")
        for dtype in (a.dtype, b.dtype):
            if dtype == "bool" or dtype.startswith("complex"):
                raise Refusal(f"`{self.kind}` wants whole or floating-point numbers, but {dtype} arrives", code="SB0501")
        return super()._together(a, b)


@function("floor_divide", primary="other", torch="torch.floor_divide", aliases=("floordiv", "int_divide"))
class FloorDivide(Whole):
    """`input` divided by `other` and rounded down; the dtype stays."""

    sign = "//"
    examples = (
        Example(text="floor_divide: 2", given="int64[B, 4]", gives="int64[B, 4]"),
        Example(text="floor_divide: 0", given="float32[B, 4]", refused="cannot divide by 0"),
    )


@function("remainder", primary="other", torch="torch.remainder", aliases=("mod", "modulo"))
class Remainder(Whole):
    """What is left of `input` after division by `other`, with the sign of `other`, as in Python."""

    sign = "%"
    examples = (Example(text="remainder: 2", given="int64[B, 4]", gives="int64[B, 4]"),)


@function("pow", primary="exponent", torch="torch.pow", aliases=("power",))
class Pow(Binary):
    """`input` to the power of `exponent`, a tensor or a number."""

    inputs = (Port("input"), Port("exponent", optional=True))
    sign = "**"
    second = "exponent"

    exponent: int | float | None = Field(default=None, description="a number as the exponent")
    broadcast: bool = Field(default=False, description="allow that ranks differ or that both sides stretch")

    stricter_than_torch = (SURPRISING_STRETCH, ALONE, BOOLS)
    examples = (
        Example(text="pow: 2", given="float32[B, 4]", gives="float32[B, 4]"),
        Example(text="pow: 0.5", given="int64[B, 4]", gives="float32[B, 4]"),
        Example(text="pow: -1", given="int64[B, 4]", refused="cannot raise whole numbers to the power of -1"),
    )

    def _together(self, a: Operand, b: Operand) -> Operand:
        if "bool" in (a.dtype, b.dtype):
            raise Refusal("`pow` wants numbers, but bool arrives", code="SB0501")
        result = super()._together(a, b)
        if result.category == 1 and self.exponent is not None and self.exponent < 0:
            raise Refusal(
                f"`pow` cannot raise whole numbers to the power of {self.exponent}", field="exponent", help="convert them with `cast: float32`"
            )
        return result
