"""What an unquoted scalar means, against the regular expressions of the YAML 1.2.2 core schema (section 10.3.2), written out here."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuilder.diagnostics import Diagnostics
from specbuilder.language.document import plain
from specbuilder.language.read import read
from specbuilder.language.scalars import NumberProblem, resolve

TABLE = [
    ("1e-3", 0.001),
    ("1E-4", 0.0001),
    ("+1e3", 1000.0),
    (".5", 0.5),
    ("1.", 1.0),
    ("-0.0", -0.0),
    ("012", 12),
    ("+7", 7),
    ("0o14", 12),
    ("0x1F", 31),
    ("600_000", 600000),
    ("-1_0", -10),
    ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775808", -(2**63)),
    ("null", None),
    ("~", None),
    ("", None),
    ("TRUE", True),
    ("False", False),
    # Texts, whatever YAML 1.1 made of them.
    ("no", "no"),
    ("on", "on"),
    ("yes", "yes"),
    ("12:30", "12:30"),
    ("2024-01-01", "2024-01-01"),
    ("_1", "_1"),
    ("1_", "1_"),
    ("1__0", "1__0"),
    ("1_0.5", "1_0.5"),
    ("0b11", "0b11"),
    ("0o8", "0o8"),
    ("-0x1", "-0x1"),
    ("1e", "1e"),
    (".", "."),
    ("-", "-"),
    ("tRUE", "tRUE"),
    ("nan", "nan"),
    ("inf", "inf"),
    ("١", "١"),
]


@pytest.mark.parametrize(("text", "value"), TABLE)
def test_value(text: str, value: object) -> None:
    found = resolve(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", [".nan", ".NaN", ".inf", "-.Inf", "+.INF", "1e400", "-1e400", "9223372036854775808", "0x" + "f" * 17, "9" * 5000])
def test_number_that_cannot_be_held(text: str) -> None:
    assert isinstance(resolve(text), NumberProblem)


def core_schema(text: str) -> Any:
    """The table of section 10.3.2 in its order; infinities and not-a-number stay floats here."""
    if re.fullmatch(r"null|Null|NULL|~|", text):
        return None
    if re.fullmatch(r"true|True|TRUE|false|False|FALSE", text):
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    if re.fullmatch(r"0o[0-7]+", text):
        return int(text, 0)
    if re.fullmatch(r"0x[0-9a-fA-F]+", text):
        return int(text, 0)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text):
        return float(text)
    if re.fullmatch(r"[-+]?(\.inf|\.Inf|\.INF)", text):
        return -math.inf if text[0] == "-" else math.inf
    if re.fullmatch(r"\.nan|\.NaN|\.NAN", text):
        return math.nan
    return text


PIECES = ["null", "true", "False", "~", "0", "7", "12", "0o", "0x", "f", ".", "e", "E", "-", "+", "_", ".inf", ".nan", "9" * 19, "a"]


@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.from_regex(r"[-+]?[0-9.eEox_]{1,8}", fullmatch=True)))
def test_resolver_agrees_with_the_core_schema(text: str) -> None:
    expected, found = core_schema(text), resolve(text)
    if (isinstance(expected, float) and not math.isfinite(expected)) or (isinstance(expected, int) and not -(2**63) <= expected < 2**63):
        assert isinstance(found, NumberProblem)
    elif "_" in text and re.fullmatch(r"[-+]?[0-9]+(_[0-9]+)+", text):
        value = core_schema(text.replace("_", ""))
        assert found == value or isinstance(found, NumberProblem)
    else:
        assert (found, type(found)) == (expected, type(expected))


@given(st.text(alphabet="abc xyz019._-+eé/()=<>!", min_size=1, max_size=12).map(str.strip).filter(lambda text: re.match(r"[a-z0-9.é(/]", text)))
def test_unquoted_text_of_a_file_goes_through_the_resolver(text: str) -> None:
    diagnostics = Diagnostics()
    document = read(f"key: {text}\nother: 1\n", "a.yaml", diagnostics)
    if not len(diagnostics):
        assert document is not None
        assert plain(document.root) == {"key": core_schema(text), "other": 1}
