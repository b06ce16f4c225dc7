"""Completes a class that a user declared as a kind: checks the declaration and adds the rules that `module` or `function` stand for.

In: the class, as the decorator of `contract` gets it. Out: the same class, with the source text that the emitted file needs, its ports, and for each rule that
it lacks one that measures on torch's meta device (`measuring`, imported then). Its own rules are guarded: what they raise is the user's mistake and is told
as one, with the line. Torch-free, unless the user's file imports torch itself.
"""

from __future__ import annotations

import inspect
import linecache
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import (
    ITSELF,
    REGISTRY,
    Attribute,
    Buffer,
    Call,
    Code,
    Function,
    IfNone,
    Index,
    Infix,
    Input,
    Kind,
    Layer,
    Loss,
    Method,
    Module,
    Node,
    Parameter,
    Port,
    Prefix,
    Refusal,
    Requirement,
    Stateful,
)
from specbuilder.catalogue.declared import MISFIT, fields_of, fit
from specbuilder.catalogue.index import KINDS
from specbuilder.catalogue.pasting import STANDARD, NotPastable, name_of, paste
from specbuilder.records import Record
from specbuilder.shapes import Dim, DimError, Poly, TensorType, equal, parse_type

STRUCTURAL = ("name", "from", "when", "repeat", "each", "shared", "merge", "init", "tie", "freeze", "type")
BUILT_IN = ("sequence", "residual", "branches", "share", "compute", "parameter", "buffer")
"""The closed lists of the language: no kind and no field has one of these names."""

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_PASTED: dict[str, tuple[str, str]] = {}
"""What is pasted under each name, and the kind that pastes it: two texts of one name cannot stand in one file."""


class Own(Record):
    """What is known of an own node beside its class."""

    target: Any
    """The module or the function, or the text that names it; None where the kind describes its code itself."""
    patterns: Mapping[str, Pattern]
    """What `takes` says, by port."""
    files: Mapping[str, str]
    """The files that it pastes from, with their texts."""


_OWN: dict[type[Kind], Own] = {}


def own_of(cls: type[Kind]) -> Own:
    return _OWN[cls]


class Misdeclared(Exception):
    """A declaration that cannot be a kind. `file` and `line` are where, if not at the class itself."""

    def __init__(self, message: str, help: str | None = None, *, file: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.message, self.help, self.file, self.line = message, help, file, line


def complete(cls: type[Kind], other: type[Kind] | None) -> None:
    """Makes the class a kind that works, or raises `Misdeclared`. `other` is a kind that has the name already."""
    _check_name(cls, other)
    _check_fields(cls)
    if issubclass(cls, Node):
        _complete_node(cls)
    _guard_all(cls)


def file_of(cls: type) -> str:
    """The file of a class, as the user named it."""
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__


# The declaration -----------------------------------------------------------------------------------------------------


def _check_name(cls: type[Kind], other: type[Kind] | None) -> None:
    name = cls.kind
    if not _NAME.match(name) or name in STRUCTURAL or name in BUILT_IN:
        what = (
            "already has a meaning in the language" if _NAME.match(name) else "is no name for a kind: small letters, digits and `_`, a letter first"
        )
        raise Misdeclared(f"`{name}` {what}", "give the kind another name")
    if name in KINDS[cls.family]:
        raise Misdeclared(f"`{name}` is a kind of the catalogue already", "give your kind another name")
    if other is not None and Path(file_of(other)).resolve() != Path(file_of(cls)).resolve():
        raise Misdeclared(f"`{name}` is declared twice: in {file_of(other)} and in {file_of(cls)}", "give one of the two another name")
    # The same file may have come in twice, by `--kinds` and by an import of its tests.
    if other is not None and other.__module__ == cls.__module__ and other.__qualname__ != cls.__qualname__:
        raise Misdeclared(f"`{name}` is declared twice, by {other.__qualname__} and by {cls.__qualname__}", "give one of the two another name")


def _check_fields(cls: type[Kind]) -> None:
    try:
        fields = fields_of(cls)
    except NameError as error:
        raise Misdeclared(f"the fields of `{cls.kind}` use `{error.name}`, which is not defined", "import it in this file") from None
    for name, field in fields.items():
        if name in STRUCTURAL or any(name in vars(base) for base in cls.__mro__[1:]):
            raise Misdeclared(f"`{cls.kind}` cannot have a field `{name}`: that name has a meaning of its own", "give the field another name")
        for part in _parts(field.annotation):
            if get_origin(part) is None and not isinstance(part, type) and part not in (Any, None, Ellipsis):
                raise Misdeclared(
                    f"the field `{name}` has the type {part}, which fields cannot have", "such as int, float, bool, str or tuple[int, int]"
                )
        if not field.is_required and fit(field.annotation, field.default) is MISFIT:
            raise Misdeclared(f"the default of `{name}`, {field.default!r}, does not fit its type")
    if cls.primary is not None and cls.primary not in fields:
        raise Misdeclared(f"the primary field of `{cls.kind}` is `{cls.primary}`, but it has no such field", _fields_help(fields))


def _parts(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif origin in (Union, types.UnionType, tuple, dict):
        for part in get_args(annotation):
            yield from _parts(part)
    elif origin is Literal:
        yield str
    else:
        yield annotation if origin is None else str(annotation)


def _fields_help(fields: Mapping[str, Any]) -> str:
    return f"its fields are {', '.join(f'`{name}`' for name in fields)}" if fields else "it has none: write `name: int` in the class"


# Nodes ---------------------------------------------------------------------------------------------------------------


def _complete_node(cls: type[Node]) -> None:
    attribute, given = _written(cls)
    patterns = _patterns(cls)
    place = _place(cls, attribute, given) if given is not None else None
    if place is not None:
        # A class that derives from an own kind has its texts already.
        cls.helpers = tuple(dict.fromkeys((*cls.helpers, *place.helpers)))
        cls.source = _source(place.function, is_module=attribute == "module")
    if not _says(cls, "inputs"):
        cls.inputs = _ports(cls, attribute, given, patterns)
    unknown = [name for name in patterns if name not in {port.name for port in cls.inputs}]
    if unknown:
        raise Misdeclared(f"`takes` of `{cls.kind}` speaks of `{unknown[0]}`, which is no port", f"its ports are {_listed(cls.inputs)}")
    _OWN[cls] = Own(given, patterns, place.files if place is not None else {})
    if given is not None and not isinstance(given, str):
        _check_arguments(cls, given, is_module=attribute == "module")
    lacking = [rule for rule in ("infer", "source") if not _says(cls, rule) and not (rule == "source" and given is not None)]
    if given is None and lacking:
        names = " and ".join(f"`{rule}`" for rule in lacking)
        shorter = {Layer: ", or give the nn.Module class: `module = ...`", Function: ", or give the function: `function = ...`"}
        help = f"write {names}" + next((more for base, more in shorter.items() if issubclass(cls, base)), "")
        raise Misdeclared(f"`{cls.kind}` says neither what leaves it nor what code it becomes: it has no {names}", help)
    if issubclass(cls, Stateful):
        _check_stateful(cls)
    _measure_the_rest(cls, is_module=attribute == "module")
    _check_pasted(cls)


def _written(cls: type[Node]) -> tuple[str, Any]:
    module, function = getattr(cls, "module", None), getattr(cls, "function", None)
    if module is not None and not issubclass(cls, Layer):
        raise Misdeclared(f"`{cls.kind}` is a Function, which has no `module`", "write `class ...(Layer)`, or `function = ...`")
    if function is not None and not issubclass(cls, Function):
        raise Misdeclared(f"`{cls.kind}` is a Layer, which has no `function`", "write `class ...(Function)`, or `module = ...`")
    return ("module", module) if module is not None else ("function", function)


def _check_stateful(cls: type[Stateful]) -> None:
    """What it keeps leaves it at a port, and it says what a later call is."""
    if strange := [port for port in cls.keeps if port not in cls.outputs]:
        raise Misdeclared(
            f"`{cls.kind}` keeps `{strange[0]}`, which is no output port", f"its outputs are {', '.join(f'`{port}`' for port in cls.outputs)}"
        )
    if lacking := [f"`{rule}`" for rule in ("past", "infer_later", "source_later") if not _says(cls, rule)]:
        raise Misdeclared(f"`{cls.kind}` is stateful, and does not say what a later call is: it has no {' and '.join(lacking)}")


def _check_arguments(cls: type[Node], given: Any, *, is_module: bool) -> None:
    """The fields and the sizes of `takes` must be what the module or the function takes."""
    try:
        parameters = inspect.signature(given).parameters
    except (TypeError, ValueError):
        return
    known = {*fields_of(cls), *_argument_names(_OWN[cls].patterns)}
    named = {name: each for name, each in parameters.items() if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)}
    takes_any = any(each.kind == each.VAR_KEYWORD for each in parameters.values())
    title = getattr(given, "__name__", cls.kind)
    for name in known:
        if name not in named and not takes_any:
            raise Misdeclared(f"`{title}` takes no argument `{name}`, which `{cls.kind}` would give it", f"it takes {', '.join(named) or 'none'}")
    missing = [name for name, each in named.items() if each.default is each.empty and name not in known]
    if is_module and missing:
        example = ", ".join(("B", missing[0], "H", "W"))
        help = f'add a field `{missing[0]}: int`, or name the axis that tells it: `takes = "[{example}]"`'
        raise Misdeclared(f"`{title}` needs `{missing[0]}`, which is neither a field of `{cls.kind}` nor a size in `takes`", help)


def _says(cls: type[Node], name: str) -> bool:
    """Whether the class or a base of it, other than the bases of all kinds, says something of its own."""
    return next(base for base in cls.__mro__ if name in base.__dict__) not in (Node, Layer, Function, Stateful, Loss)


class _Place:
    """Where the emitted file has a class or a function from."""

    def __init__(self, function: str, helpers: tuple[str, ...] = (), files: Mapping[str, str] = MappingProxyType({})) -> None:
        self.function, self.helpers, self.files = function, helpers, files


def _place(cls: type[Node], attribute: str, given: Any) -> _Place:
    if isinstance(given, str):
        return _place_of_text(cls, attribute, given)
    if not callable(given):
        raise Misdeclared(f"`{attribute}` of `{cls.kind}` is {given!r}, which is no {'class' if attribute == 'module' else 'function'}")
    if (name := _torch_name(given)) is not None:
        return _Place(name)
    qualified = getattr(given, "__qualname__", type(given).__name__)
    if "." in qualified or "<" in qualified:
        raise Misdeclared(f"`{qualified}` cannot be pasted into a model", "define it at the top level of a file")
    home = getattr(given, "__module__", "")
    if home != cls.__module__:
        help = f'write `{attribute} = "{home}:{qualified}"`, and the model imports it; or define it in the file of the kind, and it is pasted'
        raise Misdeclared(f"`{qualified}` comes from {home}, so it is not clear whether the model may import it", help)
    file = file_of(cls)
    return _pasted(cls, _text(file, cls), qualified, file)


_TEXT = re.compile(r"(?P<file>[^:]+\.py):(?P<name>[A-Za-z_]\w*)\Z|(?P<module>[A-Za-z_][\w.]*):(?P<imported>[A-Za-z_]\w*)\Z")


def _place_of_text(cls: type[Node], attribute: str, given: str) -> _Place:
    found = _TEXT.match(given)
    if found is None:
        raise Misdeclared(f'`{attribute} = "{given}"` is neither `FILE.py:NAME` nor `PACKAGE.MODULE:NAME`')
    if found["module"]:
        return _Place(found["imported"], (f"from {found['module']} import {found['imported']}",))
    path = Path(file_of(cls)).parent / found["file"]
    return _pasted(cls, _text(str(path), cls), found["name"], str(path))


def _text(file: str, cls: type[Node]) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Misdeclared(f"the source text of `{cls.kind}` cannot be read from {file}", "define the kind in a file") from None


def _pasted(cls: type[Node], text: str, name: str, file: str) -> _Place:
    try:
        return _Place(name, paste(text, name, file, cls.requires), {file: text})
    except NotPastable as problem:
        raise Misdeclared(problem.message, problem.help, file=file, line=problem.line) from None
    except SyntaxError as error:
        raise Misdeclared(f"{file} is no Python: {error.msg}", file=file, line=error.lineno) from None


def _torch_name(given: Any) -> str | None:
    """How a model calls what is torch's own: `nn.Bilinear`, `F.hardtanh`, `torch.special.erfinv`."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    name = getattr(given, "__name__", "")
    for place, holder in (("nn", torch.nn), ("F", torch.nn.functional), ("torch", torch), ("torch.special", torch.special), ("torch.fft", torch.fft)):
        if name and getattr(holder, name, None) is given:
            return f"{place}.{name}"
    return None


def _check_pasted(cls: type[Node]) -> None:
    for text in cls.helpers:
        name = name_of(text)
        if name is None:
            continue
        if name in STANDARD:
            raise Misdeclared(f"`{cls.kind}` pastes something called `{name}`, which means `{STANDARD[name]}` in a model", "rename it")
        known, owner = _PASTED.setdefault(name, (text, cls.kind))
        if known != text and owner != cls.kind:
            raise Misdeclared(f"`{cls.kind}` and `{owner}` paste two different things called `{name}`", "rename one of them")
        _PASTED[name] = (text, cls.kind)


def is_current(module: str) -> bool:
    """Whether the files that the kinds of a module paste from are still as they were."""
    kinds = [kind for known in REGISTRY.values() for kind in known.values() if kind.__module__ == module]
    return all(_unchanged(file, text) for kind in kinds if kind in _OWN for file, text in _OWN[kind].files.items())


def _unchanged(file: str, text: str) -> bool:
    try:
        return Path(file).read_text(encoding="utf-8") == text
    except OSError:
        return False


def forget(module: str) -> None:
    """Takes back what the kinds of a module pasted; called when its file is loaded anew."""
    for known in REGISTRY.values():
        for name in [name for name, kind in known.items() if kind.__module__ == module]:
            kind = known.pop(name)
            _OWN.pop(kind, None)
            for pasted in [pasted for pasted, (_, owner) in _PASTED.items() if owner == kind.kind]:
                del _PASTED[pasted]


# Ports and sizes -----------------------------------------------------------------------------------------------------


def _ports(cls: type[Node], attribute: str, given: Any, patterns: Mapping[str, Any]) -> tuple[Port, ...]:
    """The ports: those that `takes` names, else the parameters of `forward` (or of the function) that are no fields."""
    if isinstance(cls.takes, Mapping):
        return tuple(Port(name) for name in patterns)
    if given is None or isinstance(given, str):
        return Node.inputs
    try:
        parameters = inspect.signature(given.forward if attribute == "module" else given).parameters
    except (TypeError, ValueError, AttributeError):
        return Node.inputs
    taken = {*fields_of(cls), *_argument_names(patterns), "self"}
    found = [
        Port(name, optional=parameter.default is None)
        for name, parameter in parameters.items()
        if name not in taken and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        if parameter.default is None or parameter.default is parameter.empty
    ]
    return tuple(found) if len(found) > 1 else Node.inputs


def _listed(ports: tuple[Port, ...]) -> str:
    return ", ".join(f"`{port.name}`" for port in ports)


class Pattern:
    """What a port takes: `[B, channels, H, W]`, `float32[..., features]`."""

    def __init__(self, text: str) -> None:
        self.text = text
        dtype, opening, rest = text.partition("[")
        inner = rest.removesuffix("]").strip()
        if not opening or not rest.endswith("]"):
            raise Misdeclared(f"`takes` wants sizes in brackets, but this is `{text}`", 'such as `takes = "[B, channels, H, W]"`')
        sizes = [size.strip() for size in inner.split(",")] if inner else []
        self.is_open = bool(sizes) and sizes[0] == "..."
        self.sizes = tuple(int(size) if size.isdigit() else size for size in (sizes[1:] if self.is_open else sizes))
        for size in self.sizes:
            if isinstance(size, str) and not size.isidentifier():
                raise Misdeclared(f"`{size}` in `takes` is neither a number nor a name", 'such as `takes = "[B, channels, H, W]"`')
        self.dtype = dtype.strip() or None
        if self.dtype is not None:
            try:
                parse_type(f"{self.dtype}[]")
            except DimError as error:
                raise Misdeclared(f"{error.message}, in `takes`") from None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(size for size in self.sizes if isinstance(size, str))


def _patterns(cls: type[Node]) -> Mapping[str, Pattern]:
    takes = cls.takes
    if takes is None:
        return {}
    written = takes if isinstance(takes, Mapping) else {cls.inputs[0].name if cls.inputs else "input": takes}
    return {name: Pattern(str(text)) for name, text in written.items()}


def _argument_names(patterns: Mapping[str, Pattern]) -> tuple[str, ...]:
    """Sizes in small letters are arguments; `B`, `H`, `W` only say what an axis is."""
    return tuple(dict.fromkeys(name for pattern in patterns.values() for name in pattern.names if name == name.lower()))


def sizes(kind: Node, types: tuple[Any, ...]) -> dict[str, Dim]:
    """The sizes of what arrives, by the names that `takes` gives them. Raises `Refusal` where it is not what `takes` says."""
    found: dict[str, Dim] = {}
    patterns = _OWN[type(kind)].patterns
    for port, type_ in zip(kind.inputs, types, strict=True):
        pattern = patterns.get(port.name)
        if pattern is None or not isinstance(type_, TensorType):
            continue
        rank = len(pattern.sizes)
        if type_.rank < rank or (type_.rank > rank and not pattern.is_open):
            raise Refusal(f"`{kind.kind}` wants {pattern.text}, but {type_} has {demands.counted(type_.rank, 'axis', 'axes')}", port=port.name)
        if pattern.dtype is not None and type_.dtype != pattern.dtype:
            raise Refusal(f"`{kind.kind}` wants {pattern.dtype}, but {type_.dtype} arrives", port=port.name, code="SB0501")
        for wanted, size in zip(pattern.sizes, type_.shape[type_.rank - rank :], strict=True):
            known = wanted if isinstance(wanted, int) else found.setdefault(wanted, size)
            if known != size and equal(known, size) is not True:
                named = "" if isinstance(wanted, int) else f" for `{wanted}`"
                raise Refusal(f"`{kind.kind}` wants {pattern.text} with size {known}{named}, but {type_} arrives", port=port.name)
    return found


def arguments(kind: Node, types: tuple[Any, ...], *, fixed: bool) -> dict[str, Any]:
    """The keyword arguments of the module or the function: the fields, and what `takes` names. `fixed`: sizes must be numbers."""
    values: dict[str, Any] = {name: getattr(kind, name) for name in fields_of(type(kind))}
    found = sizes(kind, types)
    for name in _argument_names(_OWN[type(kind)].patterns):
        size = found.get(name)
        if size is None:
            continue
        size = demands.fixed(kind.kind, size, name) if fixed else size
        if name in values and isinstance(size, int):
            demands.agrees(kind.kind, name, values[name], size, name)
        values[name] = size
    return values


# Rules ---------------------------------------------------------------------------------------------------------------


def _source(function: str, *, is_module: bool) -> Callable[..., Module | Call]:
    def source(self: Node, *types: Any) -> Module | Call:
        values = arguments(self, types, fixed=is_module)
        if is_module:
            return Module(Call(function, (), tuple(values.items())), _module_call(types))
        return Call(function, tuple(Input(port) for port, _ in enumerate(types)), tuple(values.items()))

    return source


def _module_call(types: tuple[Any, ...]) -> Call | None:
    """How `forward` calls the module: with all that arrives, as every module is, unless a gap must be kept."""
    present = [port for port, type_ in enumerate(types) if type_ is not None]
    if present == list(range(len(present))):
        return None
    return Call(ITSELF, tuple(Input(port) for port in range(present[-1] + 1)))


def _measure_the_rest(cls: type[Node], *, is_module: bool) -> None:
    """Rules that the class lacks are told by torch. Each imports `measuring` when it is asked."""

    def infer(self: Node, *types: Any) -> TensorType | tuple[TensorType, ...]:
        from specbuilder.catalogue.measuring import outputs

        found = outputs(self, types)
        return found[0] if len(found) == 1 else found

    def remarks(self: Node, *types: Any) -> tuple[Any, ...]:
        from specbuilder.catalogue.measuring import remarks

        return remarks(self, types)

    def parameters(self: Node, *types: Any) -> dict[str, Parameter]:
        from specbuilder.catalogue.measuring import tensors

        return tensors(self, types)[0]

    def buffers(self: Node, *types: Any) -> dict[str, Buffer]:
        from specbuilder.catalogue.measuring import tensors

        return tensors(self, types)[1]

    if not _says(cls, "infer"):
        cls.infer, cls.remarks, cls.is_measured = infer, remarks, True
    if is_module and not _says(cls, "parameters"):
        cls.parameters, cls.is_measured = parameters, True
        if not _says(cls, "buffers"):
            cls.buffers = buffers


# Guards --------------------------------------------------------------------------------------------------------------

_EXPRESSIONS = (Input, Code, Call, Method, Infix, Prefix, Index, IfNone)
_ANSWERS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "infer": (lambda it: isinstance(it, TensorType) or _all(it, tuple, TensorType), "a TensorType, or a tuple of them"),
    "requirements": (lambda it: it == () or _all(it, tuple, Requirement), "a tuple of Requirements"),
    "parameters": (lambda it: _all_values(it, Parameter), "a dict of names and Parameters"),
    "buffers": (lambda it: _all_values(it, Buffer), "a dict of names and Buffers"),
    "flops": (lambda it: isinstance(it, int | Poly) and not isinstance(it, bool), "a whole number, or an expression of sizes"),
    "source": (lambda it: isinstance(it, (Module, Attribute, *_EXPRESSIONS)), "a Module, or a `call(...)`"),
    "past": (lambda it: _all(it, tuple, TensorType), "a tuple of TensorTypes"),
    "infer_later": (lambda it: isinstance(it, TensorType) or _all(it, tuple, TensorType), "a TensorType, or a tuple of them"),
    "source_later": (lambda it: isinstance(it, _EXPRESSIONS), "a `call(...)`"),
}


def _all(answer: Any, holder: type, part: type) -> bool:
    return isinstance(answer, holder) and bool(answer) and all(isinstance(each, part) for each in answer)  # type: ignore[arg-type]  # tuples


def _all_values(answer: Any, part: type) -> bool:
    return isinstance(answer, dict) and all(isinstance(name, str) and isinstance(each, part) for name, each in answer.items())


def _guard_all(cls: type[Kind]) -> None:
    if not issubclass(cls, Node):
        return
    for rule in _ANSWERS:
        written = next((base.__dict__[rule] for base in cls.__mro__ if rule in base.__dict__), None)
        if written is not None and not getattr(written, "__module__", "").startswith("specbuilder."):
            setattr(cls, rule, _guarded(rule, written))


def _guarded(rule: str, written: Callable[..., Any]) -> Callable[..., Any]:
    """The rule, with what goes wrong in it told to the user. The last rule that the walk asks is `source`; it asks for `flops` too, so that all are seen."""
    fits, wanted = _ANSWERS[rule]

    @wraps(written)
    def guarded(self: Node, *types: Any, **more: Any) -> Any:
        try:
            answer = written(self, *types, **more)
        except (Refusal, DimError):
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise Refusal(f"`{rule}` of `{self.kind}` failed: {said}", help=place_of(error), code="SB0420") from error
        if not fits(answer):
            where = f"{written.__code__.co_filename}:{written.__code__.co_firstlineno}"
            raise Refusal(f"`{rule}` of `{self.kind}` must return {wanted}, but returned {answer!r}", help=f"see {where}", code="SB0420")
        if rule == "source":
            self.flops(*types)
        return answer

    guarded.__module__ = __name__
    return guarded


def place_of(error: BaseException) -> str | None:
    """The innermost line outside of specbuilder and of installed packages that an exception came through, as a help text."""
    found = innermost(error)
    if found is None:
        return None
    text = linecache.getline(*found).strip()
    return f"raised at {found[0]}:{found[1]}" + (f": `{text}`" if text else "")


def innermost(error: BaseException) -> tuple[str, int] | None:
    """File and line of the user's code that an exception came through last."""
    place, at = None, error.__traceback__
    while at is not None:
        file = at.tb_frame.f_code.co_filename
        if not file.startswith((_OURS, "<")) and not any(part in file for part in ("site-packages", "dist-packages", _LIBRARY)):
            place = (file, at.tb_lineno)
        at = at.tb_next
    return place


_OURS = str(Path(__file__).parent.parent)
_LIBRARY = str(Path(inspect.__file__).parent)
