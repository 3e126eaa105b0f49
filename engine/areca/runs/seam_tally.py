"""Counts of objects and class changes by their distance to the lattice lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from areca.errors import GridError
from areca.objects import NODATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.tiles import BlockGrid, Window

RADIUS_STEPS = 256
"""Radii are summed in whole 1/256 pixel, so that sums do not depend on their order."""
QUANTITIES = (
    "objects", "ground", "doubled", "measured", "radius", "radius_squared", "changes",
    "pairs",
)  # fmt: skip
AXES = ("horizontal", "vertical")
"""Horizontal lines cut the rows of pixels (y), vertical ones the columns (x)."""
KINDS = ("tile", "block")
"""Every lattice line is one of the two: blocks meet at block lines, tiles of one block
at tile lines."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeamTally:
    """Counts by phase; those of parts add up to those of the whole, exactly."""

    tiles: tuple[int, int]
    """Tiles in a block, down and across."""
    counts: NDArray[np.int64]
    """Shape (quantity, axis, kind, phase), in the order of `QUANTITIES`, `AXES` and
    `KINDS`; phase `core_px // 2` is the first pixel after a line."""

    @classmethod
    def empty(cls, grid: BlockGrid) -> SeamTally:
        """Return the tally of nothing."""
        shape = (len(QUANTITIES), len(AXES), len(KINDS), grid.lattice.core_px)
        tiles = (grid.tiles_down, grid.tiles_across)
        return cls(tiles=tiles, counts=np.zeros(shape, np.int64))

    @property
    def core_px(self) -> int:
        """Distance between two lines, pixels."""
        return int(self.counts.shape[-1])

    def __add__(self, other: SeamTally) -> SeamTally:
        if (self.core_px, self.tiles) != (other.core_px, other.tiles):
            raise GridError(
                f"tallies are of two grids: cores of {self.core_px} and "
                f"{other.core_px} px, blocks of {self.tiles} and {other.tiles} tiles. "
                "Tally both with the block grid of one run"
            )
        return SeamTally(tiles=self.tiles, counts=self.counts + other.counts)

    def add(
        self, quantity: str, axis: int, position: NDArray[Any], value: NDArray[Any]
    ) -> None:
        """Add whole numbers at absolute rows (axis 0) or columns (axis 1), in place."""
        line, phase = np.divmod(position + self.core_px // 2, self.core_px)
        kind = (line % self.tiles[axis] == 0).astype(np.int64)
        target = self.counts[QUANTITIES.index(quantity), axis]
        np.add.at(target, (kind, phase), value)


def tally_objects(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    radius_px: NDArray[np.float64],
    *,
    grid: BlockGrid,
    window: Window,
) -> SeamTally:
    """Count the objects of one window by their distance to the lines.

    Objects within an eighth of a core of the edge of the imagery are left out: what the
    edge cuts must not be blamed on a line that runs along it.

    Args:
        x: Columns of the centres, shape (n,), absolute pixels.
        y: Rows of the centres, shape (n,), absolute pixels.
        radius_px: Shape (n,), pixels; NaN where not measured.
        grid: The blocks of the run.
        window: The ground to count, such as one block's window; windows whose tallies
            are added must not overlap. Objects outside it are neighbours only: one
            whose radius reaches another centre counts as doubled, so hand over those
            up to a radius beyond it.

    Returns:
        The tally.
    """
    tally = SeamTally.empty(grid)
    ground = _away_from_edge(grid, window)
    if ground is None:
        return tally
    inside = (x >= ground.col0) & (x < ground.col1)
    inside &= (y >= ground.row0) & (y < ground.row1)
    radius = radius_px[inside]
    steps = np.rint(np.nan_to_num(radius) * RADIUS_STEPS).astype(np.int64)
    centres = np.column_stack([x, y])
    # The nearest centre is the object's own, the second nearest is its neighbour's.
    gap = cKDTree(centres).query(centres[inside], k=2)[0][:, 1] if inside.any() else []
    spans = (np.arange(ground.row0, ground.row1), np.arange(ground.col0, ground.col1))
    for axis, centre in enumerate((y, x)):
        place = np.floor(centre[inside]).astype(np.int64)
        tally.add("objects", axis, place, np.ones_like(place))
        tally.add("doubled", axis, place, gap < radius)
        tally.add("measured", axis, place, np.isfinite(radius))
        tally.add("radius", axis, place, steps)
        tally.add("radius_squared", axis, place, steps**2)
        span = spans[axis]
        tally.add("ground", axis, span, np.full_like(span, spans[1 - axis].size))
    return tally


def tally_raster(
    labels: NDArray[np.uint8],
    window: Window,
    *,
    grid: BlockGrid,
    own: Window | None = None,
) -> SeamTally:
    """Count the changes of class between neighbouring pixels by phase.

    A pair of pixels belongs to its right or lower pixel. To see the pairs across a
    block's first row and column, hand over one row and column more and say in `own`
    which pixels are the block's: then every pair of a mosaic is counted once.

    Args:
        labels: Classes, shape (row, col); 255 is no data, and its pairs do not count.
        window: Where the labels lie, absolute pixels.
        grid: The blocks of the run.
        own: Pixels to count, inside `window`; all when left out.

    Returns:
        The tally.

    Raises:
        GridError: The labels do not fill the window, or `own` reaches beyond it.
    """
    if labels.shape != (window.height, window.width):
        raise GridError(
            f"labels of shape {labels.shape} do not fill {window}, which has "
            f"{window.height} rows and {window.width} columns; pass the window they "
            "were read from"
        )
    rows, cols = (own or window).slices_in(window)
    tally = SeamTally.empty(grid)
    first = (window.row0, window.col0)
    for axis, part in enumerate((labels[:, cols], labels[rows].T)):
        start, stop, _ = (rows, cols)[axis].indices(part.shape[0])
        before, after = part[max(start, 1) - 1 : stop - 1], part[max(start, 1) : stop]
        known = (before != NODATA) & (after != NODATA)
        place = first[axis] + np.arange(max(start, 1), max(start, 1) + len(after))
        changes = np.count_nonzero(known & (before != after), axis=1)
        tally.add("changes", axis, place, changes)
        tally.add("pairs", axis, place, np.count_nonzero(known, axis=1))
    return tally


def _away_from_edge(grid: BlockGrid, window: Window) -> Window | None:
    """Return the part of a window that is well inside the imagery, if any."""
    margin, region = grid.lattice.core_px // 8, grid.region
    if min(region.height, region.width) <= 2 * margin:
        return None
    return region.grow(-margin).intersection(window)
