"""Where modules and tensors stand: which containers hold them, and the text that reaches them, `self.layers[0].attention`.

The attribute path is the path of the graph. Numbered places are lists; where numbers are missing (absent copies keep theirs) they are keys of a dict, since
a list would shift them. What no container of torch holds under a number (buffers) stands in a bare module under that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from specbuilder.catalogue.contract import Attribute
from specbuilder.emit.outline import Step, Unit
from specbuilder.graph.graph import Path

Held = Literal["module", "parameter", "buffer"]
Container = Literal["module", "list", "dict", "parameters", "bare"]


def held(step: Step) -> Held:
    """What a step that constructs something makes."""
    if isinstance(step.item, Unit) or not isinstance(step.item.source, Attribute):
        return "module"
    return "buffer" if step.item.source.is_buffer else "parameter"


class Places:
    """The containers of a network, by path."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._children: dict[Path, dict[str | int, None]] = {}
        self._held: dict[Path, Held] = {}
        self._containers: dict[Path, Container] = {}
        for unit in units:
            for step in unit.steps:
                if step.is_owner and step.path not in self._held:
                    self._held[step.path] = held(step)
                    for length in range(len(unit.path), len(step.path)):
                        self._children.setdefault(step.path[:length], {})[step.path[length]] = None

    def container(self, path: Path) -> Container:
        """What stands at a path that is no node itself."""
        if path not in self._containers:
            self._containers[path] = self._chosen(path)
        return self._containers[path]

    def _chosen(self, path: Path) -> Container:
        keys = list(self._children.get(path, ()))
        if not keys or not all(isinstance(key, int) for key in keys):
            return "module"
        kinds = {self._held.get((*path, key), "module") for key in keys}
        is_whole = keys == list(range(len(keys)))
        if kinds == {"module"}:
            return "list" if is_whole else "dict"
        return "parameters" if kinds == {"parameter"} and is_whole else "bare"

    def count(self, path: Path) -> int:
        """How many things stand in a container."""
        return len(self._children.get(path, ()))

    def text(self, base: Path, path: Path) -> str:
        """How the class at `base` reaches what stands at `path`."""
        text = "self"
        for length in range(len(base), len(path)):
            text = self.step(text, path[:length], path[length])
        return text

    def step(self, text: str, path: Path, key: str | int) -> str:
        """The text of one thing in a container whose text is known."""
        if isinstance(key, str):
            return f"{text}.{key}"
        container = self.container(path)
        if container in ("list", "parameters"):
            return f"{text}[{key}]"
        return f'{text}["{key}"]' if container == "dict" else f'getattr({text}, "{key}")'
