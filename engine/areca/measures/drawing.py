"""The five kinds of minimum bounding geometry, from hulls to geometries on the map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import shapely
from scipy.spatial import cKDTree

from areca.measures.columns import (
    rectangle_sides,
    smallest_by_area,
    smallest_by_width,
)
from areca.measures.enclosing import enclosing_discs
from areca.measures.groups import frames_of
from areca.measures.hulls import Hulls, calipers, longest_pairs
from areca.measures.nearby import beyond_plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.measures.frames import LocalFrames
    from areca.measures.groups import Extents
    from areca.measures.hulls import Calipers
    from areca.tiles.earth import Earth

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
SEGMENTS = 72
"""Sides of a drawn circle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What to draw."""

    kind: str
    circle_of_envelope: bool

    @property
    def is_along_axes(self) -> bool:
        """Whether bounds in the CRS are all that counts."""
        circle = self.kind == "CIRCLE" and self.circle_of_envelope
        return self.kind == "ENVELOPE" or circle


def drawn_shapes(
    hulls: Hulls, extents: Extents, drawing: Drawing, earth: Earth
) -> tuple[NDArray[np.object_], dict[str, NDArray[np.float64]]]:
    """Draw the geometry that is wanted around each group.

    Args:
        hulls: Of the groups, in their frames.
        extents: Where they lie.
        drawing: What to draw.
        earth: The CRS.

    Returns:
        Geometries in the CRS and their fields by name, shape (group,) each.
    """
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
    if drawing.kind != "ENVELOPE":
        reach = np.maximum.reduceat(np.hypot(hulls.x, hulls.y), hulls.starts)
        lost = beyond_plane(frames, reach)
        geometry[lost] = None
        values = [np.where(lost, np.nan, column) for column in values]
    flat = shapely.area(geometry) == 0
    geometry[flat] = shapely.convex_hull(geometry[flat])
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
