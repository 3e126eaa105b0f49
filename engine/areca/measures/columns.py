"""The columns of placed polygons: what each estimator makes of one outline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ellipe

from areca.measures.enclosing import enclosing_discs
from areca.measures.hulls import calipers, first_largest, hulls_of_rings, longest_pairs
from areca.measures.poles import inscribed_discs
from areca.measures.uncertainty import (
    KENDALL,
    ellipse_variance,
    smooth_perimeter,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.measures.hulls import Calipers, Hulls
    from areca.measures.options import MeasureOptions
    from areca.measures.placing import PlacedPolygons
    from areca.measures.rings import Sizes

BOUNDING = (
    "bounding_radius_m",
    "inscribed_radius_m",
    "pole_x",
    "pole_y",
    "feret_min_m",
    "feret_max_m",
    "circularity",
)
"""The columns that the option `bounding` adds, in this order."""

FILLS = 1e-3
"""Share of a rectangle that an outline may leave free and still be one."""

Columns = dict[str, "NDArray[np.float64]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimators:
    """Which estimator each polygon has, shape (object,) each."""

    box: NDArray[np.bool_]
    """It is the ellipse inside its smallest rectangle."""
    disc: NDArray[np.bool_]
    """It is the circle of its own area."""
    bounding: NDArray[np.bool_]
    """Its radius is that of the smallest circle around it."""
    inscribed: NDArray[np.bool_]
    """Its radius is that of the largest circle inside it."""
    pixel: NDArray[np.float64] | None
    """Size of a pixel, m; NaN where not known, None if for no object."""

    @property
    def outline(self) -> NDArray[np.bool_]:
        """Whether the outline is what was seen, shape (object,)."""
        return ~(self.box | self.disc)


def polygon_columns(
    polygons: PlacedPolygons, estimators: Estimators, options: MeasureOptions
) -> Columns:
    """Measure polygons.

    Args:
        polygons: In metres.
        estimators: What each is taken for.
        options: Which columns are wanted.

    Returns:
        Columns, shape (object,) each; `pole_x` and `pole_y` in metres of the frame.
    """
    sizes = polygons.sizes
    columns: Columns = {"area_m2": sizes.area.copy()}
    columns["perimeter_m"] = sizes.perimeter.copy()
    columns |= _around(polygons, estimators, options)
    if options.bounding or estimators.inscribed.any():
        columns |= _inside(polygons, estimators, options)
    _as_ellipses(columns, estimators.box, sizes)
    columns["radius_m"] = np.sqrt(columns["area_m2"] / np.pi)
    _as_discs(columns, estimators.disc, sizes)
    if options.bounding:
        square = np.where(sizes.area > 0, columns["perimeter_m"], np.nan) ** 2
        columns["circularity"] = 4 * np.pi * columns["area_m2"] / square
    if estimators.pixel is not None:
        columns |= _errors(polygons, columns, estimators, options)
    for name, rows in (
        ("bounding_radius_m", estimators.bounding),
        ("inscribed_radius_m", estimators.inscribed),
    ):
        if rows.any():
            columns["radius_m"][rows] = columns[name][rows]
    return columns


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


def rectangle_sides(
    found: Calipers, edge: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the rectangles that stand on edges of hulls.

    Args:
        found: The calipers.
        edge: One edge of each hull, shape (object,).

    Returns:
        Short side and long side, m, and the direction of the long one, degrees
        clockwise from +y, 0 to 180, shape (object,) each.
    """
    height, extent = found.height[edge], found.extent[edge]
    east, north = found.east[edge], found.north[edge]
    upright = height > extent
    degrees = np.degrees(
        np.arctan2(np.where(upright, -north, east), np.where(upright, east, north))
    )
    # A direction of -1e-15 degrees would be taken for 180.
    orientation = degrees % 180 % 180
    return np.minimum(height, extent), np.maximum(height, extent), orientation


def smallest_by_area(hulls: Hulls, found: Calipers) -> NDArray[np.intp]:
    """Return the edge that the rectangle of least area stands on, shape (object,)."""
    return first_largest(-found.height * found.extent, hulls.starts)


def smallest_by_width(hulls: Hulls, found: Calipers) -> NDArray[np.intp]:
    """Return the edge that the narrowest rectangle stands on, shape (object,)."""
    return first_largest(-found.height, hulls.starts)


def _around(
    polygons: PlacedPolygons, estimators: Estimators, options: MeasureOptions
) -> Columns:
    """Return what lies around objects: rectangle, calipers, circle; NaN if unwanted."""
    names = ["width_m", "length_m", "orientation_deg"]
    if options.bounding or estimators.bounding.any():
        names += ["bounding_radius_m", "feret_min_m", "feret_max_m"]
    rings, sizes = polygons.rings, polygons.sizes
    columns = {name: np.full(len(sizes.area), np.nan) for name in names}
    rows = polygons.is_flat & (sizes.area > 0)
    if not (options.rectangle or options.bounding):
        rows = rows & (estimators.box | estimators.bounding)
    if not rows.any():
        return columns
    if not rows.all():
        rings, sizes = rings.taken(rows), sizes.taken(rows)
    hulls = hulls_of_rings(rings, sizes)
    found = calipers(hulls)
    values = list(rectangle_sides(found, smallest_by_area(hulls, found)))
    if len(names) > len(values):
        one, other = longest_pairs(hulls, found)
        values += [
            enclosing_discs(hulls, one, other).radius,
            found.height[smallest_by_width(hulls, found)],
            np.hypot(hulls.x[one] - hulls.x[other], hulls.y[one] - hulls.y[other]),
        ]
    for name, value in zip(names, values, strict=True):
        columns[name][rows] = value
    return columns


def _inside(
    polygons: PlacedPolygons, estimators: Estimators, options: MeasureOptions
) -> Columns:
    """Return the largest circle inside each outline, NaN where it is not wanted."""
    rings, sizes = polygons.rings, polygons.sizes
    rows = estimators.inscribed | (estimators.outline & options.bounding)
    rows = rows & polygons.is_flat & (sizes.area > 0)
    discs = np.full((3, len(rows)), np.nan)
    if rows.any():
        if not rows.all():
            rings, sizes = rings.taken(rows), sizes.taken(rows)
        found = inscribed_discs(rings, sizes)
        discs[:, rows] = found.x, found.y, found.radius
    return dict(zip(("pole_x", "pole_y", "inscribed_radius_m"), discs, strict=True))


def _as_ellipses(columns: Columns, rows: NDArray[np.bool_], sizes: Sizes) -> None:
    """Take objects for the ellipse inside their smallest rectangle."""
    rows = rows & (sizes.area > 0)
    if not rows.any():
        return
    width, length = columns["width_m"][rows], columns["length_m"][rows]
    around, own = width * length, sizes.area[rows]
    # A box is a little narrower at its poleward side, and fills its rectangle but for
    # that: its own area is the mean. So it is of one too large for a plane.
    fills = ~(own <= (1 - FILLS) * around)
    values = {
        "area_m2": np.pi / 4 * np.where(fills, own, around),
        "perimeter_m": ellipse_perimeter(width, length),
        "bounding_radius_m": length / 2,
        "inscribed_radius_m": width / 2,
        "pole_x": sizes.centre_x[rows],
        "pole_y": sizes.centre_y[rows],
        "feret_min_m": width,
        "feret_max_m": length,
    }
    for name in values.keys() & columns.keys():
        columns[name][rows] = values[name]


def _as_discs(columns: Columns, rows: NDArray[np.bool_], sizes: Sizes) -> None:
    """Take objects for the circle of their area.

    A circle is drawn as a polygon of equal area: its area is right, but its outline is
    longer (0.16 % with 32 sides), it is narrower, and its long side means nothing.
    """
    if not rows.any():
        return
    radius = columns["radius_m"][rows]
    values = {
        "perimeter_m": 2 * np.pi * radius,
        "width_m": 2 * radius,
        "length_m": 2 * radius,
        "orientation_deg": np.full(len(radius), np.nan),
        "bounding_radius_m": radius,
        "inscribed_radius_m": radius,
        "pole_x": sizes.centre_x[rows],
        "pole_y": sizes.centre_y[rows],
        "feret_min_m": 2 * radius,
        "feret_max_m": 2 * radius,
    }
    for name in values.keys() & columns.keys():
        columns[name][rows] = values[name]


def _errors(
    polygons: PlacedPolygons,
    columns: Columns,
    estimators: Estimators,
    options: MeasureOptions,
) -> Columns:
    """Return one standard deviation of area and radius, NaN where it is not known."""
    pixel = estimators.pixel
    if pixel is None:
        return {}
    perimeter = np.where(
        estimators.outline,
        smooth_perimeter(polygons.rings, polygons.axis),
        columns["perimeter_m"],
    )
    variance = KENDALL * perimeter * pixel**3
    box, disc = estimators.box, estimators.disc
    if box.any():
        width, length = columns["width_m"][box], columns["length_m"][box]
        variance[box] = ellipse_variance(width, length, pixel[box])
    # The circle of a model was not cut into pixels: only its edge is known or not.
    variance[disc] = 0.0 if options.edge_sigma_m else np.nan
    sigma = np.sqrt(variance + (perimeter * options.edge_sigma_m) ** 2)
    # By area, radius = sqrt(area / pi). Other circles are off to one side, not around.
    by_area = ~(estimators.bounding | estimators.inscribed) & (columns["area_m2"] > 0)
    around = 2 * np.pi * np.where(by_area, columns["radius_m"], np.nan)
    return {"area_sigma_m2": sigma, "radius_sigma_m": sigma / around}
