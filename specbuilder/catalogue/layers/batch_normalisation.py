"""Normalisation with statistics of each channel: batch_norm over the batch and all places, instance_norm over the places of each sample.

S. Ioffe and C. Szegedy, "Batch normalization" (2015); D. Ulyanov et al., "Instance normalization" (2016). Shapes stay. Running statistics are buffers.
"""

from __future__ import annotations

from typing import ClassVar

from specbuilder.catalogue import demands, windows
from specbuilder.catalogue.contract import Buffer, Example, Layer, Module, Parameter, PositiveFloat, PositiveInt, Probability, Refusal, call, layer
from specbuilder.catalogue.declared import Field
from specbuilder.shapes import Requirement, TensorType

NO_EPS = "an eps of 0 or less, which divides by zero where all values are equal"
IDLE_ASSERTION = "a wrong number of channels where no weights depend on it: torch ignores it"
ODD_MOMENTUM = "a momentum outside of 0 to 1, which is no mean"


class ChannelNormalisation(Layer):
    """What batch and instance normalisation share; each class adds `affine` and `track_running_stats` with its defaults."""

    axes: ClassVar[int]

    num_features: PositiveInt | None = Field(default=None, description="the channels: inferred; written, it is checked")
    eps: PositiveFloat = Field(default=1e-5, description="added to the variance")
    momentum: Probability | None = Field(
        default=0.1, description="the share of a new batch in the running statistics; null: the plain mean of all batches"
    )
    affine: bool = Field(default=True, description="a weight and a bias for each channel")
    track_running_stats: bool = Field(default=True, description="keep running statistics for evaluation")

    stricter_than_torch = (demands.OTHER_FLOAT, ODD_MOMENTUM, IDLE_ASSERTION)

    def infer(self, x: TensorType) -> TensorType:
        if self.affine or self.track_running_stats:
            demands.as_weights(self.kind, x)
        else:
            demands.floating(self.kind, x)
        self._channels(x)
        return x

    def parameters(self, x: TensorType) -> dict[str, Parameter]:
        each = demands.parameter("norm", self._channels(x))
        return {"weight": each, "bias": each} if self.affine else {}

    def buffers(self, x: TensorType) -> dict[str, Buffer]:
        if not self.track_running_stats:
            return {}
        each = Buffer((self._channels(x),))
        return {"running_mean": each, "running_var": each, "num_batches_tracked": Buffer((), "int64")}

    def source(self, x: TensorType) -> Module:
        return Module(call(self.torch_name, self._channels(x), **self.changed("eps", "momentum", "affine", "track_running_stats")))

    def _channels(self, x: TensorType) -> int:
        demands.rank(self.kind, x, (self.axes + 2,), windows.arrangement(self.axes))
        return self._counted(x)

    def _counted(self, x: TensorType) -> int:
        channels = demands.fixed(self.kind, x.shape[1], "channels")
        demands.agrees(self.kind, "num_features", self.num_features, channels, "channel")
        return channels


class BatchNormalisation(ChannelNormalisation):
    """Mean 0 and variance 1 for each channel over the batch and all places."""

    def infer(self, x: TensorType) -> TensorType:
        super().infer(x)
        if all(size == 1 for at, size in enumerate(x.shape) if at != 1):
            raise Refusal(
                f"`{self.kind}` has one value for each channel of {x.shape_text}, which has no variance to train with",
                help="normalise before the places are pooled to one, or make the batch larger",
                in_training_only=self.track_running_stats,
            )
        return x


@layer("batch_norm1d", torch="nn.BatchNorm1d", aliases=("batch_normalization1d", "bn1d"))
class BatchNorm1d(BatchNormalisation):
    """Batch normalisation of features or of channels over a length: (B, C) or (B, C, L), unchanged."""

    axes = 1
    examples = (
        Example(text="batch_norm1d", given="float32[B, 4]", gives="float32[B, 4]", parameters=8),
        Example(text="batch_norm1d", given="float32[B, 4, T]", gives="float32[B, 4, T]", parameters=8),
    )

    def _channels(self, x: TensorType) -> int:
        demands.rank(self.kind, x, (2, 3), "[batch, features] or [batch, channels, length]")
        return self._counted(x)


@layer("batch_norm2d", torch="nn.BatchNorm2d", aliases=("batch_norm", "batch_normalization", "batch_normalization2d", "bn", "bn2d"))
class BatchNorm2d(BatchNormalisation):
    """Batch normalisation of channels over height and width: (B, C, H, W), unchanged."""

    axes = 2
    examples = (
        Example(text="batch_norm2d", given="float32[B, 4, H, W]", gives="float32[B, 4, H, W]", parameters=8),
        Example(text="batch_norm2d", given="float32[B, 4]", refused="wants [batch, channels, height, width], but float32[B, 4] has 2 axes"),
    )


@layer("batch_norm3d", torch="nn.BatchNorm3d", aliases=("batch_normalization3d", "bn3d"))
class BatchNorm3d(BatchNormalisation):
    """Batch normalisation of channels over depth, height and width: (B, C, D, H, W), unchanged."""

    axes = 3
    examples = (Example(text="batch_norm3d", given="float32[B, 4, 2, 8, 8]", gives="float32[B, 4, 2, 8, 8]", parameters=8),)


class InstanceNormalisation(ChannelNormalisation):
    """Mean 0 and variance 1 for each channel of each sample."""

    stricter_than_torch = (*ChannelNormalisation.stricter_than_torch, demands.UNBATCHED, NO_EPS)

    affine: bool = Field(default=False, description="a weight and a bias for each channel")
    track_running_stats: bool = Field(default=False, description="keep running statistics for evaluation")

    def infer(self, x: TensorType) -> TensorType:
        super().infer(x)
        if demands.numel(x.shape[2:]) == 1:
            raise Refusal(f"`{self.kind}` has one value for each channel of a sample of {x.shape_text}, which has no variance")
        return x

    def requirements(self, x: TensorType) -> tuple[Requirement, ...]:
        return (Requirement(demands.numel(x.shape[2:]), 2),)


@layer("instance_norm1d", torch="nn.InstanceNorm1d", aliases=("instance_normalization1d",))
class InstanceNorm1d(InstanceNormalisation):
    """Instance normalisation over a length: (B, C, L), unchanged."""

    axes = 1
    examples = (Example(text="instance_norm1d", given="float32[B, 4, T]", gives="float32[B, 4, T]"),)


@layer("instance_norm2d", torch="nn.InstanceNorm2d", aliases=("instance_norm", "instance_normalization", "instance_normalization2d"))
class InstanceNorm2d(InstanceNormalisation):
    """Instance normalisation over height and width: (B, C, H, W), unchanged."""

    axes = 2
    examples = (
        Example(text="instance_norm2d: {affine: true}", given="float32[B, 4, 8, 8]", gives="float32[B, 4, 8, 8]", parameters=8),
        Example(text="instance_norm2d", given="float32[B, 4, 1, 1]", refused="one value for each channel of a sample"),
    )


@layer("instance_norm3d", torch="nn.InstanceNorm3d", aliases=("instance_normalization3d",))
class InstanceNorm3d(InstanceNormalisation):
    """Instance normalisation over depth, height and width: (B, C, D, H, W), unchanged."""

    axes = 3
    examples = (Example(text="instance_norm3d", given="float32[B, 4, 2, 8, 8]", gives="float32[B, 4, 2, 8, 8]"),)
