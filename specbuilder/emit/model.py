"""TypedGraph to the source of an `nn.Module`: the file that trains, and that a person can read and keep.

Kinds with parameters, buffers or a training mode become attributes, whose paths are the paths of the graph; all others are plain calls in `forward`.
Straight lines, the type of each as a comment; a repeat whose copies differ in nothing that `forward` sees is a loop. No import of ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from specbuilder.catalogue.contract import Attribute, Input, Module
from specbuilder.diagnostics import InternalError
from specbuilder.emit.names import Names
from specbuilder.emit.pasted import pasted
from specbuilder.emit.render import comment, docstring, render, symbols
from specbuilder.graph.graph import Arrival, GraphNode, TypedGraph, Value
from specbuilder.records import Record
from specbuilder.shapes import Dim, Poly, evaluate


class Emission(Record):
    """A source and the name of the class in it."""

    text: str
    class_name: str


Group = Sequence[GraphNode]
"""The copies of one repeat, or a single node."""


def emit_model(graph: TypedGraph, origin: str, version: str) -> Emission:
    """The source of the model. `origin` is the name of the spec, for the head of the file."""
    class_name = "".join(part.capitalize() for part in graph.name.split("_")) or "Network"
    groups = [list(copies) for _, copies in groupby(graph.nodes, key=_group_key)]
    body = ["    def __init__(self) -> None:", "        super().__init__()", *_attributes(groups), "", *_Forward(graph, groups).lines()]
    imports = ["import torch", "from torch import Tensor, nn", "from torch.nn import functional as F"]
    brought = pasted(node.kind for node in graph.nodes)
    while class_name in brought.names:
        class_name += "_"
    used = "\n".join((*body, *brought.texts))
    needed = [line for line, word in zip(imports, ("torch.", "nn.", "F."), strict=True) if word in used or "Tensor" in line]
    text = "\n".join(
        [
            comment(f"Emitted by specbuilder {version} from {origin}. Plain PyTorch: nothing of specbuilder is needed to use it."),
            "",
            *needed,
            *brought.imports,
            "",
            "",
            *(line for text in brought.texts for line in (text, "", "")),
            f"class {class_name}(nn.Module):",
            *docstring(graph.description or f"The network `{graph.name}`.", "    "),
            "",
            *body,
            "",
        ]
    )
    return Emission(text=text, class_name=class_name)


def _group_key(node: GraphNode) -> object:
    return (node.path[0], "repeat") if len(node.path) > 1 else node


# __init__ ------------------------------------------------------------------------------------------------------------


def _attributes(groups: Sequence[Group]) -> Iterator[str]:
    for copies in groups:
        modules = [(node.path[-1], _constructor(node)) for node in copies if isinstance(node.source, Module)]
        if not modules:
            continue
        attribute = copies[0].path[0]
        if len(copies[0].path) == 1:
            yield f"        self.{attribute} = {modules[0][1]}"
        elif [index for index, _ in modules] != list(range(len(modules))):
            # Absent copies keep their number, so the indices have gaps and a list would shift them.
            inner = ", ".join(f'"{index}": {text}' for index, text in modules)
            yield f"        self.{attribute} = nn.ModuleDict({{{inner}}})"
        elif len({text for _, text in modules}) == 1 and len(modules) > 1:
            yield f"        self.{attribute} = nn.ModuleList(%s for _ in range({len(modules)}))" % modules[0][1]
        else:
            yield f"        self.{attribute} = nn.ModuleList(["
            yield from (f"            {text}," for _, text in modules)
            yield "        ])"


def _constructor(node: GraphNode) -> str:
    assert isinstance(node.source, Module)
    return render(node.source.constructor, _no_tensor, _no_size)


def _no_tensor(_: Input) -> str:
    raise InternalError("emit", "a constructor reads a tensor")


def _no_size(symbol: str) -> str:
    raise InternalError("emit", f"a constructor depends on the symbolic size {symbol}")


# forward -------------------------------------------------------------------------------------------------------------


class _Forward:
    """Writes `forward`: keeps which variable holds which value, and how often each value is still read."""

    def __init__(self, graph: TypedGraph, groups: Sequence[Group]) -> None:
        self.graph, self.groups = graph, groups
        self.sizes = sorted({symbol for node in graph.nodes if not isinstance(node.source, (Module, Attribute)) for symbol in symbols(node.source)})
        chosen = {str(value.path[0]) for value in graph.inputs} | {str(node.path[0]) for node in graph.nodes if node.is_named}
        self.names = Names(chosen | set(self.sizes), pasted(node.kind for node in graph.nodes).names)
        self.each = self.names.new(next(word for word in ("layer", "each_layer", "each_of_the_layers") if word not in chosen))
        self.last_copies = {copies[-1].path[0]: copies[-1] for copies in groups}
        self.variable: dict[Value, str] = {value: self.names.new(str(value.path[0])) for value in graph.inputs}
        self.size_name = {symbol: self.names.new(symbol) for symbol in self.sizes}
        self.reads = Counter(value for node in graph.nodes for value in node.arriving())
        self.reads.update(graph.outputs.values())
        self.running: Value | None = None

    def lines(self) -> Iterator[str]:
        arguments = ", ".join(f"{self.variable[value]}: Tensor" for value in self.graph.inputs)
        returns = "Tensor" if len(self.graph.outputs) == 1 else "dict[str, Tensor]"
        yield f"    def forward(self, {arguments}) -> {returns}:"
        for value in self.graph.inputs:
            yield f"        # {self.variable[value]}: {value.type}"
        yield from (f"        {self.size_name[symbol]} = {self._size(symbol)}" for symbol in self.sizes)
        for copies in self.groups:
            yield from self._loop(copies) if len(copies) > 1 and self._is_loop(copies) else self._straight(copies)
        yield f"        return {self._result()}"

    def _result(self) -> str:
        if len(self.graph.outputs) == 1:
            return self.variable[next(iter(self.graph.outputs.values()))]
        inner = ", ".join(f'"{name}": {self.variable[value]}' for name, value in self.graph.outputs.items())
        return f"{{{inner}}}"

    def _size(self, symbol: str) -> str:
        """The size as read from an input: `image.shape[2]`, or `image.shape[2] // 16` where the type says `16*h`."""
        candidates = [
            (value, axis, dim)
            for value in self.graph.inputs
            for axis, dim in enumerate(value.type.shape if value.type is not None else ())
            if isinstance(dim, Poly) and dim.symbols == {symbol}
        ]
        for value, axis, dim in candidates:
            solved = _solve(dim, symbol, f"{self.variable[value]}.shape[{axis}]")
            if solved is not None:
                return solved
        raise InternalError("emit", f"no input tells the size {symbol}")

    def _straight(self, copies: Group) -> Iterator[str]:
        for node in copies:
            self._forget(node)
            call = self._call(node, self._module(node))
            targets = ", ".join(self._assign(node, value) for value in node.outputs)
            yield f"        {targets} = {call}  # {', '.join(str(value.type) for value in node.outputs)}"

    def _module(self, node: GraphNode) -> str:
        attribute = f"self.{node.path[0]}"
        if len(node.path) == 1:
            return attribute
        siblings = [copy.path[-1] for copies in self.groups if copies[0].path[0] == node.path[0] for copy in copies]
        return f"{attribute}[{node.path[-1]}]" if siblings == list(range(len(siblings))) else f'{attribute}["{node.path[-1]}"]'

    def _call(self, node: GraphNode, module: str) -> str:
        if isinstance(node.source, Module):
            return f"{module}({', '.join(self._arrival(arrival) for arrival in node.inputs if arrival is not None)})"
        assert not isinstance(node.source, Attribute)
        return render(node.source, lambda reference: self._tensor(node, reference), lambda symbol: self.size_name[symbol])

    def _tensor(self, node: GraphNode, reference: Input) -> str:
        arrival = node.inputs[reference.port]
        if isinstance(arrival, tuple) and reference.item is not None:
            arrival = arrival[reference.item]
        return self._arrival(arrival)

    def _arrival(self, arrival: Arrival) -> str:
        if isinstance(arrival, Value):
            return self.variable[arrival]
        return "None" if arrival is None else f"[{', '.join(self.variable[value] for value in arrival)}]"

    def _forget(self, node: GraphNode) -> None:
        """Counts the reads of a node as done."""
        self.reads.subtract(node.arriving())

    def _assign(self, node: GraphNode, value: Value) -> str:
        """The variable that takes an output."""
        if node.is_named or len(node.outputs) > 1:
            self.variable[value] = self.names.new(self._wanted(node, value))
        elif self.running is None or self.reads[self.running] <= 0:
            self.variable[value] = self.names.running
            self.running = value
        else:
            self.variable[value] = self.names.new(self._wanted(node, value))
        return self.variable[value]

    def _wanted(self, node: GraphNode, value: Value) -> str:
        """A variable's name after its node; the last copy of a repeat bears the bare name, as it does in a spec."""
        path = node.path[:1] if node is self.last_copies.get(node.path[0]) else node.path
        return "_".join(map(str, (*path, *([value.port] if value.port else []))))

    # Loops -----------------------------------------------------------------------------------------------------------

    def _is_loop(self, copies: Group) -> bool:
        """Whether one line in a loop says what all copies do: modules, each reading the one before in the same place, nobody else reading the inner ones."""
        if not all(isinstance(node.source, Module) and len(node.outputs) == 1 for node in copies):
            return False
        inner = [node.outputs[0] for node in copies[:-1]]
        if any(self.reads[value] != 1 for value in inner):
            return False
        return all(node.inputs[0] is before and node.inputs[1:] == copies[0].inputs[1:] for node, before in zip(copies[1:], inner, strict=True))

    def _loop(self, copies: Group) -> Iterator[str]:
        first, last = copies[0], copies[-1]
        for node in copies:
            self._forget(node)
        start = self._arrival(first.inputs[0])
        others = "".join(f", {self._arrival(arrival)}" for arrival in first.inputs[1:] if arrival is not None)
        variable = self._assign(last, last.outputs[0])
        if variable != start:
            yield f"        {variable} = {start}"
        keys = [node.path[-1] for node in copies]
        items = f"self.{first.path[0]}" if keys == list(range(len(keys))) else f"self.{first.path[0]}.values()"
        yield f"        for {self.each} in {items}:"
        yield f"            {variable} = {self.each}({variable}{others})  # {last.outputs[0].type}"


def _solve(dim: Dim, symbol: str, text: str) -> str | None:
    """The symbol from the text of a size that is `factor * symbol + offset`."""
    offset = evaluate(dim, {symbol: 0})
    factor = evaluate(dim, {symbol: 1}) - offset
    if factor < 1 or any(evaluate(dim, {symbol: n}) != factor * n + offset for n in (2, 3, 7)):
        return None
    shifted = text if offset == 0 else f"({text} - {offset})" if offset > 0 else f"({text} + {-offset})"
    return shifted if factor == 1 else f"{shifted} // {factor}"
