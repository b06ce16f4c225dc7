"""The 1,797 handwritten digits that the package carries: real data with nothing to download."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

from specbuilder.catalogue.contract import Column, Columns, DataFacts, Dataset, Feature, dataset
from specbuilder.shapes import TensorType, symbol

_FILE = Path(__file__).with_name("digits") / "digits.gz"
_SAMPLES = 1797


@dataset("digits")
class Digits(Dataset):
    """Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak; UCI, CC BY 4.0): 8x8 images of digits.

    `image` float32[B, 1, 8, 8], 0 (paper) to 1 (ink) in steps of 1/16; `label` int64[B], the digit. One part, `train`; cut a test part with `split`.
    """

    def facts(self) -> DataFacts:
        B = symbol("B")
        return DataFacts(
            features={
                "image": Feature(type=TensorType("float32", (B, 1, 8, 8))),
                "label": Feature(type=TensorType("int64", (B,)), classes=10, class_names=tuple("0123456789"), is_target=True),
            },
            parts={"train": _SAMPLES},
        )

    def open(self) -> Mapping[str, Columns]:
        import numpy as np
        import torch

        # The digits of all samples first, then their pixels; ATTRIBUTION.txt beside the file says how it was made.
        content = np.frombuffer(gzip.decompress(_FILE.read_bytes()), dtype=np.uint8)
        labels = torch.from_numpy(content[:_SAMPLES].astype(np.int64))
        images = torch.from_numpy(content[_SAMPLES:].reshape(_SAMPLES, 1, 8, 8).copy())
        return {"train": {"image": Column(images, scale=1 / 16), "label": Column(labels)}}
