"""Text to `Document`: located nodes, or everything that keeps the text from being read.

Looks at bytes, size and characters, then hands the text to `read_yaml` or, by the suffix of the name, to `read_json`. What keys mean is left to
`decode`. No text can make this slow or raise: guards come before the work they guard, and every mistake is a diagnostic.
"""

from __future__ import annotations

import hashlib
import re

from specbuilder.diagnostics import Diagnostics, Source, Span, SpecError
from specbuilder.language.document import Document, Mapping, Node, Scalar, Sequence

CODES = {
    "SB0101": "a tab in the indentation",
    "SB0102": "not readable as YAML",
    "SB0103": "a key stands twice",
    "SB0104": "a key that is no text",
    "SB0105": "a tag",
    "SB0106": "a merge key",
    "SB0107": "an anchor or alias that leads nowhere",
    "SB0108": "more than one document, or a directive",
    "SB0109": "no mapping at the top",
    "SB0110": "a number that cannot be held",
    "SB0111": "bytes or characters that have no place in a spec",
    "SB0112": "too large or too deep",
    "SB0113": "a bracket or quote without its partner",
    "SB0114": "a text that needs quotes",
    "SB0115": "a colon or the space behind it is missing",
    "SB0116": "not readable as JSON",
}
"""Every code of reading; the messages say more."""

SIZE_AT_MOST = 4 * 2**20
PARTS_AT_MOST = 50_000
"""Lines and commas of a YAML text: what its parser can read in seconds."""

JSON_PARTS_AT_MOST = 200_000
"""Commas of a JSON text. Reading is quicker than for YAML; what is read is kept with its places, and would take hundreds of megabytes."""

LINE_AT_MOST = 65_536
"""Characters of one line of YAML."""

_LONG_LINE = re.compile(f"[^\n]{{{LINE_AT_MOST + 1}}}")
# Controls, the line breaks that only some readers see, marks that reorder what is shown, halves of characters.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]|\r(?!\n)")
_NAMES = {
    "\u2028": "a line separator",
    "\u2029": "a paragraph separator",
    "\ufeff": "a byte order mark",
    "\x85": "a next-line character",
    "\r": "a bare carriage return",
}


def read(text: str | bytes, name: str, diagnostics: Diagnostics) -> Document | None:
    """The document, or None when it cannot be read; a name that ends in `.json` is read as JSON, any other as YAML.

    A document may come with errors: whatever can be looked at behind a mistake is, so the caller goes on with it and stops at the end of its stage.
    """
    source = _source(text, name, diagnostics)
    if source is None:
        return None
    root = _root(source, diagnostics)
    if root is None:
        return None
    diagnostics.settle()
    if not isinstance(root, Mapping):
        _not_a_mapping(root, diagnostics)
        return None
    return Document(source, root, hashlib.sha256(source.text.encode()).hexdigest())


def read_value(text: str, name: str) -> Node:
    """One value as YAML, for `--set PATH=VALUE`: a scalar, `[...]` or `{...}`. Raises `SpecError`."""
    diagnostics = Diagnostics()
    source = _source(text, name, diagnostics)
    node: Node | None = None
    if source is not None:
        from specbuilder.language.read_yaml import read_yaml

        node = read_yaml(source, diagnostics) if source.text.strip() else Scalar(None, Span(source, 0, 0), "", 0, True)
        if node is not None and not isinstance(node, Scalar) and source.text[node.span.start] not in "[{":
            diagnostics.error(
                "SB0102",
                "one value is wanted here, but this is a block of YAML",
                node.span,
                help="put quotes around a text, or write `{...}` or `[...]`",
            )
    diagnostics.raise_errors()
    if node is None:
        raise SpecError.of("SB0102", "there is no value here")
    return node


def _source(text: str | bytes, name: str, diagnostics: Diagnostics) -> Source | None:
    if len(text) > SIZE_AT_MOST:
        _too_large(name, f"more than {SIZE_AT_MOST // 2**20} MiB", diagnostics)
        return None
    decoded = _decoded(text, name, diagnostics) if isinstance(text, bytes) else text
    if decoded is None:
        return None
    source = Source(name, decoded.removeprefix("\ufeff"))
    if (found := _REFUSED.search(source.text)) is not None:
        character = found[0]
        what = _NAMES.get(character, "a character that cannot be seen" if character != "\0" else "a zero character")
        span = Span(source, found.start(), found.end())
        diagnostics.error(
            "SB0111",
            f"{what} (U+{ord(character):04X}) has no place in a spec",
            span,
            help="delete it; inside of double quotes it may be written as an escape",
        )
        return None
    return source


def _decoded(data: bytes, name: str, diagnostics: Diagnostics) -> str | None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        start = Span(Source(name, ""), 0, 0)
        diagnostics.error("SB0111", "the file is in UTF-16", start, help="save it as UTF-8")
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line_end = data.find(b"\n", error.start)
        source = Source(name, before + data[error.start : line_end if line_end >= 0 else len(data)].decode(errors="replace"))
        span = Span(source, len(before), len(before) + 1)
        diagnostics.error("SB0111", f"the byte 0x{data[error.start]:02x} is not UTF-8", span, help="save the file as UTF-8")
        return None


def _too_large(name: str, how: str, diagnostics: Diagnostics) -> None:
    diagnostics.error(
        "SB0112", f"the spec is too large: {how}", Span(Source(name, ""), 0, 0), help="use `repeat` and `blocks` for what comes many times"
    )


def _root(source: Source, diagnostics: Diagnostics) -> Node | None:
    if source.name.lower().endswith(".json"):
        if (parts := source.text.count(",")) > JSON_PARTS_AT_MOST:
            _too_large(source.name, f"{parts} entries of JSON, more than {JSON_PARTS_AT_MOST}", diagnostics)
            return None
        from specbuilder.language.read_json import read_json

        root = read_json(source, diagnostics)
    else:
        if (parts := source.text.count("\n") + source.text.count(",")) > PARTS_AT_MOST:
            _too_large(source.name, f"{parts} lines and entries of YAML, more than {PARTS_AT_MOST}", diagnostics)
            return None
        if (long := _LONG_LINE.search(source.text)) is not None:
            span = Span(source, long.start(), long.start() + 1)
            help = "break the line; a JSON text is read as such when its name ends in `.json`"
            diagnostics.error("SB0112", f"a line of more than {LINE_AT_MOST} characters", span, help=help)
            return None
        from specbuilder.language.read_yaml import read_yaml

        root = read_yaml(source, diagnostics)
    if root is None and not diagnostics.has_errors:
        diagnostics.error(
            "SB0109", "the file is empty", Span(source, 0, 0), help="begin with `specbuilder: 1`; `specbuilder init` writes a spec to start from"
        )
    return root


def _not_a_mapping(root: Node, diagnostics: Diagnostics) -> None:
    if isinstance(root, Scalar) and root.value is None and not root.text:
        diagnostics.error(
            "SB0109", "the file is empty", root.span, help="begin with `specbuilder: 1`; `specbuilder init` writes a spec to start from"
        )
        return
    what = "a list" if isinstance(root, Sequence) else "a single value"
    start = Span(root.span.source, root.span.start, root.span.start + 1)
    diagnostics.error(
        "SB0109",
        f"a spec is a mapping of keys, but this is {what}",
        start,
        help="begin with `specbuilder: 1` and `name: ...`, each on a line of its own",
    )
