"""Described code to text: calls, operators, literals and sizes become the characters of the emitted file, with no parenthesis more than Python needs.

Only checked identifiers, dotted torch names out of the catalogue, and literals written with `repr` ever get into a source; user text gets in as comments
and docstrings alone, and those through `comment` and `docstring`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator

from specbuilder.catalogue.contract import Argument, Call, Code, IfNone, Index, Infix, Input, Method, Prefix, Slice
from specbuilder.diagnostics import visible
from specbuilder.shapes import Poly

_TIGHT = re.compile(r" *(\*\*|//|[*%]) *")
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


Tensors = Callable[[Input], str]
Sizes = Callable[[str], str]

# How tightly each operator binds, as in Python; what stands alone binds tightest.
_COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _ALONE = 1, 5, 6, 7, 8, 9
_TIGHTNESS = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _COMPARISON),
    "|": 2,
    "^": 3,
    "&": 4,
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "//", "%", "@"), _PRODUCT),
    "**": _POWER,
}


def render(argument: Argument, tensor: Tensors, size: Sizes) -> str:
    """The text of an argument. `tensor` names what arrives at a port, `size` the variable that holds a symbolic size."""
    return _written(argument, tensor, size)[0]


def _written(argument: Argument | Slice, tensor: Tensors, size: Sizes) -> tuple[str, int]:
    """The text, and how tightly its outermost operator binds."""

    def text(inner: Argument | Slice, least: int = 0) -> str:
        written, tightness = _written(inner, tensor, size)
        return f"({written})" if tightness < least else written

    match argument:
        case Input():
            return tensor(argument), _ALONE
        case Code():
            return argument.text, _ALONE
        case Call():
            return f"{argument.function}({_arguments(argument, text)})", _ALONE
        case Method():
            return f"{text(argument.value, _ALONE)}.{argument.name}({_arguments(argument, text)})", _ALONE
        case Infix():
            tightness = _TIGHTNESS[argument.operator]
            # To the right stands only what binds tighter: a - (b + c). A power leans to the right, a comparison takes no other one beside it.
            first = tightness + (tightness in (_COMPARISON, _POWER))
            rest = _SIGN if tightness == _POWER else tightness + 1
            parts = [text(operand, rest if at else first) for at, operand in enumerate(argument.operands)]
            return f" {argument.operator} ".join(parts), tightness
        case Prefix():
            return f"{argument.operator}{text(argument.operand, _SIGN)}", _SIGN
        case Index():
            return f"{text(argument.value, _ALONE)}[{', '.join(map(text, argument.keys))}]", _ALONE
        case Slice():
            ends = ["" if end is None else text(end) for end in (argument.start, argument.stop)]
            return ":".join([*ends, *([text(argument.step)] if argument.step is not None else [])]), 0
        case IfNone():
            value, absent, present = text(argument.value, _COMPARISON + 1), text(argument.absent, _COMPARISON), text(argument.present)
            return f"{absent} if {value} is None else {present}", 0
        case Poly():
            spaced = _TIGHT.sub(r" \1 ", str(argument))
            written = _SYMBOL.sub(lambda match: size(match.group()), spaced)
            return written, _ALONE if written.isidentifier() else _COMPARISON
        case tuple():
            inner = ", ".join(map(text, argument))
            return f"({inner},)" if len(argument) == 1 else f"({inner})", _ALONE
        case str():
            written = repr(argument)
            return f'"{written[1:-1]}"' if written[0] == "'" and '"' not in written else written, _ALONE
        case _:
            written = repr(argument)
            return written, _SIGN if written.startswith("-") else _ALONE


def _arguments(called: Call | Method, text: Callable[[Argument], str]) -> str:
    return ", ".join([*map(text, called.args), *(f"{name}={text(value)}" for name, value in called.kwargs)])


def parts(argument: Argument | Slice) -> Iterator[Argument | Slice]:
    """What an argument is made of, one level down."""
    match argument:
        case Call():
            yield from (*argument.args, *(value for _, value in argument.kwargs))
        case Method():
            yield from (argument.value, *argument.args, *(value for _, value in argument.kwargs))
        case Infix():
            yield from argument.operands
        case Prefix():
            yield argument.operand
        case Index():
            yield from (argument.value, *argument.keys)
        case Slice():
            yield from (argument.start, argument.stop, argument.step)
        case IfNone():
            yield from (argument.value, argument.absent, argument.present)
        case tuple():
            yield from argument


def symbols(argument: Argument | Slice) -> Iterator[str]:
    """The symbolic sizes that the code reads."""
    if isinstance(argument, Poly):
        yield from argument.symbols
    for inner in parts(argument):
        yield from symbols(inner)


def comment(text: str) -> str:
    """User text as one comment line."""
    return f"# {visible(text)}"


def docstring(text: str, indent: str) -> list[str]:
    """User text as a docstring that cannot end early, wrapped."""
    escaped = visible(" ".join(text.split())).replace("\\", "\\\\").replace('"', '\\"')
    lines = textwrap.wrap(escaped, 140 - len(indent), break_long_words=False) or [""]
    if len(lines) == 1:
        return [f'{indent}"""{lines[0]}"""']
    return [f'{indent}"""{lines[0]}', *(f"{indent}{line}" for line in lines[1:]), f'{indent}"""']
