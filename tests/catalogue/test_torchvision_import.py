"""`import_torchvision` works with and without torchvision's native library. Each case has its own process, since declarations cannot be undone."""

from __future__ import annotations

import subprocess
import sys


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


def output(code: str) -> str:
    done = python(code)
    assert done.returncode == 0, done.stderr
    return done.stdout


IMPORT = "from specbuilder.catalogue.torchvision_import import declare_missing_operators, import_torchvision\n"


def test_all_but_native_operators_works() -> None:
    """Models and transforms do; a native operator works where the library loads and says so where it does not; a second call changes nothing."""
    code = """
import torch
torchvision = import_torchvision()
from torchvision.transforms.v2 import functional
print(torchvision is import_torchvision(), functional.horizontal_flip(torch.tensor([[[1, 2]]])).tolist())
print(len(torchvision.models.resnet18(num_classes=10).state_dict()))
try:
    print(torchvision.ops.nms(torch.tensor([[0., 0., 1., 1.]]), torch.tensor([0.1]), 0.5).tolist() == [0])
except (RuntimeError, NotImplementedError) as error:
    print("Couldn't load custom C++ ops" in str(error))
"""
    assert output(IMPORT + code) == "True [[[2, 1]]]\n122\nTrue\n"


def test_operators_are_declared_only_where_they_are_missing() -> None:
    """Without the native library torchvision cannot be imported alone, and only then is anything declared."""
    alone = python("import torchvision")
    declared = output(IMPORT + "print(declare_missing_operators() is not None)")
    assert declared == ("False\n" if alone.returncode == 0 else "True\n"), alone.stderr


def test_operators_that_are_there_stay_as_they_are() -> None:
    """As beside a working native library: whoever declared them first keeps them."""
    code = """
import torch
library = torch.library.Library("torchvision", "FRAGMENT")
for name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, name):
        library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl(name, lambda dets, scores, iou_threshold: scores.argsort(descending=True), "CPU")
torchvision = import_torchvision()
boxes = torch.tensor([[0., 0., 1., 1.], [5., 5., 6., 6.]])
print(declare_missing_operators() is None, torch.ops.torchvision.nms(boxes, torch.tensor([0.1, 0.9]), 0.5).tolist())
"""
    assert output(IMPORT + code) == "True [1, 0]\n"


def test_asking_for_the_function_imports_nothing_heavy() -> None:
    assert output(IMPORT + "import sys; print({'torch', 'torchvision'} & set(sys.modules))") == "set()\n"
