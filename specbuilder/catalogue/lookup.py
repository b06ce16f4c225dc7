"""From the name of a kind to its class, importing only the module that holds it.

In: a family and a name as a spec has it. Out: the class, or, for a name that nobody has, the help text. `index.py` says where each kind lives, so a
spec pays for the kinds that it names and no others. Own kinds are found first: whatever has registered itself needs no index. Where nobody knows a name,
installed packages are asked for it.
"""

from __future__ import annotations

from importlib import import_module

from specbuilder.catalogue.contract import REGISTRY, Family, Kind
from specbuilder.catalogue.index import ALIASES, KINDS
from specbuilder.diagnostics import did_you_mean

PLACES: dict[Family, tuple[str, str]] = {
    "node": ("a node", "`model.nodes`"),
    "loss": ("a loss", "`train.loss`"),
    "optimizer": ("an optimizer", "`train.optimizer`"),
    "schedule": ("a schedule", "`train.schedule`"),
    "average": ("an average", "`train.average`"),
    "dataset": ("a dataset", "`data`"),
    "transform": ("a transform", "`data.augment`"),
    "metric": ("a metric", "`train.metrics`"),
    "initializer": ("an initializer", "`init`"),
}
"""What a kind of each family is called, and where in a spec it belongs."""


def find(family: Family, name: str) -> type[Kind] | None:
    """The class of a kind, or None when the family has no kind of that name."""
    known = REGISTRY[family]
    if name not in known and (module := KINDS[family].get(name)) is not None:
        import_module(f"specbuilder.catalogue.{module}")
    if name not in known:
        _ask_packages(family, name)
    return known.get(name)


def _ask_packages(family: Family, name: str) -> None:
    """A kind that an installed package offers is registered. Looking takes 20 ms, so only a name that nobody has is worth it."""
    from specbuilder.catalogue.own import load_installed

    load_installed(family, name)


def has(family: Family, name: str) -> bool:
    """Whether the family has a kind of that name; nothing is imported for it."""
    return name in KINDS[family] or name in REGISTRY[family]


def names(family: Family) -> tuple[str, ...]:
    """Every name the family has, sorted; nothing is imported for it."""
    return tuple(sorted({*KINDS[family], *REGISTRY[family]}))


def all_kinds(family: Family) -> tuple[type[Kind], ...]:
    """Every class of the family, sorted by name; imports all of them."""
    from specbuilder.catalogue.own import installed

    for name in installed():
        find(family, name)
    return tuple(kind for name in names(family) if (kind := find(family, name)) is not None)


def unknown(family: Family, name: str) -> str | None:
    """What to tell someone who wrote a name that the family does not have; None rather than a silly suggestion."""
    for other, (noun, place) in PLACES.items():
        if other != family and name in names(other):
            return f"`{name}` is {noun}; it belongs to {place}"
    alias = ALIASES[family].get(_plain(name)) or _own_alias(family, _plain(name))
    known = names(family)
    if family == "node":
        from specbuilder.catalogue.own import installed

        known = tuple(sorted({*known, *installed()}))
    return did_you_mean(name, known, aliases={name.lower(): alias} if alias else None)


def _own_alias(family: Family, plain: str) -> str | None:
    """The own kind that says it is called so elsewhere."""
    return next((name for name, kind in REGISTRY[family].items() if plain in map(_plain, kind.aliases)), None)


def _plain(name: str) -> str:
    return name.rpartition(".")[2].lower().replace("_", "").replace("-", "").replace(" ", "")
