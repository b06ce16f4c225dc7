"""The frozen plan of a run: a pure function of the spec, the facts of the data and the version.

Plain data and catalogue kinds, nothing of torch. Durations and step counts follow from the number of samples, which is known statically for catalogue
datasets and else when the data has been opened; until then they are None.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, Literal

from specbuilder.catalogue.contract import Average, DataFacts, Dataset, Kind, Loss, Metric, Optimizer, Schedule, Transform
from specbuilder.catalogue.declared import Declared, fields_of
from specbuilder.language.settings import CheckpointSettings, DataSettings, TrainSettings
from specbuilder.plan.durations import Span
from specbuilder.plan.schedule import Steps
from specbuilder.records import Record
from specbuilder.shapes import TensorType

Origin = Literal["spec", "default", "command line"]


class Seeds(Record):
    """The seed of each stream of random numbers."""

    default: int
    streams: Mapping[str, int]

    def of(self, stream: str) -> int:
        """The seed of a stream; `augment.random_crop` falls back to `augment`."""
        return self.streams.get(stream, self.streams.get(stream.split(".", maxsplit=1)[0], self.default))


STREAMS = ("init", "order", "split", "augment", "model")
"""The streams that `train.seed` can set on their own."""


class Pipeline(Record):
    """What happens to the feature that the transforms change, before the model sees it."""

    feature: str
    prepare: tuple[Transform, ...] = ()
    augment: tuple[Transform, ...] = ()
    inference: tuple[Transform, ...] = ()


class Monitor(Record):
    """The metric that says which weights are best, by its name in `metrics.jsonl`: `validation.accuracy`."""

    name: str
    mode: Literal["min", "max"]


class EarlyStopping(Record):
    """The run ends after this long without an evaluation that is better by more than `min_delta`."""

    patience: int
    unit: Literal["evaluations", "steps"]
    min_delta: float


class CheckpointPlan(Record):
    """When the state is kept. Without `every_steps` and `every_seconds`, at evaluations, as long as it takes at most 1 % of the time."""

    every_steps: int | None
    every_seconds: float | None
    keep: int
    """The latest that are kept."""
    keep_every: int | None
    """Steps; checkpoints at their multiples are kept for good."""
    best: bool
    """Whether the weights that the monitor calls best are kept, and are the result."""


class AverageSteps(Record):
    """When the average moves: the steps before it begins, and from one update to the next."""

    begin: int
    every: int


class Plan(Record):
    """Everything a run needs to know."""

    name: str
    data: DataSettings
    train: TrainSettings
    dataset: Dataset | None
    """None when the data comes from the caller."""
    facts: DataFacts | None
    bindings: Mapping[str, str]
    """Model input: feature."""
    target: str
    """The feature that loss and metrics compare with."""
    output: str
    """The model output that loss and metrics judge."""
    pipeline: Pipeline
    loss: Loss
    loss_types: tuple[TensorType, TensorType]
    """What arrives at the loss."""
    optimizer: Optimizer
    schedule: Schedule
    average: Average | None
    """Weights that follow the trained ones and are the result; its steps are in `length`."""
    micro_batch_size: int
    """Samples that pass through the network at once; it divides the batch size."""
    monitor: Monitor | None
    """None when nothing is evaluated."""
    early_stopping: EarlyStopping | None
    checkpoint: CheckpointPlan
    metrics: Mapping[str, Metric]
    """By name, which is the kind where no two are of one kind."""
    seeds: Seeds
    sizes: Mapping[str, int]
    """Symbolic sizes of the model that the data fixes, without the batch."""
    length: Length | None
    origins: Mapping[str, Origin]
    """Where each value comes from, by its path in the spec."""

    def as_json(self) -> dict[str, Any]:
        """The content of `plan.json`."""
        return {
            "name": self.name,
            "data": {
                "dataset": _kind(self.dataset),
                **{name: _plain(getattr(self.data, name)) for name in fields_of(DataSettings)},
                "micro_batch_size": self.micro_batch_size,
                "parts": dict(self.facts.parts) if self.facts else None,
                "fingerprint": self.facts.fingerprint if self.facts else None,
                "is_made_up": self.facts.is_made_up if self.facts else None,
                "features": {name: str(feature.type) for name, feature in self.facts.features.items()} if self.facts else None,
                **self._features(),
                "prepare": [_kind(kind) for kind in self.pipeline.prepare],
                "augment": [_kind(kind) for kind in self.pipeline.augment],
                "inference": [_kind(kind) for kind in self.pipeline.inference],
            },
            "bindings": {"inputs": dict(self.bindings), "output": self.output, "target": self.target, "transformed": self.pipeline.feature},
            "train": {
                **{name: _plain(getattr(self.train, name)) for name in fields_of(TrainSettings)},
                "monitor": None if self.monitor is None else {"metric": self.monitor.name, "mode": self.monitor.mode},
                "checkpoint": _plain(self.train.checkpoint or CheckpointSettings()) | {"best": self.checkpoint.best},
                "loss": _kind(self.loss),
                "optimizer": _kind(self.optimizer),
                "schedule": _kind(self.schedule),
                "average": _kind(self.average),
                "metrics": {name: _kind(metric) for name, metric in self.metrics.items()},
            },
            "seeds": {"default": self.seeds.default, **{stream: self.seeds.of(stream) for stream in STREAMS}},
            "length": self._length(),
            "origins": dict(self.origins),
        }

    def _features(self) -> dict[str, Any]:
        """What is known of the features beside their types, so that the plan can be made again without the data; `recorded.facts_of` reads it."""
        known = self.facts.features if self.facts else {}
        return {
            "targets": [name for name, feature in known.items() if feature.is_target],
            "class_names": {name: list(feature.class_names) for name, feature in known.items() if feature.class_names},
            "white": {name: feature.white for name, feature in known.items() if feature.white != 1.0},
            "batch_sizes": dict(self.facts.batch_sizes) if self.facts else {},
        }

    def _length(self) -> dict[str, Any] | None:
        """Every duration in steps, as far as the number of samples is known."""
        if self.length is None:
            return None
        stopping, checkpoint = self.early_stopping, self.checkpoint
        return self.length.as_json() | {
            "early_stopping": None if stopping is None else {stopping.unit: stopping.patience},
            "checkpoint": {name: getattr(checkpoint, name) for name in ("every_steps", "every_seconds", "keep_every")},
        }


class Length(Record):
    """How long the run is, once the number of samples is known."""

    parts: Mapping[str, int]
    """Samples of each part after splitting."""
    steps: int
    steps_per_epoch: int
    last_batch: int
    """Samples of the last batch of an epoch."""
    evaluate_every: int
    """Steps between two evaluations."""
    schedule: Steps
    average: AverageSteps | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "parts": dict(self.parts),
            "steps": self.steps,
            "steps_per_epoch": self.steps_per_epoch,
            "last_batch": self.last_batch,
            "evaluate_every": self.evaluate_every,
            "schedule": {"begin": self.schedule.begin, "warmup": self.schedule.warmup, "total": self.schedule.total},
            "average": None if self.average is None else {"begin": self.average.begin, "every": self.average.every},
        }


def span_of(train: TrainSettings, data: DataSettings, samples: int) -> tuple[Span, int]:
    """The length of a run over `samples` training samples, and the size of the last batch of an epoch."""
    batch = data.batch_size
    per_epoch = samples // batch if data.drop_last else ceil(samples / batch)
    last = batch if data.drop_last or samples % batch == 0 else samples % batch
    # Fractions of an epoch are rounded half up, and no run is shorter than one step.
    steps = train.steps if train.steps is not None else max(1, int((train.epochs or 0) * per_epoch + 0.5))
    return Span(steps=steps, steps_per_epoch=per_epoch, batch_size=batch), last


def _kind(kind: Kind | None) -> dict[str, Any] | None:
    return None if kind is None else {kind.kind: {name: _plain(getattr(kind, name)) for name in fields_of(type(kind))}}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Declared):
        return {name: _plain(getattr(value, name)) for name in fields_of(type(value))}
    return value
