"""The datasets that a spec can name: what they state, what they read, what they say when something is wrong."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from specbuilder.catalogue.contract import Dataset
from specbuilder.catalogue.datasets.arrays import Arrays
from specbuilder.catalogue.datasets.cifar import Cifar10
from specbuilder.catalogue.datasets.digits import Digits
from specbuilder.catalogue.datasets.synthetic import Synthetic
from specbuilder.catalogue.fields import check
from specbuilder.catalogue.torchvision_import import import_torchvision
from specbuilder.diagnostics import DataError, render_all


def said(dataset: Dataset) -> str:
    """What opening it is refused with."""
    with pytest.raises(DataError) as refused:
        dataset.open()
    return render_all(refused.value.diagnostics)


def refused(**fields: Any) -> str:
    """What the fields of `synthetic` are refused with."""
    instance, problems = check(Synthetic, fields, owner="synthetic")
    assert instance is None
    return "; ".join(problem.message for problem in problems)


def test_what_is_stated_is_what_is_there() -> None:
    dataset = Digits()
    stated = dataset.facts()
    columns = dataset.open()["train"]
    assert stated.parts == {"train": 1797}
    for name, feature in stated.features.items():
        column = columns[name]
        assert tuple(column.data.shape) == (1797, *feature.type.shape[1:])
        assert (column.data * column.scale if column.scale else column.data).dtype == getattr(torch, feature.type.dtype)
    assert int(columns["label"].data.max()) + 1 == stated.features["label"].classes


# cifar10 -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[Path, np.ndarray, list[int]]]:
    """Writes a small CIFAR-10 in its authors' layout: five batches of 4 to train on, one of 3 to test on. Its checksums stand in for theirs."""
    import_torchvision()
    from torchvision.datasets import CIFAR10

    def write() -> tuple[Path, np.ndarray, list[int]]:
        folder = tmp_path / "root" / "cifar-10-batches-py"
        folder.mkdir(parents=True)
        draw = np.random.default_rng(0)
        sizes = {**{f"data_batch_{number}": 4 for number in range(1, 6)}, "test_batch": 3}
        pixels = {name: draw.integers(0, 256, (size, 3072), dtype=np.uint8) for name, size in sizes.items()}
        labels = {name: draw.integers(0, 10, size).tolist() for name, size in sizes.items()}
        md5 = {}
        for name in sizes:
            content = pickle.dumps({"batch_label": name, "labels": labels[name], "data": pixels[name], "filenames": []}, protocol=2)
            (folder / name).write_bytes(content)
            md5[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
        meta = pickle.dumps({"label_names": list("abcdefghij")}, protocol=2)
        (folder / "batches.meta").write_bytes(meta)
        monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name in sizes if name != "test_batch"])
        monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
        monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": hashlib.md5(meta, usedforsecurity=False).hexdigest()})
        train = [name for name in sizes if name != "test_batch"]
        return folder, np.concatenate([pixels[name] for name in train]), [label for name in train for label in labels[name]]

    return write


def test_cifar10_states_its_authors_counts_and_classes() -> None:
    facts = Cifar10().facts()
    assert facts.parts == {"train": 50_000, "test": 10_000}
    assert str(facts.features["image"].type) == "float32[B, 3, 32, 32]"
    assert facts.features["label"].class_names[3] == "cat"
    assert facts.features["label"].classes == 10


def test_cifar10_gives_the_stored_bytes(cifar: Callable[[], tuple[Path, np.ndarray, list[int]]]) -> None:
    folder, pixels, labels = cifar()
    parts = Cifar10(root=str(folder.parent)).open()
    image, label = parts["train"]["image"], parts["train"]["label"]
    assert image.data.dtype == torch.uint8
    assert image.scale == 1 / 255
    # A row of the file is all of red, then green, then blue, each row by row.
    assert np.array_equal(image.data.numpy(), pixels.reshape(20, 3, 32, 32))
    assert image.data.is_contiguous()
    assert label.data.tolist() == labels
    assert len(parts["test"]["label"].data) == 3


def test_cifar10_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(Cifar10()) == (
        f"error[SB0806]: CIFAR-10 is not in {tmp_path}/data/cifar-10-batches-py\n"
        "  = help: write `download: true` to fetch it, name the folder that has it with `root`, or try without it: `--synthetic`"
    )


def test_cifar10_incomplete(cifar: Callable[[], tuple[Path, np.ndarray, list[int]]]) -> None:
    folder, _, _ = cifar()
    (folder / "data_batch_3").unlink()
    assert said(Cifar10(root=str(folder.parent))) == (
        f"error[SB0806]: CIFAR-10 in {folder} is not complete: data_batch_3 missing\n  = help: write `download: true` to fetch them again"
    )


def test_cifar10_with_a_file_that_is_not_its_authors_is_never_unpickled(cifar: Callable[[], tuple[Path, np.ndarray, list[int]]]) -> None:
    folder, _, _ = cifar()
    witness = folder / "executed"

    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (witness,)

    (folder / "data_batch_2").write_bytes(pickle.dumps(Harmful()))
    assert said(Cifar10(root=str(folder.parent))) == (
        f"error[SB0807]: CIFAR-10 in {folder} is broken: data_batch_2 not as published\n  = help: write `download: true` to fetch them again"
    )
    assert not witness.exists()


def test_cifar10_download_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_torchvision()
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", f"{(tmp_path / 'nowhere.tar.gz').as_uri()}")
    text = said(Cifar10(root=str(tmp_path / "root"), download=True))
    assert text.startswith(f"error[SB0808]: CIFAR-10 could not be downloaded into {tmp_path}/root: URLError: ")
    assert text.endswith(f"  = help: put the files into {tmp_path}/root/cifar-10-batches-py by hand, or try without them: `--synthetic`")
    assert not (tmp_path / "root").exists()


# arrays --------------------------------------------------------------------------------------------------------------

X = np.arange(12, dtype=np.float64).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_arrays_are_read_as_they_are(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"train{suffix}"
    if suffix == ".npz":
        np.savez(path, image=X, label=Y)
    else:
        save_file({"image": torch.from_numpy(X), "label": torch.from_numpy(Y)}, path)
    columns = Arrays(train=str(path), test=str(path)).open()["test"]
    assert np.array_equal(columns["image"].data.numpy(), X)
    assert np.array_equal(columns["label"].data.numpy(), Y)


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (np.array([1, 2], dtype=np.uint16), torch.int64),
        (np.array([1, 2], dtype=">f4"), torch.float32),
        (np.array([1, 2], dtype=np.longdouble), torch.float64),
        (np.array([1, 2], dtype=np.float16), torch.float16),
        (np.array([True, False]), torch.bool),
        (np.array([[1, 2], [3, 4]], dtype=np.int32).T, torch.int32),
    ],
)
def test_every_number_of_numpy_has_a_tensor(tmp_path: Path, array: np.ndarray, wanted: torch.dtype) -> None:
    np.savez(tmp_path / "a.npz", x=array)
    data = Arrays(train=str(tmp_path / "a.npz")).open()["train"]["x"].data
    assert data.dtype == wanted
    assert np.array_equal(data.numpy(), array)


@pytest.mark.parametrize(
    ("names", "targets", "found"),
    [
        (("image", "label"), (), ("label",)),
        (("y", "x"), (), ("y",)),
        (("a", "b"), (), ("b",)),
        (("a", "b"), ("a",), ("a",)),
    ],
)
def test_which_array_is_the_target(names: tuple[str, ...], targets: tuple[str, ...], found: tuple[str, ...]) -> None:
    assert Arrays(train="a.npz", targets=targets).target_names(names) == found


def savez(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


WRONG_FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no file": (
        lambda path: None,  # noqa: ARG005
        "error[SB0806]: there is no file {path}\n  = help: paths are seen from the current folder; try without the file: `--synthetic`",
    ),
    "lengths": (savez(x=X, y=Y[:5]), "error[SB0803]: {path}: all features need the same number of samples, but `x` has 6, `y` has 5"),
    "objects": (
        savez(x=np.array([{}, 3], dtype=object)),
        (
            "error[SB0809]: {path}: `x` holds Python objects, which are not loaded from a file\n"
            "  = help: save numbers, truth values or complex numbers of one shape for all samples"
        ),
    ),
    "texts": (savez(x=np.array(["a"])), "error[SB0809]: {path}: `x` holds texts, but numbers are wanted"),
    "dates": (savez(x=np.array(["2026-01-01"], dtype="datetime64[D]")), "error[SB0809]: {path}: `x` holds dates, but numbers are wanted"),
    "too large": (savez(x=np.array([2**63], dtype=np.uint64)), "error[SB0809]: {path}: `x` holds numbers beyond what int64 can hold"),
    "nan": (savez(x=np.array([1.0, 2.0, np.nan])), "error[SB0809]: {path}: `x` of sample 2 is not finite: it holds NaN or infinity"),
    "infinity": (savez(x=np.array([[1.0, -np.inf]])), "error[SB0809]: {path}: `x` of sample 0 is not finite: it holds NaN or infinity"),
    "no samples": (savez(x=X[:0]), "error[SB0804]: {path}: there are no samples"),
    "no arrays": (savez(), "error[SB0804]: {path} has no arrays"),
    "single number": (savez(x=np.float32(3)), "error[SB0803]: {path}: `x` is a single number, but one row a sample is wanted"),
    "garbage": (
        lambda path: path.write_bytes(b"\x80\x04nothing"),
        "error[SB0807]: {path} is no .npz file: it holds no named arrays\n  = help: write it with `numpy.savez(FILE, image=..., label=...)`",
    ),
}


@pytest.mark.parametrize("case", WRONG_FILES)
def test_wrong_arrays(tmp_path: Path, case: str) -> None:
    write, message = WRONG_FILES[case]
    path = tmp_path / "data.npz"
    write(path)
    assert said(Arrays(train=str(path))) == message.format(path=path)


def test_a_file_that_ends_early_is_broken(tmp_path: Path) -> None:
    for name, write in {
        "a.npz": lambda path: np.savez(path, x=np.zeros(1000)),
        "a.safetensors": lambda path: save_file({"x": torch.zeros(1000)}, path),
    }.items():
        write(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        for keep in (0, 2, 30, len(content) // 2, len(content) - 1):
            (tmp_path / name).write_bytes(content[:keep])
            assert said(Arrays(train=str(tmp_path / name))).startswith(f"error[SB0807]: {tmp_path / name}")


@pytest.mark.parametrize(
    ("keep", "reason"), [(0, "the file is empty"), (4, "the end of the file is missing"), (900, "the end of the file is missing")]
)
def test_an_archive_that_is_cut_off_is_no_other_format(keep: int, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros(1000))
    path.write_bytes(path.read_bytes()[:keep])
    assert said(Arrays(train=str(path))) == f"error[SB0807]: {path} is broken: {reason}\n  = help: write or copy it anew"


def test_what_is_no_file_of_arrays_is_said_to_be_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    help = "write it with `numpy.savez(FILE, image=..., label=...)` or `safetensors.numpy.save_file`"
    assert said(Arrays(train=str(tmp_path / "folder.npz"))) == f"error[SB0806]: {tmp_path}/folder.npz is a folder, but a file of arrays is wanted"
    assert said(Arrays(train=str(tmp_path / "arr"))) == (
        f"error[SB0807]: {tmp_path}/arr: a file of arrays ends with .npz or .safetensors, and this one has no ending\n  = help: {help}"
    )


def test_unknown_suffix(tmp_path: Path) -> None:
    assert said(Arrays(train=str(tmp_path / "data.pt"))) == (
        f"error[SB0807]: {tmp_path}/data.pt: a file of arrays ends with .npz or .safetensors, not with `.pt`\n"
        "  = help: write it with `numpy.savez(FILE, image=..., label=...)` or `safetensors.numpy.save_file`"
    )


def test_parts_that_disagree_are_named_by_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    np.savez(tmp_path / "b.npz", x=X, z=Y)
    a, b = str(tmp_path / "a.npz"), str(tmp_path / "b.npz")
    assert said(Arrays(train=a, test=b)) == f"error[SB0803]: {b} has no array `y`, but {a} has"
    assert said(Arrays(train=a, targets=("yy",))) == f"error[SB0801]: {a} has no array `yy`, which `targets` names\n  = help: it has `x`, `y`"


# synthetic -----------------------------------------------------------------------------------------------------------


def test_synthetic_is_of_the_types_that_it_is_told() -> None:
    types = {"a": "float32[B, 3, 4]", "b": "int64[B]", "c": "bool[B, 2]", "d": "bfloat16[B]", "e": "complex64[B, 1]", "f": "uint8[B, 5]"}
    columns = Synthetic(features=types, classes={"b": 3}, samples=400).open()["train"]
    for name, text in types.items():
        dtype, _, shape = text.rstrip("]").partition("[B")
        assert columns[name].data.dtype == getattr(torch, dtype)
        assert list(columns[name].data.shape) == [400, *(int(size) for size in shape.split(",") if size.strip())]
    assert set(columns["b"].data.tolist()) == {0, 1, 2}
    assert set(columns["f"].data.unique().tolist()) == set(range(10))
    assert set(columns["c"].data.unique().tolist()) == {False, True}
    a = columns["a"].data
    assert abs(float(a.mean())) < 0.05  # 4,800 standard normal numbers: five standard errors are 0.07
    assert abs(float(a.std()) - 1) < 0.05


def test_synthetic_is_the_same_each_time_and_leaves_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first = Synthetic(features={"a": "float32[B]", "b": "float32[B]"}).open()["train"]
    alone = Synthetic(features={"a": "float32[B]"}).open()["train"]
    assert torch.equal(first["a"].data, alone["a"].data)
    assert not torch.equal(first["a"].data, first["b"].data)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "`synthetic` needs `features`"),
        ({"features": {}}, "`features`: at least one feature is wanted"),
        ({"features": {"a": "float33[B]"}}, "`features`: `a`: unknown dtype `float33`; did you mean `float32`?"),
        ({"features": {"a": "float32[]"}}, "`features`: `a` is float32[], which has no axis for the samples; write float32[B]"),
        (
            {"features": {"a": "float32[8]"}},
            "`features`: `a` is float32[8], but the first axis counts the samples and is written as a name, such as `B`",
        ),
        ({"features": {"a": "float32[B, H]"}}, "`features`: `a` is float32[B, H]: made-up samples need a number in place of `H`"),
        ({"features": {"a": "float32[B]"}, "classes": {"b": 2}}, "`classes`: there is no feature `b`; they are `a`"),
        ({"features": {"a": "float32[B]"}, "classes": {"a": 2}}, "`classes`: `a` is float32, and only whole numbers have classes"),
        ({"features": {"a": "uint8[B]"}, "classes": {"a": 300}}, "`classes`: `a` is uint8, which cannot hold 300 classes"),
        ({"features": {"a": "float32[B]"}, "targets": ("b",)}, "`targets`: there is no feature `b`; they are `a`"),
        ({"features": {"a": "float32[B]"}, "samples": 0}, "`samples` wants a positive integer, but this is 0"),
    ],
)
def test_wrong_fields_of_synthetic(fields: dict[str, Any], message: str) -> None:
    assert refused(**fields) == message
