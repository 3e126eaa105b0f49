"""Class maps made where the logits are: on the device, before the transfer.

The logits of a tile are many times larger than what is kept of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1.1754944e-38
"""The smallest normal float32; a probability of zero has this logarithm."""


@dataclass(frozen=True, kw_only=True)
class ClassMaps:
    """What is kept of the logits of a tile."""

    crop: int
    """Pixels to cut off on every side."""
    allowed: tuple[int, ...]
    """Classes that a pixel can have."""
    least: tuple[float, int] | None
    """A probability, and the class of pixels whose best class has less."""
    layers: tuple[str, ...]
    """Names of confidences: top1, margin, entropy."""

    def of(self, logits: Tensor) -> dict[str, Tensor]:
        """Return the maps of a batch.

        Args:
            logits: Shape (n, class, tile, tile), on any device.

        Returns:
            "label" (n, core, core), uint8, of equal classes the first; and the layers,
            float32, 0 to 1.
        """
        end = logits.shape[-1] - self.crop
        inner = logits[..., self.crop : end, self.crop : end].float()
        best = inner[:, self.allowed[0]]
        label = best.new_full(best.shape, self.allowed[0])
        for number in self.allowed[1:]:
            better = inner[:, number] > best
            label = label.masked_fill(better, number)
            best = best.maximum(inner[:, number])
        label = label.long()
        share = inner.softmax(dim=1)
        if self.least is not None:
            floor, background = self.least
            label = label.masked_fill(_top(share, label) < floor, background)
        found = {name: LAYERS[name](share, label) for name in self.layers}
        return {"label": label.byte(), **found}


def _top(share: Tensor, label: Tensor) -> Tensor:
    return share.gather(1, label[:, None])[:, 0]


def _margin(share: Tensor, label: Tensor) -> Tensor:
    rest = share.scatter(1, label[:, None], 0.0).amax(dim=1)
    return _top(share, label) - rest


def _entropy(share: Tensor, _label: Tensor) -> Tensor:
    total = -(share * share.clamp_min(TINY).log()).sum(dim=1)
    classes = share.shape[1]
    return (total / (math.log(classes) if classes > 1 else 1.0)).clamp(0, 1)


LAYERS = {"top1": _top, "margin": _margin, "entropy": _entropy}
