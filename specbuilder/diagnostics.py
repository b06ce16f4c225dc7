"""What the user is told when something is wrong: where, what, why, and how to repair it.

In: spans of a source text and plain words. Out: `Diagnostic` values, their text form, their JSON form.
Stages put diagnostics into a `Diagnostics` collector and go on, so that one run reports every independent mistake.
Nothing here prints or exits; `cli` does. The text form and the JSON form come from the same object.
"""

from __future__ import annotations

import difflib
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal

from specbuilder.records import Record

Severity = Literal["error", "warning", "note"]

FAMILIES = {
    "01": "text",
    "02": "fields",
    "03": "graph",
    "04": "shapes",
    "05": "types and values",
    "06": "resources",
    "07": "plan",
    "08": "data",
    "09": "files and checkpoints",
    "10": "security",
    "11": "running",
}
"""The two digits after `SB` name the family of a code: SB0401 is about shapes."""

SHOWN_AT_MOST = 50
LINE_SHOWN_AT_MOST = 160
"""Characters of a source line; of a longer one, the part around what is marked is shown."""


class Source(Record):
    """A text and the name that messages call it by."""

    name: str
    text: str

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Offset of the first character of each line. Only newline characters end a line."""
        starts = [0]
        find = self.text.find
        at = find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return tuple(starts)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted in characters from 1."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, without its line break."""
        starts = self.line_starts
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r")


class Span(Record):
    """A range of characters of a source; `end` is exclusive."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    def inside(self, start: int, end: int) -> Span:
        """The part from `start` to `end`, counted from this span's start."""
        return Span(self.source, self.start + start, min(self.start + max(end, start + 1), self.end))


class Fix(Record):
    """An edit that repairs the mistake: replace the text of `span` by `text`."""

    title: str
    span: Span
    text: str
    grade: Literal["safe", "likely", "template"] = "likely"


class Related(Record):
    """Another place that belongs to the same mistake, with what it has to do with it."""

    span: Span
    message: str


class Diagnostic(Record):
    """One mistake, said once."""

    code: str
    message: str
    span: Span | None = None
    severity: Severity = "error"
    path: str = ""
    chain: tuple[str, ...] = ()
    related: tuple[Related, ...] = ()
    help: str | None = None
    fixes: tuple[Fix, ...] = ()

    @property
    def sort_key(self) -> tuple[str, int, int, str]:
        if self.span is None:
            return ("", -1, -1, self.code)
        return (self.span.source.name, self.span.start, self.span.end, self.code)


class Diagnostics:
    """Collects what the stages find. One origin reports one mistake once, however many copies of it there are."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], Diagnostic] = {}
        self._copies: dict[tuple[object, ...], int] = {}
        self._settled: dict[str, tuple[list[int], list[int]]] = {}
        """By source, where settled places begin, in order, and where the last of those up to there ends."""
        self._quiet = 0

    def add(self, diagnostic: Diagnostic) -> None:
        span = diagnostic.span
        if span is not None and self._settled and self._is_settled(span):
            self._quiet += diagnostic.severity == "error"
            return
        where = (span.source.name, span.start, span.end) if span else None
        key = (diagnostic.code, diagnostic.message, where)
        self._found.setdefault(key, diagnostic)
        self._copies[key] = self._copies.get(key, 0) + 1

    def error(self, code: str, message: str, span: Span | None = None, **details: Any) -> None:
        """Adds an error. `details` are the fields of `Diagnostic`: help, path, chain, related, fixes."""
        self.add(Diagnostic(code=code, message=message, span=span, **details))

    def warning(self, code: str, message: str, span: Span | None = None, **details: Any) -> None:
        self.add(Diagnostic(code=code, message=message, span=span, severity="warning", **details))

    def settle(self) -> None:
        """Makes what has been told so far the last word on its places: whatever else is found there follows from it, and is not said."""
        places: dict[str, list[tuple[int, int]]] = {}
        for found in self._found.values():
            if found.severity == "error" and found.span is not None:
                places.setdefault(found.span.source.name, []).append((found.span.start, max(found.span.end, found.span.start + 1)))
        for name, spans in places.items():
            spans.sort()
            self._settled[name] = [start for start, _ in spans], list(accumulate((end for _, end in spans), max))

    def _is_settled(self, span: Span) -> bool:
        starts, ends = self._settled.get(span.source.name, ([], []))
        before = bisect_left(starts, max(span.end, span.start + 1))
        return before > 0 and ends[before - 1] > span.start

    def __iter__(self) -> Iterator[Diagnostic]:
        """All findings in the order of their place in the text; copies of one origin are folded and counted."""
        folded = (
            found.replace(message=f"{found.message} (in {self._copies[key]} copies)") if self._copies[key] > 1 else found
            for key, found in self._found.items()
        )
        return iter(sorted(folded, key=lambda found: found.sort_key))

    def __len__(self) -> int:
        return len(self._found)

    @property
    def errors(self) -> int:
        """How many errors there are, unsaid ones included; a stage that compares before and after knows whether it found any itself."""
        return self._quiet + sum(found.severity == "error" for found in self._found.values())

    @property
    def has_errors(self) -> bool:
        return self.errors > 0

    def raise_errors(self) -> None:
        """Ends a stage: raises `SpecError` with everything found if any of it is an error."""
        if self.has_errors:
            raise SpecError(tuple(self))


def strictly(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """With every warning as the error that `--strict` makes of it, and says so."""
    return tuple(
        found.replace(severity="error", message=f"{found.message} (an error because of `--strict`)") if found.severity == "warning" else found
        for found in diagnostics
    )


class SpecbuilderError(Exception):
    """What a user of the Python interface catches. Carries the diagnostics and the exit code of the command line."""

    exit_code = 1

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    @classmethod
    def of(cls, code: str, message: str, span: Span | None = None, **details: Any) -> SpecbuilderError:
        """An error of one diagnostic."""
        return cls([Diagnostic(code=code, message=message, span=span, **details)])

    def __str__(self) -> str:
        return render_all(self.diagnostics)


class RunError(SpecbuilderError):
    """A run that started and failed: exit 1."""


class UsageError(SpecbuilderError):
    """The command line or the call is wrong, or the file it names cannot be read: exit 2."""

    exit_code = 2


class SpecError(SpecbuilderError):
    """The spec is invalid: exit 3."""

    exit_code = 3


class ResourceError(SpecbuilderError):
    """A device, memory, or an optional package is missing: exit 4."""

    exit_code = 4


class DataError(SpecbuilderError):
    """The data is absent, unreadable or not what the spec says: exit 5."""

    exit_code = 5


class CheckError(SpecbuilderError):
    """A promise written in `expect` does not hold: exit 6."""

    exit_code = 6


class InternalError(Exception):
    """A mistake of ours, never of the user: names the stage and the node."""

    def __init__(self, stage: str, message: str, node: str = "") -> None:
        at = f" at node `{node}`" if node else ""
        super().__init__(f"internal error in stage {stage}{at}: {message}. This is a bug in specbuilder; please report it with the spec.")


def suggest(word: str, known: Iterable[str], *, aliases: dict[str, str] | None = None) -> tuple[str, ...]:
    """At most two known words that `word` was likely meant to be; none rather than a silly one."""
    known = list(known)
    if aliases and (alias := aliases.get(word.lower())) in known:
        return (alias,)
    plain = {_plain(name): name for name in known}
    if (same := plain.get(_plain(word))) is not None:
        return (same,)
    close = difflib.get_close_matches(_plain(word), plain, n=2, cutoff=0.72)
    return tuple(plain[name] for name in close)


def did_you_mean(word: str, known: Iterable[str], *, aliases: dict[str, str] | None = None) -> str | None:
    """The suggestion as a help text, or None."""
    found = suggest(word, known, aliases=aliases)
    return f"did you mean {' or '.join(f'`{name}`' for name in found)}?" if found else None


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "").replace(" ", "")


# Text form -----------------------------------------------------------------------------------------------------------

_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "note": "\x1b[1;36m"}
_BOLD, _BLUE, _RESET = "\x1b[1m", "\x1b[1;34m", "\x1b[0m"


def visible(text: str) -> str:
    """The text with control and invisible characters written as escapes, so that a spec cannot drive the terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible_character(character) for character in text)


def _visible_character(character: str) -> str:
    if character.isprintable() or character == "\u3000":
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _width(text: str) -> int:
    """Columns of a terminal that the text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def render(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """The text form: headline, place, source line with carets, chain of causes, help."""

    paint = _painter(colour)
    headline = paint(_COLOURS[diagnostic.severity], f"{diagnostic.severity}[{diagnostic.code}]")
    lines = [f"{headline}{paint(_BOLD, ': ' + visible(diagnostic.message))}"]
    gutter = " " * len(str(max([s.line for s in _spans(diagnostic)], default=1)))
    if diagnostic.span is not None:
        lines += _excerpt(diagnostic.span, gutter, "", paint)
    for related in diagnostic.related:
        lines += _excerpt(related.span, gutter, related.message, paint)
    mark = paint(_BLUE, f"{gutter} =")
    if diagnostic.chain:
        lines.append(f"{mark} shapes: {' -> '.join(visible(link) for link in diagnostic.chain)}")
    if diagnostic.help:
        lines.append(f"{mark} help: {visible(diagnostic.help)}")
    return "\n".join(lines)


def render_places(places: Sequence[Related], *, colour: bool = False) -> str:
    """Places of a text as diagnostics show them, for what is no mistake."""
    gutter = " " * len(str(max([place.span.line for place in places], default=1)))
    return "\n".join(line for place in places for line in _excerpt(place.span, gutter, place.message, _painter(colour)))


def _painter(colour: bool) -> Callable[[str, str], str]:
    return (lambda code, text: f"{code}{text}{_RESET}") if colour else (lambda _, text: text)


def _spans(diagnostic: Diagnostic) -> list[Span]:
    return ([diagnostic.span] if diagnostic.span else []) + [related.span for related in diagnostic.related]


def _excerpt(span: Span, gutter: str, label: str, paint: Callable[[str, str], str]) -> list[str]:
    number, column = span.source.position(span.start)
    text, start, end = _part_shown(span.source.line(number), column - 1, column - 1 + max(span.end - span.start, 1))
    before, marked = text[:start], text[start:end]
    # A tab in the source stays one character wide, so the caret line is built from what is shown, not from offsets.
    shown, indent = visible(text.replace("\t", " ")), _width(visible(before.replace("\t", " ")))
    carets = "^" * max(_width(visible(marked.replace("\t", " "))), 1)
    name = f"{gutter}--> {visible(span.source.name)}:{number}:{column}"
    bar = paint(_BLUE, f"{gutter} |")
    return [
        paint(_BLUE, name),
        bar,
        f"{paint(_BLUE, f'{number:>{len(gutter)}} |')} {shown}",
        f"{bar} {' ' * indent}{paint(_COLOURS['error'] if not label else _BLUE, carets)}{' ' + visible(label) if label else ''}",
    ]


def _part_shown(line: str, start: int, end: int) -> tuple[str, int, int]:
    """What is shown of a line, and where in it the marked part begins and ends."""
    if len(line) <= LINE_SHOWN_AT_MOST:
        return line, start, end
    first = max(min(start - LINE_SHOWN_AT_MOST // 3, len(line) - LINE_SHOWN_AT_MOST), 0)
    last = first + LINE_SHOWN_AT_MOST
    shown = f"{'...' if first else ''}{line[first:last]}{'...' if last < len(line) else ''}"
    shift = first - (3 if first else 0)
    return shown, start - shift, min(end, last) - shift


def render_all(diagnostics: Sequence[Diagnostic], *, colour: bool = False) -> str:
    """All diagnostics as text, at most `SHOWN_AT_MOST` of them, and a count of the rest."""
    shown = [render(diagnostic, colour=colour) for diagnostic in diagnostics[:SHOWN_AT_MOST]]
    rest = len(diagnostics) - len(shown)
    return "\n\n".join(shown) + (f"\n\nand {rest} more" if rest else "")


def as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """The JSON form; versioned by the document that carries it."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "range": range_as_json(diagnostic.span),
        "path": diagnostic.path,
        "chain": list(diagnostic.chain),
        "related": [{"message": related.message, "range": range_as_json(related.span)} for related in diagnostic.related],
        "help": diagnostic.help,
        "fixes": [{"title": fix.title, "range": range_as_json(fix.span), "text": fix.text, "grade": fix.grade} for fix in diagnostic.fixes],
    }


def range_as_json(span: Span | None) -> dict[str, Any] | None:
    """Where a span begins and ends, as the JSON forms have it."""
    if span is None:
        return None
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"file": span.source.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column}
