"""`include: FILE`: takes the blocks and variables of other files into the document, before anything of it is decoded.

In: a document and what may be read (`folders`). Out: one mapping in which `vars` and `blocks` hold the names of all files, each node with its place in the
file that it is written in. All names stand in one space. A block that two files define is a mistake; a variable of an included file is a default, which
the file that includes it may set anew in its own `vars`. A file is read once, however many paths lead to it.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics, Related, Span, did_you_mean
from specbuilder.language.document import Document, IncludedText, Node, Scalar, plain, with_value, without
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Sequence as SequenceNode
from specbuilder.language.folders import SUFFIXES, FileFound, Files, Refused
from specbuilder.language.read import SIZE_AT_MOST, read
from specbuilder.language.var_types import keeps_type

FILES_AT_MOST = 100
BYTES_AT_MOST = 4 * SIZE_AT_MOST
LIBRARY_KEYS = ("specbuilder", "name", "description", "include", "vars", "blocks")
"""What a file may hold that others include."""

_SHARED = {"vars": "variable", "blocks": "block"}
_MAPPINGS = {"vars": ("names to values", "vars: {width: 64}"), "blocks": ("names to blocks", "blocks: {conv_bn: {nodes: [...]}}")}

Names = dict[str, tuple[Scalar, Node]]
Given = Mapping[str, Names]
"""What a file gives to those that include it, by section."""


def include(document: Document, files: Files | None, diagnostics: Diagnostics) -> Document | None:
    """The document without the key `include`, and with what it brings. Without `files` there is nothing that a path could be relative to.

    None where something cannot be read: what stands there is unknown, and every use of it would be told as another mistake.
    """
    key = document.root.key("include")
    if key is None:
        return document
    if files is None:
        help = "load the spec by its path, or say where its files are: `parse(text, folder=...)`"
        diagnostics.error("SB0913", "this text comes without a folder, so there is nothing to include files from", key.span, help=help)
        return None
    reading = _Reading(document, files, diagnostics)
    given = reading.given_by(document, "")
    if not reading.is_whole:
        return None
    root = without(document.root, "include")
    for section, names in given.items():
        own = root.get(section)
        if names and isinstance(own, MappingNode | None):
            name = root.key(section) or Scalar(section, key.span, section, key.span.start, True)
            root = with_value(root, name, MappingNode(tuple(names.values()), own.span if own is not None else key.span))
    own = document.root.get("vars")
    anew = own.keys() if isinstance(own, MappingNode) else ()
    return document.replace(root=root, included=tuple(reading.texts), overruled={name: reading.under[name] for name in anew if name in reading.under})


class _Open:
    """A file that is being read: its identity, what it is called, and where it was asked for."""

    def __init__(self, identity: object, name: str, asked: Span | None) -> None:
        self.identity, self.name, self.asked = identity, name, asked


class _Reading:
    """Reads every file once, in the order of the text."""

    def __init__(self, document: Document, files: Files, diagnostics: Diagnostics) -> None:
        self.files, self.diagnostics = files, diagnostics
        self.folder = Path(document.source.name).parent
        self.open = [_Open(files.spec(), document.source.name, None)]
        self.known: dict[object, Given | None] = {}
        self.texts: list[IncludedText] = []
        self.left = BYTES_AT_MOST
        self.under: dict[str, Node] = {}
        """Values of variables that an including file has set anew; the last is that of the spec."""
        self.is_whole = True
        """Whether all that was asked for could be read."""

    def given_by(self, document: Document, place: str) -> Given:
        """All names that stand in a file, its own and those that it includes."""
        given: dict[str, Names] = {section: {} for section in _SHARED}
        clashes: dict[tuple[str, str], Scalar] = {}
        for entry in self._entries(document):
            for section, names in (self._included(entry, place) or {}).items():
                for name, pair in names.items():
                    if given[section].setdefault(name, pair)[0] is not pair[0]:
                        clashes.setdefault((section, name), pair[0])
        for section in _SHARED:
            own = document.root.get(section)
            for key, value in own.entries if isinstance(own, MappingNode) else ():
                self._own(section, key, value, given[section], clashes)
        for (section, name), second in clashes.items():
            help = f"give it a value in `vars` of {document.source.name}" if section == "vars" else "give one of them another name"
            self._twice(section, second, given[section][name][0], help)
        return given

    def _own(self, section: str, key: Scalar, value: Node, names: Names, clashes: dict[tuple[str, str], Scalar]) -> None:
        name = str(key.value)
        if name in names and section == "vars":
            clashes.pop((section, name), None)
            self.under[name] = names[name][1]
            if not keeps_type(name, names[name][1], value, self.diagnostics):
                return
        elif name in names:
            self._twice(section, key, names[name][0], "give one of them another name")
        names[name] = (key, value)

    def _twice(self, section: str, second: Scalar, first: Scalar, help: str) -> None:
        related = (Related(first.span, "first here"),)
        self.diagnostics.error("SB0304", f"two files define the {_SHARED[section]} `{second.value}`", second.span, related=related, help=help)

    # The key itself --------------------------------------------------------------------------------------------------

    def _entries(self, document: Document) -> Iterator[Scalar]:
        """The paths under `include`."""
        key, node = document.root.key("include"), document.root.get("include")
        if key is None or node is None:
            return
        seen: set[str] = set()
        items = node.items if isinstance(node, SequenceNode) else (node,)
        if not items:
            self.is_whole = False
            self.diagnostics.error("SB0203", "`include` names no file", node.span, help="delete it, or name one: `include: blocks.yaml`")
        for item in items:
            if not isinstance(item, Scalar) or not isinstance(item.value, str) or not item.value:
                span = key.span if isinstance(item, Scalar) and item.value is None and not item.text else item.span
                message = f"`include` wants the path of a file, but this is {shown(plain(item))}"
                self.is_whole = False
                self.diagnostics.error("SB0203", message, span, help="such as `include: blocks.yaml`, or a list of paths")
            elif item.value in seen:
                self.diagnostics.error("SB0103", f"`{item.value}` is included twice", item.span, help="delete one of the two")
            else:
                seen.add(item.value)
                yield item

    def _included(self, entry: Scalar, place: str) -> Given | None:
        path = str(entry.value)
        try:
            _check_path(path)
            target = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
            found = self.files.read(target, path)
            return self._file(found, target, entry)
        except Refused as refused:
            self.is_whole = False
            self.diagnostics.error(refused.code, refused.message, entry.span, help=refused.help)
            return None

    def _file(self, found: FileFound, place: str, entry: Scalar) -> Given | None:
        if any(found.identity == other.identity for other in self.open):
            self.is_whole = False
            self._circle(found.identity, entry)
            return None
        if found.identity in self.known:
            return self.known[found.identity]
        self.left -= len(found.data)
        if len(self.known) + len(self.open) > FILES_AT_MOST or self.left < 0:
            raise Refused("SB0112", f"too much is included: at most {FILES_AT_MOST} files, and {BYTES_AT_MOST // 2**20} MiB in all")
        name = os.path.normpath(self.folder / place)
        self.open.append(_Open(found.identity, name, entry.span))
        document = read(found.data, name, self.diagnostics)
        given = None
        self.is_whole = self.is_whole and document is not None
        if document is not None:
            self.texts.append(IncludedText(place, document.source.text, document.digest))
            self.is_whole = _check_library(document, entry.span, self.diagnostics) and self.is_whole
            given = self.given_by(document, place)
        self.open.pop()
        self.known[found.identity] = given
        return given

    def _circle(self, identity: object, entry: Scalar) -> None:
        start = next(at for at, other in enumerate(self.open) if other.identity == identity)
        circle = self.open[start:]
        if len(circle) == 1:
            self.diagnostics.error("SB0912", f"{circle[0].name} includes itself", entry.span, help="delete it")
            return
        names = " -> ".join(other.name for other in (*circle, circle[0]))
        related = tuple(Related(other.asked, "this include leads there") for other in circle[1:] if other.asked is not None)
        help = "move what both need into a file of its own"
        self.diagnostics.error("SB0912", f"these files include one another: {names}", entry.span, related=related, help=help)


def _check_path(path: str) -> None:
    """Whether this is a relative path to a file that may be a spec; everything else is known on the disk only."""
    if not path.isprintable():
        raise Refused("SB0911", "a path holds characters that cannot be seen")
    if "://" in path:
        raise Refused("SB1001", f"`{path}` is an address, and nothing is read from the network", "keep a copy beside the spec")
    if "\\" in path:
        raise Refused("SB0911", f"`{path}` holds a `\\`", f"write `{path.replace(chr(92), '/')}`")
    if path.startswith(("/", "~")) or path[1:2] == ":":
        raise Refused("SB1001", f"`{path}` is an absolute path", "a path is relative to the file that includes, so that the folder can be moved")
    if "$" in path:
        raise Refused("SB0911", f"`{path}` holds a `$`, but a path is no expression", "write the name of the file")
    if not path.endswith(SUFFIXES):
        raise Refused("SB0911", f"`{path}` is no spec by its name", f"a file to include ends in {', '.join(f'`{suffix}`' for suffix in SUFFIXES)}")


def _check_library(document: Document, asked: Span, diagnostics: Diagnostics) -> bool:
    """What only an included file must meet; what its blocks and variables hold is checked with the spec. Whether these can be told at all."""
    here = (Related(asked, "included here"),)
    root = document.root
    if (version := root.get("specbuilder")) is None:
        first = root.entries[0][0].span if root.entries else root.span
        message = "the file does not say which version of the language it is written in"
        diagnostics.error("SB0202", message, first, related=here, help="add `specbuilder: 1` as the first line")
    elif not (isinstance(version, Scalar) and type(version.value) is int and version.value == 1):
        diagnostics.error("SB0203", "this specbuilder reads version 1 of the language", version.span, help="write `specbuilder: 1`")
    for key, value in root.entries:
        word = str(key.value)
        if word not in LIBRARY_KEYS:
            help = did_you_mean(word, LIBRARY_KEYS) or f"it may hold {', '.join(f'`{name}`' for name in LIBRARY_KEYS)}; move `{word}` into the spec"
            diagnostics.error("SB0201", f"`{word}` has no place in a file that is included", key.span, related=here, help=help)
        elif word in ("name", "description") and not (isinstance(value, Scalar) and isinstance(value.value, str)):
            diagnostics.error("SB0203", f"`{word}` wants a text, but this is {shown(plain(value))}", value.span)
        elif word in _MAPPINGS and not isinstance(value, MappingNode):
            of, sample = _MAPPINGS[word]
            diagnostics.error("SB0203", f"`{word}` is a mapping of {of}", value.span, help=f"write `{sample}`")
    return all(isinstance(root.get(section), MappingNode | None) for section in _SHARED)
