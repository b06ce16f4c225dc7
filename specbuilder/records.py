"""Frozen values whose class statement costs microseconds.

`@dataclass(frozen=True, slots=True)` writes six methods as text and compiles them, 0.4 to 0.8 ms a class on Python 3.11; the front end has sixty such
classes, and `validate` has 0.2 s for everything. A `Record` has the same face (keywords or positions, defaults, equality, hash, repr, frozen) out of shared
methods. Instances are as fast to make as those of a frozen dataclass. Where a class is mutable, or does arithmetic all day, it stays a dataclass.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self, dataclass_transform


@dataclass_transform(frozen_default=True)
class Record:
    """Base of frozen values. With `identity=True` in the class statement, a value equals itself alone."""

    _names: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls, *, identity: bool = False) -> None:
        own = [name for name, annotation in cls.__dict__.get("__annotations__", {}).items() if not str(annotation).startswith("ClassVar")]
        cls._names = (*cls._names, *own)
        cls._defaults = cls._defaults | {name: cls.__dict__[name] for name in own if name in cls.__dict__}
        cls.__match_args__ = cls._names  # type: ignore[attr-defined]
        if identity:
            cls.__eq__ = object.__eq__  # type: ignore[method-assign, assignment]  # each value is equal to itself alone
            cls.__hash__ = object.__hash__  # type: ignore[method-assign]

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self.__dict__
        fields.update(self._defaults)
        fields.update(zip(self._names, values, strict=False))
        fields.update(named)
        if len(fields) != len(self._names) or len(values) + len(named) > len(self._names):
            raise TypeError(f"{type(self).__name__} has the fields {', '.join(self._names)}")

    def replace(self, **changes: Any) -> Self:
        """The same value with some fields changed."""
        return type(self)(**(self.__dict__ | changes))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(self.__dict__[name] == other.__dict__[name] for name in self._names)

    def __hash__(self) -> int:
        return hash((type(self), *(self.__dict__[name] for name in self._names)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={self.__dict__[name]!r}' for name in self._names)})"
