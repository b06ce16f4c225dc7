"""`include`: which names a document has afterwards, what may be read from the disk, and that a file is read once.

The messages of single mistakes are in tests/diagnostics; here is what cannot be kept as a file of a repository: links, pipes, devices, absolute paths.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import specbuilder
from specbuilder.api import parse
from specbuilder.diagnostics import Diagnostic, Diagnostics, SpecError, UsageError
from specbuilder.language.document import Document, plain
from specbuilder.language.folders import FileFound, Folder, files_of
from specbuilder.language.include import FILES_AT_MOST, include
from specbuilder.language.read import SIZE_AT_MOST, read

HEAD = "specbuilder: 1\n"
MODEL = "model:\n  inputs:\n    x: float32[B, 4]\n  nodes:\n    - linear: $width\n"


class Counting:
    """The files of a folder, and what was read of them."""

    def __init__(self, folder: Folder) -> None:
        self.folder, self.read_places = folder, list[str]()

    def spec(self) -> object:
        return self.folder.spec()

    def read(self, place: str, called: str) -> FileFound:
        self.read_places.append(place)
        return self.folder.read(place, called)


def written(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if text.startswith("{") else HEAD + text, encoding="utf-8")


def included(folder: Path, files: dict[str, str], spec: str = "spec.yaml") -> tuple[Document | None, list[Diagnostic], list[str]]:
    written(folder, files)
    diagnostics = Diagnostics()
    document = read((folder / spec).read_bytes(), spec, diagnostics)
    assert document is not None
    counting = Counting(Folder(folder / spec))
    document = include(document, counting, diagnostics)
    return document, list(diagnostics), counting.read_places


@pytest.mark.parametrize(
    ("files", "variables", "blocks"),
    [
        ({"spec.yaml": "include: a.yaml", "a.yaml": "vars: {w: 1}\nblocks: {one: {}}"}, {"w": 1}, {"one": {}}),
        (
            {"spec.yaml": "include: [a.yaml, b.json]", "a.yaml": "vars: {w: 1}", "b.json": '{"specbuilder": 1, "vars": {"v": 2}}'},
            {"w": 1, "v": 2},
            None,
        ),
        # What stands in the including file wins over a variable of an included one, and only there.
        ({"spec.yaml": "include: a.yaml\nvars: {w: 2, own: 3}", "a.yaml": "vars: {w: 1, v: $w}"}, {"w": 2, "v": "$w", "own": 3}, None),
        ({"spec.yaml": "include: a.yaml", "a.yaml": "include: b.yaml\nvars: {w: 2}", "b.yaml": "vars: {w: 1}"}, {"w": 2}, None),
        # Two files that know nothing of each other give one name: the file that includes both decides.
        ({"spec.yaml": "include: [a.yaml, b.yaml]\nvars: {w: 3}", "a.yaml": "vars: {w: 1}", "b.yaml": "vars: {w: 2}"}, {"w": 3}, None),
        # Paths are relative to the file that they stand in.
        (
            {"spec.yaml": "include: p/a.yaml", "p/a.yaml": "include: [b.yaml, ../c.yaml]", "p/b.yaml": "vars: {b: 1}", "c.yaml": "vars: {c: 2}"},
            {"b": 1, "c": 2},
            None,
        ),
        ({"spec.yaml": "include: ./p/../a.yaml", "a.yaml": "name: library\ndescription: Of parts.\nvars: {w: 1}"}, {"w": 1}, None),
        ({"spec.yaml": "include: a.yaml\nblocks: {two: {}}", "a.yaml": "blocks: {one: {}}"}, None, {"one": {}, "two": {}}),
        ({"spec.yaml": "include: a.yaml", "a.yaml": ""}, None, None),
    ],
)
def test_names_of_all_files_stand_in_one_mapping(files: dict[str, str], variables: Any, blocks: Any, tmp_path: Path) -> None:
    document, found, _ = included(tmp_path, files)
    assert found == []
    assert document is not None
    wanted = {"specbuilder": 1, "vars": variables, "blocks": blocks}
    assert plain(document.root) == {key: value for key, value in wanted.items() if value is not None}


def test_every_node_keeps_its_place_in_its_file(tmp_path: Path) -> None:
    document, _, _ = included(
        tmp_path, {"specs/spec.yaml": "include: p/a.yaml\nvars: {own: 1}", "specs/p/a.yaml": "vars:\n  w: 12"}, "specs/spec.yaml"
    )
    assert document is not None
    section: Any = document.root.get("vars")
    assert [str(key.span) for key, _ in section.entries] == ["specs/p/a.yaml:3:3", "specs/spec.yaml:3:8"]
    assert [value.span.text for _, value in section.entries] == ["12", "1"]


def test_what_a_run_keeps_of_each_file(tmp_path: Path) -> None:
    from hashlib import sha256

    document, _, _ = included(tmp_path, {"spec.yaml": "include: p/a.yaml", "p/a.yaml": "include: ../b.yaml", "b.yaml": "vars: {w: 1}"})
    assert document is not None
    assert [(each.place, each.text, each.digest) for each in document.included] == [
        (place, text, sha256(text.encode()).hexdigest())
        for place, text in (("p/a.yaml", HEAD + "include: ../b.yaml"), ("b.yaml", HEAD + "vars: {w: 1}"))
    ]


def test_a_diamond_is_read_once_even_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to("base.yaml")
    files = {
        "spec.yaml": "include: [a.yaml, b.yaml, base.yaml]",
        "a.yaml": "include: base.yaml",
        "b.yaml": "include: link.yaml",
        "base.yaml": "vars: {w: 1}\nblocks: {one: {}}",
    }
    document, found, _ = included(tmp_path, files)
    assert found == []
    assert document is not None
    assert [each.place for each in document.included] == ["a.yaml", "base.yaml", "b.yaml"]


def test_a_circle_through_the_spec_itself(tmp_path: Path) -> None:
    _, found, read_places = included(tmp_path, {"spec.yaml": "include: a.yaml", "a.yaml": "include: spec.yaml"})
    assert [each.message for each in found] == ["these files include one another: spec.yaml -> a.yaml -> spec.yaml"]
    assert read_places == ["a.yaml", "spec.yaml"]


def test_two_blocks_of_one_name(tmp_path: Path) -> None:
    _, found, _ = included(tmp_path, {"spec.yaml": "include: a.yaml\nblocks: {one: {}}", "a.yaml": "blocks: {one: {}}"})
    (clash,) = found
    assert (clash.code, clash.message, str(clash.span)) == ("SB0304", "two files define the block `one`", "spec.yaml:3:10")
    assert [(str(related.span), related.message) for related in clash.related] == [("a.yaml:2:10", "first here")]


# The disk ------------------------------------------------------------------------------------------------------------


def told(folder: Path, path: str, **roots: Any) -> list[tuple[str, str]]:
    written(folder, {"spec/a.yaml": f"name: a\ninclude: {path}\n{MODEL}"})
    with pytest.raises(SpecError) as caught:
        specbuilder.load(folder / "spec" / "a.yaml", **roots)
    return [(found.code, found.message) for found in caught.value.diagnostics]


@pytest.mark.parametrize("name", ["file.yaml", "inside/file.yaml"])
def test_link_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    written(tmp_path, {"outside/file.yaml": "vars: {width: 8}"})
    (tmp_path / "spec").mkdir()
    link = tmp_path / "spec" / name.partition("/")[0]
    link.symlink_to(tmp_path / "outside" if "/" in name else tmp_path / "outside" / name)
    assert told(tmp_path, name) == [("SB1001", f"`{name}` is a link that leads out of the folder of the spec")]
    assert specbuilder.load(tmp_path / "spec" / "a.yaml", roots=[tmp_path / "outside"]).report.parameters == 40


def test_declared_root_opens_a_folder_and_no_other(tmp_path: Path) -> None:
    written(tmp_path, {"library/file.yaml": "include: more/other.yaml", "library/more/other.yaml": "vars: {width: 8}", "secret.yaml": ""})
    assert told(tmp_path, "../library/file.yaml") == [("SB1001", "`../library/file.yaml` leads out of the folder of the spec")]
    assert specbuilder.load(tmp_path / "spec" / "a.yaml", roots=[tmp_path / "library"]).report.parameters == 40
    assert told(tmp_path, "../library/../secret.yaml", roots=[tmp_path / "library"]) == [
        ("SB1001", "`../library/../secret.yaml` leads out of the folder of the spec")
    ]
    # The beginning of a name is not the folder.
    written(tmp_path, {"library_of_others/file.yaml": ""})
    assert told(tmp_path, "../library_of_others/file.yaml", roots=[tmp_path / "library"])[0][0] == "SB1001"


def test_root_that_is_no_folder(tmp_path: Path) -> None:
    written(tmp_path, {"a.yaml": "name: a\n"})
    with pytest.raises(UsageError, match=r"there is no folder .*nowhere to include files from"):
        specbuilder.load(tmp_path / "a.yaml", roots=[tmp_path / "nowhere"])


def test_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "spec").mkdir()
    os.mkfifo(tmp_path / "spec" / "pipe.yaml")
    assert told(tmp_path, "pipe.yaml") == [("SB0911", "`pipe.yaml` is no file but a pipe")]


def test_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spec").mkdir()
    (tmp_path / "spec" / "zero.yaml").symlink_to("/dev/zero")
    assert told(tmp_path, "zero.yaml", roots=["/dev"]) == [("SB0911", "`zero.yaml` is no file but a device")]


def test_link_to_itself_is_no_endless_loop(tmp_path: Path) -> None:
    (tmp_path / "spec").mkdir()
    (tmp_path / "spec" / "loop.yaml").symlink_to("loop.yaml")
    assert told(tmp_path, "loop.yaml") == [("SB0911", "`loop.yaml` cannot be read: Too many levels of symbolic links")]


def test_too_large_file_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "spec").mkdir()
    with (tmp_path / "spec" / "large.yaml").open("wb") as stream:
        stream.truncate(2**40)  # no byte of it is on the disk
    assert told(tmp_path, "large.yaml") == [("SB0112", f"`large.yaml` is too large: more than {SIZE_AT_MOST // 2**20} MiB")]


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    chain = {f"{number}.yaml": f"include: {number + 1}.yaml" for number in range(FILES_AT_MOST + 5)}
    _, found, read_places = included(tmp_path, {"spec.yaml": "include: 0.yaml", **chain})
    assert [each.message for each in found] == [f"too much is included: at most {FILES_AT_MOST} files, and 16 MiB in all"]
    assert len(read_places) == FILES_AT_MOST + 1


@pytest.mark.parametrize("path", ['"a\\0b.yaml"', '"a\\u202eb.yaml"'])
def test_character_that_cannot_be_seen(path: str, tmp_path: Path) -> None:
    assert told(tmp_path, path) == [("SB0911", "a path holds characters that cannot be seen")]


# What uses it --------------------------------------------------------------------------------------------------------


def test_unused_names_of_an_included_file_are_no_news(tmp_path: Path) -> None:
    written(tmp_path, {"a.yaml": "name: a\ninclude: lib.yaml\nvars: {own: 1}\n" + MODEL, "lib.yaml": "vars: {width: 8, other: 1}"})
    spec = specbuilder.load(tmp_path / "a.yaml")
    assert [found.message for found in spec.warnings] == ["the variable `own` is never used"]


def test_option_reaches_into_an_included_file(tmp_path: Path) -> None:
    written(tmp_path, {"a.yaml": "name: a\ninclude: lib.yaml\n" + MODEL, "lib.yaml": "vars: {width: 8}"})
    assert specbuilder.load(tmp_path / "a.yaml", set={"vars.width": 2}).report.parameters == 10


def test_option_may_name_what_to_include(tmp_path: Path) -> None:
    written(tmp_path, {"a.yaml": "name: a\n" + MODEL, "lib.yaml": "vars: {width: 8}"})
    assert specbuilder.load(tmp_path / "a.yaml", set={"include": "lib.yaml"}).report.parameters == 40


def test_text_in_memory_includes_with_a_folder_only(tmp_path: Path) -> None:
    written(tmp_path, {"lib.yaml": "vars: {width: 8}"})
    text = HEAD + "name: a\ninclude: lib.yaml\n" + MODEL
    assert parse(text, folder=tmp_path).report.parameters == 40
    with pytest.raises(SpecError, match="this text comes without a folder"):
        parse(text)


# Copies of a run folder ----------------------------------------------------------------------------------------------


def kept(folder: Path) -> Path:
    """A run folder, as far as its spec goes, made by the same code that `train` uses."""
    written(
        folder,
        {"specs/a.yaml": f"name: a\ninclude: [../lib.yaml, b.yaml]\n{MODEL}", "lib.yaml": "vars: {width: 8}", "specs/b.yaml": "vars: {other: 1}"},
    )
    spec = specbuilder.load(folder / "specs" / "a.yaml", roots=[folder])
    run = folder / "run"
    (run / "included").mkdir(parents=True)
    (run / "spec.yaml").write_text(spec.text)
    for name, text in spec.texts_beside("spec.yaml").items():
        (run / name).write_bytes(text.encode())
    return run


def test_spec_of_a_run_folder_needs_nothing_outside(tmp_path: Path) -> None:
    run = kept(tmp_path)
    assert sorted(path.name for path in (run / "included").iterdir()) == ["1-lib.yaml", "2-b.yaml"]
    moved = run.rename(tmp_path / "moved")
    (tmp_path / "lib.yaml").unlink()
    assert specbuilder.load(moved / "spec.yaml").report.parameters == 40


def test_changed_copy_is_told(tmp_path: Path) -> None:
    run = kept(tmp_path)
    (run / "included" / "1-lib.yaml").write_text(HEAD + "vars: {width: 9}")
    with pytest.raises(SpecError, match=r"`included/1-lib.yaml` is not what the run was made of: its SHA-256 differs from the one in sources.json"):
        specbuilder.load(run / "spec.yaml")


@pytest.mark.parametrize("file", ["../lib.yaml", "/etc/passwd", "included/../../lib.yaml", "included", 3])
def test_sources_cannot_lead_out_of_the_run_folder(file: object, tmp_path: Path) -> None:
    import json

    run = kept(tmp_path)
    sources = json.loads((run / "sources.json").read_text())
    sources["included"]["../lib.yaml"]["file"] = file
    (run / "sources.json").write_text(json.dumps(sources))
    with pytest.raises(SpecError, match=r"the run folder keeps no file `../lib.yaml`"):
        specbuilder.load(run / "spec.yaml")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"spec": 3}', '{"spec": {"file": "other.yaml"}, "included": {}}'])
def test_other_sources_file_means_nothing(text: str, tmp_path: Path) -> None:
    written(tmp_path, {"a.yaml": "name: a\n"})
    (tmp_path / "sources.json").write_text(text)
    assert isinstance(files_of(tmp_path / "a.yaml"), Folder)
