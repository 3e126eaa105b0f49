"""Measure a vector file of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import geopandas as gpd
from pyogrio.errors import DataSourceError

from areca.errors import InputError
from areca.measures import measure, write_objects
from areca.runs.summary import Summary, summarise

if TYPE_CHECKING:
    from pathlib import Path


def measure_file(source: Path, target: Path) -> Summary:
    """Write a vector file again with the measures of its objects.

    Args:
        source: GeoParquet, or any vector file that GDAL reads; it needs a CRS.
        target: GeoParquet to write.

    Returns:
        What the objects add up to.

    Raises:
        InputError: The file cannot be read as a table of shapes.
    """
    if not source.exists():
        raise InputError(f"there is no file {source}; check the path")
    try:
        parquet = source.is_dir() or source.suffix in {".parquet", ".geoparquet"}
        objects = gpd.read_parquet(source) if parquet else gpd.read_file(source)
    except (DataSourceError, OSError, ValueError) as error:
        raise InputError(
            f"{source} cannot be read as a table of shapes ({error}); give GeoParquet, "
            "GeoPackage, GeoJSON or another vector file"
        ) from error
    if not isinstance(objects, gpd.GeoDataFrame):
        raise InputError(
            f"{source} is a table without shapes; give one with a geometry column, or "
            "save the points as GeoPackage first"
        )
    measured = measure(objects)
    write_objects(measured, target)
    return summarise(measured)
