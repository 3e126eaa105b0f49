"""A labelled image in memory: what crops are cut from.

The whole image is held in memory (22 million pixels of three bands are 66 MB), which
is enough for the first recipes; larger images would be cut from windows on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from areca.errors import LabelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from areca.labels import CircleLabels


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledScene:
    """Pixels, circles, and the ground on which the circles are the whole truth."""

    name: str
    """Name of the image, for messages."""
    pixels: NDArray[np.uint8]
    """Shape (band, height, width)."""
    valid: NDArray[np.bool_]
    """Where there is imagery, shape (height, width)."""
    trained: NDArray[np.bool_]
    """Where the loss counts, shape (height, width)."""
    circles: CircleLabels
    """What is to be found, px; radius NaN means that the size is not known."""
    doubtful: CircleLabels
    """Where nothing is known: no loss within these circles."""
    resolution_m: float
    """Ground pixel, m."""

    def __post_init__(self) -> None:
        shape = self.pixels.shape[1:]
        if self.valid.shape != shape or self.trained.shape != shape:
            raise LabelError(
                f"{self.name}: masks {self.valid.shape} and {self.trained.shape} must "
                f"have the shape of the image {shape}"
            )
        if not self.trained.any():
            raise LabelError(f"{self.name}: no pixel is left to train on")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.valid.shape[0], self.valid.shape[1]
