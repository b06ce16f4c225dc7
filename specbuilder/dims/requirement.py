"""What sizes must meet for a network to be possible: `H >= 32`, `T <= 1024`.

In: sizes and the least value each may have. Out: the same facts, solved for the symbol where there is one, and the few that imply all others.
Solving is exact: floor(P/c) >= n is P >= n*c, a common factor divides out and the bound is rounded up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import gcd
from typing import Literal

from specbuilder.dims.polynomial import Dim, DimError, Floor, Poly, evaluate, split_constant, symbol
from specbuilder.dims.proof import at_least, interval
from specbuilder.records import Record

MAX_COMPARED = 64


class Requirement(Record):
    """`dim >= minimum`."""

    dim: Dim
    minimum: int

    @property
    def solved(self) -> tuple[str, Literal[">=", "<="], int] | None:
        """The bound on a single symbol that this comes to, if it does."""
        dim, minimum = _reduced(self.dim, self.minimum)
        if isinstance(dim, int):
            return None
        for name in dim.symbols:
            if dim == symbol(name):
                return name, ">=", minimum
            if dim == -symbol(name):
                return name, "<=", -minimum
        return None

    def __str__(self) -> str:
        dim, minimum = _reduced(self.dim, self.minimum)
        if isinstance(dim, Poly) and all(coefficient < 0 for _, coefficient in dim.terms):
            return f"{-dim} <= {-minimum}"
        return f"{dim} >= {minimum}"


def holds(requirement: Requirement, sizes: Mapping[str, int]) -> bool:
    """Whether these sizes meet it."""
    return evaluate(requirement.dim, sizes) >= requirement.minimum


def strongest(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Those that imply all others, in the order given: no duplicates, nothing that always holds, no `H >= 3` beside `H >= 32`."""
    best: dict[Dim, tuple[int, int]] = {}
    given = tuple(requirements)
    for at, requirement in enumerate(given):
        dim, minimum = _reduced(requirement.dim, requirement.minimum)
        if at_least(dim, minimum) is not True and (dim not in best or best[dim][0] < minimum):
            best[dim] = (minimum, at)
    left = [(at, dim, minimum) for dim, (minimum, at) in best.items()]
    if len(left) <= MAX_COMPARED:
        for each in [*left]:
            if any(_implies(other, each) for other in left if other is not each):
                left.remove(each)
    return tuple(given[at] for at in sorted(at for at, _, _ in left))


def _implies(stronger: tuple[int, Dim, int], weaker: tuple[int, Dim, int]) -> bool:
    """A >= a gives B >= b where B - A is never less than b - a."""
    _, a, least_a = stronger
    _, b, least_b = weaker
    try:
        difference = b - a
    except DimError:
        return False
    # Not `at_least`: that may be dear, and every pair is compared.
    lowest = difference if isinstance(difference, int) else interval(difference)[0]
    return lowest is not None and lowest >= least_b - least_a


@lru_cache(maxsize=4096)
def _reduced(dim: Dim, minimum: int) -> tuple[Dim, int]:
    """The same requirement without constant, common factor or outer floors."""
    if isinstance(dim, int):
        return dim, minimum
    terms, constant = split_constant(dim)
    factor = gcd(*terms.values())
    minimum = -((constant - minimum) // factor)  # rounded up
    if len(terms) == 1:
        ((monomial, coefficient),) = terms.items()
        if len(monomial) == 1 and isinstance(floor := monomial[0], Floor):
            if coefficient > 0:
                return _reduced(floor.inside, minimum * floor.divisor)
            # -floor(P/c) >= n  is  floor(P/c) <= -n  is  P <= -n*c + c - 1
            return _reduced(-floor.inside, (minimum - 1) * floor.divisor + 1)
    return (dim - constant) // factor, minimum
