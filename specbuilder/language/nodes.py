"""Decodes lists of nodes: kinds and blocks, the constructs that hold lists themselves, and the structural keys beside them.

In: document nodes and the vocabulary. Out: `NodeTree`s, every key known, every literal checked. Names and shapes are the walk's.
"""

from __future__ import annotations

from collections.abc import Mapping

from specbuilder.catalogue.contract import Kind
from specbuilder.catalogue.declared import fields_of
from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics, Span
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Node, Scalar
from specbuilder.language.document import Sequence as SequenceNode
from specbuilder.language.formulas import parse_formula
from specbuilder.language.freezes import decode_freeze
from specbuilder.language.inits import decode_init
from specbuilder.language.names import name_problem, repaired
from specbuilder.language.settings import STRUCTURAL
from specbuilder.language.tokens import ExpressionError
from specbuilder.language.tree import (
    Body,
    BranchesTree,
    ComputeTree,
    Deferred,
    Entry,
    From,
    ListTree,
    NodeArgument,
    NodesArgument,
    NodeTree,
    OutputTree,
    Reference,
    ShareTree,
    Use,
)
from specbuilder.language.uses import decode_use
from specbuilder.language.values import Broken, entry, placed, read, report
from specbuilder.language.vocabulary import CONSTRUCTS, Vocabulary

Keys = Mapping[str, tuple[Scalar, Node]]


def decode_nodes(
    node: Node, vocabulary: Vocabulary, diagnostics: Diagnostics, *, owner: str = "nodes", may_be_empty: bool = False
) -> tuple[NodeTree, ...]:
    """A list of nodes. `owner` is the key that holds it."""
    if isinstance(node, SequenceNode) and not node.items and may_be_empty:
        return ()
    if not isinstance(node, SequenceNode) or not node.items:
        message = (
            f"`{owner}` is empty" if isinstance(node, SequenceNode) else f"`{owner}` is a list of nodes, but this is {shown(read(node, diagnostics))}"
        )
        diagnostics.error("SB0203", message, node.span, help="begin each node with `- `, such as `- linear: 10`")
        return ()
    return tuple(_node(item, vocabulary, diagnostics) for item in node.items)


def _node(item: Node, vocabulary: Vocabulary, diagnostics: Diagnostics) -> NodeTree:
    body, keys = _construct(item, vocabulary, diagnostics) or decode_use("node", item, diagnostics, beside=STRUCTURAL, vocabulary=vocabulary)
    if body is None:
        # Something stands here, though nobody knows what: whatever reads it, or may be meant to, stays quiet.
        body = Use("node", "", item.span, None, {}, is_wrong=True)
    if isinstance(body, Use) and body.cls is not None:
        body = with_arguments(body, body.cls, vocabulary, diagnostics)
    _check_together(body, keys, diagnostics)
    entries = {name: entry(key.span, value, diagnostics) for name, (key, value) in keys.items() if name in ("name", "when", "repeat", "each", "type")}
    for name in ("repeat", "each"):
        if name in entries and isinstance(written := entries[name].node, MappingNode):
            for column, _ in written.entries:
                check_name(str(column.value), column.span, diagnostics, is_attribute=False)
    return NodeTree(
        body,
        name=_name(entries.get("name"), diagnostics),
        reads=_from(*keys["from"], diagnostics) if "from" in keys else None,
        when=entries.get("when"),
        repeat=entries.get("repeat"),
        # Both are one mistake, which has been told: what follows is of a repeat.
        each=entries.get("each") if "repeat" not in entries else None,
        is_shared=_is_shared(keys, diagnostics),
        merge=_merge(keys, vocabulary, diagnostics),
        init=decode_init(keys["init"][0].span, keys["init"][1], diagnostics) if "init" in keys else None,
        tie=_tie(keys, diagnostics),
        freeze=decode_freeze(keys["freeze"][0].span, keys["freeze"][1], diagnostics) if "freeze" in keys else None,
        type=entries.get("type"),
    )


def check_name(name: str, span: Span, diagnostics: Diagnostics, *, is_attribute: bool = True, is_input: bool = False) -> bool:
    """Whether `name` may be one; reported when not."""
    problem = name_problem(name, is_attribute=is_attribute, is_input=is_input)
    if problem is not None:
        help = f"choose another, such as `{repaired(name, is_input=is_input)}`"
        diagnostics.error("SB0302", f"`{name}` cannot be a name: {problem}", span, help=help)
    return problem is None


# Constructs ----------------------------------------------------------------------------------------------------------


def _construct(item: Node, vocabulary: Vocabulary, diagnostics: Diagnostics) -> tuple[Body | None, Keys] | None:
    """`sequence`, `residual`, `branches`, `share`, `compute` with what stands behind it; None where the entry is none of them."""
    if isinstance(item, Scalar) and item.value in CONSTRUCTS:
        diagnostics.error("SB0202", f"`{item.value}` needs something behind it", item.span, help=f"such as `{_SAMPLES[str(item.value)]}`")
        return None, {}
    if not isinstance(item, MappingNode):
        return None
    found = [(key, value) for key, value in item.entries if key.value in CONSTRUCTS]
    if not found:
        return None
    key, value = found[0]
    for other, _ in item.entries:
        if other is not key and other.value not in STRUCTURAL:
            help = "begin a new entry of the list with `- `" if other.value in CONSTRUCTS or vocabulary.has("node", str(other.value)) else None
            diagnostics.error("SB0207", f"`{other.value}` has no place beside `{key.value}`", other.span, help=help)
    keys = {str(other.value): (other, inner) for other, inner in item.entries if other.value in STRUCTURAL}
    return _body(key, placed(key.span, value), vocabulary, diagnostics), keys


_SAMPLES = {
    "sequence": "sequence: [{linear: 10}, relu]",
    "residual": "residual: [{linear: 10}, relu]",
    "branches": "branches: {a: [relu], b: []}",
    "share": "share: left",
    "compute": "compute: 0.5 * prev",
}


def _body(key: Scalar, value: Node, vocabulary: Vocabulary, diagnostics: Diagnostics) -> Body | None:
    word = str(key.value)
    if word in ("sequence", "residual"):
        nodes = decode_nodes(value, vocabulary, diagnostics, owner=word)
        return ListTree(word, key.span, nodes)  # type: ignore[arg-type]  # one of the two words
    if word == "branches":
        return _branches(key, value, vocabulary, diagnostics)
    if not isinstance(value, Scalar) or not isinstance(value.value, str):
        diagnostics.error(
            "SB0203", f"`{word}` wants a text, but this is {shown(read(value, diagnostics))}", value.span, help=f"such as `{_SAMPLES[word]}`"
        )
        return None
    if word == "share":
        return ShareTree(key.span, Reference(read(value, diagnostics), value.span))  # type: ignore[arg-type]  # a text or Deferred
    try:
        return ComputeTree(key.span, value, parse_formula(value.value))
    except ExpressionError as error:
        report(error, value, diagnostics)
        return ComputeTree(key.span, value, None)


def _branches(key: Scalar, value: Node, vocabulary: Vocabulary, diagnostics: Diagnostics) -> BranchesTree | None:
    if not isinstance(value, MappingNode) or not value.entries:
        diagnostics.error("SB0203", "`branches` is a mapping of names to lists of nodes", value.span, help=f"such as `{_SAMPLES['branches']}`")
        return None
    found: dict[str, ListTree] = {}
    for name, nodes in value.entries:
        check_name(str(name.value), name.span, diagnostics)
        found[str(name.value)] = ListTree(
            "sequence", name.span, decode_nodes(placed(name.span, nodes), vocabulary, diagnostics, owner=str(name.value), may_be_empty=True)
        )
    return BranchesTree(key.span, found)


def with_arguments(use: Use, cls: type[Kind], vocabulary: Vocabulary, diagnostics: Diagnostics) -> Use:
    """The use of a block with the values of its `node` and `nodes` params decoded; a `$` alone in their place stays deferred."""
    known = fields_of(cls)
    fields = dict(use.fields)
    for name, written in use.fields.items():
        wanted = known[name].annotation if name in known else None
        if wanted not in (NodeArgument, NodesArgument) or isinstance(written.value, (Deferred, NodeArgument, NodesArgument)):
            continue
        value: NodeArgument | NodesArgument | None
        if wanted is NodeArgument:
            inner, _ = decode_use("node", written.node, diagnostics, vocabulary=vocabulary)
            value = None if inner is None else NodeArgument(with_arguments(inner, inner.cls, vocabulary, diagnostics) if inner.cls else inner)
        else:
            value = NodesArgument(
                ListTree("sequence", written.key, decode_nodes(written.node, vocabulary, diagnostics, owner=name, may_be_empty=True))
            )
        fields[name] = written.replace(value=value, is_deferred=True)
        if value is None:
            return use.replace(is_wrong=True)
    return use.replace(fields=fields) if fields != use.fields else use


# Structural keys -----------------------------------------------------------------------------------------------------


def _check_together(body: Body, keys: Keys, diagnostics: Diagnostics) -> None:
    """Keys that mean nothing without another one, or that exclude one another."""
    if "each" in keys and "repeat" in keys:
        diagnostics.error(
            "SB0201", "`repeat` and `each` exclude one another", keys["each"][0].span, help="put one of them on a `sequence` around the node"
        )
    if "shared" in keys and not keys.keys() & {"each", "repeat"}:
        diagnostics.error(
            "SB0201", "`shared` says that copies have one set of weights, but there are no copies", keys["shared"][0].span, help="delete it"
        )
    if "merge" in keys and "each" not in keys and not isinstance(body, BranchesTree):
        help = "delete it" if "repeat" not in keys else "a `repeat` hands each copy on to the next; `each` gives a list"
        diagnostics.error(
            "SB0201", "`merge` joins the copies of `each` or the lists of `branches`, but there are none", keys["merge"][0].span, help=help
        )
    if not isinstance(body, Use):
        for name in ("init", "tie", "freeze"):
            if name in keys:
                key = keys[name][0]
                diagnostics.error(
                    "SB0201", f"`{name}` is for a node with weights of its own", key.span, help="write it beside a kind, such as `linear`"
                )


def _name(name: Entry | None, diagnostics: Diagnostics) -> Entry | None:
    if name is None or name.is_deferred:
        return name
    if isinstance(name.value, str):
        check_name(name.value, name.span, diagnostics)
        return name
    help = f"choose another, such as `{repaired(str(name.value))}`" if isinstance(name.value, (int, float)) else None
    diagnostics.error("SB0203", f"`name` wants a text, but this is {shown(name.value)}", name.span, help=help)
    return None


def _is_shared(keys: Keys, diagnostics: Diagnostics) -> bool:
    if "shared" not in keys:
        return False
    key, node = keys["shared"]
    value = read(placed(key.span, node), diagnostics)
    if not isinstance(value, bool):
        diagnostics.error("SB0203", f"`shared` wants true or false, but this is {shown(value)}", placed(key.span, node).span)
    return value is True


def _merge(keys: Keys, vocabulary: Vocabulary, diagnostics: Diagnostics) -> Use | None:
    if "merge" not in keys:
        return None
    key, node = keys["merge"]
    use, _ = decode_use("node", placed(key.span, node), diagnostics, vocabulary=vocabulary)
    return use


def _tie(keys: Keys, diagnostics: Diagnostics) -> Mapping[str, Reference] | None:
    if "tie" not in keys:
        return None
    key, node = keys["tie"]
    node = placed(key.span, node)
    if not isinstance(node, MappingNode) or not node.entries:
        diagnostics.error("SB0203", "`tie` is a mapping of a tensor to the one that it is", node.span, help="such as `tie: {weight: wte.weight}`")
        return None
    found: dict[str, Reference] = {}
    for tensor, value in node.entries:
        references = decode_references(value, diagnostics)
        if len(references) == 1:
            found[str(tensor.value)] = references[0]
    return found


def _from(key: Scalar, node: Node, diagnostics: Diagnostics) -> From | None:
    node = placed(key.span, node)
    if isinstance(node, (SequenceNode, MappingNode)) and not _parts(node):
        diagnostics.error("SB0203", "`from` names no node", node.span, help="delete it to read the node before, or name one: `from: stem`")
        return None
    if isinstance(node, MappingNode):
        named = {str(port.value): decode_references(value, diagnostics) for port, value in node.entries}
        return From(node.span, named=named, port_keys={str(port.value): port.span for port, _ in node.entries})
    references = decode_references(node, diagnostics)
    return From(node.span, ordered=references) if references else None


def _parts(node: SequenceNode | MappingNode) -> int:
    return len(node.items if isinstance(node, SequenceNode) else node.entries)


def decode_references(node: Node, diagnostics: Diagnostics) -> tuple[Reference, ...]:
    """A name or a list of names."""
    items = node.items if isinstance(node, SequenceNode) else (node,)
    found = []
    for item in items:
        value = read(item, diagnostics)
        if isinstance(value, (str, Deferred, Broken)):
            found.append(Reference(value, item.span))
        else:
            help = "a node that is to be read has a name: `name: stem`, then `from: stem`"
            diagnostics.error("SB0203", f"the name of a node is wanted here, but this is {shown(value)}", item.span, help=help)
    return tuple(found)


def decode_outputs(node: Node, diagnostics: Diagnostics, *, of_block: bool) -> tuple[OutputTree, ...] | None:
    """`outputs` of the model or of a block; the ports of a block may be lists."""
    if isinstance(node, MappingNode):
        outputs = []
        for key, value in node.entries:
            check_name(str(key.value), key.span, diagnostics)
            references = decode_references(value, diagnostics)
            is_list = isinstance(value, SequenceNode) and of_block
            if references:
                outputs.append(OutputTree(str(key.value), references if is_list else references[:1], key.span, is_list))
        return tuple(outputs)
    if isinstance(node, SequenceNode) and node.items:
        return tuple(OutputTree(None, (reference,), reference.span) for reference in decode_references(node, diagnostics))
    lone = isinstance(node, Scalar) and isinstance(node.value, str)
    help = (
        f"write `outputs: [{node.value}]`"
        if isinstance(node, Scalar) and lone
        else "such as `outputs: [logits]`, or delete it: the last node is the output"
    )
    diagnostics.error("SB0203", "`outputs` is a list of nodes, or a mapping of names to nodes", node.span, help=help)
    return None
