"""A checkpoint that is not byte for byte what was saved is found, whatever happened to it, and the one before is chosen; one that is gets no false alarm.

Each harm is done to each file of the newest of two checkpoints, the manifest included, and taken back before the next one.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from specbuilder.training.durable import Disk
from specbuilder.training.manifest import Manifest, Unreadable, parse, render
from specbuilder.training.store import Keep, Store

MANIFEST = "MANIFEST.json"
OLD = {"model.safetensors": bytes(9000), "optimizer.safetensors": b"\1" * 9000, "state.json": b'{"step": 1}'}
NEW = {"model.safetensors": random.Random(1).randbytes(9000), "optimizer.safetensors": random.Random(2).randbytes(9000), "state.json": b'{"step": 2}'}
FACTS = {"spec": "0f3a", "plan": "77c1", "metric": 0.1, "versions": {"torch": "2.13.0"}}
FILES = [*NEW, MANIFEST]


class Quick(Disk):
    """Waits for nothing."""

    def sync(self, descriptor: int) -> None:
        return

    def sync_folder(self, folder: Path) -> None:
        return


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints; each test leaves them as they were."""
    store = Store(tmp_path_factory.mktemp("run") / "checkpoints", Quick())
    store.save(1, OLD, facts=FACTS, healthy=True, keep=Keep())
    store.save(2, NEW, facts=FACTS, healthy=True, keep=Keep())
    return store.folder


def reason(folder: Path) -> str:
    """Why the newest was rejected; empty where it was not. The one before must have been chosen then."""
    found, rejected = Store(folder, Quick()).newest()
    assert found is not None
    assert found.files == (OLD if rejected else NEW)
    assert [each.path.name for each in rejected] in ([], ["step-00000002"])
    return rejected[0].reason if rejected else ""


def rewritten(folder: Path, name: str, contents: Iterator[bytes]) -> set[str]:
    """Puts each content in the place of a file; what is said of them, after it was seen that something is said of each."""
    file = folder / "step-00000002" / name
    original, reasons = file.read_bytes(), set()
    try:
        for number, content in enumerate(contents):
            assert content != original
            file.write_bytes(content)
            said = reason(folder)
            assert said, f"harm {number} to {name} was not seen"
            reasons.add(said)
    finally:
        file.write_bytes(original)
    assert reason(folder) == ""
    return reasons


@pytest.mark.parametrize("name", FILES)
def test_each_truncation_is_found(folder: Path, name: str) -> None:
    whole = (folder / "step-00000002" / name).read_bytes()
    lengths = sorted({round(number * (len(whole) - 1) / 49) for number in range(50)})
    assert len(lengths) == min(50, len(whole)) and lengths[0] == 0 and lengths[-1] == len(whole) - 1
    reasons = rewritten(folder, name, (whole[:length] for length in lengths))
    if name == MANIFEST:
        assert reasons == {f"its {MANIFEST} is damaged: it is no valid JSON", f"its {MANIFEST} is damaged: it is not as it was written"}
    else:
        assert reasons == {f"the file {name} has {length} bytes, and {len(whole)} were saved" for length in lengths}


@pytest.mark.parametrize("name", FILES)
def test_each_flipped_bit_is_found(folder: Path, name: str) -> None:
    whole = (folder / "step-00000002" / name).read_bytes()
    bits = random.Random(0).sample(range(8 * len(whole)), min(300, 8 * len(whole)))

    def flipped() -> Iterator[bytes]:
        for bit in bits:
            harmed = bytearray(whole)
            harmed[bit // 8] ^= 1 << bit % 8
            yield bytes(harmed)

    reasons = rewritten(folder, name, flipped())
    if name != MANIFEST:
        assert reasons == {f"the file {name} does not hold the bytes that were saved"}


@pytest.mark.parametrize("name", FILES)
def test_zeros_and_what_is_too_long_are_found(folder: Path, name: str) -> None:
    whole = (folder / "step-00000002" / name).read_bytes()
    page = bytes(min(4096, len(whole)))
    starts = {0, (len(whole) - len(page)) // 2, len(whole) - len(page)}
    zeroed = (whole[:start] + page + whole[start + len(page) :] for start in sorted(starts))
    rewritten(folder, name, zeroed)
    rewritten(folder, name, iter((whole + b"\0", whole + b"\n", whole + whole, b"\0" + whole)))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found(folder: Path, name: str, tmp_path: Path) -> None:
    file = folder / "step-00000002" / name
    file.rename(tmp_path / name)
    assert reason(folder) == (f"it has no {MANIFEST}" if name == MANIFEST else f"the file {name} is missing")
    (tmp_path / name).rename(file)
    assert reason(folder) == ""


@pytest.mark.parametrize("extra", ["model.pt", ".hidden", "model.safetensors.tmp", "folder/"])
def test_an_extra_file_is_found(folder: Path, extra: str) -> None:
    path = folder / "step-00000002" / extra
    if extra.endswith("/"):
        path.mkdir()
    else:
        path.write_bytes(b"")
    assert reason(folder) == f"the file {extra.rstrip('/')} is not part of it"
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert reason(folder) == ""


@pytest.mark.parametrize(("a", "b"), [(a, b) for a in FILES for b in FILES if a < b])
def test_swapped_files_are_found(folder: Path, a: str, b: str) -> None:
    """The two tensors files have the same size, so that nothing but the digest tells them apart."""

    def swap() -> None:
        path = folder / "step-00000002"
        (path / a).rename(path / "x")
        (path / b).rename(path / a)
        (path / "x").rename(path / b)

    swap()
    assert reason(folder)
    swap()
    assert reason(folder) == ""


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_other_checkpoint_is_found(folder: Path, name: str) -> None:
    other = (folder / "step-00000001" / name).read_bytes()
    reasons = rewritten(folder, name, iter([other]))
    if name == MANIFEST:
        assert reasons == {f"its {MANIFEST} is that of step 1"}


# Edits of the manifest by somebody who means it -----------------------------------------------------------------------


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def edited(text: bytes) -> bytes:
        read = json.loads(text)
        change(read)
        return (json.dumps(read, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    return edited


OTHER_FIELDS = "it has other fields than a manifest"
WRONG_TYPE = "a field has a value of the wrong type"
CHANGED = "it is not as it was written"
NO_JSON = "it is no valid JSON"
EDITS: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("healthy", edit(lambda m: m.update(healthy=False)), CHANGED),
    ("step", edit(lambda m: m.update(step=9)), CHANGED),
    ("parent", edit(lambda m: m.update(parent=None)), CHANGED),
    ("a fact", edit(lambda m: m["facts"].update(spec="0f3b")), CHANGED),
    ("a fact less", edit(lambda m: m["facts"].pop("plan")), CHANGED),
    ("a fact more", edit(lambda m: m["facts"].update(more=1)), CHANGED),
    ("a fact of another type", edit(lambda m: m["facts"].update(metric="0.1")), CHANGED),
    ("a size", edit(lambda m: m["files"]["state.json"].update(size=12)), CHANGED),
    ("a digest", edit(lambda m: m["files"]["state.json"].update(sha256="0" * 64)), CHANGED),
    ("a file less", edit(lambda m: m["files"].pop("state.json")), CHANGED),
    ("its own digest", edit(lambda m: m.update(digest="0" * 64)), CHANGED),
    ("its own digest in capitals", edit(lambda m: m.update(digest=m["digest"].upper())), CHANGED),
    ("step true", edit(lambda m: m.update(step=True)), WRONG_TYPE),
    ("step with a point", edit(lambda m: m.update(step=2.0)), WRONG_TYPE),
    ("step below zero", edit(lambda m: m.update(step=-2)), WRONG_TYPE),
    ("healthy 1", edit(lambda m: m.update(healthy=1)), WRONG_TYPE),
    ("facts a list", edit(lambda m: m.update(facts=[])), WRONG_TYPE),
    ("files a list", edit(lambda m: m.update(files=[])), WRONG_TYPE),
    ("a file outside", edit(lambda m: m["files"].update({"../step-00000001/state.json": m["files"].pop("state.json")})), WRONG_TYPE),
    ("an absolute file", edit(lambda m: m["files"].update({"/etc/passwd": m["files"].pop("state.json")})), WRONG_TYPE),
    ("itself", edit(lambda m: m["files"].update({MANIFEST: m["files"].pop("state.json")})), WRONG_TYPE),
    ("an entry more in a file", edit(lambda m: m["files"]["state.json"].update(more=1)), WRONG_TYPE),
    ("a field more", edit(lambda m: m.update(more=1)), OTHER_FIELDS),
    ("a field less", edit(lambda m: m.pop("parent")), OTHER_FIELDS),
    ("a later format", edit(lambda m: m.update(format=2)), "it has the format 2, and this version reads the format 1"),
    ("format true", edit(lambda m: m.update(format=True)), CHANGED),
    ("a list", lambda text: b"[" + text + b"]", OTHER_FIELDS),
    ("a key twice", lambda text: text.replace(b'"step": 2', b'"step": 1,\n  "step": 2'), NO_JSON),
    ("a key twice, deep", lambda text: text.replace(b'"spec": "0f3a"', b'"spec": "0f3a", "spec": "0f3a"'), NO_JSON),
    ("a space more", lambda text: text.replace(b'"step": 2', b'"step":  2'), CHANGED),
    ("another way to write a text", lambda text: text.replace(b'"0f3a"', b'"\\u0030f3a"'), CHANGED),
    ("another way to write a number", lambda text: text.replace(b"0.1,", b"1e-1,"), CHANGED),
    ("no last line break", lambda text: text[:-1], CHANGED),
    ("line breaks of Windows", lambda text: text.replace(b"\n", b"\r\n"), CHANGED),
    ("a byte order mark", lambda text: b"\xef\xbb\xbf" + text, NO_JSON),
    ("UTF-16", lambda text: text.decode().encode("utf-16"), NO_JSON),
    ("NaN", lambda text: text.replace(b"0.1,", b"NaN,"), NO_JSON),
    ("a number that is no float", lambda text: text.replace(b"0.1,", b"1e999,"), CHANGED),
    ("a number of 10,000 digits", lambda text: text.replace(b"0.1,", b"9" * 10_000 + b","), NO_JSON),
    ("100,000 brackets", lambda text: text.replace(b"0.1,", b"[" * 100_000), NO_JSON),
    ("half a character", lambda text: text.replace(b'"0f3a"', b'"\\ud800"'), CHANGED),
    ("17 MiB", lambda text: text + b" " * (17 * 2**20 - len(text)), "it has 17.0 MiB"),
    ("nothing", lambda text: b"", NO_JSON),
]


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in EDITS], ids=[row[0] for row in EDITS])
def test_an_edited_manifest_is_found(folder: Path, change: Callable[[bytes], bytes], said: str) -> None:
    original = (folder / "step-00000002" / MANIFEST).read_bytes()
    assert rewritten(folder, MANIFEST, iter([change(original)])) == {f"its {MANIFEST} is damaged: {said}"}


def test_edited_files_whose_digests_are_edited_too_are_found(folder: Path) -> None:
    """The digest of the manifest itself is what stands in the way."""
    path = folder / "step-00000002"
    original = (path / "state.json").read_bytes()
    edited = original.replace(b"2", b"3")
    (path / "state.json").write_bytes(edited)
    manifest = (path / MANIFEST).read_bytes()
    digests = [hashlib.sha256(each).hexdigest().encode() for each in (original, edited)]
    assert digests[0] in manifest
    (path / MANIFEST).write_bytes(manifest.replace(*digests))
    assert reason(folder) == f"its {MANIFEST} is damaged: {CHANGED}"
    (path / "state.json").write_bytes(original)
    (path / MANIFEST).write_bytes(manifest)
    assert reason(folder) == ""


def test_every_bit_of_a_manifest_counts() -> None:
    manifest = Manifest(step=2, parent=1, healthy=True, facts={"a": 0.1, "b": None, "ü": "ß"}, files={"state.json": (3, "ab" * 32)})
    text = render(manifest)
    assert parse(text) == manifest
    for bit in range(8 * len(text)):
        harmed = bytearray(text)
        harmed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Unreadable):
            parse(bytes(harmed))


def test_the_bytes_that_are_returned_are_those_that_were_hashed(folder: Path) -> None:
    """A file that changes between two reads cannot slip through: each is opened once, and read once."""

    class Counting(Quick):
        def __init__(self) -> None:
            self.opened: list[str] = []

        def open(self, file: Path) -> int:
            self.opened.append(file.name)
            return super().open(file)

    disk = Counting()
    assert Store(folder, disk).read(2).files == NEW
    assert sorted(disk.opened) == sorted(FILES)


def test_a_file_that_grows_while_it_is_read_is_found_and_not_read_for_ever(folder: Path) -> None:
    class Growing(Quick):
        def __init__(self) -> None:
            self.given = 0

        def read(self, descriptor: int, at_most: int) -> bytes:
            content = super().read(descriptor, at_most) or b"\0" * min(at_most, 100)
            self.given += len(content)
            assert self.given < 100_000
            return content

    found, rejected = Store(folder, Growing()).newest()
    assert found is None
    assert [each.reason for each in rejected] == [f"its {MANIFEST} is damaged: {NO_JSON}"] * 2
