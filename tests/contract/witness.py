"""Torch as the witness: what it does with the same fields and the same tensors, found without asking our rules.

Fields are torch's own argument names, so the direct call needs no help from the kind: `nn.Conv2d(in_channels=3, **fields)`, `F.relu(x, **fields)`. Where a kind
is not one call of torch, `CALLS` says what it is. Tensors are real ones on the CPU: a meta tensor accepts dtypes that no kernel has. Whole numbers are zeros, so
that no index is ever out of range: values are not the rules' business.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from specbuilder.catalogue.contract import Call, Code, Index, Infix, Input, Layer, Loss, Method, Module, Node, Prefix, Slice
from specbuilder.catalogue.declared import fields_of
from specbuilder.shapes import TensorType

Arriving = TensorType | tuple[TensorType, ...] | None
"""What arrives at a port: a type, a list of them, or nothing."""
Tensors = Sequence[Any]

REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, AssertionError, OverflowError, ZeroDivisionError)
"""How torch says no."""

PLACES = {"nn": nn, "F": functional, "torch": torch}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a call."""

    types: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...] = ()
    buffers: tuple[tuple[str, str], ...] = ()
    flops: int = 0
    module: str = ""
    output: tuple[Tensor, ...] = ()


def tensors(types: Sequence[Arriving]) -> Tensors:
    """A tensor for everything that arrives."""
    return [None if each is None else [_tensor(one) for one in each] if isinstance(each, tuple) else _tensor(each) for each in types]


def _tensor(given: TensorType) -> Tensor:
    dtype = getattr(torch, given.dtype)
    shape = tuple(int(str(size)) for size in given.shape)
    if dtype.is_floating_point or dtype.is_complex:
        count = math.prod(shape)
        return (torch.arange(count, dtype=torch.float32).mul(0.7).sin().reshape(shape)).to(dtype)
    return torch.zeros(shape, dtype=dtype)


def type_text(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def witness(kind: type[Node], fields: Mapping[str, Any], types: Sequence[Arriving]) -> Answer | str:
    """What torch itself makes of these fields and types: an answer, or the text of its refusal."""
    settings = {name: info.default for name, info in fields_of(kind).items() if not info.is_required} | dict(fields)
    given = tensors(types)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            if issubclass(kind, Layer):
                return _ran(_module(kind, settings, given[0]), given)
            call = CALLS.get(kind.kind) or (_loss if issubclass(kind, Loss) else _function)
            return _ran(lambda *args: call(kind, args, settings), given)
    except REFUSALS as refusal:
        return f"{type(refusal).__name__}: {refusal}"


def told(source: Any, types: Sequence[Arriving]) -> Answer:
    """What comes of the code that the kind describes: this must run, so nothing is caught."""
    given = tensors(types)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        if isinstance(source, Module):
            return _ran(evaluate(source.constructor, given), given)
        return _ran(lambda *args: evaluate(source, args), given)


def evaluate(code: Any, given: Tensors) -> Any:
    """The value of code that a kind describes."""
    if isinstance(code, Input):
        return given[code.port] if code.item is None else given[code.port][code.item]
    if isinstance(code, Code):
        return reduce(getattr, code.text.split(".")[1:], PLACES[code.text.split(".")[0]])
    if isinstance(code, Call):
        args = [evaluate(arg, given) for arg in code.args]
        return evaluate(Code(code.function), given)(*args, **{name: evaluate(arg, given) for name, arg in code.kwargs})
    if isinstance(code, Method):
        args = [evaluate(arg, given) for arg in code.args]
        return getattr(evaluate(code.value, given), code.name)(*args, **{name: evaluate(arg, given) for name, arg in code.kwargs})
    if isinstance(code, Infix):
        return reduce(_OPERATORS[code.operator], [evaluate(operand, given) for operand in code.operands])
    if isinstance(code, Prefix):
        return {"-": operator.neg, "~": operator.invert}[code.operator](evaluate(code.operand, given))
    if isinstance(code, Index):
        return evaluate(code.value, given)[tuple(evaluate(key, given) for key in code.keys)]
    if isinstance(code, Slice):
        return slice(*(evaluate(end, given) for end in (code.start, code.stop, code.step)))
    if isinstance(code, tuple):
        return tuple(evaluate(item, given) for item in code)
    assert code is None or isinstance(code, (bool, int, float, str)), f"{code!r} is no code"
    return code


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "@": operator.matmul,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}


def _ran(call: Callable[..., Any], given: Tensors) -> Answer:
    with FlopCounterMode(display=False) as counter:
        output = call(*given)
    outputs = output if isinstance(output, tuple) else (output,)
    named: nn.Module = call if isinstance(call, nn.Module) else nn.Module()
    return Answer(
        types=tuple(type_text(each) for each in outputs),
        parameters=tuple((name, type_text(each)) for name, each in named.named_parameters()),
        buffers=tuple((name, type_text(each)) for name, each in named.named_buffers()),
        flops=counter.get_total_flops(),
        module=repr(call) if isinstance(call, nn.Module) else "",
        output=tuple(each.detach() for each in outputs),
    )


INFERRED = {"in_channels": 1, "in_features": -1, "num_features": 1, "num_channels": 1, "normalized_shape": -1}
"""The arguments of torch's modules that shapes tell, and the axis that tells them."""


def _module(kind: type[Node], settings: dict[str, Any], given: Any) -> nn.Module:
    for name, axis in INFERRED.items():
        if name in settings and settings[name] is None:
            settings[name] = given.shape[axis] if given.dim() > (1 if axis == 1 else 0) else 1
    return evaluate(Code(kind.torch_name), ())(**settings)


def _function(kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    return evaluate(Code(kind.torch_name), ())(
        *given, **{name: value for name, value in settings.items() if value is not None and name != "broadcast"}
    )


def _loss(kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    if settings["reduction"] != "batchmean":
        return _function(kind, given, settings)
    return _function(kind, given, settings | {"reduction": "sum"}) / given[0].shape[0]


def _fold(operation: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def call(_kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
        operands = [one for each in given if each is not None for one in (each if isinstance(each, list) else [each])]
        return reduce(operation, [*operands, *([] if settings["other"] is None else [settings["other"]])])

    return call


def _reduced(kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    if settings["dim"] is None:
        settings = settings | {"dim": tuple(range(given[0].dim()))}
    return _function(kind, given, settings)


def _itself(_kind: type[Node], given: Tensors, _settings: dict[str, Any]) -> Any:
    return given[0]


def _unflattened(_kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    return nn.Unflatten(settings["dim"], settings["unflattened_size"])(given[0])


CALLS: dict[str, Callable[[type[Node], Tensors, dict[str, Any]], Any]] = {
    "add": _fold(operator.add),
    "multiply": _fold(operator.mul),
    "subtract": _fold(operator.sub),
    "divide": _fold(operator.truediv),
    "mean": _reduced,
    "sum": _reduced,
    "amax": _reduced,
    "identity": _itself,
    "unflatten": _unflattened,
}
