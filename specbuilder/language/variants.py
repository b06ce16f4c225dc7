"""`variants`: named sets of values for variables. Every variant is checked, always; one may be chosen, and the others are then of no further effect.

In: the document with all that it includes. Out: the document without the key, the variables of the chosen variant in their places. A variant that changes
nothing, `{}`, is the base. `--set` comes later and wins.
"""

from __future__ import annotations

from specbuilder.diagnostics import Diagnostics, Source, Span, did_you_mean
from specbuilder.language.decode import check_name
from specbuilder.language.document import Document, Mapping, Node, Scalar, with_value, without
from specbuilder.language.expressions import ExpressionError, Template
from specbuilder.language.settings import PLANNED, SPEC_KEYS
from specbuilder.language.tree import Deferred, Value
from specbuilder.language.values import placed, read, report
from specbuilder.language.var_types import keeps_type

ALL = "all"
"""What `--variant` takes for every variant, so that none may be called so."""


def choose(document: Document, wanted: str | None, diagnostics: Diagnostics) -> Document:
    """The document with the variables of the variant `wanted`; with None, as it is."""
    key = document.root.key("variants")
    root = without(document.root, "variants") if key is not None else document.root
    variables = root.get("vars")
    known = variables if isinstance(variables, Mapping) else Mapping((), root.span)
    variants = _variants(document, diagnostics)
    right = {name: _right(variant, known, diagnostics, is_chosen=name == wanted) for name, variant in variants.items()}
    if wanted in right:
        changed = known
        for place, value in right[wanted]:
            changed = with_value(changed, place, value)
        section = root.key("vars")
        root = with_value(root, section, changed) if section is not None else root
    elif wanted is not None and (key is None or variants):
        _unknown(wanted, tuple(variants), diagnostics)
    return document.replace(root=root, variants=tuple(variants))


def _variants(document: Document, diagnostics: Diagnostics) -> dict[str, Mapping]:
    key, node = document.root.key("variants"), document.root.get("variants")
    if key is None or node is None:
        return {}
    if not isinstance(node, Mapping) or not node.entries:
        message = "`variants` is a mapping of names to variables"
        diagnostics.error("SB0203", message, placed(key.span, node).span, help="such as `small: {depth: 6}`, one a line")
        return {}
    found: dict[str, Mapping] = {}
    for name, value in node.entries:
        word = str(name.value)
        if word == ALL:
            diagnostics.error("SB0302", f"no variant is called `{ALL}`: `--variant {ALL}` means every variant", name.span, help="choose another name")
        elif check_name(word, name.span, diagnostics, is_attribute=False):
            found[word] = value if isinstance(value, Mapping) else Mapping((), value.span)
        if not isinstance(value, Mapping):
            help = "write `{}` for a variant that changes nothing" if _is_null(value) else f"such as `{word}: {{depth: 6}}`"
            diagnostics.error("SB0203", f"the variant `{word}` is a mapping of variables to values", placed(name.span, value).span, help=help)
    return found


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _right(variant: Mapping, variables: Mapping, diagnostics: Diagnostics, *, is_chosen: bool) -> list[tuple[Scalar, Node]]:
    """The variables that a variant sets as it may, each by its key in `vars`; the others are reported."""
    known = tuple(variables.keys())
    right: list[tuple[Scalar, Node]] = []
    for key, value in variant.entries:
        name = str(key.value)
        old, place = variables.get(name), variables.key(name)
        if old is None or place is None:
            if name in (*SPEC_KEYS, *PLANNED["spec"]):
                message, help = f"a variant sets variables only, and `{name}` is a section", "make what differs a variable, and use it there"
            else:
                message = f"there is no variable `{name}` for a variant to set"
                help = did_you_mean(name, known) or f"add it to `vars`, with the value of the base: `vars: {{{name}: ...}}`"
            diagnostics.error("SB0201", message, key.span, help=help)
            continue
        if keeps_type(name, old, new := placed(key.span, value), diagnostics):
            right.append((place, new))
        # The expressions of the chosen variant are looked at with all others.
        if not is_chosen:
            _check_names(read(value, diagnostics), known, diagnostics)
    return right


def _check_names(value: Value, known: tuple[str, ...], diagnostics: Diagnostics) -> None:
    if isinstance(value, Deferred):
        _check_template(value.template, value.scalar, known, diagnostics)
    elif isinstance(value, tuple):
        for item in value:
            _check_names(item, known, diagnostics)
    elif isinstance(value, dict):
        for item in value.values():
            _check_names(item, known, diagnostics)


def _check_template(template: Template, scalar: Scalar, known: tuple[str, ...], diagnostics: Diagnostics) -> None:
    for name in template.names:
        if name.text not in known:
            error = ExpressionError(f"unknown name `{name.text}`", name.start, name.end, did_you_mean(name.text, known))
            report(error, scalar, diagnostics)


def _unknown(wanted: str, known: tuple[str, ...], diagnostics: Diagnostics) -> None:
    span = Span(Source("--variant", wanted), 0, max(len(wanted), 1))
    if not known:
        diagnostics.error("SB0208", f"there is no variant `{wanted}`: the spec has no `variants`", span)
        return
    listed = f"its variants are {', '.join(f'`{name}`' for name in known)}"
    if wanted == ALL:
        diagnostics.error("SB0208", f"`{ALL}` stands for every variant, and one is wanted here", span, help=f"{listed}; `validate` takes `{ALL}`")
        return
    help = did_you_mean(wanted, known) or listed
    diagnostics.error("SB0208", f"there is no variant `{wanted}`", span, help=help)
