"""Scores of detections against labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from areca.evaluation.match import match_centres

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.labels import CircleLabels
    from areca.models.found import Detections


@dataclass(frozen=True, kw_only=True)
class DetectionScores:
    """Scores on one piece of ground; NaN where there is nothing to score."""

    n_true: int
    """Labels that count."""
    n_found: int
    """Detections on the ground."""
    n_matched: int
    """Labels that count and have a detection."""
    recall: float
    """Share of the labels that count which have a detection."""
    precision: float
    """Share of the detections that have a label, counting or not."""
    f1: float
    """Harmonic mean of recall and precision."""
    radius_bias: float
    """Mean of found radius / true radius - 1 over the matched."""
    centre_error_median_m: float
    """Median distance of matched centres, m."""

    def rounded(self) -> dict[str, int | float | None]:
        """Return the scores as plain data, four digits; None for NaN."""
        return {
            name: value
            if isinstance(value, int)
            else (round(value, 4) if np.isfinite(value) else None)
            for name, value in asdict(self).items()
        }


def score_detections(
    found: Detections,
    true: CircleLabels,
    *,
    ground: NDArray[np.bool_],
    resolution_m: float,
    max_distance_m: float,
    counted: NDArray[np.bool_] | None = None,
) -> DetectionScores:
    """Score detections on one piece of ground.

    Matching is done over the whole image and the ground chosen after it, so that a
    pair that straddles the rim of the ground is no error. What ground a pair belongs
    to is decided by the label for recall and by the detection for precision.

    Args:
        found: Detections in pixels of the image.
        true: Labels in pixels of the image.
        ground: Pixels that are scored, shape (height, width).
        resolution_m: Ground pixel, m.
        max_distance_m: Largest distance of a pair, m.
        counted: Labels that count for recall, shape (n,); all if not given.

    Returns:
        The scores.
    """
    xy = np.column_stack([found.x, found.y]).astype(float)
    pairs = match_centres(xy * resolution_m, true.xy * resolution_m, max_distance_m)
    wanted = true.on(ground)
    if counted is not None:
        wanted &= counted
    on_ground = _on(found, ground)
    hit = wanted[pairs.true]
    true_hits = np.isin(np.flatnonzero(on_ground), pairs.found).sum()
    recall = _share(int(hit.sum()), int(wanted.sum()))
    precision = _share(int(true_hits), int(on_ground.sum()))
    ratio = found.radius[pairs.found[hit]] / true.radius[pairs.true[hit]] - 1
    ratio = ratio[np.isfinite(ratio)]
    together = recall + precision
    return DetectionScores(
        n_true=int(wanted.sum()),
        n_found=int(on_ground.sum()),
        n_matched=int(hit.sum()),
        recall=recall,
        precision=precision,
        f1=2 * recall * precision / together if together > 0 else together,
        radius_bias=float(ratio.mean()) if ratio.size else float("nan"),
        centre_error_median_m=(
            float(np.median(pairs.distance_m[hit])) if hit.any() else float("nan")
        ),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _on(found: Detections, ground: NDArray[np.bool_]) -> NDArray[np.bool_]:
    height, width = ground.shape
    col = np.clip(np.floor(found.x).astype(int), 0, width - 1)
    row = np.clip(np.floor(found.y).astype(int), 0, height - 1)
    on: NDArray[np.bool_] = ground[row, col]
    return on
