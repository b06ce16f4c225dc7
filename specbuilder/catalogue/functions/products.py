"""Products of tensors: `matmul`, (..., M, K) times (..., K, N) -> (..., M, N), and `einsum`, whose letters say which axes go together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Input, Port, Refusal, call, function
from specbuilder.catalogue.declared import Field
from specbuilder.catalogue.functions.arithmetic import SURPRISING_STRETCH, stretched
from specbuilder.shapes import Dim, TensorType, broadcast

TWO_DTYPES = "operands of two dtypes, which torch takes where nothing is summed"
REPEATED = "a letter twice in one operand, which takes a diagonal"
STRETCHED = "a size of 1 where the same letter has more, which torch stretches"

VECTORS = "vectors (rank 1): what their product means changes with the other side"


@function("matmul", torch="torch.matmul", aliases=("mm", "bmm", "batch_matmul", "dot"))
class Matmul(Function):
    """The product of matrices, the last two axes of what arrives; axes before them are batches and stretch as in `multiply`."""

    inputs = (Port("input"), Port("other"))

    broadcast: bool = Field(default=False, description="allow that the batches differ in rank or that both stretch")

    stricter_than_torch = (demands.NOT_FLOATING, VECTORS, SURPRISING_STRETCH)
    examples = (
        Example(text="matmul", given=("float32[B, T, 4]", "float32[B, 4, T]"), gives="float32[B, T, T]"),
        Example(text="matmul", given=("float32[B, T, 4]", "float32[4, 8]"), gives="float32[B, T, 8]"),
        Example(text="matmul", given=("float32[B, T, 4]", "float32[B, 5, T]"), refused="the columns of [B, T, 4], found 4 and 5"),
    )

    def infer(self, input: TensorType, other: TensorType) -> TensorType:
        for port, each in (("input", input), ("other", other)):
            demands.floating(self.kind, each, port=port)
            if each.rank < 2:
                raise Refusal(f"`matmul` wants matrices, but {each} has {demands.counted(each.rank, 'axis', 'axes')}", port=port)
        if input.dtype != other.dtype:
            raise Refusal(f"`matmul` wants one dtype, but {input.dtype} and {other.dtype} arrive", port="other", code="SB0501")
        where = f"for the rows of {other.shape_text} and the columns of {input.shape_text}"
        demands.same_size(self.kind, input.shape[-1], other.shape[-2], where=where, port="other")
        return input.with_shape((*self._batch(input, other), input.shape[-2], other.shape[-1]))

    def flops(self, input: TensorType, other: TensorType) -> Dim:
        return 2 * demands.numel(self._batch(input, other)) * input.shape[-2] * input.shape[-1] * other.shape[-1]

    def source(self, input: TensorType, other: TensorType) -> Expression:
        return call("torch.matmul", Input(0), Input(1))

    def _batch(self, input: TensorType, other: TensorType) -> tuple[Dim, ...]:
        return stretched(self.kind, (input.shape[:-2], other.shape[:-2]), asked=self.broadcast, ports=(("input", None), ("other", None)))


_OPERAND = re.compile(r"[a-zA-Z]*(?:\.\.\.)?[a-zA-Z]*")
_ELLIPSIS = "..."


@lru_cache(maxsize=1024)
def _terms(equation: str) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """The letters of each operand and of the result, `...` among them; letters that stand once, in order, where no result is written."""
    plain = equation.replace(" ", "")
    left, _, right = plain.partition("->")
    operands = tuple(tuple(_letters(each)) for each in left.split(","))
    if "->" in plain:
        return operands, tuple(_letters(right))
    everything = [letter for operand in operands for letter in operand if letter != _ELLIPSIS]
    once = sorted(letter for letter in everything if everything.count(letter) == 1)
    return operands, ((_ELLIPSIS,) if _ELLIPSIS in left else ()) + tuple(once)


def _letters(term: str) -> Iterator[str]:
    before, dots, after = term.partition(_ELLIPSIS)
    yield from before
    if dots:
        yield dots
    yield from after


@function("einsum", primary="equation", torch="torch.einsum")
class Einsum(Function):
    """Products summed over the letters that the result does not have: `bij,bjk->bik` is a product of matrices."""

    inputs = (Port("operands", many=True),)
    positional = ("equation", "operands")

    equation: str = Field(description="the letters of each operand, `->`, and those of the result; `...` stands for further axes")

    stricter_than_torch = (demands.NOT_FLOATING, TWO_DTYPES, REPEATED, STRETCHED)
    examples = (
        Example(text='einsum: "bij,bjk->bik"', given=("float32[B, T, 4]", "float32[B, 4, T]"), gives="float32[B, T, T]"),
        Example(text='einsum: "...d,de->...e"', given=("float32[B, T, 4]", "float32[4, 8]"), gives="float32[B, T, 8]"),
        Example(
            text='einsum: "bij,bjk->bik"',
            given=("float32[B, T, 4]", "float32[B, 5, T]"),
            refused="wants equal sizes for the letter `j`, found 4 and 5",
        ),
    )

    def mistakes(self) -> Iterator[tuple[str, str] | tuple[str, str, tuple[int, int]]]:
        """What is wrong with the equation by itself."""
        left, arrow, right = self.equation.partition("->")
        start = 0
        for term in left.split(","):
            if problem := _problem(term):
                yield "equation", problem, (start, start + max(len(term), 1))
                return
            start += len(term) + 1
        place = (len(left) + 2, max(len(self.equation), len(left) + 3))
        if arrow and (problem := _problem(right)):
            yield "equation", problem, place
        elif arrow:
            for letter in _letters(right.replace(" ", "")):
                if letter not in left:
                    yield "equation", f"no operand has `{letter}`, which the result has", place
                    return

    def infer(self, operands: tuple[TensorType, ...]) -> TensorType:
        terms, result = _terms(self.equation)
        if len(terms) != len(operands):
            found = demands.counted(len(operands), "tensor arrives", "tensors arrive")
            raise Refusal(f"`einsum` has {demands.counted(len(terms), 'operand', 'operands')} in its equation, but {found}", field="equation")
        for item, each in enumerate(operands):
            if each.dtype != operands[0].dtype:
                message = f"`einsum` wants one dtype, but {operands[0].dtype} and {each.dtype} arrive"
                raise Refusal(message, port="operands", item=item, code="SB0501")
            demands.floating(self.kind, each, port="operands")
        sizes, hidden = self._sizes(operands)
        shape = [size for letter in result for size in (hidden if letter == _ELLIPSIS else (sizes[letter],))]
        return TensorType(operands[0].dtype, tuple(shape))

    def flops(self, operands: tuple[TensorType, ...]) -> Dim:
        """As torch goes: from left to right, two at a time; where nothing is summed, numbers are multiplied and not counted."""
        terms, result = _terms(self.equation)
        sizes, hidden = self._sizes(operands)
        sizes = {**sizes, _ELLIPSIS: demands.numel(hidden)}
        total: Dim = 0
        letters = set(terms[0])
        for at, term in enumerate(terms[1:], start=2):
            later = {letter for other in (*terms[at:], result) for letter in other}
            shared = letters & set(term)
            # What only one of the two has, and nobody needs later, is summed before they meet.
            letters = {letter for letter in letters if letter in shared or letter in later}
            others = {letter for letter in term if letter in shared or letter in later}
            if any(letter not in later and sizes[letter] != 1 for letter in shared):
                total = total + 2 * demands.numel([sizes[letter] for letter in letters | others])
            letters = {letter for letter in letters | others if letter in later}
        return total

    def source(self, operands: tuple[TensorType, ...]) -> Expression:
        return call("torch.einsum", self.equation, *(Input(0, item) for item in range(len(operands))))

    def _sizes(self, operands: tuple[TensorType, ...]) -> tuple[dict[str, Dim], tuple[Dim, ...]]:
        """The size of each letter, and those of the axes that `...` stands for."""
        sizes: dict[str, Dim] = {}
        hidden: list[tuple[Dim, ...]] = []
        for item, (term, x) in enumerate(zip(_terms(self.equation)[0], operands, strict=True)):
            count = x.rank - len(term) + 1 if _ELLIPSIS in term else 0
            if count < 0 or (_ELLIPSIS not in term and x.rank != len(term)):
                text = "".join(term)
                raise Refusal(
                    f"`einsum` reads an operand as `{text}`, but {x} has {demands.counted(x.rank, 'axis', 'axes')}", port="operands", item=item
                )
            shape = list(x.shape)
            at = 0
            for letter in term:
                if letter == _ELLIPSIS:
                    hidden.append(tuple(shape[at : at + count]))
                    at += count
                    continue
                demands.same_size(
                    self.kind, sizes.setdefault(letter, shape[at]), shape[at], where=f"for the letter `{letter}`", port="operands", item=item
                )
                at += 1
        together = broadcast(hidden)
        if together is None:
            texts = " and ".join(TensorType("float32", shape).shape_text for shape in hidden)
            raise Refusal(f"`einsum` cannot stretch {texts} to one shape for `...`", field="equation")
        return sizes, together


def _problem(term: str) -> str | None:
    plain = term.replace(" ", "")
    if not _OPERAND.fullmatch(plain):
        odd = next((character for character in plain if not (character.isascii() and character.isalpha()) and character != "."), plain)
        return f"`{odd}` has no meaning here: axes are letters, and `...` stands for further ones"
    for letter in plain.replace(_ELLIPSIS, ""):
        if plain.count(letter) > 1:
            return f"the letter `{letter}` stands twice in `{plain}`"
    return None
