"""The plan of a spec: every default filled in, each value with its origin, data bound to the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from specbuilder.api import parse
from specbuilder.diagnostics import SpecError
from specbuilder.plan.plan import Plan

TEXT = """\
specbuilder: 1
name: small
vars: {rate: 0.1, size: 64}
model:
  inputs:
    pixels: float32[B, 1, H, W]
  nodes:
    - adaptive_avg_pool2d: 1
    - flatten
    - linear: 10
      name: logits
data:
  digits:
  batch_size: $size
train:
  epochs: 2
  loss: cross_entropy
  optimizer: {sgd: {lr: $rate}}
"""


def plan_of(**changes: Any) -> Plan:
    plan = parse(TEXT, set={path.replace("__", "."): value for path, value in changes.items()}).plan
    assert plan is not None
    return plan


def test_defaults_and_origins() -> None:
    plan = plan_of()
    assert plan.length is not None
    assert plan.bindings == {"pixels": "image"}
    assert (plan.target, plan.output, plan.sizes) == ("label", "logits", {"H": 8, "W": 8})
    assert (plan.data.batch_size, plan.data.shuffle, plan.data.drop_last) == (64, True, False)
    # 1,797 = 28 x 64 + 5
    assert (plan.length.steps_per_epoch, plan.length.steps, plan.length.last_batch, plan.length.evaluate_every) == (29, 58, 5, 29)
    assert plan.schedule.kind == "constant"
    assert plan.seeds.of("order") == 0
    assert plan.metrics == {}
    written = {path for path, origin in plan.origins.items() if origin == "spec"}
    assert written == {"data.batch_size", "train.epochs", "train.loss", "train.optimizer"}


@pytest.mark.parametrize(
    ("norm", "tracks", "parts", "refused"),
    [
        # 1,797 samples in batches of 64: 1,732 train on 27 and a last batch of 4; the test part has a last batch of one.
        ("group_norm", True, {"test": 65}, "the last batch of `test`, 65 samples in batches of 64,"),
        ("group_norm", True, {"test": 64}, None),
        ("batch_norm1d", True, {"test": 65}, None),  # evaluation takes the running statistics
        ("batch_norm1d", False, {"test": 65}, "the last batch of `test`, 65 samples in batches of 64,"),
        ("batch_norm1d", True, {"test": 68}, "the last batch of an epoch, 1729 samples in batches of 64,"),
        ("group_norm", True, {"validation": 1}, "the last batch of `validation`, one sample in batches of 64,"),
    ],
)
def test_a_batch_of_one_is_refused_where_a_node_cannot_take_it(norm: str, tracks: bool, parts: dict[str, int], refused: str | None) -> None:
    fields = "{num_groups: 64}" if norm == "group_norm" else f"{{track_running_stats: {str(tracks).lower()}}}"
    text = TEXT.replace("- adaptive_avg_pool2d: 1\n    - flatten", f"- flatten\n    - {norm}: {fields}").replace("H, W", "8, 8")
    text = text.replace("batch_size: $size", f"batch_size: $size\n  split: {json.dumps(parts)}")
    if refused is None:
        assert parse(text).plan is not None
        return
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert [found.message.rpartition(" has one sample")[0] for found in caught.value.diagnostics] == [refused]


@pytest.mark.parametrize(
    ("changes", "steps", "per_epoch", "last", "every"),
    [
        ({"data__drop_last": True}, 56, 28, 64, 28),
        ({"data__batch_size": 1797}, 2, 1, 1797, 1),
        ({"data__batch_size": 5000}, 2, 1, 1797, 1),
        ({"train__epochs": 0.5}, 15, 29, 5, 29),  # 14.5, half up
        ({"train__epochs": 0.001}, 1, 29, 5, 29),
        ({"train__epochs": "null", "train__steps": 100}, 100, 29, 5, 5),  # every 5 %
        ({"train__epochs": "null", "train__steps": 10}, 10, 29, 5, 1),
        ({"train__evaluate": "50%"}, 58, 29, 5, 29),
        ({"train__evaluate": "10 steps"}, 58, 29, 5, 10),
        ({"data__split": {"test": 0.2}}, 46, 23, 30, 23),
    ],
)
def test_length(changes: dict[str, Any], steps: int, per_epoch: int, last: int, every: int) -> None:
    length = plan_of(**changes).length
    assert length is not None
    assert (length.steps, length.steps_per_epoch, length.last_batch, length.evaluate_every) == (steps, per_epoch, last, every)


def test_seeds_by_stream() -> None:
    assert [plan_of(train__seed=7).seeds.of(stream) for stream in ("init", "order", "augment.random_crop")] == [7, 7, 7]
    seeds = plan_of(train__seed={"default": 1, "order": 5, "augment": 9}).seeds
    assert [seeds.of(stream) for stream in ("init", "order", "augment", "augment.random_crop", "model")] == [1, 5, 9, 9, 1]


def test_plan_is_a_pure_function_and_plain_data() -> None:
    first, second = (json.dumps(plan_of().as_json(), sort_keys=True) for _ in range(2))
    assert first == second
    content = json.loads(first)
    assert content["train"]["optimizer"]["sgd"]["lr"] == 0.1
    assert content["bindings"] == {"inputs": {"pixels": "image"}, "output": "logits", "target": "label", "transformed": "image"}


def test_set_is_an_origin_of_its_own_place_and_keeps_its_type() -> None:
    assert plan_of(vars__rate=0.5).as_json()["train"]["optimizer"]["sgd"]["lr"] == 0.5
    with pytest.raises(SpecError, match=r"`size` wants an integer, but this is 6\.5"):
        plan_of(vars__size=6.5)


def test_spec_without_train_has_no_plan() -> None:
    assert parse(TEXT[: TEXT.index("train:")]).plan is None


def test_plan_waits_for_data_that_only_the_data_knows(tmp_path: Path) -> None:
    text = TEXT.replace("digits:", f"arrays: {{train: {tmp_path / 'a.npz'}}}")
    assert parse(text).plan is None
    with pytest.raises(SpecError, match="`evaluate` wants a duration"):
        parse(text, set={"train.evaluate": "soon"})
