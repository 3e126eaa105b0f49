"""The area of interest on a lattice: it selects objects by centre, never pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio.features import geometry_mask

from areca.errors import AoiError
from areca.tiles import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from areca.tiles import Block, Lattice

STEPS_ACROSS = 100
"""An edge of the area is cut into this many steps, because a line that is straight in
longitude and latitude is not straight in a projection."""


@dataclass(frozen=True)
class Area:
    """An area of interest in absolute pixels of a lattice."""

    shape: BaseGeometry
    """Polygons; x to the right, y down."""

    @classmethod
    def of(cls, aoi: BaseGeometry, lattice: Lattice) -> Area:
        """Bring an area to a lattice.

        Args:
            aoi: Polygons in EPSG:4326.
            lattice: The lattice to bring it to.

        Returns:
            The area in absolute pixels.

        Raises:
            AoiError: The area cannot be placed in the CRS of the lattice.
        """
        to_crs = Transformer.from_crs("EPSG:4326", lattice.crs, always_xy=True)
        west, south, east, north = aoi.bounds
        step = max(east - west, north - south) / STEPS_ACROSS
        fine = aoi.segmentize(step) if step > 0 else aoi
        placed = shapely.transform(
            fine, lambda points: np.column_stack(to_crs.transform(*points.T))
        )
        if not np.isfinite(placed.bounds).all():
            raise AoiError(
                f"the area of interest {aoi.bounds} does not exist in {lattice.crs}; "
                "check the order west,south,east,north"
            )
        pixels = shapely.transform(
            placed, lambda points: np.column_stack(lattice.to_pixels(*points.T))
        )
        return cls(pixels)

    def select(self, candidates: pd.DataFrame) -> pd.DataFrame:
        """Return the rows whose centre lies in the area or on its edge."""
        return candidates[self.holds(candidates)].reset_index(drop=True)

    def holds(self, candidates: pd.DataFrame) -> NDArray[np.bool_]:
        """Tell which rows have their centre in the area or on its edge.

        Args:
            candidates: A candidate table of n rows.

        Returns:
            Shape (n,).
        """
        shapely.prepare(self.shape)
        names = ("centre_x", "centre_y") if "centre_x" in candidates else ("x", "y")
        centres = (candidates[name].to_numpy() for name in names)
        inside = np.asarray(shapely.intersects_xy(self.shape, *centres))
        if "centre_x" in candidates and len(candidates):
            # The region of a class may have its centre where it is not.
            outlines = shapely.from_wkb(candidates["outline"].to_numpy(object))
            inside &= shapely.intersects(outlines, self.shape)
        return inside

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Tell which pixels of a window have their centre in the area.

        Args:
            window: Absolute pixels.

        Returns:
            Shape (height, width).
        """
        corner = Affine.translation(window.col0, window.row0)
        shape = (window.height, window.width)
        return np.asarray(
            geometry_mask([self.shape], shape, transform=corner, invert=True)
        )

    def covers(self, window: Window) -> bool:
        """Tell whether the area holds all of a window.

        Args:
            window: Absolute pixels.

        Returns:
            True only if each of its pixels has its centre in the area.
        """
        shapely.prepare(self.shape)
        return bool(shapely.covers(self.shape, window_box(window)))

    def window(self, influence_px: int) -> Window:
        """Return the pixels around what the objects of the area depend on."""
        return Window.around(self.shape.bounds).grow(influence_px)

    def pick(self, blocks: Iterable[Block], influence_px: int) -> list[Block]:
        """Return those of some blocks that the objects of the area depend on.

        An object depends on the candidates that it overlaps, and these on theirs. Only
        a chain of rivals longer than `influence_px` could reach further; a regional
        run looks for such chains.

        Args:
            blocks: Blocks of the region.
            influence_px: By how much to grow the area (`Predictor.influence_px`).

        Returns:
            The blocks, in the order given.
        """
        needed = self.shape.buffer(influence_px)
        shapely.prepare(needed)
        return [b for b in blocks if needed.intersects(window_box(b.window))]


def window_box(window: Window) -> shapely.Polygon:
    """Return a window as a polygon in absolute pixels."""
    return shapely.box(window.col0, window.row0, window.col1, window.row1)
