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
    if not len(boxes):
        return []
    near = Window.around(shapely.total_bounds(boxes).tolist())
    known = {block.name for block in plan.blocks}
    others = [b for b in plan.with_imagery(near) if b.name not in known]
    if not others:
        return []
    tree = shapely.STRtree(boxes)
    hit, _ = tree.query([window_box(b.window) for b in others], predicate="intersects")
    return [others[number] for number in np.unique(hit)]


def _blocks_of_regions(plan: RunPlan, area: Area, seams: pd.DataFrame) -> list[Block]:
    """Return the blocks into which class regions that touch the area go on."""
    regions = settle_rows([seams], plan.predictor)
    outlines = shapely.from_wkb(regions["outline"].to_numpy(object))
    names = pd.MultiIndex.from_frame(regions[["row", "col"]])
    touching = names[shapely.intersects(outlines, area.shape)]
    outlines = outlines[names.isin(touching)]
    if not len(outlines):
        return []
    known = {block.name for block in plan.blocks}
    near = Window.around(shapely.total_bounds(outlines).tolist()).grow(1)
    others = [b for b in plan.with_imagery(near) if b.name not in known]
    if not others:
        return []
    # Half a pixel further lies the neighbour, also over a corner.
    boxes = [window_box(b.window).buffer(0.5, join_style="mitre") for b in others]
    hit, _ = shapely.STRtree(outlines).query(boxes, predicate="intersects")
    return [others[number] for number in np.unique(hit)]
