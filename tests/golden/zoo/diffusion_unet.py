# Emitted by specbuilder X.Y.Z from diffusion_unet.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TimeEmbedding(nn.Module):
    """Block `time_embedding`, diffusion_unet.yaml:11."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(128, 512)
        self.linear_2 = nn.Linear(512, 512)

    def forward(self, x: Tensor) -> Tensor:
        # x: int64[B]
        f = torch.exp(torch.arange(64, device=x.device) * -0.14619587892025687)  # float32[64]
        angle = x.to(torch.float32)[:, None] * f  # float32[B, 64]
        x = torch.cat((torch.sin(angle), torch.cos(angle)), 1)  # float32[B, 128]
        x = self.linear(x)  # float32[B, 512]
        x = F.silu(x)  # float32[B, 512]
        x = self.linear_2(x)  # float32[B, 512]
        return x


class Res(nn.Module):
    """Block `res`, diffusion_unet.yaml:21."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.first = nn.Module()
        self.first.group_norm = nn.GroupNorm(32, out)
        self.first.conv2d = nn.Conv2d(out, out, 3, padding=1)
        self.sequence = nn.Module()
        self.sequence.linear = nn.Linear(512, out)
        self.body = nn.Module()
        self.body.group_norm = nn.GroupNorm(32, out)
        self.body.dropout = nn.Dropout(0.1)
        self.body.conv2d = nn.Conv2d(out, out, 3, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        # x: float32[B, out, H, W]
        # time: float32[B, 512]
        h = self.first.group_norm(x)  # float32[B, out, H, W]
        h = F.silu(h)  # float32[B, out, H, W]
        first = self.first.conv2d(h)  # float32[B, out, H, W]
        h = F.silu(time)  # float32[B, 512]
        h = self.sequence.linear(h)  # float32[B, out]
        h = first + h[:, :, None, None]  # float32[B, out, H, W]
        h = self.body.group_norm(h)  # float32[B, out, H, W]
        h = F.silu(h)  # float32[B, out, H, W]
        h = self.body.dropout(h)  # float32[B, out, H, W]
        body = self.body.conv2d(h)  # float32[B, out, H, W]
        x = x + body  # float32[B, out, H, W]
        return x


class Down(nn.Module):
    """Block `down`, diffusion_unet.yaml:52."""

    def __init__(self) -> None:
        super().__init__()
        self.res = nn.ModuleList(Res(128) for _ in range(2))

    def forward(self, x: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # x: float32[B, 128, 8*h, 8*w]
        # time: float32[B, 512]
        h = self.res[0](x, time)  # float32[B, 128, 8*h, 8*w]
        y = self.res[1](h, time)  # float32[B, 128, 8*h, 8*w]
        return y, x, h, y


class Attention(nn.Module):
    """Block `attention`, diffusion_unet.yaml:39."""

    def __init__(self) -> None:
        super().__init__()
        self.residual = nn.Module()
        self.residual.group_norm = nn.GroupNorm(32, 256)
        self.residual.conv2d = nn.Conv2d(256, 768, 1)
        self.residual.conv2d_2 = nn.Conv2d(256, 256, 1)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 256, H, W]
        W = x.shape[3]
        h = self.residual.group_norm(x)  # float32[B, 256, H, W]
        h = self.residual.conv2d(h)  # float32[B, 768, H, W]
        h = h.unflatten(1, (3, 256)).permute(1, 0, 3, 4, 2).flatten(2, 3)  # float32[3, B, _, 256]
        qkv_0, qkv_1, qkv_2 = torch.unbind(h, 0)  # float32[B, _, 256], float32[B, _, 256], float32[B, _, 256]
        h = F.scaled_dot_product_attention(qkv_0, qkv_1, qkv_2)  # float32[B, _, 256]
        h = h.unflatten(1, (-1, W)).permute(0, 3, 1, 2)  # float32[B, 256, H, W]
        h = self.residual.conv2d_2(h)  # float32[B, 256, H, W]
        x = x + h  # float32[B, 256, H, W]
        return x


class Res2(nn.Module):
    """Block `res`, diffusion_unet.yaml:21: as `Res`, but with `conv2d`, `attention`."""

    def __init__(self, C: int) -> None:
        super().__init__()
        self.first = nn.Module()
        self.first.group_norm = nn.GroupNorm(32, C)
        self.first.conv2d = nn.Conv2d(C, 256, 3, padding=1)
        self.sequence = nn.Module()
        self.sequence.linear = nn.Linear(512, 256)
        self.body = nn.Module()
        self.body.group_norm = nn.GroupNorm(32, 256)
        self.body.dropout = nn.Dropout(0.1)
        self.body.conv2d = nn.Conv2d(256, 256, 3, padding=1)
        self.conv2d = nn.Conv2d(C, 256, 1)
        self.attention = Attention()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        # x: float32[B, C, 4*h, 4*w]
        # time: float32[B, 512]
        h = self.first.group_norm(x)  # float32[B, C, 4*h, 4*w]
        h = F.silu(h)  # float32[B, C, 4*h, 4*w]
        first = self.first.conv2d(h)  # float32[B, 256, 4*h, 4*w]
        h = F.silu(time)  # float32[B, 512]
        h = self.sequence.linear(h)  # float32[B, 256]
        h = first + h[:, :, None, None]  # float32[B, 256, 4*h, 4*w]
        h = self.body.group_norm(h)  # float32[B, 256, 4*h, 4*w]
        h = F.silu(h)  # float32[B, 256, 4*h, 4*w]
        h = self.body.dropout(h)  # float32[B, 256, 4*h, 4*w]
        body = self.body.conv2d(h)  # float32[B, 256, 4*h, 4*w]
        x = self.conv2d(x)  # float32[B, 256, 4*h, 4*w]
        x = x + body  # float32[B, 256, 4*h, 4*w]
        x = self.attention(x)  # float32[B, 256, 4*h, 4*w]
        return x


class Res3(nn.Module):
    """Block `res`, diffusion_unet.yaml:21: as `Res`, but with `attention`."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Module()
        self.first.group_norm = nn.GroupNorm(32, 256)
        self.first.conv2d = nn.Conv2d(256, 256, 3, padding=1)
        self.sequence = nn.Module()
        self.sequence.linear = nn.Linear(512, 256)
        self.body = nn.Module()
        self.body.group_norm = nn.GroupNorm(32, 256)
        self.body.dropout = nn.Dropout(0.1)
        self.body.conv2d = nn.Conv2d(256, 256, 3, padding=1)
        self.attention = Attention()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        # x: float32[B, 256, H, W]
        # time: float32[B, 512]
        h = self.first.group_norm(x)  # float32[B, 256, H, W]
        h = F.silu(h)  # float32[B, 256, H, W]
        first = self.first.conv2d(h)  # float32[B, 256, H, W]
        h = F.silu(time)  # float32[B, 512]
        h = self.sequence.linear(h)  # float32[B, 256]
        h = first + h[:, :, None, None]  # float32[B, 256, H, W]
        h = self.body.group_norm(h)  # float32[B, 256, H, W]
        h = F.silu(h)  # float32[B, 256, H, W]
        h = self.body.dropout(h)  # float32[B, 256, H, W]
        body = self.body.conv2d(h)  # float32[B, 256, H, W]
        x = x + body  # float32[B, 256, H, W]
        x = self.attention(x)  # float32[B, 256, H, W]
        return x


class Down2(nn.Module):
    """Block `down`, diffusion_unet.yaml:52: as `Down`, but with `start`."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv2d(128, 128, 3, stride=2, padding=1)
        self.res = nn.ModuleList([
            Res2(128),
            Res3(),
        ])

    def forward(self, x: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # x: float32[B, 128, 8*h, 8*w]
        # time: float32[B, 512]
        start = self.start(x)  # float32[B, 128, 4*h, 4*w]
        x = self.res[0](start, time)  # float32[B, 256, 4*h, 4*w]
        h = self.res[1](x, time)  # float32[B, 256, 4*h, 4*w]
        return h, start, x, h


class Down3(nn.Module):
    """Block `down`, diffusion_unet.yaml:52: as `Down`, but with `start`."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv2d(256, 256, 3, stride=2, padding=1)
        self.res = nn.ModuleList(Res(256) for _ in range(2))

    def forward(self, x: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # x: float32[B, 256, H, W]
        # time: float32[B, 512]
        start = self.start(x)  # float32[B, 256, _, _]
        x = self.res[0](start, time)  # float32[B, 256, _, _]
        h = self.res[1](x, time)  # float32[B, 256, _, _]
        return h, start, x, h


class Res4(nn.Module):
    """Block `res`, diffusion_unet.yaml:21: as `Res`, but with `conv2d`."""

    def __init__(self, C: int, out: int) -> None:
        super().__init__()
        self.first = nn.Module()
        self.first.group_norm = nn.GroupNorm(32, C)
        self.first.conv2d = nn.Conv2d(C, out, 3, padding=1)
        self.sequence = nn.Module()
        self.sequence.linear = nn.Linear(512, out)
        self.body = nn.Module()
        self.body.group_norm = nn.GroupNorm(32, out)
        self.body.dropout = nn.Dropout(0.1)
        self.body.conv2d = nn.Conv2d(out, out, 3, padding=1)
        self.conv2d = nn.Conv2d(C, out, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        # x: float32[B, C, H, W]
        # time: float32[B, 512]
        h = self.first.group_norm(x)  # float32[B, C, H, W]
        h = F.silu(h)  # float32[B, C, H, W]
        first = self.first.conv2d(h)  # float32[B, out, H, W]
        h = F.silu(time)  # float32[B, 512]
        h = self.sequence.linear(h)  # float32[B, out]
        h = first + h[:, :, None, None]  # float32[B, out, H, W]
        h = self.body.group_norm(h)  # float32[B, out, H, W]
        h = F.silu(h)  # float32[B, out, H, W]
        h = self.body.dropout(h)  # float32[B, out, H, W]
        body = self.body.conv2d(h)  # float32[B, out, H, W]
        x = self.conv2d(x)  # float32[B, out, H, W]
        x = x + body  # float32[B, out, H, W]
        return x


class UpStep(nn.Module):
    """Block `up_step`, diffusion_unet.yaml:64."""

    def __init__(self, C: int, out: int) -> None:
        super().__init__()
        self.res = Res4(C, out)

    def forward(self, x: Tensor, skip: Tensor, time: Tensor) -> Tensor:
        # x: float32[B, _, _, _]
        # skip: float32[B, out, _, _]
        # time: float32[B, 512]
        x = torch.cat([x, skip], 1)  # float32[B, C, _, _]
        x = self.res(x, time)  # float32[B, out, _, _]
        return x


class Up(nn.Module):
    """Block `up`, diffusion_unet.yaml:72."""

    def __init__(self) -> None:
        super().__init__()
        self.up_step = nn.ModuleList(UpStep(512, 256) for _ in range(3))
        self.sequence = nn.Module()
        self.sequence.conv2d = nn.Conv2d(256, 256, 3, padding=1)

    def forward(self, x: Tensor, skips_0: Tensor, skips_1: Tensor, skips_2: Tensor, time: Tensor) -> Tensor:
        # x: float32[B, 256, _, _]
        # skips_0: float32[B, 256, _, _]
        # skips_1: float32[B, 256, _, _]
        # skips_2: float32[B, 256, _, _]
        # time: float32[B, 512]
        x = self.up_step[0](x, skips_2, time)  # float32[B, 256, _, _]
        x = self.up_step[1](x, skips_1, time)  # float32[B, 256, _, _]
        x = self.up_step[2](x, skips_0, time)  # float32[B, 256, _, _]
        x = F.interpolate(x, scale_factor=2)  # float32[B, 256, _, _]
        x = self.sequence.conv2d(x)  # float32[B, 256, _, _]
        return x


class UpStep2(nn.Module):
    """Block `up_step`, diffusion_unet.yaml:64: as `UpStep`, but with `Res2` as `res`."""

    def __init__(self, C: int) -> None:
        super().__init__()
        self.res = Res2(C)

    def forward(self, x: Tensor, skip: Tensor, time: Tensor) -> Tensor:
        # x: float32[B, 256, 4*h, 4*w]
        # skip: float32[B, _, 4*h, 4*w]
        # time: float32[B, 512]
        x = torch.cat([x, skip], 1)  # float32[B, C, 4*h, 4*w]
        x = self.res(x, time)  # float32[B, 256, 4*h, 4*w]
        return x


class Up2(nn.Module):
    """Block `up`, diffusion_unet.yaml:72: as `Up`, but with `UpStep2` as 3 copies of `up_step`."""

    def __init__(self) -> None:
        super().__init__()
        self.up_step = nn.ModuleList([
            UpStep2(512),
            UpStep2(512),
            UpStep2(384),
        ])
        self.sequence = nn.Module()
        self.sequence.conv2d = nn.Conv2d(256, 256, 3, padding=1)

    def forward(self, x: Tensor, skips_0: Tensor, skips_1: Tensor, skips_2: Tensor, time: Tensor) -> Tensor:
        # x: float32[B, 256, 4*h, 4*w]
        # skips_0: float32[B, 128, 4*h, 4*w]
        # skips_1: float32[B, 256, 4*h, 4*w]
        # skips_2: float32[B, 256, 4*h, 4*w]
        # time: float32[B, 512]
        x = self.up_step[0](x, skips_2, time)  # float32[B, 256, 4*h, 4*w]
        x = self.up_step[1](x, skips_1, time)  # float32[B, 256, 4*h, 4*w]
        x = self.up_step[2](x, skips_0, time)  # float32[B, 256, 4*h, 4*w]
        x = F.interpolate(x, scale_factor=2)  # float32[B, 256, 8*h, 8*w]
        x = self.sequence.conv2d(x)  # float32[B, 256, 8*h, 8*w]
        return x


class Up3(nn.Module):
    """Block `up`, diffusion_unet.yaml:72: as `Up`, but without `sequence.upsample`, `sequence.conv2d`."""

    def __init__(self) -> None:
        super().__init__()
        self.up_step = nn.ModuleList([
            UpStep(384, 128),
            UpStep(256, 128),
            UpStep(256, 128),
        ])

    def forward(self, x: Tensor, skips_0: Tensor, skips_1: Tensor, skips_2: Tensor, time: Tensor) -> Tensor:
        # x: float32[B, 256, 8*h, 8*w]
        # skips_0: float32[B, 128, 8*h, 8*w]
        # skips_1: float32[B, 128, 8*h, 8*w]
        # skips_2: float32[B, 128, 8*h, 8*w]
        # time: float32[B, 512]
        x = self.up_step[0](x, skips_2, time)  # float32[B, 128, 8*h, 8*w]
        x = self.up_step[1](x, skips_1, time)  # float32[B, 128, 8*h, 8*w]
        x = self.up_step[2](x, skips_0, time)  # float32[B, 128, 8*h, 8*w]
        return x


class DiffusionUnet(nn.Module):
    """The U-Net of denoising diffusion on CIFAR-10: from a noisy image and its step to the noise."""

    def __init__(self) -> None:
        super().__init__()
        self.time = TimeEmbedding()
        self.conv2d = nn.Conv2d(3, 128, 3, padding=1)
        self.down = nn.ModuleList([
            Down(),
            Down2(),
            Down3(),
            Down3(),
        ])
        self.middle = Res3()
        self.up = nn.ModuleList([
            Up(),
            Up(),
            Up2(),
            Up3(),
        ])
        self.group_norm = nn.GroupNorm(32, 128)
        self.noise = nn.Conv2d(128, 3, 3, padding=1)

    def forward(self, image: Tensor, step: Tensor) -> Tensor:
        # image: float32[B, 3, 8*h, 8*w]
        # step: int64[B]
        time = self.time(step)  # float32[B, 512]
        x = self.conv2d(image)  # float32[B, 128, 8*h, 8*w]
        h, _, down_0_skips_1, _ = self.down[0](x, time)  # float32[B, 128, 8*h, 8*w], float32[B, 128, 8*h, 8*w]
        # float32[B, 256, 4*h, 4*w], float32[B, 128, 4*h, 4*w], float32[B, 256, 4*h, 4*w]
        y, down_1_skips_0, down_1_skips_1, _ = self.down[1](h, time)
        # float32[B, 256, 2*h, 2*w], float32[B, 256, 2*h, 2*w], float32[B, 256, 2*h, 2*w]
        z, down_2_skips_0, down_2_skips_1, _ = self.down[2](y, time)
        # float32[B, 256, h, w], float32[B, 256, h, w], float32[B, 256, h, w]
        down, down_skips_0, down_skips_1, _ = self.down[3](z, time)
        middle = self.middle(down, time)  # float32[B, 256, h, w]
        up_0 = self.up[0](middle, down_skips_0, down_skips_1, down, time)  # float32[B, 256, 2*h, 2*w]
        z = self.up[1](up_0, down_2_skips_0, down_2_skips_1, z, time)  # float32[B, 256, 4*h, 4*w]
        y = self.up[2](z, down_1_skips_0, down_1_skips_1, y, time)  # float32[B, 256, 8*h, 8*w]
        x = self.up[3](y, x, down_0_skips_1, h, time)  # float32[B, 128, 8*h, 8*w]
        x = self.group_norm(x)  # float32[B, 128, 8*h, 8*w]
        x = F.silu(x)  # float32[B, 128, 8*h, 8*w]
        noise = self.noise(x)  # float32[B, 3, 8*h, 8*w]
        return noise
