# Emitted by specbuilder X.Y.Z from densenet.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Conv(nn.Module):
    """Block `conv`, densenet.yaml:14."""

    def __init__(self, num_features: int, out: int, k: int, padding: int) -> None:
        super().__init__()
        self.batch_norm2d = nn.BatchNorm2d(num_features)
        self.conv2d = nn.Conv2d(num_features, out, k, padding=padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, num_features, _, _]
        x = self.batch_norm2d(x)  # float32[B, num_features, _, _]
        x = F.relu(x)  # float32[B, num_features, _, _]
        x = self.conv2d(x)  # float32[B, out, _, _]
        return x


class Dense(nn.Module):
    """Block `dense`, densenet.yaml:20."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.conv = Conv(num_features, 128, k=1, padding=0)
        self.conv_2 = Conv(128, 32, k=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, num_features, _, _]
        h = self.conv(x)  # float32[B, 128, _, _]
        h = self.conv_2(h)  # float32[B, 32, _, _]
        x = torch.cat([x, h], 1)  # float32[B, _, _, _]
        return x


class Stages(nn.Module):
    """`stages`, densenet.yaml:39."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.ModuleList(Dense(num_features) for num_features in (64, 96, 128, 160, 192, 224))

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 64, (H + 3)//4, (W + 3)//4]
        for dense in self.dense:
            x = dense(x)  # float32[B, 256, (H + 3)//4, (W + 3)//4]
        return x


class Transition(nn.Module):
    """Block `transition`, densenet.yaml:26."""

    def __init__(self, C: int, out: int) -> None:
        super().__init__()
        self.conv = Conv(C, out, k=1, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, C, H, W]
        x = self.conv(x)  # float32[B, out, H, W]
        x = F.avg_pool2d(x, 2)  # float32[B, out, _, _]
        return x


class Stages2(nn.Module):
    """`stages`, densenet.yaml:39: as `Stages`, but with `transition`, 6 more copies of `dense`."""

    def __init__(self) -> None:
        super().__init__()
        self.transition = Transition(256, 128)
        self.dense = nn.ModuleList(Dense(num_features) for num_features in (128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448, 480))

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 256, (H + 3)//4, (W + 3)//4]
        x = self.transition(x)  # float32[B, 128, (H + 3)//8, (W + 3)//8]
        for dense in self.dense:
            x = dense(x)  # float32[B, 512, (H + 3)//8, (W + 3)//8]
        return x


class Stages3(nn.Module):
    """`stages`, densenet.yaml:39: as `Stages`, but with `transition`, 18 more copies of `dense`."""

    def __init__(self) -> None:
        super().__init__()
        self.transition = Transition(512, 256)
        self.dense = nn.ModuleList(
            Dense(num_features)
            for num_features in (
                256, 288, 320, 352, 384, 416, 448, 480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800, 832, 864, 896, 928, 960, 992,
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 512, (H + 3)//8, (W + 3)//8]
        x = self.transition(x)  # float32[B, 256, (H + 3)//16, (W + 3)//16]
        for dense in self.dense:
            x = dense(x)  # float32[B, 1024, (H + 3)//16, (W + 3)//16]
        return x


class Stages4(nn.Module):
    """`stages`, densenet.yaml:39: as `Stages`, but with `transition`, 10 more copies of `dense`."""

    def __init__(self) -> None:
        super().__init__()
        self.transition = Transition(1024, 512)
        self.dense = nn.ModuleList(
            Dense(num_features)
            for num_features in (512, 544, 576, 608, 640, 672, 704, 736, 768, 800, 832, 864, 896, 928, 960, 992)
        )

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 1024, (H + 3)//16, (W + 3)//16]
        x = self.transition(x)  # float32[B, 512, (H + 3)//32, (W + 3)//32]
        for dense in self.dense:
            x = dense(x)  # float32[B, 1024, (H + 3)//32, (W + 3)//32]
        return x


class Densenet(nn.Module):
    """DenseNet for ImageNet: each layer sees the outputs of all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.batch_norm2d = nn.BatchNorm2d(64)
        self.stages = nn.ModuleList([
            Stages(),
            Stages2(),
            Stages3(),
            Stages4(),
        ])
        self.batch_norm2d_2 = nn.BatchNorm2d(1024)
        self.logits = nn.Linear(1024, 1000)

    def forward(self, image: Tensor) -> Tensor:
        # image: float32[B, 3, H, W]
        x = self.conv2d(image)  # float32[B, 64, (H + 1)//2, (W + 1)//2]
        x = self.batch_norm2d(x)  # float32[B, 64, (H + 1)//2, (W + 1)//2]
        x = F.relu(x)  # float32[B, 64, (H + 1)//2, (W + 1)//2]
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # float32[B, 64, (H + 3)//4, (W + 3)//4]
        for layer in self.stages:
            x = layer(x)  # float32[B, 1024, (H + 3)//32, (W + 3)//32]
        x = self.batch_norm2d_2(x)  # float32[B, 1024, (H + 3)//32, (W + 3)//32]
        x = F.relu(x)  # float32[B, 1024, (H + 3)//32, (W + 3)//32]
        x = F.adaptive_avg_pool2d(x, 1)  # float32[B, 1024, 1, 1]
        x = torch.flatten(x, 1)  # float32[B, 1024]
        logits = self.logits(x)  # float32[B, 1000]
        return logits
