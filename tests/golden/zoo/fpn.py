# Emitted by specbuilder X.Y.Z from fpn.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Sequence(nn.Module):
    """`sequence`, fpn.yaml:13."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.batch_norm2d = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, in_channels, _, _]
        x = self.conv2d(x)  # float32[B, out_channels, _, _]
        x = self.batch_norm2d(x)  # float32[B, out_channels, _, _]
        x = F.relu(x)  # float32[B, out_channels, _, _]
        return x


class Stage(nn.Module):
    """Block `stage`, fpn.yaml:10."""

    def __init__(self, in_channels: int, out: int) -> None:
        super().__init__()
        self.sequence = nn.ModuleList([
            Sequence(in_channels, out, 2),
            Sequence(out, out, 1),
        ])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, in_channels, _, _]
        for sequence in self.sequence:
            x = sequence(x)  # float32[B, out, _, _]
        return x


class TopDown(nn.Module):
    """Block `top_down`, fpn.yaml:18."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, 256, 1)

    def forward(self, x: Tensor, side: Tensor) -> Tensor:
        # x: float32[B, 256, _, _]
        # side: float32[B, in_channels, _, _]
        above = F.interpolate(x, scale_factor=2)  # float32[B, 256, _, _]
        x = self.conv2d(side)  # float32[B, 256, _, _]
        x = x + above  # float32[B, 256, _, _]
        return x


class Sequence2(nn.Module):
    """`sequence`, fpn.yaml:30."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(256, 256, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 256, _, _]
        x = self.conv2d(x)  # float32[B, 256, _, _]
        x = F.relu(x)  # float32[B, 256, _, _]
        return x


class Head(nn.Module):
    """Block `head`, fpn.yaml:27."""

    def __init__(self, out_channels: int, out: int) -> None:
        super().__init__()
        self.out = out
        self.sequence = nn.ModuleList(Sequence2() for _ in range(4))
        self.conv2d = nn.Conv2d(256, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 256, _, _]
        for sequence in self.sequence:
            x = sequence(x)  # float32[B, 256, _, _]
        x = self.conv2d(x)  # float32[B, out_channels, _, _]
        x = x.unflatten(1, (9, self.out)).permute(0, 3, 4, 1, 2).flatten(1, 3)  # float32[B, _, out]
        return x


class FpnDetector(nn.Module):
    """A feature pyramid with the shared heads of a dense detector."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.ModuleList(
            Stage(in_channels, out)
            for in_channels, out in ((3, 64), (64, 128), (128, 256), (256, 512), (512, 1024))
        )
        self.top = nn.Conv2d(1024, 256, 1)
        self.down = nn.ModuleList([
            TopDown(512),
            TopDown(256),
        ])
        self.levels = nn.ModuleList(nn.Conv2d(256, 256, 3, padding=1) for _ in range(3))
        self.scores = Head(720, 80)
        self.boxes = Head(36, 4)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        # image: float32[B, 3, 32*h, 32*w]
        c_0 = self.c[0](image)  # float32[B, 64, 16*h, 16*w]
        c_1 = self.c[1](c_0)  # float32[B, 128, 8*h, 8*w]
        c_2 = self.c[2](c_1)  # float32[B, 256, 4*h, 4*w]
        c_3 = self.c[3](c_2)  # float32[B, 512, 2*h, 2*w]
        c = self.c[4](c_3)  # float32[B, 1024, h, w]
        top = self.top(c)  # float32[B, 256, h, w]
        down_0 = self.down[0](top, c_3)  # float32[B, 256, 2*h, 2*w]
        down = self.down[1](down_0, c_2)  # float32[B, 256, 4*h, 4*w]
        levels_0 = self.levels[0](top)  # float32[B, 256, h, w]
        levels_1 = self.levels[1](down_0)  # float32[B, 256, 2*h, 2*w]
        levels = self.levels[2](down)  # float32[B, 256, 4*h, 4*w]
        scores_0 = self.scores(levels_0)  # float32[B, 9*h*w, 80]
        scores_1 = self.scores(levels_1)  # float32[B, 36*h*w, 80]
        scores_2 = self.scores(levels)  # float32[B, 144*h*w, 80]
        scores = torch.cat([scores_0, scores_1, scores_2], 1)  # float32[B, 189*h*w, 80]
        boxes_0 = self.boxes(levels_0)  # float32[B, 9*h*w, 4]
        boxes_1 = self.boxes(levels_1)  # float32[B, 36*h*w, 4]
        boxes_2 = self.boxes(levels)  # float32[B, 144*h*w, 4]
        boxes = torch.cat([boxes_0, boxes_1, boxes_2], 1)  # float32[B, 189*h*w, 4]
        return {"scores": scores, "boxes": boxes}
