"""Polygons of any CRS in metres, ready to be measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import shapely

from areca.errors import GridError
from areca.measures.frames import LocalFrames, frames_around
from areca.measures.nearby import beyond_plane, nearby_maps, too_large
from areca.measures.rings import Rings, Sizes, rings_of, sizes_of
from areca.measures.shapes import is_areal, repaired

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from areca.measures.nearby import NearbyMaps
    from areca.tiles.earth import Earth

ROUNDING_M = 5e-9
"""Area over perimeter, m, of a line whose vertices are off by rounding: coordinates of
180 degrees or 20,000 km have a last bit of 3 nm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPolygons:
    """Valid polygons in metres, each in a frame of its own."""

    rows: NDArray[np.intp]
    """Which of the geometries these are, shape (object,)."""
    rings: Rings
    sizes: Sizes
    frames: LocalFrames
    axis: NDArray[np.float64]
    """Direction of the CRS's x axis, radians from the east, shape (object,)."""
    was_invalid: NDArray[np.bool_]
    is_large: NDArray[np.bool_]
    """Whether area and perimeter are those of geodesics, shape (object,)."""
    is_flat: NDArray[np.bool_]
    """Whether a plane is good enough for all else, shape (object,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOthers:
    """Points and lines: their centres in metres."""

    rows: NDArray[np.intp]
    """Which of the geometries these are, shape (object,)."""
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    frames: LocalFrames


def placed(
    geometry: NDArray[np.object_], earth: Earth, index: pd.Index
) -> Iterator[PlacedPolygons | PlacedOthers]:
    """Yield geometries in metres, each row in one of the sets that come.

    Args:
        geometry: Not None, not empty, shape (n,), CRS units.
        earth: Their CRS.
        index: Names of their rows for messages, shape (n,).
    """
    rest = ~is_areal(geometry)
    rows = np.flatnonzero(~rest)
    maps = nearby_maps(earth, shapely.bounds(geometry[rows]))
    rest[rows[~maps.holds]] = True
    if maps.holds.any():
        near = rows[maps.holds]
        yield from _placed_nearby(geometry, near, maps.taken(maps.holds))
    if rest.any():
        others = np.flatnonzero(rest)
        axis = np.zeros(len(geometry))
        axis[rows] = maps.axis
        local, frames = in_metres(geometry[others], earth, index[others])
        yield from _mended(others, local, frames, axis[others])


def _placed_nearby(
    geometry: NDArray[np.object_], rows: NDArray[np.intp], maps: NearbyMaps
) -> Iterator[PlacedPolygons | PlacedOthers]:
    """Yield polygons of rows for which maps hold: as they are, or mended."""
    rings = maps.placed(rings_of(geometry[rows]))
    sizes = sizes_of(rings)
    # A ring that turns once around a point within cannot cross itself.
    sound = sizes.is_star.copy()
    sound[~sound] = shapely.is_valid(geometry[rows[~sound]])
    sound &= ~_covers_nothing(sizes.area, sizes.perimeter)
    odd = ~sound
    if odd.any():
        shapes, others = geometry[rows[odd]], maps.taken(odd)
        local = shapely.set_coordinates(shapes, others.metres_of(shapes))
        yield from _mended(rows[odd], local, others.frames, others.axis)
        rows, maps, rings = rows[sound], maps.taken(sound), rings.taken(sound)
        sizes = sizes.taken(sound)
    if len(rows):
        no = np.zeros(len(rows), dtype=bool)
        yield PlacedPolygons(
            rows=rows, rings=rings, sizes=sizes, frames=maps.frames,
            axis=maps.axis, was_invalid=no, is_large=no, is_flat=~no,
        )  # fmt: skip


def in_metres(
    geometry: NDArray[np.object_], earth: Earth, index: pd.Index
) -> tuple[NDArray[np.object_], LocalFrames]:
    """Move each geometry into its own frame, all vertices through PROJ.

    Args:
        geometry: Not None, not empty, shape (n,), CRS units.
        earth: Their CRS.
        index: Names of their rows for messages, shape (n,).

    Returns:
        Geometries in metres, and their frames. Heights are dropped. Coordinates that
        are no place in the CRS end in GridError.
    """
    vertices, owner = shapely.get_coordinates(geometry, return_index=True)
    longitude, latitude = angles_of(vertices, earth, index, owner)
    frames = frames_around(earth, longitude, latitude, owner)
    metres = np.column_stack(frames.metres(longitude, latitude, owner))
    # Two columns of new coordinates: heights are dropped here.
    return shapely.set_coordinates(geometry.copy(), metres), frames


def angles_of(
    vertices: NDArray[np.float64],
    earth: Earth,
    index: pd.Index,
    owner: NDArray[np.intp],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude of vertices in radians.

    Args:
        vertices: Shape (vertex, 2), CRS units.
        earth: Their CRS.
        index: Names of rows for messages, shape (n,).
        owner: Which of them each vertex is of, shape (vertex,).

    Returns:
        Shape (vertex,) each.

    Raises:
        GridError: coordinates that are no place in the CRS.
    """
    longitude, latitude = earth.angles(vertices[:, 0], vertices[:, 1])
    placed = np.isfinite(longitude) & (np.abs(latitude) < np.pi / 2 + 1e-9)
    if not placed.all():
        at = int(np.argmin(placed))
        x, y = vertices[at]
        raise GridError(
            f"({x:g}, {y:g}) in row {index[int(owner[at])]} is no place in "
            f"{earth.crs.name!r}, and so for {int((~placed).sum())} of {placed.size} "
            f"vertices. {_mend(vertices[~placed])}"
        )
    return longitude, latitude


def _mend(nowhere: NDArray[np.float64]) -> str:
    """Return what to do about coordinates that are no place."""
    if np.isfinite(nowhere).all():
        return (
            "The table names the wrong CRS, or holds y before x: set the CRS the "
            "coordinates are in."
        )
    return "Take out rows whose coordinates are NaN or infinite, or mend them."


def _mended(
    rows: NDArray[np.intp],
    local: NDArray[np.object_],
    frames: LocalFrames,
    axis: NDArray[np.float64],
) -> Iterator[PlacedPolygons | PlacedOthers]:
    """Yield geometries of any kind and size that are in metres already.

    Args:
        rows: Their rows, shape (object,).
        local: In metres, shape (object,).
        frames: Their frames.
        axis: As in `PlacedPolygons`; of no meaning for points and lines.
    """
    local, wrong = repaired(local)
    centre = shapely.get_coordinates(shapely.centroid(local))
    areal = is_areal(local)
    if not areal.all():
        other = ~areal
        yield PlacedOthers(
            rows=rows[other], x=centre[other, 0], y=centre[other, 1],
            frames=frames.taken(other),
        )  # fmt: skip
    if not areal.any():
        return
    rings, frames = rings_of(local[areal]), frames.taken(areal)
    sizes = sizes_of(rings)
    reach = np.abs(shapely.bounds(local[areal])).max(axis=1)
    large = too_large(frames, reach)
    yield PlacedPolygons(
        rows=rows[areal],
        rings=rings,
        sizes=_whole_sizes(local[areal], sizes, centre[areal], frames, large),
        frames=frames,
        axis=axis[areal],
        was_invalid=wrong[areal],
        is_large=large,
        is_flat=~beyond_plane(frames, reach),
    )


def _whole_sizes(
    local: NDArray[np.object_],
    sizes: Sizes,
    centre: NDArray[np.float64],
    frames: LocalFrames,
    large: NDArray[np.bool_],
) -> Sizes:
    """Return sizes in a plane, mended for what is large and what covers nothing."""
    area, perimeter = sizes.area.copy(), sizes.perimeter.copy()
    for row in np.flatnonzero(large):
        area[row], perimeter[row] = _geodesic(local[row], frames, int(row))
    nothing = _covers_nothing(area, perimeter)
    # What has no area has the centre of a line.
    nowhere = nothing | np.isnan(sizes.centre_x)
    return replace(
        sizes,
        area=np.where(nothing, 0.0, area),
        perimeter=perimeter,
        centre_x=np.where(nowhere, centre[:, 0], sizes.centre_x),
        centre_y=np.where(nowhere, centre[:, 1], sizes.centre_y),
    )


def _covers_nothing(
    area: NDArray[np.float64], perimeter: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return whether rounding alone may have made an area, shape (object,)."""
    return np.asarray(area <= ROUNDING_M * perimeter)


def _geodesic(
    local: shapely.Geometry, frames: LocalFrames, row: int
) -> tuple[float, float]:
    """Return area (m2) and perimeter (m) of one large object by geodesics."""
    oriented = shapely.orient_polygons(local)
    metres = shapely.get_coordinates(oriented)
    angles = frames.angles(metres[:, 0], metres[:, 1], np.full(len(metres), row))
    degrees = shapely.set_coordinates(oriented, np.degrees(np.column_stack(angles)))
    geod = frames.earth.geod
    # The perimeter that comes with the area leaves out holes.
    area, _ = geod.geometry_area_perimeter(degrees)
    return abs(area), geod.geometry_length(shapely.boundary(degrees))
