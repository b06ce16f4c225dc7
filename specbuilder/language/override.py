"""`--set PATH=VALUE`: changes a value of the document before it is decoded, so that it is checked exactly like the text.

Where a path leads is told by `paths`. What is set has its own place in messages: the text of the option. A key that nobody knows is added, and `decode`
says of it what it says of one in the text; a name of the user's own that is not there is a mistake here, since nothing would ever read it.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf

from specbuilder.diagnostics import Diagnostics, Source, Span, SpecError
from specbuilder.language.document import OPTION, Document, Mapping, Node, Scalar, Sequence, with_value
from specbuilder.language.paths import NoPlace, find, steps_of
from specbuilder.language.read import read_value
from specbuilder.language.var_types import keeps_type


class OwnOption(str):  # a text cannot have slots beside its characters
    """The text of a value that has an option of its own, such as `--epochs 3`: messages show that option, and the value as its text."""

    __slots__ = ("option",)
    option: str

    @classmethod
    def of(cls, option: str, text: str) -> OwnOption:
        made = cls(text)
        made.option = option
        return made


def _written(path: str, text: str) -> tuple[Source, int]:
    """What the user typed, and where in it the value begins."""
    if isinstance(text, OwnOption):
        return Source(text.option, str(text)), 0
    return Source(OPTION, f"{path}={text}"), len(path) + 1


def override(document: Document, changes: MappingOf[str, str], diagnostics: Diagnostics) -> Document:
    """The document with every change made."""
    root = document.root
    for path, text in changes.items():
        source, start = _written(path, text)
        whole = Span(source, start, max(len(source.text), start + 1))
        try:
            value = _placed(read_value(text, OPTION), source, start)
        except SpecError as error:
            for found in error.diagnostics:
                diagnostics.error(found.code, found.message, whole, help=found.help)
            continue
        try:
            changed = find(root, steps_of(path, source)).replaced(value)
        except NoPlace as problem:
            diagnostics.error("SB0208", problem.message, whole if isinstance(text, OwnOption) else problem.span, help=problem.help)
            continue
        assert isinstance(changed, Mapping)
        root = changed
    return document.replace(root=_with_types(document.root, root, diagnostics))


def _with_types(before: Mapping, after: Mapping, diagnostics: Diagnostics) -> Mapping:
    """The root with all variables that keep their types."""
    old, section, new = before.get("vars"), after.key("vars"), after.get("vars")
    if not isinstance(old, Mapping) or not isinstance(new, Mapping) or section is None or old is new:
        return after
    for key, value in new.entries:
        known = old.get(str(key.value))
        if known is not None and known is not value and not keeps_type(str(key.value), known, value, diagnostics):
            new = with_value(new, key, known)
    return with_value(after, section, new)


def _placed(node: Node, source: Source, shift: int) -> Node:
    """The node with its spans moved to where the value stands in the option."""

    def span(old: Span) -> Span:
        return Span(source, old.start + shift, old.end + shift)

    if isinstance(node, Scalar):
        return Scalar(node.value, span(node.span), node.text, node.content + shift, node.plain)
    if isinstance(node, Sequence):
        return Sequence(tuple(_placed(item, source, shift) for item in node.items), span(node.span))
    entries = tuple((_placed(key, source, shift), _placed(value, source, shift)) for key, value in node.entries)
    return Mapping(entries, span(node.span))  # type: ignore[arg-type]  # a placed key stays a scalar
