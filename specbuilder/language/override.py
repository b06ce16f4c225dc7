"""`--set PATH=VALUE`: changes a value of the document before it is decoded, so that it is checked exactly like the text.

A path goes by key, by position, or by the name of a node; a kind that stands alone in its mapping may be skipped (`train.optimizer.lr`). What is set has
its own place in messages: the text of the option.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf

from specbuilder.diagnostics import Diagnostics, Source, Span, SpecError, did_you_mean
from specbuilder.language.document import Document, Mapping, Node, Scalar, Sequence
from specbuilder.language.read import read_value


def override(document: Document, changes: MappingOf[str, str], diagnostics: Diagnostics) -> Document:
    """The document with every change made."""
    root: Node = document.root
    for path, text in changes.items():
        source = Source("--set", f"{path}={text}")
        try:
            value = _placed(read_value(text, "--set"), source, len(path) + 1)
        except SpecError as error:
            for found in error.diagnostics:
                diagnostics.error(found.code, found.message, Span(source, len(path) + 1, max(len(source.text), len(path) + 2)), help=found.help)
            continue
        try:
            _check_path(path, source)
            root = _put(root, _steps(path, source), value, source)
        except _NoPlace as problem:
            diagnostics.error("SB0208", problem.message, problem.span, help=problem.help)
    assert isinstance(root, Mapping)
    return Document(document.source, root, document.digest)


class _NoPlace(Exception):
    def __init__(self, message: str, span: Span, help: str | None = None) -> None:
        super().__init__(message)
        self.message, self.span, self.help = message, span, help


def _check_path(path: str, source: Source) -> None:
    at = 0
    for word in path.split("."):
        if not word.strip():
            raise _NoPlace("a step of this path is empty", Span(source, at, at + 1), "write it like `train.epochs`")
        at += len(word) + 1


def _steps(path: str, source: Source) -> list[Scalar]:
    """The steps of a path as keys with their place in the option."""
    steps, at = [], 0
    for word in path.split("."):
        steps.append(Scalar(word, Span(source, at, at + max(len(word), 1)), word, at, True))
        at += len(word) + 1
    return steps


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


def _put(node: Node, steps: list[Scalar], value: Node, source: Source) -> Node:
    step, *rest = steps
    word = str(step.value)
    if isinstance(node, Sequence):
        return _put_in_list(node, step, rest, value, source)
    if not isinstance(node, Mapping):
        return Mapping(((step, _put(_empty(source), rest, value, source) if rest else value),), step.span) if _is_null(node) else _refuse(step)
    if (inner := node.get(word)) is not None:
        changed = _put(inner, rest, value, source) if rest else value
        return Mapping(tuple((key, changed if key.value == word else old) for key, old in node.entries), node.span)
    lone = _lone_kind(node, word)
    if lone is not None:
        changed = _put(lone[1], steps, value, source)
        return Mapping(tuple((key, changed if key is lone[0] else old) for key, old in node.entries), node.span)
    return Mapping((*node.entries, (step, _put(_empty(source), rest, value, source) if rest else value)), node.span)


def _empty(source: Source) -> Mapping:
    return Mapping((), Span(source, 0, len(source.text)))


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _lone_kind(node: Mapping, word: str) -> tuple[Scalar, Mapping] | None:
    """The kind of `{adam: {lr: 0.1}}`, when the field asked for stands in it."""
    if len(node.entries) == 1 and isinstance(inner := node.entries[0][1], Mapping) and inner.get(word) is not None:
        return node.entries[0][0], inner
    return None


def _refuse(step: Scalar) -> Node:
    raise _NoPlace(f"there is no place for `{step.value}`: what stands before it is a single value", step.span)


def _put_in_list(node: Sequence, step: Scalar, rest: list[Scalar], value: Node, source: Source) -> Node:
    word = str(step.value)
    names = [_name_of(item) for item in node.items]
    if word.lstrip("-").isdigit():
        index = int(word)
        if not -len(node.items) <= index < len(node.items):
            raise _NoPlace(f"there is no entry {index}; the list has {len(node.items)}, numbered from 0", step.span)
    elif names.count(word) == 1:
        index = names.index(word)
    else:
        by_position = "use its position, from 0"
        if word in names:
            raise _NoPlace(f"{names.count(word)} entries are called `{word}`", step.span, by_position)
        help = did_you_mean(word, [name for name in names if name]) or by_position
        raise _NoPlace(f"no entry of the list is called `{word}`", step.span, help)
    index %= len(node.items)
    changed = _put(_opened(node.items[index]), rest, value, source) if rest else value
    return Sequence(tuple(changed if position == index else item for position, item in enumerate(node.items)), node.span)


def _opened(item: Node) -> Node:
    """A node written as a word, as the mapping that it stands for: `relu` is `{relu: null}`."""
    if isinstance(item, Scalar) and isinstance(item.value, str):
        return Mapping(((item, Scalar(None, item.span, "", item.content, True)),), item.span)
    return item


def _name_of(item: Node) -> str | None:
    """What an entry of a list is called: its `name`, else its kind."""
    if isinstance(item, Scalar):
        return str(item.value)
    if not isinstance(item, Mapping) or not item.entries:
        return None
    name = item.get("name")
    return str(name.value) if isinstance(name, Scalar) else str(item.entries[0][0].value)
