# Emitted by specbuilder X.Y.Z from swin.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

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


class Attention(nn.Module):
    """Block `attention`, swin.yaml:15."""

    def __init__(self, value: int, C: int, value_2: int, out_features: int, heads: int, H: int) -> None:
        super().__init__()
        self.value = value
        self.C = C
        self.value_2 = value_2
        self.heads = heads
        self.H = H
        self.qkv = nn.Linear(C, out_features)
        self.relative_position_bias_table = nn.Parameter(torch.empty(169, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.proj = nn.Linear(C, C)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, H, H, C]
        # float32[B, value_2, 49, C]
        x = x.reshape(-1, self.value, 7, self.value, 7, self.C).permute(0, 1, 3, 2, 4, 5).reshape(-1, self.value_2, 49, self.C)
        qkv = self.qkv(x)  # float32[B, value_2, 49, out_features]
        x = qkv.reshape(-1, self.value_2, 49, 3, self.heads, 32).permute(3, 0, 1, 4, 2, 5)  # float32[3, B, value_2, heads, 49, 32]
        # float32[B, value_2, heads, 49, 32], float32[B, value_2, heads, 49, 32], float32[B, value_2, heads, 49, 32]
        parts_0, parts_1, parts_2 = torch.unbind(x, 0)
        a = torch.arange(7, device=x.device)  # int64[7]
        offset = a[:, None] - a + 6  # int64[7, 7]
        index = torch.flatten(13 * offset[:, None, :, None] + offset[None, :, None, :], 0)  # int64[2401]
        x = self.relative_position_bias_table[index]  # float32[2401, heads]
        bias = x.reshape(49, 49, self.heads).permute(2, 0, 1)  # float32[heads, 49, 49]
        x = F.scaled_dot_product_attention(parts_0, parts_1, parts_2, attn_mask=bias)  # float32[B, value_2, heads, 49, 32]
        # float32[B, H, H, C]
        x = x.reshape(-1, self.value, self.value, self.heads, 7, 7, 32).permute(0, 1, 4, 2, 5, 3, 6).reshape(-1, self.H, self.H, self.C)
        proj = self.proj(x)  # float32[B, H, H, C]
        return proj


class Layer(nn.Module):
    """Block `layer`, swin.yaml:62."""

    def __init__(self, C: int, value: int, value_2: int, out_features: int, heads: int, H: int, drop: float, out_features_2: int) -> None:
        super().__init__()
        self.residual = nn.Module()
        self.residual.layer_norm = nn.LayerNorm(C)
        self.residual.attention = Attention(value, C, value_2=value_2, out_features=out_features, heads=heads, H=H)
        self.residual.stochastic_depth = StochasticDepth(drop)
        self.residual_2 = nn.Module()
        self.residual_2.layer_norm = nn.LayerNorm(C)
        self.residual_2.linear = nn.Linear(C, out_features_2)
        self.residual_2.linear_2 = nn.Linear(out_features_2, C)
        self.residual_2.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, H, H, C]
        h = self.residual.layer_norm(x)  # float32[B, H, H, C]
        h = self.residual.attention(h)  # float32[B, H, H, C]
        h = self.residual.stochastic_depth(h)  # float32[B, H, H, C]
        x = x + h  # float32[B, H, H, C]
        h = self.residual_2.layer_norm(x)  # float32[B, H, H, C]
        h = self.residual_2.linear(h)  # float32[B, H, H, out_features_2]
        h = F.gelu(h)  # float32[B, H, H, out_features_2]
        h = self.residual_2.linear_2(h)  # float32[B, H, H, C]
        h = self.residual_2.stochastic_depth(h)  # float32[B, H, H, C]
        x = x + h  # float32[B, H, H, C]
        return x


class ShiftMask(nn.Module):
    """Block `shift_mask`, swin.yaml:50."""

    def __init__(self, H: int, value: int, value_2: int, value_3: int, value_4: int) -> None:
        super().__init__()
        self.H = H
        self.value = value
        self.value_2 = value_2
        self.value_3 = value_3
        self.value_4 = value_4

    def forward(self, bias: Tensor, x: Tensor) -> Tensor:
        # bias: float32[M, 49, 49]
        # x: float32[B, H, H, C]
        r = torch.arange(self.H, device=bias.device)  # int64[H]
        region = (r >= self.value).to(torch.int64) + (r >= self.value_2).to(torch.int64)  # int64[H]
        x = 3 * region[:, None] + region  # int64[H, H]
        ids = x.reshape(self.value_3, 7, self.value_3, 7).permute(0, 2, 1, 3).reshape(self.value_4, 49)  # int64[value_4, 49]
        x = bias + torch.where(ids[:, None, :, None] == ids[:, None, None, :], 0.0, -100.0)  # float32[value_4, M, 49, 49]
        return x


class Attention2(nn.Module):
    """Block `attention`, swin.yaml:15: as `Attention`, but with `roll`, `shift_mask`, `roll_2`."""

    def __init__(self, value: int, C: int, value_2: int, out_features: int, heads: int, H: int, value_3: int, value_2_2: int) -> None:
        super().__init__()
        self.value = value
        self.C = C
        self.value_2 = value_2
        self.heads = heads
        self.H = H
        self.qkv = nn.Linear(C, out_features)
        self.relative_position_bias_table = nn.Parameter(torch.empty(169, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.shift_mask = ShiftMask(H, value_3, value_2=value_2_2, value_3=value, value_4=value_2)
        self.proj = nn.Linear(C, C)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, H, H, C]
        h = torch.roll(x, (-3, -3), (1, 2))  # float32[B, H, H, C]
        # float32[B, value_2, 49, C]
        h = h.reshape(-1, self.value, 7, self.value, 7, self.C).permute(0, 1, 3, 2, 4, 5).reshape(-1, self.value_2, 49, self.C)
        qkv = self.qkv(h)  # float32[B, value_2, 49, out_features]
        h = qkv.reshape(-1, self.value_2, 49, 3, self.heads, 32).permute(3, 0, 1, 4, 2, 5)  # float32[3, B, value_2, heads, 49, 32]
        # float32[B, value_2, heads, 49, 32], float32[B, value_2, heads, 49, 32], float32[B, value_2, heads, 49, 32]
        parts_0, parts_1, parts_2 = torch.unbind(h, 0)
        a = torch.arange(7, device=x.device)  # int64[7]
        offset = a[:, None] - a + 6  # int64[7, 7]
        index = torch.flatten(13 * offset[:, None, :, None] + offset[None, :, None, :], 0)  # int64[2401]
        h = self.relative_position_bias_table[index]  # float32[2401, heads]
        bias = h.reshape(49, 49, self.heads).permute(2, 0, 1)  # float32[heads, 49, 49]
        x = self.shift_mask(bias, x)  # float32[value_2, heads, 49, 49]
        x = F.scaled_dot_product_attention(parts_0, parts_1, parts_2, attn_mask=x)  # float32[B, value_2, heads, 49, 32]
        # float32[B, H, H, C]
        x = x.reshape(-1, self.value, self.value, self.heads, 7, 7, 32).permute(0, 1, 4, 2, 5, 3, 6).reshape(-1, self.H, self.H, self.C)
        proj = self.proj(x)  # float32[B, H, H, C]
        x = torch.roll(proj, (3, 3), (1, 2))  # float32[B, H, H, C]
        return x


class Layer2(nn.Module):
    """Block `layer`, swin.yaml:62: as `Layer`, but with `Attention2` as `residual.attention`."""

    def __init__(self, C: int, value: int, value_2: int, out_features: int, heads: int, H: int, value_3: int, value_2_2: int, drop: float, out_features_2: int) -> None:
        super().__init__()
        self.residual = nn.Module()
        self.residual.layer_norm = nn.LayerNorm(C)
        self.residual.attention = Attention2(value, C, value_2=value_2, out_features=out_features, heads=heads, H=H, value_3=value_3, value_2_2=value_2_2)
        self.residual.stochastic_depth = StochasticDepth(drop)
        self.residual_2 = nn.Module()
        self.residual_2.layer_norm = nn.LayerNorm(C)
        self.residual_2.linear = nn.Linear(C, out_features_2)
        self.residual_2.linear_2 = nn.Linear(out_features_2, C)
        self.residual_2.stochastic_depth = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, H, H, C]
        h = self.residual.layer_norm(x)  # float32[B, H, H, C]
        h = self.residual.attention(h)  # float32[B, H, H, C]
        h = self.residual.stochastic_depth(h)  # float32[B, H, H, C]
        x = x + h  # float32[B, H, H, C]
        h = self.residual_2.layer_norm(x)  # float32[B, H, H, C]
        h = self.residual_2.linear(h)  # float32[B, H, H, out_features_2]
        h = F.gelu(h)  # float32[B, H, H, out_features_2]
        h = self.residual_2.linear_2(h)  # float32[B, H, H, C]
        h = self.residual_2.stochastic_depth(h)  # float32[B, H, H, C]
        x = x + h  # float32[B, H, H, C]
        return x


class Stages(nn.Module):
    """`stages`, swin.yaml:83."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ModuleList([
            Layer(96, 8, value_2=64, out_features=288, heads=3, H=56, drop=0.0, out_features_2=384),
            Layer2(96, 8, value_2=64, out_features=288, heads=3, H=56, value_3=49, value_2_2=53, drop=0.018181818181818184, out_features_2=384),
        ])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 56, 56, 96]
        for layer in self.layer:
            x = layer(x)  # float32[B, 56, 56, 96]
        return x


class Stages2(nn.Module):
    """`stages`, swin.yaml:83: as `Stages`, but with `sequence.rearrange`, `sequence.layer_norm`, `sequence.linear`."""

    def __init__(self) -> None:
        super().__init__()
        self.sequence = nn.Module()
        self.sequence.layer_norm = nn.LayerNorm(384)
        self.sequence.linear = nn.Linear(384, 192, bias=False)
        self.layer = nn.ModuleList([
            Layer(192, 4, value_2=16, out_features=576, heads=6, H=28, drop=0.03636363636363637, out_features_2=768),
            Layer2(192, 4, value_2=16, out_features=576, heads=6, H=28, value_3=21, value_2_2=25, drop=0.05454545454545456, out_features_2=768),
        ])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 56, 56, 96]
        x = x.reshape(-1, 28, 2, 28, 2, 96).permute(0, 1, 3, 4, 2, 5).reshape(-1, 28, 28, 384)  # float32[B, 28, 28, 384]
        x = self.sequence.layer_norm(x)  # float32[B, 28, 28, 384]
        x = self.sequence.linear(x)  # float32[B, 28, 28, 192]
        for layer in self.layer:
            x = layer(x)  # float32[B, 28, 28, 192]
        return x


class Stages3(nn.Module):
    """`stages`, swin.yaml:83: as `Stages`, but with `sequence.rearrange`, `sequence.layer_norm`, `sequence.linear`, 4 more copies of `layer`."""

    def __init__(self) -> None:
        super().__init__()
        self.sequence = nn.Module()
        self.sequence.layer_norm = nn.LayerNorm(768)
        self.sequence.linear = nn.Linear(768, 384, bias=False)
        self.layer = nn.ModuleList([
            Layer(384, 2, value_2=4, out_features=1152, heads=12, H=14, drop=0.07272727272727274, out_features_2=1536),
            Layer2(384, 2, value_2=4, out_features=1152, heads=12, H=14, value_3=7, value_2_2=11, drop=0.09090909090909091, out_features_2=1536),
            Layer(384, 2, value_2=4, out_features=1152, heads=12, H=14, drop=0.10909090909090911, out_features_2=1536),
            Layer2(384, 2, value_2=4, out_features=1152, heads=12, H=14, value_3=7, value_2_2=11, drop=0.1272727272727273, out_features_2=1536),
            Layer(384, 2, value_2=4, out_features=1152, heads=12, H=14, drop=0.14545454545454548, out_features_2=1536),
            Layer2(384, 2, value_2=4, out_features=1152, heads=12, H=14, value_3=7, value_2_2=11, drop=0.16363636363636364, out_features_2=1536),
        ])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 28, 28, 192]
        x = x.reshape(-1, 14, 2, 14, 2, 192).permute(0, 1, 3, 4, 2, 5).reshape(-1, 14, 14, 768)  # float32[B, 14, 14, 768]
        x = self.sequence.layer_norm(x)  # float32[B, 14, 14, 768]
        x = self.sequence.linear(x)  # float32[B, 14, 14, 384]
        for layer in self.layer:
            x = layer(x)  # float32[B, 14, 14, 384]
        return x


class Stages4(nn.Module):
    """`stages`, swin.yaml:83: as `Stages`, but with `sequence.rearrange`, `sequence.layer_norm`, `sequence.linear`."""

    def __init__(self) -> None:
        super().__init__()
        self.sequence = nn.Module()
        self.sequence.layer_norm = nn.LayerNorm(1536)
        self.sequence.linear = nn.Linear(1536, 768, bias=False)
        self.layer = nn.ModuleList([
            Layer(768, 1, value_2=1, out_features=2304, heads=24, H=7, drop=0.18181818181818182, out_features_2=3072),
            Layer(768, 1, value_2=1, out_features=2304, heads=24, H=7, drop=0.2, out_features_2=3072),
        ])

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, 14, 14, 384]
        x = x.reshape(-1, 7, 2, 7, 2, 384).permute(0, 1, 3, 4, 2, 5).reshape(-1, 7, 7, 1536)  # float32[B, 7, 7, 1536]
        x = self.sequence.layer_norm(x)  # float32[B, 7, 7, 1536]
        x = self.sequence.linear(x)  # float32[B, 7, 7, 768]
        for layer in self.layer:
            x = layer(x)  # float32[B, 7, 7, 768]
        return x


class Swin(nn.Module):
    """Swin for ImageNet: attention within windows that move."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(3, 96, 4, stride=4)
        self.layer_norm = nn.LayerNorm(96)
        self.stages = nn.ModuleList([
            Stages(),
            Stages2(),
            Stages3(),
            Stages4(),
        ])
        self.layer_norm_2 = nn.LayerNorm(768)
        self.head = nn.Linear(768, 1000)

    def forward(self, image: Tensor) -> Tensor:
        # image: float32[B, 3, 224, 224]
        x = self.conv2d(image)  # float32[B, 96, 56, 56]
        x = torch.permute(x, (0, 2, 3, 1))  # float32[B, 56, 56, 96]
        x = self.layer_norm(x)  # float32[B, 56, 56, 96]
        for layer in self.stages:
            x = layer(x)  # float32[B, 7, 7, 768]
        x = self.layer_norm_2(x)  # float32[B, 7, 7, 768]
        x = torch.mean(x, (1, 2))  # float32[B, 768]
        head = self.head(x)  # float32[B, 1000]
        return head
