"""The other networks of the zoo, their ideas written out by hand: the mixture of experts, the step of diffusion, windows, the pyramid, two towers, the sample of a VAE."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.zoo.networks import inputs_of, network


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


def test_mixture_asks_the_best_experts_of_each_token() -> None:
    """One token at a time: only its two best experts, weighed by their chances."""
    experts, active = 4, 2
    model: Any = network("moe", vocabulary=20, hidden=24, dim=16, depth=1, heads=2, experts=experts, active=active).build()
    mixture, x = model.layers[0].moe, drawn(2, 3, 16)
    out, balance = mixture(x)
    expected, chosen, chances = [], torch.zeros(experts), torch.zeros(experts)
    for token in x.flatten(0, 1):
        chance = (mixture.router.weight @ token).softmax(0)
        best = chance.argsort(descending=True)[:active]
        expected.append(sum(mixture.expert[int(k)](token) * chance[k] for k in best) / chance[best].sum())
        chosen[best] += 1
        chances += chance.detach()
    torch.testing.assert_close(out.flatten(0, 1), torch.stack(expected))  # type: ignore[arg-type]
    # Fedus et al.: experts times the sum of the share of choices times the mean chance; 1 where all are asked alike.
    tokens = 2 * 3
    torch.testing.assert_close(balance.detach(), experts * (chosen / (tokens * active) * chances / tokens).sum())


def test_balance_adds_up_over_layers() -> None:
    model: Any = network("moe", vocabulary=20, hidden=24, dim=16, depth=3, heads=2).build().eval()
    tokens, seen = torch.arange(10)[None], []
    for layer in model.layers:
        layer.register_forward_hook(lambda _module, _given, gave: seen.append(gave[1]))
    torch.testing.assert_close(model(tokens)["balance"], torch.stack(seen).sum())
    assert len(seen) == 3


def test_step_of_diffusion_becomes_sines_and_cosines() -> None:
    model: Any = network("diffusion_unet", width=32, scales=[1, 2, 2, 2]).build()
    step, half = torch.tensor([0, 7, 999]), 16
    angles = [[t * math.exp(-math.log(10000) * k / (half - 1)) for k in range(half)] for t in step.tolist()]
    waves = torch.tensor([[*map(math.sin, row), *map(math.cos, row)] for row in angles])
    first, second = model.time.linear, model.time.linear_2
    torch.testing.assert_close(model.time(step), second(F.silu(first(waves))), rtol=1e-4, atol=1e-5)


def test_every_skip_of_the_unet_is_used() -> None:
    """Each of the twelve things put aside on the way down reaches the way up, and nothing else does."""
    spec = network("diffusion_unet")
    joins = [node for node in spec.graph.nodes if node.kind.kind == "concat" and node.path[0] == "up"]
    taken = [value.path for node in joins for value in node.inputs[0][1:]]  # type: ignore[index]
    assert len(joins) == len(set(taken)) == 12
    # Last put aside, first taken.
    assert taken[0][:2] == ("down", 3)
    assert taken[-1] == ("conv2d",)


def test_heads_of_the_pyramid_are_one_at_all_levels() -> None:
    model: Any = network("fpn", width=16, classes=3, anchors=2).build().eval()
    seen: list[Tensor] = []
    model.scores.register_forward_hook(lambda _module, _given, gave: seen.append(gave))
    with torch.no_grad():
        outputs = model(drawn(1, 3, 64, 64))
    # Cells of the levels, top first: 2 x 2, 4 x 4 and 8 x 8, with two anchors each.
    assert [tensor.shape[1] for tensor in seen] == [8, 32, 128]
    assert torch.equal(outputs["scores"], torch.cat(seen, 1))
    assert outputs["boxes"].shape == (1, 168, 4)


def test_towers_are_one() -> None:
    spec = network("siamese")
    model = spec.build().eval()
    left, right = inputs_of(spec).values()
    with torch.no_grad():
        apart, swapped, alike = model(left, right), model(right, left), model(left, left)
    torch.testing.assert_close(apart, swapped, rtol=1e-4, atol=1e-5)
    # torch's pairwise_distance adds 1e-6 to each of the 128 differences.
    torch.testing.assert_close(alike, torch.full_like(alike, 1e-6 * math.sqrt(128)))
    assert (apart > 100 * alike).all()


def test_sample_of_the_vae_is_the_mean_and_noise() -> None:
    spec = network("vae")
    model: Any = spec.build()
    (image,) = inputs_of(spec).values()
    torch.manual_seed(0)
    outputs = model(image)
    torch.manual_seed(0)
    hidden = F.relu(model.encoder.linear(image.flatten(1)))
    mean, log_var = model.mean(hidden), model.log_var(hidden)
    sample = mean + torch.exp(log_var / 2) * torch.randn_like(mean)
    logits = model.decoder.linear_2(F.relu(model.decoder.linear(sample)))
    assert torch.equal(outputs["mean"], mean)
    assert torch.equal(outputs["log_var"], log_var)
    torch.testing.assert_close(outputs["logits"], logits.view_as(image))
    assert not torch.equal(model(image)["logits"], outputs["logits"])
