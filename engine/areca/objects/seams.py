"""Each object once: blocks settle what is theirs alone, one step settles the seams.

Greedy suppression in a connected component of the overlap graph depends on that
component only. A component that cannot touch a candidate of another block is settled
where it is; the others are handed on whole and settled together. The union of both is
the answer of one suppression over all candidates of the region.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from areca.objects.identity import rank_equals
from areca.objects.nms import check_components, find_overlaps, suppress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from areca.tiles import Window


def settle_block(
    candidates: pd.DataFrame, core: Window, *, reach_px: float, overlap: float
) -> pd.DataFrame:
    """Settle the components that no other block can touch.

    Args:
        candidates: The candidates of all tiles of one block, any order.
        core: The block's window, absolute pixels.
        reach_px: How far into this block the box of a candidate from another block can
            reach: half the largest object plus the margin of a tile's core.
        overlap: Intersection over union above which the weaker candidate falls.

    Returns:
        The survivors of the settled components (`open` False, `rank` set), and every
        candidate of the components that reach a seam (`open` True, `rank` -1).
    """
    if candidates.empty:
        return candidates.assign(open=np.empty(0, bool), rank=np.empty(0, np.int64))
    overlaps = find_overlaps(candidates, overlap)
    component = overlaps.components()
    check_components(component)
    touches = (
        (candidates["x_min"] < core.col0 + reach_px)
        | (candidates["y_min"] < core.row0 + reach_px)
        | (candidates["x_max"] > core.col1 - reach_px)
        | (candidates["y_max"] > core.row1 - reach_px)
    ).to_numpy()
    is_open = np.isin(component, component[touches])
    keep = suppress(candidates, overlaps) | is_open
    settled = candidates.assign(open=is_open, rank=np.int64(-1))[keep]
    settled = settled.reset_index(drop=True)
    closed = ~settled["open"].to_numpy()
    settled.loc[closed, "rank"] = rank_equals(settled[closed])
    return settled


def settle_seams(parts: Sequence[pd.DataFrame], *, overlap: float) -> pd.DataFrame:
    """Settle the components that reach the seams between blocks.

    Args:
        parts: The open rows of every block (`settle_block`), with a column `block`
            that tells them apart.
        overlap: Intersection over union above which the weaker candidate falls.

    Returns:
        The survivors, with `rank` set.
    """
    seam = pd.concat(list(parts), ignore_index=True)
    if seam.empty:
        return seam
    overlaps = find_overlaps(seam, overlap)
    check_components(overlaps.components())
    survivors = seam[suppress(seam, overlaps)].reset_index(drop=True)
    return survivors.assign(rank=rank_equals(survivors))
