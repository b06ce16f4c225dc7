"""Names in a list of nodes: what stands under a name, and what a reference means.

A reference may point to earlier nodes of its list only, or, from an open list (`sequence`, `residual`, a branch), to those around it. Everything is
resolved while the walk goes on and costs nothing at run time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from specbuilder.diagnostics import Span, did_you_mean
from specbuilder.graph.graph import Value
from specbuilder.language.tree import NodeTree
from specbuilder.records import Record

Output = Value | tuple[Value, ...]
"""What a port gives: a tensor, or a list of them."""


class Produced(Record, identity=True):
    """What one copy of a node gives, by port; the first is the default."""

    ports: Mapping[str, Output]
    is_absent: bool = False
    """Whether `when` left the copy out, so that it stands for its first input."""
    is_off_chain: bool = False
    """Whether it never becomes `prev`, as a parameter does not."""
    made: object = None
    """How the walk made it, so that `share` can do the same again."""

    @property
    def default(self) -> Output:
        return next(iter(self.ports.values()), ())


class Named(Record):
    """All copies under one name. A node without copies has one and no index."""

    copies: tuple[Produced, ...]
    span: Span
    is_repeated: bool = False
    is_list: bool = False
    """Whether the bare name means all copies (`each`) and not the last one."""

    @property
    def is_absent(self) -> bool:
        return all(copy.is_absent for copy in self.copies)


class Found(NamedTuple):
    """What a reference means: one tensor, a list that is handed on as one thing, or several that are spread where they are read (`x.*`)."""

    values: tuple[Value, ...]
    form: Literal["one", "list", "spread"] = "one"

    @property
    def output(self) -> Output:
        return self.values[0] if self.form == "one" else self.values


class ReferenceProblem(Exception):
    """A reference that means nothing here. `related` is another place to show."""

    def __init__(self, code: str, message: str, help: str | None = None, related: tuple[Span, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.help, self.related = code, message, help, related


@dataclass(slots=True)
class Scope:
    """The names of one list, in the making."""

    entry: tuple[Output, ...]
    """What entered the list."""
    outer: Scope | None = None
    """The names around an open list; a block is closed."""
    is_block: bool = False
    is_told: bool = False
    """Whether it has been said that nothing enters here though something should."""
    named: dict[str, Named] = field(default_factory=dict)
    made: list[tuple[NodeTree, str, Named]] = field(default_factory=list)
    """The nodes of the list by name, in the order of the text."""
    previous: Produced | None = None
    later: Mapping[str, Span] = field(default_factory=dict)
    """Explicit names of the whole list, to tell "later" from "nowhere"."""
    unnamed: Mapping[str, int] = field(default_factory=dict)
    """How often each kind stands unnamed in the whole list."""
    counted: set[str] = field(default_factory=set)
    """Names such as `relu_2`, which change with what stands before them and are nobody's to refer to."""
    own: str | None = None
    """The name of the node that is being looked at."""
    has_nameless: bool = False
    """Whether a node stands here whose name is wrong, which has been told: a name that nobody bears may be meant to be its."""

    def resolve(self, text: str) -> Found:
        """What a reference means."""
        head, *steps = text.split(".")
        return _follow(text, self.copies_of(head), steps)

    def copies_of(self, head: str) -> Named:
        """What stands under a name, seen from this list."""
        if head == "prev":
            return Named((self._previous(),), _NOWHERE)
        if head == "input" and "input" not in self.named:
            return Named((Produced({"": self._input(for_whom="`input`")}),), _NOWHERE)
        if self.unnamed.get(head, 0) > 1 and head not in self.later:
            raise ReferenceProblem("SB0305", f"`{head}` could be any of {self.unnamed[head]} nodes", help="give the one that is meant a `name`")
        if head in self.named and head not in self.counted:
            return self.named[head]
        if self.outer is not None and head != self.own and head not in self.counted and head not in self.later:
            try:
                return self.outer.copies_of(head)
            except ReferenceProblem as problem:
                if problem.code != "SB0301" or problem.related is not None or head == self.outer.own:
                    raise
        if self.may_be_nameless(head):
            return Named((Produced({"": NAMELESS}),), _NOWHERE)
        raise self._unknown(head)

    def may_be_nameless(self, name: str) -> bool:
        """Whether an unknown name may be that of a node whose name is wrong, here or around an open list."""
        if name == self.own or name in self.counted or name in self.later:
            return False
        return self.has_nameless or (self.outer is not None and self.outer.may_be_nameless(name))

    def _previous(self) -> Produced:
        if self.previous is not None:
            return self.previous
        if self.is_block and len(self.entry) > 1:
            return Produced({"": self.entry[0]})
        return Produced({"": self._input(for_whom="the first node of this list")})

    def _input(self, for_whom: str) -> Output:
        if self.is_told:
            return Value(("nothing",), None)
        if len(self.entry) == 1:
            return self.entry[0]
        if not self.entry:
            raise ReferenceProblem("SB0303", f"nothing enters this list for {for_whom} to read", help="name what it reads with `from`")
        names = ", ".join(f"`{value.name}`" for value in self.entry if isinstance(value, Value))
        raise ReferenceProblem(
            "SB0303", f"{len(self.entry)} tensors enter this list, so the one to read must be named", help=f"add `from:` with one of {names}"
        )

    def _unknown(self, name: str) -> ReferenceProblem:
        if name == self.own:
            return ReferenceProblem("SB0301", f"`{name}` cannot read itself", help="read an earlier node, or delete `from` to read the one before")
        if name in self.counted:
            message = f"`{name}` is a number that changes with the nodes before it, so nothing may refer to it"
            return ReferenceProblem("SB0305", message, help="give the node a `name`")
        if name in self.later:
            return ReferenceProblem(
                "SB0301",
                f"`{name}` comes later; a node can read earlier nodes only",
                help="move it up, or read another node",
                related=(self.later[name], f"`{name}` stands here"),
            )
        earlier = self._readable()
        known = list(dict.fromkeys((*earlier, *(each for each in self.later if each != self.own and each not in self.counted))))
        help = did_you_mean(name, known) or (f"the names here are {', '.join(f'`{name}`' for name in earlier)}" if 0 < len(earlier) <= 12 else None)
        return ReferenceProblem("SB0301", f"no node or input is called `{name}`", help=help)

    def _readable(self) -> list[str]:
        """The names that may be read here, those around an open list last."""
        own = [name for name in self.named if name not in self.counted and self.unnamed.get(name, 0) <= 1 and name != self.own]
        around = self.outer._readable() if self.outer is not None else []
        return list(dict.fromkeys((*own, *around)))


NAMELESS = Value(("nameless",), None)
"""What a name stands for that may be meant to be that of a node whose name is wrong."""

_NOWHERE: Span = None  # type: ignore[assignment]  # `prev` and `input` have no place of their own in the text


def _follow(text: str, named: Named, steps: list[str]) -> Found:
    copies = named.copies
    if named.is_repeated and steps and (steps[0] == "*" or is_index(steps[0])):
        step, *steps = steps
        if step == "*":
            values = [value for copy in copies for value in _within(text, copy, steps).values]
            return Found(tuple(values), "spread")
        return _within(text, copies[_index(text, int(step), len(copies), "copies")], steps)
    if named.is_repeated and named.is_list:
        if steps:
            help = f"write `{text.split('.', maxsplit=1)[0]}.0.{steps[0]}` for one copy, `{text.split('.', maxsplit=1)[0]}.*.{steps[0]}` for all"
            raise ReferenceProblem(
                "SB0303", f"`{text.split('.', maxsplit=1)[0]}` is a list of {len(copies)} copies, which has no output `{steps[0]}`", help=help
            )
        return Found(tuple(value for copy in copies for value in _values(copy.default)), "list")
    return _within(text, copies[-1], steps)


def _within(text: str, produced: Produced, steps: list[str]) -> Found:
    """What steps mean within one copy: a port, an element of a list."""
    if produced.is_absent and produced.is_off_chain:
        raise ReferenceProblem(
            "SB0308", f"`{text}` is absent here, since its `when` is false", help="read it only where it is there: give the reader the same `when`"
        )
    ports = produced.ports
    if steps and steps[0] in ports:
        output, steps = ports[steps[0]], steps[1:]
    elif steps and len(ports) > 1:
        step, *steps = steps
        if step == "*":
            return Found(tuple(value for output in ports.values() for value in _values(output)), "spread")
        if not is_index(step):
            raise _no_port(text, step, ports)
        output = ports[list(ports)[_index(text, int(step), len(ports), "outputs")]]
    else:
        output = produced.default
    return _element(text, output, steps, ports)


def _element(text: str, output: Output, steps: list[str], ports: Mapping[str, Output]) -> Found:
    if output is NAMELESS:
        return Found((NAMELESS,))
    if isinstance(output, Value):
        if steps == ["*"] and len(ports) == 1:
            return Found((output,), "spread")
        if steps:
            if len(ports) == 1 and len(steps) == 1:
                raise _no_port(text, steps[0], ports)
            before = text.rsplit(".", len(steps))[0]
            raise ReferenceProblem("SB0303", f"`{text}` goes deeper than `{before}`, which is one tensor")
        return Found((output,))
    if not steps:
        return Found(output, "list")
    step, *rest = steps
    if rest:
        raise ReferenceProblem("SB0303", f"`{text}` goes deeper than `{text.rsplit('.', len(rest))[0]}`, which is one tensor")
    if step == "*":
        return Found(output, "spread")
    if not is_index(step):
        raise ReferenceProblem(
            "SB0303",
            f"`{text.rsplit('.', 1)[0]}` is a list of {len(output)} tensors, which has no output `{step}`",
            help="index it: 0 is the first, -1 the last",
        )
    return Found((output[_index(text, int(step), len(output), "tensors")],))


def _values(output: Output) -> tuple[Value, ...]:
    return (output,) if isinstance(output, Value) else output


_INDEX = re.compile(r"-?(?:0|[1-9][0-9]{0,8})")


def is_index(step: str) -> bool:
    return _INDEX.fullmatch(step) is not None


def _index(text: str, index: int, count: int, noun: str) -> int:
    if not -count <= index < count:
        raise ReferenceProblem("SB0303", f"`{text}` asks for number {index}, but there are {count} {noun}, numbered from 0")
    return index


def _no_port(text: str, step: str, ports: Mapping[str, Output]) -> ReferenceProblem:
    named = [port for port in ports if port]
    help = did_you_mean(step, named) or (
        f"its outputs are {', '.join(f'`{port}`' for port in named)}" if len(named) > 1 else "it has one output; write the name alone"
    )
    return ReferenceProblem("SB0303", f"`{text.rsplit('.', 1)[0]}` has no output `{step}`", help=help)
