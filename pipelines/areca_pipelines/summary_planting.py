"""Spacing and missing plants of a summary, for tables of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from areca.exports.geoparquet import open_lazy
from areca.measures import find_gaps, spacing, write_objects
from areca.measures.planted import PLANTED, SPACED

if TYPE_CHECKING:
    from pathlib import Path

    import dask_geopandas as dgpd
    import geopandas as gpd

    from areca_pipelines.summary_ground import Ground

KEPT = ("center_lon", "center_lat", *SPACED)
"""Columns of the spacing that a summary and its map use."""
AT = 4
"""Where columns of the planting stand: after those of number and ground."""


@dataclass(frozen=True, kw_only=True)
class Planting:
    """Spacing and missing plants, computed once and kept on disk until they are used.

    Both are as long as the objects, which need not fit into memory.
    """

    spacing: dgpd.GeoDataFrame | None = None
    """Columns `KEPT` of each object; None where nobody asks for it."""
    gaps: dgpd.GeoDataFrame | None = None
    """Missing plants; None where nobody asks for them."""

    @classmethod
    def of(
        cls, objects: dgpd.GeoDataFrame, scratch: Path, *, spaced: bool, gaps: bool
    ) -> Planting:
        """Compute what is wanted.

        Args:
            objects: Measured objects.
            scratch: Folder to keep the answers in.
            spaced: Whether spacing is wanted.
            gaps: Whether missing plants are.

        Returns:
            Lazy tables that lie in the folder.
        """
        around = None
        if spaced:
            columns = [*KEPT, objects.geometry.name]
            around = _kept(cast("Any", spacing(objects))[columns], scratch / "spacing")
        missing = _kept(find_gaps(objects), scratch / "gaps") if gaps else None
        return cls(spacing=around, gaps=missing)

    def add_to(self, table: gpd.GeoDataFrame, ground: Ground) -> list[str]:
        """Add spacing and gaps to the table of a summary.

        Args:
            table: One row for each zone or cell; columns are inserted.
            ground: The zones or cells; what is added is summed up like objects are.

        Returns:
            What to say about it.
        """
        nothing = {"area_m2": np.nan, "radius_m": np.nan}
        planted = ground.sum_up(cast("Any", self.spacing).assign(**nothing))
        gaps = cast("Any", self.gaps)
        found = ground.sum_up(gaps.assign(**nothing))
        key = table.columns[0]
        order = table[key]
        missing = found.set_index(key)["count"].reindex(order).fillna(0)
        table.insert(AT, "gaps", missing.to_numpy(np.int64))
        # A table of `areca.spacing`, or zones, may have columns of these names.
        table.drop(columns=[n for n in PLANTED if n in table], inplace=True)
        for place, name in enumerate(PLANTED, start=AT):
            values = planted.set_index(key)[name].reindex(order)
            table.insert(place, name, values.to_numpy())
        elsewhere = len(gaps) - int(table["gaps"].sum())
        if elsewhere <= 0 or ground.zones is not None:  # which tell what lies outside
            return []
        return [f"{elsewhere:,} gaps lie in cells without objects"]


def _kept(table: dgpd.GeoDataFrame, folder: Path) -> dgpd.GeoDataFrame:
    """Return a lazy table once it is computed, part by part, into a folder."""
    write_objects(table, folder)
    return open_lazy(folder)


def some_rows(table: dgpd.GeoDataFrame, most: int) -> gpd.GeoDataFrame:
    """Return no more rows than a map can show: every k-th of each partition.

    Args:
        table: Any number of rows.
        most: How many to return, and one more of each partition.

    Returns:
        In memory.
    """
    step = -(-len(table) // most) or 1
    some = table.map_partitions(lambda part: part.iloc[::step])
    return cast("gpd.GeoDataFrame", some.compute(scheduler="threads"))
