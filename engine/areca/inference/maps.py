"""Which class maps a device can make by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from areca.inference.segment import classes_of, is_alone, layers_of
from areca.models.class_maps import ClassMaps

if TYPE_CHECKING:
    from areca.inference.predictor import Predictor


def maps_of(predictor: Predictor) -> ClassMaps | None:
    """Return what to keep of the logits of a tile; None where all are needed.

    Args:
        predictor: A model. Where tiles fade into each other, or several views of a tile
            are averaged, the maps cannot be made of one pass.
    """
    if not (predictor.is_dense and is_alone(predictor)):
        return None
    card, threshold = predictor.model.card, predictor.options.threshold
    least = None
    if threshold is not None and card.background is not None:
        least = (threshold, card.background)
    return ClassMaps(
        crop=card.halo_px,
        allowed=tuple(classes_of(predictor)),
        least=least,
        layers=tuple(layers_of(predictor)),
    )
