"""Patterns of einops: `b (h p) (w q) c -> b h w (p q c)` as groups of axes, or the first mistake with its place.

In: the text of a pattern. Out: its two sides, each a list of groups; what stands alone is a group of one axis, `1` and `()` are groups of none. Which axes may
appear or vanish is for each kind to say (`rearrange`, `einops_reduce`, `einops_repeat`), sizes are theirs too. The notation is A. Rogozhnikov's (einops, 2022).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from specbuilder.records import Record

ELLIPSIS = "..."
MOST_CHARACTERS = 1000
_TOKEN = re.compile(r"\s+|\(|\)|->|\.\.\.|[^\s().>-]+|.")
_NAME = re.compile(r"[a-z][a-z0-9_]*(?<!_)")


class PatternError(Exception):
    """A text that is no pattern; `start` and `end` are the characters to blame."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message, self.start, self.end = message, start, end


class Axis(Record):
    """One axis: its name, `...`, or a bare number, whose name is the number and its place, so that two of them are two."""

    name: str
    start: int
    end: int
    number: int | None = None

    @property
    def text(self) -> str:
        return self.name if self.number is None else str(self.number)


class Group(Record):
    """Axes that are one axis of the tensor."""

    axes: tuple[Axis, ...]
    start: int
    end: int

    @property
    def text(self) -> str:
        inner = " ".join(axis.text for axis in self.axes)
        return inner if len(self.axes) == 1 else f"({inner})"


class Pattern(Record):
    """Both sides."""

    left: tuple[Group, ...]
    right: tuple[Group, ...]

    def axes(self, side: str) -> dict[str, Axis]:
        """The axes of one side, `left` or `right`, by name."""
        return {axis.name: axis for group in getattr(self, side) for axis in group.axes}


@lru_cache(maxsize=1024)
def parse_pattern(text: str) -> Pattern:
    """The pattern, or `PatternError`."""
    if len(text) > MOST_CHARACTERS:
        raise PatternError(f"a pattern has at most {MOST_CHARACTERS} characters, not {len(text)}", 0, len(text))
    words = [(found.group(), found.start(), found.end()) for found in _TOKEN.finditer(text) if found.group().strip()]
    arrows = [at for at, (word, _, _) in enumerate(words) if word == "->"]
    if not arrows:
        raise PatternError("a pattern has two sides, such as `b c h w -> b (c h w)`, but here is no `->`", 0, len(text))
    if len(arrows) > 1:
        raise PatternError("a pattern has one `->`", *words[arrows[1]][1:])
    pattern = Pattern(_side(words[: arrows[0]]), _side(words[arrows[0] + 1 :]))
    for group in pattern.left:
        for axis in group.axes:
            if axis.name == ELLIPSIS and len(group.axes) > 1:
                raise PatternError("`...` stands within parentheses on the right side only", axis.start, axis.end)
    return pattern


Word = tuple[str, int, int]


def _side(words: list[Word]) -> tuple[Group, ...]:
    groups = tuple(_groups(words))
    seen: set[str] = set()
    for group in groups:
        for axis in group.axes:
            if axis.name in seen:
                raise PatternError(f"`{axis.text}` stands twice on this side", axis.start, axis.end)
            seen.add(axis.name)
    return groups


def _groups(words: list[Word]) -> Iterator[Group]:
    opened: int | None = None
    inside: list[Axis] = []
    for word, start, end in words:
        if word == "(":
            if opened is not None:
                raise PatternError("parentheses do not nest", start, end)
            opened, inside = start, []
        elif word == ")":
            if opened is None:
                raise PatternError("this `)` closes nothing", start, end)
            yield Group(tuple(inside), opened, end)
            opened = None
        else:
            axes = _axis(word, start, end)
            if opened is None:
                yield Group(axes, start, end)
            inside += axes
    if opened is not None:
        raise PatternError("this `(` is never closed", opened, opened + 1)


def _axis(word: str, start: int, end: int) -> tuple[Axis, ...]:
    """The axis that a word stands for; none for `1`."""
    if word.isascii() and word.isdigit():
        if len(word) > 9 or int(word) == 0:
            raise PatternError(f"{word} is no size", start, end)
        return () if int(word) == 1 else (Axis(f"{int(word)} at {start}", start, end, int(word)),)
    if word == ELLIPSIS or _NAME.fullmatch(word):
        return (Axis(word, start, end),)
    lower = word.lower().strip("_")
    hint = f"; write `{lower}`" if _NAME.fullmatch(lower) else ""
    raise PatternError(f"`{word}` is no name of an axis: lower-case letters, digits, and `_` within{hint}", start, end)
