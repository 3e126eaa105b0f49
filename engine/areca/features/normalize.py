"""Scaling of bands by fixed statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from areca.errors import BandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def standardize(
    block: NDArray[Any],
    mean: Sequence[float],
    std: Sequence[float],
    *,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return (block - mean) / std, band by band, in float32; the input stays as it is.

    The statistics belong to a model, never to a block, so that a pixel has the same
    value whatever block it is read in.

    Args:
        block: Shape (…, band, height, width), any numbers, NaN where missing.
        mean: One a band, in the unit of the band.
        std: One a band, positive.
        out: Where to put the result, the shape of `block`; a new array when None.

    Returns:
        The same shape, NaN where the input is.

    Raises:
        BandError: The numbers of bands differ, or a deviation is not positive.
    """
    count = block.shape[-3]
    if not len(mean) == len(std) == count:
        raise BandError(
            f"got {len(mean)} means and {len(std)} deviations for {count} bands; the "
            "model and the bands given to it do not belong together"
        )
    if not all(np.isfinite(mean)) or not all(0 < value < np.inf for value in std):
        raise BandError(
            f"means must be finite and deviations positive, got {list(mean)} and "
            f"{list(std)}; correct the model card"
        )
    shift = np.asarray(mean, np.float32)[:, None, None]
    scale = np.asarray(std, np.float32)[:, None, None]
    shifted: NDArray[np.float32] = np.subtract(block, shift, out=out, dtype=np.float32)
    np.divide(shifted, scale, out=shifted)
    return shifted
