"""Greedy non-maximum suppression, exact and independent of how rows are ordered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from areca.errors import RunError
from areca.objects.groups import number_groups
from areca.objects.identity import cell_keys

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LARGEST_COMPONENT = 1_000_000
"""Below an overlap of about 0.1 a chain of touching crowns can span a plantation, and
one component would have to fit in the memory of one process."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Pairs of candidates of one label that touch."""

    first: NDArray[np.intp]
    """Shape (k,), row of one candidate of a pair."""
    second: NDArray[np.intp]
    """Shape (k,), row of the other; always larger than `first`."""
    rivals: NDArray[np.bool_]
    """Shape (k,), whether the two overlap more than the threshold."""
    count: int
    """Number of candidates."""

    def components(self) -> NDArray[np.int64]:
        """Return the connected component of each candidate, shape (n,)."""
        return number_groups(self.count, self.first, self.second)


def find_overlaps(candidates: pd.DataFrame, threshold: float) -> Overlaps:
    """Find the pairs that suppression must look at together.

    A pair belongs together when its boxes have an intersection over union above the
    threshold (rivals), or when its centres share one identity cell (so that their
    rank among equals is settled in one place).

    Args:
        candidates: A candidate table of n rows.
        threshold: Intersection over union, 0 to 1.

    Returns:
        The pairs.
    """
    bounds = candidates[["x_min", "y_min", "x_max", "y_max"]].to_numpy()
    boxes = shapely.box(*bounds.T)
    first, second = shapely.STRtree(boxes).query(boxes)
    label = candidates["label"].to_numpy()
    wanted = (first < second) & (label[first] == label[second])
    first, second = first[wanted], second[wanted]
    rivals = box_overlap(bounds[first], bounds[second]) > threshold
    cells = cell_keys(candidates)
    together = rivals | (cells[first] == cells[second]).all(axis=1)
    return Overlaps(
        first[together], second[together], rivals[together], len(candidates)
    )


def suppress(candidates: pd.DataFrame, overlaps: Overlaps) -> NDArray[np.bool_]:
    """Keep the best candidate of each group of rivals, class by class.

    The answer is that of greedy suppression in the order (score, y, x, label, tile):
    take the best that is left, drop its rivals, repeat. It runs in rounds: whoever has
    no better rival left is kept, and its rivals fall (the standard parallel form of
    the greedy algorithm; equal to `torchvision.ops.batched_nms` where scores differ).

    Args:
        candidates: A candidate table of n rows.
        overlaps: Its overlaps.

    Returns:
        Shape (n,), True for the rows that stay.
    """
    rank = np.empty(len(candidates), np.intp)
    rank[best_first(candidates)] = np.arange(len(candidates))
    return keep_best(overlaps, rank)


def keep_best(overlaps: Overlaps, rank: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Keep the best of each group of rivals.

    Args:
        overlaps: The rivals among n candidates.
        rank: Shape (n,), 0 for the best candidate.

    Returns:
        Shape (n,), True for those that stay.
    """
    first, second = overlaps.first[overlaps.rivals], overlaps.second[overlaps.rivals]
    first_wins = rank[first] < rank[second]
    better = np.where(first_wins, first, second)
    worse = np.where(first_wins, second, first)
    dropped = np.zeros(overlaps.count, np.bool_)
    while len(better):
        beaten = np.zeros(overlaps.count, np.bool_)
        beaten[worse] = True
        dropped[worse[~beaten[better]]] = True
        open_pair = ~dropped[better] & ~dropped[worse]
        better, worse = better[open_pair], worse[open_pair]
    return ~dropped


def check_components(components: NDArray[np.int64]) -> None:
    """Refuse a component that no single process should hold.

    Args:
        components: Shape (n,), the component of each candidate.

    Raises:
        RunError: One component has more than `LARGEST_COMPONENT` candidates.
    """
    largest = int(np.bincount(components).max()) if len(components) else 0
    if largest > LARGEST_COMPONENT:
        raise RunError(
            f"{largest} candidates overlap in one chain, more than "
            f"{LARGEST_COMPONENT}: the overlap threshold is too low to tell objects "
            "apart. Raise nms_overlap (0.3 or more for crowns)"
        )


def best_first(candidates: pd.DataFrame) -> NDArray[np.intp]:
    """Return the order of suppression: by score, y, x, label, tile.

    Args:
        candidates: A candidate table of n rows.

    Returns:
        Shape (n,), the row of the best candidate first.
    """
    columns = ("tile_col", "tile_row", "label", "x", "y")
    keys = [candidates[name].to_numpy() for name in columns]
    return np.lexsort([*keys, -candidates["score"].to_numpy()])


def box_overlap(
    one: NDArray[np.float64], other: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the intersection over union of pairs of boxes.

    Args:
        one: Shape (n, 4): left, top, right and bottom of one box of each pair.
        other: The same of the other.

    Returns:
        Shape (n,), 0 to 1; 0 where neither has an area.
    """
    low = np.maximum(one[:, :2], other[:, :2])
    high = np.minimum(one[:, 2:], other[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = [np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (one, other)]
    union = areas[0] + areas[1] - common
    share = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return np.asarray(share)
