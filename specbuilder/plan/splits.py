"""How many samples each part has after `data.split`: shares and counts are of the train part, and `train` is what is left."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor


class SplitProblem(ValueError):
    """A split that does not fit: the part to blame, or None for all of it together."""

    def __init__(self, part: str | None, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.part, self.message, self.help = part, message, help


def split_counts(parts: Mapping[str, int], split: Mapping[str, float | int]) -> dict[str, int]:
    """Samples by part. Raises `SplitProblem` when the split does not fit."""
    whole = parts["train"]
    cut: dict[str, int] = {}
    for name, size in split.items():
        if name == "train":
            raise SplitProblem(name, "`train` is what the split leaves over", "name the other parts only")
        if name in parts:
            raise SplitProblem(name, f"the data already has a part `{name}`", f"delete `{name}`; its own part is taken")
        if name not in ("validation", "test"):
            raise SplitProblem(name, f"a part is called `validation` or `test`, not `{name}`", _NEAR.get(name))
        if isinstance(size, float) and size >= 1:
            raise SplitProblem(name, f"`{name}` is {size:g}: a share is below 1, and a count is an integer")
        cut[name] = floor(size * whole + 0.5) if isinstance(size, float) else size
        if cut[name] == 0:
            raise SplitProblem(name, f"`{name}` would have no sample: {size:g} of {whole}")
    if sum(cut.values()) >= whole:
        part = next(iter(cut)) if len(cut) == 1 else None
        raise SplitProblem(part, f"the split takes {sum(cut.values()):,} of {whole:,} samples and leaves none to train on")
    return {"train": whole - sum(cut.values()), **{name: count for name, count in parts.items() if name != "train"}, **cut}


_NEAR: Mapping[str, str] = {
    **dict.fromkeys(("val", "valid", "dev", "eval"), "write `validation`"),
    **dict.fromkeys(("tests", "testing", "holdout"), "write `test`"),
}
"""What other tools call the parts."""
