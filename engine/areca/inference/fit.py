"""Does a model fit a cube? Asked before any pixel is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from areca.errors import BandError, GridError, ModelError
from areca.features import inputs_of
from areca.tiles import ground_pixel_m

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odc.geo.geobox import GeoBox

    from areca.models.card import ModelCard

SCALE_TOLERANCE = 1.5
"""A network that learnt objects of one size in pixels misses them at another; within
this factor of its training resolution it is let through."""


def needed_bands(card: ModelCard, bands: Sequence[str]) -> list[str]:
    """Return the bands of a cube that a model needs, for itself or for its indices.

    Args:
        card: Card of the model.
        bands: Names of the bands that there are.

    Returns:
        Names, each once.

    Raises:
        BandError: A band that the model wants is not there and cannot be computed.
    """
    needed: dict[str, None] = {}
    for name in card.bands:
        needed |= dict.fromkeys([name] if name in bands else inputs_of([name]))
    missing = [name for name in needed if name not in bands]
    if missing:
        raise BandError(
            f"model {card.name} wants the bands {', '.join(card.bands)}; "
            f"{', '.join(missing)} not among {', '.join(bands) or 'no bands'}. Choose "
            "imagery with these bands, or a model for the bands there are"
        )
    return list(needed)


def check_fit(card: ModelCard, bands: Sequence[str], geobox: GeoBox) -> None:
    """Check that a model can be run on a grid with certain bands.

    Args:
        card: Card of the model.
        bands: Names of the bands that there are.
        geobox: The grid of the pixels.

    Raises:
        BandError: A band that the model wants is not there and cannot be computed.
        ModelError: It wants duplicates resolved in a way that is not supported.
        GridError: The pixels are far from the size the model was trained at.
    """  # noqa: DOC502 - BandError comes from needed_bands
    needed_bands(card, bands)
    if card.resolve != "nms":
        raise ModelError(
            f"model {card.name} resolves duplicates by {card.resolve!r}, which this "
            'version does not do. Set resolve to "nms" in its card'
        )
    across, down = ground_pixel_m(geobox)
    ratio = max(across, down) / card.resolution_m
    if not 1 / SCALE_TOLERANCE <= ratio <= SCALE_TOLERANCE:
        raise GridError(
            f"pixels are {across:.3g} m x {down:.3g} m on the ground, and model "
            f"{card.name} was trained at {card.resolution_m:g} m: it would miss "
            "objects and invent others. Choose imagery of about "
            f"{card.resolution_m:g} m"
        )
