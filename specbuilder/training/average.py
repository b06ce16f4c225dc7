"""A running average of the weights, kept as a second model beside the one that is trained."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from specbuilder.catalogue.contract import Average


class Averaged:
    """The average of a model's weights. The model that it is of is never touched.

    Parameters of floating-point numbers are averaged, and such buffers too where the kind says so; anything else is copied. The first update copies all.
    """

    def __init__(self, model: nn.Module, kind: Average, *, begin: int, every: int) -> None:
        self.model = deepcopy(model).requires_grad_(False)
        """Holds the average; it is what is evaluated and saved, once there is one."""
        self.updates = 0
        self._kind, self._begin, self._every = kind, begin, every
        parameters = [*zip(self.model.parameters(), model.parameters(), strict=True)]
        buffers = [*zip(self.model.buffers(), model.buffers(), strict=True)]
        averaged = [pair for pair in (*parameters, *(buffers if kind.buffers else [])) if pair[0].is_floating_point()]
        is_averaged = {id(mean) for mean, _ in averaged}
        self._means, self._weights = [mean for mean, _ in averaged], [weight for _, weight in averaged]
        self._copied = [pair for pair in (*parameters, *buffers) if id(pair[0]) not in is_averaged]

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """After each optimizer step; `step` is how many were done. Nothing happens before `begin`, and then every so many steps."""
        after = step - self._begin
        if after <= 0 or after % self._every:
            return
        for mean, weight in self._copied:
            mean.copy_(weight)
        if self.updates:
            self._kind.update(self._means, self._weights, self.updates - 1)
        else:
            for mean, weight in zip(self._means, self._weights, strict=True):
                mean.copy_(weight)
        self.updates += 1
