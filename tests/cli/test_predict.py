"""`specbuilder predict` and `predict`: what the weights of a run say of files, from its folder alone.

The witness is plain torch: `model.py` and `weights.safetensors` as a user loads them without specbuilder, on numbers that the test scales itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file
from safetensors.torch import load_file
from torch import Tensor

from specbuilder import cli
from specbuilder.api import parse
from specbuilder.report.predictions import table
from specbuilder.runs import predict

ROOT = Path(__file__).parent.parent.parent
DIGITS = """
specbuilder: 1
name: digits
model:
  inputs: {image: "float32[B, 1, 8, 8]"}
  nodes:
    - conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
    - batch_norm2d
    - relu
    - dropout: 0.3
    - flatten
    - linear: 10
data:
  digits:
  batch_size: 48
  split: {test: 0.2}
  normalize: train
train:
  steps: 12
  loss: cross_entropy
  optimizer: {adam: {lr: 0.01}}
"""
OF_ARRAYS = """
specbuilder: 1
name: own
model:
  inputs: {INPUTS}
  nodes:
NODES
data:
  arrays: train.npz
  batch_size: 8
train:
  steps: 2
  loss: LOSS
  optimizer: {sgd: {lr: 0.01}}
"""


@pytest.fixture(autouse=True)
def _one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return parse(DIGITS).train(root=tmp_path_factory.mktemp("digits"), device="cpu").folder


def of_arrays(inputs: str, nodes: str, data: Mapping[str, Any], loss: str = "cross_entropy", **changes: Any) -> Path:
    """A run on arrays whose file is gone afterwards, in its folder."""
    np.savez("train.npz", **data)  # type: ignore[arg-type]  # numpy's stub means another parameter
    lines = "\n".join(f"    - {node}" for node in nodes.split("; "))
    text = OF_ARRAYS.replace("INPUTS", inputs).replace("NODES", lines).replace("LOSS", loss)
    folder = parse(text, set={key.replace("__", "."): value for key, value in changes.items()}).train(root="runs", device="cpu").folder
    Path("train.npz").unlink()
    return folder


def in_plain_torch(folder: Path, *x: Tensor) -> Tensor:
    """As README and the end of a run say it is loaded."""
    names: dict[str, Any] = {"__name__": "model"}
    exec((folder / "model.py").read_text(), names)
    model = [found for found in names.values() if isinstance(found, type) and found.__module__ == "model"][-1]()
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    with torch.no_grad():
        return model.eval()(*x)


def normalized(folder: Path, x: Tensor) -> Tensor:
    stored = load_file(folder / "normalization.safetensors")
    return (x - stored["mean"].reshape(1, -1, 1, 1)) / stored["std"].reshape(1, -1, 1, 1)


def drawn(*shape: int) -> np.ndarray:
    """Bytes."""
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


def outputs(folder: Path, *files: str) -> Tensor:
    return torch.stack([each.output for each in predict(folder, files)])


# What is said ---------------------------------------------------------------------------------------------------------


def test_images_and_arrays_are_answered_as_plain_torch_does(digits: Path) -> None:
    pixels = drawn(60, 8, 8)
    for number in (0, 1):
        Image.fromarray(pixels[number]).save(f"{number}.png")
    Image.fromarray(pixels[2]).save("2.bmp")
    values = (pixels / np.float32(255)).astype(np.float32)[:, None]
    np.save("one.npy", values[3])
    np.save("bytes.npy", pixels[4][None])
    np.savez("all.npz", image=values, label=np.zeros(60))
    np.savez("lone.npz", whatever=values[5].astype(np.float64))
    save_file({"image": values[6:7]}, "row.safetensors")
    files = ["0.png", "1.png", "2.bmp", "one.npy", "bytes.npy", "lone.npz", "row.safetensors", "all.npz"]
    found = predict(digits, files)
    assert [each.input for each in found] == [*files[:6], "row.safetensors[0]", *(f"all.npz[{row}]" for row in range(60))]
    order = [*range(7), *range(60)]
    logits = in_plain_torch(digits, normalized(digits, torch.from_numpy(values)))[order]
    torch.testing.assert_close(torch.stack([each.output for each in found]), logits, rtol=1e-5, atol=1e-5)
    probabilities = logits.softmax(1)
    for each, row in zip(found, probabilities, strict=True):
        assert each.probabilities == pytest.approx(row.tolist(), rel=1e-5)
        assert each.ranked[0] == int(row.argmax())


def test_on_the_command_line_with_the_folder_moved_and_no_data(digits: Path, tmp_path: Path) -> None:
    shutil.copytree(digits, "moved")
    pixels = drawn(2, 8, 8)
    Image.fromarray(pixels[0]).save("a.png")
    np.save("b.npy", pixels[1:, None])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "specbuilder", "predict", "moved", "a.png", "b.npy", "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    x = torch.from_numpy(pixels[:, None]).float() / 255
    wanted = in_plain_torch(digits, normalized(digits, x)).softmax(1)
    assert [found["version"], found["folder"]] == [1, "moved"]
    assert [each["input"] for each in found["predictions"]] == ["a.png", "b.npy[0]"]
    for each, row in zip(found["predictions"], wanted, strict=True):
        assert list(each) == ["input", "class", "probability", "scores"]
        assert each["class"] == str(int(row.argmax()))
        assert each["probability"] == pytest.approx(float(row.max()), rel=1e-5)
        assert each["scores"] == pytest.approx({str(number): float(value) for number, value in enumerate(row)}, rel=1e-5)


def test_as_text(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(drawn(8, 8)).save("a.png")
    (found,) = predict(digits, "a.png")
    assert cli.main(["predict", str(digits), "a.png"]) == 0
    first, second, third, *_ = [f"{number} {found.probabilities[number]:.2%}" for number in found.ranked]
    number, _, share = first.partition(" ")
    assert capsys.readouterr().out == f"input  class  probability  next\na.png  {number}      {share.ljust(11)}  {second}, {third}\n"


def test_table_of_names_and_numbers() -> None:
    """By hand."""
    scores = {"cat": 0.5, "dog": 0.25, "ox": 0.125, "yak": 0.125}
    assert table([{"input": "a.png", "class": "cat", "probability": 0.5, "scores": scores}]) == [
        "input  class  probability  next",
        "a.png  cat    50.00%       dog 25.00%, ox 12.50%",
    ]
    many: list[dict[str, Any]] = [{"input": "a", "output": [[0.5] * 5] * 2}, {"input": "bc", "output": [1.0, -2.5]}, {"input": "d", "output": 3.0}]
    assert table(many) == ["input  output", "a      [2, 5]  0.5  0.5  0.5  0.5  0.5  0.5  0.5  0.5  ...", "bc     1  -2.5", "d      3"]


def test_classes_without_names_are_numbers() -> None:
    folder = of_arrays('x: "float32[B, 3]"', "linear: 4", {"x": np.random.default_rng(0).random((16, 3), np.float32), "label": np.arange(16) % 4})
    np.save("a.npy", np.array([1, 2, 3], np.float32))
    (found,) = predict(folder, "a.npy")
    wanted = in_plain_torch(folder, torch.tensor([[1.0, 2, 3]])).softmax(1)[0]
    assert found.as_json()["class"] == int(wanted.argmax())


def test_a_regression_gives_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"x": np.random.default_rng(0).random((16, 3), np.float32), "y": np.zeros((16, 2), np.float32)}
    folder = of_arrays('x: "float32[B, 3]"', "linear: 2", data, "mse_loss")
    np.save("a.npy", np.array([[1, 2, 3], [4, 5, 6]], np.float32))
    wanted = in_plain_torch(folder, torch.tensor([[1.0, 2, 3], [4, 5, 6]]))
    assert cli.main(["predict", str(folder), "a.npy", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["predictions"]
    assert [list(each) for each in found] == [["input", "output"]] * 2
    torch.testing.assert_close(torch.tensor([each["output"] for each in found]), wanted)


def test_bytes_that_the_run_kept_as_numbers_stay_numbers() -> None:
    """Arrays of uint8 are read as 0 to 255, and so are images then."""
    pixels = drawn(16, 3, 8, 8)
    folder = of_arrays('image: "float32[B, 3, 8, 8]"', "flatten; linear: 4", {"image": pixels, "label": np.arange(16) % 4})
    Image.fromarray(pixels[0].transpose(1, 2, 0)).save("a.png")
    np.save("b.npy", pixels[0])
    wanted = in_plain_torch(folder, torch.from_numpy(pixels[:1]).float()).expand(2, -1)
    torch.testing.assert_close(outputs(folder, "a.png", "b.npy"), wanted)


def test_the_transforms_of_evaluation_apply() -> None:
    """A flip that always happens, before the normalization; augmentation does not."""
    changes = {"data__inference": "[{random_horizontal_flip: 1.0}]", "data__augment": "[{random_vertical_flip: 1.0}]"}
    image = np.random.default_rng(0).random((16, 1, 8, 8), np.float32)
    data = {"image": image, "label": np.arange(16) % 4}
    folder = of_arrays('image: "float32[B, 1, 8, 8]"', "flatten; linear: 4", data, data__normalize="train", **changes)
    np.save("a.npy", image[0])
    wanted = in_plain_torch(folder, normalized(folder, torch.from_numpy(image[:1]).flip(3)))
    torch.testing.assert_close(outputs(folder, "a.npy"), wanted)


def test_several_inputs_and_whole_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    data = {"word": rng.integers(5, size=(16,)), "x": rng.random((16, 3), np.float32), "label": np.arange(16) % 4}
    nodes = "embedding: {num_embeddings: 5, embedding_dim: 3}\n      from: word\n      name: vector; add:\n      from: [vector, x]; linear: 4"
    folder = of_arrays('word: "int64[B]", x: "float32[B, 3]"', nodes, data)
    np.savez("a.npz", word=np.array([4, 0], np.int32), x=data["x"][:2])
    save_file({"word": np.array(4), "x": data["x"][0]}, "one.safetensors")
    wanted = in_plain_torch(folder, torch.tensor([4, 0]), torch.from_numpy(data["x"][:2]))
    torch.testing.assert_close(outputs(folder, "a.npz", "one.safetensors"), wanted[[0, 1, 0]])
    np.savez("high.npz", word=np.array([5]), x=data["x"][:1])
    np.savez("floats.npz", word=np.array([1.0]), x=data["x"][:1])
    np.savez("rows.npz", word=np.array([1, 2]), x=data["x"][:1])
    np.savez("half.npz", word=np.array([1]), x=data["x"][0])
    np.savez("less.npz", word=np.array([1]))
    np.save("lone.npy", data["x"])
    Image.fromarray(drawn(8, 8)).save("a.png")
    help_npz = "numpy.savez(FILE, word=..., x=...)`"
    for file, said in (
        ("high.npz", "[SB0811]: high.npz: `word` holds 5, but `vector` takes 0 to 4"),
        ("floats.npz", '[SB0811]: floats.npz: `word` is float64, but the model wants int64\n  = help: convert it: `array.astype("int64")`'),
        ("rows.npz", "[SB0803]: rows.npz: all features need the same number of samples, but `word` has 2, `x` has 1"),
        (
            "half.npz",
            "[SB0811]: half.npz: `word` has a row for each sample, but `x` is that of one sample\n  = help: give all of them with rows, or none",
        ),
        ("less.npz", "[SB0811]: less.npz has no array `x`, which the model reads\n  = help: its arrays are `word`"),
        ("lone.npy", f"[SB0811]: lone.npy holds one array, but the model reads `word`, `x`\n  = help: write an .npz file: `{help_npz}"),
        ("a.png", f"[SB0811]: a.png is one image, but the model reads `word`, `x`\n  = help: give an .npz file: `{help_npz}"),
    ):
        assert cli.main(["predict", str(folder), file]) == 5
        assert capsys.readouterr().err == f"error{said}\n\n"


def test_open_sizes_may_be_others_than_in_training(capsys: pytest.CaptureFixture[str]) -> None:
    image = np.random.default_rng(0).random((16, 1, 8, 8), np.float32)
    nodes = "conv2d: {out_channels: 4, kernel_size: 5}; adaptive_avg_pool2d: 1; flatten; linear: 4"
    folder = of_arrays('image: "float32[B, 1, H, W]"', nodes, {"image": image, "label": np.arange(16) % 4})
    np.save("a.npy", image[0])
    np.save("b.npy", image[0][:, :6, :7])
    np.save("small.npy", image[0][:, :6, :4])
    found = predict(folder, ["a.npy", "b.npy", "a.npy"])
    torch.testing.assert_close(found[1].output, in_plain_torch(folder, torch.from_numpy(image[:1, :, :6, :7]))[0])
    torch.testing.assert_close(found[0].output, found[2].output)
    assert cli.main(["predict", str(folder), "small.npy"]) == 5
    assert capsys.readouterr().err == "error[SB0811]: small.npy: the model needs W >= 5, but W is 4\n\n"


def test_a_run_on_own_data() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(60, 1, 8, 8, generator=generator), torch.randint(10, (60,), generator=generator)
    folder = parse(DIGITS).train(train=(x, y), root="runs", device="cpu").folder
    np.save("a.npy", x[0].numpy())
    torch.testing.assert_close(outputs(folder, "a.npy"), in_plain_torch(folder, normalized(folder, x[:1])))


# Images ---------------------------------------------------------------------------------------------------------------

GRAY = drawn(8, 8)
COLOUR = drawn(8, 8, 3)
OPAQUE = np.full((8, 8, 1), 255, np.uint8)


def colour_run() -> Path:
    data = {"image": np.random.default_rng(0).random((16, 3, 8, 8), np.float32), "label": np.arange(16) % 4}
    return of_arrays('image: "float32[B, 3, 8, 8]"', "flatten; linear: 4", data)


def test_channels_are_changed_where_nothing_is_lost(digits: Path) -> None:
    images = {
        "gray": Image.fromarray(GRAY),
        "equal": Image.fromarray(np.stack([GRAY] * 3, 2)),
        "opaque": Image.fromarray(np.concatenate([GRAY[..., None]] * 3 + [OPAQUE], 2)),
        "alpha": Image.fromarray(np.concatenate([GRAY[..., None], OPAQUE], 2)),
        "palette": Image.fromarray(GRAY).convert("P"),
        "wide": Image.fromarray(GRAY.astype(np.uint16) * 257),
    }
    assert [image.mode for image in images.values()] == ["L", "RGB", "RGBA", "LA", "P", "I;16"]
    for name, image in images.items():
        image.save(f"{name}.png")
    wanted = in_plain_torch(digits, normalized(digits, torch.from_numpy(GRAY[None, None]).float() / 255))
    torch.testing.assert_close(outputs(digits, *(f"{name}.png" for name in images)), wanted.expand(len(images), -1), rtol=1e-5, atol=1e-5)
    folder = colour_run()
    in_colour = in_plain_torch(folder, torch.from_numpy(GRAY[None, None]).float().expand(-1, 3, -1, -1) / 255)
    torch.testing.assert_close(outputs(folder, *(f"{name}.png" for name in images)), in_colour.expand(len(images), -1), rtol=1e-5, atol=1e-5)


def test_a_photograph_is_turned_as_it_is_to_be_seen() -> None:
    folder = colour_run()
    image = Image.fromarray(COLOUR)
    exif = image.getexif()
    exif[0x0112] = 3  # upside down
    image.save("a.png", exif=exif)
    wanted = in_plain_torch(folder, torch.from_numpy(COLOUR[::-1, ::-1].copy()).permute(2, 0, 1)[None].float() / 255)
    torch.testing.assert_close(outputs(folder, "a.png"), wanted)


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("nope.png", 2, "[SB0901]: there is no file nope.png"),
        ("coluor.png", 2, "[SB0901]: there is no file coluor.png\n  = help: did you mean `colour.png`?"),
        ("folder", 2, "[SB0901]: folder is a folder\n  = help: name its files: `folder/*`"),
        (
            "text.png",
            5,
            (
                "[SB0807]: text.png is no image that can be read: Pillow does not know its format\n"
                "  = help: images (png, jpg, ...) and arrays (.npy, .npz, .safetensors) can be read"
            ),
        ),
        (
            "colour.png",
            5,
            (
                "[SB0811]: colour.png: the model wants 1 channel (gray), but the image has 3 (colour)\n"
                '  = help: save it as gray first: `image.convert("L")`'
            ),
        ),
        (
            "large.png",
            5,
            (
                "[SB0811]: large.png: the model wants `image` as 1 channel, 8 high and 8 wide; this is 1 channel, 8 high and 9 wide\n"
                "  = help: bring it to that size first; without a transform in the spec, nothing is resized"
            ),
        ),
        (
            "flat.npy",
            5,
            "[SB0811]: flat.npy: the model wants `image` float32[B, 1, 8, 8], or one sample without the axis B, but float64[64] arrives",
        ),
        ("nan.npy", 5, "[SB0809]: nan.npy: `image` of sample 0 is not finite: it holds NaN or infinity"),
        ("empty.npy", 5, "[SB0804]: empty.npy: there are no samples"),
        (
            "truth.npy",
            5,
            '[SB0811]: truth.npy: `image` is bool, but the model wants float32\n  = help: convert it: `array.astype("float32")`',
        ),
        ("text.npy", 5, "[SB0807]: text.npy is no .npy file\n  = help: write it with `numpy.save(FILE, array)`"),
        ("objects.npy", 5, "[SB0809]: objects.npy holds Python objects, which are not loaded from a file"),
        ("other.npz", 5, "[SB0811]: other.npz has no array `image`, which the model reads\n  = help: its arrays are `a`, `b`"),
        (
            "text.npz",
            5,
            "[SB0807]: text.npz is no .npz file: it holds no named arrays\n  = help: write it with `numpy.savez(FILE, image=..., label=...)`",
        ),
    ],
)
def test_mistakes_are_told_in_words(file: str, code: int, said: str, digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder").mkdir()
    for name in ("text.png", "text.npy", "text.npz"):
        Path(name).write_text("hello")
    Image.fromarray(COLOUR).save("colour.png")
    Image.fromarray(drawn(8, 9)).save("large.png")
    np.save("flat.npy", np.zeros(64))
    np.save("nan.npy", np.full((1, 8, 8), np.nan))
    np.save("empty.npy", np.zeros((0, 1, 8, 8)))
    np.save("truth.npy", np.zeros((1, 8, 8), bool))
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    np.savez("other.npz", a=np.zeros(3), b=np.zeros(3))
    Image.fromarray(GRAY).save("right.png")
    assert cli.main(["predict", str(digits), "right.png", file]) == code
    answer = capsys.readouterr()
    assert (answer.out, answer.err) == ("", f"error{said}\n\n")
