"""Views of a tile for test-time augmentation: the symmetries of the square (D4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from areca.inference.options import Augment


@dataclass(frozen=True, slots=True)
class View:
    """A tile mirrored left to right, or not, and then turned by quarters."""

    mirrored: bool
    quarters: int
    """Quarter turns counter-clockwise, 0 to 3."""

    @property
    def is_plain(self) -> bool:
        """Whether the view shows the tile as it lies."""
        return not self.mirrored and self.quarters == 0

    def of(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return tiles (..., tile, tile) as this view shows them."""
        seen = tiles[..., ::-1] if self.mirrored else tiles
        return np.ascontiguousarray(np.rot90(seen, self.quarters, axes=(-2, -1)))

    def undo(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what was predicted on this view, (..., tile, tile), as it lay."""
        turned = np.rot90(maps, -self.quarters, axes=(-2, -1))
        return turned[..., ::-1] if self.mirrored else turned

    def undo_points(
        self, points: NDArray[np.float64], edge: int
    ) -> NDArray[np.float64]:
        """Return points found on this view as they lie on the tile.

        Args:
            points: Shape (n, 2), x and y in tile pixels.
            edge: Edge of the tile, px.

        Returns:
            Shape (n, 2).
        """
        x, y = points.T
        for _ in range(self.quarters):
            x, y = edge - y, x
        return np.column_stack([edge - x if self.mirrored else x, y])

    def undo_candidates(self, found: pd.DataFrame, edge: int) -> pd.DataFrame:
        """Return candidates of this view, in tile pixels, as they lie on the tile.

        Args:
            found: A candidate table in tile pixels.
            edge: Edge of the tile, px.
        """
        if self.is_plain:
            return found
        one, other, centre = (
            self.undo_points(found[list(names)].to_numpy(), edge)
            for names in (("x_min", "y_min"), ("x_max", "y_max"), ("x", "y"))
        )
        low, high = np.minimum(one, other), np.maximum(one, other)
        placed = found.assign(
            x=centre[:, 0], y=centre[:, 1],
            x_min=low[:, 0], y_min=low[:, 1], x_max=high[:, 0], y_max=high[:, 1],
        )  # fmt: skip
        if "outline" in placed:
            shapes = shapely.from_wkb(placed["outline"].to_numpy())
            moved = shapely.transform(shapes, lambda p: self.undo_points(p, edge))
            placed["outline"] = shapely.to_wkb(moved)
        return placed


VIEWS: dict[Augment, tuple[View, ...]] = {
    "none": (View(mirrored=False, quarters=0),),
    "flips": tuple(View(mirrored=m, quarters=q) for m in (False, True) for q in (0, 2)),
    "d4": tuple(
        View(mirrored=m, quarters=q) for m in (False, True) for q in (0, 1, 2, 3)
    ),
}
"""Views of each kind of augmentation, in the fixed order in which they are added."""
