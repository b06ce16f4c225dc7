"""What holds for every transform: its examples, and that a sample depends on its own draws alone, not on the batch around it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from specbuilder.catalogue.contract import Example, Refusal, Transform
from specbuilder.catalogue.transforms.crops import RandomCrop
from specbuilder.catalogue.transforms.flips import RandomHorizontalFlip, RandomVerticalFlip
from specbuilder.catalogue.transforms.rotations import RandomRotation
from specbuilder.shapes import parse_type

KINDS: dict[str, type[Transform]] = {kind.kind: kind for kind in (RandomCrop, RandomHorizontalFlip, RandomVerticalFlip, RandomRotation)}
EXAMPLES = [(kind, example) for kind in KINDS.values() for example in kind.examples]

USED: list[Transform] = [
    RandomCrop(size=9, padding=3),
    RandomCrop(size=(7, 9), padding=(2, 1, 0, 3), padding_mode="reflect"),
    RandomCrop(size=9, padding=2, padding_mode="edge"),
    RandomCrop(size=9, padding=2, padding_mode="symmetric"),
    RandomHorizontalFlip(),
    RandomVerticalFlip(p=0.3),
    RandomRotation(degrees=30),
    RandomRotation(degrees=(-90.0, 10.0), interpolation="bilinear", fill=0.5),
]


def written(text: str) -> Transform:
    """The transform that a spec's text means."""
    read = YAML(typ="safe", pure=True).load(io.StringIO(text))
    name, value = next(iter(read.items())) if isinstance(read, dict) else (read, {})
    kind = KINDS[name]
    fields = value if isinstance(value, dict) else {kind.primary: value}
    return kind(**{str(field): tuple(given) if isinstance(given, list) else given for field, given in fields.items()})


@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=[example.text for _, example in EXAMPLES])
def test_examples(kind: type[Transform], example: Example) -> None:
    transform = written(example.text)
    assert type(transform) is kind
    given = parse_type(str(example.given))
    if example.refused is None:
        assert str(transform.infer(given)) == example.gives
        return
    with pytest.raises(Refusal) as refusal:
        transform.infer(given)
    assert example.refused in refusal.value.message


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_examples_show_use_and_every_kind_says_its_name(kind: type[Transform]) -> None:
    assert any(example.gives for example in kind.examples)
    assert kind.torch_name == "torchvision.transforms.v2." + kind.__name__


@pytest.mark.parametrize("transform", USED, ids=str)
def test_sample_does_not_depend_on_its_batch(transform: Transform) -> None:
    """Alone, in a batch of 64, and with the batch turned round: the same bits."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(64, 3, 9, 11, generator=generator)
    u = torch.rand(64, transform.draws, generator=generator)
    whole = transform.apply(x, u)
    assert torch.equal(torch.cat([transform.apply(x[i : i + 1], u[i : i + 1]) for i in range(64)]), whole)
    assert torch.equal(transform.apply(x.flip(0), u.flip(0)).flip(0), whole)


FLOATS, WHOLE = ("float32", "float64", "float16", "bfloat16"), ("uint8", "int64", "bool")


@pytest.mark.parametrize(
    ("transform", "dtype"),
    [(each, dtype) for each in USED for dtype in (*FLOATS, *WHOLE) if dtype in FLOATS or getattr(each, "fill", 0) != 0.5],
    ids=str,
)
def test_result_has_the_inferred_type(transform: Transform, dtype: str) -> None:
    given = parse_type(f"{dtype}[B, 3, 9, 11]")
    promised = transform.infer(given)
    x = (torch.rand(5, 3, 9, 11) * 8).to(getattr(torch, dtype))
    found = transform.apply(x, torch.rand(5, transform.draws))
    assert (str(found.dtype), tuple(found.shape)) == (f"torch.{promised.dtype}", (5, *promised.shape[1:]))


@pytest.mark.parametrize("transform", USED, ids=str)
def test_input_is_left_as_it_is(transform: Transform) -> None:
    x, u = torch.rand(4, 2, 9, 11), torch.rand(4, transform.draws)
    before = x.clone(), u.clone()
    transform.apply(x, u)
    assert torch.equal(x, before[0])
    assert torch.equal(u, before[1])


@pytest.mark.parametrize("transform", USED, ids=str)
def test_memory_layout_does_not_matter(transform: Transform) -> None:
    x, u = torch.rand(4, 3, 9, 11), torch.rand(4, transform.draws)
    assert torch.equal(transform.apply(x.contiguous(memory_format=torch.channels_last), u), transform.apply(x, u))


@pytest.mark.parametrize("transform", USED, ids=str)
def test_last_batch_may_be_empty(transform: Transform) -> None:
    found = transform.apply(torch.rand(0, 3, 9, 11), torch.rand(0, transform.draws))
    assert found.shape == (0, *expected_shape(transform))


def expected_shape(transform: Transform) -> Sequence[Any]:
    return transform.infer(parse_type("float32[B, 3, 9, 11]")).shape[1:]
