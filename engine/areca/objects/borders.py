"""Runs of pixels along the edge of a block: what decides which pieces meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

BORDER = ("side", "line", "start", "stop", "part")
"""Columns of the runs in `border`, int64: side of the block (0 top, 1 right, 2 bottom,
3 left), the pixel edge of that side, the half-open run along it, all in absolute
pixels, and the polygon of the outline that the pixels belong to."""


def pair_up(
    one: tuple[NDArray[np.int64], NDArray[np.int64]],
    other: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    corners: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which runs of one side of a line touch which of the other side.

    Args:
        one: Starts and stops of disjoint half-open runs, shape (n,) each.
        other: The same of the other side, shape (m,), ascending.
        corners: Whether runs touch that only meet end to end: in a corner.

    Returns:
        Positions in one and in the other, shape (k,) each.

    Example:
        >>> above = np.array([0, 5]), np.array([3, 6])
        >>> below = np.array([1, 6]), np.array([2, 9])
        >>> pair_up(above, below, corners=False)
        (array([0]), array([0]))
        >>> pair_up(above, below, corners=True)
        (array([0, 1]), array([0, 1]))
    """
    begin = np.searchsorted(other[1], one[0], side="left" if corners else "right")
    end = np.searchsorted(other[0], one[1], side="right" if corners else "left")
    times = np.maximum(end - begin, 0)
    first = np.repeat(np.arange(len(times)), times)
    offset = np.arange(len(first)) - np.repeat(np.cumsum(times) - times, times)
    return first, np.repeat(begin, times) + offset


def pack_borders(runs: NDArray[np.int64], count: int) -> list[bytes]:
    """Return the border of each of some regions, with runs that continue joined.

    Args:
        runs: Shape (n, 6): region, then the columns of `BORDER`.
        count: Number of regions.

    Returns:
        Bytes of int64, shape (run, 5), ordered by side, line and start; empty for
        regions without runs.
    """
    region, side, line, start = runs[:, :4].T
    runs = runs[np.lexsort((start, line, side, region))]
    goes_on = (runs[1:, [0, 1, 2, 5]] == runs[:-1, [0, 1, 2, 5]]).all(axis=1)
    goes_on &= runs[1:, 3] == runs[:-1, 4]
    first = np.flatnonzero(np.append(True, ~goes_on)[: len(runs)])
    last = np.append(first[1:], len(runs))[: len(first)] - 1
    joined = runs[first]
    joined[:, 4] = runs[last, 4]
    borders = [b""] * count
    regions, begins = np.unique(joined[:, 0], return_index=True)
    for number, own in zip(regions, np.split(joined[:, 1:], begins[1:]), strict=False):
        borders[number] = own.tobytes()
    return borders


def unpack_borders(borders: pd.Series) -> NDArray[np.int64]:
    """Return the runs of all borders.

    Args:
        borders: What `pack_borders` returned, n rows.

    Returns:
        Shape (run, 6): position in `borders`, then the columns of `BORDER`.
    """
    runs = np.frombuffer(b"".join(borders), np.int64).reshape(-1, len(BORDER))
    counts = borders.map(len).to_numpy(np.int64) // (8 * len(BORDER))
    return np.column_stack([np.repeat(np.arange(len(borders)), counts), runs])


def meetings(
    borders: NDArray[np.int64], label: NDArray[np.int64], *, corners: bool
) -> NDArray[np.int64]:
    """Return the pairs of runs of one class that touch across an edge of blocks.

    Pixels of two blocks that touch in a corner also meet end to end along a row or a
    column of pixel edges, so the four blocks around a corner are no special case.

    Args:
        borders: What `unpack_borders` returned, n runs.
        label: Class of each run, shape (n,).
        corners: Whether pixels touch by their corners, too.

    Returns:
        Positions in `borders`, shape (2, k).
    """
    found = [np.empty((2, 0), np.int64)]
    top, right, bottom, left = (np.flatnonzero(borders[:, 1] == n) for n in range(4))
    for one, other in ((bottom, top), (right, left)):
        if not len(one) or not len(other):
            continue
        both = np.concatenate([one, other[np.argsort(borders[other, 3])]])
        # One stretch of numbers per pixel edge and class, with room between them.
        classes, number = np.unique(label[both], return_inverse=True)
        lines = borders[both, 2] * len(classes) + number
        _, line = np.unique(lines, return_inverse=True)
        lowest = borders[both, 3].min()
        offset = line * (borders[both, 4].max() - lowest + 2) - lowest
        start, stop = borders[both, 3] + offset, borders[both, 4] + offset
        order = len(one) + np.argsort(start[len(one) :])
        first, second = pair_up(
            (start[: len(one)], stop[: len(one)]),
            (start[order], stop[order]),
            corners=corners,
        )
        found.append(np.stack([one[first], both[order[second]]]))
    return np.concatenate(found, axis=1)
