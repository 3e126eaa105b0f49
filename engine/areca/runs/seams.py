"""The seam audit of a run: tallied on the workers, judged in the client."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np
import shapely
import zarr

from areca.runs.schedule import gather
from areca.runs.seam_audit import SeamAudit, audit
from areca.runs.seam_tally import SeamTally, tally_objects, tally_raster
from areca.tiles import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    from distributed import Client

    from areca.runs.plan import RunPlan
    from areca.runs.raster_store import RasterStore
    from areca.tiles import Block, BlockGrid

WAVE = 256
"""Blocks that are tallied at a time."""


def audit_seams(
    client: Client,
    plan: RunPlan,
    blocks: Sequence[Block],
    tallies: Sequence[SeamTally],
    store: RasterStore,
) -> SeamAudit:
    """Judge whether a product looks different along the lines where it was divided.

    Args:
        client: Where to run.
        plan: The plan of the run.
        blocks: Its blocks that are no holes.
        tallies: Of the objects, by published file.
        store: Its rasters.

    Returns:
        The audit of objects (of a detector) or of the class raster.
    """
    grid = plan.grid
    total = reduce(add, tallies, SeamTally.empty(grid))
    if not plan.predictor.is_dense:
        return audit(total)
    for start in range(0, len(blocks), WAVE):
        wave = blocks[start : start + WAVE]
        futures = [client.submit(tally_classes, store, b, grid) for b in wave]
        total = reduce(add, gather(client, futures, "seams were audited"), total)
    return audit(total)


def tally_centres(
    objects: gpd.GeoDataFrame, blocks: Sequence[Block], grid: BlockGrid
) -> SeamTally:
    """Tally the objects of some blocks; neighbours in other files are not seen.

    Args:
        objects: Objects in the CRS of the grid.
        blocks: The blocks that they belong to.
        grid: The blocks of the run.

    Returns:
        The tally of all the blocks.
    """
    lattice = grid.lattice
    shapes = objects.geometry.to_numpy()
    centres = shapely.get_coordinates(shapely.centroid(shapes))
    x, y = lattice.to_pixels(centres[:, 0], centres[:, 1])
    pixel = lattice.pixel_x * lattice.pixel_y
    radius = np.sqrt(shapely.area(shapes) / (np.pi * pixel))
    total = SeamTally.empty(grid)
    for block in blocks:
        total += tally_objects(x, y, radius, grid=grid, window=block.window)
    return total


def tally_classes(store: RasterStore, block: Block, grid: BlockGrid) -> SeamTally:
    """Tally the class raster of one block and the pairs across its first row, column.

    Args:
        store: The rasters of the run.
        block: The block.
        grid: The blocks of the run.

    Returns:
        The tally of the block.
    """
    own = block.window.intersection(grid.region)
    if own is None:
        return SeamTally.empty(grid)
    more = Window(own.row0 - 1, own.col0 - 1, own.row1, own.col1)
    window = more.intersection(grid.region) or own
    labels = zarr.open_array(store.path / "label", mode="r")
    part = np.asarray(labels[window.slices_in(store.window)], np.uint8)
    return tally_raster(part, window, grid=grid, own=own)
