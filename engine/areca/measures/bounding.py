"""Minimum bounding geometry: five kinds, for each object or for groups of them.

Named as in ArcGIS (Minimum Bounding Geometry, fields MBG_*), which takes widths and
lengths in the units of the CRS; here they are metres on the ground, and directions are
from true north.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import dask.dataframe as dd
import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import shapely
from dask.dataframe.dispatch import make_meta
from dask.delayed import delayed
from scipy.spatial import cKDTree

from areca.errors import InputError
from areca.measures.columns import (
    rectangle_sides,
    smallest_by_area,
    smallest_by_width,
)
from areca.measures.enclosing import enclosing_discs
from areca.measures.frames import earth_of
from areca.measures.groups import (
    Extents,
    corners_of,
    extents_of,
    frames_of,
    merged_corners,
    merged_extents,
)
from areca.measures.hulls import Hulls, calipers, longest_pairs
from areca.measures.nearby import beyond_plane
from areca.measures.table import require_crs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from areca.measures.frames import Earth, LocalFrames
    from areca.measures.groups import Corners
    from areca.measures.hulls import Calipers
    from areca.measures.table import Table

BoundingKind = Literal[
    "RECTANGLE_BY_AREA", "RECTANGLE_BY_WIDTH", "CONVEX_HULL", "CIRCLE", "ENVELOPE"
]
"""What can be drawn around objects."""
FIELDS: dict[str, tuple[str, ...]] = {
    "RECTANGLE_BY_AREA": ("MBG_Width", "MBG_Length", "MBG_Orientation"),
    "RECTANGLE_BY_WIDTH": ("MBG_Width", "MBG_Length", "MBG_Orientation"),
    "CONVEX_HULL": (
        "MBG_Width",
        "MBG_Length",
        "MBG_APodX1",
        "MBG_APodY1",
        "MBG_APodX2",
        "MBG_APodY2",
        "MBG_Orientation",
    ),
    "CIRCLE": ("MBG_Diameter",),
    "ENVELOPE": ("MBG_Width", "MBG_Length"),
}
"""The columns of each kind."""
ORIGIN = "ORIG_FID"
"""The index of the object that a geometry was drawn around."""
SEGMENTS = 72
"""Sides of a drawn circle."""


def bounding_geometry(
    objects: Table,
    *,
    kind: BoundingKind = "RECTANGLE_BY_AREA",
    group: str | Sequence[Any] = "NONE",
    circle_of_envelope: bool = False,
) -> Table:
    """Draw the smallest geometry of a kind around each object or group of objects.

    Computed in the object's own frame, so it is the smallest on the ground and not on
    the map. Columns by kind (lengths in m, directions in degrees clockwise from true
    north, 0 to 180):

    - `"RECTANGLE_BY_AREA"`, `"RECTANGLE_BY_WIDTH"`: the rectangle of least area, or the
      narrowest one: `MBG_Width` (short side), `MBG_Length` (long side),
      `MBG_Orientation` (of the long side).
    - `"CONVEX_HULL"`: `MBG_Width` and `MBG_Length`, the shortest and the longest
      distance between two of its corners; `MBG_APodX1`, `MBG_APodY1`, `MBG_APodX2`,
      `MBG_APodY2`, the two corners furthest apart in CRS units; `MBG_Orientation`, the
      direction from one to the other.
    - `"CIRCLE"`: `MBG_Diameter`. The drawn polygon, of 72 sides, holds the circle.
    - `"ENVELOPE"`: the bounds along the axes of the CRS: `MBG_Width` and `MBG_Length`,
      the shorter and the longer of its two middle lines, by geodesics.

    Args:
        objects: Table with a CRS. Points and lines count too.
        kind: What to draw.
        group: `"NONE"`: around each object; `"ALL"`: one around all; column names (what
            ArcGIS calls LIST): one around the objects of each combination of values. A
            missing value is a value too.
        circle_of_envelope: Draw `"CIRCLE"` around the envelope, not around the object,
            as the help of ArcGIS says that it does.

    Returns:
        The same kind of table, lazy for dask_geopandas. For `"NONE"` all rows and
        columns, with the new geometry, the fields and `ORIG_FID`, the row's index; no
        geometry and NaN where there was none, or where it reaches further than a plane
        is good for (some 640 km, less towards the poles; not for `"ENVELOPE"`). Up to
        there lengths are off by about (reach / 6,400 km)**2. For groups one row each,
        in order of the values, with these in front. What has no width is drawn as a
        line or a point.

    Raises:
        InputError: unknown kind, or a column that is not there.
    """
    earth = earth_of(require_crs(objects))
    by = _group_columns(objects, group)
    if kind not in FIELDS:
        raise InputError(
            f"kind is {kind!r}; give one of {', '.join(get_args(BoundingKind))}"
        )
    drawing = _Drawing(kind=kind, circle_of_envelope=circle_of_envelope)
    if by is None:
        if not isinstance(objects, dgpd.GeoDataFrame):
            return _around_each(objects, drawing)
        meta = _around_each(make_meta(objects), drawing)
        return cast("Table", objects.map_partitions(_around_each, drawing, meta=meta))
    if not isinstance(objects, dgpd.GeoDataFrame):
        extents = merged_extents([extents_of(objects, by, earth)], earth)
        return _around_groups(
            [corners_of(objects, by, extents, earth)], extents, drawing, objects
        )
    # The CRS travels to workers as part of the tables; transformers cannot.
    meta = make_meta(objects)
    parts = objects.to_delayed()
    places = [delayed(_extents)(part, by) for part in parts]
    extents = delayed(_merged_extents)(places, meta)
    corners = [delayed(_corners)(part, by, extents) for part in parts]
    drawn = delayed(_around_groups)(corners, extents, drawing, meta)
    form = bounding_geometry(
        meta, kind=kind, group=list(by) if by else "ALL",
        circle_of_envelope=circle_of_envelope,
    )  # fmt: skip
    return cast("Table", dd.from_delayed([drawn], meta=form, verify_meta=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    """What to draw."""

    kind: str
    circle_of_envelope: bool

    @property
    def is_along_axes(self) -> bool:
        """Whether bounds in the CRS are all that counts."""
        circle = self.kind == "CIRCLE" and self.circle_of_envelope
        return self.kind == "ENVELOPE" or circle


def _group_columns(
    objects: gpd.GeoDataFrame | dgpd.GeoDataFrame, group: str | Sequence[Any]
) -> list[Any] | None:
    """Return the columns that make groups: none for one group, None for no groups.

    Raises:
        InputError: a column is not there.
    """
    if isinstance(group, str):
        if group in ("NONE", "ALL"):
            return None if group == "NONE" else []
        raise InputError(
            f"group is {group!r}; give NONE, ALL or a list of columns, for example "
            f"[{group!r}]"
        )
    missing = [name for name in group if name not in objects.columns]
    if missing or not group:
        raise InputError(
            f"group names the columns {list(group)}, and the table has "
            f"{list(objects.columns)}: give one or more of these, or NONE or ALL"
        )
    return list(group)


def _extents(part: gpd.GeoDataFrame, by: list[Any]) -> Extents:
    return extents_of(part, by, earth_of(require_crs(part)))


def _merged_extents(parts: list[Extents], meta: gpd.GeoDataFrame) -> Extents:
    return merged_extents(parts, earth_of(require_crs(meta)))


def _corners(part: gpd.GeoDataFrame, by: list[Any], extents: Extents) -> Corners:
    return corners_of(part, by, extents, earth_of(require_crs(part)))


def _around_each(objects: gpd.GeoDataFrame, drawing: _Drawing) -> gpd.GeoDataFrame:
    """Return one in-memory table with a geometry around each row."""
    earth = earth_of(require_crs(objects))
    extents = extents_of(objects, None, earth)
    corners = corners_of(objects, None, extents, earth)
    geometry, fields = _drawn(merged_corners([corners]), extents, drawing, earth)
    old = objects.geometry.to_numpy()
    filled = ~(shapely.is_missing(old) | shapely.is_empty(old))
    shapes = np.full(len(objects), None, dtype=np.object_)
    shapes[filled] = geometry
    columns: dict[str, Any] = {ORIGIN: objects.index}
    for name, values in fields.items():
        columns[name] = np.full(len(objects), np.nan)
        columns[name][filled] = values
    series = gpd.GeoSeries(shapes, index=objects.index, crs=objects.crs)
    return objects.assign(**columns).set_geometry(series)


def _around_groups(
    corners: list[Corners],
    extents: Extents,
    drawing: _Drawing,
    like: gpd.GeoDataFrame,
) -> gpd.GeoDataFrame:
    """Return a table with one row for each group."""
    earth = earth_of(require_crs(like))
    geometry, fields = _drawn(merged_corners(corners), extents, drawing, earth)
    table = extents.keys.assign(**fields)
    return gpd.GeoDataFrame(
        table, geometry=gpd.GeoSeries(geometry, index=table.index, crs=like.crs)
    )


def _drawn(
    hulls: Hulls, extents: Extents, drawing: _Drawing, earth: Earth
) -> tuple[NDArray[np.object_], dict[str, NDArray[np.float64]]]:
    """Return geometries in the CRS and their fields, shape (group,) each."""
    names = FIELDS[drawing.kind]
    count = len(extents.angles)
    if not count:
        return np.empty(0, np.object_), {name: np.empty(0) for name in names}
    frames = frames_of(extents, earth)
    if drawing.is_along_axes:
        width, length = _middle_lines(extents, earth)
        values = [width, length]
        geometry = np.asarray(shapely.box(*extents.coordinates.T))
        if drawing.kind == "CIRCLE":
            values = [np.hypot(width, length)]
            middle = _middle(extents, frames)
            geometry = _on_map(_circles(middle, values[0] / 2), frames, extents)
    else:
        shapes, values = _SHAPES[drawing.kind](hulls, calipers(hulls))
        geometry = _on_map(shapes, frames, extents)
        if drawing.kind == "CONVEX_HULL":
            ends = Hulls(
                x=np.column_stack(values[2:6:2]).ravel(),
                y=np.column_stack(values[3:6:2]).ravel(),
                starts=2 * np.arange(count),
            )
            x, y = _coordinates(ends, frames, extents)
            values[2:6] = x[::2], y[::2], x[1::2], y[1::2]
    flat = shapely.area(geometry) == 0
    geometry[flat] = shapely.convex_hull(geometry[flat])
    if drawing.kind != "ENVELOPE":
        reach = np.maximum.reduceat(np.hypot(hulls.x, hulls.y), hulls.starts)
        lost = beyond_plane(frames, reach)
        geometry[lost] = None
        values = [np.where(lost, np.nan, column) for column in values]
    return geometry, dict(zip(names, values, strict=True))


def _by_area(hulls: Hulls, found: Calipers) -> tuple[Hulls, list[NDArray[np.float64]]]:
    edge = smallest_by_area(hulls, found)
    return _rectangles(hulls, found, edge), list(rectangle_sides(found, edge))


def _by_width(hulls: Hulls, found: Calipers) -> tuple[Hulls, list[NDArray[np.float64]]]:
    edge = smallest_by_width(hulls, found)
    return _rectangles(hulls, found, edge), list(rectangle_sides(found, edge))


def _hull(hulls: Hulls, found: Calipers) -> tuple[Hulls, list[NDArray[np.float64]]]:
    one, other = longest_pairs(hulls, found)
    east, north = hulls.x[other] - hulls.x[one], hulls.y[other] - hulls.y[one]
    length = np.hypot(east, north)
    orientation = np.where(
        length > 0, np.degrees(np.arctan2(east, north)) % 180 % 180, np.nan
    )
    ends = [hulls.x[one], hulls.y[one], hulls.x[other], hulls.y[other]]
    return hulls, [_shortest_pairs(hulls), length, *ends, orientation]


def _disc(hulls: Hulls, found: Calipers) -> tuple[Hulls, list[NDArray[np.float64]]]:
    discs = enclosing_discs(hulls, *longest_pairs(hulls, found))
    return _circles((discs.x, discs.y), discs.radius), [2 * discs.radius]


_SHAPES = {
    "RECTANGLE_BY_AREA": _by_area,
    "RECTANGLE_BY_WIDTH": _by_width,
    "CONVEX_HULL": _hull,
    "CIRCLE": _disc,
}


def _rectangles(hulls: Hulls, found: Calipers, edge: NDArray[np.intp]) -> Hulls:
    """Return the rectangles that stand on edges, shape (object,), of hulls."""
    east, north = found.east[edge][:, None], found.north[edge][:, None]
    height, extent = found.height[edge], found.extent[edge]
    back = -found.behind[edge]
    none = np.zeros(len(edge))
    along = np.stack([back, back + extent, back + extent, back], axis=1)
    across = np.stack([none, none, height, height], axis=1)
    return Hulls(
        x=(hulls.x[edge][:, None] + along * east - across * north).ravel(),
        y=(hulls.y[edge][:, None] + along * north + across * east).ravel(),
        starts=4 * np.arange(len(edge)),
    )


def _circles(
    middle: tuple[NDArray[np.float64], NDArray[np.float64]],
    radius: NDArray[np.float64],
) -> Hulls:
    """Return polygons that hold circles, shape (object,) each."""
    angle = np.arange(SEGMENTS) * (2 * np.pi / SEGMENTS)
    reach = radius[:, None] / np.cos(np.pi / SEGMENTS)
    return Hulls(
        x=(middle[0][:, None] + reach * np.cos(angle)).ravel(),
        y=(middle[1][:, None] + reach * np.sin(angle)).ravel(),
        starts=SEGMENTS * np.arange(len(radius)),
    )


def _shortest_pairs(hulls: Hulls) -> NDArray[np.float64]:
    """Return the least distance between two corners of each hull, shape (object,)."""
    owner = hulls.owner
    size = np.ptp(hulls.x) + np.ptp(hulls.y) + 1.0
    # All hulls in one tree, in layers too far apart to be neighbours.
    places = np.column_stack([hulls.x, hulls.y, owner * size])
    distance = cKDTree(places).query(places, k=2)[0][:, -1]
    distance[hulls.counts[owner] == 1] = 0.0
    return np.minimum.reduceat(distance, hulls.starts)


def _middle_lines(
    extents: Extents, earth: Earth
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shorter and the longer middle line of bounds, m, shape (group,)."""
    west, south, east, north = extents.coordinates.T
    x, y = (west + east) / 2, (south + north) / 2
    longitude, latitude = earth.angles(
        np.concatenate([west, east, x, x]), np.concatenate([y, y, south, north])
    )
    lon, lat = (np.degrees(v).reshape(2, 2, -1) for v in (longitude, latitude))
    sides = np.asarray(earth.geod.inv(lon[:, 0], lat[:, 0], lon[:, 1], lat[:, 1])[2])
    return sides.min(axis=0), sides.max(axis=0)


def _middle(
    extents: Extents, frames: LocalFrames
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middles of the bounds in the CRS, m in the frames, shape (group,)."""
    west, south, east, north = extents.coordinates.T
    angles = frames.earth.angles((west + east) / 2, (south + north) / 2)
    return frames.metres(*angles, np.arange(len(west)))


def _coordinates(
    shapes: Hulls, frames: LocalFrames, extents: Extents
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners of shapes in the CRS, shape (corner,) each."""
    owner = shapes.owner
    x, y = frames.earth.coordinates(*frames.angles(shapes.x, shapes.y, owner))
    middle = (extents.coordinates[:, 0] + extents.coordinates[:, 2]) / 2
    return frames.earth.in_one_piece(x, middle[owner]), y


def _on_map(
    shapes: Hulls, frames: LocalFrames, extents: Extents
) -> NDArray[np.object_]:
    """Return shapes as polygons in the CRS, shape (object,); some may be flat."""
    x, y = _coordinates(shapes, frames, extents)
    counts = np.maximum(shapes.counts, 3)  # a ring needs three corners
    owner = np.repeat(np.arange(len(counts)), counts)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    corner = shapes.starts[owner] + np.minimum(step, shapes.counts[owner] - 1)
    rings = shapely.linearrings(np.column_stack([x, y])[corner], indices=owner)
    return np.asarray(shapely.polygons(rings))
