"""Counts, areas, densities and sizes by zone: polygons that the user draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from areca.errors import GridError, InputError
from areca.measures.places import EARTH_RADIUS_M, WGS84
from areca.measures.shapes import is_areal, repaired
from areca.measures.table import measure, require_crs
from areca.measures.tally import NOWHERE, OUTSIDE, SummaryOptions, total_of
from areca.tiles.earth import earth_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.measures.table import Table
    from areca.measures.tally import Tally

OUTSIDE_NAME, NOWHERE_NAME = "outside all zones", "without a place"
NAMES = ("zone", "name", "id")
"""Columns that name a zone where the caller does not say."""
EDGE_PIECES = 64
LONGEST_PIECE_M = 1_000.0
"""A zone's edges are straight in its CRS. They are measured in pieces of at most this,
and 1/64 of its size: between pieces and geodesics there is 1e-6 of the area at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """Zones as workers need them."""

    crs: str
    """WKT."""
    shapes: NDArray[np.object_]
    """Valid polygons in the CRS, shape (n,)."""
    turn: float
    """360 degrees in units of the CRS; 0 where x is no longitude."""
    heading: gpd.GeoDataFrame
    """The zones as they were given, with `zone` and `zone_area_ha`."""

    def table(self, total: Tally, options: SummaryOptions) -> gpd.GeoDataFrame:
        """Return the rows of all zones, and the two of what lies in none."""
        heading = self.heading
        keys = np.array([*range(len(heading)), OUTSIDE, NOWHERE], np.int64)
        figures = total.table(keys, options)
        rest = pd.DataFrame({"zone": [OUTSIDE_NAME, NOWHERE_NAME]})
        rows = pd.concat([heading, rest], ignore_index=True)
        table = gpd.GeoDataFrame(
            rows.assign(**{name: figures[name] for name in figures.columns}),
            geometry=heading.geometry.name,
            crs=heading.crs,
        )
        table["density_per_ha"] = table["count"] / table["zone_area_ha"]
        first = [
            "zone",
            "count",
            "zone_area_ha",
            "density_per_ha",
            *figures.columns[1:],
        ]
        return table[[*first, *(n for n in table.columns if n not in first)]]

    def assign(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Return which places lie in which zones.

        Args:
            lon: Shape (n,), WGS 84 degrees; NaN for no place.
            lat: Shape (n,), WGS 84 degrees.

        Returns:
            Rows and the number of the zone, shape (k,) each, ascending by row: one
            entry for each zone that holds a place, one with `OUTSIDE` or `NOWHERE` for
            the others. A place on the border between zones belongs to the first.
        """
        to_zones = pyproj.Transformer.from_crs(WGS84, self.crs, always_xy=True)
        x, y = to_zones.transform(lon, lat)
        placed = np.isfinite(lon) & np.isfinite(lat)
        row = np.flatnonzero(placed & np.isfinite(x) & np.isfinite(y))
        found = [self._holding(x[row] + turn, y[row]) for turn in self._turns()]
        at, zone, inside = (np.concatenate(parts) for parts in zip(*found, strict=True))
        pairs = pd.DataFrame({"row": row[at], "zone": zone, "border": ~inside})
        # Whoever is inside a zone is not also of the zone that only touches.
        pairs = pairs.sort_values(["row", "border", "zone"], ignore_index=True)
        first = ~pairs["row"].duplicated()
        pairs = pairs[first | ~pairs["border"]].drop_duplicates(["row", "zone"])
        key = np.full(len(lon), OUTSIDE, np.int64)
        key[~placed] = NOWHERE
        others = np.setdiff1d(np.arange(len(lon)), pairs["row"].to_numpy())
        rows = np.concatenate([pairs["row"].to_numpy(np.intp), others])
        keys = np.concatenate([pairs["zone"].to_numpy(np.int64), key[others]])
        order = np.argsort(rows, kind="stable")
        return rows[order], keys[order]

    def _turns(self) -> list[float]:
        """Return by how much to shift places: zones may go on past 180 degrees."""
        if not self.turn:
            return [0.0]
        west, _, east, _ = shapely.total_bounds(self.shapes)
        half = self.turn / 2
        turns = {0.0: True, self.turn: east > half, -self.turn: west < -half}
        return [turn for turn, needed in turns.items() if needed]

    def _holding(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.bool_]]:
        """Return which point lies in or on which zone, and whether inside it."""
        points = np.asarray(shapely.points(x, y), object)
        at, zone = shapely.STRtree(self.shapes).query(points)
        shapely.prepare(self.shapes)
        touching = shapely.intersects(self.shapes[zone], points[at])
        at, zone = at[touching], zone[touching]
        inside = shapely.contains_properly(self.shapes[zone], points[at])
        return at, zone.astype(np.int64), np.asarray(inside)


def summarize(
    objects: Table,
    zones: gpd.GeoDataFrame,
    *,
    name: str | None = None,
    options: SummaryOptions | None = None,
) -> Table:
    """Count and measure objects by zone.

    An object belongs to the zone that holds its centre; one whose centre lies in two
    zones that overlap counts in both. Objects are measured first where measures are
    missing. Parts of the table are added up one by one in whole numbers, so that a
    table of any size fits, and any partitioning gives the same bits.

    Args:
        objects: Table with a CRS.
        zones: Polygons in any CRS, straight between their vertices there. One across
            the antimeridian is split there, or goes on past 180 degrees.
        name: Column that names the zones; by default `zone`, `name` or `id` where
            there is one, else the only column of text, else their number.
        options: Whether counts carry an interval, histogram of radii.

    Returns:
        The same kind of table (one lazy partition for dask_geopandas), a row for each
        zone in the order given with its own columns and

        - `zone`: its name,
        - `count`, and `shared`: those of them that another zone counts too,
        - `zone_area_ha` (true area on the ellipsoid) and `density_per_ha`,
        - `area_m2`: sum over the objects,
        - `radius_mean_m`, `radius_p10_m`, `radius_p25_m`, `radius_median_m`,
          `radius_p75_m`, `radius_p90_m` (quantiles to the millimetre), and
          `unmeasured`: objects without a radius,
        - `count_low`, `count_high` with a calibration (see
          `areca.measures.intervals`), `radius_2_to_4_m`, ... with `radius_edges_m`,
        - of a table of `areca.spacing`: `plant_spacing_median_m` (the planting
          distance), `pattern` (the most frequent one) and `pattern_share` (its share of
          all objects here), `nearest_median_m` (to the nearest object, which where
          plants stand unevenly is less than the planting distance).

        Columns of the zones with these names are replaced. Two rows follow, without
        geometry: objects "outside all zones" and objects "without a place".
    """
    require_crs(objects)
    options = options or SummaryOptions()
    sound = _checked(zones, name)
    return cast("Table", total_of(objects, sound, options))


def ground_area_m2(shapes: gpd.GeoSeries) -> NDArray[np.float64]:
    """Return the true area of polygons whose edges are straight in their CRS.

    Args:
        shapes: Polygons with a CRS, each under half the globe.

    Returns:
        Shape (n,), m².
    """
    earth = earth_of(pyproj.CRS(shapes.crs))
    unit = (
        EARTH_RADIUS_M * earth.radians_per_unit
        if earth.to_angles is None
        else earth.metres_per_unit
    )
    bounds = np.asarray(shapes.bounds, np.float64)
    extent = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    piece = np.minimum(extent / EDGE_PIECES, LONGEST_PIECE_M / unit)
    fine = shapely.segmentize(shapes.to_numpy(), np.maximum(piece, 1e-12))
    table = gpd.GeoDataFrame(
        {"radius_method": np.full(len(fine), "mask", object)},
        geometry=fine,
        crs=shapes.crs,
    )
    return np.asarray(measure(table)["area_m2"], np.float64)


def _checked(zones: gpd.GeoDataFrame, name: str | None) -> Zones:
    """Return zones that can be used.

    Raises:
        InputError: no polygons, or not all are, or no such name.
    """
    crs = require_crs(zones)
    if name is not None and name not in zones.columns:
        raise InputError(
            f"zones have no column {name!r}; they have "
            f"{', '.join(map(str, zones.columns.drop([zones.geometry.name])))}"
        )
    shapes = zones.geometry.to_numpy()
    sound = is_areal(shapes) & ~shapely.is_empty(shapes)
    if not len(shapes) or not sound.all():
        where = f", the first in row {int(np.argmin(sound))}" if len(shapes) else ""
        raise InputError(
            f"{int((~sound).sum())} of {len(shapes)} zones are no polygons{where}; "
            "every zone must be a polygon that is not empty"
        )
    shapes, _ = repaired(shapely.force_2d(shapes))
    earth = earth_of(crs)
    turn = (earth.turn or 0.0) if earth.to_angles is None else 0.0
    if turn:
        _check_turns(shapes, turn)
    number = pd.Series(range(len(zones)), index=zones.index)
    named = name or naming_column(zones)
    heading = zones.assign(zone=(number if named is None else zones[named]).astype(str))
    heading["zone_area_ha"] = ground_area_m2(gpd.GeoSeries(shapes, crs=crs)) / 1e4
    return Zones(crs=crs.to_wkt(), shapes=shapes, turn=turn, heading=heading)


def naming_column(zones: gpd.GeoDataFrame) -> str | None:
    """Return the column that names zones where nobody says which.

    Args:
        zones: Zones with their columns.

    Returns:
        `zone`, `name` or `id`, else the only column of text; None where there is none
        or more than one.
    """
    columns = zones.drop(columns=zones.geometry.name)
    texts = [str(name) for name in columns if pd.api.types.is_string_dtype(zones[name])]
    only = texts[0] if len(texts) == 1 else None
    return next((n for n in NAMES if n in columns), only)


def _check_turns(shapes: NDArray[np.object_], turn: float) -> None:
    """Refuse zones in degrees that jump over the antimeridian.

    Raises:
        GridError: an edge spans more than half the globe, or a zone does.
    """
    rings = shapely.get_rings(shapes)
    vertices, ring = shapely.get_coordinates(rings, return_index=True)
    steps = np.abs(np.diff(vertices[:, 0]))[np.diff(ring) == 0]
    jumps = (steps > turn / 2) & (steps < turn)
    west, _, east, _ = shapely.bounds(shapes).T
    if jumps.any() or (east - west > turn).any():
        raise GridError(
            "a zone spans more than half the globe. One across the 180th meridian "
            "must be split there, or go on past 180 degrees (179, 181 and not 179, "
            "-179); antimeridian.fix_polygon splits it"
        )
