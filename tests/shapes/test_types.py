"""Types of tensors: their text form, what is wrong with a wrong one, and torch's rules on dtypes and broadcasting, with torch as witness."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations_with_replacement
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specbuilder.shapes import (
    DTYPES,
    Dim,
    DimError,
    TensorType,
    broadcast,
    is_floating,
    is_integer,
    parse_dim,
    parse_type,
    promote,
    same_shape,
    stretches_both_ways,
    symbol,
)

READ = [
    ("float32[B, 3, 32, 32]", "float32[B, 3, 32, 32]"),
    ("  float32 [ B,3 ,16*h ] ", "float32[B, 3, 16*h]"),
    ("int64[]", "int64[]"),
    ("bool[ ]", "bool[]"),
    ("uint8[B, (H + 31)//32, 2*(h + 1)]", "uint8[B, (H + 31)//32, 2*h + 2]"),
    ("float32[B, H - 40]", "float32[B, H - 40]"),
    ("float32[B, 2 * 3]", "float32[B, 6]"),
]


@pytest.mark.parametrize(("text", "printed"), READ)
def test_type_is_read_and_printed(text: str, printed: str) -> None:
    assert str(parse_type(text)) == printed
    assert parse_type(printed) == parse_type(text)


REFUSED = [
    ("", "a type is a dtype with a shape, such as `float32[B, 3]`", ""),
    ("image", "a type is a dtype with a shape, such as `float32[B, 3]`", "image"),
    ("float32", "`float32` has no shape; a single number is `float32[]`", "float32"),
    ("[B, 3]", "the dtype is missing; write `float32[...]`", "["),
    ("float[B]", "unknown dtype `float`; did you mean `float32`?", "float"),
    ("f64[B]", "unknown dtype `f64`; did you mean `float64`?", "f64"),
    ("long[B]", "unknown dtype `long`; did you mean `int64`?", "long"),
    ("Float32[B]", "unknown dtype `Float32`; did you mean `float32`?", "Float32"),
    (
        " text[B]",
        "unknown dtype `text`; known are bool, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64, complex64, complex128",
        "text",
    ),
    ("float32[B, 3", "a type ends with `]`", ""),
    ("float32[B, 3] x", "a type ends with `]`", ""),
    ("float32[B,, 3]", "a size is missing", ""),
    ("float32[B, 3,]", "a size is missing", ""),
    ("float32[B, 0]", "a size is at least 1, but this is 0", "0"),
    ("float32[B, -3 ]", "a size is at least 1, but this is -3", "-3"),
    ("float32[B, H//2 - H]", "`H//2 - H` is never a size of 1 or more", "H//2 - H"),
    ("float32[B, 3/2]", "`/` gives a fraction; write `//`", "/"),
    ("float32[B, (3, 4]", "`,` has no place here", ","),
    ("float32[B, (3]", "this bracket is never closed", "("),
    ("float32[B, H H]", "expected an operator, found `H`", "H"),
    ("float32[B][3]", "`]` has no place here", "]"),
    ("float32[B, lambda]", "`lambda` cannot be the name of a size", "lambda"),
    ("float32[B, H//0]", "`H` is divided by zero", "H//0"),
    ("float32[B, ...]", "`.` has no place here", "."),
]


@pytest.mark.parametrize(("text", "message", "marked"), REFUSED)
def test_what_is_refused_says_why_and_where(text: str, message: str, marked: str) -> None:
    with pytest.raises(DimError) as caught:
        parse_type(text)
    assert (caught.value.message, text[caught.value.start : caught.value.end]) == (message, marked)


def test_offsets_point_into_the_whole_text() -> None:
    with pytest.raises(DimError) as caught:
        parse_type("float32[B, H + H + W/2]")
    assert (caught.value.start, caught.value.end) == (20, 21)


def test_what_a_type_tells() -> None:
    image = parse_type("float32[B, 3, 2*h, 4]")
    assert (image.rank, str(image.numel), image.shape_text, image.symbols) == (4, "24*B*h", "[B, 3, 2*h, 4]", {"B", "h"})
    assert str(image.with_shape((symbol("B"), 7))) == "float32[B, 7]"
    assert str(image.with_dtype("int64")) == "int64[B, 3, 2*h, 4]"
    assert TensorType("bool", ()).numel == 1
    assert image == TensorType("float32", (symbol("B"), 3, parse_dim("h*2"), 4))


# dtypes --------------------------------------------------------------------------------------------------------------


def torch_dtype(name: str) -> torch.dtype:
    return getattr(torch, name)


@pytest.mark.parametrize("name", DTYPES)
def test_what_a_dtype_is(name: str) -> None:
    dtype = torch_dtype(name)
    assert is_floating(name) is dtype.is_floating_point
    assert is_integer(name) is not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)


@pytest.mark.parametrize(("a", "b"), [*combinations_with_replacement(DTYPES, 2)])
def test_promotion_is_that_of_torch(a: str, b: str) -> None:
    assert torch_dtype(promote(a, b)) == torch_dtype(promote(b, a)) == torch.promote_types(torch_dtype(a), torch_dtype(b))


# Broadcasting --------------------------------------------------------------------------------------------------------

BROADCAST = [
    (("[B, 1]", "[B]"), "[B, B]", True),  # the classic silent mistake
    (("[B, T, 8]", "[8]"), "[B, T, 8]", False),
    (("[B, T, 8]", "[1, T, 1]"), "[B, T, 8]", False),
    (("[B, 1, T]", "[1, H, T]"), "[B, H, T]", True),
    (("[1, 8]", "[8]"), "[1, 8]", False),
    (("[B, 3]", "[]"), "[B, 3]", False),
    (("[B, 3]", "[B, 4]"), None, False),
    (("[B]", "[T]"), None, False),
    (("[B]", "[3]"), None, False),
    (("[B, H]", "[B, H//2 + (H + 1)//2]"), "[B, H]", False),
    (("[]", "[]"), "[]", False),
]


def shape(text: str) -> tuple[Dim, ...]:
    return parse_type(f"float32{text}").shape


@pytest.mark.parametrize(("shapes", "together", "both_ways"), BROADCAST)
def test_broadcast(shapes: tuple[str, str], together: str | None, both_ways: bool) -> None:
    a, b = map(shape, shapes)
    found = broadcast([a, b])
    assert found == (None if together is None else shape(together))
    assert stretches_both_ways(a, b) is stretches_both_ways(b, a) is both_ways


SMALL = st.lists(st.sampled_from((1, 1, 2, 3)), max_size=4).map(tuple)


@given(st.lists(SMALL, min_size=1, max_size=3))
def test_broadcast_is_that_of_torch(shapes: list[tuple[int, ...]]) -> None:
    try:
        expected = tuple(torch.broadcast_shapes(*shapes))
    except RuntimeError:
        expected = None
    assert broadcast(shapes) == expected


@given(SMALL, SMALL)
def test_both_ways_means_that_neither_shape_is_the_result(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    together = broadcast([a, b])
    if together is not None:
        assert stretches_both_ways(a, b) is (max(prod(a), prod(b)) < torch.empty(a).add(torch.empty(b)).numel())


SAME = [("[B, 3]", "[B, 3]", True), ("[B, 3]", "[B]", False), ("[B, H]", "[T, H + 1]", False), ("[B, 3]", "[T, 3]", None), ("[]", "[]", True)]


@pytest.mark.parametrize(("a", "b", "verdict"), SAME)
def test_same_shape(a: str, b: str, verdict: bool | None) -> None:
    assert same_shape(shape(a), shape(b)) is verdict


def test_importing_shapes_imports_nothing_heavy() -> None:
    script = "import sys, specbuilder.shapes; print(sorted({'torch', 'numpy', 'pydantic', 'rich', 'sympy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
