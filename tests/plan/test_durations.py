"""Durations: what is one, and how many steps it is. The steps are counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuilder.plan.durations import Duration, Span, in_steps, parse_duration

RUN = Span(steps=1000, steps_per_epoch=400, batch_size=64)
"""Two and a half epochs of 400 steps."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("5 epochs", "5 epochs"),
        ("1 epoch", "1 epoch"),
        ("1 epochs", "1 epoch"),
        ("0.5 epoch", "0.5 epochs"),
        (".5 epochs", "0.5 epochs"),
        ("200 steps", "200 steps"),
        ("1_000 steps", "1000 steps"),
        ("1e3 samples", "1000 samples"),
        ("30%", "30%"),
        ("2.5 %", "2.5%"),
        ("  3 steps  ", "3 steps"),
        ("3steps", "3 steps"),
    ],
)
def test_text_is_a_duration(text: str, shown: str) -> None:
    duration = parse_duration(text)
    assert duration is not None
    assert str(duration) == shown
    assert parse_duration(shown) == duration


@pytest.mark.parametrize(
    "text", ["", "5", "epochs", "-1 epochs", "five epochs", "5 epoches", "5 Epochs", "1 e", "1e999 steps", "nan%", "5 epochs and a bit", "1 second"]
)
def test_text_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("text", "shown", "seconds"),
    [
        ("90 seconds", "90 seconds", 90.0),
        ("1 second", "1 second", 1.0),
        ("10 minutes", "10 minutes", 600.0),
        ("1 hour", "1 hour", 3600.0),
        ("1.5hours", "1.5 hours", 5400.0),
        ("0 minutes", "0 minutes", 0.0),
        ("5 epochs", "5 epochs", None),
        ("10%", "10%", None),
    ],
)
def test_times_are_durations_only_where_they_are_asked_for(text: str, shown: str, seconds: float | None) -> None:
    duration = parse_duration(text, with_times=True)
    assert duration is not None
    assert (str(duration), duration.seconds) == (shown, seconds)
    assert (parse_duration(text) is None) is (seconds is not None)


@pytest.mark.parametrize("text", ["1 min", "10 m", "1 day", "3 hour s", "-1 hours", "1e999 hours"])
def test_text_is_no_time_either(text: str) -> None:
    assert parse_duration(text, with_times=True) is None


@pytest.mark.parametrize(
    ("text", "of", "steps"),
    [
        ("0 steps", None, 0),
        ("0%", None, 0),
        ("7 steps", None, 7),
        ("1 epoch", None, 400),
        ("0.25 epochs", None, 100),
        ("50%", None, 500),
        ("50%", 300, 150),
        ("64 samples", None, 1),
        ("1000 samples", None, 16),  # 15.625
        ("96 samples", None, 2),  # 1.5, half up
        ("160 samples", None, 3),  # 2.5, half up and not to even
        ("1 sample", None, 1),  # at least 1 for anything above 0
        ("0.001%", None, 1),
        ("7 steps", 3, 7),  # `of` is for percentages alone
    ],
)
def test_duration_in_steps(text: str, of: int | None, steps: int) -> None:
    duration = parse_duration(text)
    assert duration is not None
    assert in_steps(duration, RUN, of) == steps


@given(st.floats(0, 1e9, exclude_min=True), st.sampled_from(["step", "epoch", "sample", "%"]))
def test_anything_above_zero_is_a_step(number: float, unit: str) -> None:
    assert in_steps(Duration(number, unit), RUN) >= 1  # type: ignore[arg-type]
