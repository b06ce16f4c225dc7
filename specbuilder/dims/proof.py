"""What holds for every size, proved rather than tried.

In: sizes (`Dim`). Out: True for all sizes from 1 on, False for none, None when it depends or cannot be told. The idea: write every symbol as
s = N*k + r with k >= 0 and r from 1 to N, where N is large enough that all floors clear. Each choice of the r's is a class, and within a class the size
is a plain polynomial in the k's, known completely from its values on a small grid. Its Newton form (coefficients of binomials C(k, j), all of them
natural numbers) then shows zeros, signs and common divisors. For equality this is complete; for signs it is exact with one symbol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice, product
from math import gcd, lcm, prod

from specbuilder.dims.polynomial import Dim, DimError, Floor, Monomial, Poly, evaluate

MAX_CLASSES = 4096
MAX_WORK = 400_000
"""Atoms evaluated for one answer, some tens of milliseconds."""
MAX_STEPS = 256
MAX_TRIALS = 4096


def equal(a: Dim, b: Dim) -> bool | None:
    """True: equal for all sizes. False: different for all sizes. None: neither is proved."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    return True if a == b else _is_zero(_difference(a, b))


def at_least(dim: Dim, minimum: int) -> bool | None:
    """Whether `dim >= minimum` for all sizes, for none, or for some that cannot be told apart here."""
    if isinstance(dim, int):
        return dim >= minimum
    for find in (interval, bounds):
        lowest, highest = find(dim)
        if lowest is not None and lowest >= minimum:
            return True
        if highest is not None and highest < minimum:
            return False
    return None


def compare(operator: str, a: Dim, b: Dim) -> bool | None:
    """The truth of `a operator b`, one of == != < <= > >=, if it is the same for all sizes."""
    if operator in ("==", "!="):
        same = equal(a, b)
        return same if same is None or operator == "==" else not same
    if operator in ("<", "<="):
        a, b = b, a
    difference = _difference(a, b)
    return None if difference is None else at_least(difference, 1 if operator in ("<", ">") else 0)


def divisible(dim: Dim, divisor: int) -> bool | None:
    """Whether `dim % divisor == 0` for all sizes, for none, or for some."""
    try:
        return equal(dim % divisor, 0)
    except DimError:
        return None


def _difference(a: Dim, b: Dim) -> Dim | None:
    try:
        return a - b
    except DimError:
        return None


@lru_cache(maxsize=4096)
def _is_zero(dim: Dim | None) -> bool | None:
    if dim is None or isinstance(dim, int):
        return None if dim is None else dim == 0
    classes = _classes(dim)
    if classes is None:
        return False if at_least(dim, 1) or at_least(-dim, 1) else None
    alone, always, never = len(dim.symbols) == 1, True, True
    for coefficients in classes:
        always = always and not any(coefficients)
        never = never and _is_never_zero(coefficients, alone=alone)
        if not always and not never:
            return None
    return always


@lru_cache(maxsize=4096)
def bounds(dim: Poly) -> tuple[int | None, int | None]:
    """A number that the size never falls below, and one that it never exceeds; None where there is none or none is found."""
    lowest, highest = interval(dim)
    classes = _classes(dim)
    if classes is None:
        return lowest, highest
    alone, least, greatest = len(dim.symbols) == 1, [], []
    for coefficients in classes:
        least.append(_least(coefficients, alone=alone))
        greatest.append(_least(_negated(coefficients), alone=alone))
        if None in (least[0], least[-1]) and None in (greatest[0], greatest[-1]):
            return lowest, highest
    return lowest if None in least else min(least), highest if None in greatest else -min(greatest)


def counterexample(a: Dim, b: Dim, allowed: Callable[[Mapping[str, int]], bool] | None = None) -> dict[str, int] | None:
    """Small sizes, out of those `allowed` (all, unless said), for which a and b differ; where possible such that both are at least 1, so that they can be seen."""
    second_best = None
    work = 1 + (0 if isinstance(a, int) else a.atoms) + (0 if isinstance(b, int) else b.atoms)
    for sizes in islice(_trials(a, b), MAX_WORK // work):
        left, right = evaluate(a, sizes), evaluate(b, sizes)
        if left == right or (allowed is not None and not allowed(sizes)):
            continue
        if left > 0 and right > 0:
            return sizes
        second_best = second_best or sizes
    return second_best


def _trials(a: Dim, b: Dim) -> Iterator[dict[str, int]]:
    """Sizes to try: all small ones while there are few symbols; else all equal, or one of them different."""
    names = sorted((frozenset() if isinstance(a, int) else a.symbols) | (frozenset() if isinstance(b, int) else b.symbols))
    if not names:
        yield {}
        return
    limit = int(MAX_TRIALS ** (1 / len(names)))
    yield from (
        dict(zip(names, sizes, strict=True))
        for sizes in sorted(product(range(1, limit + 1), repeat=len(names)), key=lambda sizes: (max(sizes), sizes))
    )
    if len(names) > 1:
        for size in range(limit + 1, 257):
            yield dict.fromkeys(names, size)
            yield from ({**dict.fromkeys(names, 1), name: size} for name in names)


# Classes -------------------------------------------------------------------------------------------------------------


def _classes(dim: Poly) -> Iterator[list[int]] | None:
    """The Newton coefficients of each class, the constant first; None when there are too many classes to look at."""
    names = sorted(dim.symbols)
    periods = _periods(dim, 1)
    degrees = [_degree(dim, name) for name in names]
    count = prod(periods.get(name, 1) for name in names)
    if count > MAX_CLASSES or count * prod(degree + 1 for degree in degrees) * dim.atoms > MAX_WORK:
        return None
    return _each_class(dim, names, [periods.get(name, 1) for name in names], degrees)


def _each_class(dim: Poly, names: Sequence[str], periods: Sequence[int], degrees: Sequence[int]) -> Iterator[list[int]]:
    for residues in product(*(range(1, period + 1) for period in periods)):
        axes = [range(residue, residue + period * degree + 1, period) for residue, period, degree in zip(residues, periods, degrees, strict=True)]
        values = [evaluate(dim, dict(zip(names, sizes, strict=True))) for sizes in product(*axes)]
        yield _newton(values, [degree + 1 for degree in degrees])


def _newton(values: list[int], lengths: Sequence[int]) -> list[int]:
    """Values on a grid from 0 on become coefficients of binomials: forward differences along each axis, in place."""
    stride = 1
    for length in reversed(lengths):
        for start in range(len(values)):
            if (start // stride) % length == 0:
                for order in range(1, length):
                    for at in range(length - 1, order - 1, -1):
                        values[start + at * stride] -= values[start + (at - 1) * stride]
        stride *= length
    return values


def _periods(dim: Poly, modulus: int) -> dict[str, int]:
    """For each symbol the N such that, with s = N*k + r, all floors clear and every coefficient that goes with a k is a multiple of `modulus`.

    Within floor(P/c), P needs that for modulus*c: then P/c is a constant fraction plus whole multiples of the modulus. Products keep the property, and a
    coefficient brings its own share of the modulus.
    """
    found: dict[str, int] = {}
    for monomial, coefficient in dim.terms:
        needed = modulus // gcd(modulus, coefficient)
        for atom in monomial:
            inner = _periods(atom.inside, needed * atom.divisor) if isinstance(atom, Floor) else {atom: needed}
            for name, period in inner.items():
                found[name] = lcm(found.get(name, 1), period)
    return found


def _degree(dim: Poly, name: str) -> int:
    """The degree in one symbol, floors being as steep as what they hold."""
    return max(sum(_degree(atom.inside, name) if isinstance(atom, Floor) else int(atom == name) for atom in monomial) for monomial, _ in dim.terms)


def _is_never_zero(coefficients: Sequence[int], *, alone: bool) -> bool:
    """Whether a class has no zero: the constant is no multiple of what all other coefficients are, or it stays on one side."""
    constant, *others = coefficients
    common = gcd(*others)
    if constant and (common == 0 or constant % common):
        return True
    return any(least is not None and least > 0 for least in (_least(coefficients, alone=alone), _least(_negated(coefficients), alone=alone)))


def _negated(coefficients: Sequence[int]) -> list[int]:
    return [-coefficient for coefficient in coefficients]


def _least(coefficients: Sequence[int], *, alone: bool) -> int | None:
    """The least value in a class, None if there is none or it is not found. With one symbol alone it is always found, short of a very long way down."""
    constant, *others = coefficients
    if all(coefficient >= 0 for coefficient in others):
        return constant
    if not alone or next(coefficient for coefficient in reversed(others) if coefficient) < 0:
        return None
    found, least = [*coefficients], constant
    for _ in range(MAX_STEPS):
        # The Newton form of f(k + 1): from somewhere on, no coefficient but the constant is negative, and f only rises.
        found = [a + b for a, b in zip(found, [*found[1:], 0], strict=True)]
        least = min(least, found[0])
        if all(coefficient >= 0 for coefficient in found[1:]):
            return least
    return None


# Intervals -----------------------------------------------------------------------------------------------------------


def interval(dim: Poly) -> tuple[int | None, int | None]:
    """Bounds from the bounds of the parts: seldom the best ones, but cheap, and true with any number of symbols."""
    lowest: int | None = 0
    highest: int | None = 0
    for monomial, coefficient in dim.terms:
        low, high = _monomial_interval(monomial)
        if coefficient < 0:
            low, high = high, low
        lowest = None if lowest is None or low is None else lowest + coefficient * low
        highest = None if highest is None or high is None else highest + coefficient * high
    return lowest, highest


def _monomial_interval(monomial: Monomial) -> tuple[int | None, int | None]:
    intervals = [(1, None) if isinstance(atom, str) else _floor_interval(atom) for atom in monomial]
    if len(intervals) == 1:
        return intervals[0]
    lowest, highest = 1, 1
    for low, high in intervals:
        if low is None or low < 0:
            return None, None
        lowest, highest = lowest * low, None if highest is None or high is None else highest * high
    return lowest, highest


def _floor_interval(floor: Floor) -> tuple[int | None, int | None]:
    low, high = interval(floor.inside)
    return None if low is None else low // floor.divisor, None if high is None else high // floor.divisor
