"""Beginnings without chance: constant, zeros, ones, eye, dirac."""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Call, Example, Initializer, Input, PositiveInt, Refusal, call, initializer
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import is_floating


class Constantly(Initializer):
    """What these share: 0 and 1 are numbers of every dtype."""

    def check_dtype(self, dtype: str) -> None:
        return


@initializer("constant", primary="val", torch="nn.init.constant_", aliases=("fill", "full", "value"))
class Constant(Initializer):
    """One number everywhere."""

    val: float

    stricter_than_torch = ("numbers that the dtype cannot hold, which torch rounds towards 0 in silence",)
    examples = (Example(text="constant: 0.5", given="float32[8]", gives="float32[8]"),)

    def check_dtype(self, dtype: str) -> None:
        if (not self.val.is_integer() and not is_floating(dtype)) or (dtype == "bool" and self.val not in (0, 1)):
            raise Refusal(f"`constant` of {self.val:g} does not fit {dtype}", field="val", code="SB0501")

    def source(self) -> Call:
        return call("nn.init.constant_", Input(), self.val)


@initializer("zeros", torch="nn.init.zeros_", aliases=("zero", "zeros_like"))
class Zeros(Constantly):
    """0 everywhere."""

    examples = (Example(text="zeros", given="float32[8]", gives="float32[8]"),)

    def source(self) -> Call:
        return call("nn.init.zeros_", Input())


@initializer("ones", torch="nn.init.ones_", aliases=("one", "ones_like"))
class Ones(Constantly):
    """1 everywhere."""

    examples = (Example(text="ones", given="float32[8]", gives="float32[8]"),)

    def source(self) -> Call:
        return call("nn.init.ones_", Input())


@initializer("eye", torch="nn.init.eye_", aliases=("identity", "unit_matrix"))
class Eye(Constantly):
    """1 on the diagonal of a matrix, 0 elsewhere: a linear layer hands on what arrives."""

    examples = (
        Example(text="eye", given="float32[8, 4]", gives="float32[8, 4]"),
        Example(text="eye", given="float32[8]", refused="`eye` wants a matrix, but [8] has 1 axis"),
    )

    def check(self, shape: tuple[int, ...]) -> None:
        matrix(self.kind, shape)

    def source(self) -> Call:
        return call("nn.init.eye_", Input())


@initializer("dirac", primary="groups", torch="nn.init.dirac_", aliases=("delta",))
class Dirac(Constantly):
    """1 in the middle of each filter at its own channel, 0 elsewhere: a convolution hands on what arrives."""

    groups: PositiveInt = Field(default=1, description="the groups of the convolution")

    stricter_than_torch = ("`groups` below 0, which means nothing",)
    examples = (
        Example(text="dirac", given="float32[8, 4, 3, 3]", gives="float32[8, 4, 3, 3]"),
        Example(text="dirac", given="float32[8, 4]", refused="`dirac` wants the weights of a convolution, 3 to 5 axes, but [8, 4] has 2"),
        Example(text="dirac: 3", given="float32[8, 4, 3]", refused="`dirac` wants a first axis that `groups` divides, but 8 is no multiple of 3"),
    )

    def check(self, shape: tuple[int, ...]) -> None:
        if not 3 <= len(shape) <= 5:
            raise Refusal(f"`dirac` wants the weights of a convolution, 3 to 5 axes, but {[*shape]} has {len(shape)}")
        if shape[0] % self.groups:
            raise Refusal(f"`dirac` wants a first axis that `groups` divides, but {shape[0]} is no multiple of {self.groups}", field="groups")

    def source(self) -> Call:
        return call("nn.init.dirac_", Input(), **self.changed("groups"))


def matrix(kind: str, shape: tuple[int, ...]) -> None:
    """The shape of a matrix, or a refusal."""
    if len(shape) != 2:
        raise Refusal(f"`{kind}` wants a matrix, but {[*shape]} has {demands.counted(len(shape), 'axis', 'axes')}")
