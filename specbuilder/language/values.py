"""Document nodes to plain values. A scalar with a `$` stays a `Deferred`; everything else is known at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from specbuilder.diagnostics import Diagnostics, Span
from specbuilder.language import scalars
from specbuilder.language.document import BROKEN, Broken, Node, Scalar
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Sequence as SequenceNode
from specbuilder.language.expressions import ExpressionError, parse_template, render
from specbuilder.language.tree import Deferred, Entry, Value


def entry(key: Span, node: Node, diagnostics: Diagnostics) -> Entry:
    """A key and its value; a broken expression is reported and stands as `BROKEN`, which counts as deferred."""
    value = read(node, diagnostics)
    return Entry(key, placed(key, node), value, _has_deferred(value))


def placed(key: Span, node: Node) -> Node:
    """The node; where nothing is written as the value, a null with the place of its key, since a caret under nothing shows nothing."""
    if isinstance(node, Scalar) and node.value is None and not node.text:
        return Scalar(None, key, "", key.start, True)
    return node


def read(node: Node, diagnostics: Diagnostics) -> Any:
    """The value of a node: plain, `Deferred`, or `BROKEN`."""
    if isinstance(node, Scalar):
        if isinstance(node.value, str) and "$" in node.value:
            return _scalar(node, diagnostics)
        return node.value if not isinstance(node.value, Broken) else BROKEN
    if isinstance(node, SequenceNode):
        return tuple(read(item, diagnostics) for item in node.items)
    return {str(key.value): read(value, diagnostics) for key, value in node.entries}


def _scalar(scalar: Scalar, diagnostics: Diagnostics) -> Value:
    assert isinstance(scalar.value, str)
    try:
        template = parse_template(scalar.value)
    except ExpressionError as error:
        report(error, scalar, diagnostics)
        return BROKEN
    return scalar.value if template is None else Deferred(template, scalar)


def _has_deferred(value: Value) -> bool:
    if isinstance(value, (Deferred, Broken)):
        return True
    if isinstance(value, tuple):
        return any(map(_has_deferred, value))
    return isinstance(value, Mapping) and any(map(_has_deferred, value.values()))


class Undefined(Exception):
    """A value that depends on something already reported: whoever asks for it stays quiet."""


def resolve(value: Value, lookup: Callable[[str], Any], known: Iterable[str], diagnostics: Diagnostics) -> Any:
    """The value with every deferred part evaluated. A mistake in an expression is reported, then `Undefined` is raised."""
    if isinstance(value, Deferred):
        try:
            return render(value.template, lookup, known)
        except ExpressionError as error:
            report(error, value.scalar, diagnostics)
            raise Undefined from error
    if isinstance(value, Broken):
        raise Undefined
    if isinstance(value, tuple):
        return tuple(resolve(item, lookup, known, diagnostics) for item in value)
    if isinstance(value, Mapping):
        return {key: resolve(item, lookup, known, diagnostics) for key, item in value.items()}
    return value


def report(error: ExpressionError, scalar: Scalar, diagnostics: Diagnostics) -> None:
    diagnostics.error("SB0501", error.message, part(scalar, error.start, error.end), help=help_of(error))


def help_of(error: ExpressionError) -> str | None:
    """What to do about a mistake in an expression."""
    if error.help is None and error.message.startswith("unknown name `"):
        return f"give it a value: `vars: {{{error.message.split('`')[1]}: ...}}`"
    return error.help


def part(scalar: Scalar, start: int, end: int) -> Span:
    """The place of characters `start` to `end` of a scalar's value; the whole scalar where escapes make the two texts differ."""
    source = scalar.span.source
    value = str(scalar.value)
    if source.text[scalar.content : scalar.content + len(value)] != value:
        return scalar.span
    # An error at the very end of the text still gets a caret, under its last character.
    start = min(start, max(len(value) - 1, 0))
    return Span(source, scalar.content + start, scalar.content + max(end, start + 1))


def key_at(node: Node, name: str) -> Span:
    """Where the key `name` of a mapping is written; the node itself where it is none."""
    found = node.key(name) if isinstance(node, MappingNode) else None
    return found.span if found is not None else node.span


def text_at(node: Node, location: tuple[str | int, ...], start: int, end: int) -> Span:
    """Where characters `start` to `end` of the text at `location` are written."""
    for step in location:
        inner = node.get(step) if isinstance(node, MappingNode) and isinstance(step, str) else None
        if inner is None:
            return span_at(node, location)
        node = inner
    return part(node, start, end) if isinstance(node, Scalar) else node.span


def span_at(node: Node, location: tuple[str | int, ...]) -> Span:
    """Where the part of `node` at `location` (keys and positions) is written; the nearest enclosing part that is."""
    return node_at(node, location).span


def node_at(node: Node, location: tuple[str | int, ...]) -> Node:
    """The part of `node` at `location` (keys and positions); the nearest enclosing part that is written."""
    for step in location:
        if isinstance(node, MappingNode) and isinstance(step, str) and (inner := node.get(step)) is not None:
            node = inner
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            break
    return node


def without_quotes(node: Node) -> str | None:
    """What to do about a text where a number is wanted, if it is one but for its quotes."""
    if not isinstance(node, Scalar) or node.plain or not isinstance(node.value, str):
        return None
    value = scalars.resolve(node.value)
    return f"delete the quotes: {node.value}" if isinstance(value, int | float) and not isinstance(value, bool) else None
