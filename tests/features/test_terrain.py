"""Terrain against gdaldem itself, and against planes whose slope is known."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from gdal_dem import gdaldem
from pyproj import CRS, Geod, Transformer

import areca
from areca.errors import BandError, GridError
from areca.tiles import Lattice, Window, pixel_sizes_m

MODES = {
    "slope": (),
    "aspect": (),
    "hillshade": (),
    "TPI": (),
    "TRI": ("-alg", "Riley"),
    "roughness": (),
}


def dem_of(heights, pixel=(10.0, 10.0), origin=(500_000.0, 10_000.0), crs="EPSG:32631"):
    height, width = heights.shape
    transform = Affine(pixel[0], 0, origin[0], 0, -pixel[1], origin[1])
    raster = xr.DataArray(
        heights.astype(np.float32),
        dims=("y", "x"),
        coords={
            "y": origin[1] - pixel[1] * (np.arange(height) + 0.5),
            "x": origin[0] + pixel[0] * (np.arange(width) + 0.5),
        },
    )
    raster = raster.rio.write_crs(crs).rio.write_transform(transform)
    return raster.rio.write_nodata(np.nan, encoded=False)


def hills(height=50, width=60, seed=0):
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:height, :width]
    waves = 40 * np.sin(rows / 9) + 30 * np.cos(cols / 7) + 0.05 * rows * cols
    return waves + rng.uniform(0, 4, (height, width))


@pytest.mark.parametrize("mode", MODES)
def test_terrain_equals_gdaldem(tmp_path, mode):
    """Pixels are told to GDAL as large as they are on the ground."""
    heights = hills()
    heights[20:23, 30] = np.nan
    heights[:, :4] = 7  # level ground has no aspect
    dem = dem_of(heights)
    lattice = Lattice.of(areca.tiles.cube_geobox(dem), core_px=1)
    window = lattice.window(areca.tiles.cube_geobox(dem))
    across, down = (sizes.mean() for sizes in pixel_sizes_m(lattice, window))
    path = tmp_path / "dem.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=50, width=60, count=1, dtype="float32",
        nodata=np.nan, transform=Affine(across, 0, 0, 0, -down, 0), crs="EPSG:32631",
    ) as file:  # fmt: skip
        file.write(dem.values, 1)
    expected = gdaldem(path, tmp_path / "out.tif", mode.lower() if mode.islower()
                       else mode, *MODES[mode])  # fmt: skip
    found = areca.terrain(dem.chunk(y=13, x=17), [mode.lower()]).values[0]
    inner = (slice(1, -1), slice(1, -1))
    if mode == "hillshade":  # GDAL writes bytes
        found = np.rint(found)
        expected[expected == 0] = np.nan
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        off = np.abs(found - expected)[np.isfinite(expected)]
        assert off.max() <= 1  # a half is rounded up or down
        assert off.mean() < 0.01
        return
    np.testing.assert_array_equal(np.isnan(found[inner]), np.isnan(expected[inner]))
    # gdaldem computes in float32: angles up to 360 degrees have 5 digits behind them.
    atol = 5e-4 if mode == "aspect" else 1e-4
    np.testing.assert_allclose(found[inner], expected[inner], rtol=1e-5, atol=atol)
    assert np.isnan(found[0]).all()  # nothing is known beyond the edge


@pytest.mark.parametrize(
    ("crs", "origin", "pixel"),
    [
        ("EPSG:4326", (10.0, 60.0), (1e-4, 1e-4)),
        ("EPSG:4326", (-70.0, -33.0), (0.1, 0.1)),
        ("EPSG:3857", (1_100_000.0, 8_399_737.0), (20.0, 20.0)),
        ("EPSG:3035", (5_000_000.0, 4_500_000.0), (30.0, 30.0)),
        ("EPSG:2263", (980_000.0, 200_000.0), (10.0, 10.0)),  # feet
    ],
)
def test_a_pixel_is_as_large_as_geodesics_say(crs, origin, pixel):
    dem = dem_of(hills(), pixel, origin, crs)
    lattice = Lattice.of(areca.tiles.cube_geobox(dem), core_px=1)
    window = lattice.window(areca.tiles.cube_geobox(dem))
    across, down = pixel_sizes_m(lattice, window)
    rows, cols = np.mgrid[window.row0 : window.row1, window.col0 : window.col1] + 0.5
    geod, degrees = Geod(ellps="GRS80"), Transformer.from_crs(
        crs, CRS(crs).geodetic_crs,
        always_xy=True,
    )  # fmt: skip
    for sizes, (dx, dy) in ((across, (0.5, 0)), (down, (0, 0.5))):
        ends = [
            degrees.transform(*lattice.to_crs(cols + s * dx, rows + s * dy))
            for s in (-1, 1)
        ]
        expected = geod.inv(*ends[0], *ends[1])[2]
        np.testing.assert_allclose(sizes, expected, rtol=2e-5)


def test_a_size_knows_no_window():
    dem = dem_of(hills(), (1e-4, 1e-4), (10, 60), "EPSG:4326")
    lattice = Lattice.of(areca.tiles.cube_geobox(dem), core_px=1)
    whole = lattice.window(areca.tiles.cube_geobox(dem))
    part = Window(whole.row0 + 7, whole.col0 + 31, whole.row0 + 20, whole.col0 + 44)
    for all_of, some in zip(
        pixel_sizes_m(lattice, whole), pixel_sizes_m(lattice, part), strict=True
    ):
        np.testing.assert_array_equal(all_of[7:20, 31:44], some)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_a_plane_has_its_slope_in_degrees_and_in_mercator_metres(crs):
    """A hillside of 30 degrees that falls to the east, at 60 degrees north."""
    pixel = (1e-4, 1e-4) if crs == "EPSG:4326" else (11.0, 11.0)
    origin = (10.0, 60.0) if crs == "EPSG:4326" else (1_113_194.9, 8_399_737.9)
    step = Geod(ellps="WGS84").inv(10, 60, 10 + 1e-4, 60)[2]
    step *= 1 if crs == "EPSG:4326" else 11 / 11.131949
    heights = np.broadcast_to(-np.arange(40) * step * np.tan(np.radians(30)), (30, 40))
    found = areca.terrain(dem_of(heights, pixel, origin, crs), ["slope", "aspect"])
    inner = found.values[:, 1:-1, 1:-1]
    np.testing.assert_allclose(inner[0], 30, atol=0.01)
    np.testing.assert_allclose(inner[1], 90, atol=0.01)


def test_the_sun_and_the_unit_of_height_can_be_told():
    dem = dem_of(hills())
    feet = areca.terrain(dem / 0.3048, ["slope", "hillshade"], z=0.3048, azimuth=90)
    metres = areca.terrain(dem, ["slope", "hillshade"], azimuth=90)
    np.testing.assert_allclose(feet.values, metres.values, rtol=1e-4, atol=1e-3)
    north = areca.terrain(dem, ["northness", "eastness", "slope"]).values
    steep = np.hypot(north[0], north[1])
    np.testing.assert_allclose(
        np.degrees(np.arcsin(steep)), north[2], rtol=1e-4, atol=1e-3
    )


def test_what_is_no_terrain_is_said():
    dem = dem_of(hills())
    with pytest.raises(BandError, match="terrain has slope, aspect"):
        areca.terrain(dem, ["slop"])
    with pytest.raises(BandError, match="azimut is no option"):
        areca.terrain(dem, ["slope"], azimut=3)
    two = xr.concat([dem, dem], "band").assign_coords(band=["a", "b"])
    with pytest.raises(BandError, match="one band"):
        areca.terrain(two)
    block = xr.DataArray(
        np.zeros((1, 5, 5), np.float32), dims=("band", "y", "x"),
        coords={"band": ["dem"]},
    )  # fmt: skip
    with pytest.raises(GridError, match="does not say where it lies"):
        areca.features.FeatureStack(("slope(dem)",))(block)
