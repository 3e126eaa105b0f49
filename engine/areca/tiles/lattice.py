"""The model-tile lattice: one fixed division of a pixel grid, whatever is asked of it.

Every tile has a core; the cores cover the plane without gap or overlap and are
anchored to the grid of the CRS, not to an area of interest, a block or a worker. What
a model answers for a tile therefore never depends on how the work was divided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from affine import Affine
from odc.geo.geobox import GeoBox

from areca.errors import GridError
from areca.tiles.grid import pixel_offset
from areca.tiles.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    Numbers = TypeVar("Numbers", float, NDArray[np.float64])

PHASE_STEPS = 14_400
"""The phase of a grid is kept to 1/14400 pixel.

Halves to 64ths, thirds, ninths, tenths and hundredths are among these steps, so that
the common grids keep their place to the last digit: 5 m pixels from x = 485902 m on.
A crop moves the origin of a geobox by float noise of about 1e-8 pixel. Without this
step two crops of one cube would be two lattices with other last digits everywhere.
"""
ROUND_UP = (math.sqrt(5) - 1) / 2
"""Share of a step below the next one from which a phase is rounded to it.

What lies on the tie is flipped by that noise, so it must be where no grid is. The
golden section is as far as can be from fractions of small numbers; 1/2 is one.
"""
CUT = 0.25 - ROUND_UP / 100
"""How far below 0 phases begin: the cut is just above 3/4, which is a common one."""


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One tile of a lattice, by its row and column among the tiles."""

    row: int
    col: int

    @property
    def name(self) -> str:
        """`<row>_<col>` on the lattice."""
        return f"{self.row}_{self.col}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Absolute pixels and square tiles of one north-up pixel grid."""

    crs: str
    """Authority string or WKT."""
    pixel_x: float
    """Width of a pixel, in CRS units."""
    pixel_y: float
    """Height of a pixel, in CRS units, positive."""
    origin_x: float
    """x of the left edge of column 0, within a pixel of the origin of the CRS."""
    origin_y: float
    """y of the upper edge of row 0, within a pixel of the origin of the CRS."""
    core_px: int
    """Edge of a tile's core, pixels."""

    def __post_init__(self) -> None:
        if min(self.pixel_x, self.pixel_y, self.core_px) <= 0:
            raise GridError(
                f"pixel and core must be positive, got {self.pixel_x} x {self.pixel_y} "
                f"in {self.crs} and a core of {self.core_px} pixels"
            )

    @classmethod
    def of(cls, geobox: GeoBox, *, core_px: int) -> Lattice:
        """Return the lattice of the grid that a geobox lies on.

        Every geobox of one grid gives the same lattice.

        Args:
            geobox: Any north-up part of the grid.
            core_px: Edge of a tile's core, pixels.

        Raises:
            GridError: The geobox has no CRS or is rotated.
        """
        affine = geobox.affine
        if geobox.crs is None or affine.b or affine.d or affine.a <= 0 or affine.e >= 0:
            raise GridError(
                f"a lattice needs a CRS and a north-up grid, got {geobox.crs} with "
                f"transform {tuple(affine)[:6]}"
            )
        return cls(
            crs=str(geobox.crs),
            pixel_x=affine.a,
            pixel_y=-affine.e,
            origin_x=_phase(affine.c / affine.a) * affine.a,
            origin_y=_phase(affine.f / affine.e) * affine.e,
            core_px=core_px,
        )

    def geobox(self, window: Window) -> GeoBox:
        """Return the place of a window."""
        affine = Affine(
            self.pixel_x,
            0.0,
            self.origin_x + window.col0 * self.pixel_x,
            0.0,
            -self.pixel_y,
            self.origin_y - window.row0 * self.pixel_y,
        )
        return GeoBox((window.height, window.width), affine, self.crs)

    def window(self, geobox: GeoBox) -> Window:
        """Return the pixels of a geobox of this grid, or refuse with `GridError`."""
        col0 = round((geobox.affine.c - self.origin_x) / self.pixel_x)
        row0 = round((self.origin_y - geobox.affine.f) / self.pixel_y)
        height, width = geobox.shape
        window = Window(row0, col0, row0 + height, col0 + width)
        pixel_offset(self.geobox(window), geobox)
        return window

    def to_crs(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        """Turn absolute pixel positions into CRS coordinates.

        Args:
            x: Columns, fractional; 0.5 is the centre of column 0.
            y: Rows, fractional, counted downwards.

        Returns:
            x and y in CRS units.
        """
        return self.origin_x + x * self.pixel_x, self.origin_y - y * self.pixel_y

    def to_pixels(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        """Turn CRS coordinates into absolute pixel positions.

        Args:
            x: CRS units.
            y: CRS units.

        Returns:
            Columns and rows, fractional, as `to_crs` takes them.
        """
        return (x - self.origin_x) / self.pixel_x, (self.origin_y - y) / self.pixel_y

    def core(self, tile: Tile) -> Window:
        """Return the pixels that belong to a tile and to no other."""
        row0, col0 = tile.row * self.core_px, tile.col * self.core_px
        return Window(row0, col0, row0 + self.core_px, col0 + self.core_px)

    def tiles(self, window: Window) -> Iterator[Tile]:
        """Yield the tiles whose core touches a window, row by row."""
        for row in range(window.row0 // self.core_px, -(-window.row1 // self.core_px)):
            for col in range(
                window.col0 // self.core_px, -(-window.col1 // self.core_px)
            ):
                yield Tile(row, col)


def _phase(pixels_from_origin: float) -> float:
    """Return where a grid starts, in pixels from the origin of its CRS."""
    phase = pixels_from_origin - math.floor(pixels_from_origin + CUT)
    return math.floor(phase * PHASE_STEPS + ROUND_UP) / PHASE_STEPS
