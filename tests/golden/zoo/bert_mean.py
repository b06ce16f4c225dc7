# Emitted by specbuilder X.Y.Z from bert_mean.yaml. Plain PyTorch: nothing of specbuilder is needed to use it.

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Layer(nn.Module):
    """Block `layer`, bert_mean.yaml:10."""

    def __init__(self) -> None:
        super().__init__()
        self.residual = nn.Module()
        self.residual.multihead_attention = nn.MultiheadAttention(768, 12, dropout=0.1, batch_first=True)
        self.residual.dropout = nn.Dropout(0.1)
        self.layer_norm = nn.LayerNorm(768, eps=1e-12)
        self.residual_2 = nn.Module()
        self.residual_2.linear = nn.Linear(768, 3072)
        self.residual_2.linear_2 = nn.Linear(3072, 768)
        self.residual_2.dropout = nn.Dropout(0.1)
        self.layer_norm_2 = nn.LayerNorm(768, eps=1e-12)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        # x: float32[B, T, 768]
        # padding: bool[B, T]
        h = self.residual.multihead_attention(x, x, x, key_padding_mask=padding, need_weights=False)[0]  # float32[B, T, 768]
        h = self.residual.dropout(h)  # float32[B, T, 768]
        x = x + h  # float32[B, T, 768]
        x = self.layer_norm(x)  # float32[B, T, 768]
        h = self.residual_2.linear(x)  # float32[B, T, 3072]
        h = F.gelu(h)  # float32[B, T, 3072]
        h = self.residual_2.linear_2(h)  # float32[B, T, 768]
        h = self.residual_2.dropout(h)  # float32[B, T, 768]
        x = x + h  # float32[B, T, 768]
        x = self.layer_norm_2(x)  # float32[B, T, 768]
        return x


class BertMean(nn.Module):
    """Sentence embeddings: BERT's encoder and the mean over the tokens that are no padding."""

    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(30522, 768, padding_idx=0)
        self.token_type_embeddings = nn.Embedding(2, 768)
        self.position_embeddings = nn.Embedding(512, 768)
        self.layer_norm = nn.LayerNorm(768, eps=1e-12)
        self.embedded = nn.Dropout(0.1)
        self.layer = nn.ModuleList(Layer() for _ in range(12))

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Tensor:
        # input_ids: int64[B, T]
        # token_type_ids: int64[B, T]
        # attention_mask: bool[B, T]
        T = input_ids.shape[1]
        word_embeddings = self.word_embeddings(input_ids)  # float32[B, T, 768]
        token_type_embeddings = self.token_type_embeddings(token_type_ids)  # float32[B, T, 768]
        x = torch.arange(T, device=input_ids.device)  # int64[T]
        position_embeddings = self.position_embeddings(x)  # float32[T, 768]
        x = word_embeddings + token_type_embeddings + position_embeddings  # float32[B, T, 768]
        x = self.layer_norm(x)  # float32[B, T, 768]
        embedded = self.embedded(x)  # float32[B, T, 768]
        padding = ~attention_mask  # bool[B, T]
        x = embedded
        for layer in self.layer:
            x = layer(x, padding)  # float32[B, T, 768]
        weight = attention_mask.to(torch.float32)[:, :, None]  # float32[B, T, 1]
        sentence = torch.sum(x * weight, 1) / torch.clamp(torch.sum(weight, 1), min=1)  # float32[B, 768]
        return sentence
