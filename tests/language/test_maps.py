"""`maps` as written: what a `from` captures, what a `to` becomes, and what cannot be read."""

from __future__ import annotations

import pytest

from specbuilder.diagnostics import Diagnostics, Source, Span
from specbuilder.language.document import Mapping
from specbuilder.language.maps import Layout, decode_maps, parse_origin
from specbuilder.language.read import read

NOWHERE = Span(Source("text", ""), 0, 0)


@pytest.mark.parametrize(
    ("pattern", "name", "captures", "under"),
    [
        ("conv1", "conv1.weight", {}, ".weight"),
        ("conv1", "conv1", {}, ""),
        ("conv1.weight", "conv1.weight", {}, ""),
        ("conv1.{p}", "conv1.weight", {"p": "weight"}, ""),
        ("layer{s}.{b}.conv1", "layer3.12.conv1.weight", {"s": 3, "b": 12}, ".weight"),
        ("{a}_{b}.x", "in_proj.x", {"a": "in", "b": "proj"}, ""),
        ("h.{i}.{rest**}", "h.0.attn.c_attn.weight", {"i": 0, "rest": "attn.c_attn.weight"}, ""),
        ("{head**}.bias", "h.0.attn.bias", {"head": "h.0.attn"}, ""),
        ("features.{i:0|3|6}", "features.3.weight", {"i": 3}, ".weight"),
        ("features.{i:2-11}.conv", "features.11.conv.0.bias", {"i": 11}, ".0.bias"),
        ("a.{x:q|k|v}_proj", "a.k_proj.weight", {"x": "k"}, ".weight"),
        ("blocks.0-3.norm|ln", "blocks.2.ln.bias", {}, ".bias"),
        ("h.*.attn.masked_bias", "h.7.attn.masked_bias", {}, ""),
        ("**.num_batches_tracked", "layer1.0.bn1.num_batches_tracked", {}, ""),
        ("**.num_batches_tracked", "num_batches_tracked", {}, ""),
        ("a.**.z", "a.z.w", {}, ".w"),
        ("h.{i}", "h.007.w", {"i": "007"}, ".w"),  # as a number it would be written 7
        ("Encoder.block-1.w$", "Encoder.block-1.w$", {}, ""),  # checkpoints have names of all kinds
    ],
)
def test_path_captures(pattern: str, name: str, captures: dict[str, object], under: str) -> None:
    assert parse_origin(pattern, NOWHERE).captured(name) == (captures, under)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("conv1", "conv10.weight"),
        ("conv1", "stem.conv1.weight"),
        ("conv1.weight", "conv1"),
        ("conv1.{p}", "conv1"),
        ("a.b", "aXb"),
        ("layer{s}.x", "layer.x"),
        ("features.{i:0|3|6}", "features.30.weight"),
        ("features.{i:2-11}", "features.1.weight"),
        ("h.*.w", "h.0.1.w"),
        ("h.{rest**}", "h"),
    ],
)
def test_path_that_is_another(pattern: str, name: str) -> None:
    assert parse_origin(pattern, NOWHERE).captured(name) is None


def decoded(text: str, variables: tuple[str, ...] = ()) -> tuple[dict[str, Layout], Diagnostics]:
    diagnostics = Diagnostics()
    document = read(f"maps:{text}", "a.yaml", diagnostics)
    assert document is not None, [found.message for found in diagnostics]
    assert isinstance(document.root, Mapping)
    ((key, node),) = document.root.entries
    return dict(decode_maps(key.span, node, diagnostics, variables)), diagnostics


MAP = """
  other:
    - from: layer{s}.{i}.conv1
      to: stages.$(s - 1).$i.conv
    - {from: fc, to: $head, transpose: true}
    - from: "{rest**}.gamma"
      to: $rest.weight
    - drop: [masks, "**.index"]
    - drop: extra
"""


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("layer2.5.conv1.weight", "stages.1.5.conv.weight"),
        ("fc.bias", "head.bias"),
        ("a.b.gamma", "a.b.weight"),
        ("masks.0", None),
        ("a.b.index", None),
        ("extra.x.y", None),
    ],
)
def test_first_pair_that_fits_says_what_a_name_becomes(name: str, becomes: str | None) -> None:
    maps, diagnostics = decoded(MAP, ("head",))
    assert not list(diagnostics)
    layout = maps["other"]
    assert [pair.is_transposed for pair in layout.pairs] == [False, True, False, False, False, False]
    pair, (captures, under) = next((pair, held) for pair in layout.pairs if (held := pair.origin.captured(name)) is not None)
    assert (pair.target.named(captures, {"head": "head"}.__getitem__, ("head",)) + under if pair.target is not None else None) == becomes


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            " [a]",
            [
                (
                    "SB0203 `maps` is a mapping of names to lists of pairs, but this is a list of one"
                    " | such as `torchvision:`, and under it `- {from: conv1, to: stem.conv2d}` @ [a]"
                )
            ],
        ),
        (
            " {Tv: []}",
            [
                "SB0302 `Tv` cannot be a name: a name is made of lower-case letters, digits and `_`, and begins with no digit | choose another, such as `tv` @ Tv"
            ],
        ),
        (
            " {a: {from: b, to: c}}",
            ["SB0203 the map `a` is a list of pairs, but this is a mapping | such as `- {from: conv1, to: stem.conv2d}` @ {from: b, to: c}"],
        ),
        (
            " {a: [b]}",
            ['SB0203 an entry of a map has `from` and `to`, or `drop`, but this is the text "b" | such as `- {from: conv1, to: stem.conv2d}` @ b'],
        ),
        (" {a: [{from: b}]}", ["SB0202 an entry of a map needs `to` | write `drop` instead of `from` for what is not wanted @ from"]),
        (" {a: [{to: b}]}", ["SB0202 an entry of a map needs `from` | such as `- {from: conv1, to: stem.conv2d}` @ to"]),
        (" {a: [{form: b, to: c}]}", ["SB0201 unknown key `form` in an entry of a map | did you mean `from`? @ form"]),
        (" {a: [{drop: b, to: c}]}", ["SB0201 `to` has no place beside `drop` | make two entries of it @ to"]),
        (
            " {a: [{from: b, to: }]}",
            [
                "SB0203 `to` wants a path in this network, but this is nothing | such as `stages.$(i - 1).conv`; what is not wanted stands under `drop` @ to"
            ],
        ),
        (
            " {a: [{from: true, to: c}]}",
            ["SB0203 `from` wants a path in the checkpoint, but this is the truth value `true` | such as `layer{i}.conv1` @ true"],
        ),
        (
            " {a: [{from: {i}, to: c}]}",
            [
                "SB0203 `from` wants a path in the checkpoint, but this is a mapping: put quotes around what begins with `{` | such as `layer{i}.conv1` @ {i}"
            ],
        ),
        (" {a: [{from: b, to: c, transpose: yes}]}", ['SB0203 `transpose` wants true or false, but this is the text "yes" @ yes']),
        (' {a: [{from: "b{i}", to: c.$j}]}', ["SB0501 `j` is neither captured by `from` nor a variable | `from` captures `{i}` @ j"]),
        (' {a: [{from: "b{block}", to: c.$blok}]}', ["SB0501 `blok` is neither captured by `from` nor a variable | did you mean `block`? @ blok"]),
        (" {a: [{from: b, to: c.$i}]}", ["SB0501 `i` is neither captured by `from` nor a variable | `from` captures nothing; write `{i}` there @ i"]),
        (' {a: [{from: "b{i}", to: "c{i}"}]}', ["SB0521 in `to`, what `{i}` holds is written `$i` @ {i}"]),
        (' {a: [{from: "b.{i", to: c}]}', ["SB0521 this brace is alone @ {i"]),
        (' {a: [{from: "b.{i}{j}", to: c}]}', ["SB0521 two captures touch, so where one ends cannot be told | capture the step as a whole @ {j}"]),
        (' {a: [{from: "{i}.{i}", to: c}]}', ["SB0521 `{i}` stands twice | give each capture a name of its own @ {i}"]),
        (' {a: [{from: "b{r**}", to: c}]}', ["SB0521 `{r**}` spans whole steps, so nothing stands beside it | put dots around it @ {r**}"]),
        (" {a: [{from: b*, to: c}]}", ["SB0521 `*` stands for a whole step | capture a part of a step by name: `layer{i}` @ *"]),
        (" {a: [{from: b.**, to: c}]}", ["SB0521 what stands under a path comes along anyway | write `b` @ .**"]),
        (" {a: [{from: /b, to: c}]}", ["SB0521 a path in the checkpoint begins at its root anyway | write `b` @ /"]),
        (" {a: [{from: b..c, to: c}]}", ["SB0521 a step of this path is empty | steps stand between dots: `layer{i}.conv1` @ ."]),
        (" {a: [{from: 5-2, to: c}]}", ["SB0521 the range `5-2` runs backwards | write `2-5`; both ends belong to it @ 5-2"]),
        (" {a: [{from: 0-99999999, to: c}]}", ["SB0521 the range `0-99999999` is longer than 1000 | capture the step without a range @ 0-99999999"]),
        (
            ' {a: [{from: "{i+1}", to: c}]}',
            ["SB0521 `{i+1}` is no capture | a capture is `{i}` for a step, `{rest**}` for any number, `{i:0-5}` or `{x:q|v}` @ {i+1}"],
        ),
        (' {a: [{from: "{a**}.{b**}.{c**}", to: c}]}', ["SB0521 `**` stands more than 2 times | write out some of the steps @ {c**}"]),
    ],
)
def test_map_that_cannot_be_read(text: str, messages: list[str]) -> None:
    _, diagnostics = decoded(text)
    assert [
        f"{found.code} {found.message}" + (f" | {found.help}" if found.help else "") + f" @ {found.span.text if found.span else ''}"
        for found in diagnostics
    ] == messages


def test_hostile_name_is_answered_at_once() -> None:
    """A search that tries every way would take years for this: then this test never ends."""
    pattern = parse_origin("{a**}.{b}_{c}_{d}_{e}.{g**}.z", NOWHERE)
    assert pattern.captured("_".join("a" * 40) + ".a" * 60) is None
