# Emitted by specbuilder X.Y.Z from moe.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Expert(nn.Module):
    """`expert`, moe.yaml:21."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(512, 1024)
        self.linear_2 = nn.Linear(1024, 512)

    def forward(self, x: Tensor) -> Tensor:
        # x: float32[B, T, 512]
        x = self.linear(x)  # float32[B, T, 1024]
        x = F.gelu(x)  # float32[B, T, 1024]
        x = self.linear_2(x)  # float32[B, T, 512]
        return x


class Mixture(nn.Module):
    """Block `mixture`, moe.yaml:10."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(512, 8, bias=False)
        self.expert = nn.ModuleList(Expert() for _ in range(8))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # x: float32[B, T, 512]
        router = self.router(x)  # float32[B, T, 8]
        chance = F.softmax(router, -1)  # float32[B, T, 8]
        top_values, top_indices = torch.topk(chance, 2)  # float32[B, T, 2], int64[B, T, 2]
        hot = F.one_hot(top_indices, 8)  # int64[B, T, 2, 8]
        expert_list = [layer(x) for layer in self.expert]  # 8 of float32[B, T, 512]
        expert = torch.stack(expert_list, 2)  # float32[B, T, 8, 512]
        # float32[B, T, 512]
        out = torch.einsum("bted,btke,btk->btd", expert, hot.to(torch.float32), top_values / torch.sum(top_values, -1, keepdim=True))
        balance = 8 * torch.sum(torch.mean(chance, (0, 1)) * torch.mean(hot.to(torch.float32), (0, 1, 2)))  # float32[]
        return out, balance


class Layer(nn.Module):
    """Block `layer`, moe.yaml:30."""

    def __init__(self) -> None:
        super().__init__()
        self.mid = nn.Module()
        self.mid.rms_norm = nn.RMSNorm(512)
        self.mid.multihead_attention = nn.MultiheadAttention(512, 8, bias=False, batch_first=True)
        self.rms_norm = nn.RMSNorm(512)
        self.moe = Mixture()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # x: float32[B, T, 512]
        h = self.mid.rms_norm(x)  # float32[B, T, 512]
        # float32[B, T, 512]
        h = self.mid.multihead_attention(h, h, h, attn_mask=torch.ones(h.shape[1], h.shape[1], dtype=torch.bool, device=x.device).triu(1), is_causal=True, need_weights=False)[0]
        mid = x + h  # float32[B, T, 512]
        x = self.rms_norm(mid)  # float32[B, T, 512]
        moe, moe_balance = self.moe(x)  # float32[B, T, 512], float32[]
        out = moe + mid  # float32[B, T, 512]
        return out, moe_balance


class Moe(nn.Module):
    """A causal language model whose layers mix the two best of eight experts."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(32000, 512)
        self.layers = nn.ModuleList(Layer() for _ in range(8))
        self.rms_norm = nn.RMSNorm(512)
        self.logits = nn.Linear(512, 32000, bias=False)

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        # tokens: int64[B, T]
        x = self.embedding(tokens)  # float32[B, T, 512]
        layers_0, layers_0_balance = self.layers[0](x)  # float32[B, T, 512], float32[]
        layers_1, layers_1_balance = self.layers[1](layers_0)  # float32[B, T, 512], float32[]
        layers_2, layers_2_balance = self.layers[2](layers_1)  # float32[B, T, 512], float32[]
        layers_3, layers_3_balance = self.layers[3](layers_2)  # float32[B, T, 512], float32[]
        layers_4, layers_4_balance = self.layers[4](layers_3)  # float32[B, T, 512], float32[]
        layers_5, layers_5_balance = self.layers[5](layers_4)  # float32[B, T, 512], float32[]
        layers_6, layers_6_balance = self.layers[6](layers_5)  # float32[B, T, 512], float32[]
        layers, layers_balance = self.layers[7](layers_6)  # float32[B, T, 512], float32[]
        x = self.rms_norm(layers)  # float32[B, T, 512]
        logits = self.logits(x)  # float32[B, T, 32000]
        # float32[]
        balance = layers_0_balance + layers_1_balance + layers_2_balance + layers_3_balance + layers_4_balance + layers_5_balance + layers_6_balance + layers_balance
        return {"logits": logits, "balance": balance}
