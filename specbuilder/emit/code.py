"""Described code taken apart and put together again: its structure, and the leaves in which copies of one block may differ.

A leaf is a literal (a number, a text, a tuple of those) or a symbolic size; everything else (functions, operators, keywords, what is read) is structure.
Two codes of equal structure differ in their leaves alone, and both halves count leaves in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from specbuilder.catalogue.contract import DEVICE, ITSELF, Argument, Call, Code, IfNone, Index, Infix, Input, Method, Prefix, Slice
from specbuilder.diagnostics import InternalError
from specbuilder.graph.graph import Path
from specbuilder.records import Record
from specbuilder.shapes import Poly


class Held(Record):
    """A tensor that the model holds, read by `forward`: `self.encoder.weight`. `path` is that of its node."""

    path: Path
    tensor: str
    is_transposed: bool = False


_PLAIN = frozenset((int, float, bool, str, type(None)))
LITERAL, SIZE = "a literal", "a size"


def is_plain(argument: Any) -> bool:
    """Whether it is a literal, or a tuple of nothing but literals."""
    kind = type(argument)
    return kind in _PLAIN or (kind is tuple and all(map(is_plain, argument)))


def take_apart(argument: Any, read: Callable[[Input | Held], object], structure: list[object], leaves: list[Any]) -> None:
    """Appends the structure of a code, and its leaves. `read` says what stands behind a reference, in words that copies share."""
    kind = type(argument)
    if kind in _PLAIN:
        structure.append(LITERAL)
        leaves.append(argument)
        return
    if kind is Poly:
        structure.append(SIZE)
        leaves.append(argument)
        return
    if kind is tuple and all(map(is_plain, argument)):
        structure.append(LITERAL)
        leaves.append(argument)
        return
    if kind is Input or kind is Held:
        structure.append(("read", read(argument)))
        return
    if kind is Call:
        structure.append((argument.function, len(argument.args), *[name for name, _ in argument.kwargs]))
        for each in argument.args:
            take_apart(each, read, structure, leaves)
        for _, each in argument.kwargs:
            take_apart(each, read, structure, leaves)
        return
    structure.append(_head(argument))
    for each in _inner(argument):
        take_apart(each, read, structure, leaves)


def _head(argument: Any) -> object:
    """What a code is, apart from what stands in it."""
    match argument:
        case Code():
            return ("code", argument.text)
        case Method():
            return ("method", argument.name, len(argument.args), *[name for name, _ in argument.kwargs])
        case Infix():
            return ("infix", argument.operator, len(argument.operands))
        case Prefix():
            return ("prefix", argument.operator)
        case Index():
            return ("index", *["new axis" if key is None else "key" for key in argument.keys])
        case Slice():
            return ("slice", argument.start is None, argument.stop is None, argument.step is None)
        case IfNone():
            return ("if none",)
        case tuple():
            return ("tuple", len(argument))
    raise InternalError("emit", f"described code holds {argument!r}")


def _inner(argument: Any) -> Iterator[Any]:
    """What a code is made of, without the places that say nothing."""
    match argument:
        case Method():
            yield argument.value
            yield from argument.args
            yield from (value for _, value in argument.kwargs)
        case Infix():
            yield from argument.operands
        case Prefix():
            yield argument.operand
        case Index():
            yield argument.value
            yield from (key for key in argument.keys if key is not None)
        case Slice():
            yield from (end for end in (argument.start, argument.stop, argument.step) if end is not None)
        case IfNone():
            yield from (argument.value, argument.absent, argument.present)
        case tuple():
            yield from argument


def put_together(argument: Any, read: Callable[[Input | Held | Code], str], leaf: Callable[[Any], Argument], itself: str = "") -> Any:
    """The code with texts in place of what it reads, and with what `leaf` makes of each leaf; `itself` is the module's own text."""

    def again(inner: Any) -> Any:
        return put_together(inner, read, leaf, itself)

    def maybe(end: Any) -> Any:
        return None if end is None else again(end)

    kind = type(argument)
    if kind in _PLAIN or kind is Poly:
        return leaf(argument)
    if kind is tuple:
        return leaf(argument) if all(map(is_plain, argument)) else tuple(map(again, argument))
    if kind is Input or kind is Held:
        return Code(read(argument))
    match argument:
        case Call():
            function = itself if argument.function == ITSELF else argument.function
            return Call(function, tuple(map(again, argument.args)), _named(argument.kwargs, again))
        case Code():
            return Code(read(argument)) if argument == DEVICE else argument
        case Method():
            return Method(again(argument.value), argument.name, tuple(map(again, argument.args)), _named(argument.kwargs, again))
        case Infix():
            return Infix(argument.operator, tuple(map(again, argument.operands)))
        case Prefix():
            return Prefix(argument.operator, again(argument.operand))
        case Index():
            return Index(again(argument.value), tuple(map(maybe, argument.keys)))
        case Slice():
            return Slice(maybe(argument.start), maybe(argument.stop), maybe(argument.step))
        case IfNone():
            return IfNone(again(argument.value), again(argument.absent), again(argument.present))
    raise InternalError("emit", f"described code holds {argument!r}")


def _named(kwargs: Sequence[tuple[str, Any]], again: Callable[[Any], Any]) -> tuple[tuple[str, Any], ...]:
    return tuple([(name, again(value)) for name, value in kwargs])


def leaf_names(argument: Any, parameters: Callable[[str], Sequence[str]], outer: str = "") -> Iterator[str]:
    """What each leaf is called where it stands: its keyword, or the parameter of the function at its position; empty where it has no name."""
    match argument:
        case Call():
            known = parameters(argument.function)
            for at, each in enumerate(argument.args):
                yield from leaf_names(each, parameters, known[at] if at < len(known) else "")
        case Method() | Index():
            outer = ""
            yield from leaf_names(argument.value, parameters)
            for each in argument.args if isinstance(argument, Method) else [key for key in argument.keys if key is not None]:
                yield from leaf_names(each, parameters)
        case _ if is_plain(argument) or isinstance(argument, Poly):
            yield outer
        case Input() | Held() | Code():
            return
        case _:
            for each in _inner(argument):
                yield from leaf_names(each, parameters, outer)
    if isinstance(argument, (Call, Method)):
        for name, each in argument.kwargs:
            yield from leaf_names(each, parameters, name)
