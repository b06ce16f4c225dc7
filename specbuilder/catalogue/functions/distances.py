"""How far two lists of vectors lie apart: pairwise_distance, cosine_similarity. The axis of the vectors goes."""

from __future__ import annotations

from specbuilder.catalogue import demands
from specbuilder.catalogue.contract import Example, Expression, Function, Input, NonNegativeFloat, Port, Refusal, call, function
from specbuilder.catalogue.declared import Field, fields_of
from specbuilder.catalogue.functions.arithmetic import SURPRISING_STRETCH, stretched
from specbuilder.shapes import TensorType

TWO_DTYPES = "two floating-point dtypes, of which torch takes the larger"

ODD_NORM = "a norm or an eps below 0"
LONE_NUMBER = "a single number as a vector"


class Distance(Function):
    """What both share."""

    inputs = (Port("x1"), Port("x2"))

    def _together(self, x1: TensorType, x2: TensorType, *, asked: bool) -> TensorType:
        for port, each in (("x1", x1), ("x2", x2)):
            demands.floating(self.kind, each, port=port)
            if not each.rank:
                raise Refusal(f"`{self.kind}` wants vectors, but a single number arrives", port=port)
        if x1.dtype != x2.dtype:
            raise Refusal(f"`{self.kind}` wants one dtype, but {x1.dtype} and {x2.dtype} arrive", port="x2", code="SB0501")
        return x1.with_shape(stretched(self.kind, (x1.shape, x2.shape), asked=asked, ports=(("x1", None), ("x2", None))))

    def source(self, x1: TensorType, x2: TensorType) -> Expression:
        names = [name for name in fields_of(type(self)) if name != "broadcast"]
        return call(self.torch_name, Input(0), Input(1), **self.changed(*names))


@function("pairwise_distance", torch="F.pairwise_distance", aliases=("euclidean_distance", "l2_distance"))
class PairwiseDistance(Distance):
    """The p-norm of x1 - x2 + eps over the last axis: (..., D), (..., D) -> (...)."""

    p: NonNegativeFloat = 2.0
    eps: NonNegativeFloat = Field(default=1e-6, description="added to each difference, so that the gradient at 0 is finite")
    keepdim: bool = False
    broadcast: bool = Field(default=False, description="allow that ranks differ or that both sides stretch")

    stricter_than_torch = (demands.NOT_FLOATING, TWO_DTYPES, SURPRISING_STRETCH, LONE_NUMBER, ODD_NORM)
    examples = (
        Example(text="pairwise_distance", given=("float32[B, 8]", "float32[B, 8]"), gives="float32[B]"),
        Example(text="pairwise_distance", given=("float32[B, 8]", "float32[B, 6]"), refused="wants equal sizes on axis 1, found 8 and 6"),
    )

    def infer(self, x1: TensorType, x2: TensorType) -> TensorType:
        both = self._together(x1, x2, asked=self.broadcast)
        return both.with_shape((*both.shape[:-1], 1) if self.keepdim else both.shape[:-1])


@function("cosine_similarity", primary="dim", torch="F.cosine_similarity", aliases=("cosine",))
class CosineSimilarity(Distance):
    """The cosine of the angle between x1 and x2 along the axis `dim`, which goes."""

    dim: int = 1
    eps: NonNegativeFloat = Field(default=1e-8, description="the least product of lengths that is divided by")
    broadcast: bool = Field(default=False, description="allow that ranks differ or that both sides stretch")

    stricter_than_torch = (demands.NOT_FLOATING, TWO_DTYPES, SURPRISING_STRETCH, LONE_NUMBER)
    examples = (
        Example(text="cosine_similarity", given=("float32[B, 8]", "float32[B, 8]"), gives="float32[B]"),
        Example(text="cosine_similarity: 2", given=("float32[B, 8]", "float32[B, 8]"), refused="no axis 2 in [B, 8]"),
    )

    def infer(self, x1: TensorType, x2: TensorType) -> TensorType:
        both = self._together(x1, x2, asked=self.broadcast)
        at = demands.axis(self.kind, self.dim, both)
        return both.with_shape((*both.shape[:at], *both.shape[at + 1 :]))
