"""Measure a vector file of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import geopandas as gpd
from pyogrio.errors import DataSourceError

from areca.errors import InputError
from areca.measures import measure, write_objects
from areca.objects import drop_duplicates
from areca.runs.summary import Summary, summarise

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """How to drop duplicates before measuring."""

    max_overlap: float
    """Intersection over union above which the weaker of two objects falls."""
    score: str = "score"
    """Column to rank by."""
    label: str | None = None
    """Only objects of one value in this column compete; None: `label` if there."""


def measure_file(
    source: Path, target: Path, *, suppression: Suppression | None = None
) -> Summary:
    """Write a vector file again with the measures of its objects.

    Args:
        source: GeoParquet, or any vector file that GDAL reads; it needs a CRS.
        target: GeoParquet to write.
        suppression: How to drop duplicates first; None keeps all.

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
    if suppression is not None:
        label = suppression.label or ("label" if "label" in objects else None)
        objects = drop_duplicates(
            objects,
            max_overlap=suppression.max_overlap,
            score=suppression.score,
            label=label,
        )
    measured = measure(objects)
    write_objects(measured, target)
    return summarise(measured)
