# Emitted by specbuilder X.Y.Z from vae.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Vae(nn.Module):
    """A variational autoencoder of MNIST."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.linear = nn.Linear(784, 400)
        self.mean = nn.Linear(400, 20)
        self.log_var = nn.Linear(400, 20)
        self.decoder = nn.Module()
        self.decoder.linear = nn.Linear(20, 400)
        self.decoder.linear_2 = nn.Linear(400, 784)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        # image: float32[B, 1, 28, 28]
        x = torch.flatten(image, 1)  # float32[B, 784]
        x = self.encoder.linear(x)  # float32[B, 400]
        encoder = F.relu(x)  # float32[B, 400]
        mean = self.mean(encoder)  # float32[B, 20]
        log_var = self.log_var(encoder)  # float32[B, 20]
        x = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)  # float32[B, 20]
        x = self.decoder.linear(x)  # float32[B, 400]
        x = F.relu(x)  # float32[B, 400]
        x = self.decoder.linear_2(x)  # float32[B, 784]
        decoder = torch.unflatten(x, 1, (1, 28, 28))  # float32[B, 1, 28, 28]
        return {"logits": decoder, "mean": mean, "log_var": log_var}
