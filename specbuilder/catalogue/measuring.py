"""What leaves an own kind that has no rule for it: its module or function, run on torch's meta device, where tensors have shapes and no numbers.

In: a kind and the types that arrive. Out: types with symbols, parameters and buffers, or a `Refusal` with torch's own sentence. Each symbol is varied by itself
and the sizes that leave are fitted (`fitting`); where several symbols meet in one size, their sum and their product are tried. Whatever is found must hold
for samples in which all symbols vary. A size that nothing fits becomes a symbol of its own, and `remarks` says so.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache
from math import gcd, prod
from typing import TYPE_CHECKING, Any

from specbuilder.catalogue.contract import Buffer, Layer, Node, Parameter, Refusal, Remark, Role
from specbuilder.catalogue.fitting import STEPS, fit
from specbuilder.catalogue.own import fetch
from specbuilder.catalogue.own_class import arguments, innermost, own_of, place_of
from specbuilder.records import Record
from specbuilder.shapes import DTYPES, Dim, DimError, Poly, TensorType, evaluate, symbol

if TYPE_CHECKING:
    import torch

Types = tuple[Any, ...]
Sizes = Mapping[str, int]

STARTS = (24, 64, 8, 224, 4, 1)
"""What each size that arrives is at least, in the first sample; the next is tried where torch refuses the one before."""
APART = 8
MOST_KEPT = 4096


class Measured(Record):
    """What leaves: its types, and which axes no rule was found for."""

    outputs: tuple[TensorType, ...]
    unfitted: tuple[tuple[int, int, str], ...]
    """Output, axis, and the symbol that stands for its size."""
    refused: str | None
    """Sizes that torch refuses although it takes others, and its sentence."""


class _Failed(Exception):
    """Torch refused a sample."""

    def __init__(self, sentence: str, place: str | None) -> None:
        super().__init__(sentence)
        self.sentence, self.place = sentence, place


def outputs(kind: Node, types: Types) -> tuple[TensorType, ...]:
    """The type of each output."""
    return _measured(kind, types).outputs


def remarks(kind: Node, types: Types) -> tuple[Remark, ...]:
    """A warning for each size that no rule was found for."""
    found = []
    measured = _measured(kind, types)
    if measured.refused is not None:
        found.append(Remark("SB0422", f"`{kind.kind}` does not run for all sizes: {measured.refused}", "declare sizes that it can take"))
    for output, axis, name in measured.unfitted:
        which = f" of output {output}" if len(measured.outputs) > 1 else ""
        message = f"how axis {axis}{which} of `{kind.kind}` follows from what arrives was not found, so its size is called `{name}`"
        found.append(Remark("SB0422", message, "give the kind an `infer`, if a later node must know that size"))
    return tuple(found)


# Parameters and buffers ----------------------------------------------------------------------------------------------


def tensors(kind: Node, types: Types) -> tuple[dict[str, Parameter], dict[str, Buffer]]:
    """What the module owns, as `named_parameters` and its state dict have it; roles are told by names, ranks and the classes around."""
    module = _module(kind, arguments(kind, types, fixed=True))
    owners = {f"{path}." if path else "": type(owner).__name__.lower() for path, owner in module.named_modules()}
    parameters = {
        name: Parameter(tuple(each.shape), _role(name, each.dim(), owners[name[: name.rfind(".") + 1]]), _dtype(each.dtype))
        for name, each in module.named_parameters()
    }
    kept = module.state_dict().keys()
    return parameters, {name: Buffer(tuple(each.shape), _dtype(each.dtype)) for name, each in module.named_buffers() if name in kept}


def _role(name: str, rank: int, owner: str) -> Role:
    if "norm" in owner:
        return "norm"
    if "embedding" in owner:
        return "embedding"
    if name.rpartition(".")[2].endswith("bias") or name.rpartition(".")[2].startswith("bias"):
        return "bias"
    return "matrix" if rank >= 2 else "free"


# Running on the meta device ------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _target(cls: type[Node]) -> Any:
    given = own_of(cls).target
    return fetch(cls, given) if isinstance(given, str) else given


_MODULES: dict[tuple[type[Node], str], Any] = {}


def _module(kind: Node, values: Mapping[str, Any]) -> Any:
    """The module with these arguments, made once; they are literals, so their text tells them apart."""
    key = type(kind), repr(values)
    if key not in _MODULES:
        try:
            with _on_meta():
                _MODULES[key] = _target(type(kind))(**values)
        except _Failed as failed:
            raise Refusal(f"`{kind.kind}` cannot be made: {failed.sentence}", help=failed.place, code="SB0421") from None
    return _MODULES[key]


@contextmanager
def _on_meta() -> Iterator[None]:
    """New tensors have no numbers, nothing is printed, no random number is used up, and whatever is raised is torch's (or the user's) refusal."""
    import torch

    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(sys.stderr),
            torch.random.fork_rng(devices=[]),
            torch.no_grad(),
            torch.device("meta"),
        ):
            warnings.simplefilter("ignore")
            yield
    except (Refusal, DimError):
        raise
    except Exception as error:
        sentence = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        is_torchs = isinstance(error, RuntimeError | NotImplementedError) or (innermost(error) is None)
        raise _Failed(sentence if is_torchs else f"{type(error).__name__}: {sentence}", place_of(error)) from error


def _run(kind: Node, types: Types, sizes: Sizes) -> tuple[TensorType, ...]:
    """The types that leave for sizes that are numbers."""
    arriving = _with_numbers(types, sizes)
    values = {name: _number(value, sizes) for name, value in arguments(kind, types, fixed=isinstance(kind, Layer)).items()}
    module = _module(kind, values) if isinstance(kind, Layer) else None
    with _on_meta():
        made = [_made(each) for each in arriving]
        while made and made[-1] is None:
            made.pop()
        left = module(*made) if module is not None else _target(type(kind))(*made, **values)
    return tuple(_type_of(kind, each) for each in (left if isinstance(left, tuple | list) else (left,)))


def _with_numbers(types: Any, sizes: Sizes) -> Any:
    if isinstance(types, tuple):
        return tuple(_with_numbers(each, sizes) for each in types)
    return types and types.with_shape(tuple(evaluate(size, sizes) for size in types.shape))


def _number(value: Any, sizes: Sizes) -> Any:
    return evaluate(value, sizes) if isinstance(value, Poly) else value


def _made(given: Any) -> Any:
    import torch

    if isinstance(given, tuple):
        return [_made(each) for each in given]
    return given and torch.empty(given.shape, dtype=getattr(torch, given.dtype))


def _type_of(kind: Node, tensor: Any) -> TensorType:
    import torch

    if not isinstance(tensor, torch.Tensor):
        message = f"`{kind.kind}` must return a tensor or a tuple of tensors, but returned {type(tensor).__name__}"
        raise Refusal(message, code="SB0421")
    return TensorType(_dtype(tensor.dtype), tuple(tensor.shape))


def _dtype(dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise Refusal(f"a tensor is of type {name}, which specs do not have; they have {', '.join(DTYPES)}", code="SB0421")
    return name


# From samples to rules -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=MOST_KEPT)
def _measured(kind: Node, types: Types) -> Measured:
    return _Samples(kind, types).measured()


class _Samples:
    """The samples of one kind and what arrives: each is run once."""

    def __init__(self, kind: Node, types: Types) -> None:
        self.kind, self.types = kind, types
        self.dims = [size for type_ in _flat(types) for size in type_.shape if not isinstance(size, int)]
        self.symbols = sorted({name for size in self.dims for name in size.symbols})
        self.base: dict[str, int] = {}
        self.refused: str | None = None
        self._seen: dict[tuple[int, ...], tuple[TensorType, ...] | None] = {}

    def measured(self) -> Measured:
        first = self._first()
        self._four_of_each(first)
        unfitted: list[tuple[int, int, str]] = []
        found = []
        for output, type_ in enumerate(first):
            shape: list[Dim] = []
            for axis in range(type_.rank):
                size = self._size(output, axis)
                if size is None:
                    name = _new_symbol(self.kind, self.types, output, axis)
                    unfitted.append((output, axis, name))
                    size = symbol(name)
                shape.append(size)
            found.append(type_.with_shape(tuple(shape)))
        return Measured(tuple(found), tuple(unfitted), self.refused)

    def _first(self) -> tuple[TensorType, ...]:
        """What leaves the first sample that torch takes."""
        refused: _Failed | None = None
        tried: Sizes = {}
        for start in STARTS if self.symbols else STARTS[:1]:
            base = self._sizes_from(start)
            if base is None:
                continue
            try:
                left = _run(self.kind, self.types, base)
            except _Failed as failed:
                refused, tried = (refused or failed), (tried or base)
                continue
            self.base = base
            if refused is not None:
                self.refused = f"not at {_at(tried)}: {refused.sentence}"
            return left
        if refused is None:
            raise Refusal(f"no sizes were found with which to try `{self.kind.kind}`", help="give the kind an `infer`", code="SB0421")
        raise self._refusal(f"`{self.kind.kind}` does not run on {_listed(self.types)}: {refused.sentence}", refused, tried)

    def _sizes_from(self, start: int) -> dict[str, int] | None:
        """A number for each symbol, different ones, so large that every size that arrives is at least `start`."""
        sizes = {name: start + APART * position * (start > 1) for position, name in enumerate(self.symbols)}
        for _ in range(16):
            small = {name for size in self.dims if evaluate(size, sizes) < start for name in size.symbols}
            if not small:
                return sizes
            sizes |= {name: 2 * sizes[name] for name in small}
        return sizes if all(evaluate(size, sizes) >= 1 for size in self.dims) else None

    def _four_of_each(self, first: tuple[TensorType, ...]) -> None:
        """Four sizes of each symbol must run, and leave the same dtypes and numbers of axes."""
        for name in self.symbols:
            for step in STEPS[1:]:
                sizes = {**self.base, name: self.base[name] + step}
                try:
                    left = _run(self.kind, self.types, sizes)
                except _Failed as failed:
                    where = f"{name} = {self.base[name]}, but not at {name} = {sizes[name]}"
                    help = f"declare a size that it can take: a number, or a multiple such as `8*{name}`, in the input"
                    message = f"`{self.kind.kind}` does not run for every {name}: it does at {where}: {failed.sentence}"
                    raise Refusal(message, help=help, code="SB0421") from None
                if [(type_.dtype, type_.rank) for type_ in left] != [(type_.dtype, type_.rank) for type_ in first]:
                    message = (
                        f"the number of axes or the dtype of what leaves `{self.kind.kind}` depends on {name}: {_listed(first)} and {_listed(left)}"
                    )
                    raise Refusal(message, help="it must be the same for all sizes", code="SB0421")
                self._seen[tuple(sizes.values())] = left

    def _size(self, output: int, axis: int) -> Dim | None:
        """One size that leaves, in terms of the symbols; None where nothing fits."""
        at_base = self._at({}, output, axis)
        assert at_base is not None
        parts: list[Dim] = []
        for name in self.symbols:
            part = self._part(name, output, axis)
            if part is None:
                return None
            if part != at_base:
                parts.append(part)
        return next((size for size in _joined(parts, at_base) if self._holds(size, output, axis)), None)

    def _part(self, name: str, output: int, axis: int) -> Dim | None:
        """The size as it depends on one symbol, the others as in the first sample."""
        values = [self._at({name: self.base[name] + step}, output, axis) or 0 for step in STEPS]
        if (
            len(set(values)) == 1
            and self._at({name: 2}, output, axis) in (None, values[0])
            and self._at({name: 999}, output, axis) in (None, values[0])
        ):
            return values[0]
        # Where another symbol is a factor, all values are multiples of it.
        for factor in dict.fromkeys((1, gcd(*values))):
            line = fit(lambda x, factor=factor: self._divided(name, x, output, axis, factor), self.base[name])
            if line is not None:
                return factor * line(symbol(name))
        return None

    def _divided(self, name: str, x: int, output: int, axis: int, factor: int) -> int | None:
        size = self._at({name: x}, output, axis)
        # What is no multiple fits no rule: a size below 0 spoils them all.
        return None if size is None else size // factor if size % factor == 0 else -(10**9)

    def _at(self, changes: Sizes, output: int, axis: int) -> int | None:
        """One size that leaves for given sizes; None where torch refuses them, or where they cannot arrive."""
        sizes = {**self.base, **changes}
        key = tuple(sizes.values())
        if key not in self._seen:
            try:
                possible = all(evaluate(size, sizes) >= 1 for size in self.dims)
                self._seen[key] = _run(self.kind, self.types, sizes) if possible else None
            except _Failed as failed:
                self._seen[key] = None
                if all(size >= self.base[name] for name, size in sizes.items()):
                    # Too small for a kernel goes without saying; too large, as for a table of positions, does not.
                    self.refused = self.refused or f"not at {_at({**changes})}: {failed.sentence}"
            except Refusal:
                self._seen[key] = None
        left = self._seen[key]
        return None if left is None or output >= len(left) or axis >= left[output].rank else left[output].shape[axis]  # type: ignore[return-value]  # numbers

    def _holds(self, size: Dim, output: int, axis: int) -> bool:
        """Whether a size is right in samples where all symbols vary."""
        for turn, step in enumerate(STEPS):
            sizes = {name: self.base[name] + step + 3 * turn * position for position, name in enumerate(self.symbols)}
            seen = self._at(sizes, output, axis)
            if seen is not None and evaluate(size, sizes) != seen:
                return False
        return True

    def _refusal(self, message: str, failed: _Failed, tried: Sizes) -> Refusal:
        sizes = f"tried at {_at(tried)}" if tried else ""
        return Refusal(message, help="; ".join(part for part in (failed.place, sizes) if part) or None, code="SB0421")


def _at(sizes: Sizes) -> str:
    return ", ".join(f"{name} = {size}" for name, size in sizes.items())


def _joined(parts: list[Dim], at_base: int) -> Iterator[Dim]:
    """What sizes that each depend on one symbol may come to together: their sum, or their product."""
    if len(parts) <= 1:
        yield parts[0] if parts else at_base
        return
    try:
        yield sum(parts, start=0) - (len(parts) - 1) * at_base
        yield prod(parts, start=1) // at_base ** (len(parts) - 1)
    except (DimError, ZeroDivisionError):
        return


def _flat(types: Any) -> Iterator[TensorType]:
    if isinstance(types, TensorType):
        yield types
    elif isinstance(types, tuple):
        for each in types:
            yield from _flat(each)


def _listed(types: Types) -> str:
    return ", ".join(map(str, _flat(types)))


_NEW: dict[tuple[Node, Types, int, int], str] = {}


def _new_symbol(kind: Node, types: Types, output: int, axis: int) -> str:
    """A name for a size that nothing is known of. The same kind on the same types gives the same size, so it is the same name."""
    if (known := _NEW.get((kind, types, output, axis))) is not None:
        return known
    taken = {*_NEW.values(), *(name for type_ in _flat(types) for name in type_.symbols)}
    number = 1
    while (name := f"{kind.kind}_{number}") in taken:
        number += 1
    _NEW[kind, types, output, axis] = name
    return name
