"""One call of a kind within a formula: its arguments find their ports and fields, its rule says what comes out, its code takes in that of its arguments.

In: a kind, operands and where they stand. Out: a tensor with its code, and what the call adds to cost and requirements; or `FormulaProblems`, each at the
argument to blame. Knows nothing of any kind in particular: the order of arguments is torch's, or the one that the kind declares as `positional`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from specbuilder.catalogue.contract import Argument as Code
from specbuilder.catalogue.contract import Call, Expression, Function, Index, Infix, Input, Method, Node, Port, Prefix, Refusal, Slice, Source
from specbuilder.catalogue.declared import fields_of
from specbuilder.catalogue.fields import check
from specbuilder.diagnostics import InternalError, did_you_mean
from specbuilder.graph.operands import FormulaProblem, FormulaProblems, Known, Operand, Tensor, Tensors, named, wrong
from specbuilder.language.calls import FUNCTIONS
from specbuilder.language.syntax import List, Literal, Name, Tuple
from specbuilder.language.tokens import Place
from specbuilder.records import Record
from specbuilder.shapes import Dim, DimError, Poly, Requirement, TensorType, at_least

BROADCAST = "broadcast"
"""The field that asks for torch's broadcasting, which holds in a formula unasked."""


class Argument(Record):
    """An operand and where it stands."""

    operand: Operand
    place: Place


class Bound(Record):
    """Arguments by the name that takes them. `extra` are those that are no fields, for a kind that takes such."""

    ports: Mapping[str, tuple[Argument, ...]]
    fields: Mapping[str, Argument]
    extra: Mapping[str, Argument]


class Applied(Record):
    """A call whose rule has answered."""

    kind: Function
    type: TensorType
    types: tuple[Any, ...]
    tensors: Mapping[str, tuple[Tensor, ...]]
    """What its ports read, in port order."""
    flops: Dim
    requirements: tuple[Requirement, ...]
    source: Source


# Arguments -----------------------------------------------------------------------------------------------------------


def bind(cls: type[Function], title: str, positional: Sequence[Argument], keywords: Sequence[tuple[Name, Argument]]) -> Bound:
    """Which port or field takes each argument. `title` is how the formula calls the kind."""
    ports = {port.name: port for port in cls.inputs}
    fields = fields_of(cls)
    binding = _Binding(title, ports, set(fields))
    usual = dict.fromkeys(name for name in (*ports, *fields) if name not in (BROADCAST, cls.extra))
    left = list(positional)
    for name in cls.positional if cls.positional is not None else usual:
        if not left:
            break
        count = binding.take(name, left)
        del left[:count]
    if left:
        taken = len(positional) - len(left)
        takes = f"takes {taken} argument{'' if taken == 1 else 's'}" if taken else "takes no arguments"
        raise wrong("SB0201", f"`{title}` {takes}, but {len(positional)} are given", left[0].place)
    extra: dict[str, Argument] = {}
    for name, argument in keywords:
        if name.text in ports or name.text in fields:
            binding.by_name(name, argument)
        elif cls.extra is not None and isinstance(argument.operand, Known):
            extra[name.text] = argument
        else:
            known = [known for known in (*fields, *ports) if known not in (BROADCAST, cls.extra)]
            help = did_you_mean(name.text, known) or (
                f"its arguments are {', '.join(f'`{each}`' for each in dict.fromkeys(known))}" if known else None
            )
            raise wrong("SB0201", f"`{title}` has no argument `{name.text}`", name, help)
    return Bound(binding.by_port, binding.by_field, extra)


class _Binding:
    """The arguments of one call that have found their place."""

    def __init__(self, title: str, ports: Mapping[str, Port], fields: set[str]) -> None:
        self.title, self.ports, self.fields = title, ports, fields
        self.by_port: dict[str, tuple[Argument, ...]] = {}
        self.by_field: dict[str, Argument] = {}

    def take(self, name: str, arguments: Sequence[Argument]) -> int:
        """Gives the first of the arguments to `name`, or more where it is a port that takes a list; says how many."""
        port = self.ports.get(name)
        if port is not None and port.many:
            found = tuple(takewhile(lambda argument: isinstance(argument.operand, Tensor | Tensors), arguments))
            if found:
                self.by_port[name] = found
                return len(found)
        self._give(name, arguments[0])
        return 1

    def by_name(self, name: Name, argument: Argument) -> None:
        if name.text in self.by_port or name.text in self.by_field:
            raise wrong("SB0201", f"`{name.text}` of `{self.title}` is given twice", name)
        self._give(name.text, argument)

    def _give(self, name: str, argument: Argument) -> None:
        port, operand = self.ports.get(name), argument.operand
        if port is not None and isinstance(operand, Tensor):
            self.by_port[name] = (argument,)
        elif port is not None and isinstance(operand, Tensors):
            if not port.many:
                message = f"`{self.title}` takes one tensor here, but this is {named(operand)}"
                raise wrong("SB0303", message, argument.place, "name one of them, or join them with `concat` or `stack`")
            self.by_port[name] = (argument,)
        elif isinstance(operand, Known) and name in self.fields:
            # A number where a tensor could stand is the field of the same name.
            self.by_field[name] = argument
        elif port is not None:
            if not (port.optional and operand == Known(None)):
                help = f"numbers are computed within `$`: `$({self.title}(...))`" if self.title in FUNCTIONS else None
                raise wrong("SB0303", f"`{self.title}` wants a tensor here, but this is {named(operand)}", argument.place, help)
        else:
            message = f"`{name}` of `{self.title}` must be known when the network is built, but this is {named(operand)}"
            raise wrong("SB0505", message, argument.place, value=_first_value((argument,)))


def _first_value(arguments: Iterable[Argument]) -> Any:
    return next((tensor.value for tensor, _ in _spread(arguments) if tensor.value is not None), None)


def _spread(arguments: Iterable[Argument]) -> list[tuple[Tensor, Place]]:
    """The tensors of arguments, lists taken apart."""
    found: list[tuple[Tensor, Place]] = []
    for argument in arguments:
        operand = argument.operand
        if isinstance(operand, Tensor):
            found.append((operand, argument.place))
        elif isinstance(operand, Tensors):
            items = argument.place.items if isinstance(argument.place, Tuple | List) else ()
            exact = len(items) == len(operand.items)
            found += [(tensor, items[at] if exact else argument.place) for at, tensor in enumerate(operand.items)]
    return found


# Types ---------------------------------------------------------------------------------------------------------------


def apply(cls: type[Function], title: str, bound: Bound, at: Place) -> Applied:
    """What the call gives. `at` is the place to blame where no argument is."""
    kind = _instance(cls, title, bound, at)
    read = {port.name: _reads(port, title, bound, at) for port in cls.inputs}
    types = tuple(_types(port, [tensor for tensor, _ in read[port.name]]) for port in cls.inputs)
    try:
        given = kind.infer(*types)
        if isinstance(given, tuple):
            raise _several(cls, title, at)
        requirements = _required(kind, given, types)
        flops, source = kind.flops(*types), kind.source(*types)
    except Refusal as refusal:
        raise _located(refusal, kind, title, bound, read, at) from None
    except DimError as error:
        raise _located(Refusal(error.message), kind, title, bound, read, at) from None
    except FormulaProblems:
        raise
    except Exception as error:
        raise InternalError("infer", f"the rule of `{cls.kind}` failed: {error!r}") from error
    tensors = {port: tuple(tensor for tensor, _ in arguments) for port, arguments in read.items()}
    return Applied(kind, given, types, tensors, flops, requirements, source)


def _instance(cls: type[Function], title: str, bound: Bound, at: Place) -> Function:
    written = {**bound.extra, **bound.fields}
    values: dict[str, Any] = {name: argument.operand.value for name, argument in written.items() if isinstance(argument.operand, Known)}
    if BROADCAST in fields_of(cls):
        values.setdefault(BROADCAST, True)
    instance, problems = check(cls, values, owner=title)
    if instance is not None:
        return instance
    found: list[FormulaProblem] = []
    for problem in problems:
        name, *steps = problem.location
        argument = written.get(str(name))
        place = at if argument is None else _characters(_part(argument.place, steps), problem.part)
        code, message, help = problem.code, problem.message, problem.help
        size = _size(values.get(str(name)))
        if size is not None:
            code, message, help = "SB0505", f"`{name}` must be known when the network is built, but `{size}` depends on what arrives", None
        found.append(FormulaProblem(code, message, place.start, place.end, help))
    raise FormulaProblems(tuple(found))


def _part(place: Place, steps: Sequence[str | int]) -> Place:
    """The item of a list that is written out."""
    for step in steps:
        if not isinstance(place, Tuple | List) or not isinstance(step, int) or step >= len(place.items):
            break
        place = place.items[step]
    return place


def _characters(place: Place, part: tuple[int, int] | None) -> Place:
    """Some characters of a text, where it is written out without escapes; else all of it."""
    if part is None or not isinstance(place, Literal) or not isinstance(place.value, str) or place.end - place.start != len(place.value) + 2:
        return place
    return place._replace(start=place.start + 1 + part[0], end=place.start + 1 + part[1])


def _size(value: Any) -> Poly | None:
    """The symbolic size in a value."""
    if isinstance(value, tuple):
        return next((found for item in value if (found := _size(item)) is not None), None)
    return value if isinstance(value, Poly) else None


def _reads(port: Port, title: str, bound: Bound, at: Place) -> list[tuple[Tensor, Place]]:
    found = _spread(bound.ports.get(port.name, ()))
    if not found and port.default is not None:
        found = _spread(bound.ports.get(port.default, ()))
    if not found and not port.optional and port.name not in bound.fields:
        raise wrong("SB0303", f"`{title}` wants a tensor as its `{port.name}`", at)
    return found


def _types(port: Port, tensors: Sequence[Tensor]) -> TensorType | tuple[TensorType, ...] | None:
    if port.many:
        return tuple(tensor.type for tensor in tensors)
    return tensors[0].type if tensors else None


def _several(cls: type[Node], title: str, at: Place) -> FormulaProblems:
    names = f"several tensors, {' and '.join(f'`{name}`' for name in cls.outputs)}" if len(cls.outputs) > 1 else "a list of tensors"
    port = cls.outputs[0] if len(cls.outputs) > 1 else "0"
    help = f"make it a node of its own with a `name`, and write `name.{port}`"
    return wrong("SB0303", f"`{title}` gives {names}, and a formula has no name for them", at, help)


def _required(kind: Function, given: TensorType, types: tuple[Any, ...]) -> tuple[Requirement, ...]:
    """Every size is at least 1, and whatever else the kind asks for; what no size can meet is refused, what all meet is left out."""
    open_ones: list[Requirement] = []
    for requirement in (*(Requirement(dim, 1) for dim in given.shape), *kind.requirements(*types)):
        met = at_least(requirement.dim, requirement.minimum)
        if met is None:
            open_ones.append(requirement)
        elif not met and isinstance(requirement.dim, int):
            raise Refusal(f"`{kind.kind}` would give a tensor of size {requirement.dim}: {given.shape_text}", code="SB0402")
        elif not met:
            raise Refusal(f"`{kind.kind}` would need {requirement}, which no size meets", code="SB0402")
    return tuple(open_ones)


def _located(
    refusal: Refusal, kind: Function, title: str, bound: Bound, read: Mapping[str, Sequence[tuple[Tensor, Place]]], at: Place
) -> FormulaProblems:
    """A refusal at the argument to blame, in the words of the formula."""
    arguments = read.get(refusal.port or "", ())
    if refusal.field is not None and refusal.field in bound.fields:
        place = _characters(bound.fields[refusal.field].place, refusal.part)
    else:
        place = arguments[min(refusal.item or 0, len(arguments) - 1)][1] if arguments else at
    blamed = arguments or [found for each in read.values() for found in each]
    value = next((tensor.value for tensor, _ in blamed[refusal.item or 0 :]), None)
    message = refusal.message.replace(f"`{kind.kind}`", f"`{title}`")
    return wrong(refusal.code, message, place, _in_a_formula(refusal), value)


def _in_a_formula(refusal: Refusal) -> str | None:
    """The help in the words of a formula; none where it speaks of the keys of a node."""
    if "wants floating-point numbers" in refusal.message:
        return "convert it: `float32(...)`"
    if refusal.help is None or "from:" in refusal.help:
        return None
    help = refusal.help
    for use, formula in _AS_FORMULA:
        help = re.sub(use, formula, help)
    return help


_AS_FORMULA = ((r"`cast: (\w+)`", r"`\1(...)`"), (r"`gt: (\d+)`", r"`x > \1`"))
"""How the uses of kinds that helps suggest are written in a formula."""


# Code ----------------------------------------------------------------------------------------------------------------


def source_of(applied: Applied, title: str, at: Place) -> Expression:
    """The code of the call, with that of its arguments in the places of what arrives. What is computed is never written twice."""
    own = applied.source
    if not isinstance(own, Expression):
        raise wrong("SB0303", f"`{title}` becomes a module, which has no place in a formula", at, "make it a node of its own with a `name`")
    by_port = tuple(applied.tensors.values())
    uses: dict[Tensor, int] = {}

    def arriving(reference: Input) -> Code:
        tensors = by_port[reference.port]
        if reference.item is not None:
            tensors = (tensors[reference.item],)
        for tensor in tensors:
            uses[tensor] = uses.get(tensor, 0) + 1
        if applied.kind.inputs[reference.port].many and reference.item is None:
            return tuple(tensor.source for tensor in tensors)
        return tensors[0].source if tensors else None

    found = _placed(own, arriving)
    if any(count > 1 and not tensor.is_leaf for tensor, count in uses.items()):
        help = "make what it reads a node of its own with a `name`, and write that name"
        raise wrong("SB0303", f"`{title}` reads this more than once, so it would be computed more than once", at, help)
    assert isinstance(found, Expression)
    return found


def _placed(code: Code | Slice, arriving: Any) -> Any:
    def placed(inner: Any) -> Any:
        return _placed(inner, arriving)

    match code:
        case Input():
            return arriving(code)
        case Call():
            return Call(code.function, tuple(map(placed, code.args)), tuple((name, placed(value)) for name, value in code.kwargs))
        case Method():
            args, kwargs = tuple(map(placed, code.args)), tuple((name, placed(value)) for name, value in code.kwargs)
            return Method(placed(code.value), code.name, args, kwargs)
        case Infix():
            return Infix(code.operator, tuple(map(placed, code.operands)))
        case Prefix():
            return Prefix(code.operator, placed(code.operand))
        case Index():
            return Index(placed(code.value), tuple(map(placed, code.keys)))
        case Slice():
            return Slice(placed(code.start), placed(code.stop), placed(code.step))
        case tuple():
            return tuple(map(placed, code))
        case _:
            return code
