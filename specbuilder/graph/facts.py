"""What `where` declares about sizes: bounds become requirements, an equality or a multiple becomes another way to write a size.

`T <= 1024` is checked wherever sizes are; `H % 32 == 0` is what `32*h` says in the type of an input; `H == W` makes one size of two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from specbuilder.diagnostics import Diagnostics
from specbuilder.graph.environment import Environment, Names
from specbuilder.language.expressions import ExpressionError, evaluate
from specbuilder.language.syntax import Binary, Expression
from specbuilder.language.tree import Relation
from specbuilder.language.values import Undefined, part, report
from specbuilder.records import Record
from specbuilder.shapes import Dim, Poly, Requirement, TensorType, at_least, substitute, symbol


class Facts(Record):
    requirements: tuple[Requirement, ...]
    sizes: dict[str, Dim]
    """Sizes that are written in another way: `H` is `32*h`."""


def facts_of(relations: Sequence[Relation], types: Iterable[TensorType | None], names: Names, diagnostics: Diagnostics) -> Facts:
    """The facts, in the order of the text. What cannot be a fact is reported and left out."""
    symbols = sorted({name for type in types if type is not None for name in type.symbols})
    sizes: dict[str, Dim] = {}
    requirements: list[Requirement] = []
    for relation in relations:
        lookup = Environment({name: sizes.get(name, symbol(name)) for name in symbols}, names)
        try:
            found = _fact(relation, lookup, {*symbols, *(str(name) for dim in sizes.values() if isinstance(dim, Poly) for name in dim.symbols)})
        except ExpressionError as error:
            if error.help is None and symbols:
                error.help = f"the sizes of the inputs are {', '.join(f'`{name}`' for name in symbols)}; a variable is written `$name`"
            report(error, relation.scalar, diagnostics)
            continue
        except Undefined:
            continue
        except _NoFact as problem:
            span = part(relation.scalar, relation.expression.start, relation.expression.end)
            diagnostics.error("SB0506", str(problem), span, help="such as `T <= 1024`, `H % 32 == 0` or `H == W`")
            continue
        for each in found:
            if isinstance(each, Requirement):
                requirements.append(each)
            else:
                sizes = {name: substitute(dim, dict([each])) for name, dim in sizes.items()} | dict([each])
    return Facts(tuple(requirements), sizes)


class _NoFact(Exception):
    """A comparison that says nothing that could be used. Its text is the message."""


def _fact(relation: Relation, lookup: Names, taken: set[str]) -> list[Requirement | tuple[str, Dim]]:
    compared = relation.expression
    found: list[Requirement | tuple[str, Dim]] = []
    for index, sign in enumerate(compared.operators):
        left, right = compared.operands[index], compared.operands[index + 1]
        if sign == "==":
            found.append(_multiple(left, right, lookup, taken) or _equal(_size(left, lookup), _size(right, lookup)))
        else:
            found.append(_bound(sign, _size(left, lookup), _size(right, lookup)))
    return found


def _size(expression: Expression, lookup: Names) -> Dim:
    value: Any = evaluate(expression, lookup, lookup.names)
    if isinstance(value, bool) or not isinstance(value, int | Poly):
        raise _NoFact(f"a fact compares sizes, but this is {value}")
    return value


def _bound(sign: str, a: Dim, b: Dim) -> Requirement:
    difference, least = {"<=": (b - a, 0), "<": (b - a, 1), ">=": (a - b, 0), ">": (a - b, 1)}.get(sign, (None, 0))
    if difference is None:
        raise _NoFact(f"`{sign}` says nothing that could be used: a fact is a bound, a multiple or an equality")
    if isinstance(difference, int):
        raise _NoFact(f"this is {str(difference >= least).lower()} for every size, so it says nothing")
    if at_least(difference, least) is False:
        raise _NoFact("no size can meet this")
    return Requirement(difference, least)


def _multiple(left: Expression, right: Expression, lookup: Names, taken: set[str]) -> tuple[str, Dim] | None:
    """`H % 32 == 0`."""
    if not (isinstance(left, Binary) and left.operator == "%") or _size(right, lookup) != 0:
        return None
    size, divisor = _size(left.left, lookup), _size(left.right, lookup)
    if not isinstance(size, Poly) or size != symbol(name := str(size)) or not isinstance(divisor, int) or divisor < 1:
        raise _NoFact("a multiple is said of one size and a number: `H % 32 == 0`")
    fresh = next(each for each in (name.lower(), *(f"{name.lower()}_{n}" for n in range(2, 100))) if each not in taken)
    taken.add(fresh)
    return name, divisor * symbol(fresh)


def _equal(a: Dim, b: Dim) -> tuple[str, Dim]:
    """`H == W`: the first that is a lone size is the other."""
    for one, other in ((a, b), (b, a)):
        if isinstance(one, Poly) and one == symbol(name := str(one)) and (isinstance(other, int) or name not in other.symbols):
            return name, other
    raise _NoFact("one side of an equality is a size alone: `H == W`, `H == 2 * W`")
