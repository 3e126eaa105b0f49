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
MILLIMETRES, SQUARE_MILLIMETRES, MICROMETRES = 1e3, 1e6, 1e6
WORD = 1 << 32
"""Areas are added in two words of 32 bits, as the sum over a continent needs more than
63 bits."""
FOLD = 8
"""Tallies that are joined at a time."""
_SUMS = ("count", "shared", "unmeasured", "area_low", "area_high", "radius_um")


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryOptions:
    """What a summary tells beyond counts, areas and quantiles."""

    calibration: CountCalibration | None = None
    """How the model scored on test ground; counts then carry an interval."""
    radius_edges_m: tuple[float, ...] = ()
    """Edges of a histogram of radii, ascending; none is made without."""

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
    radii: pd.Series[int] = field(
        default_factory=lambda: pd.Series(
            0,
            index=pd.MultiIndex.from_arrays(
                [np.empty(0, np.int64), np.empty(0, np.int64)]
            ),
            dtype=np.int64,
        )
    )
    """Objects by key and radius in millimetres."""

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
        millimetres = _whole(radius[measured] * MILLIMETRES)
        ones = pd.Series(1, index=[key[measured], millimetres], dtype=np.int64)
        return cls(sums=rows.groupby(key).sum(), radii=ones.groupby(level=[0, 1]).sum())

    @classmethod
    def join(cls, parts: Sequence[Tally]) -> Tally:
        """Return the sums over all parts, in their order."""
        return cls(
            sums=pd.concat([part.sums for part in parts]).groupby(level=0).sum(),
            radii=pd.concat([p.radii for p in parts]).groupby(level=[0, 1]).sum(),
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
            what the options ask for. NaN where nothing was measured.
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
            table[name] = self._quantile(keys, share)
        if options.calibration is not None:
            counts = table["count"].to_numpy(np.int64)
            low, high = options.calibration.interval(counts)
            table["count_low"], table["count_high"] = low, high
        if options.radius_edges_m:
            for name, values in self._bars(keys, options.radius_edges_m).items():
                table[name] = values
        return table

    def _quantile(self, keys: NDArray[np.int64], share: float) -> NDArray[np.float64]:
        """Return a quantile of the radii of each key, m."""
        key = self.radii.index.get_level_values(0).to_numpy(np.int64)
        millimetres = self.radii.index.get_level_values(1).to_numpy(np.int64)
        until = np.cumsum(self.radii.to_numpy(np.int64))
        start, end = (np.searchsorted(key, keys, side) for side in ("left", "right"))
        before = np.concatenate([[0], until])[start]
        last = np.concatenate([[0], until])[end] - before - 1
        found = np.full(len(keys), np.nan)
        some = last >= 0
        rank = share * last[some]
        lower, upper = (
            millimetres[np.searchsorted(until, before[some] + whole, side="right")]
            for whole in (np.floor(rank).astype(int), np.ceil(rank).astype(int))
        )
        found[some] = (lower + (upper - lower) * (rank % 1)) / MILLIMETRES
        return found

    def _bars(
        self, keys: NDArray[np.int64], edges: tuple[float, ...]
    ) -> dict[str, NDArray[np.int64]]:
        """Return the histogram of each key: columns by name, shape (n,)."""
        key = self.radii.index.get_level_values(0).to_numpy(np.int64)
        millimetres = self.radii.index.get_level_values(1).to_numpy(np.int64)
        borders = np.rint(np.asarray(edges) * MILLIMETRES)
        bar = np.searchsorted(borders, millimetres, side="right")
        counts = pd.Series(self.radii.to_numpy(np.int64)).groupby([key, bar]).sum()
        names = [
            f"radius_under_{edges[0]:g}_m",
            *(f"radius_{a:g}_to_{b:g}_m" for a, b in itertools.pairwise(edges)),
            f"radius_from_{edges[-1]:g}_m",
        ]
        wide = counts.unstack(fill_value=0).reindex(
            index=keys, columns=range(len(names)), fill_value=0
        )
        return {n: wide[i].to_numpy(np.int64) for i, n in enumerate(names)}


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
    meta = division.table(Tally(), options).iloc[:0]
    table = tell(shared, level[0], options)
    return cast("Table", from_delayed([table], meta=meta, verify_meta=False))


def _tally(part: gpd.GeoDataFrame, division: Division) -> Tally:
    table = part if set(NEEDED) <= set(part.columns) else measure(part)
    lon, lat = (table[n].to_numpy(np.float64, na_value=np.nan) for n in NEEDED[:2])
    return Tally.of(table, *division.assign(lon, lat))


def _table(
    division: Division, total: Tally, options: SummaryOptions
) -> gpd.GeoDataFrame:
    return division.table(total, options)


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(np.nan_to_num(values)).astype(np.int64)
