"""A map of a summary: spacing of objects, gaps, and the density of each zone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from PIL import Image, ImageDraw, ImageFont

from areca.measures.places import WGS84
from areca.runs.legend import Ramp, colours_of, draw_furniture, draw_key
from areca.tiles import ground_pixel_m

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.runs import FinishedRun

LONGEST_PX = 2400
"""Longest side of a map."""
PAPER_GREY = 236
DISTANCE_RAMP: Ramp = ((70, 90, 235), (60, 190, 205), (235, 250, 190))
"""Near to far; no red, which is the colour of gaps."""
GAP_RED = (255, 45, 45)
LINE_WHITE = (255, 255, 255)
ALONE_GREY = (160, 160, 160)
"""Objects with no other one in reach."""
SHOWN_SHARE = (5.0, 95.0)
"""Percentiles of the distances that the colours reach from and to."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The picture under a map, and where it lies."""

    picture: Image.Image
    crs: str
    """CRS of `to_pixels`."""
    west: float
    north: float
    pixel_x: float
    """Width of a pixel of the picture, in units of the CRS."""
    pixel_y: float
    metres_per_pixel: float

    def to_pixels(
        self, lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return places in pixels of the picture, shape (n, 2)."""
        to_sheet = pyproj.Transformer.from_crs(WGS84, self.crs, always_xy=True)
        x, y = to_sheet.transform(lon, lat)
        return np.column_stack(
            [(x - self.west) / self.pixel_x, (self.north - y) / self.pixel_y]
        )

    def outlines(self, shapes: gpd.GeoSeries) -> NDArray[np.object_]:
        """Return shapes in pixels of the picture."""
        placed = shapes.to_crs(self.crs).to_numpy()
        origin, size = (self.west, self.north), (self.pixel_x, -self.pixel_y)
        moved = shapely.transform(placed, lambda xy: (xy - origin) / size)
        return np.asarray(moved, object)


def sheet_of(run: FinishedRun | None, table: gpd.GeoDataFrame) -> Sheet:
    """Return the sheet of a map: the imagery of a run, or blank paper around zones.

    Args:
        run: The run; None where there is none.
        table: Zones or cells, for a map without a run.
    """
    if run is None:
        return _paper(table)
    layout = run.layout
    picture, step = layout.picture(run.folder), layout.step
    lattice, shown = layout.grid.lattice, layout.shown
    zoom = LONGEST_PX / max(picture.size)
    width, height = (max(1, round(side * zoom)) for side in picture.size)
    large = picture.resize((width, height), Image.Resampling.BICUBIC)
    # The first pixel of the picture is the first that the step divides.
    first_col, first_row = -(-shown.col0 // step) * step, -(-shown.row0 // step) * step
    west, north = lattice.to_crs(float(first_col), float(first_row))
    across, down = ground_pixel_m(lattice.geobox(shown))
    return Sheet(
        picture=_toned(large),
        crs=lattice.crs,
        west=west,
        north=north,
        pixel_x=lattice.pixel_x * step * picture.width / width,
        pixel_y=lattice.pixel_y * step * picture.height / height,
        metres_per_pixel=float(np.sqrt(across * down)) * step / zoom,
    )


def draw_map(
    dots: gpd.GeoDataFrame,
    table: gpd.GeoDataFrame,
    gaps: gpd.GeoDataFrame | None,
    sheet: Sheet,
) -> Image.Image:
    """Draw a map.

    Args:
        dots: Objects with `center_lon`, `center_lat` (degrees) and `nearest_m`, the
            distance to the nearest other one; grey where there is none.
        table: Zones or cells with `count` and `density_per_ha`.
        gaps: Missing plants, as rings; None where nobody looked for them.
        sheet: What to draw on.

    Returns:
        An RGB picture: a dot for each object, coloured by how far the nearest is.
    """
    picture = sheet.picture.copy()
    pen = ImageDraw.Draw(picture)
    figures = dots[["center_lon", "center_lat", "nearest_m"]]
    values = figures.to_numpy(np.float64, na_value=np.nan)
    legend = _legend(values[:, 2])
    _draw_dots(pen, values, sheet, legend)
    if gaps is not None and len(gaps):
        _draw_gaps(pen, gaps, sheet)
    _draw_zones(picture, table[~table.geometry.isna()], sheet)
    name = "distance to the nearest, m"
    draw_furniture(picture, sheet.metres_per_pixel, legend, DISTANCE_RAMP, name)
    draw_key(picture, _key(values, gaps), at_top=True)
    return picture


def _key(
    values: NDArray[np.float64], gaps: gpd.GeoDataFrame | None
) -> list[tuple[str, tuple[int, int, int]]]:
    """Return what dots and rings mean."""
    key = [(f"{len(values):,} objects, by distance to the nearest", DISTANCE_RAMP[1])]
    alone = int(np.isnan(values[:, 2]).sum())
    if alone:
        key.append((f"{alone:,} without a neighbour in reach", ALONE_GREY))
    if gaps is not None:
        key.append((f"{len(gaps):,} gaps (places without a plant), rings", GAP_RED))
    return key


def _paper(table: gpd.GeoDataFrame) -> Sheet:
    """Return blank paper around the zones of a table."""
    zones = table.geometry[~table.geometry.isna()]
    if not len(zones):
        zones = gpd.GeoSeries([shapely.box(-0.001, -0.001, 0.001, 0.001)], crs=WGS84)
    crs = pyproj.CRS(zones.crs)
    if crs.is_geographic:
        crs = cast("Any", zones).estimate_utm_crs()
    west, south, east, north = cast("Any", zones).to_crs(crs).total_bounds
    pixel = 1.04 * max(east - west, north - south, 1.0) / LONGEST_PX
    width, height = (
        max(200, int(1.04 * side / pixel)) for side in (east - west, north - south)
    )
    middle = gpd.GeoSeries.from_xy([(west + east) / 2], [(south + north) / 2], crs=crs)
    return Sheet(
        picture=Image.new("RGB", (width, height), (PAPER_GREY,) * 3),
        crs=crs.to_wkt(),
        west=float(middle.x[0] - width * pixel / 2),
        north=float(middle.y[0] + height * pixel / 2),
        pixel_x=pixel,
        pixel_y=pixel,
        metres_per_pixel=pixel,
    )


def _toned(picture: Image.Image) -> Image.Image:
    """Return imagery greyed and dimmed, so that colours on it are those of the map."""
    pixels = np.asarray(picture, np.float32)
    grey = pixels.mean(axis=-1, keepdims=True)
    return Image.fromarray((0.15 * pixels + 0.4 * grey).astype(np.uint8))


def _legend(distances: NDArray[np.float64]) -> tuple[float, float]:
    """Return the distances that the ends of the ramp stand for: round, m."""
    known = distances[np.isfinite(distances)]
    if not known.size:
        return 0.0, 1.0
    low, high = np.percentile(known, SHOWN_SHARE)
    low, high = np.floor(low * 2) / 2, np.ceil(high * 2) / 2
    return float(low), float(max(high, low + 0.5))


def _draw_dots(
    pen: ImageDraw.ImageDraw,
    dots: NDArray[np.float64],
    sheet: Sheet,
    legend: tuple[float, float],
) -> None:
    places = sheet.to_pixels(dots[:, 0], dots[:, 1])
    typical = np.nanmedian(dots[:, 2]) if np.isfinite(dots[:, 2]).any() else 5.0
    reach = float(np.clip(typical / sheet.metres_per_pixel * 0.26, 1.0, 12.0))
    colours = colours_of(dots[:, 2], legend, DISTANCE_RAMP)
    known = np.isfinite(dots[:, 2])
    inside = np.isfinite(places).all(axis=1)
    for row in np.flatnonzero(inside).tolist():
        x, y = places[row]
        ink = colours[row] if known[row] else ALONE_GREY
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=ink)


def _draw_gaps(pen: ImageDraw.ImageDraw, gaps: gpd.GeoDataFrame, sheet: Sheet) -> None:
    places = sheet.to_pixels(
        gaps["center_lon"].to_numpy(np.float64), gaps["center_lat"].to_numpy(np.float64)
    )
    spacing = float(np.nanmedian(gaps["spacing_m"]))
    reach = float(np.clip(spacing / sheet.metres_per_pixel * 0.3, 2.0, 14.0))
    width = max(2, round(reach / 4))
    for x, y in places.tolist():
        pen.ellipse(
            (x - reach, y - reach, x + reach, y + reach), outline=GAP_RED, width=width
        )


def _draw_zones(picture: Image.Image, table: gpd.GeoDataFrame, sheet: Sheet) -> None:
    """Draw the outlines of zones, and in each what it holds."""
    pen = ImageDraw.Draw(picture)
    text = int(np.clip(max(picture.size) / 70, 12, 34))
    font = ImageFont.load_default(size=text)
    name, gaps = table.columns[0], "gaps" in table.columns
    outlines = sheet.outlines(table.geometry)
    rings = shapely.get_rings(outlines)
    for ring in rings.tolist():
        points = [tuple(point) for point in shapely.get_coordinates(ring).tolist()]
        pen.line(points, fill=(0, 0, 0), width=6)
        pen.line(points, fill=LINE_WHITE, width=3)
    middles = shapely.get_coordinates(shapely.point_on_surface(outlines))
    widths = np.diff(shapely.bounds(outlines)[:, ::2], axis=1)[:, 0]
    for row, (x, y), room in zip(
        table.to_dict("records"), middles.tolist(), widths.tolist(), strict=True
    ):
        lines = [
            str(row[name]),
            f"{row['density_per_ha']:.0f} per ha",
            f"{row['count']:,}",
        ]
        if gaps:
            lines[2] += f", {row['gaps']:,} gaps"
        lines = [line for line in lines if font.getlength(line) < room - 4]
        words = "\n".join(lines)
        if words:
            pen.multiline_text(
                (x, y), words, font=font, fill=LINE_WHITE, anchor="mm", align="center",
                stroke_width=3, stroke_fill=(0, 0, 0),
            )  # fmt: skip
