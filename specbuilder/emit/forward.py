"""The `forward` of a class: one straight line a step with the type of what it gives, loops where copies follow each other in equal lines.

A variable holds a value until its last read; nothing is written over before that. Values of lists are read where they stand, tensors that the model holds
are read as attributes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from specbuilder.catalogue.contract import Attribute, Code, Input, Module
from specbuilder.emit import sizes
from specbuilder.emit.code import Held, take_apart
from specbuilder.emit.constructor import WIDTH, resolved
from specbuilder.emit.form import Form, Piece
from specbuilder.emit.leaves import Size, values_of
from specbuilder.emit.names import Names
from specbuilder.emit.outline import Step, Unit, is_named, title
from specbuilder.emit.places import Places
from specbuilder.emit.render import render
from specbuilder.emit.types import Types
from specbuilder.graph.graph import STATE, Arrival, GraphNode, Past, Path, Value
from specbuilder.shapes import Dim, Poly


def forward_lines(form: Form, places: Places) -> Iterator[str]:
    """The lines of `forward`, indented as they stand in the file."""
    yield from (f"    {line}" for line in _Forward(form, places).lines())


class _Forward:
    def __init__(self, form: Form, places: Places) -> None:
        self.form, self.places, self.unit = form, places, form.first
        self.base = self.unit.path
        self.types = Types(form)
        self.reads = Counter[Value]()
        for step in self.unit.steps:
            self.reads.update(step.reads)
        self.reads.update(value for _, value in self.unit.outputs)
        self.reads.update(each.value for each in self.unit.kept)
        self.told = dict(self._told())
        self.reads.update(value for told in self.told.values() for _, _, values in told for value in values)
        joined = {step.path for step in self.unit.steps if _joins(step)}
        copies = (step for step in self.unit.steps if step.path and isinstance(step.path[-1], int) and step.path[:-1] not in joined)
        self.last_copies = {step.path[:-1]: step for step in copies}
        self.lists: dict[tuple[Value, ...], str] = {}
        """Lists of copies that one line makes, by what is in them."""
        self.listed = {arrival for step, pieces in zip(self.unit.steps, form.pieces, strict=True) for arrival in _whole_lists(step, pieces)}
        self.suffixes = _suffixes(self.unit.steps)
        self.variable: dict[Value, str] = {}
        self.chosen = self._chosen()
        self.names = Names(self.chosen, self.reads, form.pasted)
        self.parameters = list(self._parameters())
        self.state = self._state() if self.unit.kept else ""
        self.sizes = {name: self.names.new(name) for name in (*form.measured, *form.told, *(size.name for size in form.passed))}
        self.device = self._device()
        self.loop_names: dict[str, str] = {}
        self.pieces = [next((piece for piece in pieces if piece.place == "used"), None) for pieces in form.pieces]

    # Names of what arrives -------------------------------------------------------------------------------------------

    def _chosen(self) -> set[str]:
        """Names that no running variable may take: those of inputs, of sizes and of named nodes."""
        names = {name for name, _ in self.unit.inputs if name not in ("input", "x")} | {_outer(value) for value in self.unit.outside}
        names |= {self._short(step) for step in self.unit.steps if is_named(step)} | set(self.unit.titles.values())
        names |= {title(step.path) for step in self.unit.steps if is_named(step)}
        return names | {*self.form.measured, *self.form.told, *(size.name for size in self.form.passed)}

    def _parameters(self) -> Iterator[tuple[str, Value]]:
        """The tensors that `forward` takes. What is called `x`, or nothing in particular, is the start of the running chain."""
        outside = () if self.unit.kept else self.unit.outside
        for name, value in (*self.unit.inputs, *((_outer(value), value) for value in outside)):
            is_running = name == "x" or (name == "input" and self.unit.part is not None and "x" not in self.chosen)
            is_free = value not in self.variable and "x" not in self.variable.values() and "x" not in self.form.pasted
            text = self.names.hold("x", value) if is_running and is_free else self.names.parameter(name)
            self.variable.setdefault(value, text)
            yield text, value

    def _state(self) -> str:
        """The argument that takes the state of the network. What each node kept is read where it stands in it."""
        state, past = self.names.parameter(STATE), self.names.new("past")
        self.variable |= {each.past: f'{past}["{each.name}"]' for each in self.unit.kept}
        self.past = past
        return state

    def _device(self) -> str:
        told = next((name for name, value in self.parameters if not isinstance(value, Past)), None)
        return f"{told}.device" if told is not None else self.names.new("device")

    # Lines -----------------------------------------------------------------------------------------------------------

    def lines(self) -> Iterator[str]:
        arguments = [f"{name}: Tensor{' | None' if isinstance(value, Past) else ''}" for name, value in self.parameters]
        arguments += [f"{self.sizes[size.name]}: int" for size in self.form.passed]
        arguments += [f"{self.device}: torch.device"] if self.form.wants_device else []
        arguments += [f"{self.state}: {self.form.state_name} | None = None"] if self.state else []
        yield f"def forward(self{''.join(f', {argument}' for argument in arguments)}) -> {self._returns()}:"
        yield from (f"    # {name}: {self.types.text(value)}" for name, value in self.parameters)
        if self.state:
            yield f"    {self.past} = {self.state} or dict.fromkeys({self.form.state_name}.__annotations__)"
        entered = [value for _, value in self.parameters]
        for name, dim in self.form.measured.items():
            yield f"    {self.sizes[name]} = {render(self._measured(dim, entered), _no_input, lambda symbol: self._axis(symbol, entered))}"
        at = 0
        while at < len(self.unit.steps):
            count = self._copies(at)
            many = self._beside(at)
            if count > 1 and (loop := self._loop(at, count)):
                yield from (f"    {line}" for line in loop)
                at += count
            elif many > 2 and (line := self._comprehension(at, many)):
                yield from (f"    {each}" for each in line)
                at += many
            else:
                yield from (f"    {line}" for line in self._straight(at))
                at += 1
            yield from (f"    {line}" for line in self._told_by(at - 1))
        if self.state:
            yield f"    if {self.state} is None:"
            yield f"        return {self._result()}"
            yield f"    return {self._result()}, {{"
            yield from (f'        "{each.name}": {self.variable[each.value]},' for each in self.unit.kept)
            yield "    }"
        else:
            yield f"    return {self._result()}"

    def _told(self) -> Iterator[tuple[int, list[tuple[str, Dim, list[Value]]]]]:
        """The sizes that are read off what a step gives: by step, their names, formulas and what those read. They wait for the last tensor they read."""
        everything = list(values_of(self.unit, len(self.unit.steps)))
        first = len(self.unit.inputs) + len(self.unit.outside)
        made_by = [at for at, step in enumerate(self.unit.steps) for _ in step.outputs]
        found: dict[int, list[tuple[str, Dim, list[Value]]]] = {}
        for name, dim in self.form.told.items():
            read = sorted({sizes.place(symbol)[0] for symbol in dim.symbols}) if isinstance(dim, Poly) else []
            found.setdefault(made_by[read[-1] - first], []).append((name, dim, [everything[at] for at in read]))
        return iter(found.items())

    def _told_by(self, at: int) -> Iterator[str]:
        everything = list(values_of(self.unit, at + 1)) if at in self.told else []
        for name, dim, read in self.told.get(at, ()):
            yield f"{self.sizes[name]} = {render(self._measured(dim, everything), _no_input, lambda symbol: self._axis(symbol, everything))}"
            self.reads.subtract(read)

    def _returns(self) -> str:
        count = len(self.unit.outputs)
        if self.unit.part is None:
            outputs = "Tensor" if count == 1 else "dict[str, Tensor]"
            return f"{outputs} | tuple[{outputs}, {self.form.state_name}]" if self.state else outputs
        return "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"

    def _result(self) -> str:
        texts = [self.variable[value] for _, value in self.unit.outputs]
        if len(texts) == 1:
            return texts[0]
        if self.unit.part is not None:
            return ", ".join(texts)
        inner = ", ".join(f'"{name}": {text}' for (name, _), text in zip(self.unit.outputs, texts, strict=True))
        return f"{{{inner}}}"

    def _straight(self, at: int) -> Iterator[str]:
        step = self.unit.steps[at]
        there = self.places.text(self.base, step.path)
        piece = self.pieces[at]
        if piece is None:
            self.variable |= dict.fromkeys(step.outputs, there)
            return
        call = self._call(step, piece, there)
        self.reads.subtract(step.reads)
        targets = ", ".join([self._assign(step, number, value) for number, value in enumerate(step.outputs)])
        yield from _commented(f"{targets} = {call}", self._types(step, targets))

    def _types(self, step: Step, targets: str) -> str:
        """The types of what a line gives, as far as it is kept."""
        kept = [value for value, target in zip(step.outputs, targets.split(", "), strict=True) if target != "_"]
        return ", ".join(map(self.types.text, kept or step.outputs[:1]))

    def _call(self, step: Step, piece: Piece, itself: str, instead: Mapping[Value, str] | None = None) -> str:
        """The text of a step; `instead` are other variables than those that hold the values."""
        known = self.variable if not instead else {**{value: self.variable.get(value, "") for value in step.reads}, **instead}

        def read(reference: Input | Held | Code) -> str:
            if isinstance(reference, Code):
                return self.device
            if isinstance(reference, Held):
                there = self.places.text(self.base, reference.path)
                return (f"{there}.{reference.tensor}" if reference.tensor else there) + (".mT" if reference.is_transposed else "")
            arrival = step.arrival(reference)
            return self.lists[arrival] if isinstance(arrival, tuple) and arrival in self.lists else _listed(arrival, known)

        def leaf(argument: Any) -> Any:
            if isinstance(argument, Size):
                return Code(self.sizes[argument.name])
            return self._measured(argument, step.reads, known) if isinstance(argument, Poly) else argument

        return render(resolved(piece.code, piece, read, itself, leaf), _no_input, lambda symbol: self._axis(symbol, step.reads, known))

    def _measured(self, dim: Any, values: Sequence[Value], known: Mapping[Value, str] | None = None) -> Any:
        """A formula over axes; where it is one axis, its text."""
        name = sizes.single(dim)
        return dim if name is None else Code(self._axis(name, values, known))

    def _axis(self, name: str, values: Sequence[Value], known: Mapping[Value, str] | None = None) -> str:
        at, axis = sizes.place(name)
        return f"{(known or self.variable)[values[at]]}.shape[{axis}]"

    # Variables -------------------------------------------------------------------------------------------------------

    def _assign(self, step: Step, number: int, value: Value, *, is_passing: bool = False) -> str:
        """The variable that takes an output; one that is only passing on to the next line needs no name of its own."""
        if value in self.variable or (len(step.outputs) > 1 and self.reads[value] <= 0):
            return "_"  # one of the values that arrived, or one that nobody reads
        is_own = (is_named(step) and not is_passing) or (len(step.outputs) > 1 and (number > 0 or isinstance(step.item, GraphNode)))
        name = None if is_own or (value in self.unit.titles and not is_passing) else self.names.run(value)
        if name is None:
            name = self.names.new(self._short(step, value, number), self._long(step, value))
        self.variable[value] = name
        return name

    def _short(self, step: Step, value: Value | None = None, number: int = 0) -> str:
        """A variable's name after its node; the last copy of a repeat bears the bare name, as it does in a spec."""
        if value is not None and value in self.unit.titles and not is_named(step):
            return self.unit.titles[value]
        path = step.path[:-1] if self.last_copies.get(step.path[:-1]) is step else step.path
        name = title(path)
        if path and isinstance(path[-1], int):
            name = f"{name}_{path[-1]}"
        name += self.suffixes.get(step, "")
        port = self._port(step, value, number)
        return f"{name}_{port}" if port else name

    def _long(self, step: Step, value: Value) -> str:
        port = self._port(step, value, 1)
        return "_".join(map(str, (*step.path[len(self.base) :], *([port] if port else []))))

    def _port(self, step: Step, value: Value | None, number: int) -> str:
        """What tells an output from the others of its step; the first of a block bears the name of the block alone."""
        if value is None or len(step.outputs) < 2:
            return ""
        if isinstance(step.item, Unit):
            return next((name for name, output in step.item.outputs if output is value), "") if number else ""
        return value.port

    # Loops -----------------------------------------------------------------------------------------------------------

    def _copies(self, at: int) -> int:
        """How many steps from here on are copies of one repeat, each reading the one before it and nobody else reading that."""
        steps = self.unit.steps
        path = steps[at].path
        if not path or self.pieces[at] is None or not steps[at].outputs:
            return 1
        count = 1
        while at + count < len(steps):
            before, step = steps[at + count - 1], steps[at + count]
            if not (_are_copies(before.path, step.path) and self._carries(before, step)) or self.pieces[at + count] is None:
                break
            count += 1
        return count

    def _carries(self, before: Step, step: Step) -> bool:
        first = before.outputs[0]
        if not step.reads or step.reads[0] is not first or first in before.reads:
            return False
        return step.reads.count(first) == self.reads[first] and all(
            self.reads[value] == 0 and value not in self.variable for value in before.outputs[1:]
        )

    def _loop(self, at: int, count: int) -> list[str]:
        """One loop for copies whose lines are equal; nothing where they are not."""
        steps = self.unit.steps[at : at + count]
        first, last = steps[0], steps[-1]
        if not first.reads or any(self.reads[value] > 0 for value in last.outputs[1:]) or last.outputs[0] in self.variable:
            return []
        there, each = self._over(steps)
        if there is None or (first.path == last.path and count == 2):
            return []
        start = self.variable[first.reads[0]]
        mark = "\0"
        calls = {
            self._call(step, piece, each, {step.reads[0]: mark})
            for step, piece in zip(steps, self.pieces[at : at + count], strict=True)
            if piece is not None
        }
        if len(calls) > 1:
            return []
        # The variable must not be one that the lines read beside it, so those are let go only afterwards.
        for step in steps:
            self.reads.subtract([value for value in step.reads if value is step.reads[0]])
        follows = self.unit.steps[at + count].reads.count(last.outputs[0]) if at + count < len(self.unit.steps) else 0
        is_passing = follows == self.reads[last.outputs[0]]
        variable = self._assign(last, 0, last.outputs[0], is_passing=is_passing)
        for step in steps:
            self.reads.subtract([value for value in step.reads if value is not step.reads[0]])
        targets = ", ".join([variable, *["_"] * (len(last.outputs) - 1)])
        lines = _commented(f"{targets} = {calls.pop().replace(mark, variable)}", self._types(last, targets))
        begin = [f"{variable} = {start}"] if variable != start else []
        return [*begin, f"for {each if first.path != last.path else '_'} in {there}:", *(f"    {line}" for line in lines)]

    # Copies side by side ---------------------------------------------------------------------------------------------

    def _beside(self, at: int) -> int:
        """How many steps from here on are all the copies of one `each`, read once and together."""
        step = self.unit.steps[at]
        if not step.path or not isinstance(step.path[-1], int) or step.path[-1] != 0:
            return 1
        count = self.places.count(step.path[:-1])
        steps = self.unit.steps[at : at + count]
        if any(copy.path[:-1] != step.path[:-1] or len(copy.outputs) != 1 or self.reads[copy.outputs[0]] != 1 for copy in steps):
            return 1
        return count if len(steps) == count and tuple([copy.outputs[0] for copy in steps]) in self.listed else 1

    def _comprehension(self, at: int, count: int) -> list[str]:
        """One line for copies that read the same; nothing where they do not."""
        steps = self.unit.steps[at : at + count]
        there, each = self._over(steps)
        if there is None:
            return []
        calls = {self._call(step, piece, each) for step, piece in zip(steps, self.pieces[at : at + count], strict=True) if piece is not None}
        if len(calls) > 1:
            return []
        for step in steps:
            self.reads.subtract(step.reads)
        name = self.names.new(f"{title(steps[0].path)}_list", f"{'_'.join(map(str, steps[0].path[len(self.base) : -1]))}_list")
        self.lists[tuple([step.outputs[0] for step in steps])] = name
        return _commented(f"{name} = [{calls.pop()} for {each} in {there}]", f"{count} of {self.types.text(steps[0].outputs[0])}")

    def _over(self, steps: Sequence[Step]) -> tuple[str | None, str]:
        """What a loop runs over, and the text of one copy in it."""
        path = steps[0].path
        if path == steps[-1].path:
            return f"range({len(steps)})", self.places.text(self.base, path)
        container, text = self.places.container(path[:-1]), self.places.text(self.base, path[:-1])
        if container not in ("list", "dict") or self.places.count(path[:-1]) != len(steps):
            return None, ""
        return text if container == "list" else f"{text}.values()", self._each(title(path))

    def _each(self, name: str) -> str:
        """The variable of a loop over copies: named after them, or `layer` where a variable has that name."""
        wanted = name if name in self.loop_names or not (name in self.chosen or self.names.is_used(name)) else "layer"
        if wanted not in self.loop_names:
            self.loop_names[wanted] = self.names.new(wanted)
        return self.loop_names[wanted]


def _are_copies(before: Path, path: Path) -> bool:
    return before == path or (before[:-1] == path[:-1] and isinstance(before[-1], int) and isinstance(path[-1], int))


def _suffixes(steps: Sequence[Step]) -> dict[Step, str]:
    """What tells the steps of one path from each other: weights that are used several times have several. What joins them bears the bare name, if
    anything does, since that is what the name means then.
    """
    by_path: dict[Path, list[Step]] = {}
    for step in steps:
        by_path.setdefault(step.path, []).append(step)
    found: dict[Step, str] = {}
    for same in by_path.values():
        if len(same) > 1:
            first = 0 if _joins(same[-1]) else 1
            found |= {step: f"_{at}" for at, step in enumerate(same, start=first)}
            found[same[0] if first else same[-1]] = ""
    return found


def _joins(step: Step) -> bool:
    """Whether a step is a function of a list, as what merges copies is."""
    return (
        isinstance(step.item, GraphNode)
        and not isinstance(step.item.source, (Module, Attribute))
        and any(isinstance(arrival, tuple) for arrival in step.item.inputs)
    )


def _whole_lists(step: Step, pieces: Sequence[Piece]) -> Iterator[tuple[Value, ...]]:
    """The lists that a step reads as lists, rather than one by one."""
    if not isinstance(step.item, GraphNode) or not any(isinstance(arrival, tuple) for arrival in step.item.inputs):
        return
    references: list[Any] = []
    for piece in pieces:
        if piece.place == "used":
            take_apart(piece.code, references.append, [], [])
    single = {reference.port for reference in references if isinstance(reference, Input) and reference.item is not None}
    for port, arrival in enumerate(step.item.inputs):
        if isinstance(arrival, tuple) and port not in single:
            yield arrival


def _commented(line: str, comment: str) -> list[str]:
    """A line with its comment, which stands above it where both together are too long."""
    return [f"{line}  # {comment}"] if len(line) + len(comment) <= WIDTH - 16 else [f"# {comment}", line]


def _outer(value: Value) -> str:
    """What a value from outside is called."""
    return f"{title(value.path)}_{value.port}" if value.port else title(value.path)


def _listed(arrival: Arrival, known: Mapping[Value, str]) -> str:
    if isinstance(arrival, Value):
        return known[arrival]
    return "None" if arrival is None else f"[{', '.join([known[value] for value in arrival])}]"


def _no_input(_: Input) -> str:
    raise AssertionError("references have been replaced by texts")
