"""Focal statistics: of the pixels of a window that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from areca.features.windows import (
    Box,
    box_sum,
    window_count,
    window_levels,
    window_sum,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from areca.features.layer import Layer


def focal_mean(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the mean of a window."""
    window = int(options["window"])
    count = np.maximum(window_count(layer, window), 1)
    return layer.where_valid(window_sum(layer, window) / count)


def focal_std(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the standard deviation of a window (of a population, as `np.std`)."""
    window = int(options["window"])
    count = np.maximum(window_count(layer, window), 1)
    total = window_sum(layer, window)
    spread = (count * window_sum(layer, window, 2) - total * total) / (count * count)
    return layer.where_valid(np.sqrt(np.maximum(spread, 0)))


def focal_range(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the largest less the smallest of a window."""
    window = int(options["window"])
    high = np.where(layer.valid, layer.values, -np.inf)
    low = np.where(layer.valid, layer.values, np.inf)
    top = ndimage.maximum_filter(high, window, mode="constant", cval=-np.inf)
    bottom = ndimage.minimum_filter(low, window, mode="constant", cval=np.inf)
    # Where all of a window is missing the two are infinite, and the pixel is NaN.
    with np.errstate(invalid="ignore"):
        return layer.where_valid(top - bottom)


def focal_entropy(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the Shannon entropy of the levels of a window, bits."""
    window, levels = int(options["window"]), int(options["levels"])
    box = Box.square(window)
    classes = window_levels(layer, levels, options["low"], options["high"])
    count = np.maximum(window_count(layer, window), 1).astype(np.float64)
    # sum of -p log2 p, with p = n / count, is log2(count) - sum(n log2 n) / count.
    table = np.arange(window * window + 1, dtype=np.float64)
    table[1:] *= np.log2(table[1:])
    total = np.zeros(classes.shape, np.float64)
    for level in range(levels):
        here = classes == level
        if here.any():
            total += table[box_sum(here.astype(np.uint32), box)]
    return layer.where_valid(np.maximum(np.log2(count) - total / count, 0))
