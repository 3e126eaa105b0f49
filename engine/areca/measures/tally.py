"""Sums over objects by zone or cell, in parts that add up to the same whole.

Sums are whole numbers: areas in square millimetres, radii in micrometres, quantiles
from counts by the millimetre. Their order cannot matter, so any partitioning gives the
same bits, and no worker ever holds more than the sums of a few parts.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

import dask_geopandas as dgpd
import numpy as np
import pandas as pd
from dask.dataframe import from_delayed
from dask.delayed import delayed

from areca.errors import InputError
from areca.measures.lengths import Lengths
from areca.measures.planted import Planted, is_spaced
from areca.measures.table import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    from dask.delayed import Delayed
    from numpy.typing import NDArray

    from areca.measures.intervals import CountCalibration
    from areca.measures.table import Table

OUTSIDE, NOWHERE = -1, -2
"""Keys of objects that lie in no zone, and of those that have no place."""
NEEDED = ("center_lon", "center_lat", "area_m2", "radius_m")
QUANTILES = {
    "radius_p10_m": 0.1,
    "radius_p25_m": 0.25,
    "radius_median_m": 0.5,
    "radius_p75_m": 0.75,
    "radius_p90_m": 0.9,
}
SQUARE_MILLIMETRES, MICROMETRES = 1e6, 1e6
WORD = 1 << 32
"""Areas are added in two words of 32 bits, as the sum over a continent needs more than
63 bits."""
FOLD = 8
"""Tallies that are joined at a time."""
_SUMS = ("count", "shared", "unmeasured", "area_low", "area_high", "radius_um")


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryOptions:
    """What a summary tells beyond counts, areas and quantiles.

    Attributes:
        calibration: How the model scored on test ground; counts then carry an interval.
        radius_edges_m: Edges of a histogram of radii, ascending; none is made without.
    """

    calibration: CountCalibration | None = None
    radius_edges_m: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        edges = np.asarray(self.radius_edges_m, np.float64)
        if not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
            raise InputError(
                f"radius_edges_m is {self.radius_edges_m}: edges of a histogram are "
                "ascending numbers, such as (0, 2, 4, 6)"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Sums over some objects."""

    sums: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(
            0, index=pd.Index([], dtype=np.int64), columns=list(_SUMS), dtype=np.int64
        )
    )
    """One row a key (zone or cell), whole numbers."""
    radii: Lengths = field(default_factory=Lengths)
    planted: Planted | None = None
    """How plants stand; None where the table does not tell."""

    @classmethod
    def of(
        cls,
        objects: gpd.GeoDataFrame,
        row: NDArray[np.intp],
        key: NDArray[np.int64],
    ) -> Tally:
        """Return the sums over a table.

        Args:
            objects: Table with the columns `NEEDED`.
            row: Rows that belong to a key, shape (k,); one in two zones occurs twice.
            key: Key of each, shape (k,).

        Returns:
            The tally.
        """
        area, radius = (
            objects[name].to_numpy(np.float64, na_value=np.nan)[row]
            for name in ("area_m2", "radius_m")
        )
        times = np.bincount(row, minlength=len(objects))
        area = _whole(area * SQUARE_MILLIMETRES)
        measured = np.isfinite(radius)
        rows = pd.DataFrame(
            {
                "count": np.ones(len(row), np.int64),
                "shared": (times[row] > 1).astype(np.int64),
                "unmeasured": (~measured).astype(np.int64),
                "area_low": area % WORD,
                "area_high": area // WORD,
                "radius_um": _whole(radius * MICROMETRES),
            }
        )
        spaced = is_spaced(objects.columns)
        return cls(
            sums=rows.groupby(key).sum(),
            radii=Lengths.of(key, radius),
            planted=Planted.of(objects, row, key) if spaced else None,
        )

    @classmethod
    def join(cls, parts: Sequence[Tally]) -> Tally:
        """Return the sums over all parts, in their order."""
        planted = [part.planted for part in parts if part.planted is not None]
        return cls(
            sums=pd.concat([part.sums for part in parts]).groupby(level=0).sum(),
            radii=Lengths.join([part.radii for part in parts]),
            planted=Planted.join(planted) if planted else None,
        )

    def table(self, keys: NDArray[np.int64], options: SummaryOptions) -> pd.DataFrame:
        """Return the figures of some keys.

        Args:
            keys: Shape (n,), in the order wanted; 0 objects where nothing was counted.
            options: What to tell.

        Returns:
            Columns count, shared (objects of this key that are also of another),
            unmeasured (without a radius), area_m2, radius_mean_m, quantiles of the
            radius to the millimetre (interpolated between objects as numpy does), and
            what the options ask for. NaN where nothing was measured. Then, of a table
            that tells how plants stand, `areca.measures.planted.PLANTED`.
        """
        sums = self.sums.reindex(keys, fill_value=0)
        area = sums["area_high"].astype(object) * WORD + sums["area_low"].astype(object)
        measured = (sums["count"] - sums["unmeasured"]).to_numpy(np.float64)
        mean = sums["radius_um"].to_numpy(np.float64) / MICROMETRES
        table = sums[["count", "shared", "unmeasured"]].reset_index(drop=True)
        table["area_m2"] = np.array(
            [float(value) / SQUARE_MILLIMETRES for value in area], np.float64
        )
        known = measured > 0
        table["radius_mean_m"] = np.where(known, mean, np.nan) / np.maximum(measured, 1)
        for name, share in QUANTILES.items():
            table[name] = self.radii.quantile(keys, share)
        if options.calibration is not None:
            counts = table["count"].to_numpy(np.int64)
            low, high = options.calibration.interval(counts)
            table["count_low"], table["count_high"] = low, high
        if options.radius_edges_m:
            bars = self.radii.histogram(keys, options.radius_edges_m)
            for name, values in zip(_bars(options.radius_edges_m), bars.T, strict=True):
                table[name] = values
        if self.planted is not None:
            table = table.join(self.planted.table(keys))
        return table


class Division(Protocol):
    """A division of the Earth into zones or cells, each with a key of 0 or more."""

    def assign(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64], /
    ) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Return rows of places (WGS 84 degrees, or NaN) and the keys they belong to.

        Every row occurs; `OUTSIDE` and `NOWHERE` are keys too.
        """
        ...

    def table(self, total: Tally, options: SummaryOptions, /) -> gpd.GeoDataFrame:
        """Return the figures of all zones or cells."""
        ...


def total_of(objects: Table, division: Division, options: SummaryOptions) -> Table:
    """Add up a table part by part, in a tree of fixed order.

    Args:
        objects: Table with a CRS; measured where it lacks one of `NEEDED`.
        division: Zones or cells.
        options: What to tell.

    Returns:
        The division's table; for dask_geopandas as a lazy table of one partition.
    """
    if not isinstance(objects, dgpd.GeoDataFrame):
        return division.table(_tally(objects, division), options)
    add, join, tell = delayed(_tally), delayed(Tally.join), delayed(_table)
    shared = delayed(division)  # once for all partitions, not once for each
    level: Sequence[Delayed] = [add(part, shared) for part in objects.to_delayed()]
    while len(level) > 1:
        level = [join(level[i : i + FOLD]) for i in range(0, len(level), FOLD)]
    nothing = Tally(planted=Planted() if is_spaced(objects.columns) else None)
    meta = division.table(nothing, options).iloc[:0]
    table = tell(shared, level[0], options)
    return cast("Table", from_delayed([table], meta=meta, verify_meta=False))


def _tally(part: gpd.GeoDataFrame, division: Division) -> Tally:
    table = part if set(NEEDED) <= set(part.columns) else measure(part)
    lon, lat = (table[n].to_numpy(np.float64, na_value=np.nan) for n in NEEDED[:2])
    return Tally.of(table, *division.assign(lon, lat))


def _bars(edges: tuple[float, ...]) -> list[str]:
    """Return the names of the columns of a histogram of radii."""
    return [
        f"radius_under_{edges[0]:g}_m",
        *(f"radius_{a:g}_to_{b:g}_m" for a, b in itertools.pairwise(edges)),
        f"radius_from_{edges[-1]:g}_m",
    ]


def _table(
    division: Division, total: Tally, options: SummaryOptions
) -> gpd.GeoDataFrame:
    return division.table(total, options)


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(np.nan_to_num(values)).astype(np.int64)
