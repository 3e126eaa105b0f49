"""Deterministic disturbances of an image: gain, blur, shadow.

A model that counts in one light only is no use in the field; the loss of recall under
these stands in its card.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SHADOW_PERIOD_PX = 300
"""Distance of the shadows: each ground block of 300 px or more has one in part."""


def _gain(*factors: float) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    def apply(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        cycle = np.resize(np.asarray(factors, np.float32), pixels.shape[0])
        return pixels * cycle[:, None, None]

    return apply


def _blur(sigma_px: float) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    def apply(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        blurred: NDArray[np.float32] = ndimage.gaussian_filter(
            pixels, (0, sigma_px, sigma_px), mode="nearest"
        )
        return blurred

    return apply


def _shadow(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return half of the ground darkened to one half, with edges of about 20 px."""
    rows, cols = np.ogrid[: pixels.shape[1], : pixels.shape[2]]
    turn = 2 * np.pi / SHADOW_PERIOD_PX
    wave = np.sin(turn * rows) + np.sin(turn * 0.83 * cols + 1.0)
    inside = 1 / (1 + np.exp(-6.0 * wave))
    darkened: NDArray[np.float32] = pixels * (1 - 0.5 * inside).astype(np.float32)
    return darkened


DISTURBANCES: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "gain 0.7": _gain(0.7),
    "gain 1.3": _gain(1.3),
    "gain 0.7/1.0/1.3 by band": _gain(0.7, 1.0, 1.3),
    "gain 1.3/1.0/0.7 by band": _gain(1.3, 1.0, 0.7),
    "blur sigma 1.0 px": _blur(1.0),
    "blur sigma 1.5 px": _blur(1.5),
    "cloud shadow 0.5": _shadow,
}
"""Name and function of each disturbance, in the order of the card."""


def disturb(pixels: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Return a disturbed copy of an image of 8-bit values.

    Args:
        pixels: Shape (band, height, width), 0 to 255; NaN = missing, and stays so
            (a blur spreads it by its own width).
        name: A key of `DISTURBANCES`.

    Returns:
        Same shape, clipped to 0..255 and rounded as a camera would.

    Raises:
        InputError: there is no such disturbance.
    """
    if name not in DISTURBANCES:
        raise InputError(
            f"there is no disturbance {name!r}; there are {', '.join(DISTURBANCES)}"
        )
    return np.rint(np.clip(DISTURBANCES[name](pixels), 0, 255))
