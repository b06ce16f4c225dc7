"""From sizes that were seen to the rule behind them: floor((a*x + b) / c).

In: a function that tells the size which leaves for a size `x` that arrives. Out: the one rule of that form which says the same for all sizes that were asked
for, or None. Pure and torch-free: asking may run a network, but that is the caller's affair.

Four sizes alone leave many rules open (of floor((x + b) / 32) they tell b only roughly), so more are asked for, each chosen where two of the rules that are
left differ, until one rule is left. Windows, strides and towers of them are all of this form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
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

    def at(self, share: float) -> Line:
        """The rule at this share of the way from the lowest to the highest b."""
        return Line(self.a, self.low + int(share * (self.high - self.low)), self.c)


def fit(ask: Ask, first: int) -> Line | None:
    """The rule behind `ask`, or None where no rule of this form fits. `first` is a size that can arrive."""
    seen: dict[int, int] = {}
    least, most = 1, FAR * LARGEST_DIVISOR
    for x in (*(first + step for step in STEPS), FAR * max(first, STEPS[-1]), *reversed(SMALL)):
        if x in seen or not least <= x <= most:
            continue
        if (size := ask(x)) is not None:
            seen[x] = size
        elif x > first:
            most = x - 1
        else:
            least = x + 1
    for _ in range(MOST_ASKED - len(seen)):
        left = _possible(seen)
        x = _telling(left, [x for x in _sizes(first) if least <= x <= most and x not in seen]) if left else None
        if x is None:
            return left[0].at(0) if left else None
        if (size := ask(x)) is not None:
            seen[x] = size
        elif x > first:
            # What is too large stays too large: half the way back, so that a limit costs few questions.
            most = (first + x) // 2
        else:
            least = x + 1
    left = _possible(seen)
    return left[0].at(0) if left else None


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


def _sizes(first: int) -> Iterator[int]:
    """Sizes to choose from: all up to twice the largest divisor, so that each remainder is among them, some beyond, and the small ones."""
    near = range(first, first + 2 * LARGEST_DIVISOR)
    yield from (*near, *range(near.stop, near.stop + 8 * LARGEST_DIVISOR, 29), *range(1, first))


def _telling(left: list[_Open], sizes: list[int]) -> int | None:
    """A size at which the rules that are left say different things, and none of them is said by many; None where they all say the same."""
    if len(left) == 1 and left[0].low == left[0].high:
        return None
    some = left[:: len(left) // MOST_COMPARED + 1]
    # The b in the middle stand for the others: whatever the answer, half of the rules are done with. Those at the ends differ where no middles do.
    middles, ends = (lambda each: (each.at(0.25), each.at(0.75))), (lambda each: (each.at(0), each.at(1)))
    for open_rules, lines in ((some, middles), (some, ends), (left, ends)):
        if (x := _splitting({line for each in open_rules for line in lines(each)}, sizes)) is not None:
            return x
    return None


def _splitting(rules: set[Line], sizes: list[int]) -> int | None:
    """The size at which the fewest of these rules say the same; the first one where it is half of them."""
    many, best = len(rules), None
    for x in sizes:
        said = max(Counter(rule(x) for rule in rules).values())
        if said < many:
            many, best = said, x
            if 2 * said <= len(rules) + 1:
                break
    return best
