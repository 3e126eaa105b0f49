"""The largest circle inside each of many polygons.

Its centre is the pole of inaccessibility (Garcia-Castellanos and Lombardo 2007). Found
as polylabel does (Agafonkin 2016): squares cover the polygon, those that can hold no
better place fall, the others are cut in four. Here all polygons go down one level
together, and the distance to the outline is first taken to its vertices alone, which is
a fifth of the work and never too small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from areca.measures.enclosing import Discs
from areca.measures.hulls import first_largest
from areca.measures.outlines import Outlines, cut_outlines
from areca.measures.rings import NEEDLE, edges_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from areca.measures.rings import Rings, Sizes

TOLERANCE = 0.01
"""The circle found is smaller than the largest one by this share at most."""
SPACING = 0.25
"""Distance of points on the outline, in area / perimeter. No inscribed radius is less
than that, so the distance to the points is at most 0.8 % over that to the outline."""
LEAST = 0.9
"""Radius that every polygon has room for, in area / perimeter, with some slack."""
SIZES = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Polygons with like numbers of edges are looked at together; those with more go one by
one to GEOS."""
SLENDER = 64
"""Perimeter**2 / area of slivers (14 : 1) that go there too: along their middle line
all places are equally good, and squares too many."""
SEGMENT_COST = 4
"""What the distance to an edge costs, in distances to a point."""
ACROSS = 3
"""Squares across the short side of the bounds, to begin with: one is in the middle."""


def inscribed_discs(rings: Rings, sizes: Sizes) -> Discs:
    """Find the largest circle inside each polygon.

    Args:
        rings: Of valid polygons, in metres.
        sizes: What `sizes_of` says of them.

    Returns:
        Centres and radii; the radius is at most TOLERANCE short of the largest. NaN
        where there is no area, or nearly none (needles of 1 : 250,000).
    """
    found = np.full((3, len(sizes.area)), np.nan)
    solid = sizes.area > NEEDLE * sizes.perimeter**2
    if not solid.any():
        return Discs(x=found[0], y=found[1], radius=found[2])
    solids = rings if solid.all() else rings.taken(solid)
    spacing = SPACING * sizes.area / np.where(solid, sizes.perimeter, 1.0)
    for rows, outlines in _by_length(solids, spacing[solid]):
        at = np.flatnonzero(solid)[rows]
        found[:, at] = (
            _largest_inside(outlines, LEAST / SPACING * spacing[at])
            if isinstance(outlines, Outlines)
            else _by_geos(outlines, TOLERANCE / SPACING * spacing[at])
        )
    return Discs(x=found[0], y=found[1], radius=found[2])


def _by_length(
    rings: Rings, spacing: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.intp], Outlines | NDArray[np.object_]]]:
    """Yield objects that are looked at together: rows, and their outlines."""
    east, north = edges_of(rings)
    owner = np.repeat(rings.owner, rings.lengths)
    length = np.sqrt(east * east + north * north)
    # Of the edge that begins at each vertex; none where a ring ends.
    pieces = np.ceil(length / spacing[owner]).clip(max=SIZES[-1] + 1).astype(np.intp)
    edges = np.bincount(owner, pieces > 0, len(spacing))
    points = np.bincount(owner, pieces, len(spacing))
    dense = points <= SEGMENT_COST * edges
    size = np.searchsorted(SIZES, np.where(dense, points, edges))
    around = np.bincount(owner, length, len(spacing))
    size[SPACING * around > SLENDER * spacing] = len(SIZES)
    for kind in np.unique(2 * size + dense):
        chosen = 2 * size + dense == kind
        part = rings.taken(chosen)
        if kind >= 2 * len(SIZES):
            yield np.flatnonzero(chosen), _polygons(part)
            continue
        cut = pieces[chosen[owner]]
        outlines = cut_outlines(
            part,
            cut if kind % 2 else np.minimum(cut, 1),
            SIZES[kind // 2],
            dense=bool(kind % 2),
        )
        yield np.flatnonzero(chosen), outlines


def _largest_inside(
    outlines: Outlines, least: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return x, y and radius of the largest circle in each outline, shape (3, n).

    Squares that cannot hold a radius of `least`, shape (n,), fall at once.
    """
    count = len(outlines.x)
    best_x, best_y, best = np.zeros(count), np.zeros(count), np.zeros(count)
    x, y, half, row = _first_squares(outlines)
    inside = np.zeros(len(x), dtype=bool)
    while len(x):
        reach = half * np.sqrt(2)
        distance = outlines.distances(x, y, row)
        # A square that the outline does not touch is inside or outside as a whole.
        bar = np.maximum(best * (1 + TOLERANCE), least)
        hopeful = distance + reach > bar[row]
        asked = np.flatnonzero(hopeful & ~inside & (distance > reach))
        inside[asked] = outlines.cover(x[asked], y[asked], row[asked])
        hopeful[asked] = inside[asked]
        x, y, half, row = x[hopeful], y[hopeful], half[hopeful], row[hopeful]
        inside, distance = inside[hopeful], distance[hopeful]
        if not len(x):
            break
        # The most promising place of each outline is looked at closely.
        top = first_largest(distance, np.flatnonzero(np.diff(row, prepend=-1)))
        asked = top[~inside[top]]
        out = asked[~outlines.cover(x[asked], y[asked], row[asked])]
        top = top[~np.isin(top, out)]
        here = row[top]
        exact = outlines.exact_distances(x[top], y[top], here)
        better = exact > best[here]
        here, top = here[better], top[better]
        best_x[here], best_y[here], best[here] = x[top], y[top], exact[better]
        bar = np.maximum(best * (1 + TOLERANCE), least)
        left = distance + half * np.sqrt(2) > bar[row]
        x, y, half, row, inside = _cut_in_four(
            x[left], y[left], half[left], row[left], inside[left]
        )
    return np.stack([best_x, best_y, best])


def _first_squares(
    outlines: Outlines,
) -> tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]
]:
    """Return squares that cover the bounds of outlines: middles, half sides, rows."""
    low_x, low_y = outlines.x.min(axis=1), outlines.y.min(axis=1)
    width, height = outlines.x.max(axis=1) - low_x, outlines.y.max(axis=1) - low_y
    side = np.minimum(width, height) / ACROSS
    columns = np.ceil(width / side - 1e-9).astype(np.intp)
    count = columns * np.ceil(height / side - 1e-9).astype(np.intp)
    row = np.repeat(np.arange(len(side)), count)
    number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    step_y, step_x = np.divmod(number, columns[row])
    x = low_x[row] + (step_x + 0.5) * side[row]
    y = low_y[row] + (step_y + 0.5) * side[row]
    return x, y, side[row] / 2, row


def _cut_in_four(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    half: NDArray[np.float64],
    row: NDArray[np.intp],
    inside: NDArray[np.bool_],
) -> tuple[
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.intp],
    NDArray[np.bool_],
]:
    """Return four squares in place of each, shape (4 n,), still in order of rows."""
    quarter = half[:, None] / 2
    return (
        (x[:, None] + quarter * [-1, 1, -1, 1]).ravel(),
        (y[:, None] + quarter * [-1, -1, 1, 1]).ravel(),
        np.repeat(half / 2, 4),
        np.repeat(row, 4),
        np.repeat(inside, 4),
    )


def _polygons(rings: Rings) -> NDArray[np.object_]:
    """Return rings put together again, as one multipolygon for each object."""
    shells = np.flatnonzero(rings.sign > 0)
    objects = np.flatnonzero(np.diff(rings.owner[shells], prepend=-1))
    offsets = (
        np.append(rings.starts, len(rings.x)),
        np.append(shells, len(rings.starts)),
        np.append(objects, len(shells)),
    )
    coordinates = np.column_stack([rings.x, rings.y])
    return np.asarray(
        shapely.from_ragged_array(
            shapely.GeometryType.MULTIPOLYGON, coordinates, offsets
        )
    )


def _by_geos(
    geometry: NDArray[np.object_], tolerance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return x, y and radius of the largest circle in polygons, shape (3, n)."""
    radii = shapely.maximum_inscribed_circle(geometry, tolerance=tolerance)
    ends = shapely.get_coordinates(radii).reshape(-1, 2, 2)
    return np.vstack([ends[:, 0].T, shapely.length(radii)])
