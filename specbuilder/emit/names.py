"""Names of local variables in an emitted function: a node's own name where it has one, one running name for unnamed chains.

Reusing the running name lets a tensor go as soon as it is not needed any more, as a person would write it.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable

_TAKEN = {"self", "torch", "nn", "math", *dir(builtins), *keyword.kwlist}
_RUNNING = ("x", "h", "y", "hidden_state")


class Names:
    """Hands out variable names that clash with nothing."""

    def __init__(self, reserved: Iterable[str], taken: Iterable[str] = ()) -> None:
        self._used = {*_TAKEN, *taken}
        reserved = {*reserved, *taken}
        self.running = next(name for name in (*_RUNNING, *(f"x_{n}" for n in range(len(reserved) + 1))) if name not in reserved)
        self._used.add(self.running)

    def new(self, wanted: str) -> str:
        """`wanted`, or `wanted_` and so on where it is taken."""
        name = wanted
        while name in self._used:
            name += "_"
        self._used.add(name)
        return name
