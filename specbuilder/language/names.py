"""What may be a name: of a node, an input, an output, a variable. The rule is one for all, since a name becomes a Python attribute and a state-dict key."""

from __future__ import annotations

import keyword
import re

_NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")
_EXPRESSION_WORDS = frozenset(("and", "or", "not", "if", "else", "in", "true", "false", "null"))
_REFERENCES = frozenset(("prev", "input"))

# The lower-case attributes of torch.nn.Module (torch 2.11 to 2.13), its own underscored ones too; a submodule of such a name would hide them. A test
# compares with torch.
MODULE_ATTRIBUTES = frozenset(
    """
    add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval extra_repr float forward get_buffer
    get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia named_buffers named_children named_modules named_parameters
    parameters register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty
    train training type xpu zero_grad
    _apply _backward_hooks _backward_pre_hooks _buffers _call_impl _compiled_call_impl _forward_hooks _forward_hooks_always_called
    _forward_hooks_with_kwargs _forward_pre_hooks _forward_pre_hooks_with_kwargs _get_backward_hooks _get_backward_pre_hooks _get_name
    _is_full_backward_hook _load_from_state_dict _load_state_dict_post_hooks _load_state_dict_pre_hooks _maybe_warn_non_full_backward_hook _modules
    _named_members _non_persistent_buffers_set _parameters _register_load_state_dict_pre_hook _register_state_dict_hook
    _replicate_for_data_parallel _save_to_state_dict _slow_forward _state_dict_hooks _state_dict_pre_hooks _version _wrapped_call_impl
    """.split()
)

READ_BY_FORWARD = frozenset(("self", "torch", "nn", "math", "range", "getattr"))
"""What the lines of an emitted `forward` read themselves. An input of the model is an argument of it, by its own name, and would hide them."""


def name_problem(name: str, *, is_attribute: bool = True, is_input: bool = False) -> str | None:
    """Why `name` may not be a name; None when it may. A variable is no attribute of the emitted class, so the names of torch are free for it. An input of
    the model may be given by its name: `model(image=...)`.
    """
    if is_input and name in READ_BY_FORWARD:
        return f"the emitted `forward` reads `{name}` itself, and an input is an argument of it by its own name"
    if not _NAME.match(name):
        return "a name is made of lower-case letters, digits and `_`, and begins with no digit"
    if len(name) > 100:
        return "a name has at most 100 characters"
    if name.startswith("__"):
        return "names that begin with `__` belong to Python"
    if keyword.iskeyword(name):
        return f"`{name}` is a word of Python"
    if name in _EXPRESSION_WORDS:
        return f"`{name}` is a word of expressions"
    if name == "i":
        return "in a repeat, `i` is the number of the copy"
    if not is_attribute:
        return None
    if name in _REFERENCES:
        return f"`{name}` already has a meaning in the language"
    if name in MODULE_ATTRIBUTES:
        return f"every PyTorch module already has an attribute `{name}`"
    return None


def repaired(name: str, *, is_input: bool = False) -> str:
    """A legal name near `name`, for the help text."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    plain = re.sub(r"[^a-z0-9_]+", "_", snake).strip("_") or "node"
    plain = f"n{plain}" if plain[0].isdigit() else plain
    return plain if name_problem(plain, is_input=is_input) is None else f"{plain}_1"
