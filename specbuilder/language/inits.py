"""How tensors begin, as written: `init` of a node, and the rules of `model.init`.

In: document nodes. Out: uses of initializer kinds by the tensor they are for, and rules (a kind and a selector). Fields with a `$` wait; `resolve_init` and
`resolve_rules` finish them. Which tensors there are, and whether a kind can fill them, is for `graph/initialise`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from specbuilder.catalogue import lookup
from specbuilder.catalogue.contract import Initializer
from specbuilder.catalogue.fields import shown
from specbuilder.diagnostics import Diagnostics, Span
from specbuilder.language.document import Mapping as MappingNode
from specbuilder.language.document import Node, Scalar
from specbuilder.language.document import Sequence as SequenceNode
from specbuilder.language.selectors import SELECTOR_KEYS, Selector, SelectorTree, decode_selector_keys, finish_selector
from specbuilder.language.tree import Use
from specbuilder.language.uses import decode_use, finish
from specbuilder.language.values import Undefined, placed, read, resolve
from specbuilder.records import Record

LONE = ""
"""Stands for the one tensor of a node, where it is not named."""

Names = Callable[[str], Any]
"""Looks a name up for an expression."""


class InitTree(Record):
    """`init` of a node: initializers by tensor, and where each tensor is named."""

    span: Span
    uses: Mapping[str, Use]
    names: Mapping[str, Span]


class RuleTree(Record):
    """An entry of `model.init` as written."""

    use: Use
    selector: SelectorTree


class Rule(Record, identity=True):
    """An entry of `model.init`: tensors that the selector means begin so, where no later rule and no node says otherwise."""

    initializer: Initializer
    selector: Selector
    use: Use


# A node --------------------------------------------------------------------------------------------------------------


def decode_init(key: Span, node: Node, diagnostics: Diagnostics) -> InitTree:
    """`init: KIND` for the one tensor of a node, `init: {weight: KIND, bias: KIND}` for named ones. What is wrong is reported and left out."""
    node = placed(key, node)
    if not isinstance(node, MappingNode) or not _names_tensors(node):
        use, _ = decode_use("initializer", node, diagnostics)
        return InitTree(node.span, {} if use is None else {LONE: use}, {LONE: node.span})
    uses = {str(name.value): decode_use("initializer", placed(name.span, value), diagnostics)[0] for name, value in node.entries}
    return InitTree(
        node.span,
        {name: use for name, use in uses.items() if use is not None},
        {str(name.value): name.span for name, _ in node.entries},
    )


def _names_tensors(node: MappingNode) -> bool:
    """Whether the keys are tensors: `{weight: zeros}`, and not `{normal: {std: 0.02}}`, nor a misspelt kind such as `{nromal: {std: 0.02}}`."""
    known = lookup.names("initializer")
    if not node.entries or any(name.value in known for name, _ in node.entries):
        return False
    if any(_is_initializer(value) for _, value in node.entries):
        return True
    return not any(lookup.unknown("initializer", str(name.value)) for name, _ in node.entries)


def _is_initializer(node: Node) -> bool:
    words = (
        [node.value]
        if isinstance(node, Scalar) and isinstance(node.value, str)
        else [name.value for name, _ in node.entries]
        if isinstance(node, MappingNode)
        else []
    )
    return any(word in lookup.names("initializer") for word in words)


def resolve_init(uses: Mapping[str, Use], lookup: Names, known: Iterable[str], diagnostics: Diagnostics) -> Mapping[str, Initializer]:
    """The initializers with their expressions evaluated; one that is wrong is reported and left out."""
    found = {name: _resolved(use, lookup, known, diagnostics) for name, use in uses.items()}
    return {name: initializer for name, initializer in found.items() if initializer is not None}


def _resolved(use: Use, lookup: Names, known: Iterable[str], diagnostics: Diagnostics) -> Initializer | None:
    if use.is_wrong or use.cls is None or isinstance(use.instance, Initializer):
        return use.instance if isinstance(use.instance, Initializer) else None
    try:
        values = {name: resolve(field.value, lookup, known, diagnostics) for name, field in use.fields.items()}
    except Undefined:
        return None
    made = finish(use, use.cls, values, diagnostics)
    return made if isinstance(made, Initializer) else None


# The model -----------------------------------------------------------------------------------------------------------


def decode_init_rules(key: Span, node: Node, diagnostics: Diagnostics) -> tuple[RuleTree, ...]:
    """`model.init`: a list of rules, each an initializer with the keys of a selector beside it. The last that matches a tensor wins."""
    node = placed(key, node)
    if not isinstance(node, SequenceNode):
        found = f", but this is {shown(read(node, diagnostics))}"
        help = "such as `- normal: {std: 0.02}`, and under it `role: matrix`"
        diagnostics.error("SB0203", f"`init` of a model is a list of rules{found}", node.span, help=help)
        return ()
    rules = (_rule(item, diagnostics) for item in node.items)
    return tuple(rule for rule in rules if rule is not None)


def _rule(node: Node, diagnostics: Diagnostics) -> RuleTree | None:
    use, keys = decode_use("initializer", _without_inner_keys(node, diagnostics), diagnostics, beside=SELECTOR_KEYS)
    if use is None:
        return None
    return RuleTree(use, decode_selector_keys(keys, use.span, diagnostics))


def _without_inner_keys(node: Node, diagnostics: Diagnostics) -> Node:
    """The rule without keys of its selector that stand among the fields of its kind, which are reported."""
    if not isinstance(node, MappingNode):
        return node
    entries = []
    for key, value in node.entries:
        if key.value not in SELECTOR_KEYS and isinstance(value, MappingNode):
            for inner, found in value.entries:
                if inner.value in SELECTOR_KEYS:
                    text = found.span.text if "\n" not in found.span.text else "..."
                    help = f"write `{inner.value}: {text}` on a line of its own, indented like `{key.value}`"
                    diagnostics.error("SB0206", f"`{inner.value}` belongs one level out, beside `{key.value}`", inner.span, help=help)
            value = MappingNode(tuple(pair for pair in value.entries if pair[0].value not in SELECTOR_KEYS), value.span)
        entries.append((key, value))
    return MappingNode(tuple(entries), node.span)


def resolve_rules(rules: Iterable[RuleTree], lookup: Names, known: Iterable[str], diagnostics: Diagnostics) -> tuple[Rule, ...]:
    """The rules with their expressions evaluated; one that is wrong is reported and left out."""
    known = tuple(known)
    found = []
    for rule in rules:
        initializer = _resolved(rule.use, lookup, known, diagnostics)
        selector = finish_selector(rule.selector, lookup, known, diagnostics)
        if initializer is not None and selector is not None:
            found.append(Rule(initializer, selector, rule.use))
    return tuple(found)
