"""What torch calls the positional arguments of the functions that kinds become: names for the arguments of emitted classes. A test asks torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_CONVOLUTION = ("in_channels", "out_channels", "kernel_size")
_POOL = ("input", "kernel_size")
_OUTPUT = ("input", "output_size")
_DIM = ("input", "dim")

POSITIONAL: Mapping[str, Sequence[str]] = {
    **dict.fromkeys([f"nn.{name}{axes}d" for name in ("Conv", "ConvTranspose") for axes in (1, 2, 3)], _CONVOLUTION),
    **dict.fromkeys([f"nn.{name}{axes}d" for name in ("BatchNorm", "InstanceNorm") for axes in (1, 2, 3)], ("num_features",)),
    **dict.fromkeys(["nn.Dropout", "nn.Dropout1d", "nn.Dropout2d", "nn.Dropout3d", "nn.AlphaDropout"], ("p",)),
    **dict.fromkeys(["nn.LayerNorm", "nn.RMSNorm"], ("normalized_shape",)),
    **dict.fromkeys(["nn.LSTM", "nn.GRU", "nn.RNN"], ("input_size", "hidden_size", "num_layers")),
    "nn.Linear": ("in_features", "out_features"),
    "nn.Bilinear": ("in1_features", "in2_features", "out_features"),
    "nn.Embedding": ("num_embeddings", "embedding_dim"),
    "nn.GroupNorm": ("num_groups", "num_channels"),
    "nn.MultiheadAttention": ("embed_dim", "num_heads"),
    "nn.PReLU": ("num_parameters",),
    **dict.fromkeys([f"F.{kind}_pool{axes}d" for kind in ("max", "avg") for axes in (1, 2, 3)], _POOL),
    **dict.fromkeys([f"F.adaptive_{kind}_pool{axes}d" for kind in ("max", "avg") for axes in (1, 2, 3)], _OUTPUT),
    "F.pad": ("input", "pad"),
    "F.interpolate": ("input", "size"),
    "F.softmax": _DIM,
    "F.log_softmax": _DIM,
    **dict.fromkeys([f"torch.{name}" for name in ("sum", "mean", "amax", "amin", "squeeze", "unsqueeze", "cumsum", "unbind", "argmax")], _DIM),
    "torch.cat": ("tensors", "dim"),
    "torch.stack": ("tensors", "dim"),
    "torch.flatten": ("input", "start_dim", "end_dim"),
    "torch.unflatten": ("input", "dim", "sizes"),
    "torch.permute": ("input", "dims"),
    "torch.reshape": ("input", "shape"),
    "torch.transpose": ("input", "dim0", "dim1"),
    "torch.roll": ("input", "shifts", "dims"),
    "torch.topk": ("input", "k", "dim"),
    "torch.split": ("tensor", "split_size_or_sections", "dim"),
    "torch.chunk": ("input", "chunks", "dim"),
    "torch.arange": ("end",),
    "nn.init.normal_": ("tensor", "mean", "std"),
    "nn.init.trunc_normal_": ("tensor", "mean", "std"),
    "nn.init.uniform_": ("tensor", "a", "b"),
    "nn.init.constant_": ("tensor", "val"),
}


def parameters_of(function: str) -> Sequence[str]:
    """The names of the positional arguments of a function, as far as they are known."""
    return POSITIONAL.get(function, ())
