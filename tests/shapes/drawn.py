"""Sizes drawn at random, as texts that are Python as well."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = ("H", "W", "B")


def expressions(names: tuple[str, ...] = NAMES) -> st.SearchStrategy[str]:
    """Texts that are Python and sizes at once."""
    number = st.integers(1, 9).map(str)

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        options = [
            st.builds("({} + {})".format, inner, inner),
            st.builds("({} - {})".format, inner, inner),
            st.builds("{}*{}".format, number, inner),
            st.builds("({} + {})".format, inner, number),
            st.builds("({})//{}".format, inner, number).map(lambda text: f"({text})"),
            st.builds("({})//{}".format, inner, number).map(lambda text: f"({text})"),
            st.builds("({})%{}".format, inner, number).map(lambda text: f"({text})"),
            st.builds("(-{})".format, inner),
            st.builds("{}*{}".format, inner, inner),
            st.builds("({})**2".format, inner),
        ]
        return st.one_of(options)

    return st.recursive(st.one_of(st.sampled_from(names), number), larger, max_leaves=7)
