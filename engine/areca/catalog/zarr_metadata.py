"""What the metadata of a Zarr cube says: its arrays, their bands and their place."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from affine import Affine
from pyproj import CRS
from pyproj.exceptions import CRSError
from zarr.errors import UnstableSpecificationWarning

from areca.catalog.grids import crs_name
from areca.catalog.headers import Header
from areca.errors import CatalogError
from areca.tiles import PIXEL_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path

    from areca.catalog.projection import Transform

_X, _Y = ("x", "longitude", "lon"), ("y", "latitude", "lat")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArray:
    """One array of a cube."""

    name: str
    """Of the array in its group."""
    header: Header
    """What a file of its bands would say."""
    has_time: bool
    """Whether it has dates."""
    scale: float
    """Value = stored * scale + offset."""
    offset: float
    """See `scale`."""


def open_group(path: Path) -> xr.Dataset:
    """Open the group of a cube; no pixel is read, nothing masked or scaled.

    Args:
        path: Folder of the group, version 2 or 3 of Zarr.

    Returns:
        Its arrays, lazy, dates decoded.

    Raises:
        CatalogError: It is none.
    """
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


def stored_arrays(dataset: xr.Dataset, path: Path) -> list[StoredArray]:
    """Return the arrays of a cube that hold bands, each on the one pixel grid.

    Args:
        dataset: The group.
        path: Where it is, for messages.

    Returns:
        At least one.

    Raises:
        CatalogError: There is none, it has no CRS or no regular pixel grid, or they
            have several shapes.
    """
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
) -> StoredArray:
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
    return StoredArray(
        name=str(name),
        header=header,
        has_time="time" in variable.dims,
        scale=_number(variable.attrs, "scale_factor", 1.0, path),
        offset=_number(variable.attrs, "add_offset", 0.0, path),
    )


def _number(attrs: dict[Any, Any], name: str, default: float, path: Path) -> float:
    """Return a number of the attributes of an array.

    Raises:
        CatalogError: It is none.
    """
    told = attrs.get(name, default)
    try:
        return float(told)
    except (TypeError, ValueError):
        raise CatalogError(
            f"an array of {path} has {name}={str(told)[:60]!r}, which is no number; "
            "correct its metadata"
        ) from None


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
        CatalogError: The coordinates have no regular steps, or nothing tells a place
            in numbers.
    """
    try:
        stored = _told_transform(variable, attrs)
    except (TypeError, ValueError) as err:
        raise CatalogError(
            f"{path} tells its place (GeoTransform or spatial:transform) in what are "
            f"no numbers: {err}; correct its metadata"
        ) from None
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
