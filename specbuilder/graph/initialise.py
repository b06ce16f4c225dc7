"""How each tensor begins: the node's own `init`, else the last matching rule of `model.init`, else as torch has it.

In: a `TypedGraph` without `inits`, the rules. Out: the same graph with the calls that fill its tensors, by state-dict key. A tensor that is another node's
(shared or tied) begins as the other says. The walk asks `own_inits` what a node says of its own tensors; `initialise` runs once, after the walk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from specbuilder.catalogue.contract import Buffer, Call, Initializer, Parameter, Refusal
from specbuilder.catalogue.demands import counted
from specbuilder.diagnostics import Diagnostics, Span, did_you_mean
from specbuilder.graph.graph import GraphNode, TypedGraph
from specbuilder.graph.selection import MATCHES_NOTHING, Selection, Tensor
from specbuilder.language.inits import LONE, InitTree, Names, Rule, RuleTree, resolve_init, resolve_rules

NO_TENSOR = "SB0523"
NO_BEGINNING = "SB0524"
OVERRULED = "SB0525"

Held = Parameter | Buffer


# A node --------------------------------------------------------------------------------------------------------------


def own_inits(
    tree: InitTree,
    title: str,
    parameters: Mapping[str, Parameter],
    buffers: Mapping[str, Buffer],
    lookup: Names,
    known: Iterable[str],
    diagnostics: Diagnostics,
    *,
    tied: Collection[str] = (),
) -> Mapping[str, Initializer]:
    """What `init` of a node says of its tensors, by their names in the node. `title` is what messages call the node, `tied` are tensors of other nodes."""
    found: dict[str, Initializer] = {}
    held: Mapping[str, Held] = {**parameters, **buffers}
    for written, initializer in resolve_init(tree.uses, lookup, known, diagnostics).items():
        span = tree.names[written]
        name = lone_tensor(title, parameters or buffers, span, diagnostics) if written == LONE else written
        if name is None or not has_tensor(title, name, held, span, diagnostics):
            continue
        if name in tied:
            help = "delete it; the other node says how it begins"
            diagnostics.error(NO_TENSOR, f"`{name}` of `{title}` is a tensor of another node", span, help=help)
        elif (problem := _misfit(initializer, held[name])) is not None:
            called = f"`{name}` of `{title}`" if name else f"`{title}`"
            diagnostics.error(problem.code, f"{called} cannot begin so: {problem.message}", tree.uses[written].span, help=problem.help)
        else:
            found[name] = initializer
    return found


def lone_tensor(title: str, held: Collection[str], span: Span, diagnostics: Diagnostics) -> str | None:
    """The one tensor of a node; reported when there is none, or more than one."""
    if len(held) == 1:
        return next(iter(held))
    if not held:
        diagnostics.error(NO_TENSOR, f"`{title}` has no tensors that could begin somehow", span, help="delete `init`")
        return None
    sample = f"init: {{{next(iter(held))}: {_one_line(span)}}}"
    diagnostics.error(NO_TENSOR, f"`{title}` has {len(held)} tensors, so the one that is meant must be named", span, help=f"such as `{sample}`")
    return None


def _one_line(span: Span) -> str:
    return span.text if "\n" not in span.text and 0 < len(span.text) <= 40 else "zeros"


def has_tensor(title: str, name: str, held: Collection[str], span: Span, diagnostics: Diagnostics) -> bool:
    """Whether a node has a tensor of this name; reported when not."""
    if name in held:
        return True
    listed = ", ".join(f"`{known}`" for known in held if known)
    help = did_you_mean(name, held) or (f"its tensors are {listed}" if listed else None)
    diagnostics.error(NO_TENSOR, f"`{title}` has no tensor `{name}`", span, help=help)
    return False


def _misfit(initializer: Initializer, held: Held) -> Refusal | None:
    """Why an initializer cannot fill a tensor."""
    try:
        initializer.check_dtype(held.dtype)
        initializer.check(held.shape)
    except Refusal as refusal:
        return refusal
    return None


# The model -----------------------------------------------------------------------------------------------------------


def initialise(graph: TypedGraph, rules: Sequence[RuleTree], lookup: Names, known: Iterable[str], diagnostics: Diagnostics) -> TypedGraph:
    """The graph with `inits`, in the order of the graph. Mistakes are reported: a rule that selects nothing or cannot fill a tensor, a parameter without one."""
    chosen = _by_rules(graph, resolve_rules(rules, lookup, known, diagnostics), diagnostics) if rules else {}
    inits: dict[str, Call] = {}
    calls: dict[int, Call] = {}  # by initializer: one of a rule is the same for all its tensors
    bare: dict[Span, list[GraphNode]] = {}
    for node in graph.nodes:
        if node.shares is not None or not (node.parameters or node.buffers):
            continue
        for name in (*node.parameters, *node.buffers):
            initializer = node.init.get(name) or chosen.get(node.key(name)) if name not in node.ties else None
            if initializer is not None:
                inits[node.key(name)] = calls.get(id(initializer)) or calls.setdefault(id(initializer), initializer.source())
            elif name == LONE and name not in node.ties:
                bare.setdefault(node.span, []).append(node)
    for span, nodes in bare.items():
        what = "buffer" if nodes[0].buffers else "parameter"
        more = f" (and so must {counted(len(nodes) - 1, 'more copy', 'more copies')})" if len(nodes) > 1 else ""
        help = "add `init: zeros` beside it, or a rule to `init` of the model"
        diagnostics.error(NO_BEGINNING, f"the {what} `{nodes[0].name}` must say how it begins{more}", span, help=help)
    return graph.replace(inits=inits) if inits else graph


def _by_rules(graph: TypedGraph, rules: Sequence[Rule], diagnostics: Diagnostics) -> Mapping[str, Initializer]:
    """The initializer of each tensor that some rule selects; the last rule that does wins."""
    selection = Selection(graph)
    tensors = selection.tensors
    is_free = [tensor.tie is None and (not tensor.is_buffer or tensor.name == LONE) for tensor in tensors]
    winner: dict[int, Rule] = {}
    selected: dict[Rule, int] = {}
    for rule in rules:
        found = selection.numbers(rule.selector, diagnostics)
        free = [number for number in found if is_free[number]]
        if found and not free:
            diagnostics.error(MATCHES_NOTHING, f"nothing that this selects begins by a rule: {_why_not_free(tensors[found[0]])}", rule.selector.span)
        selected[rule] = len(free)
        winner.update(dict.fromkeys(free, rule))
    chosen = [(tensors[number], rule) for number, rule in winner.items() if tensors[number].name not in tensors[number].node.init]
    wins = Counter(rule for _, rule in chosen)
    for rule, count in selected.items():
        if count and not wins[rule]:
            message = "this rule decides nothing: all that it selects begins as later rules or nodes say"
            diagnostics.warning(OVERRULED, message, rule.use.span, help="delete it, or move it behind the rules that are more general")
    _check_shapes(chosen, diagnostics)
    return {tensor.key: rule.initializer for tensor, rule in chosen}


def _why_not_free(tensor: Tensor) -> str:
    if tensor.tie is not None:
        return f"`{tensor.key}` is the same tensor as `{tensor.tie.node.key(tensor.tie.tensor)}`"
    return f"`{tensor.key}` is a buffer of `{tensor.node.kind.kind}`, which begins as torch has it"


def _check_shapes(chosen: Sequence[tuple[Tensor, Rule]], diagnostics: Diagnostics) -> None:
    """One error a rule, for the first tensor that it cannot fill."""
    verdicts: dict[tuple[Rule, tuple[int, ...], str], Refusal | None] = {}
    wrong: dict[Rule, list[tuple[Tensor, Refusal]]] = {}
    for tensor, rule in chosen:
        key = (rule, tensor.held.shape, tensor.held.dtype)
        if key not in verdicts:
            verdicts[key] = _misfit(rule.initializer, tensor.held)
        if (refusal := verdicts[key]) is not None:
            wrong.setdefault(rule, []).append((tensor, refusal))
    for rule, found in wrong.items():
        tensor, refusal = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        help = refusal.help or "select only what it can fill, such as `role: matrix` or `dims: [2, 4]`"
        diagnostics.error(refusal.code, f"`{tensor.key}` cannot begin so: {refusal.message}{more}", rule.use.span, help=help)
