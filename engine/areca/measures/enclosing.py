"""The smallest circle around each of many convex hulls."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from areca.measures.hulls import first_largest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.measures.hulls import Hulls

SLACK = 1e-12
"""How far outside a circle a corner may lie by rounding, as a share of the square of
the radius."""
MOST_ROUNDS = 1000
"""Some ten are enough; the radius grows in each, so none can come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discs:
    """Circles, shape (object,) each, m."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    radius: NDArray[np.float64]


def enclosing_discs(
    hulls: Hulls, one: NDArray[np.intp], other: NDArray[np.intp]
) -> Discs:
    """Find the smallest circle around each hull.

    It is held by two or three corners. From the circle of the two furthest apart, the
    corner furthest outside comes in and a smallest circle of these few is found again
    (Welzl 1991, as an exchange of the basis: Gaertner 1999).

    Args:
        hulls: Convex hulls.
        one: A corner of each hull, shape (object,).
        other: The corner furthest from it, shape (object,).

    Returns:
        Centres and radii.
    """
    x, y = hulls.x, hulls.y
    basis = np.stack([one, other, other])
    middle_x, middle_y = (x[one] + x[other]) / 2, (y[one] + y[other]) / 2
    square = (x[one] - middle_x) ** 2 + (y[one] - middle_y) ** 2
    # The hulls whose circle is not found yet, and their corners.
    rows, corners, counts = np.arange(len(one)), np.arange(len(x)), hulls.counts
    for _ in range(MOST_ROUNDS):
        at = np.repeat(rows, counts)
        out = (x[corners] - middle_x[at]) ** 2 + (y[corners] - middle_y[at]) ** 2
        worst = first_largest(out, np.cumsum(counts) - counts)
        wider = out[worst] > square[rows] * (1 + SLACK)
        if not wider.any():
            break
        rows, worst = rows[wider], corners[worst[wider]]
        corners, counts = corners[np.repeat(wider, counts)], counts[wider]
        points = np.concatenate([basis[:, rows], worst[None]])
        held, middle_x[rows], middle_y[rows], square[rows] = _smallest(
            x[points], y[points]
        )
        basis[:, rows] = np.take_along_axis(points, held, axis=0)
    return Discs(x=middle_x, y=middle_y, radius=np.sqrt(square))


def _smallest(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[
    NDArray[np.intp], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]
]:
    """Find the smallest circle around four points, the last of which is on it.

    Returns:
        Which points hold it, shape (3, n), one of them twice if there are two; x and y
        of its middle and the square of its radius, shape (n,) each.
    """
    held = [(i, 3, 3) for i in range(3)]
    held += [(i, j, 3) for i, j in combinations(range(3), 2)]
    middles = [
        _between(x[i], y[i], x[k], y[k])
        if j == k
        else _through(x[[i, j, k]], y[[i, j, k]])
        for i, j, k in held
    ]
    middle_x, middle_y = (np.stack(part) for part in zip(*middles, strict=True))
    # The circle wanted is around one of these middles; around the others it is wider.
    square = ((middle_x[:, None] - x) ** 2 + (middle_y[:, None] - y) ** 2).max(axis=1)
    best = np.where(np.isfinite(square), square, np.inf).argmin(axis=0)
    chosen = best, np.arange(len(best))
    return np.array(held).T[:, best], middle_x[chosen], middle_y[chosen], square[chosen]


def _between(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    other_x: NDArray[np.float64],
    other_y: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (x + other_x) / 2, (y + other_y) / 2


def _through(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middle of the circle through three points, shape (3, n) each.

    Not finite where two are equal or all lie on a line.
    """
    (bx, cx), (by, cy) = x[1:] - x[0], y[1:] - y[0]
    b, c = bx * bx + by * by, cx * cx + cy * cy
    with np.errstate(divide="ignore", invalid="ignore"):
        half = 0.5 / (bx * cy - by * cx)
        return x[0] + (cy * b - by * c) * half, y[0] + (bx * c - cx * b) * half
