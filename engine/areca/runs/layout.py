"""The ground of a run: its blocks, its area of interest, and what is shown of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from areca.inference import Area
from areca.runs.quicklook import assemble, step_of
from areca.tiles import BlockGrid

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox
    from PIL import Image
    from shapely.geometry.base import BaseGeometry

    from areca.runs.folder import RunFolder
    from areca.tiles import Lattice, Window


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where a run takes place; the same for one to come and for one that has ended."""

    grid: BlockGrid
    """All blocks of the imagery."""
    area: Area | None
    """The area of interest in pixels of the lattice; None takes all the imagery."""

    @classmethod
    def of(
        cls,
        geobox: GeoBox,
        lattice: Lattice,
        *,
        block_tiles: int,
        aoi: BaseGeometry | None,
    ) -> Layout:
        """Lay out a run.

        Args:
            geobox: All of the imagery.
            lattice: Its pixels and tiles.
            block_tiles: Rows and columns of tiles in a block.
            aoi: Area of interest in EPSG:4326.

        Returns:
            The layout.
        """
        grid = BlockGrid(
            lattice=lattice,
            region=lattice.window(geobox),
            tiles_down=block_tiles,
            tiles_across=block_tiles,
        )
        return cls(grid=grid, area=None if aoi is None else Area.of(aoi, lattice))

    @property
    def shown(self) -> Window:
        """What pictures show: the area of interest, or all imagery."""
        region = self.grid.region
        if self.area is None:
            return region
        return self.area.window(0).intersection(region) or region

    @property
    def step(self) -> int:
        """Of how many pixels a picture of `shown` keeps one, in each direction."""
        return step_of(self.shown)

    def picture(self, folder: RunFolder) -> Image.Image:
        """Return a picture of `shown`, one pixel for `step` of the imagery.

        Args:
            folder: The run.

        Returns:
            What the quick-looks of the blocks show; grey where there is none.
        """
        shown = self.shown
        blocks = self.grid.blocks(shown)
        looks = ((block.window, folder.quicklook(block)) for block in blocks)
        return assemble(looks, shown, self.step)
