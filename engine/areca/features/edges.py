"""Edges and local patterns of 3 x 3 pixels; NaN where a neighbour is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from areca.features.layer import Layer

_DIAGONAL = float(np.sqrt(0.5))
"""How far along both axes a diagonal point of the circle of radius 1 lies."""


def sobel(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the strength of edges as `skimage.filters.sobel` has it."""
    del options
    values = layer.values.astype(np.float64)
    down, across = (ndimage.sobel(values, axis=axis) / 4 for axis in (0, 1))
    return layer.where_valid(np.sqrt((down**2 + across**2) / 2))


def gradient(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the length of the gradient by central differences, units a pixel."""
    del options
    values = layer.values.astype(np.float64)
    down, across = (
        ndimage.correlate1d(values, [-0.5, 0, 0.5], axis=axis) for axis in (0, 1)
    )
    return layer.where_valid(np.hypot(down, across))


def lbp(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the local binary pattern of 8 points at radius 1, 0 to 255.

    Ojala, Pietikäinen & Mäenpää 2002, doi 10.1109/TPAMI.2002.1017623, points between
    pixels interpolated as `skimage.feature.local_binary_pattern` does. Differences are
    interpolated, not values, so that level ground has one code.
    """
    del options
    centre = layer.values.astype(np.float64)
    padded = np.pad(centre, 1, constant_values=np.nan)
    height, width = centre.shape

    def beside(down: int, across: int) -> NDArray[np.float64]:
        part = padded[1 + down : 1 + down + height, 1 + across : 1 + across + width]
        return np.asarray(part - centre)

    code = np.zeros(centre.shape, np.int16)
    known = layer.valid.copy()
    # Counter-clockwise from the right; odd points lie on the diagonals.
    circle = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
    for bit, (down, across) in enumerate(circle):
        rise = beside(down, across)
        if down and across:
            sides = beside(down, 0) + beside(0, across)
            rise = _DIAGONAL * (_DIAGONAL * rise + (1 - _DIAGONAL) * sides)
        known &= np.isfinite(rise)
        code |= (rise >= 0).astype(np.int16) << bit
    return np.where(known, code, np.nan).astype(np.float32)
