"""What keeps a run from going on: the differences between the plan that it began with and the plan as the spec is now."""

from __future__ import annotations

import json
from typing import Any

import pytest

from specbuilder.plan.difference import Difference, differences
from tests.plan.test_make import plan_of

Plain = dict[str, Any]


@pytest.mark.parametrize(
    ("stored", "now", "found"),
    [
        ({}, {}, []),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, []),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c: 2 -> 3"]),
        ({"z": 1, "a": {"y": 1, "b": 1}}, {"z": 2, "a": {"y": 2, "b": 2}}, ["a.b: 1 -> 2", "a.y: 1 -> 2", "z: 1 -> 2"]),
        # What is not there is nothing.
        ({"a": 1}, {}, ["a: 1 -> nothing"]),
        ({}, {"a": True}, ["a: nothing -> true"]),
        ({}, {"a": None}, []),
        ({"a": {}}, {"a": {"b": 1}}, ["a: {} -> {b: 1}"]),
        # A kind of another name is another kind, and not one field more and one less.
        ({"loss": {"mse_loss": {"w": 1}}}, {"loss": {"l1_loss": {}}}, ["loss: {mse_loss: {w: 1}} -> {l1_loss: {}}"]),
        ({"opt": {"sgd": {"lr": 0.1, "m": 0}}}, {"opt": {"sgd": {"lr": 0.2, "m": 0}}}, ["opt.sgd.lr: 0.1 -> 0.2"]),
        # Lists of one length are compared item by item; JSON has no tuples.
        ({"a": [1, 2]}, {"a": (1, 2)}, []),
        ({"a": [{"crop": {"size": 4}}, "b"]}, {"a": [{"crop": {"size": 5}}, "b"]}, ["a.0.crop.size: 4 -> 5"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a: [1] -> [1, 2]"]),
        # What may differ freely, and what only begins like it.
        ({"origins": {"train.epochs": "spec"}}, {"origins": {"train.epochs": "command line"}}, []),
        ({"data": {"feed": "auto", "workers": "auto"}}, {"data": {"feed": "workers", "workers": 4}}, []),
        ({"train": {"log": None}}, {"train": {"log": {"every": "10 steps"}}}, []),
        ({"train": {"checkpoint": {"keep": 2, "best": False}}}, {"train": {"checkpoint": {"keep": 9, "best": True}}}, []),
        ({"length": {"checkpoint": {"every_steps": None}}}, {"length": {"checkpoint": {"every_steps": 5}}}, []),
        ({"train": {"logistic": 1}, "feed": 1}, {"train": {"logistic": 2}, "feed": 2}, ["feed: 1 -> 2", "train.logistic: 1 -> 2"]),
    ],
)
def test_differences_of_two_plans(stored: Plain, now: Plain, found: list[str]) -> None:
    assert [str(each) for each in differences(stored, now)] == found


@pytest.mark.parametrize(
    ("path", "is_of_length"),
    [
        ("train.epochs", True),
        ("train.steps", True),
        ("length", True),
        ("length.schedule.total", True),
        ("train.stepsize", False),
        ("lengthy", False),
        ("train.evaluate", False),
        ("data.batch_size", False),
    ],
)
def test_what_the_length_of_a_run_brings_with_it_is_marked(path: str, is_of_length: bool) -> None:
    assert Difference(path, 1, 2).is_of_length is is_of_length


@pytest.mark.parametrize(
    ("changes", "of_length", "others"),
    [
        ({}, [], []),
        ({"data__feed": "workers", "data__workers": 3, "train__checkpoint": {"keep": 5, "every": "10 minutes"}}, [], []),
        ({"train__checkpoint": {"every": "10%", "keep_every": "2 epochs", "best": True}}, [], []),
        # Two epochs become three.
        ({"train__epochs": 3}, ["length.schedule.total", "length.steps", "train.epochs"], []),
        ({"train__seed": 1}, [], ["seeds.augment", "seeds.default", "seeds.init", "seeds.model", "seeds.order", "seeds.split", "train.seed"]),
        # The steps that follow stand under `length`, and the key that they follow from does not.
        ({"train__evaluate": "7 steps"}, ["length.evaluate_every"], ["train.evaluate"]),
        ({"train__average": "ema"}, ["length.average"], ["train.average"]),
        ({"train__early_stopping": {"patience": 3}, "train__checkpoint": {"best": False}}, ["length.early_stopping"], ["train.early_stopping"]),
        (
            {"data__split": {"validation": 0.2}},
            [
                "length.evaluate_every",
                "length.last_batch",
                "length.parts.train",
                "length.parts.validation",
                "length.schedule.total",
                "length.steps",
                "length.steps_per_epoch",
            ],
            ["data.split.validation"],
        ),
        ({"train__monitor": "train.loss"}, [], ["train.monitor.metric"]),
        ({"data__micro_batch_size": 16}, [], ["data.micro_batch_size"]),
        ({"vars__rate": 0.2}, [], ["train.optimizer.sgd.lr"]),
        ({"train__optimizer": {"adam": {"lr": 0.1}}}, [], ["train.optimizer"]),
    ],
)
def test_a_changed_spec_is_told_by_its_keys(changes: dict[str, Any], of_length: list[str], others: list[str]) -> None:
    parts = {"validation": 0.1}
    stored = json.loads(json.dumps(plan_of(data__split=parts).as_json()))
    found = differences(stored, plan_of(**{"data__split": parts, **changes}).as_json())
    assert [each.path for each in found if each.is_of_length] == of_length
    assert [each.path for each in found if not each.is_of_length] == others
