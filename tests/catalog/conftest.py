"""Fixtures for the tests of areca.catalog."""

import pytest
import rasterio
from rasterio.transform import Affine
from servers import serve_files


@pytest.fixture
def write_tiff(tmp_path):
    """Write pixels (band, y, x) as a GeoTIFF; returns its path."""

    def write(name, pixels, *, origin=(500_000.0, 5_000_000.0), pixel=2.0, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixel_x, pixel_y = pixel if isinstance(pixel, tuple) else (pixel, pixel)
        profile = {
            "driver": "GTiff",
            "count": pixels.shape[0],
            "height": pixels.shape[1],
            "width": pixels.shape[2],
            "dtype": pixels.dtype,
            "crs": "EPSG:32614",
            "transform": Affine(pixel_x, 0, origin[0], 0, -pixel_y, origin[1]),
            "tiled": True,
            "blockxsize": 64,
            "blockysize": 64,
            "compress": "deflate",
            **options,
        }
        with rasterio.open(path, "w", **profile) as file:
            file.write(pixels)
        return path

    return write


@pytest.fixture
def file_server(tmp_path):
    """The test's folder over HTTP on loopback."""
    with serve_files(tmp_path) as server:
        yield server
