import numpy as np
import pytest
import rasterio
import xarray as xr

from areca.catalog import open_cube, search
from areca.errors import BandError, GridError
from areca.features import FeatureStack, fit_statistics, inputs_of, stack_features
from areca.tiles import cube_geobox

WANTED = ["red", "green", "blue", "nir", "ndvi", "gndvi"]


@pytest.fixture
def cube():
    """A drawn cube of four bands, uint8 with nodata 0."""
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 255, (4, 30, 40)).astype(np.uint8)
    array = xr.DataArray(
        pixels,
        dims=("band", "y", "x"),
        coords={
            "band": ["red", "green", "blue", "nir"],
            "y": 5e6 - 2 * (np.arange(30) + 0.5),
            "x": 5e5 + 2 * (np.arange(40) + 0.5),
        },
    )
    array = array.rio.write_crs("EPSG:32614")
    array = array.rio.write_transform(rasterio.Affine(2, 0, 5e5, 0, -2, 5e6))
    return array.rio.write_nodata(0, encoded=False)


def by_numpy(pixels, nodata=None):
    """The features of red, green, blue, nir, written down a second time in float64."""
    values = pixels.astype(np.float64)
    if nodata is not None:
        values[pixels == nodata] = np.nan
    red, green, blue, nir = values
    with np.errstate(divide="ignore", invalid="ignore"):
        ndvi = np.where(nir + red == 0, np.nan, (nir - red) / (nir + red))
        gndvi = np.where(nir + green == 0, np.nan, (nir - green) / (nir + green))
    return np.stack([red, green, blue, nir, ndvi, gndvi])


def test_features_equal_numpy_and_nodata_is_nan(cube):
    found = stack_features(cube, WANTED)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.values, by_numpy(cube.values, 0), rtol=1e-6)
    assert np.isnan(found.values).any()


def test_features_together_equal_each_alone(cube):
    """Shared parts, a feature of a feature, an overflow within one, the same twice."""
    wanted = [
        "nir", "big = exp(red)", "small = 1 / exp(red)", "ndvi", "again = ndvi",
        "d = nir - red", "savi", "wide = std(nir - red, 3)", "mean(nir - red, 3)",
    ]  # fmt: skip
    found = stack_features(cube, wanted)
    for band, text in zip(found, wanted, strict=True):
        alone = stack_features(cube, [text])[0]
        np.testing.assert_array_equal(band.values, alone.values)
    with np.errstate(over="ignore"):
        big = np.exp(cube.values[0].astype(np.float32))
    assert np.isinf(big).any()
    for name in ("big", "small"):
        assert np.isnan(found.sel(band=name).values[np.isinf(big)]).all()


def test_naip_features_equal_numpy_on_what_rasterio_reads(shared_data):
    catalog = shared_data / "stac_catalog"
    items = search(catalog, collections=["naip-north-dakota"], datetime="2020")
    found = stack_features(open_cube(items, bands=WANTED[:4]), WANTED)
    folder = shared_data / "naip_north_dakota_timeseries"
    with rasterio.open(folder / "m_4709963_se_14_1_20200831.tif") as file:
        pixels, nodata, transform = file.read(), file.nodata, file.transform
        assert found.rio.crs == file.crs
    assert found.rio.transform() == transform
    np.testing.assert_allclose(found.values, by_numpy(pixels, nodata), rtol=1e-6)


@pytest.mark.usefixtures("no_compute")
def test_stacking_stays_lazy(cube):
    found = stack_features(cube.chunk(y=10, x=15), WANTED)
    assert found.chunksizes["y"] == (10, 10, 10)
    assert list(found.band.values) == WANTED


@pytest.mark.parametrize("chunks", [{"y": 1, "x": 40}, {"y": 7, "x": 9, "band": 2}])
def test_chunking_never_changes_the_answer(cube, chunks):
    whole = stack_features(cube, WANTED).compute()
    parts = stack_features(cube.chunk(chunks), WANTED).compute()
    xr.testing.assert_identical(parts.rename(None), whole.rename(None))


def test_the_place_survives_also_after_a_crop(cube):
    found = stack_features(cube.isel(y=slice(5, 20), x=slice(3, 33)), WANTED)
    whole = cube_geobox(cube)
    assert cube_geobox(found) == whole[5:20, 3:33]


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        (["red", "swir"], r"no band or index 'swir'.*\['red', 'green', 'blue'\]"),
        (
            ["ndvi"],
            r"'ndvi' needs \['nir', 'red'\].*no \['nir'\].*'red', 'green', 'blue'",
        ),
        (["gndvi"], r"'gndvi' needs \['nir', 'green'\].*no \['nir'\]"),
        ([], "different names"),
        (["red", "red"], "different names"),
    ],
)
def test_what_is_missing_is_named(cube, bands, message):
    with pytest.raises(BandError, match=message):
        stack_features(cube.sel(band=["red", "green", "blue"]), bands)


def test_a_cube_without_a_place_is_refused(cube):
    with pytest.raises(GridError, match="no CRS"):
        stack_features(cube.drop_vars("spatial_ref"), WANTED)


def test_a_band_of_the_cube_wins_over_the_index_of_its_name(cube):
    given = cube.assign_coords(band=["ndvi", "green", "blue", "nir"])
    found = stack_features(given, ["ndvi"])
    expected = np.where(cube.values[0] == 0, np.nan, cube.values[0].astype(np.float32))
    np.testing.assert_array_equal(found.values[0], expected)


def test_the_stage_says_what_it_needs():
    stage = FeatureStack(("ndvi", "red", "gndvi"))
    assert stage.halo_px == 0
    assert (
        stage.inputs == inputs_of(["ndvi", "red", "gndvi"]) == ("nir", "red", "green")
    )


def test_a_sum_of_zero_is_nan_without_a_warning():
    pixels = np.array([[[0.0, 3.0, -1.0]], [[0.0, 1.0, 1.0]]], np.float32)
    block = xr.DataArray(
        pixels, dims=("band", "y", "x"), coords={"band": ["nir", "red"]}
    )
    np.testing.assert_array_equal(
        FeatureStack(("ndvi",))(block).values, np.float32([[[np.nan, 0.5, np.nan]]])
    )


def test_each_date_of_a_cube_over_time_is_worked_on_by_itself(cube):
    dates = np.array(["2020-01-01", "2021-01-01"], "datetime64[ns]")
    series = xr.concat([cube, cube + 1], dim=xr.Variable("time", dates))
    features = ["red", "std(green, 3)"]
    found = stack_features(series, features)
    assert found.dims == ("time", "band", "y", "x")
    assert cube_geobox(found) == cube_geobox(cube)
    np.testing.assert_array_equal(found.time, dates)
    for number in range(2):
        alone = stack_features(series.isel(time=number), features)
        np.testing.assert_array_equal(found.isel(time=number), alone)
    with pytest.raises(GridError, match="2 dates"):
        fit_statistics(series)
