"""Drawn tables of objects that the tests of exports share."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from areca.measures import measure

LABELS = ("palm", "tank & pond")


def draw_objects(
    count: int = 240, *, seed: int = 4, labels: tuple[str, ...] = LABELS
) -> gpd.GeoDataFrame:
    """Return a table as a run publishes it, with nulls of every kind."""
    rng = np.random.default_rng(seed)
    points = shapely.points(rng.uniform(4e5, 4.02e5, count), rng.uniform(0, 2e3, count))
    geometry = shapely.buffer(points, rng.uniform(1, 6, count), quad_segs=4)
    table = gpd.GeoDataFrame(
        {
            "object_id": [f"{number:016x}" for number in range(count)],
            "label": rng.choice(labels, count),
            "score": rng.uniform(0.3, 1, count).astype(np.float32),
            "item_id": pd.array([None, "a", "b"] * (count // 3), dtype="string"),
            "datetime": pd.Series(
                [pd.Timestamp("2024-05-01T10:20:30.5Z"), None] * (count // 2)
            ).astype("datetime64[us, UTC]"),
            "rank": pd.array([1, None] * (count // 2), dtype="Int64"),
            "note": pd.Series([None] * count, dtype=object),
        },
        geometry=geometry,
        crs=32648,
    )
    return measure(table)


def with_every_shape(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a table whose first rows are null, in parts, with a hole, and with z."""
    shapes = table.geometry.to_numpy().copy()
    shapes[0] = None
    shapes[1] = shapely.MultiPolygon([shapes[1], shapely.box(4e5, 10, 4e5 + 5, 15)])
    shapes[2] = shapes[2].difference(shapes[2].centroid.buffer(0.5))
    shapes[3] = shapely.force_3d(shapes[3], 7.0)
    return table.set_geometry(gpd.GeoSeries(shapes, crs=table.crs))
