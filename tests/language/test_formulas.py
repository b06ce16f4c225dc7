"""The grammar of formulas as a table: what a text is taken for, and what is said of one that is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings

from specbuilder.language.expressions import ExpressionError, parse
from specbuilder.language.formulas import parse_formula
from specbuilder.language.syntax import (
    Binary,
    Call,
    Compare,
    Conditional,
    Dotted,
    Expression,
    List,
    Literal,
    Name,
    Rest,
    Slice,
    Static,
    Subscript,
    Tuple,
    Unary,
)
from tests.language.test_expression_properties import chains


def taken(node: Expression) -> str:  # noqa: C901  # one arm for each kind of node
    """The tree as a text with every bracket, references in <> and static parts in {}."""
    match node:
        case Literal():
            return repr(node.value)
        case Name():
            return f"<{node.text}>"
        case Dotted():
            return f"<{'.'.join(part if isinstance(part, str) else taken(part) for part in node.parts)}>"
        case Static():
            return "{" + taken(node.expression).replace("<", "").replace(">", "") + "}"
        case Unary():
            return f"({node.operator} {taken(node.operand)})"
        case Binary():
            return f"({taken(node.left)} {node.operator} {taken(node.right)})"
        case Compare():
            return f"({taken(node.operands[0])}{''.join(f' {sign} {taken(each)}' for sign, each in zip(node.operators, node.operands[1:], strict=True))})"
        case Conditional():
            return f"({taken(node.then)} if {taken(node.condition)} else {taken(node.otherwise)})"
        case Call():
            keywords = [f"{name.text}={taken(value)}" for name, value in node.keywords]
            return f"{node.function.text}({', '.join([*map(taken, node.arguments), *keywords])})"
        case Subscript():
            keys = node.key.items if isinstance(node.key, Tuple) else (node.key,)
            return f"{taken(node.value)}[{', '.join(map(taken, keys))}]"
        case Slice():
            lower, upper, step = ("" if end is None else taken(end) for end in (node.lower, node.upper, node.step))
            return f"{lower}:{upper}:{step}"
        case Rest():
            return "..."
        case Tuple():
            return f"({', '.join(map(taken, node.items))},)"
        case List():
            return f"[{', '.join(map(taken, node.items))}]"


GOOD: list[tuple[str, str]] = [
    # the formulas of the drafts
    ("mean + exp(0.5 * log_var) * randn_like(mean)", "(<mean> + (exp((0.5 * <log_var>)) * randn_like(<mean>)))"),
    ("~attention_mask", "(~ <attention_mask>)"),
    ("float32(attention_mask)[:, :, None]", "float32(<attention_mask>)[::, ::, None]"),
    ("sum(layer * weight, 1) / clamp(sum(weight, 1), min=1)", "(sum((<layer> * <weight>), 1) / clamp(sum(<weight>, 1), min=1))"),
    ("exp(arange($(width // 2)) * $(-log(10000) / 2))", "exp((arange({(width // 2)}) * {((- log(10000)) / 2)}))"),
    ("one_hot(top.indices, $experts)", "one_hot(<top.indices>, {experts})"),
    ("int64(r >= $(H - window))", "int64((<r> >= {(H - window)}))"),
    (
        "einsum('bte,bt->be', expert, top.values / sum(top.values, -1, True))",
        "einsum('bte,bt->be', <expert>, (<top.values> / sum(<top.values>, (- 1), True)))",
    ),
    # references
    ("x", "<x>"),
    ("(x)", "<x>"),
    ("layers.0", "<layers.0>"),
    ("layers.-1", "<layers.-1>"),
    ("layers.-1*2", "(<layers.-1> * 2)"),
    ("layers.0.5", "<layers.0.5>"),
    ("layers.*", "<layers.*>"),
    ("layers.* * 2", "(<layers.*> * 2)"),
    ("layers.*.balance", "<layers.*.balance>"),
    ("levels.$i", "<levels.{i}>"),
    ("levels.$(3 - i).skips", "<levels.{(3 - i)}.skips>"),
    ("2*x.0/y.1", "((2 * <x.0>) / <y.1>)"),
    # static parts
    ("$x", "{x}"),
    ("$x * y", "({x} * <y>)"),
    ("$(x) * y", "({x} * <y>)"),
    ("$(a if b else c)", "{(a if b else c)}"),
    ("$(1, 2)", "{(1, 2,)}"),
    ("x[$i]", "<x>[{i}]"),
    ("x[:$(H - 1)]", "<x>[:{(H - 1)}:]"),
    ("$x[0]", "{x}[0]"),
    # indices
    ("x[:, None, null]", "<x>[::, None, None]"),
    ("x[..., 0]", "<x>[..., 0]"),
    ("x[...]", "<x>[...]"),
    ("x[1:-1:2]", "<x>[1:(- 1):2]"),
    ("table[index]", "<table>[<index>]"),
    ("x[0][1]", "<x>[0][1]"),
    ("-x[0]", "(- <x>[0])"),
    # operators
    ("not a and ~b", "((not <a>) and (~ <b>))"),
    ("~a == b", "((~ <a>) == <b>)"),
    ("~ ~a", "(~ (~ <a>))"),
    ("2 ** ~x", "(2 ** (~ <x>))"),
    ("~x ** 2", "(~ (<x> ** 2))"),
    ("a if $deep else b", "(<a> if {deep} else <b>)"),
    ("f(a, [b, c], dim=(0, 1))", "f(<a>, [<b>, <c>], dim=(0, 1,))"),
    ("exp(exp)", "exp(<exp>)"),
    (" x\n + y ", "(<x> + <y>)"),
]


@pytest.mark.parametrize(("text", "tree"), GOOD)
def test_what_a_text_is_taken_for(text: str, tree: str) -> None:
    assert taken(parse_formula(text).expression) == tree


BAD: list[tuple[str, str, int, int, str | None]] = [
    ("", "the expression is empty", 0, 0, None),
    ("x +", "expected a value, found the end", 3, 3, None),
    ("x y", "expected an operator or the end, found `y`", 2, 3, None),
    ("x $y", "expected an operator or the end, found `$`", 2, 3, None),
    ("exp(x", "this `(` is never closed", 3, 4, None),
    ("$(x", "this `(` is never closed", 1, 2, None),
    ("x + $", "`$` stands before a name or `(`, found the end", 4, 5, "a dollar sign is written `$$`"),
    ("$$x", "`$` stands before a name or `(`, found `$`", 0, 2, "a dollar sign is written `$$`"),
    ("x + $true", "`true` is a word of expressions, not a name", 5, 9, "write `$(true)`"),
    ("$(a & b)", "unexpected `&`", 4, 5, None),
    ("x & y", "unexpected `&`", 2, 3, "write `and`"),
    ("x | y", "unexpected `|`", 2, 3, "write `or`"),
    ("x ^ 2", "unexpected `^`", 2, 3, "a power is written `**`"),
    ("x @ y", "unexpected `@`", 2, 3, "write `matmul(a, b)`"),
    ("x && y", "expected an operator or the end, found `&&`", 2, 4, "write `and`"),
    ("x = y", "expected an operator or the end, found `=`", 2, 3, "`==` compares"),
    ("!x", "unexpected `!`", 0, 1, "write `not`"),
    ("x.", "after `.` stands an output, a number or `*`", 1, 2, "such as `top.indices`, `layers.0`, `layers.*`"),
    ("x. y", "after `.` stands an output, a number or `*`", 1, 2, "such as `top.indices`, `layers.0`, `layers.*`"),
    ("x .y", "unexpected `.`", 2, 3, "make what stands before it a node of its own with a `name`, and write `name.output`"),
    ("topk(x, 2).indices", "unexpected `.`", 10, 11, "make what stands before it a node of its own with a `name`, and write `name.output`"),
    ("x.$", "`$` stands before a name or `(`, found the end", 2, 3, "a dollar sign is written `$$`"),
    ("...", "`...` stands only in an index", 0, 3, None),
    ("x + ...", "`...` stands only in an index", 4, 7, None),
    ("x[...:1]", "expected an operator, `,` or `]`, found `:`", 5, 6, None),
    ("x[]", "expected an index, found `]`", 2, 3, None),
    ("torch.exp(x)", "only a name can be called", 9, 10, "write `exp(...)`"),
    ("x.sum(1)", "only a name can be called", 5, 6, "write `sum(x, ...)`"),
    ("layers.0.sum(1)", "only a name can be called", 12, 13, "write `sum(layers.0, ...)`"),
    ("$f(x)", "only a name can be called", 2, 3, None),
    ("f(a)(b)", "only a name can be called", 4, 5, None),
    ("f(a=1, a=2)", "`a` is given twice", 7, 8, None),
    ("f(a=1, b)", "an argument without a name stands after one with a name", 7, 8, None),
    ("2x", "`2x` is no number", 0, 2, "write `2 * x`"),
    ("lambda x: x", "expected an operator or the end, found `x`", 7, 8, None),
    ("x for x in y", "expected an operator or the end, found `for`", 2, 5, "there are no loops in expressions"),
    ("{a: x}", "unexpected `{`", 0, 1, "there are no mappings in expressions"),
]


@pytest.mark.parametrize(("text", "message", "start", "end", "help"), BAD)
def test_what_is_said_of_a_text_that_is_no_formula(text: str, message: str, start: int, end: int, help: str | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_formula(text)
    assert (caught.value.message, caught.value.start, caught.value.end, caught.value.help) == (message, start, end, help)


def test_offsets_of_what_a_formula_reads() -> None:
    text = "a.b + exp(levels.$i, alpha=c)[index, $n] * $(k + n) + a"
    formula = parse_formula(text)
    assert [text[node.start : node.end] for node in formula.references] == ["a.b", "levels.$i", "c", "index", "a"]
    assert [(name.text, text[name.start : name.end]) for name in formula.names] == [("i", "i"), ("n", "n"), ("k", "k"), ("n", "n")]


@given(chains())
@settings(max_examples=200)
def test_without_new_signs_it_is_the_grammar_of_expressions(text: str) -> None:
    assert outcome(lambda: parse_formula(text).expression) == outcome(lambda: parse(text))


def outcome(parsed: Callable[[], Expression]) -> Expression | str:
    """The tree, or the message in its place."""
    try:
        return parsed()
    except ExpressionError as error:
        return error.message


CAPS = [
    ("x" * 4097, "a text with expressions has at most 4096 characters, this one has 4097"),
    ("x+" * 1000 + "x", "an expression has at most 1000 parts"),
    ("x[" * 200 + "0" + "]" * 200, "the expression is nested more than 64 deep"),
    ("~" * 200 + "x", "the expression is nested more than 64 deep"),
    # The caps hold for both languages together.
    ("$(a+a)+" * 300 + "x", "an expression has at most 1000 parts"),
    ("f(" * 40 + "$" + "(" * 40 + "a" + ")" * 80, "the expression is nested more than 64 deep"),
    ("x." + "$i." * 1000 + "y", "an expression has at most 1000 parts"),
]


@pytest.mark.parametrize(("text", "message"), CAPS, ids=range(len(CAPS)))
def test_hostile_texts_end_as_a_message(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_formula(text)
    assert caught.value.message == message
