"""Pictures of a run: objects drawn on the imagery, with a scale. No file is read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageChops, ImageDraw
from scipy.ndimage import uniform_filter

from areca.runs.legend import (
    DENSITY_RAMP,
    SCORE_RAMP,
    colours_of,
    draw_furniture,
    round_range,
    round_up,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NO_DATA_GREY = 222
LINE = (255, 214, 10)
"""Circles without a score: a yellow that neither vegetation nor soil has."""
LEAST_LINE, LINE_SHARE = 1.8, 1 / 360
"""Width of circles: pixels, and share of the width of a picture."""
HOLE_RED = (214, 40, 40)
WORKING_PIXELS = 40_000_000
"""Most pixels of the enlarged mask that smooth circles are drawn on."""


def stretch_for_display(
    array: NDArray[np.float32], *, low: float = 2.0, high: float = 98.0
) -> NDArray[np.uint8]:
    """Make a picture of a raster. For the eye only: models never see it.

    Args:
        array: Shape (band, height, width), NaN where there is no data. The first three
            bands become red, green and blue; one or two bands become grey.
        low: Percentile of each band that becomes black.
        high: Percentile of each band that becomes white.

    Returns:
        Shape (height, width, 3). No data is light grey.
    """
    shown = array[:3] if array.shape[0] >= 3 else array[:1]
    missing = ~np.isfinite(shown).all(axis=0)
    picture = np.full((*array.shape[1:], 3), NO_DATA_GREY, np.uint8)
    if missing.all():
        return picture
    bands = []
    for band in shown:
        known = band[~missing].astype(np.float64)
        dark, bright = np.percentile(known, [low, high])
        span = bright - dark
        scaled = (known - dark) / span if span > 0 else np.full(known.shape, 0.5)
        bands.append(np.rint(scaled.clip(0, 1) * 255).astype(np.uint8))
    # One grey band fills all three channels by broadcasting.
    picture[~missing] = np.stack(bands, axis=-1)
    return picture


def draw_objects(
    image: NDArray[np.uint8],
    centres_px: NDArray[np.floating],
    radii_px: NDArray[np.floating],
    scores: NDArray[np.floating] | None = None,
    *,
    metres_per_pixel: float,
) -> Image.Image:
    """Draw objects as circles at their true place and size.

    Args:
        image: Shape (height, width, 3).
        centres_px: Columns x and y, shape (n, 2), pixels; the corner of the image is
            (0, 0) and the centre of its first pixel (0.5, 0.5).
        radii_px: Shape (n,), pixels. What is NaN is not drawn.
        scores: Shape (n,), 0 to 1, shown by colour; None: all circles in one colour.
        metres_per_pixel: Ground size of a pixel, for the scale bar.

    Returns:
        An RGB image of the same size.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    height, width = image.shape[:2]
    centres, radii = np.asarray(centres_px, float), np.asarray(radii_px, float)
    known = np.isfinite(centres).all(axis=1) & np.isfinite(radii)
    touching = (np.abs(centres - [width / 2, height / 2]) - radii[:, None]) < (
        np.array([width, height]) / 2 + 4
    )
    chosen = np.flatnonzero(known & touching.all(axis=1))
    circles = np.column_stack([centres, radii])[chosen]
    colours = [LINE] * len(chosen)
    legend = None
    if scores is not None and len(chosen):
        seen = np.asarray(scores, float)[chosen]
        legend = round_range(seen)
        colours = colours_of(seen, legend, SCORE_RAMP)
    # A dark rim below the bright line keeps it visible on bright ground.
    line = _line(width, circles[:, 2])
    shade = _rings(picture.size, circles, 2.2 * line).point(lambda v: round(v * 0.55))
    picture.paste((0, 0, 0), mask=shade)
    ink = Image.new("RGB", picture.size, LINE)
    pen = ImageDraw.Draw(ink)
    for (x, y, radius), colour in zip(circles.tolist(), colours, strict=True):
        reach = radius + 1.7 * line
        pen.ellipse(
            (x - reach, y - reach, x + reach, y + reach),
            outline=colour,
            width=math.ceil(3.8 * line),
        )
    picture.paste(ink, mask=_rings(picture.size, circles, line))
    draw_furniture(picture, metres_per_pixel, legend, SCORE_RAMP, "score")
    return picture


def overview(
    image: NDArray[np.uint8],
    points_px: NDArray[np.floating],
    *,
    metres_per_pixel: float,
    scores: NDArray[np.floating] | None = None,
    holes_px: Sequence[NDArray[np.floating]] = (),
    weight: float = 1.0,
) -> Image.Image:
    """Draw the whole region, decimated, with a dot for each object or for some.

    Args:
        image: Shape (height, width, 3).
        points_px: Columns x and y, shape (n, 2), pixels of this image.
        metres_per_pixel: Ground size of a pixel of this image.
        scores: Shape (n,), shown by colour. None: the colour shows how many objects a
            hectare has around each dot (mean over about 100 m, 9 px at least).
        holes_px: Rings x, y, shape (vertex, 2), of ground that was not searched;
            hatched in red.
        weight: Objects that each point stands for: more than 1 where the points are a
            sample, so that the density is that of all objects. The sample must be even
            over the region; a lone point then shows as that many objects.

    Returns:
        An RGB image of the same size, the imagery toned down.
    """
    grey = np.asarray(image, np.float32).mean(axis=-1, keepdims=True)
    toned = (0.2 * image + 0.4 * grey + 12).astype(np.uint8)
    height, width = image.shape[:2]
    points = np.asarray(points_px, float).reshape(-1, 2)
    inside = ((points >= 0) & (points < [width, height])).all(axis=1)
    column, row = points[inside].astype(np.intp).T
    legend, name, ramp = None, "", SCORE_RAMP
    if len(row):
        if scores is None:
            ramp = DENSITY_RAMP
            values = weight * _density(row, column, (height, width), metres_per_pixel)
            legend, name = (0.0, round_up(float(values.max()))), "objects per hectare"
        else:
            values = np.asarray(scores, float)[inside]
            legend, name = round_range(values), "score"
        _paint_dots(toned, row, column, np.array(colours_of(values, legend, ramp)))
    picture = Image.fromarray(toned)
    _hatch(picture, holes_px)
    draw_furniture(picture, metres_per_pixel, legend, ramp, name)
    return picture


def _line(width: int, radii: NDArray[np.float64]) -> float:
    """Return how wide circles are drawn, pixels.

    A page shows every picture equally wide, so the line is a share of the width; it
    leaves the inside of typical circles free.
    """
    typical = float(np.median(radii)) if radii.size else 0.0
    return max(LEAST_LINE, min(width * LINE_SHARE, typical / 6))


def _rings(
    size: tuple[int, int], circles: NDArray[np.float64], line: float
) -> Image.Image:
    """Return the coverage, 0 to 255, of circle outlines of one line width (px)."""
    width, height = size
    zoom = 4
    while zoom > 1 and width * height * zoom * zoom > WORKING_PIXELS:
        zoom -= 1
    mask = Image.new("L", (width * zoom, height * zoom))
    pen = ImageDraw.Draw(mask)
    for x, y, radius in circles.tolist():
        reach = radius + line / 2
        # ImageDraw counts pixel centres: the last pixel belongs to the figure.
        left, top = (x - reach) * zoom, (y - reach) * zoom
        right, bottom = (x + reach) * zoom - 1, (y + reach) * zoom - 1
        if right < left or bottom < top:
            continue
        pen.ellipse(
            (left, top, right, bottom), outline=255, width=max(1, round(line * zoom))
        )
    return mask.reduce(zoom) if zoom > 1 else mask


def _density(
    row: NDArray[np.intp],
    column: NDArray[np.intp],
    shape: tuple[int, int],
    metres_per_pixel: float,
) -> NDArray[np.float64]:
    """Return the objects per hectare around each object, shape (n,)."""
    counts = np.zeros(shape, np.float64)
    np.add.at(counts, (row, column), 1.0)
    side = max(9, round(100 / metres_per_pixel))
    # Near the edge only the part of the square that lies in the picture counts.
    share = uniform_filter(np.ones(shape), side, mode="constant")
    mean = uniform_filter(counts, side, mode="constant") / share
    per_hectare = mean / (metres_per_pixel**2 / 1e4)
    return np.asarray(per_hectare[row, column])


def _paint_dots(
    image: NDArray[np.uint8],
    row: NDArray[np.intp],
    column: NDArray[np.intp],
    colours: NDArray[np.uint8],
) -> None:
    """Paint dots into an image: all objects at once, as there may be millions."""
    height, width = image.shape[:2]
    room = math.sqrt(height * width / max(1, len(row)))
    reach = int(np.clip(room / 5, 0, 4))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dx * dx + dy * dy <= (reach + 0.3) ** 2:
                y, x = row + dy, column + dx
                keep = (y >= 0) & (y < height) & (x >= 0) & (x < width)
                image[y[keep], x[keep]] = colours[keep]


def _hatch(picture: Image.Image, rings: Sequence[NDArray[np.floating]]) -> None:
    """Hatch the inside of rings in red and outline them."""
    if not rings:
        return
    mask = Image.new("L", picture.size)
    pen = ImageDraw.Draw(mask)
    outlines = [[(float(x), float(y)) for x, y in ring] for ring in rings]
    for outline in outlines:
        pen.polygon(outline, fill=255)
    width, height = picture.size
    diagonal = np.add.outer(np.arange(height), np.arange(width)) % 10
    stripes = Image.fromarray(((diagonal < 3) * 255).astype(np.uint8))
    tint = mask.point(lambda v: round(v * 0.25))
    hatched = ImageChops.multiply(mask, stripes)
    picture.paste(HOLE_RED, mask=ImageChops.lighter(tint, hatched))
    pen = ImageDraw.Draw(picture)
    for outline in outlines:
        pen.line([*outline, outline[0]], fill=HOLE_RED, width=2)
