"""Detections of a whole image in memory, by the same path as a census."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from areca.inference import PredictOptions, Predictor, predict_block
from areca.inference.session import Session, torch_threads
from areca.models.found import Detections
from areca.models.handle import Model
from areca.objects import settle_seams
from areca.tiles import BlockGrid, Lattice, Window, pad_block

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.models.adapter import LoadedModel


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
        Detections in pixels of the image, centres on pixels that are not missing, best
        score first. What is larger than the card's largest object is left out, as a
        census leaves it out.
    """
    predictor = _predictor(loaded, score_threshold)
    image = Window(0, 0, *pixels.shape[1:])
    # More tiles than the image has: one block, no seams.
    tiles = max(image.height, image.width)
    grid = BlockGrid(
        lattice=predictor.lattice, region=image, tiles_down=tiles, tiles_across=tiles
    )
    (block,) = grid.blocks()
    padded = pad_block(pixels, image, block.window.grow(predictor.halo_px))
    cube = xr.DataArray(
        padded, dims=("band", "y", "x"), coords={"band": list(loaded.card.bands)}
    )
    found = predict_block(
        cube, block.window, grid.tiles(block), predictor, session=Session(loaded)
    ).candidates
    at_rim = settle_seams([found[found["open"]]], overlap=predictor.overlap)
    return _detections(pd.concat([found[~found["open"]], at_rim], ignore_index=True))


def _predictor(loaded: LoadedModel, score_threshold: float | None) -> Predictor:
    """Return a model in memory on a lattice that starts at the image's corner."""
    card = loaded.card
    lattice = Lattice(
        crs="EPSG:3857",  # any: nothing here has a place on the ground
        pixel_x=1.0,
        pixel_y=1.0,
        origin_x=0.0,
        origin_y=0.0,
        core_px=card.core_px,
    )
    options = PredictOptions(threshold=score_threshold, torch_threads=torch_threads())
    return Predictor(model=Model(card, Path()), lattice=lattice, options=options)


def _detections(table: pd.DataFrame) -> Detections:
    table = table.sort_values(["score", "y", "x"], ascending=[False, True, True])
    return Detections(
        x=table["x"].to_numpy(np.float32),
        y=table["y"].to_numpy(np.float32),
        radius=((table["x_max"] - table["x_min"]) / 2).to_numpy(np.float32),
        score=table["score"].to_numpy(np.float32),
        label=table["label"].to_numpy(np.int32),
    )
