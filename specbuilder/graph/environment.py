"""What `$name` means in one place of the text: the innermost names first, then those around them.

Around a block stand the variables of the file, within it its params, the sizes that its inputs bind, and its `let`; around a copy stands the list it is in,
within it the columns of its `repeat` or `each`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from specbuilder.language.values import Undefined

UNKNOWN: Any = object()
"""The value of a name whose value cannot be known, since a mistake in it has been told."""


class Names(Protocol):
    """Looks a name up. `KeyError`: there is no such name; `Undefined`: its value cannot be had, and why has been reported."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def __call__(self, name: str) -> Any: ...


class Environment:
    """Names with their values, and the names around them."""

    __slots__ = ("_outer", "_own")

    def __init__(self, own: Mapping[str, Any], outer: Names) -> None:
        self._own, self._outer = own, outer

    @property
    def own(self) -> Mapping[str, Any]:
        return self._own

    @property
    def names(self) -> tuple[str, ...]:
        return (*self._own, *self._outer.names)

    def __call__(self, name: str) -> Any:
        if name not in self._own:
            return self._outer(name)
        if self._own[name] is UNKNOWN:
            raise Undefined(name)
        return self._own[name]
