"""The names of positional arguments are torch's: from the signature, or from the first line of the documentation where a function is built in."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from functools import reduce
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from specbuilder.emit.signatures import POSITIONAL


def parameters(function: Any) -> list[str]:
    try:
        return [name for name in inspect.signature(function).parameters if name not in ("args", "kwargs")]
    except ValueError:
        return []


def documented(function: Any) -> list[list[str]]:
    """The arguments of each form that the documentation has, and of each those without defaults."""
    forms = [re.split(r", ?", found) for found in re.findall(r"\w\((.*?)\)", inspect.getdoc(function) or "")]
    return [[*map(_bare, form)] for form in forms] + [[_bare(each) for each in form if "=" not in each] for form in forms]


def _bare(argument: str) -> str:
    return re.split("[=:]", argument)[0].strip("* ")


@pytest.mark.parametrize(("name", "names"), POSITIONAL.items())
def test_names_are_those_of_torch(name: str, names: Sequence[str]) -> None:
    head, *rest = name.split(".")
    function = reduce(getattr, rest, {"torch": torch, "nn": nn, "F": F}[head])
    assert list(names) in [known[: len(names)] for known in (parameters(function), *documented(function))]
