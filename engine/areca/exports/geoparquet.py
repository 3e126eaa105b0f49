"""GeoParquet of any size, a piece at a time: geopandas reads it as a whole only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import dask_geopandas as dgpd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj

from areca.errors import InputError
from areca.measures.files import parquet_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

GEO = b"geo"
"""Where a GeoParquet file says what its columns are."""


class GeoParquetFiles:
    """Files of one table; only their metadata is read until pieces are asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Read the metadata of files; all must be GeoParquet, and like the first."""
        self._files = list(files)
        geo = [_geo_metadata(file) for file in self._files]
        self.geometry = str(geo[0]["primary_column"])
        """Name of the main geometry column."""
        self.geometries: dict[str, pyproj.CRS | None] = {
            name: _crs_of(column) for name, column in geo[0]["columns"].items()
        }
        """CRS of each geometry column."""
        self.is_wkb = all(
            column["encoding"] == "WKB" for g in geo for column in g["columns"].values()
        )
        """Whether all shapes are kept in the one encoding of a fixed form."""
        self.kinds = [g["columns"][self.geometry]["geometry_types"] for g in geo]
        """Kinds of geometry of each file, empty where it does not tell."""
        self.schema: pa.Schema = pq.read_schema(self._files[0])
        """Of the first file, with what pandas wrote about its types."""
        self.index = _index_columns(self.schema)
        """Columns that pandas takes for its index."""
        nameless = {name for name in self.index if name.startswith("__index_level_")}
        hidden = _covering(geo[0]) | nameless
        self.columns = [name for name in self.schema.names if name not in hidden]
        """Names of the columns, without those that only hold bounds of shapes, or the
        row numbers that pandas keeps of a table that was filtered."""
        for file, other in zip(self._files[1:], geo[1:], strict=True):
            self._check_like_first(file, other)

    @classmethod
    def at(cls, path: Path) -> GeoParquetFiles:
        """Open a table.

        Args:
            path: A file, or a folder whose Parquet files come in the order of names.

        Returns:
            The table. A file that is no GeoParquet, or is not like the first, ends in
            InputError.

        Raises:
            InputError: The folder holds none.
        """
        if not path.is_dir():
            return cls([path])
        files = parquet_files(path)
        if not files:
            raise InputError(
                f"{path} holds no GeoParquet files; give a run folder, a folder that "
                "write_objects made, or a file"
            )
        return cls(files)

    def tables(self, columns: Sequence[str], *, rows: int) -> Iterator[pa.Table]:
        """Yield pieces of the files, one after the other.

        Args:
            columns: Names of the columns wanted.
            rows: Most rows of a piece.

        Yields:
            Tables of the types of the first file; at least one, which may be empty.
        """
        names = list(columns)
        fields = [self.schema.field(name) for name in names]
        schema = pa.schema(fields, metadata=self.schema.metadata)
        found = False
        for file in self._files:
            for batch in _batches(file, names, rows):
                found = True
                yield pa.Table.from_batches([batch]).select(names).cast(schema)
        if not found:  # a reader learns the columns of a table without rows too
            yield schema.empty_table()

    def _check_like_first(self, file: Path, geo: dict[str, Any]) -> None:
        """Refuse a file that is not like the first.

        Raises:
            InputError: It has other columns or another CRS.
        """
        column = geo["columns"].get(self.geometry)
        missing = set(self.columns) - set(pq.read_schema(file).names)
        if column is None or missing or _crs_of(column) != self.crs:
            raise InputError(
                f"{file.name} has other columns or another CRS than "
                f"{self._files[0].name}; all files of a table must be alike"
            )

    @property
    def crs(self) -> pyproj.CRS | None:
        """CRS of the main geometry."""
        return self.geometries[self.geometry]


def open_lazy(path: Path) -> dgpd.GeoDataFrame:
    """Open GeoParquet as a lazy table that knows where its partitions are.

    Args:
        path: A file, or a folder of files.

    Returns:
        The table, without columns that only hold bounds of shapes: dask_geopandas
        keeps them, unlike geopandas, and then cannot write the table again. Columns
        that pandas takes for its index are left out too.
    """
    files = GeoParquetFiles.at(path)
    columns = [name for name in files.columns if name not in files.index]
    table = dgpd.read_parquet(str(path), columns=columns, index=False)
    if table.spatial_partitions is None:
        table.calculate_spatial_partitions()
    return table


def _batches(file: Path, names: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield a file group by group: of all of it Arrow reads what it can ahead."""
    with pq.ParquetFile(file) as opened:
        for group in range(opened.num_row_groups):
            yield from opened.iter_batches(rows, row_groups=[group], columns=names)


def _geo_metadata(file: Path) -> dict[str, Any]:
    """Return the GeoParquet metadata of a file.

    Raises:
        InputError: It has none.
    """
    try:
        metadata = pq.read_metadata(file).metadata or {}
        geo: dict[str, Any] = json.loads(metadata.get(GEO, b"{}"))
        if geo:
            _ = geo["columns"][geo["primary_column"]]["encoding"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{file} cannot be read as GeoParquet ({type(error).__name__}); give a "
            "table that areca made, or convert it with geopandas first"
        ) from error
    if not geo:
        raise InputError(
            f"{file} cannot be read as GeoParquet: it is a table without shapes; give "
            "one with a geometry column"
        )
    return geo


def _crs_of(column: dict[str, Any]) -> pyproj.CRS | None:
    """Return the CRS of a geometry column; one that is not named is in degrees."""
    crs = column.get("crs", "OGC:CRS84")
    return None if crs is None else pyproj.CRS.from_user_input(crs)


def _index_columns(schema: pa.Schema) -> set[str]:
    """Return the columns that pandas wrote its index to."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    # A range of row numbers is told by a dict, and is no column.
    return {name for name in index if isinstance(name, str)}


def _covering(geo: dict[str, Any]) -> set[str]:
    """Return the columns that only hold bounds of the shapes."""
    return {
        part[0]
        for column in geo["columns"].values()
        for part in column.get("covering", {}).get("bbox", {}).values()
    }
