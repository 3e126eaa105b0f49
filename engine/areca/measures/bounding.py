"""Minimum bounding geometry: five kinds, for each object or for groups of them.

Named as in ArcGIS (Minimum Bounding Geometry, fields MBG_*), which takes widths and
lengths in the units of the CRS; here they are metres on the ground, and directions are
from true north.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

import dask.dataframe as dd
import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import shapely
from dask.dataframe.dispatch import make_meta
from dask.delayed import delayed

from areca.errors import InputError
from areca.measures.chunks import chunks_of
from areca.measures.drawing import FIELDS, BoundingKind, Drawing, drawn_shapes
from areca.measures.groups import (
    Extents,
    corners_of,
    extents_of,
    merged_corners,
    merged_extents,
)
from areca.measures.table import require_crs
from areca.tiles.earth import earth_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from areca.measures.groups import Corners
    from areca.measures.table import Table

ORIGIN = "ORIG_FID"
"""The index of the object that a geometry was drawn around."""


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
    drawing = Drawing(kind=kind, circle_of_envelope=circle_of_envelope)
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


def _around_each(objects: gpd.GeoDataFrame, drawing: Drawing) -> gpd.GeoDataFrame:
    """Return one in-memory table with a geometry around each row."""
    earth = earth_of(require_crs(objects))
    old = objects.geometry.to_numpy()
    filled = ~(shapely.is_missing(old) | shapely.is_empty(old))
    shapes = np.full(len(objects), None, dtype=np.object_)
    columns: dict[str, Any] = {ORIGIN: objects.index}
    columns |= {name: np.full(len(old), np.nan) for name in FIELDS[drawing.kind]}
    places = objects[[objects.geometry.name]]
    for rows in chunks_of(old, np.flatnonzero(filled)):
        part = places.iloc[rows]
        extents = extents_of(part, None, earth)
        corners = [corners_of(part, None, extents, earth)]
        shapes[rows], fields = drawn_shapes(
            merged_corners(corners), extents, drawing, earth
        )
        for name, values in fields.items():
            columns[name][rows] = values
    series = gpd.GeoSeries(shapes, index=objects.index, crs=objects.crs)
    return objects.assign(**columns).set_geometry(series)


def _around_groups(
    corners: list[Corners],
    extents: Extents,
    drawing: Drawing,
    like: gpd.GeoDataFrame,
) -> gpd.GeoDataFrame:
    """Return a table with one row for each group."""
    earth = earth_of(require_crs(like))
    geometry, fields = drawn_shapes(merged_corners(corners), extents, drawing, earth)
    table = extents.keys.assign(**fields)
    return gpd.GeoDataFrame(
        table, geometry=gpd.GeoSeries(geometry, index=table.index, crs=like.crs)
    )
