"""What a model says of its inputs, a line each: for a classifier the most probable classes, else the numbers. Pure text; `cli` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NEXT = 2
"""Classes after the first that a line names."""
SHOWN = 8
"""Numbers of an output that a line shows."""


def table(predictions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of what `Prediction.as_json` gives."""
    is_classifier = all("class" in each for each in predictions)
    rows = [("input", "class", "probability", "next") if is_classifier else ("input", "output")]
    rows += [
        (each["input"], *(_classes(each["scores"], str(each["class"])) if is_classifier else (_numbers(each["output"]),))) for each in predictions
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _classes(scores: Mapping[str, float], best: str) -> tuple[str, str, str]:
    others = sorted((name for name in scores if name != best), key=lambda name: -scores[name])
    return best, f"{scores[best]:.2%}", ", ".join(f"{name} {scores[name]:.2%}" for name in others[:NEXT])


def _numbers(output: Any) -> str:
    """All of a few; of many, the shape and the first."""
    shape, inner = [], output
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    flat = [number for number, _ in zip(_flat(output), range(SHOWN), strict=False)]
    text = "  ".join(f"{number:.6g}" if isinstance(number, float) else str(number) for number in flat)
    total = 1
    for size in shape:
        total *= size
    return text if len(shape) <= 1 and total <= SHOWN else f"[{', '.join(map(str, shape))}]  {text}{'  ...' if total > SHOWN else ''}"


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    else:
        yield value
