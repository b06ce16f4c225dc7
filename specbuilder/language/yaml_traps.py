"""Finds what YAML reads differently from what was meant, before YAML reads it.

One pass over the text, a lenient reading of YAML's own tokens: it knows quotes, comments, brackets and block texts, and reports each trap with its
edit through `Findings`. A text without traps is handed on as it is. Whatever is not understood here is left to the parser.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field

from specbuilder.diagnostics import Diagnostics, Related, Source
from specbuilder.language.scalars import resolve, shortened
from specbuilder.language.yaml_repair import Findings, Repaired

FLOW_DEPTH_AT_MOST = 64
EXPRESSION_AT_MOST = 4000

# ASCII: to YAML only the space, the tab and the line breaks are blank, and only they may be so here.
_SKIP = re.compile(r"(?:[ \t\r\n]+|(?<![^\s])#[^\n]*)*", re.ASCII)
_BLOCK_CUT = re.compile(r"[ \t]*(?:\r?\n|\Z|:(?=\s|\Z))|[ \t]+(?=#)", re.ASCII)
_FLOW_CUT = re.compile(r"[ \t]*(?:[,\[\]{}\r\n]|:(?=\s|\Z)|\Z)|[ \t]+(?=#)", re.ASCII)
_BLOCK_HARD = re.compile(r":(?=\s|\Z)|\s#", re.ASCII)
_FLOW_HARD = re.compile(r"[,\[\]{}]|:(?=\s|\Z)|\s#", re.ASCII)
_UNTIL_COMMENT = re.compile(r"\s*(?:\n|\Z)|\s+#", re.ASCII)
_QUOTED = {'"': re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL), "'": re.compile(r"'[^']*(?:''[^']*)*'")}
_LONG_ESCAPE = re.compile(r"\\(?:U([0-9a-fA-F]{8})|.)", re.DOTALL)
_HEADER = re.compile(r"[|>][-+0-9]*[ \t]*(?:(?<=[ \t])#[^\n]*)?\r?(?:\n|\Z)")
_LINE = re.compile(r"( *)([^\n]*)(?:\n|\Z)")
_ANCHOR = re.compile(r"[^\s,\[\]{}]*", re.ASCII)
_KEY = re.compile(r"([A-Za-z_$][\w$.]*|\"[^\"\n]*\"|'[^'\n]*') *:(?=\s|\Z)", re.ASCII)
_ENTRY_OR_KEY = re.compile(rf"(?:- +)*{_KEY.pattern}|-(?=\s)", re.ASCII)
_GLUED = re.compile(r"([A-Za-z_]\w*):(?![/\\\s:])", re.ASCII)
_WORD = re.compile(r"[A-Za-z_$][\w$.]*")
_NUMBERS = re.compile(r"\(?\s*[\d.]+(?:\s*,\s*[\d.]+)*\s*,?\s*\)?", re.ASCII)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_INVISIBLE = re.compile("[\u00a0\u00ad\u1680\u2000-\u200f\u202f\u205f\u2060\u3000]")
_PARENTHESES = re.compile(r"[()\"']")
_BLANK = ("", " ", "\t", "\n", "\r")


def repair(source: Source, diagnostics: Diagnostics) -> Repaired | None:
    """Reports all traps of a text. None when it is so broken that the parser need not look at it."""
    scan = _Scan(source, source.text, Findings(source, diagnostics))
    scan.run()
    return None if scan.is_hopeless else scan.found.repaired()


@dataclass(slots=True)
class _Bracket:
    """An open `[` or `{` and the entry that is being read in it."""

    sign: str
    start: int
    has_colon: bool = False
    word: tuple[int, int] | None = None
    """The last scalar of the entry, if it is unquoted."""
    last: tuple[int, int] | None = None
    """The value of the entry before, if it is unquoted."""
    comma: int = -1
    parts: int = 0
    """Entries that are rather the rest of a value cut at its commas."""

    @property
    def closing(self) -> str:
        return "]" if self.sign == "[" else "}"

    @property
    def around(self) -> str:
        return f"{self.sign}...{self.closing}"


@dataclass(slots=True)
class _Scan:
    source: Source
    text: str
    found: Findings
    at: int = 0
    parent: int = -1
    """Column of the key or dash that what follows belongs to."""
    is_value: bool = False
    """A key or dash on this line waits for its value."""
    is_entry: bool = False
    """A dash stands directly before."""
    open: list[_Bracket] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    is_hopeless: bool = False

    def run(self) -> None:
        while not self.is_hopeless:
            self._skip()
            if self.at >= len(self.text):
                break
            sign = self.text[self.at]
            self._flow(sign) if self.open else self._block(sign)
        if self.open and not self.is_hopeless:
            self._unclosed(self.open[-1])

    def _stop(self, code: str, message: str, start: int, end: int, **details: object) -> None:
        """A mistake behind which nothing can be trusted."""
        self.found.error(code, message, start, end, **details)
        self.is_hopeless = True

    def _column(self, at: int) -> int:
        return self.source.position(at)[1] - 1

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end

    def _mark(self, start: int, message: str, end: int | None = None) -> tuple[Related]:
        return (Related(span=self.found.span(start, start + 1 if end is None else end), message=message),)

    # Between tokens --------------------------------------------------------------------------------------------------

    def _skip(self) -> None:
        match = _SKIP.match(self.text, self.at)
        assert match is not None
        start, self.at = self.at, match.end()
        if "\t" in match[0]:
            self._tabs(start, self.at)
        if "\n" in match[0]:
            self.is_value = self.is_entry = False

    def _tabs(self, start: int, end: int) -> None:
        """Tabs between tokens are spaces to YAML but unknown to the parser; a tab that indents is a mistake."""
        line = self.text.rfind("\n", start, end)
        tab = self.text.find("\t", line + 1, end)
        if not self.open and end < len(self.text) and tab >= 0 and (line >= 0 or self._column(start) == 0):
            help = 'use spaces; editors call this "convert indentation to spaces"'
            self._stop("SB0101", "a tab indents this line", tab, tab + 1, help=help)
        for tab in re.finditer(r"\t|#[^\n]*", self.text[start:end]):
            if tab[0] == "\t":
                self.found.blank(start + tab.start(), start + tab.end())

    # Tokens that mean the same in block and in flow ------------------------------------------------------------------

    def _shared(self, sign: str) -> bool:
        if sign in "\"'":
            self._quoted(sign)
        elif sign == "&":
            name = self._anchor_name()
            self.anchors.add(name)
            self.at += 1 + len(name)
        elif sign == "!":
            self._tag()
        elif sign == "*":
            self._alias()
        elif sign in "@`%":
            self._unquoted_text(f"a text cannot begin with {'a backtick' if sign == '`' else f'`{sign}`'}")
        else:
            return False
        return True

    def _quoted(self, sign: str) -> None:
        start = self.at
        match = _QUOTED[sign].match(self.text, start)
        end = match.end() if match else len(self.text)
        rest = self.text[end : self._line_end(end)].strip()
        if match is None or ("\n" in match[0] and rest and rest[0] not in ",]}:#"):
            related = self._mark(end - 1, "this one closes it, but the text goes on") if match else ()
            self._stop("SB0113", "this quote is never closed", start, start + 1, related=related, help=f"add `{sign}` where the text ends")
            return
        for escape in _LONG_ESCAPE.finditer(self.text, start, end) if sign == '"' and "\\U" in match[0] else ():
            if escape[1] and int(escape[1], 16) > sys.maxunicode:
                help = "the largest is `\\U0010ffff`; write the character itself"
                self._stop("SB0102", "an escape that is no character", *escape.span(), help=help)
        self.at = end
        self._after_scalar(start, end, is_plain=False)

    def _anchor_name(self) -> str:
        match = _ANCHOR.match(self.text, self.at + 1)
        assert match is not None
        return match[0]

    def _tag(self) -> None:
        tag = "!" + self._anchor_name()
        start, self.at = self.at, self.at + len(tag)
        help = "delete the tag, or put quotes around a text that begins with `!`"
        self.found.error("SB0105", f"tags (`{shortened(tag)}`) are not part of the language", start, self.at, help=help)
        self.found.blank(start, self.at)

    def _alias(self) -> None:
        """A pattern such as `*.bias` is a trap; a name that is only mistyped is told by who knows the anchors."""
        name = self._anchor_name().removesuffix(":")
        if name in self.anchors or (self.anchors and name.replace("-", "").isidentifier()):
            start, self.at = self.at, self.at + 1 + len(name)
            self._after_scalar(start, self.at, is_plain=False)
        else:
            self._unquoted_text("a `*` at the beginning is an alias to YAML, not a pattern")

    def _unquoted_text(self, message: str) -> None:
        start, self.at = self.at, self._plain_end(self.at)
        self.found.wants_quotes(start, self.at, message)
        self._after_scalar(start, self.at, is_plain=False)

    # Block -----------------------------------------------------------------------------------------------------------

    def _block(self, sign: str) -> None:
        at, following = self.at, self.text[self.at + 1 : self.at + 2]
        is_first = self.text[at - 1 : at] in ("", "\n")
        if is_first and self.text[at : at + 3] in ("---", "...") and self.text[at + 3 : at + 4] in _BLANK:
            self.at, self.parent = at + 3, -1
        elif is_first and sign == "%":
            self._directive()
        elif sign == "-" and following in _BLANK:
            self.at, self.parent, self.is_value, self.is_entry = at + 1, self._column(at), True, True
        elif sign in "?:" and following in _BLANK:
            self.at, self.is_value = at + 1, True
        elif sign in "[{":
            self._open(sign)
        elif sign in "]}":
            self._stop("SB0113", f"this `{sign}` closes nothing", at, at + 1, help="delete it, or add the bracket that opens the part")
        elif sign in "|>" and _HEADER.match(self.text, at):
            self._block_text()
        elif not self._shared(sign):
            self._plain()

    def _directive(self) -> None:
        start, self.at = self.at, self._line_end(self.at)
        self.found.error("SB0108", "directives (lines that begin with `%`) are not part of the language", start, self.at, help="delete this line")
        self.found.blank(start, self.at)

    def _block_text(self) -> None:
        """Skips `|` and `>` texts: all lines deeper than the key they belong to."""
        at = self._line_end(self.at) + 1
        while at < len(self.text):
            line = _LINE.match(self.text, at)
            assert line is not None
            if line[2].strip() and len(line[1]) <= self.parent:
                break
            at = max(line.end(), at + 1)
        self.at, self.is_value, self.is_entry = min(at, len(self.text)), False, False

    def _plain(self) -> None:
        start = self.at
        end = self._plain_end(start)
        if self.text.find("$(", start, end) >= 0:
            end = self._expression_end(start, end)
        self.at = end
        if _INVISIBLE.search(self.text, start, end) and self._invisible(start, end) and not self._is_key(end):
            self.is_value = self.is_entry = False
        elif self.open or (self._is_key(end) and (self.is_entry or not self.is_value)):
            self._after_scalar(start, end, is_plain=True)
        elif self._is_key(end):
            self._second_colon(start)
        else:
            self._text_in_block(start, end)

    def _is_key(self, end: int) -> bool:
        rest = self.text[end : end + 200].lstrip(" ")
        return rest.startswith(":") and rest[1:2] in _BLANK

    def _second_colon(self, start: int) -> None:
        """`key: text: more` on one line."""
        match = _UNTIL_COMMENT.search(self.text, start)
        assert match is not None
        help = "put quotes around a text that holds `: `, or begin a new line for the second key"
        self.found.wants_quotes(start, match.start(), "a second `: ` on one line", help=help, grade="likely")
        self.found.is_faithful = False
        self.at, self.is_value, self.is_entry = match.start(), False, False

    def _text_in_block(self, start: int, end: int) -> None:
        """An unquoted text that is no key: deeper lines go on with it, and a key among them shows what is wrong."""
        is_value, is_entry, column = self.is_value, self.is_entry, self._column(start)
        is_key_place = not is_value and (self.parent < 0 or column <= self.parent)
        self.is_value = self.is_entry = False
        if is_key_place and (glued := _GLUED.match(self.text, start, end)):
            self.found.missing_space(start, glued.end())
            self.at, self.parent, self.is_value = start + len(glued[0]), column, True
            return
        floor = column if is_key_place else self.parent
        has_ended, next_line, last = "#" in self.text[end : self._line_end(end)], self._line_end(end) + 1, end
        while next_line < len(self.text):
            line = _LINE.match(self.text, next_line)
            assert line is not None
            below, next_line, body = line.start(2), line.end(), line[2].strip()
            if body.startswith("#"):
                has_ended = True
            elif body and len(line[1]) <= floor:
                if is_key_place and last == end and _KEY.match(self.text, below):
                    self.found.no_key(start, end)
                return
            elif body and (key := _KEY.match(self.text, below)):
                if last == end and (is_entry or not is_value):
                    is_sure = not is_entry or self._column(below) == column
                    self.found.missing_colon(start, end, (below, key.end(1)), is_entry=is_entry, is_sure=is_sure)
                    self.parent = self.parent if is_entry else column
                elif is_value:
                    self.found.too_deep((start, end), (below, key.end(1)), self.parent)
                return
            elif body and has_ended:
                return
            elif body:
                self.at = last = self._cut(below)
            next_line = max(next_line, self._line_end(self.at) + 1)

    def _invisible(self, start: int, end: int) -> bool:
        """Reports characters that look like a space or like nothing, if they change what is read."""
        written = self.text[start:end]
        meant = _INVISIBLE.sub(lambda match: " " if match[0].isspace() else "", written).strip()
        changes = (
            self._is_key(end) or not isinstance(resolve(meant), str) or meant[:1] != written[:1] or meant[-1:] != written[-1:] or _KEY.match(meant)
        )
        found = _INVISIBLE.search(written)
        if not changes or found is None:
            return False
        self.found.invisible(start, end, start + found.start(), meant)
        return True

    # Flow ------------------------------------------------------------------------------------------------------------

    def _open(self, sign: str) -> None:
        if len(self.open) >= FLOW_DEPTH_AT_MOST:
            message = f"more than {FLOW_DEPTH_AT_MOST} brackets in one another"
            self._stop("SB0112", message, self.at, self.at + 1, help="name inner parts as `blocks`")
            return
        if self.open:
            self.open[-1].word = None
        self.open.append(_Bracket(sign, self.at))
        self.at += 1

    def _flow(self, sign: str) -> None:
        bracket, is_alone = self.open[-1], self.text[self.at + 1 : self.at + 2] in _BLANK
        if sign in "[{":
            self._open(sign)
        elif sign in "]}":
            self._close(sign, bracket)
        elif sign == ",":
            self._end_entry(bracket)
            bracket.comma = self.at
            self.at += 1
        elif sign == ":" and (is_alone or not bracket.has_colon):
            bracket.has_colon, bracket.word = True, None
            self.at += 1
        elif not self._left_open():
            if sign in "-?" and is_alone:
                self.at += 1
            elif not self._shared(sign):
                self._plain()

    def _left_open(self) -> bool:
        """Whether this line rather belongs to the block around: brackets before it were never closed."""
        column = self._column(self.at)
        if column > self.parent or self.text[self.at - column : self.at].strip() or not _ENTRY_OR_KEY.match(self.text, self.at):
            return False
        self._unclosed(self.open[-1], self.at)
        self.open.clear()
        self.is_value = self.is_entry = False
        return True

    def _unclosed(self, bracket: _Bracket, until: int | None = None) -> None:
        related = () if until is None else self._mark(until, "still open here", self._line_end(until))
        help = f"add `{bracket.closing}` where the {'list' if bracket.sign == '[' else 'mapping'} ends"
        self.found.error("SB0113", f"this `{bracket.sign}` is never closed", bracket.start, bracket.start + 1, related=related, help=help)
        self.found.is_faithful = False

    def _close(self, sign: str, bracket: _Bracket) -> None:
        if sign != bracket.closing:
            related = self._mark(bracket.start, "opened here")
            self._stop(
                "SB0113", f"`{sign}` cannot close `{bracket.sign}`", self.at, self.at + 1, related=related, help=f"close it with `{bracket.closing}`"
            )
            return
        self._end_entry(bracket)
        self._end_parts(bracket)
        self.open.pop()
        self.at += 1
        self._after_scalar(bracket.start, self.at, is_plain=False)

    def _end_entry(self, bracket: _Bracket) -> None:
        """In `{...}`, an entry without `:` may be the rest of a value that was cut at its comma."""
        word, had_colon = bracket.word, bracket.has_colon
        bracket.word, bracket.has_colon = None, False
        if bracket.sign == "[":
            return
        if had_colon or word is None:
            self._end_parts(bracket)
            bracket.last = word
            return
        start, end = word
        is_glued = bracket.comma >= 0 and self.text[bracket.comma + 1 : bracket.comma + 2] not in _BLANK
        if glued := _GLUED.match(self.text, start, end):
            self.found.missing_space(start, glued.end())
            self._end_parts(bracket)
            bracket.last = (glued.end(), end)
        elif bracket.last is not None and (is_glued or bracket.parts or not _WORD.fullmatch(self.text, start, end)):
            bracket.last, bracket.parts = (bracket.last[0], end), bracket.parts + 1

    def _end_parts(self, bracket: _Bracket) -> None:
        if not bracket.parts or bracket.last is None:
            return
        (start, end), bracket.parts = bracket.last, 0
        message = "inside `{...}` a comma ends the value, so this would become two keys"
        written = self.text[start:end]
        if not _NUMBERS.fullmatch(written):
            self.found.wants_quotes(start, end, message)
            return
        is_one = _THOUSANDS.fullmatch(written) is not None
        fixed = written.replace(",", "_") if is_one else f"[{', '.join(re.findall(r'[0-9.]+', written))}]"
        help = f"write {'the number as' if is_one else 'a list:'} `{fixed}`"
        self.found.error("SB0114", message, start, end, help=help, fixes=self.found.fix(help, start, end, fixed, "likely"))
        self.found.cover(start, end)
        self.found.is_faithful = False

    # Scalars ---------------------------------------------------------------------------------------------------------

    def _after_scalar(self, start: int, end: int, *, is_plain: bool) -> None:
        """Books a finished scalar: as a key if a `:` follows, as a value otherwise."""
        if self.open:
            bracket = self.open[-1]
            # A second unquoted piece without a comma between is the same scalar, on its next line.
            bracket.word = (bracket.word[0] if bracket.word else start, end) if is_plain else None
        elif self._is_key(end):
            self.at = self.text.index(":", end) + 1
            self.parent, self.is_value, self.is_entry = self._column(start), True, False
        else:
            self.is_value = self.is_entry = False

    def _cut(self, at: int) -> int:
        match = (_FLOW_CUT if self.open else _BLOCK_CUT).search(self.text, at)
        assert match is not None
        return match.start()

    def _plain_end(self, start: int) -> int:
        """Where YAML ends an unquoted scalar, within its line."""
        end = self._cut(start + 1)
        return self._typed(start, end) if self.open and self.text[end : end + 1] == "[" else end

    def _typed(self, start: int, bracket: int) -> int:
        """`float32[B, 3]` or `w[i]` inside of `{...}` or `[...]`: one value to the reader, a list to YAML."""
        if "$(" in self.text[start:bracket]:
            return bracket
        depth = 0
        for at in range(bracket, min(self._line_end(bracket), bracket + EXPRESSION_AT_MOST)):
            depth += {"[": 1, "]": -1}.get(self.text[at], 0)
            if depth == 0:
                end = self._cut(at + 1)
                self.found.wants_quotes(start, end, f"inside `{self.open[-1].around}` a `[` begins a list, so this is no single value")
                return end
        return bracket

    def _expression_end(self, start: int, end: int) -> int:
        """Reports an expression that YAML cuts; gives where the scalar really ends."""
        hard, what = _FLOW_HARD if self.open else _BLOCK_HARD, ""
        at = self.text.find("$(", start, end)
        while at >= 0:
            close = _balanced(self.text, at + 1)
            if close is None:
                return self._open_expression(at, end) if self.open else end
            cut = hard.search(self.text, at, close)
            if cut is not None and not self.open and "\n" in self.text[at:close]:
                return end
            if cut is not None:
                what = what or self._what_cuts(cut[0].strip())
            if close > end:
                end = self._cut(close)
            at = self.text.find("$(", close, end)
        if what:
            self.found.wants_quotes(start, end, what)
        return end

    def _what_cuts(self, sign: str) -> str:
        around = self.open[-1].around if self.open else ""
        words = {
            "#": "YAML takes ` #` for a comment, so this expression is cut",
            ",": f"inside `{around}` a comma ends the value, so this expression is cut",
            ":": "YAML takes `: ` for a key, so this expression is cut",
        }
        return words.get(sign, f"inside `{around}` a `{sign}` has a meaning of its own, so this expression is cut")

    def _open_expression(self, at: int, end: int) -> int:
        self.found.error("SB0113", "this `$(` is never closed", at, at + 2, help="add `)` where the expression ends")
        self.found.is_faithful = False
        return end


def _balanced(text: str, start: int) -> int | None:
    """The place behind the `)` that closes the `(` at `start`; quotes inside the expression hide theirs."""
    depth, at, stop = 0, start, start + EXPRESSION_AT_MOST
    while (match := _PARENTHESES.search(text, at, stop)) is not None:
        sign, at = match[0], match.end()
        if sign in "\"'":
            close = text.find(sign, at, stop)
            if close < 0:
                return None
            at = close + 1
        else:
            depth += 1 if sign == "(" else -1
            if depth == 0:
                return at
    return None
