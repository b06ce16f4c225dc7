"""Names of local variables in an emitted function: a node's own name where it has one, a few running names for unnamed chains.

A running name is taken again as soon as the tensor under it is not needed any more, so that the tensor goes, as a person would write it: `x` along the
chain, `h` beside it while `x` waits for a sum.
"""

from __future__ import annotations

import builtins
import keyword
from collections import Counter
from collections.abc import Iterable

from specbuilder.graph.graph import Value
from specbuilder.language.names import READ_BY_FORWARD

_NEEDED = {*READ_BY_FORWARD, *keyword.kwlist}
_TAKEN = {*_NEEDED, *dir(builtins)}
_RUNNING = ("x", "h", "y", "z")
_SPARE = "hidden_state"


class Names:
    """Hands out variable names that clash with nothing, and knows which value a running name holds."""

    def __init__(self, reserved: Iterable[str], reads: Counter[Value], taken: Iterable[str] = ()) -> None:
        self._used = {*_TAKEN, *taken}
        self._reads = reads
        self._hideable = _TAKEN - _NEEDED - {*taken}
        self._parameters: set[str] = set()
        reserved = {*reserved, *taken}
        free = [name for name in _RUNNING if name not in reserved] or [next(name for name in _spares() if name not in reserved)]
        self._running: dict[str, Value | None] = dict.fromkeys(free)
        self._used.update(free)

    def new(self, wanted: str, longer: str = "") -> str:
        """`wanted`, or `longer` where that is taken, or `longer_` and so on."""
        name = wanted if wanted not in self._used or not longer else longer
        while name in self._used:
            name += "_"
        self._used.add(name)
        return name

    def parameter(self, wanted: str) -> str:
        """The name of an argument. Callers may give it by name, so it is kept where it hides nothing but a builtin that the lines do not read."""
        if wanted in self._used and wanted in self._hideable and wanted not in self._parameters:
            self._parameters.add(wanted)
            return wanted
        return self.new(wanted)

    def is_used(self, name: str) -> bool:
        return name in self._used

    def hold(self, name: str, value: Value) -> str:
        """A name that is given to a value now and may be given to others once it is read."""
        self._used.add(name)
        self._running[name] = value
        return name

    def run(self, value: Value) -> str | None:
        """The first running name whose tensor is not needed any more; None where all are."""
        for name, held in self._running.items():
            if held is None or self._reads[held] <= 0:
                self._running[name] = value
                return name
        return None


def _spares() -> Iterable[str]:
    name = _SPARE
    while True:
        yield name
        name += "_"
