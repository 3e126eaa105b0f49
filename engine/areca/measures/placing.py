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

    from numpy.typing import NDArray

    from areca.tiles.earth import Earth


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
    geometry: NDArray[np.object_], earth: Earth
) -> Iterator[PlacedPolygons | PlacedOthers]:
    """Yield geometries in metres, each row in one of the sets that come.

    Args:
        geometry: Not None, not empty, shape (n,), CRS units.
        earth: Their CRS.
    """
    areal = is_areal(geometry)
    rows = np.flatnonzero(areal)
    maps = nearby_maps(earth, shapely.bounds(geometry[rows]))
    plain = maps.holds
    if plain.any():
        near = rows[plain]
        maps = maps if plain.all() else maps.taken(plain)
        rings = maps.placed(rings_of(geometry[near]))
        sizes = sizes_of(rings)
        # A ring that turns once around a point within cannot cross itself.
        sound = sizes.is_star.copy()
        sound[~sound] = shapely.is_valid(geometry[near[~sound]])
        if not sound.all():
            plain[plain] = sound
            near, maps, rings = near[sound], maps.taken(sound), rings.taken(sound)
            sizes = sizes.taken(sound)
        if len(near):
            no = np.zeros(len(near), dtype=bool)
            yield PlacedPolygons(
                rows=near, rings=rings, sizes=sizes, frames=maps.frames,
                axis=maps.axis, was_invalid=no, is_large=no, is_flat=~no,
            )  # fmt: skip
    rest = ~areal
    rest[rows[~plain]] = True
    if rest.any():
        yield from _placed_exactly(geometry, np.flatnonzero(rest), earth)


def in_metres(
    geometry: NDArray[np.object_], earth: Earth
) -> tuple[NDArray[np.object_], LocalFrames]:
    """Move each geometry into its own frame, all vertices through PROJ.

    Args:
        geometry: Not None, not empty, shape (n,), CRS units.
        earth: Their CRS.

    Returns:
        Geometries in metres, and their frames. Heights are dropped. Coordinates that
        are no place in the CRS end in GridError.
    """
    vertices, owner = shapely.get_coordinates(geometry, return_index=True)
    longitude, latitude = angles_of(vertices, earth)
    frames = frames_around(earth, longitude, latitude, owner)
    metres = np.column_stack(frames.metres(longitude, latitude, owner))
    # Two columns of new coordinates: heights are dropped here.
    return shapely.set_coordinates(geometry.copy(), metres), frames


def angles_of(
    vertices: NDArray[np.float64], earth: Earth
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude in radians of vertices, shape (n, 2).

    Raises:
        GridError: coordinates that are no place in the CRS.
    """
    longitude, latitude = earth.angles(vertices[:, 0], vertices[:, 1])
    placed = np.isfinite(longitude) & (np.abs(latitude) < np.pi / 2 + 1e-9)
    if not placed.all():
        x, y = vertices[np.argmin(placed)]
        raise GridError(
            f"({x:g}, {y:g}) is no place in {earth.crs.name!r}, and so for "
            f"{int((~placed).sum())} of {placed.size} vertices. The table names the "
            "wrong CRS, or holds y before x: set the CRS the coordinates are in."
        )
    return longitude, latitude


def _placed_exactly(
    geometry: NDArray[np.object_], rows: NDArray[np.intp], earth: Earth
) -> Iterator[PlacedPolygons | PlacedOthers]:
    """Yield what needs more than a local map: see `placed`."""
    local, frames = in_metres(geometry[rows], earth)
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
    rows, local, wrong, centre = rows[areal], local[areal], wrong[areal], centre[areal]
    frames = frames.taken(areal)
    rings = rings_of(local)
    sizes = sizes_of(rings)
    area, perimeter = sizes.area.copy(), sizes.perimeter.copy()
    reach = np.abs(shapely.bounds(local)).max(axis=1)
    large = too_large(frames, reach)
    for row in np.flatnonzero(large):
        area[row], perimeter[row] = _geodesic(local[row], frames, int(row))
    flat = np.isnan(sizes.centre_x)  # a polygon with no area has the centre of a line
    yield PlacedPolygons(
        rows=rows,
        rings=rings,
        sizes=replace(
            sizes,
            area=area,
            perimeter=perimeter,
            centre_x=np.where(flat, centre[:, 0], sizes.centre_x),
            centre_y=np.where(flat, centre[:, 1], sizes.centre_y),
        ),
        frames=frames,
        axis=nearby_maps(earth, shapely.bounds(geometry[rows])).axis,
        was_invalid=wrong,
        is_large=large,
        is_flat=~beyond_plane(frames, reach),
    )


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
