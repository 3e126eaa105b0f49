"""Clusters of a region: ISODATA on a sample of its pixels, the same for any chunks.

Migrating means (Ball & Hall 1965, AD0699616; the Iso Cluster of ArcGIS): each pixel
goes to the nearest mean, each mean to the middle of its pixels. Labels are settled
pixel by pixel, and sums are taken over cells of the lattice and put together exactly,
so neither chunks nor workers nor their order change a digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.base import compute, persist
from dask.delayed import delayed

from areca.errors import BandError
from areca.features.cells import cell_parts, sampled_cells
from areca.features.signature import NODATA, Signature, SignatureClass
from areca.tiles import join_chunks, require_one_date, valid_where, with_nan

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from dask.delayed import Delayed
    from numpy.typing import NDArray

    from areca.tiles import Window
    from areca.tiles.padded import Chunks

    Floats = NDArray[np.float64]

KEEP_BYTES = 2**30
"""A larger sample is read again for each step, a smaller one is kept in memory."""
SMALLEST_SPREAD = 1e-6
"""Variance that a class has in each band at least, as a share of that of all pixels:
classes of one value, such as burnt-out roofs, can be told apart too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """How `areca.fit_clusters` finds classes.

    Attributes:
        classes: How many, 2 to 254; fewer remain when some are too small.
        min_class_size: Pixels of the sample that a class has at least; None for 10 a
            band. The smallest class that has fewer is given up, its pixels go to
            others, and so on.
        sample_interval: One pixel of every block of so many rows and columns is looked
            at, counted from the origin of the grid.
        iterations: How often the means move at most, each time until a class is given
            up.
    """

    classes: int
    min_class_size: int | None = None
    sample_interval: int = 10
    iterations: int = 20

    def __post_init__(self) -> None:
        if not 2 <= self.classes < NODATA:
            raise BandError(
                f"classes must be 2 to {NODATA - 1}, got {self.classes}: one class "
                "tells nothing, and 255 is nodata"
            )
        for name in ("sample_interval", "iterations", "min_class_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BandError(f"{name} must be 1 or more, got {value}")


@dataclass(frozen=True, slots=True)
class _Moments:
    """Sums of the pixels of each class."""

    count: NDArray[np.int64]
    """Shape (class,)."""
    total: Floats
    """Shape (class, band)."""
    cross: Floats
    """Products of what sets bands off from a centre, shape (class, band, band)."""


def fit_clusters(cube: xr.DataArray, options: ClusterOptions) -> Signature:
    """Find classes of pixels that are alike: this reads a sample of the cube.

    The first means lie evenly between one deviation below and one above the mean of
    all pixels. Classes are numbered from 1, dark to bright: by the sum of their means,
    each band in its deviations. Distances are Euclidean, so give bands of one range
    (`areca.normalize`).

    Args:
        cube: Dims (band, y, x) with a CRS; a pixel that misses a band (NaN or
            `rio.nodata`) is left out.
        options: How many classes, and how.

    Returns:
        Count, mean and covariance of each class, for `areca.classify`; the same for
        any chunks, workers or order.

    Raises:
        BandError: There are too few pixels, a band has one value only, or all classes
            but one are too small.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - GridError comes from cell_parts
    require_one_date(cube)
    bands = tuple(str(name) for name in cube.band.values)
    least = options.min_class_size or 10 * len(bands)
    if least <= len(bands):
        raise BandError(
            f"min_class_size={least} is too small for {len(bands)} bands: a covariance "
            f"needs more pixels than bands; 10 a band are advised, {10 * len(bands)}"
        )
    sample = _sample(cube, options.sample_interval)
    middle, spread, count = _overview(sample, bands)
    if count < options.classes * least:
        raise BandError(
            f"{count} pixels are too few for {options.classes} classes of {least} or "
            f"more; choose a smaller sample_interval than {options.sample_interval} "
            "or fewer classes"
        )
    places = np.linspace(-1, 1, options.classes)[:, None]
    means = _settled(sample, middle + places * spread, least, options.iterations)
    means = means[np.argsort((means / spread).sum(axis=1), kind="stable")]
    found = _moments(sample, means, cross=True)
    classes = tuple(
        _class(found, means, number, spread) for number in range(len(means))
    )
    return Signature(
        bands=bands, classes=classes, sample_interval=options.sample_interval
    )


def _overview(
    sample: Sequence[Delayed], bands: Sequence[str]
) -> tuple[Floats, Floats, int]:
    """Return mean and deviation of the bands, and the number of pixels.

    Raises:
        BandError: A band has one value only.
    """
    nowhere = np.zeros((1, len(bands)))
    first = _moments(sample, nowhere)
    count = int(first.count[0])
    if count == 0:
        return nowhere, nowhere, 0
    middle = first.total / count
    squares = np.diagonal(_moments(sample, middle, cross=True).cross[0])
    spread = np.sqrt(squares / count)
    level = [band for band, one in zip(bands, spread, strict=True) if one == 0]
    if level:
        raise BandError(
            f"all sampled pixels have one value in {', '.join(level)}, which tells no "
            "classes apart; leave it out"
        )
    return middle, spread, count


def _settled(
    sample: Sequence[Delayed], means: Floats, least: int, iterations: int
) -> Floats:
    """Return means that rest, once the classes that are too small are given up.

    Raises:
        BandError: Less than two are left.
    """
    while True:
        for _ in range(iterations):
            found = _moments(sample, means)
            filled = np.maximum(found.count, 1)[:, None]
            moved = np.where(found.count[:, None] > 0, found.total / filled, means)
            if np.array_equal(moved, means):
                break
            means = moved
        else:
            found = _moments(sample, means)
        smallest = len(means) - 1 - int(np.argmin(found.count[::-1]))
        if found.count[smallest] >= least:
            return means
        means = np.delete(means, smallest, axis=0)
        if len(means) < 2:
            raise BandError(
                f"only one class has {least} pixels of the sample or more; choose a "
                "smaller min_class_size or sample_interval"
            )


def _class(
    found: _Moments, means: Floats, number: int, spread: Floats
) -> SignatureClass:
    count = int(found.count[number])
    mean = found.total[number] / count
    off = mean - means[number]  # the means may not have come to rest
    covariance = (found.cross[number] - count * np.outer(off, off)) / (count - 1)
    scaled = covariance / np.outer(spread, spread)
    if np.linalg.eigvalsh(scaled)[0] < SMALLEST_SPREAD:
        covariance = covariance + np.diag(SMALLEST_SPREAD * spread**2)
    return SignatureClass(
        value=number + 1,
        name=f"class_{number + 1}",
        count=count,
        mean=tuple(mean.tolist()),
        covariance=tuple(tuple(row) for row in covariance.tolist()),
    )


def _sample(cube: xr.DataArray, step: int) -> list[Delayed]:
    """Return the sampled pixels of each part, kept in memory where they are few."""
    run = delayed(_sample_of, pure=False)
    parts = [
        run(part, (window, step, cube.rio.nodata)) for window, part in cell_parts(cube)
    ]
    if 4 * cube.size / step**2 <= KEEP_BYTES:
        return list(persist(*parts))
    return parts


def _sample_of(
    chunks: Chunks, how: tuple[Window, int, float | None]
) -> list[NDArray[np.float32]]:
    """Return the sampled pixels of each cell of a part, shape (band, pixel).

    In float32, as `areca.classify` will see them.
    """
    window, step, nodata = how
    pixels = join_chunks(chunks)
    found = []
    for _, rows, cols in sampled_cells(window, step):
        part = pixels[:, rows, cols].reshape(len(pixels), -1)
        part = with_nan(part, valid_where(part, nodata))
        found.append(np.ascontiguousarray(part[:, np.isfinite(part).all(axis=0)]))
    return found


def _moments(
    sample: Sequence[Delayed], means: Floats, *, cross: bool = False
) -> _Moments:
    """Return the sums of the pixels that are nearest to each mean."""
    run = delayed(_moments_of, pure=False)
    parts = compute(*(run(part, means, cross) for part in sample))
    cells = [cell for part in parts for cell in part]
    counts = np.sum([cell[0] for cell in cells], axis=0)
    # Rounded once, whatever the order of the cells.
    return _Moments(
        count=counts,
        total=_exact_sum([cell[1] for cell in cells]),
        cross=_exact_sum([cell[2] for cell in cells]),
    )


def _exact_sum(parts: Sequence[Floats]) -> Floats:
    flat = np.stack([part.ravel() for part in parts], axis=1)
    return np.array([math.fsum(row) for row in flat]).reshape(parts[0].shape)


def _moments_of(
    cells: Sequence[NDArray[np.float32]],
    means: Floats,
    cross: bool,  # noqa: FBT001 - of a task
) -> list[tuple[NDArray[np.int64], Floats, Floats]]:
    """Return counts, sums and cross products of each cell, by class.

    Weighted counts add pixel after pixel: no digit depends on a library of matrices.
    """
    number, bands = means.shape
    found = []
    for cell in cells:
        pixels = cell.astype(np.float64)
        label = nearest(pixels, means)
        count = np.bincount(label, minlength=number).astype(np.int64)
        total: Floats = np.stack(
            [np.bincount(label, band, minlength=number) for band in pixels], axis=1
        ).astype(np.float64)
        products: Floats = np.zeros((number, bands, bands) if cross else (0, 0, 0))
        if cross:
            off = pixels - means.T[:, label]
            for one in range(bands):
                for other in range(one, bands):
                    added = np.bincount(label, off[one] * off[other], minlength=number)
                    products[:, one, other] = products[:, other, one] = added
        found.append((count, total, products))
    return found


def nearest(pixels: Floats, means: Floats) -> NDArray[np.int64]:
    """Return the mean that each pixel is nearest to, the first of equally near ones.

    Args:
        pixels: Shape (band, pixel).
        means: Shape (class, band).

    Returns:
        Shape (pixel,).
    """
    best = np.full(pixels.shape[1], np.inf)
    label = np.zeros(pixels.shape[1], np.int64)
    for number, mean in enumerate(means):
        distance: Any = 0.0
        for band, middle in zip(pixels, mean, strict=True):
            off = band - middle
            distance = distance + off * off
        nearer = distance < best
        label[nearer] = number
        np.copyto(best, distance, where=nearer)
    return label
