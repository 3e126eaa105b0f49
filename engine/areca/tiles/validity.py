"""Blocks in the numbers of their files: what is missing stands beside the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

VALID = "valid"
"""Coordinate of a block, dims (band, y, x): where its pixels were seen."""


def block_array(
    pixels: NDArray[Any], bands: Sequence[str], valid: NDArray[np.bool_] | None = None
) -> xr.DataArray:
    """Return a block in memory.

    Args:
        pixels: Shape (band, height, width), any numbers; floats are NaN where missing.
        bands: Names of the bands.
        valid: The same shape: where integers are not missing; None where none is.

    Returns:
        Dims (band, y, x), with the coordinate `valid` if it was given.
    """
    dims = ("band", "y", "x")
    coords: dict[str, Any] = {"band": list(bands)}
    if valid is not None:
        coords[VALID] = (dims, valid)
    return xr.DataArray(pixels, dims=dims, coords=coords)


def validity(block: xr.DataArray) -> NDArray[np.bool_] | None:
    """Return where integers are not missing, None where they say that none is.

    Args:
        block: A block of `block_array`.
    """
    return block.coords[VALID].to_numpy() if VALID in block.coords else None


def valid_where(pixels: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    """Return where integers are not nodata, None where all are (floats have NaN).

    Args:
        pixels: Shape (band, height, width).
        nodata: The value that means "nothing seen here", per band; None or NaN when
            there is none.
    """
    if nodata is None or np.isnan(nodata):
        return None
    valid = pixels != nodata
    return None if valid.all() else np.asarray(valid)


def as_floats(block: xr.DataArray) -> xr.DataArray:
    """Return a block in float32, NaN where its pixels are missing.

    Args:
        block: A block of `block_array`.
    """
    pixels = with_nan(block.to_numpy(), validity(block))
    return block.drop_vars(VALID, errors="ignore").copy(data=pixels)


def with_nan(
    pixels: NDArray[Any], valid: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Return pixels in float32, copied, NaN where they are not valid.

    Args:
        pixels: Any shape and number type.
        valid: The same shape; None where all are valid (NaN stays NaN either way).
    """
    out = pixels.astype(np.float32)
    if valid is not None:
        out[~valid] = np.nan
    return out
