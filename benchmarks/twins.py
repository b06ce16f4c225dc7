"""The networks and loops that a good engineer would write by hand, tuned: data as floats on the device, one gather an epoch, views as batches, the fused
optimizer, gradients dropped by hand, no number read back. Written without looking at what specbuilder emits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.second = nn.Linear(64, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x.flatten(1)))
        return self.head(F.relu(self.second(x)))


MLP_KEYS = {"first": "linear", "second": "linear_2", "head": "logits"}
"""Module of the twin: module of specs/mlp.yaml."""


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.conv3 = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(64)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.max_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        return self.head(self.dropout(x.flatten(1)))


CNN_KEYS = {
    "conv1": "conv2d",
    "bn1": "batch_norm2d",
    "conv2": "conv2d_2",
    "bn2": "batch_norm2d_2",
    "conv3": "conv2d_3",
    "bn3": "batch_norm2d_3",
    "head": "logits",
}
"""Module of the twin: module of specs/digits.yaml."""


def copy_weights(source: nn.Module, twin: nn.Module, keys: dict[str, str]) -> None:
    """Gives the twin the weights of an emitted model, by the table of names."""
    given = source.state_dict()
    wanted = {}
    for name in twin.state_dict():
        module, _, tensor = name.rpartition(".")
        wanted[name] = given[f"{keys[module]}.{tensor}"].clone()
    twin.load_state_dict(wanted)


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    *,
    batch_size: int,
    steps: int,
    order: Callable[[int], Tensor],
    rate: Callable[[int], float] | None = None,
) -> Tensor:
    """Trains for that many steps; the sum of the losses, each times its samples, on the device."""
    parameters = list(model.parameters())
    total = torch.zeros(())
    done = epoch = 0
    model.train()
    while done < steps:
        permutation = order(epoch)
        epoch += 1
        for x, y in zip(images[permutation].split(batch_size), labels[permutation].split(batch_size), strict=True):
            if rate is not None:
                for group in optimizer.param_groups:
                    group["lr"] = rate(done)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            for parameter in parameters:
                parameter.grad = None
            total.add_(loss.detach(), alpha=x.size(0))
            done += 1
            if done == steps:
                break
    return total
