"""Candidates: what a model saw in one tile, before each object is counted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.tiles import Tile, Window

DTYPES = {
    "x": np.float64,
    "y": np.float64,
    "x_min": np.float64,
    "y_min": np.float64,
    "x_max": np.float64,
    "y_max": np.float64,
    "score": np.float32,
    "label": np.int32,
    "tile_row": np.int64,
    "tile_col": np.int64,
}
"""Columns of a candidate table: centre and box in absolute pixels of the lattice
(x to the right, y down; 0.5 is the centre of pixel 0), raw score 0 to 1, number of the
label, and the tile that saw it."""


def empty_candidates() -> pd.DataFrame:
    """Return a candidate table without rows."""
    return pd.DataFrame({name: np.empty(0, dtype) for name, dtype in DTYPES.items()})


def disc_candidates(
    discs: NDArray[np.float64],
    scores: NDArray[np.float32],
    labels: NDArray[np.int32],
    tile: Tile,
) -> pd.DataFrame:
    """Return the candidate table of discs that one tile saw.

    Args:
        discs: Shape (n, 3): x, y and radius, absolute pixels.
        scores: Shape (n,), 0 to 1.
        labels: Shape (n,), number of the label.
        tile: The tile that saw them.
    """
    x, y, radius = discs.T
    return _table(
        {
            "x": x,
            "y": y,
            "x_min": x - radius,
            "y_min": y - radius,
            "x_max": x + radius,
            "y_max": y + radius,
            "score": scores,
            "label": labels,
            "tile_row": np.full(len(x), tile.row),
            "tile_col": np.full(len(x), tile.col),
        }
    )


def box_candidates(
    boxes: NDArray[np.float64],
    scores: NDArray[np.float32],
    labels: NDArray[np.int32],
    tile: Tile,
) -> pd.DataFrame:
    """Return the candidate table of boxes that one tile saw.

    Args:
        boxes: Shape (n, 4): left, top, right and bottom, absolute pixels.
        scores: Shape (n,), 0 to 1.
        labels: Shape (n,), number of the label.
        tile: The tile that saw them.

    Returns:
        One row per box in their order; the centre is the middle of the box.
    """
    left, top, right, bottom = boxes.T
    return _table(
        {
            "x": (left + right) / 2,
            "y": (top + bottom) / 2,
            "x_min": left,
            "y_min": top,
            "x_max": right,
            "y_max": bottom,
            "score": scores,
            "label": labels,
            "tile_row": np.full(len(boxes), tile.row),
            "tile_col": np.full(len(boxes), tile.col),
        }
    )


def _table(columns: dict[str, NDArray[Any]]) -> pd.DataFrame:
    """Return a candidate table of columns of any number types.

    The arrays are cast, not the table: that takes a tenth of the time.
    """
    return pd.DataFrame(
        {name: np.asarray(columns[name], dtype) for name, dtype in DTYPES.items()}
    )


def centred_in(candidates: pd.DataFrame, window: Window) -> NDArray[np.bool_]:
    """Tell which candidates have their centre in a window (half-open).

    Args:
        candidates: A candidate table of n rows.
        window: Absolute pixels.

    Returns:
        Shape (n,).
    """
    x, y = candidates["x"].to_numpy(), candidates["y"].to_numpy()
    inside_x = (x >= window.col0) & (x < window.col1)
    inside_y = (y >= window.row0) & (y < window.row1)
    return np.asarray(inside_x & inside_y)


def larger_than(candidates: pd.DataFrame, pixels: float) -> NDArray[np.bool_]:
    """Tell which candidates have a box wider or higher than a size.

    Args:
        candidates: A candidate table of n rows.
        pixels: The largest edge allowed.

    Returns:
        Shape (n,).
    """
    width = candidates["x_max"].to_numpy() - candidates["x_min"].to_numpy()
    height = candidates["y_max"].to_numpy() - candidates["y_min"].to_numpy()
    return np.asarray(np.maximum(width, height) > pixels)
