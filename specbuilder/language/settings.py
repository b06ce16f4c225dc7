"""The plain keys of `data` and `train`: names, types, bounds, defaults. Kinds (dataset, loss, optimizer, ...) are decoded beside them, not here.

`PLANNED` lists the keys that the language already has a place for and this version does not run: writing one is an error that says so, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from annotated_types import Ge, Le

from specbuilder.catalogue.contract import DurationText, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from specbuilder.catalogue.declared import Declared

MOST_NODES = 100_000
"""Of a network, copies included, and of the text. A larger one is refused by arithmetic, before it is made."""


class Settings(Declared):
    """Base of the groups of plain keys."""


class Statistics(Settings):
    """Mean and standard deviation per channel, or one number for all."""

    mean: float | tuple[float, ...]
    std: PositiveFloat | tuple[PositiveFloat, ...]


class MonitorSettings(Settings):
    """The metric that says which weights are best, with the direction of better."""

    metric: str
    mode: Literal["max", "min"] | None = None
    """What is better; None is what the metric says of itself."""


class EarlyStoppingSettings(Settings):
    """When a run ends since it does not get better any more."""

    patience: PositiveInt | DurationText
    """Evaluations without a better one, or a duration such as `5 epochs`."""
    min_delta: NonNegativeFloat = 0.0
    """By how much an evaluation must be better to count as better."""


class CheckpointSettings(Settings):
    """When the state of a run is kept, and how much of it."""

    every: DurationText | NonNegativeFloat | None = None
    """A duration, of time too (`10 minutes`); None: at evaluations, at most 1 % of the time, and at the end."""
    keep: PositiveInt = 2
    """The latest that are kept."""
    keep_every: DurationText | NonNegativeFloat | None = None
    """A duration; the checkpoints at its multiples are kept for good."""
    best: bool | None = None
    """Whether the best is kept and is the result; None is whether `early_stopping` is on."""


class DataSettings(Settings):
    """Plain keys of `data` (plan.md 2.1)."""

    batch_size: PositiveInt
    """Samples that one optimizer step sees."""
    micro_batch_size: PositiveInt | Literal["auto"] = "auto"
    """Samples that pass through the network at once; their gradients are added up to those of the batch. It divides `batch_size`."""
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
    feed: Literal["auto", "device", "workers"] = "auto"
    """Where samples come from: kept on the device, or read by worker processes. It changes no result."""
    workers: Annotated[int, Ge(0), Le(512)] | Literal["auto"] = "auto"
    """Processes that read samples; 0 reads them in the run itself. It changes no result."""


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
    monitor: str | MonitorSettings | None = None
    """The metric that `best` and `early_stopping` look at, such as `validation.accuracy`; None is the first of `metrics`, else the loss."""
    early_stopping: EarlyStoppingSettings | None = None
    """Ends the run when it does not get better: `{patience: 5}` evaluations, or `{patience: 10 epochs}`."""
    checkpoint: CheckpointSettings | None = None
    """When the state is kept (`every`), how many times (`keep`, `keep_every`), and whether the best is (`best`)."""
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    """`auto`: bf16 autocast on a CUDA GPU that has it, fp32 elsewhere. Weights stay in fp32."""
    compile: Literal["auto", "off", "default", "reduce-overhead", "max-autotune"] = "auto"
    """The mode of torch.compile. `auto`: on with CUDA, off elsewhere."""
    deterministic: bool = False
    """Whether kernels without a deterministic form are refused."""


TRANSFORM_LISTS = ("prepare", "augment", "inference")
TRAIN_KINDS: Mapping[str, Literal["loss", "optimizer", "schedule", "average", "metric"]] = {
    "loss": "loss",
    "optimizer": "optimizer",
    "schedule": "schedule",
    "average": "average",
    "metrics": "metric",
}

SPEC_KEYS = ("specbuilder", "name", "description", "include", "vars", "variants", "blocks", "maps", "model", "data", "train", "expect")
MODEL_KEYS = ("inputs", "where", "init", "nodes", "outputs")
STRUCTURAL = ("name", "from", "when", "repeat", "each", "shared", "merge", "init", "tie", "freeze", "type")
"""Keys that stand beside a kind in a node; no kind and no field has one of these names."""

PLANNED: Mapping[str, tuple[str, ...]] = {
    "spec": ("models", "scale", "memory"),
    "model": ("pretrained", "adapters", "use", "variant", "vars", "frozen"),
    "data": ("sources", "split_by", "repeats", "bucket", "pad", "fingerprint"),
    "train": (
        *("nodes", "groups", "layer_decay", "freeze", "phases", "clip_grad_norm", "clip_grad_value", "regularize", "vary"),
        *("stop", "log"),
    ),
}
"""What language.md and plan.md have and this version answers with "not yet"."""
