"""How a summary divides the ground: zones of a file, squares or hexagons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import geopandas as gpd
import numpy as np
from dask.base import compute

from areca.errors import InputError
from areca.measures import SummaryOptions, summarize, summarize_cells
from areca.measures.files import read_vector, require_file_crs
from areca.measures.tally import NEEDED
from areca.runs.folder import RunFolder
from areca_pipelines.naming import said_as

if TYPE_CHECKING:
    from pathlib import Path

    import dask_geopandas as dgpd

OPTIONS = {"size_m": "--cells", "h3_resolution": "--h3"}
"""What arguments of `areca.summarize_cells` are called here."""
HALF_TURN = 180.0
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
        if self.zones is not None and RunFolder(self.zones).request.exists():
            raise InputError(
                f"--zones {self.zones} is a run, and no polygons; the run comes first: "
                f"areca summary {self.zones} --zones FILE"
            )


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
            with said_as(OPTIONS):
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
        InputError: they lie where there is none, near a pole, or all around the globe.
    """
    if not objects.crs.is_geographic:
        return None
    parts = gpd.GeoSeries(objects.spatial_partitions, crs=objects.crs)
    west, south, east, north = map(float, parts.total_bounds)
    if not np.isfinite([west, south, east, north]).all():
        return ANY_METRES
    if east - west > HALF_TURN:
        west, east = _across(objects)
    middle = ((west + east) / 2 + HALF_TURN) % (2 * HALF_TURN) - HALF_TURN
    place = gpd.GeoSeries.from_xy([middle], [(south + north) / 2], crs=objects.crs)
    try:
        return str(cast("Any", place).estimate_utm_crs())
    except RuntimeError as error:
        raise InputError(
            f"objects at {south:g} to {north:g} degrees north lie in no UTM zone for "
            "square cells; take --h3, or give the table in a CRS with metres"
        ) from error


def _across(objects: dgpd.GeoDataFrame) -> tuple[float, float]:
    """Return west and east of objects on both sides of the antimeridian, 0 to 360.

    Bounds cannot tell them from objects all around the globe, so that their centres are
    read.

    Raises:
        InputError: they lie all around the globe.
    """
    lon = cast("Any", objects)[NEEDED[0]] % (2 * HALF_TURN)
    west, east = (float(end) for end in compute(lon.min(), lon.max()))
    if east - west > HALF_TURN:
        raise InputError(
            "objects lie on more than half the globe, which no UTM zone for square "
            "cells holds; take --h3, or give the table in a CRS with metres"
        )
    return west, east


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
