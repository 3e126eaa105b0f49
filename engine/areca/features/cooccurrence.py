"""Textures of grey-level co-occurrence (Haralick, Shanmugam & Dinstein 1973).

The matrix of a window counts the pairs of its pixels that lie `distance` apart in four
directions (0, 45, 90 and 135 degrees), each pair both ways round; a pair with a missing
pixel is left out. No matrix is built for a pixel: most measures are means over pairs,
hence windowed sums, and the energy takes one windowed count for each kind of pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from areca.features.windows import Box, box_sum, window_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from areca.features.layer import Layer

    Pairs = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.generic]]


def contrast(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the mean squared difference of the levels of pairs."""
    return _mean(layer, options, "contrast", lambda i, j: (i - j) ** 2)


def dissimilarity(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the mean difference of the levels of pairs."""
    return _mean(layer, options, "dissimilarity", lambda i, j: np.abs(i - j))


def homogeneity(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the mean of 1 / (1 + squared difference) over pairs."""
    return _mean(layer, options, "homogeneity", lambda i, j: 1 / (1 + (i - j) ** 2))


def correlation(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the correlation of the levels of pairs, 1 where all are one level."""
    pairs = 2 * _count(layer, options)
    once = _sum(layer, options, "i + j", lambda i, j: i + j)
    squares = _sum(layer, options, "i² + j²", lambda i, j: i * i + j * j)
    product = 2 * _sum(layer, options, "i j", lambda i, j: i * j)
    # All are whole numbers far below 2^53, so that the zero of a flat window is exact.
    spread = pairs * squares - once * once
    flat = spread <= 0
    out = (pairs * product - once * once) / np.where(flat, 1, spread)
    return _known(layer, pairs, np.where(flat, 1, out))


def asm(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the angular second moment: the sum of the squares of the matrix."""
    return _known(layer, _count(layer, options), _moment(layer, options))


def energy(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float32]:
    """Return the square root of the angular second moment."""
    return _known(layer, _count(layer, options), np.sqrt(_moment(layer, options)))


def _moment(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float64]:
    def make() -> NDArray[np.float64]:
        levels, window = int(options["levels"]), int(options["window"])
        kinds = [
            (_kinds(i, j, there, levels), box)
            for i, j, there, box in _directions(layer, options)
        ]
        seen = sorted({int(k) for kind, _ in kinds for k in np.unique(kind) if k >= 0})
        # The narrowest numbers that hold all counts, and all squares of them.
        counts = np.uint16 if 4 * window * window < 2**16 else np.uint32
        squares = np.uint32 if 8 * window * window < 2**16 else np.float64
        total = np.zeros(layer.values.shape, squares)
        for number in seen:
            count = np.zeros(layer.values.shape, counts)
            for kind, box in kinds:
                count += box_sum((kind == number).astype(counts), box)
            once = np.square(count, dtype=squares)
            # A pair of equal levels stands twice in one cell, another in two cells.
            once *= 4 if number // levels == number % levels else 2
            total += once
        pairs = 2 * np.maximum(_count(layer, options), 1)
        return np.asarray(total / (pairs * pairs))

    return layer.once(("glcm", "moment", *sorted(options.items())), make)


def _kinds(
    i: NDArray[np.int64], j: NDArray[np.int64], there: NDArray[np.bool_], levels: int
) -> NDArray[np.int32]:
    """Return a number for each pair of levels in any order, -1 where there is none."""
    kinds = np.minimum(i, j) * levels + np.maximum(i, j)
    small = np.int16 if levels * levels < 2**15 else np.int32
    return np.where(there, kinds, -1).astype(small)


def _mean(
    layer: Layer, options: Mapping[str, float], name: str, value: Pairs
) -> NDArray[np.float32]:
    count = _count(layer, options)
    total = _sum(layer, options, name, value)
    return _known(layer, count, total / np.maximum(count, 1))


def _count(layer: Layer, options: Mapping[str, float]) -> NDArray[np.float64]:
    return _sum(layer, options, "count", lambda i, _: np.ones_like(i))


def _sum(
    layer: Layer, options: Mapping[str, float], name: str, value: Pairs
) -> NDArray[np.float64]:
    """Return the sum of something over the pairs of each window."""

    def make() -> NDArray[np.float64]:
        total = np.zeros(layer.values.shape, np.float64)
        for i, j, there, box in _directions(layer, options):
            total += box_sum(np.where(there, value(i, j), 0).astype(np.float64), box)
        return total

    return layer.once(("glcm", name, *sorted(options.items())), make)


def _known(
    layer: Layer, count: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return values, NaN where a window has no pair."""
    return layer.where_valid(np.where(count > 0, values, np.nan))


def _directions(
    layer: Layer, options: Mapping[str, float]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], Box]]:
    """Go through the four directions.

    Yields:
        Both levels of the pairs that begin at a pixel, where such a pair is there, and
        the box of the pixels at which the pairs of a window begin.
    """
    window, step = int(options["window"]), int(options["distance"])
    half = window // 2
    classes = window_levels(
        layer, int(options["levels"]), options["low"], options["high"]
    ).astype(np.int64)
    height, width = classes.shape
    around = np.pad(classes, step, constant_values=-1)
    slant = round(step * 0.5**0.5)  # along both axes, as scikit-image rounds
    for down, across in ((0, step), (slant, slant), (step, 0), (slant, -slant)):
        row, col = step + down, step + across
        other = around[row : row + height, col : col + width]
        box = Box(
            top=-half,
            left=-half + max(-across, 0),
            height=window - down,
            width=window - abs(across),
        )
        yield classes, other, (classes >= 0) & (other >= 0), box
