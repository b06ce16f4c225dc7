"""Random numbers that are pure functions of (seed, stream, epoch, index, draw).

In: a seed, the name of a stream, epochs and sample indices. Out: uniforms, orders and splits, as tensors; nothing has a state, so a stopped run needs
none to go on, and neither the device nor the order of asking can matter. The generator is Philox4x32-10 (J. K. Salmon et al., "Parallel random numbers:
as easy as 1, 2, 3", 2011) in integer tensor arithmetic: the same bits everywhere. What the numbers are used for is left to the callers.

Code of others draws from the generators of torch, numpy and Python, which have one; `Stream` lends it these, seeded by a key as well.

u32 words travel in int64 tensors, since torch has little arithmetic for uint32. E epochs, N samples, D draws of one sample.
"""

from __future__ import annotations

import random
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

ROUNDS = 10
MASK = 0xFFFF_FFFF
INDEX_BITS = 31
"""Room for an index beside a 32-bit draw in the positive numbers of int64."""
WEYL = (0x9E37_79B9, 0xBB67_AE85)
"""What each round adds to the words of the key."""
SHORTENED = (0xCD9E_8D57 - 2**32, 0xD251_1F53 - 2**32)
"""The multipliers M of words 2 and 0, less 2^32. M itself lies above 2^31, so that M * word would overflow int64; with M - 2^32 it cannot, the low half of
the product is the same, and the high half is short of the true one by exactly `word`."""


def key(seed: int, stream: str, epoch: int) -> int:
    """The 64-bit key of a stream in an epoch; it seeds torch's own generators as well."""
    return int.from_bytes(sha256(f"{seed}/{stream}/{epoch}".encode()).digest()[:8], "little")


def uniforms(seed: int, stream: str, epochs: range, indices: Tensor, draws: int, device: torch.device | str) -> Tensor:
    """Numbers in [0, 1), float32[E, N, D]: what the samples `indices` (int64[N]) use in each epoch, 24 random bits each."""
    words = _words(seed, stream, epochs, indices.to(device), draws)
    return (words >> 8).float() * 2**-24


def order(seed: int, stream: str, epochs: range, count: int, device: torch.device | str) -> Tensor:
    """In which order each epoch visits `count` samples: int64[E, N], a permutation per row.

    Ask for several epochs at once where samples are few: the cost is that of launching about 90 operations, whatever the number of epochs.
    """
    words = _words(seed, stream, epochs, torch.arange(count, device=device), 1).squeeze(-1)  # E N
    # Stable, so that equal draws (about count^2 / 2^33 pairs) keep the same order on every device.
    if words.device.type == "cpu":
        # The index below the draw makes all keys different, so numpy's fast sort gives the stable order: 23 us for 1,438 samples, argsort 52 us.
        keys = (words << INDEX_BITS) | torch.arange(count)
        return torch.from_numpy(np.sort(keys.numpy(), axis=-1)) & ((1 << INDEX_BITS) - 1)
    return words.argsort(dim=-1, stable=True)


def split(seed: int, stream: str, count: int) -> Tensor:
    """A permutation of `count` samples that no epoch changes: int64[N]. Parts are consecutive pieces of it."""
    return order(seed, stream, range(1), count, "cpu")[0]


def _words(seed: int, stream: str, epochs: range, indices: Tensor, draws: int) -> Tensor:
    """The first output word at counter (index low, index high, draw, 0) under the key of each epoch: u32[E, N, D]."""
    keys = [key(seed, stream, epoch) for epoch in epochs]
    key_words = torch.tensor([[each & MASK for each in keys], [each >> 32 for each in keys]], dtype=torch.int64, device=indices.device)
    counter = torch.zeros(4, 1, len(indices), draws, dtype=torch.int64, device=indices.device)
    counter[0, 0] = (indices & MASK)[:, None]
    counter[1, 0] = (indices >> 32)[:, None]
    counter[2, 0] = torch.arange(draws, device=indices.device)
    return philox(counter, key_words[:, :, None, None])[0]


def philox(counter: Tensor, key: Tensor) -> Tensor:
    """Philox4x32-10: u32[4, ...] for a counter u32[4, ...] and a key u32[2, ...]: equally many further axes, which broadcast."""
    shape = torch.broadcast_shapes(counter.shape[1:], key.shape[1:])
    # Words 0 and 2 are multiplied, words 1 and 3 are not: as two tensors [2, ...] a round takes 7 operations instead of 12.
    even, odd = counter[0::2].expand(2, *shape), counter[1::2].expand(2, *shape)
    factors = _words_of(SHORTENED, key.device).view(2, *[1] * len(shape))
    for round_key in _round_keys(key).unbind():
        swapped = even.flip(0)
        product = swapped * factors
        high = (product >> 32).add_(swapped)
        even = high.bitwise_xor_(odd).bitwise_xor_(round_key)
        odd = product.bitwise_and_(MASK)
    return torch.stack((even, odd), 1).flatten(0, 1)


def _round_keys(key: Tensor) -> Tensor:
    """The key of every round, u32[ROUNDS, 2, ...]: `key + round * WEYL`, word by word."""
    rounds = torch.arange(ROUNDS, device=key.device)
    steps = rounds[:, None] * _words_of(WEYL, key.device)
    return (key + steps.view(ROUNDS, 2, *[1] * (key.dim() - 1))) & MASK


def _words_of(words: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(words, dtype=torch.int64, device=device)


class Stream:
    """The generators of torch (on the CPU), numpy and Python as a stream of its own: within `with` they go on where they stood at the end of the last one,
    and outside they are undisturbed.
    """

    def __init__(self, key: int) -> None:
        self.key = key
        self._outside: tuple[Any, ...] = ()
        self._inside: tuple[Any, ...] = ()

    def __enter__(self) -> None:
        self._outside = _states()
        if self._inside:
            _restore(self._inside)
        else:
            seed_generators(self.key)

    def __exit__(self, *_: object) -> None:
        self._inside = _states()
        _restore(self._outside)


def seed_generators(key: int) -> None:
    """The generators of torch (on the CPU), numpy and Python begin anew: a `Stream` for a process that draws nothing else."""
    torch.default_generator.manual_seed(key)
    np.random.seed(key & MASK)  # noqa: NPY002  # the one that code of others draws from
    random.seed(key)


def _states() -> tuple[Any, ...]:
    return torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002


def _restore(states: tuple[Any, ...]) -> None:
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])
