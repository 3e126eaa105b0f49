"""Does a model fit a cube? Asked before any pixel is read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from areca.errors import BandError, GridError, InputError, ModelError
from areca.features import inputs_of
from areca.tiles import ground_pixel_m

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odc.geo.geobox import GeoBox

    from areca.inference.options import PredictOptions
    from areca.models.card import ModelCard
    from areca.models.handle import Model

SCALE_TOLERANCE = 1.5
"""A network that learnt objects of one size in pixels misses them at another; within
this factor of its training resolution it is let through."""

MOST_CLASSES = 255
"""Classes of a raster of bytes; the last value, 255, is nodata."""


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
    try:
        return list(inputs_of(card.bands, bands))
    except BandError as error:
        raise BandError(
            f"model {card.name} wants the bands {', '.join(card.bands)}, and they "
            f"cannot be made of {', '.join(bands) or 'no bands'}: {error}. Choose "
            "imagery with these bands, or a model for the bands there are"
        ) from error


def with_tile(model: Model, options: PredictOptions) -> Model:
    """Return a model with the tile that the options ask for: another model.

    Args:
        model: Handle of the model.
        options: How to run it.
    """
    if options.tile_px in {None, model.card.tile_px}:
        return model
    return replace(model, card=replace(model.card, tile_px=options.tile_px))


def check_options(card: ModelCard, options: PredictOptions) -> None:
    """Check that a model can do what it is asked for.

    Args:
        card: Card of the model.
        options: How to run it.

    Raises:
        InputError: A label that the model does not have, confidence that its kind does
            not give, tiles that would fade further than they see, or a threshold below
            which there is no class.
    """
    unknown = [name for name in options.classes or () if name not in card.labels]
    if unknown:
        raise InputError(
            f"model {card.name} has no class {', '.join(unknown)}; its classes are "
            f"{', '.join(card.labels)}"
        )
    dense = card.contract == "logits"
    allowed = {"top1", "margin", "entropy"} if dense else {"score"}
    other = [name for name in options.confidence if name not in allowed]
    if other:
        raise InputError(
            f"confidence {', '.join(other)} is not what {card.name} gives: its task is "
            f"{card.task}, so ask for {', '.join(sorted(allowed))}"
        )
    if options.blend_px and (not dense or options.blend_px > card.halo_px):
        most = f"{card.halo_px} (its halo)" if dense else "0, as it gives objects"
        raise InputError(
            f"blend_px is {options.blend_px}; model {card.name} allows at most {most}"
        )
    if dense and options.threshold is not None and card.background is None:
        raise InputError(
            f"threshold is {options.threshold:g}, and below it a pixel becomes "
            f"background, which is no class of model {card.name}; leave threshold out, "
            "or name a class as background in its card"
        )
    if dense and len(card.labels) > MOST_CLASSES:
        raise InputError(
            f"model {card.name} has {len(card.labels)} classes; a class raster holds "
            f"{MOST_CLASSES}, as 255 means that nothing was seen"
        )


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
        hint = (
            f", or let it be warped to that: resolution={card.resolution_m:g} "
            f"(areca run: --set resolution={card.resolution_m:g})"
            if ratio < 1
            else ""
        )
        raise GridError(
            f"pixels are {across:.3g} m x {down:.3g} m on the ground, and model "
            f"{card.name} was trained at {card.resolution_m:g} m: it would miss "
            "objects and invent others. Choose imagery of about "
            f"{card.resolution_m:g} m{hint}"
        )
