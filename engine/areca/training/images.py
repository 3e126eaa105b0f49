"""Labelled images as a training run takes them, before ground is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from areca.chips.scene import LabelledScene
from areca.labels import CircleLabels, GroundSplit, erode

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainImage:
    """One image whose ground trains, or is dealt to train, validation and test."""

    name: str
    """Name of the file, for messages and the card."""
    pixels: NDArray[np.uint8]
    """Shape (band, height, width)."""
    valid: NDArray[np.bool_]
    """Where there is imagery that may be looked at, shape (height, width)."""
    usable: NDArray[np.bool_]
    """Where the labels are the whole truth, shape (height, width)."""
    circles: CircleLabels
    """The labels, px."""
    sure: NDArray[np.bool_]
    """Labels that count for recall, shape (n,)."""
    resolution_m: float
    """Ground pixel, m."""
    split: GroundSplit | None = None
    """How the ground is dealt; without it all of it trains."""
    share: float | None = None
    """Share of the crops; by trained ground if not given."""

    def ground(self, part: str) -> NDArray[np.bool_]:
        """Return the usable pixels (height, width) of one part of the split."""
        if self.split is None:
            return self.usable if part == "train" else np.zeros_like(self.usable)
        shape = self.usable.shape[0], self.usable.shape[1]
        return self.split.mask(shape, part) & self.usable

    def scene(self, guard_m: float) -> LabelledScene:
        """Return what trains: the train blocks, less a guard ring to held-back ground.

        Crops may show held-back ground at their rim; it has no loss there.
        """
        trained = self.usable
        if self.split is not None:
            shape = self.usable.shape[0], self.usable.shape[1]
            held = np.isin(self.split.part, (1, 2))
            free = ~self.split.to_pixels(held, shape)
            own = self.split.mask(shape, "train")
            trained = erode(free, guard_m / self.resolution_m) & own & self.usable
        return LabelledScene(
            name=self.name,
            pixels=self.pixels,
            valid=self.valid,
            trained=trained,
            circles=self.circles,
            doubtful=CircleLabels.none(),
            resolution_m=self.resolution_m,
        )

    def as_float(self) -> NDArray[np.float32]:
        """Return the pixels as float32, NaN where there is no imagery."""
        pixels = self.pixels.astype(np.float32)
        pixels[:, ~self.valid] = np.nan
        return pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class Check:
    """Ground that no choice depends on: scored once, when all is decided."""

    name: str
    """Key of the scores in the card."""
    image: TrainImage
    """The image; its usable ground is scored."""
    match_m: float
    """Largest distance of a match, m."""
    boxes: NDArray[np.float64] | None = None
    """Label boxes, shape (n, 4), px, to score by overlap too."""
    min_iou: float = 0.4
    """Overlap of a match by boxes."""
