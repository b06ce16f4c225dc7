"""Normalisation of each sample by itself: layer_norm and rms_norm over the last axes, group_norm over groups of channels. Shapes stay."""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Layer, Module, Parameter, PositiveFloat, PositiveInt, Refusal, call, layer
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.layers.batch_normalisation import IDLE_ASSERTION, NO_EPS
from specbuilder.catalogue.windows import short
from specbuilder.shapes import Dim, Requirement, TensorType


class LastAxes(Layer):
    """What layer_norm and rms_norm share: the last axes, one of them unless `normalized_shape` names more."""

    normalized_shape: PositiveInt | tuple[PositiveInt, ...] | None = Field(default=None, description="the last sizes; omitted, the last axis")
    elementwise_affine: bool = Field(default=True, description="learn a weight for each normalised element")

    stricter_than_torch = (demands.OTHER_FLOAT, NO_EPS)

    def infer(self, x: TensorType) -> TensorType:
        if self.elementwise_affine:
            demands.as_weights(self.kind, x)
        else:
            demands.floating(self.kind, x)
        self._sizes(x)
        return x

    def _sizes(self, x: TensorType) -> tuple[int, ...]:
        demands.at_least_one_axis(self.kind, x)
        if self.normalized_shape is None:
            return (demands.fixed(self.kind, x.shape[-1], "features"),)
        wanted = (self.normalized_shape,) if isinstance(self.normalized_shape, int) else self.normalized_shape
        if not wanted:
            raise Refusal(f"`{self.kind}` wants at least one size", field="normalized_shape")
        if x.shape[-len(wanted) :] != wanted:
            text = f"[{', '.join(map(str, wanted))}]"
            message = f"`{self.kind}` normalises the last sizes {text}, but {x.shape_text} arrives"
            raise Refusal(
                message, field="normalized_shape", help="delete `normalized_shape` to normalise the last axis" if len(wanted) == 1 else None
            )
        return wanted


@layer("layer_norm", torch="nn.LayerNorm", aliases=("layer_normalization", "ln"))
class LayerNorm(LastAxes):
    """Mean 0 and variance 1 over the last axes of each sample (J. Ba et al., 2016): (..., D), unchanged."""

    eps: PositiveFloat = Field(default=1e-5, description="added to the variance")
    bias: bool = Field(default=True, description="learn a bias too, if `elementwise_affine`")
    examples = (
        Example(text="layer_norm", given="float32[B, T, 8]", gives="float32[B, T, 8]", parameters=16),
        Example(text="layer_norm: {normalized_shape: [4, 8], bias: false}", given="float32[B, 4, 8]", gives="float32[B, 4, 8]", parameters=32),
        Example(text="layer_norm: {normalized_shape: 6}", given="float32[B, 8]", refused="normalises the last sizes [6], but [B, 8] arrives"),
    )

    def parameters(self, x: TensorType) -> dict[str, Parameter]:
        if not self.elementwise_affine:
            return {}
        each = demands.parameter("norm", *self._sizes(x))
        return {"weight": each, "bias": each} if self.bias else {"weight": each}

    def source(self, x: TensorType) -> Module:
        return Module(call("nn.LayerNorm", _written(self._sizes(x)), **self.changed("eps", "elementwise_affine", "bias")))


@layer("rms_norm", torch="nn.RMSNorm", aliases=("root_mean_square_norm",))
class RmsNorm(LastAxes):
    """x divided by its root mean square over the last axes (B. Zhang and R. Sennrich, 2019): (..., D), unchanged."""

    eps: PositiveFloat | None = Field(default=None, description="added to the mean square; null: the dtype's smallest step above 1")
    stricter_than_torch = (demands.NOT_FLOATING, *LastAxes.stricter_than_torch)
    examples = (Example(text="rms_norm", given="float32[B, T, 8]", gives="float32[B, T, 8]", parameters=8),)

    def parameters(self, x: TensorType) -> dict[str, Parameter]:
        return {"weight": demands.parameter("norm", *self._sizes(x))} if self.elementwise_affine else {}

    def source(self, x: TensorType) -> Module:
        return Module(call("nn.RMSNorm", _written(self._sizes(x)), **self.changed("eps", "elementwise_affine")))


def _written(sizes: tuple[int, ...]) -> int | tuple[int, ...]:
    return short(sizes) if len(sizes) == 1 else sizes


@layer("group_norm", primary="num_groups", torch="nn.GroupNorm", aliases=("group_normalization", "gn"))
class GroupNorm(Layer):
    """Mean 0 and variance 1 over each group of channels of each sample (Y. Wu and K. He, 2018): (B, C, ...), unchanged."""

    num_groups: PositiveInt
    num_channels: PositiveInt | None = Field(default=None, description="inferred; written, it is checked")
    eps: PositiveFloat = Field(default=1e-5, description="added to the variance")
    affine: bool = Field(default=True, description="a weight and a bias for each channel")

    stricter_than_torch = (demands.OTHER_FLOAT, NO_EPS, IDLE_ASSERTION)
    examples = (
        Example(text="group_norm: 2", given="float32[B, 4, H, W]", gives="float32[B, 4, H, W]", parameters=8),
        Example(text="group_norm: 3", given="float32[B, 4, H, W]", refused="cannot split 4 channels into 3 groups of one size"),
    )

    def infer(self, x: TensorType) -> TensorType:
        if self.affine:
            demands.as_weights(self.kind, x)
        else:
            demands.floating(self.kind, x)
        if self._values(x) == 1:
            raise Refusal(f"`group_norm` has one value for each group of {x.shape_text}, which has no variance", field="num_groups")
        return x

    def requirements(self, x: TensorType) -> tuple[Requirement, ...]:
        return (Requirement(self._values(x), 2),)

    def parameters(self, x: TensorType) -> dict[str, Parameter]:
        each = demands.parameter("norm", self._channels(x))
        return {"weight": each, "bias": each} if self.affine else {}

    def source(self, x: TensorType) -> Module:
        return Module(call("nn.GroupNorm", self.num_groups, self._channels(x), **self.changed("eps", "affine")))

    def _channels(self, x: TensorType) -> int:
        if x.rank < 2:
            raise Refusal(f"`group_norm` wants [batch, channels, ...], but {x} has {demands.counted(x.rank, 'axis', 'axes')}")
        channels = demands.fixed(self.kind, x.shape[1], "channels")
        demands.agrees(self.kind, "num_channels", self.num_channels, channels, "channel")
        if channels % self.num_groups:
            raise Refusal(f"`group_norm` cannot split {channels} channels into {self.num_groups} groups of one size", field="num_groups")
        return channels

    def _values(self, x: TensorType) -> Dim:
        """What torch checks against 1: the values of a group over the whole batch."""
        channels = self._channels(x)
        return x.shape[0] * (channels // self.num_groups) * demands.numel(x.shape[2:])
