"""The type and the code of a formula: `compute: mean + exp(0.5 * log_var) * randn_like(mean)` becomes one node with one expression.

In: the tree of a formula, the walk's answer to each reference, the values of names behind `$`. Out: `Computed`; or `FormulaProblems`, all mistakes at once,
each at its characters. There is no second language: each call and each operator is a kind of the catalogue with its own rule (`apply`), only indexing is
told here (`subscript`). What is known while the network is built is computed now, by the evaluator of expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from specbuilder.catalogue import lookup
from specbuilder.catalogue.contract import Argument as CodeArgument
from specbuilder.catalogue.contract import Code, Expression, Function, Index, Infix, Input, Layer, Node, Port, Prefix, Refusal, Remark
from specbuilder.catalogue.contract import Slice as CodeSlice
from specbuilder.graph.apply import Applied, Argument, Bound, apply, bind, source_of
from specbuilder.graph.graph import Value
from specbuilder.graph.operands import UNKNOWN, FormulaProblem, FormulaProblems, Known, Operand, Tensor, Tensors, Unknown, named, wrong
from specbuilder.graph.scope import ReferenceProblem
from specbuilder.graph.subscript import Key, Range, Remaining, subscript
from specbuilder.language import operations
from specbuilder.language.calls import FUNCTIONS
from specbuilder.language.evaluate import Evaluation, Lookup
from specbuilder.language.formulas import Formula
from specbuilder.language.operations import Budget
from specbuilder.language.syntax import (
    DEEPEST,
    Binary,
    Call,
    Compare,
    Conditional,
    Dotted,
    List,
    Literal,
    Name,
    Rest,
    Slice,
    Static,
    Subscript,
    Tuple,
    Unary,
)
from specbuilder.language.syntax import Expression as Tree
from specbuilder.language.tokens import ExpressionError, Place
from specbuilder.language.values import Undefined, help_of
from specbuilder.language.vocabulary import CATALOGUE
from specbuilder.records import Record
from specbuilder.shapes import DTYPES, Dim, Poly, Requirement, TensorType

OPERATORS = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "//": "floor_divide",
    "%": "remainder",
    "**": "pow",
    "==": "eq",
    "!=": "ne",
    "<": "lt",
    "<=": "le",
    ">": "gt",
    ">=": "ge",
    "and": "logical_and",
    "or": "logical_or",
}
"""The kind that each operator on tensors is."""
PREFIXES = {"-": "neg", "not": "logical_not", "~": "logical_not"}

_MISTAKES = (FormulaProblems, ExpressionError, Undefined)
"""What a rule raises; of what is undefined, the reason has been told."""

_OF_BOOLEANS = {"and": "&", "or": "|", "not": "~", "~": "~"}
_WITH_NUMBERS = OPERATORS.keys() - {"and", "or"}
_TO_THE_LEFT = frozenset(("+", "-", "*", "/", "//", "%", "&", "|"))
"""Operators of which a chain is one expression: `a - b - c` is `(a - b) - c`."""


class Computed(Record):
    """A formula that is right. In `source`, `Input(k)` is the tensor `arrivals[k]`."""

    type: TensorType
    source: Expression
    arrivals: tuple[Value, ...]
    """Each distinct tensor that the formula reads, in the order of the text."""
    ports: tuple[Port, ...]
    """One for each arrival, called as the formula calls it first."""
    flops: Dim
    requirements: tuple[Requirement, ...]
    helpers: tuple[str, ...]
    remarks: tuple[Remark, ...]
    measured: tuple[str, ...]
    """The kinds in it that torch was asked about."""


class Computation(Node):
    """The kind of a node that a formula makes: its rules answer what was computed."""

    kind = "compute"
    computed: Computed

    def __init__(self, computed: Computed) -> None:
        # `inputs` and the like are facts of a class elsewhere; here each instance has its own.
        self.__dict__.update(computed=computed, inputs=computed.ports, helpers=computed.helpers)

    def remarks(self, *types: Any, **_: Any) -> tuple[Remark, ...]:
        return self.computed.remarks

    def infer(self, *types: Any, **_: Any) -> TensorType:
        return self.computed.type

    def requirements(self, *types: Any, **_: Any) -> tuple[Requirement, ...]:
        return self.computed.requirements

    def flops(self, *types: Any, **_: Any) -> Dim:
        return self.computed.flops

    def source(self, *types: Any, **_: Any) -> Expression:
        return self.computed.source


def compute(formula: Formula, *, tensors: Callable[[str], tuple[Value, ...]], statics: Lookup, known: Iterable[str]) -> Computed:
    """What a formula gives.

    `tensors` says what a reference means, or raises `ReferenceProblem`; `statics` gives the value of a name behind `$`, or raises `KeyError` or `Undefined`;
    `known` are the names that may be suggested then.
    """
    reading = _Reading(tensors, statics, tuple(known))
    result = reading.of(formula.expression)
    if isinstance(result, Tensor) and not reading.problems:
        return reading.computed(result)
    if not reading.problems and not isinstance(result, Unknown):
        reading.problems += _no_tensor(result, formula.expression).problems
    raise FormulaProblems(tuple(sorted(reading.problems, key=lambda problem: problem.start)))


def _no_tensor(result: Operand, at: Place) -> FormulaProblems:
    help = "join them, with `concat` or `stack`" if isinstance(result, Tensors) else "where a number is wanted it is written as it is, with `$`"
    return wrong("SB0501", f"a formula gives a tensor, but this is {named(result)}", at, help)


class _Reading:
    """One pass over a formula: what it reads and costs so far, and what is wrong."""

    def __init__(self, tensors: Callable[[str], tuple[Value, ...]], statics: Lookup, known: tuple[str, ...]) -> None:
        self.tensors, self.known = tensors, known
        self.evaluation = Evaluation(statics, known)
        self.budget = Budget()
        self.problems: list[FormulaProblem] = []
        self.arrivals: dict[Value, tuple[int, str]] = {}
        self.requirements: list[Requirement] = []
        self.helpers: dict[str, None] = {}
        self.remarks: dict[Remark, None] = {}
        self.measured: dict[str, None] = {}
        self.flops: Dim = 0

    def computed(self, result: Tensor) -> Computed:
        return Computed(
            type=result.type,
            source=result.source,
            arrivals=tuple(self.arrivals),
            ports=tuple(Port(name) for _, name in self.arrivals.values()),
            flops=self.flops,
            requirements=tuple(self.requirements),
            helpers=tuple(self.helpers),
            remarks=tuple(self.remarks),
            measured=tuple(self.measured),
        )

    # The tree ---------------------------------------------------------------------------------------------------------

    def of(self, node: Tree) -> Operand:
        """What a part comes to; a mistake in it is noted and leaves `UNKNOWN`."""
        # Down the left side in a loop, as in `Evaluation`: a chain may be hundreds of terms long.
        pending: list[Binary | Subscript] = []
        while isinstance(node, Binary | Subscript):
            pending.append(node)
            node = node.left if isinstance(node, Binary) else node.value
        found: Operand = UNKNOWN
        at: Tree = node
        while True:
            # Tried here rather than around each rule, so that nesting costs three frames a level: the walk around it may be deep as well.
            try:
                found = self._within_bounds(self._outer(at, found) if isinstance(at, Binary | Subscript) else self._leaf(at), at)
            except _MISTAKES as mistake:
                found = self._noted(mistake)
            if not pending:
                return found
            at = pending.pop()

    def _noted(self, mistake: Exception) -> Unknown:
        if isinstance(mistake, FormulaProblems):
            self.problems += mistake.problems
        elif isinstance(mistake, ExpressionError):
            self.problems.append(FormulaProblem("SB0501", mistake.message, mistake.start, mistake.end, help_of(mistake)))
        return UNKNOWN

    def _within_bounds(self, found: Operand, node: Tree) -> Operand:
        if isinstance(found, Tensor) and found.depth > DEEPEST:
            # Whoever writes the code, and Python when it reads it, goes as deep as the code does.
            help = "make a part of it a node of its own with a `name`"
            raise wrong("SB0601", f"a formula applies at most {DEEPEST} operations to one tensor", node, help)
        return found

    def _leaf(self, node: Tree) -> Operand:
        match node:
            case Literal():
                return Known(node.value)
            case Static():
                return Known(self.evaluation.value(node.expression))
            case Name() | Dotted():
                return self._reference(node)
            case Unary():
                return self._unary(node)
            case Compare():
                return self._comparison(node)
            case Conditional():
                return self._conditional(node)
            case Call():
                return self._call(node)
            case Tuple() | List():
                return self._list(node)
        raise ExpressionError("a slice stands only in an index", node.start, node.end)

    def _outer(self, node: Binary | Subscript, inner: Operand) -> Operand:
        return self._binary(node, inner) if isinstance(node, Binary) else self._subscript(node, inner)

    def _list(self, node: Tuple | List) -> Operand:
        items = list(map(self.of, node.items))
        if any(isinstance(item, Unknown) for item in items):
            return UNKNOWN
        if all(isinstance(item, Known) for item in items):
            return Known(operations.checked_list(tuple(item.value for item in items if isinstance(item, Known)), node, self.budget))
        tensors: list[Tensor] = []
        for item, place in zip(items, node.items, strict=True):
            if isinstance(item, Known):
                raise wrong("SB0501", f"a list holds tensors or values, not both: this is {named(item)}", place)
            tensors += [item] if isinstance(item, Tensor) else item.items if isinstance(item, Tensors) else []
        return Tensors(tuple(tensors))

    def _conditional(self, node: Conditional) -> Operand:
        condition = self.of(node.condition)
        if isinstance(condition, Unknown):
            return UNKNOWN
        if not isinstance(condition, Known):
            message = f"the condition of `if` must be known when the network is built, but this is {named(condition)}"
            raise wrong("SB0505", message, node.condition, "`where(condition, a, b)` chooses for each element")
        return self.of(node.then if operations.truth(condition.value, node.condition) else node.otherwise)

    # References -------------------------------------------------------------------------------------------------------

    def _reference(self, node: Name | Dotted) -> Operand:
        text = node.text if isinstance(node, Name) else ".".join(self._step(part) for part in node.parts)
        try:
            values = self.tensors(text)
        except ReferenceProblem as problem:
            help = f"the variable is written `${text}`" if text in self.known else problem.help
            found = FormulaProblem(problem.code, problem.message, node.start, node.end, help, related=problem.related)
            raise FormulaProblems((found,)) from None
        if any(value.type is None for value in values):
            return UNKNOWN
        read = tuple(self._arriving(value, text if len(values) == 1 else value.name) for value in values)
        return read[0] if len(read) == 1 and "*" not in text else Tensors(read)

    def _step(self, part: str | Static) -> str:
        if isinstance(part, str):
            return part
        value = self.evaluation.value(part.expression)
        if isinstance(value, str) or type(value) is int:
            return str(value)
        raise wrong("SB0501", f"in a reference stands a name or a whole number, but this is {named(Known(value))}", part)

    def _arriving(self, value: Value, name: str) -> Tensor:
        assert value.type is not None
        number, _ = self.arrivals.setdefault(value, (len(self.arrivals), name))
        return Tensor(value.type, Input(number), value, 0)

    # Operators --------------------------------------------------------------------------------------------------------

    def _unary(self, node: Unary) -> Operand:
        operand = self.of(node.operand)
        if isinstance(operand, Unknown):
            return UNKNOWN
        if isinstance(operand, Known) and node.operator == "-":
            return Known(operations.negative(operand.value, node))
        if isinstance(operand, Known) and node.operator == "not":
            return Known(not operations.truth(operand.value, node.operand))
        tensor = self._tensor(node.operator, operand, node.operand)
        if node.operator == "~" and tensor.type.dtype != "bool":
            help = "`x == 0` compares, and `not x` is true where x is 0"
            raise wrong("SB0501", f"`~` wants booleans, but {tensor.type.dtype} arrives", node.operand, help, tensor.value)
        applied, cls = self._operation(PREFIXES[node.operator], node.operator, (Argument(tensor, node.operand),), node)
        sign = _OF_BOOLEANS.get(node.operator, node.operator)
        is_plain = node.operator == "-" or tensor.type.dtype == "bool"
        source = Prefix(sign, tensor.source) if is_plain else source_of(applied, cls.kind, node)
        return Tensor(applied.type, source, tensor.value, tensor.depth + 1)

    def _tensor(self, sign: str, operand: Operand, place: Place) -> Tensor:
        if isinstance(operand, Tensor):
            return operand
        help = None
        if isinstance(operand, Tensors):
            joins = {"+": "add", "*": "multiply"}.get(sign)
            help = f"`{joins}(...)` takes lists" if joins else "name one of them, such as `layers.0`"
        wanted = "a tensor or a number" if sign in _WITH_NUMBERS else "a tensor"
        code = "SB0303" if isinstance(operand, Tensors) else "SB0501"
        raise wrong(code, f"`{sign}` wants {wanted} here, but this is {named(operand)}", place, help)

    def _binary(self, node: Binary, left: Operand) -> Operand:
        sign = node.operator
        if sign in ("and", "or") and isinstance(left, Known) and operations.truth(left.value, node.left) == (sign == "or"):
            return left
        right = self.of(node.right)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return UNKNOWN
        if isinstance(left, Known) and isinstance(right, Known):
            if sign in ("and", "or"):
                return right
            return Known(operations.arithmetic(sign, left.value, right.value, node, self.budget))
        return self._infix(sign, Argument(left, node.left), Argument(right, node.right), node)

    def _comparison(self, node: Compare) -> Operand:
        operands = [self.of(operand) for operand in node.operands]
        if any(isinstance(operand, Unknown) for operand in operands):
            return UNKNOWN
        pairs = list(zip(operands, operands[1:], node.operators, strict=False))
        if all(isinstance(operand, Known) for operand in operands):
            values = [operand.value for operand in operands if isinstance(operand, Known)]
            compared = (operations.compared(sign, values[at], values[at + 1], node, self.budget) for at, (_, _, sign) in enumerate(pairs))
            return Known(all(compared))
        if len(pairs) > 1:
            help = "write `a < b and b < c`"
            raise wrong("SB0501", "a chain of comparisons has one answer, and tensors have many", node, help)
        left, right, sign = pairs[0]
        if sign in ("in", "not in"):
            raise wrong("SB0501", f"`{sign}` looks into lists and texts that are known, not into tensors", node)
        return self._infix(sign, Argument(left, node.operands[0]), Argument(right, node.operands[1]), node)

    def _infix(self, sign: str, left: Argument, right: Argument, node: Place) -> Tensor:
        """An operator between two tensors, or a tensor and a number on either side."""
        for each in (left, right):
            if not (isinstance(each.operand, Known) and _is_number(each.operand.value) and sign in _WITH_NUMBERS):
                self._tensor(sign, each.operand, each.place)
        if isinstance(left.operand, Known):
            # A number on the left gives the type that it gives on the right, so that the rule of the kind may be asked the other way round.
            arguments = (right, left.replace(operand=_as_divisor(_as_number(left.operand))))
            applied, cls = self._operation(OPERATORS[sign], sign, arguments, node)
        else:
            applied, cls = self._operation(OPERATORS[sign], sign, (left, right.replace(operand=_as_number(right.operand))), node)
        return self._joined(sign, applied, cls, left.operand, right.operand, node)

    def _joined(self, sign: str, applied: Applied, cls: type[Function], left: Operand, right: Operand, node: Place) -> Tensor:
        tensors = [operand for operand in (left, right) if isinstance(operand, Tensor)]
        value = next((tensor.value for tensor in tensors if tensor.value is not None), None)
        depth = 1 + max(tensor.depth for tensor in tensors)
        if sign in ("and", "or"):
            if any(tensor.type.dtype != "bool" for tensor in tensors):
                return Tensor(applied.type, source_of(applied, cls.kind, node), value, depth)
            sign = _OF_BOOLEANS[sign]
        first, second = _code(left), _code(right)
        if isinstance(left, Tensor) and isinstance(first, Infix) and first.operator == sign and sign in _TO_THE_LEFT:
            depth = max(left.depth, 1 + (right.depth if isinstance(right, Tensor) else 0))
            return Tensor(applied.type, Infix(sign, (*first.operands, second)), value, depth)
        return Tensor(applied.type, Infix(sign, (first, second)), value, depth)

    def _operation(self, name: str, sign: str, arguments: tuple[Argument, ...], node: Place) -> tuple[Applied, type[Function]]:
        cls = self._function(name, node, sign)
        return self._applied(cls, sign, bind(cls, sign, arguments, ()), node), cls

    # Calls ------------------------------------------------------------------------------------------------------------

    def _call(self, node: Call) -> Operand:
        name = node.function.text
        positional = list(map(Argument, map(self.of, node.arguments), node.arguments))
        keywords = [(keyword, Argument(self.of(argument), argument)) for keyword, argument in node.keywords]
        given = [*positional, *(argument for _, argument in keywords)]
        cls = self._function("cast" if name in DTYPES else name, node.function, name, given)
        if any(isinstance(argument.operand, Unknown) for argument in given):
            return UNKNOWN
        if name in DTYPES:
            assert cls.primary is not None
            bound = bind(cls, name, positional, keywords)
            bound = Bound(bound.ports, {**bound.fields, cls.primary: Argument(Known(name), node.function)}, bound.extra)
        else:
            bound = bind(cls, name, positional, keywords)
        applied = self._applied(cls, name, bound, node.function)
        tensors = [tensor for read in applied.tensors.values() for tensor in read]
        value = next((tensor.value for tensor in tensors if tensor.value is not None), None)
        depth = 1 + max((tensor.depth for tensor in tensors), default=0)
        return Tensor(applied.type, source_of(applied, name, node.function), value, depth)

    def _function(self, name: str, at: Place, title: str, given: Iterable[Argument] = ()) -> type[Function]:
        cls = lookup.find("node", name)
        if cls is None:
            raise wrong("SB0205", f"unknown function `{title}`", at, _unknown_function(title, given))
        if issubclass(cls, Layer) or not issubclass(cls, Function):
            help = "make it a node of its own with a `name`, and write that name here"
            raise wrong("SB0303", f"`{title}` has weights or a state, and a formula calls functions only", at, help)
        return cls

    def _applied(self, cls: type[Function], title: str, bound: Bound, at: Place) -> Applied:
        applied = apply(cls, title, bound, at)
        self.flops = self.flops + applied.flops
        self.requirements += applied.requirements
        self.helpers.update(dict.fromkeys(applied.kind.helpers))
        self.remarks.update(dict.fromkeys(applied.kind.remarks(*applied.types)))
        if applied.kind.is_measured:
            self.measured[applied.kind.kind] = None
        return applied

    # Indexing ---------------------------------------------------------------------------------------------------------

    def _subscript(self, node: Subscript, inner: Operand) -> Operand:
        places = node.key.items if isinstance(node.key, Tuple) else (node.key,)
        keys = [self._key_of(place) for place in places]
        if isinstance(inner, Unknown):
            return UNKNOWN
        if isinstance(inner, Known):
            help = "an index goes inside: `$(x[...])`" if isinstance(node.value, Static) else None
            raise wrong("SB0501", f"only a tensor takes an index here, but this is {named(inner)}", node.value, help)
        if isinstance(inner, Tensors):
            raise wrong("SB0303", f"an index goes into one tensor, but this is {named(inner)}", node.value, "name one of them, such as `layers.0`")
        found = [key for key in keys if isinstance(key, _Key)]
        if len(found) < len(keys):
            return UNKNOWN
        try:
            given = subscript(inner.type, [key.key for key in found])
        except Refusal as refusal:
            place = places[refusal.item] if refusal.item is not None else node
            blamed = (refusal.item is not None and found[refusal.item].value) or inner.value
            raise wrong(refusal.code, refusal.message, place, refusal.help, blamed) from None
        self.requirements += given.requirements
        depth = 1 + max(inner.depth, *(key.depth for key in found))
        return Tensor(given.type, Index(inner.source, tuple(key.code for key in found)), inner.value, depth)

    def _key_of(self, node: Tree) -> _Key | Unknown:
        try:
            return self._key(node)
        except _MISTAKES as mistake:
            return self._noted(mistake)

    def _key(self, node: Tree) -> _Key | Unknown:
        if isinstance(node, Rest):
            return _Key(Remaining(), Code("..."))
        if isinstance(node, Slice):
            start, stop, step = self._end(node.lower), self._end(node.upper), self._end(node.step)
            if isinstance(step, Poly):
                raise wrong("SB0505", f"the step of a slice must be known when the network is built, but this is `{step}`", node)
            return _Key(Range(start, stop, step), CodeSlice(start, stop, step))
        operand = self.of(node)
        if isinstance(operand, Unknown):
            return UNKNOWN
        if isinstance(operand, Tensor):
            return _Key(operand.type, operand.source, operand.depth, operand.value)
        value = operand.value if isinstance(operand, Known) else ()
        if value is None or type(value) is int or isinstance(value, Poly):
            return _Key(value, value)
        message = f"an index is a whole number, a slice, `null` or a tensor of whole numbers, but this is {named(operand)}"
        raise wrong("SB0501", message, node)

    def _end(self, node: Tree | None) -> Dim | None:
        """An end or the step of a slice."""
        if node is None:
            return None
        operand = self.of(node)
        if isinstance(operand, Unknown):
            raise Undefined
        if isinstance(operand, Known) and (operand.value is None or type(operand.value) is int or isinstance(operand.value, Poly)):
            return operand.value
        raise wrong("SB0501", f"a slice is made of whole numbers that are known when the network is built, but this is {named(operand)}", node)


class _Key(Record):
    """A key of an index, for its type and as code."""

    key: Key
    code: CodeArgument | CodeSlice
    depth: int = 0
    value: Value | None = None
    """The first tensor that arrives in an index tensor."""


_OTHER_NAMES = {"float": "float32", "double": "float64", "half": "float16", "int": "int64", "long": "int64"}


def _unknown_function(name: str, given: Iterable[Argument]) -> str:
    if name in FUNCTIONS and all(isinstance(argument.operand, Known) for argument in given):
        return f"numbers are computed within `$`: `$({name}(...))`"
    return f"did you mean `{_OTHER_NAMES[name]}`?" if name in _OTHER_NAMES else CATALOGUE.unknown("node", name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Poly) and not isinstance(value, bool)


def _as_number(operand: Operand) -> Operand:
    """The operand as a rule takes it: for a size, which is a whole number at run time, some whole number."""
    return Known(1) if isinstance(operand, Known) and isinstance(operand.value, Poly) else operand


def _as_divisor(operand: Operand) -> Operand:
    """A number on the left that stands on the right for the sake of the rule, where a 0 or, in a power of whole numbers, a sign would matter."""
    if not isinstance(operand, Known) or not isinstance(operand.value, int | float):
        return operand
    return Known(abs(operand.value) or type(operand.value)(1))


def _code(operand: Operand) -> CodeArgument:
    assert isinstance(operand, Tensor | Known)
    return operand.source if isinstance(operand, Tensor) else operand.value
