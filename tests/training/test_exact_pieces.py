"""The pieces that an exact run is made of, each against torch: micro-batches, averages, the gate before the optimizer, the best weights, early stopping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from specbuilder.api import Spec, parse
from specbuilder.catalogue.averages.moving import Ema
from specbuilder.training.average import Averaged
from specbuilder.training.feed import Batch
from specbuilder.training.step import Gate, NotFinite, make_step
from specbuilder.training.weighing import Weighing

TEXT = """
specbuilder: 1
name: tiny
model:
  inputs: {x: "float32[B, 3]"}
  nodes: [{linear: 4}, {batch_norm1d: }, relu, {linear: 2}]
data: {arrays: {train: nowhere.npz}, batch_size: 10, split: {validation: 20}}
train: {steps: 40, evaluate: 5 steps, loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}, metrics: [accuracy]}
"""


def samples(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(80, 3, generator=generator)
    return x, (x.sum(1) > 0).long()


def tiny(**changes: Any) -> Spec:
    return parse(TEXT, set={key.replace("__", "."): value for key, value in changes.items()})


def objective(model: nn.Module, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    output = model(x)
    return F.cross_entropy(output, target, ignore_index=-100), output


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("rows", [64, 37], ids=["whole", "ragged"])
@pytest.mark.parametrize("ignored", [0, 20, 64], ids=["all count", "some count", "none of a piece counts"])
def test_gradients_of_pieces_are_those_of_the_batch(dtype: torch.dtype, tolerance: float, rows: int, ignored: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)
    x, target = torch.randn(rows, 5, dtype=dtype), torch.randint(0, 3, (rows,))
    target[: min(ignored, rows - 1)] = -100
    objective(model, x, target)[0].backward()
    wanted = [parameter.grad for parameter in model.parameters()]
    found: list[Tensor] = []

    class Grabbing(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            found.extend(parameter.grad.clone() for group in self.param_groups for parameter in group["params"])

    model.zero_grad()
    weighing = Weighing(reduction="mean", ignored=-100)
    total = torch.zeros(())

    def add(loss: Tensor, batch: Batch, _: int) -> None:
        total.add_(weighing.total(loss, weighing.count(batch[-1])))

    step = make_step(
        model,
        objective,
        Grabbing(model.parameters(), lr=1.0),
        total,
        context=None,
        add=add,
        micro_batch_size=16,
        weighing=weighing,
    )
    step((x, target), rows)
    for ours, theirs in zip(found, wanted, strict=True):
        assert theirs is not None
        assert float((ours - theirs).norm()) <= tolerance * float(theirs.norm())


@pytest.mark.parametrize(("begin", "every"), [(0, 1), (3, 1), (2, 4)])
@pytest.mark.parametrize("buffers", [True, False])
def test_an_average_is_that_of_torch(begin: int, every: int, buffers: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    ours = Averaged(model, Ema(decay=0.9, buffers=buffers), begin=begin, every=every)
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=buffers)
    for step in range(1, 12):
        model(torch.randn(8, 3))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        ours.follow(step)
        if step > begin and (step - begin) % every == 0:
            theirs.update_parameters(model)
    assert ours.updates == int(theirs.n_averaged) > 0
    for mean, other in zip(ours.model.parameters(), theirs.module.parameters(), strict=True):
        assert torch.equal(mean, other)
    assert torch.equal(ours.model.get_buffer("1.running_mean"), theirs.module.get_buffer("1.running_mean"))


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
@pytest.mark.parametrize("by", ["sight", "gate"])
def test_no_step_is_made_with_a_loss_that_is_no_number(kind: Any, by: str) -> None:
    """On the CPU the step looks; the gate, which other devices have, works on a fused optimizer of the CPU as well."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = kind(model.parameters(), lr=0.1, fused=True)
    total = torch.zeros(())
    gate = Gate(total, optimizer) if by == "gate" else None
    step = make_step(model, objective, optimizer, total, context=None, gate=gate)
    x, target = torch.randn(8, 3), torch.randint(0, 2, (8,))
    step((x, target), 8)
    step((x, target), 8)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    moments = {name: value.clone() for found in optimizer.state.values() for name, value in found.items() if isinstance(value, Tensor)}
    bad = x.clone()
    bad[3, 1] = float("inf")
    if gate is None:
        with pytest.raises(NotFinite):
            step((bad, target), 8)
    else:
        step((bad, target), 8)
        step((x, target), 8)
        assert (float(gate.closed), float(gate.passed)) == (1, 2)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    for found in optimizer.state.values():
        for name, value in found.items():
            if isinstance(value, Tensor) and value.shape == moments[name].shape and value.ndim == 0:
                assert torch.equal(value, moments[name]), name


def test_the_average_is_what_is_evaluated_and_saved(tmp_path: Path) -> None:
    data = samples()
    plain = tiny().train(train=data, root=tmp_path, device="cpu")
    averaged = tiny(train__average="{ema: {decay: 0.5}}").train(train=data, root=tmp_path, device="cpu")
    kept = load_file(averaged.folder / "checkpoints/step-00000040/average.safetensors")
    raw = load_file(averaged.folder / "checkpoints/step-00000040/model.safetensors")
    result = load_file(averaged.folder / "weights.safetensors")
    assert averaged.weights == "averaged weights of the last step"
    assert all(torch.equal(result[name], kept[name]) for name in result)
    assert not torch.equal(result["linear.weight"], raw["linear.weight"])
    assert torch.equal(raw["linear.weight"], load_file(plain.folder / "weights.safetensors")["linear.weight"]), "averaging moves no weight"


def test_the_best_weights_are_the_result(tmp_path: Path) -> None:
    changes = {"train__monitor": "{metric: validation.loss, mode: min}", "train__checkpoint": "{best: true}"}
    run = tiny(train__optimizer="{sgd: {lr: 4.0}}", **changes).train(train=samples(), root=tmp_path, device="cpu")
    rows = run.history()
    best = min(rows, key=lambda row: row["validation.loss"])
    assert best["step"] < 40, "the run must have got worse for this to show anything"
    assert run.metrics["validation.loss"] == best["validation.loss"]
    assert run.weights == f"weights of the best step, {best['step']}"


@pytest.mark.parametrize("patience", ["2", "10 steps"])
def test_a_run_that_gets_no_better_stops_early(patience: str, tmp_path: Path) -> None:
    changes = {"train__monitor": "validation.loss", "train__early_stopping": f"{{patience: {patience}}}"}
    run = tiny(train__optimizer="{sgd: {lr: 4.0}}", **changes).train(train=samples(), root=tmp_path, device="cpu")
    losses = [row["validation.loss"] for row in run.history()]
    waited, best = 0, float("inf")
    for at, loss in enumerate(losses, start=1):
        waited, best = (0, loss) if loss < best else (waited + 1, best)
        assert (waited == 2) == (at == len(losses)), "it ends with the second evaluation in a row that is no better, and not before"
    assert len(losses) < 8
    assert run.state == "finished"
    assert run.metrics["validation.loss"] == min(losses)
