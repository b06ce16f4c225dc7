"""`vars` and `let`: named values that may be expressions over one another, in any order. Each is evaluated once, when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuilder.diagnostics import Diagnostics
from specbuilder.graph.environment import Names
from specbuilder.language.tree import Entry
from specbuilder.language.values import Undefined, resolve

DEEPEST_CHAIN = 64
"""Variables of which each needs the next."""


class Variables:
    """Looks variables up by name and remembers which were asked for. `outer` are the names around a `let`."""

    def __init__(self, entries: Mapping[str, Entry], diagnostics: Diagnostics, outer: Names | None = None) -> None:
        self._entries = entries
        self._diagnostics = diagnostics
        self._outer = outer
        self._values: dict[str, Any] = {name: entry.value for name, entry in entries.items() if not entry.is_deferred}
        self._open: list[str] = []
        self._broken: set[str] = set()
        self._is_too_deep = False
        self._names: tuple[str, ...] | None = None
        self.used: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        if self._names is None:
            self._names = (*self._entries, *(self._outer.names if self._outer is not None else ()))
        return self._names

    @property
    def known(self) -> Mapping[str, Any]:
        """The own values that have been asked for, or are written as they are."""
        return self._values

    def __call__(self, name: str) -> Any:
        """The value. `KeyError`: there is no such variable; `Undefined`: it cannot be had, and why has been reported."""
        if self._outer is not None and name not in self._entries:
            return self._outer(name)
        self.used.add(name)
        if name in self._values:
            return self._values[name]
        if name in self._broken:
            raise Undefined(name)
        entry = self._entries[name]
        if name in self._open:
            self._cycle(name)
        if len(self._open) >= DEEPEST_CHAIN:
            self._broken.update(self._open)
            if not self._is_too_deep:  # one of 20,000 is as good as hundreds, each of which shows its line
                self._is_too_deep = True
                message = f"more than {DEEPEST_CHAIN} variables, each of which needs the next"
                self._diagnostics.error("SB0503", message, self._entries[self._open[0]].span, help="write the value of one of them as a number")
            raise Undefined(name)
        self._open.append(name)
        try:
            self._values[name] = resolve(entry.value, self, self.names, self._diagnostics)
        except Undefined:
            self._broken.add(name)
            raise
        finally:
            self._open.pop()
        return self._values[name]

    def _cycle(self, name: str) -> None:
        circle = [*self._open[self._open.index(name) :], name]
        self._broken.update(circle)
        first = self._entries[circle[0]]
        help = "give one of them a value that needs none of the others"
        self._diagnostics.error("SB0503", f"these variables need each other: {' -> '.join(f'`{step}`' for step in circle)}", first.span, help=help)
        raise Undefined(name)

    def check_all(self) -> None:
        """Evaluates what nothing asked for, so that a mistake in it is told too. Call it when all stages have read what they need."""
        for name in [name for name in self._entries if name not in self.used]:
            try:
                self(name)
            except Undefined:
                continue
