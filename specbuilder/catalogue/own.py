"""Loads the kinds that users write in Python: files given by `--kinds` or `load(kinds=...)`, and what installed packages offer. Never named by a spec.

The one place that executes a user's Python. In: paths, or names of kinds. Out: nothing; the decorators in the file put its kinds into the registry. What goes
wrong in a file is told with its line, and leaves none of its kinds behind. Installed packages offer a kind under its name in the entry-point group
`specbuilder.kinds`; they are looked for when a name is unknown, and only then, since looking takes longer than checking a spec.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from specbuilder.catalogue.contract import REGISTRY, Family
from specbuilder.diagnostics import Diagnostic, Source, Span, SpecbuilderError, UsageError, did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "specbuilder.kinds"


def load_kinds(paths: Iterable[str | Path]) -> None:
    """Loads files of kinds. A file that was loaded before is loaded again only if its text changed. Raises `UsageError`."""
    for path in paths:
        load_file(Path(path))


def load_file(path: Path) -> ModuleType:
    """The module of a file of kinds."""
    from specbuilder.catalogue.own_class import is_current

    text = _read(path)
    name = f"own_kinds_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    known = sys.modules.get(name)
    if known is not None and getattr(known, "_text", None) == text and is_current(name):
        return known
    _forget(name)
    module = ModuleType(name)
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
    return module


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
