"""Patterns of einops: what is wrong with one and where, and the code that one becomes, also where sizes have no number.

That accepted patterns mean what einops says is held by the contract tests; here are the words, the places, and the symbols.
"""

from __future__ import annotations

from typing import Any

import einops
import pytest
import torch

from specbuilder.catalogue.contract import Node, Refusal
from specbuilder.catalogue.explain import explain
from specbuilder.catalogue.fields import check
from specbuilder.catalogue.lookup import find
from specbuilder.catalogue.patterns import PatternError, parse_pattern
from specbuilder.emit.render import render, symbols
from specbuilder.shapes import TensorType, evaluate, parse_type, symbol

BROKEN = [
    ("b c", "b c", "a pattern has two sides, such as `b c h w -> b (c h w)`, but here is no `->`"),
    ("a -> a -> a", "-> a", "a pattern has one `->`"),
    ("b (c d -> b c d", "(", "this `(` is never closed"),
    ("b c) -> b c", ")", "this `)` closes nothing"),
    ("b (c (d e)) -> b c d e", "(d", "parentheses do not nest"),
    ("b b -> b", "b ->", "`b` stands twice on this side"),
    ("b C -> b", "C", "`C` is no name of an axis: lower-case letters, digits, and `_` within; write `c`"),
    ("b _c -> b", "_c", "`_c` is no name of an axis: lower-case letters, digits, and `_` within; write `c`"),
    ("b c+d -> b", "c+d", "`c+d` is no name of an axis: lower-case letters, digits, and `_` within"),
    ("b . -> b", ".", "`.` is no name of an axis: lower-case letters, digits, and `_` within"),
    ("b 0 -> b", "0", "0 is no size"),
    ("b (h ...) -> b h ...", "...)", "`...` stands within parentheses on the right side only"),
    ("a" * 1001, "a" * 1001, "a pattern has at most 1000 characters, not 1001"),
]


@pytest.mark.parametrize(("text", "token", "message"), BROKEN)
def test_broken_pattern_is_told_with_its_place(text: str, token: str, message: str) -> None:
    with pytest.raises(PatternError) as error:
        parse_pattern(text)
    assert error.value.message == message
    assert text[error.value.start :].startswith(token)
    assert error.value.end > error.value.start


def kind(name: str) -> type[Node]:
    found = find("node", name)
    assert found is not None and issubclass(found, Node)
    return found


UNSUITED = [
    ("rearrange", {"pattern": "b c -> b"}, "`pattern`: `c` stands on the left side only; `einops_reduce` reduces over an axis", "c"),
    ("rearrange", {"pattern": "b -> b c"}, "`pattern`: `c` stands on the right side only; `einops_repeat` adds an axis", "c"),
    (
        "rearrange",
        {"pattern": "b (c 2) -> b c 2"},
        "`pattern`: a number other than 1 stands for an axis in `einops_repeat` and `einops_reduce` only; give it a name",
        "2",
    ),
    ("rearrange", {"pattern": "b c -> c b", "d": 2}, "`d`: the pattern has no such axis; its axes are `b`, `c`", None),
    (
        "einops_reduce",
        {"pattern": "b -> b c", "reduction": "mean"},
        "`pattern`: `c` stands on the right side only; `einops_repeat` adds an axis",
        "c",
    ),
    ("einops_repeat", {"pattern": "b -> b c"}, "`pattern`: `c` is new, so its size must be given: add `c: 2`", "c"),
    ("einops_repeat", {"pattern": "b c -> b"}, "`pattern`: `c` stands on the left side only; `einops_reduce` reduces over an axis", "c"),
    ("einops_repeat", {"pattern": "b -> b ..."}, "`pattern`: `...` stands on the right side only", "..."),
]


@pytest.mark.parametrize(("name", "fields", "message", "token"), UNSUITED)
def test_pattern_that_does_not_suit_its_kind(name: str, fields: dict[str, Any], message: str, token: str | None) -> None:
    instance, problems = check(kind(name), fields, owner=name)
    assert instance is None
    (problem,) = problems
    assert (problem.code, problem.message) == ("SB0204" if token else "SB0201", message)
    assert (problem.part is None) == (token is None)
    if token is not None and problem.part is not None:
        assert fields["pattern"][slice(*problem.part)] == token


REFUSED = [
    ({"pattern": "b c h -> b h c"}, "float32[B, 4]", "b c h ", "`rearrange` reads 3 axes, but [B, 4] has 2", None),
    ({"pattern": "b c ... d -> b (c ... d)"}, "float32[B, 4]", "b c ... d ", "`rearrange` reads 3 axes or more, but [B, 4] has 2", None),
    (
        {"pattern": "b (h p) -> b h p", "p": 3},
        "float32[B, 8]",
        "(h p)",
        "`rearrange` cannot split axis 1, which is 8, into `(h p)`: it does not divide by 3",
        None,
    ),
    (
        {"pattern": "b (h p) -> b h p"},
        "float32[B, 8]",
        "(h p)",
        "`rearrange` cannot tell the sizes of `h` and `p` in `(h p)`, which is 8",
        "give one of them beside the pattern: `p: 2`",
    ),
    (
        {"pattern": "b (h p) -> b h p", "p": 7},
        "float32[B, H]",
        "(h p)",
        "`rearrange` cannot split axis 1, which is `H`, into `(h p)`: that it divides by 7 cannot be proved",
        "declare `7*h` instead of `H` in the input",
    ),
    ({"pattern": "b c -> c b", "c": 3}, "float32[B, 4]", "c", "`rearrange` reads axis 1 as `c`, which is 3, but its size is 4", None),
    (
        {"pattern": "b c -> c b", "c": 3},
        "float32[B, T]",
        "c",
        "`rearrange` reads axis 1 as `c`, which is 3, but cannot prove that its size `T` is that",
        None,
    ),
    ({"pattern": "b (c) 1 -> c b"}, "float32[B, 4, 2]", "1", "`rearrange` reads axis 2 as `()`, which is 1, but its size is 2", None),
]


@pytest.mark.parametrize(("fields", "given", "token", "message", "help"), REFUSED)
def test_pattern_that_does_not_suit_what_arrives(fields: dict[str, Any], given: str, token: str, message: str, help: str | None) -> None:
    with pytest.raises(Refusal) as refusal:
        kind("rearrange")(**fields).infer(parse_type(given))
    found = refusal.value
    assert (found.message, found.help) == (message, help)
    assert found.field == "pattern" and found.part is not None
    assert fields["pattern"][slice(*found.part)] == token


CODE = [
    ("rearrange", {"pattern": "b c -> b c"}, "float32[B, 4]", "x"),
    ("rearrange", {"pattern": "b c h w -> b h w c"}, "float32[B, 4, H, W]", "x.permute(0, 2, 3, 1)"),
    ("rearrange", {"pattern": "b c h w -> b (c h w)"}, "float32[B, 4, 3, 3]", "x.reshape(-1, 36)"),
    # With one size free, that one is worked out; the batch never needs a name.
    (
        "rearrange",
        {"pattern": "b (h p) (w q) c -> b (h w) (p q) c", "p": 7, "q": 7},
        "float32[B, 56, 56, 96]",
        "x.reshape(-1, 8, 7, 8, 7, 96).permute(0, 1, 3, 2, 4, 5).reshape(-1, 64, 49, 96)",
    ),
    # With more, each axis goes by itself.
    (
        "rearrange",
        {"pattern": "b t (k h d) -> k b h t d", "k": 3, "h": 12},
        "float32[B, T, 2304]",
        "x.unflatten(2, (3, 12, 64)).permute(2, 0, 3, 1, 4)",
    ),
    ("rearrange", {"pattern": "b h t d -> b t (h d)"}, "float32[B, 12, T, 64]", "x.permute(0, 2, 1, 3).flatten(2)"),
    (
        "rearrange",
        {"pattern": "b (k c) h w -> k b (h w) c", "k": 3},
        "float32[B, 384, H, W]",
        "x.unflatten(1, (3, 128)).permute(1, 0, 3, 4, 2).flatten(2, 3)",
    ),
    (
        "rearrange",
        {"pattern": "b (a c) h w -> b (h w a) c", "a": 9},
        "float32[B, 720, 16*h, 16*w]",
        "x.unflatten(1, (9, 80)).permute(0, 3, 4, 1, 2).flatten(1, 3)",
    ),
    ("rearrange", {"pattern": "b (h p) w -> b h w p", "p": 2}, "float32[B, 2*H, W]", "x.unflatten(1, (-1, 2)).permute(0, 1, 3, 2)"),
    ("rearrange", {"pattern": "b 1 t -> b t 1"}, "float32[B, 1, T]", "x.squeeze(1).unsqueeze(2)"),
    ("rearrange", {"pattern": "b ... c -> b c (...)"}, "float32[B, H, W, 4]", "x.permute(0, 3, 1, 2).flatten(2)"),
    ("rearrange", {"pattern": "(a b) m -> m a b", "a": 49}, "float32[2401, 3]", "x.reshape(49, 49, 3).permute(2, 0, 1)"),
    ("rearrange", {"pattern": "1 -> "}, "float32[1]", "x.reshape(())"),
    ("einops_reduce", {"pattern": "b c h w -> b c", "reduction": "max"}, "float32[B, 4, H, W]", "x.amax((2, 3))"),
    ("einops_reduce", {"pattern": "b t c -> b c", "reduction": "mean"}, "float32[B, T, 4]", "x.mean(1)"),
    ("einops_reduce", {"pattern": "b h w -> b", "reduction": "prod"}, "float32[B, H, W]", "x.prod(2).prod(1)"),
    ("einops_repeat", {"pattern": "b c -> b t c", "t": 5}, "float32[B, 4]", "x[:, None].expand(-1, 5, -1)"),
    ("einops_repeat", {"pattern": "b h -> b (h 2)"}, "float32[B, H]", "x[:, :, None].expand(-1, -1, 2).flatten(1)"),
]
SIZES = {"B": 2, "T": 5, "H": 4, "W": 3, "h": 1, "w": 2}


@pytest.mark.parametrize(("name", "fields", "given", "text"), CODE)
def test_code_is_what_one_writes_by_hand(name: str, fields: dict[str, Any], given: str, text: str) -> None:
    node, x = kind(name)(**fields), parse_type(given)
    source = node.source(x)
    assert not any(symbols(source)), "no size is read at run time"  # type: ignore[arg-type]  # functions become expressions
    assert render(source, lambda _: "x", lambda symbol: symbol) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "fields", "given", "text"), CODE)
def test_code_does_what_einops_does_at_any_size(name: str, fields: dict[str, Any], given: str, text: str) -> None:
    type = parse_type(given)
    x = torch.randn([evaluate(size, SIZES) for size in type.shape])
    left = kind(name)(**fields).infer(type)
    operation = {"rearrange": einops.rearrange, "einops_reduce": einops.reduce, "einops_repeat": einops.repeat}[name]
    expected = operation(x, **fields)
    assert isinstance(left, TensorType)
    assert tuple(evaluate(size, SIZES) for size in left.shape) == expected.shape
    torch.testing.assert_close(eval(text, {"x": x}), expected)


def test_size_of_an_axis_may_be_a_symbol() -> None:
    x = parse_type("float32[B, H*W, 8]")
    fields: dict[str, Any] = {"pattern": "b (h w) c -> b c h w", "h": symbol("H")}
    node = kind("rearrange")(**fields)
    assert str(node.infer(x)) == "float32[B, 8, H, W]"
    assert render(node.source(x), lambda _: "x", lambda symbol: symbol) == "x.unflatten(1, (-1, W)).permute(0, 3, 1, 2)"  # type: ignore[arg-type]


def test_axes_may_be_called_like_fields() -> None:
    fields: dict[str, Any] = {"pattern": "b -> b axes", "axes": 3}
    node = kind("einops_repeat")(**fields)
    assert str(node.infer(parse_type("float32[B]"))) == "float32[B, 3]"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pattern": "b (c d) -> b c d", "d": 0}, "`d` wants a positive integer or a size such as `$B`, but this is 0"),
        ({"pattern": "b (c d) -> b c d", "d": "2"}, '`d` wants a positive integer or a size such as `$B`, but this is the text "2"'),
        ({"d": 2}, "`rearrange` needs `pattern`"),
        ({"pattern": 3}, "`pattern` wants a text, but this is 3"),
    ],
)
def test_wrong_values_are_told_under_their_own_keys(fields: dict[str, Any], message: str) -> None:
    (problem,) = explain(kind("rearrange"), fields, "rearrange")
    assert problem.message == message
    assert problem.location == (message.split("`")[3 if "needs" in message else 1],)
