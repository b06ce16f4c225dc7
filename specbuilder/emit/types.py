"""Types in the comments of a class: a size that differs between its uses is written as the argument that has it, else as `_`."""

from __future__ import annotations

from specbuilder.emit.form import Form
from specbuilder.emit.outline import Unit
from specbuilder.graph.graph import Value
from specbuilder.shapes import Dim, TensorType


class Types:
    """The types of the values of a class."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self._texts: dict[TensorType | None, str] = {}
        self._others: dict[Value, tuple[TensorType | None, ...]] = {}
        if len(form.uses) > 1:
            for values in zip(*(_values(unit) for unit in form.uses), strict=True):
                self._others.setdefault(values[0], tuple([value.type for value in values]))

    def text(self, value: Value) -> str:
        """`float32[B, out, _, _]`."""
        types = self._others.get(value, ())
        if all(other == value.type for other in types):
            if value.type not in self._texts:
                self._texts[value.type] = str(value.type)
            return self._texts[value.type]
        known = [type for type in types if type is not None]
        if any(type.rank != known[0].rank for type in known):
            return f"{_dtype(known)}[...]"
        return f"{_dtype(known)}[{', '.join(map(self._dim, zip(*(type.shape for type in known), strict=True)))}]"

    def _dim(self, dims: tuple[Dim, ...]) -> str:
        if all(dim == dims[0] for dim in dims):
            return str(dims[0])
        return self.form.called(dims) or "_"


def _dtype(types: list[TensorType]) -> str:
    return types[0].dtype if len({type.dtype for type in types}) == 1 else "_"


def _values(unit: Unit) -> list[Value]:
    """All values that a unit knows, in an order that its copies share."""
    return [value for _, value in unit.inputs] + unit.outside + [value for step in unit.steps for value in step.outputs]
