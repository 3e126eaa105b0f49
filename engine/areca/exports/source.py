"""Where exported objects come from: always a sequence of tables, never one of all.

Attributes are pandas columns of Arrow types, so that a column of whole numbers stays
one when some are missing, and every part of a table has the same types.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely

from areca.errors import InputError
from areca.measures.files import PARQUET, read_vector
from areca.measures.table import require_crs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

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

    def __init__(self, files: Sequence[Path]) -> None:
        """Read the metadata of files, and no rows.

        Raises:
            InputError: A file is no GeoParquet, or is not like the first.
        """
        self._files = list(files)
        geo = [_geo_metadata(file) for file in self._files]
        self._geometry = str(geo[0]["primary_column"])
        first = geo[0]["columns"][self._geometry]
        self.crs = _crs_of(first)
        self._kinds = [g["columns"][self._geometry]["geometry_types"] for g in geo]
        covering = first.get("covering", {}).get("bbox", {}).get("xmin", [None])[0]
        schema = pq.read_schema(self._files[0])
        hidden = {self._geometry, covering}
        self.columns = [name for name in schema.names if name not in hidden]
        self._types = schema
        for file, other in zip(self._files[1:], geo[1:], strict=True):
            column = other["columns"].get(self._geometry)
            missing = set(self.columns) - set(pq.read_schema(file).names)
            if column is None or _crs_of(column) != self.crs or missing:
                raise InputError(
                    f"{file.name} has other columns or another CRS than "
                    f"{self._files[0].name}; all files of a table must be alike"
                )

    @property
    def kinds(self) -> set[str]:
        """Kinds of geometry that occur: as the files tell, else by looking."""
        if all(self._kinds):
            return {kind.removesuffix(" Z") for kinds in self._kinds for kind in kinds}
        found: set[str] = set()
        for part in self.parts([]):
            found |= kinds_of(part.geometry.to_numpy())
        return found

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[gpd.GeoDataFrame]:
        """Yield pieces of the files, one after the other."""
        wanted = self.columns if columns is None else list(columns)
        schema = pa.schema([self._types.field(name) for name in wanted])
        for file in self._files:
            with pq.ParquetFile(file) as rows:
                names = [*wanted, self._geometry]
                batches = rows.iter_batches(batch_size=ROWS, columns=names)
                for table in map(pa.Table.from_batches, ([batch] for batch in batches)):
                    shapes = shapely.from_wkb(
                        table.column(self._geometry).to_numpy(zero_copy_only=False)
                    )
                    attributes = table.select(wanted).cast(schema)
                    yield _joined(attributes, np.asarray(shapes, object), self.crs)
        # A reader learns the columns of a table without rows too.
        yield _joined(schema.empty_table(), np.empty(0, object), self.crs)


def open_source(path: Path) -> ObjectSource:
    """Open objects that lie in files.

    Args:
        path: GeoParquet file, folder of such files, or any vector file.

    Returns:
        The source. A file that is no GeoParquet is read into memory.

    Raises:
        InputError: There is nothing, or nothing that can be read.
    """
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in PARQUET)
        if not files:
            raise InputError(
                f"{path} holds no GeoParquet files; give a run folder, a folder that "
                "write_objects made, or a file"
            )
        return ParquetSource(files)
    if not path.exists():
        raise InputError(f"there is no {path}; give a run folder or a table of objects")
    if path.suffix in PARQUET:
        return ParquetSource([path])
    wanted = "a run, GeoParquet, GeoPackage or another vector file"
    return TableSource(read_vector(path, what="a table of shapes", wanted=wanted))


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


def _geo_metadata(file: Path) -> dict[str, Any]:
    """Return the GeoParquet metadata of a file.

    Raises:
        InputError: It has none, or an encoding other than WKB.
    """
    try:
        metadata = pq.read_metadata(file).metadata or {}
        geo: dict[str, Any] = json.loads(metadata[b"geo"])
        encoding = geo["columns"][geo["primary_column"]]["encoding"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{file} cannot be read as GeoParquet ({type(error).__name__}); give a "
            "table that areca made, or convert it with geopandas first"
        ) from error
    if encoding != "WKB":
        raise InputError(
            f"{file} stores its geometry as {encoding!r}, and this reads WKB alone; "
            "write it again with areca.write_objects(geopandas.read_parquet(...), ...)"
        )
    return geo


def _crs_of(column: dict[str, Any]) -> pyproj.CRS:
    """Return the CRS of a geometry column; one that is not named is in degrees.

    Raises:
        InputError: The file says that the CRS is not known.
    """
    if "crs" not in column:
        return pyproj.CRS("OGC:CRS84")
    if column["crs"] is None:
        raise InputError(
            "the table has no CRS, so nobody knows where its objects are; set it with "
            "geopandas (set_crs) first"
        )
    return pyproj.CRS.from_user_input(column["crs"])
