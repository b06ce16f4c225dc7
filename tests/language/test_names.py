"""What may be a name, against Python and against torch itself."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from specbuilder.language.names import MODULE_ATTRIBUTES, name_problem, repaired

SHAPE = "a name is made of lower-case letters, digits and `_`, and begins with no digit"


@pytest.mark.parametrize("name", ["stem", "layer1", "_hidden", "a", "x_1", "conv2d", "relu_2", "a" * 100, "match", "case"])
def test_good_name(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem", "instead"),
    [
        ("Stem", SHAPE, "stem"),
        ("ConvStem", SHAPE, "conv_stem"),
        ("my net", SHAPE, "my_net"),
        ("3d", SHAPE, "n3d"),
        ("größe", SHAPE, "gr_e"),
        ("a.b", SHAPE, "a_b"),
        ("a-b", SHAPE, "a_b"),
        ("", SHAPE, "node"),
        ("stem\n", SHAPE, "stem"),
        ("__init__", "names that begin with `__` belong to Python", "init"),
        ("class", "`class` is a word of Python", "class_1"),
        ("in", "`in` is a word of Python", "in_1"),
        ("null", "`null` is a word of expressions", "null_1"),
        ("prev", "`prev` already has a meaning in the language", "prev_1"),
        ("i", "in a repeat, `i` is the number of the copy", "i_1"),
        ("eval", "every PyTorch module already has an attribute `eval`", "eval_1"),
        ("_parameters", "every PyTorch module already has an attribute `_parameters`", "parameters_1"),
        ("_forward_hooks", "every PyTorch module already has an attribute `_forward_hooks`", "forward_hooks"),
        ("a" * 101, "a name has at most 100 characters", None),
    ],
)
def test_bad_name(name: str, problem: str, instead: str | None) -> None:
    assert name_problem(name) == problem
    if instead is not None:
        assert repaired(name) == instead
        assert name_problem(instead) is None


@pytest.mark.parametrize(
    ("name", "is_good"), [("half", True), ("train", True), ("type", True), ("input", True), ("i", False), ("if", False), ("Width", False)]
)
def test_variable_is_no_attribute(name: str, is_good: bool) -> None:
    assert (name_problem(name, is_attribute=False) is None) is is_good


def test_attributes_are_those_of_torch() -> None:
    lower = {name for name in dir(nn.Module()) if name == name.lower() and not name.startswith("__")}
    assert lower <= MODULE_ATTRIBUTES, "a submodule of that name would hide an attribute"


@given(st.text(st.sampled_from("abzEvVAL_019 .-ß"), max_size=12))
def test_good_names_work_as_submodules_and_repairs_are_good(name: str) -> None:
    assert name_problem(repaired(name)) is None
    if name_problem(name) is None:
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        module = nn.Module()
        module.add_module(name, nn.ReLU())
        assert isinstance(getattr(module, name), nn.ReLU)
