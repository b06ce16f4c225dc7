"""Sizes under windows against torch, on a full grid of small settings; symbolic sizes against numbers."""

from __future__ import annotations

from itertools import product

import torch
from torch.nn import functional

from specbuilder.catalogue.windows import changed, each_axis, pooled, short, slid, spread
from specbuilder.shapes import evaluate, symbol


def test_pooling_has_the_sizes_of_torch() -> None:
    length, found = symbol("L"), 0
    for kernel, stride, dilation, ceil_mode in product(range(1, 5), range(1, 5), (1, 2), (False, True)):
        for padding in range(kernel // 2 + 1):
            settings = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
            general = pooled(length, **settings)
            for size in range(1, 12):
                here = pooled(size, **settings)
                assert evaluate(general, {"L": size}) == here, settings
                try:
                    theirs = functional.max_pool1d(torch.zeros(1, 1, size), kernel, stride, padding, dilation, ceil_mode).shape[-1]
                except RuntimeError:
                    assert not isinstance(here, int) or here < 1, (size, settings)
                    continue
                assert here == theirs, (size, settings)
                found += 1
    assert found > 1000


def test_convolution_has_the_sizes_of_torch() -> None:
    for size, kernel, stride, padding, dilation in product((5, 6, 9), (1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2)):
        if size + 2 * padding < dilation * (kernel - 1) + 1:
            continue
        theirs = functional.conv1d(torch.zeros(1, 1, size), torch.zeros(1, 1, kernel), None, stride, padding, dilation).shape[-1]
        assert slid(size, kernel=kernel, stride=stride, padding=2 * padding, dilation=dilation) == theirs


def test_spreading_is_what_sliding_undoes() -> None:
    length = symbol("L")
    for kernel, stride, padding, dilation in product((1, 2, 3, 5), (1, 2, 3), (0, 1), (1, 2)):
        settings = {"kernel": kernel, "stride": stride, "dilation": dilation}
        wide = spread(length, padding=padding, output_padding=0, **settings)
        assert slid(wide, padding=2 * padding, **settings) == length


def test_settings_are_written_short() -> None:
    assert [short(each) for each in (3, (3, 3), (3, 5), "same", None, (None, None), (2,))] == [3, 3, (3, 5), "same", None, (None, None), 2]
    assert each_axis(3, 2) == each_axis((3, 3), 2) == (3, 3)


def test_only_changed_settings_are_written() -> None:
    from specbuilder.catalogue.layers.convolution import Conv2d

    kind = Conv2d(out_channels=4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=2)
    assert changed(kind, "stride", "padding", "dilation", "groups") == {"padding": 1, "dilation": 2}
