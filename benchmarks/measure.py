"""How the benchmarks measure: two things in turns, so that a drift of the machine hits both; the median of the differences, with a bootstrap interval."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Comparison:
    """Times of A and B, round by round."""

    a: list[float]
    b: list[float]

    @property
    def ratio(self) -> float:
        return median(a / b for a, b in zip(self.a, self.b, strict=True))

    @property
    def difference(self) -> float:
        return median(a - b for a, b in zip(self.a, self.b, strict=True))

    def interval(self, of: Callable[[float, float], float]) -> tuple[float, float]:
        """The 95 % bootstrap interval of the median of a figure of both."""
        draw = random.Random(0)
        figures = [of(a, b) for a, b in zip(self.a, self.b, strict=True)]
        medians = sorted(median(draw.choices(figures, k=len(figures))) for _ in range(2000))
        return medians[50], medians[1949]


def interleaved(a: Callable[[], float], b: Callable[[], float], rounds: int) -> Comparison:
    """Runs both in turns, in changing order; each call gives the seconds that count."""
    found = Comparison([], [])
    a(), b()
    for number in range(rounds):
        if number % 2:
            second, first = b(), a()
        else:
            first, second = a(), b()
        found.a.append(first)
        found.b.append(second)
    return found
