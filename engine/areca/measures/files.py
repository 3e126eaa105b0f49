"""Objects tables as GeoParquet 1.1, one file or a folder of parts."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal
from uuid import uuid4

import fsspec
import geopandas as gpd
import numpy as np
import pandas as pd
from dask.base import compute
from dask.dataframe.dispatch import make_meta
from dask.delayed import delayed
from pyogrio.errors import DataSourceError

from areca.errors import GridError, InputError
from areca.measures.table import require_crs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dask_geopandas as dgpd
    import pyproj

_PARQUET = frozenset({".parquet", ".geoparquet", ".pq"})
"""How names of GeoParquet files end, in lower case."""
ROWS_PER_GROUP = 50_000
"""Row group: what a reader with a bounding box skips or reads as a whole."""


def write_objects(
    objects: gpd.GeoDataFrame | dgpd.GeoDataFrame, path: str | Path
) -> None:
    """Write objects as GeoParquet 1.1 with a bounding-box column (covering).

    Rows are sorted along a Hilbert curve, then by `object_id` where there is one, so
    that a reader with a bounding box touches few row groups, and equal rows give equal
    bytes. Compression is zstd; the index is not written.

    A GeoDataFrame becomes one file, put in place in one move. A dask_geopandas table
    is computed here and becomes a folder of `part-00000.parquet`, ..., one for each
    partition that has rows, sorted within each part; at least one file is written.

    Args:
        objects: Table with a CRS.
        path: File or folder: local, or any address that fsspec knows (`s3://...`).

    A table with no CRS ends in GridError; a folder that holds Parquet files already,
    or that is a file, in InputError. Nothing is written then.
    """
    require_crs(objects)
    if isinstance(objects, gpd.GeoDataFrame):
        _write_file(objects, str(path))
        return
    folder = str(path).rstrip("/")
    _make_folder(folder)
    write_part = delayed(_write_part)
    written = compute(
        *(
            write_part(part, f"{folder}/part-{number:05d}.parquet")
            for number, part in enumerate(objects.to_delayed())
        )
    )
    if not any(written):
        _write_file(make_meta(objects), f"{folder}/part-00000.parquet")


def read_objects(
    path: str | Path,
    *,
    bbox: tuple[float, float, float, float] | None = None,
    columns: Sequence[str] | None = None,
) -> gpd.GeoDataFrame:
    """Read what `write_objects` wrote, a file or a folder.

    Args:
        path: File or folder: local, or any address that fsspec knows. The folder of a
            run (`areca run --out`) stands for its `objects`.
        bbox: West, south, east, north in the CRS of the table: only objects whose
            bounds touch it are read.
        columns: Columns wanted, the geometry among them; all by default.

    Returns:
        The table, in memory.

    Raises:
        InputError: there is nothing at this place, or no GeoParquet.
    """
    wanted = None if columns is None else list(columns)
    objects = Path(path) / "objects"
    # The folder of a run has other tables too, one a block.
    place = objects if not is_parquet(Path(path)) and parquet_files(objects) else path
    try:
        return gpd.read_parquet(str(place), bbox=bbox, columns=wanted)
    except FileNotFoundError as error:
        raise InputError(
            f"{path} does not exist. Give a GeoParquet file, or a folder that "
            "write_objects made."
        ) from error
    except ValueError as error:
        raise InputError(
            f"{path} cannot be read as GeoParquet: {str(error).rstrip('.')}. Give a "
            "table that "
            "write_objects made, or convert it with geopandas first."
        ) from error


def is_named_parquet(path: Path) -> bool:
    """Return whether a path has the name of a GeoParquet file, in any case."""
    return path.suffix.lower() in _PARQUET


def parquet_files(folder: Path) -> list[Path]:
    """Return the GeoParquet files right in a folder, by name; none if it is none."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if is_named_parquet(path))


def is_parquet(path: Path) -> bool:
    """Return whether a table is GeoParquet by its name: a file, or a folder of them.

    Other folders are for GDAL to read, such as an Esri file geodatabase.
    """
    return bool(parquet_files(path)) if path.is_dir() else is_named_parquet(path)


def read_vector(path: Path, *, what: str, wanted: str) -> gpd.GeoDataFrame:
    """Read a vector file of any kind as a whole.

    Args:
        path: GeoParquet, or what GDAL reads (its first layer), file or folder.
        what: What it should hold, for the message.
        wanted: What to give instead, for the message.

    Returns:
        The table.

    Raises:
        InputError: It cannot be read, or has no shapes.
    """
    try:
        parquet = is_parquet(path)
        # The first layer by number: it would be taken by default, with a warning.
        table = gpd.read_parquet(path) if parquet else gpd.read_file(path, layer=0)
    except (DataSourceError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} cannot be read as {what} ({reason}); give {wanted}"
        ) from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise InputError(f"{path} is a table without shapes; give {wanted}")
    return table


def require_file_crs(crs: pyproj.CRS | None, path: Path) -> pyproj.CRS:
    """Return the CRS of a file, once it is clear that there is one.

    Args:
        crs: CRS of the table in it.
        path: The file, for the message.

    Raises:
        GridError: There is none.
    """
    if crs is None:
        raise GridError(
            f"{path} has no CRS, so nobody knows where its shapes are. Name it first: "
            f"ogr2ogr -a_srs EPSG:... named.gpkg {path}, or set_crs of geopandas"
        )
    return crs


def _write_part(objects: gpd.GeoDataFrame, path: str) -> bool:
    """Return whether a partition had rows, once they are written."""
    if len(objects) == 0:
        return False
    _write_file(objects, path)
    return True


def _write_file(objects: gpd.GeoDataFrame, path: str) -> None:
    """Write one file, seen by nobody before it is whole."""
    local = "://" not in path
    target = f"{path}.{uuid4().hex[:8]}.tmp" if local else path
    if local:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        with fsspec.open(target, "wb") as file:
            encode_objects(objects, file)
        if local:
            Path(target).replace(path)
    finally:
        if local:
            Path(target).unlink(missing_ok=True)


def encode_objects(
    objects: gpd.GeoDataFrame,
    file: IO[bytes],
    *,
    compression: Literal["zstd"] | None = "zstd",
) -> None:
    """Write a table to an open file as `write_objects` does.

    Args:
        objects: In memory.
        file: Open for writing.
        compression: Of the columns; None for what is read again at once.
    """
    rows = _sorted_rows(objects)
    rows = rows.assign(**{name: rows[name].astype("string") for name in _texts(rows)})
    rows.to_parquet(
        file,
        index=False,
        compression=compression,
        schema_version="1.1.0",
        write_covering_bbox=True,
        row_group_size=ROWS_PER_GROUP,
    )


def _sorted_rows(objects: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return rows along a Hilbert curve, then by object_id, then as they came."""
    geometry = objects.geometry
    placed = ~(geometry.isna() | geometry.is_empty).to_numpy(dtype=bool)
    distance = np.full(len(objects), np.iinfo(np.int64).max)  # nowhere: at the end
    if placed.any():
        distance[placed] = gpd.GeoSeries(geometry.to_numpy()[placed]).hilbert_distance()
    keys = [distance]
    if "object_id" in objects:
        keys.insert(0, np.unique(objects["object_id"], return_inverse=True)[1])
    return objects.iloc[np.lexsort(keys)]


def _texts(objects: gpd.GeoDataFrame) -> list[str]:
    """Return the names of columns that hold text or nothing at all.

    A part in which a text column is empty would get the Arrow type null, and then the
    parts of a folder no longer read as one table.
    """
    return [
        str(name)
        for name, column in objects.items()
        if name != objects.geometry.name and _is_text(column)
    ]


def _is_text(column: pd.Series) -> bool:
    if column.dtype != np.dtype(object):
        return str(column.dtype).startswith(("string", "str"))
    return pd.api.types.infer_dtype(column, skipna=True) in {"string", "empty"}


def _make_folder(folder: str) -> None:
    """Create the folder of a partitioned table.

    Raises:
        InputError: other Parquet files would mix with the new ones.
    """
    files, root = fsspec.core.url_to_fs(folder)
    if files.isfile(root):
        raise InputError(
            f"{folder} is a file, and a partitioned table needs a folder. Choose "
            "another place, or write objects.compute() to have one file."
        )
    present = files.glob(f"{root}/*.parquet")
    if present:
        raise InputError(
            f"{folder} holds {len(present)} Parquet files already, the first "
            f"{Path(present[0]).name}; the new parts would mix with them. "
            "Remove them or choose another folder."
        )
    files.makedirs(root, exist_ok=True)
