"""One-to-one matching of found and true centres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """Pairs of found and true centres, each centre in at most one pair."""

    found: NDArray[np.intp]
    """Rows of the found centres, shape (k,)."""
    true: NDArray[np.intp]
    """Rows of the true centres, shape (k,)."""
    distance_m: NDArray[np.float64]
    """Distance of each pair, shape (k,), m."""


def match_centres(
    found_xy: NDArray[np.float64], true_xy: NDArray[np.float64], max_distance_m: float
) -> Matches:
    """Match as many centres as can be, and among those ways the nearest.

    Each connected group of candidates is solved exactly (Hungarian method), so the
    result does not depend on the order of the rows.

    Args:
        found_xy: Found centres, shape (n, 2), m.
        true_xy: True centres, shape (m, 2), m.
        max_distance_m: Centres further apart than this are no pair.

    Returns:
        The pairs, ordered by the row of the true centre.
    """
    none = np.empty(0, np.intp)
    if len(found_xy) == 0 or len(true_xy) == 0:
        return Matches(found=none, true=none, distance_m=np.empty(0))
    near = cKDTree(found_xy).sparse_distance_matrix(
        cKDTree(true_xy), max_distance_m, output_type="coo_matrix"
    )
    row, col, distance = near.row, near.col, near.data
    size = len(found_xy) + len(true_xy)
    ones = np.ones(len(row), np.int8)
    graph = coo_array((ones, (row, col + len(found_xy))), (size, size))
    group = connected_components(graph, directed=False)[1][row]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    pairs = [
        _solve(row[part], col[part], distance[part], max_distance_m)
        for part in np.split(order, starts[1:])
        if part.size
    ]
    if not pairs:
        return Matches(found=none, true=none, distance_m=np.empty(0))
    found, true, metres = (
        np.concatenate(values) for values in zip(*pairs, strict=True)
    )
    by_true = np.argsort(true, kind="stable")
    return Matches(found=found[by_true], true=true[by_true], distance_m=metres[by_true])


def _solve(
    row: NDArray[np.intp],
    col: NDArray[np.intp],
    distance: NDArray[np.float64],
    max_distance_m: float,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    rows, row_index = np.unique(row, return_inverse=True)
    cols, col_index = np.unique(col, return_inverse=True)
    # One more pair must always beat any saving in distance.
    forbidden = max_distance_m * (min(len(rows), len(cols)) + 1) + 1
    cost = np.full((len(rows), len(cols)), forbidden)
    cost[row_index, col_index] = distance
    first, second = linear_sum_assignment(cost)
    kept = cost[first, second] < forbidden
    first, second = first[kept], second[kept]
    return rows[first], cols[second], cost[first, second]
