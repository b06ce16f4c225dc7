"""Described code to text: `Call`, `Infix`, literals and sizes become the characters of the emitted file.

Only checked identifiers, dotted torch names out of the catalogue, and literals written with `repr` ever get into a source; user text gets in as comments
and docstrings alone, and those through `comment` and `docstring`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator

from specbuilder.catalogue.contract import Argument, Call, Code, Infix, Input
from specbuilder.diagnostics import visible
from specbuilder.shapes import Poly

_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def render(argument: Argument, tensor: Callable[[Input], str], size: Callable[[str], str]) -> str:
    """The text of an argument. `tensor` names what arrives at a port, `size` the variable that holds a symbolic size."""
    if isinstance(argument, Call):
        args = [render(arg, tensor, size) for arg in argument.args]
        args += [f"{name}={render(value, tensor, size)}" for name, value in argument.kwargs]
        return f"{argument.function}({', '.join(args)})"
    if isinstance(argument, Infix):
        parts = (render(operand, tensor, size) for operand in argument.operands)
        return f" {argument.operator} ".join(
            f"({part})" if isinstance(operand, Infix) else part for operand, part in zip(argument.operands, parts, strict=True)
        )
    if isinstance(argument, Input):
        return tensor(argument)
    if isinstance(argument, Code):
        return argument.text
    if isinstance(argument, Poly):
        return _SYMBOL.sub(lambda match: size(match.group()), str(argument))
    if isinstance(argument, tuple):
        inner = ", ".join(render(item, tensor, size) for item in argument)
        return f"({inner},)" if len(argument) == 1 else f"({inner})"
    return repr(argument)


def symbols(argument: Argument) -> Iterator[str]:
    """The symbolic sizes that the code reads."""
    if isinstance(argument, Poly):
        yield from argument.symbols
    elif isinstance(argument, Call):
        for inner in (*argument.args, *(value for _, value in argument.kwargs)):
            yield from symbols(inner)
    elif isinstance(argument, Infix):
        for inner in argument.operands:
            yield from symbols(inner)
    elif isinstance(argument, tuple):
        for inner in argument:
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
