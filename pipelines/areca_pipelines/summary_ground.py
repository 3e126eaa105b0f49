"""How a summary divides the ground: zones of a file, squares or hexagons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import geopandas as gpd
import numpy as np

from areca.errors import InputError
from areca.measures import SummaryOptions, summarize, summarize_cells
from areca.measures.files import read_vector, require_file_crs

if TYPE_CHECKING:
    from pathlib import Path

    import dask_geopandas as dgpd

ANY_METRES = "EPSG:6933"
"""CRS of cells where no shape tells a UTM zone: equal-area, the world over."""


@dataclass(frozen=True, kw_only=True)
class Division:
    """How the ground is divided; one of the three."""

    zones: Path | None = None
    """Vector file of polygons."""
    name: str | None = None
    """Column that names the zones."""
    size_m: float | None = None
    """Side of square cells, m."""
    h3_resolution: int | None = None

    def check(self) -> None:
        """Refuse what is no division.

        Raises:
            InputError: None or several are given, or a name without zones.
        """
        given = [self.zones, self.size_m, self.h3_resolution]
        if sum(value is not None for value in given) != 1:
            raise InputError(
                "say how to divide the ground: --zones FILE, --cells METRES or --h3 "
                "RESOLUTION, one of them"
            )
        if self.name is not None and self.zones is None:
            raise InputError("--name is a column of the zones: it goes with --zones")


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The zones or cells of a summary."""

    division: Division
    zones: gpd.GeoDataFrame | None
    crs: str | None
    """Of square cells; None where that of the table will do."""

    @classmethod
    def of(cls, division: Division, objects: dgpd.GeoDataFrame) -> Ground:
        """Read the zones, or choose where cells lie; nothing is computed.

        Args:
            division: Zones or cells.
            objects: What will be summed up.

        Returns:
            The ground.
        """
        zones = None if division.zones is None else read_zones(division.zones)
        crs = None if division.size_m is None else _metric_crs(objects)
        return cls(division=division, zones=zones, crs=crs)

    def sum_up(
        self,
        objects: gpd.GeoDataFrame | dgpd.GeoDataFrame,
        options: SummaryOptions | None = None,
    ) -> gpd.GeoDataFrame:
        """Sum up some objects.

        Args:
            objects: A table of any size.
            options: What to tell.

        Returns:
            A row for each zone or cell, computed.
        """
        if self.zones is not None:
            name = self.division.name
            table = summarize(objects, self.zones, name=name, options=options)
        else:
            table = summarize_cells(
                objects,
                size_m=self.division.size_m,
                h3_resolution=self.division.h3_resolution,
                crs=self.crs,
                options=options,
            )
        if isinstance(table, gpd.GeoDataFrame):
            return table
        computed: gpd.GeoDataFrame = table.compute(scheduler="threads")
        return computed


def _metric_crs(objects: dgpd.GeoDataFrame) -> str | None:
    """Return the UTM zone of objects in degrees; None where the CRS has metres.

    Raises:
        InputError: they lie where there is none, near a pole.
    """
    if not objects.crs.is_geographic:
        return None
    parts = gpd.GeoSeries(objects.spatial_partitions, crs=objects.crs)
    if not np.isfinite(parts.total_bounds).all():
        return ANY_METRES
    try:
        return str(cast("Any", parts).estimate_utm_crs())
    except RuntimeError as error:
        _, south, _, north = parts.total_bounds
        raise InputError(
            f"objects at {south:g} to {north:g} degrees north lie in no UTM zone for "
            "square cells; take --h3, or give the table in a CRS with metres"
        ) from error


def read_zones(path: Path) -> gpd.GeoDataFrame:
    """Read the zones of a vector file.

    Args:
        path: GeoJSON, GeoPackage, GeoParquet or another vector file.

    Returns:
        The zones, in the CRS of the file.

    Raises:
        InputError: It is not there, or holds no shapes or no CRS.
    """
    if not path.exists():
        raise InputError(f"there is no file {path} of zones; check the path")
    wanted = "polygons as GeoJSON, GeoPackage or another vector file"
    zones = read_vector(path, what="zones", wanted=wanted)
    require_file_crs(zones.crs, path)
    return zones
