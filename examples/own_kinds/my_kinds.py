"""Two kinds of one's own: `scaled_tanh` with a shape rule, `squeeze_excite` without one. docs/own-kinds.md explains them line by line."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from specbuilder.kinds import Layer, PositiveInt, layer


class SqueezeExciteModule(nn.Module):
    """Weighs channels by what they hold on average."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, channels // reduction)
        self.expand = nn.Linear(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.relu(self.reduce(x.mean((2, 3))))
        return x * torch.sigmoid(self.expand(weights))[:, :, None, None]


@layer("squeeze_excite", primary="reduction")
class SqueezeExcite(Layer):
    """Channel attention (Hu et al., 2018)."""

    reduction: PositiveInt = 16

    module = SqueezeExciteModule
    takes = "[B, channels, H, W]"
