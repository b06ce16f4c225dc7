"""Batches: which samples, in which order, and that how they are made at once cannot matter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import specbuilder.training.feed as feeding
from specbuilder.catalogue.contract import Column, Transform
from specbuilder.catalogue.lookup import find
from specbuilder.training.feed import Feed, Normalization, Route, fit_normalization

CPU = torch.device("cpu")
IMAGES = torch.randint(0, 17, (50, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
COLUMNS = {"image": Column(IMAGES, 1 / 16), "label": Column(torch.arange(50))}


def transform(name: str, **fields: object) -> Transform:
    kind = find("transform", name)
    assert kind is not None
    made = kind(**fields)
    assert isinstance(made, Transform)
    return made


def feed(**options: object) -> Feed:
    route = options.pop("route", Route(feature="image"))
    settings = {"batch_size": 8, "seed_of": _seed(0), "device": CPU, **options}
    return Feed(COLUMNS, ["image", "label"], route, **settings)  # type: ignore[arg-type]  # a table of options


def _seed(seed: int) -> Callable[[str], int]:
    return lambda _: seed


AUGMENTED = Route(
    feature="image",
    transforms=(
        ("augment.random_crop", transform("random_crop", size=8, padding=1)),
        ("augment.random_rotation", transform("random_rotation", degrees=20)),
    ),
    normalization=Normalization(torch.full((1, 1, 1, 1), 0.3), torch.full((1, 1, 1, 1), 0.4)),
)


def labels(found: Feed, epoch: int) -> list[int]:
    return torch.cat([batch[1] for batch in found.epoch(epoch)]).tolist()


def test_without_shuffle_samples_come_as_they_are() -> None:
    found = feed()
    batches = list(found.epoch(3))
    assert [len(batch[1]) for batch in batches] == [8] * 6 + [2]
    assert found.batches == 7
    assert labels(found, 0) == labels(found, 5) == list(range(50))
    assert torch.equal(torch.cat([batch[0] for batch in batches]), IMAGES.float() / 16)


def test_drop_last_leaves_out_what_does_not_fill_a_batch() -> None:
    found = feed(drop_last=True, shuffle=True)
    assert found.batches == 6
    assert [len(batch[1]) for batch in found.epoch(0)] == [8] * 6


def test_each_epoch_has_every_sample_once_in_an_order_of_its_own() -> None:
    found = feed(shuffle=True)
    orders = [labels(found, epoch) for epoch in range(20)]
    assert all(sorted(each) == list(range(50)) for each in orders)
    assert len({tuple(each) for each in orders}) == 20
    # Asked for again, alone, and from another feed: the same.
    assert labels(feed(shuffle=True), 13) == orders[13]
    assert labels(feed(shuffle=True, seed_of=_seed(1)), 13) != orders[13]


@pytest.mark.parametrize("budget", [1, 6000, 1 << 30])
@pytest.mark.parametrize("widened", [0, 1 << 30])
def test_chunks_and_widening_change_no_bit(budget: int, widened: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = list(feed(route=AUGMENTED, shuffle=True, batch_size=8).epoch(4))
    monkeypatch.setattr(feeding, "_CHUNK_BYTES", {"cpu": budget})
    monkeypatch.setattr(feeding, "_WIDENED_AT_MOST", widened)
    found = list(feed(route=AUGMENTED, shuffle=True, batch_size=8).epoch(4))
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for one, other in zip(found, expected, strict=True) for a, b in zip(one, other, strict=True))


def test_augmentation_of_a_sample_does_not_depend_on_its_batch() -> None:
    """The same sample in the same epoch, in batches of 8 and of 50, shuffled and not."""

    def by_label_of(epoch: int, **options: object) -> dict[int, Tensor]:
        return {int(y): x for batch in feed(route=AUGMENTED, **options).epoch(epoch) for x, y in zip(*batch, strict=True)}

    by_label = [by_label_of(2, batch_size=8, shuffle=True), by_label_of(2, batch_size=50), by_label_of(2, batch_size=7, shuffle=True)]
    assert all(torch.equal(by_label[0][label], other[label]) for other in by_label[1:] for label in range(50))
    later = by_label_of(3)
    assert any(not torch.equal(by_label[0][label], later[label]) for label in range(50))


def test_normalization_is_fitted_per_channel_after_prepare() -> None:
    x = (
        torch.randn(40, 3, 5, 4, dtype=torch.float64).float() * torch.tensor([1.0, 2.0, 0.0])[:, None, None]
        + torch.tensor([0.0, 5.0, 7.0])[:, None, None]
    )
    mean, std = fit_normalization(x.split(7), ())
    assert torch.allclose(mean, x.double().mean((0, 2, 3)).float(), atol=1e-6)
    expected = x.double().std((0, 2, 3), correction=0).float()
    assert torch.allclose(std[:2], expected[:2], rtol=1e-5)
    assert std[2] == 1  # a channel that never changes is left as it is
