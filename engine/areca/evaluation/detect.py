"""Detections of a whole image in memory, on the lattice of its first pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from areca.models.adapter import Detections
from areca.objects import centred_in, disc_candidates, find_overlaps, suppress
from areca.tiles import Tile, Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from areca.models.adapter import LoadedModel
    from areca.models.card import ModelCard

BATCH = 2
"""Tiles in a forward pass: more is no faster on a CPU."""


def detect(
    pixels: NDArray[np.float32],
    loaded: LoadedModel,
    *,
    score_threshold: float | None = None,
) -> Detections:
    """Find the objects of an image, each once.

    Args:
        pixels: Shape (band, height, width), band units; NaN = missing.
        loaded: Model to run.
        score_threshold: Another threshold than the card's.

    Returns:
        Detections in pixels of the image, centres inside it, best score first.
    """
    card = loaded.card
    threshold = card.score_threshold if score_threshold is None else score_threshold
    band = (-1, 1, 1)
    scaled = (pixels - np.asarray(card.mean, np.float32).reshape(band)) / np.asarray(
        card.std, np.float32
    ).reshape(band)
    scaled[np.isnan(scaled)] = 0
    height, width = pixels.shape[1:]
    padded = np.pad(
        scaled,
        (
            (0, 0),
            (card.halo_px, card.halo_px + card.core_px),
            (card.halo_px, card.halo_px + card.core_px),
        ),
    )
    found: list[pd.DataFrame] = []
    for tiles in _batches((height, width), card.core_px):
        cut = [
            padded[
                :,
                tile.row * card.core_px : tile.row * card.core_px + card.tile_px,
                tile.col * card.core_px : tile.col * card.core_px + card.tile_px,
            ]
            for tile in tiles
        ]
        raw = loaded.forward(np.stack(cut))
        for tile, detections in zip(tiles, loaded.decode(raw, threshold), strict=True):
            found.append(_candidates(detections, tile, card))
    table = pd.concat(found, ignore_index=True)
    table = table[centred_in(table, Window(0, 0, height, width))]
    table = table.reset_index(drop=True)
    table = table[suppress(table, find_overlaps(table, card.nms_iou))]
    return _detections(table)


def _batches(shape: tuple[int, int], core_px: int) -> Iterator[list[Tile]]:
    tiles = [
        Tile(row, col)
        for row in range(-(-shape[0] // core_px))
        for col in range(-(-shape[1] // core_px))
    ]
    for start in range(0, len(tiles), BATCH):
        yield tiles[start : start + BATCH]


def _candidates(found: Detections, tile: Tile, card: ModelCard) -> pd.DataFrame:
    """Return the candidates of a tile whose centre lies in its grown core."""
    row0, col0 = tile.row * card.core_px, tile.col * card.core_px
    discs = np.column_stack(
        [
            found.x.astype(float) + (col0 - card.halo_px),
            found.y.astype(float) + (row0 - card.halo_px),
            found.radius,
        ]
    )
    core = Window(row0, col0, row0 + card.core_px, col0 + card.core_px)
    table = disc_candidates(discs, found.score, found.label, tile)
    return table[centred_in(table, core.grow(card.margin_px))]


def _detections(table: pd.DataFrame) -> Detections:
    table = table.sort_values(["score", "y", "x"], ascending=[False, True, True])
    return Detections(
        x=table["x"].to_numpy(np.float32),
        y=table["y"].to_numpy(np.float32),
        radius=((table["x_max"] - table["x_min"]) / 2).to_numpy(np.float32),
        score=table["score"].to_numpy(np.float32),
        label=table["label"].to_numpy(np.int32),
    )
