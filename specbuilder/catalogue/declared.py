"""Classes of declared fields: what kinds and settings are. Plain frozen values, with types that are only looked at when somebody uses them.

A class statement below `Declared` costs microseconds, so that a module of twenty kinds is cheap to import for the one that a spec names; a class of
pydantic takes 0.4 ms each, and pydantic itself 80 ms of the 200 that `validate` has. So `fit` accepts what is right, by the strict rules that pydantic
has (a test holds the two against each other), and pydantic is called, in `explain`, to say what is wrong.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar, Union, dataclass_transform, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt


class Required:
    """The default of a field that has none."""

    def __repr__(self) -> str:
        return "required"


REQUIRED: Any = Required()


class WrittenField(NamedTuple):
    """What a class body holds until the class is made."""

    default: Any
    description: str


def Field(*, default: Any = REQUIRED, description: str = "") -> Any:  # noqa: N802  # the name that readers of pydantic and dataclasses know
    """A field with a description: `eps: PositiveFloat = Field(default=1e-5, description="added to the variance")`. Without a default it is required."""
    return WrittenField(default, description)


class FieldFacts(NamedTuple):
    """What is known of one field."""

    annotation: Any
    default: Any
    description: str

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
class Declared:
    """A frozen value with declared fields. `fields_of(cls)` tells them; equal values of one class are equal."""

    extra: ClassVar[str | None] = None
    """The field, a `dict`, that takes all keys which are no fields: the axes of `rearrange: {pattern: ..., h: 8}`. No key has its name."""
    _own_fields: ClassVar[Mapping[str, WrittenField]] = {}

    def __init_subclass__(cls) -> None:
        own: dict[str, WrittenField] = {}
        for name, annotation in cls.__dict__.get("__annotations__", {}).items():
            if str(annotation).startswith(("ClassVar", "typing.ClassVar")):
                continue
            written = cls.__dict__.get(name, REQUIRED)
            own[name] = written if isinstance(written, WrittenField) else WrittenField(written, "")
            if name in cls.__dict__:
                delattr(cls, name)
        cls._own_fields = own

    def __init__(self, **values: Any) -> None:
        made = make(type(self), values)
        if made is None:
            raise ValueError(f"{type(self).__name__}: {values} do not fit its fields")
        self.__dict__.update(made.__dict__)

    def mistakes(self) -> Iterator[tuple[str, str] | tuple[str, str, tuple[int, int]]]:
        """What is wrong although every field fits its type: the field to blame, and why. For fields that must suit one another.

        Of a field that is a text, the third are the characters to blame, from and up to.
        """
        return iter(())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *(tuple(value.items()) if isinstance(value, dict) else value for value in self.__dict__.values())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


AnyDeclared = TypeVar("AnyDeclared", bound=Declared)


def fields_of(cls: type[Declared]) -> Mapping[str, FieldFacts]:
    """The fields of a class, those of its bases first, with their types evaluated; found once."""
    known = cls.__dict__.get("_fields")
    if known is None:
        known = dict(_evaluated(cls))
        cls._fields = known  # type: ignore[attr-defined]  # a cache that no caller sees
    return known


def _evaluated(cls: type[Declared]) -> Iterator[tuple[str, FieldFacts]]:
    for base in reversed(cls.__mro__):
        if own := base.__dict__.get("_own_fields"):
            holder = types.SimpleNamespace(__annotations__={name: base.__annotations__[name] for name in own})
            hints = typing.get_type_hints(holder, globalns=vars(sys.modules[base.__module__]), include_extras=True)
            for name, field in own.items():
                yield name, FieldFacts(hints[name], field.default, field.description)


def make(cls: type[AnyDeclared], values: Mapping[str, Any]) -> AnyDeclared | None:
    """The value with these fields, or None when anything about them is wrong."""
    made = _fitted(cls, values)
    if made is None:
        return None
    instance = unchecked(cls, made)
    return None if any(True for _ in instance.mistakes()) else instance


def unchecked(cls: type[AnyDeclared], values: Mapping[str, Any]) -> AnyDeclared:
    """The value with just these fields, whatever they hold."""
    instance = cls.__new__(cls)
    instance.__dict__.update(values)
    return instance


def gathered(cls: type[Declared], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values by field, with the keys that are no fields in the field that takes them."""
    if cls.extra is None:
        return values
    fields = keys_of(cls)
    known = {name: value for name, value in values.items() if name in fields}
    return known | {cls.extra: {name: value for name, value in values.items() if name not in fields}}


def keys_of(cls: type[Declared]) -> Mapping[str, FieldFacts]:
    """The fields that have a key of their own: all but the one that takes the other keys."""
    fields = fields_of(cls)
    return fields if cls.extra is None else {name: field for name, field in fields.items() if name != cls.extra}


def type_of_key(cls: type[Declared], name: str) -> Any:
    """The type of what stands under a key, whether it is a field or not; None for a key that the class does not take."""
    field = keys_of(cls).get(name)
    if field is not None:
        return field.annotation
    return get_args(fields_of(cls)[cls.extra].annotation)[1] if cls.extra is not None else None


def admits(cls: type[Declared], name: str, value: Any) -> bool:
    """Whether a value may stand under a key."""
    annotation = type_of_key(cls, name)
    return annotation is not None and fit(annotation, value) is not MISFIT


def _fitted(cls: type[Declared], values: Mapping[str, Any]) -> dict[str, Any] | None:
    fields = fields_of(cls)
    values = gathered(cls, values)
    if not values.keys() <= fields.keys():
        return None
    made: dict[str, Any] = {}
    for name, field in fields.items():
        value = fit(field.annotation, values[name]) if name in values else field.default
        if value is MISFIT or value is REQUIRED:
            return None
        made[name] = value
    return made


# Whether a value fits a type -----------------------------------------------------------------------------------------

MISFIT: Any = Required()
"""The answer to a value that does not fit."""


def fit(annotation: Any, value: Any) -> Any:
    """The value as the field holds it, or `MISFIT`. Strict: a bool is no number, a text no integer; an integer may stand for a float."""
    simple = _SIMPLE.get(annotation)
    if simple is not None:
        return simple(value)
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *bounds = get_args(annotation)
        found = fit(base, value)
        return found if found is not MISFIT and all(_within(found, bound) for bound in bounds) else MISFIT
    if origin is Union or origin is types.UnionType:
        return _fit_union(get_args(annotation), value)
    if origin is Literal:
        return value if any(value == choice and type(value) is type(choice) for choice in get_args(annotation)) else MISFIT
    if origin is tuple:
        return _fit_tuple(get_args(annotation), value)
    if origin is dict:
        return _fit_dict(get_args(annotation), value)
    if isinstance(annotation, type) and issubclass(annotation, Declared):
        return _fit_declared(annotation, value)
    if isinstance(annotation, type):
        return value if isinstance(value, annotation) else MISFIT
    raise TypeError(f"a field has the type {annotation}, which fields cannot have")


def _fit_int(value: Any) -> Any:
    return value if type(value) is int else MISFIT


def _fit_float(value: Any) -> Any:
    if type(value) is float:
        return value if isfinite(value) else MISFIT
    return float(value) if type(value) is int and -(2**63) <= value < 2**63 else MISFIT


_SIMPLE: Mapping[Any, Any] = {
    int: _fit_int,
    float: _fit_float,
    bool: lambda value: value if type(value) is bool else MISFIT,
    str: lambda value: value if type(value) is str else MISFIT,
    type(None): lambda value: None if value is None else MISFIT,
    Any: lambda value: value,
}


def _within(value: Any, bound: Any) -> bool:
    if isinstance(bound, str):  # what messages call it
        return True
    if isinstance(bound, Gt):
        return value > bound.gt
    if isinstance(bound, Ge):
        return value >= bound.ge
    if isinstance(bound, Lt):
        return value < bound.lt
    if isinstance(bound, Le):
        return value <= bound.le
    raise TypeError(f"a field has the bound {bound}, which fields cannot have")


def _fit_union(parts: tuple[Any, ...], value: Any) -> Any:
    fitting = [found for part in parts if (found := fit(part, value)) is not MISFIT]
    # Where an integer fits both `int` and `float`, it stays one.
    return next((found for found in fitting if type(found) is type(value)), fitting[0] if fitting else MISFIT)


def _fit_tuple(parts: tuple[Any, ...], value: Any) -> Any:
    if type(value) is not tuple:
        return MISFIT
    if len(parts) == 2 and parts[1] is Ellipsis:
        parts = (parts[0],) * len(value)
    if len(parts) != len(value):
        return MISFIT
    found = tuple(fit(part, item) for part, item in zip(parts, value, strict=True))
    return MISFIT if any(item is MISFIT for item in found) else found


def _fit_dict(parts: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, Mapping):
        return MISFIT
    found = {fit(parts[0], key): fit(parts[1], item) for key, item in value.items()}
    return MISFIT if MISFIT in found or any(item is MISFIT for item in found.values()) else found


def _fit_declared(cls: type[Declared], value: Any) -> Any:
    if type(value) is cls:
        return value
    if not isinstance(value, Mapping):
        return MISFIT
    made = make(cls, value)
    return MISFIT if made is None else made
