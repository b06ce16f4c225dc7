"""Random specs: what the emitted file computes against a second way to run the graph, its keys and counts against the graph's.

This is where a value that is written over before its last read would show, or a class that two different parts share.
"""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from specbuilder.api import parse
from specbuilder.diagnostics import SpecError
from tests.emit.drawn import Writer
from tests.emit.test_cases import check


@given(st.data())
def test_random_specs_compute_what_their_graphs_say(data: st.DataObject) -> None:
    text = Writer(data.draw).spec()
    try:
        spec = parse(text)
    except SpecError:
        assume(False)  # a list where one tensor is wanted, and the like: the draw knows types only roughly
        return
    check(spec)
