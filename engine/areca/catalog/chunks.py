"""The chunks of a cube as tasks of a Dask graph."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from affine import Affine
from dask.base import tokenize
from odc.geo.geobox import GeoBox

from areca.catalog.target import CELL_PX, is_aligned
from areca.errors import AoiError
from areca.tiles import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from areca.catalog.acquisitions import Acquisition
    from areca.catalog.layers import LayerReader
    from areca.catalog.options import CubeOptions

MAX_CHUNKS = 100_000
"""More chunks than this in one Dask graph cost more than the work itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """A window of a grid."""

    grid: GeoBox
    row: int
    """First row, counted from that of the grid."""
    col: int
    """First column, as `row`."""
    height: int
    width: int

    @property
    def geobox(self) -> GeoBox:
        """Where it lies."""
        shift = Affine.translation(self.col, self.row)
        return GeoBox(
            (self.height, self.width), self.grid.affine * shift, self.grid.crs
        )


@dataclass(frozen=True, slots=True)
class ReadChunk:
    """Reads one chunk of a layer; carries only the acquisitions that touch it."""

    found: tuple[Acquisition, ...]
    reader: LayerReader
    window: Window
    is_step: bool
    """Whether the layer is a step of time and gets an axis for it."""

    def __call__(self) -> NDArray[Any]:
        """Return the pixels (band, height, width) of the chunk."""
        pixels = self.reader.read(self.found, self.window)
        return pixels[None] if self.is_step else pixels


def lazy_pixels(
    layers: Sequence[Sequence[Acquisition]],
    reader: LayerReader,
    place: Place,
    options: CubeOptions,
) -> da.Array:
    """Return the chunks of layers, one task each.

    Args:
        layers: What is laid over each other in each layer, the first on top.
        reader: How they are read.
        place: The window of the cube.
        options: Size of chunks; whether the layers are steps of time.

    Returns:
        Dims (band, y, x) of one mosaic, else (time, band, y, x).

    Raises:
        AoiError: There would be too many chunks.
    """
    base = reader.lattice.window(place.grid)
    row, col = base.row0 + place.row, base.col0 + place.col
    is_own = all(
        is_aligned(part, reader.lattice)
        for found in layers
        for one in found
        for part in one.parts
    )
    # A warped chunk is made of whole cells: no cell is then warped for two chunks.
    edge = options.chunk_px if is_own else max(1, options.chunk_px // CELL_PX) * CELL_PX
    firsts = (place.row, place.col) if is_own else (row, col)
    if options.chunks_from == "corner":
        edge, firsts = options.chunk_px, (0, 0)
    rows = _cuts(firsts[0], place.height, edge)
    cols = _cuts(firsts[1], place.width, edge)
    if len(layers) * (len(rows) - 1) * (len(cols) - 1) > MAX_CHUNKS:
        raise AoiError(
            f"a cube of {len(layers)} x {place.height} x {place.width} pixels (of "
            f"{reader.lattice.pixel_x:g} in the unit of {reader.lattice.crs[:40]}) has "
            f"more than {MAX_CHUNKS} chunks; use a smaller area or larger pixels, or "
            "areca run for a region"
        )
    told = [[[part.to_dict() for part in a.parts] for a in found] for found in layers]
    name = "areca-cube-" + tokenize(told, reader.key, str(place), edge)
    is_step = options.time != "mosaic"
    graph: dict[tuple[str | int, ...], tuple[ReadChunk]] = {}
    for time, found in enumerate(layers):
        grounds = [(one, reader.ground(one)) for one in found]
        for i, (row0, row1) in enumerate(pairwise(rows)):
            for j, (col0, col1) in enumerate(pairwise(cols)):
                window = Window(row + row0, col + col0, row + row1, col + col1)
                here = tuple(
                    one for one, ground in grounds
                    if ground is not None and ground.intersection(window) is not None
                )  # fmt: skip
                key = (name, time, 0, i, j) if is_step else (name, 0, i, j)
                graph[key] = (ReadChunk(here, reader.within(window), window, is_step),)
    chunks: tuple[tuple[int, ...], ...] = (
        *([(1,) * len(layers)] if is_step else []),
        (len(reader.bands),),
        tuple(np.diff(rows).tolist()),
        tuple(np.diff(cols).tolist()),
    )
    pixels = da.Array(graph, name, chunks, dtype=reader.encoding.dtype)
    if edge == options.chunk_px:
        return pixels
    wanted = [
        np.diff(_cuts(first, size, options.chunk_px)).tolist()
        for first, size in ((row, place.height), (col, place.width))
    ]
    rechunked: da.Array = pixels.rechunk((*chunks[:-2], *map(tuple, wanted)))
    return rechunked


def _cuts(first: int, size: int, edge: int) -> list[int]:
    """Return the borders of chunks in a window, as offsets from its first pixel.

    Args:
        first: First pixel of the window, counted from where chunks are.
        size: Pixels of the window.
        edge: Edge of a chunk.
    """
    inner = range((first // edge + 1) * edge, first + size, edge)
    return [0, *(border - first for border in inner), size]
