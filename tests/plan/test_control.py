"""What accompanies the steps of a run. The data is the digits: 1,797 samples; with a fifth cut off, 1,438 in 23 batches of 64 an epoch, 46 steps in all."""

from __future__ import annotations

from typing import Any

import pytest

from specbuilder.api import parse
from specbuilder.catalogue.contract import REGISTRY
from specbuilder.catalogue.losses.classification import CrossEntropy
from specbuilder.catalogue.metrics.accuracy import Accuracy
from specbuilder.diagnostics import SpecError
from specbuilder.plan.plan import AverageSteps, CheckpointPlan, EarlyStopping, Monitor, Plan
from specbuilder.report.run import header
from tests.plan.test_make import TEXT

BY_TEST = "the weights are chosen by `test.loss`, so the figures of the test part will look better than the network is"


def spec_of(part: str | None = "validation", **changes: Any) -> Any:
    parts = {"data.split": {part: 0.2}} if part else {}
    return parse(TEXT, set={**parts, **{path.replace("__", "."): value for path, value in changes.items()}})


def plan_of(part: str | None = "validation", **changes: Any) -> Plan:
    plan = spec_of(part, **changes).plan
    assert plan is not None
    return plan


def refusal(part: str | None = "validation", **changes: Any) -> tuple[str, str, str | None]:
    with pytest.raises(SpecError) as caught:
        spec_of(part, **changes)
    (found,) = caught.value.diagnostics
    return found.code, found.message, found.help


def test_nothing_is_on_unasked() -> None:
    plan = plan_of()
    assert (plan.micro_batch_size, plan.average, plan.early_stopping) == (64, None, None)
    assert plan.checkpoint == CheckpointPlan(every_steps=None, every_seconds=None, keep=2, keep_every=None, best=False)
    assert plan.length is not None
    assert (plan.length.steps, plan.length.average) == (46, None)
    assert (plan.data.feed, plan.data.workers) == ("auto", "auto")
    content = plan.as_json()
    assert content["data"]["micro_batch_size"] == 64
    assert content["train"]["checkpoint"] == {"every": None, "keep": 2, "keep_every": None, "best": False}
    assert (content["train"]["average"], content["train"]["early_stopping"]) == (None, None)
    assert content["length"]["checkpoint"] == {"every_steps": None, "every_seconds": None, "keep_every": None}
    keys = ("data.micro_batch_size", "data.feed", "data.workers", "train.average", "train.monitor", "train.early_stopping", "train.checkpoint")
    assert {key: content["origins"][key] for key in keys} == dict.fromkeys(keys, "default")


# Passes and feeding --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("written", "size"), [("auto", 64), (64, 64), (32, 32), (1, 1)])
def test_micro_batch(written: int | str, size: int) -> None:
    assert plan_of(data__micro_batch_size=written).micro_batch_size == size


@pytest.mark.parametrize(
    ("micro", "batch", "help"),
    [
        (3, 7, "the nearest that do are 1 and 7"),
        (5, 64, "the nearest that do are 4 and 8"),
        (33, 64, "the nearest that do are 32 and 64"),
        (50, 360, "the nearest that do are 45 and 60"),
        (19, 361, None),
        (18, 361, "the nearest that do are 1 and 19"),
        (65, 64, "at most 64"),
        (7, 10**12, "the nearest that do are 5 and 8"),
        (7, 10**12 + 1, None),  # too large to look, and 7 does not divide it
    ],
)
def test_the_nearest_divisors_are_named(micro: int, batch: int, help: str | None) -> None:
    if batch % micro == 0:
        assert plan_of(data__batch_size=batch, data__micro_batch_size=micro).micro_batch_size == micro
        return
    message = f"`micro_batch_size` {micro} does not divide `batch_size` {batch}"
    assert refusal(data__batch_size=batch, data__micro_batch_size=micro) == ("SB0714", message, help)


class Contrast(CrossEntropy):
    """A loss that compares samples."""

    kind = "contrast"
    couples_samples = True


def test_a_loss_that_couples_samples_takes_the_batch_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY["loss"], "contrast", Contrast)
    assert plan_of(train__loss="contrast").micro_batch_size == 64
    assert plan_of(train__loss="contrast", data__micro_batch_size=64).micro_batch_size == 64
    message = "`contrast` compares the samples of a batch with one another, so passes of 32 would change the loss"
    help = "delete it, or write 64, which is `batch_size`"
    assert refusal(train__loss="contrast", data__micro_batch_size=32) == ("SB0714", message, help)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # The last batch has 1,438 - 22 * 64 = 30 samples: passes of 8, 8, 8 and 6.
        ({"data__micro_batch_size": 8}, None),
        ({"data__micro_batch_size": 1}, "every pass has one sample"),
        # 1,438 - 11 * 130 = 8: one pass, smaller than the others.
        ({"data__batch_size": 130, "data__micro_batch_size": 13}, None),
        # 1,438 - 13 * 105 = 73: 24 passes of 3, and one sample left over.
        (
            {"data__batch_size": 105, "data__micro_batch_size": 3},
            "the last pass of an epoch, 1438 samples in batches of 105 and passes of 3, has one sample",
        ),
        ({"data__batch_size": 105, "data__micro_batch_size": 3, "data__drop_last": True}, None),
    ],
)
def test_batch_norm_sees_every_pass(changes: dict[str, Any], message: str | None) -> None:
    text = TEXT.replace("- adaptive_avg_pool2d: 1\n    - flatten", "- flatten\n    - batch_norm1d").replace("H, W", "8, 8")
    settings = {"data.split": {"validation": 0.2}, **{path.replace("__", "."): value for path, value in changes.items()}}
    if message is None:
        assert parse(text, set=settings).plan is not None
        return
    with pytest.raises(SpecError) as caught:
        parse(text, set=settings)
    assert [found.message.partition(":")[0] for found in caught.value.diagnostics] == [message]


@pytest.mark.parametrize(("feed", "workers"), [("auto", 4), ("workers", 4), ("workers", 0), ("device", 0), ("device", "auto"), ("auto", 512)])
def test_feeding_is_as_written(feed: str, workers: int | str) -> None:
    plan = plan_of(data__feed=feed, data__workers=workers)
    assert (plan.data.feed, plan.data.workers) == (feed, workers)


# The average ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ("ema", AverageSteps(begin=0, every=1)),
        ({"ema": 0.9}, AverageSteps(begin=0, every=1)),
        ({"ema": {"every": "10 steps"}}, AverageSteps(begin=0, every=10)),
        ({"ema": {"every": "1 epoch", "begin": "50%"}}, AverageSteps(begin=23, every=23)),
        ({"ema": {"begin": "45 steps"}}, AverageSteps(begin=45, every=1)),
        ({"ema": {"begin": "0 steps"}}, AverageSteps(begin=0, every=1)),
        ({"ema": {"every": "640 samples"}}, AverageSteps(begin=0, every=10)),
    ],
)
def test_average_in_steps(written: Any, steps: AverageSteps) -> None:
    plan = plan_of(train__average=written)
    assert plan.length is not None
    assert plan.length.average == steps
    assert plan.as_json()["length"]["average"] == {"begin": steps.begin, "every": steps.every}


def test_average_has_its_defaults() -> None:
    plan = plan_of(train__average="ema")
    assert plan.as_json()["train"]["average"] == {"ema": {"every": "1 step", "begin": 0, "buffers": True, "decay": 0.999}}
    assert plan.origins["train.average"] == "command line"


def test_an_average_that_would_never_move_is_refused() -> None:
    message = "`every` is 23 steps, but the run has 16 steps after `begin`"
    help = "the average would never move; make it smaller"
    assert refusal(train__average={"ema": {"every": "1 epoch", "begin": "30 steps"}}) == ("SB0707", message, help)
    assert refusal(train__average={"ema": {"begin": "46 steps"}})[1] == "`begin` is after 46 steps, but the run has 46 steps"


# The monitor ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "changes", "monitor"),
    [
        ("validation", {}, Monitor("validation.loss", "min")),
        ("validation", {"train__metrics": ["accuracy"]}, Monitor("validation.accuracy", "max")),
        ("test", {"train__metrics": ["accuracy"]}, Monitor("test.accuracy", "max")),
        ("test", {}, Monitor("test.loss", "min")),
        (None, {"train__metrics": ["accuracy"]}, None),
        (None, {"train__monitor": "train.loss"}, Monitor("train.loss", "min")),
        ("validation", {"train__monitor": "validation.loss", "train__metrics": ["accuracy"]}, Monitor("validation.loss", "min")),
        ("validation", {"train__monitor": {"metric": "train.loss"}}, Monitor("train.loss", "min")),
        ("validation", {"train__monitor": {"metric": "validation.loss", "mode": "max"}}, Monitor("validation.loss", "max")),
    ],
)
def test_monitor(part: str | None, changes: dict[str, Any], monitor: Monitor | None) -> None:
    plan = plan_of(part, **changes)
    assert plan.monitor == monitor
    assert plan.as_json()["train"]["monitor"] == (None if monitor is None else {"metric": monitor.name, "mode": monitor.mode})


class Mistaken(Accuracy):
    """A metric of which less is better."""

    kind = "mistaken"
    direction = "min"


def test_a_metric_says_which_way_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY["metric"], "mistaken", Mistaken)
    assert plan_of(train__metrics=["mistaken", "accuracy"]).monitor == Monitor("validation.mistaken", "min")
    written = {"metric": "validation.mistaken", "mode": "max"}
    (warning,) = spec_of(train__metrics=["mistaken"], train__monitor=written).warnings
    assert warning.message == "`mode: max` takes the worst for the best: a smaller `validation.mistaken` is better"


@pytest.mark.parametrize(
    ("part", "changes", "warnings"),
    [
        ("test", {}, []),
        ("test", {"train__monitor": "test.loss"}, []),
        ("test", {"train__early_stopping": {"patience": 2}}, [("SB0718", BY_TEST)]),
        ("test", {"train__checkpoint": {"best": True}}, [("SB0718", BY_TEST)]),
        ("test", {"train__early_stopping": {"patience": 2}, "train__monitor": "train.loss"}, []),
        ("validation", {"train__early_stopping": {"patience": 2}}, []),
        (
            "validation",
            {"train__metrics": ["accuracy"], "train__monitor": {"metric": "validation.accuracy", "mode": "min"}},
            [("SB0719", "`mode: min` takes the worst for the best: a larger `validation.accuracy` is better")],
        ),
        (
            "validation",
            {"train__monitor": {"metric": "validation.loss", "mode": "max"}},
            [("SB0719", "`mode: max` takes the worst for the best: a smaller `validation.loss` is better")],
        ),
        ("validation", {"train__monitor": {"metric": "validation.loss", "mode": "min"}}, []),
    ],
)
def test_a_doubtful_monitor_is_a_warning(part: str, changes: dict[str, Any], warnings: list[tuple[str, str]]) -> None:
    found = spec_of(part, **changes).warnings
    assert [(each.code, each.message) for each in found] == warnings
    assert all(each.severity == "warning" and each.span is not None and each.help for each in found)


# Early stopping and checkpoints --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "stopping"),
    [
        ({"patience": 5}, EarlyStopping(5, "evaluations", 0.0)),
        ({"patience": 1, "min_delta": 0.5}, EarlyStopping(1, "evaluations", 0.5)),
        ({"patience": "1 epoch"}, EarlyStopping(23, "steps", 0.0)),
        ({"patience": "10%"}, EarlyStopping(5, "steps", 0.0)),  # 4.6, half up
        ({"patience": "0.001%", "min_delta": 1}, EarlyStopping(1, "steps", 1.0)),
    ],
)
def test_early_stopping(written: dict[str, Any], stopping: EarlyStopping) -> None:
    plan = plan_of(train__early_stopping=written)
    assert plan.early_stopping == stopping
    assert plan.checkpoint.best is True
    assert plan.as_json()["length"]["early_stopping"] == {stopping.unit: stopping.patience}
    assert plan.as_json()["train"]["early_stopping"] == {"min_delta": 0.0, **written}


@pytest.mark.parametrize(
    ("written", "steps", "seconds", "keep", "keep_every", "best"),
    [
        ({}, None, None, 2, None, False),
        ({"every": "10 steps", "keep": 5}, 10, None, 5, None, False),
        ({"every": "1 epoch", "keep_every": "50%"}, 23, None, 2, 23, False),
        ({"every": "90 seconds"}, None, 90.0, 2, None, False),
        ({"every": "1 second"}, None, 1.0, 2, None, False),
        ({"every": "10 minutes"}, None, 600.0, 2, None, False),
        ({"every": "0.5 hours", "best": True}, None, 1800.0, 2, None, True),
    ],
)
def test_checkpoint(written: dict[str, Any], steps: int | None, seconds: float | None, keep: int, keep_every: int | None, best: bool) -> None:
    wanted = CheckpointPlan(every_steps=steps, every_seconds=seconds, keep=keep, keep_every=keep_every, best=best)
    assert plan_of(train__checkpoint=written).checkpoint == wanted


@pytest.mark.parametrize(("written", "best"), [({}, True), ({"best": False}, False), ({"best": True}, True), ({"keep": 1}, True)])
def test_early_stopping_makes_the_best_the_result_unless_told_otherwise(written: dict[str, Any], best: bool) -> None:
    assert plan_of(train__checkpoint=written, train__early_stopping={"patience": 2}).checkpoint.best is best


# What a run says of it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ["plan       46 steps, 2 epochs of 23, batch 64, last batch 30"]),
        ({"data__micro_batch_size": 16}, ["plan       46 steps, 2 epochs of 23, batch 64 = 4 x 16, last batch 30"]),
        (
            {"train__average": {"ema": {"every": "5 steps", "begin": "10 steps"}}},
            [
                "plan       46 steps, 2 epochs of 23, batch 64, last batch 30",
                "average    ema, every 5 steps from step 10 on; its weights are evaluated and are the result",
            ],
        ),
        (
            {"train__early_stopping": {"patience": 1}, "train__average": "ema"},
            [
                "plan       46 steps, 2 epochs of 23, batch 64, last batch 30",
                "average    ema, every step; its weights are evaluated and are the result",
                "monitor    validation.loss (min); ends after 1 evaluation without a better one; the best weights are the result",
            ],
        ),
        (
            {"train__checkpoint": {"best": True}},
            [
                "plan       46 steps, 2 epochs of 23, batch 64, last batch 30",
                "monitor    validation.loss (min); the best weights are the result",
            ],
        ),
    ],
)
def test_header_says_what_is_on(changes: dict[str, Any], lines: list[str], tmp_path: Any) -> None:
    decisions = {name: {"value": "", "reason": ""} for name in ("device", "precision", "compile")}
    assert header(plan_of(**changes), 1, tmp_path, decisions)[2:-3] == lines
