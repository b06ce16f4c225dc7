"""Document to SpecTree: every key known, every literal checked, once per place in the text.

Collects all errors and goes on; a part that is wrong is left out or marked, so that one mistake is told once. Does not evaluate expressions, does not
resolve names and knows nothing of shapes: that is the walk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from specbuilder.catalogue import lookup
from specbuilder.catalogue.declared import fields_of
from specbuilder.catalogue.fields import check, shown
from specbuilder.diagnostics import Diagnostics, Span, did_you_mean, suggest
from specbuilder.language.blocks import decode_blocks
from specbuilder.language.document import Document, Node, Scalar
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Sequence as SequenceNode
from specbuilder.language.expressions import ExpressionError, parse
from specbuilder.language.inits import decode_init_rules
from specbuilder.language.nodes import check_name, decode_nodes, decode_outputs
from specbuilder.language.settings import (
    MODEL_KEYS,
    MOST_NODES,
    PLANNED,
    SPEC_KEYS,
    TRAIN_KINDS,
    TRANSFORM_LISTS,
    DataSettings,
    Settings,
    TrainSettings,
)
from specbuilder.language.syntax import Compare
from specbuilder.language.tree import (
    DataTree,
    Deferred,
    Entry,
    InputTree,
    ModelTree,
    Relation,
    SpecTree,
    TrainTree,
    Use,
)
from specbuilder.language.uses import decode_use, not_yet, report_problems
from specbuilder.language.values import entry, part, placed, read, report
from specbuilder.language.vocabulary import Vocabulary
from specbuilder.shapes import DimError, TensorType, parse_type

if TYPE_CHECKING:
    from specbuilder.language.maps import Layout

Keys = Mapping[str, tuple[Scalar, Node]]


_LISTS = ("sequence", "residual")


def _count(root: Node) -> int:
    """How many nodes are written out, those in blocks and in lists within one another too; counted before any is decoded, which costs far more."""
    count, waiting = 0, [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, SequenceNode):
            waiting += [item for item in node.items if not isinstance(item, Scalar)]
        elif isinstance(node, MappingNode):
            for key, value in node.entries:
                lists = [inner for _, inner in value.entries] if key.value == "branches" and isinstance(value, MappingNode) else [value]
                if key.value in ("nodes", "branches", *_LISTS):
                    count += sum(not _is_list(item) for each in lists if isinstance(each, SequenceNode) for item in each.items)
                if not isinstance(value, Scalar):
                    waiting.append(value)
    return count


def _is_list(item: Node) -> bool:
    """Whether an entry holds nodes and is none itself."""
    return isinstance(item, MappingNode) and any(key.value in ("branches", *_LISTS) for key, _ in item.entries)


def decode(document: Document, diagnostics: Diagnostics) -> SpecTree | None:
    """The tree, or None where not even a model can be found."""
    keys = _section("spec", document.root, SPEC_KEYS, diagnostics, owner="a spec")
    assert keys is not None
    if document.source.text.count(",") >= MOST_NODES and (count := _count(document.root)) > MOST_NODES:
        help = "use `repeat` and `blocks` for what comes many times"
        message = f"{count:,} nodes are written out, but a spec has at most {MOST_NODES:,}"
        diagnostics.error("SB0601", message, keys["model"][0].span if "model" in keys else _top(document), help=help)
        return None
    _version(keys, document, diagnostics)
    name = _text(keys, "name", diagnostics)
    if "name" not in keys:
        diagnostics.error("SB0202", "the spec needs a `name`", _top(document), help="add `name: my_network`; run folders are called by it")
    elif name:
        check_name(name, keys["name"][1].span, diagnostics, is_attribute=False)
    vocabulary = decode_blocks(placed(keys["blocks"][0].span, keys["blocks"][1]), diagnostics) if "blocks" in keys else Vocabulary({})
    tree = SpecTree(
        document=document,
        name=name or "unnamed",
        description=_text(keys, "description", diagnostics) or "",
        variables=_variables(keys, diagnostics),
        blocks=vocabulary.blocks,
        model=_model(keys, document, vocabulary, diagnostics),
        data=_data(keys, diagnostics),
        train=_train(keys, diagnostics),
        expect=_expect(keys, diagnostics),
        maps=_maps(keys, diagnostics) if "maps" in keys else {},
    )
    if tree.train is not None and tree.data is None and "data" not in keys:
        diagnostics.error("SB0202", "`train` needs `data` beside it", tree.train.span, help="add `data:` with a dataset and a `batch_size`")
    return tree


def _top(document: Document) -> Span:
    span = document.root.span
    return document.root.entries[0][0].span if document.root.entries else span


def _meant(keys: Collection[str], known: Collection[str]) -> set[str]:
    """The known keys that unknown ones were likely meant to be: they are not missing as well. A key that is no word may be meant to be any."""
    return {name for key in keys if key not in known for name in (suggest(key, known) if key.isidentifier() else known)}


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


def _maps(keys: Keys, diagnostics: Diagnostics) -> Mapping[str, Layout]:
    from specbuilder.language.maps import decode_maps

    key, node = keys["maps"]
    variables = keys["vars"][1] if "vars" in keys else None
    return decode_maps(key.span, node, diagnostics, tuple(variables.keys()) if isinstance(variables, MappingNode) else ())


# model ---------------------------------------------------------------------------------------------------------------


def _model(keys: Keys, document: Document, vocabulary: Vocabulary, diagnostics: Diagnostics) -> ModelTree:
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
    nodes = decode_nodes(values["nodes"], vocabulary, diagnostics) if "nodes" in section else ()
    outputs = decode_outputs(values["outputs"], diagnostics, of_block=False) if "outputs" in section else None
    where = _where(values["where"], diagnostics) if "where" in section else ()
    init = decode_init_rules(section["init"][0].span, values["init"], diagnostics) if "init" in section else ()
    return ModelTree(key.span, inputs, nodes, outputs, where, init, is_wrong=diagnostics.errors > before)


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
    check_name(name, key.span, diagnostics, is_input=True)
    if not isinstance(node, MappingNode):
        return InputTree(name, key.span, read_type(placed(key.span, node), diagnostics), node.span)
    keys = _section("input", node, ("type", "when"), diagnostics, owner=f"the input `{name}`")
    if keys is None:
        return InputTree(name, key.span, None, node.span)
    when = entry(keys["when"][0].span, keys["when"][1], diagnostics) if "when" in keys else None
    if "type" not in keys:
        diagnostics.error("SB0202", f"the input `{name}` needs a `type`", key.span, help='such as `{type: "float32[B, 3]", when: $masked}`')
        return InputTree(name, key.span, None, node.span, when)
    written = placed(keys["type"][0].span, keys["type"][1])
    return InputTree(name, key.span, read_type(written, diagnostics), written.span, when)


def _where(node: Node, diagnostics: Diagnostics) -> tuple[Relation, ...]:
    """Facts about sizes: `[T <= $context, H % 32 == 0]`. `$` marks a variable; all other names are sizes."""
    found = []
    for item in node.items if isinstance(node, SequenceNode) else (node,):
        if not isinstance(item, Scalar) or not isinstance(item.value, str):
            message = f"a fact about sizes is wanted here, but this is {shown(read(item, diagnostics))}"
            diagnostics.error("SB0203", message, item.span, help="such as `T <= 1024` or `H % 32 == 0`")
            continue
        try:
            # A blank in place of each `$`, so that places in the text stay what they are.
            expression = parse(item.value.replace("$", " "))
        except ExpressionError as error:
            report(error, item, diagnostics)
            continue
        if isinstance(expression, Compare):
            found.append(Relation(item, expression))
        else:
            diagnostics.error("SB0203", "a fact about sizes is a comparison", item.span, help="such as `T <= 1024` or `H % 32 == 0`")
    return tuple(found)


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
