"""Suppression on a finished table: duplicates that other tools have left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import shapely

from areca.errors import InputError
from areca.objects.nms import Overlaps, check_components, keep_best

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray


def drop_duplicates(
    objects: gpd.GeoDataFrame,
    *,
    max_overlap: float,
    score: str = "score",
    label: str | None = "label",
) -> gpd.GeoDataFrame:
    """Keep the best of objects that cover the same ground: non-maximum suppression.

    Outlines are compared as they are, boxes or polygons, by intersection over union.
    Of two equal scores the one that stands earlier in the table stays.

    Args:
        objects: A table with shapes in one CRS.
        max_overlap: Intersection over union, 0 to 1, above which the weaker object
            falls; 0 lets no two objects share any ground.
        score: Column to rank by, higher is better.
        label: Objects of different values here never compete; None: all compete.

    Returns:
        The rows that stay, in their order. Rows without a shape stay.

    Raises:
        InputError: A column is missing, a score is not known, or the overlap is no
            share.
    """
    wanted = [name for name in (score, label) if name is not None]
    missing = [name for name in wanted if name not in objects]
    if missing:
        raise InputError(
            f"the table has no column {', '.join(missing)}; it has "
            f"{', '.join(map(str, objects.columns))}. Name the right one"
        )
    if not 0 <= max_overlap < 1:
        raise InputError(
            f"the overlap is {max_overlap}; give a share from 0 to below 1"
        )
    scores = pd.to_numeric(objects[score], errors="coerce").to_numpy(np.float64)
    if np.isnan(scores).any():
        raise InputError(
            f"column {score!r} has {int(np.isnan(scores).sum())} values that are no "
            "numbers; objects cannot be ranked by it"
        )
    shapes = objects.geometry.to_numpy()
    group = np.zeros(len(objects), np.int64)
    if label is not None:
        group = pd.factorize(objects[label])[0]
    overlaps = _overlaps(shapes, group, max_overlap)
    check_components(overlaps.components())
    rank = np.empty(len(objects), np.intp)
    rank[np.argsort(-scores, kind="stable")] = np.arange(len(objects))
    kept: gpd.GeoDataFrame = objects[keep_best(overlaps, rank)]
    return kept


def _overlaps(
    shapes: NDArray[np.object_], group: NDArray[np.int64], threshold: float
) -> Overlaps:
    tree = shapely.STRtree(shapes)
    first, second = tree.query(shapes, predicate="intersects")
    wanted = (first < second) & (group[first] == group[second])
    first, second = first[wanted], second[wanted]
    common = shapely.area(shapely.intersection(shapes[first], shapes[second]))
    union = shapely.area(shapes[first]) + shapely.area(shapes[second]) - common
    share = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return Overlaps(first, second, share > threshold, len(shapes))
