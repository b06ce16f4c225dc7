"""Names in a list of nodes: what stands under a name, and what a reference means.

A reference may point to earlier nodes of its list only. Everything is resolved while the walk goes on and costs nothing at run time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from specbuilder.diagnostics import Span, did_you_mean
from specbuilder.graph.graph import Value
from specbuilder.records import Record


class Produced(Record):
    """What one copy of a node gives: its values by port; the first is the default."""

    ports: Mapping[str, Value]
    is_absent: bool = False
    """Whether `when` left the copy out, so that it stands for its first input."""

    @property
    def default(self) -> Value:
        return next(iter(self.ports.values()))


class Named(Record):
    """All copies under one name. A node without `repeat` has one copy and no index."""

    copies: tuple[Produced, ...]
    span: Span
    is_repeated: bool = False

    @property
    def is_absent(self) -> bool:
        return all(copy.is_absent for copy in self.copies)


class ReferenceProblem(Exception):
    """A reference that means nothing here. `related` is another place to show."""

    def __init__(self, code: str, message: str, help: str | None = None, related: tuple[Span, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.help, self.related = code, message, help, related


@dataclass(slots=True)
class Scope:
    """The names of one list, in the making."""

    entry: tuple[Value, ...]
    """What entered the list."""
    named: dict[str, Named] = field(default_factory=dict)
    previous: Produced | None = None
    later: Mapping[str, Span] = field(default_factory=dict)
    """Explicit names of the whole list, to tell "later" from "nowhere"."""
    unnamed: Mapping[str, int] = field(default_factory=dict)
    """How often each kind stands unnamed in the whole list."""
    counted: set[str] = field(default_factory=set)
    """Names such as `relu_2`, which change with what stands before them and are nobody's to refer to."""
    own: str | None = None
    """The name of the node that is being looked at."""

    def resolve(self, text: str) -> tuple[Value, ...]:
        """The values that a reference means: one, or many for `.*`."""
        head, *steps = text.split(".")
        if head == "prev":
            return _follow(text, Named((self._previous(),), _NOWHERE), steps)
        if head == "input" and "input" not in self.named:
            return _follow(text, Named((Produced({"": self._input()}),), _NOWHERE), steps)
        if self.unnamed.get(head, 0) > 1 and head not in self.later:
            raise ReferenceProblem("SB0305", f"`{head}` could be any of {self.unnamed[head]} nodes", help="give the one that is meant a `name`")
        if head not in self.named or head in self.counted:
            raise self._unknown(head)
        return _follow(text, self.named[head], steps)

    def _previous(self) -> Produced:
        if self.previous is not None:
            return self.previous
        return Produced({"": self._input()})

    def _input(self) -> Value:
        if not self.entry:
            # A list that nothing enters has been told where its inputs should stand.
            return Value(("nothing",), None)
        if len(self.entry) == 1:
            return self.entry[0]
        names = ", ".join(f"`{value.name}`" for value in self.entry)
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
        known = [known for known in dict.fromkeys((*self.named, *self.later)) if known not in self.counted and self.unnamed.get(known, 0) <= 1]
        known = [known for known in known if known != self.own]
        earlier = [known for known in known if known in self.named]
        help = did_you_mean(name, known) or (f"the names here are {', '.join(f'`{name}`' for name in earlier)}" if 0 < len(earlier) <= 12 else None)
        return ReferenceProblem("SB0301", f"no node or input is called `{name}`", help=help)


_NOWHERE: Span = None  # type: ignore[assignment]  # `prev` and `input` have no place of their own in the text


def _follow(text: str, named: Named, steps: list[str]) -> tuple[Value, ...]:
    copies: tuple[Produced, ...] = named.copies
    chosen: Produced | None = copies[-1]
    for position, step in enumerate(steps):
        is_last = position == len(steps) - 1
        if chosen is not None and named.is_repeated and position == 0:
            if step == "*":
                chosen = None
                continue
            if _is_index(step):
                chosen = _at(text, copies, int(step), "copies")
                continue
        if chosen is None:
            return tuple(_port(text, copy, step) for copy in copies)
        if not is_last:
            raise ReferenceProblem("SB0303", f"`{text}` goes deeper than `{'.'.join(text.split('.')[: position + 2])}`, which is one tensor")
        if step == "*":
            return tuple(chosen.ports.values())
        return (_port(text, chosen, step),)
    return tuple(copy.default for copy in copies) if chosen is None else (chosen.default,)


def _is_index(step: str) -> bool:
    return step.lstrip("-").isdigit()


def _at(text: str, copies: tuple[Produced, ...], index: int, noun: str) -> Produced:
    if not -len(copies) <= index < len(copies):
        raise ReferenceProblem("SB0303", f"`{text}` asks for number {index}, but there are {len(copies)} {noun}, numbered from 0")
    return copies[index]


def _port(text: str, produced: Produced, step: str) -> Value:
    if step in produced.ports:
        return produced.ports[step]
    ports = list(produced.ports)
    if _is_index(step) and len(ports) > 1 and -len(ports) <= int(step) < len(ports):
        return produced.ports[ports[int(step)]]
    named = [port for port in ports if port]
    help = did_you_mean(step, named) or (
        f"its outputs are {', '.join(f'`{port}`' for port in named)}" if len(named) > 1 else "it has one output; write the name alone"
    )
    raise ReferenceProblem("SB0303", f"`{text.rsplit('.', 1)[0]}` has no output `{step}`", help=help)
