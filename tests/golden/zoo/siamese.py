# Emitted by specbuilder X.Y.Z from siamese.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Sequence(nn.Module):
    """`sequence`, siamese.yaml:14."""

    def __init__(self, in_channels: int, w: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, w, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, in_channels, _, _]
        x = self.conv2d(x)  # float32[B, w, _, _]
        x = F.relu(x)  # float32[B, w, _, _]
        x = F.max_pool2d(x, 2)  # float32[B, w, _, _]
        return x


class Tower(nn.Module):
    """`tower`, siamese.yaml:13."""

    def __init__(self) -> None:
        super().__init__()
        self.sequence = nn.ModuleList([
            Sequence(1, 32),
            Sequence(32, 64),
            Sequence(64, 128),
        ])
        self.linear = nn.Linear(1152, 128)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 1, 28, 28]
        for sequence in self.sequence:
            x = sequence(x)  # float32[B, 128, 3, 3]
        x = torch.flatten(x, 1)  # float32[B, 1152]
        x = self.linear(x)  # float32[B, 128]
        return x


class Siamese(nn.Module):
    """Two images through one tower, and the distance between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = Tower()

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        # left: float32[B, 1, 28, 28]
        # right: float32[B, 1, 28, 28]
        tower = self.tower(left)  # float32[B, 128]
        tower_2 = self.tower(right)  # float32[B, 128]
        distance = F.pairwise_distance(tower, tower_2)  # float32[B]
        return distance
