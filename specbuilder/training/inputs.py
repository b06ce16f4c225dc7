"""Files of inputs to samples that a model can read: images through Pillow, arrays out of .npy, .npz and .safetensors.

In: paths, the plan of the run and its graph. Out: one `Sample` a row, before the transforms, in the dtype that the data of the run had. Whatever does not
fit is a `DataError` that says what the model wants and what arrived. An image is brought to the channels that are wanted only where nothing is lost by it,
and is never resized but by the transforms of the spec.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from specbuilder.catalogue.contract import Feature, Refusal
from specbuilder.catalogue.datasets.arrays import check_finite, check_rows, read_npy, read_npz, read_safetensors
from specbuilder.diagnostics import DataError, UsageError, did_you_mean
from specbuilder.graph.graph import TypedGraph
from specbuilder.plan.binding import match
from specbuilder.plan.limits import limits
from specbuilder.plan.plan import Plan
from specbuilder.shapes import Dim, Poly, TensorType, is_floating, is_integer, substitute, symbol

if TYPE_CHECKING:
    from PIL.Image import Image

ARRAYS = (".npy", ".npz", ".safetensors")
"""How files of arrays end; any other file is taken for an image."""
BYTE, WORD = 255, 65535


@dataclass(frozen=True, slots=True)
class Sample:
    """What the model is asked about."""

    name: str
    """The file, and the row where it has several: `digits.npz[3]`."""
    values: Mapping[str, Tensor]
    """By input of the model, without the batch axis."""


def read(paths: Sequence[str | Path], plan: Plan, graph: TypedGraph) -> list[Sample]:
    """The samples of all files, in their order. Every file is looked at before any is answered, so that mistakes come at once."""
    for path in map(Path, paths):
        if not path.is_file():
            raise UsageError.of("SB0901", f"{path} is a folder" if path.is_dir() else f"there is no file {path}", help=_help_for_absent(path))
    return [sample for path in paths for sample in _samples(Path(path), plan, graph)]


def _help_for_absent(path: Path) -> str | None:
    if path.is_dir():
        return f"name its files: `{path}/*`"
    return did_you_mean(str(path), [str(entry) for entry in path.parent.glob("*")]) if path.parent.is_dir() else None


def _samples(path: Path, plan: Plan, graph: TypedGraph) -> Iterator[Sample]:
    assert plan.facts is not None
    features = {name: plan.facts.features[plan.bindings[name]] for name in graph.input_types}
    if path.suffix.lower() in ARRAYS:
        found = _chosen(path, _arrays(path), plan, graph)
    else:
        found = _pictured(path, plan, features)
    rows, has_rows = _rows(path, found, plan, features)
    numbers = {name: _as_data(f"{path}: `{plan.bindings[name]}`", tensor, features[name]) for name, tensor in rows.items()}
    check_finite({plan.bindings[name]: tensor for name, tensor in numbers.items()}, f"{path}: ")
    _check_types(path, numbers, plan, graph)
    _check_limits(path, numbers, plan, graph)
    for row in range(len(next(iter(numbers.values())))):
        yield Sample(f"{path}[{row}]" if has_rows else str(path), {name: tensor[row] for name, tensor in numbers.items()})


# Arrays ---------------------------------------------------------------------------------------------------------------


def _arrays(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() == ".npy":
        return {"": read_npy(path)}
    return read_npz(path) if path.suffix.lower() == ".npz" else read_safetensors(path)


def _chosen(path: Path, arrays: Mapping[str, Tensor], plan: Plan, graph: TypedGraph) -> dict[str, Tensor]:
    """The array of each input: under the name of its feature, under its own, or the only one for the only one."""
    inputs = tuple(graph.input_types)
    if len(inputs) == len(arrays) == 1:
        return dict(zip(inputs, arrays.values(), strict=True))
    chosen = {name: given for name in inputs if (given := arrays.get(plan.bindings[name], arrays.get(name))) is not None}
    if missing := [name for name in inputs if name not in chosen]:
        wanted = ", ".join(f"`{plan.bindings[name]}`" for name in inputs)
        if path.suffix.lower() == ".npy":
            help = f"write an .npz file: `numpy.savez(FILE, {', '.join(f'{plan.bindings[name]}=...' for name in inputs)})`"
            raise DataError.of("SB0811", f"{path} holds one array, but the model reads {wanted}", help=help)
        has = ", ".join(f"`{name}`" for name in arrays) or "none"
        raise DataError.of("SB0811", f"{path} has no array `{plan.bindings[missing[0]]}`, which the model reads", help=f"its arrays are {has}")
    return chosen


def _rows(path: Path, found: Mapping[str, Tensor], plan: Plan, features: Mapping[str, Feature]) -> tuple[dict[str, Tensor], bool]:
    """With a batch axis in front, and whether the file had one."""
    has_rows: dict[str, bool] = {}
    for name, tensor in found.items():
        wanted = features[name].type
        if tensor.ndim not in (wanted.rank, wanted.rank - 1):
            arrived = f"{_dtype(tensor)}[{', '.join(map(str, tensor.shape))}]"
            message = (
                f"{path}: the model wants `{plan.bindings[name]}` {wanted}, or one sample without the axis {wanted.shape[0]}, but {arrived} arrives"
            )
            raise DataError.of("SB0811", message)
        has_rows[name] = tensor.ndim == wanted.rank
    if len(set(has_rows.values())) > 1:
        with_rows, without = ([f"`{plan.bindings[name]}`" for name, has in has_rows.items() if has is side] for side in (True, False))
        message = f"{path}: {', '.join(with_rows)} has a row for each sample, but {', '.join(without)} is that of one sample"
        raise DataError.of("SB0811", message, help="give all of them with rows, or none")
    rows = {name: tensor if has_rows[name] else tensor[None] for name, tensor in found.items()}
    check_rows({plan.bindings[name]: tensor for name, tensor in rows.items()}, f"{path}: ")
    return rows, any(has_rows.values())


def _as_data(what: str, x: Tensor, feature: Feature) -> Tensor:
    """The numbers in the dtype of the feature. Bytes stand for 0 to white where floating-point numbers are wanted, as in the data."""
    wanted, given = feature.type.dtype, _dtype(x)
    dtype = getattr(torch, wanted)
    if is_floating(wanted):
        if x.dtype is torch.uint8:
            return (x.to(torch.float32) * (feature.white / BYTE)).to(dtype)
        if not x.is_complex() and x.dtype is not torch.bool:
            return x.to(dtype)
    elif wanted == given or (not is_integer(wanted) and wanted != "bool"):
        return x.to(dtype)
    elif is_integer(wanted) and is_integer(given):
        if bool((x.to(dtype).to(torch.int64) == x.to(torch.int64)).all()):
            return x.to(dtype)
        raise DataError.of("SB0811", f"{what} holds whole numbers that {wanted}, which the model wants, cannot hold")
    help = f"convert it: `array.astype({wanted!r})`".replace("'", '"')
    raise DataError.of("SB0811", f"{what} is {given}, but the model wants {wanted}", help=help)


def _dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


# Whether they fit -----------------------------------------------------------------------------------------------------


def _check_types(path: Path, numbers: Mapping[str, Tensor], plan: Plan, graph: TypedGraph) -> None:
    """Holds what comes out of the transforms against the inputs of the model, whose open sizes may be others than in training."""
    sizes: dict[str, Dim] = {}
    for name, wanted in graph.input_types.items():
        raw = TensorType(_dtype(numbers[name]), (symbol("B"), *numbers[name].shape[1:]))
        arriving = _transformed(path, raw, plan) if plan.bindings[name] == plan.pipeline.feature else raw
        asked = TensorType(wanted.dtype, tuple(substitute(dim, sizes) for dim in wanted.shape))
        if match(wanted, arriving, sizes) is not None:
            made = f", which the transforms make {_in_words(arriving)}" if arriving != raw else ""
            message = f"{path}: the model wants `{plan.bindings[name]}` as {_in_words(asked)}; this is {_in_words(raw)}{made}"
            raise DataError.of("SB0811", message, help=_help_for_size(asked, arriving, has_transforms=bool(_transforms(plan))))
    known = {name: size for name, size in sizes.items() if isinstance(size, int)}
    for requirement in graph.requirements:
        value = substitute(requirement.dim, known)
        if isinstance(value, int) and value < requirement.minimum:
            symbols = sorted(requirement.dim.symbols) if isinstance(requirement.dim, Poly) else []
            found = ", ".join(f"{name} is {known[name]}" for name in symbols)
            raise DataError.of("SB0811", f"{path}: the model needs {requirement}, but {found}")


def _transforms(plan: Plan) -> tuple:
    return (*plan.pipeline.prepare, *plan.pipeline.inference)


def _transformed(path: Path, type: TensorType, plan: Plan) -> TensorType:
    for transform in _transforms(plan):
        try:
            type = transform.infer(type)
        except Refusal as refusal:
            raise DataError.of("SB0811", f"{path}: {_in_words(type)} arrives at `{transform.kind}`: {refusal.message}") from None
    return type


def _in_words(type: TensorType) -> str:
    """A sample as people say it: `3 channels, 32 high and 32 wide`."""
    if type.rank == 4:
        channels, height, width = type.shape[1:]
        return f"{channels} channel{'' if channels == 1 else 's'}, {height} high and {width} wide"
    return str(type.with_shape(type.shape[1:]))


def _help_for_size(wanted: TensorType, arriving: TensorType, *, has_transforms: bool) -> str | None:
    if wanted.rank == 4 and wanted.shape[1] == arriving.shape[1] and not has_transforms:
        return "bring it to that size first; without a transform in the spec, nothing is resized"
    return None


def _check_limits(path: Path, numbers: Mapping[str, Tensor], plan: Plan, graph: TypedGraph) -> None:
    for name, limit in limits(graph).items():
        values = numbers[name]
        wrong = (values < 0) | (values >= limit.below)
        if bool(wrong.any()):
            raise DataError.of("SB0811", f"{path}: `{plan.bindings[name]}` holds {int(values[wrong][0])}, but {limit}")


# Images ---------------------------------------------------------------------------------------------------------------


def _pictured(path: Path, plan: Plan, features: Mapping[str, Feature]) -> dict[str, Tensor]:
    """The lone input of the model out of an image file."""
    picture = _opened(path)
    if len(features) > 1:
        wanted = ", ".join(f"`{plan.bindings[name]}`" for name in features)
        help = f"give an .npz file: `numpy.savez(FILE, {', '.join(f'{plan.bindings[name]}=...' for name in features)})`"
        raise DataError.of("SB0811", f"{path} is one image, but the model reads {wanted}", help=help)
    name, feature = next(iter(features.items()))
    type, called = feature.type, plan.bindings[name]
    if type.rank not in (3, 4) or not (is_floating(type.dtype) or type.dtype == "uint8"):
        raise DataError.of("SB0811", f"{path} is an image, but the model wants `{called}` {type}", help="give it as an array, in an .npy file")
    channels = type.shape[1] if type.rank == 4 else 1
    pixels = _with_channels(path, picture, channels) if isinstance(channels, int) else picture
    if pixels.dtype is not torch.uint8:
        if type.dtype == "uint8":
            raise DataError.of("SB0811", f"{path} has 16 bits a pixel, but the model wants bytes", help="save it with 8 bits a channel")
        pixels = pixels.to(torch.float32) * (feature.white / WORD)
    return {name: pixels if type.rank == 4 else pixels[0]}


def _opened(path: Path) -> Tensor:
    """The pixels [channels, height, width], turned as the image is to be seen: bytes, or int32 where it has 16 bits."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow merely remarks on, as on very large images
            with Image.open(path) as image:
                return _pixels(ImageOps.exif_transpose(image))
    except Exception as error:  # each format fails in its own way, and all mean one thing to the user
        reason = "Pillow does not know its format" if type(error).__name__ == "UnidentifiedImageError" else " ".join(str(error).split())
        help = f"images (png, jpg, ...) and arrays ({', '.join(ARRAYS)}) can be read"
        raise DataError.of("SB0807", f"{path} is no image that can be read: {reason}", help=help) from error


def _pixels(image: Image) -> Tensor:
    if image.mode.startswith("I"):
        return torch.from_numpy(np.array(image).astype(np.int32))[None]
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; give it as an array")
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        is_clear = "transparency" in image.info or image.mode in ("La", "RGBa", "PA")
        image = image.convert("L" if image.mode == "1" else "RGBA" if is_clear else "RGB")
    found = torch.from_numpy(np.array(image))
    return found[None] if found.ndim == 2 else found.permute(2, 0, 1).contiguous()


def _with_channels(path: Path, pixels: Tensor, wanted: int) -> Tensor:
    """The image in that many channels, where nothing is lost: gray as three equal channels, equal channels as gray, an alpha that hides nothing left out."""
    given = len(pixels)
    if given in (2, 4) and given != wanted and bool((pixels[-1] == BYTE).all()):
        pixels = pixels[:-1]
    if len(pixels) == 1 and wanted == 3:
        pixels = pixels.expand(3, -1, -1)
    elif len(pixels) == 3 and wanted == 1 and bool((pixels == pixels[:1]).all()):
        pixels = pixels[:1]
    if len(pixels) == wanted:
        return pixels
    kinds = {1: "gray", 2: "gray with transparency", 3: "colour", 4: "colour with transparency"}
    counted = f"{wanted} channel{'' if wanted == 1 else 's'}{f' ({kinds[wanted]})' if wanted in kinds else ''}"
    help = {1: 'save it as gray first: `image.convert("L")`', 3: 'save it as colour first: `image.convert("RGB")`'}.get(wanted)
    raise DataError.of("SB0811", f"{path}: the model wants {counted}, but the image has {given} ({kinds[given]})", help=help)


__all__ = ["Sample", "read"]
