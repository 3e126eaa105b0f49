"""Mosaics: what scenes show of a window, each pixel from one scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXACT = ("uint8", "int8", "uint16", "int16", "float32")
"""Number types of which float32 holds every value."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Mosaic:
    """The pixels of a window, what of them is valid, and which scene shows them."""

    pixels: NDArray[Any]
    """Shape (band, height, width), numbers of the files or float32; any value where
    `valid` is false."""
    valid: NDArray[np.bool_] | None
    """Shape (band, height, width): where a band was seen; None where all were."""
    source: NDArray[np.int32]
    """Shape (height, width): position of each pixel's scene among those given, -1 where
    no scene is valid. Not to be written to."""

    def filled(self, fill: float) -> NDArray[Any]:
        """Return the pixels with one value where nothing was seen, in place.

        Args:
            fill: The value; NaN for floats only.
        """
        if self.valid is not None:
            np.copyto(self.pixels, fill, where=~self.valid, casting="unsafe")
        return self.pixels


class Canvas:
    """A mosaic in the making: scenes are laid on it from the first to the last."""

    def __init__(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        """Begin with nothing.

        Args:
            shape: Bands, height and width.
            dtype: Number type of the pixels.
        """
        # Zeros: memory that no scene is laid on is never touched.
        self._pixels: NDArray[Any] = np.zeros(shape, dtype)
        self._valid = np.zeros(shape, bool)
        self._source = np.full(shape[1:], -1, np.int32)

    def is_covered(self, place: tuple[slice, slice]) -> bool:
        """Return whether every pixel of a place has its scene.

        Args:
            place: Rows and columns.
        """
        return bool((self._source[place] >= 0).all())

    def lay(
        self,
        pixels: NDArray[Any],
        valid: NDArray[np.bool_] | None,
        place: tuple[slice, slice],
        position: int,
    ) -> None:
        """Lay a scene on what has none yet; a pixel takes all its bands from it.

        Args:
            pixels: Shape (band, rows, columns) of the place.
            valid: Where a band was seen, the same shape; None where all were.
            place: Rows and columns.
            position: Position of the scene among those given.
        """
        source = self._source[place]
        onto = (slice(None), *place)
        take = source < 0
        if valid is not None:
            take &= valid.any(axis=0)
        seen: NDArray[np.bool_] | bool = True if valid is None else valid
        if take.all():
            self._pixels[onto] = pixels
            self._valid[onto] = seen
            source[...] = position
            return
        np.copyto(self._pixels[onto], pixels, where=take)
        np.copyto(self._valid[onto], seen, where=take)
        source[take] = position

    def done(self) -> Mosaic:
        """Return the mosaic."""
        whole = bool(self._valid.all())
        return Mosaic(
            pixels=self._pixels,
            valid=None if whole else self._valid,
            source=self._source,
        )


def common_type(names: set[str | None]) -> np.dtype[Any]:
    """Return the number type in which pixels of several types keep their values.

    Args:
        names: Types of all bands read; None where one is not known.

    Returns:
        The one type, where float32 would hold all its values too; else float32.
    """
    (name, *others) = names or {None}
    return np.dtype(name if name in _EXACT and not others else "float32")
