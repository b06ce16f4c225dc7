"""The step: nothing is read back from the device, and compile changes nothing but speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import specbuilder
from specbuilder.catalogue.contract import call
from specbuilder.emit.load import load
from specbuilder.emit.objective import emit_objective
from specbuilder.training.step import autocast, make_optimizer, make_step

SPECS = Path(__file__).parent.parent.parent / "specs"
CPU = torch.device("cpu")


class NoHostReads(TorchDispatchMode):
    """Raises when a number is read from a tensor: on a GPU that would make the host wait for the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise AssertionError("a host read")
        return func(*args, **(kwargs or {}))


def parts(name: str) -> tuple[torch.nn.Module, Any, torch.optim.Optimizer, tuple[Tensor, Tensor]]:
    spec = specbuilder.load(SPECS / f"{name}.yaml")
    assert spec.plan is not None
    model = spec.build(seed=0)
    objective = load(emit_objective(spec.plan, spec.graph, "0"), "objective").objective
    optimizer = make_optimizer(spec.plan.optimizer.source(), list(model.parameters()), "fused", lr_as_tensor=None)
    shape = [dim if isinstance(dim, int) else 4 for dim in spec.graph.input_types["image"].shape]
    return model, objective, optimizer, (torch.randn(shape), torch.randint(0, 10, (4,)))


@pytest.mark.parametrize("name", ["mlp", "digits", "cnn"])
def test_no_step_reads_from_the_device(name: str) -> None:
    model, objective, optimizer, batch = parts(name)
    total = torch.zeros(())
    step = make_step(model, objective, optimizer, total, context=None)
    with NoHostReads():
        step(batch, 4)
        step(batch, 4)
    assert total > 0
    with pytest.raises(AssertionError, match="a host read"), NoHostReads():
        total.item()


def test_bf16_autocast_surrounds_forward_and_loss_only() -> None:
    model, objective, optimizer, batch = parts("mlp")
    total = torch.zeros(())
    make_step(model, objective, optimizer, total, context=autocast("bf16", CPU))(batch, 4)
    exact = torch.zeros(())
    model, objective, optimizer, _ = parts("mlp")
    make_step(model, objective, optimizer, exact, context=autocast("fp32", CPU))(batch, 4)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert total != exact
    assert torch.allclose(total, exact, rtol=2e-2)


def test_the_loss_sum_is_weighed() -> None:
    model, objective, optimizer, batch = parts("mlp")
    expected = float(objective(model, *batch)[0].detach())
    total = torch.zeros(())
    make_step(model, objective, optimizer, total, context=None)(batch, 3)
    assert total.item() == pytest.approx(3 * expected, rel=1e-6)


def test_frozen_parameters_stay_what_they_are() -> None:
    """They are in no optimizer, weight decay included, and get no gradient; the others move."""
    model, objective, _, batch = parts("mlp")
    frozen = model.get_parameter("linear.weight").requires_grad_(False)
    optimizer = make_optimizer(call("torch.optim.SGD", lr=0.1, weight_decay=0.5), model.parameters(), "fused", lr_as_tensor=None)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters())) - 1
    before = {name: value.clone() for name, value in model.state_dict().items()}
    make_step(model, objective, optimizer, torch.zeros(()), context=None)(batch, 4)
    assert frozen.grad is None
    assert {name for name, value in model.state_dict().items() if torch.equal(value, before[name])} == {"linear.weight"}


@pytest.mark.long
def test_a_compiled_run_comes_to_the_same_losses(tmp_path: Path) -> None:
    """torch.compile with inductor on the CPU: equal within rounding; one frame for whole batches and one for the ragged last one."""
    changes = {"train.epochs": 2, "expect": {}}
    eager = specbuilder.load(SPECS / "mlp.yaml", set=changes).train(root=tmp_path, device="cpu")
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiled = specbuilder.load(SPECS / "mlp.yaml", set={**changes, "train.compile": "default"}).train(root=tmp_path, device="cpu")
    for ours, theirs in zip(compiled.history(), eager.history(), strict=True):
        assert ours["train.loss"] == pytest.approx(theirs["train.loss"], rel=1e-4)
    # Training and evaluation, each with whole batches and with the last one: four frames, and no graph break.
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 4
    assert not torch._dynamo.utils.counters["graph_break"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_run_on_cuda(tmp_path: Path) -> None:
    run = specbuilder.load(SPECS / "digits.yaml").train(root=tmp_path, device="cuda")
    assert run.metrics["test.accuracy"] >= 0.98
