# Emitted by specbuilder X.Y.Z from gpt2.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Block `attention`, gpt2.yaml:15."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(768, 2304)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)
        self.c_proj = nn.Linear(768, 768)
        nn.init.normal_(self.c_proj.weight, std=0.004082482904638631)
        nn.init.zeros_(self.c_proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, T, 768]
        x = self.linear(x)  # float32[B, T, 2304]
        x = x.unflatten(2, (3, 12, 64)).permute(2, 0, 3, 1, 4)  # float32[3, B, 12, T, 64]
        qkv_0, qkv_1, qkv_2 = torch.unbind(x, 0)  # float32[B, 12, T, 64], float32[B, 12, T, 64], float32[B, 12, T, 64]
        x = F.scaled_dot_product_attention(qkv_0, qkv_1, qkv_2, dropout_p=0.1 * self.training, is_causal=True)  # float32[B, 12, T, 64]
        x = x.permute(0, 2, 1, 3).flatten(2)  # float32[B, T, 768]
        c_proj = self.c_proj(x)  # float32[B, T, 768]
        return c_proj


class Mlp(nn.Module):
    """Block `mlp`, gpt2.yaml:26."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(768, 3072)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)
        self.c_proj = nn.Linear(3072, 768)
        nn.init.normal_(self.c_proj.weight, std=0.004082482904638631)
        nn.init.zeros_(self.c_proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, T, 768]
        x = self.linear(x)  # float32[B, T, 3072]
        x = F.gelu(x, approximate="tanh")  # float32[B, T, 3072]
        c_proj = self.c_proj(x)  # float32[B, T, 768]
        return c_proj


class H(nn.Module):
    """`h`, gpt2.yaml:52."""

    def __init__(self) -> None:
        super().__init__()
        self.residual = nn.Module()
        self.residual.layer_norm = nn.LayerNorm(768)
        self.residual.attention = Attention()
        self.residual.dropout = nn.Dropout(0.1)
        self.residual_2 = nn.Module()
        self.residual_2.layer_norm = nn.LayerNorm(768)
        self.residual_2.mlp = Mlp()
        self.residual_2.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, T, 768]
        h = self.residual.layer_norm(x)  # float32[B, T, 768]
        h = self.residual.attention(h)  # float32[B, T, 768]
        h = self.residual.dropout(h)  # float32[B, T, 768]
        x = x + h  # float32[B, T, 768]
        h = self.residual_2.layer_norm(x)  # float32[B, T, 768]
        h = self.residual_2.mlp(h)  # float32[B, T, 768]
        h = self.residual_2.dropout(h)  # float32[B, T, 768]
        x = x + h  # float32[B, T, 768]
        return x


class Gpt2(nn.Module):
    """GPT-2, a causal language model."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(50257, 768)
        nn.init.normal_(self.wte.weight, std=0.02)
        self.wpe = nn.Embedding(1024, 768)
        nn.init.normal_(self.wpe.weight, std=0.02)
        self.dropout = nn.Dropout(0.1)
        self.h = nn.ModuleList(H() for _ in range(12))
        self.ln_f = nn.LayerNorm(768)
        self.logits = nn.Linear(768, 50257, bias=False)
        self.logits.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        # tokens: int64[B, T]
        T = tokens.shape[1]
        wte = self.wte(tokens)  # float32[B, T, 768]
        x = torch.arange(T, device=tokens.device)  # int64[T]
        wpe = self.wpe(x)  # float32[T, 768]
        x = wte + wpe  # float32[B, T, 768]
        x = self.dropout(x)  # float32[B, T, 768]
        for layer in self.h:
            x = layer(x)  # float32[B, T, 768]
        ln_f = self.ln_f(x)  # float32[B, T, 768]
        logits = self.logits(ln_f)  # float32[B, T, 50257]
        return logits
