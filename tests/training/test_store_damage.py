"""Each change to a checkpoint that was saved is seen, the one before is chosen, and no checkpoint that is as it was saved is ever refused.

The tables below damage each file of a checkpoint in turn, the manifest too. The witness for "damaged" is plain comparison of bytes: whatever differs from
what was saved must be refused, and nothing else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specbuilder.training.durable import Disk
from specbuilder.training.manifest import Manifest, Unreadable, parse, render
from specbuilder.training.store import Keep, Rejected, Store

FILES = {
    "control.json": json.dumps({"step": 2, "best": 0.25, "patience": 3}, indent=2).encode(),
    "model.safetensors": random.Random(1).randbytes(9000),
    "optimizer.safetensors": random.Random(2).randbytes(9000),
    "streams.json": b'{"order": 17}',
}
BEFORE = {"control.json": b"1", "model.safetensors": b"before"}
FACTS = {"plan": "5f2c", "metric": {"name": "accuracy", "value": 0.97}, "seconds": 12.5, "note": "größer"}
NAMES = [*FILES, "MANIFEST.json"]


class Quick(Disk):
    """Waits for nothing: what is on the disk when is for test_store_faults.py."""

    def sync(self, descriptor: int) -> None:
        return

    def sync_folder(self, folder: Path) -> None:
        return


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path, Quick())
    store.save(1, BEFORE, facts={}, healthy=True, keep=Keep())
    store.save(2, FILES, facts=FACTS, healthy=True, keep=Keep())
    return store


def refusal(store: Store) -> str:
    """Why the newest checkpoint is refused, after it was seen that the one before is chosen, whole."""
    found, rejected = store.newest()
    assert found is not None, rejected
    assert found.manifest.step == 1, "the damage was not seen"
    assert found.files == BEFORE
    assert [each.path.name for each in rejected] == ["step-00000002"]
    return rejected[0].reason


def is_chosen(store: Store) -> bool:
    found, rejected = store.newest()
    return found is not None and found.files == FILES and found.manifest.facts == FACTS and rejected == ()


def expected(name: str, found: int, saved: int) -> Callable[[str], bool]:
    """What the reason of a damaged file must be."""
    if name == "MANIFEST.json":
        return lambda reason: reason.startswith(("its MANIFEST.json is damaged: it ", "its MANIFEST.json is damaged: a field "))
    if found != saved:
        return lambda reason: reason == f"the file {name} has {found} bytes, and {saved} were saved"
    return lambda reason: reason == f"the file {name} does not hold the bytes that were saved"


@pytest.mark.parametrize("name", NAMES)
def test_each_of_fifty_truncations_is_seen(store: Store, name: str) -> None:
    file = store.folder / "step-00000002" / name
    whole = file.read_bytes()
    lengths = sorted({round(each * (len(whole) - 1) / 49) for each in range(50)})
    assert (lengths[0], lengths[-1]) == (0, len(whole) - 1)
    for length in lengths:
        file.write_bytes(whole[:length])
        assert expected(name, length, len(whole))(refusal(store)), length
    file.write_bytes(whole)
    assert is_chosen(store)


@pytest.mark.parametrize("name", NAMES)
def test_each_of_three_hundred_flipped_bits_is_seen(store: Store, name: str) -> None:
    file = store.folder / "step-00000002" / name
    whole = file.read_bytes()
    bits = range(8 * len(whole))
    for bit in bits if len(bits) <= 300 else random.Random(name).sample(bits, 300):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        assert expected(name, len(whole), len(whole))(refusal(store)), bit
    file.write_bytes(whole)
    assert is_chosen(store)


def test_each_single_bit_of_the_manifest_counts(store: Store) -> None:
    """All of them, without a disk: a space, an upper-case hexadecimal digit, another form of the same letter, none may pass."""
    whole = (store.folder / "step-00000002" / "MANIFEST.json").read_bytes()
    assert parse(whole).facts == FACTS
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Unreadable):
            parse(bytes(flipped))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [1, 512, 4096])
def test_a_zeroed_page_is_seen(store: Store, name: str, length: int) -> None:
    file = store.folder / "step-00000002" / name
    whole = file.read_bytes()
    for start in range(0, len(whole), max(length, len(whole) // 8)):
        zeroed = whole[:start] + bytes(min(length, len(whole) - start)) + whole[start + length :]
        file.write_bytes(zeroed)
        assert len(zeroed) == len(whole)
        assert expected(name, len(whole), len(whole))(refusal(store)), start


@pytest.mark.parametrize("name", NAMES)
def test_bytes_added_are_seen(store: Store, name: str) -> None:
    file = store.folder / "step-00000002" / name
    whole = file.read_bytes()
    for more in (b"\0", b"\n", b" ", whole):
        for added in (whole + more, more + whole):
            file.write_bytes(added)
            assert expected(name, len(added), len(whole))(refusal(store)), more


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_seen(store: Store, name: str) -> None:
    (store.folder / "step-00000002" / name).unlink()
    assert refusal(store) == ("it has no MANIFEST.json" if name == "MANIFEST.json" else f"the file {name} is missing")


@pytest.mark.parametrize("name", ["more.bin", ".hidden", "MANIFEST.json.bak", "Control.json"])
def test_a_file_too_many_is_seen(store: Store, name: str) -> None:
    (store.folder / "step-00000002" / name).write_bytes(b"")
    assert refusal(store) == f"the file {name} is not part of it"


def test_swapped_files_are_seen(store: Store) -> None:
    folder = store.folder / "step-00000002"
    for first, second in (("model.safetensors", "optimizer.safetensors"), ("control.json", "streams.json")):
        contents = (folder / first).read_bytes(), (folder / second).read_bytes()
        (folder / first).write_bytes(contents[1])
        (folder / second).write_bytes(contents[0])
        reason = refusal(store)
        assert reason.startswith(f"the file {first} ")
        (folder / first).write_bytes(contents[0])
        (folder / second).write_bytes(contents[1])
    assert is_chosen(store)


def test_files_and_manifests_of_another_checkpoint_are_seen(store: Store) -> None:
    for name in ("control.json", "model.safetensors", "MANIFEST.json"):
        file = store.folder / "step-00000002" / name
        whole = file.read_bytes()
        file.write_bytes((store.folder / "step-00000001" / name).read_bytes())
        assert refusal(store).startswith(f"the file {name} has " if name != "MANIFEST.json" else "its MANIFEST.json is that of step 1")
        file.write_bytes(whole)
    assert is_chosen(store)


# Manifests that somebody edited ---------------------------------------------------------------------------------------


def edits(text: str) -> Iterator[tuple[str, str, str]]:
    """What was done to the text of a manifest, the text then, and the reason that is expected."""
    changed = "it is not as it was written"
    yield "another value", text.replace('"value": 0.97', '"value": 0.98'), changed
    yield "another size", text.replace('"size": 9000', '"size": 9001', 1), changed
    yield "another digest of a file", text.replace(sha256(FILES["streams.json"]).hexdigest(), "0" * 64), changed
    yield "healthy turned", text.replace('"healthy": true', '"healthy": false'), changed
    yield "another parent", text.replace('"parent": 1', '"parent": null'), changed
    yield "the same in other words", text.replace('"seconds": 12.5', '"seconds": 1.25e1'), changed
    yield "the same letter, escaped", text.replace("größer", "gr\\u00f6\\u00dfer"), changed
    yield "compact", json.dumps(json.loads(text), ensure_ascii=False), changed
    yield "upper case", text.replace(json.loads(text)["digest"], json.loads(text)["digest"].upper()), changed
    yield "windows lines", text.replace("\n", "\r\n"), changed
    yield "a key twice", text.replace('"step": 2', '"step": 3,\n  "step": 2'), "it is no valid JSON"
    yield "a key twice inside", text.replace('"size": 13', '"size": 13,\n      "size": 13'), "it is no valid JSON"
    yield "not a number", text.replace('"seconds": 12.5', '"seconds": NaN'), "it is no valid JSON"
    yield "a huge number", text.replace('"seconds": 12.5', '"seconds": 1e999'), changed
    yield "many digits", text.replace('"seconds": 12.5', f'"seconds": {"9" * 5000}'), "it is no valid JSON"
    yield "deep", text.replace('"seconds": 12.5', f'"seconds": {"[" * 100_000}'), "it is no valid JSON"
    yield "half a pair", text.replace("größer", "\\ud800"), changed
    yield "a list", "[]", "it has other fields than a manifest"
    yield "empty", "{}", "it has other fields than a manifest"
    yield "one field more", text.replace('"step": 2', '"step": 2,\n  "trusted": true'), "it has other fields than a manifest"
    yield "a fact less", text.replace('    "plan": "5f2c",\n', ""), changed
    yield "a file less", text.replace(text[text.index('    "control.json"') : text.index('    "model.safetensors"')], ""), changed
    yield "its own digest", text.replace(json.loads(text)["digest"], "0" * 64), changed
    yield "a step with a point", text.replace('"step": 2', '"step": 2.0'), "a field has a value of the wrong type"
    yield "a format that is no number", text.replace('"format": 1', '"format": true'), changed
    yield "no line break at the end", text[:-1], changed
    yield "a byte order mark", "\ufeff" + text, "it is no valid JSON"
    yield "nothing", "", "it is no valid JSON"
    yield "a later format", text.replace('"format": 1', '"format": 2'), "it has the format 2, and this version reads the format 1"


def test_each_edit_of_the_manifest_is_seen(store: Store) -> None:
    file = store.folder / "step-00000002" / "MANIFEST.json"
    text = file.read_bytes().decode()
    for what, edited, reason in edits(text):
        assert edited != text, what
        file.write_bytes(edited.encode())
        assert refusal(store) == f"its MANIFEST.json is damaged: {reason}", what
    file.write_bytes(text.encode())
    assert is_chosen(store)


FORGED = [
    ("step", -1),
    ("step", True),
    ("step", "2"),
    ("parent", 1.5),
    ("healthy", 1),
    ("facts", []),
    ("files", []),
    ("files", {"a": [1, "0" * 64]}),
    ("files", {"a": {"size": -1, "sha256": "0" * 64}}),
    ("files", {"a": {"size": 1, "sha256": "0" * 63}}),
    ("files", {"a": {"size": 1, "sha256": "0" * 64, "url": ""}}),
    ("files", {"../step-00000001/control.json": {"size": 1, "sha256": sha256(b"1").hexdigest()}}),
    ("files", {"/etc/passwd": {"size": 1, "sha256": "0" * 64}}),
    ("files", {"MANIFEST.json": {"size": 1, "sha256": "0" * 64}}),
]


@pytest.mark.parametrize(("key", "value"), FORGED)
def test_a_manifest_with_a_right_digest_and_wrong_values_is_refused(store: Store, key: str, value: object) -> None:
    file = store.folder / "step-00000002" / "MANIFEST.json"
    read = json.loads(file.read_bytes())
    del read["digest"]
    read[key] = value
    digest = sha256((json.dumps(read, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()).hexdigest()
    file.write_bytes((json.dumps(read | {"digest": digest}, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())
    assert refusal(store) == "its MANIFEST.json is damaged: a field has a value of the wrong type"


def test_a_manifest_of_any_size_is_not_read_into_memory(store: Store) -> None:
    with (store.folder / "step-00000002" / "MANIFEST.json").open("r+b") as file:
        file.truncate(2**40)
    assert refusal(store) == "its MANIFEST.json is damaged: it has 1.0 TiB"


def test_a_file_edited_together_with_its_digest_is_seen(store: Store) -> None:
    """The digest that the manifest has of itself is what stands in the way."""
    folder = store.folder / "step-00000002"
    edited = FILES["control.json"].replace(b"0.25", b"0.75")
    manifest = (folder / "MANIFEST.json").read_bytes()
    before, after = (sha256(each).hexdigest().encode() for each in (FILES["control.json"], edited))
    assert before in manifest
    (folder / "control.json").write_bytes(edited)
    (folder / "MANIFEST.json").write_bytes(manifest.replace(before, after))
    assert refusal(store) == "its MANIFEST.json is damaged: it is not as it was written"


# Files that change while they are read -------------------------------------------------------------------------------


def test_each_file_is_opened_once_so_that_the_bytes_returned_are_those_that_were_hashed(store: Store) -> None:
    class Counting(Disk):
        def __init__(self) -> None:
            self.opened: list[str] = []

        def open(self, file: Path) -> int:
            self.opened.append(file.name)
            return super().open(file)

    disk = Counting()
    assert Store(store.folder, disk).read(2).files == FILES
    assert sorted(disk.opened) == sorted(NAMES)


@pytest.mark.parametrize("what", ["MANIFEST.json", "model.safetensors"])
def test_a_file_that_grows_while_it_is_read_is_refused_and_not_read_for_ever(store: Store, what: str) -> None:
    class Growing(Disk):
        def __init__(self) -> None:
            self.growing: int | None = None
            self.grown = 0

        def open(self, file: Path) -> int:
            descriptor = super().open(file)
            self.growing = descriptor if file.name == what else None
            return descriptor

        def read(self, descriptor: int, at_most: int) -> bytes:
            content = super().read(descriptor, at_most)
            if content or descriptor != self.growing:
                return content
            self.grown += 1
            assert self.grown < 10
            return b" " * min(at_most, 100)

    reason = (
        "its MANIFEST.json is damaged: it is not as it was written"
        if what == "MANIFEST.json"
        else f"the file {what} does not hold the bytes that were saved"
    )
    found, rejected = Store(store.folder, Growing()).newest()
    assert found is None
    assert [each.reason for each in rejected] == [reason] * 2


# No false alarm ------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.integers(0, 10**12), st.none() | st.integers(0, 10**9), st.booleans(), st.dictionaries(st.text(st.characters(codec="utf-8")), JSON))
def test_each_manifest_comes_back_as_it_was(step: int, parent: int | None, healthy: bool, facts: dict[str, object]) -> None:
    manifest = Manifest(step, parent, healthy, facts, {"a.json": (3, "0" * 64), "B-2_c": (0, "f" * 64)})
    assert parse(render(manifest)) == manifest


def test_no_clean_checkpoint_is_refused(tmp_path: Path) -> None:
    draw = random.Random(3)
    store = Store(tmp_path, Quick())
    for step in range(25):
        files = {
            f"{draw.choice('aBc_0')}{number}.{draw.choice(('json', 'safetensors'))}": draw.randbytes(draw.choice((0, 1, 4095, 4096, 4097, 70_000)))
            for number in range(4)
        }
        store.save(step, files, facts={"draw": draw.random()}, healthy=True, keep=Keep(count=30))
        found, rejected = Store(tmp_path).newest()
        assert found is not None and (found.manifest.step, found.files, rejected) == (step, dict(sorted(files.items())), ())
    again = Store(tmp_path)
    assert [again.read(step).manifest.step for step in again.steps()] == list(range(25))


def test_all_damaged_are_said(store: Store) -> None:
    for step in (1, 2):
        (store.folder / f"step-0000000{step}" / "control.json").unlink()
    assert store.newest() == (None, tuple(Rejected(store.folder / f"step-0000000{step}", "the file control.json is missing") for step in (2, 1)))
