"""The JSON Schema of the language, for editors: completion, hover text, and the mistakes that need no network to be seen.

In: the catalogue, own kinds included, and the plain keys of `settings`. Out: one plain dict, the same for the same catalogue. The idea: a keyword of JSON
Schema speaks of one type only (`minimum` of numbers, `pattern` of texts), so nearly every choice here is one flat schema without `anyOf`, and an editor names
the one thing that is wrong. Each value may instead be a text with a `$`.

The schema is wider than `decode` where a schema cannot tell: what expressions, references and sizes within types say; reserved names; `3.0` as an
integer and numbers without end; what a kind checks in Python. It is narrower where `decode` leaves something to later stages: `when`, `repeat`, `expect`,
and lists that hold an expression.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, get_args

from specbuilder.catalogue import lookup
from specbuilder.catalogue.contract import Example, Family, Kind, Transform
from specbuilder.catalogue.contract import Node as NodeKind
from specbuilder.catalogue.declared import Declared, FieldFacts, fields_of, keys_of, type_of_key
from specbuilder.catalogue.explain import describe, model_of
from specbuilder.language.settings import STRUCTURAL, TRAIN_KINDS, TRANSFORM_LISTS, DataSettings, TrainSettings
from specbuilder.language.variants import ALL
from specbuilder.shapes import DTYPES

Schema = dict[str, Any]

NAME = "[a-z_][a-z0-9_]*"
EXPRESSION: Schema = {"type": "string", "pattern": r"\$", "patternErrorMessage": "wanted: a value without quotes, or an expression with a `$`"}


def make_schema() -> Schema:
    """The schema of a spec (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "specbuilder",
        **_documented("A network and its training run (specbuilder, version 1 of the language)."),
        "type": "object",
        "properties": {
            "specbuilder": {"const": 1, **_documented("The version of the language.")},
            "name": {**_name(), **_documented("What the network is called; its runs lie in a folder of this name.")},
            "description": {"type": "string", **_documented("What it is, in a sentence.")},
            "include": _include(),
            "vars": _variables(),
            "variants": _variants(),
            "blocks": _blocks(),
            "maps": _maps(),
            "model": _model(),
            "data": _data(),
            "train": _train(),
            "expect": _expect(),
        },
        "required": ["specbuilder", "name", "model"],
        "dependentRequired": {"train": ["data"]},
        "additionalProperties": False,
        # What a block is called is for the spec to say: only where there are none is an unknown kind a mistake that a schema can see.
        "if": {"anyOf": [{"required": [word]} for word in ("blocks", "include")]},
        "then": _with_nodes("node.or_block"),
        "else": _with_nodes("node"),
        "$defs": {
            "node": _node("node", is_open=False),
            "node.or_block": _node("node.or_block", is_open=True),
            "reference": {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1},
            **_one_beside(STRUCTURAL),
            **_uses(),
            **_kinds(),
        },
    }


def _with_nodes(definition: str) -> Schema:
    nodes = {"type": "array", "minItems": 1, "items": {"$ref": f"#/$defs/{definition}"}}
    return {"properties": {"model": {"properties": {"nodes": nodes}}}}


# Sections ------------------------------------------------------------------------------------------------------------


def _variables() -> Schema:
    return {
        "type": "object",
        "propertyNames": _name(),
        **_documented("Values by name. `$width` in a field is the value of `width`; a value may itself be an expression over other variables."),
    }


def _include() -> Schema:
    path = {
        "type": "string",
        "pattern": r"^[^/~\\$][^\\$]*\.(yaml|yml|json)$",
        "patternErrorMessage": "a path relative to this file, of a file that ends in .yaml, .yml or .json",
    }
    many = {"type": "array", "items": {"type": "string", **path}, "minItems": 1, "uniqueItems": True}
    return {
        **_joined([path, many]),
        **_documented("Files whose `blocks` and `vars` this one uses, by their paths relative to it."),
    }


def _variants() -> Schema:
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {**_name(), "not": {"const": ALL}},
        "additionalProperties": {"type": "object", "propertyNames": _name()},
        **_documented("Sizes of the network by name: what each sets in `vars`. `{}` is the network as it stands. Chosen by `--variant`."),
    }


def _maps() -> Schema:
    path: Schema = {"type": "string", "minLength": 1}
    dropped = {
        **_joined([path, {"type": "array", "items": path}]),
        **_documented("Tensors of the checkpoint that are not wanted: a path, or several."),
    }
    entry = {
        "type": "object",
        "properties": {
            "from": {**path, **_documented("A path in the checkpoint and all under it: `layer{i}.conv1`, `{rest**}` for any number of steps.")},
            "to": {**path, **_documented("What it is called in this network: `stages.$(i - 1).$rest`.")},
            "transpose": {"type": "boolean", "default": False, **_documented("Whether matrices stand the other way round.")},
            "drop": dropped,
        },
        "additionalProperties": False,
        "if": {"required": ["drop"]},
        "then": {"maxProperties": 1},
        "else": {"required": ["from", "to"]},
    }
    return {
        "type": "object",
        "propertyNames": _name(),
        "additionalProperties": {"type": "array", "items": entry},
        **_documented("Layouts of other models' checkpoints, by name; the first entry that fits a tensor says where it goes."),
    }


def _model() -> Schema:
    inputs = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": _name(),
        "additionalProperties": _joined(
            [
                {
                    "type": "object",
                    "properties": {"type": _tensor_type(), "when": _joined([{"type": "boolean"}, EXPRESSION])},
                    "required": ["type"],
                    "additionalProperties": False,
                },
                _tensor_type(),
            ]
        ),
        **_documented("What arrives: a name and a type for each input."),
    }
    outputs = {
        "type": ["array", "object"],
        "items": {"type": "string"},
        "minItems": 1,
        "propertyNames": _name(),
        "additionalProperties": {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1, "maxItems": 1},
        **_documented("What leaves: a list of nodes, or nodes by the name of the output. Omitted, it is the last node."),
    }
    return {
        "type": "object",
        "properties": {
            "inputs": inputs,
            "where": {
                "type": ["array", "string"],
                "items": {"type": "string"},
                **_documented("Facts about sizes, such as `T <= 1024` or `H % 32 == 0`."),
            },
            "init": {
                "type": "array",
                "items": _beside("initializer", SELECTOR),
                **_documented("How tensors begin: an initializer and a selector each; the last rule that fits a tensor holds."),
            },
            "nodes": _documented("The network, from top to bottom: each node reads the one before it, unless `from` says otherwise."),
            "outputs": outputs,
        },
        "required": ["inputs", "nodes"],
        "additionalProperties": False,
        **_documented("The network: `inputs`, `nodes`, `outputs`, and beside them `where` and `init`."),
    }


def _data() -> Schema:
    datasets = lookup.names("dataset")
    lists = {
        "prepare": "Transforms of every sample, in training and out of it.",
        "augment": "Transforms of the samples that are trained on.",
        "inference": "Transforms of all samples but those that are trained on.",
    }
    return {
        "type": "object",
        "properties": {
            **{name: _ref("dataset", name) for name in datasets},
            **_settings(DataSettings),
            **{name: {**_one_or_many("transform"), **_documented(lists[name])} for name in TRANSFORM_LISTS},
        },
        "required": _required(DataSettings),
        "oneOf": [{"required": [name]} for name in datasets],
        "additionalProperties": False,
        **_documented("Where samples come from and how they are fed: one dataset, such as `digits:`, and settings beside it."),
    }


def _train() -> Schema:
    words = {
        "loss": "What is made small.",
        "optimizer": "The update rule.",
        "schedule": "How the learning rate changes over the run; omitted, it does not.",
        "average": "Weights that follow those which are trained, and are evaluated and kept in their place.",
        "metrics": "Figures of merit of each evaluation.",
    }
    kinds = {name: {**_one_or_many(family, only_one=name != "metrics"), **_documented(words[name])} for name, family in TRAIN_KINDS.items()}
    return {
        "type": "object",
        "properties": {**_settings(TrainSettings), **kinds},
        "required": ["loss", "optimizer"],
        "oneOf": [{"required": ["epochs"]}, {"required": ["steps"]}],
        "additionalProperties": False,
        **_documented("The training run: how long (`epochs` or `steps`), `loss`, `optimizer`."),
    }


def _expect() -> Schema:
    bound = _joined([{"type": "number"}, EXPRESSION])
    bounds = {"type": "object", "properties": {"min": bound, "max": bound}, "minProperties": 1, "additionalProperties": False}
    count = {"type": "integer", "minimum": 0}
    types = {"type": "object", "additionalProperties": _tensor_type()}
    return {
        "type": "object",
        "properties": {
            "parameters": {**_joined([count, EXPRESSION]), **_documented("How many parameters the network has.")},
            "flops": {**_joined([count, EXPRESSION]), **_documented("Floating-point operations of one sample, forward.")},
            "outputs": {**_joined([types, EXPRESSION]), **_documented("The type of each output.")},
        },
        "patternProperties": {r"\.": {**_joined([bounds, EXPRESSION]), **_documented("Bounds of a metric: `test.accuracy: {min: 0.9}`.")}},
        "additionalProperties": False,
        **_documented("What the spec promises; a promise that is broken is an error."),
    }


# Uses of kinds -------------------------------------------------------------------------------------------------------


SELECTOR = ("match", "role", "kind", "dims", "except")


def _node(definition: str, *, is_open: bool) -> Schema:
    """A node: a kind's name alone, or one kind or construct and structural keys. An open one may be a block, whose name only the spec knows."""
    nodes = {"type": "array", "items": {"$ref": f"#/$defs/{definition}"}}
    constructs = {
        "sequence": {**nodes, "minItems": 1, **_documented("A list of nodes in the place of one.")},
        "residual": {**nodes, "minItems": 1, **_documented("A list of nodes; what enters it is added to what leaves it.")},
        "branches": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": _name(),
            "additionalProperties": {**nodes, "type": ["array", "null"]},
            **_documented("Lists of nodes by name that all read what enters; `merge` joins them."),
        },
        "share": {"type": "string", **_documented("An earlier node, called again with its weights.")},
        "compute": {"type": "string", **_documented("A formula over tensors: `0.5 * prev + stem`.")},
    }
    structural = _structural(definition)
    assert tuple(structural) == STRUCTURAL
    mapping = {
        "type": "object",
        "properties": {**{name: _ref("node", name) for name in lookup.names("node")}, **constructs, **structural},
        "patternProperties": {r"\$": _documented("A kind that an expression names, and its fields.")},
        "additionalProperties": is_open,
        "$ref": f"#/$defs/beside.{STRUCTURAL[0]}.1",
    }
    bare: list[Schema] = [_name()] if is_open else [{"type": "string", "enum": _bare("node")}]
    return {
        "title": "node",
        **_documented("A node: a kind, its fields, and beside it `name`, `from`, `when`, `repeat` and the like."),
        "anyOf": [*bare, EXPRESSION, mapping],
    }


def _structural(definition: str) -> Schema:
    reference: Schema = {"$ref": "#/$defs/reference"}
    reads = {
        "type": ["string", "array", "object"],
        "items": {"type": "string"},
        "minItems": 1,
        "minProperties": 1,
        "additionalProperties": reference,
        **_documented("What the node reads: a node, a list of them, or nodes by port. Omitted, it is the node before."),
    }
    column = _joined([{"type": "array", "minItems": 1}, EXPRESSION])
    columns = {"type": "object", "minProperties": 1, "additionalProperties": column}
    copies = _joined([{"type": "integer", "minimum": 1}, columns, EXPRESSION])
    tensors = {"type": ["boolean", "string", "array"], "items": {"type": "string"}}
    return {
        "name": {**_name(r"|\$"), **_documented("What the node is called.")},
        "from": reads,
        "when": {**_joined([{"type": "boolean"}, EXPRESSION]), **_documented("Whether the node is there; an absent node hands on its first input.")},
        "repeat": {
            **copies,
            **_documented("How many copies, one after the other, or columns of values: `{width: [64, 128]}`; `$i` is the number of the copy."),
        },
        "each": {**copies, **_documented("Copies side by side, which give a list; `merge` joins it.")},
        "shared": {"type": "boolean", **_documented("Whether all copies have one set of weights.")},
        "merge": {"$ref": f"#/$defs/{definition}", **_documented("The kind that joins what copies or branches give, such as `concat: 1`.")},
        "init": {
            "type": ["string", "object"],
            **_documented("How the weights begin: an initializer, such as `normal: {std: 0.02}`, or one for each tensor by name."),
        },
        "tie": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "string"},
            **_documented("Tensors that are those of an earlier node: `{weight: wte.weight}`."),
        },
        "freeze": {**tensors, **_documented("The tensors that are not trained: `true` for all, or their names.")},
        "type": {"type": "string", **_documented("What the node is said to give, such as `float32[B, 10]`; it is checked.")},
    }


def _blocks() -> Schema:
    literal = ["int", "float", "bool", "str", "list", "node", "nodes"]
    long = {
        "type": "object",
        "properties": {
            "type": {"enum": literal},
            "default": True,
            "min": {"type": "number"},
            "max": {"type": "number"},
            "choices": {"type": "array", "minItems": 1},
            "doc": {"type": "string"},
        },
        "required": ["type"],
        "additionalProperties": False,
    }
    short = {
        "type": "string",
        "pattern": rf"^\s*({'|'.join(literal)})\s*(=.*)?$",
        "patternErrorMessage": f"a type is one of {', '.join(literal)}; with a default: `int = 3`",
    }
    inputs = {
        "type": ["array", "object"],
        "items": _name(),
        "propertyNames": _name(),
        "additionalProperties": {"type": "string"},
        **_documented('What the block reads: names, or names with types that bind sizes, such as `x: "[B, C, H, W]"`; `any` takes lists too.'),
    }
    outputs = {
        "type": ["array", "object"],
        "items": {"type": "string"},
        "minItems": 1,
        "propertyNames": _name(),
        "additionalProperties": {"$ref": "#/$defs/reference"},
        **_documented("What the block gives, by port; omitted, it is the last node."),
    }
    block = {
        "type": "object",
        "properties": {
            "params": {
                "type": "object",
                "propertyNames": _name(),
                "additionalProperties": {"anyOf": [short, long]},
                **_documented("What a use of the block sets: names with types, `int = 3` with a default. The first is the main one."),
            },
            "inputs": inputs,
            "let": {"type": "object", "propertyNames": _name(), **_documented("Values by name, within the block.")},
            "nodes": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/node.or_block"}},
            "outputs": outputs,
        },
        "required": ["nodes"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "propertyNames": _name(),
        "additionalProperties": block,
        **_documented("Lists of nodes that have a name and params, to be used like kinds."),
    }


def _beside(family: Family, keys: Sequence[str]) -> Schema:
    """A use of a kind with other keys next to it."""
    text = {"type": ["string", "array", "integer"]}
    mapping = {
        "type": "object",
        "properties": {**{name: _ref(family, name) for name in lookup.names(family)}, **dict.fromkeys(keys, text)},
        "additionalProperties": False,
    }
    return {"anyOf": [{"type": "string", "enum": _bare(family)}, mapping]}


def _one_beside(keys: Sequence[str]) -> Schema:
    """Definitions that say: exactly one key more than those of `keys` that are there.

    JSON Schema cannot count some of the keys, so each key that is there leads to a definition that wants one more: one message for an instance. A `oneOf`
    over all kinds would answer each mistake with all of them.
    """
    found: Schema = {}
    for at, key in enumerate(keys):
        following = keys[at + 1] if at + 1 < len(keys) else "end"
        for count in range(1, at + 2):
            found[f"beside.{key}.{count}"] = {
                "if": {"required": [key]},
                "then": {"$ref": f"#/$defs/beside.{following}.{count + 1}"},
                "else": {"$ref": f"#/$defs/beside.{following}.{count}"},
            }
    return found | {f"beside.end.{count}": {"minProperties": count, "maxProperties": count} for count in range(1, len(keys) + 2)}


def _uses() -> Schema:
    """How a kind of each other family is written: its name alone, or a mapping of one kind."""
    return {family: _use(family) for family in get_args(Family) if family not in ("node", "dataset")}


def _use(family: Family) -> Schema:
    mapping = {
        "type": "object",
        "properties": {name: _ref(family, name) for name in lookup.names(family)},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }
    bare = _bare(family)
    return {"title": family, "anyOf": [*([{"type": "string", "enum": bare}] if bare else []), mapping]}


def _one_or_many(family: Family, *, only_one: bool = False) -> Schema:
    one = {"$ref": f"#/$defs/{family}"}
    many: Schema = {"type": "array", "items": one}
    return {"anyOf": [one, {**many, "minItems": 1, "maxItems": 1} if only_one else many]}


def _bare(family: Family) -> list[str]:
    """The kinds that may stand without fields."""
    return [kind.kind for kind in lookup.all_kinds(family) if not _required(kind)]


def _ref(family: Family, name: str) -> Schema:
    return {"$ref": f"#/$defs/{family}.{name}"}


# Kinds ---------------------------------------------------------------------------------------------------------------


def _kinds() -> Schema:
    return {f"{family}.{kind.kind}": _kind(kind) for family in get_args(Family) for kind in lookup.all_kinds(family)}


def _kind(cls: type[Kind]) -> Schema:
    """What stands behind a kind: its fields, the value of its primary field, or nothing where no field is required."""
    raw = model_of(cls).model_json_schema()
    required = _required(cls)
    fields = {"type": "object", "properties": _fields(cls, raw), **({"required": required} if required else {}), **_other_keys(cls, raw)}
    parts = [fields]
    if cls.primary is not None and {*required} <= {cls.primary}:
        primary = _parts(raw["properties"][cls.primary], raw)
        # A mapping always holds the fields, and nothing always means the defaults.
        parts += _or_expression([part for part in primary if part.get("type") not in ("object", "null")])
    if not required:
        parts.append({"type": "null"})
    return {"title": cls.kind, **_explained(cls), **_joined(parts)}


def _other_keys(cls: type[Kind], raw: Schema) -> Schema:
    """What stands under the keys that are no fields."""
    if cls.extra is None:
        return {"additionalProperties": False}
    field = fields_of(cls)[cls.extra]
    words = {**_documented(f"{field.description} ({describe(type_of_key(cls, ''))})")}
    return {"propertyNames": _name(), "additionalProperties": {**_value(raw["properties"][cls.extra]["additionalProperties"], raw), **words}}


def _required(cls: type[Declared]) -> list[str]:
    return [name for name, info in keys_of(cls).items() if info.is_required]


def _fields(cls: type[Declared], raw: Schema, docs: Mapping[str, str] | None = None) -> Schema:
    """The fields of a class; `docs` are descriptions that it keeps elsewhere."""
    return {name: _field(info, raw["properties"][name], raw, (docs or {}).get(name)) for name, info in keys_of(cls).items()}


def _field(info: FieldFacts, written: Schema, raw: Schema, doc: str | None) -> Schema:
    words = describe(info.annotation)
    text = (doc or info.description or "").removesuffix(".")
    default = {"default": written["default"]} if written.get("default") is not None else {}
    return {**_joined(_or_expression(_parts(written, raw))), **default, **_documented(f"{text} ({words})" if text and words else text or words)}


def _settings(cls: type[Declared]) -> Schema:
    return _fields(cls, model_of(cls).model_json_schema(), _attribute_docs(cls))


def _attribute_docs(cls: type[Declared]) -> dict[str, str]:
    """The texts that stand under the attributes of a class. Collected here, since only the schema shows them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(tree, ast.ClassDef)
    return {
        attribute.target.id: inspect.cleandoc(text.value.value)
        for attribute, text in pairwise(tree.body)
        if isinstance(attribute, ast.AnnAssign) and isinstance(attribute.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


# Values --------------------------------------------------------------------------------------------------------------


def _value(written: Schema, raw: Schema) -> Schema:
    return _joined(_or_expression(_parts(written, raw)))


def _parts(written: Schema, raw: Schema) -> list[Schema]:
    """Pydantic's schema of a value as its alternatives, each of one type. `raw` is the whole that `$ref` points into."""
    if "$ref" in written:
        return _parts(raw["$defs"][written["$ref"].rpartition("/")[2]], raw)
    if "anyOf" in written:
        return [part for alternative in written["anyOf"] for part in _parts(alternative, raw)]
    part = {key: value for key, value in written.items() if key not in ("title", "description", "default")}
    if "const" in part:
        part["enum"] = [part.pop("const")]
    if "prefixItems" in part:
        items = part.pop("prefixItems")
        # Editors of the older drafts know `items` only.
        part |= {"items": items[0]} if all(item == items[0] for item in items) else {"prefixItems": [_value(item, raw) for item in items]}
    for key in ("items", "additionalProperties"):
        if isinstance(part.get(key), dict):
            part[key] = _value(part[key], raw)
    if "properties" in part:
        part["properties"] = {name: _value(each, raw) for name, each in part["properties"].items()}
    return [part]


def _or_expression(parts: Sequence[Schema]) -> list[Schema]:
    """The alternatives, or a text with a `$`; where any text will do, that is one of them."""
    return [*parts] if {"type": "string"} in parts else [*parts, EXPRESSION]


def _joined(parts: Iterable[Schema]) -> Schema:
    """Alternatives as one flat schema as far as their types differ, with `anyOf` around what is left."""
    parts = [*parts]
    joined: list[Schema] = []
    for part in parts:
        if part.get("type") == "integer" and {**part, "type": "number"} in parts:
            continue
        for at, other in enumerate(joined):
            if _speak_of_different_values(other, part):
                joined[at] = {**other, **part, "type": [*_types(other), *_types(part)]}
                break
        else:
            joined.append(part)
    return joined[0] if len(joined) == 1 else {"anyOf": joined}


def _speak_of_different_values(a: Schema, b: Schema) -> bool:
    """Whether no keyword of one means a value of the other; `enum` means all values."""
    left, right = ({"number" if name == "integer" else name for name in _types(each)} for each in (a, b))
    return not (left & right or "enum" in a or "enum" in b)


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", _ANY)
    return [types] if isinstance(types, str) else types


_ANY = ["null", "boolean", "number", "string", "array", "object"]


def _name(other: str = "") -> Schema:
    return {
        "type": "string",
        "pattern": f"^{NAME}$" + other,
        "maxLength": 100,
        "patternErrorMessage": "a name is made of lower-case letters, digits and `_`, and begins with no digit",
    }


def _tensor_type() -> Schema:
    return {
        "type": "string",
        "pattern": rf"^\s*({'|'.join(DTYPES)})\s*\[[^\[\]]*\]\s*$|\$",
        "patternErrorMessage": "a type is dtype and sizes, such as `float32[B, 3, 32, 32]`",
        **_documented("A type: dtype and sizes, such as `float32[B, 3, 32, 32]`."),
    }


# Words ---------------------------------------------------------------------------------------------------------------


def _documented(text: str) -> Schema:
    """A text to show, as markdown too where it has any."""
    return {"description": text, **({"markdownDescription": text} if "`" in text else {})}


def _explained(cls: type[Kind]) -> Schema:
    """What a kind does, what it is in PyTorch, and how it is written."""
    text = inspect.getdoc(cls) or cls.kind
    blocks = [text]
    if cls.torch_name:
        blocks.append(f"In PyTorch: `{cls.torch_name}`")
    if examples := [_example(cls, example) for example in cls.examples if example.refused is None]:
        blocks.append("\n".join(["```yaml", *examples, "```"]))
    return {"description": text, "markdownDescription": "\n\n".join(blocks)}


def _example(cls: type[Kind], example: Example) -> str:
    if not issubclass(cls, NodeKind | Transform) or example.gives is None:
        return example.text
    given, gives = (types if isinstance(types, str) else ", ".join(types) for types in (example.given, example.gives))
    return f"{example.text}  # {given} -> {gives}"
