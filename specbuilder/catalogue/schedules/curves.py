"""How a rate changes over a run: constant, linear, cosine, exponential, polynomial, one_cycle.

Each gives the factor at a share of its span; the plan turns durations into steps. Warm-up comes before all of them, from `warmup_start` to `start`.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, pi

from specbuilder.catalogue.contract import NonNegativeFloat, PositiveFloat, Schedule, schedule
from specbuilder.catalogue.declared import Field


def half_cosine(begin: float, finish: float, x: float) -> float:
    """From `begin` at 0 to `finish` at 1 along half a wave: flat at both ends."""
    return finish + (begin - finish) * (1 + cos(pi * x)) / 2


@schedule("constant", primary="start", aliases=("none", "fixed", "constant_lr"))
class Constant(Schedule):
    """`start` throughout."""

    end: NonNegativeFloat = Field(default=1.0, description="not to be written: the factor stays at `start`")

    def mistakes(self) -> Iterator[tuple[str, str]]:
        if self.end != 1.0:
            yield "end", "`constant` stays at `start`; write `start`, or take `linear`"

    def curve(self, x: float) -> float:
        return self.start


@schedule("linear", aliases=("linear_lr", "linear_decay"))
class Linear(Schedule):
    """From `start` to `end` in a straight line."""

    def curve(self, x: float) -> float:
        return self.start + (self.end - self.start) * x


@schedule("cosine", aliases=("cosine_annealing", "cosine_annealing_lr", "cosine_decay"))
class Cosine(Schedule):
    """From `start` to `end` along half a cosine wave (I. Loshchilov and F. Hutter, "SGDR", 2017)."""

    def curve(self, x: float) -> float:
        return half_cosine(self.start, self.end, x)


@schedule("exponential", aliases=("exponential_lr", "exponential_decay"))
class Exponential(Schedule):
    """From `start` to `end`, by the same factor at each step."""

    start: PositiveFloat = 1.0
    end: PositiveFloat = 0.01

    def curve(self, x: float) -> float:
        return self.start * (self.end / self.start) ** x


@schedule("polynomial", aliases=("polynomial_lr", "poly", "polynomial_decay"))
class Polynomial(Schedule):
    """From `start` to `end` as (1 - x) to a power."""

    power: PositiveFloat = 1.0

    def curve(self, x: float) -> float:
        return self.end + (self.start - self.end) * (1 - x) ** self.power


@schedule("one_cycle", aliases=("one_cycle_lr",))
class OneCycle(Schedule):
    """Up along half a cosine wave and down along another (L. Smith and N. Topin, "Super-convergence", 2018); defaults are those of torch's OneCycleLR."""

    warmup: str | NonNegativeFloat = "30%"
    warmup_start: NonNegativeFloat = 0.04
    end: NonNegativeFloat = 4e-6

    def curve(self, x: float) -> float:
        return half_cosine(self.start, self.end, x)

    def rise(self, x: float) -> float:
        return half_cosine(self.warmup_start, self.start, x)
