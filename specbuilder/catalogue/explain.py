"""Says what is wrong with the values of fields, in a user's words. Pydantic finds the mistakes; imported only when there are any."""

from __future__ import annotations

import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError, create_model
from pydantic.json_schema import SkipJsonSchema

from specbuilder.catalogue.declared import Declared, fields_of, fit, gathered, type_of_key, unchecked
from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import did_you_mean, suggest
from specbuilder.shapes import Poly


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """One wrong field. `location` is the field's name and, within a list or a mapping, the position or key."""

    code: str
    location: tuple[str | int, ...]
    message: str
    help: str | None = None
    part: tuple[int, int] | None = None
    """The characters to blame, of a field that is a text."""
    wants_number: bool = False
    """Whether a text stands where a number could: what to do about it depends on how the text was written."""


_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())
_MODELS: dict[type[Declared], type[BaseModel]] = {}


def model_of(cls: type[Declared]) -> type[BaseModel]:
    """The pydantic model with the fields of a class: for mistakes, and for JSON Schema."""
    if cls not in _MODELS:
        fields: dict[str, Any] = {}
        for name, field in fields_of(cls).items():
            default = ... if field.is_required else field.default
            fields[name] = (_with_models(field.annotation), Field(default, description=field.description or None))
        _MODELS[cls] = create_model(cls.__name__, __config__=_STRICT, __doc__=cls.__doc__, **fields)
    return _MODELS[cls]


def _with_models(annotation: Any) -> Any:
    """The annotation with the model of each declared class in its place."""
    if isinstance(annotation, type) and issubclass(annotation, Declared):
        return model_of(annotation)
    if isinstance(annotation, type) and annotation.__module__.startswith("specbuilder."):
        return SkipJsonSchema[InstanceOf[annotation]]
    if get_origin(annotation) is tuple:
        return tuple[tuple(part if part is Ellipsis else _with_models(part) for part in get_args(annotation))]
    if get_origin(annotation) is dict:
        key, value = map(_with_models, get_args(annotation))
        return dict[key, value]
    if get_origin(annotation) in (Union, types.UnionType):
        return Union[tuple(_with_models(part) for part in get_args(annotation))]  # noqa: UP007  # made of parts that are known at run time only
    return annotation


def explain(cls: type[Declared], values: Mapping[str, Any], owner: str, deferred: Collection[str] = ()) -> tuple[FieldProblem, ...]:
    """What is wrong, one problem a field."""
    fields = fields_of(cls)
    unknown = [name for name in deferred if type_of_key(cls, name) is None]
    if cls.extra is not None:
        # Any key may be meant, but where a field is missing, one that is nearly spelt like it is that field.
        missing = [name for name, field in fields.items() if field.is_required and name not in values and name not in deferred]
        unknown += [name for name in (*values, *deferred) if name not in fields and suggest(name, missing)]
        values = {name: value for name, value in values.items() if name not in unknown}
    values = {name: value for name, value in values.items() if name not in deferred}
    errors = _errors(cls, values)
    problems = {name: _unknown(cls, name, owner) for name in unknown}
    for error in errors:
        name = error["loc"][0] if error["loc"] else ""
        if name in problems or name in deferred:
            continue
        if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
            problems[name] = _unknown(cls, name, owner)
        elif error["type"] == "missing" and len(error["loc"]) == 1:
            problems[name] = _missing(cls, name, owner)
        else:
            of_field = [other for other in errors if other["loc"][:1] == (name,)]
            problems[name] = _wrong(cls, name, values[name], of_field)
    if not problems and not deferred:
        known = {name: field.default for name, field in fields.items()}
        for name, message, *part in unchecked(cls, known | _as_held(cls, values)).mistakes():
            code = "SB0204" if name in fields else "SB0201"
            problem = FieldProblem(code=code, location=(name,), message=f"`{name}`: {message}", part=part[0] if part else None)
            problems.setdefault(name, problem)
    return tuple(problems.values())


def _errors(cls: type[Declared], values: Mapping[str, Any]) -> list[Any]:
    """What pydantic finds wrong. Keys that are no fields are told as if they were."""
    try:
        model_of(cls).model_validate(gathered(cls, values))
    except ValidationError as error:
        errors: list[Any] = [*error.errors(include_url=False, include_context=True)]
        return [{**each, "loc": each["loc"][1:]} if cls.extra is not None and each["loc"][:1] == (cls.extra,) else each for each in errors]
    return []


def _as_held(cls: type[Declared], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fit(fields_of(cls)[name].annotation, value) for name, value in gathered(cls, values).items()}


def _unknown(cls: type[Declared], name: str, owner: str) -> FieldProblem:
    known = list(fields_of(cls))
    help = did_you_mean(name, known)
    if help is None:
        help = f"its fields are {', '.join(f'`{field}`' for field in known)}" if known else "it has no fields"
    return FieldProblem(code="SB0201", location=(name,), message=f"`{owner}` has no field `{name}`", help=help)


def _missing(cls: type[Declared], name: str, owner: str) -> FieldProblem:
    words = describe(fields_of(cls)[name].annotation)
    return FieldProblem(code="SB0202", location=(name,), message=f"`{owner}` needs `{name}`", help=f"add `{name}`: {words}")


def _wrong(cls: type[Declared], name: str, value: Any, errors: list[Any]) -> FieldProblem:
    annotation = type_of_key(cls, name)
    inner = _declared(annotation)
    if isinstance(value, Mapping) and inner is not None:
        for problem in explain(inner, value, name):
            return replace(problem, location=(name, *problem.location))
    items = {part for error in errors for part in error["loc"][1:] if _is_part(value, part)}
    item = items.pop() if len(items) == 1 else None
    if isinstance(value, Mapping) and item is not None:
        return _wrong_entry(name, annotation, item, value[item], errors)
    found = value if item is None else value[item]
    is_range = all(error["type"] in _RANGE for error in errors)
    return FieldProblem(
        code="SB0204" if is_range else "SB0203",
        location=(name,) if item is None else (name, item),
        message=f"`{name}` wants {describe(annotation)}, but this is {shown(found)}",
        help=_repair(found, annotation),
        wants_number=isinstance(found, str) and _admits_number(annotation),
    )


def _is_part(value: Any, part: Any) -> bool:
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, tuple) and isinstance(part, int) and part < len(value)


def _wrong_entry(name: str, annotation: Any, key: str, value: Any, errors: list[Any]) -> FieldProblem:
    """One entry of a mapping: `split: {test: -0.2}`."""
    wanted = _entry_type(annotation)
    is_range = all(error["type"] in _RANGE for error in errors if key in error["loc"])
    wants = f"`{key}` wants {describe(wanted)}" if wanted is not None else f"`{key}` does not fit"
    return FieldProblem(
        code="SB0204" if is_range else "SB0203",
        location=(name, key),
        message=f"{wants}, but this is {shown(value)}",
        help=_repair(value, wanted) if wanted is not None else None,
        wants_number=isinstance(value, str) and _admits_number(wanted),
    )


def _declared(annotation: Any) -> type[Declared] | None:
    """The group of fields that an annotation admits."""
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, Declared) else None
    return next((found for part in get_args(annotation) if (found := _declared(part)) is not None), None)


def _entry_type(annotation: Any) -> Any:
    """The type of the values of a mapping, wherever in a union it stands."""
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    return next((found for part in get_args(annotation) if (found := _entry_type(part)) is not None), None)


_RANGE = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "literal_error", "finite_number"}


def _repair(value: Any, annotation: Any) -> str | None:
    """The edit that most likely helps: yes for true, a near choice."""
    choices = _choices(annotation)
    if isinstance(value, str):
        if choices and (help := did_you_mean(value, choices)):
            return help
        if value.lower() in ("yes", "no", "on", "off") and _admits(annotation, bool):
            return f"write `{'true' if value.lower() in ('yes', 'on') else 'false'}`"
    if isinstance(value, float) and value.is_integer() and _admits(annotation, int):
        return f"write `{int(value)}`, or use `//` instead of `/` in an expression"
    if isinstance(value, bool) and _admits(annotation, int):
        return "true and false are no numbers here"
    return None


def _admits_number(annotation: Any) -> bool:
    return _admits(annotation, int) or _admits(annotation, float)


# What an annotation asks for, in words --------------------------------------------------------------------------------


def describe(annotation: Any) -> str:
    """An annotation in words: `a positive integer or a list of 2 positive integers`."""
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *metadata = get_args(annotation)
        return _bounded(base, metadata)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(part) for part in get_args(annotation) if part is not type(None)))
    if origin is Literal:
        return _one_of(get_args(annotation))
    if origin is tuple:
        return _list(get_args(annotation))
    if origin is dict:
        return "a mapping"
    return _NAMES.get(annotation, "a mapping" if isinstance(annotation, type) and issubclass(annotation, Declared) else str(annotation))


_NAMES: dict[Any, str] = {
    Poly: "a size such as `$B`",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a text",
    type(None): "nothing",
    Any: "a value",
}
_PLURALS = {
    "an integer": "integers",
    "a number": "numbers",
    "true or false": "truth values",
    "a text": "texts",
    "a size such as `$B`": "sizes such as `$B`",
    "an integer or a size such as `$B`": "integers or sizes such as `$B`",
}


def _bounded(base: Any, metadata: list[Any]) -> str:
    noun = next((word for word in metadata if isinstance(word, str)), None) or describe(base)
    bounds = {type(bound): bound for bound in metadata if isinstance(bound, (Gt, Ge, Le, Lt))}
    if not bounds:
        return noun
    low: Any = bounds.get(Gt) or bounds.get(Ge)
    high: Any = bounds.get(Le) or bounds.get(Lt)
    word = noun.split(" ", 1)[1] if " " in noun else noun
    if high is None and isinstance(low, Gt) and low.gt == 0:
        return f"a positive {word}"
    if high is None and isinstance(low, Ge) and low.ge == 0:
        return f"{noun} that is not negative"
    parts = []
    if low is not None:
        parts.append(f"at least {low.ge}" if isinstance(low, Ge) else f"above {low.gt}")
    if high is not None:
        parts.append(f"at most {high.le}" if isinstance(high, Le) else f"below {high.lt}")
    return f"{noun} {' and '.join(parts)}"


def _one_of(choices: tuple[Any, ...]) -> str:
    named = [f"`{str(choice).lower() if isinstance(choice, bool) else choice}`" for choice in choices]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"


def _list(parts: tuple[Any, ...]) -> str:
    if len(parts) == 2 and parts[1] is Ellipsis:
        return f"a list of {_plural(describe(parts[0]))}"
    if len(set(map(str, parts))) == 1:
        return f"a list of {len(parts)} {_plural(describe(parts[0]))}"
    return f"a list of {', '.join(describe(part) for part in parts)}"


def _plural(words: str) -> str:
    if words in _PLURALS:
        return _PLURALS[words]
    for singular, plural in _PLURALS.items():
        noun = singular.split(" ", 1)[-1]
        if words.startswith("a positive ") and words.endswith(noun):
            return f"positive {plural}"
        if words.startswith(singular):
            return plural + words[len(singular) :].replace("that is not", "that are not")
    return f"values, each {words}"


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return tuple(choice for choice in get_args(annotation) if isinstance(choice, str))
    return tuple(choice for part in get_args(annotation) for choice in _choices(part))


def _admits(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(_admits(part, wanted) for part in get_args(annotation))
