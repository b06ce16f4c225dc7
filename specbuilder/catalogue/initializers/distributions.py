"""Beginnings out of one distribution, whatever the shape: uniform, normal, trunc_normal, sparse."""

from __future__ import annotations

from collections.abc import Iterator

from specbuilder.catalogue.contract import Call, Example, Initializer, Input, NonNegativeFloat, PositiveFloat, Probability, call, initializer
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.initializers.constants import matrix


@initializer("uniform", torch="nn.init.uniform_", aliases=("random_uniform", "rand"))
class Uniform(Initializer):
    """Evenly between `a` and `b`."""

    a: float = 0.0
    b: float = 1.0

    examples = (Example(text="uniform: {a: -0.1, b: 0.1}", given="float32[8]", gives="float32[8]"),)

    def mistakes(self) -> Iterator[tuple[str, str]]:
        if self.a > self.b:
            yield "b", f"`uniform` goes from `a` up to `b`, but {self.b:g} is below {self.a:g}"

    def source(self) -> Call:
        return call("nn.init.uniform_", Input(), **self.changed("a", "b"))


@initializer("normal", primary="std", torch="nn.init.normal_", aliases=("gaussian", "random_normal", "randn"))
class Normal(Initializer):
    """Normally distributed around `mean`."""

    mean: float = 0.0
    std: NonNegativeFloat = 1.0

    examples = (Example(text="normal: {std: 0.02}", given="float32[8, 4]", gives="float32[8, 4]"),)

    def source(self) -> Call:
        return call("nn.init.normal_", Input(), **self.changed("mean", "std"))


@initializer("trunc_normal", primary="std", torch="nn.init.trunc_normal_", aliases=("truncated_normal",))
class TruncNormal(Initializer):
    """Normally distributed around `mean`, drawn anew outside of `a` to `b`. The bounds are values, not multiples of `std`, as in torch."""

    mean: float = 0.0
    std: PositiveFloat = 1.0
    a: float = -2.0
    b: float = 2.0

    stricter_than_torch = (
        "`std` below 0, of which torch makes another distribution",
        "a mean more than two `std` outside of `a` to `b`: torch warns that the distribution may be wrong",
    )
    examples = (Example(text="trunc_normal: {std: 0.02}", given="float32[8, 4]", gives="float32[8, 4]"),)

    def mistakes(self) -> Iterator[tuple[str, str]]:
        if self.a > self.b:
            yield "b", f"`trunc_normal` is cut off below `a` and above `b`, but {self.b:g} is below {self.a:g}"
        elif not self.a - 2 * self.std <= self.mean <= self.b + 2 * self.std:
            yield "mean", f"{self.mean:g} lies more than two `std` outside of {self.a:g} to {self.b:g}, where nothing is drawn"

    def source(self) -> Call:
        return call("nn.init.trunc_normal_", Input(), **self.changed("mean", "std", "a", "b"))


@initializer("sparse", primary="sparsity", torch="nn.init.sparse_", aliases=("sparse_normal",))
class Sparse(Initializer):
    """Normally distributed, but for a share of each column that is 0 (J. Martens, "Deep learning via Hessian-free optimization", 2010)."""

    sparsity: Probability = Field(description="the share of zeros in each column")
    std: NonNegativeFloat = 0.01

    stricter_than_torch = ("a `sparsity` outside of 0 to 1, which is no share",)
    examples = (
        Example(text="sparse: 0.9", given="float32[8, 4]", gives="float32[8, 4]"),
        Example(text="sparse: 0.9", given="float32[8, 4, 3, 3]", refused="`sparse` wants a matrix, but [8, 4, 3, 3] has 4 axes"),
    )

    def check(self, shape: tuple[int, ...]) -> None:
        matrix(self.kind, shape)

    def source(self) -> Call:
        return call("nn.init.sparse_", Input(), self.sparsity, **self.changed("std"))
