"""Checks the values of fields: the value made of them, or what is wrong with each, in plain words.

What is right never leaves this module; what is wrong goes to `explain`, which is imported only then. Deferred fields (those with a `$`) are left out of
the first check and come back, with their values, in the second.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from specbuilder.catalogue.declared import AnyDeclared, admits, keys_of, make, type_of_key
from specbuilder.diagnostics import visible

if TYPE_CHECKING:
    from specbuilder.catalogue.explain import FieldProblem


def check(
    cls: type[AnyDeclared], values: Mapping[str, Any], *, owner: str, deferred: Collection[str] = ()
) -> tuple[AnyDeclared | None, tuple[FieldProblem, ...]]:
    """The value of `cls` with these fields, or what is wrong with them.

    `owner` is how messages call the thing that has the fields. With `deferred` fields there is never a value: theirs are not known yet.
    """
    made = make(cls, values) if not deferred else None
    if made is not None or (deferred and _fit_so_far(cls, values, deferred)):
        return made, ()
    from specbuilder.catalogue.explain import explain

    return None, explain(cls, values, owner, deferred)


def _fit_so_far(cls: type[AnyDeclared], values: Mapping[str, Any], deferred: Collection[str]) -> bool:
    """Whether what is known is right: every field exists, none is missing, every literal fits."""
    written = {*values, *deferred}
    if any(field.is_required and name not in written for name, field in keys_of(cls).items()):
        return False
    return all(type_of_key(cls, name) is not None if name in deferred else admits(cls, name, values[name]) for name in written)


def shown(value: Any) -> str:
    """A value as messages name it: what it is and what kind of thing that is."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the truth value `{str(value).lower()}`"
    if isinstance(value, str):
        return f'the text "{visible(value if len(value) <= 60 else value[:57] + "...")}"'
    if isinstance(value, (int, float)):
        return f"{value}"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}" if len(value) != 1 else "a list of one"
    if isinstance(value, Mapping):
        return "a mapping"
    return f"`{value}`"
