"""How a diagnostic is shown where its line or its place is unusual; usual ones are shown by the golden files of the cases."""

from __future__ import annotations

import pytest

from specbuilder.diagnostics import LINE_SHOWN_AT_MOST, Diagnostic, Source, Span, render


def shown(text: str, start: int, end: int) -> tuple[str, str]:
    """The line that is shown, and what the carets stand under."""
    *_, line, carets = render(Diagnostic("SB0102", "wrong", Span(Source("a.yaml", text), start, end))).splitlines()
    line, carets = line.removeprefix("1 | "), carets.removeprefix("  | ")
    return line, line[len(carets) - len(carets.lstrip()) : len(carets)]


LONG = f"{'a' * 2000}WRONG{'b' * 3000}"


@pytest.mark.parametrize(
    ("text", "start", "end", "marked", "begins", "ends"),
    [
        ("a: WRONG", 3, 8, "WRONG", "a: ", "WRONG"),
        (f"{'a' * (LINE_SHOWN_AT_MOST - 5)}WRONG", LINE_SHOWN_AT_MOST - 5, LINE_SHOWN_AT_MOST, "WRONG", "aaa", "aaaWRONG"),
        (LONG, 2000, 2005, "WRONG", "...aaa", "bbb..."),
        (LONG, 0, 5, "aaaaa", "aaa", "aaa..."),
        (LONG, 5000, 5005, "bbbbb", "...bbb", "bbb"),
        (LONG, 5005, 5005, "", "...bbb", "bbb"),
        (LONG, 2000, 5005, "WRONG" + "b" * 102, "...aaa", "bbb..."),
    ],
)
def test_of_a_long_line_the_part_around_the_mark_is_shown(text: str, start: int, end: int, marked: str, begins: str, ends: str) -> None:
    line, found = shown(text, start, end)
    assert found == marked
    assert line.startswith(begins)
    assert line.endswith(ends)
    assert len(line) <= LINE_SHOWN_AT_MOST + 6


def test_wide_characters_before_the_mark_take_two_columns() -> None:
    *_, line, carets = render(Diagnostic("SB0102", "wrong", Span(Source("a.yaml", f"{'字' * 500}WRONG"), 500, 505))).splitlines()
    assert line == f"1 | ...{'字' * 155}WRONG"
    assert carets == f"  | {' ' * (3 + 2 * 155)}^^^^^"
