"""Cubes of items that do not share a grid."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from catalog_rasters import draw, make_item
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling, reproject, transform_bounds

from areca.catalog import CubeOptions, open_cube, search, set_origin, warp
from areca.catalog import cube as cube_module
from areca.errors import GridError, InputError
from areca.tiles import Lattice, Window, cube_geobox

RGB = ["red", "green", "blue"]
UTM15 = "EPSG:32615"


def local(*items):
    return set_origin(items, ".")


def smooth(bands, height, width, *, dtype="uint16"):
    """A surface on which a shift of a tenth of a pixel shows, never 0."""
    y, x = np.mgrid[:height, :width]
    waves = [2000 + 900 * np.sin(x / 9 + k) + 900 * np.cos(y / 7) for k in range(bands)]
    return np.stack(waves).astype(dtype)


def whole_warp(path, geobox, method, *, nodata=None):
    """What rasterio makes of all of a file at once: float64, NaN where missing."""
    with rasterio.open(path) as file:
        source = file.read().astype("float64")
        if nodata is not None:
            source[source == nodata] = np.nan
        out = np.full((file.count, *geobox.shape), np.nan)
        reproject(
            source,
            out,
            src_transform=file.transform,
            src_crs=file.crs,
            src_nodata=np.nan,
            dst_transform=geobox.affine,
            dst_crs=str(geobox.crs),
            dst_nodata=np.nan,
            resampling=Resampling[method],
            UNIFIED_SRC_NODATA="NO",
        )
    return out


@pytest.fixture
def two_zones(write_tiff):
    """A scene of zone 14 and a later one of zone 15, over one place."""
    west = write_tiff(
        "west.tif", smooth(3, 700, 800), origin=(740_000, 5e6), pixel=10.0, nodata=0
    )
    left, _, _, top = transform_bounds(
        "EPSG:32614", UTM15, 740_000, 4_993_000, 748_000, 5e6
    )
    east = write_tiff(
        "east.tif",
        smooth(3, 650, 700) + 5000,
        origin=(round(left) + 1003, round(top) - 2007),
        pixel=10.0,
        nodata=0,
        crs=UTM15,
    )
    return local(make_item(west, when="2020-01-01"), make_item(east, when="2021-01-01"))


@pytest.mark.parametrize("edge", [300, 512, 700, 1024, 5000])
def test_a_warped_cube_is_bit_equal_for_any_chunks_and_crop(two_zones, edge):
    whole = open_cube(two_zones, bands=RGB, resolution=10).compute()
    options = CubeOptions(chunk_px=edge)
    chunked = open_cube(two_zones, bands=RGB, resolution=10, options=options)
    assert max(chunked.data.chunks[1]) <= edge
    xr.testing.assert_identical(chunked.compute(), whole)
    grid = cube_geobox(whole)
    for top, left, height, width in [(130, 77, 400, 333), (511, 500, 90, 200)]:
        affine = grid.affine * Affine.translation(left, top)
        part = GeoBox((height, width), affine, grid.crs)
        crop = open_cube(two_zones, bands=RGB, geobox=part, options=options)
        np.testing.assert_array_equal(
            crop.values, whole.values[:, top : top + height, left : left + width]
        )


def test_without_cells_a_crop_would_differ(two_zones, monkeypatch):
    """The mutation: the window that is asked for is warped as it is."""
    whole = open_cube(two_zones, bands=RGB, resolution=10).compute()

    def as_asked(self, bands, window, _methods, read, **_):
        lattice = Lattice.of(self.lattice.geobox(window), core_px=window.height)
        alone = type(self)(self.scene, lattice, self.shrink)
        alone_core = type(lattice).core
        monkeypatch.setattr(Lattice, "core", lambda *_: window)
        cell = alone._cell(None, bands, "bilinear", read, np.dtype("float32"))
        monkeypatch.setattr(Lattice, "core", alone_core)
        shape = (len(bands), window.height, window.width)
        return np.full(shape, np.nan, "float32") if cell is None else cell

    monkeypatch.setattr(warp.Warp, "read", as_asked)
    grid = cube_geobox(whole)
    affine = grid.affine * Affine.translation(77, 130)
    part = GeoBox((400, 333), affine, grid.crs)
    crop = open_cube(two_zones, bands=RGB, geobox=part)
    # In one thread: the mutation changes a class while a window is read.
    values = crop.compute(scheduler="sync").values
    assert (values != whole.values[:, 130:530, 77:410]).any()


def test_a_cell_is_read_once_whatever_the_chunks(two_zones, monkeypatch):
    cells = []
    real = warp.Warp._cell

    def counting(self, tile, bands, *rest):
        cells.append((self.scene.id, tile, bands[0].name))
        return real(self, tile, bands, *rest)

    monkeypatch.setattr(warp.Warp, "_cell", counting)
    options = CubeOptions(chunk_px=300)
    open_cube(two_zones, bands=RGB, resolution=10, options=options).compute()
    assert cells
    assert len(cells) == len(set(cells))


def test_the_grid_is_the_zone_of_the_middle_in_whole_pixels(two_zones):
    cube = open_cube(two_zones, bands=RGB)
    grid = cube_geobox(cube)
    assert str(grid.crs) in {"EPSG:32614", UTM15}
    assert grid.affine.a == 10
    assert (grid.affine.c % 10, grid.affine.f % 10) == (0, 0)
    assert (cube.dtype, cube.attrs["nodata"]) == (np.uint16, 0)
    newest = cube.attrs["items"][0]
    assert newest["id"] == "east"


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average"])
def test_pixels_are_those_of_a_whole_warp(write_tiff, method):
    path = write_tiff("a.tif", smooth(3, 600, 640), pixel=10.0)
    options = CubeOptions(resampling={"*": method})
    cube = open_cube(local(make_item(path)), bands=RGB, crs=UTM15, options=options)
    expected = whole_warp(path, cube_geobox(cube), method)
    found = cube.values
    assert cube.dtype == np.float32
    both = np.isfinite(found) & np.isfinite(expected)
    assert both.sum() > 0.999 * np.isfinite(expected).sum()
    # GDAL's approximate coordinates: up to 1/8 pixel. Half a pixel would be 64.
    limit = 140 if method in {"nearest", "average"} else 20
    assert np.abs(found - expected)[both].max() < limit
    assert abs(np.mean((found - expected)[both])) < 0.05


def test_missing_pixels_stay_missing_and_no_others_become_so(write_tiff):
    pixels = smooth(1, 300, 300)
    pixels[0, 100:140, 50:90] = 0
    pixels[0, 200:, 200:] = 1
    path = write_tiff("a.tif", pixels, pixel=10.0, nodata=0)
    cube = open_cube(local(make_item(path)), bands=["red"], resolution=8)
    assert (cube.dtype, cube.attrs["nodata"]) == (np.uint16, 0)
    expected = whole_warp(path, cube_geobox(cube), "bilinear", nodata=0)
    np.testing.assert_array_equal(cube.values == 0, np.isnan(expected))
    np.testing.assert_allclose(cube.values, np.nan_to_num(expected), atol=0.51)


def test_bands_of_classes_keep_their_values(write_tiff):
    classes = draw(1, 300, 300)
    path = write_tiff("a.tif", classes, pixel=10.0, nodata=0)
    item = make_item(path, names=["scl"])
    cube = open_cube(local(item), bands=["scl"], crs=UTM15)
    expected = whole_warp(path, cube_geobox(cube), "nearest", nodata=0)
    assert np.mean(cube.values == np.nan_to_num(expected)) > 0.95
    blurred = open_cube(
        local(item), bands=["scl"], crs=UTM15,
        options=CubeOptions(resampling={"scl": "bilinear"}),
    )  # fmt: skip
    assert np.mean(blurred.values == np.nan_to_num(expected)) < 0.5
    assert cube.attrs["items"][0]["resampling"] == {"scl": "nearest"}


def test_larger_pixels_are_the_mean_of_what_they_cover(write_tiff):
    pixels = draw(3, 400, 480, dtype="uint16")
    item = make_item(write_tiff("a.tif", pixels, origin=(5e5, 4_999_960), nodata=0))
    cube = open_cube(local(item), bands=RGB, resolution=20)
    expected = pixels.reshape(3, 40, 10, 48, 10).mean((2, 4))
    assert cube.attrs["items"][0]["resampling"]["red"] == "average"
    np.testing.assert_allclose(cube.values, expected, atol=0.51)


@pytest.mark.parametrize(("edge", "method"), [(10.0001, "average"), (10.3, "bilinear")])
def test_a_hair_less_than_twice_as_large_is_twice_as_large(write_tiff, edge, method):
    item = make_item(write_tiff("a.tif", draw(1, 40, 48), pixel=edge))
    cube = open_cube(local(item), bands=["red"], resolution=20)
    assert cube.attrs["items"][0]["resampling"]["red"] == method


def test_a_strong_reduction_keeps_its_source_windows_small(write_tiff, monkeypatch):
    pixels = draw(1, 600, 600)
    item = make_item(write_tiff("a.tif", pixels, origin=(500_040, 5_000_040)))
    expected = pixels.reshape(10, 60, 10, 60).mean((1, 3))
    monkeypatch.setattr(warp, "MAX_SOURCE_PX", 128)
    sizes = []
    real = warp.Warp._source

    def watching(self, core, reach):
        window = real(self, core, reach)
        sizes.append(0 if window is None else window.width)
        return window

    monkeypatch.setattr(warp.Warp, "_source", watching)
    # Half the pixels of a cell would need 60 * 2 + 2 * 62 px each way.
    cube = open_cube(local(item), bands=["red"], resolution=120, crs="EPSG:32614")
    np.testing.assert_allclose(cube.values[0], expected, atol=0.01)
    assert max(sizes) < 300


def test_bands_of_two_pixel_sizes_come_to_the_finer(write_tiff):
    fine, coarse = smooth(1, 200, 200), smooth(1, 100, 100)
    item = make_item(write_tiff("f.tif", fine, pixel=10.0, nodata=0), names=["red"])
    other = make_item(write_tiff("c.tif", coarse, pixel=20.0, nodata=0), names=["nir"])
    asset = other.assets["image"]
    asset.extra_fields |= {
        "proj:transform": [20, 0, 5e5, 0, -20, 5e6], "proj:shape": [100, 100],
    }  # fmt: skip
    item.add_asset("coarse", asset)
    cube = open_cube(local(item), bands=["nir", "red"])
    assert cube.shape == (2, 200, 200)
    np.testing.assert_array_equal(cube.values[1], fine[0])
    expected = whole_warp(
        write_tiff("d.tif", coarse, pixel=20.0), cube_geobox(cube), "bilinear"
    )
    np.testing.assert_array_equal(cube.values[0], np.rint(expected[0]))


def test_what_no_grid_can_hold_is_refused(write_tiff):
    far = [
        make_item(write_tiff("a.tif", draw(1, 9, 9))),
        make_item(write_tiff("b.tif", draw(1, 9, 9), crs="EPSG:32648")),
    ]
    with pytest.raises(GridError, match="too far for one UTM zone"):
        open_cube(local(*far), bands=["red"])
    for options in ({"time": "never"}, {"resampling": {"red": "best"}}):
        with pytest.raises(InputError, match="none of"):
            CubeOptions(**options)


def test_degrees_become_metres_only_where_they_must(write_tiff):
    oblong = write_tiff(
        "a.tif", smooth(1, 90, 90), origin=(15.0, 60.0), pixel=1e-4, crs="EPSG:4326"
    )
    cube = open_cube(local(make_item(oblong)), bands=["red"])
    grid = cube_geobox(cube)
    assert str(grid.crs) == "EPSG:32633"
    assert grid.affine.a == pytest.approx(7.9, abs=0.05)


def test_six_dates_of_one_place_become_one_cube(shared_data):
    items = search(shared_data / "stac_catalog", collections=["naip-north-dakota"])
    each = CubeOptions(time="each")
    cube = open_cube(items, bands=["red", "nir"], options=each)
    assert cube.dims == ("time", "band", "y", "x")
    assert cube.sizes["time"] == len(items) == 6
    assert (np.diff(cube.time.values) > np.timedelta64(0, "ns")).all()
    grid = cube_geobox(cube)
    assert (grid.affine.a, grid.affine.c % 5, grid.affine.f % 5) == (5, 0, 0)
    values = cube.compute()
    for year in (2009, 2020):
        (name,) = (shared_data / "naip_north_dakota_timeseries").glob(f"*{year}*.tif")
        expected = whole_warp(name, grid, "bilinear", nodata=0)[[0, 3]]
        found = values.sel(time=str(year)).values[0].astype(float)
        found[found == 0] = np.nan
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        assert np.nanmax(np.abs(found - expected)) <= 0.5
    red, nir = values.where(values != 0).transpose("band", ...).values.astype(float)
    ndvi = np.nanmean((nir - red) / (nir + red), axis=(1, 2))
    assert ndvi.shape == (6,)
    assert np.isfinite(ndvi).all()
    assert Window(0, 0, *grid.shape).size > 600_000


@pytest.mark.parametrize("shrink", [1.25, 1.5, 1.9])
def test_smoothing_is_the_same_everywhere_and_for_any_extent_of_the_file(
    write_tiff, shrink, monkeypatch
):
    """GDAL alone takes the width of its kernel from the window of each cell."""
    monkeypatch.setattr(cube_module, "CELL_PX", 64)
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 4000, (1, 330, 410)).astype("uint16")
    whole = write_tiff("whole.tif", pixels, pixel=10.0, nodata=0)
    part = write_tiff(
        "part.tif", pixels[:, 130:290, 170:390], pixel=10.0, nodata=0,
        origin=(5e5 + 1700, 5e6 - 1300),
    )  # fmt: skip

    def opened(path):
        items = local(make_item(path, names=["red"]))
        cube = open_cube(items, bands=["red"], resolution=10 * shrink)
        assert cube.attrs["items"][0]["resampling"] == {"red": "bilinear"}
        return cube.compute().astype("float64")

    one, other = opened(whole), opened(part)
    inner = {"x": slice(5, -5), "y": slice(5, -5)}
    same = one.sel(x=other.x, y=other.y).isel(inner).values
    np.testing.assert_allclose(other.isel(inner).values, same, atol=1)

    expected = whole_warp(whole, cube_geobox(one), "bilinear", nodata=0)
    apart = np.abs(one.values - expected)[:, 5:-5, 5:-5]
    assert apart.mean() < 5  # of 4,000: GDAL does not take 1.5 for exactly 1.5
    monkeypatch.setattr(warp.Warp, "_kernel", lambda *_: {})
    warp.Warp.of.cache_clear()
    blind = np.abs(opened(whole).values - expected)[:, 5:-5, 5:-5]
    assert blind.mean() > 3 * apart.mean()
