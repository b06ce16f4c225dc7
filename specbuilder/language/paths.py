"""Paths into a document, such as `train.optimizer.lr` or `model.nodes.stem.out_channels`: what each step means where it stands.

In: a document and the steps of a path. Out: the way, key by key, with every short form on it written out (`relu` as `{relu: }`, `linear: 10` as
`{linear: {out_features: 10}}`); the node at its end, if something is written there; and what may stand there. A step goes by key, by position, or by the
name of a node; the kind of a use may be skipped, so that its fields stand directly under the node. Serves `--set` and `explain-value`; changes nothing.

The shapes below are the outline of a spec, as far as paths need it. What a section or a kind does not know is found, but marked: `--set` adds it, and
`decode` says what it says of the same key in the text. Names that only the user knows (variables, blocks, inputs) must be there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from specbuilder.catalogue import lookup
from specbuilder.catalogue.contract import Family, Kind
from specbuilder.catalogue.contract import Node as NodeKind
from specbuilder.catalogue.declared import FieldFacts, fields_of
from specbuilder.diagnostics import Source, Span, did_you_mean, suggest
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Node, Scalar
from specbuilder.language.document import Sequence as SequenceNode
from specbuilder.language.settings import MODEL_KEYS, PLANNED, SPEC_KEYS, STRUCTURAL, TRAIN_KINDS, TRANSFORM_LISTS, DataSettings, TrainSettings
from specbuilder.records import Record

Steps = tuple[Scalar, ...]


class NoPlace(Exception):
    """A step that leads nowhere."""

    def __init__(self, message: str, span: Span, help: str | None = None) -> None:
        super().__init__(message)
        self.message, self.span, self.help = message, span, help


class Hop(Record, identity=True):
    """One key or position on the way. `holder` is what it is looked up in, `key` the name as it stands there or would stand."""

    holder: MappingNode | SequenceNode
    key: Scalar | int


class Facts(Record):
    """What is known of a value that need not be written: a field of a kind, a param of a block, or a key of a section."""

    owner: str
    name: str
    default: object
    is_required: bool = False
    description: str = ""


class Found(Record, identity=True):
    """Where a path leads."""

    hops: tuple[Hop, ...]
    node: Node | None
    """What is written there; None where nothing is."""
    facts: Facts | None = None
    unknown: NoPlace | None = None
    """Why nothing of this name is known there."""

    def replaced(self, value: Node) -> Node:
        """The root of the document with `value` at the end of the path."""
        for hop in reversed(self.hops):
            value = _replaced(hop, value)
        return value


def _replaced(hop: Hop, value: Node) -> Node:
    if isinstance(hop.holder, SequenceNode):
        items = tuple(value if at == hop.key else item for at, item in enumerate(hop.holder.items))
        return SequenceNode(items, hop.holder.span)
    assert isinstance(hop.key, Scalar)
    name = hop.key.value
    if hop.holder.get(str(name)) is None:
        return MappingNode((*hop.holder.entries, (hop.key, value)), hop.holder.span)
    return MappingNode(tuple((key, value if key.value == name else old) for key, old in hop.holder.entries), hop.holder.span)


def steps_of(path: str, source: Source) -> Steps:
    """The steps of a path, each with its place in `source`, which begins with the path."""
    steps, at = [], 0
    for word in path.split("."):
        span = Span(source, at, at + max(len(word), 1))
        if not word.strip():
            raise NoPlace("a step of this path is empty", span, "write it like `train.epochs`")
        steps.append(Scalar(word, span, word, at, True))
        at += len(word) + 1
    return tuple(steps)


def find(root: MappingNode, steps: Steps) -> Found:
    """Follows a path. Raises `NoPlace`."""
    hops: tuple[Hop, ...] = ()
    node: Node | None = root
    shape: Shape = _spec(root)
    unknown: NoPlace | None = None
    while steps:
        step = shape.enter(node, steps)
        hops, node, shape, steps = (*hops, *step.hops), step.node, step.shape, step.rest
        unknown = unknown or step.unknown
    return Found(hops, node, shape.facts, unknown)


# Shapes --------------------------------------------------------------------------------------------------------------


class _Step(Record, identity=True):
    """What became of one step or more: where it leads, what may stand there, and the steps that are left."""

    hops: tuple[Hop, ...]
    node: Node | None
    shape: Shape
    rest: Steps
    unknown: NoPlace | None = None


class Shape(Protocol):
    """What may stand at a place."""

    @property
    def facts(self) -> Facts | None: ...

    def enter(self, node: Node | None, steps: Steps) -> _Step: ...


class _Anything:
    """A value of which only the text tells the form."""

    def __init__(self, facts: Facts | None = None) -> None:
        self.facts = facts

    def enter(self, node: Node | None, steps: Steps) -> _Step:
        if isinstance(node, SequenceNode):
            return _item(node, steps, _ANYTHING)
        return _key(_mapping(node, steps[0]), steps, _ANYTHING)


class _Section:
    """A mapping of keys that the language knows."""

    facts = None

    def __init__(self, title: str, keys: Mapping[str, Shape]) -> None:
        self.title, self.keys = title, keys

    def enter(self, node: Node | None, steps: Steps) -> _Step:
        step = _key(_mapping(node, steps[0]), steps, _ANYTHING)
        word = _word_of(step.hops[0])
        unknown = None
        if word not in self.keys:
            help = did_you_mean(word, self.keys) or f"its keys are {_listed(self.keys)}"
            unknown = NoPlace(f"{self.title} has no key `{word}`", steps[0].span, help)
        return step.replace(shape=self.keys.get(word, _ANYTHING), unknown=unknown)


class _Names:
    """A mapping of names that the user chose: what is not there is a mistake, since adding it would change nothing."""

    facts = None

    def __init__(self, noun: str, section: str, inner: Shape | None = None) -> None:
        self.noun, self.section, self.inner = noun, section, inner or _ANYTHING

    def enter(self, node: Node | None, steps: Steps) -> _Step:
        if isinstance(node, SequenceNode):
            return _item(node, steps, _ANYTHING)
        holder = _mapping(node, steps[0])
        word = str(steps[0].value)
        if holder.get(word) is None:
            known = tuple(holder.keys())
            help = did_you_mean(word, known) or (f"there {'are' if len(known) > 1 else 'is'} {_listed(known)}" if known else None)
            raise NoPlace(f"there is no {self.noun} `{word}`{'' if known else f': nothing stands in `{self.section}`'}", steps[0].span, help)
        return _key(holder, steps, self.inner)


class _Promises:
    """`expect`, whose keys may hold a dot: `test.accuracy`."""

    facts = None

    def enter(self, node: Node | None, steps: Steps) -> _Step:
        if str(steps[0].value) in ("parameters", "flops", "outputs") or len(steps) == 1:
            return _key(_mapping(node, steps[0]), steps, _ANYTHING)
        first, second = steps[:2]
        text = f"{first.value}.{second.value}"
        joined = Scalar(text, Span(first.span.source, first.span.start, second.span.end), text, first.content, True)
        return _key(_mapping(node, joined), (joined, *steps[2:]), _ANYTHING)


class _Fields:
    """The fields of a kind or the params of a block: a mapping, nothing, or the value of the primary one."""

    facts = None

    def __init__(self, noun: str, title: str, known: Mapping[str, Facts], primary: str | None, *, help: str = "", is_open: bool = False) -> None:
        self.noun, self.title, self.known, self.primary, self.help, self.is_open = noun, title, known, primary, help, is_open

    def enter(self, node: Node | None, steps: Steps) -> _Step:
        if isinstance(node, SequenceNode) and _is_index(steps[0]):
            return _item(node, steps, _ANYTHING)
        holder = node
        if node is not None and not isinstance(node, MappingNode) and not _is_null(node) and self.primary is not None:
            key = Scalar(self.primary, node.span, self.primary, node.span.start, True)
            holder = MappingNode(((key, node),), node.span)
        step = _key(_mapping(holder, steps[0]), steps, _ANYTHING)
        word = _word_of(step.hops[0])
        unknown = None
        if word not in self.known and not self.is_open:
            listed = f"its {self.noun}s are {_listed(self.known)}" if self.known else f"it has no {self.noun}s"
            unknown = NoPlace(f"`{self.title}` has no {self.noun} `{word}`", steps[0].span, did_you_mean(word, self.known) or f"{listed}{self.help}")
        return step.replace(shape=_Anything(self.known.get(word)), unknown=unknown)


class _Use:
    """A kind with its fields: a word, or a mapping of one kind, with structural keys beside it where it is a node."""

    facts = None

    def __init__(self, family: Family, blocks: MappingNode | None) -> None:
        self.family: Family = family
        self.blocks = blocks
        self.beside = STRUCTURAL if family == "node" else ()

    def enter(self, node: Node | None, steps: Steps) -> _Step:
        holder = _opened(_mapping(node, steps[0]) if node is None or _is_null(node) else node, steps[0])
        word = str(steps[0].value)
        kinds = [(key, value) for key, value in holder.entries if key.value not in self.beside]
        if word in self.beside:
            columns = word in ("repeat", "each") and isinstance(holder.get(word), MappingNode)
            return _key(holder, steps, _Names("column", word) if columns else _Anything(_STRUCTURAL_FACTS.get(word)))
        if not kinds or any(key.value == word for key, _ in kinds):
            step = _key(holder, steps, self._body(word))
            is_known = word in lookup.names(self.family) or bool(kinds)
            unknown = None if is_known else NoPlace(f"there is no kind `{word}` for this place", steps[0].span, lookup.unknown(self.family, word))
            return step.replace(unknown=unknown)
        return self._inside(holder, kinds[0][0], kinds[0][1], steps)

    def _inside(self, holder: MappingNode, kind: Scalar, value: Node, steps: Steps) -> _Step:
        """A step that skips the kind."""
        word, title = str(steps[0].value), str(kind.value)
        body = self._body(title)
        known = body.known if isinstance(body, _Fields) else ()
        if isinstance(body, _Nodes) and _is_index(steps[0]):
            help = f"write `{title}.{word}` for that node of its list; copies have no text of their own"
            raise NoPlace(f"`{word}` could be a copy or a node of the list", steps[0].span, help)
        if isinstance(body, _Fields) and word not in known and not body.is_open:
            if word in lookup.names(self.family) and body.help:
                raise NoPlace(f"`{title}` has no {body.noun} `{word}`", steps[0].span, f"its {body.noun}s are {_listed(known)}{body.help}")
            if word in lookup.names(self.family):
                help = f"to put another in its place, set the whole of it: `{{{word}: ...}}`"
                raise NoPlace(f"there is no `{word}` here, but `{title}`", steps[0].span, help)
            if suggest(word, (title, *self.beside)) and not suggest(word, known):
                raise NoPlace(f"`{title}` has no {body.noun} `{word}`", steps[0].span, did_you_mean(word, (title, *self.beside)))
        step = body.enter(value, steps)
        return step.replace(hops=(Hop(holder, kind), *step.hops))

    def _body(self, kind: str) -> Shape:
        """What stands behind a kind."""
        if self.family == "node":
            if kind in ("sequence", "residual"):
                return _Nodes(self.blocks)
            if kind == "branches":
                return _Names("branch", "branches", _Nodes(self.blocks))
            block = self.blocks.get(kind) if self.blocks is not None else None
            if isinstance(block, MappingNode):
                return _params(kind, block)
        cls = lookup.find(self.family, kind)
        return _fields(cls) if cls is not None else _ANYTHING


class _Uses:
    """One kind, or a list of them."""

    facts = None

    def __init__(self, family: Family) -> None:
        self.family: Family = family

    def enter(self, node: Node | None, steps: Steps) -> _Step:
        inner = _Use(self.family, None)
        return _item(node, steps, inner) if isinstance(node, SequenceNode) else inner.enter(node, steps)


class _Nodes:
    """A list of nodes."""

    facts = None

    def __init__(self, blocks: MappingNode | None) -> None:
        self.blocks = blocks

    def enter(self, node: Node | None, steps: Steps) -> _Step:
        inner = _Use("node", self.blocks)
        if isinstance(node, SequenceNode):
            return _item(node, steps, inner)
        raise NoPlace(f"there is no list of nodes for `{steps[0].value}` to be in", steps[0].span)


_STRUCTURAL_FACTS = {
    "name": Facts("a node", "name", None, description="a node without a name is called by its kind"),
    "from": Facts("a node", "from", "prev", description="the node before in the text"),
    "when": Facts("a node", "when", True, description="the node is there"),
    "repeat": Facts("a node", "repeat", 1, description="one copy"),
}
"""What holds where a structural key is not written."""

_ANYTHING = _Anything()


def _spec(root: MappingNode) -> Shape:
    written = root.get("blocks")
    blocks = written if isinstance(written, MappingNode) else None
    nodes = _Nodes(blocks)
    inside = {
        "params": _Names("param", "params"),
        "inputs": _Names("input", "inputs"),
        "let": _Names("name", "let"),
        "nodes": nodes,
        "outputs": _Names("output", "outputs"),
    }
    model = {"inputs": inside["inputs"], "nodes": nodes, "outputs": inside["outputs"]}
    sections: dict[str, Shape] = {
        "vars": _Names("variable", "vars"),
        "variants": _Names("variant", "variants"),
        "blocks": _Names("block", "blocks", _Section("a block", inside)),
        "model": _Section("`model`", {**dict.fromkeys((*MODEL_KEYS, *PLANNED["model"]), _ANYTHING), **model}),
        "data": _Section("`data`", _data()),
        "train": _Section("`train`", _train()),
        "expect": _Promises(),
    }
    return _Section("a spec", {**dict.fromkeys((*SPEC_KEYS, *PLANNED["spec"]), _ANYTHING), **sections})


def _data() -> Mapping[str, Shape]:
    return {
        **_settings(DataSettings, "data"),
        **{name: _Uses("transform") for name in TRANSFORM_LISTS},
        **dict.fromkeys(PLANNED["data"], _ANYTHING),
        **{name: _Dataset(name) for name in lookup.names("dataset")},
    }


def _train() -> Mapping[str, Shape]:
    kinds = {name: _Uses(family) for name, family in TRAIN_KINDS.items()}
    return {**_settings(TrainSettings, "train"), **kinds, **dict.fromkeys(PLANNED["train"], _ANYTHING)}


class _Dataset:
    """The fields of a dataset; its class is looked up only when a path leads there."""

    facts = None

    def __init__(self, name: str) -> None:
        self.name = name

    def enter(self, node: Node | None, steps: Steps) -> _Step:
        cls = lookup.find("dataset", self.name)
        assert cls is not None
        return _fields(cls).enter(node, steps)


def _settings(cls: type[DataSettings | TrainSettings], owner: str) -> dict[str, Shape]:
    return {name: _Anything(_facts(owner, name, field)) for name, field in fields_of(cls).items()}


def _facts(owner: str, name: str, field: FieldFacts) -> Facts:
    return Facts(owner, name, None if field.is_required else field.default, field.is_required, field.description)


def _fields(cls: type[Kind]) -> _Fields:
    known = {name: _facts(cls.kind, name, field) for name, field in fields_of(cls).items()}
    is_node = issubclass(cls, NodeKind)
    ports = {port.name: Facts(cls.kind, port.name, None, description="an input port") for port in (cls.inputs if is_node else ())}
    return _Fields("field", cls.kind, {**ports, **known}, cls.primary, is_open=is_node and cls.extra is not None)


def _params(name: str, block: MappingNode) -> _Fields:
    params = block.get("params")
    known = {str(key.value): _param(name, key, value) for key, value in (params.entries if isinstance(params, MappingNode) else ())}
    help = f"; its nodes are in `blocks.{name}.nodes`"
    return _Fields("param", name, known, next(iter(known), None), help=help)


def _param(block: str, key: Scalar, node: Node) -> Facts:
    """A param as `int`, `int = 3` or `{type: int, default: 3}`."""
    default: Node | None = None
    if isinstance(node, MappingNode):
        default = node.get("default")
        found: object = default.value if isinstance(default, Scalar) else None
        return Facts(block, str(key.value), found, is_required=default is None)
    text = str(node.value) if isinstance(node, Scalar) else ""
    _, _, literal = text.partition("=")
    if not literal.strip():
        return Facts(block, str(key.value), None, is_required=True)
    from specbuilder.language.scalars import resolve

    return Facts(block, str(key.value), resolve(literal.strip()))


# Steps ---------------------------------------------------------------------------------------------------------------


def _mapping(node: Node | None, step: Scalar) -> MappingNode:
    """The mapping that a key is looked up in; an empty one where nothing is written."""
    if isinstance(node, MappingNode):
        return node
    if node is None or _is_null(node):
        return MappingNode((), step.span)
    found = "a list" if isinstance(node, SequenceNode) else "a single value"
    raise NoPlace(f"there is no place for `{step.value}`: what stands before it is {found}", step.span)


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _is_index(step: Scalar) -> bool:
    return re.fullmatch(r"-?[0-9]+", str(step.value)) is not None


def _word_of(hop: Hop) -> str:
    return str(hop.key.value) if isinstance(hop.key, Scalar) else str(hop.key)


def _key(holder: MappingNode, steps: Steps, shape: Shape) -> _Step:
    """The value under a key, which may be new."""
    first, *rest = steps
    written = holder.key(str(first.value))
    return _Step((Hop(holder, written or first),), holder.get(str(first.value)), shape, tuple(rest))


def _opened(item: Node, step: Scalar) -> MappingNode:
    """A use written as a word, as the mapping that it stands for: `relu` is `{relu: null}`."""
    if isinstance(item, Scalar) and isinstance(item.value, str):
        return MappingNode(((item, Scalar(None, item.span, "", item.content, True)),), item.span)
    return _mapping(item, step)


def _item(node: SequenceNode, steps: Steps, shape: Shape) -> _Step:
    """An entry of a list, by position or by name."""
    step, word = steps[0], str(steps[0].value)
    names = [called(item) for item in node.items]
    if _is_index(step):
        index = int(word)
        if not -len(node.items) <= index < len(node.items):
            raise NoPlace(f"there is no entry {index}; the list has {len(node.items)}, numbered from 0", step.span)
        index %= len(node.items)
    elif names.count(word) == 1:
        index = names.index(word)
    else:
        raise _no_item(word, names, step.span)
    return _Step((Hop(node, index),), node.items[index], shape, steps[1:])


def _no_item(word: str, names: Sequence[str | None], span: Span) -> NoPlace:
    same = [str(at) for at, name in enumerate(names) if name == word]
    if same:
        return NoPlace(f"{len(same)} entries are called `{word}`", span, f"use a position, from 0: {' or '.join(same)}")
    counted = re.fullmatch(r"(.+)_([0-9]+)", word)
    if counted is not None:
        alike = [at for at, name in enumerate(names) if name == counted[1]]
        number = int(counted[2])
        if 2 <= number <= len(alike):
            message = f"`{word}` has no name of its own: it is `{counted[1]}` number {number}"
            return NoPlace(message, span, f"use its position, from 0: {alike[number - 1]}")
    help = did_you_mean(word, [name for name in names if name]) or "use its position, from 0"
    return NoPlace(f"no entry of the list is called `{word}`", span, help)


def called(item: Node) -> str | None:
    """What an entry of a list is called: its `name`, else its kind."""
    if isinstance(item, Scalar):
        return str(item.value)
    if not isinstance(item, MappingNode) or not item.entries:
        return None
    name = item.get("name")
    if isinstance(name, Scalar):
        return str(name.value)
    beside = STRUCTURAL
    return next((str(key.value) for key, _ in item.entries if key.value not in beside), None)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
