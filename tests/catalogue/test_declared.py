"""Declared fields: what `fit` accepts, and that it accepts exactly what pydantic does, so that a mistake is never waved through nor invented."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from specbuilder.catalogue.contract import REGISTRY, Kind, PositiveInt
from specbuilder.catalogue.declared import MISFIT, Declared, Field, fields_of, fit, make
from specbuilder.catalogue.explain import explain, model_of
from specbuilder.catalogue.lookup import all_kinds
from specbuilder.language.settings import DataSettings, Statistics, TrainSettings

ALL: list[type[Declared]] = [*(kind for family in REGISTRY for kind in all_kinds(family)), DataSettings, TrainSettings, Statistics]


class Base(Declared):
    width: PositiveInt
    bias: bool = True


class Derived(Base):
    """Fields of the base come first; a default may change."""

    bias: bool = False
    sizes: tuple[int, int] | int = Field(default=3, description="one or two")


def test_fields_are_those_of_the_base_first() -> None:
    facts = fields_of(Derived)
    assert list(facts) == ["width", "bias", "sizes"]
    assert [(field.is_required, field.description) for field in facts.values()] == [(True, ""), (False, ""), (False, "one or two")]
    assert Derived(width=2) == Derived(width=2, bias=False, sizes=3) != Derived(width=2, sizes=(3, 3))
    assert len({Derived(width=2), Derived(width=2), Derived(width=3)}) == 2


def test_a_value_is_frozen_and_never_wrong() -> None:
    value = Derived(width=2)
    with pytest.raises(AttributeError, match="Derived is frozen"):
        value.width = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="do not fit its fields"):
        Derived(width=0)


FITS: list[tuple[Any, Any, Any]] = [
    (int, 3, 3),
    (int, True, MISFIT),
    (int, 3.0, MISFIT),
    (int, "3", MISFIT),
    (float, 3, 3.0),
    (float, True, MISFIT),
    (float, float("nan"), MISFIT),
    (float, float("inf"), MISFIT),
    (bool, 1, MISFIT),
    (str, "x", "x"),
    (str, 1, MISFIT),
    (Annotated[int, Gt(0)], 0, MISFIT),
    (Annotated[float, Ge(0), Lt(1)], 1, MISFIT),
    (Annotated[float, Ge(0), Le(1)], 1, 1.0),
    (Literal["same", "valid"], "same", "same"),
    (Literal["same", "valid"], "sane", MISFIT),
    (int | None, None, None),
    (int | tuple[int, int], (1, 2), (1, 2)),
    (int | tuple[int, int], (1, 2, 3), MISFIT),
    (tuple[float, ...], (1, 2.5), (1.0, 2.5)),
    (tuple[int, ...], [1], MISFIT),
    (dict[str, float | int], {"a": 1, "b": 0.5}, {"a": 1, "b": 0.5}),
    (dict[str, int], {"a": "1"}, MISFIT),
    (Statistics, {"mean": 0, "std": 1.0}, Statistics(mean=0, std=1.0)),
    (Statistics, {"mean": 0, "std": 0}, MISFIT),
]


@pytest.mark.parametrize(("annotation", "value", "held"), FITS)
def test_fit(annotation: Any, value: Any, held: Any) -> None:
    found = fit(annotation, value)
    assert found is held if held is MISFIT else (found == held and type(found) is type(held))


SCALARS = st.one_of(
    st.integers(-3, 70),
    st.floats(-2, 3),
    st.booleans(),
    st.none(),
    st.sampled_from(["same", "valid", "constant", "mean", "1 epoch", "3", "zeros", ""]),
)
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=3).map(tuple), st.dictionaries(st.sampled_from(["mean", "std", "test", "label"]), SCALARS, max_size=2)
)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: f"{cls.family}-{cls.kind}" if issubclass(cls, Kind) else cls.__name__)
@given(data=st.data())
def test_fit_accepts_what_pydantic_accepts(cls: type[Declared], data: st.DataObject) -> None:
    # The field that takes the other keys has no key of its own.
    known = [name for name in fields_of(cls) if name != cls.extra]
    names = [name for name in known if fields_of(cls)[name].is_required or data.draw(st.booleans())]
    values = {name: data.draw(VALUES, label=name) for name in names if data.draw(st.integers(0, 9))}
    made = make(cls, values)
    try:
        witness = model_of(cls).model_validate(values)
    except ValidationError:
        witness = None
    if made is not None:
        assert witness is not None
        for name in fields_of(cls):
            ours, theirs = getattr(made, name), getattr(witness, name)
            assert ours == (type(ours)(**theirs.model_dump()) if isinstance(ours, Declared) else theirs)
            assert type(ours) is type(theirs) or isinstance(ours, Declared)
    else:
        # Refused: then there is something to say, and pydantic refuses too unless the fields fit and only contradict one another.
        assert explain(cls, values, "it")
        assert witness is None or all(problem.code == "SB0204" for problem in explain(cls, values, "it"))
