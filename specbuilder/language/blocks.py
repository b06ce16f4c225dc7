"""Decodes `blocks`: each becomes a kind whose fields are its params, and a tree of what it does.

In: the mapping of blocks. Out: a vocabulary that has them. Heads first, since any block may use any other, itself too; then what they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from specbuilder.catalogue import lookup
from specbuilder.catalogue.contract import Port
from specbuilder.catalogue.declared import MISFIT, REQUIRED, WrittenField, fit
from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics, Span, SpecError, did_you_mean
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Node, Scalar, plain
from specbuilder.language.document import Sequence as SequenceNode
from specbuilder.language.nodes import check_name, decode_nodes, decode_outputs
from specbuilder.language.read import read_value
from specbuilder.language.tree import BlockInput, BlockTree, Entry, ListTree, NodeArgument, NodesArgument
from specbuilder.language.uses import decode_use
from specbuilder.language.values import entry, part, placed, read
from specbuilder.language.vocabulary import CONSTRUCTS, BlockKind, Vocabulary
from specbuilder.shapes import Poly

KEYS = ("params", "inputs", "let", "nodes", "outputs")
TYPES: Mapping[str, Any] = {
    "int": int | Poly,
    "float": float,
    "bool": bool,
    "str": str,
    "list": tuple[Any, ...],
    "node": NodeArgument,
    "nodes": NodesArgument,
}
PARAM_KEYS = ("type", "default", "min", "max", "choices", "doc")


def decode_blocks(node: Node, diagnostics: Diagnostics) -> Vocabulary:
    """The catalogue and these blocks."""
    if not isinstance(node, MappingNode):
        diagnostics.error("SB0203", f"`blocks` is a mapping of names to blocks, but this is {shown(read(node, diagnostics))}", node.span)
        return Vocabulary({})
    blocks: dict[str, type[BlockKind]] = {}
    vocabulary = Vocabulary(blocks)
    bodies: list[tuple[type[BlockKind], Scalar, Keys]] = []
    for name, value in node.entries:
        if not _may_be_called(name, diagnostics):
            continue
        keys = _keys(name, placed(name.span, value), diagnostics)
        cls = _head(name, keys, diagnostics)
        blocks[str(name.value)] = cls
        bodies.append((cls, name, keys))
    for cls, name, keys in bodies:
        before = diagnostics.errors
        _defaults(cls, vocabulary, diagnostics)
        cls.block = _body(name, keys, vocabulary, diagnostics)
        if diagnostics.errors > before:
            cls.block = cls.block.replace(is_wrong=True)
    return vocabulary


Keys = Mapping[str, tuple[Scalar, Node]]


def _may_be_called(name: Scalar, diagnostics: Diagnostics) -> bool:
    word = str(name.value)
    if word in CONSTRUCTS:
        diagnostics.error(
            "SB0302", f"`{word}` cannot be a block: it is a word of the language", name.span, help=f"choose another, such as `my_{word}`"
        )
        return False
    if lookup.has("node", word):
        diagnostics.error(
            "SB0302", f"`{word}` cannot be a block: there is a kind of that name", name.span, help=f"choose another, such as `my_{word}`"
        )
        return False
    return check_name(word, name.span, diagnostics)


def _keys(name: Scalar, node: Node, diagnostics: Diagnostics) -> Keys:
    if not isinstance(node, MappingNode):
        found = shown(read(node, diagnostics))
        help = (
            "write `nodes:` with the list below it"
            if isinstance(node, SequenceNode)
            else "a block has `nodes`, and beside it `params`, `inputs`, `let`, `outputs`"
        )
        diagnostics.error("SB0203", f"the block `{name.value}` is a mapping of keys, but this is {found}", node.span, help=help)
        return {}
    for key, _ in node.entries:
        if key.value not in KEYS:
            help = did_you_mean(str(key.value), KEYS) or "its keys are " + ", ".join(f"`{known}`" for known in KEYS)
            diagnostics.error("SB0201", f"unknown key `{key.value}` in the block `{name.value}`", key.span, help=help)
    keys = {str(key.value): (key, value) for key, value in node.entries}
    if "nodes" not in keys:
        diagnostics.error("SB0202", f"the block `{name.value}` needs `nodes`", name.span, help="add `nodes:` with a list, such as `- linear: 10`")
    return keys


# Params --------------------------------------------------------------------------------------------------------------


def _head(name: Scalar, keys: Keys, diagnostics: Diagnostics) -> type[BlockKind]:
    """The class with the params as fields. A default of type `node` is still its text; `_defaults` decodes it, when all blocks are known."""
    inputs = _inputs(*keys["inputs"], diagnostics) if "inputs" in keys else (BlockInput("input", name.span),)
    params = _params(keys["params"][1], diagnostics) if "params" in keys else {}
    body: dict[str, Any] = {
        "__doc__": f"The block `{name.value}`.",
        "__annotations__": {param: annotation for param, (annotation, _) in params.items()},
        "__module__": __name__,
        **{param: written for param, (_, written) in params.items()},
        "inputs": tuple(Port(each.name, is_either=True) for each in inputs),
        "kind": str(name.value),
        "primary": next(iter(params), None),
        "block": BlockTree(str(name.value), name.span, inputs, {}, (), None, is_wrong=True),
    }
    return type(str(name.value), (BlockKind,), body)


def _params(node: Node, diagnostics: Diagnostics) -> dict[str, tuple[Any, WrittenField]]:
    if not isinstance(node, MappingNode):
        diagnostics.error("SB0203", "`params` is a mapping of names to types", node.span, help="such as `params: {out: int, stride: int = 1}`")
        return {}
    found: dict[str, tuple[Any, WrittenField]] = {}
    for key, value in node.entries:
        if check_name(str(key.value), key.span, diagnostics, is_attribute=False):
            param = _long(value, diagnostics) if isinstance(value, MappingNode) else _short(placed(key.span, value), diagnostics)
            found[str(key.value)] = param or (Any, WrittenField(None, ""))
    return found


def _short(node: Node, diagnostics: Diagnostics) -> tuple[Any, WrittenField] | None:
    """`int`, or `int = 3`."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        diagnostics.error("SB0203", f"the type of a param is wanted here, but this is {shown(read(node, diagnostics))}", node.span, help=_TYPE_HELP)
        return None
    word, equals, text = node.value.partition("=")
    annotation = _type(word.strip(), part(node, 0, len(word.rstrip()) or 1), diagnostics)
    if annotation is None:
        return None
    if not equals:
        return annotation, WrittenField(REQUIRED, "")
    at = part(node, len(word) + 1, len(node.value))
    try:
        default = read_value(text.strip(), "default")
    except SpecError:
        diagnostics.error("SB0203", f"`{text.strip()}` is no value", at, help="a default is a literal, such as `int = 3`")
        return None
    return _with_default(annotation, word.strip(), default, at, "", diagnostics)


_TYPE_HELP = f"one of {', '.join(f'`{word}`' for word in TYPES)}; with a default: `int = 3`"


def _type(word: str, span: Span, diagnostics: Diagnostics) -> Any:
    if word not in TYPES:
        help = did_you_mean(word, TYPES, aliases={"string": "str", "integer": "int", "number": "float", "boolean": "bool"}) or _TYPE_HELP
        diagnostics.error("SB0203", f"`{word}` is no type of a param", span, help=help)
    return TYPES.get(word)


def _long(node: MappingNode, diagnostics: Diagnostics) -> tuple[Any, WrittenField] | None:
    """`{type: int, default: 3, min: 1, max: 9, choices: [3, 5], doc: ...}`."""
    for key, _ in node.entries:
        if key.value not in PARAM_KEYS:
            help = did_you_mean(str(key.value), PARAM_KEYS) or "its keys are " + ", ".join(f"`{known}`" for known in PARAM_KEYS)
            diagnostics.error("SB0201", f"unknown key `{key.value}` of a param", key.span, help=help)
    written = node.get("type")
    if written is None:
        diagnostics.error("SB0202", "a param needs `type`", node.span, help=_TYPE_HELP)
        return None
    if not isinstance(written, Scalar) or not isinstance(written.value, str):
        diagnostics.error("SB0203", f"`type` wants a text, but this is {shown(read(written, diagnostics))}", written.span, help=_TYPE_HELP)
        return None
    annotation = _type(written.value, written.span, diagnostics)
    if annotation is None:
        return None
    annotation = _bounded(annotation, written.value, node, diagnostics)
    doc = node.get("doc")
    text = str(doc.value) if isinstance(doc, Scalar) and doc.value is not None else ""
    default = node.get("default")
    if default is None:
        return annotation, WrittenField(REQUIRED, text)
    return _with_default(annotation, written.value, default, default.span, text, diagnostics)


def _bounded(annotation: Any, word: str, node: MappingNode, diagnostics: Diagnostics) -> Any:
    """The type within `min` and `max`, or one of `choices`."""
    choices = node.get("choices")
    if choices is not None:
        base = int if word == "int" else annotation
        values = tuple(plain(item) for item in choices.items) if isinstance(choices, SequenceNode) else ()
        if not values or any(fit(base, value) is MISFIT for value in values):
            diagnostics.error("SB0203", f"`choices` is a list of values of type `{word}`", choices.span)
            return annotation
        return Literal[values]
    for key, bound in (("min", Ge), ("max", Le)):
        limit = node.get(key)
        if limit is None:
            continue
        value = limit.value if isinstance(limit, Scalar) else None
        if word not in ("int", "float") or isinstance(value, bool) or not isinstance(value, int | float):
            diagnostics.error("SB0203", f"`{key}` is a number, for a param of type `int` or `float`", limit.span)
            continue
        annotation = Annotated[int if word == "int" else annotation, bound(value)]
    return annotation


def _with_default(annotation: Any, word: str, node: Node, span: Span, doc: str, diagnostics: Diagnostics) -> tuple[Any, WrittenField]:
    if annotation in (NodeArgument, NodesArgument):
        return annotation, WrittenField(node, doc)
    value = _tuples(plain(node))
    held = fit(annotation, value)
    if held is MISFIT:
        diagnostics.error("SB0203", f"the default is {describe_type(word)}, but this is {shown(value)}", span)
        return annotation, WrittenField(REQUIRED, doc)
    return annotation, WrittenField(held, doc)


_WORDS = {"int": "an integer", "float": "a number", "bool": "true or false", "str": "a text", "list": "a list"}


def describe_type(word: str) -> str:
    """What a param of this type wants, in words."""
    return f"to be {_WORDS[word]}" if word in _WORDS else "to fit its type"


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _defaults(cls: type[BlockKind], vocabulary: Vocabulary, diagnostics: Diagnostics) -> None:
    """Decodes the defaults of `node` and `nodes` params."""
    own = dict(cls._own_fields)
    for name, field in cls._own_fields.items():
        if not isinstance(field.default, (Scalar, MappingNode, SequenceNode)):
            continue
        value: NodeArgument | NodesArgument | Any = REQUIRED
        if cls.__annotations__[name] is NodeArgument:
            use, _ = decode_use("node", field.default, diagnostics, vocabulary=vocabulary)
            value = NodeArgument(use) if use is not None else REQUIRED
        else:
            value = NodesArgument(
                ListTree("sequence", field.default.span, decode_nodes(field.default, vocabulary, diagnostics, owner=name, may_be_empty=True))
            )
        own[name] = WrittenField(value, field.description)
    cls._own_fields = own


# What a block does ---------------------------------------------------------------------------------------------------


def _inputs(key: Scalar, node: Node, diagnostics: Diagnostics) -> tuple[BlockInput, ...]:
    node = placed(key.span, node)
    if isinstance(node, SequenceNode):
        names = [item for item in node.items if isinstance(item, Scalar)]
        if len(names) == len(node.items):
            return tuple(BlockInput(str(item.value), item.span) for item in names if check_name(str(item.value), item.span, diagnostics))
    if isinstance(node, MappingNode) and node.entries:
        return tuple(
            BlockInput(str(name.value), name.span, _input_type(name, value, diagnostics))
            for name, value in node.entries
            if check_name(str(name.value), name.span, diagnostics)
        )
    diagnostics.error(
        "SB0203",
        "`inputs` of a block is a list of names, or a mapping of names to types",
        node.span,
        help='such as `inputs: {x: "[B, C, H, W]", time: any}`',
    )
    return (BlockInput("input", key.span),)


def _input_type(name: Scalar, node: Node, diagnostics: Diagnostics) -> Entry | None:
    node = placed(name.span, node)
    if isinstance(node, Scalar) and node.value == "any":
        return None
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return entry(name.span, node, diagnostics)
    help = f'put quotes around it: "{node.span.text}"' if isinstance(node, SequenceNode) else 'such as "[B, C, H, W]", "float32[B, T]" or any'
    diagnostics.error("SB0203", f"the type of an input is a text, but this is {shown(read(node, diagnostics))}", node.span, help=help)
    return None


def _body(name: Scalar, keys: Keys, vocabulary: Vocabulary, diagnostics: Diagnostics) -> BlockTree:
    cls = vocabulary.blocks[str(name.value)]
    values = {key: placed(written.span, value) for key, (written, value) in keys.items()}
    lets: dict[str, Entry] = {}
    if "let" in values:
        node = values["let"]
        if isinstance(node, MappingNode):
            for key, value in node.entries:
                if check_name(str(key.value), key.span, diagnostics, is_attribute=False):
                    lets[str(key.value)] = entry(key.span, value, diagnostics)
        else:
            diagnostics.error("SB0203", "`let` is a mapping of names to values", node.span, help="such as `let: {inner: $(4 * width)}`")
    return cls.block.replace(
        lets=lets,
        nodes=decode_nodes(values["nodes"], vocabulary, diagnostics) if "nodes" in values else (),
        outputs=decode_outputs(values["outputs"], diagnostics, of_block=True) if "outputs" in values else None,
        is_wrong="nodes" not in values,
    )
