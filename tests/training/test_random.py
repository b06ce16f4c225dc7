"""The random numbers are Philox4x32-10, and depend on nothing but (seed, stream, epoch, index, draw).

Witnesses: the known answers that Random123 publishes (kat_vectors, lines `philox4x32 10`), and the generator written anew in plain integers from the
paper, equations and all.
"""

from __future__ import annotations

import hashlib
import math
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from specbuilder.training.random import key, order, philox, split, uniforms

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
WORDS = st.integers(0, 2**32 - 1)

Counter = tuple[int, int, int, int]
Key = tuple[int, int]


def by_hand(counter: Counter, key: Key) -> Counter:
    """Ten rounds of the paper's figure 2b, with the key schedule of its section 3.3, in whole numbers."""
    left0, right0, left1, right1 = counter
    key0, key1 = key
    for _ in range(10):
        product0, product1 = 0xD2511F53 * left0, 0xCD9E8D57 * left1
        left0, right0, left1, right1 = (
            (product1 // 2**32) ^ right0 ^ key0,
            product1 % 2**32,
            (product0 // 2**32) ^ right1 ^ key1,
            product0 % 2**32,
        )
        key0, key1 = (key0 + 0x9E3779B9) % 2**32, (key1 + 0xBB67AE85) % 2**32
    return left0, right0, left1, right1


def word(seed: int, stream: str, epoch: int, index: int, draw: int) -> int:
    """The word that a sample draws, from the definition."""
    digest = hashlib.sha256(f"{seed}/{stream}/{epoch}".encode()).digest()
    return by_hand((index % 2**32, index // 2**32, draw, 0), struct.unpack("<2I", digest[:8]))[0]


# The generator ------------------------------------------------------------------------------------------------------

KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(each, 16) for each in text.split()]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers(counter: str, key: str, expected: str, device: str) -> None:
    found = philox(torch.tensor(words(counter), device=device), torch.tensor(words(key), device=device))
    assert found.tolist() == words(expected)


def test_the_witness_gives_the_known_answers() -> None:
    for counter, two, expected in KNOWN_ANSWERS:
        a, b, c, d = words(counter)
        low, high = words(two)
        assert list(by_hand((a, b, c, d), (low, high))) == words(expected)


@given(st.tuples(WORDS, WORDS, WORDS, WORDS), st.tuples(WORDS, WORDS))
def test_every_word_is_that_of_the_paper(counter: Counter, key: Key) -> None:
    assert tuple(philox(torch.tensor(counter), torch.tensor(key)).tolist()) == by_hand(counter, key)


def test_counters_and_keys_broadcast() -> None:
    counters, keys = torch.arange(4 * 3).view(4, 1, 3), torch.arange(2 * 5).view(2, 5, 1)
    found = philox(counters, keys)
    assert found.shape == (4, 5, 3)
    for row in range(5):
        for column in range(3):
            a, b, c, d = counters[:, 0, column].tolist()
            assert tuple(found[:, row, column].tolist()) == by_hand((a, b, c, d), (row, 5 + row))


# Keys ---------------------------------------------------------------------------------------------------------------


def test_key_is_the_beginning_of_the_hash() -> None:
    # printf '0/order/0' | sha256sum begins with these bytes; little-endian turns them round.
    assert key(0, "order", 0) == 0x6ECA_EB2F_6BE0_CA6D
    assert hashlib.sha256(b"0/order/0").hexdigest().startswith("6dcae06b2febca6e")


def test_keys_differ_in_each_part() -> None:
    keys = {key(seed, stream, epoch) for seed in (0, 1, 11) for stream in ("order", "augment") for epoch in (0, 1, 10)}
    assert len(keys) == 18


def test_key_seeds_torch_generators() -> None:
    """The largest and the smallest key of many lie on both sides of 2^63, and torch takes both."""
    keys = [key(0, "dropout", epoch) for epoch in range(64)]
    assert min(keys) < 2**63 <= max(keys)
    first = {torch.rand((), generator=torch.Generator().manual_seed(each)).item() for each in keys}
    assert len(first) == 64


# Uniforms -----------------------------------------------------------------------------------------------------------


def table(epochs: range, indices: Tensor, draws: int, device: str = "cpu") -> Tensor:
    return uniforms(7, "augment", epochs, indices, draws, device)


@given(st.integers(0, 2**63 - 1), st.text(max_size=8), st.integers(0, 10**6), st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4))
def test_uniforms_follow_the_definition(seed: int, stream: str, epoch: int, indices: list[int]) -> None:
    found = uniforms(seed, stream, range(epoch, epoch + 2), torch.tensor(indices), 3, "cpu")
    assert found.shape == (2, len(indices), 3)
    assert found.dtype == torch.float32
    for e in range(2):
        expected = [[(word(seed, stream, epoch + e, index, draw) // 2**8) / 2**24 for draw in range(3)] for index in indices]
        assert found[e].tolist() == expected


@given(st.data())
def test_any_subset_in_any_order_and_any_chunks_of_epochs_give_the_same_bits(data: st.DataObject) -> None:
    whole = table(range(5), torch.arange(20), 3)
    indices = data.draw(st.lists(st.integers(0, 19), max_size=8))
    start = data.draw(st.integers(0, 5))
    stop = data.draw(st.integers(start, 5))
    draws = data.draw(st.integers(0, 3))
    part = table(range(start, stop), torch.tensor(indices, dtype=torch.int64), draws)
    assert torch.equal(part, whole[start:stop, indices, :draws])


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_gives_the_same_bits(device: str) -> None:
    indices = torch.tensor([0, 1, 2**32 - 1, 2**32, 2**63 - 1])
    assert torch.equal(table(range(3), indices, 4, device).cpu(), table(range(3), indices, 4))
    assert table(range(1), indices, 1, device).device.type == device


def test_torch_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    table(range(2), torch.arange(4), 2)
    order(0, "order", range(2), 4, "cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_uniforms_are_uniform() -> None:
    """Loosely: mean and spread of 300,000 draws, ten equal bins, and no link between neighbours, draws or epochs. Six sigma each."""
    drawn = table(range(3), torch.arange(50_000), 2).double()
    count = drawn.numel()
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert abs(drawn.mean().item() - 0.5) < 6 * math.sqrt(1 / 12 / count)
    assert abs(drawn.var().item() - 1 / 12) < 6 * math.sqrt(1 / 180 / count)
    bins = torch.histc(drawn, 10, 0, 1)
    assert (bins - count / 10).abs().max() < 6 * math.sqrt(count * 0.09)
    pairs = {
        "epochs": (drawn[0], drawn[1]),
        "samples": (drawn[:, 1:], drawn[:, :-1]),
        "draws": (drawn[..., 0], drawn[..., 1]),
    }
    for a, b in pairs.values():
        link = torch.corrcoef(torch.stack((a.flatten(), b.flatten())))[0, 1].item()
        assert abs(link) < 6 / math.sqrt(a.numel())


# Orders and splits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("count", [0, 1, 2, 257])
def test_order_sorts_by_the_drawn_word(count: int, device: str) -> None:
    found = order(3, "order", range(4, 7), count, device)
    assert found.dtype == torch.int64
    assert found.tolist() == [sorted(range(count), key=lambda index, epoch=epoch: word(3, "order", epoch, index, 0)) for epoch in (4, 5, 6)]


def test_equal_draws_keep_the_order_of_the_samples() -> None:
    """Among 200,000 samples some pairs draw the same word; the sort must be stable to be the same everywhere."""
    count = 200_000
    counter = torch.zeros(4, count, dtype=torch.int64)
    counter[0] = torch.arange(count)
    hashed = key(0, "order", 0)
    drawn = philox(counter, torch.tensor([[hashed % 2**32], [hashed // 2**32]]))[0]
    found = order(0, "order", range(1), count, "cpu")[0]
    in_order = drawn[found]
    tied = in_order[1:] == in_order[:-1]
    assert tied.sum() >= 1
    assert (in_order[1:] >= in_order[:-1]).all()
    assert (found[1:] > found[:-1])[tied].all()


def test_epochs_streams_and_seeds_have_their_own_orders() -> None:
    orders = [order(seed, stream, range(2), 50, "cpu")[epoch].tolist() for seed in (0, 1) for stream in ("order", "split") for epoch in (0, 1)]
    assert len({tuple(each) for each in orders}) == 8


def test_orders_of_several_epochs_are_those_of_each() -> None:
    together = order(0, "order", range(10, 26), 100, "cpu")
    assert torch.equal(together, torch.cat([order(0, "order", range(epoch, epoch + 1), 100, "cpu") for epoch in range(10, 26)]))


def test_split_is_the_permutation_of_epoch_0() -> None:
    found = split(5, "split", 30)
    assert found.tolist() == sorted(range(30), key=lambda index: word(5, "split", 0, index, 0))
