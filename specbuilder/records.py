"""Frozen values whose class statement costs microseconds.

`@dataclass(frozen=True, slots=True)` writes six methods as text and compiles them, 0.4 to 0.8 ms a class on Python 3.11; the front end has sixty such
classes, and `validate` has 0.2 s for everything. A `Record` has the same face (keywords or positions, defaults, equality, hash, repr, frozen) out of shared
methods. A class of which many instances are made gets a constructor of its own then, the one of a dataclass. Where a class is mutable, or does arithmetic
all day, it stays a dataclass.
"""

from __future__ import annotations

from dataclasses import field, make_dataclass
from typing import Any, ClassVar, Self, dataclass_transform

_MANY = 500
"""Instances after which a constructor of its own has paid for itself: it costs half a millisecond and saves a microsecond a call."""


@dataclass_transform(frozen_default=True)
class Record:
    """Base of frozen values. With `identity=True` in the class statement, a value equals itself alone."""

    _names: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}
    _made: ClassVar[int] = 0

    def __init_subclass__(cls, *, identity: bool = False) -> None:
        own = [name for name, annotation in cls.__dict__.get("__annotations__", {}).items() if not str(annotation).startswith("ClassVar")]
        cls._names = (*cls._names, *own)
        cls._defaults = cls._defaults | {name: cls.__dict__[name] for name in own if name in cls.__dict__}
        cls.__match_args__ = cls._names  # type: ignore[attr-defined]
        if own and "__init__" not in cls.__dict__:
            cls.__init__ = Record.__init__  # type: ignore[method-assign]  # not the one that a base with fewer fields may get
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
        cls = type(self)
        cls._made += 1
        if cls._made >= _MANY and cls.__init__ is Record.__init__:
            cls.__init__ = _written_out(cls)  # type: ignore[method-assign]

    def replace(self, **changes: Any) -> Self:
        """The same value with some fields changed."""
        changed = object.__new__(type(self))
        fields = changed.__dict__
        fields.update(self.__dict__, **changes)
        if len(fields) != len(self._names):
            raise TypeError(f"{type(self).__name__} has the fields {', '.join(self._names)}")
        return changed

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


def _written_out(cls: type[Record]) -> Any:
    """A constructor with the fields as its parameters."""

    def default(name: str) -> Any:
        if name not in cls._defaults:
            return field()
        value = cls._defaults[name]
        # What has no hash passes for mutable with dataclasses; an empty read-only mapping is not.
        return field(default=value) if type(value).__hash__ is not None else field(default_factory=lambda: value)

    return make_dataclass(cls.__name__, [(name, Any, default(name)) for name in cls._names], frozen=True, eq=False, repr=False).__init__
