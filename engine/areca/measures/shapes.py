"""What kind of geometry something is, and how to make it one that can be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLYGON = 3
MULTIPOLYGON = 6
COLLECTION = 7


def is_areal(geometry: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return True for polygons and multipolygons, not for points, lines or None."""
    kind = shapely.get_type_id(geometry)
    return np.asarray((kind == POLYGON) | (kind == MULTIPOLYGON))


def is_quadrilateral(geometry: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return True for polygons with four corners and no hole."""
    return np.asarray(
        (shapely.get_type_id(geometry) == POLYGON)
        & (shapely.get_num_coordinates(geometry) == 5)
        & (shapely.get_num_interior_rings(geometry) == 0)
    )


def is_upright_box(geometry: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Tell rectangles along the axes, as a box detector draws them.

    Args:
        geometry: shapely geometries in the CRS they were drawn in, shape (n,).

    Returns:
        True where a polygon has four corners and fills its own bounds.
    """
    simple = is_quadrilateral(geometry)
    found = np.zeros(geometry.shape, dtype=bool)
    west, south, east, north = shapely.bounds(geometry[simple]).T
    filled = (east - west) * (north - south)
    # A four-cornered shape has the area of its bounds only if it is its bounds.
    # No absolute tolerance: a crown is 1e-9 square degrees.
    missing = np.abs(filled - shapely.area(geometry[simple]))
    found[simple] = (missing <= 1e-7 * filled) & (filled > 0)
    return found


def polygons_of_collections(
    geometry: NDArray[np.object_],
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Put the polygons of each collection in its place.

    A repair or an overlay in a GIS may leave lines beside the polygons of an object.

    Args:
        geometry: Any geometries or None, shape (n,).

    Returns:
        The geometries, with multipolygons for collections that hold polygons, and
        which these are, shape (n,).
    """
    changed = np.zeros(len(geometry), dtype=bool)
    mixed = np.flatnonzero(shapely.get_type_id(geometry) == COLLECTION)
    parts, owner = geometry[mixed], np.arange(len(mixed))
    while (nested := shapely.get_type_id(parts) > POLYGON).any():
        inner, of = shapely.get_parts(parts[nested], return_index=True)
        owner = np.concatenate([owner[~nested], owner[nested][of]])
        parts = np.concatenate([parts[~nested], inner])
    order = np.argsort(owner, kind="stable")
    parts, owner = parts[order], owner[order]
    solid = (shapely.get_type_id(parts) == POLYGON) & ~shapely.is_empty(parts)
    if not solid.any():
        return geometry, changed
    rows, number = np.unique(owner[solid], return_inverse=True)
    replaced = geometry.copy()
    replaced[mixed[rows]] = shapely.multipolygons(parts[solid], indices=number)
    changed[mixed[rows]] = True
    return replaced, changed


def repaired(
    geometry: NDArray[np.object_],
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Make invalid geometries valid.

    A bow-tie becomes its two lobes; parts that overlap are counted once.
    What has no area left when repaired stays as it was.

    Args:
        geometry: shapely geometries, shape (n,).

    Returns:
        The geometries, and which were mended, shape (n,).
    """
    wrong = ~shapely.is_valid(geometry)
    if not wrong.any():
        return geometry, wrong
    mended = geometry.copy()
    valid = shapely.make_valid(
        geometry[wrong], method="structure", keep_collapsed=False
    )
    wrong[wrong] = found = ~shapely.is_empty(valid)
    mended[wrong] = valid[found]
    return mended, wrong
