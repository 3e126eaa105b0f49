"""Other readers give the pixels that rasterio gives."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from catalog_rasters import draw, make_item
from rasterio.errors import RasterioError
from rasterio.windows import Window

from areca.catalog import (
    CubeOptions,
    Mask,
    backends,
    normalise_items,
    open_cube,
    search,
    set_origin,
)
from areca.errors import InputError, ReadError

OTHERS = ["odc-stac", "stackstac"]


def local(*items):
    return set_origin(items, ".")


def one_band_an_asset(write_tiff, **options):
    """An item of three files, each of one band."""
    item = None
    for k, name in enumerate(["red", "green", "nir"]):
        pixels = draw(1, 300, 340, seed=k, dtype="uint16")
        pixels[0, 20:40, 30 + k : 50] = 7
        made = make_item(write_tiff(f"{name}.tif", pixels, **options), names=[name])
        item = item or made
        item.assets[name] = made.assets["image"]
    del item.assets["image"]
    return item


@pytest.mark.parametrize("reader", OTHERS)
@pytest.mark.parametrize(
    "extra", [{}, {"geobox": True}, {"resolution": 3.0}], ids=["own", "crop", "warped"]
)
def test_readers_agree_on_one_band_an_asset(write_tiff, reader, extra):
    items = local(one_band_an_asset(write_tiff, nodata=7))
    bands = ["nir", "red"]
    plain = open_cube(items, bands=bands)
    if extra.get("geobox"):
        extra = {"geobox": plain.isel(y=slice(13, 250), x=slice(5, 222)).odc.geobox}
    options = CubeOptions(reader=reader, chunk_px=128)
    direct = open_cube(items, bands=bands, **extra).compute()
    found = open_cube(items, bands=bands, options=options, **extra).compute()
    assert (found == 7).any()
    xr.testing.assert_identical(found, direct)


@pytest.mark.parametrize("reader", OTHERS)
def test_readers_agree_on_the_stored_catalogue(shared_data, reader):
    catalog = shared_data / "stac_catalog"
    landsat = search(catalog, collections=["landsat8-l1-small"])
    mask = Mask("BQA", drop=["cloud"], scheme="bqa_pre")
    bands = ["red", "nir", "swir22"]
    options = CubeOptions(reader=reader)
    xr.testing.assert_identical(
        open_cube(landsat, bands=bands, mask=mask, options=options).compute(),
        open_cube(landsat, bands=bands, mask=mask).compute(),
    )


def test_odc_stac_reads_files_of_several_bands(shared_data):
    catalog = shared_data / "stac_catalog"
    items = search(catalog, collections=["sentinel2-slovenia"], datetime="2015-07-11")
    options = CubeOptions(reader="odc-stac")
    xr.testing.assert_identical(
        open_cube(items, bands=["nir", "B11"], options=options).compute(),
        open_cube(items, bands=["nir", "B11"]).compute(),
    )


def test_stackstac_refuses_files_of_several_bands_before_any_read(write_tiff):
    items = local(make_item(write_tiff("a.tif", draw(3, 30, 30))))
    options = CubeOptions(reader="stackstac")
    for bands in (["red", "green"], ["blue"]):
        with pytest.raises(InputError, match=r"reader='direct'.* or 'odc-stac'"):
            open_cube(items, bands=bands, options=options)
    # What only the file tells comes out when it is read.
    cube = open_cube(items, bands=["red"], options=options)
    with pytest.raises(ReadError, match="3 bands; stackstac takes one"):
        cube.compute()


def test_a_reader_that_is_not_there_is_named(monkeypatch):
    with pytest.raises(InputError, match="none of direct, odc-stac, stackstac"):
        CubeOptions(reader="gdal")
    monkeypatch.setitem(
        backends._OTHERS, "stackstac", ("no_such_package", backends.Stackstac)
    )
    backends.reader_named.cache_clear()
    with pytest.raises(InputError, match=r"install areca\[readers\]"):
        CubeOptions(reader="stackstac")
    backends.reader_named.cache_clear()


@pytest.mark.parametrize("reader", OTHERS)
def test_readers_read_over_http(write_tiff, file_server, reader):
    item = one_band_an_asset(write_tiff)
    for key, asset in item.assets.items():
        asset.href = f"{file_server.url}/{key}.tif"
    items = set_origin([item], file_server.url)
    bands = ["red", "nir"]
    cube = open_cube(items, bands=bands, options=CubeOptions(reader=reader))
    np.testing.assert_array_equal(cube.values, open_cube(items, bands=bands).values)


@pytest.mark.parametrize("reader", OTHERS)
def test_a_reader_takes_no_vrt_in_place_of_the_geotiff(write_tiff, tmp_path, reader):
    """A server can answer the second opening otherwise than the first."""
    ones, private = (np.full((1, 64, 64), value, "uint8") for value in (1, 99))
    path = write_tiff("public.tif", ones)
    vrt = tmp_path / "answer"
    vrt.write_text(
        '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32614</SRS>'
        "<GeoTransform>500000,2,0,5000000,0,-2</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename>'
        f"{write_tiff('private.tif', private)}</SourceFilename>"
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    (scene,) = normalise_items([make_item(path)], catalog_href=".")
    backend, window = backends.reader_named(reader), Window(0, 0, 64, 64)
    with rasterio.open(path, driver="GTiff") as file:
        assert (backend.read(file, scene, scene.bands, window) == 1).all()
        vrt.replace(path)
        with rasterio.open(path) as fooled:
            assert (fooled.read() == 99).all()
        with pytest.raises((RasterioError, RuntimeError)):
            backend.read(file, scene, scene.bands, window)
