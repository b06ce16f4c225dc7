"""Decisions as a table: wishes and machine -> device, precision, compile, memory format, optimizer form. No GPU is needed to test them."""

from __future__ import annotations

import pytest
import torch

from specbuilder.diagnostics import ResourceError, UsageError
from specbuilder.training.decide import Machine, Wishes, decide, device_named, look

CPU = Machine(cuda=False, cuda_bf16=False, mps=False, cpu_threads=2)
H200 = Machine(cuda=True, cuda_bf16=True, mps=False, cpu_threads=16, device_name="NVIDIA H200", cuda_devices=2)
V100 = Machine(cuda=True, cuda_bf16=False, mps=False, cpu_threads=8, device_name="Tesla V100")
MAC = Machine(cuda=False, cuda_bf16=False, mps=True, cpu_threads=8)

CASES: list[tuple[Wishes, Machine, tuple[str, str, str, str, str]]] = [
    (Wishes(), CPU, ("cpu", "fp32", "off", "contiguous", "default")),
    (Wishes(optimizer_has_fused=True), CPU, ("cpu", "fp32", "off", "contiguous", "fused")),
    (Wishes(has_convolution=True), CPU, ("cpu", "fp32", "off", "contiguous", "default")),
    (Wishes(compile="default", precision="bf16"), CPU, ("cpu", "bf16", "default", "contiguous", "default")),
    (Wishes(optimizer_has_fused=True), H200, ("cuda", "bf16", "default", "contiguous", "fused")),
    (Wishes(has_convolution=True), H200, ("cuda", "bf16", "default", "channels_last", "default")),
    (Wishes(device="cpu", has_convolution=True), H200, ("cpu", "fp32", "off", "contiguous", "default")),
    (Wishes(device="cuda:1", precision="fp32", compile="off"), H200, ("cuda:1", "fp32", "off", "contiguous", "default")),
    (Wishes(), V100, ("cuda", "fp32", "default", "contiguous", "default")),
    (Wishes(optimizer_has_fused=True), MAC, ("mps", "fp32", "off", "contiguous", "default")),
]


@pytest.mark.parametrize(("wishes", "machine", "expected"), CASES)
def test_decide(wishes: Wishes, machine: Machine, expected: tuple[str, ...]) -> None:
    found = decide(wishes, machine)
    assert (found.device.value, found.precision.value, found.compile.value, found.memory_format.value, found.optimizer_form.value) == expected
    assert all(decision["reason"] for name, decision in found.as_json().items() if name != "versions")


FEEDS: list[tuple[Wishes, int, tuple[str, int], str, str]] = [
    (Wishes(), 8, ("device", 0), "the samples are kept on the device and gathered there", "the samples on the device need none"),
    (Wishes(feed="device"), 8, ("device", 0), "asked for", "the samples on the device need none"),
    (Wishes(workers=0), 8, ("device", 0), "the samples are kept on the device and gathered there", "the samples on the device need none"),
    (Wishes(workers=3), 8, ("workers", 3), "a number of workers is asked for", "asked for"),
    (Wishes(feed="workers", workers=0), 8, ("workers", 0), "asked for", "asked for"),
    (Wishes(feed="workers"), 1, ("workers", 0), "asked for", "one core cannot read ahead and train at once"),
    (Wishes(feed="workers"), 2, ("workers", 1), "asked for", "one less than the 2 cores"),
    (Wishes(feed="workers"), 4, ("workers", 3), "asked for", "one less than the 4 cores"),
    (Wishes(feed="workers"), 64, ("workers", 4), "asked for", "enough for most readers; the machine has 64 cores"),
]


@pytest.mark.parametrize(("wishes", "cores", "expected", "why_feed", "why_workers"), FEEDS)
def test_where_samples_come_from(wishes: Wishes, cores: int, expected: tuple[str, int], why_feed: str, why_workers: str) -> None:
    found = decide(wishes, Machine(cuda=False, cuda_bf16=False, mps=False, cpu_threads=1, cores=cores))
    assert (found.feed.value, found.workers.value) == expected
    assert (found.feed.reason, found.workers.reason) == (why_feed, why_workers)


@pytest.mark.parametrize(
    ("wishes", "machine", "message"),
    [
        (Wishes(device="cuda"), CPU, "this machine has no `cuda` device that torch can use"),
        (Wishes(device="mps"), H200, "this machine has no `mps` device that torch can use"),
        (Wishes(device="cuda:2"), H200, "this machine has no `cuda:2`; it has `cuda:0` to `cuda:1`"),
        (Wishes(device="cuda:1"), V100, "this machine has no `cuda:1`; it has `cuda`"),
        (Wishes(precision="bf16"), V100, "Tesla V100 has no bf16"),
    ],
)
def test_what_is_not_there_is_refused(wishes: Wishes, machine: Machine, message: str) -> None:
    with pytest.raises(ResourceError) as caught:
        decide(wishes, machine)
    assert (caught.value.diagnostics[0].message, caught.value.exit_code) == (message, 4)


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (None, "auto"),
        ("auto", "auto"),
        ("cuda:1", "cuda:1"),
        (torch.device("cpu"), "cpu"),
        (torch.device("cuda", 2), "cuda:2"),
    ],
)
def test_a_device_is_named_by_text_or_by_torch(device: object, name: str) -> None:
    assert device_named(device, "auto") == name


ALL = "the devices are cpu, cuda, mps, and `auto` takes the best of them"


@pytest.mark.parametrize(
    ("device", "help"),
    [("foo", ALL), ("", ALL), ("CPU", "did you mean `cpu`?"), ("cuda:x", "did you mean `cuda`?"), (torch.device("meta"), ALL), (3, ALL)],
)
def test_what_is_no_device_is_a_mistake_of_the_call(device: object, help: str) -> None:
    with pytest.raises(UsageError) as caught:
        device_named(device, "auto")
    assert [(found.message, found.help) for found in caught.value.diagnostics] == [(f"there is no device called `{device}`", help)]


def test_look_sees_this_machine() -> None:
    assert look().cpu_threads >= 1
    assert decide(Wishes(device="cpu"), look()).threads.value == look().cpu_threads
