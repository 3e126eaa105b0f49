"""Detections of tiles to the candidates of a block, and their raster of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import shapely

from areca.inference.views import VIEWS
from areca.objects import (
    centred_in,
    empty_candidates,
    larger_than,
    merge_views,
    settle_block,
)
from areca.tiles import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.inference.passes import Pass
    from areca.inference.predictor import Predictor
    from areca.inference.session import Session
    from areca.tiles import Tile

EDGE_PX = 2.0
"""A box that comes this near to the edge of the padded tile may go on beyond it."""


class Detected:
    """What the tiles of one block have shown so far."""

    def __init__(
        self, valid: NDArray[np.bool_], padded: Window, window: Window
    ) -> None:
        """Begin a block.

        Args:
            valid: Shape (height, width) of `padded`: where something was seen.
            padded: The block with the predictor's halo, absolute pixels.
            window: The block.
        """
        self._valid, self._padded, self._window = valid, padded, window
        self._tables = [empty_candidates().assign(cut=False)]
        self._scores: NDArray[np.float32] | None = None
        self._views: dict[Tile, list[pd.DataFrame]] = {}

    def take(self, done: Pass, how: tuple[Predictor, Session]) -> None:
        """Take what the tiles of one forward pass offer.

        Args:
            done: The pass.
            how: The predictor, and the model in memory.
        """
        predictor, session = how
        margin = predictor.model.card.margin_px
        for tile, found in self._merged(_decode(done, predictor, session), done, how):
            core = predictor.lattice.core(tile)
            owned = found.loc[centred_in(found, core.grow(margin))]
            if predictor.rasters:
                self._paint(_on_pixels(owned, self._valid, self._padded), predictor)
            if core.intersection(self._window) is not None:
                self._tables.append(owned)

    def _merged(
        self,
        seen: list[tuple[Tile, pd.DataFrame]],
        done: Pass,
        how: tuple[Predictor, Session],
    ) -> list[tuple[Tile, pd.DataFrame]]:
        """Return what is known of the tiles of a pass: with "max", each view by itself.

        Otherwise nothing before the last view of a tile. A tile is merged alone and
        whole, before any block is cut out of it: the same in every block that sees it.
        """
        predictor = how[0]
        views = VIEWS[predictor.options.augment]
        if predictor.merge_policy == "max" or len(views) == 1:
            return seen
        number = views.index(done.view)
        for tile, found in seen:
            self._views.setdefault(tile, []).append(found.assign(view=number))
        if done.view != views[-1]:
            return []
        joined = [(t, self._views.pop(t)) for t in done.tiles if t in self._views]
        return [(tile, _one_of_views(tables, predictor)) for tile, tables in joined]

    def settle(self, predictor: Predictor) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the settled candidates of the block, and those that are too large."""
        candidates = pd.concat(self._tables, ignore_index=True)
        candidates = _on_pixels(candidates, self._valid, self._padded)
        cut = candidates.pop("cut").to_numpy(bool)
        oversize = cut | larger_than(candidates, predictor.model.card.max_object_px)
        settled = settle_block(
            candidates[~oversize].reset_index(drop=True),
            self._window,
            reach_px=predictor.reach_px,
            overlap=predictor.overlap,
        )
        return settled, candidates[oversize]

    def rasters(self, predictor: Predictor) -> dict[str, NDArray[np.generic]]:
        """Return the raster of scores, if one was asked for; NaN: nothing was seen."""
        if not predictor.rasters:
            return {}
        seen = self._valid[self._window.slices_in(self._padded)]
        return {"score": np.where(seen, self._painted(), np.float32(np.nan))}

    def _painted(self) -> NDArray[np.float32]:
        """Return the raster of scores so far; it costs memory once it is asked for."""
        if self._scores is None:
            shape = (self._window.height, self._window.width)
            self._scores = np.zeros(shape, np.float32)
        return self._scores

    def _paint(self, found: pd.DataFrame, predictor: Predictor) -> None:
        """Raise the scores of the pixels that some candidates cover."""
        too_large = larger_than(found, predictor.model.card.max_object_px)
        small = found[~(too_large | found["cut"].to_numpy(bool))]
        paint_scores(small, predictor.contract, (self._painted(), self._window))


def paint_scores(
    found: pd.DataFrame, contract: str, onto: tuple[NDArray[np.float32], Window]
) -> None:
    """Raise each pixel to the highest score of any candidate on it, in place.

    A candidate is on a pixel if its disc, box or outline holds the pixel's centre.

    Args:
        found: A candidate table.
        contract: What the model gives; it says which shape a candidate has.
        onto: Scores, shape (height, width), and their window in absolute pixels.
    """
    layer, window = onto
    outlines = np.empty(0, object)
    if "outline" in found:
        outlines = shapely.from_wkb(found["outline"].to_numpy())
    boxes = found[["x_min", "y_min", "x_max", "y_max"]].to_numpy()
    scores = found["score"].to_numpy(np.float32)
    for number, (left, top, right, bottom) in enumerate(boxes):
        near = Window.around((left, top, right, bottom)).intersection(window)
        if near is None:
            continue
        y = np.arange(near.row0, near.row1)[:, None] + 0.5
        x = np.arange(near.col0, near.col1)[None] + 0.5
        if len(outlines):
            inside = shapely.contains_xy(outlines[number], *np.broadcast_arrays(x, y))
        elif contract == "heatmap":
            centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
            radius = (right - left) / 2
            inside = (x - centre_x) ** 2 + (y - centre_y) ** 2 <= radius**2
        else:
            inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
        part = layer[near.slices_in(window)]
        np.maximum(part, scores[number], out=part, where=inside)


def _decode(
    done: Pass, predictor: Predictor, session: Session
) -> list[tuple[Tile, pd.DataFrame]]:
    """Return the candidates of each tile of a pass, in absolute pixels."""
    card = predictor.model.card
    found = session.network.decode(done.raw, predictor.threshold)
    tables = []
    for number, tile in enumerate(done.tiles):
        corner = predictor.lattice.core(tile).grow(card.halo_px)
        if not len(found[number]):
            continue
        # Float32 numbers and whole corners add up exactly: a candidate has one position
        # whichever block computed it.
        if done.view.is_plain:
            table = found[number].candidates(corner, tile)
        else:
            here = Window(0, 0, card.tile_px, card.tile_px)
            turned = found[number].candidates(here, tile)
            table = _moved(done.view.undo_candidates(turned, card.tile_px), corner)
        near = min(EDGE_PX, card.context_px)
        table["cut"] = found[number].touching_edge(card.tile_px, near)
        if predictor.options.classes is not None:
            table = table.loc[~table["label"].isin(predictor.skipped)]
        tables.append((tile, table))
    return tables


def _one_of_views(tables: list[pd.DataFrame], predictor: Predictor) -> pd.DataFrame:
    """Return the objects of a tile that its views agree on."""
    table = pd.concat(tables, ignore_index=True)
    limit = predictor.model.card.max_object_px
    merged = merge_views(
        table,
        # What cannot be counted stands behind what can.
        last=table["cut"].to_numpy(bool) | larger_than(table, limit),
        views=len(VIEWS[predictor.options.augment]),
        overlap=predictor.overlap,
        smallest=predictor.merge_policy == "min",
    )
    return merged.loc[merged["score"] >= predictor.threshold]


def _moved(table: pd.DataFrame, corner: Window) -> pd.DataFrame:
    """Return candidates of tile pixels in absolute pixels."""
    steps = {"x": corner.col0, "y": corner.row0}
    columns = [f"{axis}{end}" for axis in steps for end in ("", "_min", "_max")]
    moved = table.assign(**{name: table[name] + steps[name[0]] for name in columns})
    if "outline" in moved and len(moved):
        shapes = shapely.from_wkb(moved["outline"].to_numpy())
        step = np.array([corner.col0, corner.row0], np.float64)
        placed = shapely.transform(shapes, lambda points: points + step)
        moved["outline"] = shapely.to_wkb(placed)
    return moved


def _on_pixels(
    candidates: pd.DataFrame, valid: NDArray[np.bool_], padded: Window
) -> pd.DataFrame:
    """Return the candidates whose centre lies where something was seen."""
    row = np.floor(candidates["y"].to_numpy()).astype(np.int64) - padded.row0
    col = np.floor(candidates["x"].to_numpy()).astype(np.int64) - padded.col0
    seen: pd.DataFrame = candidates.loc[valid[row, col]]
    return seen.reset_index(drop=True)
