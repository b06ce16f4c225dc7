"""Loads the kinds that users write in Python: files given by `--kinds` or `load(kinds=...)`, and what installed packages offer. Never named by a spec.

The one place that executes a user's Python. In: paths, or names of kinds. Out: nothing; the decorators in the file put its kinds into the registry. What goes
wrong in a file is told with its line, and leaves none of its kinds behind. Installed packages offer a kind under its name in the entry-point group
`specbuilder.kinds`; they are looked for when a name is unknown, and only then, since looking takes longer than checking a spec.
"""

from __future__ import annotations

import ast
import hashlib
import linecache
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from specbuilder.catalogue.contract import REGISTRY, Family, Node
from specbuilder.diagnostics import Diagnostic, Source, Span, SpecbuilderError, UsageError, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "specbuilder.kinds"
_MODULES = "own_kinds_"
"""How the module names of files of kinds begin."""


def load_kinds(paths: Iterable[str | Path]) -> tuple[ModuleType, ...]:
    """Loads files of kinds. A file that was loaded before is loaded again only if its text changed. Raises `UsageError`."""
    return tuple(load_file(Path(path)) for path in paths)


def load_file(path: Path, *, is_copy: bool = False) -> ModuleType:
    """The module of a file of kinds. A copy that a run folder keeps takes the place of the file that it was made of, and the other way round."""
    from specbuilder.catalogue.own_class import is_current

    text = _read(path)
    name = f"{_MODULES}{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    known = sys.modules.get(name)
    if known is not None and getattr(known, "_text", None) == text and is_current(name):
        return known
    for other in _loaded():
        if Path(str(other.__file__)).name == path.name and (is_copy or getattr(other, "_is_copy", False)):
            _forget(other.__name__)
    _forget(name)
    module = ModuleType(name)
    module._is_copy = is_copy  # type: ignore[attr-defined]  # whether a run folder keeps it
    module.__file__, module._text = str(path), text  # type: ignore[attr-defined]  # what it was made of, to see when that changes
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
    sys.modules[name] = module
    try:
        with _importing_from(path.parent):
            exec(compile(text, str(path), "exec"), module.__dict__)
        if not any(kind.__module__ == name for known in REGISTRY.values() for kind in known.values()):
            help = 'declare one: `@layer("my_kind")` above a class that derives from `Layer`, both from specbuilder.kinds'
            raise UsageError.of("SB0933", f"{path} declares no kind", help=help)
    except SpecbuilderError:
        _forget(name)
        raise
    except (Exception, SystemExit) as error:
        _forget(name)
        raise _told(error, path) from error
    module._files = _files_behind(module, path)  # type: ignore[attr-defined]  # as they were when it was loaded
    return module


def _loaded() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.startswith(_MODULES)]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = [entry.name for entry in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise UsageError.of("SB0931", f"there is no file {path}", help=did_you_mean(path.name, near)) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError.of("SB0931", f"{path} cannot be read: {reason}") from None


def _forget(module: str) -> None:
    from specbuilder.catalogue.own_class import forget

    forget(module)
    sys.modules.pop(module, None)


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """As for a script, files beside it can be imported; what it prints does not get into what a command prints."""
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


# What stands behind it -----------------------------------------------------------------------------------------------


def named_in(texts: Iterable[str]) -> tuple[ModuleType, ...]:
    """The loaded files of kinds of which a kind is named in one of these texts; one too many does no harm."""
    words = {word for text in texts for word in _WORD.findall(text)}
    used = {kind.__module__ for known in REGISTRY.values() for name, kind in known.items() if name in words}
    return tuple(module for module in _loaded() if module.__name__ in used)


def texts_behind(module: ModuleType) -> dict[str, str]:
    """The text of a file of kinds, which comes first, and of all files of the user that it needs, by their paths from the folder that holds them all."""
    files: dict[str, str] = module._files
    common = os.path.commonpath([Path(file).parent for file in files])
    return {Path(os.path.relpath(file, common)).as_posix(): text for file, text in files.items()}


_WORD = re.compile(r"[a-z][a-z0-9_]*")


def _files_behind(module: ModuleType, path: Path) -> dict[str, str]:
    """By whole path: the file itself, those that its kinds are pasted from, and those beside it that any of them imports."""
    from specbuilder.catalogue.own_class import own_of

    kinds = [kind for known in REGISTRY.values() for kind in known.values() if kind.__module__ == module.__name__ and issubclass(kind, Node)]
    pasted = {file: text for kind in kinds for file, text in own_of(kind).files.items()}
    found: dict[str, str] = {}
    waiting = [(str(path), str(module._text)), *pasted.items()]
    while waiting:
        file, text = waiting.pop(0)
        whole = os.path.normpath(Path(file).absolute())
        if whole not in found:
            found[whole] = text
            waiting += [(str(other), _read(other)) for other in _imported(text, path.parent)]
    return found


def _imported(text: str, folder: Path) -> list[Path]:
    """The files of a folder that a text imports: modules, and packages with all that is in them."""
    names: set[str] = set()
    for statement in ast.walk(ast.parse(text)):
        if isinstance(statement, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            names.add((statement.module or "").partition(".")[0])
    files: list[Path] = []
    for name in sorted(names - {"specbuilder"}):
        package = folder / name
        if (package / "__init__.py").is_file():
            files += sorted(package.rglob("*.py"))
        elif (file := folder / f"{name}.py").is_file():
            files.append(file)
    return files


# What goes wrong -----------------------------------------------------------------------------------------------------


def _told(error: BaseException, path: Path | None, what: str = "") -> UsageError:
    """What a user's file raised, as a mistake in it: the line, the exception, no traceback."""
    from specbuilder.catalogue.own_class import Misdeclared, innermost

    place = innermost(error)
    if isinstance(error, Misdeclared):
        file = error.file or (place[0] if place else str(path))
        line = error.line if error.file else place[1] if place else 1
        return UsageError([Diagnostic("SB0933", error.message, _span(file, line or 1), help=error.help)])
    if isinstance(error, SyntaxError) and error.filename is not None:
        place = (error.filename, error.lineno or 1)
    said = f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}".removesuffix(": ")
    span = _span(*place) if place is not None else None
    return UsageError.of("SB0932", f"{what or path} cannot be loaded: {said}", span)  # type: ignore[return-value]  # `of` makes what it is called on


def _span(file: str, line: int) -> Span | None:
    """The text of a line of a file."""
    text = "".join(linecache.getlines(file))
    if not text:
        return None
    source = Source(file, text)
    number = min(line, len(source.line_starts))
    written = source.line(number)
    start = source.line_starts[number - 1]
    return Span(source, start + len(written) - len(written.lstrip()), start + max(len(written.rstrip()), 1))


# Installed packages --------------------------------------------------------------------------------------------------


@cache
def installed() -> Mapping[str, EntryPoint]:
    """What installed packages offer, by the name of the kind; nothing of it is imported."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def load_installed(family: Family, name: str) -> None:
    """Imports the package that offers a kind of this name, if one does. Raises `UsageError` when that fails."""
    entry = installed().get(name)
    if entry is None or name in REGISTRY[family]:
        return
    try:
        with redirect_stdout(sys.stderr):
            loaded = entry.load()
    except (Exception, SystemExit) as error:
        raise _told(error, None, f"the kind `{name}`, which {_package(entry)} offers,") from error
    if getattr(loaded, "kind", None) != name and not any(name in known for known in REGISTRY.values()):
        help = f'`{entry.value}` must be a class under `@layer("{name}")`, or a module that has one'
        raise UsageError.of("SB0933", f"{_package(entry)} offers a kind `{name}`, but declares none of that name", help=help)


def _package(entry: EntryPoint) -> str:
    return f"the package {entry.dist.name}" if entry.dist is not None else f"`{entry.value}`"


# What a kind stands for ----------------------------------------------------------------------------------------------


def fetch(cls: type[Any], given: str) -> Any:
    """What `FILE.py:NAME` or `PACKAGE.MODULE:NAME` of a kind means, to be run."""
    from specbuilder.catalogue.own_class import file_of

    place, _, name = given.rpartition(":")
    folder = Path(file_of(cls)).parent
    with _importing_from(folder):
        if not place.endswith(".py"):
            return getattr(import_module(place), name)
        path = folder / place
        text = path.read_text(encoding="utf-8")
        module = ModuleType(f"own_source_{path.stem}_{hashlib.sha256(text.encode()).hexdigest()[:8]}")
        module.__file__ = str(path)
        linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
        sys.modules[module.__name__] = module
        exec(compile(text, str(path), "exec"), module.__dict__)
        return getattr(module, name)
