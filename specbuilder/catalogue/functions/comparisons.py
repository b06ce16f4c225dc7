"""What is true of elements, and choices by it: eq to ge, logical_and, logical_or, logical_not, maximum, minimum, where, masked_fill.

Two tensors meet as in arithmetic: that ranks differ or both sides stretch must be asked for.
"""

from __future__ import annotations

from functools import reduce

from specbuilder.catalogue.contract import Argument, Example, Expression, Function, Infix, Input, Port, Prefix, Refusal, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.functions.arithmetic import ALONE, HALF_COMPLEX, SURPRISING_STRETCH, WRAPPED, Binary, WithOther, representable, stretched
from specbuilder.catalogue.promotion import Operand, operand, together
from specbuilder.shapes import TensorType

BYTE_MASK = "a mask of uint8, which torch deprecates"
OTHER_CATEGORY = "a number that the dtype of the input cannot hold, such as 0.5 among whole numbers"


class Comparison(WithOther):
    """True or false for each pair of elements."""

    stricter_than_torch = (SURPRISING_STRETCH, ALONE, WRAPPED)

    def _left(self, dtype: str) -> str:
        return "bool"


class Ordering(Comparison):
    """A comparison that complex numbers do not have."""

    def _together(self, a: Operand, b: Operand) -> Operand:
        ordered(self.kind, a, b)
        return super()._together(a, b)


def ordered(kind: str, *operands: Operand) -> None:
    for each in operands:
        if each.dtype.startswith("complex"):
            raise Refusal(f"`{kind}` wants numbers that can be compared, but {each.dtype} arrives", code="SB0501")


@function("eq", primary="other", torch="torch.eq", aliases=("equal", "equals"))
class Eq(Comparison):
    """Where `input` equals `other`."""

    sign = "=="
    stricter_than_torch = (*Comparison.stricter_than_torch, HALF_COMPLEX)
    examples = (
        Example(text="eq: 0", given="int64[B, T]", gives="bool[B, T]"),
        Example(text="eq", given=("int64[B, T]", "int64[B, 5]"), refused="cannot prove that `T` equals `5`"),
    )


@function("ne", primary="other", torch="torch.ne", aliases=("not_equal",))
class Ne(Comparison):
    """Where `input` differs from `other`."""

    sign = "!="
    stricter_than_torch = (*Comparison.stricter_than_torch, HALF_COMPLEX)
    examples = (Example(text="ne: 0", given="int64[B, T]", gives="bool[B, T]"),)


@function("lt", primary="other", torch="torch.lt", aliases=("less", "less_than"))
class Lt(Ordering):
    """Where `input` is less than `other`."""

    sign = "<"
    examples = (Example(text="lt: 0.5", given="float32[B, 4]", gives="bool[B, 4]"),)


@function("le", primary="other", torch="torch.le", aliases=("less_equal",))
class Le(Ordering):
    """Where `input` is at most `other`."""

    sign = "<="
    examples = (Example(text="le: 0.5", given="float32[B, 4]", gives="bool[B, 4]"),)


@function("gt", primary="other", torch="torch.gt", aliases=("greater", "greater_than"))
class Gt(Ordering):
    """Where `input` is greater than `other`."""

    sign = ">"
    examples = (Example(text="gt: 0.5", given="float32[B, 4]", gives="bool[B, 4]"),)


@function("ge", primary="other", torch="torch.ge", aliases=("greater_equal",))
class Ge(Ordering):
    """Where `input` is at least `other`."""

    sign = ">="
    examples = (Example(text="ge: 0.5", given="float32[B, 4]", gives="bool[B, 4]"),)


class TwoTensors(Binary):
    """Both operands are tensors."""

    inputs = (Port("input"), Port("other"))

    broadcast: bool = Field(default=False, description="allow that ranks differ or that both sides stretch")

    stricter_than_torch = (SURPRISING_STRETCH,)

    def source(self, input: TensorType, other: TensorType | None = None) -> Expression:
        return call(self.torch_name, Input(0), Input(1))


class Logical(TwoTensors):
    """Any dtype counts as true where it is not 0; of two booleans the code is `a & b`."""

    def _left(self, dtype: str) -> str:
        return "bool"

    def source(self, input: TensorType, other: TensorType | None = None) -> Expression:
        if other is not None and input.dtype == other.dtype == "bool":
            return Infix(self.sign, (Input(0), Input(1)))
        return super().source(input, other)


@function("logical_and", torch="torch.logical_and")
class LogicalAnd(Logical):
    """Where both are true."""

    sign = "&"
    examples = (Example(text="logical_and", given=("bool[B, T]", "bool[B, T]"), gives="bool[B, T]"),)


@function("logical_or", torch="torch.logical_or")
class LogicalOr(Logical):
    """Where at least one is true."""

    sign = "|"
    examples = (Example(text="logical_or", given=("bool[B, T]", "bool[B, T]"), gives="bool[B, T]"),)


@function("logical_not", torch="torch.logical_not", aliases=("invert", "bitwise_not"))
class LogicalNot(Function):
    """True where the element is false or 0."""

    examples = (Example(text="logical_not", given="bool[B, T]", gives="bool[B, T]"),)

    def infer(self, x: TensorType) -> TensorType:
        return x.with_dtype("bool")

    def source(self, x: TensorType) -> Expression:
        return Prefix("~", Input()) if x.dtype == "bool" else call("torch.logical_not", Input())


class Extremum(TwoTensors):
    """One of each pair of elements."""

    def _together(self, a: Operand, b: Operand) -> Operand:
        ordered(self.kind, a, b)
        return super()._together(a, b)


@function("maximum", torch="torch.maximum", aliases=("elementwise_max",))
class Maximum(Extremum):
    """The larger of each pair of elements; of a tensor and a number it is `clamp`."""

    examples = (Example(text="maximum", given=("float32[B, 4]", "float32[B, 4]"), gives="float32[B, 4]"),)


@function("minimum", torch="torch.minimum", aliases=("elementwise_min",))
class Minimum(Extremum):
    """The smaller of each pair of elements; of a tensor and a number it is `clamp`."""

    examples = (Example(text="minimum", given=("float32[B, 4]", "float32[B, 4]"), gives="float32[B, 4]"),)


def _mask(kind: str, mask: TensorType, port: str) -> None:
    if mask.dtype != "bool":
        raise Refusal(f"`{kind}` wants true and false at `{port}`, but {mask.dtype} arrives", port=port, help="compare it: `gt: 0`", code="SB0501")


@function("where", torch="torch.where", aliases=("select",))
class Where(Function):
    """`input` where `condition` is true, else `other`; each a tensor or a number."""

    inputs = (Port("condition"), Port("input", optional=True), Port("other", optional=True))
    positional = ("condition", "input", "other")

    input: bool | int | float | None = Field(default=None, description="a number where `condition` is true")
    other: bool | int | float | None = Field(default=None, description="a number where it is not")
    broadcast: bool = Field(default=False, description="allow that ranks differ or that both sides stretch")

    stricter_than_torch = (SURPRISING_STRETCH, BYTE_MASK, HALF_COMPLEX)
    examples = (
        Example(text="where", given=("bool[B, 4]", "float32[B, 4]", "float32[B, 4]"), gives="float32[B, 4]"),
        Example(text="where: {input: 0.0, other: -100.0}", given="bool[B, 4]", gives="float32[B, 4]"),
        Example(
            text="where: {other: 0}", given=("float32[B, 4]", "float32[B, 4]"), refused="wants true and false at `condition`, but float32 arrives"
        ),
    )

    def infer(self, condition: TensorType, input: TensorType | None = None, other: TensorType | None = None) -> TensorType:
        _mask(self.kind, condition, "condition")
        chosen = (("input", input, self.input), ("other", other, self.other))
        for port, tensor, number in chosen:
            if tensor is None and number is None:
                raise Refusal(f"`where` wants `{port}`, a tensor or a number", field=port)
            if tensor is not None and number is not None:
                raise Refusal(f"`where` gets `{port}` twice: a tensor and the number {number}", field=port)
        arriving = [("condition", condition), *((port, tensor) for port, tensor, _ in chosen if tensor is not None)]
        ports: list[tuple[str, int | None]] = [(port, None) for port, _ in arriving]
        shape = stretched(self.kind, [tensor.shape for _, tensor in arriving], asked=self.broadcast, ports=ports)
        operands = [operand(each) for _, tensor, number in chosen for each in (tensor, number) if each is not None]
        result = reduce(together, operands).dtype
        if result == "complex32":
            raise Refusal("`where` gives complex32, for which torch has few functions", code="SB0501")
        for port, _, number in chosen:
            if number is not None:
                representable(self.kind, number, result, field=port)
        return TensorType(result, shape)

    def source(self, condition: TensorType, input: TensorType | None = None, other: TensorType | None = None) -> Expression:
        yes: Argument = Input(1) if input is not None else self.input
        no: Argument = Input(2) if other is not None else self.other
        return call("torch.where", Input(0), yes, no)


@function("masked_fill", primary="value", torch="torch.masked_fill")
class MaskedFill(Function):
    """`input`, but `value` where `mask` is true."""

    inputs = (Port("input"), Port("mask"))

    value: bool | int | float
    broadcast: bool = Field(default=False, description="allow that ranks differ or that both sides stretch")

    stricter_than_torch = (SURPRISING_STRETCH, OTHER_CATEGORY)
    examples = (
        Example(text="masked_fill: -100.0", given=("float32[B, T]", "bool[B, T]"), gives="float32[B, T]"),
        Example(text="masked_fill: 0", given=("float32[B, T]", "int64[B, T]"), refused="wants true and false at `mask`, but int64 arrives"),
    )

    def infer(self, input: TensorType, mask: TensorType) -> TensorType:
        _mask(self.kind, mask, "mask")
        if operand(self.value).category > operand(input).category:
            raise Refusal(f"`masked_fill` cannot put {self.value} into a tensor of {input.dtype}", field="value", code="SB0501")
        representable(self.kind, self.value, input.dtype, field="value")
        return input.with_shape(stretched(self.kind, (input.shape, mask.shape), asked=self.broadcast, ports=(("input", None), ("mask", None))))

    def source(self, input: TensorType, mask: TensorType) -> Expression:
        return call("torch.masked_fill", Input(0), Input(1), self.value)
