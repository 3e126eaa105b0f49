"""Scores by box overlap, the way published crown benchmarks are scored.

Weinstein et al. 2021 (doi:10.1371/journal.pcbi.1009180) count a crown as found where
its box overlaps the label's box by an IoU of 0.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely
from scipy.optimize import linear_sum_assignment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.models.found import Detections


def score_overlap(
    found: Detections, boxes: NDArray[np.float64], *, min_iou: float
) -> dict[str, float | int]:
    """Score the bounding squares of detections against label boxes, one to one.

    Args:
        found: Detections in pixels of the image.
        boxes: Label boxes, shape (n, 4): x_min, y_min, x_max, y_max, px.
        min_iou: Pairs with a smaller intersection over union do not count.

    Returns:
        n_true, n_found, n_matched, recall, precision, f1 (four digits); 0 where there
        is nothing.
    """
    x, y, radius = (values.astype(float) for values in (found.x, found.y, found.radius))
    squares = shapely.box(x - radius, y - radius, x + radius, y + radius)
    matched = _count(
        np.asarray(squares, dtype=object),
        np.asarray(shapely.box(*boxes.T), dtype=object),
        min_iou,
    )
    total = len(found) + len(boxes)
    return {
        "n_true": len(boxes),
        "n_found": len(found),
        "n_matched": matched,
        "recall": round(matched / len(boxes), 4) if len(boxes) else 0.0,
        "precision": round(matched / len(found), 4) if len(found) else 0.0,
        "f1": round(2 * matched / total, 4) if total else 0.0,
    }


def _count(
    found: NDArray[np.object_], true: NDArray[np.object_], min_iou: float
) -> int:
    first, second = shapely.STRtree(true).query(found)
    common = shapely.area(shapely.intersection(found[first], true[second]))
    union = shapely.area(found[first]) + shapely.area(true[second]) - common
    overlap = np.zeros((len(found), len(true)))
    overlap[first, second] = common / union
    # As many pairs as can be; among those the largest overlap.
    gain = np.where(overlap >= min_iou, 1 + 1e-3 * overlap, 0)
    rows, cols = linear_sum_assignment(gain, maximize=True)
    return int((gain[rows, cols] > 0).sum())
