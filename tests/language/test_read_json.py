"""JSON and YAML trees as drawn by hypothesis, against `json` of the standard library; and what each broken JSON is told."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from specbuilder.diagnostics import Diagnostics
from specbuilder.language.document import Mapping, Scalar, Sequence, plain
from specbuilder.language.read import read
from tests.language.test_read import FINITE, KEEP_ONE, NO_MAPPING, good, nodes, told

# Characters that no spec may hold unescaped (controls, marks that reorder text) are drawn too; json.dumps escapes them.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u0430\u0435\u043e"), max_size=8)
KEYS = st.text(st.characters(max_codepoint=0x17F, exclude_characters="\u0131"), max_size=6)
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20)
SPECS = st.dictionaries(KEYS, TREES, max_size=4)


@given(SPECS, st.sampled_from([None, 1, "\t"]), st.just(True))
def test_json_reads_as_the_standard_library_reads_it(value: dict[str, Any], indent: Any, is_ascii: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    found = plain(good(text, "a.json").root)
    assert (found, json.dumps(found)) == (json.loads(text), json.dumps(json.loads(text)))


@given(SPECS)
def test_json_is_yaml(value: dict[str, Any]) -> None:
    assert plain(good(json.dumps(value)).root) == value


@given(SPECS, st.sampled_from(["a.json", "a.yaml"]))
def test_spans_hold_what_was_written(value: dict[str, Any], name: str) -> None:
    text = json.dumps(value, indent=1)
    for node in nodes(good(text, name).root):
        written = node.span.text
        assert json.loads(written) == plain(node)
        if isinstance(node, Scalar):
            assert written == (node.text if node.plain else f'"{node.text}"')
            assert text[node.content : node.content + len(node.text)] == node.text
        else:
            assert written[0] + written[-1] == ("{}" if isinstance(node, Mapping) else "[]")


PLAIN = st.from_regex(r"[a-z][a-z0-9_]{0,6}( [a-z0-9]{1,4}){0,2}", fullmatch=True)
BLOCKS = st.recursive(
    PLAIN
    | st.integers(-1000, 1000)
    | st.booleans()
    | st.sampled_from(["*", "a: b", "# x", "- y", "x #", "'", '"', "{", "[a", "$(a, b)", "no", "\n x", ""]),
    lambda inner: st.lists(inner, min_size=1, max_size=4) | st.dictionaries(PLAIN, inner, min_size=1, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(PLAIN, BLOCKS, min_size=1, max_size=4), st.sampled_from([None, False, True]))
def test_yaml_as_another_program_writes_it(value: dict[str, Any], flow: bool | None) -> None:
    """What ruamel writes in its own styles (blocks, quotes where needed, folded lines) is no trap and reads back."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = flow
    writer.width = 10_000  # narrower, it breaks keys over two lines, which is no YAML
    stream = io.StringIO()
    writer.dump(value, stream)
    assert plain(good(stream.getvalue()).root) == value


@given(st.text(alphabet="ab:,-[]{}#'\"|>*&!%@$() \n\t1.\\", max_size=30))
def test_any_text_is_answered(text: str) -> None:
    """Never an exception; and what comes without a word is what another reader reads, up to the schema."""
    for name in ("a.yaml", "a.json"):
        diagnostics = Diagnostics()
        document = read(text, name, diagnostics)
        assert document is not None or diagnostics.has_errors
        for found in diagnostics:
            assert found.span is not None and 0 <= found.span.start <= found.span.end <= max(len(text), found.span.start)
            assert found.help


BAD = [
    ("", "1:1 SB0109 the file is empty; begin with `specbuilder: 1`; `specbuilder init` writes a spec to start from"),
    ("[1]", f"1:1 SB0109 a spec is a mapping of keys, but this is a list; {NO_MAPPING}"),
    ('{"a": 1, "a": 2}', f"1:10 SB0103 the key `a` stands twice (first here: 1:2); {KEEP_ONE}"),
    ('{"a": NaN}', f"1:7 SB0110 `NaN` is not a finite number; {FINITE}"),
    ('{"a": -Infinity}', f"1:7 SB0110 `-Infinity` is not a finite number; {FINITE}"),
    ('{"a": 1e999}', "1:7 SB0110 `1e999` is too large for a number; the largest is about `1.8e308`; put quotes around a text"),
    ('{"a": "\\ud800"}', "1:7 SB0111 this text holds half of a character; `\\ud800` to `\\udfff` come in pairs; write the character itself"),
    ('{"a": 1,}', "1:8 SB0116 a comma stands before `}`; delete the comma"),
    ('{"a": [1 2]}', "1:10 SB0116 a `,` or `]` is missing before this; separate values by commas"),
    ('{"a" 1}', '1:2 SB0116 a `:` is missing behind the key `a`; write `"key": value`'),
    ("{a: 1}", '1:2 SB0116 the key `a` needs double quotes; write `"a"`'),
    ("{'a': 1}", "1:2 SB0116 the key `'a'` needs double quotes; write `\"a\"`"),
    ('{"a": True}', "1:7 SB0116 `True` is no value of JSON; write `true`"),
    ('{"a": relu}', '1:7 SB0116 `relu` is no value of JSON; write `"relu"`'),
    ('{"a": 012}', "1:7 SB0116 `012` is no number of JSON; numbers look like `12`, `-0.5` or `1e-3`; put quotes around a text"),
    ('{"a": 1_000}', "1:7 SB0116 `1_000` is no number of JSON; numbers look like `12`, `-0.5` or `1e-3`; put quotes around a text"),
    ('{"a": }', "1:7 SB0116 a value is missing before `}`; write the value"),
    ('{"a": 1 // one\n}', "1:9 SB0116 JSON has no comments; delete it, or write the spec as YAML"),
    ('{"a": 1} x', "1:10 SB0116 the text goes on behind its end; a JSON file holds one value"),
    ('{"a": "b}', '1:7 SB0113 this quote is never closed; add `"` where the text ends'),
    ('{"a": "b\n"}', '1:7 SB0113 this quote is not closed on its line; add `"` where the text ends; a line break in it is written `\\n`'),
    ('{"a": "b\tc"}', "1:9 SB0116 a tab inside of a text; write `\\t`"),
    ('{"a": "\\q"}', "1:8 SB0116 a text has a `\\` that means nothing; write `\\\\` for a backslash"),
    ('{"a": [1, 2}', "1:12 SB0113 `}` cannot close `[` (opened here: 1:7); close it with `]`"),
    ('{"a": {"b": 1', "1:7 SB0113 this `{` is never closed; add `}` where it ends"),
    ("[" * 10**5, "1:65 SB0112 more than 64 levels of lists and mappings in one another; name inner parts as `blocks`"),
]


@pytest.mark.parametrize(("text", "line"), BAD, ids=[repr(text)[:30] for text, _ in BAD])
def test_bad_json(text: str, line: str) -> None:
    assert told(text, "a.json") == [line]


def test_json_goes_on_behind_wrong_values() -> None:
    assert [line.split(" ")[1] for line in told('{"a": NaN, "a": 1e999, "b": ["\\ud800"]}', "a.json")] == ["SB0110", "SB0103", "SB0110", "SB0111"]


def test_surrogate_pairs_become_one_character() -> None:
    assert plain(good('{"a": "\\ud83d\\ude00"}', "a.json").root) == {"a": "😀"}


def test_suffix_decides() -> None:
    assert told("{a: 1}", "A.JSON") != [] and told("{a: 1}", "json.yaml") == []


def test_sequences_keep_their_order() -> None:
    node = good('{"a": [3, 1, 2]}', "a.json").root.get("a")
    assert isinstance(node, Sequence) and [plain(item) for item in node.items] == [3, 1, 2]
