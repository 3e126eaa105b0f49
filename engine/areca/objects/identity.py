"""Identity: an object's id knows the model and the place, and nothing of the run."""

from __future__ import annotations

import hashlib
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyproj import CRS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.tiles import Lattice

CELLS_PER_PIXEL = 16
"""Centres are told apart to 1/16 pixel."""


def cell_keys(candidates: pd.DataFrame) -> NDArray[np.int64]:
    """Return the identity cell of each candidate: its label and centre in 1/16 pixel.

    Args:
        candidates: A candidate table of n rows.

    Returns:
        Shape (n, 3): label, row and column of the cell. Cells are cut by rounding
        down, so that a cell never lies in two blocks.
    """
    cells = np.floor(candidates[["y", "x"]].to_numpy() * CELLS_PER_PIXEL)
    label = candidates["label"].to_numpy()[:, None]
    return np.hstack([label, cells]).astype(np.int64)


def rank_equals(candidates: pd.DataFrame) -> NDArray[np.int64]:
    """Number the candidates that share one identity cell, best first.

    Args:
        candidates: A candidate table of n rows in which no two rows with one cell
            are missing each other.

    Returns:
        Shape (n,), 0 for nearly all rows.
    """
    keys = pd.DataFrame(cell_keys(candidates), columns=["label", "row", "col"])
    if not keys.duplicated().any():  # nearly always, and much faster than to sort
        return np.zeros(len(keys), np.int64)
    keys["score"] = -candidates["score"].to_numpy()
    keys["y"], keys["x"] = candidates["y"].to_numpy(), candidates["x"].to_numpy()
    ordered = keys.sort_values(["label", "row", "col", "score", "y", "x"])
    rank = ordered.groupby(["label", "row", "col"], sort=False).cumcount()
    return np.asarray(rank.sort_index(), dtype=np.int64)


def object_ids(
    candidates: pd.DataFrame, *, model_digest: str, lattice: Lattice
) -> list[str]:
    """Return the ids of objects: 16 hexadecimal digits each.

    An id is a hash of the model, the pixel grid, the label, the centre in 1/16 pixel
    and the rank among equals. It knows no block, no area of interest and no worker, so
    equal runs and overlapping runs give one palm one id. Two of 10⁸ objects share an
    id with a probability of 3 in 10 000.

    Args:
        candidates: A candidate table of n rows with a column `rank` (`rank_equals`).
        model_digest: Digest of the model.
        lattice: The lattice that pixels are counted on.

    Returns:
        n ids, in the order of the rows.
    """
    # Two items of one tiling may differ in the last digits of pixel and origin. Pixels
    # are counted from the origin of the CRS, so rounding here mixes no places.
    pixel = f"{lattice.pixel_x:.6g}|{lattice.pixel_y:.6g}"
    place = f"{model_digest}|{_crs_key(lattice.crs)}|{pixel}"
    seed = int.from_bytes(hashlib.blake2b(place.encode(), digest_size=8).digest())
    state = np.full(len(candidates), seed, np.uint64)
    for part in [*cell_keys(candidates).T, candidates["rank"].to_numpy()]:
        state = _mix(state ^ part.astype(np.int64).view(np.uint64))
    return [f"{number:016x}" for number in state.tolist()]


@lru_cache(maxsize=64)
def _crs_key(text: str) -> str:
    """Return one text for all ways to write a CRS."""
    crs = CRS.from_user_input(text)
    authority = crs.to_authority(min_confidence=100)
    if authority:
        return ":".join(authority)
    with warnings.catch_warnings():
        # It says that PROJ text keeps less than WKT; what it keeps is the projection.
        warnings.simplefilter("ignore", UserWarning)
        return crs.to_proj4()


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return scrambled 64-bit numbers (splitmix64: Steele, Lea, Flood 2014)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
