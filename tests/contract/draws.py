"""Draws uses of a kind: fields from their types, tensors that suit the kind, and then, for more than half of them, something that spoils it.

A generic strategy follows the pydantic types of the fields; a table adds what depends on the shapes that arrive. A use is spoiled by another dtype, one axis more
or less, another size, or a number outside of a field's bounds, so that a good share of the draws is refused by torch.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from specbuilder.catalogue.contract import Loss, Node
from specbuilder.catalogue.declared import fields_of
from specbuilder.shapes import TensorType
from tests.contract.witness import INFERRED, Arriving

SETTLED = ("float32", "float32", "float32", "float64", "float16", "bfloat16")
PAIRED = ("float32", "float32", "float16", "bool", "uint8", "complex64", "int64")
ODD = ("int64", "bool", "complex64", "uint8", "int32", "float64", "float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Use:
    """A kind, the fields that a spec gives it, and what arrives at its ports."""

    kind: type[Node]
    fields: dict[str, Any]
    arriving: tuple[Arriving, ...]

    def __repr__(self) -> str:
        return f"{self.kind.kind}: {self.fields} of {'; '.join(_text(each) for each in self.arriving)}"


def _text(each: Arriving) -> str:
    return "nothing" if each is None else f"[{', '.join(map(str, each))}]" if isinstance(each, tuple) else str(each)


@st.composite
def uses(draw: DrawFn, kind: type[Node]) -> Use:
    spoil = draw(
        st.sampled_from(
            SPOILS.get(kind.kind, ("", "", "size", "rank", "alien", "dtype", "field", *(("unbatched",) if hasattr(kind, "axes") else ())))
        )
    )
    arriving = draw(_layout(kind))
    if spoil and spoil not in ("field", "far"):
        arriving = draw(_spoiled(arriving, spoil))
    fields = {name: draw(_field(kind, name, arriving)) for name, info in fields_of(kind).items() if info.is_required or draw(st.integers(0, 3))}
    if spoil == "field" and (bounded := [name for name in fields_of(kind) if _bounds(_annotation(kind, name))]):
        name = draw(st.sampled_from(bounded))
        fields[name] = draw(st.sampled_from(_outside(_annotation(kind, name))))
    if spoil == "far":
        fields["dim"] = draw(st.sampled_from((6, -7)))
    return Use(kind, fields, arriving)


def _layout(kind: type[Node]) -> SearchStrategy[tuple[Arriving, ...]]:
    if kind.kind in LAYOUTS:
        return LAYOUTS[kind.kind]
    return _losses() if issubclass(kind, Loss) else _windowed(kind) if hasattr(kind, "axes") else _free()


# Fields --------------------------------------------------------------------------------------------------------------


def _annotation(kind: type[Node], name: str) -> Any:
    annotation = fields_of(kind)[name].annotation
    return (annotation.__origin__, annotation.__metadata__) if hasattr(annotation, "__metadata__") else (annotation, ())


def _bounds(annotation: Any) -> dict[type, Any]:
    """The bounds of a number, also of one that stands beside a list: `PositiveInt | tuple[...]`."""
    base, metadata = annotation
    found = {type(bound): bound for bound in metadata if isinstance(bound, (Gt, Ge, Le, Lt))}
    for part in get_args(base) if get_origin(base) in (Union, types.UnionType) else ():
        if hasattr(part, "__metadata__"):
            found = {type(bound): bound for bound in part.__metadata__ if isinstance(bound, (Gt, Ge, Le, Lt))} or found
    return found


def _outside(annotation: Any) -> list[Any]:
    """Numbers just outside of the bounds."""
    bounds, found = _bounds(annotation), []
    whole = int in {annotation[0], *(getattr(part, "__origin__", part) for part in get_args(annotation[0]))}
    if Gt in bounds:
        found += [0, -1] if whole else [0.0, -0.5]
    if Ge in bounds:
        found += [-1] if whole else [-0.25]
    if Le in bounds or Lt in bounds:
        found += [1.5]
    return found


def _field(kind: type[Node], name: str, arriving: tuple[Arriving, ...]) -> SearchStrategy[Any]:
    if name in INFERRED and not fields_of(kind)[name].is_required:
        return _assertion(arriving[0], INFERRED[name])
    special = FIELDS.get((kind.kind, name)) or FIELDS.get(("", name))
    return special(arriving) if special else _values(*_annotation(kind, name))


def _assertion(x: Any, axis: int) -> SearchStrategy[Any]:
    true = [x.shape[axis]] if x.rank > 1 else []
    return st.sampled_from([None, None, *true, *true, *true, 2, 3])


def _values(annotation: Any, metadata: Sequence[Any] = ()) -> SearchStrategy[Any]:
    """Values that the annotation admits, small and simple."""
    origin, args = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _values(annotation.__origin__, annotation.__metadata__)
    if origin in (Union, types.UnionType):
        return st.one_of([_values(part) for part in args])
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        if args[-1] is Ellipsis:
            return st.lists(_values(args[0]), max_size=3).map(tuple)
        return st.tuples(*map(_values, args))
    if annotation is type(None):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        low = 1 if any(isinstance(bound, Gt) for bound in metadata) else 0 if any(isinstance(bound, Ge) for bound in metadata) else -4
        return st.integers(low, 4)
    assert annotation is float, annotation
    positive = any(isinstance(bound, Gt) for bound in metadata)
    signed = not any(isinstance(bound, (Gt, Ge)) for bound in metadata)
    below_one = any(isinstance(bound, Lt) for bound in metadata)
    return st.sampled_from([0.25, 0.5, *([] if positive else [0.0]), *([-0.5] if signed else []), *([] if below_one else [1.0])])


def _axis(arriving: tuple[Arriving, ...], extra: int = 0) -> SearchStrategy[int]:
    rank = max(_first(arriving).rank + extra, 1)
    return st.integers(-rank, rank - 1) | st.integers(-6, 6)


def _axes(arriving: tuple[Arriving, ...]) -> SearchStrategy[Any]:
    rank = max(_first(arriving).rank, 1)
    return st.one_of(
        st.none(),
        _axis(arriving),
        st.lists(st.integers(-rank, rank - 1), max_size=3).map(tuple),
        st.lists(st.integers(-4, 4), min_size=1, max_size=3).map(tuple),
    )


def _first(arriving: tuple[Arriving, ...]) -> TensorType:
    first = arriving[0]
    found = first[0] if isinstance(first, tuple) else first
    assert found is not None
    return found


def _order(arriving: tuple[Arriving, ...]) -> SearchStrategy[tuple[int, ...]]:
    rank = _first(arriving).rank
    return st.permutations(range(rank)).map(tuple) | st.lists(st.integers(-3, 3), min_size=max(rank - 1, 0), max_size=rank + 1).map(tuple)


@st.composite
def _factors(draw: DrawFn, total: int) -> tuple[int, ...]:
    """Sizes that multiply to `total`, or nearly so, with a -1 now and then."""
    sizes: list[int] = []
    for _ in range(draw(st.integers(0, 2))):
        size = draw(st.sampled_from([each for each in (1, 2, 3, 4, 6) if total % each == 0]))
        sizes.append(size)
        total //= size
    sizes.append(total)
    for change in draw(st.sampled_from(((), (-1,), (-1,), (3,), (-1, 5), (0,), (-2,), (-1, -1)))):
        sizes[draw(st.integers(0, len(sizes) - 1))] = change
    return tuple(sizes)


def _sizes(arriving: tuple[Arriving, ...]) -> SearchStrategy[tuple[int, ...]]:
    total = 1
    for size in _first(arriving).shape:
        total *= int(str(size))
    return _factors(total)


def _split(arriving: tuple[Arriving, ...]) -> SearchStrategy[tuple[int, ...]]:
    shape = _first(arriving).shape
    return st.sampled_from([int(str(size)) for size in shape] or [2]).flatmap(_factors)


def _last_sizes(arriving: tuple[Arriving, ...]) -> SearchStrategy[Any]:
    shape = _first(arriving).shape
    true = [shape[-count:] for count in range(1, len(shape) + 1)]
    return st.sampled_from([None, None, 2, (3, 2), *(sizes[0] for sizes in true[:1]), *true])


def _padding_index(_: tuple[Arriving, ...]) -> SearchStrategy[Any]:
    return st.none() | st.integers(-5, 5)


def _number(_: tuple[Arriving, ...]) -> SearchStrategy[Any]:
    return st.sampled_from([None, None, 1, 2, -3, 0.5, 300, 0])


FIELDS: dict[tuple[str, str], Callable[[tuple[Arriving, ...]], SearchStrategy[Any]]] = {
    ("", "dim"): _axis,
    ("mean", "dim"): _axes,
    ("sum", "dim"): _axes,
    ("amax", "dim"): _axes,
    ("squeeze", "dim"): lambda arriving: _axes(arriving).filter(lambda dim: dim is not None),
    ("unsqueeze", "dim"): lambda arriving: _axis(arriving, extra=1),
    ("stack", "dim"): lambda arriving: _axis(arriving, extra=1),
    ("", "dim0"): _axis,
    ("", "dim1"): _axis,
    ("", "start_dim"): _axis,
    ("", "end_dim"): _axis,
    ("permute", "dims"): _order,
    ("reshape", "shape"): _sizes,
    ("unflatten", "unflattened_size"): _split,
    ("", "normalized_shape"): _last_sizes,
    ("", "padding_idx"): _padding_index,
    ("", "other"): _number,
    ("subtract", "other"): lambda arriving: _number(arriving) if arriving[1] is None else st.none(),
    ("divide", "other"): lambda arriving: _number(arriving) if arriving[1] is None else st.none(),
    ("", "padding"): lambda _: st.sampled_from([0, 0, 1, 1, 2]),
    ("", "out_channels"): lambda _: st.sampled_from([1, 2, 4, 6]),
    ("", "affine"): lambda _: st.sampled_from([True, False, False]),
    ("", "track_running_stats"): lambda _: st.sampled_from([True, False, False]),
    ("", "groups"): lambda _: st.sampled_from([1, 1, 1, 1, 2, 3]),
    ("cross_entropy", "ignore_index"): lambda _: st.sampled_from([-100, -1, 0, 1]),
}
for _axes_count in (1, 2, 3):
    FIELDS[f"conv{_axes_count}d", "padding"] = lambda _, n=_axes_count: st.one_of(
        st.sampled_from([0, 1, 1, 2, "same", "same", "valid"]), st.tuples(*[st.integers(0, 2)] * n)
    )
    FIELDS[f"conv{_axes_count}d", "stride"] = lambda _, n=_axes_count: st.one_of(st.sampled_from([1, 1, 2]), st.tuples(*[st.integers(1, 3)] * n))


# What arrives --------------------------------------------------------------------------------------------------------


@st.composite
def _windowed(draw: DrawFn, kind: type[Node]) -> tuple[Arriving, ...]:
    axes: int = kind.axes  # type: ignore[attr-defined]
    places = [draw(st.integers(1, 4 if axes == 3 else 7)) for _ in range(axes)]
    return (TensorType(draw(st.sampled_from(SETTLED[:4])), (draw(st.integers(1, 2)), draw(st.sampled_from((1, 2, 4, 6))), *places)),)


@st.composite
def _free(draw: DrawFn, low: int = 0, high: int = 4, dtypes: Sequence[str] = SETTLED, sizes: Sequence[int] = (1, 2, 3, 4, 6)) -> tuple[Arriving, ...]:
    rank = draw(st.integers(low, high))
    return (TensorType(draw(st.sampled_from(dtypes)), tuple(draw(st.sampled_from(sizes)) for _ in range(rank))),)


@st.composite
def _with_last_axis_of_batch(draw: DrawFn) -> tuple[Arriving, ...]:
    return draw(_free(low=2, high=3, dtypes=SETTLED[:4]))


@st.composite
def _relative(draw: DrawFn, x: TensorType) -> TensorType:
    """A tensor that goes with `x`: of its shape, with axes of size 1, without its first axes, or just another one."""
    shape = list(x.shape)
    change = draw(st.sampled_from(("", "", "one", "fewer", "none", "other")))
    if change == "one" and shape:
        shape[draw(st.integers(0, len(shape) - 1))] = 1
    elif change == "other" and shape:
        shape[draw(st.integers(0, len(shape) - 1))] = 5
    shape = shape[1:] if change == "fewer" else [] if change == "none" else shape
    return TensorType(draw(st.sampled_from((x.dtype, x.dtype, *ODD))), tuple(shape))


@st.composite
def _list(draw: DrawFn) -> tuple[Arriving, ...]:
    (x,) = draw(_free(low=draw(st.sampled_from((0, 1, 1, 1))), dtypes=PAIRED))
    assert isinstance(x, TensorType)
    return ((x, *(draw(_relative(x)) for _ in range(draw(st.sampled_from((1, 1, 1, 1, 2, 2, 0)))))),)


@st.composite
def _pair(draw: DrawFn) -> tuple[Arriving, ...]:
    (x,) = draw(_free(low=draw(st.sampled_from((0, 1, 1, 1))), dtypes=PAIRED))
    assert isinstance(x, TensorType)
    return (x, draw(_relative(x)) if draw(st.integers(0, 5)) else None)


@st.composite
def _matrices(draw: DrawFn) -> tuple[Arriving, ...]:
    dtype = draw(st.sampled_from(SETTLED))
    m, k, n = (draw(st.integers(1, 4)) for _ in range(3))
    batch = draw(st.lists(st.integers(1, 3), max_size=2))
    other = draw(st.sampled_from((batch, batch, [], [1] * len(batch), [2, 3])))
    return (TensorType(dtype, (*batch, m, k)), TensorType(dtype, (*other, draw(st.sampled_from((k, k, k, 5))), n)))


@st.composite
def _losses(draw: DrawFn) -> tuple[Arriving, ...]:
    (x,) = draw(_free())
    assert isinstance(x, TensorType)
    target = draw(st.sampled_from((x, x)) if draw(st.booleans()) else _relative(x))
    return (x, target)


@st.composite
def _classes(draw: DrawFn) -> tuple[Arriving, ...]:
    (x,) = draw(_free(low=draw(st.sampled_from((2, 1)))))
    assert isinstance(x, TensorType)
    numbers = TensorType(draw(st.sampled_from(("int64", "int64", "int64", "int32", "uint8"))), (*x.shape[:1], *x.shape[2:]))
    return (x, draw(st.sampled_from((numbers, numbers, numbers, x, TensorType("int64", x.shape), TensorType("int64", (5, *x.shape[2:]))))))


LAYOUTS: dict[str, SearchStrategy[tuple[Arriving, ...]]] = {
    "linear": _free(dtypes=("float32",)),
    "squeeze": _free(sizes=(1, 1, 1, 2)),
    "embedding": _free(dtypes=("int64", "int64", "int32", "float32", "uint8", "bool"), high=3),
    "prelu": _free(dtypes=("float32",)),
    "batch_norm1d": _with_last_axis_of_batch(),
    "layer_norm": _free(dtypes=("float32", "float32", "float64")),
    "rms_norm": _free(dtypes=("float32", "float32", "float64")),
    "group_norm": _free(dtypes=("float32", "float32", "float64")),
    "add": _list(),
    "multiply": _list(),
    "concat": _list(),
    "stack": _list(),
    "subtract": _pair(),
    "divide": _pair(),
    "matmul": _matrices(),
    "cross_entropy": _classes(),
}

_ELEMENTS = ("", "", "alien", "alien", "alien", "dtype")
_OPERANDS = ("", "", "clash", "clash", "clash", "clash", "dtype")
_NORMS = ("", "", "", "alien", "alien", "field", "dtype", "rank", "unbatched", "size")
_ADAPTIVE = ("", "", "alien", "alien", "alien", "alien", "rank", "dtype", "unbatched", "field")
_AXES = ("", "", "far", "far", "rank", "alien")
SPOILS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("elu", "gelu", "hardsigmoid", "hardswish", "leaky_relu", "mish", "relu", "relu6", "selu", "silu"), _ELEMENTS),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d"), (*_ELEMENTS, "field", "field", "rank")),
    **dict.fromkeys([f"{kind}{axes}d" for kind in ("batch_norm", "instance_norm") for axes in (1, 2, 3)], _NORMS),
    **dict.fromkeys([f"adaptive_{kind}_pool{axes}d" for kind in ("avg", "max") for axes in (1, 2, 3)], _ADAPTIVE),
    **dict.fromkeys([f"avg_pool{axes}d" for axes in (1, 2, 3)], ("", "", "field", "field", "alien", "alien", "size", "size", "unbatched")),
    **dict.fromkeys(("layer_norm", "rms_norm", "group_norm", "prelu"), ("", "field", "dtype", "rank", "size")),
    "cross_entropy": ("", "", "", "size", "rank", "alien", "field"),
    "softplus": (*_ELEMENTS, "field"),
    **dict.fromkeys(("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits"), _OPERANDS),
    **dict.fromkeys(("add", "multiply", "subtract", "divide"), _OPERANDS),
    **dict.fromkeys(("mean", "sum", "amax", "squeeze", "unsqueeze", "softmax", "log_softmax"), _AXES),
}
"""How the uses of a kind are spoiled, where the usual mixture rarely meets what torch refuses."""


@st.composite
def _spoiled(draw: DrawFn, arriving: tuple[Arriving, ...], how: str) -> tuple[Arriving, ...]:
    ports = [at for at, each in enumerate(arriving) if each is not None]
    at = ports[-1] if how == "clash" else draw(st.sampled_from(ports))
    chosen = arriving[at]
    if isinstance(chosen, tuple):
        item = len(chosen) - 1 if how == "clash" else draw(st.integers(0, len(chosen) - 1))
        changed: Arriving = (*chosen[:item], draw(_changed(chosen[item], how)), *chosen[item + 1 :])
    else:
        assert chosen is not None
        changed = draw(_changed(chosen, how))
    return (*arriving[:at], changed, *arriving[at + 1 :])


@st.composite
def _changed(draw: DrawFn, x: TensorType, how: str) -> TensorType:
    if how == "dtype":
        return x.with_dtype(draw(st.sampled_from(ODD)))
    if how == "alien":
        return x.with_dtype(draw(st.sampled_from(("bool", "complex64"))))
    if how == "clash":
        return x.with_shape(tuple(size + 4 for size in x.shape))
    shape = list(x.shape)
    if how == "unbatched":
        return x.with_shape(tuple(shape[1:]))
    if how == "rank":
        at = draw(st.integers(0, len(shape)))
        if at < len(shape) and draw(st.booleans()):
            del shape[at]
        else:
            shape.insert(at, draw(st.integers(1, 3)))
    elif shape:
        shape[draw(st.integers(0, len(shape) - 1))] = draw(st.integers(1, 3))
    return x.with_shape(tuple(shape))
