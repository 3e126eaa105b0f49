"""The lazy cube: a mosaic of items on their own grid, one Dask task a chunk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from affine import Affine
from dask.base import tokenize
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from shapely import segmentize, transform, wkt

from areca.catalog.aoi import distance_km, read_aoi
from areca.catalog.grids import grid_of, same_crs, scene_box
from areca.catalog.normalise import normalise_items
from areca.catalog.origins import origin_of
from areca.catalog.pixels import Encoding, encoding_of
from areca.catalog.reader import read_scenes_native
from areca.catalog.scenes import check_names, choose_bands
from areca.errors import AoiError, CatalogError, GridError, InputError
from areca.tiles import pixel_offset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pystac
    from numpy.typing import NDArray

    from areca.catalog.aoi import Aoi
    from areca.catalog.scenes import Scene

CHUNK_PX = 2048
"""Edge of a chunk; chunks are counted from the first pixel of the items' grid."""

MAX_CHUNKS = 100_000
"""More chunks than this in one Dask graph cost more than the work itself."""


def open_cube(
    items: Iterable[pystac.Item],
    *,
    bands: Sequence[str],
    aoi: Aoi | None = None,
    crs: Any = None,  # noqa: ANN401 - whatever pyproj understands
    resolution: float | None = None,
    geobox: GeoBox | None = None,
    mask: object = None,
) -> xr.DataArray:
    """Open items as one lazy mosaic on their own grid; no pixel is read.

    Each pixel comes from the newest item (then the first by id) in which any of the
    bands is valid there. The number type is that of the files where this is known to
    lose nothing (one type, nodata told by the items or by local headers), else
    float32. Scale and offset of the items are applied. Nothing is resampled, so `crs`,
    `resolution` and `geobox` may only state the items' own grid, and `mask` is not
    supported yet.

    Args:
        items: STAC items on one grid, for example from `areca.search`.
        bands: Names of bands, in the order of the cube.
        aoi: Crop to the whole pixels around this area. For `areca.predict` rather open
            the cube whole and give the area there: nothing is read that is not needed,
            and objects at the rim see their surroundings.
        crs: The CRS that is expected.
        resolution: The pixel that is expected, CRS units.
        geobox: The window to open, on the items' grid; may reach beyond the items.
        mask: Must be left out.

    Returns:
        Dims (band, y, x) with pixel-centre coordinates, CRS and transform for
        rioxarray, Dask chunks of all bands x 2048 x 2048. Missing is NaN in floats and
        `attrs["nodata"]` (also `rio.nodata`) in integers; integers without it are
        missing nowhere. `attrs["items"]` lists the items in the order of the mosaic.

    Raises:
        GridError: The items have no common grid, or another one is asked for.
        CatalogError: There are no items, or one cannot be used.
        BandError: An item lacks a band.
        AoiError: The area lies outside the items, or is too large for one cube.
        InputError: `mask` is given, or `aoi` and `geobox` both.
    """  # noqa: DOC502 - some come from the helpers
    listed = list(items)
    if not listed:
        raise CatalogError("no items to open; widen the search")
    _check_asked(mask=mask, both=aoi is not None and geobox is not None)
    check_names(bands)
    origin = origin_of(listed)
    scenes = normalise_items(listed, catalog_href=origin, bands=bands)
    chosen = choose_bands(scenes, bands)
    grid = grid_of(scenes)
    _check_grid(grid, crs, resolution)
    row, col = pixel_offset(grid, geobox) if geobox is not None else (0, 0)
    height, width = geobox.shape if geobox is not None else grid.shape
    if aoi is not None:
        row, col, height, width = _crop(grid, aoi, scenes)
    place = _Place(grid, row, col, int(height), int(width))
    encoding = encoding_of(scenes, chosen, place.geobox)
    pixels = _lazy_pixels(scenes, tuple(bands), place, encoding)
    cube = _label(pixels, bands, place, encoding, scenes)
    return cube if aoi is None else cube.assign_attrs(cropped_to_area=True)


@dataclass(frozen=True, slots=True)
class _Place:
    """A window of a grid."""

    grid: GeoBox
    row: int
    col: int
    height: int
    width: int

    @property
    def geobox(self) -> GeoBox:
        return self.part(0, self.height, 0, self.width)

    def part(self, row0: int, row1: int, col0: int, col1: int) -> GeoBox:
        """Return the place of some rows and columns of the window."""
        shift = Affine.translation(self.col + col0, self.row + row0)
        return GeoBox(
            (row1 - row0, col1 - col0), self.grid.affine * shift, self.grid.crs
        )


@dataclass(frozen=True, slots=True)
class ReadChunk:
    """Reads one chunk of a cube; carries only the scenes that touch it."""

    scenes: tuple[Scene, ...]
    bands: tuple[str, ...]
    geobox: GeoBox
    encoding: Encoding

    def __call__(self) -> NDArray[Any]:
        """Return the pixels (band, height, width) of the chunk."""
        dtype, nodata = self.encoding
        return read_scenes_native(
            self.scenes,
            self.bands,
            self.geobox,
            dtype=dtype,
            fill=0 if nodata is None else nodata,
        )


def _lazy_pixels(
    scenes: Sequence[Scene], bands: tuple[str, ...], place: _Place, encoding: Encoding
) -> da.Array:
    rows, cols = _cuts(place.row, place.height), _cuts(place.col, place.width)
    if (len(rows) - 1) * (len(cols) - 1) > MAX_CHUNKS:
        raise AoiError(
            f"a cube of {place.height} x {place.width} pixels has more than "
            f"{MAX_CHUNKS} chunks; use a smaller area, or areca run for a region"
        )
    boxes = np.array([scene_box(scene, place.geobox) for scene in scenes])
    name = "areca-cube-" + tokenize(
        [scene.to_dict() for scene in scenes], bands, str(place), str(encoding)
    )
    graph: dict[tuple[str, int, int, int], tuple[ReadChunk]] = {}
    for i, (row0, row1) in enumerate(pairwise(rows)):
        for j, (col0, col1) in enumerate(pairwise(cols)):
            touches = (
                (boxes[:, 0] < row1)
                & (boxes[:, 2] > row0)
                & (boxes[:, 1] < col1)
                & (boxes[:, 3] > col0)
            )
            here = tuple(scenes[k] for k in np.flatnonzero(touches).tolist())
            part = place.part(row0, row1, col0, col1)
            graph[name, 0, i, j] = (ReadChunk(here, bands, part, encoding),)
    chunks = (
        (len(bands),),
        tuple(np.diff(rows).tolist()),
        tuple(np.diff(cols).tolist()),
    )
    return da.Array(graph, name, chunks, dtype=encoding.dtype)


def _cuts(first: int, size: int) -> list[int]:
    """Return the borders of chunks in a window, as offsets from its first pixel."""
    inner = range((first // CHUNK_PX + 1) * CHUNK_PX, first + size, CHUNK_PX)
    return [0, *(border - first for border in inner), size]


def _label(
    pixels: da.Array,
    bands: Sequence[str],
    place: _Place,
    encoding: Encoding,
    scenes: Sequence[Scene],
) -> xr.DataArray:
    affine = place.grid.affine
    x = affine.c + (place.col + np.arange(place.width) + 0.5) * affine.a
    y = affine.f + (place.row + np.arange(place.height) + 0.5) * affine.e
    cube: xr.DataArray = xr.DataArray(
        pixels,
        dims=("band", "y", "x"),
        coords={"band": list(bands), "y": y, "x": x},
        attrs={"items": [_item_attrs(scene) for scene in scenes]},
        name="areca",
    )
    cube = cube.rio.write_crs(str(place.grid.crs))
    cube = cube.rio.write_transform(place.geobox.affine)
    if encoding.nodata is not None:
        # What rio.write_nodata does, but with a plain number that JSON can hold.
        cube.attrs |= {"_FillValue": encoding.nodata, "nodata": encoding.nodata}
    return cube


def _item_attrs(scene: Scene) -> dict[str, Any]:
    a, _, c, _, e, f = scene.transform
    height, width = scene.shape
    scaled = {b.name: [b.scale, b.offset] for b in scene.bands if b.is_scaled}
    return {
        "id": scene.id,
        "collection": scene.collection,
        "start": scene.start,
        "end": scene.end,
        "bounds": [c, f + height * e, c + width * a, f],
        **({"scale_offset": scaled} if scaled else {}),
    }


def _check_asked(*, mask: object, both: bool) -> None:
    if mask is not None:
        raise InputError(
            f"mask={mask!r} is not supported by the direct reader yet; leave it out"
        )
    if both:
        raise InputError("aoi and geobox both say what to open; give one of them")


def _check_grid(grid: GeoBox, crs: object, resolution: float | None) -> None:
    pixel = (grid.affine.a, -grid.affine.e)
    if crs is not None and not same_crs(str(crs), str(grid.crs)):
        raise GridError(
            f"the items are in {grid.crs}, and {crs} is asked for. It would need a "
            "warp, which areca does not do yet; leave crs out"
        )
    if resolution is not None and any(
        not math.isclose(abs(resolution), size, rel_tol=1e-6) for size in pixel
    ):
        raise GridError(
            f"the items have pixels of {pixel[0]:.10g} x {pixel[1]:.10g} in CRS units, "
            f"and {resolution:.10g} is asked for. It would need a warp, which areca "
            "does not do yet; leave resolution out"
        )


def _crop(grid: GeoBox, aoi: Aoi, scenes: Sequence[Scene]) -> tuple[int, int, int, int]:
    """Return the pixels of a grid around an area.

    Returns:
        Row, column, height and width.

    Raises:
        AoiError: The area does not touch the grid.
    """
    area = read_aoi(aoi)
    west, south, east, north = area.bounds
    step = max(east - west, north - south) / 32
    there = Transformer.from_crs("EPSG:4326", str(grid.crs), always_xy=True)
    placed = transform(
        segmentize(area, step),
        lambda lonlat: np.column_stack(there.transform(lonlat[:, 0], lonlat[:, 1])),
    )
    left, bottom, right, top = placed.bounds
    height, width = grid.shape
    outer = (0, 0, height, width)
    if all(map(math.isfinite, (left, bottom, right, top))):
        col0, row0 = ~grid.affine * (left, top)
        col1, row1 = ~grid.affine * (right, bottom)
        # An edge that falls on a pixel border by all but noise is that border.
        outer = (
            max(0, math.floor(row0 + 1e-6)),
            max(0, math.floor(col0 + 1e-6)),
            min(height, math.ceil(row1 - 1e-6)),
            min(width, math.ceil(col1 - 1e-6)),
        )
    row, col, row_end, col_end = outer
    if row >= row_end or col >= col_end:
        away = distance_km(area, [wkt.loads(scene.footprint) for scene in scenes])
        raise AoiError(
            f"the area ({west:.6g}, {south:.6g}, {east:.6g}, {north:.6g}) lies outside "
            f"the items, {away:,.1f} km from the nearest. Check the order W,S,E,N"
        )
    return row, col, row_end - row, col_end - col
