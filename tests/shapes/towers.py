"""Random networks of two towers, each written twice: as a spec, and for torch.

A tower is a list of steps that change sizes: convolutions, poolings, upsamplings, slices, concatenations, reshapes. The second tower is often the first one
with steps in the place of others that do the same to sizes, so that equalities are there to be proved, and often one of them is off a little. Nothing of
specbuilder is used here: torch says what each step does to real sizes. Shapes: B batch, C channels, H and W or L places.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

CHANNELS = 4
Call = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Step:
    """One entry of a list of nodes, and what it is in torch."""

    text: Any
    run: Call


@dataclass(frozen=True)
class Network:
    """A spec, and what torch makes of an input of real sizes."""

    text: str
    inputs: tuple[str, ...]
    """The sizes of the input as Python, the last two of `B, 4, H, W`."""
    symbols: tuple[str, ...]
    where: str
    """What the spec says of the sizes, as Python."""
    towers: Callable[[Tensor], tuple[Tensor, Tensor]]
    join: Callable[[Tensor, Tensor], Tensor]

    def sizes(self, values: dict[str, int]) -> tuple[int, ...] | None:
        """The shape of the input for values of its symbols, batch first; None where the spec says that they do not come."""
        if not eval(self.where, {}, values):
            return None
        return (2, CHANNELS, *(int(eval(size, {}, values)) for size in self.inputs))


class Empty(Exception):
    """A tensor without elements, which no network means."""


def weight(x: Tensor, out: int, kernel: Sequence[int], *, is_transposed: bool = False) -> Tensor:
    channels = (x.shape[1], out) if is_transposed else (out, x.shape[1])
    return torch.empty(*channels, *kernel, device=x.device)


# Steps over B C H W --------------------------------------------------------------------------------------------------


def conv(kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Step:
    fields = {"out_channels": CHANNELS, "kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return Step({"conv2d": fields}, lambda x: F.conv2d(x, weight(x, CHANNELS, (kernel, kernel)), stride=stride, padding=padding, dilation=dilation))


def transposed(kernel: int, stride: int = 1, padding: int = 0, output_padding: int = 0) -> Step:
    fields = {"out_channels": CHANNELS, "kernel_size": kernel, "stride": stride, "padding": padding, "output_padding": output_padding}

    def run(x: Tensor) -> Tensor:
        kernels = weight(x, CHANNELS, (kernel, kernel), is_transposed=True)
        return F.conv_transpose2d(x, kernels, stride=stride, padding=padding, output_padding=output_padding)

    return Step({"conv_transpose2d": fields}, run)


def pool(kernel: int, stride: int = 1, padding: int = 0, *, is_mean: bool = False, is_ceil: bool = False) -> Step:
    fields = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": is_ceil}
    function: Callable[..., Tensor] = F.avg_pool2d if is_mean else F.max_pool2d
    return Step({"avg_pool2d" if is_mean else "max_pool2d": fields}, lambda x: function(x, kernel, stride, padding, ceil_mode=is_ceil))


def upsample(scale: int) -> Step:
    return Step({"upsample": {"scale_factor": scale}}, lambda x: F.interpolate(x, scale_factor=scale))


def part(start: int | None, stop: int | None, step: int | None, axis: int = 2) -> Step:
    """A slice along one axis; as in formulas, its ends lie within the axis."""
    text = f"{'' if start is None else start}:{'' if stop is None else stop}{'' if step is None else f':{step}'}"

    def run(x: Tensor) -> Tensor:
        size = x.shape[axis]
        for end in (start, stop):
            if end is not None and not -size <= end <= size:
                raise Empty
        key = [slice(None)] * x.ndim
        key[axis] = slice(start, stop, step)
        return x[tuple(key)]

    return Step({"compute": f"prev[{':, ' * axis}{text}]"}, run)


def both(make: Callable[[int], Step]) -> list[Step]:
    return [make(2), make(3)]


def doubled(axis: int, times: int = 2) -> Step:
    return Step({"concat": {"dim": axis}, "from": ["prev"] * times}, lambda x: torch.cat([x] * times, axis))


def interleaved(axis: int, times: int) -> Step:
    """Every n-th place from each of the first n on, one after the other: as large as what entered."""
    parts = [part(start, None, times, axis) for start in range(times)]
    nodes = [{"compute": each.text["compute"].replace("prev", "input"), "name": f"part_{number}"} for number, each in enumerate(parts)]
    joined = {"concat": {"dim": axis}, "from": [node["name"] for node in nodes]}
    return Step({"sequence": [*nodes, joined]}, lambda x: torch.cat([full(each.run(x)) for each in parts], axis))


def rearranged(pattern: str, run: Call, **sizes: int) -> Step:
    return Step({"rearrange": {"pattern": pattern, **sizes}}, run)


def to_channels(p: int, q: int) -> list[Step]:
    """Tiles of p times q places become channels, and a convolution makes them few again."""

    def run(x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        return x.reshape(b, c, exact(h, p), p, exact(w, q), q).permute(0, 1, 3, 5, 2, 4).reshape(b, c * p * q, h // p, w // q)

    return [rearranged("b c (h p) (w q) -> b (c p q) h w", run, p=p, q=q), conv(1)]


def from_channels() -> list[Step]:
    def run(x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        return x.reshape(b, exact(c, 4), 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, c // 4, 2 * h, 2 * w)

    return [rearranged("b (c p q) h w -> b c (h p) (w q)", run, p=2, q=2), conv(1)]


def exact(size: int, parts: int) -> int:
    if size % parts:
        raise Empty
    return size // parts


SWAPPED = rearranged("b c h w -> b c w h", lambda x: x.permute(0, 1, 3, 2))
HALVES = Step({"halves": {}}, lambda x: torch.cat([full(x[:, :, x.shape[2] // 2 :]), full(x[:, :, : x.shape[2] // 2])], 2))
ROWS = Step({"rows": {}}, lambda x: x.reshape(x.shape[0], x.shape[1], x.shape[2] * x.shape[3], 1))
LINES = Step({"flatten": {"start_dim": 2}}, lambda x: x.flatten(2))
LINES_TOO = rearranged("b c h w -> b c (h w)", LINES.run)

BLOCKS = {
    "halves": {
        "inputs": {"x": "[B, C, H, W]"},
        "nodes": [
            {"compute": "x[:, :, $(H // 2):]", "name": "low"},
            {"compute": "x[:, :, :$(H // 2)]", "name": "high"},
            {"concat": 2, "from": ["low", "high"]},
        ],
    },
    "rows": {"inputs": {"x": "[B, C, H, W]"}, "nodes": [{"reshape": ["$B", "$C", "$(H * W)", 1]}]},
}


# Steps over B C L ----------------------------------------------------------------------------------------------------


def conv_line(kernel: int, stride: int, padding: int) -> Step:
    fields = {"out_channels": CHANNELS, "kernel_size": kernel, "stride": stride, "padding": padding}
    return Step({"conv1d": fields}, lambda x: F.conv1d(x, weight(x, CHANNELS, (kernel,)), stride=stride, padding=padding))


def pool_line(kernel: int, stride: int, padding: int) -> Step:
    fields = {"kernel_size": kernel, "stride": stride, "padding": padding}
    return Step({"max_pool1d": fields}, lambda x: F.max_pool1d(x, kernel, stride, padding))


def pairs_line(times: int) -> list[Step]:
    run: Call = lambda x: x.reshape(x.shape[0], x.shape[1], exact(x.shape[2], times), times)  # noqa: E731
    return [Step({"unflatten": {"dim": 2, "unflattened_size": [-1, times]}}, run), LINES]


def line(draw: Random) -> list[Step]:
    kernel, stride, padding = draw.randint(1, 4), draw.randint(1, 3), draw.randint(0, 1)
    choices: list[list[Step]] = [
        [conv_line(kernel, stride, padding)],
        [pool_line(max(kernel, 2), stride, padding)],
        [part(draw.choice([None, 1, 2]), draw.choice([None, -1]), draw.choice([None, 2, 3]))],
        [doubled(2)],
        [interleaved(2, 2)],
        pairs_line(draw.randint(2, 3)),
    ]
    return draw.choice(choices)


# Towers --------------------------------------------------------------------------------------------------------------


def alternatives(draw: Random) -> list[list[Step]]:
    """Steps that all do the same to sizes, some of them only where sizes are multiples."""
    kernel, stride, padding = draw.randint(1, 5), draw.randint(1, 4), draw.randint(0, 2)
    n, axis = draw.randint(2, 3), draw.randint(2, 3)
    families: list[list[list[Step]]] = [
        [[conv(kernel, stride, min(padding, kernel // 2))], [pool(kernel, stride, min(padding, kernel // 2), is_mean=bool(draw.randint(0, 1)))]],
        [[conv(1, n)], both(partial(part, None, None, n)), [pool(n, n, is_ceil=True)], [conv(3, n, 1)] if n == 2 else [pool(1, n)]],
        [[pool(n, n)], [conv(n, n)], to_channels(n, n), both(partial(part, n - 1, None, n))],
        [[pool(2, 2), pool(n, n)], [pool(n, n), pool(2, 2)], [conv(2 * n, 2 * n)], [pool(2, 2, is_mean=True), conv(n, n)]],
        [[conv(1, 2), conv(1, n)], [conv(1, 2 * n)], both(partial(part, None, None, 2 * n))],
        [[conv(3)], both(partial(part, 1, -1, None)), [conv(2), conv(2)], [conv(2, dilation=2)], [pool(3)]],
        [[upsample(2)], [doubled(2), doubled(3)], [transposed(2, 2)], from_channels(), [transposed(3, 2, 1, 1)], [upsample(4), pool(2, 2)]],
        [
            [upsample(n), pool(n, n)],
            [],
            [conv(3, 1, 1)],
            [interleaved(axis, n)],
            [HALVES],
            [doubled(axis), part(None, None, 2, axis)],
            [upsample(2), conv(2, 2)],
        ],
        [[pool(2, 2), upsample(2)], [conv(2, 2), transposed(2, 2)], *([[], [conv(3, 1, 1)]] if draw.random() < 0.5 else [])],
        [[part(1, None, 2, axis)], [part(1, None, None, axis), part(None, None, 2, axis)]],
        [[SWAPPED, HALVES, SWAPPED], []],
        [[transposed(kernel, kernel)], [upsample(kernel)], [doubled(2, kernel), doubled(3, kernel)] if kernel > 1 else []],
        [[part(2, -1, None, axis)], [part(1, None, None, axis), part(1, -1, None, axis)], [part(None, -3, None, axis)]],
        [
            [ROWS],
            [LINES, Step({"unsqueeze": {"dim": 3}}, lambda x: x.unsqueeze(3))],
            [LINES_TOO, Step({"unsqueeze": {"dim": -1}}, lambda x: x.unsqueeze(-1))],
        ],
    ]
    return draw.choice(families)


FORMS = ("H", "H", "W", "2*h", "4*h", "16*w", "8*w", "h + 1", "2*h + 1", "2*h - 1", "H + W", "h*w", "3*h", "17", "32", "5")
WHERE = ("H % 2 == 0", "H % 4 == 0", "W % 3 == 0", "H >= 9", "H <= 40", "W % 2 == 0", "h >= 3")


def drawn(seed: int) -> Network:
    """The network of a seed."""
    draw = Random(seed)
    inputs = (draw.choice(FORMS), draw.choice(FORMS))
    symbols = tuple(sorted({letter for form in inputs for letter in form if letter.isalpha()}))
    fitting = [fact for fact in WHERE if fact[0] in symbols]
    where = [draw.choice(fitting)] if fitting and draw.random() < 0.25 else []
    one: list[Step] = []
    groups: list[list[Step]] = []
    for _ in range(draw.randint(1, 3)):
        same = alternatives(draw)
        one += draw.choice(same)
        groups.append(draw.choice(same))
    if draw.random() < 0.3:
        groups.append(draw.choice(alternatives(draw)))
    if draw.random() < 0.3:
        draw.shuffle(groups)
    other = [step for group in groups for step in group]
    if draw.random() < 0.25:
        one, other = [*one, draw.choice((LINES, LINES_TOO))], [*other, draw.choice((LINES, LINES_TOO))]
        for _ in range(draw.randint(0, 2)):
            more = line(draw)
            one += more
            other += more if draw.random() < 0.7 else line(draw)
    join, run = draw.choice(JOINS)
    nodes = [
        {"branches": {"one": [step.text for step in one], "other": [step.text for step in other]}, "merge": join},
    ]
    model: dict[str, Any] = {"inputs": {"x": f"float32[B, {CHANNELS}, {', '.join(inputs)}]"}, "nodes": nodes}
    if where:
        model["where"] = where
    text = json.dumps({"specbuilder": 1, "name": "towers", "blocks": BLOCKS, "model": model})
    return Network(text, inputs, symbols, where[0] if where else "True", lambda x: (through(one, x), through(other, x)), run)


def add(a: Tensor, b: Tensor) -> Tensor:
    """A sum; that tensors of other ranks or both ways must be asked to stretch is no matter of sizes."""
    out = a + b
    if out.shape not in (a.shape, b.shape) or a.ndim != b.ndim:
        raise Empty
    return out


JOINS: tuple[tuple[Any, Callable[[Tensor, Tensor], Tensor]], ...] = (
    ("add", add),
    ({"concat": {"dim": 1}}, lambda a, b: torch.cat([a, b], 1)),
    ({"concat": {"dim": 2}}, lambda a, b: torch.cat([a, b], 2)),
    ({"stack": {"dim": 1}}, lambda a, b: torch.stack([a, b], 1)),
)


def through(steps: Sequence[Step], x: Tensor) -> Tensor:
    for step in steps:
        x = full(step.run(x))
    return x


def full(x: Tensor) -> Tensor:
    if x.numel() == 0:
        raise Empty
    return x


def outcome(network: Network, sizes: Sequence[int]) -> tuple[int, ...] | None:
    """The shape that leaves in torch; None where it refuses, or where a tensor is empty."""
    try:
        return tuple(full(network.join(*network.towers(torch.empty(*sizes, device="meta")))).shape)
    except (RuntimeError, IndexError, Empty):
        return None


def differ(network: Network, sizes: Sequence[int]) -> bool:
    """Whether both towers give something for an input of these sizes, but not of one shape."""
    try:
        a, b = network.towers(torch.empty(*sizes, device="meta"))
    except (RuntimeError, IndexError, Empty):
        return False
    return a.shape != b.shape
