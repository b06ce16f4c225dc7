"""Run with `pytest test_my_kinds.py`."""

from my_kinds import SoftClip, SqueezeExciteKind

from specbuilder.testing import check_kind


def test_squeeze_excite() -> None:
    check_kind(SqueezeExciteKind)


def test_soft_clip() -> None:
    check_kind(SoftClip)
