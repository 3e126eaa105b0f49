"""`predict_block`: the one path from the pixels of a block to its candidates."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from areca.features import FeatureStack, standardize
from areca.objects import (
    centred_in,
    disc_candidates,
    empty_candidates,
    larger_than,
    settle_block,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    import xarray as xr
    from numpy.typing import NDArray

    from areca.inference.options import PredictOptions
    from areca.inference.session import Session
    from areca.models.adapter import Detections, Raw
    from areca.models.handle import Model
    from areca.tiles import Lattice, Tile, Window

READ_AHEAD = 2
"""Forward passes that one block keeps in the queue: the one that runs, and the next."""


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A model on a lattice: all that a block task must know, light enough to send."""

    model: Model
    """Handle of the model."""
    lattice: Lattice
    """Where its tiles lie."""
    options: PredictOptions
    """How to run it."""

    @property
    def halo_px(self) -> int:
        """Pixels beyond each side of a block that its tiles see."""
        return self.model.card.halo_px

    @property
    def reach_px(self) -> float:
        """How far beyond the core of its tile the box of a candidate can lie."""
        card = self.model.card
        return card.max_object_px / 2 + card.margin_px

    @property
    def twice_share(self) -> float:
        """Share of the model's pixels that are computed twice, for halos, 0 to 1."""
        card = self.model.card
        return 1 - card.core_px**2 / card.tile_px**2

    @property
    def influence_px(self) -> int:
        """How far a candidate can change what becomes of others, save in long chains.

        Two largest objects (it falls on a rival, which spares the next) and the margin.
        """
        card = self.model.card
        return 2 * card.max_object_px + card.margin_px

    @property
    def overlap(self) -> float:
        """Intersection over union above which the weaker of two boxes falls."""
        given = self.options.nms_overlap
        return self.model.card.nms_iou if given is None else given

    @property
    def threshold(self) -> float:
        """Lowest score of a detection."""
        given = self.options.threshold
        return self.model.card.score_threshold if given is None else given


@dataclass(frozen=True, kw_only=True)
class BlockPrediction:
    """What one block gave."""

    candidates: pd.DataFrame
    """Settled survivors, and the open candidates of components at a seam
    (`areca.objects.settle_block`)."""
    oversize: pd.DataFrame
    """Candidates larger than the model's largest object: too large for the halo, so
    they are listed and not counted."""
    tiles: int
    """Tiles that had pixels and were predicted."""
    forward_s: float
    """Seconds in forward passes."""


def predict_block(
    block: xr.DataArray,
    window: Window,
    tiles: Sequence[Tile],
    predictor: Predictor,
    *,
    session: Session | None = None,
) -> BlockPrediction:
    """Predict the tiles of one block.

    Args:
        block: Dims (band, y, x), float32, NaN where nothing was seen, with the bands
            that the model or its indices need; the block's window with the
            predictor's halo on every side.
        window: The cores of the block's tiles, absolute pixels.
        tiles: The tiles to predict, in a fixed order.
        predictor: The model, its lattice and how to run it.
        session: A model that is in memory already; by default the one of this process,
            loaded from the predictor's handle at the first call.

    Returns:
        The candidates, settled where no other block can touch them.
    """
    card = predictor.model.card
    stack = FeatureStack(card.bands)(block)
    pixels = standardize(stack.to_numpy(), card.mean, card.std)
    finite = np.isfinite(pixels)
    valid = np.asarray(finite.any(axis=0))
    pixels[~finite] = 0.0
    padded = window.grow(predictor.halo_px)
    wanted = [t for t in tiles if _has_pixels(valid, t, padded, predictor)]
    seconds = 0.0
    tables = [empty_candidates()]
    session = session or _own_session(predictor)
    for tile, found, took in _run_tiles(pixels, padded, wanted, (predictor, session)):
        seconds += took
        tables.append(_own_candidates(found, tile, predictor))
    candidates = _on_pixels(pd.concat(tables, ignore_index=True), valid, padded)
    oversize = larger_than(candidates, card.max_object_px)
    settled = settle_block(
        candidates[~oversize].reset_index(drop=True),
        window,
        reach_px=predictor.reach_px,
        overlap=predictor.overlap,
    )
    return BlockPrediction(
        candidates=settled,
        oversize=candidates[oversize],
        tiles=len(wanted),
        forward_s=seconds,
    )


def _own_session(predictor: Predictor) -> Session:
    # Here, because it brings torch (2.5 s), which only the workers need.
    from areca.inference.session import session_of  # noqa: PLC0415

    return session_of(predictor.model, predictor.options)


def _run_tiles(
    pixels: NDArray[np.float32],
    padded: Window,
    tiles: Sequence[Tile],
    how: tuple[Predictor, Session],
) -> Iterator[tuple[Tile, Detections, float]]:
    """Yield the detections of each tile; the next batch waits while one is decoded."""
    predictor, session = how
    options = predictor.options
    waiting: deque[tuple[Sequence[Tile], Future[tuple[Raw, float]]]] = deque()
    batches = [
        tiles[start : start + options.batch_size]
        for start in range(0, len(tiles), options.batch_size)
    ]
    queue = iter(batches)
    while True:
        while len(waiting) < READ_AHEAD and (batch := next(queue, None)) is not None:
            stack = _stack(pixels, padded, batch, predictor)
            waiting.append((batch, session.submit(stack, options.torch_threads)))
        if not waiting:
            return
        batch, future = waiting.popleft()
        raw, seconds = future.result()
        found = session.network.decode(raw, predictor.threshold)
        for number, tile in enumerate(batch):
            yield tile, found[number], seconds / len(batch)


def _stack(
    pixels: NDArray[np.float32],
    padded: Window,
    batch: Sequence[Tile],
    predictor: Predictor,
) -> NDArray[np.float32]:
    """Return tiles (n, band, tile, tile), filled up with zeros to one batch shape."""
    edge = predictor.model.card.tile_px
    shape = (predictor.options.batch_size, pixels.shape[0], edge, edge)
    stack = np.zeros(shape, np.float32)
    for number, tile in enumerate(batch):
        core = predictor.lattice.core(tile)
        rows, cols = core.grow(predictor.halo_px).slices_in(padded)
        stack[number] = pixels[:, rows, cols]
    return stack


def _own_candidates(
    found: Detections, tile: Tile, predictor: Predictor
) -> pd.DataFrame:
    """Return the detections centred in the tile's core and its margin."""
    core = predictor.lattice.core(tile)
    corner = core.grow(predictor.halo_px)
    discs = np.stack([found.x, found.y, found.radius], axis=1).astype(np.float64)
    # Tile pixels are float32 and the corner is whole: these sums are exact, so a
    # candidate has one position whichever block computed it.
    discs += (corner.col0, corner.row0, 0.0)
    candidates = disc_candidates(discs, found.score, found.label, tile)
    owned = core.grow(predictor.model.card.margin_px)
    mine: pd.DataFrame = candidates.loc[centred_in(candidates, owned)]
    return mine


def _has_pixels(
    valid: NDArray[np.bool_], tile: Tile, padded: Window, predictor: Predictor
) -> bool:
    owned = predictor.lattice.core(tile).grow(predictor.model.card.margin_px)
    return bool(valid[owned.slices_in(padded)].any())


def _on_pixels(
    candidates: pd.DataFrame, valid: NDArray[np.bool_], padded: Window
) -> pd.DataFrame:
    """Return the candidates whose centre lies where something was seen."""
    row = np.floor(candidates["y"].to_numpy()).astype(np.int64) - padded.row0
    col = np.floor(candidates["x"].to_numpy()).astype(np.int64) - padded.col0
    seen: pd.DataFrame = candidates.loc[valid[row, col]]
    return seen.reset_index(drop=True)
