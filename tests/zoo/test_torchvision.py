"""Networks of the zoo against torchvision's: its state dict, through the map in the spec, gives the same outputs.

Where both sides call the same functions on the same numbers, outputs are equal bit for bit, in training as well: batch norm's statistics, and the draws of
dropout and stochastic depth. Swin is the exception: here it calls torch's fused attention, which sums in another order than torchvision's two products; in
double precision nothing of that difference is left.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from specbuilder.catalogue.torchvision_import import import_torchvision
from tests.zoo.networks import network

SHORT = (
    ("resnet", "resnet18", "resnet18"),
    ("resnet", "resnet50", "resnet50"),
    ("resnet", "resnext50", "resnext50_32x4d"),
    ("mobilenet_v2", None, "mobilenet_v2"),
    ("densenet", "densenet121", "densenet121"),
    ("convnext", "tiny", "convnext_tiny"),
)
LONG = (
    ("resnet", "resnet34", "resnet34"),
    ("resnet", "resnet101", "resnet101"),
    ("resnet", "resnet152", "resnet152"),
    ("densenet", "densenet161", "densenet161"),
    ("densenet", "densenet169", "densenet169"),
    ("densenet", "densenet201", "densenet201"),
    ("convnext", "small", "convnext_small"),
    ("convnext", "base", "convnext_base"),
)
SWIN = (("tiny", "swin_t"), ("small", "swin_s"), ("base", "swin_b"))


def marked(short: tuple[Any, ...], long: tuple[Any, ...]) -> list[Any]:
    return [pytest.param(*case, id=case[-1]) for case in short] + [pytest.param(*case, id=case[-1], marks=pytest.mark.long) for case in long]


def theirs(name: str) -> nn.Module:
    """torchvision's model, with tensors drawn so that each one matters: fresh ones are ones, zeros, and layer scales of a millionth."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = getattr(import_torchvision().models, name)(weights=None)
        for key, tensor in model.state_dict().items():
            if key.endswith("relative_position_bias_table"):
                nn.init.normal_(tensor)
            elif tensor.is_floating_point() and (tensor.dim() == 1 or key.endswith("layer_scale")):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return model


def pair(name: str, variant: str | None, other: str) -> tuple[nn.Module, nn.Module]:
    """Ours and theirs with the same tensors."""
    spec = network(name, variant)
    reference = theirs(other)
    model = spec.build()
    state = spec.convert(reference.state_dict(), map="torchvision")
    assert set(state) == set(model.state_dict())
    model.load_state_dict(state)
    return model, reference


def image(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("name", "variant", "other"), marked(SHORT, LONG))
def test_outputs_equal_those_of_torchvision_bit_for_bit(name: str, variant: str | None, other: str) -> None:
    model, reference = pair(name, variant, other)
    x = image(2, 3, 64, 96)
    with torch.no_grad():
        ours, expected = model.eval()(x), reference.eval()(x)
    assert expected.std() > 0.01
    assert torch.equal(ours, expected)


@pytest.mark.parametrize(("variant", "other"), marked(SWIN[:1], SWIN[1:]))
def test_swin_equals_that_of_torchvision(variant: str, other: str) -> None:
    model, reference = pair("swin", variant, other)
    x = image(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x), reference.eval()(x), rtol=0, atol=1e-5)
        ours, expected = model.double()(x.double()), reference.double()(x.double())
    assert expected.std() > 0.1
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "variant", "other"),
    [("resnet", "resnet18", "resnet18"), ("mobilenet_v2", None, "mobilenet_v2"), ("convnext", "tiny", "convnext_tiny")],
    ids=str,
)
def test_a_training_step_equals_that_of_torchvision_bit_for_bit(name: str, variant: str | None, other: str) -> None:
    """With the same seed: outputs, gradients, and what batch norm has counted."""
    spec = network(name, variant)
    model, reference = pair(name, variant, other)
    x = image(4, 3, 64, 64)
    outputs = []
    for each in (model, reference):
        torch.manual_seed(3)
        outputs.append(each.train()(x))
        outputs[-1].square().mean().backward()
    assert torch.equal(*outputs)
    state = spec.convert(reference.state_dict(), map="torchvision")
    assert all(tensor.equal(state[key]) for key, tensor in model.state_dict().items())
    gradients = {key: parameter.grad for key, parameter in reference.named_parameters() if parameter.grad is not None}
    buffers = {key: tensor for key, tensor in reference.state_dict().items() if key not in gradients}
    expected = spec.convert({**gradients, **buffers}, map="torchvision")
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.equal(expected[key]), key
