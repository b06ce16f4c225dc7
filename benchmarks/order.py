"""What the exact order of an epoch costs, against torch.randperm."""

from __future__ import annotations

from time import perf_counter

import torch

from specbuilder.training.random import order


def main() -> None:
    for count in (1_437, 50_000, 1_000_000):
        for epochs in (1, 16):
            if count * epochs > 4_000_000:
                continue
            began, rounds = perf_counter(), 10
            for number in range(rounds):
                order(0, "order", range(number, number + epochs), count, "cpu")
            ours = (perf_counter() - began) / rounds / epochs
            began = perf_counter()
            for _ in range(rounds * epochs):
                torch.randperm(count)
            print(
                f"{count:>9,} samples, {epochs:>2} epochs at once: {ours * 1e6:9.0f} us an epoch; randperm {(perf_counter() - began) / rounds / epochs * 1e6:9.0f} us"
            )
