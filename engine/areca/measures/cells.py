"""Counts, areas, densities and sizes by cell: squares of a grid, or hexagons of H3."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from areca.errors import GridError, InputError
from areca.measures.places import WGS84
from areca.measures.table import measure, require_crs
from areca.measures.tally import NOWHERE, SummaryOptions, total_of
from areca.measures.zones import NOWHERE_NAME, ground_area_m2
from areca.tiles.earth import earth_of

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from areca.measures.table import Table
    from areca.measures.tally import Tally

FINEST_H3 = 15
HALF_WORD, WORD = 1 << 30, 1 << 32
"""A cell is kept as one number: its column and its row, both moved above zero."""


def summarize_cells(
    objects: Table,
    *,
    size_m: float | None = None,
    h3_resolution: int | None = None,
    crs: str | pyproj.CRS | None = None,
    options: SummaryOptions | None = None,
) -> Table:
    """Count and measure objects by square cell or by H3 cell.

    Cells are fixed on the globe: squares start at the origin of their CRS, so that two
    summaries of one region have the same ones. An object belongs to the cell of its
    centre, one on a border to the cell east and north of it. See `summarize` for how
    parts are added up.

    Args:
        objects: Table with a CRS.
        size_m: Side of square cells in metres of `crs`.
        h3_resolution: Resolution of H3 cells instead, 0 to 15 (needs the extra
            `cells`).
        crs: CRS of the square cells, projected, in metres; that of the table if left
            out. Metres of a map are not always true ones (Web Mercator's are not), so
            `cell_area_ha` tells the true area of each cell.
        options: Whether counts carry an interval, histogram of radii.

    Returns:
        The same kind of table (one lazy partition for dask_geopandas), one row for each
        cell that holds an object, sorted: `cell` ("column_row", or the H3 index),
        `count`, `cell_area_ha`, `density_per_ha` and the other columns of `summarize`;
        the cells as polygons in `crs`, or in EPSG:4326 for H3 (past 180 degrees where
        one crosses the antimeridian). A last row "without a place" has no geometry.

    Raises:
        InputError: not one kind of cell, or a size or resolution that cannot be.
    """
    table_crs = require_crs(objects)
    options = options or SummaryOptions()
    if (size_m is None) == (h3_resolution is None):
        raise InputError(
            f"size_m is {size_m} and h3_resolution is {h3_resolution}: give one of "
            "them, such as size_m=100"
        )
    if h3_resolution is not None:
        return cast("Table", total_of(objects, Hexagons(h3_resolution), options))
    grid = table_crs if crs is None else pyproj.CRS(crs)
    squares = Squares.of(grid, float(size_m or 0))
    return cast("Table", total_of(objects, squares, options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Squares:
    """Squares from the origin of a CRS on."""

    crs: str
    """WKT, projected."""
    side: float
    """In units of the CRS."""

    @classmethod
    def of(cls, grid: pyproj.CRS, size_m: float) -> Squares:
        """Return squares of a size in metres."""
        return cls(crs=grid.to_wkt(), side=size_m / _metres_per_unit(grid, size_m))

    def assign(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Return all rows and the key of the square of each."""
        to_grid = pyproj.Transformer.from_crs(WGS84, self.crs, always_xy=True)
        x, y = to_grid.transform(lon, lat)
        placed = np.isfinite(lon) & np.isfinite(x) & np.isfinite(y)
        col, row = (
            np.floor(np.where(placed, axis, 0.0) / self.side).astype(np.int64)
            for axis in (x, y)
        )
        key = np.where(placed, (col + HALF_WORD) * WORD + row + HALF_WORD, NOWHERE)
        return np.arange(len(lon)), key

    def table(self, total: Tally, options: SummaryOptions) -> gpd.GeoDataFrame:
        """Return the rows of the squares that hold objects."""
        keys = _cell_keys(total)
        col, row = keys // WORD - HALF_WORD, keys % WORD - HALF_WORD
        west, south = col * self.side, row * self.side
        squares = gpd.GeoSeries(
            shapely.box(west, south, west + self.side, south + self.side), crs=self.crs
        )
        names = [f"{c}_{r}" for c, r in zip(col.tolist(), row.tolist(), strict=True)]
        area = ground_area_m2(squares)
        return _cell_table(total, keys, (names, squares, area), options)


class Hexagons:
    """Cells of H3 (Uber, https://h3geo.org)."""

    def __init__(self, resolution: int) -> None:
        """Take a resolution, once it is clear that H3 can be computed.

        Raises:
            InputError: H3 has no such resolution.
        """
        _require_h3()
        if not 0 <= resolution <= FINEST_H3:
            raise InputError(
                f"h3_resolution is {resolution}; H3 has 0 (4e6 km²) to 15 "
                "(1 m²), and 9 is about 10 ha"
            )
        self.resolution = resolution

    def assign(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Return all rows and the H3 index of each."""
        placed = np.isfinite(lon) & np.isfinite(lat)
        key = np.full(len(lon), NOWHERE, np.int64)
        if placed.any():
            cells = _require_h3().coordinates_to_cells(
                lat[placed], lon[placed], self.resolution
            )
            key[placed] = cells.to_numpy().astype(np.int64)
        return np.arange(len(lon)), key

    def table(self, total: Tally, options: SummaryOptions) -> gpd.GeoDataFrame:
        """Return the rows of the cells that hold objects."""
        keys = _cell_keys(total)
        shapes = np.empty(0, object)
        if len(keys):
            wkb = _require_h3().cells_to_wkb_polygons(keys.astype(np.uint64))
            shapes = np.asarray(shapely.from_wkb(list(wkb.to_pylist())))
        hexagons = gpd.GeoSeries(_in_one_piece(shapes), crs=WGS84)
        names = [f"{key:x}" for key in keys.tolist()]
        # Their sides are great circles: the shortest lines, as `measure` takes them.
        method = np.full(len(hexagons), "mask", object)
        table = gpd.GeoDataFrame({"radius_method": method}, geometry=hexagons)
        area = measure(table)["area_m2"].to_numpy(np.float64)
        return _cell_table(total, keys, (names, hexagons, area), options)


def _metres_per_unit(grid: pyproj.CRS, side: float) -> float:
    """Return the unit of a CRS that square cells can lie in.

    Raises:
        InputError: the side is no length.
        GridError: the CRS has no metres.
    """
    if not (np.isfinite(side) and side >= 0.01):
        raise InputError(f"size_m is {side}; the side of a cell is at least 0.01 m")
    earth = earth_of(grid)
    if earth.to_angles is None:
        raise GridError(
            f"cells of {side:g} m cannot lie in {grid.name!r}, which has degrees. Give "
            "a projected CRS, such as objects.estimate_utm_crs(), or use h3_resolution"
        )
    return earth.metres_per_unit


def _cell_keys(total: Tally) -> NDArray[np.int64]:
    keys = total.sums.index.to_numpy(np.int64)
    return keys[keys >= 0]


def _cell_table(
    total: Tally,
    keys: NDArray[np.int64],
    cells: tuple[list[str], gpd.GeoSeries, NDArray[np.float64]],
    options: SummaryOptions,
) -> gpd.GeoDataFrame:
    """Return the rows of all cells (names, shapes, m²) and that without a place."""
    names, shapes, area = cells
    figures = total.table(np.append(keys, NOWHERE), options).drop(columns="shared")
    hectares = np.append(area, np.nan) / 1e4
    counts = figures.pop("count")
    return gpd.GeoDataFrame(
        {
            "cell": np.array([*names, NOWHERE_NAME], object),
            "count": counts,
            "cell_area_ha": hectares,
            "density_per_ha": counts / hectares,
            **{name: figures[name] for name in figures.columns},
        },
        geometry=np.append(shapes.to_numpy(), [None]),
        crs=shapes.crs,
    )


def _in_one_piece(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return polygons in degrees that go on past 180 instead of jumping back."""
    west, _, east, _ = shapely.bounds(shapes).T if len(shapes) else np.empty((4, 0))
    across = east - west > 180
    shapes = shapes.copy()
    shapes[across] = shapely.transform(
        shapes[across], lambda xy: np.where(xy < [0, -91], xy + np.array([360, 0]), xy)
    )
    return shapes


def _require_h3() -> ModuleType:
    """Return the module that computes H3 cells.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module("h3ronpy.vector")
    except ModuleNotFoundError as error:
        raise InputError(
            "H3 cells need the package h3ronpy: install areca with the extra cells, "
            "pip install .[cells], or take square cells instead"
        ) from error
