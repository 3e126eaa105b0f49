"""Detections of several views of one tile to one score for each object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from areca.objects.nms import best_first, box_overlap

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def merge_views(
    candidates: pd.DataFrame,
    *,
    last: NDArray[np.bool_],
    views: int,
    overlap: float,
    smallest: bool,
) -> pd.DataFrame:
    """Return each object of a tile once for all views that show it.

    The best candidate that is left takes from every other view the one of its label
    that overlaps it most, if by more than the threshold; repeat. The object is where
    its best candidate is. A view that does not show it counts as a score of 0.

    Args:
        candidates: A candidate table of n rows, in one frame whatever the view, with a
            column `view` (0 to views - 1).
        last: Shape (n,), candidates that lead no object while others are left.
        views: How many views there were.
        overlap: Intersection over union of boxes above which two are one object.
        smallest: Whether the score is the smallest of all views, else the mean.

    Returns:
        The leading rows with their new score, best leader first; without `view`.
    """
    order = best_first(candidates)
    order = order[np.lexsort([np.arange(len(order)), last[order]])]
    leaders, scores = _objects(candidates, overlap, order)
    every = np.zeros((len(leaders), views), np.float64)
    for row, found in zip(every, scores, strict=True):
        row[list(found)] = list(found.values())
    # Summed view by view: NumPy's own order depends on the shape.
    mean = np.asarray(sum(every.T, np.zeros(len(every)))) / views
    merged = every.min(axis=1) if smallest else mean
    rows = candidates.drop(columns="view").iloc[leaders]
    return rows.assign(score=merged.astype(np.float32)).reset_index(drop=True)


def _objects(
    candidates: pd.DataFrame, overlap: float, order: NDArray[np.intp]
) -> tuple[list[int], list[dict[int, float]]]:
    """Return the leader of each object, and its scores by view."""
    bounds = candidates[["x_min", "y_min", "x_max", "y_max"]].to_numpy()
    names = ("label", "view", "score")
    label, view, score = (candidates[name].to_numpy() for name in names)
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    boxes = shapely.box(*bounds.T)
    tree = shapely.STRtree(boxes)
    taken = np.zeros(len(candidates), bool)
    leaders, scores = [], []
    for leader in order.tolist():
        if taken[leader]:
            continue
        taken[leader] = True
        found = {int(view[leader]): float(score[leader])}
        # Leader by leader: all pairs at once take gigabytes where many boxes overlap.
        near = tree.query(boxes[leader])
        free = ~taken[near] & (label[near] == label[leader])
        near = near[free & (view[near] != view[leader])]
        share = box_overlap(bounds[[leader] * len(near)], bounds[near])
        best = np.lexsort([rank[near], -share])
        for partner in near[best][share[best] > overlap].tolist():
            if int(view[partner]) not in found:
                taken[partner] = True
                found[int(view[partner])] = float(score[partner])
        leaders.append(leader)
        scores.append(found)
    return leaders, scores
