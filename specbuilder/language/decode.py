"""Document to SpecTree: every key known, every literal checked, once per place in the text.

Collects all errors and goes on; a part that is wrong is left out or marked, so that one mistake is told once. Does not evaluate expressions, does not
resolve names and knows nothing of shapes: that is the walk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from specbuilder.catalogue import lookup
from specbuilder.catalogue.declared import fields_of
from specbuilder.catalogue.fields import check, shown
from specbuilder.diagnostics import Diagnostics, Span, did_you_mean, suggest
from specbuilder.language.document import Document, Node, Scalar
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Sequence as SequenceNode
from specbuilder.language.names import name_problem, repaired
from specbuilder.language.settings import (
    MODEL_KEYS,
    PLANNED,
    SPEC_KEYS,
    STRUCTURAL,
    TRAIN_KINDS,
    TRANSFORM_LISTS,
    DataSettings,
    Settings,
    TrainSettings,
)
from specbuilder.language.tree import (
    DataTree,
    Deferred,
    Entry,
    From,
    InputTree,
    ModelTree,
    NodeTree,
    OutputTree,
    Reference,
    SpecTree,
    TrainTree,
    Use,
)
from specbuilder.language.uses import decode_use, not_yet, report_problems
from specbuilder.language.values import Broken, entry, part, placed, read
from specbuilder.shapes import DimError, TensorType, parse_type

Keys = Mapping[str, tuple[Scalar, Node]]


def decode(document: Document, diagnostics: Diagnostics) -> SpecTree | None:
    """The tree, or None where not even a model can be found."""
    keys = _section("spec", document.root, SPEC_KEYS, diagnostics, owner="a spec")
    assert keys is not None
    _version(keys, document, diagnostics)
    name = _text(keys, "name", diagnostics)
    if "name" not in keys:
        diagnostics.error("SB0202", "the spec needs a `name`", _top(document), help="add `name: my_network`; run folders are called by it")
    elif name:
        check_name(name, keys["name"][1].span, diagnostics, is_attribute=False)
    tree = SpecTree(
        document=document,
        name=name or "unnamed",
        description=_text(keys, "description", diagnostics) or "",
        variables=_variables(keys, diagnostics),
        model=_model(keys, document, diagnostics),
        data=_data(keys, diagnostics),
        train=_train(keys, diagnostics),
        expect=_expect(keys, diagnostics),
    )
    if tree.train is not None and tree.data is None and "data" not in keys:
        diagnostics.error("SB0202", "`train` needs `data` beside it", tree.train.span, help="add `data:` with a dataset and a `batch_size`")
    return tree


def _top(document: Document) -> Span:
    span = document.root.span
    return document.root.entries[0][0].span if document.root.entries else span


def _meant(keys: Collection[str], known: Collection[str]) -> set[str]:
    """The known keys that unknown ones were likely meant to be: they are not missing as well."""
    return {name for key in keys if key not in known for name in suggest(key, known)}


def _section(section: str, node: Node, known: Collection[str], diagnostics: Diagnostics, *, owner: str) -> Keys | None:
    """The keys of a section by name. Unknown ones are reported; a section that is no mapping gives None."""
    if not isinstance(node, MappingNode):
        if not (isinstance(node, Scalar) and node.value is None):
            diagnostics.error("SB0203", f"{owner} is a mapping of keys, but this is {shown(read(node, diagnostics))}", node.span)
        else:
            diagnostics.error("SB0202", f"{owner} is empty", node.span, help=f"its keys are {_listed(known)}")
        return None
    keys = {str(key.value): (key, value) for key, value in node.entries}
    for name, (key, value) in keys.items():
        if name in PLANNED.get(section, ()):
            not_yet(f"the key `{name}` of {owner}", key.span, diagnostics)
        elif name not in known:
            help = _elsewhere(name, section, value) or did_you_mean(name, known) or f"its keys are {_listed(known)}"
            diagnostics.error("SB0201", f"unknown key `{name}` in {owner}", key.span, help=help)
    return keys


_OF_OPTIMIZERS = ("lr", "learning_rate", "momentum", "weight_decay", "betas")


def _elsewhere(name: str, section: str, value: Node) -> str | None:
    """Where a key belongs that another section has."""
    if section == "train" and name in _OF_OPTIMIZERS:
        text = value.span.text if isinstance(value, Scalar) else "..."
        return f"it is a field of the optimizer: `optimizer: {{adam: {{{'lr' if name == 'learning_rate' else name}: {text}}}}}`"
    places = {
        "model": MODEL_KEYS,
        "data": (*fields_of(DataSettings), *TRANSFORM_LISTS, *PLANNED["data"]),
        "train": (*fields_of(TrainSettings), *TRAIN_KINDS, *PLANNED["train"]),
    }
    return next((f"`{name}` belongs to `{place}`" for place, known in places.items() if place != section and name in known), None)


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _version(keys: Keys, document: Document, diagnostics: Diagnostics) -> None:
    if "specbuilder" not in keys:
        diagnostics.error(
            "SB0202",
            "the spec does not say which version of the language it is written in",
            _top(document),
            help="add `specbuilder: 1` as the first line",
        )
        return
    value = keys["specbuilder"][1]
    if not (isinstance(value, Scalar) and type(value.value) is int and value.value == 1):
        diagnostics.error(
            "SB0203",
            "this specbuilder reads version 1 of the language",
            placed(keys["specbuilder"][0].span, value).span,
            help="write `specbuilder: 1`",
        )


def _text(keys: Keys, name: str, diagnostics: Diagnostics) -> str | None:
    if name not in keys:
        return None
    value = placed(keys[name][0].span, keys[name][1])
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return value.value
    diagnostics.error(
        "SB0203",
        f"`{name}` wants a text, but this is {shown(read(value, diagnostics))}",
        value.span,
        help="put quotes around it" if isinstance(value, Scalar) and value.value is not None else None,
    )
    return None


def check_name(name: str, span: Span, diagnostics: Diagnostics, *, is_attribute: bool = True) -> bool:
    """Whether `name` may be one; reported when not."""
    problem = name_problem(name, is_attribute=is_attribute)
    if problem is not None:
        diagnostics.error("SB0302", f"`{name}` cannot be a name: {problem}", span, help=f"choose another, such as `{repaired(name)}`")
    return problem is None


def _variables(keys: Keys, diagnostics: Diagnostics) -> Mapping[str, Entry]:
    if "vars" not in keys:
        return {}
    node = keys["vars"][1]
    if not isinstance(node, MappingNode):
        diagnostics.error("SB0203", "`vars` is a mapping of names to values", node.span, help="write `vars: {width: 64}`")
        return {}
    found = {}
    for key, value in node.entries:
        if check_name(str(key.value), key.span, diagnostics, is_attribute=False):
            found[str(key.value)] = entry(key.span, value, diagnostics)
    return found


# model ---------------------------------------------------------------------------------------------------------------


def _model(keys: Keys, document: Document, diagnostics: Diagnostics) -> ModelTree:
    if "model" not in keys:
        if "models" not in keys:
            diagnostics.error("SB0202", "the spec needs a `model`", _top(document), help="add `model:` with `inputs` and `nodes`")
        return ModelTree(_top(document), (), (), None, is_wrong=True)
    key, node = keys["model"]
    before = diagnostics.errors
    section = _section("model", placed(key.span, node), MODEL_KEYS, diagnostics, owner="`model`")
    if section is None:
        return ModelTree(key.span, (), (), None, is_wrong=True)
    meant = _meant(section, MODEL_KEYS)
    for wanted, sample in (
        ("inputs", 'add `inputs: {image: "float32[B, 3, 32, 32]"}`'),
        ("nodes", "add `nodes:` with a list, such as `- linear: 10`"),
    ):
        if wanted not in section and wanted not in meant and not ({"use", "copy"} & section.keys()):
            diagnostics.error("SB0202", f"`model` needs `{wanted}`", key.span, help=sample)
    values = {name: placed(written.span, value) for name, (written, value) in section.items()}
    inputs = _inputs(values["inputs"], diagnostics) if "inputs" in section else ()
    nodes = decode_nodes(values["nodes"], diagnostics) if "nodes" in section else ()
    outputs = _outputs(values["outputs"], diagnostics) if "outputs" in section else None
    return ModelTree(key.span, inputs, nodes, outputs, is_wrong=diagnostics.errors > before)


def _inputs(node: Node, diagnostics: Diagnostics) -> tuple[InputTree, ...]:
    if not isinstance(node, MappingNode) or not node.entries:
        found = "empty" if isinstance(node, MappingNode) else shown(read(node, diagnostics))
        diagnostics.error(
            "SB0203",
            f"`inputs` is a mapping of names to types, but this is {found}",
            node.span,
            help="such as `image: float32[B, 3, 32, 32]`, one a line",
        )
        return ()
    return tuple(_input(key, value, diagnostics) for key, value in node.entries)


def _input(key: Scalar, node: Node, diagnostics: Diagnostics) -> InputTree:
    name = str(key.value)
    check_name(name, key.span, diagnostics)
    if isinstance(node, MappingNode):
        not_yet("the long form of an input (`{type, when}`)", node.span, diagnostics)
        return InputTree(name, key.span, None, node.span)
    return InputTree(name, key.span, read_type(placed(key.span, node), diagnostics), node.span)


def read_type(node: Node, diagnostics: Diagnostics) -> TensorType | Deferred | None:
    """A type such as `float32[B, 3, H, W]`; deferred when it holds a `$`."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        diagnostics.error(
            "SB0203",
            f"a type is wanted here, but this is {shown(read(node, diagnostics))}",
            node.span,
            help="such as `float32[B, 3, 32, 32]`: dtype and sizes, the batch first",
        )
        return None
    value = read(node, diagnostics)
    if not isinstance(value, str):
        return value if isinstance(value, Deferred) else None
    try:
        return parse_type(value)
    except DimError as error:
        diagnostics.error(
            "SB0502", error.message, part(node, error.start, error.end), help="a type is dtype and sizes, such as `float32[B, 3, 32, 32]`"
        )
        return None


def decode_nodes(node: Node, diagnostics: Diagnostics) -> tuple[NodeTree, ...]:
    """A list of nodes."""
    if not isinstance(node, SequenceNode) or not node.items:
        found = "empty" if isinstance(node, SequenceNode) else f"is {shown(read(node, diagnostics))}"
        message = "`nodes` is empty" if found == "empty" else f"`nodes` is a list of nodes, but this {found}"
        diagnostics.error("SB0203", message, node.span, help="begin each node with `- `, such as `- linear: 10`")
        return ()
    decoded = (_node(item, diagnostics) for item in node.items)
    return tuple(found for found in decoded if found is not None)


def _node(item: Node, diagnostics: Diagnostics) -> NodeTree | None:
    use, keys = decode_use("node", item, diagnostics, beside=STRUCTURAL)
    if use is None:
        return None
    entries = {name: entry(key.span, value, diagnostics) for name, (key, value) in keys.items() if name != "from"}
    name = entries.get("name")
    if name is not None and not name.is_deferred:
        if not isinstance(name.value, str):
            help = f"choose another, such as `{repaired(str(name.value))}`" if isinstance(name.value, (int, float)) else None
            diagnostics.error("SB0203", f"`name` wants a text, but this is {shown(name.value)}", name.span, help=help)
            name = None
        else:
            check_name(name.value, name.span, diagnostics)
    reads = _from(*keys["from"], diagnostics) if "from" in keys else None
    repeat = entries.get("repeat")
    if repeat is not None and isinstance(repeat.node, MappingNode):
        for column, _ in repeat.node.entries:
            check_name(str(column.value), column.span, diagnostics, is_attribute=False)
    return NodeTree(use, name=name, reads=reads, when=entries.get("when"), repeat=repeat)


def _from(key: Scalar, node: Node, diagnostics: Diagnostics) -> From | None:
    node = placed(key.span, node)
    if isinstance(node, (SequenceNode, MappingNode)) and not _parts(node):
        diagnostics.error("SB0203", "`from` names no node", node.span, help="delete it to read the node before, or name one: `from: stem`")
        return None
    if isinstance(node, MappingNode):
        named = {str(port.value): _references(value, diagnostics) for port, value in node.entries}
        return From(node.span, named=named, port_keys={str(port.value): port.span for port, _ in node.entries})
    references = _references(node, diagnostics)
    return From(node.span, ordered=references) if references else None


def _parts(node: SequenceNode | MappingNode) -> int:
    return len(node.items if isinstance(node, SequenceNode) else node.entries)


def _references(node: Node, diagnostics: Diagnostics) -> tuple[Reference, ...]:
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


def _outputs(node: Node, diagnostics: Diagnostics) -> tuple[OutputTree, ...] | None:
    if isinstance(node, MappingNode):
        outputs = []
        for key, value in node.entries:
            check_name(str(key.value), key.span, diagnostics)
            outputs += [OutputTree(str(key.value), reference, key.span) for reference in _references(value, diagnostics)[:1]]
        return tuple(outputs)
    if isinstance(node, SequenceNode) and node.items:
        return tuple(OutputTree(None, reference, reference.span) for reference in _references(node, diagnostics))
    lone = isinstance(node, Scalar) and isinstance(node.value, str)
    help = (
        f"write `outputs: [{node.value}]`"
        if isinstance(node, Scalar) and lone
        else "such as `outputs: [logits]`, or delete it: the last node is the output"
    )
    diagnostics.error("SB0203", "`outputs` is a list of nodes, or a mapping of names to nodes", node.span, help=help)
    return None


# data, train, expect -------------------------------------------------------------------------------------------------


def _data(keys: Keys, diagnostics: Diagnostics) -> DataTree | None:
    if "data" not in keys:
        return None
    key, node = keys["data"]
    plain = tuple(fields_of(DataSettings))
    closed = (*plain, *TRANSFORM_LISTS, *PLANNED["data"])
    if not isinstance(node, MappingNode):
        _section("data", placed(key.span, node), closed, diagnostics, owner="`data`")
        return None
    dataset: Use | None = None
    settings: dict[str, Entry] = {}
    transforms: dict[str, tuple[Use, ...]] = {}
    rest = [(name, value) for name, value in node.entries if name.value not in closed]
    for name, value in node.entries:
        word = str(name.value)
        if word in PLANNED["data"]:
            not_yet(f"the key `{word}` of `data`", name.span, diagnostics)
        elif word in TRANSFORM_LISTS:
            transforms[word] = _uses("transform", placed(name.span, value), diagnostics)
        elif word in plain:
            settings[word] = entry(name.span, value, diagnostics)
    known = lookup.names("dataset")
    chosen = next(
        (pair for pair in rest if pair[0].value in known), rest[0] if len(rest) == 1 and not did_you_mean(str(rest[0][0].value), closed) else None
    )
    for pair in rest:
        if pair is chosen:
            one = MappingNode((pair,), node.span)
            dataset, _ = decode_use("dataset", one, diagnostics)
        else:
            word = str(pair[0].value)
            two = chosen is not None and word in known
            help = (
                "one dataset stands in `data`"
                if two
                else _elsewhere(word, "data", pair[1])
                or did_you_mean(word, (*plain, *TRANSFORM_LISTS, *known))
                or f"the keys of `data` are a dataset and {_listed((*plain, *TRANSFORM_LISTS))}"
            )
            diagnostics.error("SB0201", f"unknown key `{word}` in `data`" if not two else f"a second dataset, `{word}`", pair[0].span, help=help)
    if chosen is None:
        diagnostics.error("SB0202", "`data` names no dataset", key.span, help=f"add one of {_listed(known)}")
    _check_settings(DataSettings, settings, "data", key.span, diagnostics, _meant([str(name.value) for name, _ in rest], (*plain, *TRANSFORM_LISTS)))
    return DataTree(key.span, dataset, settings, transforms)


def _uses(family: str, node: Node, diagnostics: Diagnostics) -> tuple[Use, ...]:
    items = node.items if isinstance(node, SequenceNode) else (node,)
    found = (decode_use(family, item, diagnostics)[0] for item in items)  # type: ignore[arg-type]
    return tuple(use for use in found if use is not None)


def _train(keys: Keys, diagnostics: Diagnostics) -> TrainTree | None:
    if "train" not in keys:
        return None
    key, node = keys["train"]
    plain = tuple(fields_of(TrainSettings))
    section = _section("train", placed(key.span, node), (*TRAIN_KINDS, *plain), diagnostics, owner="`train`")
    if section is None:
        return None
    uses: dict[str, tuple[Use, ...]] = {}
    for name, family in TRAIN_KINDS.items():
        if name not in section:
            continue
        value = placed(section[name][0].span, section[name][1])
        uses[name] = _uses(family, value, diagnostics)
        if name != "metrics" and isinstance(value, SequenceNode) and len(value.items) != 1:
            uses[name] = ()
            not_yet(f"a list as `{name}`", value.span, diagnostics)
    settings = {name: entry(section[name][0].span, section[name][1], diagnostics) for name in plain if name in section}
    meant = _meant(section, (*TRAIN_KINDS, *plain))
    for name in ("loss", "optimizer"):
        if name not in section and name not in meant:
            diagnostics.error(
                "SB0202", f"`train` needs `{name}`", key.span, help=f"add `{name}: {'cross_entropy' if name == 'loss' else '{adam: {lr: 1e-3}}'}`"
            )
    lengths = [settings[name] for name in ("epochs", "steps") if name in settings and settings[name].value is not None]
    if len(lengths) == 2:
        diagnostics.error("SB0202", "`train` has both `epochs` and `steps`", lengths[1].key, help="keep one of them: how long the run is")
    elif not lengths and not meant & {"epochs", "steps"}:
        diagnostics.error(
            "SB0202", "`train` needs `epochs` or `steps`", key.span, help="write one of them: how long the run is, such as `epochs: 10`"
        )
    if "evaluate" in settings and isinstance(number := settings["evaluate"].value, (int, float)):
        message = f"`evaluate` wants a duration such as `2 epochs`, `500 steps` or `10%`, but this is {shown(number)}"
        diagnostics.error(
            "SB0203",
            message,
            settings.pop("evaluate").span,
            help=None if isinstance(number, bool) else f"write `{number} epochs` or `{number} steps`",
        )
    _check_settings(TrainSettings, settings, "train", key.span, diagnostics)
    return TrainTree(key.span, uses, settings)


def _check_settings(
    cls: type[Settings], settings: Mapping[str, Entry], owner: str, span: Span, diagnostics: Diagnostics, meant: Collection[str] = ()
) -> None:
    values = {name: found.value for name, found in settings.items()}
    deferred = [name for name, found in settings.items() if found.is_deferred]
    _, problems = check(cls, values, owner=owner, deferred=deferred)
    report_problems(problems, settings, span, diagnostics, meant)


def _expect(keys: Keys, diagnostics: Diagnostics) -> Mapping[str, Entry]:
    if "expect" not in keys:
        return {}
    key, node = keys["expect"]
    if not isinstance(node, MappingNode):
        diagnostics.error("SB0203", "`expect` is a mapping of promises", placed(key.span, node).span, help="such as `parameters: 1234`")
        return {}
    found: dict[str, Entry] = {}
    for name, value in node.entries:
        word = str(name.value)
        if word in ("parameters", "flops", "outputs") or "." in word:
            found[word] = entry(name.span, value, diagnostics)
        else:
            help = (
                did_you_mean(word, ("parameters", "flops", "outputs"))
                or "it promises `parameters`, `flops`, `outputs`, or a metric such as `test.accuracy: {min: 0.9}`"
            )
            diagnostics.error("SB0201", f"unknown key `{word}` in `expect`", name.span, help=help)
    return found
