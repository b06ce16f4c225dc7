"""A class in the making: the units that are its instances, their codes, and its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from specbuilder.catalogue.contract import Node
from specbuilder.emit.code import Held, is_plain
from specbuilder.emit.outline import Unit
from specbuilder.records import Record
from specbuilder.shapes import Dim, Poly


class Named(Record):
    """An argument of a class or of its `forward`: its name, and its value in each use."""

    name: str
    values: tuple[Any, ...]


class Tied(Record):
    """A tensor that is another one."""

    tensor: Held
    source: Held


@dataclass(eq=False, slots=True)
class Piece:
    """One code of one step: what makes it, what is done after, or how it is used. Its leaves come apart, to be compared with those of other copies."""

    place: Literal["made", "after", "used"]
    code: Any
    kind: Node | None = None
    leaf_names: Sequence[str] = ()
    """What the leaves are called, where that does not follow from the code."""
    keywords: dict[str, Any] = field(default_factory=dict)
    """Plain keywords of the outermost call that are fields of the kind: a copy that leaves one out has the field's value there."""
    order: list[str] = field(default_factory=list)
    """All keywords of the outermost call, in their order."""
    names: list[str] = field(default_factory=list)
    """The keywords whose leaves come last."""
    leaves: list[Any] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Form:
    """A class. Everything about its text is read off the first of its uses."""

    uses: list[Unit]
    pieces: list[list[Piece]]
    """By step; leaves are resolved: literals, names of arguments, sizes."""
    ties: list[Tied]
    position: dict[Unit, int]
    """Where each use stands among them."""
    pasted: frozenset[str] = frozenset()
    """Names of the file that the class may use, so that no name in it may hide them."""
    name: str = ""
    parameters: list[Named] = field(default_factory=list)
    """The constructor's arguments."""
    arguments: dict[object, str] = field(default_factory=dict)
    """Their names by the `key` of their values."""
    kept: set[str] = field(default_factory=set)
    """The arguments that `forward` reads."""
    measured: dict[str, Dim] = field(default_factory=dict)
    """Sizes that `forward` reads off its inputs, by name."""
    told: dict[str, Dim] = field(default_factory=dict)
    """Sizes that nothing knows before a step gives a tensor that has them: over axes of `values_of` a unit."""
    passed: list[Named] = field(default_factory=list)
    """Sizes that `forward` takes as arguments."""
    wants_device: bool = False
    """Whether `forward` must be told the device, having no tensor to ask."""
    state_name: str = ""
    """What the type of the state is called, where the class is a network that keeps one."""
    differs: str = ""
    """How it differs from the first class of its block."""
    _titles: dict[object, str] | None = None

    @property
    def first(self) -> Unit:
        return self.uses[0]

    def titles(self) -> dict[object, str]:
        """What the block itself calls values that differ from use to use: its params, `let` and bound sizes."""
        if self._titles is None:
            self._titles = {}
            # Sizes come before `let`, and that before params. Of several names for the same values a param's is the best, and of sizes the first.
            for name in self.first.arguments:
                values = [unit.arguments.get(name) for unit in self.uses]
                if all(isinstance(value, Poly) or is_plain(value) for value in values) and not (name.isupper() and key(values) in self._titles):
                    self._titles[key(values)] = name
        return self._titles

    def called(self, values: Sequence[Any]) -> str | None:
        """The name of values that differ from use to use: an argument of the class, else what the block calls them."""
        found = key(values)
        return self.arguments.get(found) or self.titles().get(found)


def key(values: Sequence[Any]) -> object:
    """Values as a key: True is not 1, and 1 is not 1.0."""
    return tuple([(type(value), key(value) if type(value) is tuple else value) for value in values])
