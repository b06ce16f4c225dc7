"""The algebra of sizes: what is known of `(H + 31)//32` while H is still a name.

In: symbols and integers combined by + - * // % **. Out: a `Dim`, which is a plain int as soon as it is constant and else a `Poly`: a polynomial
with integer coefficients over atoms, where an atom is a symbol or floor(P/c). The normal form is cheap and made for printing and hashing: two equal
sizes may differ in it (`H//2 + (H + 1)//2` and `H`), so equality for every size is the business of `proof`. Text is read back by `text`.
Every form has caps on terms, coefficients, degree and length, so that a hostile spec ends quickly, with a `DimError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

MAX_COEFFICIENT = 2**63
MAX_TERMS = 512
MAX_DEGREE = 64
MAX_ATOMS = 4096
MAX_DEPTH = 32
MAX_PRODUCTS = 16_384


class DimError(Exception):
    """A size that cannot be read or computed; `start` and `end` are offsets into the text it was read from, where it was."""

    def __init__(self, message: str, start: int = 0, end: int = 0) -> None:
        super().__init__(message)
        self.message, self.start, self.end = message, start, end


class Floor:
    """The atom floor(inside / divisor). In normal form: 0 <= constant of inside < divisor, nothing divides out, nothing nests."""

    __slots__ = ("atoms", "depth", "divisor", "inside", "text")

    def __init__(self, inside: Poly, divisor: int) -> None:
        self.inside, self.divisor = inside, divisor
        self.atoms, self.depth = inside.atoms + 1, inside.depth + 1
        self.text = _floor_text(inside.terms, divisor)

    # The text form is one to one with the normal form, so it is the identity as well.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Floor) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Floor({self.text})"


Atom = str | Floor
Monomial = tuple[Atom, ...]
"""Its factors in order, a square being the same factor twice; the empty one is the constant's."""
Terms = tuple[tuple[Monomial, int], ...]


class Poly:
    """A size that depends on symbols; never constant. `==` compares normal forms, `proof.equal` sizes. Neither true nor false, and not ordered."""

    __slots__ = ("atoms", "depth", "terms")

    terms: Terms
    """Monomials of high degree first, each with its coefficient, which is never 0."""

    def __init__(self, terms: Terms) -> None:
        """For `_poly` alone: the terms are already in normal form."""
        self.terms = terms
        self.atoms = sum([1 if isinstance(atom, str) else atom.atoms for monomial, _ in terms for atom in monomial])
        self.depth = max([0 if isinstance(atom, str) else atom.depth for monomial, _ in terms for atom in monomial])
        if self.atoms > MAX_ATOMS or self.depth > MAX_DEPTH:
            raise DimError("this size is too long to compute with")

    @property
    def symbols(self) -> frozenset[str]:
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                found |= {atom} if isinstance(atom, str) else atom.inside.symbols
        return frozenset(found)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Poly):
            return self is other or self.terms == other.terms
        return False if isinstance(other, int) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.terms)

    def __bool__(self) -> bool:
        raise TypeError(f"whether `{self}` is zero depends on {', '.join(sorted(self.symbols))}; use `equal` or `compare`")

    def __str__(self) -> str:
        return _poly_text(self.terms)

    def __repr__(self) -> str:
        return f"Poly({self})"

    def __neg__(self) -> Poly:
        return Poly(tuple((monomial, -coefficient) for monomial, coefficient in self.terms))

    def __pos__(self) -> Poly:
        return self

    def __add__(self, other: Dim) -> Dim:
        return _sum(self, other, 1) if isinstance(other, int | Poly) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Dim) -> Dim:
        return _sum(self, other, -1) if isinstance(other, int | Poly) else NotImplemented

    def __rsub__(self, other: int) -> Dim:
        return _sum(-self, other, 1) if isinstance(other, int) else NotImplemented

    def __mul__(self, other: Dim) -> Dim:
        return _product(self, other) if isinstance(other, int | Poly) else NotImplemented

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return _floor_by_int(self, other)
        return _floor_by_poly(self, other) if isinstance(other, Poly) else NotImplemented

    def __rfloordiv__(self, other: int) -> Dim:
        return _floor_by_poly(other, self) if isinstance(other, int) else NotImplemented

    def __mod__(self, other: Dim) -> Dim:
        return self - other * (self // other) if isinstance(other, int | Poly) else NotImplemented

    def __rmod__(self, other: int) -> Dim:
        return other - self * (other // self) if isinstance(other, int) else NotImplemented

    def __pow__(self, other: Dim) -> Dim:
        return _power(self, other) if isinstance(other, int | Poly) else NotImplemented

    def __rpow__(self, other: int) -> Dim:
        return _power(other, self) if isinstance(other, int) else NotImplemented


Dim = int | Poly


def symbol(name: str) -> Poly:
    """The size called `name`: some integer from 1 on."""
    return Poly((((name,), 1),))


def evaluate(dim: Dim, sizes: Mapping[str, int]) -> int:
    """The size for given sizes of all its symbols."""
    if isinstance(dim, int):
        return dim
    total = 0
    for monomial, product in dim.terms:
        for atom in monomial:
            product *= sizes[atom] if isinstance(atom, str) else evaluate(atom.inside, sizes) // atom.divisor
        total += product
    return total


def substitute(dim: Dim, sizes: Mapping[str, Dim]) -> Dim:
    """The size with some symbols replaced, all at once."""
    if isinstance(dim, int):
        return dim
    total: Dim = 0
    for monomial, coefficient in dim.terms:
        product: Dim = coefficient
        for atom in monomial:
            product = product * (sizes.get(atom, symbol(atom)) if isinstance(atom, str) else substitute(atom.inside, sizes) // atom.divisor)
        total = total + product
    return total


# Arithmetic ----------------------------------------------------------------------------------------------------------


def split_constant(dim: Poly) -> tuple[dict[Monomial, int], int]:
    """The terms that depend on symbols, in order, and the constant."""
    terms = dict(dim.terms)
    return terms, terms.pop((), 0)


def _terms(dim: Dim) -> Terms:
    return ((((), dim),) if dim else ()) if isinstance(dim, int) else dim.terms


def _poly(coefficients: Mapping[Monomial, int]) -> Dim:
    """The size with these terms, in normal form."""
    terms = [(monomial, coefficient) for monomial, coefficient in coefficients.items() if coefficient]
    for _, coefficient in terms:
        if not -MAX_COEFFICIENT < coefficient < MAX_COEFFICIENT:
            raise DimError(f"{coefficient if abs(coefficient) < 10**40 else 'this'} is too large for a size")
    if not terms:
        return 0
    if len(terms) == 1:
        return Poly(tuple(terms)) if terms[0][0] else terms[0][1]
    if len(terms) > MAX_TERMS:
        raise DimError(f"a size of more than {MAX_TERMS} terms is too long to compute with")
    return Poly(tuple(sorted(terms, key=_term_order)))


def _atom_order(atom: Atom) -> tuple[int, str]:
    return (0, atom) if isinstance(atom, str) else (1, atom.text)


def _monomial_order(monomial: Monomial) -> tuple[int, list[tuple[int, str]]]:
    # Graded lexicographic, so that the first term is the leading term that exact division needs.
    return -len(monomial), [_atom_order(atom) for atom in monomial]


def _term_order(term: tuple[Monomial, int]) -> tuple[int, list[tuple[int, str]]]:
    return _monomial_order(term[0])


def _sum(a: Poly, b: Dim, sign: int) -> Dim:
    total = dict(a.terms)
    for monomial, coefficient in _terms(b):
        total[monomial] = total.get(monomial, 0) + sign * coefficient
    return _poly(total)


def _product(a: Poly, b: Dim) -> Dim:
    others = _terms(b)
    if len(a.terms) * len(others) > MAX_PRODUCTS:
        raise DimError(f"a size of more than {MAX_TERMS} terms is too long to compute with")
    total: dict[Monomial, int] = {}
    for left, m in a.terms:
        for right, n in others:
            both = _times(left, right)
            total[both] = total.get(both, 0) + m * n
    return _poly(total)


def _times(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    if len(left) + len(right) > MAX_DEGREE:
        raise DimError(f"a product of more than {MAX_DEGREE} sizes is too long to compute with")
    return tuple(sorted(left + right, key=_atom_order))


def _power(base: Dim, exponent: Dim) -> Dim:
    if isinstance(exponent, Poly):
        raise DimError(f"the exponent `{exponent}` must be a number")
    if not 0 <= exponent <= MAX_DEGREE:
        raise DimError(f"the exponent {exponent} must lie between 0 and {MAX_DEGREE}")
    total: Dim = 1
    for _ in range(exponent):
        total = total * base
    return total


def _floor_by_int(dim: Poly, divisor: int) -> Dim:
    """floor(dim / divisor). Three exact laws, applied until none does: whole multiples come out, a common factor cancels, a floor inside nests."""
    if divisor == 0:
        raise DimError(f"`{dim}` is divided by zero")
    if divisor < 0:
        return _floor_by_int(-dim, -divisor)
    if divisor == 1:
        return dim
    terms, constant = split_constant(dim)
    whole = {monomial: coefficient // divisor for monomial, coefficient in terms.items() if coefficient % divisor == 0}
    rest = {monomial: coefficient for monomial, coefficient in terms.items() if coefficient % divisor}
    common = gcd(divisor, *rest.values())  # the divisor itself when nothing is left, which then makes it 1
    rest = {monomial: coefficient // common for monomial, coefficient in rest.items()}
    divisor, constant = divisor // common, constant // common
    whole[()], constant = divmod(constant, divisor)
    if not rest:
        return _poly(whole)
    if (inner := next((monomial for monomial, coefficient in rest.items() if _nests(monomial, coefficient)), None)) is not None:
        # floor((A + floor(P/a)) / c) = floor((a*A + P) / (a*c))
        (floor,) = inner
        assert isinstance(floor, Floor)
        around = _poly({**rest, inner: 0, (): constant})
        return _poly(whole) + (floor.divisor * around + floor.inside) // (floor.divisor * divisor)
    inside = _poly({**rest, (): constant})
    assert isinstance(inside, Poly)
    if divisor >= MAX_COEFFICIENT:
        raise DimError(f"{divisor} is too large for a size")
    atom = (Floor(inside, divisor),)
    whole[atom] = whole.get(atom, 0) + 1
    return _poly(whole)


def _nests(monomial: Monomial, coefficient: int) -> bool:
    return coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Floor)


def _floor_by_poly(dim: Dim, divisor: Poly) -> Dim:
    """floor(dim / divisor) where the symbols of the divisor cancel: `(B*T)//T` is B wherever it is defined. Anything else has no such form."""
    content = gcd(*(coefficient for _, coefficient in divisor.terms))
    terms = {monomial: coefficient // content for monomial, coefficient in divisor.terms}
    leading, unit = next(iter(terms.items()))
    remainder, quotient = dict(_terms(dim)), {}
    while remainder:
        first = min(remainder, key=_monomial_order)
        ratio = over(first, leading)
        if ratio is None or remainder[first] % unit or len(quotient) > MAX_TERMS:
            raise DimError(f"cannot divide `{dim}` by `{divisor}`: that is a whole size only where the division is exact")
        quotient[ratio] = factor = remainder[first] // unit
        for monomial, coefficient in terms.items():
            target = _times(ratio, monomial)
            remainder[target] = remainder.get(target, 0) - factor * coefficient
            if not remainder[target]:
                del remainder[target]
    return _poly(quotient) // content


def over(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    """A product divided by another; None where that is no product."""
    rest = list(monomial)
    for atom in divisor:
        if atom not in rest:
            return None
        rest.remove(atom)
    return tuple(rest)


# Text form -----------------------------------------------------------------------------------------------------------


def _poly_text(terms: Terms) -> str:
    return _remainder_text(terms) or _absorbed_text(terms) or _sum_text(terms)


def _remainder_text(terms: Terms) -> str | None:
    """`H % 32` for `H - 32*(H//32)`."""
    for monomial, coefficient in terms:
        if len(monomial) == 1 and isinstance(floor := monomial[0], Floor) and coefficient < 0 and coefficient % floor.divisor == 0:
            times = -coefficient // floor.divisor
            if dict(terms) == {monomial: coefficient, **{inner: times * each for inner, each in floor.inside.terms}}:
                text = f"{_bracketed(floor.inside.terms)} % {floor.divisor}"
                return text if times == 1 else f"{times}*({text})"
    return None


def _absorbed_text(terms: Terms) -> str | None:
    """`(H - 5)//2` for `(H + 1)//2 - 3`. A floor without a constant stays as it is: `H//2 + 1`."""
    if len(terms) != 2 or terms[1][0] or not _nests(*terms[0]):
        return None
    (floor,) = terms[0][0]
    assert isinstance(floor, Floor)
    inside, constant = split_constant(floor.inside)
    absorbed = constant + terms[1][1] * floor.divisor
    if not constant or abs(absorbed) >= MAX_COEFFICIENT:
        return None
    return _floor_text((*inside.items(), ((), absorbed)), floor.divisor)


def _sum_text(terms: Terms) -> str:
    # `1024 - T`, not `-T + 1024`.
    first = next((at for at, (_, coefficient) in enumerate(terms) if coefficient > 0), 0)
    (monomial, coefficient), *rest = [terms[first], *terms[:first], *terms[first + 1 :]]
    # -(H//2) is not (-H)//2.
    text = _term_text(monomial, coefficient) if coefficient > 0 else f"-{_term_text(monomial, -coefficient, alone=False)}"
    return text + "".join(f" {'+' if coefficient > 0 else '-'} {_term_text(monomial, abs(coefficient))}" for monomial, coefficient in rest)


def _term_text(monomial: Monomial, coefficient: int, *, alone: bool = True) -> str:
    if alone and _nests(monomial, coefficient):
        return _factor_text(monomial[0], bare=True)
    factors = [] if coefficient == 1 and monomial else [str(coefficient)]
    for atom in dict.fromkeys(monomial):
        power = monomial.count(atom)
        factors.append(_factor_text(atom) + (f"**{power}" if power > 1 else ""))
    return "*".join(factors)


def _factor_text(atom: Atom, *, bare: bool = False) -> str:
    if isinstance(atom, str):
        return atom
    return atom.text if bare else f"({atom.text})"


def _floor_text(inside: Terms, divisor: int) -> str:
    return f"{_bracketed(inside)}//{divisor}"


def _bracketed(terms: Terms) -> str:
    """As the left operand of // or %."""
    text = _sum_text(terms)
    return text if len(terms) == 1 and terms[0][1] > 0 else f"({text})"
