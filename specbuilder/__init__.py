"""A network and its training run, written as one readable text, checked completely, compiled to plain PyTorch.

    spec = specbuilder.load("specs/cnn.yaml")
    model = spec.build(seed=0)
    run = spec.train()

The public names are looked up when they are first used, so that `import specbuilder` costs nothing and needs neither torch nor pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from specbuilder.api import Run, Spec, load, load_run, spec_of
    from specbuilder.diagnostics import SpecbuilderError, SpecError
    from specbuilder.runs import resume

__version__ = "0.1.0"

__all__ = ["Run", "Spec", "SpecError", "SpecbuilderError", "__version__", "load", "load_run", "resume", "spec_of"]


def __getattr__(name: str) -> Any:
    if name in ("load", "load_run", "spec_of", "Spec", "Run"):
        from specbuilder import api as home
    elif name == "resume":
        from specbuilder import runs as home
    elif name in ("SpecError", "SpecbuilderError"):
        from specbuilder import diagnostics as home
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
