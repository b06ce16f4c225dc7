"""The plain keys of `data` and `train`: names, types, bounds, defaults. Kinds (dataset, loss, optimizer, ...) are decoded beside them, not here.

`PLANNED` lists the keys that the language already has a place for and this version does not run: writing one is an error that says so, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from specbuilder.catalogue.contract import NonNegativeInt, PositiveFloat, PositiveInt
from specbuilder.catalogue.declared import Declared

MOST_NODES = 100_000
"""Of a network, copies included, and of the text. A larger one is refused by arithmetic, before it is made."""


class Settings(Declared):
    """Base of the groups of plain keys."""


class Statistics(Settings):
    """Mean and standard deviation per channel, or one number for all."""

    mean: float | tuple[float, ...]
    std: PositiveFloat | tuple[PositiveFloat, ...]


class DataSettings(Settings):
    """Plain keys of `data` (plan.md 2.1)."""

    batch_size: PositiveInt
    """Samples that one optimizer step sees."""
    split: dict[str, PositiveFloat | PositiveInt] | None = None
    """Parts cut from the train part: a share below 1, or a count. The rest stays `train`."""
    features: dict[str, str] | None = None
    """Types of features: declared for `arrays`, asserted for any other dataset."""
    bind: dict[str, str] | None = None
    """Model input: feature. By name where not written."""
    normalize: Literal["none", "train"] | Statistics = "none"
    """`train`: fitted on the train part."""
    drop_last: bool = False
    """Whether the last, smaller batch of an epoch is left out (train only)."""
    shuffle: bool = True
    """Whether each epoch has its own order (train only)."""


class TrainSettings(Settings):
    """Plain keys of `train` (plan.md 2.2)."""

    epochs: PositiveFloat | None = None
    """How long the run is, in passes over the training part; fractions are allowed. Either this or `steps`."""
    steps: PositiveInt | None = None
    """How long the run is, in optimizer steps."""
    seed: NonNegativeInt | dict[str, NonNegativeInt] = 0
    """One seed, or `{default, STREAM: seed}` for the streams `init`, `order`, `split`, `augment`, `model`."""
    evaluate: str | None = None
    """How often the validation part is looked at, as a duration such as `2 epochs`; None is every epoch, or 5 % of a run given in steps."""
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    """`auto`: bf16 autocast on a CUDA GPU that has it, fp32 elsewhere. Weights stay in fp32."""
    compile: Literal["auto", "off", "default", "reduce-overhead", "max-autotune"] = "auto"
    """The mode of torch.compile. `auto`: on with CUDA, off elsewhere."""
    deterministic: bool = False
    """Whether kernels without a deterministic form are refused."""


TRANSFORM_LISTS = ("prepare", "augment", "inference")
TRAIN_KINDS: Mapping[str, Literal["loss", "optimizer", "schedule", "metric"]] = {
    "loss": "loss",
    "optimizer": "optimizer",
    "schedule": "schedule",
    "metrics": "metric",
}

SPEC_KEYS = ("specbuilder", "name", "description", "include", "vars", "variants", "blocks", "maps", "model", "data", "train", "expect")
MODEL_KEYS = ("inputs", "where", "init", "nodes", "outputs")
STRUCTURAL = ("name", "from", "when", "repeat", "each", "shared", "merge", "init", "tie", "freeze", "type")
"""Keys that stand beside a kind in a node; no kind and no field has one of these names."""

PLANNED: Mapping[str, tuple[str, ...]] = {
    "spec": ("models", "scale", "memory"),
    "model": ("pretrained", "adapters", "use", "variant", "vars", "frozen"),
    "data": ("sources", "split_by", "micro_batch_size", "repeats", "bucket", "pad", "feed", "workers", "fingerprint"),
    "train": (
        *("nodes", "groups", "layer_decay", "freeze", "phases", "average", "clip_grad_norm", "clip_grad_value", "regularize", "vary"),
        *("monitor", "early_stopping", "stop", "checkpoint", "log"),
    ),
}
"""What language.md and plan.md have and this version answers with "not yet"."""
