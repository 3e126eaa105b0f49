"""What of a cube counts: quality bands, areas, cloud shares."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from catalog_rasters import draw, make_item
from odc.geo.geobox import GeoBox
from rasterio.features import geometry_mask
from shapely import Point, box, union_all

from areca.catalog import (
    CubeOptions,
    Mask,
    composite,
    layers,
    open_cube,
    search,
    set_origin,
    window_of,
)
from areca.catalog.aoi import read_aoi
from areca.catalog.assets import asset_bands
from areca.catalog.backends import Direct
from areca.catalog.classification import plain_name
from areca.catalog.grids import transformer
from areca.catalog.masks import polygons_on
from areca.catalog.quality import SCHEMES
from areca.errors import BandError, CatalogError, InputError
from areca.tiles import cube_geobox


def local(*items):
    return set_origin(items, ".")


def with_scl(write_tiff, name, pixels, scl, when="2024-05-01", pixel=20.0):
    """An item of one 10 m band and its classes on a grid of their own."""
    item = make_item(
        write_tiff(f"{name}.tif", pixels, pixel=10.0, nodata=0), names=["red"],
        when=when, item_id=name,
    )  # fmt: skip
    path = write_tiff(f"{name}_scl.tif", scl, pixel=pixel, nodata=0)
    asset = make_item(path, names=["scl"]).assets["image"]
    shape = list(scl.shape[1:])
    asset.extra_fields |= {
        "proj:transform": [pixel, 0, 5e5, 0, -pixel, 5e6], "proj:shape": shape,
    }  # fmt: skip
    item.add_asset("SCL", asset)
    return item


def test_clouds_of_a_coarser_band_are_missing_and_the_older_item_shows(write_tiff):
    old, new = draw(1, 60, 60, dtype="uint16"), draw(1, 60, 60, dtype="uint16", seed=1)
    clear, cloudy = np.full((2, 1, 30, 30), 4, np.uint8)
    cloudy[0, 5:12, 3:9] = 9
    cloudy[0, 20:24, 3:9] = 3
    cloudy[0, 20:24, 20:24] = 10
    clear[0, 5:6, 3:4] = 8
    items = local(
        with_scl(write_tiff, "old", old, clear, "2020-01-01"),
        with_scl(write_tiff, "new", new, cloudy, "2021-01-01"),
    )
    cube = open_cube(items, bands=["red"], mask=Mask("scl", drop=["cloud", "shadow"]))
    dropped = np.isin(cloudy[0], [9, 3]).repeat(2, 0).repeat(2, 1)
    expected = np.where(dropped, old[0], new[0])
    expected[10:12, 6:8] = 0
    assert (cube.dtype, cube.attrs["nodata"]) == (np.uint16, 0)
    np.testing.assert_array_equal(cube.values[0], expected)
    both = open_cube(
        items, bands=["red"], mask=Mask("SCL", drop=["cloud", "cirrus", 3])
    )
    assert (both.values[0] != expected).sum() == 64


def count_reads(monkeypatch):
    """Return a list that will hold the file and bands of every read."""
    reads, real = [], Direct.read

    def counted(self, file, scene, bands, *rest):
        reads.append((Path(file.name).stem, [band.name for band in bands]))
        return real(self, file, scene, bands, *rest)

    monkeypatch.setattr(Direct, "read", counted)
    return reads


def classes_of(shape):
    return np.random.default_rng(5).integers(0, 12, (1, *shape)).astype("uint8")


@pytest.mark.parametrize("pixel", [10.0, 20.0])
@pytest.mark.parametrize("bands", [["red", "SCL"], ["scl"]])
def test_a_quality_band_that_is_shown_too_is_read_once(
    write_tiff, monkeypatch, pixel, bands
):
    """Also where it is warped: nearest gives the classes of the file."""
    size = round(600 / pixel)
    scl = classes_of((size, size))
    red = draw(1, 60, 60, dtype="uint16")
    items = local(with_scl(write_tiff, "a", red, scl, pixel=pixel))
    mask = [Mask("scl", drop=["cloud"]), Mask("scl", drop=["shadow", 11])]
    place = {"crs": "EPSG:32614", "resolution": 10.0}
    apart = open_cube(items, bands=["red"], mask=mask, **place).values[0]
    plain = open_cube(items, bands=["scl"], **place).values[0]
    reads = count_reads(monkeypatch)

    cube = open_cube(items, bands=bands, mask=mask, **place).compute()

    assert sorted(reads) == sorted([("a", ["red"]), ("a_scl", ["scl"])][-len(bands) :])
    kept = np.isin(scl[0], [0, 3, 8, 9, 11], invert=True)
    kept = kept.repeat(60 // size, 0).repeat(60 // size, 1)
    shown = cube.values[-1].astype(float)
    np.testing.assert_array_equal(np.nan_to_num(shown), np.where(kept, plain, 0))
    if bands[0] == "red":
        np.testing.assert_array_equal(np.nan_to_num(cube.values[0]), apart)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("uint8", {"scale_offset": {"SCL": (0.5, 1)}}),
        ("uint8", {"resampling": {"scl": "bilinear"}}),
        ("uint32", {}),  # float32 would round bits away
    ],
)
def test_a_quality_band_that_is_shown_with_other_numbers_is_read_for_itself(
    write_tiff, kind, options
):
    bits = np.uint32(2**31 if kind == "uint32" else 0)
    scl = classes_of((30, 30)).astype(kind) + bits.astype(kind)
    red = draw(1, 60, 60, dtype="uint16")
    items = local(with_scl(write_tiff, "a", red, scl))
    mask = Mask("scl", drop=[int(bits) + 9])
    alone = open_cube(items, bands=["red"], mask=mask).values[0]
    cube = open_cube(
        items, bands=["red", "scl"], mask=mask, options=CubeOptions(**options)
    )
    assert cube.dtype == np.float32
    np.testing.assert_array_equal(np.nan_to_num(cube.values[0]), alone)
    assert (alone == 0).any()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale_offset": {"*": (0.5, 0)}},
        {"scale_offset": {"usable": (0.5, 0)}, "resampling": {"usable": "bilinear"}},
        {"resampling": {"*": "cubic"}},
    ],
)
def test_a_mask_of_any_name_is_read_as_classes(write_tiff, options):
    """A mean of clear (1) and cloud (4) is neither, and half of a class is none."""
    red = draw(1, 60, 60, dtype="uint16")
    classes = np.ones((1, 30, 30), np.uint8)
    classes[:, :, 15:] = 4
    item = with_scl(write_tiff, "a", red, classes)
    item.assets["usable"] = item.assets.pop("SCL")
    del item.assets["usable"].extra_fields["eo:bands"]
    cube = open_cube(
        local(item),
        bands=["red"],
        mask=Mask("usable", drop=[4]),
        options=CubeOptions(**options),
    )
    kept = cube.values[0] != 0 if cube.dtype.kind != "f" else cube.notnull().values[0]
    np.testing.assert_array_equal(kept, np.broadcast_to(np.arange(60) < 30, (60, 60)))
    (told,) = cube.attrs["items"]
    assert told.get("resampling", {}).get("usable") == "nearest"
    assert "usable" not in told.get("scale_offset", {})


def test_two_masks_of_one_band_read_it_once(write_tiff, monkeypatch):
    scl = np.full((1, 30, 30), 4, np.uint8)
    scl[0, 3:9, 3:9], scl[0, 20:24, 3:9] = 9, 3
    items = local(with_scl(write_tiff, "one", draw(1, 60, 60, dtype="uint16"), scl))
    masks = [Mask("scl", drop=[name]) for name in ("cloud", "shadow")]
    cube = open_cube(items, bands=["red"], mask=masks)
    seen, real = [], layers.read_part

    def noted(scene, bands, *rest):
        seen.extend(band.name for band in bands)
        return real(scene, bands, *rest)

    monkeypatch.setattr(layers, "read_part", noted)
    found = cube.compute(scheduler="synchronous")

    assert sorted(seen) == ["red", "scl"]
    gone = np.isin(scl[0], [9, 3]).repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(found.values[0] == 0, gone)


@pytest.mark.parametrize("edge", [7, 512, 2048])
def test_masks_do_not_know_chunks(write_tiff, edge):
    scl = np.random.default_rng(2).integers(2, 11, (1, 37, 41)).astype("uint8")
    item = with_scl(write_tiff, "a", draw(1, 70, 80, dtype="uint16"), scl, pixel=19.0)
    area = gpd.GeoSeries([box(500_100, 4_999_500, 500_603, 4_999_871)], crs=32614)
    options = {"bands": ["red"], "mask": [Mask("scl", drop=["cloud", "dark"]), area]}
    whole = open_cube(local(item), **options).values
    assert 0 < (whole != 0).sum() < whole.size / 3
    cube = open_cube(local(item), options=CubeOptions(chunk_px=edge), **options)
    np.testing.assert_array_equal(cube.values, whole)
    names = set(dict(cube.data.__dask_graph__()))
    again = open_cube(local(item), options=CubeOptions(chunk_px=edge), **options)
    assert set(dict(again.data.__dask_graph__())) == names


def test_an_area_keeps_pixels_whose_centre_is_inside(write_tiff, tmp_path):
    pixels = draw(2, 100, 120)
    item = make_item(write_tiff("a.tif", pixels))
    fields = gpd.GeoDataFrame(
        geometry=[
            box(500_010, 4_999_900, 500_050.5, 4_999_950),
            box(500_100, 4_999_810, 500_200, 4_999_830),
        ], crs=32614,
    )  # fmt: skip
    path = tmp_path / "fields.geojson"
    fields.to_crs(4326).to_file(path)
    cube = open_cube(local(item), bands=["red", "green"], mask=path)
    grid = cube_geobox(cube)
    outside = geometry_mask(fields.geometry, grid.shape, grid.affine)
    assert np.isnan(cube.values).any()
    np.testing.assert_array_equal(np.isnan(cube.values[0]), outside)
    np.testing.assert_array_equal(cube.values[:, ~outside], pixels[:, ~outside])


def test_the_border_of_an_area_across_the_180th_meridian_bends_with_its_parallel():
    """A step of a share of 360 degrees left a chord, over 100 m from the parallel."""
    to_utm = transformer("EPSG:4326", "EPSG:32660").transform
    area = read_aoi((179.0, 60.0, -179.5, 61.0))
    drawn = union_all(polygons_on(area, "EPSG:32660"))
    for degrees in np.linspace(179.0, 180.5, 31)[1:-1]:
        x, y = to_utm(degrees, 60.0)
        assert drawn.contains(Point(x, y + 1)) or abs(degrees - 180) < 1e-9
        assert not drawn.contains(Point(x, y - 1))
    # The crop is as large as that of an area that goes past 180 degrees, in one part.
    grid = GeoBox((20_000, 20_000), Affine(10, 0, 550_000, 0, -10, 6_790_000), 32660)
    found = window_of(grid, area, [])
    x, y = to_utm(*np.array([[d, n] for d in np.linspace(179, 180.5, 901)
                             for n in np.linspace(60, 61, 61)]).T)  # fmt: skip
    col, row = (x - 550_000) / 10, (6_790_000 - y) / 10
    expected = row.min(), col.min(), np.ptp(row), np.ptp(col)
    np.testing.assert_allclose(found, expected, atol=2)


@pytest.mark.parametrize(
    ("band", "name", "value", "other"),
    [
        ("scl", "cloud", 8, 7),
        ("scl", "cloud_high", 9, 8),
        ("qa_pixel", "cloud", 0b1000, 0b100),
        ("qa_pixel", "cirrus", 0b100, 0b1000),
        ("qa_pixel", "shadow", 0b1_0000, 0b10),
        ("qa_pixel", "snow", 0b10_0000, 0b1_0000),
        ("qa_pixel", "cloud_high", 0b11 << 8, 0b10 << 8),
        ("qa60", "cloud", 1024, 2048),
        ("qa60", "cirrus", 2048, 1024),
        ("bqa", "cloud", 0b1_0000, 0b100_0000),
        ("bqa", "shadow", 0b11 << 7, 0b1 << 7),
        ("bqa_pre", "cloud", 0xC000, 0x8000),
        ("bqa_pre", "cirrus", 0x3000, 0xC000),
        ("fmask", "adjacent", 0b100, 0b10),
        ("oa_fmask", "cloud", 2, 1),
        ("cfmask", "cloud", 4, 2),
    ],
)
def test_bits_and_classes_mean_what_their_products_say(band, name, value, other):
    values = np.array([value, other], float)
    kept = Mask("q", drop=[name], scheme=band).keeps(values, np.array([True, True]))
    assert kept.tolist() == [False, True]
    assert name in SCHEMES[band].names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"band": "scl", "drop": ["clouds"]}, "did you mean 'cloud'"),
        ({"band": "scl", "drop": []}, "must be a list"),
        ({"band": "scl", "drop": "cloud"}, "must be a list"),
        ({"band": "haze", "drop": ["cloud"], "scheme": "h"}, "no scheme 'h'"),
    ],
)
def test_a_mask_that_means_nothing_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Mask(**arguments)


def test_a_mask_of_no_kind_and_of_no_band_is_refused(write_tiff):
    items = local(make_item(write_tiff("a.tif", draw(1, 9, 9))))
    with pytest.raises(InputError, match="a mask cannot be 3"):
        open_cube(items, bands=["red"], mask=3)
    with pytest.raises(BandError, match=r"no band \['scl'\]"):
        open_cube(items, bands=["red"], mask=Mask("scl", drop=["cloud"]))


def test_clouds_of_landsat_are_those_of_its_quality_band(shared_data):
    items = search(shared_data / "stac_catalog", collections=["landsat8-l1-small"])
    mask = Mask("BQA", drop=["cloud"], scheme="bqa_pre")
    cube = open_cube(items, bands=["red", "nir"], mask=mask)
    with rasterio.open(shared_data / "landsat8_l1_small" / "l8_BQA.tif") as file:
        cloudy = file.read(1) >> 14 == 3
    assert 0.01 < cloudy.mean() < 0.9
    np.testing.assert_array_equal(np.isnan(cube.values[0]), cloudy)


PRODUCT = "LC08_L1TP_020039_20150804_20170406_01_T1"
SCENE = "LC80200392015216LGN00"


def with_bqa(write_tiff, name, **properties):
    """An item whose BQA shows clouds of Collection 1 left, of before right."""
    red = draw(1, 20, 20, dtype="uint16")
    bits = np.zeros((1, 20, 20), np.uint16)
    bits[:, :, :5], bits[:, :, 15:] = 1 << 4, 3 << 14
    item = make_item(write_tiff("red.tif", red, nodata=0), names=["red"], item_id=name)
    path = write_tiff("quality.tif", bits)
    item.add_asset("BQA", make_item(path, names=["BQA"]).assets["image"])
    item.properties |= properties
    return item


@pytest.mark.parametrize(
    ("name", "properties", "columns"),
    [
        (PRODUCT, {}, range(5)),
        ("a", {"landsat:collection_number": "01"}, range(5)),
        (SCENE, {"landsat:product_id": PRODUCT}, range(5)),
        (SCENE, {}, range(15, 20)),
    ],
)
def test_an_item_tells_which_bqa_it_has(write_tiff, name, properties, columns):
    items = local(with_bqa(write_tiff, name, **properties))
    cube = open_cube(items, bands=["red"], mask=Mask("BQA", drop=["cloud"]))
    gone = np.isin(np.arange(20), columns)
    np.testing.assert_array_equal((cube.values[0] == 0).all(0), gone)
    np.testing.assert_array_equal((cube.values[0] == 0).any(0), gone)


@pytest.mark.parametrize("properties", [{}, {"landsat:collection_number": "02"}])
def test_a_bqa_of_an_unknown_collection_is_refused(write_tiff, properties):
    items = local(with_bqa(write_tiff, "LC8_small", **properties))
    with pytest.raises(InputError, match=r"scheme='bqa' .*scheme='bqa_pre'"):
        open_cube(items, bands=["red"], mask=Mask("BQA", drop=["cloud"]))


def test_a_cloud_free_composite_of_five_dates(shared_data):
    items = search(
        shared_data / "stac_catalog", collections=["sentinel2-slovenia"],
        datetime="2015-07-01/2015-09-10",
    )  # fmt: skip
    assert len(items) == 5
    bands = ["red", "nir"]
    each = CubeOptions(time="each")
    cloud = Mask("cloud.b1", drop=[1])
    cube = open_cube(items, bands=bands, mask=cloud, options=each)
    raw = open_cube(items, bands=bands, options=each)
    folder = shared_data / "sentinel2_slovenia"
    stored, pixels = [], []
    for path in sorted(folder.glob("S2L1C_*.tif")):
        date = path.stem.removeprefix("S2L1C_")
        with rasterio.open(folder / "cloud" / f"CLOUD_{date}.tif") as file:
            stored.append(file.read(1) == 1)
        with rasterio.open(path) as file:
            pixels.append(file.read([4, 8]))
    np.testing.assert_array_equal(raw.values, pixels)
    np.testing.assert_array_equal(np.isnan(cube.values[:, 0]), stored)
    clear = composite(cube, "median")
    assert np.isfinite(clear.values).all()
    expected = np.median(np.array(pixels)[[0, 3, 4]], axis=0)
    np.testing.assert_array_equal(clear.values, expected)
    assert composite(raw).values.mean() > 1.1 * clear.values.mean()  # bright clouds


def test_items_with_too_many_clouds_are_left_out(write_tiff, tmp_path):
    (tmp_path / "stac").mkdir()
    items = [make_item(write_tiff(f"{k}.tif", draw(1, 9, 9))) for k in "abc"]
    for item, share in zip(items, (10, 50, None), strict=True):
        item.properties["eo:cloud_cover"] = share
        item.save_object(dest_href=str(tmp_path / "stac" / f"{item.id}.json"))
    catalog = tmp_path / "stac" / "catalog.json"
    catalog.write_text(
        '{"type":"Catalog","stac_version":"1.1.0","id":"c","description":"c","links":['
        + ",".join(f'{{"rel":"item","href":"./{k}.json"}}' for k in "abc") + "]}"
    )  # fmt: skip
    assert [item.id for item in search(catalog, max_cloud=20)] == ["a", "c"]
    with pytest.raises(CatalogError, match="in percent, got 120"):
        search(catalog, max_cloud=120)


BITFIELDS = [
    {"name": "fill", "offset": 0, "length": 1, "classes": [
        {"name": "not_fill", "value": 0}, {"name": "fill", "value": 1}]},
    {"name": "cloud", "offset": 3, "length": 1},
    {"name": "cloud_confidence", "offset": 8, "length": 2, "classes": [
        {"name": "low", "value": 1}, {"name": "medium", "value": 2},
        {"name": "high", "value": 3}]},
    {"name": "snow_confidence", "offset": 12, "length": 2, "classes": [
        {"name": "low", "value": 1}, {"name": "high", "value": 3},
        {"name": "deep", "value": 2}]},
    {"offset": "three"}, "what", {"name": "none", "offset": 1, "length": 99},
]  # fmt: skip
CLASSES = [
    {"value": 1, "description": "Tree cover"}, {"value": 2, "name": "haze"},
    {"value": 5, "name": "haze"}, {"value": "9", "name": "text"}, 7,
]  # fmt: skip


def told(write_tiff, values, name="a", **fields):
    """An item of red and of a band `flags`, of which areca has no table."""
    pixels = draw(1, *values.shape, dtype="uint16")
    item = make_item(
        write_tiff(f"{name}.tif", pixels, nodata=0), names=["red"], item_id=name
    )
    flags = write_tiff(f"{name}_flags.tif", values[None], nodata=None)
    item.add_asset("flags", make_item(flags, names=["flags"]).assets["image"])
    bands = item.assets["flags"].extra_fields["raster:bands"]
    (bands[0] if "band" in fields else item.assets["flags"].extra_fields).update(
        fields.get("band", fields)
    )
    return item, pixels[0]


@pytest.mark.parametrize(
    ("drop", "dropped"),
    [
        (["cloud"], lambda v: v >> 3 & 1 == 1),
        (["fill"], lambda v: v & 1 == 1),
        (["not_fill"], lambda v: v & 1 == 0),
        (["cloud_confidence.medium"], lambda v: v >> 8 & 3 == 2),
        (["medium"], lambda v: v >> 8 & 3 == 2),  # alone of this name
        (["snow_confidence_high", "Cloud"], lambda v: (v >> 12 & 3 == 3) | (v & 8 > 0)),
        (["deep", 7], lambda v: (v >> 12 & 3 == 2) | (v == 7)),
    ],
)
def test_bits_are_called_as_the_item_calls_them(write_tiff, drop, dropped):
    values = np.random.default_rng(3).integers(0, 2**14, (40, 50)).astype("uint16")
    values[:3] = 7
    item, red = told(write_tiff, values, **{"classification:bitfields": BITFIELDS})
    cube = open_cube(local(item), bands=["red"], mask=Mask("flags", drop=drop))
    np.testing.assert_array_equal(cube[0], np.where(dropped(values), 0, red))


def test_classes_of_a_band_are_called_as_the_item_calls_them(write_tiff):
    values = np.random.default_rng(3).integers(0, 10, (40, 50)).astype("uint8")
    fields = {"band": {"classification:classes": CLASSES}}
    item, red = told(write_tiff, values, **fields)
    mask = Mask("flags", drop=["haze", "Tree cover"])
    cube = open_cube(local(item), bands=["red"], mask=mask)
    expected = np.where(np.isin(values, [1, 2, 5]), 0, red)
    np.testing.assert_array_equal(cube[0], expected)
    # What the numbers mean is a part of what a chunk is called.
    changed = [{"value": 3, "name": "haze"}, {"value": 1, "name": "Tree cover"}]
    item.assets["flags"].extra_fields["raster:bands"][0].update(
        {"classification:classes": changed}
    )
    other = open_cube(local(item), bands=["red"], mask=mask)
    assert set(dict(cube.data.__dask_graph__())).isdisjoint(
        dict(other.data.__dask_graph__())
    )


GA_NAMES = ["nodata", "clear", "cloud", "shadow", "snow", "water"]


def with_fmask(write_tiff, name, fields):
    """An item whose band `fmask` holds all numbers from 0 to 40."""
    values = np.arange(40, dtype="uint8")[None].repeat(3, axis=0)
    item, _ = told(write_tiff, values, name=name, **fields)
    item.assets["fmask"] = item.assets.pop("flags")
    del item.assets["fmask"].extra_fields["eo:bands"]
    return item


@pytest.mark.parametrize(
    ("fields", "drop", "dropped"),
    [
        ({}, "cloud", [n for n in range(40) if n & 0b10]),  # the table: HLS
        ({"classification:classes": GA_NAMES}, "cloud", [2]),
        ({"classification:classes": GA_NAMES}, "water", [5]),
        (
            {"classification:bitfields": [{"name": "cloud", "offset": 4, "length": 1}]},
            "cloud",
            [n for n in range(40) if n & 0b1_0000],
        ),
        (
            {"classification:bitfields": [{"name": "cloud", "offset": 4, "length": 1}]},
            "shadow",
            [n for n in range(40) if n & 0b1000],
        ),
    ],
)
def test_what_an_item_tells_wins_over_the_name_of_its_band(
    write_tiff, fields, drop, dropped
):
    fields = dict(fields)
    if "classification:classes" in fields:
        fields["classification:classes"] = [
            {"value": value, "name": name} for value, name in enumerate(GA_NAMES)
        ]
    item = with_fmask(write_tiff, "a", fields)
    cube = open_cube(local(item), bands=["red"], mask=Mask("fmask", drop=[drop]))
    assert np.flatnonzero((cube.values[0] == 0).all(axis=0)).tolist() == dropped
    plain = Mask("fmask", drop=[drop], scheme="fmask")  # one that is asked for
    bit = {"cloud": 2, "water": 32, "shadow": 8}[drop]
    asked = open_cube(local(item), bands=["red"], mask=plain).values[0]
    wanted = [n for n in range(40) if n & bit]
    assert np.flatnonzero((asked == 0).all(axis=0)).tolist() == wanted


def test_items_whose_band_means_other_things_are_refused(write_tiff):
    classes = [{"value": value, "name": name} for value, name in enumerate(GA_NAMES)]
    tells = with_fmask(write_tiff, "a", {"classification:classes": classes})
    silent = with_fmask(write_tiff, "b", {})
    mask = Mask("fmask", drop=["cloud"])
    with pytest.raises(InputError, match="'a' and 'b' tell different things of cloud"):
        open_cube(local(tells, silent), bands=["red"], mask=mask)
    with pytest.raises(InputError, match="'fmask' does not tell 'cirrus'"):
        open_cube(local(tells), bands=["red"], mask=Mask("fmask", drop=["cirrus"]))
    one_bit = [{"name": "cloud", "offset": 1, "length": 1}]
    alike = with_fmask(write_tiff, "c", {"classification:bitfields": one_bit})
    cube = open_cube(local(alike, silent), bands=["red"], mask=mask)
    assert (cube.values[0] == 0).any()


def test_a_name_that_the_item_does_not_tell_is_refused_with_those_it_does(write_tiff):
    values = np.zeros((40, 50), "uint8")
    fields = {"classification:classes": CLASSES}
    item, _ = told(write_tiff, values, **fields)
    silent, _ = told(write_tiff, values, name="b")
    other, _ = told(
        write_tiff, values, name="c",
        **{"classification:classes": [{"value": 3, "name": "haze"}]},
    )  # fmt: skip

    def opened(*items, drop=("haze",)):
        mask = Mask("flags", drop=list(drop))
        return open_cube(local(*items), bands=["red"], mask=mask)

    with pytest.raises(
        InputError, match=r"did you mean 'haze'\? It tells haze, tree_co"
    ):
        opened(item, drop=["hase"])
    with pytest.raises(InputError, match=r"'b' does not tell .*name its scheme"):
        opened(silent)
    with pytest.raises(InputError, match="tell different things of haze in 'flags'"):
        opened(item, other)
    assert opened(item, other, drop=[3]).shape == (1, 40, 50)
    with pytest.raises(InputError, match="there is no scheme 'flags'"):
        Mask("flags", drop=["haze"], scheme="flags")


def test_a_recorded_item_tells_the_bits_of_its_bands(shared_data):
    text = (shared_data / "stac_recorded/items/landsat-c2-l2-pc.json").read_text()
    read = json.loads(text)
    item = pystac.Item.from_dict(read[0] if isinstance(read, list) else read)
    told_of = {
        key: asset_bands(key, asset, None)[0].scheme
        for key, asset in item.assets.items()
        if "qa" in key
    }
    scheme, table = told_of["qa_pixel"], SCHEMES["qa_pixel"]
    values = np.random.default_rng(0).integers(0, 2**16, 5000)
    for name, mine in {
        "cloud": "cloud", "cirrus": "cirrus", "snow": "snow", "water": "water",
        "dilated_cloud": "dilated_cloud", "cloud_shadow": "shadow", "fill": "nodata",
        "cloud_confidence.high": "cloud_high", "clear": "clear",
    }.items():  # fmt: skip
        shown = scheme.shows(plain_name(name), values)
        np.testing.assert_array_equal(shown, table.shows(mine, values))
    assert {"band4", "band4_saturated"} <= {*told_of["qa_radsat"].names}
    assert "saturated" not in told_of["qa_radsat"].names  # of which band?
