"""The `__init__` of a class: what its steps construct, in containers whose paths are those of the graph, and what is done to tensors after that.

Copies that are constructed by equal lines are a comprehension; those that differ are a list, or a comprehension over a table where that is shorter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from specbuilder.catalogue.contract import Argument, Call, Code, Input
from specbuilder.diagnostics import InternalError
from specbuilder.emit.code import put_together
from specbuilder.emit.form import Form, Piece
from specbuilder.emit.nodes import After
from specbuilder.emit.outline import Step, Unit
from specbuilder.emit.places import Places, held
from specbuilder.emit.render import render
from specbuilder.emit.signatures import parameters_of
from specbuilder.graph.graph import Path

WIDTH = 140
_LONG_LIST = 4
"""More copies than these become a table, if they can."""
_KEYWORDS_FROM = 3
"""Arguments of our own classes from this position on are given by keyword, where there are more than these."""


@dataclass(eq=False, slots=True)
class Slot:
    """A place in the class: something that is constructed, or a container of further places."""

    step: Step | None = None
    made: Call | None = None
    after: list[After] = field(default_factory=list)
    inner: dict[str | int, Slot] = field(default_factory=dict)


def init_lines(form: Form, forms: Mapping[Unit, Form], places: Places) -> Iterator[str]:
    """The lines of `__init__`, indented as they stand in the file; none where there is nothing to construct."""
    slots = _slots(form, forms)
    if not slots.inner and not form.parameters:
        return
    arguments = "".join(f", {argument.name}: {_annotation(argument.values)}" for argument in form.parameters)
    yield f"    def __init__(self{arguments}) -> None:"
    yield "        super().__init__()"
    yield from (f"        self.{argument.name} = {argument.name}" for argument in form.parameters if argument.name in form.kept)
    writer = _Writer(places, form, forms)
    yield from (f"        {line}" for line in writer.inner("self", form.first.path, slots))
    base = form.first.path
    for tied in form.ties:
        tensor = writer.tensor(places.text(base, tied.tensor.path), tied.tensor.tensor)
        yield f"        {tensor} = {writer.tensor(places.text(base, tied.source.path), tied.source.tensor)}"


def _annotation(values: Sequence[Any]) -> str:
    names = list(dict.fromkeys("None" if value is None else type(value).__name__ for value in values))
    return " | ".join(name if name != "tuple" else "tuple[int, ...]" for name in names)


def _slots(form: Form, forms: Mapping[Unit, Form]) -> Slot:
    root = Slot()
    depth = len(form.first.path)
    for step, pieces in zip(form.first.steps, form.pieces, strict=True):
        if not step.is_owner:
            continue
        slot = root
        for key in step.path[depth:]:
            slot = slot.inner.setdefault(key, Slot())
        slot.step = step
        for piece in pieces:
            if piece.place == "made":
                made = _resolved(piece)
                slot.made = _construction(made, forms[step.item]) if isinstance(step.item, Unit) else made
            elif piece.place == "after":
                slot.after.append(piece.code if piece.code.code is None else After(piece.code.tensor, _resolved(piece)))
    return root


def _construction(made: Call, form: Form) -> Call:
    """The call of one of our own classes."""
    names = [argument.name for argument in form.parameters]
    positional = len(names) if len(names) <= _KEYWORDS_FROM else _KEYWORDS_FROM - 1
    return Call(form.name, made.args[:positional], tuple(zip(names[positional:], made.args[positional:], strict=True)))


def _resolved(piece: Piece) -> Any:
    """The code of a piece with its leaves resolved; `Input` still stands for the tensor."""
    code = piece.code.code if isinstance(piece.code, After) else piece.code
    return resolved(code, piece, lambda _: "{}", "")


def resolved(code: Any, piece: Piece, read: Any, itself: str, leaf: Any = None) -> Any:
    """A code with its leaves resolved, the keywords that copies leave out among them."""
    leaves = iter(piece.leaves)
    if not piece.names:
        return put_together(code, read, lambda _: next(leaves) if leaf is None else leaf(next(leaves)), itself)
    bare = Call(code.function, code.args, tuple([pair for pair in code.kwargs if pair[0] not in piece.names]))
    made = put_together(bare, read, lambda _: next(leaves) if leaf is None else leaf(next(leaves)), itself)
    keywords = dict(made.kwargs) | {name: value if leaf is None else leaf(value) for name, value in zip(piece.names, leaves, strict=True)}
    return Call(made.function, made.args, tuple([(name, keywords[name]) for name in piece.order]))


class _Writer:
    def __init__(self, places: Places, form: Form, forms: Mapping[Unit, Form]) -> None:
        self.places = places
        self.taken = {*form.pasted, *(argument.name for argument in form.parameters)}
        self.every = "each" if "each" not in self.taken else "each_"
        inner = {forms[step.item] for step in form.first.steps if isinstance(step.item, Unit)}
        self.signatures = {each.name: [argument.name for argument in each.parameters] for each in inner}

    def inner(self, text: str, path: Path, slot: Slot) -> Iterator[str]:
        """The lines for everything in a container."""
        for key, child in slot.inner.items():
            place = (*path, key)
            there = self.places.step(text, path, key)
            if child.step is not None:
                yield from self.thing(text, there, key, child)
                yield from self.afterwards(there, child)
                continue
            container = self.places.container(place)
            if container in ("module", "bare"):
                yield f"{there} = nn.Module()" if isinstance(key, str) else f'{text}.add_module("{key}", nn.Module())'
                yield from self.inner(there, place, child)
            else:
                yield from self.numbered(there, container, child)
                yield from self.each(there, place, child)

    def thing(self, text: str, there: str, key: str | int, slot: Slot) -> Iterator[str]:
        """One line that constructs something."""
        assert slot.step is not None
        made, kind = self.made(slot), held(slot.step)
        if kind == "buffer":
            yield f'{text}.register_buffer("{key}", {made})'
        elif isinstance(key, str):
            yield f"{there} = {made}"
        else:
            yield f'{text}.register_{kind}("{key}", {made})'

    def made(self, slot: Slot) -> str:
        if slot.step is None:
            return "nn.Module()"
        assert slot.made is not None
        text = _text(slot.made)
        return f"nn.Parameter({text})" if held(slot.step) == "parameter" and not text.startswith("nn.Parameter(") else text

    def tensor(self, there: str, tensor: str) -> str:
        return f"{there}.{tensor}" if tensor else there

    def afterwards(self, there: str, slot: Slot) -> Iterator[str]:
        for each in slot.after:
            tensor = self.tensor(there, each.tensor)
            yield f"{tensor} = None  # it is {each.instead}" if each.code is None else _text(each.code).replace("{}", tensor)

    # Numbered places -------------------------------------------------------------------------------------------------

    def numbered(self, there: str, container: str, slot: Slot) -> Iterator[str]:
        """The list or dict of copies."""
        kind = {"list": "nn.ModuleList", "dict": "nn.ModuleDict", "parameters": "nn.ParameterList"}[container]
        texts = [self.made(child) for child in slot.inner.values()]
        if container == "dict":
            yield from _wrapped(f"{there} = {kind}({{", [f'"{key}": {text}' for key, text in zip(slot.inner, texts, strict=True)], "})")
        else:
            yield from self.list_of(f"{there} = {kind}", [child.made for child in slot.inner.values()], texts)

    def list_of(self, opening: str, calls: Sequence[Call | None], texts: Sequence[str]) -> Iterator[str]:
        """A list of copies: one comprehension, where that says it all; else copies one by one, with runs of like ones written as one."""
        if len(texts) > 1 and len(set(texts)) == 1:
            yield from _comprehension(f"{opening}(", ")", texts[0], [("_", [f"range({len(texts)})"])])
            return
        runs: list[list[int]] = []
        for at, call in enumerate(calls):
            if at and call is not None and (before := calls[at - 1]) is not None and _head(call) == _head(before):
                runs[-1].append(at)
            else:
                runs.append([at])
        if len(runs) == 1 and len(texts) > 1 and (found := self.comprehension([calls[at] for at in runs[0]], texts)) is not None:
            yield from _comprehension(f"{opening}(", ")", *found)
            return
        if len(texts) == 1:
            yield from _wrapped(f"{opening}([", texts, "])")
            return
        yield f"{opening}(["
        for run in runs:
            found = self.comprehension([calls[at] for at in run], [texts[at] for at in run])
            if len(run) > 2 and found is not None:
                yield from (f"    {line}" for line in _comprehension("*(", "),", *found))
            else:
                yield from (f"    {texts[at]}," for at in run)
        yield "])"

    def comprehension(self, calls: Sequence[Call | None], texts: Sequence[str]) -> tuple[str, Loops] | None:
        """The one call and the loops that make these copies; None where lines of their own are easier to read."""
        if len(set(texts)) == 1:
            return texts[0], [("_", [f"range({len(texts)})"])]
        return self.table([call for call in calls if call is not None]) if len(texts) > _LONG_LIST else None

    def table(self, calls: Sequence[Call]) -> tuple[str, Loops]:
        """One call for all of one form, and the loops that give it its arguments."""
        first = calls[0]
        rows = [[_text(argument) for argument in (*call.args, *(value for _, value in call.kwargs))] for call in calls]
        varying = [column for column in range(len(rows[0])) if len({row[column] for row in rows}) > 1]
        names = {column: self.loop_name(first, column) for column in varying}
        if len(set(names.values())) < len(names):
            names = {column: f"{name}_{at}" for at, (column, name) in enumerate(names.items(), start=1)}
        arguments: list[Argument] = [Code(names.get(column, text)) for column, text in enumerate(rows[0])]
        keywords = tuple((name, value) for (name, _), value in zip(first.kwargs, arguments[len(first.args) :], strict=True))
        values = [row[varying[0]] if len(varying) == 1 else f"({', '.join(row[column] for column in varying)})" for row in rows]
        return _text(Call(first.function, tuple(arguments[: len(first.args)]), keywords)), _loops(", ".join(names.values()), values)

    def loop_name(self, call: Call, column: int) -> str:
        """What a column is called in a comprehension; the class's own argument of that name must stay readable beside it."""
        known = self.signatures.get(call.function) or parameters_of(call.function)
        name = known[column] if column < len(call.args) and column < len(known) else "value"
        name = call.kwargs[column - len(call.args)][0] if column >= len(call.args) else name
        return f"each_{name}" if name in self.taken else name

    def each(self, there: str, path: Path, slot: Slot) -> Iterator[str]:
        """What is done to the copies one by one: in a loop, where it is the same for all."""
        texts = [list(self.element("{}", (*path, key), child)) for key, child in slot.inner.items()]
        if not any(texts):
            return
        if len(texts) > 1 and all(text == texts[0] for text in texts):
            copies = there if self.places.container(path) != "dict" else f"{there}.values()"
            yield f"for {self.every} in {copies}:"
            yield from (f"    {line.replace('{}', self.every)}" for line in texts[0])
            return
        for key, child in slot.inner.items():
            yield from self.element(self.places.step(there, path, key), (*path, key), child)

    def element(self, there: str, path: Path, slot: Slot) -> Iterator[str]:
        return self.afterwards(there, slot) if slot.step is not None else self.inner(there, path, slot)


def _text(code: Argument) -> str:
    return render(code, _no_tensor, _no_size)


def _no_tensor(_: Input) -> str:
    raise InternalError("emit", "a constructor reads a tensor")


def _no_size(symbol: str) -> str:
    raise InternalError("emit", f"a constructor depends on the symbolic size {symbol}")


def _head(call: Call) -> object:
    return call.function, len(call.args), [name for name, _ in call.kwargs]


Loops = Sequence[tuple[str, Sequence[str]]]
"""The `for` clauses of a comprehension, the outermost first: names, and what they run through. The name `_` stands before a range."""


def _loops(names: str, values: Sequence[str]) -> Loops:
    """Loops that run through values in order; values that each come several times in a row, or that come round again, are written once."""
    count = len(values)
    for times in range(count // 2, 1, -1):
        if count % times == 0 and all(values[at] == values[at - at % times] for at in range(count)):
            return [(names, values[::times]), ("_", [f"range({times})"])]
    for length in range(1, count // 2 + 1):
        if count % length == 0 and all(values[at] == values[at % length] for at in range(count)):
            return [("_", [f"range({count // length})"]), (names, values[:length])]
    return [(names, values)]


def _comprehension(opening: str, closing: str, call: str, loops: Loops) -> Iterator[str]:
    spelled = [f"for {names} in {values[0] if names == '_' else '(' + ', '.join(values) + ')'}" for names, values in loops]
    if len(line := f"{opening}{call} {' '.join(spelled)}{closing}") <= WIDTH - 12:
        yield line
        return
    yield opening
    yield f"    {call}"
    for (names, values), text in zip(loops, spelled, strict=True):
        if len(text) <= WIDTH - 16:
            yield f"    {text}"
            continue
        yield f"    for {names} in ("
        yield from _filled(values, "        ")
        yield "    )"
    yield closing


def _filled(values: Sequence[str], indent: str) -> Iterator[str]:
    line = indent
    for value in values:
        if len(line) + len(value) + 2 > WIDTH - 8 and line != indent:
            yield line.rstrip()
            line = indent
        line += f"{value}, "
    yield line.rstrip()


def _wrapped(opening: str, items: Sequence[str], closing: str) -> Iterator[str]:
    """On one line where that fits, else one item a line."""
    if len(line := f"{opening}{', '.join(items)}{closing}") <= WIDTH - 8:
        yield line
        return
    yield opening
    yield from (f"    {item}," for item in items)
    yield closing
