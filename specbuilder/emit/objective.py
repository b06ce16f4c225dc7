"""The objective of a plan as source: the loss of one batch, and what the model said.

One straight function that takes the model and the tensors of a batch; it is what is compiled and what every step calls.
"""

from __future__ import annotations

from specbuilder.catalogue.contract import Attribute, Module
from specbuilder.diagnostics import InternalError
from specbuilder.emit.pasted import pasted
from specbuilder.emit.render import comment, render
from specbuilder.graph.graph import TypedGraph
from specbuilder.plan.plan import Plan


def emit_objective(plan: Plan, graph: TypedGraph, version: str) -> str:
    """The source of `objective(model, <inputs>, target) -> (loss, output)`."""
    source = plan.loss.source(*plan.loss_types)
    assert not isinstance(source, (Module, Attribute))
    brought = pasted([plan.loss])
    taken = {"model", "target", *brought.names}
    inputs = [f"{name}_" if name in taken else name for name in graph.input_types]
    said = f"model({', '.join(inputs)})"
    if len(graph.outputs) > 1:
        said += f'["{plan.output}"]'
    ports = ("output", "target")

    def size(symbol: str) -> str:
        for port, type in zip(ports, plan.loss_types, strict=True):
            for axis, dim in enumerate(type.shape):
                if str(dim) == symbol:
                    return f"{port}.shape[{axis}]"
        raise InternalError("emit", f"nothing that the loss reads tells the size {symbol}")

    loss = render(source, lambda reference: ports[reference.port], size)
    lines = [
        comment(f"Emitted by specbuilder {version}: what training minimises."),
        "",
        "import torch",
        "from torch import Tensor, nn",
        "from torch.nn import functional as F",
        *brought.imports,
        "",
        "",
        *(line for text in brought.texts for line in (*text.splitlines(), "", "")),
        f"def objective(model: nn.Module, {', '.join(f'{name}: Tensor' for name in inputs)}, target: Tensor) -> tuple[Tensor, Tensor]:",
        f"    output = {said}  # {plan.loss_types[0]}",
        f"    return {loss}, output",
        "",
    ]
    if "torch." not in "\n".join((loss, *brought.texts)):
        lines.remove("import torch")
    return "\n".join(lines)
