"""Vector files of any kind and size, read some rows at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from shapely.errors import ShapelyError

from areca.errors import InputError
from areca.exports.geoparquet import GeoParquetFiles
from areca.measures.files import is_parquet, require_file_crs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_parts(source: Path, rows: int) -> Iterator[gpd.GeoDataFrame]:
    """Read a vector file, some rows at a time.

    Args:
        source: GeoParquet, a file or a folder of parts, or whatever GDAL reads (its
            first layer), also a folder such as an Esri file geodatabase.
        rows: Most rows of a part.

    Yields:
        The table in parts, in order, with row numbers of the whole as index; one empty
        part if there are no rows.

    Raises:
        InputError: There is no such file, or it is no table of shapes with a CRS.
    """
    if not source.exists():
        raise InputError(f"there is no file {source}; check the path")
    read = _parquet_parts if is_parquet(source) else _gdal_parts
    first = 0
    try:
        for part in read(source, rows):
            require_file_crs(part.crs, source)
            # The row in the file, for messages.
            numbers = pd.RangeIndex(first, first := first + len(part))
            yield part.set_axis(numbers, axis="index")
    except (
        DataSourceError, DataLayerError, OSError, ShapelyError, pa.ArrowException
    ) as error:  # fmt: skip
        raise InputError(
            f"{source} cannot be read as a table of shapes ({error}); give GeoParquet, "
            "GeoPackage, GeoJSON or another vector file"
        ) from error


def _parquet_parts(source: Path, rows: int) -> Iterator[gpd.GeoDataFrame]:
    """Yield GeoParquet, in the types that pandas gave it."""
    files = GeoParquetFiles.at(source)
    if not files.is_wkb:  # rare, and of no fixed form: read whole by who knows it
        yield gpd.read_parquet(source)
        return
    for table in files.tables(files.columns, rows=rows):
        frame = table.to_pandas()
        if named := [name for name in frame.index.names if name is not None]:
            frame = frame.reset_index(named)  # ids of the user, and no row numbers
        for name, crs in files.geometries.items():
            with np.errstate(invalid="ignore"):  # a vertex may be nowhere
                frame[name] = gpd.GeoSeries.from_wkb(frame[name], crs=crs)
        yield gpd.GeoDataFrame(frame, geometry=files.geometry)


def _gdal_parts(source: Path, rows: int) -> Iterator[gpd.GeoDataFrame]:
    """Yield what GDAL reads, as one stream.

    Raises:
        InputError: It has no shapes.
    """
    # By number: without one, GDAL warns where there are others.
    with pyogrio.raw.open_arrow(
        source, layer=0, batch_size=rows, use_pyarrow=True
    ) as opened:
        about, batches = opened
        if about["geometry_type"] is None:
            raise InputError(_shapeless(source))
        name = about["geometry_name"] or "wkb_geometry"
        tables = (pa.Table.from_batches([batch]) for batch in batches if batch.num_rows)
        for table in _at_least(tables, batches.schema.empty_table()):
            frame = table.to_pandas()
            with np.errstate(invalid="ignore"):
                shapes = shapely.from_wkb(frame.pop(name).to_numpy())
            yield gpd.GeoDataFrame(
                frame,
                geometry=gpd.GeoSeries(shapes, index=frame.index, crs=about["crs"]),
            )


def _at_least(tables: Iterator[pa.Table], empty: pa.Table) -> Iterator[pa.Table]:
    """Yield tables, or the empty one if there are none."""
    first = next(tables, empty)
    yield first
    yield from tables


def _shapeless(source: Path) -> str:
    return (
        f"{source} is a table without shapes; give one with a geometry column, or save "
        "the points as GeoPackage first"
    )
