"""The expression language as a table: what a text means, and what is said when it means nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from specbuilder.language.calls import FUNCTIONS
from specbuilder.language.expressions import ExpressionError, evaluate, names, parse
from specbuilder.language.syntax import Call, Literal, Slice, Subscript, Tuple
from specbuilder.shapes import symbol

H, W = symbol("H"), symbol("W")
NAMES: dict[str, Any] = {
    "a": 3,
    "b": 5,
    "width": 64,
    "rate": 0.5,
    "yes": True,
    "no": False,
    "unit": "basic",
    "nothing": None,
    "depths": (2, 3, 6, 3),
    "empty": (),
    "sizes": (H, W),
    "fields": {"a": 1},
    "H": H,
    "W": W,
}


def value(text: str) -> Any:
    return evaluate(parse(text), NAMES.__getitem__, NAMES)


def mistake(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value(text)
    return caught.value


def described(error: ExpressionError) -> tuple[str, int, int, str | None]:
    return error.message, error.start, error.end, error.help


def same(found: object, expected: object) -> bool:
    """Equal, and of one type all the way down: 1 is neither 1.0 nor true."""
    if isinstance(found, tuple) and isinstance(expected, tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    return type(found) is type(expected) and (found == expected or (found != found and expected != expected))


VALUES: list[tuple[str, Any]] = [
    # literals
    ("7", 7),
    ("600_000", 600_000),
    ("0", 0),
    ("0.5", 0.5),
    (".5", 0.5),
    ("1.", 1.0),
    ("1e-3", 0.001),
    ("2E3", 2000.0),
    ("1_0.2_5e0_1", 102.5),
    ("9223372036854775807", 2**63 - 1),
    ("true", True),
    ("True", True),
    ("false", False),
    ("False", False),
    ("null", None),
    ("None", None),
    ("'a b'", "a b"),
    ('"it\'s"', "it's"),
    (r"'it\'s \"\\\n\t'", "it's \"\\\n\t"),
    ("''", ""),
    ("'héé $x # no comment'", "héé $x # no comment"),
    # names, brackets, white space
    ("a", 3),
    ("  a\n + b\t", 8),
    ("((a))", 3),
    ("(1, 2)", (1, 2)),
    ("(1,)", (1,)),
    ("[1, [2, 3], 'x',]", (1, (2, 3), "x")),
    ("[]", ()),
    # arithmetic: `/` gives a float, the rest stays whole
    ("7 / 2", 3.5),
    ("6 / 2", 3.0),
    ("7 // 2", 3),
    ("-7 // 2", -4),
    ("7 % 3", 1),
    ("-7 % 3", 2),
    ("7.5 // 2", 3.0),
    ("2 ** 10", 1024),
    ("2 ** -1", 0.5),
    ("4 ** 0.5", 2.0),
    ("2 ** 62 + (2 ** 62 - 1)", 2**63 - 1),
    ("2.0 ** 1000 > 1", True),
    # precedence
    ("1 + 2 * 3", 7),
    ("(1 + 2) * 3", 9),
    ("10 - 3 - 2", 5),
    ("100 // 7 * 2", 28),
    ("-2 ** 2", -4),
    ("(-2) ** 2", 4),
    ("2 ** -2 ** 2", 2**-4),
    ("2 ** 3 ** 2", 512),
    ("- - 3", 3),
    ("2 * -3", -6),
    ("not 1 == 2", True),
    ("not not a", True),
    ("1 or 0 and 0", 1),
    ("not 0 and 0", 0),
    ("1 + 1 == 2 and 3 > 2", True),
    ("1 if 0 else 2 if 0 else 3", 3),
    ("1 if 1 else 2 + 10", 1),
    ("(1 if 1 else 2) + 10", 11),
    ("1 if 0 or 1 else 2", 1),
    # `and`, `or`, `if` as in Python
    ("0 or 'x'", "x"),
    ("'' and 1", ""),
    ("3 and 4", 4),
    ("2 if a and not 0 else 1", 2),
    ("not 0.0", True),
    ("not empty", True),
    ("not nothing", True),
    ("not 'x'", False),
    ("yes or unknown", True),
    ("no and unknown", False),
    ("1 if yes else unknown", 1),
    # comparison
    ("1 < 2 <= 2 < 3", True),
    ("1 < 2 > 2 < unknown", False),
    ("1 == 1.0", True),
    ("unit == 'basic'", True),
    ("unit != 'basic'", False),
    ("unit == 1", False),
    ("yes == 1", False),
    ("no != 0", True),
    ("yes == true", True),
    ("nothing == null", True),
    ("'a' < 'b'", True),
    ("(1, 2) == [1, 2]", True),
    ("(1, 2) == (1, true)", False),
    ("(1, 2) == (1,)", False),
    ("3 in depths", True),
    ("4 not in depths", True),
    ("true in [1]", False),
    ("'as' in unit", True),
    ("not a in depths", False),
    # lists, strings, slices
    ("depths[0]", 2),
    ("depths[-1]", 3),
    ("depths[-4]", 2),
    ("depths[1:]", (3, 6, 3)),
    ("depths[:2]", (2, 3)),
    ("depths[::-1]", (3, 6, 3, 2)),
    ("depths[1:3:1]", (3, 6)),
    ("depths[null:2]", (2, 3)),
    ("depths[None:None:2]", (2, 6)),
    ("depths[-100:100]", (2, 3, 6, 3)),
    ("unit[0]", "b"),
    ("unit[1:]", "asic"),
    ("[[1, 2], [3, 4]][1][0]", 3),
    ("depths + (1,)", (2, 3, 6, 3, 1)),
    ("[0] * 3", (0, 0, 0)),
    ("2 * 'ab'", "abab"),
    ("[1] * -1", ()),
    ("unit + '_block'", "basic_block"),
    # functions
    ("min(3, 1, 2)", 1),
    ("max(depths)", 6),
    ("max('a', 'b')", "b"),
    ("min(1, 1.0)", 1),
    ("max(1.0, 1)", 1.0),
    ("round(2.5)", 2),
    ("round(3.14159, 2)", 3.14),
    ("round(1234, -2)", 1200),
    ("floor(-1.5)", -2),
    ("ceil(1.2)", 2),
    ("len(depths)", 4),
    ("len(unit)", 5),
    ("range(3)", (0, 1, 2)),
    ("range(1, 3)", (1, 2)),
    ("range(5, 0, -2)", (5, 3, 1)),
    ("range(3, 0)", ()),
    ("sum(depths)", 14),
    ("sum(depths[:2], 10)", 15),
    ("sum(empty)", 0),
    ("sum([0.5, 1])", 1.5),
    ("abs(-3)", 3),
    ("abs(-0.5)", 0.5),
    ("int(2.9)", 2),
    ("int(-2.9)", -2),
    ("int(yes) + 1", 2),
    ("log(1)", 0.0),
    ("log(2 ** 29, 2)", 29.0),
    ("log(1000, 10)", 3.0),
    ("log(9, 3)", math.log(9, 3)),
    ("sqrt(16)", 4.0),
    ("min(max(a, 4), 10,)", 4),
    # dims stay symbolic
    ("H", H),
    ("2 * H + 1", 2 * H + 1),
    ("-H", -H),
    ("1 - H", 1 - H),
    ("H // 2", H // 2),
    ("H % 32", H % 32),
    ("H * W // W", H),
    ("H ** 2 - H * H", 0),
    ("H - H + 1", 1),
    ("sizes[1] + 1", W + 1),
    ("sum(sizes)", H + W),
    ("sum([1, H, 2])", H + 3),
    ("round(H)", H),
    ("floor(H) + ceil(H) + int(H)", 3 * H),
    ("abs(H)", H),
    ("abs(-H - 1)", H + 1),
    ("min(H, 1)", 1),
    ("max(1, H)", H),
    ("min(H, H + 1, 2 * H)", H),
    ("max(H, 0)", H),
    ("[H] * 2", (H, H)),
    # and are decided where the answer is one for all sizes
    ("H >= 1", True),
    ("H < 1", False),
    ("H > 0.0", True),
    ("H == 0", False),
    ("H == 0.5", False),
    ("H != 'x'", True),
    ("H == null", False),
    ("H == true", False),
    ("2 * H == H + H", True),
    ("(H, 1) == (W, 2)", False),
    ("W in sizes", True),
    ("0 in sizes", False),
    ("1 if H else 2", 1),
    ("not H", False),
    ("H and 7", 7),
]


@pytest.mark.parametrize(("text", "expected"), VALUES)
def test_value(text: str, expected: object) -> None:
    found = value(text)
    assert same(found, expected), found


ERRORS: list[tuple[str, str, int, int, str | None]] = [
    # text that is no expression
    ("", "the expression is empty", 0, 0, None),
    (" \n", "the expression is empty", 0, 2, None),
    ("1 +", "expected a value, found the end", 3, 3, None),
    ("1 + * 2", "expected a value, found `*`", 4, 5, None),
    ("1 + not 2", "expected a value, found `not`", 4, 7, None),
    ("+1", "expected a value, found `+`", 0, 1, None),
    ("1 2", "expected an operator or the end, found `2`", 2, 3, None),
    ("a b", "expected an operator or the end, found `b`", 2, 3, None),
    ("a)", "expected an operator or the end, found `)`", 1, 2, None),
    ("(a", "this `(` is never closed", 0, 1, None),
    ("min(depths[a, 2", "this `[` is never closed", 10, 11, None),
    ("(a + ]", "expected a value, found `]`", 5, 6, None),
    ("(a]", "expected an operator, `,` or `)`, found `]`", 2, 3, None),
    ("[a b]", "expected an operator, `,` or `]`, found `b`", 3, 4, None),
    ("()", "expected a value, found `)`", 1, 2, None),
    ("(,)", "expected a value, found `,`", 1, 2, None),
    ("depths[]", "expected an index, found `]`", 7, 8, None),
    ("1 if 2", "expected `else`, found the end", 6, 6, None),
    ("a not b", "expected `in`, found `b`", 6, 7, None),
    ("a, b", "expected an operator or the end, found `,`", 1, 2, None),
    ("'abc", "this string is never closed", 0, 4, None),
    ("'a\nb'", "this string is never closed", 0, 2, None),
    (r"'a\x'", r"unknown escape `\x` in a string", 2, 4, r"a backslash is written `\\`"),
    ("depths(1)(2)", "only a name can be called", 9, 10, None),
    ("min(1)[0](2)", "only a name can be called", 9, 10, None),
    # what other languages write
    ("a = 3", "expected an operator or the end, found `=`", 2, 3, "`==` compares"),
    ("a && b", "expected an operator or the end, found `&&`", 2, 4, "write `and`"),
    ("a || b", "expected an operator or the end, found `||`", 2, 4, "write `or`"),
    ("!a", "unexpected `!`", 0, 1, "write `not`"),
    ("a ^ 2", "unexpected `^`", 2, 3, "a power is written `**`"),
    ("a ? 1 : 2", "unexpected `?`", 2, 3, "write `a if condition else b`"),
    ("a + $b", "unexpected `$`", 4, 5, "inside an expression names stand without `$`"),
    ("a is b", "expected an operator or the end, found `is`", 2, 4, "`==` compares"),
    ("a.real", "unexpected `.`", 1, 2, "there are no attributes in expressions"),
    ("{1: 2}", "unexpected `{`", 0, 1, "there are no mappings in expressions"),
    ("[x for x in depths]", "expected an operator, `,` or `]`, found `for`", 3, 6, "there are no loops in expressions"),
    ("lambda: 1", "expected an operator or the end, found `:`", 6, 7, None),
    ("a @ b", "unexpected `@`", 2, 3, None),
    ("a; b", "unexpected `;`", 1, 2, None),
    ("é", "unexpected `é`", 0, 1, None),
    ("'a' 'b'", "expected an operator or the end, found `'b'`", 4, 7, None),
    # numbers
    ("2H", "`2H` is no number", 0, 2, "write `2 * H`"),
    ("a + 16width", "`16width` is no number", 4, 11, "write `16 * width`"),
    ("007", "`007` is no number", 0, 3, "write `7`"),
    ("00", "`00` is no number", 0, 2, "write `0`"),
    ("1.5.2", "`1.5.2` is no number", 0, 5, None),
    ("0x10", "`0x10` is no number", 0, 4, None),
    ("1__0", "`1__0` is no number", 0, 4, None),
    ("1_", "`1_` is no number", 0, 2, None),
    ("1e", "`1e` is no number", 0, 2, None),
    ("1e999", "`1e999` is too large for a number", 0, 5, None),
    ("9223372036854775808", "`9223372036854775808` is too large: whole numbers stay below 2**63", 0, 19, None),
    ("9" * 70, f"`{'9' * 57}...` is too large: whole numbers stay below 2**63", 0, 70, None),
    # names and functions
    ("1 + widht", "unknown name `widht`", 4, 9, "did you mean `width`?"),
    ("zzz", "unknown name `zzz`", 0, 3, None),
    ("sqrt", "unknown name `sqrt`", 0, 4, "write `sqrt(...)`"),
    ("__import__('os')", "unknown function `__import__`", 0, 10, f"the functions are {', '.join(FUNCTIONS)}"),
    ("flor(1.5)", "unknown function `flor`", 0, 4, "did you mean `floor`?"),
    ("width(2)", "unknown function `width`", 0, 5, f"the functions are {', '.join(FUNCTIONS)}"),
    ("min(depths, key=a)", "`min` takes no argument called `key`", 12, 15, None),
    ("min(k=1, k=2)", "`k` is given twice", 9, 10, None),
    ("min(k=1, 2)", "an argument without a name stands after one with a name", 9, 10, None),
    ("len()", "`len` takes 1 argument, found 0", 0, 5, None),
    ("1 + range(1, 2, 3, 4)", "`range` takes 1 to 3 arguments, found 4", 4, 21, None),
    ("min()", "`min` takes a list, or at least one value, found 0", 0, 5, None),
    ("min(3)", "`min` takes a list, found a number", 4, 5, None),
    ("min([])", "`min` of an empty list", 0, 7, None),
    ("max(1, unit)", "`max` compares numbers, found a string", 0, 12, None),
    ("max(unit, 1)", "`max` compares strings with strings, found a number", 0, 12, None),
    ("max(yes, 1)", "`max` compares numbers, found a boolean", 0, 11, None),
    ("len(3)", "`len` takes a list or a string, found a number", 4, 5, None),
    ("sum(1, 2)", "`sum` takes a list, found a number", 4, 5, None),
    ("sum([1, unit])", "`sum` adds numbers, found a string", 0, 14, None),
    ("sum([yes])", "`sum` adds numbers, found a boolean", 0, 10, None),
    ("range(1.0)", "`range` takes whole numbers, found the number 1.0", 6, 9, None),
    ("range(0, 1, 0)", "the step of a range is not 0", 12, 13, None),
    ("int('3')", "`int` takes a number or a boolean, found a string", 4, 7, None),
    ("round(1.5, 65)", "`round` keeps at most 64 digits, found 65", 11, 13, None),
    ("sqrt(-1)", "`sqrt(-1)` has no value", 0, 8, None),
    ("log(0)", "`log(0)` has no value", 0, 6, None),
    ("log(5, 1)", "`log(5, 1)` has no value", 0, 9, None),
    ("log(-8, 2)", "`log(-8, 2)` has no value", 0, 10, None),
    ("floor(yes)", "`floor` takes a number, found a boolean", 6, 9, None),
    # types
    ("unit + 1", "`+` of a string and a number", 0, 8, "a text takes a value in with `$`: `conv$(n + 1)`"),
    ("1 + unit", "`+` of a number and a string", 0, 8, "a text takes a value in with `$`: `conv$(n + 1)`"),
    ("(a + b) * (1 + yes)", "`+` of a number and a boolean", 10, 19, "a boolean is no number; `int(...)` makes it one"),
    ("2 - nothing", "`-` of a number and null", 0, 11, None),
    ("depths - 1", "`-` of a list and a number", 0, 10, None),
    ("depths * 1.0", "`*` of a list and a number", 0, 12, None),
    ("fields * 2", "`*` of a mapping and a number", 0, 10, None),
    ("-unit", "`-` of a string", 0, 5, None),
    ("-yes", "`-` of a boolean", 0, 4, None),
    ("1 < unit", "`<` of a number and a string", 0, 8, None),
    ("0 < a < unit", "`<` of a number and a string", 4, 12, None),
    ("yes < 1", "`<` of a boolean and a number", 0, 7, "a boolean is no number; `int(...)` makes it one"),
    ("depths >= depths", "`>=` of a list and a list", 0, 16, None),
    ("a in 3", "`in` looks for a number in a number", 0, 6, "a list or a string stands on its right"),
    ("a in unit", "`in` looks for a number in a string", 0, 9, "a list or a string stands on its right"),
    ("a[0]", "a number has no elements", 0, 4, None),
    ("depths[4]", "index 4 is out of range: a list of 4 elements", 7, 8, None),
    ("depths[-5]", "index -5 is out of range: a list of 4 elements", 7, 9, None),
    ("'x'[1]", "index 1 is out of range: a string of 1 character", 4, 5, None),
    ("depths['a']", "an index is a whole number, found a string", 7, 10, None),
    ("depths[1.0]", "an index is a whole number, found the number 1.0", 7, 10, None),
    ("depths[yes]", "an index is a whole number, found a boolean", 7, 10, None),
    ("depths[null]", "an index is a whole number, found null", 7, 11, None),
    ("depths[:1.5]", "an index is a whole number, found the number 1.5", 8, 11, None),
    ("depths[::0]", "the step of a slice is not 0", 7, 10, None),
    ("depths[1, 2]", "a list takes one index", 7, 11, None),
    ("depths[1:2, ]", "a list takes one index", 7, 12, None),
    # arithmetic
    ("a / (b - 5)", "division by zero", 0, 11, None),
    ("1 % 0", "division by zero", 0, 5, None),
    ("1.0 // 0", "division by zero", 0, 8, None),
    ("0 ** -1", "division by zero", 0, 7, None),
    ("(-8) ** 0.5", "a power of a negative number with a fraction as exponent has no real value", 0, 11, None),
    # dims
    ("H / 2", "`/` makes a fraction of the dim `H`", 0, 5, "`//` divides and stays whole"),
    ("4 / H", "`/` makes a fraction of the dim `H`", 0, 5, "`//` divides and stays whole"),
    ("H * 0.5", "`*` of the dim `H` and a fraction", 0, 7, "a dim goes only with whole numbers and dims"),
    ("0.5 + H // 2", "`+` of the dim `H//2` and a fraction", 0, 12, "a dim goes only with whole numbers and dims"),
    ("H // 0", "division by zero", 0, 6, None),
    ("H % -2", "`%` of the dim `H` by a negative number", 0, 6, None),
    ("H ** -1", "the exponent of the dim `H` must be a whole number from 0 to 64", 0, 7, None),
    ("2 ** H", "the exponent of the dim `H` must be a whole number from 0 to 64", 0, 6, None),
    ("H + unit", "`+` of the dim `H` and a string", 0, 8, "a text takes a value in with `$`: `conv$(n + 1)`"),
    ("H + yes", "`+` of the dim `H` and a boolean", 0, 7, "a boolean is no number; `int(...)` makes it one"),
    ("[0] * H", "`*` of a list and the dim `H`", 0, 7, None),
    ("sqrt(2 * H)", "`sqrt` takes a number, found the dim `2*H`", 5, 10, None),
    ("log(H)", "`log` takes a number, found the dim `H`", 4, 5, None),
    ("range(H)", "`range` takes whole numbers, found the dim `H`", 6, 7, None),
    ("depths[H]", "an index is a whole number, found the dim `H`", 7, 8, None),
    ("1 if H > 32 else 2", "cannot decide `H > 32` for every H", 5, 11, None),
    ("a < 10 < H < 20", "cannot decide `10 < H` for every H", 4, 10, None),
    ("H == W", "cannot decide `H == W` for every H and W", 0, 6, None),
    ("H % 2 == 0", "cannot decide `H % 2 == 0` for every H", 0, 10, None),
    ("not (H - 32)", "cannot decide `H - 32 != 0` for every H", 4, 12, None),
    ("H - 32 and 1", "cannot decide `H - 32 != 0` for every H", 0, 6, None),
    ("H in (1, 2)", "cannot decide `H == 1` for every H", 0, 11, None),
    ("(H, 1) == (W, 1)", "cannot decide `H == W` for every H and W", 0, 16, None),
    ("min(H, 32)", "cannot decide `H <= 32` for every H", 0, 10, None),
    ("max(sizes)", "cannot decide `H >= W` for every H and W", 0, 10, None),
    ("abs(H - 3)", "cannot decide `H - 3 >= 0` for every H", 0, 10, None),
    ("H < 0.5", "`<` of the dim `H` and a number", 0, 7, "a dim is compared with whole numbers and dims"),
    ("H < unit", "`<` of the dim `H` and a string", 0, 8, None),
]


@pytest.mark.parametrize(("text", "message", "start", "end", "help"), ERRORS)
def test_mistake(text: str, message: str, start: int, end: int, help: str | None) -> None:
    assert described(mistake(text)) == (message, start, end, help)


# What it may cost ----------------------------------------------------------------------------------------------------

CAPS: list[tuple[str, str, int, int]] = [
    ("(" * 10**6, "a text with expressions has at most 4096 characters, this one has 1000000", 0, 10**6),
    (f"{'(' * 65}1{')' * 65}", "the expression is nested more than 64 deep", 65, 66),
    ("(" * 4096, "the expression is nested more than 64 deep", 65, 66),
    ("[" * 4096, "the expression is nested more than 64 deep", 65, 66),
    ("-" * 4096, "the expression is nested more than 64 deep", 65, 66),
    ("not " * 1024, "the expression is nested more than 64 deep", 260, 263),
    ("a[" * 2048, "the expression is nested more than 64 deep", 130, 131),
    ("min(" * 1024, "the expression is nested more than 64 deep", 260, 263),
    ("2**" * 1000, "the expression is nested more than 64 deep", 195, 196),
    ("1 if 1 else " * 340, "the expression is nested more than 64 deep", 773, 774),
    ("a" + "[0]" * 1000, "an expression has at most 1000 parts", 1499, 1500),
    ("1" + "+1" * 600, "an expression has at most 1000 parts", 1000, 1001),
    ("2 ** 63", "the result is too large: whole numbers stay below 2**63", 0, 7),
    ("1 + 9223372036854775807 - 1", "the result is too large: whole numbers stay below 2**63", 0, 23),
    ("9 ** 9 ** 9", "the exponent 387420489 is too large: at most 64", 0, 11),
    ("2 ** 65", "the exponent 65 is too large: at most 64", 0, 7),
    ("2.0 ** 2000", "the result is too large for a number", 0, 11),
    ("1e308 * 10", "the result is too large for a number", 0, 10),
    ("int(1e300)", "the result is too large: whole numbers stay below 2**63", 0, 10),
    ("sum(range(100000)) * 10 ** 10", "the result is too large: whole numbers stay below 2**63", 0, 29),
    ("range(100001)", "a list of 100001 elements is too long: at most 100000", 0, 13),
    ("range(-2 ** 62, 2 ** 62)", "a list of 9223372036854775808 elements is too long: at most 100000", 0, 24),
    ("range(2 ** 62, 0, -1)", "a list of 4611686018427387904 elements is too long: at most 100000", 0, 21),
    ("range(0, 200001, 2)", "a list of 100001 elements is too long: at most 100000", 0, 19),
    ("[0] * 10 ** 18", "a list of 1000000000000000000 elements is too long: at most 100000", 0, 14),
    ("[[0] * 1000] * 1000", "this list is too large: lists hold at most 100000 elements in all", 0, 19),
    ("'ab' * 2049", "a string of 4098 characters is too long: at most 4096", 0, 11),
    ("'ab' * 2048 + 'c'", "a string of 4097 characters is too long: at most 4096", 0, 17),
    ("+".join(["sum(range(90000))"] * 20), "the expression takes more than 1_000_000 steps", 90, 107),
    ("H ** 65", "the exponent of the dim `H` must be a whole number from 0 to 64", 0, 7),
]


@pytest.mark.parametrize(("text", "message", "start", "end"), CAPS, ids=[text[:40] for text, *_ in CAPS])
def test_cap(text: str, message: str, start: int, end: int) -> None:
    assert described(mistake(text)) == (message, start, end, None)


LARGEST_ALLOWED: list[tuple[str, Any]] = [
    (f"{'(' * 64}1{')' * 64}", 1),
    ("-" * 64 + "1", 1),
    ("not " * 64 + "1", True),
    ("1 ** " * 64 + "1", 1),
    ("0 if 0 else " * 64 + "7", 7),
    ("min(1, " * 64 + "1" + ")" * 64, 1),
    ("1" + "+1" * 499, 500),
    ("len(" + "[" * 63 + "1" + "]" * 63 + ")", 1),
    ("1 and " * 400 + "5", 5),
    ("len(range(100000))", 100_000),
    ("len('ab' * 2048)", 4096),
    ("-9223372036854775807 // 1", -(2**63) + 1),
    ("1 ** 64", 1),
]


@pytest.mark.parametrize(("text", "expected"), LARGEST_ALLOWED, ids=[text[:40] for text, _ in LARGEST_ALLOWED])
def test_just_below_a_cap(text: str, expected: object) -> None:
    assert same(value(text), expected)


def test_lists_from_outside_are_bounded_too() -> None:
    nested: Any = (1,)
    for _ in range(100):
        nested = (nested,)
    with pytest.raises(ExpressionError, match="this list is too large: lists are nested at most 64 deep"):
        evaluate(parse("[x]"), {"x": nested}.__getitem__)


def test_infinity_may_come_from_outside() -> None:
    assert evaluate(parse("-x"), {"x": math.inf}.__getitem__) == -math.inf
    assert evaluate(parse("x * 2"), {"x": math.inf}.__getitem__) == math.inf


def test_an_error_in_the_lookup_passes_through() -> None:
    def lookup(name: str) -> Any:
        raise LookupError(name)

    with pytest.raises(LookupError, match="x"):
        evaluate(parse("x"), lookup)


# The tree ------------------------------------------------------------------------------------------------------------


def test_names_are_given_in_the_order_of_the_text() -> None:
    found = names(parse("a if min(c, key=d) > b[e:f, g] else -[h, (i, 'j')][not k]"))
    assert [(name.text, name.start) for name in found] == [
        ("a", 0), ("c", 9), ("d", 16), ("b", 21), ("e", 23), ("f", 25), ("g", 28), ("h", 38), ("i", 42), ("k", 55),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "part", "places"),
    [
        ("  (a + b) * c ", "left", (2, 9)),
        ("a * (b)", "right", (5, 6)),
        ("(a, b) + c", "left", (0, 6)),
        ("min(a)[1:] + c", "left", (0, 10)),
        ("(a if b else c) + d", "left", (0, 15)),
    ],
)
def test_places_cover_brackets(text: str, part: str, places: tuple[int, int]) -> None:
    node = getattr(parse(text), part)
    assert (node.start, node.end) == places


def test_grammar_of_compute_is_parsed() -> None:
    """Indices with `:` and `null`, several of them, and keyword arguments: statically they mean nothing, over tensors they do."""
    node = parse("f(x[:, null, 1:2, ::2], 3, dim=1)")
    assert isinstance(node, Call)
    assert [(name.text, name.start, name.end) for name, _ in node.keywords] == [("dim", 27, 30)]
    picked = node.arguments[0]
    assert isinstance(picked, Subscript) and isinstance(picked.key, Tuple)
    assert [type(item) for item in picked.key.items] == [Slice, Literal, Slice, Slice]
    last = picked.key.items[-1]
    assert isinstance(last, Slice) and (last.lower, last.upper, last.start, last.end) == (None, None, 18, 21)


# Every expression in the networks and runs that the language was designed on, with a value worked out by hand.
DRAFTS: list[tuple[str, Mapping[str, Any], Any]] = [
    ("-1 - i", {"i": 2}, -3),
    ("-log(10000) / (width // 2 - 1)", {"width": 4}, -math.log(10000)),
    ("-shift", {"shift": 3}, -3),
    ("0 if H == window else shift", {"H": 7, "window": 7, "shift": 3}, 0),
    ("0.02 / sqrt(2 * depth)", {"depth": 2}, 0.01),
    ("1 / 256", {}, 0.00390625),
    ("1 if i else 2", {"i": 0}, 2),
    ("1 if i else stride", {"i": 0, "stride": 2}, 2),
    ("2 * window - 1", {"window": 7}, 13),
    ("2 - i", {"i": 0}, 2),
    ("2 if i else 4", {"i": 1}, 2),
    ("2 if s and not i else 1", {"s": 1, "i": 0}, 2),
    ("2 if s and not i else 1", {"s": 0, "i": 0}, 1),
    ("3 * C", {"C": H}, 3 * H),
    ("3 - i", {"i": 3}, 0),
    ("4 * growth", {"growth": 32}, 128),
    ("64 * 2 ** s", {"s": 3}, 512),
    ("C != out", {"C": 64, "out": 128}, True),
    ("C * expand", {"C": 16, "expand": 6}, 96),
    ("C // 2", {"C": H}, H // 2),
    ("H - window", {"H": 14, "window": 7}, 7),
    ("H // n", {"H": H, "n": 7}, H // 7),
    ("attend[::-1]", {"attend": (False, True)}, (True, False)),
    ("depths[s]", {"depths": (3, 4, 6, 3), "s": 2}, 6),
    ("dims[0]", {"dims": (96, 192)}, 96),
    ("drop * (sum(depths[:s]) + i) / (sum(depths) - 1)", {"drop": 0.1, "depths": (3, 3, 9, 3), "s": 2, "i": 2}, 0.1 * 8 / 17),
    ("expand > 1", {"expand": 1}, False),
    ("far ** 2", {"far": 13}, 169),
    ("i < 3", {"i": 3}, False),
    ("i == 0", {"i": 0}, True),
    ("k // 2", {"k": 3}, 1),
    ("not a", {"a": True}, False),
    ("out * anchors", {"out": 4, "anchors": 9}, 36),
    ("range(4)", {}, (0, 1, 2, 3)),
    ("stride == 1 and C == out", {"stride": 2, "C": H, "out": 64}, False),
    ("stride > 1 or C != out", {"stride": 1, "C": 64, "out": 64}, False),
    ("wd * batch / head_lr", {"wd": 0.5, "batch": 2, "head_lr": 4}, 0.25),
    ("width * group_width * groups // 64", {"width": 128, "group_width": 4, "groups": 32}, 256),
    ("window // 2 if i % 2 else 0", {"window": 7, "i": 1}, 3),
]


@pytest.mark.parametrize(("text", "given", "expected"), DRAFTS)
def test_drafts(text: str, given: Mapping[str, Any], expected: object) -> None:
    assert same(evaluate(parse(text), given.__getitem__), expected)
