"""Statistics of bands over a region: fitted once, plain data, the same for any chunks.

Sums are taken over fixed cells of the lattice and put together exactly, so that neither
chunks nor workers nor their order change a digit.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import numpy as np
from dask.base import compute
from dask.delayed import delayed

from areca.errors import BandError
from areca.features.cells import cell_parts, sampled_cells
from areca.features.negatives import warn_of_negatives
from areca.tiles import join_chunks, require_one_date, valid_where

T = TypeVar("T")

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from areca.tiles import Window
    from areca.tiles.padded import Chunks

    _Look: TypeAlias = tuple[int, float, float, float, int]
    """Number of pixels, sum, smallest, largest, and how many are less than 0."""
    _Glance: TypeAlias = Callable[[NDArray[Any]], tuple[T, NDArray[np.int64]]]
    """From the pixels of a cell that are there to numbers and pixels in each bin."""

BINS = 8192
"""Bins of the histogram of numbers that are no small integers."""
PARTS_ADDED = 8
"""So many histograms are added up by one task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandStatistics:
    """What the pixels of one band are like."""

    count: int
    """Pixels that are there."""
    mean: float
    std: float
    """Of a population, as `np.std`."""
    minimum: float
    maximum: float
    low: float
    """Where the first bin begins."""
    high: float
    """Where the last bin ends. Integers of up to 16 bits have a bin each, around them;
    other numbers have `BINS` from the smallest to the largest."""
    counts: tuple[int, ...] = field(repr=False)
    """Pixels in each bin."""
    negative: int = 0
    """Pixels that are less than 0."""

    @property
    def centres(self) -> NDArray[np.float64]:
        """Middle of each bin: the value itself for integers."""
        width = (self.high - self.low) / len(self.counts)
        return np.asarray(self.low + width * (np.arange(len(self.counts)) + 0.5))

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of the pixels up to the end of each bin, 0 to 1."""
        return np.asarray(np.cumsum(self.counts) / self.count)

    def percentile(self, percent: float) -> float:
        """Return the least value that so many percent of the pixels do not exceed.

        Exact for integers of up to 16 bits, else within half a bin.

        Args:
            percent: 0 to 100.

        Raises:
            BandError: It is something else.
        """
        if not 0 <= percent <= 100:
            raise BandError(f"a percentile lies between 0 and 100, got {percent:g}")
        needed = max(math.ceil(percent / 100 * self.count), 1)
        place = int(np.searchsorted(np.cumsum(self.counts), needed))
        return float(np.clip(self.centres[place], self.minimum, self.maximum))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What the bands of a cube are like; `to_dict` is plain data for JSON."""

    bands: Mapping[str, BandStatistics]
    step: int = 1
    """Of how many rows and columns one was looked at."""

    def __getitem__(self, band: str) -> BandStatistics:
        """Return the statistics of a band.

        Raises:
            BandError: There are none of it.
        """
        if band not in self.bands:
            raise BandError(
                f"there are no statistics of band {band!r}, only of "
                f"{', '.join(self.bands)}; fit them on a cube that has it"
            )
        return self.bands[band]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which JSON holds without a loss."""
        bands = {name: asdict(one) for name, one in self.bands.items()}
        return {"step": self.step, "bands": bands}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Statistics:
        """Return what `to_dict` gave.

        Args:
            data: Plain data.

        Raises:
            BandError: It is something else.
        """
        try:
            bands = {
                name: BandStatistics(**{**one, "counts": tuple(one["counts"])})
                for name, one in data["bands"].items()
            }
            return cls(bands=bands, step=int(data["step"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BandError(
                f"these are no statistics of areca ({error!r}); give what "
                "Statistics.to_dict returned"
            ) from error


def fit_statistics(cube: xr.DataArray, *, step: int = 1) -> Statistics:
    """Look at the pixels of a cube: this reads it, once or twice.

    Integers of up to 16 bits are read once and counted, so that all is exact; other
    numbers are read a second time for deviations and histogram.

    Args:
        cube: Dims (band, y, x) with a CRS; missing is NaN or `rio.nodata`.
        step: Look at one of so many rows and columns, counted from the origin of the
            grid; 1 looks at all.

    Returns:
        The statistics of each band; the same for any chunks, workers or order. Where
        many reflectances are negative after an offset of their items, a warning says
        which share, and `attrs["negative"]` of what is made with these statistics.

    Raises:
        BandError: The step is less than 1, or a band has no pixel.
    """
    require_one_date(cube)
    if step < 1:
        raise BandError(f"step must be 1 or more, got {step}")
    names = [str(name) for name in cube.band.values]
    if cube.dtype.kind in "iu" and cube.dtype.itemsize <= 2:
        found = _counted(cube, step)
    else:
        found = _summed(cube, step)
    empty = [name for name, one in zip(names, found, strict=True) if one is None]
    if empty:
        raise BandError(
            f"no pixel of {', '.join(empty)} is there, so nothing can be said of it; "
            "check the nodata value of the cube"
        )
    bands = {n: one for n, one in zip(names, found, strict=True) if one is not None}
    statistics = Statistics(bands=bands, step=step)
    warn_of_negatives(cube, statistics)
    return statistics


def _counted(cube: xr.DataArray, step: int) -> list[BandStatistics | None]:
    """Return statistics of small integers: those of how often each occurs."""
    least = int(np.iinfo(cube.dtype).min)
    bins = 2 ** (8 * cube.dtype.itemsize)

    def count(values: NDArray[Any]) -> tuple[None, NDArray[np.int64]]:
        return None, np.bincount(values.astype(np.int64) - least, minlength=bins)

    _, counts = _over_cells(cube, step, count)
    return [_of_counts(band, least) for band in counts]


def _of_counts(counts: NDArray[np.int64], least: int) -> BandStatistics | None:
    if not counts.any():
        return None
    first, last = (int(edge) for edge in np.flatnonzero(counts)[[0, -1]])
    kept = [int(count) for count in counts[first : last + 1]]
    values = range(least + first, least + last + 1)
    number = sum(kept)
    total = sum(value * count for value, count in zip(values, kept, strict=True))
    squares = sum(value**2 * count for value, count in zip(values, kept, strict=True))
    return BandStatistics(
        count=number,
        mean=total / number,
        std=math.sqrt(number * squares - total * total) / number,
        minimum=values[0],
        maximum=values[-1],
        low=values[0] - 0.5,
        high=values[-1] + 0.5,
        counts=tuple(kept),
        negative=sum(n for value, n in zip(values, kept, strict=True) if value < 0),
    )


def _summed(cube: xr.DataArray, step: int) -> list[BandStatistics | None]:
    """Return statistics of any numbers, in two passes."""

    def look(values: NDArray[Any]) -> tuple[_Look, NDArray[np.int64]]:
        wide, none = values.astype(np.float64), np.zeros(0, np.int64)
        if not len(wide):
            return (0, 0.0, math.inf, -math.inf, 0), none
        low, high = float(wide.min()), float(wide.max())
        below = int(np.count_nonzero(wide < 0)) if low < 0 else 0
        return (len(wide), float(wide.sum()), low, high, below), none

    sums, _ = _over_cells(cube, step, look)
    return _with_spread(cube, step, [_of_sums(band) for band in sums])


def _of_sums(
    parts: Sequence[_Look],
) -> BandStatistics | None:
    count = sum(part[0] for part in parts)
    if count == 0:
        return None
    low, high = min(part[2] for part in parts), max(part[3] for part in parts)
    return BandStatistics(
        count=count,
        mean=math.fsum(part[1] for part in parts) / count,
        std=math.nan,
        minimum=low,
        maximum=high,
        low=low,
        high=high if high > low else low + 1,
        counts=(),
        negative=sum(part[4] for part in parts),
    )


def _with_spread(
    cube: xr.DataArray, step: int, first: Sequence[BandStatistics | None]
) -> list[BandStatistics | None]:
    """Return what a first pass found, with deviation and histogram."""

    def look(
        values: NDArray[Any], one: BandStatistics | None
    ) -> tuple[float, NDArray[np.int64]]:
        if one is None:
            return 0.0, np.zeros(BINS, np.int64)
        wide = values.astype(np.float64)
        place = (wide - one.low) * (BINS / (one.high - one.low))
        bins = np.clip(place.astype(np.int64), 0, BINS - 1)
        spread = float(((wide - one.mean) ** 2).sum())
        return spread, np.bincount(bins, minlength=BINS)

    looks = [partial(look, one=one) for one in first]
    spreads, counts = _over_cells(cube, step, looks)
    out: list[BandStatistics | None] = []
    for one, parts, band in zip(first, spreads, counts, strict=True):
        if one is None:
            out.append(None)
            continue
        variance = math.fsum(parts) / one.count
        out.append(replace(one, std=math.sqrt(variance), counts=tuple(band.tolist())))
    return out


@dataclass(frozen=True, slots=True)
class _Found(Generic[T]):
    """What looks found in some cells."""

    cells: list[tuple[tuple[int, int], list[T]]]
    """Row and column of each cell, and the numbers of its bands: floats, whose sum
    depends on their order, so that each cell keeps its own."""
    counts: list[NDArray[np.int64]]
    """Pixels in each bin, by band, of all these cells: integers add up exactly in any
    order, and a histogram is a thousand times as large as the numbers of a cell."""

    @classmethod
    def together(cls, parts: Sequence[_Found[T]]) -> _Found[T]:
        """Return what was found in the cells of several parts."""
        cells = [cell for part in parts for cell in part.cells]
        bands = zip(*(part.counts for part in parts), strict=True)
        return cls(cells, [np.sum(band, axis=0) for band in bands])


def _over_cells(
    cube: xr.DataArray, step: int, look: _Glance[T] | Sequence[_Glance[T]]
) -> tuple[list[list[T]], list[NDArray[np.int64]]]:
    """Return what a look at each cell found.

    Histograms are added up where they are made, part by part, so that what comes here
    does not grow with the region but for a few numbers of each cell.

    Args:
        cube: Dims (band, y, x) with a CRS.
        step: One of so many rows and columns.
        look: Takes the pixels that are there; one for all bands or one for each.

    Returns:
        For each band, the numbers of each cell in the order of cells; and the pixels
        in each bin, of all cells.
    """
    looks = [look] * cube.sizes["band"] if callable(look) else list(look)
    run = delayed(_look_at, pure=False)
    add = delayed(_Found.together, pure=False)
    parts = [
        run(part, looks, (window, step, cube.rio.nodata))
        for window, part in cell_parts(cube)
    ]
    while len(parts) > 1:
        starts = range(0, len(parts), PARTS_ADDED)
        parts = [add(parts[start : start + PARTS_ADDED]) for start in starts]
    (found,) = compute(*parts)
    cells = [bands for _, bands in sorted(found.cells, key=itemgetter(0))]
    return [list(band) for band in zip(*cells, strict=True)], found.counts


def _look_at(
    chunks: Chunks,
    looks: Sequence[_Glance[T]],
    how: tuple[Window, int, float | None],
) -> _Found[T]:
    """Return what a look at the cells of one part found."""
    window, step, nodata = how
    pixels = join_chunks(chunks)
    valid = valid_where(pixels, nodata)
    cells: list[tuple[tuple[int, int], list[T]]] = []
    counts: list[NDArray[np.int64]] = []
    for cell, rows, cols in sampled_cells(window, step):
        part = np.ascontiguousarray(pixels[:, rows, cols])
        there = np.isfinite(part)
        if valid is not None:
            there &= valid[:, rows, cols]
        bands = [
            one(band[seen]) for one, band, seen in zip(looks, part, there, strict=True)
        ]
        cells.append((cell, [numbers for numbers, _ in bands]))
        found = [bins for _, bins in bands]
        if not counts:
            counts = found
        else:
            for total, bins in zip(counts, found, strict=True):
                np.add(total, bins, out=total)
    return _Found(cells, counts)
