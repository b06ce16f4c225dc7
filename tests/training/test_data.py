"""Data in every form that a caller can bring, and made-up data in place of any: through `Spec.train`, on models of a few numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset

from specbuilder.api import Run, Spec, parse
from specbuilder.catalogue.contract import Column
from specbuilder.diagnostics import SpecbuilderError, render_all
from specbuilder.shapes import parse_type
from specbuilder.training.columns import fit
from specbuilder.training.data import gather

SPEC = """
specbuilder: 1
name: tiny
model:
  inputs: {{image: "{input}"}}
  nodes: [{nodes}]
data:
  {dataset}
  batch_size: 8
{data}
train:
  epochs: {epochs}
  loss: {loss}
  optimizer: {{sgd: {{lr: 0.1}}}}
  compile: "off"
"""


def spec(
    *,
    input: str = "float32[B, 3]",
    nodes: str = "linear: 4",
    dataset: str = "arrays: nowhere.npz",
    data: str = "",
    loss: str = "cross_entropy",
    epochs: int = 2,
    set: Mapping[str, Any] | None = None,
) -> Spec:
    return parse(SPEC.format(input=input, nodes=nodes, dataset=dataset, data=data, loss=loss, epochs=epochs), set=set)


def error(call: Callable[[], Any]) -> tuple[int, str]:
    """Exit code and text of what a call is refused with."""
    with pytest.raises(SpecbuilderError) as refused:
        call()
    return refused.value.exit_code, render_all(refused.value.diagnostics)


def plan(run: Run) -> Any:
    return json.loads((run.folder / "plan.json").read_text())


def weights(run: Run) -> dict[str, Tensor]:
    return dict(run.model.state_dict())


def equal(a: Run, b: Run) -> bool:
    return all(torch.equal(tensor, weights(b)[name]) for name, tensor in weights(a).items())


DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(20, 3))
Y = DRAW.integers(0, 4, 20)
X32, Y64 = torch.tensor(X, dtype=torch.float32), torch.tensor(Y)


class Rows(Dataset[Any]):
    """A map-style Dataset of dictionaries."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": X32[index], "label": int(Y[index])}


class Stream(IterableDataset[Any]):
    """Gives samples one after the other; knows its length only when told."""

    def __init__(self, length: int | None = None) -> None:
        self.length = length

    def __iter__(self) -> Iterator[Any]:
        yield from zip(X32, Y64, strict=True)


class CountedStream(Stream):
    def __len__(self) -> int:
        assert self.length is not None
        return self.length


# Every form -----------------------------------------------------------------------------------------------------------

FORMS: dict[str, Any] = {
    "tensors": (X32, Y64),
    "arrays of float64": (X, Y),
    "list": [X32, Y64],
    "nested lists": (X.tolist(), Y.tolist()),
    "small integers": (X, Y.astype(np.uint8)),
    "negative strides": (X[::-1][::-1], Y[::-1][::-1]),
    "foreign byte order": (X.astype(">f8"), Y.astype(">i8")),
    "list of tensors": (list(X32), list(Y64)),
    "needs gradients": (X32.clone().requires_grad_(), Y64),
    "mapping": {"image": X, "label": Y},
    "mapping with other names": {"pixels": X, "y": Y},
    "Dataset of pairs": TensorDataset(X32, Y64),
    "Dataset of mappings": Rows(),
    "own class with length and items": type("Own", (), {"__len__": lambda _: 20, "__getitem__": lambda _, i: (X[i], Y[i])})(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_data_is_the_same_run(tmp_path: Path, form: str) -> None:
    expected = spec().train(train=(X32, Y64), root=tmp_path, device="cpu")
    assert equal(spec().train(train=FORMS[form], root=tmp_path, device="cpu"), expected)
    assert not equal(spec().train(train=(X32 + 1, Y64), root=tmp_path, device="cpu"), expected)


def test_an_unshuffled_loader_trains_as_unshuffled_tensors_do(tmp_path: Path) -> None:
    plain = spec(data="  shuffle: false\n  normalize: train").train(train=(X32, Y64), validation=(X, Y), root=tmp_path, device="cpu")
    dataset = TensorDataset(X32, Y64)
    loaders: dict[str, Any] = {"train": DataLoader(dataset, 8), "validation": DataLoader(dataset, 7)}
    loaded = spec(data="  shuffle: false\n  normalize: train").train(**loaders, root=tmp_path, device="cpu")
    assert equal(plain, loaded)
    # Validation batches of 7 are summed in another order.
    assert loaded.metrics["validation.loss"] == pytest.approx(plain.metrics["validation.loss"], rel=1e-6)
    assert plan(loaded)["length"] == plan(plain)["length"]
    assert plan(plain)["data"]["fingerprint"] is not None
    assert plan(loaded)["data"]["fingerprint"] is None


def test_a_shuffling_loader_keeps_its_own_order_and_repeats(tmp_path: Path) -> None:
    def run(seed: int) -> Run:
        loader = DataLoader(TensorDataset(X32, Y64), 8, shuffle=True, generator=torch.Generator().manual_seed(seed))
        return spec().train(train=loader, root=tmp_path, device="cpu")

    assert equal(run(1), run(1))
    assert not equal(run(1), run(2))


def test_looking_into_a_loader_leaves_generators_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    generator = torch.Generator().manual_seed(1)
    loader = DataLoader(TensorDataset(X32, Y64), 8, shuffle=True, generator=generator)
    spec(data="  normalize: train").train(train=loader, root=tmp_path, device="cpu")
    assert torch.equal(before, torch.random.get_rng_state())
    # Two epochs drew from the loader's own generator; the look at the first batch and the fit took nothing.
    witness = torch.Generator().manual_seed(1)
    for _ in range(2):
        for _ in DataLoader(TensorDataset(X32, Y64), 8, shuffle=True, generator=witness):
            pass
    assert torch.equal(witness.get_state(), generator.get_state())


def test_loaders_of_other_shapes(tmp_path: Path) -> None:
    dataset = TensorDataset(X32, Y64)
    sampled = DataLoader(dataset, batch_sampler=BatchSampler(RandomSampler(dataset), 8, drop_last=True))
    assert plan(spec().train(train=sampled, root=tmp_path, device="cpu"))["length"]["steps_per_epoch"] == 2
    assert plan(spec().train(train=DataLoader(CountedStream(20), 8), root=tmp_path, device="cpu"))["length"]["steps_per_epoch"] == 3
    assert plan(spec().train(train=DataLoader(Rows(), 8), root=tmp_path, device="cpu"))["bindings"]["target"] == "label"


AUGMENTED: dict[str, Any] = {
    "input": "float32[B, 1, 4, 4]",
    "nodes": "flatten, linear: 4",
    "data": "  shuffle: false\n  augment: [random_crop: {size: 4, padding: 1}]",
}


def test_transforms_apply_to_a_loader_by_running_number(tmp_path: Path) -> None:
    images = torch.randn(20, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    plain = spec(**AUGMENTED).train(train=(images, Y), root=tmp_path, device="cpu")
    loaded = spec(**AUGMENTED).train(train=DataLoader(TensorDataset(images, Y64), 8), root=tmp_path, device="cpu")
    unchanged = spec(**{**AUGMENTED, "data": "  shuffle: false"}).train(train=(images, Y), root=tmp_path, device="cpu")
    assert equal(plain, loaded)
    assert not equal(plain, unchanged)


# Names and types ------------------------------------------------------------------------------------------------------


def test_own_data_is_called_as_the_spec_calls_it(tmp_path: Path) -> None:
    def features(data: str) -> Any:
        run = spec(data=data).train(train=(X, Y), root=tmp_path, device="cpu")
        return list(plan(run)["data"]["features"]), plan(run)["bindings"]["target"]

    assert features("") == (["image", "target"], "target")
    assert features("  bind: {image: pixels}") == (["pixels", "target"], "target")
    assert features('  features: {image: "float32[B, 3]", digit: "int64[B]"}') == (["image", "digit"], "digit")


@pytest.mark.parametrize(
    ("settings", "x", "y", "types"),
    [
        ({}, np.ones((9, 3), dtype=np.int64), Y[:9], {"image": "float32[B, 3]", "target": "int64[B]"}),
        ({}, np.ones((9, 3), dtype=np.uint8), Y[:9], {"image": "float32[B, 3]", "target": "int64[B]"}),
        (
            {"input": "int64[B, 3]", "nodes": "embedding: {num_embeddings: 5, embedding_dim: 2}", "loss": "mse_loss"},
            np.ones((9, 3), dtype=np.int32),
            np.zeros((9, 3, 2)),
            {"image": "int64[B, 3]", "target": "float32[B, 3, 2]"},
        ),
    ],
)
def test_numbers_are_widened_to_what_the_spec_wants(settings: Mapping[str, Any], x: Any, y: Any, types: Mapping[str, str]) -> None:
    _, facts = gather(spec(**settings), {"train": (x, y)})
    assert {name: str(feature.type) for name, feature in facts.features.items()} == types


def test_a_column_is_widened_to_float64() -> None:
    widened = fit(Column(X32), parse_type("float64[B, 3]"), "float32").data
    assert (widened.dtype, torch.equal(widened, X32.double())) == (torch.float64, True)


def test_a_number_that_float32_cannot_hold_is_not_rounded_in_silence(tmp_path: Path) -> None:
    x = np.full((9, 3), 2**24 + 1)
    code, text = error(lambda: spec().train(train=(x, Y[:9]), root=tmp_path))
    assert code == 3
    assert "its dtype is int64, not float32" in text


# Split ----------------------------------------------------------------------------------------------------------------


def test_split_cuts_what_the_caller_does_not_bring(tmp_path: Path) -> None:
    run = spec(data="  split: {test: 0.2}").train(train=(X, Y), validation=(X[:5], Y[:5]), root=tmp_path, device="cpu")
    assert plan(run)["length"]["parts"] == {"train": 16, "validation": 5, "test": 4}
    whole = spec(data="  split: {test: 0.2}", set={"data.split": None})
    assert plan(whole.train(train=(X, Y), test=(X, Y), root=tmp_path, device="cpu"))["length"]["parts"] == {"train": 20, "test": 20}


# What is refused -------------------------------------------------------------------------------------------------------

LOADER = DataLoader(TensorDataset(X32, Y64), 8)
HELP_SPLIT = 'load the spec with `set={"data.split": None}`'

REFUSED: dict[str, tuple[str, Mapping[str, Any], int, str]] = {
    "no target": (
        "",
        {"train": X},
        2,
        "error[SB0802]: `train=` wants a pair (`image`, target) or a mapping of features, but this is a ndarray",
    ),
    "three of two": (
        "",
        {"train": (X, Y, Y)},
        2,
        "error[SB0802]: `train=` wants a pair (`image`, target) or a mapping of features, but this is a tuple of 3",
    ),
    "lengths": (
        "",
        {"train": (X, Y[:5])},
        5,
        "error[SB0803]: `train`: all features need the same number of samples, but `image` has 20, `target` has 5",
    ),
    "no samples": ("", {"train": (X[:0], Y[:0])}, 5, "error[SB0804]: `train`: there are no samples"),
    "empty Dataset": ("", {"train": TensorDataset(X32[:0])}, 5, "error[SB0804]: `train`: there are no samples"),
    "nan": ("", {"train": (X * np.nan, Y)}, 5, "error[SB0809]: `train`: `image` of sample 0 is not finite: it holds NaN or infinity"),
    "texts": ("", {"train": (X, list("abcd" * 5))}, 5, "error[SB0809]: `target` of `train` holds texts, but numbers are wanted"),
    "ragged": ("", {"train": ([[1.0], [1.0, 2.0]], [0, 1])}, 5, "error[SB0809]: `image` of `train`: its samples differ in shape"),
    "single number": ("", {"train": (X, 3)}, 5, "error[SB0803]: `train`: `target` is a single number, but one row a sample is wanted"),
    "sparse": (
        "",
        {"train": (X32.to_sparse(), Y)},
        5,
        "error[SB0809]: `image` of `train` is no plain tensor\n  = help: use `.to_dense()` or `.dequantize()`",
    ),
    "label": (
        "",
        {"train": (X, Y + 2)},
        5,
        "error[SB0805]: `target` of sample {row} of the part `train` is {value}, but the model scores the classes 0 to 3",
    ),
    "parts of other types": (
        "",
        {"train": (X, Y), "test": (X[:, :2], Y)},
        5,
        "error[SB0803]: `image` of the part `test` is float32[B, 2], but that of `train` is float32[B, 3]",
    ),
    "parts of other features": (
        "",
        {"train": {"image": X, "label": Y}, "test": (X, Y)},
        5,
        "error[SB0803]: the part `test` has the features `image`, `target`, but `train` has `image`, `label`",
    ),
    "stream without a loader": (
        "",
        {"train": Stream()},
        2,
        (
            "error[SB0802]: `train=` is a Dataset whose samples cannot be counted and picked\n"
            "  = help: give it a `__len__` and a `__getitem__`, or wrap it in a DataLoader"
        ),
    ),
    "stream without a length": (
        "",
        {"train": DataLoader(Stream(), 8)},
        2,
        "error[SB0802]: the DataLoader of `train=` does not say how many samples it has\n  = help: give its dataset a `__len__` that counts the samples",
    ),
    "stream shorter than it says": (
        "",
        {"train": DataLoader(CountedStream(40), 8)},
        5,
        "error[SB0810]: the loader of `train` gave 3 batches, but its length is 5",
    ),
    "batch size": (
        "",
        {"train": DataLoader(TensorDataset(X32, Y64), 4)},
        2,
        (
            "error[SB0802]: the DataLoader of `train=` has a batch size of 4, but `data.batch_size` of the spec is 8\n"
            '  = help: make them equal, as with `set={"data.batch_size": 4}`'
        ),
    ),
    "no batch size": (
        "",
        {"train": DataLoader(TensorDataset(X32, Y64), batch_size=None)},
        2,
        (
            "error[SB0802]: the DataLoader of `train=` does not say how many samples a batch has\n"
            "  = help: make it with `batch_size=`, or give its batch sampler a `batch_size`"
        ),
    ),
    "drop_last": (
        "  drop_last: true",
        {"train": LOADER},
        2,
        (
            "error[SB0802]: the DataLoader of `train=` gives its last, smaller batch, but `data.drop_last` of the spec is true\n"
            "  = help: make it with `drop_last=True`"
        ),
    ),
    "shuffle": (
        "  shuffle: true",
        {"train": LOADER},
        2,
        "error[SB0802]: the DataLoader of `train=` keeps one order, but `data.shuffle` of the spec is true\n  = help: make it with `shuffle=True`",
    ),
    "label in a loader": (
        "",
        {"train": DataLoader(TensorDataset(X32, Y64 + 2), 8)},
        5,
        "error[SB0805]: `target` of sample {row} of the part `train` is {value}, but the model scores the classes 0 to 3",
    ),
    "split of a loader": (
        "  split: {test: 0.2}",
        {"train": LOADER},
        2,
        (
            "error[SB0802]: `data.split` of the spec cuts a part `test` from `train=`, but a DataLoader cannot be cut\n"
            f"  = help: {HELP_SPLIT} and give `test=`, or give the Dataset itself as `train=`"
        ),
    ),
    "split and own part": (
        "  split: {test: 0.2}",
        {"train": (X, Y), "test": (X, Y)},
        2,
        f"error[SB0802]: `test=` is given, and `data.split` of the spec cuts a part `test` as well\n  = help: {HELP_SPLIT}, or leave `test=` out",
    ),
    "no train": ("", {"test": (X, Y)}, 2, "error[SB0802]: own data needs `train=`"),
    "both": (
        "",
        {"train": (X, Y), "synthetic": True},
        2,
        "error[SB0802]: own data and made-up data exclude each other\n  = help: give `train=` or `synthetic=True`",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_own_data_that_is_refused(tmp_path: Path, case: str) -> None:
    data, own, code, message = REFUSED[case]
    row = int(np.flatnonzero(Y + 2 > 3)[0])
    assert error(lambda: spec(data=data).train(**own, root=tmp_path, device="cpu")) == (
        code,
        message.format(row=row, value=Y[row] + 2) if "{row}" in message else message,
    )


def test_a_batch_of_another_type_is_refused(tmp_path: Path) -> None:
    def changing(samples: list[Any]) -> Any:
        x, y = torch.utils.data.default_collate(samples)
        return (x[:, :2] if bool((x[0] == X32[8]).all()) else x), y

    loader = DataLoader(TensorDataset(X32, Y64), 8, collate_fn=changing)
    assert error(lambda: spec().train(train=loader, root=tmp_path, device="cpu")) == (
        5,
        "error[SB0810]: batch 2 of the loader of `train` has `image` float32[B, 2], but the first one had float32[B, 3]",
    )


def test_samples_that_cannot_be_stacked(tmp_path: Path) -> None:
    class Ragged(Rows):
        def __getitem__(self, index: int) -> Any:
            return torch.zeros(index + 1), 0

    code, text = error(lambda: spec().train(train=Ragged(), root=tmp_path))
    assert code == 5
    assert text.startswith("error[SB0809]: the samples of `train` cannot be stacked: stack expects each tensor to be equal size")


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_of_a_loader_that_cannot_be_stacked(workers: int, tmp_path: Path) -> None:
    class Ragged(Rows):
        def __getitem__(self, index: int) -> Any:
            return torch.zeros(index + 1), 0

    code, text = error(lambda: spec().train(train=DataLoader(Ragged(), 8, num_workers=workers), root=tmp_path))
    assert code == 5
    assert text.startswith("error[SB0809]: the samples of `train` cannot be stacked: stack expects each tensor to be equal size")


def test_an_error_of_the_callers_own_dataset_is_the_callers(tmp_path: Path) -> None:
    class Broken(Rows):
        def __getitem__(self, index: int) -> Any:
            raise RuntimeError("no camera")

    with pytest.raises(RuntimeError, match="no camera"):
        spec().train(train=DataLoader(Broken(), 8), root=tmp_path)


def test_tensors_without_numbers_are_refused(tmp_path: Path) -> None:
    message = "error[SB0809]: `image` of `train` is on the device `meta`, where tensors have no numbers"
    assert error(lambda: spec().train(train=(X32.to("meta"), Y64), root=tmp_path)) == (5, message)
    assert error(lambda: spec().train(train=([row.to("meta") for row in X32], Y64), root=tmp_path)) == (5, message)


@pytest.mark.parametrize(("target", "targets"), [("label", ""), ("answer", ", targets: [answer]")])
def test_an_array_beside_input_and_target_is_there_for_nothing(target: str, targets: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"image": X, target: Y, "w": np.ones(len(Y))})
    run = spec(dataset=f"arrays: {{train: {tmp_path}/a.npz{targets}}}").train(root=tmp_path, device="cpu")
    assert plan(run)["bindings"] == {"inputs": {"image": "image"}, "output": "output", "target": target, "transformed": "image"}


def test_absent_data_is_told_where_the_spec_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert error(lambda: spec().train(root=tmp_path / "runs")) == (
        5,
        (
            "error[SB0806]: there is no file nowhere.npz\n"
            " --> spec.yaml:8:3\n"
            "  |\n"
            "8 |   arrays: nowhere.npz\n"
            "  |   ^^^^^^\n"
            "  = help: paths are seen from the current folder; try without the file: `--synthetic`"
        ),
    )
    assert not (tmp_path / "runs").exists()


# Files and made-up data -------------------------------------------------------------------------------------------------


def test_arrays_of_a_file_train_as_the_same_arrays_do(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", image=X, label=Y.astype(np.uint8))
    from_file = spec(dataset=f"arrays: {tmp_path}/data.npz").train(root=tmp_path, device="cpu")
    assert equal(from_file, spec().train(train=(X, Y), root=tmp_path, device="cpu"))
    assert plan(from_file)["data"]["features"] == {"image": "float32[B, 3]", "label": "int64[B]"}


STAND_INS: dict[str, tuple[Mapping[str, Any], Mapping[str, str], Mapping[str, int]]] = {
    "facts": (
        {"dataset": "digits:", "input": "float32[B, 1, 8, 8]", "nodes": "flatten, linear: 10", "data": "  split: {test: 0.25}"},
        {"image": "float32[B, 1, 8, 8]", "label": "int64[B]"},
        {"train": 384, "test": 128},
    ),
    "two parts": (
        {"dataset": "cifar10:", "input": "float32[B, 3, 32, 32]", "nodes": "flatten, linear: 10"},
        {"image": "float32[B, 3, 32, 32]", "label": "int64[B]"},
        {"train": 512, "test": 512},
    ),
    "a split by count": (
        {"data": "  split: {validation: 600}"},
        {"image": "float32[B, 3]", "target": "int64[B]"},
        {"train": 512, "validation": 600},
    ),
    "declared": (
        {"data": '  features: {pixels: "float32[B, 3]", digit: "int64[B]"}\n  bind: {image: pixels}'},
        {"pixels": "float32[B, 3]", "digit": "int64[B]"},
        {"train": 512},
    ),
    "parts of arrays": (
        {"dataset": "arrays: {train: a.npz, test: b.npz, targets: [truth]}"},
        {"image": "float32[B, 3]", "truth": "int64[B]"},
        {"train": 512, "test": 512},
    ),
    "regression": ({"loss": "mse_loss", "nodes": "linear: 2"}, {"image": "float32[B, 3]", "target": "float32[B, 2]"}, {"train": 512}),
    "open sizes": (
        {"input": "float32[B, 1, H, W]", "nodes": "max_pool2d: 33, adaptive_avg_pool2d: 1, flatten, linear: 4"},
        {"image": "float32[B, 1, 64, 64]", "target": "int64[B]"},
        {"train": 512},
    ),
    "numbers of an embedding": (
        {"input": "int64[B, 5]", "nodes": "embedding: {num_embeddings: 3, embedding_dim: 2}, flatten, linear: 4"},
        {"image": "int64[B, 5]", "target": "int64[B]"},
        {"train": 512},
    ),
}


@pytest.mark.parametrize("case", STAND_INS)
def test_every_spec_can_be_tried_without_its_data(tmp_path: Path, case: str) -> None:
    settings, features, parts = STAND_INS[case]
    run = spec(**settings, epochs=1).train(synthetic=True, root=tmp_path, device="cpu")
    assert run.state == "finished"
    assert plan(run)["data"]["features"] == features
    assert plan(run)["length"]["parts"] == parts
    assert plan(run)["data"]["fingerprint"].startswith("synthetic ")


def test_made_up_data_gives_the_same_run_each_time(tmp_path: Path) -> None:
    assert equal(spec().train(synthetic=True, root=tmp_path, device="cpu"), spec().train(synthetic=True, root=tmp_path, device="cpu"))
