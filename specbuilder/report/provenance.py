"""Where a value comes from: a default, the text, an included file, a variant, the command line; and each step of an expression on the way to it.

In: the document as it was written, as the variant left it, as `--set` left it, and a path. Out: a `Provenance`, its text and its JSON. A value that differs
between two of the three documents was set in between. Names that have no value before the network is expanded (columns of a repeat, params of a block,
sizes of what arrives) are told as what they are; of a repeat whose columns are known, the values of all copies are listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from specbuilder.diagnostics import Diagnostics, Related, Source, Span, range_as_json, render_places
from specbuilder.graph.variables import Variables
from specbuilder.language.document import OPTIONS, Document, Node, Scalar, plain
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Sequence as SequenceNode
from specbuilder.language.expressions import Expression, ExpressionError, Template, evaluate
from specbuilder.language.paths import Facts, Found, NoPlace, find, steps_of
from specbuilder.language.syntax import Binary, Conditional, Literal, Name, Slice
from specbuilder.language.tree import Deferred, Value
from specbuilder.language.values import Undefined, entry, placed, read, resolve
from specbuilder.records import Record

STEPS_AT_MOST = 24
"""Parts of an expression that are shown one by one; of a longer one only the whole is."""

COPIES_AT_MOST = 1000


class Setting(Record):
    """One value of a place, and what put it there."""

    value: Any
    origin: str
    """`default`, `text`, `included`, `variant`, `command line`, or `nothing`."""
    span: Span | None = None


class Step(Record):
    """A part of an expression and its value."""

    text: str
    value: Any


class Meaning(Record):
    """A name that has no value of its own before the network is expanded. `values`: those of all copies, where they are known."""

    name: str
    words: str
    span: Span
    values: tuple[Any, ...] | None = None


class Provenance(Record):
    """How a value came about."""

    path: str
    setting: Setting
    instead: tuple[Setting, ...] = ()
    """What would hold there otherwise, the nearest first."""
    is_known: bool = True
    """Whether there is a value before the network is expanded."""
    is_per_copy: bool = False
    """Whether the value is the list of those of all copies."""
    facts: Facts | None = None
    around: Span | None = None
    """What the value would stand in, where it is not written."""
    written: str | None = None
    """The expression, where there is one."""
    steps: tuple[Step, ...] = ()
    variables: tuple[Provenance, ...] = ()
    """The variables that it needs, each after those that it needs itself."""
    meanings: tuple[Meaning, ...] = ()
    variant: str | None = None


class _Open(Exception):
    """A name that has no value before the network is expanded."""


def trace(written: Document, varied: Document, final: Document, path: str, variant: str | None, diagnostics: Diagnostics) -> Provenance | None:
    """The provenance of the value at a path, or None when something about it is wrong."""
    source = Source("PATH", path)
    try:
        steps = steps_of(path, source)
        if steps[0].value == "include":
            raise NoPlace("`include` is followed before anything has a value", steps[0].span)
        if steps[0].value == "variants":
            return _plainly(find(written.root, steps), path, written)
        found = find(final.root, steps)
        if found.node is None and found.unknown is not None:
            raise found.unknown
        return _Tracing((written, varied, final), variant, diagnostics).of(path, found)
    except NoPlace as problem:
        diagnostics.error("SB0208", problem.message, problem.span, help=problem.help)
    except Undefined:
        # An expression that cannot even be read is told by whoever reads it for the first time.
        if not diagnostics.has_errors:
            read(final.root.get("vars") or final.root, diagnostics)
    return None


def _plainly(found: Found, path: str, document: Document) -> Provenance:
    """A value of a variant as it is written."""
    if found.node is None:
        raise NoPlace("nothing is written there", Span(Source("PATH", path), 0, len(path)))
    return Provenance(path, Setting(plain(found.node), _origin_of(found.node.span, document), found.node.span))


def _origin_of(span: Span, document: Document) -> str:
    if span.source.name in OPTIONS:
        return "command line"
    return "text" if span.source is document.source else "included"


class _Tracing:
    """Follows values through the three documents."""

    def __init__(self, documents: Sequence[Document], variant: str | None, diagnostics: Diagnostics) -> None:
        self.documents, self.variant, self.diagnostics = documents, variant, diagnostics
        self.final = documents[-1]
        section = self.final.root.get("vars")
        entries = section.entries if isinstance(section, MappingNode) else ()
        self.nodes = {str(key.value): value for key, value in entries}
        self.variables = Variables({str(key.value): entry(key.span, value, Diagnostics()) for key, value in entries}, diagnostics)
        self.known: dict[str, Provenance] = {}

    def of(self, path: str, found: Found) -> Provenance:
        setting, instead = self._settings(path, found)
        if found.node is None:
            return Provenance(path, setting, instead, facts=found.facts, around=_written_before(found))
        value = read(found.node, self.diagnostics)
        bound = _bound(found, self.final.root)
        names, meanings = self._names(value, bound)
        result, is_known, is_per_copy = self._value(value, bound, meanings)
        return Provenance(
            path,
            setting.replace(value=result),
            instead,
            is_known=is_known,
            is_per_copy=is_per_copy,
            facts=found.facts,
            written=found.node.span.text if isinstance(value, Deferred) else None,
            steps=tuple(self._steps(value, bound)) if isinstance(value, Deferred) else (),
            variables=names,
            meanings=tuple(meanings.values()),
            variant=self.variant,
        )

    # Who set it ------------------------------------------------------------------------------------------------------

    def _settings(self, path: str, found: Found) -> tuple[Setting, tuple[Setting, ...]]:
        """What holds at a path, and what would hold there otherwise."""
        default = Setting(found.facts.default, "default") if found.facts is not None and not found.facts.is_required else None
        if found.node is None:
            return default or Setting(None, "nothing"), ()
        settings: list[Setting] = []
        for stage, document in zip(("", "variant", "command line"), self.documents, strict=True):
            node = found.node if document is self.final else _at(document, path)
            if node is not None and all(node.span is not other.span for other in settings):
                settings.append(Setting(plain(node), stage or _origin_of(node.span, document), node.span))
        if path.startswith("vars.") and (under := self.final.overruled.get(path.removeprefix("vars."))) is not None:
            settings.insert(0, Setting(plain(under), "included", under.span))
        *before, last = settings
        return last, (*reversed(before), *([default] if default is not None and last.origin != "text" and not before else []))

    # What it is made of ----------------------------------------------------------------------------------------------

    def _names(self, value: Value, bound: Mapping[str, Meaning]) -> tuple[tuple[Provenance, ...], dict[str, Meaning]]:
        variables: dict[str, Provenance] = {}
        meanings: dict[str, Meaning] = {}
        for template in _templates(value):
            for name in template.names:
                if name.text in bound:
                    meanings[name.text] = bound[name.text]
                elif name.text in self.nodes:
                    for each in (*self._variable(name.text).variables, self._variable(name.text)):
                        variables[each.path] = each.replace(variables=())
        return tuple(variables.values()), meanings

    def _variable(self, name: str) -> Provenance:
        if name not in self.known:
            # Raises where variables need each other, so that the way down ends.
            self.variables(name)
            self.known[name] = self.of(f"vars.{name}", find(self.final.root, steps_of(f"vars.{name}", Source("PATH", f"vars.{name}"))))
        return self.known[name]

    def _value(self, value: Value, bound: Mapping[str, Meaning], meanings: Mapping[str, Meaning]) -> tuple[Any, bool, bool]:
        """The value, whether there is one, and whether it is one of each copy."""
        try:
            return resolve(value, self._lookup(bound), self._all(bound), self.diagnostics), True, False
        except _Open:
            pass
        columns = [meaning.values for meaning in meanings.values()]
        if any(column is None for column in columns) or len({len(column) for column in columns if column is not None}) != 1:
            return None, False, False
        copies = []
        for row in range(len(columns[0] or ())):
            own = {name: (meaning.values or ())[row] for name, meaning in meanings.items()}
            copies.append(resolve(value, self._lookup(bound, own), self._all(bound), self.diagnostics))
        return tuple(copies), True, True

    def _lookup(self, bound: Mapping[str, Meaning], own: Mapping[str, Any] | None = None) -> Callable[[str], Any]:
        def lookup(name: str) -> Any:
            if own is not None and name in own:
                return own[name]
            if name in bound:
                raise _Open(name)
            return self.variables(name)

        return lookup

    def _all(self, bound: Mapping[str, Meaning]) -> tuple[str, ...]:
        return (*bound, *self.variables.names)

    def _steps(self, value: Deferred, bound: Mapping[str, Meaning]) -> Iterator[Step]:
        lookup = self._lookup(bound)
        for part in value.template.parts:
            if isinstance(part, str):
                continue
            compound = [*_compound(part.expression, lookup)]
            for expression in compound if len(compound) <= STEPS_AT_MOST else compound[-1:]:
                try:
                    yield Step(value.template.text[expression.start : expression.end], evaluate(expression, lookup))
                except (_Open, ExpressionError):
                    continue


def _at(document: Document, path: str) -> Node | None:
    try:
        return find(document.root, steps_of(path, Source("PATH", path))).node
    except NoPlace:
        return None


def _templates(value: Value) -> Iterator[Template]:
    if isinstance(value, Deferred):
        yield value.template
    elif isinstance(value, tuple):
        for item in value:
            yield from _templates(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _templates(item)


def _compound(expression: Expression, lookup: Callable[[str], Any]) -> Iterator[Expression]:
    """The parts of an expression that are evaluated, inner ones first. Of a conditional only the side that is taken."""
    waiting, found = [expression], list[Expression]()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Literal | Name | Slice):
            found.append(node)
        waiting += _evaluated(node, lookup)
    return iter(sorted(found, key=lambda node: (node.end, -node.start)))


def _evaluated(node: Expression, lookup: Callable[[str], Any]) -> Iterator[Expression]:
    try:
        if isinstance(node, Conditional):
            yield from (node.condition, node.then if evaluate(node.condition, lookup) else node.otherwise)
            return
        if isinstance(node, Binary) and node.operator in ("and", "or"):
            yield node.left
            if bool(evaluate(node.left, lookup)) == (node.operator == "and"):
                yield node.right
            return
    except (_Open, ExpressionError, Undefined):
        return
    for part in node:
        if isinstance(part, Expression):
            yield part
        elif isinstance(part, tuple):
            yield from (item for item in part if isinstance(item, Expression))


# Names that are bound on the way -------------------------------------------------------------------------------------


def _bound(found: Found, root: MappingNode) -> dict[str, Meaning]:
    """What a name means at the end of a path, where it is no variable; the innermost wins."""
    bound: dict[str, Meaning] = {}
    keys = [str(hop.key.value) if isinstance(hop.key, Scalar) else hop.key for hop in found.hops]
    if keys[0] == "model" and isinstance(model := root.get("model"), MappingNode):
        bound |= _sizes(model.get("inputs"), "the model")
    for at, hop in enumerate(found.hops):
        if not isinstance(hop.holder, MappingNode):
            continue
        if at == 2 and keys[0] == "blocks":
            bound |= _of_block(str(keys[1]), hop.holder)
        for word in ("repeat", "each"):
            columns = hop.holder.get(word)
            # A column's own value is read outside of it.
            if columns is not None and keys[at] != word and "nodes" in keys[:at]:
                bound |= _columns(columns, root)
    return bound


def _sizes(inputs: Node | None, owner: str) -> dict[str, Meaning]:
    found: dict[str, Meaning] = {}
    entries = inputs.entries if isinstance(inputs, MappingNode) else ()
    for name, type in entries:
        if isinstance(type, Scalar) and isinstance(type.value, str):
            for size in re.findall(r"[A-Za-z_]\w*", type.value.partition("[")[2]):
                found.setdefault(size, Meaning(size, f"`{size}` is a size of what arrives at `{name.value}` of {owner}", type.span))
    return found


def _of_block(name: str, block: MappingNode) -> dict[str, Meaning]:
    found = _sizes(block.get("inputs"), f"the block `{name}`")
    for section, words in (("params", "a param of the block `{}`, given where it is used"), ("let", "a name in the block `{}`")):
        written = block.get(section)
        for key, _ in written.entries if isinstance(written, MappingNode) else ():
            found[str(key.value)] = Meaning(str(key.value), f"`{key.value}` is {words.format(name)}", key.span)
    return found


def _columns(node: Node, root: MappingNode) -> dict[str, Meaning]:
    """The columns of a repeat and the number of the copy, with their values where these need nothing but variables."""
    section = root.get("vars")
    entries = section.entries if isinstance(section, MappingNode) else ()
    quiet = Diagnostics()
    variables = Variables({str(key.value): entry(key.span, value, quiet) for key, value in entries}, quiet)

    def values(part: Node) -> Any:
        try:
            return resolve(read(part, quiet), variables, variables.names, quiet)
        except (Undefined, KeyError):
            return None

    found: dict[str, Meaning] = {}
    count: int | None = None
    if isinstance(node, MappingNode):
        for key, column in node.entries:
            each = values(placed(key.span, column))
            each = each if isinstance(each, tuple) and len(each) <= COPIES_AT_MOST else None
            found[str(key.value)] = Meaning(str(key.value), f"`{key.value}` is a column: one value for each copy", column.span, each)
            count = len(each) if each is not None and count is None else count
    elif type(number := values(node)) is int and 0 < number <= COPIES_AT_MOST:
        count = number
    numbers = tuple(range(count)) if count is not None else None
    return {"i": Meaning("i", "`i` is the number of the copy", node.span, numbers), **found}


# Text and JSON -------------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


_WORDS = {
    "text": "from the text",
    "included": "from an included file",
    "command line": "set by --set",
    "nothing": "since nothing is written there",
}


_EXPRESSIONS = {"text": "by an expression in the text", "included": "by an expression in an included file"}


def _how(setting: Setting, found: Provenance) -> str:
    if setting.origin == "variant":
        return f"set by the variant `{found.variant}`"
    if setting.origin == "default":
        return f"the default of {_owner(found.facts)}"
    if found.written is not None and setting is found.setting and setting.origin in _EXPRESSIONS:
        return _EXPRESSIONS[setting.origin]
    return _WORDS[setting.origin]


def _owner(facts: Facts | None) -> str:
    if facts is None:
        return "the place"
    return facts.owner if " " in facts.owner else f"`{facts.owner}`"


def _written_before(found: Found) -> Span | None:
    """The nearest key on the way that is written, where the value itself is not."""
    spans = [hop.key.span if isinstance(hop.key, Scalar) else _head(hop.holder, hop.key) for hop in found.hops[:-1]]
    return next((span for span in reversed(spans) if span.source.name != "PATH"), None)


def _head(holder: MappingNode | SequenceNode, at: int) -> Span:
    """The first word of an entry of a list."""
    assert isinstance(holder, SequenceNode)
    item = holder.items[at]
    return item.entries[0][0].span if isinstance(item, MappingNode) and item.entries else item.span


def render(found: Provenance, *, colour: bool = False) -> str:
    """The text form: the value and where it comes from, the places in the text, the steps."""
    if not found.is_known:
        value = "is known only where the network is expanded"
    else:
        value = f"= {_text(found.setting.value)}{', one for each copy' if found.is_per_copy else ''}"
    lines = [f"{found.path} {value}, {_how(found.setting, found)}"]
    places = [*_places(found, "written here" if found.setting.origin != "command line" else "set here")]
    for variable in found.variables:
        name = variable.path.partition(".")[2]
        places += _places(variable, f"`{name}` = {_text(variable.setting.value)}, {_how(variable.setting, variable)}")
    for meaning in found.meanings:
        values = f": {_text(list(meaning.values))}" if meaning.values is not None else ""
        places.append(Related(meaning.span, f"{meaning.words}{values}"))
    if places:
        lines.append(render_places(places, colour=colour))
    lines += [f"  = step: {step.text} = {_text(step.value)}" for variable in found.variables for step in variable.steps]
    lines += [f"  = step: {step.text} = {_text(step.value)}" for step in found.steps]
    if found.facts is not None and found.facts.description and (found.setting.origin == "default" or " " not in found.facts.owner):
        lines.append(f"  = {found.facts.name}: {found.facts.description}")
    lines += [f"  = instead of {_text(before.value)}, {_how(before, found)}" for before in found.instead if before.span is None]
    return "\n".join(lines)


def _places(found: Provenance, label: str) -> Iterator[Related]:
    if found.around is not None:
        yield Related(found.around, f"`{found.path.rpartition('.')[2]}` is not written here")
    if found.setting.span is not None:
        yield Related(found.setting.span, label)
    for before in found.instead:
        if before.span is not None:
            yield Related(before.span, f"instead of this, {_how(before, found)}")


def as_json(found: Provenance) -> dict[str, Any]:
    """The JSON form."""
    return {
        "path": found.path,
        **_as_json(found.setting),
        "known": found.is_known,
        "per_copy": found.is_per_copy,
        "field": {"owner": found.facts.owner, "name": found.facts.name, "description": found.facts.description} if found.facts else None,
        "expression": found.written,
        "instead": [_as_json(before) for before in found.instead],
        "steps": [{"expression": step.text, "value": step.value} for step in found.steps],
        "variables": [
            {
                "path": variable.path,
                **_as_json(variable.setting),
                "expression": variable.written,
                "instead": [_as_json(before) for before in variable.instead],
                "steps": [{"expression": step.text, "value": step.value} for step in variable.steps],
            }
            for variable in found.variables
        ],
        "names": [
            {
                "name": each.name,
                "meaning": each.words,
                "values": None if each.values is None else list(each.values),
                "range": range_as_json(each.span),
            }
            for each in found.meanings
        ],
    }


def _as_json(setting: Setting) -> dict[str, Any]:
    return {"value": setting.value, "origin": setting.origin, "range": range_as_json(setting.span)}
