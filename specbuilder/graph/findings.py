"""What the walk finds, told once: mistakes of copies are folded into one, and those within a block say where the block was used.

Between `begin` and `end` findings wait, so that a mistake in all copies of a node is told once and one in some of them with their numbers. Both nest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from specbuilder.diagnostics import Diagnostic, Diagnostics, Related, Span

MOST_SITES = 3
"""How many uses around a mistake are shown."""


class Findings(Diagnostics):
    """Hands on what is found, to whoever collects it all."""

    def __init__(self, onward: Diagnostics) -> None:
        super().__init__()
        self._onward = onward
        self._waiting: list[list[list[Diagnostic]]] = []
        """For each open node with copies or use of a block: the findings of each copy."""

    def add(self, diagnostic: Diagnostic) -> None:
        if self._waiting:
            self._waiting[-1][-1].append(diagnostic)
        else:
            self._onward.add(diagnostic)

    def begin(self) -> None:
        """A node with copies begins, or a use of a block."""
        self._waiting.append([[]])

    def next_copy(self) -> None:
        """From here on, what is found belongs to the next copy."""
        self._waiting[-1].append([])

    def end_copies(self) -> None:
        """All copies are done: hands on what was found in them."""
        copies = self._waiting.pop()
        if not any(copies):
            return
        # What one copy tells twice of a place are two mistakes, which only their words tell apart.
        several = {where for diagnostics in copies for where, count in Counter(map(_where, diagnostics)).items() if count > 1}
        found: dict[tuple[object, ...], dict[int, Diagnostic]] = {}
        for number, diagnostics in enumerate(copies, start=1):
            for diagnostic in diagnostics:
                where = _where(diagnostic)
                found.setdefault((where, diagnostic.message if where in several else ""), {}).setdefault(number, diagnostic)
        for by_copy in found.values():
            self.add(_with_copies(by_copy, len(copies)))

    def end_use(self, title: str, span: Span) -> None:
        """A use of a block is done: what was found in it says that it was used here."""
        for diagnostic in (each for copy in self._waiting.pop() for each in copy):
            if diagnostic.span is None or diagnostic.span == span or len(diagnostic.related) >= MOST_SITES:
                self.add(diagnostic)
            else:
                self.add(diagnostic.replace(related=(*diagnostic.related, Related(span, f"in `{title}`, used here"))))


def _where(diagnostic: Diagnostic) -> tuple[object, ...]:
    span = diagnostic.span
    return (diagnostic.code, span and span.source.name, span and span.start, span and span.end)


def _with_copies(by_copy: Mapping[int, Diagnostic], count: int) -> Diagnostic:
    """The mistake of one place as the first copy has it, with the copies it is in; those go without saying when it is the same in all."""
    (first, diagnostic), *rest = by_copy.items()
    if len(by_copy) == count and all(other.message == diagnostic.message for _, other in rest):
        return diagnostic
    more = f"; {len(rest)} more cop{'y is' if len(rest) == 1 else 'ies are'} wrong here too" if rest else ""
    return diagnostic.replace(message=f"{diagnostic.message} (in copy {first} of {count}{more})")
