"""What differs between two plans, for a run that is to go on: the contents of two `plan.json` to a list of differences.

Where a value was written (`origins`) is no difference, nor is what cannot change a result: how samples are fed, what is logged, when checkpoints are
written (plan.md, end of section 2). How long the run is may be changed by one who says so; what follows from it is marked with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from specbuilder.records import Record

FREE = ("origins", "data.feed", "data.workers", "train.log", "train.checkpoint", "length.checkpoint")
"""Paths, and all below them, that may differ."""
OF_LENGTH = ("train.epochs", "train.steps", "length")
"""Paths, and all below them, that may differ with `--allow-plan-change`. Steps of durations are below `length`; a duration that was written anew differs
under its own path too, which is not here.
"""


class Difference(Record):
    """One value that differs; None stands for what is not there."""

    path: str
    before: Any
    after: Any

    @property
    def is_of_length(self) -> bool:
        """Whether it is the length of the run, or follows from it."""
        return _is_below(self.path, OF_LENGTH)

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.before)} -> {_shown(self.after)}"


def differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """What differs and must not, sorted by path."""
    return sorted((found for found in _compare("", stored, now) if not _is_below(found.path, FREE)), key=lambda found: found.path)


def identity(plan: Mapping[str, Any]) -> str:
    """SHA-256 of all in the content of a `plan.json` that may not differ: runs that could have gone on from each other's states have one."""
    return sha256(json.dumps(_settled("", plan), sort_keys=True).encode()).hexdigest()


def _settled(path: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    paths = {key: f"{path}.{key}" if path else str(key) for key in value}
    return {key: _settled(paths[key], item) for key, item in value.items() if not _is_below(paths[key], (*FREE, *OF_LENGTH))}


def _compare(path: str, before: Any, after: Any) -> Iterator[Difference]:
    # Two kinds with nothing in common, such as {sgd: ...} and {adam: ...}, differ as a whole. The plan itself is always gone into.
    if isinstance(before, Mapping) and isinstance(after, Mapping) and (before.keys() & after.keys() or not path):
        for key in {**before, **after}:
            yield from _compare(f"{path}.{key}" if path else str(key), before.get(key), after.get(key))
    elif _is_list(before) and _is_list(after) and len(before) == len(after):
        for at, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _compare(f"{path}.{at}", old, new)
    elif before != after:
        yield Difference(path, before, after)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_below(path: str, tops: Sequence[str]) -> bool:
    return any(path == top or path.startswith(f"{top}.") for top in tops)


def _shown(value: Any) -> str:
    """A value as a spec has it, in one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_shown(item)}' for key, item in value.items())}}}"
    return f"[{', '.join(map(_shown, value))}]" if _is_list(value) else str(value)
