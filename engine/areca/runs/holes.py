"""What has no answer, ground or object: listed with its outline, never left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely
from pyproj import Transformer

from areca.objects import empty_candidates, find_overlaps, objects_table, suppress
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


def write_oversize(
    folder: RunFolder, plan: RunPlan, blocks: Sequence[BlockDone]
) -> int:
    """Write `oversize.geojson`: candidates larger than the model can count.

    The halo of a tile is made for the model's largest object. What is larger may be cut
    by the tile's edge, so it is neither counted nor hidden.

    Args:
        folder: The run.
        plan: Its plan.
        blocks: The reports of its blocks.

    Returns:
        How many there are, each once.
    """
    named = {block.name for block in blocks if block.oversize and block.error is None}
    tables = [empty_candidates()]
    for block in plan.blocks:
        if block.name in named:
            path = folder.block(block) / "oversize.parquet"
            tables.append(pd.read_parquet(path))
    rows = pd.concat(tables, ignore_index=True)
    if plan.area is not None:
        rows = plan.area.select(rows)
    rows = rows[suppress(rows, find_overlaps(rows, plan.predictor.overlap))]
    objects = objects_table(rows.assign(rank=np.int64(0)), plan.origin)
    degrees = objects.to_crs("EPSG:4326")
    features = [
        {
            "type": "Feature",
            "properties": {"label": label, "score": round(float(score), 4)},
            "geometry": shapely.geometry.mapping(outline),
        }
        for label, score, outline in zip(
            degrees["label"], degrees["score"], degrees.geometry, strict=True
        )
    ]
    write_json(folder.oversize, {"type": "FeatureCollection", "features": features})
    return len(features)


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
