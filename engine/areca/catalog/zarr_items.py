"""Zarr cubes without a catalogue: an item for each date, from their metadata."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac
from shapely.geometry import mapping

from areca.catalog.geotiffs import (
    NO_DATE,
    UNDATED,
    bbox_of,
    footprint_of,
    projection_fields,
)
from areca.catalog.hrefs import ZARR_ARRAY, is_remote, local_path, redact
from areca.catalog.zarr_metadata import StoredArray, open_group, stored_arrays
from areca.catalog.zarr_store import ZarrStore
from areca.errors import CatalogError, InputError

if TYPE_CHECKING:
    import xarray as xr

    from areca.catalog.filters import Query


def items_of_zarr(place: str, query: Query) -> list[pystac.Item]:
    """Make an item for each date of a cube, or one of a cube without dates.

    Understands what `areca.write_cube` writes, and any Zarr group, version 2 or 3, of
    arrays with the dims ([time,] [band,] y, x), whose CRS rioxarray finds or which
    follows the conventions `proj` and `spatial`. A variable without the dim `band` is a
    band of its own name. No pixel is read.

    A cube without dates takes those of the items that it was made of, which
    `areca.write_cube` keeps; where there are none it has a placeholder, as a GeoTIFF.

    Args:
        place: Folder of the group, called NAME.zarr.
        query: What is asked for; dates can only be asked of a cube that has some.

    Returns:
        Items called NAME, or NAME and the date.

    Raises:
        CatalogError: It is no such cube, has no CRS, lies on no regular pixel grid, or
            is not whole.
    """
    path = _folder(place)
    dataset = open_group(path)
    arrays = stored_arrays(dataset, path)
    _check_whole(path)
    times = _times(dataset) if any(array.has_time for array in arrays) else [None]
    items = [
        _item(path, arrays, number, time, several=len(times) > 1)
        for number, time in enumerate(times)
    ]
    first = next(array.name for array in arrays)
    if times == [None]:
        _date_by_origin(items[0], dataset[first].attrs.get("items"))
    if query.datetime is not None and any(_is_undated(item) for item in items):
        raise CatalogError(
            f"cannot filter {path} by datetime={query.datetime!r}: it has no dates (a "
            "coordinate `time`). Leave datetime out"
        )
    return items


def _folder(place: str) -> Path:
    if is_remote(place):
        raise CatalogError(
            f"{redact(place)} is a Zarr cube on another machine, which this reads from "
            "a local folder only; copy it, or open it with areca.read_cube and use "
            "areca.predict"
        )
    path = Path(local_path(place)).absolute()
    if not path.is_dir():
        raise CatalogError(f"there is no folder {str(path)!r}; check the path")
    return path


def _check_whole(path: Path) -> None:
    """Refuse a cube of `write_cube` that lacks shards: they would read as nodata.

    Raises:
        CatalogError: It does.
    """
    try:
        missing, wanted = ZarrStore(str(path)).missing()
    except InputError:
        return  # of another writer, which may leave out what is empty
    if missing:
        raise CatalogError(
            f"{path} is not whole: {missing} of {wanted} shards are missing; write the "
            "cube again first, it goes on where it stopped"
        )


def _times(dataset: xr.Dataset) -> list[np.datetime64 | None]:
    """Return the dates of a cube; None where one is not known."""
    count = dataset.sizes["time"]
    if "time" not in dataset.coords or dataset["time"].dtype.kind != "M":
        return [None] * count
    return [None if np.isnat(value) else value for value in dataset["time"].values]


def _item(
    path: Path,
    arrays: list[StoredArray],
    number: int,
    time: np.datetime64 | None,
    *,
    several: bool,
) -> pystac.Item:
    header = arrays[0].header
    ground = footprint_of(header)
    moment = None if time is None else time.astype("datetime64[us]").item()
    suffix = f"{number}" if moment is None else f"{moment:%Y%m%dT%H%M%S}"
    if moment is not None and moment.microsecond:
        suffix += f".{moment:%f}"
    item = pystac.Item(
        id=f"{path.stem}_{suffix}" if several or moment else path.stem,
        geometry=mapping(ground),
        bbox=bbox_of(ground),
        datetime=NO_DATE if moment is None else moment.replace(tzinfo=NO_DATE.tzinfo),
        properties={**UNDATED} if moment is None else {},
        href=str(path),
    )
    # Of assets, not of the item: a file that a user adds may have pixels of its own.
    grid = projection_fields(header)
    for array in arrays:
        tail = f"#{number}" if array.has_time else ""
        item.add_asset(
            array.name,
            pystac.Asset(
                f"{path}/{array.name}{tail}",
                media_type=ZARR_ARRAY,
                roles=["data"],
                extra_fields={**grid, "bands": _bands(array)},
            ),
        )
    return item


def _bands(array: StoredArray) -> list[dict[str, Any]]:
    header = array.header
    return [
        {
            "name": name,
            "data_type": dtype,
            "raster:scale": array.scale,
            "raster:offset": array.offset,
            **({} if nodata is None else {"nodata": nodata}),
        }
        for name, dtype, nodata in zip(
            header.names, header.dtypes, header.nodata, strict=True
        )
    ]


def _date_by_origin(item: pystac.Item, made_of: object) -> None:
    """Give an item the time of what it was made of, where all of that is known."""
    listed = made_of if isinstance(made_of, list) else []
    starts = [one.get("start") for one in listed if isinstance(one, dict)]
    ends = [one.get("end") for one in listed if isinstance(one, dict)]
    if not starts or not all([*starts, *ends]):
        return
    for name in UNDATED:
        item.properties.pop(name)
    first, last = min(map(str, starts)), max(map(str, ends))
    item.datetime = None
    item.properties |= {
        "datetime": None,
        "start_datetime": first,
        "end_datetime": last,
    }


def _is_undated(item: pystac.Item) -> bool:
    return all(item.properties.get(name) == told for name, told in UNDATED.items())
