"""Partitions of a table that see the objects just outside them.

A distance to the nearest neighbour does not end where a partition ends. Each partition
gets the centres around it; which partitions hold them is known from their bounds, so
nothing is computed to build the graph, and no worker meets more than its surroundings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np
import shapely
from dask.dataframe import from_delayed
from dask.dataframe.dispatch import make_meta
from dask.delayed import delayed

from areca.errors import GridError
from areca.measures.places import WGS84, Places, centres_of
from areca.measures.table import require_crs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from areca.measures.table import Table

    Around: TypeAlias = Callable[
        [gpd.GeoDataFrame, NDArray[np.float64], NDArray[np.float64]], gpd.GeoDataFrame
    ]

SIDE_STEPS = 16
"""Pieces of a side of a partition's bounds whose ends are placed on the Earth."""
LEAST_CURVATURE_M = 6.33e6
"""Smallest radius of curvature of the ellipsoid, m."""


def map_with_halo(objects: Table, function: Around, reach_m: float) -> Table:
    """Call a function on each partition together with the centres around it.

    Args:
        objects: Table with a CRS. In memory it is one partition, with nothing around;
            a dask_geopandas table must know its `spatial_partitions`.
        function: Takes a partition, the centres of its objects and those of other
            objects within reach of the partition (longitude and latitude in degrees,
            shape (n, 2) and (m, 2)), and returns a table.
        reach_m: How far around a partition to look, m.

    Returns:
        What the function returns; for dask_geopandas a lazy table with the function's
        tables as its partitions, nothing is computed.
    """
    nothing = np.empty((0, 2))
    if not isinstance(objects, dgpd.GeoDataFrame):
        return function(objects, centres_of(objects), nothing)
    empty = make_meta(objects)
    meta = function(empty, centres_of(empty), nothing)
    boxes = _boxes(objects)
    parts = objects.to_delayed()
    centres = [delayed(centres_of)(part) for part in parts]
    call = delayed(_call)
    tables = [
        call(
            function,
            part,
            centres[number],
            [centres[other] for other in _near(boxes, number, reach_m)],
            (boxes[number, 0] - reach_m, boxes[number, 1] + reach_m),
        )
        for number, part in enumerate(parts)
    ]
    # dask_geopandas keeps where partitions are in attrs, which pandas cannot compare.
    meta = meta.copy()
    meta.attrs = {}
    return cast("Table", from_delayed(tables, meta=meta, verify_meta=False))


def _call(
    function: Around,
    part: gpd.GeoDataFrame,
    centres: NDArray[np.float64],
    others: Sequence[NDArray[np.float64]],
    box: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> gpd.GeoDataFrame:
    outside = np.concatenate([np.empty((0, 2)), *others])
    outside = outside[np.isfinite(outside).all(axis=1)]
    xyz = Places.of(*outside.T).xyz
    near = ((xyz >= box[0]) & (xyz <= box[1])).all(axis=1)
    return function(part, centres, outside[near])


def _boxes(objects: dgpd.GeoDataFrame) -> NDArray[np.float64]:
    """Return the geocentric bounds of partitions, shape (partition, 2, 3), m.

    NaN for a partition without geometry.

    Raises:
        GridError: the table does not know where its partitions are.
    """
    crs = require_crs(objects)
    known = objects.spatial_partitions
    if known is None:
        raise GridError(
            f"this table of {objects.npartitions} partitions does not know where they "
            "are, so neighbours across them cannot be found. Call "
            "objects.calculate_spatial_partitions() first, or read it with "
            "dask_geopandas.read_parquet; objects.spatial_shuffle() sorts partitions "
            "along a Hilbert curve, which keeps neighbours together"
        )
    bounds = np.asarray(known.bounds, np.float64)
    found = np.full((len(bounds), 2, 3), np.nan)
    sound = np.isfinite(bounds).all(axis=1)
    if not sound.any():
        return found
    sides = gpd.GeoSeries(_rings(bounds[sound]), crs=crs).to_crs(WGS84)
    vertices, owner = shapely.get_coordinates(sides.to_numpy(), return_index=True)
    xyz = Places.of(*vertices.T).xyz
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    low, high = (edge.reduceat(xyz, starts) for edge in (np.minimum, np.maximum))
    # The ground between the sides bulges out of the box around them.
    bulge = np.linalg.norm(high - low, axis=1) ** 2 / (8 * LEAST_CURVATURE_M)
    found[sound] = np.stack([low - bulge[:, None], high + bulge[:, None]], axis=1)
    return found


def _rings(bounds: NDArray[np.float64]) -> NDArray[np.object_]:
    """Return the outlines of boxes as points, many along each side."""
    share = np.linspace(0, 1, SIDE_STEPS, endpoint=False)
    along = np.concatenate(
        [share, np.ones_like(share), 1 - share, np.zeros_like(share)]
    )
    up = np.roll(along, SIDE_STEPS)
    west, south, east, north = (side[:, None] for side in bounds.T)
    x, y = west + (east - west) * along, south + (north - south) * up
    return np.asarray(
        shapely.multipoints(
            np.asarray(shapely.points(np.stack([x, y], axis=-1)), object)
        )
    )


def _near(boxes: NDArray[np.float64], number: int, reach_m: float) -> list[int]:
    """Return the other partitions within reach of one, ascending."""
    low, high = boxes[number]
    gap = np.maximum(boxes[:, 0] - high, low - boxes[:, 1]).max(axis=1)
    near = np.flatnonzero(gap <= reach_m)  # NaN is never near
    return [int(other) for other in near if other != number]
