"""Random specs for the emitter: lists of nodes over vectors of 8, with every construct that makes parts, in every nesting.

Each list keeps the type [B, T, 8], so that any node may read any earlier one. Everything is drawn by hypothesis, so a failure shrinks.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class Writer:
    """Writes one spec; `names` are those of the list that is being written, and of open lists around it."""

    draw: Draw
    blocks: list[str] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)
    """Linear layers of the model's own list, to tie to."""
    count: int = 0
    size: int = 0

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def fresh(self, word: str) -> str:
        self.count += 1
        return f"{word}{self.count}"

    def spec(self) -> str:
        nodes = self.nodes(["a", "b"], depth=0, columns=[])
        blocks = "blocks:\n" + textwrap.indent("\n".join(self.blocks), "  ") + "\n" if self.blocks else ""
        outputs = f"  outputs: [{', '.join(dict.fromkeys(self.kept))}]\n" if self.kept and self.number(0, 1) else ""
        inputs = "  inputs: {a: 'float32[B, T, 8]', b: 'float32[B, T, 8]'}\n"
        return f"specbuilder: 1\nname: drawn\n{blocks}model:\n{inputs}  nodes:\n{textwrap.indent(nodes, '    ')}\n{outputs}"

    def nodes(self, names: list[str], depth: int, columns: list[str], start: str | None = "a") -> str:
        """A list of nodes. The first reads `start`; None lets it take what enters."""
        names = list(names)
        own: list[str] = []
        written = []
        for at in range(self.number(1, 4 if depth < 2 else 2)):
            text, name = self.node(names, own, depth, columns, first=start if at == 0 else None)
            written.append(text)
            if name is not None:
                names.append(name)
                own.append(name)
        if depth == 0:
            self.kept = own
        return "\n".join(written)

    def node(self, names: list[str], own: list[str], depth: int, columns: list[str], first: str | None) -> tuple[str, str | None]:
        self.size += 1
        reads = f"from: {first}" if first is not None else ""
        if names and self.number(0, 3) == 0:
            reads = f"from: {self.pick(*names)}"
        name = self.fresh("n") if self.number(0, 2) == 0 else None
        kinds = ["linear", "relu", "layer_norm", "scale", "dropout", "reshape"]
        if names:
            kinds += ["add", "concat"]
        if own:
            kinds += ["share"]
        if depth < 3 and self.size < 25:
            kinds += ["residual", "sequence", "branches", "repeat", "each", "block", "block", "repeat_block", "nested", "pair"]
        kind = str(self.pick(*kinds))
        return getattr(self, f"_{kind}")(names, own, depth, columns, reads, name), name

    def entry(self, head: str, *more: str | None) -> str:
        """A node with what belongs beside it."""
        return "\n".join([f"- {head}", *(f"  {line}" for line in more if line)])

    def named(self, name: str | None) -> str | None:
        return f"name: {name}" if name else None

    def _linear(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        if self.number(0, 4) == 0:
            more = f"init: {{weight: {{normal: {{std: $(0.1 * ({columns[-1]} + 1))}}}}}}" if columns else "init: {weight: {normal: {std: 0.2}}}"
            return self.entry("linear: 8", more, reads, self.named(name))
        if self.earlier and self.number(0, 2) == 0:
            return self.entry("linear: 8", f"tie: {{weight: {self.pick(*self.earlier)}.weight}}", reads, self.named(name))
        if depth == 0 and name is not None:
            self.earlier.append(name)
        return self.entry("linear: 8", self.pick(None, None, "freeze: [weight]", "freeze: [weight, bias]"), reads, self.named(name))

    def _relu(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        return self.entry("relu:", reads, self.named(name))

    def _layer_norm(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        eps = f"$(0.001 * (1 + {columns[-1]}))" if columns else "0.01"
        return self.entry(f"layer_norm: {{eps: {eps}}}", reads, self.named(name))

    def _scale(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        factor = f"$({columns[-1]} + 0.5)" if columns else "0.5"
        return self.entry(f"multiply: {factor}", reads, self.named(name))

    def _dropout(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        return self.entry("dropout: 0.1", reads, self.named(name))

    def _add(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        return self.entry(str(self.pick("add:", "multiply:")), f"from: [{self.pick(*names)}, {self.pick(*names)}]", self.named(name))

    def _concat(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        both = f"from: [{self.pick(*names)}, {self.pick(*names)}]"
        return self.entry(f"sequence:\n    - concat: 2\n      {both}\n    - linear: 8", reads, self.named(name))

    def _reshape(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        return "\n".join([self.entry("reshape: [$B, $(T * 8)]", reads), self.entry("reshape: [$B, $T, 8]", self.named(name))])

    def _pair(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        """A block that gives a list, repeated, and one that takes a list."""
        giver, taker, copies = self.fresh("giver"), self.fresh("taker"), self.fresh("copies")
        inner = self.nodes(["x"], max(depth + 1, 2), [], start="x")
        kept = f"[x, {self.pick('x', 'last')}]"
        body = f"  inputs: {{x: '[B, T, C]'}}\n  outputs: {{out: {self.pick('last', 'x', 'last')}, kept: {kept}}}\n  nodes:\n{textwrap.indent(inner, '    ')}"
        self.blocks.append(f"{giver}:\n{body}\n    - linear: $C\n      name: last")
        self.blocks.append(f"{taker}:\n  inputs: [x, skips]\n  nodes:\n    - add:\n      from: [x, skips.*]\n    - linear: 8")
        count = self.number(1, 3)
        index = self.number(0, count - 1)
        first = self.entry(f"{giver}:", f"name: {copies}", f"repeat: {count}", reads)
        last = self.entry(f"{taker}:", f"from: [{copies}, {copies}.{index}.kept]", self.named(name))
        return f"{first}\n{last}"

    def _share(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        return self.entry(f"share: {self.pick(*own)}", reads or f"from: {self.pick(*names)}", self.named(name))

    def _list(self, word: str, names: list[str], depth: int, columns: list[str], *more: str | None) -> str:
        inner = self.nodes(names, depth + 1, columns, start=None)
        return self.entry(f"{word}:\n{textwrap.indent(inner, '    ')}", *more)

    def _residual(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        return self._list("residual", names, depth, columns, reads, self.named(name))

    def _sequence(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        return self._list("sequence", names, depth, columns, reads, self.named(name))

    def _branches(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        left, right = self.nodes(names, depth + 1, columns, start=None), self.nodes(names, depth + 1, columns, start=None)
        body = f"branches:\n    left:\n{textwrap.indent(left, '      ')}\n    right:\n{textwrap.indent(right, '      ')}\n    skip: []"
        return self.entry(body, "merge: add", reads, self.named(name))

    def _columns(self, columns: list[str], least: int = 1) -> tuple[str, list[str]]:
        column = self.fresh("c")
        values = [self.number(0, 2) for _ in range(self.number(least, 4))]
        return f"{{{column}: {values}}}", [*columns, column]

    def _repeat(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        written, inner = self._columns(columns)
        shared = "shared: true" if self.number(0, 4) == 0 else None
        inner = columns if shared else inner
        return self._list(str(self.pick("sequence", "residual")), names, depth, inner, f"repeat: {written}", shared, reads, self.named(name))

    def _each(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        written, inner = self._columns(columns, least=2)
        shared = "shared: true" if self.number(0, 2) == 0 else None
        inner = columns if shared else inner
        if self.number(0, 1):
            return self._list("sequence", names, depth, inner, f"each: {written}", "merge: add", shared, reads, self.named(name))
        side_by_side = self._list("sequence", names, depth, inner, f"each: {written}", "merge: {concat: 2}", shared, reads)
        return f"{side_by_side}\n{self.entry('linear: 8', self.named(name))}"

    def _nested(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        when = f"$({columns[-1]} > 0)" if columns else "true"
        return self._list("sequence", names, depth, columns, f"when: {when}", reads, self.named(name))

    def block(self, depth: int) -> str:
        """A block: a new one, or one that is there already."""
        known = [text.split(":")[0] for text in self.blocks if text.startswith("block")]
        if known and self.number(0, 1):
            return str(self.pick(*known))
        title = self.fresh("block")
        before, self.blocks = self.blocks, []
        inner = self.nodes(["x", "side"], max(depth + 1, 2), ["p"], start="x")
        wide = f"- linear: {{out_features: $wide, bias: {self.pick('true', 'false')}}}\n- relu\n- linear: 8"
        text = f"{title}:\n  params: {{wide: int = 8, p: int = 1}}\n  inputs: {{x: '[B, T, C]', side: any}}\n  nodes:\n{textwrap.indent(inner, '    ')}\n{textwrap.indent(wide, '    ')}"
        self.blocks = [*before, *self.blocks, text]
        return title

    def _block(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        title = self.block(depth)
        p = f"$({columns[-1]})" if columns and self.number(0, 1) else self.number(0, 2)
        side = self.pick(*names) if names else "prev"
        return self.entry(
            f"{title}: {{wide: {self.number(1, 3) * 4}, p: {p}}}",
            f"from: {{x: {reads.removeprefix('from: ') or 'prev'}, side: {side}}}",
            self.named(name),
        )

    def _repeat_block(self, names: list[str], own: list[str], depth: int, columns: list[str], reads: str, name: str | None) -> str:
        title = self.block(depth)
        written, inner = self._columns(columns)
        side = self.pick(*names) if names else "prev"
        head = f"{title}: {{wide: $(4 * {inner[-1]} + 4), p: ${inner[-1]}}}"
        return self.entry(head, f"from: {{x: {reads.removeprefix('from: ') or 'prev'}, side: {side}}}", f"repeat: {written}", self.named(name))
