"""YAML text to located nodes: the events of ruamel.yaml, composed by us.

Of ruamel only the scanner and the parser are used: what a scalar means is said by `scalars`, and its constructor, which can be made to build objects,
is never imported by name. Composing on the stream of events puts every guard (depth, aliases) before the work it guards. What YAML reads differently
from what was meant is found in the text first (`yaml_traps`) and repaired, so that one trap is one error and reading goes on behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent, MappingEndEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent, StreamEndEvent
from ruamel.yaml.parser import Parser
from ruamel.yaml.reader import Reader
from ruamel.yaml.scanner import Scanner

from specbuilder.diagnostics import Diagnostics, Related, Source, Span, did_you_mean
from specbuilder.language.document import BROKEN, Broken, Mapping, Node, Scalar, Sequence
from specbuilder.language.keys import duplicate_key, undisguised
from specbuilder.language.scalars import NumberProblem, resolve, shortened
from specbuilder.language.yaml_repair import Repaired
from specbuilder.language.yaml_traps import repair
from specbuilder.language.yaml_wording import syntax_error

DEPTH_AT_MOST = 64
COPIES_AT_MOST = 10_000
"""Nodes that aliases may add to those written."""


class Unreadable(Exception):
    """Reading cannot go on; why has been reported."""


def read_yaml(source: Source, diagnostics: Diagnostics) -> Node | None:
    """The root node; None when what was reported leaves nothing to go on with."""
    repaired = repair(source, diagnostics)
    if repaired is None:
        return None
    composer = _Composer(source, repaired, diagnostics)
    try:
        root = composer.document()
    except Unreadable:
        return None
    except MarkedYAMLError as error:
        # After a trap the parser's complaint is most likely about the same thing.
        if not repaired.found_any:
            syntax_error(source, error, repaired, diagnostics)
        return None
    return root if repaired.is_faithful else None


class _Events(Reader, Scanner, Parser):
    """ruamel's reader, scanner and parser in one object that is its own loader."""

    processing_version = (1, 2)
    comment_handling = None

    def __init__(self, text: str) -> None:
        self.loader = self
        self._reader = self._scanner = self._parser = self._resolver = self
        Reader.__init__(self, text, loader=self)
        Scanner.__init__(self, loader=self)
        Parser.__init__(self, loader=self)


@dataclass(slots=True)
class _Anchor:
    span: Span
    node: Node | None = None
    """None while the node itself is being read."""
    size: int = 1


@dataclass(slots=True)
class _Composer:
    source: Source
    repaired: Repaired
    diagnostics: Diagnostics
    events: Any = None
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    nodes: int = 0
    copies: int = 0

    def document(self) -> Node | None:
        self.events = _Events(self.repaired.text)
        self.events.get_event()  # the start of the stream
        if self.events.check_event(StreamEndEvent):
            return None
        self.events.get_event()  # the start of the document
        root = self._node(0)
        self.events.get_event()
        if not self.events.check_event(StreamEndEvent):
            self._second_document(self.events.peek_event())
        return root

    def _second_document(self, event: Any) -> None:
        start = self._offset(event.start_mark)
        self.diagnostics.error(
            "SB0108",
            "a second document begins here",
            Span(self.source, start, start + 3),
            help="a spec is one document; put the second into a file of its own",
        )

    def _offset(self, mark: Any) -> int:
        return self.repaired.original(mark.index)

    def _node(self, depth: int) -> Node:
        event = self.events.get_event()
        if type(event) is AliasEvent:
            return self._alias(event)
        self.nodes += 1
        if depth > DEPTH_AT_MOST:
            start = self._offset(event.start_mark)
            self.diagnostics.error(
                "SB0112",
                f"more than {DEPTH_AT_MOST} levels of lists and mappings in one another",
                Span(self.source, start, start + 1),
                help="name inner parts as `blocks`",
            )
            raise Unreadable
        anchor = self._anchor(event) if event.anchor is not None else None
        before = self.nodes + self.copies
        if type(event) is ScalarEvent:
            node: Node = self._scalar(event)
        elif type(event) is SequenceStartEvent:
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if anchor is not None:
            anchor.node, anchor.size = node, self.nodes + self.copies - before + 1
        return node

    def _scalar(self, event: Any) -> Scalar:
        start, end = self._offset(event.start_mark), self._offset(event.end_mark)
        if event.anchor is not None:
            start = self._after_anchor(start, end)
        span, written = Span(self.source, start, end), self.source.text
        if event.style is None:
            kept = self.repaired.kept.get(start)
            text = written[start:end]
            if kept is not None:
                return Scalar(" ".join(text.split()), span, text, start, True)
            value = resolve(event.value)
            if isinstance(value, NumberProblem):
                self.diagnostics.error("SB0110", value.message, span, help=value.help)
                value = BROKEN
            return Scalar(value, span, text, start, True)
        if event.style in "|>":
            return self._block_text(event, start, end)
        return Scalar(self._text(event.value, span), span, written[start + 1 : end - 1], start + 1, False)

    def _block_text(self, event: Any, start: int, end: int) -> Scalar:
        written = self.source.text
        end = start + len(written[start:end].rstrip())
        line = written.find("\n", start, end) + 1 or end
        content = line + len(written[line:end]) - len(written[line:end].lstrip())
        return Scalar(event.value, Span(self.source, start, end), written[content:end], content, False)

    def _text(self, value: str, span: Span) -> str | Broken:
        """Joins escaped halves (`\\ud83d\\ude00`) as JSON does; half a character alone is refused."""
        if value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value):
            return value
        try:
            return value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self.diagnostics.error(
                "SB0111", "this text holds half of a character", span, help="`\\ud800` to `\\udfff` come in pairs; write the character itself"
            )
            return BROKEN

    def _sequence(self, event: Any, depth: int) -> Sequence:
        items, take = [], self.events
        while not take.check_event(SequenceEndEvent):
            items.append(self._node(depth + 1))
        return Sequence(tuple(items), self._collection(event, take.get_event(), items[-1].span.end if items else 0))

    def _mapping(self, event: Any, depth: int) -> Mapping:
        entries: dict[str, tuple[Scalar, Node]] = {}
        take, last = self.events, 0
        while not take.check_event(MappingEndEvent):
            key = self._node(depth + 1)
            value = self._node(depth + 1)
            last = max(key.span.end, value.span.end)
            if isinstance(value, Scalar) and value.value is None and not value.text:
                # Nothing is written: the parser puts it where the next token begins, lines below.
                value = value.replace(span=key.span, content=key.span.start)
            key = self._key(key)
            name = str(key.value)
            if (first := entries.setdefault(name, (key, value))[0]) is not key:
                duplicate_key(name, key.span, first.span, self.diagnostics)
        return Mapping(tuple(entries.values()), self._collection(event, take.get_event(), last))

    def _collection(self, start: Any, end: Any, last: int) -> Span:
        """From bracket to bracket; a block ends with its last line, not where the next key begins."""
        first = self._offset(start.start_mark)
        if start.anchor is not None:
            first = self._after_anchor(first, self._offset(end.end_mark))
        return Span(self.source, first, self._offset(end.end_mark) if start.flow_style else max(last, first))

    def _after_anchor(self, start: int, end: int) -> int:
        text = self.source.text
        while start < end and text[start] == "&":
            while start < end and not text[start].isspace():
                start += 1
            while start < end and text[start].isspace():
                start += 1
        return start

    def _key(self, key: Node) -> Scalar:
        """The key as a text. What cannot be one is told, and stands for itself: nobody knows a key of that name."""
        if not isinstance(key, Scalar):
            return self._no_key("a key is a text, but this is a list or a mapping", key, "put quotes around a text that has brackets")
        if key.plain and key.value == "<<":
            message = "merge keys (`<<`) are not part of the language"
            return self._no_key(message, key, "write the keys out, or make the common part a block or a variable", code="SB0106")
        if isinstance(key.value, str):
            if key.value.isascii():
                return key
            return key.replace(value=undisguised(key.value, key.span, self.diagnostics))
        if key.value is BROKEN:
            return key.replace(value=key.text)
        if not key.text:
            here = key.replace(span=Span(self.source, key.span.start, key.span.start + 1))
            return self._no_key("there is no key before this `:`", here, "write `key: value`")
        what = {bool: "a boolean", type(None): "nothing"}.get(type(key.value), "a number")
        text = shortened(key.text)
        # `{4}`: to YAML a key without a value.
        is_alone = not self.source.text[key.span.end : key.span.end + 100].lstrip().startswith(":")
        help = f"write `{{name: {text}}}`, or `{text}` without the braces" if is_alone else f'put quotes around it: `"{text}"`'
        return self._no_key(f"a key is a text, but `{text}` is {what}", key, help)

    def _no_key(self, message: str, key: Node, help: str, *, code: str = "SB0104") -> Scalar:
        self.diagnostics.error(code, message, key.span, help=help)
        return Scalar(key.span.text, key.span, key.span.text, key.span.start, False)

    def _anchor(self, event: Any) -> _Anchor:
        start = self._offset(event.start_mark)
        span = Span(self.source, start, start + len(event.anchor) + 1)
        if (first := self.anchors.get(event.anchor)) is not None:
            related = (Related(span=first.span, message="first here"),)
            self.diagnostics.error("SB0107", f"the anchor `&{event.anchor}` stands twice", span, related=related, help="give the second another name")
        self.anchors[event.anchor] = anchor = _Anchor(span)
        return anchor

    def _alias(self, event: Any) -> Node:
        name, start, end = event.anchor, self._offset(event.start_mark), self._offset(event.end_mark)
        span = Span(self.source, start, end)
        anchor = self.anchors.get(name)
        if anchor is None:
            help = did_you_mean(name, self.anchors) or "`*name` repeats what `&name` marked further up; put quotes around a text that begins with `*`"
            self.diagnostics.error("SB0107", f"`*{name}` repeats an anchor that does not exist", span, help=help)
            return Scalar(BROKEN, span, span.text, start, True)
        if anchor.node is None:
            related = (Related(span=anchor.span, message="marked here"),)
            self.diagnostics.error("SB0107", f"`*{name}` stands inside of what it repeats", span, related=related, help="write the part out")
            return Scalar(BROKEN, span, span.text, start, True)
        self.copies += anchor.size
        if self.copies > COPIES_AT_MOST:
            self.diagnostics.error(
                "SB0107", f"aliases add more than {COPIES_AT_MOST} values to this spec", span, help="write repeated parts as `blocks` with `repeat`"
            )
            raise Unreadable
        return anchor.node
