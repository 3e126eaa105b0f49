"""Sums over windows: the same bits for a pixel whatever block it is in.

A running sum (`scipy.ndimage.uniform_filter`, an integral image) carries rounding along
a line, so its last digits tell where the line began. Here a window is put together of
runs of 1, 2, 4, … pixels: as few additions as log2 of its edge, in one fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.features.layer import Layer

Summable = TypeVar("Summable", np.float64, np.uint16, np.uint32, np.int64)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around a pixel."""

    top: int
    """First row, counted from the pixel; not positive."""
    left: int
    """First column, counted from the pixel; not positive."""
    height: int
    width: int

    @classmethod
    def square(cls, edge: int) -> Box:
        """Return a square with the pixel in its middle.

        Args:
            edge: Pixels, odd.
        """
        return cls(-(edge // 2), -(edge // 2), edge, edge)


def box_sum(array: NDArray[Summable], box: Box) -> NDArray[Summable]:
    """Return the sum over a box around each pixel; nothing lies beyond the array.

    Args:
        array: Shape (height, width), without NaN.
        box: What to sum over.

    Returns:
        The same shape and type.
    """
    below = box.top + box.height - 1
    right = box.left + box.width - 1
    padded = np.pad(array, ((-box.top, max(below, 0)), (-box.left, max(right, 0))))
    sums = _run_sum(_run_sum(padded, box.height).T, box.width).T
    return sums[: array.shape[0], : array.shape[1]]


def _run_sum(array: NDArray[Summable], length: int) -> NDArray[Summable]:
    """Return the sums of `length` rows, one for each row that such a run starts at."""
    count = array.shape[0] - length + 1
    run, size, start = array, 1, 0
    total: NDArray[Summable] | None = None
    while True:
        if length & size:
            part = run[start : start + count]
            total = part if total is None else total + part
            start += size
        if size * 2 > length:
            return array[:count] if total is None else total
        run = run[:-size] + run[size:]
        size *= 2


def window_count(layer: Layer, window: int) -> NDArray[np.uint32]:
    """Return how many pixels of a window are there, shape (height, width).

    Args:
        layer: The pixels.
        window: Edge of the window, odd.
    """
    box = Box.square(window)
    return layer.once(
        ("count", window), lambda: box_sum(layer.valid.astype(np.uint32), box)
    )


def window_sum(layer: Layer, window: int, power: int = 1) -> NDArray[np.float64]:
    """Return the sum of the pixels of a window that are there, or of their squares.

    Args:
        layer: The pixels.
        window: Edge of the window, odd.
        power: 1, or 2 for squares.

    Returns:
        Shape (height, width), float64: exact for integers.
    """
    box = Box.square(window)
    return layer.once(("sum", window, power), lambda: box_sum(layer.filled**power, box))


def window_levels(
    layer: Layer, levels: int, low: float, high: float
) -> NDArray[np.int16]:
    """Return which of equal classes of value each pixel is in, -1 where missing.

    Args:
        layer: The pixels.
        levels: Number of classes.
        low: Where the first begins; what lies below is in it too.
        high: Where the last ends; what lies above is in it too.
    """

    def make() -> NDArray[np.int16]:
        scaled = (layer.filled - low) * (levels / (high - low))
        classes = np.clip(np.floor(scaled), 0, levels - 1)
        return np.where(layer.valid, classes, -1).astype(np.int16)

    return layer.once(("levels", levels, low, high), make)
