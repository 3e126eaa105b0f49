"""Where exported objects come from: always a sequence of tables, never one of all.

Attributes are pandas columns of Arrow types, so that a column of whole numbers stays
one when some are missing, and every part of a table has the same types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from areca.errors import InputError
from areca.exports.geoparquet import GeoParquetFiles
from areca.measures.files import (
    is_parquet,
    read_objects,
    read_vector,
    require_file_crs,
)
from areca.measures.table import require_crs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyproj

ROWS = 20_000
"""Rows that are looked at a time: some 60 MB as they are written."""


class ObjectSource(Protocol):
    """Objects in a fixed order."""

    @property
    def crs(self) -> pyproj.CRS:
        """CRS of the geometries."""
        ...

    @property
    def columns(self) -> list[str]:
        """Names of the attributes."""
        ...

    @property
    def kinds(self) -> set[str]:
        """Kinds of geometry that occur, such as "Polygon", without Z."""
        ...

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[gpd.GeoDataFrame]:
        """Yield the objects, at least one table, which may be empty.

        Args:
            columns: Attributes wanted; all by default. The geometry always comes, as
                `geometry`.
        """
        ...


class TableSource:
    """An in-memory table."""

    def __init__(self, objects: gpd.GeoDataFrame) -> None:
        """Take a table; nothing of its geometry is copied."""
        self.crs = require_crs(objects)
        self._shapes = objects.geometry.to_numpy()
        attributes = objects.drop(columns=objects.geometry.name)
        self._attributes = _to_arrow(pd.DataFrame(attributes))

    @property
    def columns(self) -> list[str]:
        """Names of the attributes."""
        return list(self._attributes.column_names)

    @property
    def kinds(self) -> set[str]:
        """Kinds of geometry that occur."""
        return kinds_of(self._shapes)

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[gpd.GeoDataFrame]:
        """Yield slices of the table."""
        wanted = self.columns if columns is None else list(columns)
        for start in range(0, max(len(self._shapes), 1), ROWS):
            attributes = self._attributes.select(wanted).slice(start, ROWS)
            shapes = self._shapes[start : start + ROWS]
            yield _joined(attributes, shapes, self.crs)


class ParquetSource:
    """GeoParquet files, read a piece at a time."""

    def __init__(self, files: GeoParquetFiles, crs: pyproj.CRS) -> None:
        """Take files and the CRS of their shapes; no rows are read."""
        self._files = files
        self.crs = crs
        self.columns = [name for name in files.columns if name != files.geometry]

    @property
    def kinds(self) -> set[str]:
        """Kinds of geometry that occur: as the files tell, else by looking."""
        told = self._files.kinds
        if all(told):
            return {kind.removesuffix(" Z") for kinds in told for kind in kinds}
        found: set[str] = set()
        for part in self.parts([]):
            found |= kinds_of(part.geometry.to_numpy())
        return found

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[gpd.GeoDataFrame]:
        """Yield pieces of the files, one after the other."""
        wanted = self.columns if columns is None else list(columns)
        geometry = self._files.geometry
        for table in self._files.tables([*wanted, geometry], rows=ROWS):
            wkb = table.column(geometry).to_numpy(zero_copy_only=False)
            shapes = np.asarray(shapely.from_wkb(wkb), object)
            yield _joined(table.select(wanted), shapes, self.crs)


def open_source(path: Path) -> ObjectSource:
    """Open objects that lie in files.

    Args:
        path: GeoParquet file, folder of such files, or any vector file.

    Returns:
        The source. A file that is no GeoParquet is read into memory, and so is one
        whose shapes are not in WKB.

    Raises:
        InputError: There is nothing, nothing that can be read, or no CRS.
    """
    if not path.exists():
        raise InputError(f"there is no {path}; give a run folder or a table of objects")
    if is_parquet(path):
        files = GeoParquetFiles.at(path)
        crs = require_file_crs(files.crs, path)
        return (
            ParquetSource(files, crs)
            if files.is_wkb
            else TableSource(read_objects(path))
        )
    wanted = "a run, GeoParquet, GeoPackage or another vector file"
    table = read_vector(path, what="a table of shapes", wanted=wanted)
    require_file_crs(table.crs, path)
    return TableSource(table)


def kinds_of(shapes: np.ndarray) -> set[str]:
    """Return the kinds of geometries, nulls left out.

    Args:
        shapes: shapely geometries, shape (n,).
    """
    numbers = set(np.unique(shapely.get_type_id(shapes)).tolist()) - {-1}
    return {_KINDS[number] for number in numbers}


_KINDS = (
    "Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString",
    "MultiPolygon", "GeometryCollection",
)  # fmt: skip


def _joined(
    attributes: pa.Table, shapes: np.ndarray, crs: pyproj.CRS
) -> gpd.GeoDataFrame:
    frame = attributes.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    frame = frame.set_axis(range(len(shapes)), axis=0)
    return gpd.GeoDataFrame(frame, geometry=shapes, crs=crs)


def _to_arrow(frame: pd.DataFrame) -> pa.Table:
    """Return the attributes with one type each; what has no type becomes text."""
    columns = {}
    for name, values in frame.items():
        try:
            column = pa.array(values, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            texts = [
                None if gone else str(v)
                for v, gone in zip(values, values.isna(), strict=True)
            ]
            column = pa.array(texts, pa.string())
        if pa.types.is_null(column.type):
            column = column.cast(pa.string())
        columns[str(name)] = column
    return pa.table(columns)
