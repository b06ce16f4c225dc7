"""Stochastic depth: the branch of a residual is left out for random samples in training. Shapes stay.

G. Huang et al., "Deep networks with stochastic depth" (2016). PyTorch has it in torchvision only, so the emitted file carries the ten lines that it takes.
"""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Layer, Module, Probability, call, layer
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import TensorType

CLASS = '''\
class StochasticDepth(nn.Module):
    """Zeros whole samples with chance p in training, and scales the others so that the mean stays."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return x
        kept = torch.empty(len(x), *[1] * (x.dim() - 1), dtype=x.dtype, device=x.device).bernoulli_(1 - self.p)
        return x * (kept / (1 - self.p) if self.p < 1 else kept)

    def extra_repr(self) -> str:
        return f"p={self.p}"
'''


@layer("stochastic_depth", primary="p", torch="torchvision.ops.StochasticDepth", aliases=("drop_path", "droppath", "drop_connect"))
class StochasticDepth(Layer):
    """Zeros all of a sample with chance `p` in training; stands at the end of a residual's branch."""

    p: Probability = Field(description="the chance of a zero; what is kept is scaled by 1 / (1 - p)")

    helpers = (CLASS,)
    stricter_than_torch = (demands.NOT_FLOATING, demands.SCALAR_AXIS)
    examples = (
        Example(text="stochastic_depth: 0.1", given="float32[B, 4, H, W]", gives="float32[B, 4, H, W]"),
        Example(text="stochastic_depth: 0.1", given="float32[]", refused="wants at least one axis, but a single number arrives"),
    )

    def infer(self, x: TensorType) -> TensorType:
        demands.floating(self.kind, x)
        demands.at_least_one_axis(self.kind, x)
        return x

    def source(self, x: TensorType) -> Module:
        return Module(call("StochasticDepth", self.p))
