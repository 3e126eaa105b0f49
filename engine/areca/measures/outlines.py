"""Outlines of many polygons as one array, and how far places are from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from areca.measures.rings import Rings

PAIRS = 1 << 17
"""Pairs of place and edge at a time: they stay in the cache."""


class Outlines:
    """Outlines of like length, shape (outline, edge) each.

    Short ones are filled up with edges of no length.
    """

    def __init__(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        end_x: NDArray[np.float64],
        end_y: NDArray[np.float64],
        *,
        dense: bool,
    ) -> None:
        """Keep edges from (x, y) to (end_x, end_y).

        `dense` says that points lie so close that the distance to them will do.
        """
        self.x, self.y = x, y
        self._end_y = end_y
        self._along_x, self._along_y = end_x - x, end_y - y
        square = self._along_x**2 + self._along_y**2
        self._per_square = 1 / np.where(square > 0, square, 1.0)
        # Single precision is 10,000 times finer than what the points leave out.
        self._points = (x.astype(np.float32), y.astype(np.float32)) if dense else None

    def distances(
        self, x: NDArray[np.float64], y: NDArray[np.float64], row: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Return the distance of places to outlines, shape (n,).

        It may be too large, by 0.8 %, but not too small.
        """
        if self._points is None:
            return self.exact_distances(x, y, row)
        found = np.empty(len(x))
        for part in self._parts(len(x)):
            east, north = (points[row[part]] for points in self._points)
            east -= x[part, None].astype(np.float32)
            north -= y[part, None].astype(np.float32)
            east *= east
            north *= north
            east += north
            found[part] = east.min(axis=1)
        return np.sqrt(found)

    def exact_distances(
        self, x: NDArray[np.float64], y: NDArray[np.float64], row: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Return the distance of places to the edges of outlines, shape (n,)."""
        found = np.empty(len(x))
        for part in self._parts(len(x)):
            at = row[part]
            east, north = x[part, None] - self.x[at], y[part, None] - self.y[at]
            along_x, along_y = self._along_x[at], self._along_y[at]
            share = east * along_x
            share += north * along_y
            share *= self._per_square[at]
            np.clip(share, 0.0, 1.0, out=share)
            along_x *= share
            along_y *= share
            east -= along_x
            north -= along_y
            east *= east
            north *= north
            east += north
            found[part] = east.min(axis=1)
        return np.sqrt(found)

    def cover(
        self, x: NDArray[np.float64], y: NDArray[np.float64], row: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """Return whether places lie inside, shape (n,).

        A ray to the east then crosses the outline an odd number of times.
        """
        found = np.empty(len(x), dtype=bool)
        for part in self._parts(len(x)):
            at, north = row[part], y[part, None]
            place, edge = np.nonzero((self.y[at] > north) != (self._end_y[at] > north))
            at = at[place]
            rise = self._along_y[at, edge]
            over = y[part][place] - self.y[at, edge]
            east = x[part][place] - self.x[at, edge]
            # Where the ray meets the edge, without a division by a small rise.
            right = (east * rise < self._along_x[at, edge] * over) == (rise > 0)
            count = np.bincount(place[right], minlength=len(north))
            found[part] = count % 2 == 1
        return found

    def _parts(self, count: int) -> Iterator[slice]:
        step = max(1, PAIRS // self.x.shape[1])
        for start in range(0, count, step):
            yield slice(start, start + step)


def cut_outlines(
    rings: Rings, pieces: NDArray[np.intp], width: int, *, dense: bool
) -> Outlines:
    """Cut the edges of rings into pieces.

    Args:
        rings: Of some objects.
        pieces: How many to make of the edge that begins at each vertex, shape
            (vertex,); 0 where a ring ends.
        width: Pieces of each outline when it is filled up; none has more.
        dense: What `Outlines` wants to know.

    Returns:
        One outline for each object.
    """
    begin = np.flatnonzero(pieces)
    count = pieces[begin]
    last = np.cumsum(count) - 1
    counts = np.bincount(
        np.repeat(rings.owner, rings.lengths), pieces, minlength=rings.owner[-1] + 1
    ).astype(np.intp)[:, None]
    place = np.arange(width)
    at = np.cumsum(counts, axis=0) - counts + np.minimum(place, counts - 1)
    spare = place >= counts
    cut = len(last) < np.sum(count)
    share = (np.arange(last[-1] + 1) - np.repeat(last - count + 1, count)) / np.repeat(
        count, count
    )

    def ends(
        values: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        here, there = values[begin], values[begin + 1]
        if not cut:
            return here[at], np.where(spare, here[at], there[at])
        one = np.repeat(here, count) + share * np.repeat(there - here, count)
        # A piece ends exactly where the next one begins, or rays slip between them.
        other = np.roll(one, -1)
        other[last] = there
        return one[at], np.where(spare, one[at], other[at])

    (x, end_x), (y, end_y) = ends(rings.x), ends(rings.y)
    return Outlines(x, y, end_x, end_y, dense=dense)
