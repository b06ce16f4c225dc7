"""Plain PyTorch, as it may already lie in your project."""

import torch
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Weighs each channel by what all channels hold on average."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, channels // reduction)
        self.expand = nn.Linear(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3))
        weights = torch.sigmoid(self.expand(torch.relu(self.reduce(mean))))
        return x * weights[:, :, None, None]
