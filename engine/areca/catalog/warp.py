"""Pixels of a scene on another grid, always by fixed cells of that grid.

GDAL's warp approximates coordinates along the lines of the window that it is given, so
its answer depends on the window. Here that window is always a whole cell, counted from
the origin of the CRS, and what is asked for is cut from cells.
"""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window as RasterWindow

from areca.catalog.grids import is_geographic, transformer
from areca.catalog.handles import file_key
from areca.catalog.hrefs import is_array
from areca.catalog.kept_cells import CELLS
from areca.catalog.roles import method_of
from areca.tiles import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from areca.catalog.scenes import Scene, SceneBand
    from areca.tiles import Lattice, Tile

    Floats = NDArray[np.floating[Any]]
    ReadStored = Callable[
        [Scene, Sequence[SceneBand], RasterWindow],
        tuple[NDArray[Any], list[NDArray[np.bool_] | None]],
    ]
    What = tuple[Tile, tuple[SceneBand, ...], str, ReadStored, np.dtype[Any]]
    """What `Warp._cell` takes."""

# rasterio means to silence this for arrays in memory, but threads take the filter that
# it sets from each other (odc-geo#131).
warnings.filterwarnings(
    "ignore", "Dataset has no geotransform", module=r"rasterio\.warp"
)

MAX_SOURCE_PX = 4096
"""Edge of the source window of a cell. Where pixels shrink so much that a cell would
need more, smaller cells are taken, so that memory stays bounded."""

SAME_SIZE = 1.01
"""Target pixels up to this many times as large as those of the scene count as equal."""
_IN_FLOAT32 = frozenset({"uint8", "int8", "uint16", "int16", "float32"})
_REACH = {"cubic": 2, "cubic_spline": 2, "lanczos": 3}
_PROBES = 9
"""Points along a cell's side that tell which source pixels it needs."""


@dataclass(frozen=True, slots=True)
class Warp:
    """How the pixels of one scene come to a grid."""

    scene: Scene
    lattice: Lattice
    """The target grid; its tiles are the cells."""
    shrink: float
    """Edge of a target pixel in pixels of the scene, at the middle of the scene."""

    @classmethod
    @functools.lru_cache(maxsize=4096)
    def of(cls, scene: Scene, lattice: Lattice) -> Warp:
        """Return the warp of a scene to a grid, with cells chosen by their scale."""
        shrink = _shrink(scene, lattice)
        edge = lattice.core_px
        while edge > 1 and edge * shrink > MAX_SOURCE_PX:
            edge //= 2
        return cls(scene, replace(lattice, core_px=edge), shrink)

    def read(
        self,
        bands: Sequence[SceneBand],
        window: Window,
        methods: Mapping[str, str],
        read: ReadStored,
        *,
        keeps: bool = False,
    ) -> Floats:
        """Return a window of the scene on the target grid.

        Args:
            bands: Bands of the scene.
            window: Pixels of the target grid.
            methods: Resampling by band, see `areca.catalog.roles.method_of`.
            read: Reads a window of bands of one file: stored pixels and masks.
            keeps: Whether cells are kept for the windows beside this one; then `read`
                is equal to another one that reads the same.

        Returns:
            Stored numbers, shape (band, height, width), NaN where the scene has no
            valid pixel; float32, or float64 where the files need it.
        """
        groups: dict[tuple[str, str], list[int]] = {}
        for position, band in enumerate(bands):
            method = method_of(band, self.shrink, methods)
            groups.setdefault((band.href, method), []).append(position)
        is_small = {band.dtype for band in bands} <= _IN_FLOAT32
        dtype = np.float32 if is_small else np.float64
        out: Floats = np.full((len(bands), window.height, window.width), np.nan, dtype)
        for tile in self.lattice.tiles(window):
            core = self.lattice.core(tile)
            part = core.intersection(window)
            if part is None:
                continue
            for (_, method), positions in groups.items():
                wanted = tuple(bands[position] for position in positions)
                what = tile, wanted, method, read, out.dtype
                cell = self._kept(what) if keeps else self._cell(*what)
                if cell is not None:
                    rows, cols = part.slices_in(window)
                    out[positions, rows, cols] = cell[:, *part.slices_in(core)]
        return out

    def _kept(self, what: What) -> Floats | None:
        """Return what `_cell` does, which is done once for the last cells."""
        _, bands, *_ = what
        href = bands[0].href
        if is_array(href):  # it may be written to, and nothing of it would tell
            return self._cell(*what)
        file = file_key(href, allow_private=self.scene.allow_private)
        return CELLS.get((self, file, *what), lambda: self._cell(*what))

    def _cell(
        self,
        tile: Tile,
        bands: Sequence[SceneBand],
        method: str,
        read: ReadStored,
        dtype: np.dtype[Any],
    ) -> Floats | None:
        """Return a whole cell, (band, edge, edge); None where the scene has nothing."""
        window = self._source(self.lattice.core(tile), _REACH.get(method, 1))
        if window is None:
            return None
        raw, masks = read(self.scene, bands, window)
        source = raw.astype(dtype)
        for values, mask in zip(source, masks, strict=True):
            if mask is not None:
                values[~mask] = np.nan
        if np.isnan(source).all():
            return None
        place = self.lattice.geobox(self.lattice.core(tile))
        cell: Floats = np.full((len(bands), *place.shape), np.nan, dtype)
        shift = Affine.translation(window.col_off, window.row_off)
        reproject(
            source,
            cell,
            src_transform=Affine(*self.scene.transform) * shift,
            src_crs=self.scene.crs,
            src_nodata=np.nan,
            dst_transform=place.affine,
            dst_crs=self.lattice.crs,
            dst_nodata=np.nan,
            resampling=Resampling[method],
            num_threads=1,
            UNIFIED_SRC_NODATA="NO",  # each band has its own missing pixels
            **self._kernel(tile),
        )
        return cell

    def _kernel(self, tile: Tile) -> dict[str, float]:
        """Return by how much a kernel grows where pixels shrink, for GDAL.

        Left to itself GDAL takes it from the sizes of the two windows, so that it
        would change from cell to cell, and with the extent of the file.
        """
        core = self.lattice.core(tile)
        col, row = core.col0 + core.width / 2, core.row0 + core.height / 2
        steps = np.array([col, col + 1, col]), np.array([row, row, row + 1])
        x, y = _source_pixels(self.scene, self.lattice, *steps)
        shrink = [float(np.abs(along[1:] - along[0]).max()) for along in (x, y)]
        return {
            name: 1 / value if np.isfinite(value) and value > SAME_SIZE else 1.0
            for name, value in zip(("XSCALE", "YSCALE"), shrink, strict=True)
        }

    def _source(self, core: Window, reach: int) -> RasterWindow | None:
        """Return the pixels of the file that a cell needs, None when there are none."""
        steps = np.linspace(0.0, 1.0, _PROBES)
        across, down = np.meshgrid(
            core.col0 + steps * core.width, core.row0 + steps * core.height
        )
        col, row = _source_pixels(self.scene, self.lattice, across, down)
        seen = np.isfinite(col) & np.isfinite(row)
        if not seen.any():
            return None
        # Between the points the border bends, and where one has no place in the CRS of
        # the scene, it may lie a whole step further out.
        step = (0.05 if seen.all() else 1.0) * self.shrink * core.width / (_PROBES - 1)
        pad = reach * max(1.0, self.shrink) + 2 + step
        height, width = self.scene.shape
        box = Window.around(
            (
                col[seen].min() - pad,
                row[seen].min() - pad,
                col[seen].max() + pad,
                row[seen].max() + pad,
            )
        ).intersection(Window(0, 0, height, width))
        if box is None:
            return None
        return RasterWindow(box.col0, box.row0, box.width, box.height)


def _shrink(scene: Scene, lattice: Lattice) -> float:
    a, b, c, d, e, f = scene.transform
    height, width = scene.shape
    x, y = a * width / 2 + b * height / 2 + c, d * width / 2 + e * height / 2 + f
    middle = lattice.to_pixels(*transformer(scene.crs, lattice.crs).transform(x, y))
    col = np.array([middle[0], middle[0] + 1, middle[0]])
    row = np.array([middle[1], middle[1], middle[1] + 1])
    col, row = _source_pixels(scene, lattice, col, row)
    longest = float(np.hypot(col[1:] - col[0], row[1:] - row[0]).max())
    return longest if math.isfinite(longest) else 1.0


def _source_pixels(
    scene: Scene,
    lattice: Lattice,
    col: NDArray[np.float64],
    row: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return pixels of the grid as fractional columns and rows of a scene."""
    x, y = lattice.to_crs(col, row)
    x, y = transformer(lattice.crs, scene.crs).transform(x, y)
    if is_geographic(scene.crs):
        # Across the 180th meridian the next place is the nearest, not a turn away.
        middle = scene.transform[2] + scene.shape[1] * scene.transform[0] / 2
        x = middle + (x - middle + 180) % 360 - 180
    a, b, c, d, e, f = tuple(~Affine(*scene.transform))[:6]
    return a * x + b * y + c, d * x + e * y + f
