"""From what blocks gave to rows of objects: one way for boxes, discs, masks, classes.

A block keeps rows that no other block can change (`open` False) and rows that reach a
seam (`open` True); these are settled together. What settling means depends on the
model: suppression for detections, uniting neighbours for the regions of a class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import shapely

from areca.objects import SCORE_UNIT, polygonise_block, settle_seams, stitch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from areca.inference.block import BlockPrediction
    from areca.inference.predictor import Predictor
    from areca.tiles import Window


def block_rows(
    found: BlockPrediction, window: Window, predictor: Predictor
) -> pd.DataFrame:
    """Return the rows of one block, with the column `open`.

    Args:
        found: What the model gave.
        window: The block.
        predictor: The model on its lattice.

    Returns:
        Candidates of a detector; of a segmentation the connected regions of each class
        within the block (`areca.objects.polygonise_block`).
    """
    if not predictor.is_dense:
        return found.candidates
    pieces = polygonise_block(
        np.asarray(found.rasters["label"], np.uint8),
        window,
        skip=predictor.skipped,
        connectivity=predictor.options.connectivity,
        score=np.asarray(found.rasters["top1"], np.float32),
    )
    # The centre may lie outside a region; its first pixel does not.
    return pieces.assign(x=pieces["col"] + 0.5, y=pieces["row"] + 0.5)


def settle_rows(parts: Sequence[pd.DataFrame], predictor: Predictor) -> pd.DataFrame:
    """Settle the rows that reach the seams between blocks.

    Args:
        parts: The open rows of each block, with a column `block`.
        predictor: The model on its lattice.

    Returns:
        What is left, each row with the block that it belongs to.
    """
    if not predictor.is_dense:
        return settle_seams(parts, overlap=predictor.overlap)
    pieces = pd.concat(list(parts), ignore_index=True)
    if pieces.empty:
        return pieces
    return stitch(pieces, connectivity=predictor.options.connectivity)


def finish_rows(rows: pd.DataFrame, predictor: Predictor) -> pd.DataFrame:
    """Return settled rows as `areca.objects.objects_table` takes them.

    Args:
        rows: Settled rows.
        predictor: The model on its lattice.
    """
    if not predictor.is_dense:
        return rows
    outlines = shapely.from_wkb(rows["outline"].to_numpy(object))
    centres = shapely.get_coordinates(shapely.centroid(outlines))
    core = predictor.lattice.core_px
    # `row` and `col` of a region are its first pixel, by which it is known.
    mean = rows["score_sum"].to_numpy(np.float64) * SCORE_UNIT / rows["pixels"]
    return rows.assign(
        x=rows["col"] + 0.5,
        y=rows["row"] + 0.5,
        centre_x=centres[:, 0],
        centre_y=centres[:, 1],
        tile_row=rows["row"] // core,
        tile_col=rows["col"] // core,
        score=mean.to_numpy(np.float32),
        rank=np.int64(0),
    )
