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

import einops
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from specbuilder.catalogue.contract import (
    DEVICE,
    ITSELF,
    TRAINING,
    Attribute,
    Call,
    Code,
    Index,
    Infix,
    Input,
    Layer,
    Loss,
    Method,
    Module,
    Node,
    Prefix,
    Slice,
)
from specbuilder.catalogue.declared import keys_of
from specbuilder.catalogue.torchvision_import import import_torchvision
from specbuilder.shapes import TensorType

Arriving = TensorType | tuple[TensorType, ...] | None
"""What arrives at a port: a type, a list of them, or nothing."""
Tensors = Sequence[Any]

REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, AssertionError, OverflowError, ZeroDivisionError)
"""How torch says no."""

PLACES: dict[str, Any] = {"nn": nn, "F": functional, "torch": torch, "einops": einops}
VALUES = {DEVICE: torch.device("cpu"), TRAINING: True}
"""What code says of where and how the model runs."""

ONES = {"floor_divide", "remainder"}
"""Kinds that divide by whole numbers: theirs are ones."""


def _attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    """Scores and mixture, 2 per multiply-add: the counter knows torch's fused attention on a GPU and passes over that on a CPU."""
    return 2 * math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


OWN = "own"
"""What the only tensor of a module is called here that is a node by itself, without a name of its own in it."""

FLOPS = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a call."""

    types: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...] = ()
    buffers: tuple[tuple[str, str], ...] = ()
    flops: int = 0
    module: str = ""
    output: tuple[Tensor, ...] = ()


def tensors(types: Sequence[Arriving], whole: int = 0) -> Tensors:
    """A tensor for everything that arrives; `whole` is what whole numbers are."""
    return [None if each is None else [_tensor(one, whole) for one in each] if isinstance(each, tuple) else _tensor(each, whole) for each in types]


def _tensor(given: TensorType, whole: int) -> Tensor:
    dtype = getattr(torch, given.dtype)
    shape = tuple(int(str(size)) for size in given.shape)
    if dtype.is_floating_point or dtype.is_complex:
        count = math.prod(shape)
        return (torch.arange(count, dtype=torch.float32).mul(0.7).sin().reshape(shape)).to(dtype)
    return torch.full(shape, whole, dtype=dtype)


def type_text(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def witness(kind: type[Node], fields: Mapping[str, Any], types: Sequence[Arriving]) -> Answer | str:
    """What torch itself makes of these fields and types: an answer, or the text of its refusal."""
    settings = {name: info.default for name, info in keys_of(kind).items() if not info.is_required} | dict(fields)
    given = tensors(types, whole=kind.kind in ONES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            if kind.kind in LAYERS:
                return _ran(*LAYERS[kind.kind](settings, given), given)
            if issubclass(kind, Layer):
                module = _module(kind, settings, given[0])
                return _ran(module, module, given)
            call = CALLS.get(kind.kind) or (_loss if issubclass(kind, Loss) else _function)
            return _ran(None, lambda *args: call(kind, args, settings), given)
    except REFUSALS as refusal:
        return f"{type(refusal).__name__}: {refusal}"


def told(kind: Node, source: Any, types: Sequence[Arriving]) -> Answer:
    """What comes of the code that the kind describes: this must run, so nothing is caught."""
    given = tensors(types, whole=kind.kind in ONES)
    pasted: dict[str, Any] = {"torch": torch, "nn": nn, "F": functional, "Tensor": Tensor}
    for helper in kind.helpers:
        exec(helper, pasted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        if isinstance(source, Module):
            module = evaluate(source.constructor, given, pasted)
            uses = source.call
            return _ran(module, module if uses is None else lambda *args: evaluate(uses, args, {ITSELF: module}), given)
        if isinstance(source, Attribute):
            return _ran(*_own(evaluate(source.constructor, given), source.is_buffer), given)
        return _ran(None, lambda *args: evaluate(source, args, pasted), given)


def evaluate(code: Any, given: Tensors, names: Mapping[str, Any] = PLACES) -> Any:
    """The value of code that a kind describes; `names` are those that are no torch names, too."""
    if isinstance(code, Input):
        return given[code.port] if code.item is None else given[code.port][code.item]
    if isinstance(code, Code):
        if code in VALUES:
            return VALUES[code]
        first, *rest = code.text.split(".")
        return reduce(getattr, rest, names[first] if first in names else PLACES[first])
    if isinstance(code, Call):
        args = [evaluate(arg, given, names) for arg in code.args]
        return evaluate(Code(code.function), given, names)(*args, **{name: evaluate(arg, given, names) for name, arg in code.kwargs})
    if isinstance(code, Method):
        args = [evaluate(arg, given, names) for arg in code.args]
        return getattr(evaluate(code.value, given, names), code.name)(*args, **{name: evaluate(arg, given, names) for name, arg in code.kwargs})
    if isinstance(code, Infix):
        return reduce(_OPERATORS[code.operator], [evaluate(operand, given, names) for operand in code.operands])
    if isinstance(code, Prefix):
        return {"-": operator.neg, "~": operator.invert}[code.operator](evaluate(code.operand, given, names))
    if isinstance(code, Index):
        keys = tuple(evaluate(key, given, names) for key in code.keys)
        return evaluate(code.value, given, names)[keys if len(keys) > 1 else next(iter(keys))]
    if isinstance(code, Slice):
        return slice(*(evaluate(end, given, names) for end in (code.start, code.stop, code.step)))
    if isinstance(code, tuple):
        return tuple(evaluate(item, given, names) for item in code)
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


def _ran(module: nn.Module | None, call: Callable[..., Any], given: Tensors) -> Answer:
    with FlopCounterMode(display=False, custom_mapping=FLOPS) as counter:
        output = call(*given)
    outputs = output if isinstance(output, tuple) else (output,)
    named = module or nn.Module()
    return Answer(
        types=tuple(type_text(each) for each in outputs),
        parameters=tuple(("" if name == OWN else name, type_text(each)) for name, each in named.named_parameters()),
        buffers=tuple(("" if name == OWN else name, type_text(each)) for name, each in named.named_buffers()),
        flops=counter.get_total_flops(),
        module=repr(module) if module is not None else "",
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
    return evaluate(Code(kind.torch_name), ())(*given, **_torch_settings(settings))


def _torch_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as torch takes them: a dtype is no text, and what is not given is left out."""
    said = {name: value for name, value in settings.items() if value is not None and name != "broadcast"}
    return said | ({"dtype": getattr(torch, said["dtype"])} if "dtype" in said else {})


def _attention(settings: dict[str, Any], given: Tensors) -> tuple[nn.Module, Callable[..., Any]]:
    query, key, value, _, _ = given
    embed = query.shape[-1] if settings["embed_dim"] is None else settings["embed_dim"]
    widths = {name: x.shape[-1] if settings[name] is None else settings[name] for name, x in (("kdim", key), ("vdim", value))}
    is_causal = settings["is_causal"]
    others = {name: settings[name] for name in ("dropout", "bias", "batch_first")}
    module = nn.MultiheadAttention(embed, settings["num_heads"], **others, **widths)

    def call(query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None) -> Any:
        if is_causal and mask is None:
            mask = torch.triu(torch.full((query.shape[1], key.shape[1]), True), diagonal=1)
        output, weights = module(query, key, value, key_padding_mask=padding, need_weights=False, attn_mask=mask, is_causal=is_causal)
        assert weights is None
        return output

    return module, call


def _stochastic_depth(settings: dict[str, Any], given: Tensors) -> tuple[nn.Module, Callable[..., Any]]:
    module = import_torchvision().ops.StochasticDepth(settings["p"], "row")
    return module, module


def _own(tensor: Tensor, is_buffer: bool) -> tuple[nn.Module, Callable[..., Any]]:
    """A module with just this tensor. Its content is whatever lay in memory, so it is made 0."""
    module = nn.Module()
    if is_buffer:
        module.register_buffer(OWN, tensor)
    else:
        module.register_parameter(OWN, tensor)  # type: ignore[arg-type]  # it is a parameter
    with torch.no_grad():
        tensor.zero_()
    return module, lambda: tensor


def _parameter(settings: dict[str, Any], given: Tensors) -> tuple[nn.Module, Callable[..., Any]]:
    return _own(nn.Parameter(torch.zeros(settings["shape"], dtype=getattr(torch, settings["dtype"]))), is_buffer=False)


def _buffer(settings: dict[str, Any], given: Tensors) -> tuple[nn.Module, Callable[..., Any]]:
    return _own(torch.zeros(settings["shape"], dtype=getattr(torch, settings["dtype"])), is_buffer=True)


LAYERS: dict[str, Callable[[dict[str, Any], Tensors], tuple[nn.Module, Callable[..., Any]]]] = {
    "multihead_attention": _attention,
    "stochastic_depth": _stochastic_depth,
    "parameter": _parameter,
    "buffer": _buffer,
}
"""Layers that are not one module called with all that arrives: the module, and how it is used."""


def _loss(kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    if settings["reduction"] != "batchmean":
        return _function(kind, given, settings)
    return _function(kind, given, settings | {"reduction": "sum"}) / given[0].shape[0]


def _fold(operation: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def call(_kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
        operands = [one for each in given if each is not None for one in (each if isinstance(each, list) else [each])]
        number = settings.get("other", settings.get("exponent"))
        if number is not None and len(given) > 1 and given[1] is not None:
            raise TypeError("the second operand is given twice")
        return reduce(operation, [*operands, *([] if number is None else [number])])

    return call


def _reduced(kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    if settings["dim"] is None:
        settings = settings | {"dim": tuple(range(given[0].dim()))}
    return _function(kind, given, settings)


def _itself(_kind: type[Node], given: Tensors, _settings: dict[str, Any]) -> Any:
    return given[0]


def _unflattened(_kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    return nn.Unflatten(settings["dim"], settings["unflattened_size"])(given[0])


def _made(kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    said = _torch_settings(settings)
    return evaluate(Code(kind.torch_name), ())(said.pop("size"), **said)


def _counted(_kind: type[Node], _given: Tensors, settings: dict[str, Any]) -> Any:
    return torch.arange(settings["start"], settings["end"], settings["step"])


def _cast(_kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    return given[0].type(getattr(torch, settings["dtype"]))


def _chosen(_kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    condition, *operands = given
    for name, tensor in zip(("input", "other"), operands, strict=True):
        if (tensor is None) == (settings[name] is None):
            raise TypeError(f"{name} is given twice or not at all")
    return torch.where(condition, *(settings[name] if tensor is None else tensor for name, tensor in zip(("input", "other"), operands, strict=True)))


def _with_dim_between(kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    return evaluate(Code(kind.torch_name), ())(given[0], settings["dim"], given[1])


def _upsampled(_kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    if settings["size"] is not None and settings["scale_factor"] is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    return nn.Upsample(**settings)(given[0])


def _summed(_kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    return torch.einsum(settings["equation"], *given[0])


def _multiplied(_kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    if settings["dim"] is None and not settings["keepdim"]:
        return torch.prod(given[0])
    return evaluate(Code("torch.prod"), ())(given[0], dim=settings["dim"], keepdim=settings["keepdim"])


def _appended(_kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    """What arrives behind nothing."""
    return torch.cat((given[0].narrow(settings["dim"], 0, 0), given[0]), settings["dim"])


def _patterned(kind: type[Node], given: Tensors, settings: dict[str, Any]) -> Any:
    names = {name: value for name, value in settings.items() if name not in ("pattern", "reduction")}
    positional = [settings[name] for name in ("pattern", "reduction") if name in settings]
    return evaluate(Code(kind.torch_name), ())(given[0], *positional, **names)


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
    "floor_divide": _fold(operator.floordiv),
    "remainder": _fold(operator.mod),
    "pow": _fold(operator.pow),
    **{name: _fold(getattr(operator, name)) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    "where": _chosen,
    "gather": _with_dim_between,
    "index_select": _with_dim_between,
    "upsample": _upsampled,
    "einsum": _summed,
    "arange": _counted,
    "zeros": _made,
    "ones": _made,
    "full": _made,
    "cast": _cast,
    "amin": _reduced,
    "var": _reduced,
    "std": _reduced,
    "prod": _multiplied,
    "rearrange": _patterned,
    "einops_reduce": _patterned,
    "einops_repeat": _patterned,
    "append": _appended,
}
