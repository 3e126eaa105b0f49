"""One GeoParquet file from a table that comes in parts."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from areca.errors import InputError
from areca.measures.files import ROWS_PER_GROUP, encode_objects

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    import geopandas as gpd

GEO = b"geo"
"""Where a GeoParquet file says what its columns are."""


class ObjectsWriter:
    """Writes parts of a table, one after the other, into one GeoParquet 1.1 file.

    What `write_objects` makes of a whole table, for one that does not fit into memory:
    rows are sorted along a Hilbert curve within each part. Used as a context; the file
    is in its place once the context ends without an error, whole.

    Example:
        >>> import pathlib, tempfile, geopandas, shapely
        >>> part = geopandas.GeoDataFrame(geometry=[shapely.Point(1, 2)], crs=4326)
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "points.parquet"
        >>> with ObjectsWriter(file) as writer:
        ...     writer.add(part)
        ...     writer.add(part)
        >>> len(geopandas.read_parquet(file))
        2
    """

    def __init__(self, path: Path, *, pandas_types: bool = True) -> None:
        """Write to a local path; folders on the way are made.

        With `pandas_types` pandas reads columns back in the types that the parts have;
        without, in its own for what the file holds, whatever the parts are made of.
        """
        self._path, self._pandas_types = path, pandas_types
        self._target = path.with_name(f"{path.name}.{uuid4().hex[:8]}.tmp")
        self._writer: pq.ParquetWriter | None = None
        self._geo: dict[str, Any] = {}

    def add(self, part: gpd.GeoDataFrame) -> None:
        """Write a part.

        Raises:
            InputError: its columns do not fit those of the first part.
        """
        buffer = BytesIO()
        # geopandas alone knows how to say what the columns are.
        encode_objects(part, buffer, compression=None)
        table = pq.read_table(buffer)
        metadata = dict(table.schema.metadata)
        geo = json.loads(metadata.pop(GEO))
        if self._writer is None:
            self._geo = geo
            if not self._pandas_types:
                metadata = {}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                self._target, table.schema.with_metadata(metadata), compression="zstd"
            )
        schema = self._writer.schema
        try:
            table = table.select(schema.names).cast(schema)
        except (KeyError, pa.ArrowException) as error:
            raise InputError(
                f"a part of the table for {self._path.name} has the columns "
                f"{table.schema.names}, which do not fit the first part ({error}). "
                "Give all parts the same columns of the same types."
            ) from error
        if len(table):
            self._writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        for name, column in geo["columns"].items():
            _widen(self._geo["columns"][name], column)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is None:
            return
        self._writer.add_key_value_metadata({GEO: json.dumps(self._geo)})
        self._writer.close()
        if error is None:
            self._target.replace(self._path)
        self._target.unlink(missing_ok=True)


def _widen(column: dict[str, Any], other: dict[str, Any]) -> None:
    """Add types and bounds of another part to those of a geometry column."""
    types = {*column["geometry_types"], *other["geometry_types"]}
    column["geometry_types"] = sorted(types)
    boxes = [part["bbox"] for part in (column, other) if "bbox" in part]
    known = [box for box in boxes if box[0] == box[0]]  # an empty part has NaN
    if known:
        half = len(known[0]) // 2
        lows, highs = zip(*((b[:half], b[half:]) for b in known), strict=True)
        column["bbox"] = [*map(min, *lows, lows[0]), *map(max, *highs, highs[0])]
