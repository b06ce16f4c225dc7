"""What the parts of a formula come to, and what is wrong with them.

A part is a tensor that will be computed, a list of tensors, a value that is known while the network is built, or, after a mistake, nothing that can be told.
"""

from __future__ import annotations

from specbuilder.catalogue.contract import Expression, Input
from specbuilder.diagnostics import Span
from specbuilder.graph.graph import Value
from specbuilder.language.operations import Value as StaticValue
from specbuilder.language.operations import noun, shown
from specbuilder.language.tokens import Place
from specbuilder.records import Record
from specbuilder.shapes import TensorType


class Tensor(Record, identity=True):
    """A tensor and the code that computes it, which is written once and so runs once. `value` is the first tensor that arrives in it, for the chain of shapes."""

    type: TensorType
    source: Expression
    value: Value | None
    depth: int

    @property
    def is_leaf(self) -> bool:
        """Whether it arrives as it is, so that reading it twice costs nothing."""
        return isinstance(self.source, Input)


class Tensors(Record):
    """A list of tensors, as `layers.*` and `[a, b]` are."""

    items: tuple[Tensor, ...]


class Known(Record):
    """A value that is known while the network is built: a number, a text, a list of such, or a size."""

    value: StaticValue


class Unknown(Record):
    """What a mistake leaves. It has been told, so whoever reads it stays quiet."""


Operand = Tensor | Tensors | Known | Unknown

UNKNOWN = Unknown()


def named(operand: Operand) -> str:
    """What a message calls an operand."""
    match operand:
        case Tensor():
            return f"a tensor, {operand.type}"
        case Tensors():
            return f"a list of {len(operand.items)} tensors"
        case Known(value=bool() | None | str()):
            return f"`{shown(operand.value)}`"
        case Known(value=int() | float()):
            return f"the number {shown(operand.value)}"
        case Known():
            return noun(operand.value)
        case Unknown():
            return "unknown"


class FormulaProblem(Record):
    """One mistake, at `start` to `end` of the formula's text. `value` is the arriving tensor to blame, `related` another place to show."""

    code: str
    message: str
    start: int
    end: int
    help: str | None = None
    value: Value | None = None
    related: tuple[Span, str] | None = None


class FormulaProblems(Exception):
    """Everything that is wrong with a formula, in the order of the text; nothing where a tensor or a variable is unknown, for a reason already told."""

    def __init__(self, problems: tuple[FormulaProblem, ...]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def wrong(code: str, message: str, at: Place, help: str | None = None, value: Value | None = None) -> FormulaProblems:
    """One mistake, at a part of the formula."""
    return FormulaProblems((FormulaProblem(code, message, at.start, at.end, help, value),))
