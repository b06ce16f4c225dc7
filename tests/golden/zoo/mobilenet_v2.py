# Emitted by specbuilder X.Y.Z from mobilenet_v2.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvBn(nn.Module):
    """Block `conv_bn`, mobilenet_v2.yaml:9."""

    def __init__(self, in_channels: int, out: int, k: int, stride: int, padding: int, groups: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, out, k, stride=stride, padding=padding, groups=groups, bias=False)
        self.batch_norm2d = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, in_channels, _, _]
        x = self.conv2d(x)  # float32[B, out, _, _]
        x = self.batch_norm2d(x)  # float32[B, out, _, _]
        return x


class InvertedResidual(nn.Module):
    """Block `inverted_residual`, mobilenet_v2.yaml:14."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_bn = ConvBn(32, 32, k=3, stride=1, padding=1, groups=32)
        self.conv_bn_2 = ConvBn(32, 16, k=1, stride=1, padding=0, groups=1)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 32, (H + 1)//2, (W + 1)//2]
        x = self.conv_bn(x)  # float32[B, 32, (H + 1)//2, (W + 1)//2]
        x = F.relu6(x)  # float32[B, 32, (H + 1)//2, (W + 1)//2]
        x = self.conv_bn_2(x)  # float32[B, 16, (H + 1)//2, (W + 1)//2]
        return x


class Stages(nn.Module):
    """`stages`, mobilenet_v2.yaml:33."""

    def __init__(self) -> None:
        super().__init__()
        self.inverted_residual = nn.ModuleList([InvertedResidual()])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 32, (H + 1)//2, (W + 1)//2]
        x = self.inverted_residual[0](x)  # float32[B, 16, (H + 1)//2, (W + 1)//2]
        return x


class InvertedResidual2(nn.Module):
    """Block `inverted_residual`, mobilenet_v2.yaml:14: as `InvertedResidual`, but with `sequence.conv_bn`, `sequence.relu6`."""

    def __init__(self, C: int, inner: int, stride: int, out: int) -> None:
        super().__init__()
        self.sequence = nn.Module()
        self.sequence.conv_bn = ConvBn(C, inner, k=1, stride=1, padding=0, groups=1)
        self.conv_bn = ConvBn(inner, inner, k=3, stride=stride, padding=1, groups=inner)
        self.conv_bn_2 = ConvBn(inner, out, k=1, stride=1, padding=0, groups=1)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, C, H, W]
        x = self.sequence.conv_bn(x)  # float32[B, inner, H, W]
        x = F.relu6(x)  # float32[B, inner, H, W]
        x = self.conv_bn(x)  # float32[B, inner, _, _]
        x = F.relu6(x)  # float32[B, inner, _, _]
        x = self.conv_bn_2(x)  # float32[B, out, _, _]
        return x


class InvertedResidual3(nn.Module):
    """Block `inverted_residual`, mobilenet_v2.yaml:14: as `InvertedResidual`, but with `sequence.conv_bn`, `sequence.relu6`, `add`."""

    def __init__(self, out: int, inner: int) -> None:
        super().__init__()
        self.sequence = nn.Module()
        self.sequence.conv_bn = ConvBn(out, inner, k=1, stride=1, padding=0, groups=1)
        self.conv_bn = ConvBn(inner, inner, k=3, stride=1, padding=1, groups=inner)
        self.conv_bn_2 = ConvBn(inner, out, k=1, stride=1, padding=0, groups=1)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, out, H, W]
        h = self.sequence.conv_bn(x)  # float32[B, inner, H, W]
        h = F.relu6(h)  # float32[B, inner, H, W]
        h = self.conv_bn(h)  # float32[B, inner, H, W]
        h = F.relu6(h)  # float32[B, inner, H, W]
        h = self.conv_bn_2(h)  # float32[B, out, H, W]
        x = h + x  # float32[B, out, H, W]
        return x


class Stages2(nn.Module):
    """`stages`, mobilenet_v2.yaml:33: as `Stages`, but with `inverted_residual.1`."""

    def __init__(self) -> None:
        super().__init__()
        self.inverted_residual = nn.ModuleList([
            InvertedResidual2(16, 96, stride=2, out=24),
            InvertedResidual3(24, 144),
        ])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 16, (H + 1)//2, (W + 1)//2]
        for inverted_residual in self.inverted_residual:
            x = inverted_residual(x)  # float32[B, 24, (H + 3)//4, (W + 3)//4]
        return x


class Stages3(nn.Module):
    """`stages`, mobilenet_v2.yaml:33: as `Stages`, but with 2 more copies of `inverted_residual`."""

    def __init__(self, C: int, inner: int, stride: int, out: int, inner_2: int) -> None:
        super().__init__()
        self.inverted_residual = nn.ModuleList([
            InvertedResidual2(C, inner, stride=stride, out=out),
            InvertedResidual3(out, inner_2),
            InvertedResidual3(out, inner_2),
        ])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, C, _, _]
        for inverted_residual in self.inverted_residual:
            x = inverted_residual(x)  # float32[B, out, _, _]
        return x


class Stages4(nn.Module):
    """`stages`, mobilenet_v2.yaml:33: as `Stages`, but with 3 more copies of `inverted_residual`."""

    def __init__(self) -> None:
        super().__init__()
        self.inverted_residual = nn.ModuleList([
            InvertedResidual2(32, 192, stride=2, out=64),
            *(InvertedResidual3(64, 384) for _ in range(3)),
        ])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 32, (H + 7)//8, (W + 7)//8]
        for inverted_residual in self.inverted_residual:
            x = inverted_residual(x)  # float32[B, 64, (H + 15)//16, (W + 15)//16]
        return x


class Stages5(nn.Module):
    """`stages`, mobilenet_v2.yaml:33: as `Stages`, but with `InvertedResidual2` as `inverted_residual.0`."""

    def __init__(self) -> None:
        super().__init__()
        self.inverted_residual = nn.ModuleList([InvertedResidual2(160, 960, stride=1, out=320)])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 160, (H + 31)//32, (W + 31)//32]
        x = self.inverted_residual[0](x)  # float32[B, 320, (H + 31)//32, (W + 31)//32]
        return x


class MobilenetV2(nn.Module):
    """MobileNetV2 for ImageNet: inverted residuals, thin between and wide within."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_bn = ConvBn(3, 32, k=3, stride=2, padding=1, groups=1)
        self.stages = nn.ModuleList([
            Stages(),
            Stages2(),
            Stages3(24, 144, stride=2, out=32, inner_2=192),
            Stages4(),
            Stages3(64, 384, stride=1, out=96, inner_2=576),
            Stages3(96, 576, stride=2, out=160, inner_2=960),
            Stages5(),
        ])
        self.conv_bn_2 = ConvBn(320, 1280, k=1, stride=1, padding=0, groups=1)
        self.dropout = nn.Dropout(0.2)
        self.logits = nn.Linear(1280, 1000)

    def forward(self, image: Tensor) -> Tensor:
        # image: float32[B, 3, H, W]
        x = self.conv_bn(image)  # float32[B, 32, (H + 1)//2, (W + 1)//2]
        x = F.relu6(x)  # float32[B, 32, (H + 1)//2, (W + 1)//2]
        for layer in self.stages:
            x = layer(x)  # float32[B, 320, (H + 31)//32, (W + 31)//32]
        x = self.conv_bn_2(x)  # float32[B, 1280, (H + 31)//32, (W + 31)//32]
        x = F.relu6(x)  # float32[B, 1280, (H + 31)//32, (W + 31)//32]
        x = F.adaptive_avg_pool2d(x, 1)  # float32[B, 1280, 1, 1]
        x = torch.flatten(x, 1)  # float32[B, 1280]
        x = self.dropout(x)  # float32[B, 1280]
        logits = self.logits(x)  # float32[B, 1000]
        return logits
