"""The text of an unquoted YAML scalar to its value: the core schema of YAML 1.2, and `600_000` as the one addition.

`no`, `on` and `12:30` are texts here, `012` is twelve and `1e-3` a number. A number that no computer can hold is a `NumberProblem` instead of a value.
"""

from __future__ import annotations

import re

from specbuilder.records import Record

WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER = re.compile(
    r"(?P<int>[-+]?[0-9]+(?:_[0-9]+)*)|0o(?P<octal>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<not_finite>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)
_FIRST = frozenset("+-.0123456789")
_DIGITS_AT_MOST = 100  # more than 64 bits need in any base; Python itself refuses 4,300 digits with an exception
_BASES = {"int": 10, "octal": 8, "hex": 16}


class NumberProblem(Record):
    """Why a text that looks like a number cannot be one."""

    message: str
    help: str


def resolve(text: str) -> int | float | bool | str | NumberProblem | None:
    """The value of an unquoted scalar."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in _FIRST or (match := _NUMBER.fullmatch(text)) is None:
        return text
    kind = match.lastgroup
    if kind == "not_finite":
        return NumberProblem(f"`{text}` is not a finite number", "every number of a spec is finite; leave the key out, or put quotes around a text")
    if kind == "float":
        return real(text)
    assert kind is not None
    return integer(match[kind], _BASES[kind])


def integer(digits: str, base: int = 10) -> int | NumberProblem:
    """The value of a text of digits, if 64 bits hold it."""
    value = int(digits, base) if len(digits) <= _DIGITS_AT_MOST else None
    if value is None or not -(2**63) <= value < 2**63:
        return NumberProblem(
            f"`{shortened(digits)}` is too large for an integer of 64 bits", "write it as a float such as `1e30`, or put quotes around a text"
        )
    return value


def real(text: str) -> float | NumberProblem:
    """The value of a text that is a decimal fraction, if it is finite."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        return NumberProblem(f"`{shortened(text)}` is too large for a number", "the largest is about `1.8e308`; put quotes around a text")
    return value


def shortened(text: str, width: int = 40) -> str:
    """The text as a message can hold it."""
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 3]}..."
