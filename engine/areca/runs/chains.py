"""Chains of rivals that leave the blocks of an area of interest.

An object of the area may depend, through a chain of overlapping candidates, on ground
that the area alone would not need. Such chains are rare; they are followed block by
block until every component that holds an object of the area is complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import shapely

from areca.inference import settle_rows, window_box
from areca.objects import find_overlaps
from areca.tiles import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.inference import Area
    from areca.runs.plan import RunPlan
    from areca.tiles import Block


def blocks_to_add(plan: RunPlan, seams: pd.DataFrame) -> list[Block]:
    """Return the blocks that complete the chains of objects of the area.

    Args:
        plan: A plan, with or without an area of interest.
        seams: The open candidates of its blocks, unsettled.

    Returns:
        Blocks beyond those of the plan, in order; empty when nothing is missing.
    """
    if plan.area is None or seams.empty:
        return []
    if plan.predictor.is_dense:
        return _blocks_of_regions(plan, plan.area, seams)
    component = find_overlaps(seams, plan.predictor.overlap).components()
    wanted = np.isin(component, component[plan.area.holds(seams)])
    reach = plan.predictor.reach_px
    rows = seams[wanted]
    boxes = shapely.box(
        rows["x_min"] - reach, rows["y_min"] - reach,
        rows["x_max"] + reach, rows["y_max"] + reach,
    )  # fmt: skip
    return _blocks_touching(plan, boxes)


def _blocks_of_regions(plan: RunPlan, area: Area, seams: pd.DataFrame) -> list[Block]:
    """Return the blocks into which class regions that touch the area go on."""
    regions = settle_rows([seams], plan.predictor)
    outlines = shapely.from_wkb(regions["outline"].to_numpy(object))
    names = pd.MultiIndex.from_frame(regions[["row", "col"]])
    touching = names[shapely.intersects(outlines, area.shape)]
    # The neighbour that a region goes on in touches it, if only in a corner.
    return _blocks_touching(plan, outlines[names.isin(touching)])


def _blocks_touching(plan: RunPlan, shapes: NDArray[np.object_]) -> list[Block]:
    """Return the blocks beyond those of a plan that touch a shape, in order.

    Args:
        plan: The plan.
        shapes: Absolute pixels.
    """
    if not len(shapes):
        return []
    # Edges count as touching, so the blocks just beyond the bounds may be wanted.
    near = Window.around(shapely.total_bounds(shapes).tolist()).grow(1)
    known = {block.name for block in plan.blocks}
    others = [b for b in plan.with_imagery(near) if b.name not in known]
    boxes = np.array([window_box(b.window) for b in others], object)
    hit, _ = shapely.STRtree(shapes).query(boxes, predicate="intersects")
    return [others[number] for number in np.unique(hit)]
