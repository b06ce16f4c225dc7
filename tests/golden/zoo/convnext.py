# Emitted by specbuilder X.Y.Z from convnext.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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


class Norm2d(nn.Module):
    """Block `norm2d`, convnext.yaml:14."""

    def __init__(self, normalized_shape: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(normalized_shape, eps=1e-06)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, normalized_shape, _, _]
        x = torch.permute(x, (0, 2, 3, 1))  # float32[B, _, _, normalized_shape]
        x = self.layer_norm(x)  # float32[B, _, _, normalized_shape]
        x = torch.permute(x, (0, 3, 1, 2))  # float32[B, normalized_shape, _, _]
        return x


class Block(nn.Module):
    """Block `block`, convnext.yaml:19."""

    def __init__(self, C: int, out_features: int, drop: float) -> None:
        super().__init__()
        self.residual = nn.Module()
        self.residual.conv2d = nn.Conv2d(C, C, 7, padding=3, groups=C)
        self.residual.layer_norm = nn.LayerNorm(C, eps=1e-06)
        self.residual.linear = nn.Linear(C, out_features)
        self.residual.linear_2 = nn.Linear(out_features, C)
        self.residual.layer_scale = nn.Parameter(torch.empty(C, 1, 1))
        nn.init.constant_(self.residual.layer_scale, 1e-06)
        self.residual.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, C, H, W]
        h = self.residual.conv2d(x)  # float32[B, C, H, W]
        h = torch.permute(h, (0, 2, 3, 1))  # float32[B, H, W, C]
        h = self.residual.layer_norm(h)  # float32[B, H, W, C]
        h = self.residual.linear(h)  # float32[B, H, W, out_features]
        h = F.gelu(h)  # float32[B, H, W, out_features]
        h = self.residual.linear_2(h)  # float32[B, H, W, C]
        h = torch.permute(h, (0, 3, 1, 2))  # float32[B, C, H, W]
        h = h * self.residual.layer_scale  # float32[B, C, H, W]
        h = self.residual.stochastic_depth(h)  # float32[B, C, H, W]
        x = x + h  # float32[B, C, H, W]
        return x


class Stages(nn.Module):
    """`stages`, convnext.yaml:40."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(3, 96, 4, stride=4)
        self.norm2d_2 = Norm2d(96)
        self.block = nn.ModuleList([
            Block(96, 384, 0.0),
            Block(96, 384, 0.0058823529411764705),
            Block(96, 384, 0.011764705882352941),
        ])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 3, 32*h, 32*w]
        x = self.conv2d(x)  # float32[B, 96, 8*h, 8*w]
        x = self.norm2d_2(x)  # float32[B, 96, 8*h, 8*w]
        for block in self.block:
            x = block(x)  # float32[B, 96, 8*h, 8*w]
        return x


class Stages2(nn.Module):
    """`stages`, convnext.yaml:40: as `Stages`, but with `norm2d` and without `norm2d_2`."""

    def __init__(self, normalized_shape: int, dim: int, out_features: int, drop: float, drop_2: float, drop_3: float) -> None:
        super().__init__()
        self.norm2d = Norm2d(normalized_shape)
        self.conv2d = nn.Conv2d(normalized_shape, dim, 2, stride=2)
        self.block = nn.ModuleList([
            Block(dim, out_features, drop),
            Block(dim, out_features, drop_2),
            Block(dim, out_features, drop_3),
        ])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, normalized_shape, _, _]
        x = self.norm2d(x)  # float32[B, normalized_shape, _, _]
        x = self.conv2d(x)  # float32[B, dim, _, _]
        for block in self.block:
            x = block(x)  # float32[B, dim, _, _]
        return x


class Stages3(nn.Module):
    """`stages`, convnext.yaml:40: as `Stages`, but with `norm2d`, 6 more copies of `block` and without `norm2d_2`."""

    def __init__(self) -> None:
        super().__init__()
        self.norm2d = Norm2d(192)
        self.conv2d = nn.Conv2d(192, 384, 2, stride=2)
        self.block = nn.ModuleList(
            Block(384, 1536, drop)
            for drop in (
                0.03529411764705883, 0.0411764705882353, 0.047058823529411764, 0.052941176470588235, 0.058823529411764705,
                0.06470588235294118, 0.07058823529411766, 0.07647058823529412, 0.0823529411764706,
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 192, 4*h, 4*w]
        x = self.norm2d(x)  # float32[B, 192, 4*h, 4*w]
        x = self.conv2d(x)  # float32[B, 384, 2*h, 2*w]
        for block in self.block:
            x = block(x)  # float32[B, 384, 2*h, 2*w]
        return x


class Convnext(nn.Module):
    """ConvNeXt for ImageNet: convolutions in the manner of a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([
            Stages(),
            Stages2(96, 192, out_features=768, drop=0.017647058823529415, drop_2=0.023529411764705882, drop_3=0.029411764705882353),
            Stages3(),
            Stages2(384, 768, out_features=3072, drop=0.08823529411764706, drop_2=0.09411764705882353, drop_3=0.1),
        ])
        self.norm2d = Norm2d(768)
        self.logits = nn.Linear(768, 1000)

    def forward(self, image: Tensor) -> Tensor:
        # image: float32[B, 3, 32*h, 32*w]
        x = image
        for layer in self.stages:
            x = layer(x)  # float32[B, 768, h, w]
        x = F.adaptive_avg_pool2d(x, 1)  # float32[B, 768, 1, 1]
        x = self.norm2d(x)  # float32[B, 768, 1, 1]
        x = torch.flatten(x, 1)  # float32[B, 768]
        logits = self.logits(x)  # float32[B, 1000]
        return logits
