"""torchvision, the witness of the transforms, and images whose pixels all differ."""

from __future__ import annotations

from types import ModuleType

import pytest

from specbuilder.catalogue.torchvision_import import import_torchvision


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """`torchvision.transforms.v2.functional`."""
    import_torchvision()
    from torchvision.transforms.v2 import functional

    return functional
