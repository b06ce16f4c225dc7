"""Decodes uses of kinds: `relu`, `conv2d: {out_channels: 8}`, `linear: 10` with structural keys beside it.

The same form stands in every section: a list of nodes, a loss, an optimizer, a transform. Literal fields are checked here, once per place in the text;
fields with a `$` wait for the walk, which calls `finish` with their values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from specbuilder.catalogue.contract import Family, Kind
from specbuilder.catalogue.declared import fields_of, keys_of
from specbuilder.catalogue.fields import check, shown
from specbuilder.diagnostics import Diagnostics, Span, did_you_mean, suggest
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Node, Scalar
from specbuilder.language.settings import STRUCTURAL
from specbuilder.language.tree import Deferred, Entry, NodeArgument, NodesArgument, Use
from specbuilder.language.values import entry, key_at, node_at, read, text_at, without_quotes
from specbuilder.language.vocabulary import CATALOGUE, CONSTRUCTS, Vocabulary

if TYPE_CHECKING:
    from specbuilder.catalogue.explain import FieldProblem

_NOUNS: Mapping[Family, str] = {
    "node": "kind of node",
    "loss": "loss",
    "optimizer": "optimizer",
    "schedule": "schedule",
    "average": "average",
    "dataset": "dataset",
    "transform": "transform",
    "metric": "metric",
    "initializer": "initializer",
}


_SAMPLES: Mapping[Family, str] = {
    "node": "linear: 10",
    "loss": "cross_entropy",
    "optimizer": "adam: {lr: 1e-3}",
    "schedule": "cosine",
    "average": "ema",
    "dataset": "digits",
    "transform": "random_crop: {size: 32, padding: 4}",
    "metric": "accuracy",
    "initializer": "normal: {std: 0.02}",
}
_OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    "bias": ("use_bias",),
    "dim": ("axis", "dims", "axes"),
    "embedding_dim": ("output_dim", "features", "dim", "size"),
    "eps": ("epsilon",),
    "kernel_size": ("kernel", "filter_size", "pool_size", "ksize", "k"),
    "lr": ("learning_rate", "rate", "eta"),
    "negative_slope": ("alpha", "slope"),
    "num_embeddings": ("input_dim", "vocab_size", "vocabulary"),
    "out_channels": ("filters", "channels", "out", "num_filters", "features", "planes"),
    "out_features": ("units", "features", "size", "out", "width", "hidden", "out_dim"),
    "output_size": ("size",),
    "p": ("rate", "probability", "prob", "dropout", "ratio"),
    "padding": ("pad",),
    "stride": ("strides", "step"),
    "weight_decay": ("decay", "l2"),
}
"""What other tools call a field: never accepted, only used to suggest the right one."""


def decode_use(
    family: Family, item: Node, diagnostics: Diagnostics, *, beside: Collection[str] = (), vocabulary: Vocabulary = CATALOGUE
) -> tuple[Use | None, Mapping[str, tuple[Scalar, Node]]]:
    """A kind written as a word or as a mapping of one kind, and the keys of `beside` that stand next to it."""
    if isinstance(item, Scalar) and isinstance(item.value, str):
        return _use(family, item, None, diagnostics, vocabulary), {}
    if not isinstance(item, MappingNode) or not item.entries:
        noun = _NOUNS[family]
        article = "an" if noun[0] in "aeiou" else "a"
        found = "" if _is_null(item) else f", but this is {'empty' if _is_empty(item) else shown(read(item, diagnostics))}"
        diagnostics.error("SB0207", f"{article} {noun} is wanted here{found}", item.span, help=f"such as `{_SAMPLES[family]}`")
        return None, {}
    kinds = [(key, value) for key, value in item.entries if key.value not in beside and key.value not in STRUCTURAL]
    others = {str(key.value): (key, value) for key, value in item.entries if key.value in beside}
    for key, _ in item.entries:
        if key.value in STRUCTURAL and key.value not in beside:
            noun = _NOUNS[family]
            message = f"`{key.value}` has no place beside {'an' if noun[0] in 'aeiou' else 'a'} {noun}"
            diagnostics.error("SB0201", message, key.span, help=f"delete it; `{key.value}` is for nodes")
    if not kinds:
        key = item.entries[0][0]
        help = f"begin the entry with a kind, such as `{_SAMPLES[family]}`"
        diagnostics.error("SB0207", f"no {_NOUNS[family]} stands beside `{key.value}`", key.span, help=help)
        return None, others
    chosen = next(((key, value) for key, value in kinds if _is_kind(family, key, vocabulary)), kinds[0])
    stray = [(key, value) for key, value in kinds if key is not chosen[0]]
    outside = _fields_outside(vocabulary.find(family, str(chosen[0].value)), chosen[0], chosen[1], stray, diagnostics)
    use = _use(family, chosen[0], chosen[1], diagnostics, vocabulary, {str(key.value) for key, _ in outside})
    for key, value in stray:
        if all(key is not other for other, _ in outside):
            _stray_key(use, key, value, family, beside, diagnostics, vocabulary)
    return use, others


Pair = tuple[Scalar, Node]


def _fields_outside(cls: type[Kind] | None, kind: Scalar, value: Node, stray: Collection[Pair], diagnostics: Diagnostics) -> list[Pair]:
    """Fields that stand beside their kind instead of in it: one mistake, however many they are."""
    known = fields_of(cls) if cls is not None else {}
    outside = [(key, found) for key, found in stray if key.value in known]
    if cls is None or not outside:
        return []
    names = [f"`{key.value}`" for key, _ in outside]
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    are = "are fields" if len(names) > 1 else "is a field"
    message = f"{listed} {are} of `{kind.value}` and belong{'' if len(names) > 1 else 's'} one level in"
    diagnostics.error("SB0206", message, outside[0][0].span, help=f"write `{kind.value}: {{{_as_fields(cls, value, outside)}}}`")
    return outside


def _as_fields(cls: type[Kind], value: Node, outside: Collection[Pair]) -> str:
    inside: list[tuple[str, Node]] = []
    if isinstance(value, MappingNode):
        inside = [(str(key.value), found) for key, found in value.entries]
    elif not _is_null(value) and cls.primary is not None:
        inside = [(cls.primary, value)]
    return ", ".join(f"{name}: {_text(found)}" for name, found in (*inside, *((str(key.value), found) for key, found in outside)))


def _text(node: Node) -> str:
    """A value as it was written, when it fits on a line."""
    text = node.span.text
    return text if "\n" not in text and len(text) <= 40 else "..."


def _is_kind(family: Family, key: Scalar, vocabulary: Vocabulary) -> bool:
    return str(key.value).startswith("$") or vocabulary.has(family, str(key.value))


def _stray_key(use: Use, key: Scalar, value: Node, family: Family, beside: Collection[str], diagnostics: Diagnostics, vocabulary: Vocabulary) -> None:
    name = str(key.value)
    if _is_kind(family, key, vocabulary) or (family == "node" and name in CONSTRUCTS):
        is_list = family in ("node", "transform", "metric")
        help = "begin a new entry of the list with `- `" if is_list else f"keep one {_NOUNS[family]}"
        diagnostics.error("SB0207", f"one entry holds two kinds, `{use.title}` and `{name}`", key.span, help=help)
    else:
        known = [*beside, *(fields_of(use.cls) if use.cls else ())]
        help = did_you_mean(name, known) or _as_entry(family, value, vocabulary) or _legal(beside)
        diagnostics.error("SB0201", f"unknown key `{name}` beside `{use.title}`", key.span, help=help)


def _as_entry(family: Family, value: Node, vocabulary: Vocabulary) -> str | None:
    """For `activation: relu`: the value is a kind, and stands in the list by itself."""
    if family == "node" and isinstance(value, Scalar) and vocabulary.has(family, str(value.value)):
        return f"write `- {value.value}` as the next entry of the list"
    return None


def _legal(keys: Collection[str]) -> str | None:
    return f"beside a kind stand only {', '.join(f'`{key}`' for key in keys)}" if keys else None


def not_yet(what: str, span: Span, diagnostics: Diagnostics) -> None:
    """The answer to a construct that the language has and this version does not run."""
    diagnostics.error("SB0209", f"{what} is part of the language, but this version of specbuilder cannot run it yet", span)


def _use(family: Family, key: Scalar, value: Node | None, diagnostics: Diagnostics, vocabulary: Vocabulary, outside: Collection[str] = ()) -> Use:
    """`outside`: fields that stand beside the kind, which has been told; they are not missing as well."""
    if family == "node" and isinstance(key.value, str) and "$" in key.value:
        kind = read(key, diagnostics)
        if isinstance(kind, Deferred) and isinstance(value, (MappingNode, type(None))):
            return Use(family, kind, key.span, None, _fields(value, key, None, diagnostics))
        if isinstance(kind, Deferred):
            return _primary_of_deferred(family, kind, key, value, diagnostics)
        return Use(family, str(key.value), key.span, None, {}, is_wrong=True)
    name = str(key.value)
    cls = vocabulary.find(family, name)
    if cls is None:
        diagnostics.error("SB0205", f"unknown {_NOUNS[family]} `{name}`", key.span, help=vocabulary.unknown(family, name))
        return Use(family, name, key.span, None, {}, is_wrong=True)
    if value is not None and not isinstance(value, MappingNode) and not _is_null(value) and cls.primary is None:
        diagnostics.error("SB0203", f"`{name}` takes no value of its own", value.span, help=_fields_help(cls))
        return Use(family, name, key.span, cls, {}, is_wrong=True)
    fields = _fields(value, key, cls, diagnostics)
    misplaced = _misplaced(family, name, cls, fields, diagnostics) if fields else set()
    plain = {field: entry for field, entry in fields.items() if field not in misplaced} if misplaced else fields
    instance, problems = check(
        cls,
        {field: entry.value for field, entry in plain.items()},
        owner=name,
        deferred=[field for field, entry in plain.items() if entry.is_deferred or takes_nodes(cls, field)],
    )
    report_problems(problems, plain, key.span, diagnostics, outside, cls)
    wrong = bool(problems or misplaced or outside)
    return Use(family, name, key.span, cls, plain, None if wrong else instance, is_wrong=wrong)


def takes_nodes(cls: type[Kind], field: str) -> bool:
    """Whether a field is a param of type `node` or `nodes`, whose value is no plain one."""
    known = fields_of(cls).get(field)
    return known is not None and known.annotation in (NodeArgument, NodesArgument)


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _is_empty(node: Node) -> bool:
    return not isinstance(node, Scalar) and not (node.entries if isinstance(node, MappingNode) else node.items)


def _fields_help(cls: type[Kind]) -> str:
    names = ", ".join(f"`{name}`" for name in fields_of(cls))
    return f"write its fields as a mapping: {names}" if names else f"write just `{cls.kind}`"


def _primary_of_deferred(family: Family, kind: Deferred, key: Scalar, value: Node | None, diagnostics: Diagnostics) -> Use:
    if value is None or _is_null(value):
        return Use(family, kind, key.span, None, {})
    return Use(family, kind, key.span, None, {PRIMARY: entry(key.span, value, diagnostics)})


PRIMARY = ""
"""Stands for the primary field while the kind itself is still deferred."""


def _fields(value: Node | None, key: Scalar, cls: type[Kind] | None, diagnostics: Diagnostics) -> dict[str, Entry]:
    if value is None or _is_null(value):
        return {}
    if isinstance(value, MappingNode):
        return {str(name.value): entry(name.span, node, diagnostics) for name, node in value.entries}
    assert cls is not None and cls.primary is not None
    return {cls.primary: entry(key.span, value, diagnostics)}


def _misplaced(family: Family, title: str, cls: type[Kind], fields: Mapping[str, Entry], diagnostics: Diagnostics) -> set[str]:
    """Structural keys written among the fields."""
    wrong = {name for name in fields if name in STRUCTURAL and name not in fields_of(cls)} if family == "node" else set()
    for name in sorted(wrong):
        help = f"write `{name}: {_text(fields[name].node)}` on a line of its own, indented like `{title}`"
        diagnostics.error("SB0206", f"`{name}` belongs one level out, beside `{title}`", fields[name].key, help=help)
    return wrong


def finish(use: Use, cls: type[Kind], values: Mapping[str, Any], diagnostics: Diagnostics) -> Kind | None:
    """The kind with its deferred fields known; reports what is wrong with them."""
    title = cls.kind
    if PRIMARY in values:
        if cls.primary is None:
            diagnostics.error("SB0203", f"`{title}` takes no value of its own", use.fields[PRIMARY].span, help=_fields_help(cls))
            return None
        values = {cls.primary: values[PRIMARY]}
    instance, problems = check(cls, values, owner=title)
    entries = {cls.primary if name == PRIMARY and cls.primary else name: entry for name, entry in use.fields.items()}
    report_problems(problems, entries, use.span, diagnostics, (), cls)
    return instance


def report_problems(
    problems: Collection[FieldProblem],
    entries: Mapping[str, Entry],
    owner: Span,
    diagnostics: Diagnostics,
    meant: Collection[str] = (),
    cls: type[Kind] | None = None,
) -> None:
    """Puts each problem under the token that is to blame. `meant` are fields that were written in a wrong way, so they are not missing."""
    known = keys_of(cls) if cls is not None else {}
    mistyped = {str(problem.location[0]): _nearest(str(problem.location[0]), known) for problem in problems if problem.code == "SB0201"}
    meant = {*meant, *(name for names in mistyped.values() for name in names)}
    for problem in problems:
        name = str(problem.location[0]) if problem.location else ""
        help = problem.help
        if problem.code == "SB0202":
            if name in meant:
                continue
            help = f"{help}, as in `{cls.examples[0].text}`" if cls is not None and cls.examples else help
        elif problem.code == "SB0201" and mistyped[name] and name.isidentifier() and "did you mean" not in (help or ""):
            help = f"did you mean {' or '.join(f'`{near}`' for near in mistyped[name])}?"
        written = entries.get(name)
        node = node_at(written.node, problem.location[1:]) if written is not None else None
        if help is None and problem.wants_number and node is not None:
            help = without_quotes(node)
        span = owner if written is None or node is None else written.key if problem.code == "SB0201" else node.span
        if problem.code == "SB0201" and len(problem.location) > 1 and written is not None:
            span = key_at(node_at(written.node, problem.location[1:-1]), str(problem.location[-1]))
        if problem.part is not None and written is not None and not written.is_deferred:
            span = text_at(written.node, problem.location[1:], *problem.part)
        diagnostics.error(problem.code, problem.message, span, help=help)


def _nearest(name: str, known: Collection[str]) -> tuple[str, ...]:
    """The fields that an unknown one was likely meant to be: nearly spelt so, or called so elsewhere; any of them where it is no word."""
    if not name.isidentifier():
        return tuple(known)
    return suggest(name, known) or tuple(field for field, others in _OTHER_WORDS.items() if field in known and name in others)
