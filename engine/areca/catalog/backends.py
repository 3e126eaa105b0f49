"""Who reads the stored pixels of a window: rasterio itself, odc-stac or stackstac.

Every back end gets a file that areca has opened and checked, and a window of the
file's own pixels. What is missing, scaled or warped is settled after it, so all of them
give the same cube.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from shapely import wkt

from areca.errors import InputError, ReadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader
    from rasterio.windows import Window as RasterWindow

    from areca.catalog.scenes import Scene, SceneBand

READERS = ("direct", "odc-stac", "stackstac")


class PixelReader(Protocol):
    """A back end; what it opens itself it opens by the name of the given file."""

    def check(self, scene: Scene, bands: Sequence[SceneBand]) -> None:
        """Refuse, before any pixel is read, what the back end cannot read.

        Raises:
            InputError: It cannot.
        """
        ...

    def read(
        self,
        file: DatasetReader,
        scene: Scene,
        bands: Sequence[SceneBand],
        window: RasterWindow,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return stored pixels.

        Args:
            file: The open file of the bands.
            scene: The scene that they belong to.
            bands: Bands of that file.
            window: Pixels of the file.
            out: An array for them that is there already; it is used, and returned,
                where the back end can and the number type is that of the file.

        Returns:
            Shape (band, height, width), in the number type of the file.
        """
        ...


class Direct:
    """Windows by rasterio, all bands of a file in one read."""

    def check(self, scene: Scene, bands: Sequence[SceneBand]) -> None:
        """Refuse nothing."""

    def read(
        self,
        file: DatasetReader,
        scene: Scene,  # noqa: ARG002 - other back ends need it
        bands: Sequence[SceneBand],
        window: RasterWindow,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return stored pixels; see `PixelReader`."""
        indices = [band.index for band in bands]
        if out is not None and {file.dtypes[k - 1] for k in indices} == {
            out.dtype.name
        }:
            file.read(indices, window=window, out=out)
            return out
        pixels: NDArray[Any] = file.read(indices, window=window)
        return pixels


class OdcStac:
    """`odc.stac.load` on the window as its geobox."""

    def check(self, scene: Scene, bands: Sequence[SceneBand]) -> None:
        """Refuse nothing."""

    def read(
        self,
        file: DatasetReader,
        scene: Scene,
        bands: Sequence[SceneBand],
        window: RasterWindow,
        out: NDArray[Any] | None = None,  # noqa: ARG002 - it makes its own
    ) -> NDArray[Any]:
        """Return stored pixels; see `PixelReader`."""
        import odc.stac  # noqa: PLC0415 - an extra
        import pystac  # noqa: PLC0415

        name = _name(file)
        names = ["file" if file.count == 1 else f"file.{b.index}" for b in bands]
        found = odc.stac.load(
            # pystac would take the name for a relative path; so it comes later.
            [pystac.Item.from_dict(_item(file, scene, "/file.tif"))],
            bands=names,
            geobox=_place(scene, window),
            patch_url=lambda _: name,
            fail_on_error=True,
        )
        return np.stack([found[band].to_numpy()[0] for band in names])


class Stackstac:
    """`stackstac.stack` with the bounds of the window, one band an asset."""

    def check(self, scene: Scene, bands: Sequence[SceneBand]) -> None:
        """Refuse files of several bands, and a CRS without an EPSG code.

        Raises:
            InputError: There is one.
        """
        hrefs = {band.href for band in bands}
        if len(hrefs) < len(bands) or any(band.index > 1 for band in bands):
            raise InputError(
                f"item {scene.id!r} has several bands in one file, of which stackstac "
                "reads only the first; use CubeOptions(reader='direct') or 'odc-stac'"
            )
        if CRS.from_user_input(scene.crs).to_epsg() is None:
            raise InputError(
                f"item {scene.id!r} has a CRS without an EPSG code, which stackstac "
                "needs; use CubeOptions(reader='direct') or 'odc-stac'"
            )

    def read(
        self,
        file: DatasetReader,
        scene: Scene,
        bands: Sequence[SceneBand],
        window: RasterWindow,
        out: NDArray[Any] | None = None,  # noqa: ARG002 - it makes its own
    ) -> NDArray[Any]:
        """Return stored pixels; see `PixelReader`.

        Raises:
            ReadError: The file has several bands.
        """
        import stackstac  # noqa: PLC0415 - an extra

        if file.count > 1 or len(bands) > 1:
            raise ReadError(f"the file has {file.count} bands; stackstac takes one")
        place = _place(scene, window)
        # Nodata is kept as it is stored: what is missing is settled after the read.
        fill = 0 if file.nodata is None else file.nodata
        stack = stackstac.stack(
            [_item(file, scene, _name(file))],
            assets=["file"],
            epsg=CRS.from_user_input(scene.crs).to_epsg(),
            resolution=(place.affine.a, -place.affine.e),
            bounds=tuple(place.boundingbox),
            snap_bounds=False,
            chunksize=max(place.shape),
            dtype=np.dtype(file.dtypes[0]),
            fill_value=np.dtype(file.dtypes[0]).type(fill),
            rescale=False,
            errors_as_nodata=(),
            xy_coords=False,
            properties=False,
            band_coords=False,
        )
        pixels: NDArray[Any] = stack.data.compute(scheduler="sync")[0]
        return pixels


DIRECT: PixelReader = Direct()
_OTHERS: dict[str, tuple[str, type[PixelReader]]] = {
    "odc-stac": ("odc.stac", OdcStac),
    "stackstac": ("stackstac", Stackstac),
}


@functools.cache
def reader_named(name: str) -> PixelReader:
    """Return a back end by name.

    Args:
        name: One of `READERS`.

    Raises:
        InputError: There is no such reader, or its package is not installed.
    """
    if name == "direct":
        return DIRECT
    if name not in _OTHERS:
        raise InputError(f"reader={name!r} is none of {', '.join(READERS)}")
    module, kind = _OTHERS[name]
    try:
        import_module(module)
    except ImportError as err:
        raise InputError(
            f"reader={name!r} needs the package {name}; install areca[readers]"
        ) from err
    return kind()


def _place(scene: Scene, window: RasterWindow) -> GeoBox:
    shift = Affine.translation(int(window.col_off), int(window.row_off))
    shape = (int(window.height), int(window.width))
    return GeoBox(shape, Affine(*scene.transform) * shift, scene.crs)


def _item(file: DatasetReader, scene: Scene, href: str) -> dict[str, Any]:
    """Return a scene's file as the plainest item that every reader understands."""
    west, south, east, north = _footprint(scene)
    epsg = CRS.from_user_input(scene.crs).to_epsg()
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    crs = {"proj:wkt2": CRS.from_user_input(scene.crs).to_wkt(), "proj:epsg": epsg}
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
        ],
        "id": scene.id,
        "collection": "areca",
        "bbox": [west, south, east, north],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "datetime": scene.start or "1970-01-01T00:00:00Z",
            "proj:shape": list(scene.shape),
            "proj:transform": list(scene.transform),
            **(crs if epsg is None else {"proj:epsg": epsg}),
        },
        "links": [],
        "assets": {
            "file": {
                "href": href,
                "type": "image/tiff; application=geotiff",
                "roles": ["data"],
                "raster:bands": [{"data_type": dtype} for dtype in file.dtypes],
            }
        },
    }


def _name(file: DatasetReader) -> str:
    """Return the name under which other libraries open what GDAL has open.

    They ask a server again and let any driver open what it answers, and a VRT in place
    of the GeoTIFF would name files of this machine. `GTIFF_DIR:1:` is a name that only
    the GeoTIFF driver knows: the first image of a file, which is what `file` is.

    Raises:
        ReadError: The file is remote, and no such name of its format is known.
    """
    if file.driver == "GTiff":
        return f"GTIFF_DIR:1:{file.name}"
    if file.name.startswith("/vsi"):
        raise ReadError(
            f"it is a remote file of the format {file.driver}, which only areca opens "
            "as no other; use CubeOptions(reader='direct')"
        )
    return str(file.name)


def _footprint(scene: Scene) -> tuple[float, float, float, float]:
    west, south, east, north = wkt.loads(scene.footprint).bounds
    return west, south, east, north
