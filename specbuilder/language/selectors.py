"""Selectors: which tensors of a network something is for. `match role kind dims except`; all that are given must hold, a list means any.

In: keys of the text. Out: a `SelectorTree`, and, once values with a `$` are known, a `Selector`. A pattern is a dotted path that may begin at any depth and
stands for everything under it: `bias`, `attention.q|v`, `blocks.0-5`, `blocks.*.mlp`; `/stem` begins at the root, `**` spans depths in the middle. What a
selector matches in a network is for `graph/selection`; no regular expressions, here or there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, get_args

from specbuilder.catalogue import lookup
from specbuilder.catalogue.contract import Role
from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics, Span, did_you_mean
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Node, Scalar
from specbuilder.language.document import Sequence as SequenceNode
from specbuilder.language.tree import Entry
from specbuilder.language.values import Undefined, entry, part, placed, resolve, span_at
from specbuilder.language.vocabulary import CATALOGUE
from specbuilder.records import Record

SELECTOR_KEYS = ("match", "role", "kind", "dims", "except")
ROLES: tuple[str, ...] = get_args(Role)
BAD_PATTERN = "SB0521"


# Patterns ------------------------------------------------------------------------------------------------------------


class Step(Record):
    """One step of a pattern: some words, some ranges of indices, or (with neither) any one step."""

    words: tuple[str, ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()

    @property
    def is_any(self) -> bool:
        return not self.words and not self.ranges

    @property
    def alternatives(self) -> tuple[Step, ...]:
        """The step for each alternative of `q|v` by itself."""
        return (*(Step((word,)) for word in self.words), *(Step(ranges=(each,)) for each in self.ranges))

    def __str__(self) -> str:
        return "|".join((*self.words, *(f"{low}-{high}" if low < high else f"{low}" for low, high in self.ranges))) or "*"


Run = tuple[Step, ...]


class Pattern(Record):
    """A path with gaps: runs of steps, each somewhere behind the one before it (`**` stands between them); the first at the root if anchored."""

    runs: tuple[Run, ...]
    span: Span
    is_anchored: bool = False

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for run in self.runs for step in run)

    def __str__(self) -> str:
        return ("/" if self.is_anchored else "") + ".**.".join(".".join(map(str, run)) for run in self.runs)


class PatternError(Exception):
    """A pattern that cannot be read, with the place of the mistake in its text."""

    def __init__(self, message: str, start: int, end: int, help: str | None = None) -> None:
        super().__init__(message)
        self.message, self.start, self.end, self.help = message, start, end, help


_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?\Z")


def parse_pattern(text: str, span: Span) -> Pattern:
    """The pattern of a text. Raises `PatternError`."""
    is_anchored = text.startswith("/")
    runs: list[list[Step]] = [[]]
    at = int(is_anchored)
    if not text[at:].strip():
        raise PatternError("this pattern is empty", 0, max(len(text), 1), "write the path of a node or tensor, such as `stem` or `attention.weight`")
    words = text[at:].split(".")
    for number, word in enumerate(words):
        if word == "**":
            if number == 0:
                raise PatternError("a pattern begins at any depth anyway", at, at + 2, f"write `{'.'.join(words[1:]) or 'bias'}`")
            if number == len(words) - 1:
                raise PatternError("a pattern stands for everything under it anyway", at - 1, at + 2, f"write `{text[: at - 1]}`")
            if not runs[-1]:
                raise PatternError("`**` stands twice", at, at + 2, "keep one of them")
            runs.append([])
        else:
            runs[-1].append(_step(word, at))
        at += len(word) + 1
    return Pattern(tuple(map(tuple, runs)), span, is_anchored)


def _step(text: str, at: int) -> Step:
    if text == "*":
        return Step()
    words, ranges = [], []
    for each in text.split("|"):
        end = at + max(len(each), 1)
        if found := _RANGE.match(each):
            low = int(found[1])
            high = int(found[2]) if found[2] else low
            if high < low:
                raise PatternError(f"the range `{each}` runs backwards", at, end, f"write `{high}-{low}`; both ends belong to it")
            ranges.append((low, high))
        elif _WORD.match(each):
            words.append(each)
        else:
            raise _bad_step(each, at, end)
        at += len(each) + 1
    return Step(tuple(words), tuple(ranges))


def _bad_step(text: str, at: int, end: int) -> PatternError:
    if not text:
        return PatternError("a step of this pattern is empty", at, end, "steps stand between dots, alternatives between bars: `attention.q|v`")
    if "*" in text:
        plain = text.replace("*", "") or "stem"
        return PatternError(f"`*` stands for a whole step, found `{text}`", at, end, f"write out what is meant, such as `{plain}1|{plain}2`")
    if "/" in text:
        return PatternError("steps are separated by dots, and `/` stands only in front", at, end, f"write `{text.replace('/', '.')}`")
    if re.match(r"-[0-9]+\Z", text):
        return PatternError(f"indices count from 0, found `{text}`", at, end, "an expression can count from the end: `blocks.$(depth - 1)`")
    if re.search(r"[\^$()\[\]\\+?{}]", text):
        return PatternError(f"`{text}` is no step: patterns are paths, not regular expressions", at, end, _GRAMMAR)
    return PatternError(f"`{text}` is no step of a path", at, end, _GRAMMAR)


_GRAMMAR = "a step is a name, an index, a range `0-5`, alternatives `q|v`, `*` for any one, or `**` for any number in the middle"


# Selectors -----------------------------------------------------------------------------------------------------------


class Selector(Record):
    """What a tensor must be. What is empty is not asked for."""

    span: Span
    match: tuple[Pattern, ...] = ()
    roles: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    dims: tuple[int, ...] = ()
    excluded: tuple[Pattern, ...] = ()


class SelectorTree(Record):
    """A selector as written. `selector` is there when everything is literal and right; `is_wrong`: a mistake was reported."""

    span: Span
    entries: Mapping[str, Entry]
    selector: Selector | None = None
    is_wrong: bool = False


def decode_selector(key: Span, node: Node, diagnostics: Diagnostics) -> SelectorTree:
    """A selector by itself: bare text or a list of texts for `match`, or a mapping of its keys. `key` is where its own key stands."""
    node = placed(key, node)
    if not isinstance(node, MappingNode):
        return _tree({"match": entry(key, node, diagnostics)}, node.span, diagnostics)
    before = diagnostics.errors
    for name, _ in node.entries:
        if name.value not in SELECTOR_KEYS:
            known = ", ".join(f"`{known}`" for known in SELECTOR_KEYS)
            help = did_you_mean(str(name.value), SELECTOR_KEYS) or f"its keys are {known}"
            diagnostics.error("SB0201", f"unknown key `{name.value}` in a selector", name.span, help=help)
    if not node.entries:
        diagnostics.error("SB0203", "this selector is empty, so it would select everything", node.span, help="such as `match: stem`, or `role: bias`")
    tree = decode_selector_keys({str(name.value): (name, value) for name, value in node.entries}, node.span, diagnostics)
    return tree if diagnostics.errors == before else SelectorTree(node.span, tree.entries, is_wrong=True)


def decode_selector_keys(keys: Mapping[str, tuple[Scalar, Node]], span: Span, diagnostics: Diagnostics) -> SelectorTree:
    """A selector whose keys stand beside something else, at `span`. Other keys than its own are left alone."""
    found = {name: entry(keys[name][0].span, keys[name][1], diagnostics) for name in SELECTOR_KEYS if name in keys}
    return _tree(found, span, diagnostics)


def _tree(entries: Mapping[str, Entry], span: Span, diagnostics: Diagnostics) -> SelectorTree:
    before = diagnostics.errors
    known = {name: found.value for name, found in entries.items() if not found.is_deferred}
    selector = _made(entries, known, span, diagnostics)
    is_wrong = diagnostics.errors > before
    return SelectorTree(span, entries, selector if len(known) == len(entries) and not is_wrong else None, is_wrong)


def finish_selector(tree: SelectorTree, lookup: Callable[[str], Any], known: Iterable[str], diagnostics: Diagnostics) -> Selector | None:
    """The selector with its expressions evaluated; None after a mistake, which is reported."""
    if tree.selector is not None or tree.is_wrong:
        return tree.selector
    before = diagnostics.errors
    try:
        values = {name: resolve(found.value, lookup, known, diagnostics) for name, found in tree.entries.items()}
    except Undefined:
        return None
    selector = _made(tree.entries, values, tree.span, diagnostics)
    return selector if diagnostics.errors == before else None


def _made(entries: Mapping[str, Entry], values: Mapping[str, Any], span: Span, diagnostics: Diagnostics) -> Selector:
    """The selector of these values; what is wrong in them is reported and left out."""

    def each(name: str) -> list[tuple[Any, Span, Node]]:
        """The items of a list, or the one value, with their places."""
        if name not in values:
            return []
        value, node = values[name], placed(entries[name].key, entries[name].node)
        if value == () or value is None:
            diagnostics.error("SB0203", f"`{name}` names nothing", node.span, help="delete it, or write what is meant")
            return []
        if not isinstance(value, tuple):
            return [(value, node.span, node)]
        items = node.items if isinstance(node, SequenceNode) else ()
        return [(item, span_at(node, (at,)), items[at] if at < len(items) else node) for at, item in enumerate(value)]

    return Selector(
        span,
        match=tuple(found for item in each("match") if (found := _pattern("match", *item, diagnostics))),
        roles=tuple(value for value, at, _ in each("role") if _is_role(value, at, diagnostics)),
        kinds=tuple(value for value, at, _ in each("kind") if _is_kind(value, at, diagnostics)),
        dims=tuple(value for value, at, _ in each("dims") if _is_rank(value, at, diagnostics)),
        excluded=tuple(found for item in each("except") if (found := _pattern("except", *item, diagnostics))),
    )


def _pattern(key: str, value: Any, span: Span, node: Node, diagnostics: Diagnostics) -> Pattern | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        help = "a path such as `stem`, `attention.q|v` or `blocks.0-5`"
        diagnostics.error("SB0203", f"`{key}` wants a pattern, but this is {shown(value)}", span, help=help)
        return None
    try:
        return parse_pattern(value, span)
    except PatternError as error:
        is_written = isinstance(node, Scalar) and node.value == value
        at = part(node, error.start, error.end) if is_written and isinstance(node, Scalar) else span
        told = error.message if is_written else f"{error.message}, in `{value}`"
        diagnostics.error(BAD_PATTERN, told, at, help=error.help)
        return None


def _is_role(value: Any, span: Span, diagnostics: Diagnostics) -> bool:
    return _is_one_of("role", value, ROLES, span, diagnostics, aliases=_OTHER_ROLES)


_OTHER_ROLES = {"weight": "matrix", "weights": "matrix", "kernel": "matrix", "biases": "bias", "embeddings": "embedding", "normalization": "norm"}


def _is_one_of(key: str, value: Any, known: Collection[str], span: Span, diagnostics: Diagnostics, *, aliases: dict[str, str]) -> bool:
    if value in known:
        return True
    listed = ", ".join(f"`{name}`" for name in known)
    help = (did_you_mean(value, known, aliases=aliases) if isinstance(value, str) else None) or f"the {key}s are {listed}"
    found = f"unknown {key} `{value}`" if isinstance(value, str) else f"`{key}` wants the name of one, but this is {shown(value)}"
    diagnostics.error("SB0203", found, span, help=help)
    return False


def _is_kind(value: Any, span: Span, diagnostics: Diagnostics) -> bool:
    if value in lookup.names("node"):
        return True
    if isinstance(value, str):
        diagnostics.error("SB0205", f"unknown kind of node `{value}`", span, help=CATALOGUE.unknown("node", value))
    else:
        diagnostics.error("SB0203", f"`kind` wants a kind of node, but this is {shown(value)}", span, help="such as `kind: conv2d`")
    return False


def _is_rank(value: Any, span: Span, diagnostics: Diagnostics) -> bool:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return True
    help = "the weights of `linear` have 2 axes, those of `conv2d` 4, a bias 1"
    diagnostics.error("SB0203", f"`dims` wants how many axes a tensor has, but this is {shown(value)}", span, help=help)
    return False
