"""What kinds demand of the tensors that arrive, each demand in plain words.

In: types, and the name of the kind that asks. Out: nothing, or the fact that was asked for; a demand that is not met raises `Refusal`. Every sentence that
several kinds say to a user stands here once. Sizes may be symbolic: equality must be proved, and a size that fixes a weight must be a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from specbuilder.catalogue.contract import Parameter, Refusal, Remark, Role
from specbuilder.shapes import Dim, TensorType, counterexample, equal, is_floating, substitute, symbol

NOT_FLOATING = "whole, boolean and complex numbers: nearly always a forgotten conversion, and torch itself takes them in some kinds only"
OTHER_FLOAT = "floating-point numbers of another precision than the weights: torch mixes them in some kinds only"
UNBATCHED = "a tensor without a batch axis: that nothing is batched cannot be told from a forgotten axis"
SCALAR_AXIS = "an axis of a single number (rank 0): there is none"
EMPTY = "a size of 0 or less, which holds nothing"
NO_AXIS = "an empty list of axes, which torch takes for all of them in some functions and for none in others"
STRETCHED_TARGET = "shapes that differ: torch stretches (B, 1) and (B) to (B, B) and trains on nonsense"
MIXED_FLOATS = "input and target of different precision: torch computes them in the larger one"
"""Reasons for `stricter_than_torch` that several kinds share."""

UNALIGNED = "SB0426"


def causal(kind: str, asking: Dim, asked: Dim) -> tuple[Remark, ...]:
    """What is to be said of `is_causal` where not as many places ask as are asked: torch counts both from the first, though the last belong together."""
    if equal(asking, asked) is True:
        return ()
    message = f"`{kind}` has `is_causal`, and {asking} places ask {asked}: torch lets the first ask the first alone, wherever it stands"
    return (Remark(UNALIGNED, message, "write the mask out, such as `compute: arange($S) <= here[:, null]`, and give it to `attn_mask`"),)


WEIGHTS = "float32"


def floating(kind: str, x: TensorType, *, port: str | None = None) -> None:
    if not is_floating(x.dtype):
        raise Refusal(f"`{kind}` wants floating-point numbers, but {x.dtype} arrives", port=port, help=_FLOAT_HELP, code="SB0501")


_FLOAT_HELP = "declare the input as float32, or turn categories into vectors with `embedding`"


def as_weights(kind: str, x: TensorType, *, port: str | None = None) -> None:
    """The input must be of the weights' type: torch multiplies no int64 or float64 by float32 weights."""
    floating(kind, x, port=port)
    if x.dtype != WEIGHTS:
        raise Refusal(f"`{kind}` has {WEIGHTS} weights, but {x.dtype} arrives", port=port, help=f"declare the input as {WEIGHTS}", code="SB0501")


def rank(kind: str, x: TensorType, ranks: Sequence[int], axes: str, *, port: str | None = None) -> None:
    """One of these ranks; `axes` is how the reader knows them: `[batch, channels, height, width]`."""
    if x.rank not in ranks:
        raise Refusal(f"`{kind}` wants {axes}, but {x} has {counted(x.rank, 'axis', 'axes')}", port=port)


def at_least_one_axis(kind: str, x: TensorType) -> None:
    if not x.rank:
        raise Refusal(f"`{kind}` wants at least one axis, but a single number arrives")


def counted(number: Dim, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def fixed(kind: str, size: Dim, what: str) -> int:
    """A size that weights are made of must be a number."""
    if isinstance(size, int):
        return size
    name = min(size.symbols)
    raise Refusal(
        f"`{kind}` makes its weights as large as its number of {what}, but that is `{size}`, which is not fixed",
        help=f"declare a number instead of `{name}` in the input, or remove `{name}` first, as `adaptive_avg_pool2d: 1` does for height and width",
    )


def agrees(kind: str, field: str, written: int | None, found: int, what: str) -> None:
    """A field that shapes tell is an assertion when it is written all the same."""
    if written is not None and written != found:
        raise Refusal(
            f"`{kind}` wants {counted(written, what, what + 's')} per sample, but {found} arrive{'s' if found == 1 else ''}",
            field=field,
            help=f"delete `{field}`; it is inferred",
        )


def axis(kind: str, dim: int, x: TensorType, *, field: str = "dim", extra: int = 0) -> int:
    """The axis that `dim` names, counted from the front. `extra` axes do not exist yet, as for `unsqueeze`."""
    rank = x.rank + extra
    if -rank <= dim < rank:
        return dim % rank
    if not rank:
        raise Refusal(f"`{kind}` wants an axis {dim}, but a single number arrives, which has none", field=field)
    raise Refusal(f"`{kind}` has no axis {dim} in {x.shape_text}: axes run from {-rank} to {rank - 1}", field=field)


def axes(kind: str, dims: int | Sequence[int] | None, x: TensorType, *, field: str = "dim") -> tuple[int, ...]:
    """The axes that `dims` names, in the order of the text; None means all of them. None may be named twice."""
    if dims is None:
        return tuple(range(x.rank))
    if dims == ():
        raise Refusal(f"`{kind}` names no axis: the list is empty", field=field)
    found = tuple(axis(kind, dim, x, field=field) for dim in ((dims,) if isinstance(dims, int) else dims))
    for at, each in enumerate(found):
        if each in found[:at]:
            raise Refusal(f"`{kind}` names axis {each} twice", field=field)
    return found


def same_size(kind: str, a: Dim, b: Dim, *, where: str, port: str | None = None, item: int | None = None) -> None:
    """Two sizes that must be equal for every size of the input. `where` completes "`concat` wants equal sizes ..."."""
    verdict = equal(a, b)
    if verdict is True:
        return
    if verdict is False:
        raise Refusal(f"`{kind}` wants equal sizes {where}, found {a} and {b}", port=port, item=item)
    message = f"`{kind}` wants equal sizes {where}, but cannot prove that `{a}` equals `{b}`{_instance(a, b)}"
    raise Refusal(message, port=port, item=item, help=_declaration(a, b))


def same_shape(kind: str, a: TensorType, b: TensorType, *, port: str | None = None, item: int | None = None) -> None:
    """Two shapes that must be equal for every size of the input."""
    if a.shape == b.shape:
        return
    if a.rank != b.rank or any(equal(p, q) is False for p, q in zip(a.shape, b.shape, strict=True)):
        raise Refusal(f"`{kind}` wants equal shapes, found {a.shape_text} and {b.shape_text}", port=port, item=item)
    for at, (p, q) in enumerate(zip(a.shape, b.shape, strict=True)):
        same_size(kind, p, q, where=f"on axis {at}", port=port, item=item)


def _instance(a: Dim, b: Dim) -> str:
    sizes = counterexample(a, b)
    if not sizes:
        return ""
    return f" (not for {', '.join(f'{name} = {size}' for name, size in sorted(sizes.items()))})"


def _declaration(a: Dim, b: Dim) -> str | None:
    """The declaration that would prove the sizes equal, where there is one."""
    symbols = sorted((frozenset() if isinstance(a, int) else a.symbols) | (frozenset() if isinstance(b, int) else b.symbols))
    for factor in (2, 4, 8, 16, 32, 64):
        multiples = {name: factor * symbol(name) for name in symbols}
        if equal(substitute(a, multiples), substitute(b, multiples)) is True:
            return f"declare {' and '.join(f'`{factor}*{name}`' for name in symbols)} instead of {' and '.join(f'`{name}`' for name in symbols)} in the input"
    if isinstance(a, int) != isinstance(b, int):
        number, text = (a, b) if isinstance(a, int) else (b, a)
        return f"declare {number} instead of `{text}` in the input" if str(text) in symbols else None
    if len(symbols) == 2 and {str(a), str(b)} == set(symbols):
        return f"call the size `{a}` in both inputs if it is the same"
    return None


def numel(shape: Sequence[Dim]) -> Dim:
    """How many elements a shape has."""
    return prod(shape)


def parameter(role: Role, *shape: int) -> Parameter:
    return Parameter(shape, role)
