"""What arrives at a block against what its inputs declare: `x: "[B, C, H, W]"` binds the sizes of `x` to names, or refuses it.

A name that stands for the first time takes the size it meets; everything else is an assertion that must hold for every size.
"""

from __future__ import annotations

from collections.abc import Mapping

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Refusal
from specbuilder.graph.graph import Value
from specbuilder.graph.scope import Output
from specbuilder.shapes import Dim, DimError, Poly, TensorType, divisible, equal, evaluate, parse_type, substitute, symbol


def bind(block: str, port: str, text: str, output: Output, bound: Mapping[str, Dim]) -> dict[str, Dim]:
    """The sizes that an input's type binds, beside those bound already. Raises `Refusal`, and `DimError` for a text that is no type."""
    if not isinstance(output, Value):
        raise Refusal(
            f"`{block}` wants one tensor `{port}`, but a list of {len(output)} arrives", port=port, help=f"declare it as `{port}: any` to take a list"
        )
    declared = parse_type(text if not text.lstrip().startswith("[") else f"float32{text.strip()}")
    has_dtype = not text.lstrip().startswith("[")
    assert output.type is not None
    found = output.type
    if has_dtype and declared.dtype != found.dtype:
        raise Refusal(f"`{block}` wants {text} at `{port}`, but {found} arrives", port=port, code="SB0501")
    if declared.rank != found.rank:
        raise Refusal(f"`{block}` wants {text} at `{port}`, but {found} has {demands.counted(found.rank, 'axis', 'axes')}", port=port)
    names = dict(bound)
    for axis, (wanted, size) in enumerate(zip(declared.shape, found.shape, strict=True)):
        _size(block, port, axis, wanted, size, names, found)
    return names


def _size(block: str, port: str, axis: int, wanted: Dim, size: Dim, names: dict[str, Dim], found: TensorType) -> None:
    if isinstance(wanted, Poly):
        free = sorted(name for name in wanted.symbols if name not in names)
        if wanted == (symbol(free[0]) if len(free) == 1 else None):
            names[free[0]] = size
            return
        wanted = substitute(wanted, {name: names[name] for name in wanted.symbols if name in names})
        if len(free) == 1 and isinstance(wanted, Poly):
            names[free[0]] = _solved(block, port, axis, wanted, free[0], size)
            return
        if free:
            raise Refusal(
                f"`{block}` cannot find {' and '.join(f'`{name}`' for name in free)} from axis {axis} of `{port}`, which is {size}", port=port
            )
    verdict = equal(wanted, size)
    if verdict is not True:
        said = "has size" if verdict is False else "cannot be proved to have it; it has"
        raise Refusal(f"`{block}` wants size {wanted} on axis {axis} of `{port}`, but {found.shape_text} {said} {size}", port=port)


def _solved(block: str, port: str, axis: int, wanted: Poly, name: str, size: Dim) -> Dim:
    """The size of `name` where `16*name` meets `size`."""
    try:
        offset = evaluate(wanted, {name: 0})
        factor = evaluate(wanted, {name: 1}) - offset
        is_linear = all(evaluate(wanted, {name: n}) == factor * n + offset for n in (2, 3, 7)) and factor >= 1
        rest = size - offset
    except (DimError, KeyError):
        is_linear, factor, rest = False, 1, size
    if not is_linear:
        raise Refusal(
            f"`{block}` cannot find `{name}` from `{wanted}` on axis {axis} of `{port}`", port=port, help="write a name, or a number times a name"
        )
    if divisible(rest, factor) is not True:
        raise Refusal(f"`{block}` wants size {wanted} on axis {axis} of `{port}`, but it is {size}, which cannot be proved to be one", port=port)
    return rest // factor
