"""Spacing of plants: how far the nearest is, and in which pattern they stand."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import dask_geopandas as dgpd
import numpy as np

from areca.errors import InputError
from areca.measures.halo import map_with_halo
from areca.measures.places import Places, arc_length
from areca.measures.planting import SAME_LENGTH, Lattices, fit_lattices
from areca.measures.table import require_crs

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    from areca.measures.table import Table

REGULAR = 0.3
"""Least regularity of a planting pattern; plants strewn at random have about 0.1."""
ANGLE_SLACK = 8.0
"""Degrees by which a lattice may miss 60 or 90 degrees."""
LATTICE_REACH = 3
"""A lattice depends on plants within so many times the reach of `fit_lattices`."""


def spacing(objects: Table, *, reach_m: float = 30.0) -> Table:
    """Add the distance to the nearest object and the planting pattern around each.

    Distances are true metres between centres, whatever the CRS. The pattern is the
    lattice that the up to 18 nearest objects stand on, agreed on with the six nearest
    (see `areca.measures.planting`); it follows rows that bend.

    Args:
        objects: Table with a CRS. `center_lon` and `center_lat` are used where they are
            there. A dask_geopandas table must know its `spatial_partitions`.
        reach_m: Objects further away than this are no neighbours. It must reach two
            rows far, and it is what partitions must see of each other (three times).

    Returns:
        The same kind of table (lazy for dask_geopandas) with

        - `nearest_m`: distance to the nearest other object; NaN where none is in reach,
        - `plant_spacing_m`: distance of plants in their row, the shortest vector of the
          lattice, and `row_spacing_m`, the distance between such rows,
        - `row_direction_deg`: direction of the rows, degrees clockwise from true north,
          0 to 180; one of three in a triangular planting, of two in a square one,
        - `regularity`: 1 where all neighbours stand exactly in their places, 0.1 or so
          where plants are strewn at random,
        - `pattern`: "triangular", "square", "rectangular" or "oblique".

        The last five are null where `regularity` is under 0.3: no pattern. All are null
        for objects without a place.
    """
    require_crs(objects)
    check_reach(reach_m)
    function = partial(_spaced, reach_m=reach_m)
    spaced = map_with_halo(objects, function, LATTICE_REACH * reach_m)
    if isinstance(objects, dgpd.GeoDataFrame):
        spaced.spatial_partitions = objects.spatial_partitions
    return cast("Table", spaced)


def check_reach(reach_m: float) -> None:
    """Refuse a reach that is no length.

    Raises:
        InputError: it is not above 0, or not finite.
    """
    if not (np.isfinite(reach_m) and reach_m > 0):
        raise InputError(
            f"reach_m is {reach_m}: it must be a length in metres above 0, about three "
            "times the distance of plants"
        )


def in_order(
    centres: NDArray[np.float64], outside: NDArray[np.float64]
) -> tuple[Places, NDArray[np.intp]]:
    """Return all centres that have a place, sorted, and which row each comes from.

    Sums over neighbours are then taken in one order, whatever the partitions.

    Args:
        centres: Centres of a partition, shape (n, 2), degrees; NaN without a place.
        outside: Centres around it, shape (m, 2), degrees.

    Returns:
        Places, and for each its row in the partition, or -1.
    """
    every = np.concatenate([centres, outside])
    row = np.concatenate([np.arange(len(centres)), np.full(len(outside), -1)])
    placed = np.isfinite(every).all(axis=1)
    every, row = every[placed], row[placed]
    order = np.lexsort((every[:, 1], every[:, 0]))
    return Places.of(*every[order].T), row[order]


def _spaced(
    part: gpd.GeoDataFrame,
    centres: NDArray[np.float64],
    outside: NDArray[np.float64],
    reach_m: float,
) -> gpd.GeoDataFrame:
    """Return one in-memory table with its spacing."""
    places, row = in_order(centres, outside)
    lattices = fit_lattices(places, reach_m).take(row >= 0)
    columns = {"nearest_m": arc_length(lattices.nearest_m), **_described(lattices)}
    own = row[row >= 0]
    spaced = {}
    for name, values in columns.items():
        unknown = None if values.dtype == object else np.nan
        column = np.full(len(part), unknown, dtype=values.dtype)
        column[own] = values
        spaced[name] = column
    return part.assign(**spaced)


def _described(lattices: Lattices) -> dict[str, NDArray[np.generic]]:
    """Return the lattices in words and numbers, null where there is no pattern."""
    regular = lattices.regularity >= REGULAR
    direction = np.degrees(np.arctan2(lattices.short[:, 0], lattices.short[:, 1])) % 180
    numbers = {
        "plant_spacing_m": lattices.spacing_m,
        "row_spacing_m": lattices.row_spacing_m,
        "row_direction_deg": direction,
    }
    return {
        **{name: np.where(regular, v, np.nan) for name, v in numbers.items()},
        "regularity": np.where(lattices.regularity >= 0, lattices.regularity, np.nan),
        "pattern": _pattern(lattices, regular),
    }


def _pattern(lattices: Lattices, regular: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Return the kind of each lattice, shape (n,); None where it is not regular."""
    short, long = (np.hypot(*v.T) for v in (lattices.short, lattices.long))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.abs((lattices.short * lattices.long).sum(axis=1)) / (short * long)
        angle = np.degrees(np.arccos(np.clip(cosine, 0, 1)))
        equal = long <= SAME_LENGTH * short
        triangular = equal & (angle < 60 + ANGLE_SLACK)
        right = angle > 90 - ANGLE_SLACK
    kind = np.full(len(angle), "oblique", dtype=object)
    kind[right] = "rectangular"
    kind[right & equal] = "square"
    kind[triangular] = "triangular"
    kind[~regular] = None
    return kind
