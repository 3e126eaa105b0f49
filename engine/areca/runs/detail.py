"""The picture of a report at full resolution: objects at their true size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from areca.errors import ReadError
from areca.measures import read_objects
from areca.runs.class_map import draw_outlines
from areca.runs.picture import draw_objects, stretch_for_display
from areca.runs.report import Picture
from areca.tiles import Window, with_nan

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from areca.runs.plan import RunPlan
    from areca.runs.result import RunResult

DETAIL_HEIGHT, DETAIL_WIDTH = 1000, 1300
"""Imagery at full resolution in the report, pixels."""


def detail_picture(result: RunResult, plan: RunPlan, pixel_m: float) -> Picture | None:
    """Return imagery at full resolution around the block with the most objects.

    Args:
        result: How the run ended.
        plan: Its plan.
        pixel_m: Edge of a pixel on the ground, m.

    Returns:
        The picture; None where the imagery cannot be read any more.
    """
    near = {block.name for block in plan.grid.blocks(plan.layout.shown)}
    good = [b for b in result.blocks if b.error is None and b.name in near]
    if not good:
        return None
    best = max(good, key=lambda b: (b.settled + b.open, b.name))
    block = next(b for b in plan.blocks if b.name == best.name)
    window = _around(block.window, plan.layout.shown)
    geobox = plan.predictor.lattice.geobox(window)
    try:
        mosaic = plan.imagery.read(window)
    except ReadError:
        return None  # the holes tell of it; a report without this picture still serves
    pixels = with_nan(mosaic.pixels, mosaic.valid)
    zoom = max(1, math.floor(DETAIL_WIDTH / window.width))
    image = stretch_for_display(pixels).repeat(zoom, axis=0).repeat(zoom, axis=1)
    bounds = geobox.boundingbox.bbox
    parts = [read_objects(file, bbox=bounds) for file in result.files]
    objects = gpd.GeoDataFrame(pd.concat(parts))
    place = _Place(plan=plan, window=window, zoom=zoom, pixel_m=pixel_m)
    if plan.origin.shape == "disc":
        drawn = place.with_circles(image, objects)
        words = "Each circle is one object, at its own centre and radius."
    else:
        drawn = place.with_outlines(image, objects)
        words = "Each outline is one object, coloured by its class."
    is_part = window != plan.layout.shown and len(objects) > 0
    where = ", around the block with the most candidates" if is_part else ""
    return Picture(
        image=drawn,
        title="Objects at their true size",
        caption=(
            f"{window.width:,} x {window.height:,} pixels of {pixel_m:.2g} m{where}. "
            f"{words} Brightness is stretched for the eye only."
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a picture of a window lies, and how objects are drawn into it."""

    plan: RunPlan
    window: Window
    zoom: int
    """Edge of a pixel of the imagery in the picture, pixels."""
    pixel_m: float
    """Edge of a pixel of the imagery on the ground, m."""

    def with_circles(
        self, image: NDArray[np.uint8], objects: gpd.GeoDataFrame
    ) -> Image.Image:
        """Return the picture with a circle for each object."""
        centres = objects[["center_x", "center_y"]].to_numpy()
        radius = objects["radius_m"].to_numpy() / self.pixel_m
        scale = self.pixel_m / self.zoom
        return draw_objects(
            image, self.pixels(centres), radius * self.zoom, metres_per_pixel=scale
        )

    def with_outlines(
        self, image: NDArray[np.uint8], objects: gpd.GeoDataFrame
    ) -> Image.Image:
        """Return the picture with the outline of each object."""
        names = self.plan.predictor.model.card.labels
        shapes = shapely.transform(objects.geometry.to_numpy(), self.pixels)
        return draw_outlines(
            image,
            np.asarray(shapes),
            objects["label"].map(names.index).to_numpy(),
            names,
            metres_per_pixel=self.pixel_m / self.zoom,
        )

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points, shape (n, 2), CRS units, in pixels of the picture."""
        lattice = self.plan.predictor.lattice
        col, row = lattice.to_pixels(points[:, 0], points[:, 1])
        origin = (self.window.col0, self.window.row0)
        return (np.column_stack([col, row]) - origin) * self.zoom


def _around(window: Window, region: Window) -> Window:
    """Return a window of the detail's size around another, inside the region."""
    height = min(DETAIL_HEIGHT, region.height)
    width = min(DETAIL_WIDTH, region.width)
    row0 = (window.row0 + window.row1 - height) // 2
    col0 = (window.col0 + window.col1 - width) // 2
    row0 = min(max(row0, region.row0), region.row1 - height)
    col0 = min(max(col0, region.col0), region.col1 - width)
    return Window(row0, col0, row0 + height, col0 + width)
