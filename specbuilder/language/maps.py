"""`maps`: how the names of a checkpoint become the names of this network, as written.

    maps:
      torchvision:
        - from: layer{s}.{i}.conv1          # {s}, {i}: captures; digits are whole numbers
          to: stages.$(s - 1).$i.conv       # expressions over captures and vars
        - from: head.{rest**}               # any number of steps
          to: classifier.$rest
          transpose: true
        - drop: relative_position_index

In: document nodes. Out: `Layout`s. A `from` names a whole path from its root, and what stands under it comes along, so that `conv1` moves `conv1.weight` and
`conv1.bias`. The first pair that fits a name decides. What becomes of a real checkpoint is for `graph/mapping`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics, Span, did_you_mean
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Node, Scalar
from specbuilder.language.document import Sequence as SequenceNode
from specbuilder.language.expressions import ExpressionError, Template, parse_template, render
from specbuilder.language.names import name_problem, repaired
from specbuilder.language.selectors import BAD_PATTERN, PatternError
from specbuilder.language.values import part, placed, read, report
from specbuilder.records import Record

MOST_CAPTURES = 8
MOST_DEEP = 2
LONGEST_RANGE = 1000
"""Caps that keep the search for a name short, whatever is written."""

PAIR_KEYS = ("from", "to", "transpose", "drop")


class Origin(Record):
    """What a pair says of names in the checkpoint: a path with captures."""

    text: str
    span: Span
    expression: str
    """As a regular expression with one group a capture and one more, the last, for what stands under the path. Never the user's own text unescaped."""
    captures: tuple[str, ...]

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.expression)

    def captured(self, name: str) -> tuple[Mapping[str, int | str], str] | None:
        """What the captures hold for a name, and what stands under the path (`.weight`, or nothing); None when the name is another."""
        found = self._compiled.fullmatch(name)
        if found is None:
            return None
        *held, under = found.groups()
        return {capture: _typed(text) for capture, text in zip(self.captures, held, strict=True)}, under


def _typed(text: str) -> int | str:
    # `01` is a name: as a number it would be written `1` again.
    return int(text) if text.isascii() and text.isdecimal() and str(int(text)) == text else text


class Target(Record):
    """What a name becomes."""

    scalar: Scalar
    template: Template | None
    """None for a text without expressions."""

    def named(self, captures: Mapping[str, int | str], lookup: Callable[[str], Any], known: Iterable[str]) -> str:
        """The new name. Raises `ExpressionError`."""
        if self.template is None:
            return str(self.scalar.value)
        names = (*captures, *known)
        return str(render(self.template, lambda name: captures[name] if name in captures else lookup(name), names))


class Pair(Record, identity=True):
    """One entry of a map: names like `origin` become `target`, or are left out where there is none."""

    span: Span
    origin: Origin
    target: Target | None
    is_transposed: bool = False


class Layout(Record):
    """One map: the layout of some other model's checkpoint."""

    name: str
    span: Span
    pairs: tuple[Pair, ...]


# Decoding ------------------------------------------------------------------------------------------------------------


def decode_maps(key: Span, node: Node, diagnostics: Diagnostics, variables: Collection[str] = ()) -> Mapping[str, Layout]:
    """The maps of a spec by name. `variables` are the names that expressions in `to` may use beside captures."""
    node = placed(key, node)
    if not isinstance(node, MappingNode):
        message = f"`maps` is a mapping of names to lists of pairs, but this is {shown(read(node, diagnostics))}"
        diagnostics.error("SB0203", message, node.span, help=_SAMPLE)
        return {}
    found = {}
    for name, value in node.entries:
        word = str(name.value)
        if (problem := name_problem(word, is_attribute=False)) is not None:
            help = f"choose another, such as `{repaired(word)}`"
            diagnostics.error("SB0302", f"`{word}` cannot be a name: {problem}", name.span, help=help)
        found[word] = Layout(word, name.span, tuple(_pairs(placed(name.span, value), word, diagnostics, variables)))
    return found


_SAMPLE = "such as `torchvision:`, and under it `- {from: conv1, to: stem.conv2d}`"


def _pairs(node: Node, name: str, diagnostics: Diagnostics, variables: Collection[str]) -> Iterator[Pair]:
    if not isinstance(node, SequenceNode):
        message = f"the map `{name}` is a list of pairs, but this is {shown(read(node, diagnostics))}"
        diagnostics.error("SB0203", message, node.span, help="such as `- {from: conv1, to: stem.conv2d}`")
        return
    for item in node.items:
        yield from _entry(item, diagnostics, variables)


def _entry(node: Node, diagnostics: Diagnostics, variables: Collection[str]) -> Iterator[Pair]:
    if not isinstance(node, MappingNode) or not node.entries:
        found = "empty" if isinstance(node, MappingNode) else shown(read(node, diagnostics))
        message = f"an entry of a map has `from` and `to`, or `drop`, but this is {found}"
        diagnostics.error("SB0203", message, node.span, help="such as `- {from: conv1, to: stem.conv2d}`")
        return
    keys = {str(name.value): (name, value) for name, value in node.entries}
    for word, (name, _) in keys.items():
        if word not in PAIR_KEYS:
            help = did_you_mean(word, PAIR_KEYS) or f"its keys are {', '.join(f'`{known}`' for known in PAIR_KEYS)}"
            diagnostics.error("SB0201", f"unknown key `{word}` in an entry of a map", name.span, help=help)
    if "drop" in keys:
        for word in ("from", "to", "transpose"):
            if word in keys:
                diagnostics.error("SB0201", f"`{word}` has no place beside `drop`", keys[word][0].span, help="make two entries of it")
        yield from _dropped(*keys["drop"], diagnostics)
        return
    if missing := [word for word in ("from", "to") if word not in keys]:
        if all(word in PAIR_KEYS for word in keys):
            help = "write `drop` instead of `from` for what is not wanted" if missing == ["to"] else "such as `- {from: conv1, to: stem.conv2d}`"
            diagnostics.error("SB0202", f"an entry of a map needs `{missing[0]}`", node.entries[0][0].span, help=help)
        return
    origin = _origin("from", placed(keys["from"][0].span, keys["from"][1]), diagnostics)
    target = _target(placed(keys["to"][0].span, keys["to"][1]), origin, diagnostics, variables)
    is_transposed = _is_transposed(keys, diagnostics)
    if origin is not None and target is not None:
        yield Pair(node.span, origin, target, is_transposed)


def _dropped(key: Scalar, node: Node, diagnostics: Diagnostics) -> Iterator[Pair]:
    node = placed(key.span, node)
    for item in node.items if isinstance(node, SequenceNode) else (node,):
        origin = _origin("drop", item, diagnostics)
        if origin is not None:
            yield Pair(item.span, origin, None)


def _is_transposed(keys: Mapping[str, tuple[Scalar, Node]], diagnostics: Diagnostics) -> bool:
    if "transpose" not in keys:
        return False
    key, node = keys["transpose"]
    value = read(placed(key.span, node), diagnostics)
    if not isinstance(value, bool):
        diagnostics.error("SB0203", f"`transpose` wants true or false, but this is {shown(value)}", placed(key.span, node).span)
    return value is True


def _origin(key: str, node: Node, diagnostics: Diagnostics) -> Origin | None:
    text = str(node.value) if isinstance(node, Scalar) and isinstance(node.value, (str, int)) and not isinstance(node.value, bool) else None
    if text is None:
        found = "a mapping: put quotes around what begins with `{`" if isinstance(node, MappingNode) else shown(read(node, diagnostics))
        diagnostics.error("SB0203", f"`{key}` wants a path in the checkpoint, but this is {found}", node.span, help="such as `layer{i}.conv1`")
        return None
    try:
        return parse_origin(text, node.span)
    except PatternError as error:
        assert isinstance(node, Scalar)
        diagnostics.error(BAD_PATTERN, error.message, part(node, error.start, error.end), help=error.help)
        return None


def _target(node: Node, origin: Origin | None, diagnostics: Diagnostics, variables: Collection[str]) -> Target | None:
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        message = f"`to` wants a path in this network, but this is {shown(read(node, diagnostics))}"
        diagnostics.error("SB0203", message, node.span, help="such as `stages.$(i - 1).conv`; what is not wanted stands under `drop`")
        return None
    try:
        template = parse_template(node.value)
    except ExpressionError as error:
        report(error, node, diagnostics)
        return None
    if template is None or origin is None:
        _braces(node, origin, diagnostics)
        return Target(node, template)
    known = (*origin.captures, *variables)
    unknown = {name.text: name for name in template.names if name.text not in known}
    for word, name in unknown.items():
        captured = ", ".join(f"`{{{capture}}}`" for capture in origin.captures)
        help = did_you_mean(word, known) or (f"`from` captures {captured}" if captured else f"`from` captures nothing; write `{{{word}}}` there")
        diagnostics.error("SB0501", f"`{word}` is neither captured by `from` nor a variable", part(node, name.start, name.end), help=help)
    return Target(node, template) if not unknown else None


def _braces(node: Scalar, origin: Origin | None, diagnostics: Diagnostics) -> None:
    """Captures are used with a dollar sign: `{i}` in `to` is a slip that would otherwise be a name nobody has."""
    for capture in origin.captures if origin is not None else ():
        at = str(node.value).find(f"{{{capture}}}")
        if at >= 0:
            message = f"in `to`, what `{{{capture}}}` holds is written `${capture}`"
            diagnostics.error(BAD_PATTERN, message, part(node, at, at + len(capture) + 2))


# Paths with captures -------------------------------------------------------------------------------------------------

_CAPTURE = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RANGE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})\Z")
_STEP = r"[^.]+"


def parse_origin(text: str, span: Span) -> Origin:
    """The path of a `from`. Raises `PatternError`."""
    if not text:
        raise PatternError("this path is empty", 0, 1, "write the name of a tensor in the checkpoint, or of what stands above it")
    if text.startswith("/"):
        raise PatternError("a path in the checkpoint begins at its root anyway", 0, 1, f"write `{text[1:]}`")
    captures: list[str] = []
    parts: list[str] = []
    at, deep = 0, 0
    steps = list(_steps(text))
    for number, step in enumerate(steps):
        is_last = number == len(steps) - 1
        deep += "**" in step
        if step == "**" and is_last:
            raise PatternError("what stands under a path comes along anyway", max(at - 1, 0), at + 2, f"write `{text[: max(at - 1, 0)]}`")
        if deep > MOST_DEEP:
            raise PatternError(f"`**` stands more than {MOST_DEEP} times", at, at + len(step), "write out some of the steps")
        parts.append(r"(?:[^.]+\.)*" if step == "**" else _step(step, at, captures) + ("" if is_last else r"\."))
        at += len(step) + 1
    if len(captures) > MOST_CAPTURES:
        raise PatternError(
            f"this path captures {len(captures)} parts: at most {MOST_CAPTURES}", 0, len(text), "write `*` for a step that is not needed"
        )
    return Origin(text, span, "".join(parts) + r"((?:\.[^.]+)*)", tuple(captures))


def _steps(text: str) -> Iterator[str]:
    """The text at its dots; dots in braces are a mistake that `_step` tells."""
    begin = depth = 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == "." and depth <= 0:
            yield text[begin:at]
            begin = at + 1
    yield text[begin:]


def _step(text: str, at: int, captures: list[str]) -> str:
    """One step as a regular expression; what it captures is added to `captures`."""
    if not text:
        raise PatternError("a step of this path is empty", at, at + 1, "steps stand between dots: `layer{i}.conv1`")
    if text == "*":
        return _STEP
    found, done = "", 0
    for match in _CAPTURE.finditer(text):
        if match.start() == done and done > 0:
            raise PatternError("two captures touch, so where one ends cannot be told", at + done, at + match.end(), "capture the step as a whole")
        found += _literal(text[done : match.start()], at + done, is_whole=False) if match.start() > done else ""
        found += _capture(match, text, at, captures)
        done = match.end()
    if not done:
        return _literal(text, at, is_whole=True)
    return found + (_literal(text[done:], at + done, is_whole=False) if done < len(text) else "")


def _capture(match: re.Match[str], text: str, at: int, captures: list[str]) -> str:
    start, end = at + match.start(), at + match.end()
    name, colon, choices = match[1].partition(":")
    is_deep = name.endswith("**") and not colon
    name = name.removesuffix("**") if is_deep else name
    if not _NAME.match(name):
        raise PatternError(
            f"`{match[0]}` is no capture", start, end, "a capture is `{i}` for a step, `{rest**}` for any number, `{i:0-5}` or `{x:q|v}`"
        )
    if name in captures:
        raise PatternError(f"`{{{name}}}` stands twice", start, end, "give each capture a name of its own")
    captures.append(name)
    if is_deep:
        if match[0] != text:
            raise PatternError(f"`{match[0]}` spans whole steps, so nothing stands beside it", start, end, "put dots around it")
        return rf"({_STEP}(?:\.{_STEP})*)"
    if colon:
        return f"({_alternatives(choices.strip(), start + len(name) + 2)})"
    return f"({_STEP}?)"


def _literal(text: str, at: int, *, is_whole: bool) -> str:
    if "{" in text or "}" in text:
        raise PatternError("this brace is alone", at + min(found for found in (text.find("{"), text.find("}")) if found >= 0), at + len(text))
    if is_whole:
        return f"(?:{_alternatives(text, at)})"
    if "|" in text:
        sign = at + text.index("|")
        raise PatternError("alternatives do not stand beside a capture", sign, sign + 1, "write one entry for each, or capture them: `{x:q|v}`")
    return _plain(text, at)


def _alternatives(text: str, at: int) -> str:
    found = []
    for each in text.split("|"):
        if not each:
            raise PatternError("an alternative is empty", at, at + 1, "alternatives stand between bars: `q|v`")
        if span := _RANGE.match(each):
            found.append(_numbers(int(span[1]), int(span[2]), each, at))
        else:
            found.append(_plain(each, at))
        at += len(each) + 1
    return "|".join(found)


def _numbers(low: int, high: int, text: str, at: int) -> str:
    if high < low:
        raise PatternError(f"the range `{text}` runs backwards", at, at + len(text), f"write `{high}-{low}`; both ends belong to it")
    if high - low >= LONGEST_RANGE:
        raise PatternError(f"the range `{text}` is longer than {LONGEST_RANGE}", at, at + len(text), "capture the step without a range")
    return "|".join(map(str, range(low, high + 1)))


def _plain(text: str, at: int) -> str:
    if "*" in text:
        star = at + text.index("*")
        raise PatternError("`*` stands for a whole step", star, star + 1, "capture a part of a step by name: `layer{i}`")
    return re.escape(text)
