"""Selectors: what a pattern means, what a selector holds, and what is said of those that cannot be read.

What a pattern matches is held against a second, naive matcher in the last test: it tries every way of laying a pattern over a path.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuilder.diagnostics import Diagnostics, Source, Span
from specbuilder.graph.selection import Paths
from specbuilder.language.document import Mapping
from specbuilder.language.read import read_value
from specbuilder.language.selectors import SelectorTree, decode_selector, finish_selector, parse_pattern

NOWHERE = Span(Source("text", ""), 0, 0)

PATHS = [
    "stem.weight",
    "stem.bias",
    "blocks.0.attention.q.weight",
    "blocks.0.attention.v.weight",
    "blocks.0.mlp.linear.weight",
    "blocks.0.mlp.linear.bias",
    "blocks.1.attention.q.weight",
    "blocks.1.attention.v.weight",
    "blocks.1.mlp.linear.weight",
    "blocks.1.mlp.linear.bias",
    "blocks.11.attention.q.weight",
    "positions",
    "head.stem.weight",
]


def matched(pattern: str, paths: Sequence[str] = PATHS) -> list[str]:
    found = Paths([tuple(path.split(".")) for path in paths]).matching(parse_pattern(pattern, NOWHERE))
    return [paths[number] for number in found]


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("bias", ["stem.bias", "blocks.0.mlp.linear.bias", "blocks.1.mlp.linear.bias"]),
        ("positions", ["positions"]),
        ("stem", ["stem.weight", "stem.bias", "head.stem.weight"]),
        ("/stem", ["stem.weight", "stem.bias"]),
        ("/weight", []),
        ("stem.weight", ["stem.weight", "head.stem.weight"]),
        ("attention.q|v", [path for path in PATHS if "attention" in path]),
        ("attention.v|k", ["blocks.0.attention.v.weight", "blocks.1.attention.v.weight"]),
        ("blocks.0-5.attention.q", ["blocks.0.attention.q.weight", "blocks.1.attention.q.weight"]),
        ("blocks.1", [path for path in PATHS if path.startswith("blocks.1.")]),
        ("blocks.1-1|11.attention.q", ["blocks.1.attention.q.weight", "blocks.11.attention.q.weight"]),
        ("blocks.*.mlp.linear.weight", ["blocks.0.mlp.linear.weight", "blocks.1.mlp.linear.weight"]),
        ("blocks.*", [path for path in PATHS if path.startswith("blocks.")]),
        ("*.stem", ["head.stem.weight"]),
        ("/*.stem", ["head.stem.weight"]),
        ("blocks.**.weight", [path for path in PATHS if path.startswith("blocks.") and path.endswith("weight")]),
        ("blocks.**.mlp.**.bias", ["blocks.0.mlp.linear.bias", "blocks.1.mlp.linear.bias"]),
        ("stem.**.weight", ["stem.weight", "head.stem.weight"]),  # any depth: none as well
        ("mlp.**.attention", []),
        ("block", []),
        ("blocks.0.0", []),
    ],
)
def test_pattern_stands_for(pattern: str, paths: list[str]) -> None:
    assert matched(pattern) == paths


@pytest.mark.parametrize(
    ("pattern", "message", "marked", "help"),
    [
        ("", "this pattern is empty", "", "write the path of a node or tensor, such as `stem` or `attention.weight`"),
        ("/", "this pattern is empty", "/", "write the path of a node or tensor, such as `stem` or `attention.weight`"),
        ("a..b", "a step of this pattern is empty", ".", "steps stand between dots, alternatives between bars: `attention.q|v`"),
        ("a.", "a step of this pattern is empty", "", "steps stand between dots, alternatives between bars: `attention.q|v`"),
        ("a.q|", "a step of this pattern is empty", "", "steps stand between dots, alternatives between bars: `attention.q|v`"),
        ("**.bias", "a pattern begins at any depth anyway", "**", "write `bias`"),
        ("/**.bias", "a pattern begins at any depth anyway", "**", "write `bias`"),
        ("a.**", "a pattern stands for everything under it anyway", ".**", "write `a`"),
        ("a.**.**.b", "`**` stands twice", "**", "keep one of them"),
        ("layer*", "`*` stands for a whole step, found `layer*`", "layer*", "write out what is meant, such as `layer1|layer2`"),
        ("a.5-2", "the range `5-2` runs backwards", "5-2", "write `2-5`; both ends belong to it"),
        ("a/b", "steps are separated by dots, and `/` stands only in front", "a/b", "write `a.b`"),
        ("a.-1", "indices count from 0, found `-1`", "-1", "an expression can count from the end: `blocks.$(depth - 1)`"),
        (
            "a.(q|v)",
            "`(q` is no step: patterns are paths, not regular expressions",
            "(q",
            "a step is a name, an index, a range `0-5`, alternatives `q|v`, `*` for any one, or `**` for any number in the middle",
        ),
        (
            "a.conv 1",
            "`conv 1` is no step of a path",
            "conv 1",
            "a step is a name, an index, a range `0-5`, alternatives `q|v`, `*` for any one, or `**` for any number in the middle",
        ),
    ],
)
def test_pattern_that_cannot_be_read(pattern: str, message: str, marked: str, help: str) -> None:
    tree, diagnostics = decoded(f'"{pattern}"')
    (found,) = diagnostics
    assert (found.code, found.message, found.help) == ("SB0521", message, help)
    assert found.span is not None
    assert found.span.text.startswith(marked)
    assert tree.is_wrong


def decoded(text: str) -> tuple[SelectorTree, Diagnostics]:
    diagnostics = Diagnostics()
    return decode_selector(NOWHERE, read_value(text, "a.yaml"), diagnostics), diagnostics


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("stem", (["stem"], (), (), (), [])),
        ("[stem, blocks.0-5]", (["stem", "blocks.0-5"], (), (), (), [])),
        ("{match: attention.q|v}", (["attention.q|v"], (), (), (), [])),
        ("{role: bias}", ([], ("bias",), (), (), [])),
        ("{role: [matrix, embedding], except: head}", ([], ("matrix", "embedding"), (), (), ["head"])),
        ("{kind: conv2d, dims: 4}", ([], (), ("conv2d",), (4,), [])),
        ("{kind: [conv2d, linear], dims: [2, 4], except: [/stem, head]}", ([], (), ("conv2d", "linear"), (2, 4), ["/stem", "head"])),
        ("7", (["7"], (), (), (), [])),
    ],
)
def test_selector_holds(text: str, held: object) -> None:
    tree, diagnostics = decoded(text)
    assert not list(diagnostics)
    found = tree.selector
    assert found is not None
    assert ([*map(str, found.match)], found.roles, found.kinds, found.dims, [*map(str, found.excluded)]) == held


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("{}", ["SB0203 this selector is empty, so it would select everything | such as `match: stem`, or `role: bias`"]),
        ("{mach: stem}", ["SB0201 unknown key `mach` in a selector | did you mean `match`?"]),
        ("{role: weights}", ["SB0203 unknown role `weights` | did you mean `matrix`?"]),
        ("{role: biass}", ["SB0203 unknown role `biass` | did you mean `bias`?"]),
        ("{role: 3}", ["SB0203 `role` wants the name of one, but this is 3 | the roles are `matrix`, `bias`, `norm`, `embedding`, `free`"]),
        ("{kind: Conv2d}", ["SB0205 unknown kind of node `Conv2d` | did you mean `conv2d`?"]),
        ("{kind: 3}", ["SB0203 `kind` wants a kind of node, but this is 3 | such as `kind: conv2d`"]),
        (
            "{dims: two}",
            [
                (
                    'SB0203 `dims` wants how many axes a tensor has, but this is the text "two" | '
                    "the weights of `linear` have 2 axes, those of `conv2d` 4, a bias 1"
                )
            ],
        ),
        ("{match: []}", ["SB0203 `match` names nothing | delete it, or write what is meant"]),
        ("true", ["SB0203 `match` wants a pattern, but this is the truth value `true` | a path such as `stem`, `attention.q|v` or `blocks.0-5`"]),
        ("{match: [a.., b], role: [bias, x]}", 2),
    ],
)
def test_selector_that_cannot_be_read(text: str, messages: object) -> None:
    tree, diagnostics = decoded(text)
    found = [f"{each.code} {each.message} | {each.help}" for each in diagnostics]
    assert len(found) == messages if isinstance(messages, int) else found == messages
    assert tree.is_wrong
    assert tree.selector is None


def test_expression_in_a_pattern_waits_for_its_value() -> None:
    tree, diagnostics = decoded("{match: [stem, blocks.$(depth - 1)], dims: $axes}")
    assert not list(diagnostics)
    assert tree.selector is None
    assert not tree.is_wrong
    found = finish_selector(tree, {"depth": 12, "axes": 2}.__getitem__, ("depth", "axes"), diagnostics)
    assert found is not None
    assert ([*map(str, found.match)], found.dims) == (["stem", "blocks.11"], (2,))


def test_wrong_value_of_an_expression_is_told_with_its_text() -> None:
    tree, diagnostics = decoded("{match: blocks.$(depth - 1)}")
    assert finish_selector(tree, {"depth": 0}.__getitem__, ("depth",), diagnostics) is None
    (found,) = diagnostics
    assert found.message == "indices count from 0, found `-1`, in `blocks.-1`"
    assert found.span is not None
    assert found.span.text == "blocks.$(depth - 1)"


def test_keys_of_others_are_left_alone() -> None:
    node = read_value("{match: stem, lr: 0.1}", "a.yaml")
    assert isinstance(node, Mapping)
    from specbuilder.language.selectors import decode_selector_keys

    diagnostics = Diagnostics()
    tree = decode_selector_keys({str(key.value): (key, value) for key, value in node.entries}, node.span, diagnostics)
    assert not list(diagnostics)
    assert list(tree.entries) == ["match"]


# A second witness ----------------------------------------------------------------------------------------------------


def lies_over(pattern: list[str], path: list[str]) -> bool:
    """Whether the steps of a pattern can be laid over the beginning of a path, tried in every way."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(lies_over(pattern[1:], path[skipped:]) for skipped in range(len(path) + 1))
    return bool(path) and any(fits(each, path[0]) for each in pattern[0].split("|")) and lies_over(pattern[1:], path[1:])


def fits(step: str, word: str) -> bool:
    low, _, high = step.partition("-")
    return step in ("*", word) or (bool(high) and word.isdecimal() and int(low) <= int(word) <= int(high))


WORDS = st.sampled_from(["a", "b", "c", "0", "1", "2"])
STEPS = st.one_of(WORDS, st.sampled_from(["a|b", "b|1", "0-1", "1-2", "*"]))
GAPS = st.one_of(st.just([]), st.just(["**"]))


@given(begins=st.booleans(), steps=st.lists(st.tuples(STEPS, GAPS), min_size=1, max_size=4), paths=st.lists(st.lists(WORDS, min_size=1, max_size=6)))
def test_matching_is_that_of_a_naive_matcher(begins: bool, steps: list[tuple[str, list[str]]], paths: list[list[str]]) -> None:
    words = [word for step, gap in steps for word in (step, *gap)]
    words = words[:-1] if words[-1] == "**" else words
    expected = [".".join(path) for path in paths if any(lies_over(words, path[start:]) for start in range(1 if begins else len(path)))]
    assert matched(("/" if begins else "") + ".".join(words), [".".join(path) for path in paths]) == expected
