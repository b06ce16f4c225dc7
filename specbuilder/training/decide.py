"""How a run is executed on this machine: device, precision, compile, memory format, optimizer form, feed, threads, each with its reason.

`decide` is a pure function of the plan's wishes and the facts of the machine, so that a table of tests can hold every case; `look` finds the facts.
Nothing here may change what is computed beyond the rounding that the spec allows.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from specbuilder.diagnostics import ResourceError, UsageError, did_you_mean

_DEVICES = ("cpu", "cuda", "mps")
_DEVICE = re.compile(rf"auto|({'|'.join(_DEVICES)})(:\d{{1,9}})?", re.ASCII)

_WORKERS_AT_MOST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the decisions depend on."""

    cuda: bool
    cuda_bf16: bool
    mps: bool
    cpu_threads: int
    device_name: str = ""
    cores: int = 1
    """That this process may use."""
    cuda_devices: int = 1
    """How many there are, where `cuda` says that there are any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the spec and the command line ask for."""

    device: str = "auto"
    precision: str = "auto"
    compile: str = "auto"
    optimizer_has_fused: bool = False
    has_convolution: bool = False
    feed: str = "auto"
    workers: int | Literal["auto"] = "auto"


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice and why."""

    value: Any
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    device: Decision
    precision: Decision
    compile: Decision
    memory_format: Decision
    optimizer_form: Decision
    feed: Decision
    workers: Decision
    threads: Decision

    def as_json(self) -> dict[str, Any]:
        """The content of `decisions.json`."""
        chosen: Mapping[str, Decision] = {name: getattr(self, name) for name in self.__slots__}
        versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
        return {**{name: {"value": decision.value, "reason": decision.reason} for name, decision in chosen.items()}, "versions": versions}


def device_named(device: object, default: str) -> str:
    """A device as `Wishes` names it: from a text, a torch.device, or None, which is the default. Raises `UsageError` for what is none."""
    if device is None:
        return default
    name = str(device)
    if not isinstance(device, (str, torch.device)) or not _DEVICE.fullmatch(name):
        help = did_you_mean(name, ("auto", *_DEVICES)) or f"the devices are {', '.join(_DEVICES)}, and `auto` takes the best of them"
        raise UsageError.of("SB0602", f"there is no device called `{name}`", help=help)
    return name


def look() -> Machine:
    """The facts of this machine."""
    cuda = torch.cuda.is_available()
    return Machine(
        cuda=cuda,
        cuda_bf16=cuda and torch.cuda.is_bf16_supported(),
        cuda_devices=torch.cuda.device_count(),
        mps=torch.backends.mps.is_available(),
        cpu_threads=torch.get_num_threads(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        device_name=torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
    )


def decide(wishes: Wishes, machine: Machine) -> Decisions:
    """The decisions. Raises `ResourceError` for a device that is not there or a precision that it lacks."""
    device = _device(wishes, machine)
    feed = _feed(wishes)
    return Decisions(
        device=device,
        precision=_precision(wishes, machine, device.value),
        compile=_compile(wishes, device.value),
        memory_format=_memory_format(wishes, device.value),
        optimizer_form=_optimizer_form(wishes, device.value),
        feed=feed,
        workers=_workers(wishes, machine, feed.value),
        threads=Decision(machine.cpu_threads, "torch's own choice; set OMP_NUM_THREADS to change it"),
    )


def _device(wishes: Wishes, machine: Machine) -> Decision:
    if wishes.device != "auto":
        kind, _, index = wishes.device.partition(":")
        present = {"cpu": True, "cuda": machine.cuda, "mps": machine.mps}
        help = "leave out --device, or use --device cpu"
        if not present[kind]:
            raise ResourceError.of("SB0602", f"this machine has no `{kind}` device that torch can use", help=help)
        devices = machine.cuda_devices if kind == "cuda" else 1
        if index and int(index) >= devices:
            there = f"`{kind}`" if devices == 1 else f"`{kind}:0` to `{kind}:{devices - 1}`"
            raise ResourceError.of("SB0602", f"this machine has no `{wishes.device}`; it has {there}", help=help)
        return Decision(wishes.device, "asked for")
    if machine.cuda:
        return Decision("cuda", f"a CUDA device is there: {machine.device_name}")
    if machine.mps:
        return Decision("mps", "an Apple GPU is there")
    return Decision("cpu", "no GPU that torch can use")


def _precision(wishes: Wishes, machine: Machine, device: str) -> Decision:
    if wishes.precision != "auto":
        if wishes.precision == "bf16" and device.startswith("cuda") and not machine.cuda_bf16:
            raise ResourceError.of("SB0603", f"{machine.device_name} has no bf16", help="use `precision: fp32`")
        return Decision(wishes.precision, "asked for")
    if device.startswith("cuda") and machine.cuda_bf16:
        return Decision("bf16", "the GPU computes in bf16; weights stay in fp32")
    return Decision("fp32", "the default where the device is no CUDA GPU with bf16")


def _compile(wishes: Wishes, device: str) -> Decision:
    if wishes.compile != "auto":
        return Decision(wishes.compile, "asked for")
    if device.startswith("cuda"):
        return Decision("default", "torch.compile pays on CUDA")
    return Decision("off", f"torch.compile rarely pays on {device.split(':', maxsplit=1)[0]}")


def _memory_format(wishes: Wishes, device: str) -> Decision:
    if device.startswith("cuda") and wishes.has_convolution:
        return Decision("channels_last", "convolutions in half precision are faster so on CUDA")
    return Decision("contiguous", "the default")


def _optimizer_form(wishes: Wishes, device: str) -> Decision:
    if wishes.optimizer_has_fused and not device.startswith("mps"):
        return Decision("fused", "one kernel updates all parameters")
    return Decision("default", "torch's own choice")


def _feed(wishes: Wishes) -> Decision:
    if wishes.feed != "auto":
        return Decision(wishes.feed, "asked for")
    if isinstance(wishes.workers, int) and wishes.workers > 0:
        return Decision("workers", "a number of workers is asked for")
    return Decision("device", "the samples are kept on the device and gathered there")


def _workers(wishes: Wishes, machine: Machine, feed: str) -> Decision:
    if feed == "device":
        return Decision(0, "the samples on the device need none")
    if wishes.workers != "auto":
        return Decision(wishes.workers, "asked for")
    count = min(machine.cores - 1, _WORKERS_AT_MOST)
    if count == 0:
        return Decision(0, "one core cannot read ahead and train at once")
    few = count < _WORKERS_AT_MOST
    return Decision(count, f"one less than the {machine.cores} cores" if few else f"enough for most readers; the machine has {machine.cores} cores")


OptimizerForm = Literal["fused", "default"]
