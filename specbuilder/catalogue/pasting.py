"""The source text of a class or a function that a user wrote, with all that it needs to stand in another file.

In: the text of the user's file and a name in it. Out: texts to paste, import lines first: what the name needs of its file, in the file's order, and itself.
What torch and Python have is imported as the user's file does; any other import makes the model depend on something and must be asked for. Nothing is run:
the file is parsed.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import sys
from collections.abc import Iterator

STANDARD = {
    "torch": "import torch",
    "nn": "from torch import nn",
    "F": "from torch.nn import functional as F",
    "Tensor": "from torch import Tensor",
}
"""Names that every emitted file has or gets by itself; they may mean nothing else."""

_SAME = {
    "import torch.nn as nn": "from torch import nn",
    "import torch.nn.functional as F": "from torch.nn import functional as F",
    "from torch.nn import functional as F": "from torch.nn import functional as F",
}
_WITHOUT_ASKING = frozenset((*sys.stdlib_module_names, "torch"))


class NotPastable(Exception):
    """Why a text cannot stand by itself, and what to do."""

    def __init__(self, message: str, line: int = 1, help: str | None = None) -> None:
        super().__init__(message)
        self.message, self.line, self.help = message, line, help


def paste(text: str, name: str, file: str, requires: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The texts that `name` of this file comes to. `requires` are import lines that the user asks for. Raises `NotPastable`."""
    top = _top_level(ast.parse(text))
    if not isinstance(top.get(name), ast.ClassDef | ast.FunctionDef):
        raise NotPastable(f"{file} has no class or function `{name}` at its top level", help="move it there, so that its text can be pasted")
    asked = {bound: line for line in requires for bound in _bound_by(_import_line(line))}
    lines: dict[str, None] = {}
    parts: dict[int, str] = {}
    waiting, done = [(name, 1)], set[str]()
    while waiting:
        wanted, at = waiting.pop()
        if wanted in done:
            continue
        done.add(wanted)
        if wanted in asked:
            lines[asked[wanted]] = None
            continue
        statement = top.get(wanted)
        if statement is None:
            if hasattr(builtins, wanted) or wanted == "__name__":
                continue
            help = 'define it there, outside of any `if` or `try`, or ask for an import: `requires = ("import math",)`'
            raise NotPastable(f"`{name}` uses `{wanted}`, which is not at the top level of {file}", at, help)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            if (line := _carried(statement, wanted, name, file)) is not None:
                lines[line] = None
        elif wanted in STANDARD:
            raise NotPastable(
                f"{file} calls something of its own `{wanted}`, which means `{STANDARD[wanted]}` in a model", statement.lineno, "rename it"
            )
        else:
            parts[statement.lineno] = written = _text_of(statement, text)
            waiting += [(each, statement.lineno) for each in sorted(_free_names(written))]
    return (*sorted(lines), *(parts[line] for line in sorted(parts)))


def name_of(text: str) -> str | None:
    """What a pasted text defines; None for an import."""
    statement = ast.parse(text).body[0]
    return None if isinstance(statement, ast.Import | ast.ImportFrom) else next(iter(_bound_by(statement)), None)


def _top_level(tree: ast.Module) -> dict[str, ast.stmt]:
    return {name: statement for statement in tree.body for name in _bound_by(statement)}


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a file defines; the contents of `if` and `try` are not counted."""
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value is not None:
        yield statement.target.id


def _import_line(line: str) -> ast.stmt:
    try:
        (statement,) = ast.parse(line).body
    except (SyntaxError, ValueError):
        statement = None
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        raise NotPastable(f"`requires` wants import lines, but this is `{line}`", help='such as `requires = ("import numpy as np",)`')
    return statement


def _carried(statement: ast.Import | ast.ImportFrom, wanted: str, name: str, file: str) -> str | None:
    """The import line for one name; None where every emitted file has it."""
    alias = next(alias for alias in statement.names if (alias.asname or alias.name.partition(".")[0]) == wanted)
    renamed = f" as {alias.asname}" if alias.asname else ""
    if isinstance(statement, ast.Import):
        line, package = f"import {alias.name}{renamed}", alias.name.partition(".")[0]
    else:
        line = f"from {'.' * statement.level}{statement.module or ''} import {alias.name}{renamed}"
        package = (statement.module or "").partition(".")[0] if not statement.level else ""
    line = _SAME.get(line, line)
    if STANDARD.get(wanted) == line:
        return None
    if wanted == package == "torch" and not renamed:
        return line  # a module of torch that `import torch` alone may leave out, such as torch.utils.checkpoint
    if wanted in STANDARD:
        raise NotPastable(
            f"{file} has `{line}`, but `{wanted}` means `{STANDARD[wanted]}` in a model", statement.lineno, "import it under another name"
        )
    if package == "specbuilder":
        raise NotPastable(f"`{name}` uses `{wanted}` of specbuilder, but a model needs nothing of specbuilder", statement.lineno, "write it without")
    if package not in _WITHOUT_ASKING:
        message = f"`{name}` uses `{wanted}`, so the model would need `{line}`, which is neither torch's nor Python's own"
        raise NotPastable(message, statement.lineno, f'if it may, say so in the kind: `requires = ("{line}",)`')
    return line


def _text_of(statement: ast.stmt, text: str) -> str:
    """The lines of a statement, decorators included."""
    decorators = statement.decorator_list if isinstance(statement, ast.ClassDef | ast.FunctionDef) else []
    first = min([statement.lineno, *(each.lineno for each in decorators)])
    return "\n".join(text.splitlines()[first - 1 : statement.end_lineno])


def _free_names(text: str) -> set[str]:
    """The names that a text takes from the file around it."""

    def walk(table: symtable.SymbolTable) -> Iterator[str]:
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or (table.get_type() == "module" and not symbol.is_assigned())):
                yield symbol.get_name()
        for child in table.get_children():
            yield from walk(child)

    table = symtable.symtable(text, "pasted", "exec")
    defined = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_namespace()}
    return set(walk(table)) - defined
