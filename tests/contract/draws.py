"""Draws uses of a kind: fields from their types, tensors that suit the kind, and then, for more than half of them, something that spoils it.

A generic strategy follows the pydantic types of the fields; a table adds what depends on the shapes that arrive. A use is spoiled by another dtype, one axis more
or less, another size, or a number outside of a field's bounds, so that a good share of the draws is refused by torch.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from specbuilder.catalogue.contract import Loss, Node
from specbuilder.catalogue.declared import fields_of, keys_of
from specbuilder.shapes import Poly, TensorType
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


ALWAYS = {"other", "exponent"}
"""Fields that are drawn although they may be left out."""


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
    fields = draw(WHOLE[kind.kind](arriving)) if kind.kind in WHOLE else {}
    for name, info in keys_of(kind).items():
        if name not in fields and (info.is_required or name in ALWAYS or draw(st.integers(0, 3))):
            fields[name] = draw(_field(kind, name, arriving))
    if spoil == "field" and (bounded := [name for name in keys_of(kind) if _bounds(_annotation(kind, name))]):
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
    if annotation is Poly:
        return st.nothing()
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


def _second(arriving: tuple[Arriving, ...], numbers: Sequence[float]) -> SearchStrategy[Any]:
    """The second operand as a number where it is no tensor."""
    return st.sampled_from([*numbers, None]) if arriving[1] is None else st.sampled_from([None] * 9 + [2])


def _asserted(x: Arriving) -> SearchStrategy[Any]:
    assert isinstance(x, TensorType)
    return st.sampled_from([None, None, None, *(x.shape[-1:] * 2), 5])


def _sections(arriving: tuple[Arriving, ...]) -> SearchStrategy[Any]:
    return st.one_of(st.integers(1, 4), st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple), st.sampled_from([(2, 0), (1, 1), (2, 1)]))


SECOND_IS_NUMBER = ("floor_divide", "remainder", "eq", "ne", "lt", "le", "gt", "ge")
UPSAMPLED = {rank: ["linear"] for rank in range(4)} | {4: ["bilinear", "bicubic"]} | {rank: ["trilinear"] for rank in (5, 6, 7)}


@st.composite
def _pattern(draw: DrawFn, arriving: tuple[Arriving, ...], kind: str) -> dict[str, Any]:
    """A pattern that suits what arrives, or nearly so."""
    sizes: dict[str, int] = {}
    left = [draw(_group("abcdefgh"[at], int(str(size)), sizes)) for at, size in enumerate(_first(arriving).shape)]
    right = list(draw(st.permutations([name for group in left for name in group if name.isidentifier()])))
    if kind == "einops_reduce":
        right = right[draw(st.integers(0, len(right))) :]
    if kind == "einops_repeat":
        new = draw(st.sampled_from(({}, {"n": 2}, {"n": 3, "m": 1})))
        for name in (*new, *draw(st.sampled_from(((), ("2",))))):
            right.insert(draw(st.integers(0, len(right))), name)
        sizes |= new
    groups: list[list[str]] = []
    while right:
        count = draw(st.integers(1, 3))
        groups.append(right[:count])
        right = right[count:]
    if draw(st.sampled_from((False, False, True))):
        groups.insert(draw(st.integers(0, len(groups))), draw(st.sampled_from((["1"], []))))
    text = f"{_side(left)} -> {_side(groups)}"
    spoilt = draw(st.sampled_from((text, text, text, *_mistaken(text))))
    return {"pattern": spoilt, **({"z": 2} if draw(st.integers(0, 9)) == 0 else {}), **sizes}


@st.composite
def _group(draw: DrawFn, name: str, size: int, sizes: dict[str, int]) -> list[str]:
    """What the pattern calls an axis; sizes that must be said are added to `sizes`."""
    how = draw(st.sampled_from(("one", "one", "split", "unit", "wrong")))
    if how == "unit" and size == 1:
        return draw(st.sampled_from((["1"], [])))
    if how not in ("split", "wrong"):
        return [name]
    inner = [f"{name}1", f"{name}2"] if draw(st.booleans()) else [f"{name}2", f"{name}1"]
    sizes[f"{name}1"] = draw(st.integers(1, 3) if how == "wrong" else st.sampled_from([each for each in (1, 2, 3) if size % each == 0]))
    return inner


def _side(groups: Sequence[Sequence[str]]) -> str:
    return " ".join(group[0] if len(group) == 1 else f"({' '.join(group)})" for group in groups)


def _mistaken(text: str) -> list[str]:
    """The pattern with something wrong, or nearly so."""
    return [
        f"{text} z",
        text.replace("a", "", 1),
        f"{text} a",
        f"... {text.replace('-> ', '-> ... ')}",
        text.replace("a", "A"),
        text.replace("(", "((", 1),
    ]


EQUATIONS = (
    "ij,jk->ik",
    "ij,ij->ij",
    "ij,ij->i",
    "ij,ij->",
    "i,j->ij",
    "bij,bjk->bik",
    "bij,jk->bik",
    "...i,ij->...j",
    "ij,jk",
    "i,i",
    "bij,bkj,bi->bk",
    "ij->ji",
    "ij->i",
    "ii->i",
)


@st.composite
def _operands(draw: DrawFn) -> tuple[Arriving, ...]:
    equation = draw(st.sampled_from(EQUATIONS))
    sizes = {letter: draw(st.integers(2, 4)) for letter in "bijk"}
    dots = draw(st.lists(st.integers(2, 3), max_size=2))
    dtype = draw(st.sampled_from(SETTLED[:4]))
    terms = equation.partition("->")[0].split(",")
    return (tuple(TensorType(dtype, (*(dots if "..." in term else ()), *(sizes[letter] for letter in term if letter != "."))) for term in terms),)


def _equation(arriving: tuple[Arriving, ...]) -> SearchStrategy[dict[str, Any]]:
    operands = arriving[0]
    assert isinstance(operands, tuple)
    ranks = [each.rank for each in operands]
    suits = [each for each in EQUATIONS if [len(term) for term in each.partition("->")[0].split(",")] == ranks]
    odd = ["ij,jk->iz", "i!,jk->i", "ij,jk->ii", "...i,ij->...j"]
    return st.sampled_from([*suits * 3, *odd, *EQUATIONS[:2]]).map(lambda equation: {"equation": equation})


WHOLE: dict[str, Callable[[tuple[Arriving, ...]], SearchStrategy[dict[str, Any]]]] = {
    **{kind: partial(_pattern, kind=kind) for kind in ("rearrange", "einops_reduce", "einops_repeat")},
    "einsum": _equation,
}
"""Fields that only together make sense."""

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
    **dict.fromkeys((("amin", "dim"), ("var", "dim"), ("std", "dim")), _axes),
    ("logsumexp", "dim"): lambda arriving: _axes(arriving).filter(lambda dim: dim is not None),
    ("prod", "dim"): lambda arriving: st.none() | _axis(arriving),
    ("argmax", "dim"): lambda arriving: st.none() | _axis(arriving),
    ("argmin", "dim"): lambda arriving: st.none() | _axis(arriving),
    ("roll", "shifts"): lambda _: st.integers(-3, 3) | st.lists(st.integers(-3, 3), max_size=3).map(tuple),
    ("roll", "dims"): _axes,
    ("split", "split_size_or_sections"): _sections,
    ("cosine_similarity", "dim"): lambda arriving: st.integers(-_first(arriving).rank, _first(arriving).rank - 1) | _axis(arriving),
    ("", "correction"): lambda _: st.sampled_from([0, 1, 1, 2]),
    ("", "exponent"): lambda arriving: _second(arriving, [2, 3, 0, -1, 0.5, 2.0]),
    **{(name, "other"): lambda arriving: _second(arriving, [1, 2, 3, -3, 0.5, 300, 0]) for name in SECOND_IS_NUMBER},
    ("where", "input"): lambda arriving: (
        _number(arriving).filter(lambda n: n is not None) if arriving[1] is None else st.sampled_from([None] * 5 + [1])
    ),
    ("where", "other"): lambda arriving: _number(arriving).filter(lambda n: n is not None) if arriving[2] is None else st.none(),
    ("", "value"): lambda _: st.sampled_from([0, 1, -1, 0.5, True, 300]),
    ("clamp", "min"): lambda _: st.sampled_from([None, None, 0, 1, -1, 0.5, 300]),
    ("clamp", "max"): lambda _: st.sampled_from([None, None, 0, 1, 2, 0.5, 300]),
    ("topk", "k"): lambda _: st.integers(1, 7),
    ("upsample", "size"): lambda _: st.sampled_from([None, None, None, 3, (4,), (4, 5), (2, 3, 4)]),
    ("upsample", "scale_factor"): lambda _: st.sampled_from([None, 2, 2, 1.5, 0.5, 3, (2, 1.5), (2,), 0.7, (0.5, 2, 1)]),
    ("upsample", "mode"): lambda arriving: st.sampled_from(["nearest", *(UPSAMPLED[_first(arriving).rank] * 2), "bilinear"]),
    ("upsample", "align_corners"): lambda _: st.sampled_from([None, None, None, False, True]),
    ("", "size"): lambda _: st.lists(st.sampled_from([1, 2, 3, 4, 0, -1, -2]), max_size=3).map(tuple),
    ("", "fill_value"): lambda _: st.sampled_from([0, 1, 0.5, True]),
    ("", "shape"): lambda _: st.lists(st.sampled_from([1, 2, 3, -1]), max_size=3).map(tuple),
    ("arange", "end"): lambda _: st.integers(-4, 10),
    ("arange", "start"): lambda _: st.integers(-4, 4),
    ("arange", "step"): lambda _: st.sampled_from([1, 1, 2, 3, -1, -2, 0]),
    ("multihead_attention", "num_heads"): lambda _: st.sampled_from([1, 2, 2, 3]),
    ("multihead_attention", "embed_dim"): lambda arriving: _asserted(arriving[0]),
    ("multihead_attention", "kdim"): lambda arriving: _asserted(arriving[1]),
    ("multihead_attention", "vdim"): lambda arriving: _asserted(arriving[2]),
    ("multihead_attention", "is_causal"): lambda arriving: st.just(False) if arriving[4] is not None else st.booleans(),
    ("multihead_attention", "dropout"): lambda _: st.sampled_from([0.0, 0.5]),
    ("scaled_dot_product_attention", "is_causal"): lambda arriving: (
        st.sampled_from([False] * 4 + [True]) if arriving[3] is not None else st.booleans()
    ),
    ("scaled_dot_product_attention", "scale"): lambda _: st.sampled_from([None, None, 0.25]),
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


@st.composite
def _attending(draw: DrawFn) -> tuple[Arriving, ...]:
    dtype = draw(st.sampled_from(SETTLED[:4]))
    batch = draw(st.lists(st.integers(1, 4), min_size=1, max_size=2))
    asking, read, width, wide = (draw(st.integers(1, 4)) for _ in range(4))
    other = list(batch)
    if draw(st.integers(0, 3)) == 0:
        other[-1] = draw(st.integers(1, 2))
    query, key, value = (asking, width), (read, width), (draw(st.sampled_from((read, read, read, read, 6))), wide)
    mask = draw(st.sampled_from((None, None, (asking, read), (*batch, asking, read), (1, read), (asking, 5))))
    masks = None if mask is None else TensorType(draw(st.sampled_from(("bool", dtype, "int64"))), mask)
    return (TensorType(dtype, (*batch, *query)), TensorType(dtype, (*other, *key)), TensorType(dtype, (*other, *value)), masks)


@st.composite
def _weighted_attention(draw: DrawFn) -> tuple[Arriving, ...]:
    batch, asking, read = (draw(st.integers(1, 3)) for _ in range(3))
    features = draw(st.sampled_from((4, 6)))
    query = TensorType("float32", (batch, asking, features))
    if draw(st.booleans()):
        key = value = query
    else:
        key = TensorType("float32", (batch, read, draw(st.sampled_from((features, 5)))))
        value = TensorType(
            "float32", (draw(st.sampled_from((batch, batch, 4))), draw(st.sampled_from((read, read, read, 6))), draw(st.sampled_from((features, 3))))
        )
    padding = draw(st.sampled_from((None, None, key.shape[:2], key.shape[:2], (2, 5))))
    places = (query.shape[1], key.shape[1])
    mask = draw(st.sampled_from((None, None, None, places, (batch * 2, *places), (*places, 1))))
    return (
        query,
        key,
        value,
        None if padding is None else TensorType(draw(st.sampled_from(("bool", "bool", "bool", "float32", "int64"))), padding),
        None if mask is None else TensorType(draw(st.sampled_from(("bool", "float32", "int64"))), mask),
    )


@st.composite
def _choice(draw: DrawFn) -> tuple[Arriving, ...]:
    (x,) = draw(_free(low=draw(st.sampled_from((0, 1, 1, 1))), dtypes=PAIRED))
    assert isinstance(x, TensorType)
    condition = draw(_relative(x)).with_dtype(draw(st.sampled_from(("bool", "bool", "bool", "bool", "int64", "uint8"))))
    operands = (x if draw(st.integers(0, 3)) else None, draw(_relative(x)) if draw(st.integers(0, 3)) else None)
    return (condition, *operands)


@st.composite
def _masked(draw: DrawFn) -> tuple[Arriving, ...]:
    (x,) = draw(_free(dtypes=("float32", "float64", "int64", "bool", "uint8")))
    assert isinstance(x, TensorType)
    return (x, draw(_relative(x)).with_dtype(draw(st.sampled_from(("bool", "bool", "bool", "int64")))))


@st.composite
def _vectors(draw: DrawFn) -> tuple[Arriving, ...]:
    (x,) = draw(_free(low=1, dtypes=SETTLED))
    assert isinstance(x, TensorType)
    other = draw(_relative(x))
    return (x, other if draw(st.integers(0, 3)) == 0 else other.with_dtype(x.dtype))


@st.composite
def _two(draw: DrawFn) -> tuple[Arriving, ...]:
    (x,) = draw(_free(low=draw(st.sampled_from((0, 1, 1, 1))), dtypes=PAIRED))
    assert isinstance(x, TensorType)
    return (x, draw(_relative(x)))


@st.composite
def _indexed(draw: DrawFn) -> tuple[Arriving, ...]:
    (x,) = draw(_free(low=1, high=3))
    assert isinstance(x, TensorType)
    shape = tuple(draw(st.integers(1, int(str(size)) + (draw(st.integers(0, 3)) == 0))) for size in x.shape)
    return (x, TensorType(draw(st.sampled_from(("int64", "int64", "int64", "int32", "float32"))), shape))


@st.composite
def _listed(draw: DrawFn) -> tuple[Arriving, ...]:
    (x,) = draw(_free(low=1, high=3))
    return (x, TensorType(draw(st.sampled_from(("int64", "int64", "int64", "int32", "float32"))), (2,)))


NOTHING: SearchStrategy[tuple[Arriving, ...]] = st.just(())

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
    "multihead_attention": _weighted_attention(),
    "scaled_dot_product_attention": _attending(),
    "where": _choice(),
    "masked_fill": _masked(),
    "pairwise_distance": _vectors(),
    "cosine_similarity": _vectors(),
    "gather": _indexed(),
    "index_select": _listed(),
    "einsum": _operands(),
    "one_hot": _free(dtypes=("int64", "int64", "int64", "int32", "float32", "bool")),
    "upsample": _free(low=3, high=5, dtypes=SETTLED[:4]),
    **dict.fromkeys(("pow", *SECOND_IS_NUMBER), _pair()),
    **dict.fromkeys(("logical_and", "logical_or", "maximum", "minimum"), _two()),
    **dict.fromkeys(("arange", "zeros", "ones", "full", "parameter", "buffer"), NOTHING),
    **dict.fromkeys(
        ("abs", "square", "neg", "clamp", "sort", "topk", "argmax", "argmin", "prod", "cumsum", "cast", "zeros_like", "amin"),
        _free(dtypes=(*SETTLED, "int64", "uint8", "bool")),
    ),
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
    **dict.fromkeys(("pow", "logical_and", "logical_or", "maximum", "minimum", *SECOND_IS_NUMBER), _OPERANDS),
    **dict.fromkeys(("rearrange", "einops_reduce", "einops_repeat"), ("", "", "", "", "rank", "alien")),
    **dict.fromkeys(("abs", "erf", "neg"), ("", "", "alien", "alien", "complex")),
    "einsum": ("", "", "", "size", "size", "dtype", "rank"),
    **dict.fromkeys(("arange", "zeros", "ones", "full", "parameter", "buffer"), ("",)),
    **dict.fromkeys(("amin", "logsumexp", "var", "std", "argmax", "argmin", "prod", "cumsum", "sort", "topk", "unbind", "append"), _AXES),
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
    if how == "complex":
        return x.with_dtype("complex64")
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
