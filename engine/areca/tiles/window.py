"""Rectangles of absolute pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from areca.errors import GridError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open rectangle of pixels, counted from the pixel (0, 0) of a lattice.

    Rows count downwards and columns to the right. Both may be negative.
    """

    row0: int
    """First row."""
    col0: int
    """First column."""
    row1: int
    """One past the last row."""
    col1: int
    """One past the last column."""

    def __post_init__(self) -> None:
        if self.row1 <= self.row0 or self.col1 <= self.col0:
            raise GridError(
                f"a window needs at least one pixel, got rows {self.row0}:{self.row1}, "
                f"columns {self.col0}:{self.col1}"
            )

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.row1 - self.row0

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.col1 - self.col0

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @classmethod
    def around(cls, bounds: Sequence[float]) -> Window:
        """Return the whole pixels that hold some bounds.

        Args:
            bounds: Left, top, right, bottom; fractional absolute pixels.

        Returns:
            The window.
        """
        left, top, right, bottom = bounds
        return cls(
            math.floor(top), math.floor(left), math.ceil(bottom), math.ceil(right)
        )

    def grow(self, pixels: int) -> Window:
        """Return the window with `pixels` more on each of its four sides."""
        return Window(
            self.row0 - pixels,
            self.col0 - pixels,
            self.row1 + pixels,
            self.col1 + pixels,
        )

    def shift(self, rows: int, cols: int) -> Window:
        """Return the window moved down and to the right."""
        return Window(
            self.row0 + rows, self.col0 + cols, self.row1 + rows, self.col1 + cols
        )

    def intersection(self, other: Window) -> Window | None:
        """Return the pixels that both windows hold, None when there are none."""
        row0, row1 = max(self.row0, other.row0), min(self.row1, other.row1)
        col0, col1 = max(self.col0, other.col0), min(self.col1, other.col1)
        if row0 >= row1 or col0 >= col1:
            return None
        return Window(row0, col0, row1, col1)

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """Return the row and column slices that cut this window out of `outer`.

        Args:
            outer: A window that holds this one.

        Raises:
            GridError: This window reaches beyond `outer`.
        """
        if self.intersection(outer) != self:
            raise GridError(f"{self} is not inside {outer}")
        rows = slice(self.row0 - outer.row0, self.row1 - outer.row0)
        cols = slice(self.col0 - outer.col0, self.col1 - outer.col0)
        return rows, cols
