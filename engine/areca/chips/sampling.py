"""Where crops are cut: rare ground more often than its share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from areca.chips.crops import Placement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.chips.scene import LabelledScene

CELL_PX = 32
"""Edge of the cells whose rarity is weighed, px."""


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """How crops are placed."""

    size_px: int = 256
    """Edge of a crop, px."""
    dark_share: float = 0.25
    """Share of crops centred on the darkest fifth of the ground (shadows)."""
    sparse_share: float = 0.2
    """Share of crops centred on the fifth with the fewest circles."""
    scale: tuple[float, float] = (0.85, 1.2)
    """Range of the enlargement of a scaled crop."""
    scaled_share: float = 0.5
    """Share of crops that are scaled; the others keep their pixels untouched."""


class Sampler:
    """Draws placements in one scene; all randomness comes from the caller."""

    def __init__(self, scene: LabelledScene, options: SampleOptions) -> None:
        """Weigh the ground of a scene."""
        self._options = options
        self._rows, self._cols = np.nonzero(_cells(scene.trained) >= 0.25)
        if self._rows.size == 0:  # a scene smaller than a cell
            self._rows, self._cols = np.nonzero(_cells(scene.trained) > 0)
        cell = self._rows, self._cols
        light = _cells(scene.pixels.mean(axis=0, dtype=np.float32))
        count = np.zeros(light.shape)
        inside = scene.circles.on(scene.trained)
        index = (scene.circles.xy[inside] // CELL_PX).astype(int)
        np.add.at(count, (index[:, 1], index[:, 0]), 1)
        trained = _cells(scene.trained)
        # 2 cells around: about the ground of one palm and its six neighbours.
        density = ndimage.uniform_filter(count, 5, mode="constant") / np.maximum(
            ndimage.uniform_filter(trained, 5, mode="constant"), 0.05
        )
        self._dark = _lowest_fifth(ndimage.uniform_filter(light, 3)[cell])
        self._sparse = _lowest_fifth(density[cell])

    def draw(self, rng: np.random.Generator) -> Placement:
        """Return one placement."""
        options = self._options
        kind = rng.random()
        if kind < options.dark_share:
            pick = rng.choice(self._dark)
        elif kind < options.dark_share + options.sparse_share:
            pick = rng.choice(self._sparse)
        else:
            pick = rng.integers(self._rows.size)
        source = options.size_px
        if rng.random() < options.scaled_share:
            low, high = np.log(options.scale)
            source = round(source / float(np.exp(rng.uniform(low, high))))
        jitter = rng.integers(0, CELL_PX, size=2)
        spread = rng.integers(-source // 3, source // 3 + 1, size=2)
        return Placement(
            row=int(self._rows[pick] * CELL_PX + jitter[0] + spread[0] - source // 2),
            col=int(self._cols[pick] * CELL_PX + jitter[1] + spread[1] - source // 2),
            source_px=source,
            turns=int(rng.integers(4)),
            mirrored=bool(rng.integers(2)),
        )


def _cells(values: NDArray[np.bool_] | NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean of each cell; the last ones are padded with zeros."""
    height, width = values.shape
    rows, cols = -(-height // CELL_PX), -(-width // CELL_PX)
    padded = np.zeros((rows * CELL_PX, cols * CELL_PX), np.float32)
    padded[:height, :width] = values
    means: NDArray[np.float64] = padded.reshape(rows, CELL_PX, cols, CELL_PX).mean(
        axis=(1, 3), dtype=np.float64
    )
    return means


def _lowest_fifth(values: NDArray[np.float64]) -> NDArray[np.intp]:
    count = max(values.size // 5, 1)
    return np.argsort(values, kind="stable")[:count]
