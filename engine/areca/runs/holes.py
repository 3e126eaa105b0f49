"""Ground that has no answer: listed with its outline, never filled with zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from pyproj import Transformer

from areca.runs.folder import write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from areca.runs.folder import RunFolder
    from areca.runs.ledger import BlockDone
    from areca.runs.plan import RunPlan
    from areca.tiles import Block


def write_holes(folder: RunFolder, plan: RunPlan, blocks: Sequence[BlockDone]) -> None:
    """Write `holes.geojson` (RFC 7946); an empty collection when all went well.

    A hole is the ground of a failed block, grown by as far as its candidates could
    have changed the answer around it. Objects outside the holes are those of a run
    without faults.

    Args:
        folder: The run.
        plan: Its plan.
        blocks: The reports of its blocks.
    """
    errors = {block.name: block.error for block in blocks if block.error is not None}
    features = [
        _feature(plan, block, errors[block.name])
        for block in plan.blocks
        if block.name in errors
    ]
    write_json(folder.holes, {"type": "FeatureCollection", "features": features})


def _feature(plan: RunPlan, block: Block, error: str) -> dict[str, Any]:
    predictor = plan.predictor
    window = block.window.grow(predictor.influence_px)
    inside = window.intersection(plan.grid.region) or window
    geobox = predictor.lattice.geobox(inside)
    to_lonlat = Transformer.from_crs(predictor.lattice.crs, "EPSG:4326", always_xy=True)
    # Straight edges of a projection are curves in degrees: cut them first.
    edge = shapely.box(*geobox.boundingbox.bbox).segmentize(
        max(geobox.boundingbox.span_x, geobox.boundingbox.span_y) / 16
    )
    outline = shapely.transform(
        edge, lambda points: np.column_stack(to_lonlat.transform(*points.T))
    )
    return {
        "type": "Feature",
        "properties": {"block": block.name, "error": error},
        "geometry": shapely.geometry.mapping(shapely.orient_polygons(outline)),
    }
