"""Groups of objects that may lie in several partitions, as convex hulls in one frame.

Two passes: the first finds where each group lies and so its frame, the second the hulls
in that frame. A hull of hulls is the hull, so partitions need only pass on corners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely

from areca.measures.frames import LocalFrames
from areca.measures.hulls import Hulls, hulls_of_points, hulls_of_rings
from areca.measures.placing import angles_of
from areca.measures.polar import WITHIN
from areca.measures.rings import rings_of, sizes_of
from areca.measures.shapes import is_areal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    from numpy.typing import NDArray

    from areca.tiles.earth import Earth


@dataclass(frozen=True, slots=True, kw_only=True)
class Extents:
    """Where groups lie, row by row of `keys`."""

    keys: pd.DataFrame
    """The values that make each group."""
    angles: NDArray[np.float64]
    """West, south, east, north, radians, shape (group, 4). Longitudes go on past half a
    turn where a group crosses the antimeridian."""
    coordinates: NDArray[np.float64]
    """The same in CRS units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corners:
    """Corners of hulls, in the frames of their groups."""

    group: NDArray[np.intp]
    """Shape (corner,), ascending."""
    x: NDArray[np.float64]
    """Shape (corner,), m."""
    y: NDArray[np.float64]
    """Shape (corner,), m."""


def extents_of(
    objects: gpd.GeoDataFrame, by: Sequence[Any] | None, earth: Earth
) -> Extents:
    """Return where the groups of one partition lie.

    Args:
        objects: In memory.
        by: Columns whose values make a group; none of them: all are one; None: each row
            is one.
        earth: The CRS of the table.
    """
    group, keys = _grouped(objects, by)
    vertices, owner = shapely.get_coordinates(
        objects.geometry.to_numpy(), return_index=True
    )
    if not len(vertices):
        none = np.empty((0, 4))
        return Extents(keys=keys.iloc[:0], angles=none, coordinates=none)
    order = np.argsort(group[owner], kind="stable")
    vertices, owner = vertices[order], owner[order]
    number = group[owner]
    angles = np.column_stack(angles_of(vertices, earth, objects.index, owner))
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    return Extents(
        keys=keys.iloc[number[starts]].reset_index(drop=True),
        angles=_bounds(angles, starts, 2 * np.pi),
        coordinates=_bounds(vertices, starts, earth.turn),
    )


def merged_extents(parts: Sequence[Extents], earth: Earth) -> Extents:
    """Return where groups lie, from what all partitions say."""
    keys = pd.concat([part.keys for part in parts], ignore_index=True)
    if keys.columns.empty:
        group, keys = np.zeros(len(keys), dtype=np.intp), keys.iloc[:1]
    else:
        group, keys = _numbered(keys)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))

    def joined(name: str, turn: float | None) -> NDArray[np.float64]:
        boxes = np.concatenate([getattr(part, name) for part in parts])[order]
        corners = boxes.reshape(-1, 2)
        return _bounds(corners, 2 * starts, turn, pairs=True)

    if not len(group):
        return Extents(keys=keys, angles=np.empty((0, 4)), coordinates=np.empty((0, 4)))
    return Extents(
        keys=keys,
        angles=joined("angles", 2 * np.pi),
        coordinates=joined("coordinates", earth.turn),
    )


def frames_of(extents: Extents, earth: Earth) -> LocalFrames:
    """Return the frames around the middle of groups, or on a pole."""
    west, south, east, north = extents.angles.T
    longitude, latitude = (west + east) / 2, (south + north) / 2
    pole = np.where(latitude >= 0, 1.0, -1.0)
    away = np.pi / 2 - pole * latitude
    # As in `areca.measures.polar.around_poles`; half of the turn is half / away.
    polar = (away + (north - south) / 2 < WITHIN) & (east - west > 2 * away)
    if not polar.any():
        return LocalFrames(earth=earth, longitude=longitude, latitude=latitude)
    return LocalFrames(
        earth=earth,
        longitude=longitude,
        latitude=np.where(polar, pole * np.pi / 2, latitude),
        pole=np.where(polar, pole, 0.0),
    )


def corners_of(
    objects: gpd.GeoDataFrame, by: Sequence[Any] | None, extents: Extents, earth: Earth
) -> Corners:
    """Return the hulls of one partition's share of each group.

    Args:
        objects: In memory.
        by: As for `extents_of`.
        extents: Of all groups (of this partition, where each row is one).
        earth: The CRS of the table.
    """
    group, keys = _grouped(objects, by)
    geometry = objects.geometry.to_numpy()
    vertices, owner = shapely.get_coordinates(geometry, return_index=True)
    if by is None:  # rows with no vertex are no group
        number = np.unique(owner, return_inverse=True)[1]
    elif by:
        found = keys.merge(
            extents.keys.assign(**{_NUMBER: np.arange(len(extents.keys))}),
            on=list(by),
            how="left",
        )
        number = found[_NUMBER].to_numpy(np.float64)[group[owner]].astype(np.intp)
    else:
        number = np.zeros(len(owner), dtype=np.intp)
    longitude, latitude = angles_of(vertices, earth, objects.index, owner)
    metres = frames_of(extents, earth).metres(longitude, latitude, number)
    if by is None and is_areal(filled := geometry[np.unique(owner)]).all():
        rings = rings_of(filled).moved(*metres)
        hulls = hulls_of_rings(rings, sizes_of(rings))
        return Corners(group=hulls.owner, x=hulls.x, y=hulls.y)
    return _hull_corners(number, *metres)


def merged_corners(parts: Sequence[Corners]) -> Hulls:
    """Return whole hulls, from all partitions; every group has a corner in one."""
    corners = parts[0]
    if len(parts) > 1:
        number = np.concatenate([part.group for part in parts])
        x, y = (np.concatenate([getattr(p, name) for p in parts]) for name in "xy")
        corners = _hull_corners(number, x, y)
    return Hulls(
        x=corners.x,
        y=corners.y,
        starts=np.flatnonzero(np.diff(corners.group, prepend=-1)),
    )


_NUMBER = "number of the group"


def _grouped(
    objects: gpd.GeoDataFrame, by: Sequence[Any] | None
) -> tuple[NDArray[np.intp], pd.DataFrame]:
    """Return the group of each row, shape (n,), and what makes each group."""
    if by:
        return _numbered(pd.DataFrame(objects[list(by)]))
    if by is None:
        count = len(objects)
        return np.arange(count), pd.DataFrame(index=pd.RangeIndex(count))
    return np.zeros(len(objects), dtype=np.intp), pd.DataFrame(index=pd.RangeIndex(1))


def _numbered(keys: pd.DataFrame) -> tuple[NDArray[np.intp], pd.DataFrame]:
    """Return the number of the value in each row, in sorted order, and the values.

    A missing value is a value like any other, the last one.
    """
    groups = keys.groupby(list(keys.columns), dropna=False, sort=True, observed=True)
    number = np.asarray(groups.ngroup(), dtype=np.intp)
    first = np.unique(number, return_index=True)[1]
    return number, keys.iloc[first].reset_index(drop=True)


def _bounds(
    places: NDArray[np.float64],
    starts: NDArray[np.intp],
    turn: float | None,
    *,
    pairs: bool = False,
) -> NDArray[np.float64]:
    """Return the bounds of stretches of places, shape (n, 2), as shape (stretch, 4).

    With `turn`, the length of once around the Earth, x is followed from the first place
    of each stretch by the shorter way; `pairs` keep their distance.
    """
    x, y = places.T
    if turn is not None:
        counts = np.diff(starts, append=len(x))
        away = x - np.repeat(x[starts], counts)
        if pairs:
            away = np.repeat((away[::2] + away[1::2]) / 2, 2)
        x = x - turn * np.rint(away / turn)
    return np.column_stack(
        [
            np.minimum.reduceat(x, starts),
            np.minimum.reduceat(y, starts),
            np.maximum.reduceat(x, starts),
            np.maximum.reduceat(y, starts),
        ]
    )


def _hull_corners(
    number: NDArray[np.intp], x: NDArray[np.float64], y: NDArray[np.float64]
) -> Corners:
    """Return the hulls of points by group, shape (n,) each."""
    if not len(number):
        return Corners(group=number, x=x, y=y)
    order = np.argsort(number, kind="stable")
    values, owner = np.unique(number[order], return_inverse=True)
    hulls = hulls_of_points(x[order], y[order], owner.astype(np.intp))
    return Corners(group=np.repeat(values, hulls.counts), x=hulls.x, y=hulls.y)
