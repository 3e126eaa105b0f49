"""One layer of a padded block, and what its features share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

    from areca.tiles import Place

T = TypeVar("T")


class Layer:
    """The pixels of one band or formula; what is computed of them is kept.

    Features of one layer share windowed sums: the mean and the deviation of a window
    take the same counts and the same sums.
    """

    def __init__(self, values: NDArray[np.float32], place: Place | None) -> None:
        """Take the pixels.

        Args:
            values: Shape (height, width), NaN where missing.
            place: Where they lie; None where that is not known.
        """
        self.values = values
        self.place = place
        self._made: dict[Hashable, object] = {}

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where there is a number, shape (height, width)."""
        return self.once("valid", lambda: np.isfinite(self.values))

    @property
    def filled(self) -> NDArray[np.float64]:
        """The values, 0 where missing."""
        return self.once(
            "filled",
            lambda: np.where(self.valid, self.values, 0).astype(np.float64),
        )

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made under a key, or make it.

        Args:
            key: Equal for equal things only.
            make: Makes it.
        """
        if key not in self._made:
            self._made[key] = make()
        return cast("T", self._made[key])

    def where_valid(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return values in float32, NaN where this layer is missing.

        Args:
            values: Shape (height, width).
        """
        return np.where(self.valid, values, np.nan).astype(np.float32)
