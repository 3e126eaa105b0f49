"""Boxes and masks as models give them, to what was found in each tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from areca.errors import ModelError
from areca.models.checks import lowest_score
from areca.models.found import Boxes, Masks
from areca.models.loaded import Loaded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from areca.models.adapter import Raw
    from areca.models.card import ModelCard

_INSIDE = 0.5
"""A pixel whose mask is above this belongs to the object."""
_SMALLEST_PX = 0.01
"""Boxes thinner than this are nothing: FCOS gives some without any area."""
_DRAWN_AT_ONCE = 32
"""Masks drawn in one go: 32 MiB of float32 for a tile of 512 px."""


class BoxModel(Loaded):
    """A network that drops boxes below `lowest_score` on the device."""

    def decode(self, raw: Raw, score_threshold: float) -> Sequence[Boxes]:
        """Return the boxes of each tile that reach a score.

        Args:
            raw: What `forward` returned.
            score_threshold: Boxes with a lower score are dropped.

        Returns:
            One set per tile, in the order of the network.

        Raises:
            ModelError: The network has dropped boxes above this score already.
        """
        floor = lowest_score(self.card)
        if score_threshold < floor:
            raise ModelError(
                f"the score threshold {score_threshold} is below {floor}, under which "
                f"model {self.card.name!r} drops boxes itself; take {floor} or more, "
                "or lower the card's score_threshold"
            )
        return decode_boxes(raw, score_threshold, self.card)


def decode_boxes(raw: Raw, score_threshold: float, card: ModelCard) -> list[Boxes]:
    """Return the boxes of each tile that reach a score, with masks where there are.

    Args:
        raw: As `BoxDetector.forward` returns it.
        score_threshold: Boxes with a lower score are dropped.
        card: Card of the model.

    Returns:
        One set per tile.
    """
    sets = []
    for number, scores in enumerate(raw["scores"]):
        one = {name: values[number] for name, values in raw.items()}
        left, top, right, bottom = one["boxes"].T
        has_area = np.minimum(right - left, bottom - top) >= _SMALLEST_PX
        keep = (scores >= score_threshold) & (one["labels"] >= 1) & has_area
        one = {name: values[keep] for name, values in one.items()}
        sets.append(_with_masks(one, card) if "masks" in one else Boxes(**_fields(one)))
    return sets


def _with_masks(one: dict[str, NDArray[np.float32]], card: ModelCard) -> Masks:
    mask = draw_masks(one["masks"], one["boxes"], card.tile_px)
    found = Masks(**_fields(one), mask=mask)
    # A mask may stay below one half everywhere: there is no object to draw then.
    return found.take(np.flatnonzero(mask.any(axis=(1, 2))))


def _fields(one: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
    names = ("x_min", "y_min", "x_max", "y_max")
    edges = dict(zip(names, one["boxes"].T, strict=True))
    # Class 0 of torchvision is the background; the card's labels start after it.
    label = one["labels"].astype(np.int32) - 1
    return {**edges, "score": one["scores"], "label": label}


def draw_masks(
    masks: NDArray[np.float32], boxes: NDArray[np.float32], tile_px: int
) -> NDArray[np.bool_]:
    """Return the pixels of a tile that belong to each object.

    Args:
        masks: Shape (n, 28, 28), probabilities over the extent of the box.
        boxes: Shape (n, 4): left, top, right, bottom, px.
        tile_px: Edge of the tile, px.

    Returns:
        Shape (n, tile_px, tile_px).
    """
    # Here: it brings torchvision, an extra that models of boxes may do without.
    from torchvision.models.detection.roi_heads import (  # noqa: PLC0415
        paste_masks_in_image,
    )

    drawn = np.zeros((len(masks), tile_px, tile_px), bool)
    for start in range(0, len(masks), _DRAWN_AT_ONCE):
        part = slice(start, start + _DRAWN_AT_ONCE)
        pasted = paste_masks_in_image(
            torch.from_numpy(masks[part]).reshape(-1, 1, *masks.shape[-2:]),
            torch.from_numpy(boxes[part]),
            (tile_px, tile_px),
        )
        drawn[part] = (pasted[:, 0] > _INSIDE).numpy()
    return drawn
