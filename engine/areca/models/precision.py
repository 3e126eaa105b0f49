"""bf16: half the bytes and, where the hardware has it, twice the speed or more.

bf16 keeps the range of float32 and 8 of its 24 digits, so a class map changes where
two classes are nearly alike. Whether that matters depends on the weights: a card allows
bf16 only once these very weights have been tried on tiles (`try_bf16`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from areca.errors import ModelError
from areca.models.adapter_dense import DenseSegmenter
from areca.models.card_file import write_card
from areca.models.handle import Model
from areca.models.weights import load_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_AGREEMENT = 0.999
"""Share of pixels that must keep their class."""


def try_bf16(model: Model, tiles: NDArray[np.float32]) -> Model:
    """Allow bf16 in the card of a model if its class maps stay the same; writes it.

    The trial computes in bf16 whatever the processor, so it can run anywhere; where
    hardware lacks bf16 it is slow, and a run there stays in float32.

    Args:
        model: Handle of a segmentation whose weights are safetensors or a state-dict.
        tiles: Shape (n, band, tile, tile), standardised, missing pixels 0: ground that
            the model is for. A hundred tiles of 512 px hold 26 million pixels.

    Returns:
        The model, with `scores["bf16"]` in its card: the share of pixels that keep
        their class ("argmax_agreement") and their number ("pixels"). Its `precision`
        is "bf16" if the share is at least `LEAST_AGREEMENT`, else "float32".

    Raises:
        ModelError: The model gives no classes of pixels, or there are no tiles.
    """
    card = model.card
    if card.contract != "logits" or not len(tiles):
        raise ModelError(
            f"bf16 is tried on classes of pixels; model {card.name!r} gives "
            f"{card.contract}, and there are {len(tiles)} tiles"
        )
    pixels = len(tiles) * card.tile_px**2
    share = _same_pixels(model, tiles) / pixels
    told = {"argmax_agreement": round(share, 6), "pixels": pixels}
    tried = replace(
        card,
        precision="bf16" if share >= LEAST_AGREEMENT else "float32",
        scores={**card.scores, "bf16": told},
    )
    write_card(tried, model.folder)
    return Model(tried, model.folder)


def _same_pixels(model: Model, tiles: NDArray[np.float32]) -> int:
    """Return how many pixels have one class in float32 and in bf16."""
    networks = [
        DenseSegmenter(load_weights(model), model.card, bf16=bf16)
        for bf16 in (False, True)
    ]
    same = 0
    for start in range(len(tiles)):  # one by one: logits of all would fill the memory
        tile = tiles[start : start + 1]
        one, other = (
            torch.from_numpy(network.forward(tile)["logits"]).argmax(1)
            for network in networks
        )
        same += int((one == other).sum())
    return same
