"""Composites: a cube over time to one layer, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import dask.array as da
import numpy as np
import pandas as pd
import rioxarray  # noqa: F401 - registers the .rio accessor

from areca.errors import BandError, GridError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    Choose = Callable[[Floats, NDArray[np.bool_]], Floats]

How = Literal["median", "medoid", "best", "max_ndvi", "first", "last"]

_AFTER_ALL_NDVI = -2.0
"""The rank of a valid pixel that has no NDVI."""
_PLACE_TOLERANCE = 0.01
"""How far a score may lie from the cube, pixels: what rounding makes."""
_DIMS = ("time", "band", "y", "x")


def composite(
    cube: xr.DataArray, how: How = "median", *, score: xr.DataArray | None = None
) -> xr.DataArray:
    """Make one layer of a cube over time; nothing is computed.

    `median` is that of each band alone. All others take each pixel whole from one of
    the times at which all its bands are valid: `medoid` the one nearest to all others
    (least sum of Euclidean distances; Flood 2013, Remote Sensing 5, 6481), `best` the
    one of the highest `score`, `max_ndvi` the one of the highest NDVI, `first` and
    `last` by time. Among equals the earliest. A pixel with a negative number in red or
    near infrared, or with zero in both, has no NDVI from -1 to 1 (dark shadows, after
    an offset, reach 5 and more) and is taken only where no other is valid.

    Args:
        cube: Dims (time, band, y, x), for example of `areca.open_cube` with
            `CubeOptions(time="each")`. Missing is NaN or `rio.nodata`.
        how: See above.
        score: For `best`: dims (time, y, x) of the cube in the same places, NaN where
            it cannot be.

    Returns:
        Dims (band, y, x), where missing what is valid at no time. A median is float32
        (float64 of float64 and of 32-bit integers) with NaN; all others have the
        numbers of the cube and its nodata. `attrs["composite"]` says how.

    Raises:
        GridError: The cube or the score has other dims, or they do not match; the
            score is of other dates or of another place.
        BandError: `max_ndvi` lacks the bands `red` and `nir`.
        InputError: `how` is not known, or `score` is given without `best`.
    """  # noqa: DOC502 - some are raised by _check
    _check(cube, how, score)
    nodata = cube.rio.nodata
    missing = None if nodata is None or np.isnan(nodata) else nodata
    names = [str(name) for name in cube.band.values]
    stage = _Stage(how, missing, _ndvi_bands(names) if how == "max_ndvi" else (0, 0))
    data = cube.transpose(*_DIMS).data
    lazy = da.asarray(data).rechunk({0: -1, 1: -1})
    given = [lazy, "tbyx"]
    if score is not None:
        scores = da.asarray(score.transpose("time", "y", "x").data)
        cuts = {0: -1, 1: lazy.chunks[2], 2: lazy.chunks[3]}
        given += [scores.rechunk(cuts), "tyx"]
    dtype = stage.dtype(cube.dtype)
    made = da.blockwise(
        stage, "byx", *given, concatenate=True, dtype=dtype,
        meta=np.empty((0, 0, 0), dtype),
    )  # fmt: skip
    out = cube.isel(time=0, drop=True).transpose(*_DIMS[1:]).copy(data=made)
    out.attrs = {**cube.attrs, "composite": how}
    if how == "median":
        out.attrs |= {"_FillValue": np.nan, "nodata": np.nan}
    return out


@dataclass(frozen=True, slots=True)
class _Stage:
    """A composite of a block in memory."""

    how: How
    nodata: float | None
    ndvi: tuple[int, int]
    """Positions of red and nir."""

    def dtype(self, given: np.dtype[Any]) -> np.dtype[Any]:
        if self.how != "median":
            return given
        is_wide = given.itemsize > (4 if given.kind == "f" else 2)
        return np.dtype(np.float64 if is_wide else np.float32)

    def __call__(
        self, pixels: NDArray[Any], score: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Return (band, y, x) of pixels (time, band, y, x)."""
        valid: NDArray[np.bool_] = np.ones(pixels.shape, bool)
        if pixels.dtype.kind == "f":
            valid = ~np.isnan(pixels)
        if self.nodata is not None:
            valid &= pixels != self.nodata
        if self.how == "median":
            return _median(pixels, valid, self.dtype(pixels.dtype))
        whole: NDArray[np.bool_] = np.asarray(valid.all(axis=1))
        ranks = self._ranks(pixels, whole, score)
        ranks = np.where(whole & ~np.isnan(ranks), ranks, -np.inf)
        best = ranks.argmax(axis=0)
        chosen: NDArray[Any] = np.take_along_axis(pixels, best[None, None], axis=0)[0]
        nothing = np.isneginf(ranks.max(axis=0))
        is_nan = pixels.dtype.kind == "f" and self.nodata is None
        fill = np.nan if is_nan else self.nodata
        if fill is not None:
            chosen[:, nothing] = fill
        return chosen

    def _ranks(
        self,
        pixels: NDArray[Any],
        whole: NDArray[np.bool_],
        score: NDArray[Any] | None,
    ) -> Floats:
        """Return (time, y, x), the highest of the time to take."""
        steps = np.arange(len(pixels), dtype=np.float64)[:, None, None]
        if score is not None:
            return score.astype(np.float64)
        if self.how == "medoid":
            return -_distances(pixels, whole)
        if self.how == "max_ndvi":
            red, nir = (pixels[:, band].astype(np.float64) for band in self.ndvi)
            total = nir + red
            has_ndvi = (red >= 0) & (nir >= 0) & (total > 0)
            ndvi = (nir - red) / np.where(has_ndvi, total, 1)
            return np.where(has_ndvi, ndvi, _AFTER_ALL_NDVI)
        signed = steps if self.how == "last" else -steps
        return np.broadcast_to(signed, whole.shape)


def _median(
    pixels: NDArray[Any], valid: NDArray[np.bool_], dtype: np.dtype[Any]
) -> Floats:
    """Return the median of the valid values along the first axis, NaN of none."""
    known = np.where(valid, pixels.astype(dtype), np.inf)
    known.sort(axis=0)
    count = valid.sum(axis=0)
    upper = np.minimum(count // 2, len(pixels) - 1)
    lower = np.maximum((count - 1) // 2, 0)
    ends = [np.take_along_axis(known, at[None], axis=0)[0] for at in (lower, upper)]
    lower_value, upper_value = (np.where(count, end, np.nan) for end in ends)
    middle: Floats = (lower_value + (upper_value - lower_value) / 2).astype(dtype)
    return middle


def _distances(pixels: NDArray[Any], whole: NDArray[np.bool_]) -> Floats:
    """Return the sum of distances of each time to all whole others, (time, y, x)."""
    sums = np.zeros(whole.shape)
    for one in range(len(pixels)):
        for other in range(one + 1, len(pixels)):
            gap = pixels[one].astype(np.float64) - pixels[other]
            distance = np.sqrt((gap * gap).sum(axis=0))
            both = whole[one] & whole[other]
            sums[one] += np.where(both, distance, 0)
            sums[other] += np.where(both, distance, 0)
    return sums


def _ndvi_bands(names: list[str]) -> tuple[int, int]:
    if not {"red", "nir"} <= set(names):
        raise BandError(
            f"max_ndvi needs the bands 'red' and 'nir', the cube has {names}; open it "
            "with both, by these names"
        )
    return names.index("red"), names.index("nir")


def _check(cube: xr.DataArray, how: str, score: xr.DataArray | None) -> None:
    """Refuse what no composite can be made of.

    Raises:
        GridError: The dims are others.
        InputError: `how` or `score` cannot be.
    """
    if set(cube.dims) != set(_DIMS):
        raise GridError(
            f"a composite needs the dims {_DIMS}, got {cube.dims}; open the cube with "
            "CubeOptions(time='each')"
        )
    if how not in get_args(How):
        raise InputError(f"how={how!r} is none of {', '.join(get_args(How))}")
    if (score is not None) != (how == "best"):
        raise InputError("how='best' needs a score, and nothing else takes one")
    if score is None:
        return
    sizes = {name: cube.sizes[name] for name in ("time", "y", "x")}
    if dict(score.sizes) != sizes:
        raise GridError(f"the score has {dict(score.sizes)}, the cube {sizes}")
    for name in sizes:
        if name in cube.coords and name in score.coords:
            _check_axis(name, cube[name].to_numpy(), score[name].to_numpy())


def _check_axis(name: str, wanted: NDArray[Any], given: NDArray[Any]) -> None:
    """Refuse a score of other dates or of another place.

    Raises:
        GridError: Names the first that differs.
    """
    if name == "time":
        # Layers without a date (NaT) are alike.
        differs = (wanted != given) & ~(pd.isna(wanted) & pd.isna(given))
    else:
        step = abs(wanted[-1] - wanted[0]) / max(len(wanted) - 1, 1)
        differs = ~(abs(wanted - given) <= _PLACE_TOLERANCE * step)
    if differs.any():
        at = int(differs.argmax())
        raise GridError(
            f"the score has {name} {given[at]} where the cube has {wanted[at]}; bring "
            "it to the cube's dates and pixels, for example score.sel(time=cube.time)"
        )
