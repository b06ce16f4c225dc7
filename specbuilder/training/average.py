"""A running average of the weights, kept as a second model beside the one that is trained."""

from __future__ import annotations

from copy import deepcopy
from typing import Protocol, Sequence

import torch
from torch import Tensor, nn


class Rule(Protocol):
    """How the average follows the weights: a kind of the family `averages`."""

    buffers: bool

    def update(self, averaged: Sequence[Tensor], current: Sequence[Tensor], updates: int) -> None:
        """Moves `averaged` in place; `updates` is how often it was moved before, so that the first time can copy."""
        ...


class Averaged:
    """The average of a model's weights. The model that it is of is never touched."""

    def __init__(self, model: nn.Module, rule: Rule, *, every: int, begin: int) -> None:
        self.model = deepcopy(model).requires_grad_(False)
        """Holds the average; what is evaluated and saved, once there is one."""
        self.updates = 0
        self._rule, self._every, self._begin = rule, every, begin
        averaged, current = dict(self.model.named_parameters()), dict(model.named_parameters())
        buffers = dict(self.model.named_buffers())
        now = dict(model.named_buffers())
        if rule.buffers:
            averaged, current = {**averaged, **buffers}, {**current, **now}
            buffers = {}
        self._averaged: list[Tensor] = list(averaged.values())
        self._current: list[Tensor] = [current[name] for name in averaged]
        self._copied = [(tensor, now[name]) for name, tensor in buffers.items()]

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """After each optimizer step; `step` is how many were done."""
        if step <= self._begin or (step - self._begin) % self._every:
            return
        self._rule.update(self._averaged, self._current, self.updates)
        for tensor, current in self._copied:
            tensor.copy_(current)
        self.updates += 1
