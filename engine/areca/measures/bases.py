"""Pairs of vectors that span plane lattices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def reduced(bases: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two shortest vectors of each lattice: Lagrange's reduction.

    Args:
        bases: Two vectors of each, shape (..., 4): east and north of the one, of the
            other.

    Returns:
        Shape (..., 4), the shorter first; both point to the north half (or east), the
        second to the left of the first or not.
    """
    short, long = bases[..., :2], bases[..., 2:]
    for _ in range(8):  # each step shortens by a third or is the last
        swap = (dot(long, long) < dot(short, short))[..., None]
        short, long = np.where(swap, long, short), np.where(swap, short, long)
        with np.errstate(invalid="ignore", divide="ignore"):
            times = np.rint(dot(short, long) / dot(short, short))
        times = np.where(np.isfinite(times), times, 0.0)
        if not times.any():
            break
        long = long - times[..., None] * short
    swap = (dot(long, long) < dot(short, short))[..., None]
    short, long = np.where(swap, long, short), np.where(swap, short, long)
    return np.concatenate([_turned(short), _turned(long)], axis=-1)


def _turned(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors turned to azimuths from 0 to 180 degrees."""
    back = (vector[..., 0] < 0) | ((vector[..., 0] == 0) & (vector[..., 1] < 0))
    return np.where(back[..., None], -vector, vector)


def dot(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scalar products of vectors (..., 2)."""
    return np.asarray(one[..., 0] * other[..., 0] + one[..., 1] * other[..., 1])


def cross(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the areas that vectors (..., 2) span: above 0 to the left."""
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])
