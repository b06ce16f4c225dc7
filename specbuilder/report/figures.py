"""Numbers as people read them."""

from __future__ import annotations

from specbuilder.shapes import Dim


def count(number: Dim) -> str:
    """`2,721,354`; a symbolic number as its formula."""
    return f"{number:,}" if isinstance(number, int) else str(number)


def plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def large(number: float) -> str:
    """`87.0 M`, three digits."""
    for unit in ("", " k", " M", " G", " T"):
        if abs(number) < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:,.0f} P"


def duration(seconds: float) -> str:
    """`0.8 s`, `45 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
