"""Decisions as a table: wishes and machine -> device, precision, compile, memory format, optimizer form. No GPU is needed to test them."""

from __future__ import annotations

import pytest

from specbuilder.diagnostics import ResourceError
from specbuilder.training.decide import Machine, Wishes, decide, look

CPU = Machine(cuda=False, cuda_bf16=False, mps=False, cpu_threads=2)
H200 = Machine(cuda=True, cuda_bf16=True, mps=False, cpu_threads=16, device_name="NVIDIA H200")
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


@pytest.mark.parametrize(
    ("wishes", "machine", "message"),
    [
        (Wishes(device="cuda"), CPU, "this machine has no `cuda` device that torch can use"),
        (Wishes(device="mps"), H200, "this machine has no `mps` device that torch can use"),
        (Wishes(device="tpu"), H200, "there is no device called `tpu`; the devices are cpu, cuda, mps"),
        (Wishes(precision="bf16"), V100, "Tesla V100 has no bf16"),
    ],
)
def test_what_is_not_there_is_refused(wishes: Wishes, machine: Machine, message: str) -> None:
    with pytest.raises(ResourceError) as caught:
        decide(wishes, machine)
    assert (caught.value.diagnostics[0].message, caught.value.exit_code) == (message, 4)


def test_look_sees_this_machine() -> None:
    assert look().cpu_threads >= 1
    assert decide(Wishes(device="cpu"), look()).threads.value == look().cpu_threads
