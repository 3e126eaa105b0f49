"""Pictures of outlines: what a model segmented, coloured by class, on the imagery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from rasterio.features import rasterize

from areca.runs.legend import SCORE_RAMP, draw_furniture, draw_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PALETTE = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
    (204, 121, 167), (213, 94, 0), (0, 114, 178), (170, 170, 170),
)  # fmt: skip
"""Colours that colour-blind people tell apart (Okabe and Ito 2008); they repeat."""
FILL = 0.35
"""How strongly a class covers the imagery."""


def draw_outlines(
    image: NDArray[np.uint8],
    shapes: NDArray[np.object_],
    labels: NDArray[np.integer],
    names: Sequence[str],
    *,
    metres_per_pixel: float,
) -> Image.Image:
    """Draw outlines filled by class, with their rims and a legend.

    Args:
        image: Shape (height, width, 3).
        shapes: Shape (n,), polygons in pixels of the image.
        labels: Shape (n,), class of each, an index into `names`.
        names: Names of the classes.
        metres_per_pixel: Ground size of a pixel, for the scale bar.

    Returns:
        An RGB picture of the same size.
    """
    height, width = image.shape[:2]
    pairs = list(zip(shapes, np.arange(1, len(shapes) + 1), strict=True))
    owner = np.zeros((height, width), np.int32)
    if pairs:
        owner = rasterize(pairs, (height, width), dtype="int32")
    colour = np.array(PALETTE, np.float32)[np.asarray(labels, int) % len(PALETTE)]
    table = np.vstack([np.zeros((1, 3), np.float32), colour.reshape(-1, 3)])
    inside = (owner > 0)[..., None]
    rim = np.zeros((height, width), bool)
    rim[:, 1:] |= owner[:, 1:] != owner[:, :-1]
    rim[1:] |= owner[1:] != owner[:-1]
    strength = np.where(rim & (owner > 0), 0.95, FILL)[..., None] * inside
    mixed = image * (1 - strength) + table[owner] * strength
    picture = Image.fromarray(np.rint(mixed).astype(np.uint8))
    draw_furniture(picture, metres_per_pixel, None, SCORE_RAMP, "")
    used = sorted(set(np.asarray(labels, int).tolist()))
    draw_key(picture, [(names[n], PALETTE[n % len(PALETTE)]) for n in used])
    return picture
