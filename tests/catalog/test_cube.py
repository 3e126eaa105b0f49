import json
import pickle

import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from catalog_rasters import draw, make_item
from odc.geo.geobox import GeoBox

from areca.catalog import CubeOptions, chunks, open_cube, search, set_origin
from areca.errors import AoiError, BandError, CatalogError, GridError, InputError
from areca.tiles import cube_geobox

RGB = ["red", "green", "blue"]


def local(*items):
    return set_origin(items, ".")


SMALL = CubeOptions(chunk_px=32)


def test_a_cube_is_the_file_with_its_place(write_tiff):
    pixels = draw(4, 50, 70)
    path = write_tiff("a.tif", pixels)
    cube = open_cube(local(make_item(path)), bands=["nir", *RGB])
    assert cube.dims == ("band", "y", "x")
    assert cube.dtype == np.uint8
    np.testing.assert_array_equal(cube.values, pixels[[3, 0, 1, 2]])
    with rasterio.open(path) as file:
        assert cube.rio.crs == file.crs
        assert cube.rio.transform() == file.transform
    assert list(cube.band.values) == ["nir", *RGB]
    assert cube.x.values[0] == 500_001
    assert cube.y.values[0] == 4_999_999
    assert cube_geobox(cube).shape == (50, 70)


@pytest.mark.usefixtures("no_compute")
def test_opening_and_cropping_read_no_pixel(write_tiff, monkeypatch):
    item = make_item(write_tiff("a.tif", draw(3, 50, 70)))

    def refuse(*_args, **_options):
        message = "a pixel was read"
        raise AssertionError(message)

    monkeypatch.setattr("areca.catalog.layers.read_file", refuse)
    cube = open_cube(local(item), bands=RGB)
    assert cube.isel(y=slice(3, 9)).chunks is not None
    assert "areca-cube" in repr(cube)


def test_each_chunk_is_one_task_with_only_its_scenes(write_tiff):
    items = [
        make_item(
            write_tiff(f"{k}.tif", draw(3, 32, 32, seed=k), origin=(5e5 + 64 * k, 5e6))
        )
        for k in range(4)
    ]
    cube = open_cube(local(*items), bands=RGB, options=SMALL)
    tasks = dict(cube.data.__dask_graph__())
    assert len(tasks) == cube.data.npartitions == 4
    assert cube.data.chunks == ((3,), (32,), (32, 32, 32, 32))
    assert max(len(pickle.dumps(task)) for task in tasks.values()) < 4_000
    expected = np.concatenate([draw(3, 32, 32, seed=k) for k in range(4)], axis=2)
    np.testing.assert_array_equal(cube.values, expected)


@pytest.mark.parametrize("edge", [7, 32, 1000])
def test_chunking_never_changes_the_answer(write_tiff, edge):
    old, new = draw(3, 60, 60, seed=1), draw(3, 60, 60, seed=2)
    new[:, 5:20, 5:20] = 0
    items = [
        make_item(write_tiff("old.tif", old, nodata=0), when="2020-01-01"),
        make_item(
            write_tiff("new.tif", new, nodata=0, origin=(500_020.0, 4_999_990.0)),
            when="2021-01-01",
        ),
    ]
    expected = np.zeros((3, 65, 70), np.uint8)
    expected[:, :60, :60] = old
    np.copyto(expected[:, 5:, 10:], new, where=new != 0)
    options = CubeOptions(chunk_px=edge)
    cube = open_cube(local(*items[::-1]), bands=RGB, options=options)
    assert (cube.dtype, cube.attrs["nodata"], cube.rio.nodata) == (np.uint8, 0, 0)
    np.testing.assert_array_equal(cube.values, expected)


def test_a_crop_is_part_of_the_whole_with_the_same_chunk_borders(write_tiff):
    item = make_item(write_tiff("a.tif", draw(3, 100, 130)))
    whole = open_cube(local(item), bands=RGB, options=SMALL)
    west, south, east, north = item.bbox
    third, fifth = (east - west) / 3, (north - south) / 5
    aoi = (west + third, south + fifth, east - third / 3, north - fifth)
    part = open_cube(local(item), bands=RGB, aoi=aoi, options=SMALL)
    assert part.sizes["x"] < 100
    same = whole.sel(x=part.x, y=part.y)
    xr.testing.assert_equal(part.compute(), same.compute())
    first = int((part.x[0] - whole.x[0]) / 2)
    borders = np.cumsum(part.chunksizes["x"])[:-1] + first
    assert len(borders)
    assert (borders % 32 == 0).all()
    np.testing.assert_array_equal(same.x, part.x)


def test_a_crop_holds_every_pixel_that_touches_the_area(shared_data):
    items = search(shared_data / "stac_catalog", collections=["kluang-oil-palm"])
    aoi = (103.2863, 2.1590, 103.2870, 2.1597)
    cube = open_cube(items, bands=RGB, aoi=aoi)
    bounds = cube_geobox(cube).boundingbox
    pixel = 1.9479e-6
    for side, wanted, sign in zip(bounds.bbox, aoi, (-1, -1, 1, 1), strict=True):
        assert 0 <= sign * (side - wanted) < pixel
    path = shared_data / "kluang_oil_palm" / "kluang_west.tif"
    with rasterio.open(path) as file:
        window = file.window(*bounds.bbox).round_offsets().round_lengths()
        np.testing.assert_array_equal(cube.values, file.read(window=window))


def test_a_geobox_may_reach_beyond_the_items(write_tiff):
    pixels = draw(3, 20, 20)
    items = local(make_item(write_tiff("a.tif", pixels)))
    grid = cube_geobox(open_cube(items, bands=RGB))
    wider = GeoBox((30, 40), grid.affine * Affine.translation(-15, -5), grid.crs)
    cube = open_cube(items, bands=RGB, geobox=wider)
    assert cube.dtype == np.float32
    expected = np.full((3, 30, 40), np.nan, np.float32)
    expected[:, 5:25, 15:35] = pixels
    np.testing.assert_array_equal(cube.values, expected)
    assert cube_geobox(cube).affine.almost_equals(wider.affine, 1e-9)
    with pytest.raises(InputError, match="geobox says CRS and resolution"):
        open_cube(items, bands=RGB, geobox=wider, crs="EPSG:32614")


@pytest.mark.parametrize(
    ("fields", "options", "dtype", "nodata"),
    [
        ({}, {}, "uint16", None),
        ({}, {"nodata": 9}, "uint16", 9),
        (
            {"raster:bands": [{"data_type": "uint16", "nodata": 70_000}]},
            {},
            "uint16",
            None,
        ),
        (
            {"raster:bands": [{"data_type": "uint16", "scale": 0.1}]},
            {},
            "float32",
            "nan",
        ),
        ({"raster:bands": []}, {}, "uint16", None),
    ],
    ids=["plain", "nodata", "impossible-nodata", "scaled", "untold"],
)
def test_the_number_type_is_the_files_where_nothing_is_lost(
    write_tiff, fields, options, dtype, nodata
):
    path = write_tiff("a.tif", draw(1, 9, 9, dtype="uint16"), **options)
    cube = open_cube(local(make_item(path, **fields)), bands=["red"])
    assert cube.dtype == dtype
    if nodata == "nan":
        assert np.isnan(cube.attrs["nodata"])
    else:
        assert cube.attrs.get("nodata") == nodata == cube.rio.nodata
    assert cube.compute().dtype == dtype


def test_floats_stay_floats_with_nan(write_tiff):
    pixels = draw(1, 9, 9, dtype="float64") / 3
    pixels[0, 0, 0], pixels[0, 1, 1] = -9999, np.nan
    cube = open_cube(
        local(make_item(write_tiff("a.tif", pixels, nodata=-9999))), bands=["red"]
    )
    assert cube.dtype == np.float64
    pixels[0, 0, 0] = np.nan
    np.testing.assert_array_equal(cube.values, pixels)


def test_integers_of_two_types_become_floats(write_tiff):
    items = [
        make_item(write_tiff("a.tif", draw(1, 9, 9))),
        make_item(
            write_tiff("b.tif", draw(1, 9, 9, dtype="uint16"), origin=(500_018.0, 5e6))
        ),
    ]
    assert open_cube(local(*items), bands=["red"]).dtype == np.float32


def test_uncovered_ground_turns_integers_without_nodata_into_floats(write_tiff):
    items = [
        make_item(write_tiff("a.tif", draw(1, 9, 9))),
        make_item(write_tiff("b.tif", draw(1, 9, 9), origin=(500_030.0, 5e6))),
    ]
    cube = open_cube(local(*items), bands=["red"])
    assert cube.dtype == np.float32
    assert np.isnan(cube.values[:, :, 9:15]).all()


def test_attrs_are_plain_json(write_tiff):
    path = write_tiff("a.tif", draw(1, 9, 9), nodata=0)
    cube = open_cube(local(make_item(path)), bands=["red"])
    attrs = json.loads(json.dumps(cube.attrs))
    assert attrs["items"][0]["id"] == "a"
    assert attrs["items"][0]["bounds"] == [500_000, 4_999_982, 500_018, 5_000_000]


def test_the_same_request_has_the_same_name(write_tiff):
    item = make_item(write_tiff("a.tif", draw(3, 50, 70)))
    first, again = (open_cube(local(item), bands=RGB) for _ in range(2))
    assert first.data.name == again.data.name
    assert first.data.name != open_cube(local(item), bands=RGB[:2]).data.name


def test_a_cube_computes_in_processes(write_tiff):
    pixels = draw(3, 20, 20)
    cube = open_cube(local(make_item(write_tiff("a.tif", pixels))), bands=RGB)
    revived = pickle.loads(pickle.dumps(cube))  # noqa: S301 - written here
    with dask.config.set(scheduler="sync"):
        np.testing.assert_array_equal(revived.values, pixels)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"crs": "EPSG:0"}, GridError, "unknown CRS"),
        ({"crs": "EPSG:3857"}, GridError, "not in true metres there"),
        ({"resolution": 0}, GridError, "positive number, got 0"),
        ({"aoi": "10,10,11,11"}, AoiError, r"outside the items, [\d,]+\.\d km"),
        ({"bands": ["swir"]}, BandError, r"no band \['swir'\]"),
        ({"bands": []}, BandError, "bands must be"),
        ({"bands": ["red", "red"]}, BandError, "bands must be"),
        ({"bands": "red"}, BandError, "bands must be"),
    ],
)
def test_what_cannot_be_opened_is_refused_with_its_reason(
    write_tiff, options, error, message
):
    items = local(make_item(write_tiff("a.tif", draw(3, 9, 9))))
    with pytest.raises(error, match=message):
        open_cube(items, **{"bands": RGB, **options})


def test_stating_the_items_own_grid_is_allowed(write_tiff):
    items = local(make_item(write_tiff("a.tif", draw(3, 9, 9))))
    cube = open_cube(items, bands=RGB, crs="EPSG:32614", resolution=2)
    assert cube.shape == (3, 9, 9)
    both = {"aoi": items[0].bbox, "geobox": cube_geobox(cube)}
    with pytest.raises(InputError, match="aoi and geobox both"):
        open_cube(items, bands=RGB, **both)


def test_no_items_and_mixed_origins_are_refused(write_tiff):
    item = make_item(write_tiff("a.tif", draw(3, 9, 9)))
    with pytest.raises(CatalogError, match="no items"):
        open_cube([], bands=RGB)
    with pytest.raises(CatalogError, match="different catalogues"):
        open_cube([*local(item), item.clone()], bands=RGB)


def test_items_nobody_vouched_for_may_not_name_local_files(write_tiff):
    item = make_item(write_tiff("a.tif", draw(3, 9, 9)))
    item.set_self_href("/srv/catalog.json")  # what a hostile item could say
    with pytest.raises(CatalogError, match="file of this machine"):
        open_cube([item], bands=RGB)


def test_too_large_a_cube_is_refused_at_once(write_tiff, monkeypatch):
    monkeypatch.setattr(chunks, "MAX_CHUNKS", 3)
    items = local(make_item(write_tiff("a.tif", draw(3, 64, 64))))
    with pytest.raises(AoiError, match="more than 3 chunks"):
        open_cube(items, bands=RGB, options=SMALL)
