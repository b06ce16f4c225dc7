"""What a kind is: one class that says everything about one thing a spec can name.

A kind declares its fields, its ports, its shape rule, its parameters, its cost and the torch code it becomes; decoding, JSON Schema,
`specbuilder kinds`, the summary, the emitted file and the contract tests all follow from the class, and nothing about a kind stands anywhere else.
Torch-free: layers, functions, losses, optimizers and schedules *describe* code (`Call`, `Infix`); datasets, transforms, metrics and averages keep their
run-time half in the class and import torch inside that method, the only place where a kind may.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, get_args

from annotated_types import Ge, Gt, Le

from specbuilder.catalogue.declared import Declared, Field, fields_of
from specbuilder.records import Record
from specbuilder.shapes import Dim, Requirement, TensorType, is_floating

if TYPE_CHECKING:
    import torch

Family = Literal["node", "loss", "optimizer", "schedule", "average", "dataset", "transform", "metric", "initializer"]
"""Layers and functions share one name space, `node`: they are what stands in a list of nodes."""

# Field types ---------------------------------------------------------------------------------------------------------

PositiveInt = Annotated[int, Gt(0)]
NonNegativeInt = Annotated[int, Ge(0)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Probability = Annotated[float, Ge(0), Le(1)]
DurationText = Annotated[str, "a duration"]
"""`5 epochs`, `200 steps`, `30%` (plan.md 2.0): the plan reads it."""


# Ports ---------------------------------------------------------------------------------------------------------------


class Port(Record):
    """A place where a tensor arrives. `many` takes a list of tensors; a missing port may read another one instead (`default`)."""

    name: str
    many: bool = False
    optional: bool = False
    default: str | None = None
    is_either: bool = False
    """Whether it takes a tensor or a list of them, whichever arrives, as the inputs of a block do."""


class Gathered(tuple[Any, ...]):
    """What arrives at a port of many as one list, such as `layers.*` or what `merge` joins. How many there are is a matter of sizes, so that
    one alone is no mistake, where it nearly always is one of tensors named one by one.
    """

    __slots__ = ()


# What a rule answers -------------------------------------------------------------------------------------------------

Role = Literal["matrix", "bias", "norm", "embedding", "free"]


class Parameter(Record):
    """A trainable tensor that a layer owns; `role` is what optimizer groups and selectors ask for."""

    shape: tuple[int, ...]
    role: Role
    dtype: str = "float32"


class Buffer(Record):
    """A tensor that belongs to the state but is not trained, such as a running mean."""

    shape: tuple[int, ...]
    dtype: str = "float32"


class Remark(Record):
    """A warning about a use that is right."""

    code: str
    message: str
    help: str | None = None


class Refusal(Exception):
    """Raised by a rule that cannot accept what arrives; the walk adds position, chain and copies.

    `field` or `port` name what is to blame, so that the caret can stand under it; without either it stands under the kind.
    For a port that takes a list, `item` is the position in the list; of a field that is a text, `part` are the characters to blame, from and up to.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        port: str | None = None,
        item: int | None = None,
        help: str | None = None,
        code: str = "SB0401",
        part: tuple[int, int] | None = None,
        in_training_only: bool = False,
    ) -> None:
        super().__init__(message)
        self.message, self.field, self.port, self.item, self.help, self.code, self.part = message, field, port, item, help, code, part
        self.in_training_only = in_training_only
        """Whether what arrives is accepted in evaluation."""


# Code, described -----------------------------------------------------------------------------------------------------


class Input(Record):
    """The tensor that arrives at a port, by the port's position; for a port that takes a list, `item` picks one and None means the whole list."""

    port: int = 0
    item: int | None = None


class Code(Record):
    """A dotted torch name written as it is, such as `torch.float32`. Never made from the user's text."""

    text: str


DEVICE = Code("device")
"""Where the model runs, for tensors that are made within `forward`: the emitter writes `<its first tensor input>.device`; a class that no tensor enters is
passed the device.
"""

TRAINING = Code("self.training")
"""Whether the model is being trained: in arithmetic, 1 or 0."""


class Call(Record):
    """A call in the emitted file. Arguments are literals, dims (symbolic ones read a size at run time), `Input`s, or further code."""

    function: str
    args: tuple[Argument, ...] = ()
    kwargs: tuple[tuple[str, Argument], ...] = ()


class Method(Record):
    """`x.to(torch.float32)` in the emitted file: what has no function of its own."""

    value: Argument
    name: str
    args: tuple[Argument, ...] = ()
    kwargs: tuple[tuple[str, Argument], ...] = ()


class Infix(Record):
    """`a + b + c` in the emitted file; `operator` is Python's: arithmetic, a comparison, `&` or `|`."""

    operator: str
    operands: tuple[Argument, ...]


class Prefix(Record):
    """`-x` or `~x` in the emitted file."""

    operator: str
    operand: Argument


class Slice(Record):
    """`1:-1` within an index."""

    start: Argument = None
    stop: Argument = None
    step: Argument = None


class Index(Record):
    """`x[:, None, 0]` in the emitted file. A key is a `Slice`, a number, None for a new axis, or a tensor of whole numbers."""

    value: Argument
    keys: tuple[Argument | Slice, ...]


class IfNone(Record):
    """`absent if x is None else present` in the emitted file."""

    value: Argument
    absent: Argument
    present: Argument


Expression = Input | Code | Call | Method | Infix | Prefix | Index | IfNone
Argument = Expression | Dim | float | bool | str | None | tuple["Argument", ...]


def call(function: str, *args: Argument, **kwargs: Argument) -> Call:
    """A `Call`, written like the call it describes: `call("F.relu", Input())`."""
    return Call(function, args, tuple(kwargs.items()))


ITSELF = "module"
"""The function name that stands for the module itself in `Module.call`."""


class Module(Record):
    """A kind that becomes a module, since it owns parameters or buffers or behaves differently in training."""

    constructor: Call
    call: Expression | None = None
    """How `forward` uses it, where that is not the module called with all that arrives: `Index(call(ITSELF, Input(0), need_weights=False), (0,))`."""


class Attribute(Record):
    """A kind that becomes a parameter or a buffer of its own, an attribute that `forward` reads: `self.scale`."""

    constructor: Call
    is_buffer: bool = False


Source = Module | Attribute | Expression
"""What a node becomes: a module that `__init__` makes and `forward` calls, a tensor that it makes and `forward` reads, or an expression in `forward`."""


# Examples ------------------------------------------------------------------------------------------------------------


class Example(Record):
    """One use and its result, shown by `specbuilder kinds NAME` and checked against torch by the contract test.

    `text` is the node as a spec has it. `given` are the types that arrive, in port order; `gives` the type that leaves. With `refused` instead of
    `gives`, the example is wrong and the message must contain that text.
    """

    text: str
    given: str | tuple[str, ...] = "float32[B, 4]"
    gives: str | tuple[str, ...] | None = None
    parameters: int = 0
    refused: str | None = None


# The classes ---------------------------------------------------------------------------------------------------------


class Kind(Declared):
    """Base of all kinds. Fields are strict: `"32"` and `true` are no integers. Field names are torch's argument names."""

    family: ClassVar[Family]
    kind: ClassVar[str] = ""
    primary: ClassVar[str | None] = None
    """The field that `kind: VALUE` sets."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """What other tools call it: never accepted, only used to suggest the right name."""
    torch_name: ClassVar[str] = ""
    """The torch class or function that it is, for docs and for the contract test."""
    stricter_than_torch: ClassVar[tuple[str, ...]] = ()
    """What torch accepts and we refuse, with the reason."""
    examples: ClassVar[Sequence[Example]] = ()

    def changed(self, *names: str) -> dict[str, Any]:
        """The named fields whose values differ from their defaults: the emitted call leaves the others out."""
        fields = fields_of(type(self))
        return {name: value for name in names if (value := getattr(self, name)) != fields[name].default}


class Node(Kind):
    """A kind that stands in a list of nodes: what layers and functions have in common.

    Rules take one `TensorType` per declared port, in order; a port that takes a list gives a tuple, an absent optional port None.
    Each kind writes its own parameters: `*types: Any, **_: Any` is what type checkers take for "any signature".
    """

    family: ClassVar[Family] = "node"
    inputs: ClassVar[tuple[Port, ...]] = (Port("input"),)
    outputs: ClassVar[tuple[str, ...]] = ("output",)
    is_off_chain: ClassVar[bool] = False
    """Whether the node never becomes `prev`, as a parameter does not."""
    helpers: ClassVar[tuple[str, ...]] = ()
    """Source texts of classes and functions that the emitted code calls and torch does not have; each is pasted into an emitted file once."""
    takes: ClassVar[str | Mapping[str, str] | None] = None
    """For own kinds: what arrives, `[B, channels, H, W]`, or a pattern for each port; a size in small letters becomes an argument of that name."""
    requires: ClassVar[tuple[str, ...]] = ()
    """For own kinds: import lines, other than those of torch and of Python itself, that the pasted code needs."""
    is_measured: ClassVar[bool] = False
    """Whether a rule of the kind is told by running it on torch's meta device, so that checking a spec imports torch."""
    positional: ClassVar[tuple[str, ...] | None] = None
    """The order of arguments in a formula (`compute`): names of ports and fields. None is torch's usual one: the ports, then the fields as declared."""

    def infer(self, *types: Any, **_: Any) -> TensorType | tuple[TensorType, ...]:
        """The type of each output. Raises `Refusal`."""
        raise NotImplementedError

    def requirements(self, *types: Any, **_: Any) -> tuple[Requirement, ...]:
        """What sizes must meet beyond this: that every output size is at least 1 is required of every kind."""
        return ()

    def parameters(self, *types: Any, **_: Any) -> dict[str, Parameter]:
        return {}

    def buffers(self, *types: Any, **_: Any) -> dict[str, Buffer]:
        return {}

    def limits(self) -> Mapping[str, int]:
        """The number that whole numbers at a port stay below, where they are counted from 0, by port: what the data is held against."""
        return {}

    def flops(self, *types: Any, **_: Any) -> Dim:
        """Forward floating-point operations for what arrives, 2 per multiply-add, counted as `torch.utils.flop_counter` does (matmul and convolution only)."""
        return 0

    def source(self, *types: Any, **_: Any) -> Source:
        raise NotImplementedError

    def with_transposed(self, tensor: str, held: Mapping[str, Argument]) -> Expression | None:
        """What `forward` computes where `tensor` is the transpose of another node's (`tie`), so that no module can hold it; `held` is the code of each of
        its parameters. None: it cannot, and such a tie is refused.
        """
        return None

    def remarks(self, *types: Any, **_: Any) -> tuple[Remark, ...]:
        """What the user should know of a use that is right."""
        return ()


class Layer(Node):
    """A node with parameters, buffers or a training mode: it becomes a module."""

    module: ClassVar[Any] = None
    """For own kinds: the nn.Module class that it is, or the text `FILE.py:NAME` (pasted, not run) or `PACKAGE.MODULE:NAME` (imported by the model)."""


class Function(Node):
    """A node without state: it becomes an expression in `forward`."""

    function: ClassVar[Any] = None
    """For own kinds: the function that it is, or a text as for `Layer.module`."""


class Stateful(Node):
    """A node that hands tensors on from call to call: what leaves at the ports `keeps` arrives again in the next call, as a state that is threaded.

    The rules of every node (`infer`, `source` and the others) say what it is in a call without state, which is also what it is in the first call of all:
    there is no empty state but none. The rules of a later call take what it kept, `past`, first. A layer that keeps something derives from `Layer` too.
    """

    keeps: ClassVar[tuple[str, ...]] = ("output",)
    """The output ports whose tensors are the state that a call leaves."""
    takes_none: ClassVar[bool] = False
    """Whether the code of a later call serves the first one too, with None in the place of what it kept, as torch's recurrent modules take it."""

    def past(self, *types: Any, **_: Any) -> tuple[TensorType, ...]:
        """The types of what it kept, in the order of `keeps`. The keyword `before` is a function: `before(size)` is how many places earlier calls gave where
        this one gives `size`, a size of its own, and the same for all nodes that get equally many.
        """
        raise NotImplementedError

    def infer_later(self, *types: Any, **_: Any) -> TensorType | tuple[TensorType, ...]:
        """The type of each output in a later call. The first argument is the tuple of the types of what it kept."""
        raise NotImplementedError

    def source_later(self, *types: Any, **_: Any) -> Expression:
        """What a later call computes. The first argument is the tuple of what it kept, as `Input`s. A layer writes a `Module.call`:
        `call(ITSELF, Input(0), past[0])`.
        """
        raise NotImplementedError


class Loss(Node):
    """A scalar of what the model says (`input`) and what is true (`target`): an expression in the emitted objective."""

    family: ClassVar[Family] = "loss"
    inputs: ClassVar[tuple[Port, ...]] = (Port("input"), Port("target"))
    couples_samples: ClassVar[bool] = False
    """Whether the loss of a batch is more than the losses of its samples, as that of a contrastive loss is: then no part of a batch stands for it, and a
    smaller `micro_batch_size` is refused.
    """

    def classes(self, input: TensorType) -> Dim | None:
        """How many classes `input` scores, where the loss is one over classes: compared with what the data states."""
        return None

    def ignored(self, target: TensorType) -> int | None:
        """The value of targets that do not count, neither in the loss nor in a metric, where the loss has one."""
        return None


class Optimizer(Kind):
    """An update rule. `lr` and all other fields are torch's, defaults included."""

    family: ClassVar[Family] = "optimizer"
    has_fused: ClassVar[bool] = False
    """Whether torch has a fused form on CPU and CUDA."""

    def source(self) -> Call:
        """The constructor without its parameters argument: `call("torch.optim.SGD", lr=0.1)`."""
        raise NotImplementedError


class Schedule(Kind):
    """A factor on the rate over the steps of a run. A duration is a text such as `5 epochs`, `200 steps` or `30%` (plan.md 2.0)."""

    family: ClassVar[Family] = "schedule"

    start: NonNegativeFloat = 1.0
    end: NonNegativeFloat = 0.0
    warmup: str | NonNegativeFloat = 0
    """A duration; 0 is none."""
    warmup_start: NonNegativeFloat = 0.0
    begin: str | NonNegativeFloat = 0
    """A duration; before it the factor is 0."""
    over: str | None = None
    """A duration, warm-up included; None is the rest of the run."""

    def curve(self, x: float) -> float:
        """The factor at share `x` of the span after warm-up, 0 <= x <= 1."""
        raise NotImplementedError

    def rise(self, x: float) -> float:
        """The factor at share `x` of the warm-up, 0 < x <= 1."""
        return self.warmup_start + (self.start - self.warmup_start) * x


class Average(Kind):
    """Weights that follow those which are trained; where there are any, they are evaluated and kept as the result. A duration is a text (plan.md 2.0)."""

    family: ClassVar[Family] = "average"

    every: DurationText | NonNegativeFloat = Field(default="1 step", description="how often the average moves")
    begin: DurationText | NonNegativeFloat = Field(default=0, description="until then the average is the weights themselves")
    buffers: bool = Field(default=True, description="average buffers of floating-point numbers too, such as running means; else they are copied")

    def update(self, average: list[torch.Tensor], weights: list[torch.Tensor], updates: int) -> None:
        """Moves each tensor of `average`, floating-point numbers all, in place towards its peer in `weights`. `updates` counts those before this one; the
        first of all, which copies, is none of them.
        """
        raise NotImplementedError


class Feature(Record):
    """One column of a dataset. `type` is that of a batch, with `B` in front."""

    type: TensorType
    classes: int | None = None
    class_names: tuple[str, ...] = ()
    is_target: bool = False
    white: float = 1.0
    """What the largest value of a pixel, 255 of a byte, becomes where the feature is made of an image file."""


class DataFacts(Record):
    """What is known of data without training on it: the third input of the plan."""

    features: Mapping[str, Feature]
    parts: Mapping[str, int]
    """Number of samples of each part that the source itself has: `train`, `test`."""
    fingerprint: str | None = None
    """SHA-256 of the content, where it is known."""
    batch_sizes: Mapping[str, int] = MappingProxyType({})
    """Samples of a batch, of parts that come in batches of their own."""
    is_made_up: bool = False
    """Whether made-up samples stand in for the dataset of the spec."""


class Column(Record):
    """All values of one feature, one row a sample. Stored small and widened on use: the value is `data * scale` in the feature's dtype."""

    data: torch.Tensor
    scale: float | None = None


Columns = Mapping[str, Column]


class Dataset(Kind):
    """Where samples come from. `facts` never touches a file or the network; `open` does."""

    family: ClassVar[Family] = "dataset"

    def facts(self) -> DataFacts | None:
        """What is known before looking; None when only the data can tell."""
        return None

    def open(self) -> Mapping[str, Columns]:
        """The columns of each part. Raises `DataError` with what to do when the data is absent or broken."""
        raise NotImplementedError


class Transform(Kind):
    """A change of one feature, the same for every sample but for its own random draws, done for a whole batch at once on the training device."""

    family: ClassVar[Family] = "transform"
    draws: ClassVar[int] = 0
    """Uniform numbers that one sample uses; 0 for a kind without chance."""

    def infer(self, type: TensorType) -> TensorType:
        """The type after it, batch axis included. Raises `Refusal`."""
        raise NotImplementedError

    def apply(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """`x` is a batch [B, ...], `u` its draws [B, draws] in [0, 1). What a sample becomes must not depend on the rest of the batch."""
        raise NotImplementedError


class Metric(Kind):
    """A figure of merit, gathered as sums on the device and read at the end of an evaluation."""

    family: ClassVar[Family] = "metric"
    inputs: ClassVar[tuple[Port, ...]] = (Port("input"), Port("target"))
    direction: ClassVar[Literal["max", "min"]] = "max"
    terms: ClassVar[int] = 2
    """How many sums are gathered."""

    def check(self, input: TensorType, target: TensorType) -> None:
        """Raises `Refusal` for types it cannot judge."""
        raise NotImplementedError

    def sums(self, input: torch.Tensor, target: torch.Tensor, mask: torch.Tensor | None = None) -> Sequence[torch.Tensor | int]:
        """What this batch adds to each sum: scalars on the device, or plain numbers. `mask`, shaped like `target`, is true where it counts."""
        raise NotImplementedError

    def value(self, sums: Sequence[float]) -> float:
        raise NotImplementedError


class Initializer(Kind):
    """How a tensor begins, drawn or set in place: torch.nn.init's function, called without the underscore."""

    family: ClassVar[Family] = "initializer"

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises `Refusal` for shapes that it cannot fill."""

    def check_dtype(self, dtype: str) -> None:
        """Raises `Refusal` for numbers that it cannot give. What draws gives floating-point numbers."""
        if not is_floating(dtype):
            raise Refusal(f"`{self.kind}` gives floating-point numbers, but this is {dtype}", code="SB0501")

    def source(self) -> Call:
        """The call; the tensor to fill is `Input()`: `call("nn.init.normal_", Input(), std=0.02)`."""
        raise NotImplementedError


# Declaring -----------------------------------------------------------------------------------------------------------

REGISTRY: dict[Family, dict[str, type[Kind]]] = {family: {} for family in get_args(Family)}
"""The kinds whose modules have been imported; `lookup` imports the others when a spec names them."""

AnyKind = TypeVar("AnyKind", bound=type[Kind])


def _declare(name: str, primary: str | None, aliases: tuple[str, ...], torch: str) -> Callable[[AnyKind], AnyKind]:
    def register(cls: AnyKind) -> AnyKind:
        known = REGISTRY[cls.family]
        cls.kind, cls.primary, cls.aliases, cls.torch_name = name, primary, aliases, torch
        if not cls.__module__.startswith("specbuilder."):
            from specbuilder.catalogue.own_class import complete

            complete(cls, known.get(name))
        elif (other := known.get(name)) is not None and other.__module__ != cls.__module__:
            raise TypeError(f"kind `{name}` is declared twice: in {other.__module__} and in {cls.__module__}")
        known[name] = cls
        return cls

    return register


def layer(name: str, *, primary: str | None = None, aliases: tuple[str, ...] = (), torch: str = "") -> Callable[[AnyKind], AnyKind]:
    """Declares a layer: `@layer("linear", primary="out_features", torch="nn.Linear")`."""
    return _declare(name, primary, aliases, torch)


function = loss = optimizer = schedule = average = dataset = transform = metric = initializer = layer
"""The same decorator under the name of each family, so that a class reads as what it is; the base class decides the family."""
