"""The stages in order: the newcomer's tour. Text goes in at the top, a checked network and a plan come out at the bottom; no torch, no logic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from specbuilder.catalogue.contract import DataFacts
from specbuilder.diagnostics import Diagnostics
from specbuilder.graph.count import Report, count
from specbuilder.graph.expand import expand
from specbuilder.graph.graph import TypedGraph
from specbuilder.graph.measured import note_measured
from specbuilder.graph.promises import check_promises
from specbuilder.graph.variables import Variables
from specbuilder.language.decode import decode
from specbuilder.language.document import Document
from specbuilder.language.read import read
from specbuilder.language.tree import SpecTree
from specbuilder.language.unused import warn_unused
from specbuilder.plan.make import check_settings, make_plan
from specbuilder.plan.plan import Plan
from specbuilder.records import Record

if TYPE_CHECKING:
    from specbuilder.language.folders import Files


class Checked(Record):
    """A spec after all stages that need no torch. Parts are None where the stage before them found errors."""

    document: Document | None = None
    tree: SpecTree | None = None
    graph: TypedGraph | None = None
    report: Report | None = None
    plan: Plan | None = None


class Composed(Record):
    """What a spec says before it is decoded, in the steps in which it comes together; a value that differs between two was set in between."""

    written: Document
    """The text and what it includes."""
    varied: Document
    """With the variables of the variant."""
    final: Document
    """With what the command line sets."""


def compose(
    text: str | bytes, name: str, overrides: Mapping[str, str], diagnostics: Diagnostics, *, variant: str | None = None, files: Files | None = None
) -> Composed | None:
    """The document that is decoded, and what it was before. `files` are those that the text may include; None: there are none."""
    document = read(text, name, diagnostics)
    if document is None:
        return None
    # What an option says of these two keys has to be there before they are followed.
    early = {path: value for path, value in overrides.items() if path.partition(".")[0] in ("include", "variants")}
    written = _included(_overridden(document, early, diagnostics), files, diagnostics)
    if written is None:
        return None
    varied = _varied(written, variant, diagnostics)
    late = {path: value for path, value in overrides.items() if path not in early}
    return Composed(written, varied, _overridden(varied, late, diagnostics))


# Each of these is imported by the specs that have it: a process that validates one in 0.1 s notices every module.


def _included(document: Document, files: Files | None, diagnostics: Diagnostics) -> Document | None:
    if document.root.key("include") is None:
        return document
    from specbuilder.language.include import include

    return include(document, files, diagnostics)


def _varied(document: Document, variant: str | None, diagnostics: Diagnostics) -> Document:
    if variant is None and document.root.key("variants") is None:
        return document
    from specbuilder.language.variants import choose

    return choose(document, variant, diagnostics)


def _overridden(document: Document, changes: Mapping[str, str], diagnostics: Diagnostics) -> Document:
    if not changes:
        return document
    from specbuilder.language.override import override

    return override(document, changes, diagnostics)


def _check_inputs(tree: SpecTree, graph: TypedGraph, diagnostics: Diagnostics) -> None:
    from specbuilder.emit.pasted import check_inputs

    check_inputs(tree.model.inputs, graph, diagnostics)


def check(
    text: str | bytes, name: str, overrides: Mapping[str, str], diagnostics: Diagnostics, *, variant: str | None = None, files: Files | None = None
) -> Checked:
    """All stages up to the plan. What is wrong with the spec is in `diagnostics` afterwards."""
    composed = compose(text, name, overrides, diagnostics, variant=variant, files=files)
    if composed is None:
        return Checked()
    document = composed.final
    tree = decode(document, diagnostics)
    if tree is None:
        return Checked(document=document)
    variables = Variables(tree.variables, diagnostics)
    graph = expand(tree, variables, diagnostics)
    report = count(graph, diagnostics) if graph is not None else None
    if graph is None or report is None:
        check_settings(tree, variables, diagnostics)
        return Checked(document=document, tree=tree)
    if any(node.kind.helpers for node in graph.nodes):
        _check_inputs(tree, graph, diagnostics)
    note_measured(graph, diagnostics)
    plan = make_plan(tree, graph, variables, diagnostics)
    check_promises(tree, graph, report, variables, diagnostics)
    variables.check_all()
    if not diagnostics.has_errors:
        warn_unused(composed.written, diagnostics)
    return Checked(document=document, tree=tree, graph=graph, report=report, plan=plan)


def plan_for(tree: SpecTree, graph: TypedGraph, facts: DataFacts, diagnostics: Diagnostics, *, own_data: bool) -> Plan | None:
    """The plan of a spec whose data only now is known: opened from disk, or brought by the caller."""
    return make_plan(tree, graph, Variables(tree.variables, diagnostics), diagnostics, facts=facts, own_data=own_data)
