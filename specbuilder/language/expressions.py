"""The expression language, whole: what stands behind `$` in a scalar of a spec.

In: the text of a scalar, then a lookup of names. Out: a `Template` to keep, then its value; or an `ExpressionError` with offsets into the text.
A scalar that is one reference keeps the type of its value; inside a longer text values are written out. This is the door; behind it stand `syntax`
(text to tree) and `evaluate` (tree to value).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from specbuilder.language.calls import FUNCTIONS
from specbuilder.language.evaluate import Evaluation, Lookup, evaluate
from specbuilder.language.operations import LONGEST_STRING, Value, noun
from specbuilder.language.syntax import RESERVED, Expression, Name, Parser, names, parse
from specbuilder.language.tokens import ExpressionError, clip
from specbuilder.records import Record
from specbuilder.shapes import Poly

__all__ = ["FUNCTIONS", "RESERVED", "Expression", "ExpressionError", "Lookup", "Name", "Reference", "Template", "Value"]
__all__ += ["evaluate", "names", "parse", "parse_template", "render"]


class Reference(NamedTuple):
    """`$name` or `$(...)`, at `start` to `end` of the text."""

    expression: Expression
    start: int
    end: int


class Template(Record, identity=True):
    """A text with references: its literal pieces (`$$` is already `$`) and its references, in order."""

    text: str
    parts: tuple[str | Reference, ...]

    @property
    def whole(self) -> Expression | None:
        """The expression, if the text is one reference and nothing else but the line breaks of a block text."""
        solid = [part for part in self.parts if isinstance(part, Reference) or part.strip("\r\n")]
        return solid[0].expression if len(solid) == 1 and isinstance(solid[0], Reference) else None

    @property
    def names(self) -> tuple[Name, ...]:
        """Every use of a name, in the order of the text."""
        return tuple(name for part in self.parts if isinstance(part, Reference) for name in names(part.expression))


def parse_template(text: str) -> Template | None:
    """The text taken apart at its references; None when it has no `$`."""
    return Template(text, tuple(_parts(text))) if "$" in text else None


def _parts(text: str) -> Iterator[str | Reference]:
    parser = Parser(text)
    done = 0
    literal = ""
    while (at := text.find("$", done)) >= 0:
        literal += text[done:at]
        if text.startswith("$$", at):
            literal += "$"
            done = at + 2
            continue
        expression = parser.reference(at)
        done = parser.position
        if literal:
            yield literal
            literal = ""
        yield Reference(expression, at, done)
    if literal + text[done:]:
        yield literal + text[done:]


def render(template: Template, lookup: Lookup, known: Iterable[str] = ()) -> Value:
    """The value of a whole reference, with its type; else the text with every value written out."""
    if (whole := template.whole) is not None:
        return evaluate(whole, lookup, known)
    evaluation = Evaluation(lookup, known)
    written = "".join(part if isinstance(part, str) else _written(part, template.text, evaluation) for part in template.parts)
    if len(written) > LONGEST_STRING:
        raise ExpressionError(f"the text becomes {len(written)} characters long: at most {LONGEST_STRING}", 0, len(template.text))
    return written


def _written(part: Reference, text: str, evaluation: Evaluation) -> str:
    value = evaluation.value(part.expression)
    if isinstance(value, str) or type(value) is int:
        return str(value)
    if isinstance(value, Poly):
        # The text is read again, as a type: `2*$n` may not become `2*H + 1`.
        return str(value) if str(value).isidentifier() else f"({value})"
    reference = clip(text[part.start : part.end])
    help = None
    if isinstance(value, tuple) and text.startswith("[", part.end) and isinstance(part.expression, Name):
        help = f"an index goes inside: `$({part.expression.text}[...])`"
    found = f"the number {value}" if isinstance(value, float) else noun(value)
    raise ExpressionError(f"`{reference}` is {found}; inside a text stand only whole numbers and strings", part.start, part.end, help)
