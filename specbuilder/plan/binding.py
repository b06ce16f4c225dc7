"""Which feature of the data meets which input of the model, and what sizes that fixes."""

from __future__ import annotations

from collections.abc import Mapping

from specbuilder.shapes import Dim, Poly, TensorType, evaluate, substitute


def bind_names(inputs: Mapping[str, TensorType], features: Mapping[str, bool], written: Mapping[str, str]) -> dict[str, str]:
    """Input: feature. As written, else by equal name, else the lone input left over with the lone feature left over that is no target.

    `features` says of each whether the data calls it a target. Inputs for which nothing is found are missing from the answer.
    """
    bound = {name: feature for name, feature in written.items() if name in inputs}
    for name in inputs:
        if name not in bound and name in features:
            bound[name] = name
    open_inputs = [name for name in inputs if name not in bound]
    open_features = [name for name, is_target in features.items() if not is_target and name not in bound.values()]
    if len(open_inputs) == len(open_features) == 1:
        bound[open_inputs[0]] = open_features[0]
    return bound


def match(wanted: TensorType, given: TensorType, sizes: dict[str, Dim]) -> str | None:
    """Why `given` does not fit an input of type `wanted`; None when it does, and then `sizes` holds what its symbols stand for.

    A symbol stands for one size everywhere; `16*h` wants a multiple of 16.
    """
    if wanted.dtype != given.dtype:
        return f"its dtype is {given.dtype}, not {wanted.dtype}"
    if wanted.rank != given.rank:
        return f"it has {given.rank} axes, not {wanted.rank}"
    for axis, (want, have) in enumerate(zip(wanted.shape, given.shape, strict=True)):
        if not _match_dim(want, have, sizes):
            return f"axis {axis} has size {have}, not {substitute(want, sizes)}"
    return None


def _match_dim(want: Dim, have: Dim, sizes: dict[str, Dim]) -> bool:
    want = substitute(want, sizes)
    if isinstance(want, int) or want == have:
        return want == have
    (symbol, *others) = sorted(want.symbols)
    if others:
        return False
    if str(want) == symbol:
        sizes[symbol] = have
        return True
    if isinstance(have, Poly):
        return False
    offset = evaluate(want, {symbol: 0})
    factor = evaluate(want, {symbol: 1}) - offset
    if factor < 1 or (have - offset) % factor or evaluate(want, {symbol: (have - offset) // factor}) != have:
        return False
    sizes[symbol] = (have - offset) // factor
    return True
