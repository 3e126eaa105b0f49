"""Size, place and direction of polygons that lie in metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from scipy.special import ellipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLYGON = 3
MULTIPOLYGON = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangles:
    """The rectangle of least area around each object, any direction."""

    width_m: NDArray[np.float64]
    """Short side, shape (n,); NaN where the object has no area."""
    length_m: NDArray[np.float64]
    """Long side, shape (n,); NaN where the object has no area."""
    orientation_deg: NDArray[np.float64]
    """Long side, degrees clockwise from +y, 0 to 180; any value for a square."""


def is_areal(geometry: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return True for polygons and multipolygons, not for points, lines or None."""
    return np.isin(shapely.get_type_id(geometry), (POLYGON, MULTIPOLYGON))


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


def repaired(geometry: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the same geometries with invalid ones made valid.

    A bow-tie becomes its two lobes; parts that overlap are counted once.
    What has no area left when repaired stays as it was.
    """
    wrong = ~shapely.is_valid(geometry)
    if not wrong.any():
        return geometry
    mended = geometry.copy()
    valid = shapely.make_valid(
        geometry[wrong], method="structure", keep_collapsed=False
    )
    mended[wrong] = np.where(shapely.is_empty(valid), geometry[wrong], valid)
    return mended


def smallest_rectangles(geometry: NDArray[np.object_]) -> Rectangles:
    """Find the rectangle of least area around each geometry.

    Args:
        geometry: shapely geometries in metres with +y to true north, shape (n,).

    Returns:
        Sides and direction (Esri calls these MBG_Width, MBG_Length and
        MBG_Orientation of RECTANGLE_BY_AREA).
    """
    around = shapely.oriented_envelope(geometry)
    # Around a point or a line there is no rectangle: GEOS returns a point or a line.
    drawn = (shapely.get_type_id(around) == POLYGON) & ~shapely.is_empty(around)
    corners = shapely.get_coordinates(around[drawn]).reshape(-1, 5, 2)
    sides = np.diff(corners[:, :3], axis=1)
    lengths = np.hypot(sides[..., 0], sides[..., 1])
    rows = np.arange(len(lengths))
    longest = sides[rows, lengths.argmax(axis=1)]
    degrees = np.degrees(np.arctan2(longest[:, 0], longest[:, 1])) % 180

    def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
        column = np.full(geometry.shape, np.nan)
        column[drawn] = values
        return column

    return Rectangles(
        width_m=spread(lengths.min(axis=1, initial=np.inf)),
        length_m=spread(lengths.max(axis=1, initial=0.0)),
        orientation_deg=spread(degrees),
    )


def ellipse_perimeter(
    width: NDArray[np.float64], length: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the perimeter of the ellipse inside each rectangle.

    Args:
        width: Short sides, shape (n,), m.
        length: Long sides, shape (n,), m.

    Returns:
        Perimeters, shape (n,), m (complete elliptic integral, DLMF 19.30.5).

    Example:
        >>> bool(
        ...     np.isclose(
        ...         ellipse_perimeter(np.array([2.0]), np.array([2.0]))[0], 2 * np.pi
        ...     )
        ... )
        True
    """
    return np.asarray(2 * length * ellipe(1 - (width / length) ** 2))
