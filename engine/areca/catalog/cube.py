"""The lazy cube: items on one pixel grid, one Dask task a chunk."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from shapely import to_wkb

from areca.catalog.backends import reader_named
from areca.catalog.chunks import Place, lazy_pixels
from areca.catalog.cropping import window_of
from areca.catalog.duplicates import without_duplicates
from areca.catalog.gdal import set_gdal
from areca.catalog.layers import LayerReader
from areca.catalog.masks import polygons_on, split_masks, with_schemes
from areca.catalog.normalise import normalise_acquisitions
from areca.catalog.options import CubeOptions
from areca.catalog.origins import origin_of
from areca.catalog.pixels import covers, encoding_of
from areca.catalog.roles import is_categorical, method_of
from areca.catalog.scenes import check_names
from areca.catalog.signing import signer_named, signing
from areca.catalog.steps import Step, steps_of
from areca.catalog.target import CELL_PX, is_aligned, target_grid
from areca.catalog.warp import Warp
from areca.errors import CatalogError, InputError
from areca.tiles import Lattice, pixel_offset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import dask.array as da
    import pystac
    from odc.geo.geobox import GeoBox
    from shapely.geometry.base import BaseGeometry

    from areca.catalog.acquisitions import Acquisition
    from areca.catalog.aoi import Aoi
    from areca.catalog.masks import Mask


def open_cube(
    items: Iterable[pystac.Item],
    *,
    bands: Sequence[str],
    aoi: Aoi | None = None,
    crs: Any = None,  # noqa: ANN401 - whatever pyproj understands
    resolution: float | None = None,
    geobox: GeoBox | None = None,
    mask: object = None,
    options: CubeOptions | None = None,
) -> xr.DataArray:
    """Open items as one lazy cube on one pixel grid; no pixel is read.

    Each pixel comes from the newest item (then the first by id) in which any of the
    bands is valid there. The number type is that of the files where this is known to
    lose nothing (one type, nodata told by the items or by local headers), else
    float32. Scale and offset of the items are applied.

    Items that share a grid are read as they are. Items of several grids, and bands of
    several pixel sizes, are warped to the grid of `areca.catalog.target.target_grid`,
    or to the one that `crs`, `resolution` or `geobox` ask for; in fixed cells of that
    grid, so that chunks and crops never change a pixel.

    Args:
        items: STAC items, for example from `areca.search`.
        bands: Names of bands, in the order of the cube.
        aoi: Crop to the whole pixels around this area. For `areca.predict` rather open
            the cube whole and give the area there: nothing is read that is not needed,
            and objects at the rim see their surroundings.
        crs: The CRS of the cube; the items' own when left out, see above.
        resolution: Edge of a pixel, CRS units.
        geobox: The window to open; may reach beyond the items.
        mask: Which pixels count: `areca.Mask("scl", drop=["cloud", "shadow"])`, a
            vector file or geometry in degrees (pixels whose centre lies inside), or a
            list of these. A masked pixel of an item is missing there, and the next
            item shows through.
        options: Layers over time, resampling, size of chunks.

    Returns:
        Dims (band, y, x), or (time, band, y, x) with layers over time, with
        pixel-centre coordinates, CRS and transform for rioxarray, Dask chunks of all
        bands x 2048 x 2048. Missing is NaN in floats and `attrs["nodata"]` (also
        `rio.nodata`) in integers; integers without it are missing nowhere.
        `attrs["items"]` lists the items in the order of the mosaic,
        `attrs["categorical"]` the bands of classes and quality bits, if any.

    Raises:
        GridError: The items have no common grid and none can be made for them.
        CatalogError: There are no items, or one cannot be used.
        BandError: An item lacks a band.
        AoiError: The area lies outside the items, or is too large for one cube.
        InputError: `aoi` and `geobox` are both given, `mask` is none, or layers are to
            be days and several items have no date.
    """  # noqa: DOC502 - some come from the helpers
    options = options or CubeOptions()
    listed = list(items)
    if not listed:
        raise CatalogError("no items to open; widen the search")
    if aoi is not None and geobox is not None:
        raise InputError("aoi and geobox both say what to open; give one of them")
    check_names(bands)
    quality, area = split_masks(mask)
    needed = list(dict.fromkeys([*bands, *(one.band for one in quality)]))
    origin = origin_of(listed)
    kept, again = without_duplicates(listed)
    set_gdal(options.gdal.items())
    with signing(signer_named(options.sign)):
        found = normalise_acquisitions(kept, catalog_href=origin, bands=needed)
    found = [
        one.with_classes(m.band for m in quality).with_scales(options.scale_offset)
        for one in found
    ]
    finest = [one.with_bands(bands)[0][0] for one in found]
    grid = target_grid(finest, crs=crs, resolution=resolution, geobox=geobox)
    row, col = pixel_offset(grid, geobox) if geobox is not None else (0, 0)
    height, width = geobox.shape if geobox is not None else grid.shape
    if aoi is not None:
        row, col, height, width = window_of(grid, aoi, finest)
    place = Place(grid, row, col, int(height), int(width))
    steps = steps_of(found, options.time)
    quality = with_schemes(quality, found)
    masks = quality, None if area is None else polygons_on(area, str(grid.crs))
    reader = _reader(steps, tuple(bands), place, masks, options)
    pixels = lazy_pixels([step.found for step in steps], reader, place, options)
    cube = _label(pixels, place, reader, found, [step.time for step in steps])
    if told := _told(*masks):
        cube.attrs["masks"] = told
    if again:
        cube.attrs["duplicates"] = sorted(item.id for item in again)
    return cube if aoi is None else cube.assign_attrs(cropped_to_area=True)


def _told(quality: Sequence[Mask], area: tuple[BaseGeometry, ...] | None) -> list[str]:
    """Return what a cube leaves out, in words that differ where that does."""
    told = [f"{mask.words} (as {mask.scheme})" for mask in quality]
    if area is None:
        return told
    digest = sha256(b"".join(to_wkb(polygon) for polygon in area)).hexdigest()
    return [*told, f"all outside of polygons (SHA-256 {digest[:16]})"]


def _reader(
    steps: Sequence[Step],
    bands: tuple[str, ...],
    place: Place,
    masks: tuple[tuple[Mask, ...], tuple[BaseGeometry, ...] | None],
    options: CubeOptions,
) -> LayerReader:
    lattice = Lattice.of(place.grid, core_px=CELL_PX)
    quality, area = masks

    def is_covered() -> bool:
        is_whole = not quality and area is None
        return is_whole and all(
            all(is_aligned(part, lattice) for one in step.found for part in one.parts)
            and covers([one.parts[0] for one in step.found], place.geobox)
            for step in steps
        )

    for part in (part for step in steps for one in step.found for part in one.parts):
        reader_named(options.reader).check(part, part.bands)
    all_bands = [
        one.band(name) for step in steps for one in step.found for name in bands
    ]
    return LayerReader(
        bands=bands,
        lattice=lattice,
        encoding=encoding_of(all_bands, is_covered=is_covered),
        methods=tuple(sorted(options.resampling.items())),
        masks=quality,
        area=area,
        backend=options.reader,
        sign=signer_named(options.sign),
        gdal=tuple(sorted(options.gdal.items())),
        # Cells lie where the grid has them; chunks that do not share some.
        keeps_cells=options.chunks_from == "corner",
    )


def _label(
    pixels: da.Array,
    place: Place,
    reader: LayerReader,
    found: Sequence[Acquisition],
    times: Sequence[np.datetime64],
) -> xr.DataArray:
    affine = place.grid.affine
    x = affine.c + (place.col + np.arange(place.width) + 0.5) * affine.a
    y = affine.f + (place.row + np.arange(place.height) + 0.5) * affine.e
    coords: dict[str, Any] = {"band": list(reader.bands), "y": y, "x": x}
    if pixels.ndim == 4:
        coords["time"] = np.array(times, "datetime64[ns]")
    cube: xr.DataArray = xr.DataArray(
        pixels,
        dims=("time", "band", "y", "x")[-pixels.ndim :],
        coords=coords,
        attrs={
            "items": [_item_attrs(one, reader) for one in found if reader.ground(one)]
        },
        name="areca",
    )
    cube = cube.rio.write_crs(str(place.grid.crs))
    cube = cube.rio.write_transform(place.geobox.affine)
    classes = [n for n in reader.bands if any(is_categorical(o.band(n)) for o in found)]
    if classes:
        cube.attrs["categorical"] = classes
    nodata = reader.encoding.nodata
    if nodata is not None:
        # What rio.write_nodata does, but with a plain number that JSON can hold.
        cube.attrs |= {"_FillValue": nodata, "nodata": nodata}
    return cube


def _item_attrs(one: Acquisition, reader: LayerReader) -> dict[str, Any]:
    """Return what is to be kept of an item: where each band of it comes from."""
    scene = one.parts[0]
    asked = list(dict.fromkeys([*reader.bands, *(mask.band for mask in reader.masks)]))
    bands = {name: one.band(name) for name in asked}
    assets = {name: asset for name, b in bands.items() if (asset := b.asset)}
    shown = {name: bands[name] for name in reader.bands}
    scaled = {name: [b.scale, b.offset] for name, b in shown.items() if b.is_scaled}
    warped = {
        name: method_of(
            bands[name],
            Warp.of(part, reader.lattice).shrink,
            dict(reader.methods) if name in shown else {},
        )
        for part, positions in one.with_bands(asked)
        if not is_aligned(part, reader.lattice)
        for name in (asked[position] for position in positions)
    }
    return {
        "id": scene.id,
        "collection": scene.collection,
        "start": scene.start,
        "end": scene.end,
        "bounds": _bounds_of(one, reader),
        **({"assets": assets} if assets else {}),
        **({"scale_offset": scaled} if scaled else {}),
        **({"resampling": warped} if warped else {}),
    }


def _bounds_of(one: Acquisition, reader: LayerReader) -> list[float]:
    """Return left, bottom, right, top of an acquisition on the cube's grid."""
    scene = one.parts[0]
    if is_aligned(scene, reader.lattice):
        a, _, c, _, e, f = scene.transform
        height, width = scene.shape
        return [c, f + height * e, c + width * a, f]
    ground = reader.ground(one)
    return list(reader.lattice.geobox(ground).boundingbox) if ground else []
