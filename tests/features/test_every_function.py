"""What holds for all functions of features: the standing claims of a stage."""

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from feature_cubes import drawn_cube, every_feature, random_chunks

import areca
from areca.features import (
    NEIGHBOURHOODS,
    FeatureStack,
    cooccurrence,
    focal,
    windows,
)
from areca.features import functions as table
from areca.tiles import cube_geobox

NESTED = ["s = std(gaussian(nir / red, 1), 3) - mean(median(red, 3), 5)", "ndvi", "red"]


@pytest.fixture(scope="module")
def whole():
    cube = drawn_cube()
    return areca.stack_features(cube, [*every_feature(), *NESTED]).compute()


@pytest.mark.parametrize("seed", range(10))
def test_chunking_never_changes_a_bit(whole, seed):
    rng = np.random.default_rng(seed)
    parts = rng.integers(3, 7, 2)
    cube = drawn_cube().chunk(
        y=random_chunks(60, parts[0], rng), x=random_chunks(70, parts[1], rng)
    )
    found = areca.stack_features(cube, [*every_feature(), *NESTED]).compute()
    xr.testing.assert_identical(found, whole)


@pytest.mark.parametrize("name", sorted(NEIGHBOURHOODS))
def test_with_one_pixel_less_of_halo_it_would(whole, name, monkeypatch):
    """The mutation that the test above must catch."""
    function = NEIGHBOURHOODS[name]
    blind = replace(function, reach=lambda options: function.reach(options) - 1)
    monkeypatch.setitem(table.NEIGHBOURHOODS, name, blind)
    wanted = next(text for text in every_feature() if text.startswith(f"{name} ="))
    cube = drawn_cube().chunk(y=7, x=9)
    found = areca.stack_features(cube, [wanted]).values[0]
    expected = whole.sel(band=name).values
    assert not np.array_equal(found, expected, equal_nan=True)


def test_a_crop_changes_nothing_but_its_rim(whole):
    """Also not what is anchored to the grid: cells of clahe, sizes of pixels."""
    part = drawn_cube().isel(y=slice(13, 58), x=slice(5, 66))
    found = areca.stack_features(part, every_feature()).values
    expected = whole.values[: len(found), 13:58, 5:66]
    rim = max(one.reach({"window": 5, "sigma": 1, "cell": 8}) for one in
              NEIGHBOURHOODS.values())  # fmt: skip
    inner = (slice(None), slice(rim, -rim), slice(rim, -rim))
    np.testing.assert_array_equal(found[inner], expected[inner])


@pytest.mark.usefixtures("no_compute")
def test_building_computes_nothing():
    cube = drawn_cube().chunk(y=20, x=30)
    assert isinstance(areca.stack_features(cube, every_feature()).data, da.Array)
    assert areca.texture(cube, ["mean", "sobel"]).shape == (4, 60, 70)
    assert areca.enhance(cube, "gaussian", sigma=2).shape == (2, 60, 70)


def test_the_georeference_survives(whole):
    assert cube_geobox(whole) == cube_geobox(drawn_cube())
    assert np.isnan(whole.rio.nodata)
    assert list(whole.band.values)[:3] == ["slope", "aspect", "northness"]


def test_what_is_missing_stays_missing_and_its_value_never_shows():
    cube = drawn_cube()
    holes = (cube == 0).values[0]
    found = areca.stack_features(cube, every_feature()).values
    assert np.isnan(found[:, holes]).all()
    # The same holes, filled with other numbers that are called missing.
    other = drawn_cube(floats=True)
    again = areca.stack_features(other, every_feature())
    wild = cube.astype(np.float32).where(cube != 0, -9999.0)
    wild = wild.rio.write_nodata(-9999.0, encoded=False)
    masked = areca.stack_features(wild, every_feature()).values
    np.testing.assert_array_equal(masked, found)
    assert again.shape == found.shape
    # Beside a hole, differences are missing and windows are not.
    beside = np.zeros_like(holes)
    beside[1:] |= holes[:-1]
    beside &= ~holes
    by_name = dict(zip(NEIGHBOURHOODS, found, strict=True))
    for name in ("slope", "sobel", "lbp", "gradient", "tpi"):
        assert np.isnan(by_name[name][beside]).all(), name
    for name in ("mean", "std", "median", "gaussian", "clahe", "entropy", "contrast"):
        assert np.isfinite(by_name[name][beside]).all(), name


def test_a_hole_of_everything_gives_nothing():
    cube = drawn_cube() * 0
    cube = cube.rio.write_nodata(0, encoded=False)
    assert np.isnan(areca.stack_features(cube, every_feature()).values).all()


def test_a_block_is_read_once_and_only_its_bands():
    reads = []

    def read(block, block_info=None):
        reads.append(block_info[0]["array-location"])
        return block

    cube = drawn_cube().chunk(band=1, y=20, x=35)
    cube = cube.copy(data=cube.data.map_blocks(read, dtype=cube.dtype))
    areca.stack_features(cube, every_feature("nir")).compute()
    assert len(reads) == len(set(map(str, reads))) == 6
    assert {place[0][0] for place in reads} == {1}


def test_features_share_what_they_have_in_common(monkeypatch):
    """Sums of windows of one layer are made once, however many textures take them."""
    sums = []
    real = windows.box_sum

    def counted(array, box):
        sums.append(box)
        return real(array, box)

    for module in (windows, focal, cooccurrence):
        monkeypatch.setattr(module, "box_sum", counted)
    cube = drawn_cube()
    areca.texture(cube.sel(band=["nir"]), ["mean"]).compute()
    alone = len(sums)
    areca.texture(cube.sel(band=["nir"]), ["std"]).compute()
    both = len(sums) - alone
    areca.texture(cube.sel(band=["nir"]), ["mean", "std"]).compute()
    assert (alone, both, len(sums) - alone - both) == (2, 3, 3)
    del sums[:]
    pairs = ["contrast", "dissimilarity", "homogeneity", "correlation"]
    areca.texture(cube.sel(band=["nir"]), pairs, low=0, high=255).compute()
    assert len(sums) == 4 * 7  # directions, and count, 3 means, 3 of the correlation


def test_a_family_names_its_bands_and_takes_the_options_each_has():
    cube = drawn_cube()
    found = areca.texture(cube, ["mean", "entropy"], window=3, low=0, high=255)
    assert list(found.band.values) == [
        "red_mean", "red_entropy", "nir_mean", "nir_entropy",
    ]  # fmt: skip
    same = areca.stack_features(
        cube, ["a = mean(red, 3)", "b = entropy(red, 3, low=0, high=255)"]
    )
    np.testing.assert_array_equal(found.values[:2], same.values)
    odd = cube.assign_coords(band=["band 1", "1"])
    smooth = areca.enhance(odd, "median", window=3)
    assert list(smooth.band.values) == ["band 1", "1"]
    with pytest.raises(areca.errors.BandError, match="filter has gaussian"):
        areca.enhance(cube, "blur")
    with pytest.raises(areca.errors.BandError, match="needs low and high"):
        areca.texture(cube, ["contrast"])
    with pytest.raises(areca.errors.BandError, match="give a list"):
        areca.texture(cube, "mean")


def test_the_halo_of_nested_functions_adds_up():
    assert FeatureStack(("mean(gaussian(nir, 1), 5)", "nir")).halo_px == 2 + 4
