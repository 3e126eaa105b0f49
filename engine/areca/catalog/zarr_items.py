"""Zarr cubes without a catalogue: an item for each date, from their metadata."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from affine import Affine
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.geometry import mapping
from zarr.errors import UnstableSpecificationWarning

from areca.catalog.geotiffs import NO_DATE, UNDATED, footprint_of
from areca.catalog.grids import crs_name
from areca.catalog.headers import Header
from areca.catalog.hrefs import ZARR_ARRAY, is_remote, local_path, redact
from areca.catalog.zarr_store import ZarrStore
from areca.errors import CatalogError, InputError
from areca.tiles import PIXEL_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from areca.catalog.filters import Query
    from areca.catalog.projection import Transform

_X, _Y = ("x", "longitude", "lon"), ("y", "latitude", "lat")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """One array of a cube."""

    name: str
    header: Header
    has_time: bool
    scale: float
    offset: float


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
    dataset = _opened(path)
    arrays = _arrays(dataset, path)
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


def _opened(path: Path) -> xr.Dataset:
    try:
        with warnings.catch_warnings():
            # Names of bands of fixed length, as xarray writes them: read well enough.
            warnings.simplefilter("ignore", UnstableSpecificationWarning)
            # A place that is named and not there: told below, in words.
            warnings.filterwarnings("ignore", "Variable.s. referenced in grid_mapping")
            found: xr.Dataset = xr.open_zarr(
                path,
                chunks=None,
                consolidated=False,
                mask_and_scale=False,
                decode_coords="all",
            )
    except (OSError, ValueError, KeyError, TypeError) as err:
        told = (str(err).splitlines() or [type(err).__name__])[0]
        raise CatalogError(
            f"{path} is no Zarr group that xarray opens ({told}); give the folder of a "
            "cube, for example of `areca cube`"
        ) from None
    named: xr.Dataset = found.set_coords({"spatial_ref"} & set(found.data_vars))
    return named


def _arrays(dataset: xr.Dataset, path: Path) -> list[_Stored]:
    found, refused = [], []
    for name, variable in dataset.data_vars.items():
        if variable.dtype.kind not in "iuf" or variable.ndim < 2:
            continue
        if tuple(variable.dims[:-2]) not in {
            (),
            ("time",),
            ("band",),
            ("time", "band"),
        }:
            refused.append(f"{name} {tuple(map(str, variable.dims))}")
            continue
        if variable.dims[-2] not in _Y or variable.dims[-1] not in _X:
            refused.append(f"{name} {tuple(map(str, variable.dims))}")
            continue
        found.append(_array(name, variable, dataset.attrs, path))
    if not found:
        raise CatalogError(
            f"{path} has no array with the dims ([time,] [band,] y, x): it has "
            f"{', '.join(refused) or 'none of numbers'}. Bring a cube there with "
            "xarray's transpose and rename"
        )
    shapes = {array.header.shape for array in found}
    if len(shapes) > 1:
        raise CatalogError(
            f"the arrays of {path} have the shapes {sorted(shapes)}; write those of "
            "one pixel grid to a cube of their own"
        )
    return found


def _array(
    name: Hashable, variable: xr.DataArray, attrs: dict[Any, Any], path: Path
) -> _Stored:
    height, width = variable.shape[-2:]
    bands = _names(str(name), variable)
    told = [variable.attrs.get(k) for k in ("_FillValue", "missing_value", "nodata")]
    nodata = next((value for value in told if value is not None), None)
    value = None if nodata is None else float(nodata)
    header = Header(
        crs=_crs(variable, attrs, path),
        transform=_transform(variable, attrs, path),
        shape=(height, width),
        names=bands,
        named_by_colours=False,
        dtypes=(variable.dtype.name,) * len(bands),
        nodata=(value,) * len(bands),
        has_mask=False,
        alpha=None,
    )
    return _Stored(
        name=str(name),
        header=header,
        has_time="time" in variable.dims,
        scale=float(variable.attrs.get("scale_factor", 1.0)),
        offset=float(variable.attrs.get("add_offset", 0.0)),
    )


def _names(name: str, variable: xr.DataArray) -> tuple[str, ...]:
    """Return the names of bands: their coordinate, else `long_name`, else b1, b2."""
    if "band" not in variable.dims:
        return (name,)
    count = variable.sizes["band"]
    told = variable.attrs.get("long_name")
    if "band" in variable.coords and variable["band"].dtype.kind in "OUT":
        return tuple(str(value) for value in variable["band"].values)
    if isinstance(told, (list, tuple)) and len(told) == count:
        return tuple(map(str, told))
    return tuple(f"b{number}" for number in range(1, count + 1))


def _crs(variable: xr.DataArray, attrs: dict[Any, Any], path: Path) -> str:
    told = variable.rio.crs
    given = (
        told.to_wkt()
        if told is not None
        else attrs.get("proj:code") or attrs.get("proj:wkt2")
    )
    if given is None:
        raise CatalogError(
            f"{path} has no CRS, so nothing in it can be placed; write it with "
            "rioxarray (cube.rio.write_crs('EPSG:…')) before to_zarr"
        )
    try:
        return crs_name(CRS.from_user_input(given))
    except CRSError as err:
        raise CatalogError(
            f"{path} has the CRS {str(given)[:60]!r}, which is unknown; correct it"
        ) from err


def _transform(variable: xr.DataArray, attrs: dict[Any, Any], path: Path) -> Transform:
    """Return the affine of a cube: of its coordinates, in the digits of its metadata.

    Raises:
        CatalogError: The coordinates have no regular steps, or nothing tells a place.
    """
    stored = _told_transform(variable, attrs)
    y_dim, x_dim = (str(dim) for dim in variable.dims[-2:])
    height, width = variable.shape[-2:]
    if x_dim not in variable.coords or y_dim not in variable.coords:
        if stored is None:
            raise CatalogError(
                f"{path} has neither the coordinates {y_dim} and {x_dim} nor a "
                "GeoTransform, so it has no place; write one of them"
            )
        return stored
    x, y = (np.asarray(variable[dim].values, np.float64) for dim in (x_dim, y_dim))
    if stored is not None:
        a, _, c, _, e, f = stored
        ends = (
            np.array([c + a / 2, c + a * (width - 0.5)]),
            np.array([f + e / 2, f + e * (height - 0.5)]),
        )
        off = max(
            np.abs((x[[0, -1]] - ends[0]) / a).max(),
            np.abs((y[[0, -1]] - ends[1]) / e).max(),
        )
        if off <= PIXEL_TOLERANCE:
            _step(x, x_dim, path)
            _step(y, y_dim, path)
            return stored
    a, e = _step(x, x_dim, path), _step(y, y_dim, path)
    return a, 0.0, float(x[0]) - a / 2, 0.0, e, float(y[0]) - e / 2


def _step(values: np.ndarray[Any, np.dtype[np.float64]], dim: str, path: Path) -> float:
    """Return the step of a coordinate.

    Raises:
        CatalogError: It has no regular one.
    """
    if len(values) < 2:
        return math.nan
    step = float(values[-1] - values[0]) / (len(values) - 1)
    even = values[0] + step * np.arange(len(values))
    off = np.abs(values - even).max() / abs(step) if step else math.inf
    if not off <= PIXEL_TOLERANCE:
        raise CatalogError(
            f"the coordinate {dim} of {path} has no regular steps ({off:.3g} pixel off "
            "an even grid), so its pixels are no squares of one grid; interpolate it "
            "to regular coordinates first"
        )
    return step


def _told_transform(variable: xr.DataArray, attrs: dict[Any, Any]) -> Transform | None:
    for coordinate in variable.coords.values():
        text = coordinate.attrs.get("GeoTransform")
        if isinstance(text, str) and len(text.split()) == 6:
            return _six(tuple(Affine.from_gdal(*map(float, text.split()))))
    told = attrs.get("spatial:transform")
    if isinstance(told, (list, tuple)) and len(told) >= 6:
        return _six(told)
    return None


def _six(values: Sequence[Any]) -> Transform:
    a, b, c, d, e, f = map(float, values[:6])
    return a, b, c, d, e, f


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
    arrays: list[_Stored],
    number: int,
    time: np.datetime64 | None,
    *,
    several: bool,
) -> pystac.Item:
    header = arrays[0].header
    place = header.crs or ""
    ground = footprint_of(header)
    moment = None if time is None else time.astype("datetime64[us]").item()
    suffix = f"{number}" if moment is None else f"{moment:%Y%m%dT%H%M%S}"
    item = pystac.Item(
        id=f"{path.stem}_{suffix}" if several or moment else path.stem,
        geometry=mapping(ground),
        bbox=list(ground.bounds),
        datetime=NO_DATE if moment is None else moment.replace(tzinfo=NO_DATE.tzinfo),
        properties={
            **({"proj:code": place} if len(place) < 40 else {"proj:wkt2": place}),
            "proj:transform": list(header.transform or ()),
            "proj:shape": list(header.shape),
            **(UNDATED if moment is None else {}),
        },
        href=str(path),
    )
    for array in arrays:
        tail = f"#{number}" if array.has_time else ""
        item.add_asset(
            array.name,
            pystac.Asset(
                f"{path}/{array.name}{tail}",
                media_type=ZARR_ARRAY,
                roles=["data"],
                extra_fields={"bands": _bands(array)},
            ),
        )
    return item


def _bands(array: _Stored) -> list[dict[str, Any]]:
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
