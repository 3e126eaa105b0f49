"""Bands on a common scale, by statistics of the whole region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from areca.errors import BandError
from areca.features.lineage import traced_each
from areca.features.negatives import NEGATIVE, negative_shares
from areca.tiles import map_stage

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

    from areca.features.statistics import BandStatistics, Statistics

    Values = NDArray[np.float32]

Method: TypeAlias = Literal["zscore", "minmax", "percentile", "equalize"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """A stage that maps the values of each band, pixel by pixel."""

    bands: tuple[str, ...]
    """Names of the bands, in the order of the cube."""
    tables: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
    """For each band, values and what they become; straight between them, and flat
    beyond the ends unless `linear`."""
    linear: bool
    """Whether a table is two points of a line that goes on beyond them."""

    @property
    def halo_px(self) -> int:
        """Each pixel stands for itself."""
        return 0

    def __call__(self, block: xr.DataArray, /) -> xr.DataArray:
        """Map the values of a block.

        Args:
            block: Dims (band, y, x), NaN where missing.

        Returns:
            The same dims, float32, NaN where missing.
        """
        out = np.empty(block.shape, np.float32)
        for layer, band, table in zip(out, block.to_numpy(), self.tables, strict=True):
            layer[...] = _mapped(band, table, linear=self.linear)
        return block.copy(data=out)


def normalize(
    cube: xr.DataArray,
    statistics: Statistics,
    method: Method = "zscore",
    *,
    percent: tuple[float, float] = (2.0, 98.0),
) -> xr.DataArray:
    """Bring bands on a common scale; nothing is computed.

    Args:
        cube: Dims (band, y, x) with a CRS.
        statistics: Of `areca.fit_statistics`, of this cube or of another.
        method: `zscore` (mean 0, deviation 1), `minmax` (0 to 1), `percentile` (0 to 1
            between two percentiles, what lies beyond is cut) or `equalize` (the share
            of the pixels that are not larger, 0 to 1).
        percent: The two percentiles.

    Returns:
        The same bands, float32, NaN where missing.

    Raises:
        BandError: A band has no statistics or one value only, or there is no such
            method.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - GridError comes from map_stage
    if method not in get_args(Method):
        raise BandError(
            f"there is no method {method!r}; choose {', '.join(get_args(Method))}"
        )
    if percent[0] >= percent[1]:
        raise BandError(f"percent must be two growing numbers, got {percent}")

    def table(one: BandStatistics) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if method == "zscore":
            return np.array([one.mean, one.mean + one.std]), np.array([0.0, 1.0])
        if method == "minmax":
            return np.array([one.minimum, one.maximum]), np.array([0.0, 1.0])
        if method == "percentile":
            ends = [one.percentile(each) for each in percent]
            return np.array(ends), np.array([0.0, 1.0])
        return one.centres, one.shares

    linear = method in {"zscore", "minmax"}
    return _scaled(cube, table, statistics, method, linear=linear)


def subtract_dark(
    cube: xr.DataArray, statistics: Statistics, *, percent: float = 0.01
) -> xr.DataArray:
    """Take from each band the value of its darkest pixels; nothing is computed.

    Haze adds the same to all pixels of a band, and the darkest would else be near 0
    (Chavez 1988, doi 10.1016/0034-4257(88)90019-3).

    Args:
        cube: Dims (band, y, x) with a CRS.
        statistics: Of `areca.fit_statistics`.
        percent: The percentile that is taken for dark.

    Returns:
        The same bands, float32, NaN where missing, never less than 0.

    Raises:
        BandError: A band has no statistics.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - raised by the helpers

    def table(one: BandStatistics) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        dark = one.percentile(percent)
        # A line of slope 1 as far as there are values, and flat before it.
        end = max(one.maximum, dark + 1.0)
        return np.array([dark, end]), np.array([0.0, end - dark])

    dark = _scaled(cube, table, statistics, "subtract_dark", linear=True)
    return dark.clip(min=0, keep_attrs=True)


def match_histograms(
    cube: xr.DataArray, statistics: Statistics, reference: Statistics
) -> xr.DataArray:
    """Give bands the histograms of those of another cube; nothing is computed.

    Args:
        cube: Dims (band, y, x) with a CRS.
        statistics: Of this cube.
        reference: Of the other, which has bands of the same names.

    Returns:
        The same bands, float32, NaN where missing.

    Raises:
        BandError: A band has no statistics in one of the two.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - raised by the helpers
    names = [str(name) for name in cube.band.values]
    others = {id(statistics[name]): reference[name] for name in names}

    def table(one: BandStatistics) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        other = others[id(one)]
        occurs = np.array(other.counts) > 0
        wanted = np.interp(one.shares, other.shares[occurs], other.centres[occurs])
        return one.centres, wanted

    return _scaled(cube, table, statistics, "match_histograms", linear=False)


def _scaled(
    cube: xr.DataArray,
    table: Callable[[BandStatistics], tuple[NDArray[np.float64], NDArray[np.float64]]],
    statistics: Statistics,
    function: str,
    *,
    linear: bool,
) -> xr.DataArray:
    names = tuple(str(name) for name in cube.band.values)
    tables = []
    for name in names:
        values, wanted = table(statistics[name])
        if len(values) > 1 and values[0] >= values[-1]:
            raise BandError(
                f"band {name!r} has one value, {values[0]:g}, in these statistics, so "
                "it has no scale; leave it out"
            )
        tables.append((tuple(values.tolist()), tuple(wanted.tolist())))
    stage = Scaling(bands=names, tables=tuple(tables), linear=linear)
    options = {
        name: _options(function, values[0], values[-1])
        for name, (values, _) in zip(names, tables, strict=True)
    }
    made = traced_each(map_stage(stage, cube), cube, function, options)
    shares = negative_shares(cube, statistics)
    return made.assign_attrs({NEGATIVE: shares}) if shares else made


def _options(function: str, first: float, last: float) -> dict[str, float]:
    """Return what a table of a function goes by, for the lineage of a band."""
    if function == "zscore":
        return {"mean": first, "std": last - first}
    if function == "subtract_dark":
        return {"dark": first}
    return {"low": first, "high": last}


def _mapped(
    band: NDArray[np.float32],
    table: tuple[tuple[float, ...], tuple[float, ...]],
    *,
    linear: bool,
) -> NDArray[np.float64] | Values:
    values, wanted = table
    if not linear:
        return np.asarray(np.interp(band, values, wanted))
    slope = (wanted[1] - wanted[0]) / (values[1] - values[0])
    return np.asarray((band - np.float32(values[0])) * np.float32(slope))
