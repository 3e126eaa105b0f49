"""How much context a model needs: the measurement behind a card's `context_px`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from areca.errors import InputError
from areca.evaluation.detect import detect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from areca.models.adapter import LoadedModel, Raw
    from areca.models.card import ModelCard
    from areca.models.contracts import Contract
    from areca.models.found import Detections, Found

MOVED_PX = 0.25
"""A detection that moves further than this has changed."""
MOVED_SCORE = 0.02
"""A detection whose score moves further than this has changed."""
_BELOW = 0.1
"""Detections so far below the threshold are looked at too, so that one that falls just
under it is seen to have moved and not to be lost."""


@dataclass(frozen=True, kw_only=True)
class ContextEffect:
    """What changes when tiles see only so much context."""

    context_px: int
    """Context of the tiles, px."""
    computed_twice: float
    """Share of the pixels of a tile that lie in its halo."""
    changed: float
    """Share of the reference's detections that moved, vanished or changed in score."""
    farthest_px: float
    """Largest distance of a reference detection to the nearest one, px."""


def context_effect(
    pixels: NDArray[np.float32],
    loaded: LoadedModel,
    contexts: Sequence[int],
    *,
    reference_px: int,
) -> list[ContextEffect]:
    """Compare detections with little context to those with much.

    Args:
        pixels: Shape (band, height, width), band units; NaN = missing. It must be
            wider than some tiles, or there are no tile borders to see.
        loaded: The model.
        contexts: Contexts to try, px; each must give a halo and core that the card
            accepts.
        reference_px: Context that is surely enough, px.

    Returns:
        One effect per context, in their order.

    Raises:
        InputError: the reference finds nothing, so nothing can be compared.
    """
    card = loaded.card
    reference = _detect(pixels, loaded, reference_px, card.score_threshold)
    if not len(reference):
        raise InputError(
            f"{card.name!r} finds nothing at {card.score_threshold} in an image of "
            f"shape {pixels.shape}; take an image that holds objects"
        )
    effects = []
    for context in contexts:
        lower = max(card.score_threshold - _BELOW, 0.0)
        found = _detect(pixels, loaded, context, lower)
        distance, nearest = cKDTree(_xy(found)).query(_xy(reference))
        moved = np.abs(found.score[nearest] - reference.score) > MOVED_SCORE
        changed = (distance > MOVED_PX) | moved
        tried = replace(card, context_px=context)
        effects.append(
            ContextEffect(
                context_px=context,
                computed_twice=1 - (tried.core_px / tried.tile_px) ** 2,
                changed=float(changed.mean()),
                farthest_px=float(distance.max()),
            )
        )
    return effects


def _detect(
    pixels: NDArray[np.float32], loaded: LoadedModel, context_px: int, threshold: float
) -> Detections:
    card = replace(loaded.card, context_px=context_px)
    return detect(pixels, _Recarded(loaded, card), score_threshold=threshold)


def _xy(found: Detections) -> NDArray[np.float64]:
    return np.column_stack([found.x, found.y]).astype(float)


@dataclass(frozen=True)
class _Recarded:
    """A loaded model under another card."""

    loaded: LoadedModel
    card: ModelCard

    @property
    def contract(self) -> Contract:
        return self.loaded.contract

    def forward(self, batch: NDArray[np.float32], /) -> Raw:
        return self.loaded.forward(batch)

    def decode(self, raw: Raw, score_threshold: float) -> Sequence[Found]:
        return self.loaded.decode(raw, score_threshold)
