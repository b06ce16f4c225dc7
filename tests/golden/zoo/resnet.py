# Emitted by specbuilder X.Y.Z from resnet.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvBn(nn.Module):
    """Block `conv_bn`, resnet.yaml:18."""

    def __init__(self, in_channels: int, out: int, k: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, out, k, stride=stride, padding=padding, bias=False)
        self.batch_norm2d = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, in_channels, _, _]
        x = self.conv2d(x)  # float32[B, out, _, _]
        x = self.batch_norm2d(x)  # float32[B, out, _, _]
        return x


class Basic(nn.Module):
    """Block `basic`, resnet.yaml:29."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_bn = ConvBn(width, width, k=3, stride=1, padding=1)
        self.body = ConvBn(width, width, k=3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, width, _, _]
        h = self.conv_bn(x)  # float32[B, width, _, _]
        h = F.relu(h)  # float32[B, width, _, _]
        body = self.body(h)  # float32[B, width, _, _]
        x = x + body  # float32[B, width, _, _]
        x = F.relu(x)  # float32[B, width, _, _]
        return x


class Layer1(nn.Module):
    """`layer1`, resnet.yaml:65."""

    def __init__(self) -> None:
        super().__init__()
        self.basic = nn.ModuleList(Basic(64) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 64, (H + 3)//4, (W + 3)//4]
        for basic in self.basic:
            x = basic(x)  # float32[B, 64, (H + 3)//4, (W + 3)//4]
        return x


class Shortcut(nn.Module):
    """Block `shortcut`, resnet.yaml:23."""

    def __init__(self, C: int, out: int) -> None:
        super().__init__()
        self.conv_bn = ConvBn(C, out, k=1, stride=2, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, C, H, W]
        x = self.conv_bn(x)  # float32[B, out, _, _]
        return x


class Basic2(nn.Module):
    """Block `basic`, resnet.yaml:29: as `Basic`, but with `shortcut`."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv_bn = ConvBn(in_channels, width, k=3, stride=2, padding=1)
        self.body = ConvBn(width, width, k=3, stride=1, padding=1)
        self.shortcut = Shortcut(in_channels, width)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, in_channels, _, _]
        h = self.conv_bn(x)  # float32[B, width, _, _]
        h = F.relu(h)  # float32[B, width, _, _]
        body = self.body(h)  # float32[B, width, _, _]
        x = self.shortcut(x)  # float32[B, width, _, _]
        x = x + body  # float32[B, width, _, _]
        x = F.relu(x)  # float32[B, width, _, _]
        return x


class Layer2(nn.Module):
    """`layer2`, resnet.yaml:65: as `Layer1`, but with `Basic2` as `basic.0`."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.basic = nn.ModuleList([
            Basic2(in_channels, width),
            Basic(width),
        ])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, in_channels, _, _]
        for basic in self.basic:
            x = basic(x)  # float32[B, width, _, _]
        return x


class Resnet(nn.Module):
    """ResNet and ResNeXt for ImageNet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBn(3, 64, k=7, stride=2, padding=3)
        self.layer1 = Layer1()
        self.layer2 = Layer2(64, 128)
        self.layer3 = Layer2(128, 256)
        self.layer4 = Layer2(256, 512)
        self.fc = nn.Linear(512, 1000)

    def forward(self, image: Tensor) -> Tensor:
        # image: float32[B, 3, H, W]
        stem = self.stem(image)  # float32[B, 64, (H + 1)//2, (W + 1)//2]
        x = F.relu(stem)  # float32[B, 64, (H + 1)//2, (W + 1)//2]
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # float32[B, 64, (H + 3)//4, (W + 3)//4]
        layer1 = self.layer1(x)  # float32[B, 64, (H + 3)//4, (W + 3)//4]
        layer2 = self.layer2(layer1)  # float32[B, 128, (H + 7)//8, (W + 7)//8]
        layer3 = self.layer3(layer2)  # float32[B, 256, (H + 15)//16, (W + 15)//16]
        layer4 = self.layer4(layer3)  # float32[B, 512, (H + 31)//32, (W + 31)//32]
        x = F.adaptive_avg_pool2d(layer4, 1)  # float32[B, 512, 1, 1]
        x = torch.flatten(x, 1)  # float32[B, 512]
        fc = self.fc(x)  # float32[B, 1000]
        return fc
