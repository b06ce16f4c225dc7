"""From sizes that were seen to the rule behind them: floor((a*x + b) / c).

In: a function that tells the size which leaves for a size `x` that arrives. Out: the one rule of that form which says the same for all sizes that were asked
for, or None. Pure and torch-free: asking may run a network, but that is the caller's affair.

Four sizes alone leave many rules open (of floor((x + b) / 32) they tell b only roughly), so more are asked for, each chosen where two of the rules that are
left differ, until one rule is left. Windows, strides and towers of them are all of this form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from math import gcd

from specbuilder.records import Record
from specbuilder.shapes import Dim

STEPS = (0, 1, 6, 11)
"""The four sizes that are always asked for, counted from the first one."""
FAR, SMALL = 64, (1, 2)
"""A size so many times larger tells the slope; small ones show a rule that changes below some size."""
LARGEST_DIVISOR = 256
MOST_ASKED = 40
MOST_COMPARED = 16

Ask = Callable[[int], int | None]
"""The size that leaves for one that arrives; None where there is no answer, since nothing so large (or small) can arrive."""


class Line(Record):
    """floor((a*x + b) / c) with c at least 1, and a and c without common factor."""

    a: int
    b: int
    c: int

    def __call__(self, x: Dim) -> Dim:
        return (self.a * x + self.b) // self.c


class _Open(Record):
    """Rules of one slope that are still possible: b lies between `low` and `high`."""

    a: int
    c: int
    low: int
    high: int

    @property
    def lowest(self) -> Line:
        return Line(self.a, self.low, self.c)

    @property
    def highest(self) -> Line:
        return Line(self.a, self.high, self.c)


def fit(ask: Ask, first: int) -> Line | None:
    """The rule behind `ask`, or None where no rule of this form fits. `first` is a size that can arrive."""
    seen: dict[int, int] = {}
    for x in (*(first + step for step in STEPS), first * FAR, *SMALL):
        if x not in seen and (size := ask(x)) is not None:
            seen[x] = size
    refused: set[int] = set()
    while left := _possible(seen):
        x = _telling(left, first, seen.keys() | refused) if len(seen) + len(refused) < MOST_ASKED else None
        if x is None:
            return left[0].lowest
        if (size := ask(x)) is not None:
            seen[x] = size
        else:
            refused.add(x)
    return None


def _possible(seen: dict[int, int]) -> list[_Open]:
    """All rules that say what was seen, those with small divisors first."""
    xs = sorted(seen)
    # floor never moves a difference by 1 or more, so each pair of sizes bounds the slope a/c from both sides.
    pairs = [(x - xs[0], seen[x] - seen[xs[0]]) for x in xs[1:]] + [(xs[-1] - x, seen[xs[-1]] - seen[x]) for x in xs[1:-1]]
    found = []
    for c in range(1, LARGEST_DIVISOR + 1):
        least = max((c * (dy - 1) // dx + 1 for dx, dy in pairs), default=0)
        most = min((-(-c * (dy + 1) // dx) - 1 for dx, dy in pairs), default=0)
        for a in range(least, most + 1):
            low = max(c * y - a * x for x, y in seen.items())
            high = min(c * y - a * x for x, y in seen.items()) + c - 1
            if low <= high and gcd(a, c) == 1:
                found.append(_Open(a, c, low, high))
    return found


def _telling(left: list[_Open], first: int, seen: Collection[int]) -> int | None:
    """A size at which the rules that are left say different things, and none of them is said by many; None where they all say the same."""
    rules = [rule for each in left[:: len(left) // MOST_COMPARED + 1] for rule in (each.lowest, each.highest)]
    sizes = [x for x in (*range(first, first + 64), *range(3 * first, 3 * first + 4 * LARGEST_DIVISOR, 5), *range(1, first)) if x not in seen]
    said = [(max(Counter(rule(x) for rule in rules).values()), x) for x in sizes]
    most, x = min(said, default=(len(rules), 0))
    if most < len(rules):
        return x
    # What is left differs in few places, or in b alone.
    simplest = left[0]
    if simplest.low < simplest.high:
        middle = (simplest.low + simplest.high + 1) // 2
        # Where a*x + middle is a multiple of c, half of the possible b give one more than the other half.
        rest = -middle * pow(simplest.a, -1, simplest.c) % simplest.c
        start = first + (rest - first) % simplest.c
        return next((x for x in range(start, start + 8 * simplest.c, simplest.c) if x not in seen), None)
    one = simplest.lowest
    for other in left[1:]:
        two = other.lowest
        if (x := next((x for x in range(first, first + 16 * LARGEST_DIVISOR) if x not in seen and one(x) != two(x)), None)) is not None:
            return x
    return None
