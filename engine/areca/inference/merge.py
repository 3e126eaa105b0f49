"""How several class scores of one pixel become one: of views, and of tiles that fade.

Each score has a weight: that of the place in its tile (`blend_px`; 1 without). Equal
scores give themselves whatever their weights, and what lies at the far end of a fade
has no say, whatever the policy:

- mean: the sum of weight x probability over the sum of weights. The views of a tile are
  averaged first.
- max: per class the largest weight x probability, over views and tiles alike.
- min: per class the smallest probability / weight, its mirror image.

The last two are divided by their sum over the classes, so that they are probabilities
again. Where nothing is left of any class, all classes are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.inference.options import MergePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """One policy, as the ufuncs that it is made of."""

    join: np.ufunc
    """What two scores become."""
    weigh: np.ufunc
    """What a score and its weight become."""
    empty: float
    """What changes no score that it is joined with."""


MERGES: dict[MergePolicy, Merge] = {
    "mean": Merge(join=np.add, weigh=np.multiply, empty=0.0),
    "max": Merge(join=np.maximum, weigh=np.multiply, empty=0.0),
    "min": Merge(join=np.minimum, weigh=np.divide, empty=np.inf),
}


def shares_of(merged: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities of what "max" or "min" have left of each class.

    Args:
        merged: Shape (class, height, width), 0 or more; infinite where no tile was
            merged.

    Returns:
        The same shape; they sum to 1 at every pixel.
    """
    found = np.where(np.isfinite(merged), merged, np.float32(0))
    total = found[0].copy()
    for layer in found[1:]:  # one order of summing, whatever the shape in memory
        total += layer
    even = np.float32(1 / len(found))
    shares = np.full_like(found, even)
    np.divide(found, total, out=shares, where=total > 0)
    return shares
