"""Tests a kind of one's own: its examples hold, and torch agrees with them.

    from specbuilder.testing import check_kind

    def test_squeeze_excite() -> None:
        check_kind(SqueezeExcite)

In: a class under one of the decorators of `specbuilder.kinds`, with `examples`. Out: nothing, or an `AssertionError` that says which example fails, and how.
Each example is checked as a spec of one node, then built and run at several sizes: what leaves and what the module owns must be what the rules say.
"""

from __future__ import annotations

from collections.abc import Mapping

from specbuilder.api import Spec, parse
from specbuilder.catalogue.contract import Example, Node
from specbuilder.diagnostics import SpecbuilderError
from specbuilder.shapes import TensorType, evaluate, holds, parse_type

_TRIED = ((2, 3), (24, 5), (48, 7))
"""Sizes for symbols: the first one and how much more each further one is."""


def check_kind(kind: type[Node]) -> None:
    """Checks every example of a layer or a function."""
    assert issubclass(kind, Node), f"{kind.__name__} is no layer and no function"
    assert kind.examples, f"`{kind.kind}` has no examples to check: `examples = (Example(...),)`"
    for example in kind.examples:
        _check(example)


def _check(example: Example) -> None:
    title = f"example `{example.text}`"
    given = (example.given,) if isinstance(example.given, str) else example.given
    try:
        spec = parse(_as_spec(example.text, given), "example.yaml")
    except SpecbuilderError as error:
        said = "; ".join(found.message for found in error.diagnostics if found.severity == "error")
        assert example.refused is not None, f"{title} is refused: {said}"
        assert example.refused in said, f"{title} is refused, but not with `{example.refused}`: {said}"
        return
    left = tuple(str(value.type) for value in spec.graph.nodes[-1].outputs)
    assert example.refused is None, f"{title} should be refused, but gives {', '.join(left)}"
    gives = (example.gives,) if isinstance(example.gives, str) else example.gives or ()
    assert left == tuple(str(parse_type(text)) for text in gives), f"{title} gives {', '.join(left)}, not {', '.join(gives)}"
    assert spec.report.parameters == example.parameters, f"{title} has {spec.report.parameters:,} parameters, not {example.parameters:,}"
    _run(spec, title)


def _as_spec(text: str, given: tuple[str, ...]) -> str:
    names = [f"x{number}" for number, _ in enumerate(given)]
    inputs = [f'    {name}: "{type}"' for name, type in zip(names, given, strict=True)]
    node = [f"    - {text}" if len(given) == 1 else f"    - {text if ':' in text else text + ':'}"]
    reads = [f"      from: [{', '.join(names)}]"] if len(given) > 1 else []
    return "\n".join(["specbuilder: 1", "name: example", "model:", "  inputs:", *inputs, "  nodes:", *node, *reads, ""])


def _run(spec: Spec, title: str) -> None:
    """Torch must give what the rules say, at every size that they allow."""
    model = spec.build()
    ours = {node.key(name): tensor.shape for node in spec.graph.nodes for name, tensor in (*node.parameters.items(), *node.buffers.items())}
    theirs = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert ours == theirs, f"{title} owns {_listed(ours)} by its rules, but the module owns {_listed(theirs)}"
    node = spec.graph.nodes[-1]
    symbols = sorted({name for type in spec.graph.input_types.values() for name in type.symbols})
    for first, apart in _TRIED:
        sizes = {name: first + apart * position for position, name in enumerate(symbols)}
        if not all(holds(requirement, sizes) for requirement in spec.graph.requirements):
            continue
        said = [_shown(value.type, sizes) for value in node.outputs if value.type is not None and value.type.symbols <= sizes.keys()]
        if len(said) < len(node.outputs):
            continue
        got = _outputs(model, [_tensor(type, sizes) for type in spec.graph.input_types.values()])
        at = f" at {', '.join(f'{name} = {size}' for name, size in sizes.items())}" if sizes else ""
        assert got == said[: len(got)], f"{title} gives {', '.join(said)} by its rules{at}, but torch gives {', '.join(got)}"


def _outputs(model: object, arriving: list[object]) -> list[str]:
    import torch

    assert isinstance(model, torch.nn.Module)
    with torch.no_grad():
        left = model(*arriving)
    tensors = left.values() if isinstance(left, dict) else (left,)
    return [f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}" for tensor in tensors]


def _tensor(type: TensorType, sizes: Mapping[str, int]) -> object:
    """Numbers around 0 where they are floating, else zeros, which are an index of everything."""
    import torch

    shape = [evaluate(size, sizes) for size in type.shape]
    dtype = getattr(torch, type.dtype)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype) if dtype.is_floating_point else torch.zeros(shape, dtype=dtype)


def _shown(type: TensorType, sizes: Mapping[str, int]) -> str:
    return f"{type.dtype}{[evaluate(size, sizes) for size in type.shape]}"


def _listed(tensors: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in tensors.items()) or "nothing"
