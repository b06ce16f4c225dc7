"""The emitted model in our loop against the network and the loop that one would write by hand: the same losses and weights, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import specbuilder
from specbuilder.training.random import order
from specbuilder.training.random import split as permutation

SPECS = Path(__file__).parent.parent.parent / "specs"


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(64, 64), nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(torch.relu(self.b(torch.relu(self.a(x.reshape(len(x), 64))))))


class Cnn(nn.Module):
    """The network of specs/digits.yaml."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.c2, self.n2 = nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
        self.c3, self.n3 = nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
        self.drop, self.head = nn.Dropout(0.3), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.n1(self.c1(x)))
        x = F.max_pool2d(torch.relu(self.n2(self.c2(x))), 2)
        x = F.max_pool2d(torch.relu(self.n3(self.c3(x))), 2)
        return self.head(self.drop(x.flatten(1)))


class BigCnn(nn.Module):
    """The network of specs/cnn.yaml."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1), nn.Conv2d(64, 128, 3, padding=1)
        self.l1, self.drop, self.l2, self.l3 = nn.Linear(2048, 1024), nn.Dropout(0.5), nn.Linear(1024, 512), nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.c1, self.c2, self.c3):
            x = F.max_pool2d(torch.relu(conv(x)), 2)
        x = self.drop(torch.relu(self.l1(x.flatten(1))))
        return self.l3(torch.relu(self.l2(x)))


def with_weights_of(model: nn.Module, twin: nn.Module) -> nn.Module:
    """The twin with the weights of the model: both keep their tensors in the order of the text."""
    values = list(model.state_dict().values())
    twin.load_state_dict({name: value.clone() for name, value in zip(twin.state_dict(), values, strict=True)})
    return twin


@pytest.mark.parametrize(("spec", "twin", "shape"), [("mlp", Mlp, (7, 1, 8, 8)), ("digits", Cnn, (7, 1, 8, 8)), ("cnn", BigCnn, (3, 3, 32, 32))])
def test_output_equals_the_hand_written_network(spec: str, twin: type[nn.Module], shape: tuple[int, ...]) -> None:
    model = specbuilder.load(SPECS / f"{spec}.yaml").build(seed=3)
    hand = with_weights_of(model, twin())
    x = torch.randn(shape)
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in hand.parameters())
    for mode in (True, False):
        results = []
        for network in (model.train(mode), hand.train(mode)):
            torch.manual_seed(0)  # dropout
            results.append(network(x))
        assert torch.equal(*results)


def digits() -> tuple[Tensor, Tensor]:
    """The training part as specs/mlp.yaml and specs/digits.yaml cut it with seed 0: what is left of the split's permutation after the test part, in order."""
    datasets = pytest.importorskip("sklearn.datasets")
    bunch: Any = datasets.load_digits()
    rest = permutation(0, "split", 1797)[359:].sort().values
    return (torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 16)[rest], torch.tensor(bunch.target)[rest]


@pytest.mark.parametrize(("name", "twin"), [("mlp", Mlp), ("digits", Cnn)])
def test_two_hundred_steps_equal_the_hand_written_loop(name: str, twin: type[nn.Module], tmp_path: Path) -> None:
    changes = {"train.evaluate": "1 step", "train.steps": 200, "data.augment": [], "train.schedule": "constant", "expect": {}}
    text = (SPECS / f"{name}.yaml").read_text().replace("  epochs:", "  # epochs:")
    from specbuilder.api import parse

    spec = parse(text, set={key: value for key, value in changes.items() if key != "data.augment" or name == "digits"})
    hand = with_weights_of(spec.build(seed=0), twin())
    run = spec.train(root=tmp_path, device="cpu")

    assert spec.plan is not None
    call = spec.plan.optimizer.source()
    optimizer = getattr(torch.optim, call.function.removeprefix("torch.optim."))(hand.parameters(), fused=True, **dict(call.kwargs))
    images, labels = digits()
    losses: list[float] = []
    with torch.random.fork_rng():
        torch.manual_seed(specbuilder_seed("model"))
        epoch = 0
        while len(losses) < 200:
            permuted = order(0, "order", range(epoch, epoch + 1), len(images), "cpu")[0]
            epoch += 1
            for rows in permuted.split(64):
                optimizer.zero_grad()
                loss = F.cross_entropy(hand(images[rows]), labels[rows])
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach() * len(rows)) / len(rows))
                if len(losses) == 200:
                    break
    assert [row["train.loss"] for row in run.history()] == losses
    for ours, theirs in zip(run.model.state_dict().values(), hand.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def specbuilder_seed(stream: str) -> int:
    """The first 8 bytes, little-endian, of SHA-256 of `0/<stream>/0`: written out, as plan.md says it."""
    import hashlib

    return int.from_bytes(hashlib.sha256(f"0/{stream}/0".encode()).digest()[:8], "little")
