"""A sheet of bands: each band of a stack as a tile with its name and its range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import compute
from PIL import Image, ImageDraw, ImageFont

from areca.errors import GridError, InputError
from areca.objects.class_raster import flags_of
from areca.runs.class_map import PALETTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

TILE_PX = 320
"""Longest edge of a tile."""
TEXT_PX = 260
"""Least width of the place of a tile: the lines above it want that."""
MOST_COLUMNS = 6
LINE_PX = 17
HEAD_PX = 3 * LINE_PX + 5
GAP_PX = 14
FONT_PX = 13
INK, PAPER, QUIET = (24, 26, 28), (255, 255, 255), (110, 114, 118)
MISSING = ((214, 40, 40), (250, 214, 214))
"""Stripes where nothing is known: red on pale red, which no band is drawn in."""
PERCENT = (2.0, 98.0)
"""Percentiles of a band that become black and white."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Band:
    """One band as it will be drawn."""

    name: str
    pixels: NDArray[Any]
    """Shape (height, width), some of the pixels."""
    valid: NDArray[np.bool_]
    """The same shape."""
    known: int
    """Of all pixels, how many are there."""
    share: float
    """The same as a share, 0 to 1."""
    low: float
    """The smallest number of all pixels."""
    high: float
    """The largest."""
    classes: tuple[tuple[int, str], ...] = ()
    """Values of classes and their names, of a class raster."""

    @property
    def is_ids(self) -> bool:
        """Whether it numbers things: 64-bit integers, as of `areca.segment`."""
        return self.pixels.dtype.kind in "iu" and self.pixels.dtype.itemsize == 8


def band_sheet(
    cubes: xr.DataArray | Sequence[xr.DataArray],
    path: Path | str,
    *,
    tile_px: int = TILE_PX,
) -> Path:
    """Draw every band as a tile of one picture, to look at before it is used.

    Each band is drawn in grey from its own 2nd to its own 98th percentile, with its
    smallest and largest number and the share that is missing; missing pixels are
    striped red. Class rasters (with `flag_values`) and ids of segments are coloured.
    Of large rasters every so many rows and columns are shown, as they are, and the
    percentiles are theirs; small rasters are enlarged. This reads the cubes once.

    Args:
        cubes: Dims (band, y, x) or (y, x); one, or several, for example a stack, the
            ids of `areca.segment` and the classes of `areca.classify`.
        path: PNG file to write; one that is there is replaced.
        tile_px: Longest edge of a tile.

    Returns:
        The file.

    Raises:
        GridError: A cube has other dims, for example time.
        InputError: There is no band, the file is no PNG by its name, its folder is not
            there, or the tiles are too small.
    """  # noqa: DOC502 - GridError is raised by _look
    path = Path(path)
    check_sheet(path)
    if tile_px < 32:
        raise InputError(f"tile_px must be 32 or more, got {tile_px}")
    listed = [cubes] if isinstance(cubes, xr.DataArray) else list(cubes)
    looks = [_look(cube, tile_px) for cube in listed]
    # Together, so that what cubes share is read once.
    found = compute(*(look for _, _, look in looks))
    bands = [
        band
        for (cube, _, _), look in zip(looks, found, strict=True)
        for band in _bands(cube, look)
    ]
    if not bands:
        raise InputError("there is no band to draw; give a cube with one at least")
    _drawn(bands, tile_px, [step for _, step, _ in looks]).save(path)
    return path


def check_sheet(path: Path) -> None:
    """Refuse a file that no sheet can be written to.

    Raises:
        InputError: It is no PNG by its name, or its folder is not there.
    """
    if path.suffix.lower() != ".png":
        raise InputError(f"the sheet {path} is no PNG by its name; call it NAME.png")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}; make it first")


def _look(cube: xr.DataArray, tile_px: int) -> tuple[xr.DataArray, int, list[Any]]:
    """Return what is to be known of a cube, nothing of it computed yet.

    Returns:
        The cube as (band, y, x); of how many rows and columns one is shown; the pixels
        to show, and of all pixels the number, least and largest of each band.

    Raises:
        GridError: Its dims are others.
    """
    if set(cube.dims) not in ({"band", "y", "x"}, {"y", "x"}):
        raise GridError(
            f"a sheet shows the dims (band, y, x) or (y, x), got {cube.dims}; choose "
            "one time, for example cube.isel(time=-1)"
        )
    if "band" not in cube.dims:
        name = "band" if cube.name is None else str(cube.name)
        cube = cube.drop_vars("band", errors="ignore").expand_dims(band=[name])
    cube = cube.transpose("band", "y", "x")
    step = max(1, -(-max(cube.shape[1:]) // tile_px))
    pixels = cube.variable.data
    there = np.isfinite(pixels)
    nodata = cube.rio.nodata
    if nodata is not None and np.isfinite(nodata):
        there &= pixels != nodata
    is_float = pixels.dtype.kind == "f"
    least = -np.inf if is_float else np.iinfo(pixels.dtype).min
    most = np.inf if is_float else np.iinfo(pixels.dtype).max
    where = da.where if isinstance(pixels, da.Array) else np.where
    return (
        cube,
        step,
        [
            pixels[:, ::step, ::step],
            there[:, ::step, ::step],
            there.sum(axis=(1, 2)),
            where(there, pixels, pixels.dtype.type(most)).min(axis=(1, 2)),
            where(there, pixels, pixels.dtype.type(least)).max(axis=(1, 2)),
        ],
    )


def _bands(cube: xr.DataArray, look: Sequence[Any]) -> Iterator[_Band]:
    numbers, words = flags_of(cube)
    if len(words) != len(numbers):
        words = [str(number) for number in numbers]
    names = [str(name) for name in cube.band.values]
    for name, pixels, valid, known, low, high in zip(names, *look, strict=True):
        yield _Band(
            name=name,
            pixels=pixels,
            valid=valid,
            known=int(known),
            share=int(known) / (cube.sizes["y"] * cube.sizes["x"]),
            low=float(low),
            high=float(high),
            classes=tuple(zip(numbers, words, strict=True)),
        )


def _drawn(bands: Sequence[_Band], tile_px: int, steps: Sequence[int]) -> Image.Image:
    """Return the sheet, a little wider than it is high."""
    tiles = [_tile(band, tile_px) for band in bands]
    columns = min(MOST_COLUMNS, math.ceil(math.sqrt(len(bands) * 1.3)))
    lines = -(-len(bands) // columns)
    across = max(TEXT_PX, *(tile.width for tile in tiles)) + GAP_PX
    down = max(tile.height for tile in tiles) + HEAD_PX + GAP_PX
    size = columns * across + GAP_PX, lines * down + GAP_PX + 2 * LINE_PX
    sheet = Image.new("RGB", size, PAPER)
    font = ImageFont.load_default(size=FONT_PX)
    pen = ImageDraw.Draw(sheet)
    for number, (band, tile) in enumerate(zip(bands, tiles, strict=True)):
        row, col = divmod(number, columns)
        left, top = GAP_PX + col * across, GAP_PX + row * down
        inks = [INK, QUIET, QUIET]
        for line, (text, ink) in enumerate(zip(_words(band), inks, strict=False)):
            fitted = _fitted(text, font, across - GAP_PX)
            pen.text((left, top + line * LINE_PX), fitted, fill=ink, font=font)
        if band.classes and band.known:
            _legend(pen, band, (left, top + 2 * LINE_PX), across - GAP_PX)
        sheet.paste(tile, (left, top + HEAD_PX))
    told = [f"one pixel of {n} x {n} is shown" for n in sorted({*steps} - {1})]
    told += [
        f"black to white: {PERCENT[0]:g} to {PERCENT[1]:g} % of a band",
        "red stripes: nothing known, or a function lacks neighbours that it needs",
    ]
    foot = _fitted("; ".join(told), font, size[0] - 2 * GAP_PX)
    pen.text((GAP_PX, size[1] - LINE_PX - 6), foot, fill=QUIET, font=font)
    return sheet


def _words(band: _Band) -> list[str]:
    """Return what stands over a tile; classes have a legend for the third line."""
    missing = f"{100 * (1 - band.share):.3g} % missing"
    missing = "none missing" if band.share == 1 else missing
    if not band.known:
        return [band.name, "nothing known"]
    if band.classes:
        return [band.name, f"{len(band.classes)} classes, {missing}"]
    if band.is_ids:
        count = np.unique(band.pixels[band.valid]).size
        return [band.name, f"{count:,} ids are shown, {missing}"]
    low, high = _range(band)
    span = high - low
    shown = [0 if abs(end) < 1e-6 * span else end for end in (low, high)]
    return [
        band.name,
        f"{band.low:.4g} to {band.high:.4g}, {missing}",
        f"drawn from {shown[0]:.4g} to {shown[1]:.4g}",
    ]


def _legend(
    pen: ImageDraw.ImageDraw, band: _Band, corner: tuple[int, int], width: int
) -> None:
    """Draw a square of each class with its name, as many as there is room for."""
    font = ImageFont.load_default(size=FONT_PX - 2)
    left, top = corner
    for number, (_, name) in enumerate(band.classes):
        room = corner[0] + width - left - LINE_PX
        if room < font.getlength("…"):
            return
        colour = PALETTE[number % len(PALETTE)]
        pen.rectangle((left, top + 3, left + 10, top + 13), fill=colour)
        text = _fitted(name.removeprefix("class_"), font, room)
        pen.text((left + 14, top + 1), text, fill=QUIET, font=font)
        left += 14 + round(font.getlength(text)) + 8


def _tile(band: _Band, tile_px: int) -> Image.Image:
    """Return the picture of a band; a small one is enlarged a whole number of times."""
    height, width = band.valid.shape
    if band.classes:
        colours = _class_colours(band)
    elif band.is_ids:
        colours = _id_colours(band.pixels)
    else:
        colours = np.repeat(_grey(band)[..., None], 3, axis=-1)
    zoom = max(1, tile_px // max(height, width))
    large = colours.repeat(zoom, 0).repeat(zoom, 1)
    known = band.valid.repeat(zoom, 0).repeat(zoom, 1)
    rows, cols = np.mgrid[: height * zoom, : width * zoom]
    stripes = np.where((rows + cols)[..., None] % 8 < 3, *np.array(MISSING, np.uint8))
    return Image.fromarray(np.where(known[..., None], large, stripes))


def _range(band: _Band) -> tuple[float, float]:
    """Return the numbers that are black and white."""
    there = band.pixels[band.valid].astype(np.float64)
    if not there.size:
        return band.low, band.high
    low, high = (float(end) for end in np.percentile(there, PERCENT))
    # Where nearly all pixels have one value, the others are to be seen.
    return (low, high) if low < high else (band.low, band.high)


def _grey(band: _Band) -> NDArray[np.uint8]:
    low, high = _range(band)
    values = np.where(band.valid, band.pixels, low).astype(np.float64)
    share = (values - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    grey: NDArray[np.uint8] = np.rint(share.clip(0, 1) * 255).astype(np.uint8)
    return grey


def _class_colours(band: _Band) -> NDArray[np.uint8]:
    out = np.zeros((*band.valid.shape, 3), np.uint8)
    for number, (value, _) in enumerate(band.classes):
        out[band.pixels == value] = PALETTE[number % len(PALETTE)]
    return out


def _id_colours(ids: NDArray[Any]) -> NDArray[np.uint8]:
    """Return colours that neighbours seldom share: a hash of each id (Knuth)."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    colours = np.zeros((*ids.shape, 3), np.uint8)
    for channel, shift in enumerate((56, 40, 24)):
        byte = (mixed >> np.uint64(shift)) & np.uint64(0xFF)
        colours[..., channel] = 56 + byte * 3 // 4  # none is nearly black
    return colours


def _fitted(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> str:
    """Return the start of a text that is no wider than so many pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
