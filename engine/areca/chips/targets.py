"""What the network should answer on a crop: drawn from its circles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.labels import CircleLabels

SIGMA = 0.22
"""Width of a peak in radii. 0.22 of a 23 px crown is 5 px, a little over one cell: wide
enough to be learnt, narrow enough that touching crowns keep a valley between them."""
REGRESSION_RADIUS = 0.35
"""Cells within so many radii of a centre learn offset and radius."""
DOUBT_RADIUS = 0.6
"""Cells within so many radii of a doubtful centre have no loss."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """Targets of one crop on the cells of the head."""

    heat: NDArray[np.float32]
    """Shape (h, w), 1 in the cell of a centre, falling to 0 around it."""
    loss: NDArray[np.float32]
    """Shape (h, w), 1 where the heat map has a loss."""
    shape: NDArray[np.float32]
    """Shape (3, h, w): offset x and y in cells, ln(radius / px)."""
    weight: NDArray[np.float32]
    """Shape (2, h, w): weight of the offset and of the radius."""


def draw_targets(
    circles: CircleLabels,
    doubtful: CircleLabels,
    counted: NDArray[np.bool_],
    *,
    stride: int,
) -> Targets:
    """Draw the targets of one crop.

    A circle without a radius takes the median radius of the others for its peak (8
    cells if there are none) and trains no radius.

    Args:
        circles: Circles in pixels of the crop; those outside it still throw a peak.
        doubtful: Circles without loss.
        counted: Cells with a loss, shape (h, w).
        stride: Pixels per cell.

    Returns:
        The targets.
    """
    height, width = counted.shape
    targets = Targets(
        heat=np.zeros((height, width), np.float32),
        loss=counted.astype(np.float32),
        shape=np.zeros((3, height, width), np.float32),
        weight=np.zeros((2, height, width), np.float32),
    )
    for x, y, radius in zip(doubtful.x, doubtful.y, doubtful.radius, strict=True):
        reach = DOUBT_RADIUS * radius / stride
        window, dx, dy = _around(x / stride, y / stride, reach, counted.shape)
        targets.loss[window][np.hypot(dx, dy) <= reach] = 0
    known = circles.radius[np.isfinite(circles.radius)]
    typical = float(np.median(known)) if known.size else 8.0 * stride
    nearest = np.full((height, width), np.inf, np.float32)
    for x, y, radius in zip(circles.x, circles.y, circles.radius, strict=True):
        _draw_circle(
            targets, nearest, (x / stride, y / stride), (radius, typical), stride
        )
    targets.weight[:] *= counted
    return targets


def _draw_circle(
    targets: Targets,
    nearest: NDArray[np.float32],
    centre: tuple[float, float],
    radii: tuple[float, float],
    stride: int,
) -> None:
    radius, typical = radii
    size = (radius if np.isfinite(radius) else typical) / stride
    sigma = max(SIGMA * size, 0.6)
    window, dx, dy = _around(*centre, max(3 * sigma, 1.5), nearest.shape)
    if dx.size == 0:
        return
    distance = np.hypot(dx, dy)
    peak = np.exp(-(distance**2) / (2 * sigma**2))
    inside = (np.abs(dx) <= 0.5) & (np.abs(dy) <= 0.5)
    peak[inside] = 1.0
    np.maximum(targets.heat[window], peak, out=targets.heat[window])
    # Where two crowns meet, a cell belongs to the nearer centre.
    owned = (distance <= max(REGRESSION_RADIUS * size, 0.8)) & (
        distance < nearest[window]
    )
    nearest[window][owned] = distance[owned]
    targets.shape[0][window][owned] = dx[owned]
    targets.shape[1][window][owned] = dy[owned]
    targets.weight[0][window][owned] = peak[owned]
    targets.weight[1][window][owned] = peak[owned] if np.isfinite(radius) else 0.0
    if np.isfinite(radius):
        targets.shape[2][window][owned] = np.log(radius)


def _around(
    x: float, y: float, reach: float, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], NDArray[np.float32], NDArray[np.float32]]:
    """Return the cells within reach of a point, and the way from each to the point."""
    row0, row1 = (int(np.floor(y - reach)), int(np.ceil(y + reach)) + 1)
    col0, col1 = (int(np.floor(x - reach)), int(np.ceil(x + reach)) + 1)
    row0, row1 = max(row0, 0), min(max(row1, 0), shape[0])
    col0, col1 = max(col0, 0), min(max(col1, 0), shape[1])
    rows = np.arange(row0, max(row1, row0), dtype=np.float32) + 0.5
    cols = np.arange(col0, max(col1, col0), dtype=np.float32) + 0.5
    dy, dx = np.meshgrid(np.float32(y) - rows, np.float32(x) - cols, indexing="ij")
    return (slice(row0, max(row1, row0)), slice(col0, max(col1, col0))), dx, dy
