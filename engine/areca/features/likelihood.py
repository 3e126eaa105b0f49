"""Maximum likelihood: each pixel to the class of a signature that fits it best.

Classes are normal distributions with equal chances (the Maximum Likelihood
Classification of ArcGIS; quadratic discriminant analysis).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from areca.errors import BandError
from areca.features.lineage import traced_all
from areca.features.signature import NODATA
from areca.tiles import map_stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.features.signature import Signature

STRIP_PX = 2**15
"""Pixels that are worked on at once: they stay in the cache of a core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaximumLikelihood:
    """A stage that names the class of each pixel, or how sure that is."""

    signature: Signature
    output: str
    """`class`, or `confidence`: the chance of that class among all, 0 to 1."""

    @property
    def halo_px(self) -> int:
        """Each pixel stands for itself."""
        return 0

    @property
    def bands(self) -> tuple[str, ...]:
        """Its one band."""
        return (self.output,)

    def __call__(self, block: xr.DataArray, /) -> xr.DataArray:
        """Classify a block.

        Args:
            block: Dims (band, y, x), the bands of the signature, NaN where missing.

        Returns:
            Dims (band, y, x), float32, NaN where a band is missing.
        """
        pixels = block.to_numpy()
        flat = pixels.reshape(len(pixels), -1)
        out = np.empty(flat.shape[1], np.float32)
        values = np.array([one.value for one in self.signature.classes], np.float32)
        rules = [
            (np.array(one.mean, np.float64), _inverse(one.factor))
            for one in self.signature.classes
        ]
        for start in range(0, flat.shape[1], STRIP_PX):
            strip = slice(start, start + STRIP_PX)
            part = flat[:, strip].astype(np.float64)
            there = np.isfinite(part).all(axis=0)
            part[:, ~there] = 0
            scores = np.stack([_score(part, mean, whiten) for mean, whiten in rules])
            best = np.argmax(scores, axis=0)
            if self.output == "class":
                found = values[best]
            else:
                found = 1 / np.exp(scores - scores.max(axis=0)).sum(axis=0)
            out[strip] = np.where(there, found, np.nan)
        return xr.DataArray(
            out.reshape(1, *pixels.shape[1:]),
            dims=block.dims,
            coords={"band": list(self.bands)},
        )


def classify(
    cube: xr.DataArray, signature: Signature, *, confidence: bool = False
) -> xr.DataArray:
    """Give each pixel the class that fits it best; nothing is computed.

    Args:
        cube: Dims (band, y, x) with a CRS, and the bands of the signature, in any
            order.
        signature: Of `areca.fit_clusters`, or read from a file.
        confidence: Return how sure the class is instead: its chance among all
            classes, 0 to 1, before which all are equally likely.

    Returns:
        Dims (y, x), uint8, values of the classes and 255 (`rio.nodata`) where a band
        is missing; names are in `flag_values` and `flag_meanings`, as
        `areca.polygonize` reads them. With `confidence` float32, NaN where missing.
        The same for any chunks.

    Raises:
        BandError: The cube lacks a band, or a covariance has no inverse.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - GridError comes from map_stage
    present = [str(name) for name in cube.band.values]
    missing = [band for band in signature.bands if band not in present]
    if missing:
        raise BandError(
            f"the signature is of {', '.join(signature.bands)}, and the cube has no "
            f"{', '.join(missing)}: it has {', '.join(present)}. Open the cube with "
            "these bands, or name them with cube.assign_coords(band=…)"
        )
    for one in signature.classes:
        _ = one.factor  # said now and not in the middle of a computation
    stage = MaximumLikelihood(
        signature=signature, output="confidence" if confidence else "class"
    )
    chosen = cube.assign_coords(band=present).sel(band=list(signature.bands))
    found = map_stage(stage, chosen).isel(band=0, drop=True).rename(stage.output)
    found = traced_all(found, chosen, "classify")
    if confidence:
        return found
    classes = found.fillna(NODATA).astype(np.uint8)
    out: xr.DataArray = classes.rio.write_nodata(NODATA, encoded=False)
    return out.assign_attrs(
        flag_values=[one.value for one in signature.classes],
        flag_meanings=" ".join("_".join(one.name.split()) for one in signature.classes),
    )


def _inverse(factor: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.inv(factor), np.float64)


def _score(
    pixels: NDArray[np.float64],
    mean: NDArray[np.float64],
    whiten: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the logarithm of the density, but for what all classes share.

    Band by band and never as one product of matrices, whose last digits depend on the
    size of a block.

    Args:
        pixels: Shape (band, pixel).
        mean: Shape (band,).
        whiten: Lower triangle that makes the covariance one, shape (band, band).
    """
    off = pixels - mean[:, None]
    total = np.full(pixels.shape[1], 2 * np.log(np.diagonal(whiten)).sum())
    for number in range(len(mean)):
        along = off[0] * whiten[number, 0]
        for other in range(1, number + 1):
            along += off[other] * whiten[number, other]
        total -= along * along
    return 0.5 * total
