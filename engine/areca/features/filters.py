"""Filters that smooth and sharpen, of the pixels that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from areca.features.layer import Layer

TRUNCATE = 4.0
"""Deviations at which a Gaussian is cut off, as SciPy does."""
_AT_ONCE = 100_000
"""Windows with gaps that are sorted at once."""


def gaussian_radius(sigma: float) -> int:
    """Return how far a Gaussian reaches, pixels."""
    return int(TRUNCATE * sigma + 0.5)


def gaussian(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return a Gaussian mean; missing pixels weigh nothing."""
    return layer.where_valid(_smooth(layer, options["sigma"]))


def sharpen(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return an unsharp mask: a pixel, and `amount` of what sets it off from around."""
    beyond = layer.filled - _smooth(layer, options["sigma"])
    return layer.where_valid(layer.filled + options["amount"] * beyond)


def median(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the median of the pixels of a window that are there."""
    window = int(options["window"])
    values = layer.filled.astype(np.float32)
    out = ndimage.median_filter(values, window, mode="constant")
    missing = np.pad(~layer.valid, window // 2, constant_values=True)
    touched = ndimage.maximum_filter(missing, window)
    half = window // 2
    inner = (slice(half, -half or None),) * 2
    rows, cols = np.nonzero(touched[inner] & layer.valid)
    padded = np.pad(layer.values, half, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (window, window))
    for start in range(0, len(rows), _AT_ONCE):
        here = (rows[start : start + _AT_ONCE], cols[start : start + _AT_ONCE])
        out[here] = np.nanmedian(windows[here].reshape(len(here[0]), -1), axis=1)
    return layer.where_valid(out)


def _smooth(layer: Layer, sigma: float) -> NDArray[np.float64]:
    def make() -> NDArray[np.float64]:
        parts = [
            ndimage.gaussian_filter(
                part, sigma, mode="constant", truncate=TRUNCATE, output=np.float64
            )
            for part in (layer.filled, layer.valid.astype(np.float64))
        ]
        total, weight = parts
        return np.asarray(total / np.where(layer.valid, weight, 1))

    return layer.once(("gaussian", sigma), make)
