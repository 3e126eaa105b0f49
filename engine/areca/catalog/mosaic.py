"""Mosaics: what scenes show of a window, each pixel from one scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from areca.tiles import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

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


class Source(Protocol):
    """A scene that a mosaic is made of."""

    @property
    def box(self) -> Window:
        """The pixels that it may show, counted from the first one of the mosaic."""
        ...

    @property
    def number(self) -> int:
        """What stands for it in `Mosaic.source`."""
        ...

    def read(self, part: Window) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Read pixels of its box.

        Args:
            part: The pixels, counted as `box` is.

        Returns:
            Pixels, shape (band, height, width), and where each band is valid, the same
            shape; None where all are everywhere.
        """
        ...


def lay_mosaic(
    sources: Iterable[Source], shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> Mosaic:
    """Return scenes laid over each other: a pixel is of the first one valid there.

    A scene whose place is covered is not read.

    Args:
        sources: The scenes, the first on top.
        shape: Bands, height and width.
        dtype: Number type of the pixels.
    """
    whole = Window(0, 0, *shape[1:])
    canvas: Canvas | None = None
    for source in sources:
        part = source.box.intersection(whole)
        if part is None:
            continue
        there = part.slices_in(whole)
        if canvas is not None and canvas.is_covered(there):
            continue
        pixels, valid = source.read(part)
        if canvas is None and valid is None and part == whole:
            # One scene shows it all: nothing is laid over anything, nothing copied.
            number = np.broadcast_to(np.int32(source.number), shape[1:])
            return Mosaic(pixels=pixels, valid=None, source=number)
        canvas = canvas or Canvas(shape, dtype)
        canvas.lay(pixels, valid, there, source.number)
    return (canvas or Canvas(shape, dtype)).done()


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
