"""Pansharpening: as NumPy and GDAL have it, from bands of different pixels."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from catalog_rasters import make_item
from feature_cubes import random_chunks

import areca
from areca.catalog import CubeOptions, set_origin
from areca.errors import BandError

BANDS = ["red", "green", "blue"]
EDGE = 60


def write(path, pixels, pixel):
    profile = {
        "driver": "GTiff", "count": len(pixels), "height": pixels.shape[1],
        "width": pixels.shape[2], "dtype": "float32", "crs": "EPSG:32631",
        "transform": Affine(pixel, 0, 5e5, 0, -pixel, 5e6), "nodata": -1,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels.astype("float32"))
    return path


@pytest.fixture
def scene(tmp_path):
    """An item with pan of 15 m and three bands of 30 m, both with holes."""
    rng = np.random.default_rng(4)
    colours = rng.uniform(20, 200, (3, EDGE, EDGE))
    pan = rng.uniform(50, 180, (1, 2 * EDGE, 2 * EDGE))
    colours[:, 10:14, 20:26] = -1
    colours[1, 40, 41] = -1
    pan[0, 100:103, 7] = -1
    paths = write(tmp_path / "ms.tif", colours, 30), write(tmp_path / "p.tif", pan, 15)
    item = make_item(paths[0], names=BANDS)
    fine = make_item(paths[1], names=["pan"])
    asset = fine.assets["image"]
    asset.extra_fields |= {
        "proj:transform": fine.properties["proj:transform"],
        "proj:shape": fine.properties["proj:shape"],
    }
    item.add_asset("pan", asset)
    return set_origin([item], "."), paths


def opened(items, **how):
    options = CubeOptions(resampling={"*": "nearest"}, **how)
    return areca.open_cube(items, bands=["pan", *BANDS], options=options)


def brovey(pixels, weights):
    pan, *colours = pixels
    total = sum(np.float32(w) * c for w, c in zip(weights, colours, strict=True))
    return np.stack([colour * (pan / total) for colour in colours])


def gdal(paths, weights):
    """What gdal_pansharpen makes of the same files: a VRT of its kind."""
    ms, pan = paths
    spectral = "".join(
        f'<SpectralBand dstBand="{band}"><SourceFilename>{ms}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SpectralBand>"
        for band in (1, 2, 3)
    )
    bands = "".join(
        f'<VRTRasterBand dataType="Float32" band="{band}" '
        f'subClass="VRTPansharpenedRasterBand"/>'
        for band in (1, 2, 3)
    )
    text = (
        f'<VRTDataset subClass="VRTPansharpenedDataset">{bands}<PansharpeningOptions>'
        "<Algorithm>WeightedBrovey</Algorithm><AlgorithmOptions><Weights>"
        f"{','.join(map(repr, weights))}</Weights></AlgorithmOptions>"
        "<Resampling>Nearest</Resampling><NoData>-1</NoData>"
        f"<PanchroBand><SourceFilename>{pan}</SourceFilename><SourceBand>1"
        f"</SourceBand></PanchroBand>{spectral}</PansharpeningOptions></VRTDataset>"
    )
    with rasterio.open(text) as file:
        return file.read()


@pytest.mark.parametrize("weights", [None, {"red": 0.2, "green": 0.7, "blue": 0.1}])
def test_it_equals_numpy_and_gdal(scene, weights):
    items, paths = scene
    cube = opened(items)
    assert cube.shape == (4, 2 * EDGE, 2 * EDGE)
    sharp = areca.pansharpen(cube, weights=weights)
    assert sharp.band.values.tolist() == BANDS
    shares = [1 / 3] * 3 if weights is None else list(weights.values())
    np.testing.assert_array_equal(sharp, brovey(cube.values, shares))
    theirs = gdal(paths, shares)
    known = np.isfinite(sharp.values)
    assert 0.9 < known.mean() < 1
    np.testing.assert_array_equal(known.all(axis=0), (theirs != -1).all(axis=0))
    np.testing.assert_allclose(sharp.values[known], theirs[known], rtol=2e-6)


@pytest.mark.usefixtures("no_compute")
def test_nothing_is_computed(scene):
    assert areca.pansharpen(opened(scene[0])).chunks is not None


@pytest.mark.parametrize("seed", range(3))
def test_any_chunks_give_the_same(scene, seed):
    cube, rng = opened(scene[0]), np.random.default_rng(seed)
    cut = {dim: random_chunks(2 * EDGE, 4, rng) for dim in ("y", "x")}
    whole = areca.pansharpen(cube.compute()).values
    np.testing.assert_array_equal(areca.pansharpen(cube.chunk(cut)).values, whole)


def test_a_band_that_does_not_count_is_sharpened_and_its_holes_are_its_own(scene):
    cube = opened(scene[0])
    sharp = areca.pansharpen(cube, weights={"red": 0.5, "blue": 0.5}).values
    pan, red, green, blue = cube.values
    half = np.float32(0.5)
    np.testing.assert_array_equal(sharp[1], green * (pan / (half * red + half * blue)))
    assert np.isfinite(sharp[0, 80:82, 82:84]).all()
    assert np.isnan(sharp[1, 80:82, 82:84]).all()


def test_the_language_says_the_same_and_the_origin_is_kept(scene):
    cube = opened(scene[0])
    sharp = areca.pansharpen(cube, weights={"red": 0.5, "green": 0.5})
    text = "blue = blue * (pan / (0.5 * red + 0.5 * green))"
    said = areca.stack_features(cube, [text])
    np.testing.assert_array_equal(said[0], sharp.sel(band="blue"))
    told = areca.lineage(sharp)["blue"]
    assert told == areca.lineage(said)["blue"]
    assert told["of"]["red"]["sources"][0]["resampling"] == "nearest"
    assert told["of"]["pan"]["sources"][0]["asset"] == "pan.b1"


def test_a_sum_of_zero_is_not_defined(scene):
    cube = opened(scene[0]).compute()
    cube[1:, 0, 0] = 0
    assert np.isnan(areca.pansharpen(cube)[:, 0, 0]).all()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"pan": "b8"}, "needs a panchromatic band"),
        ({"weights": {"nir": 1}}, r"\{'nir': 1\} cannot be"),
        ({"weights": {"red": -1, "green": 2}}, r"\{'red': -1\} cannot be"),
        ({"weights": {"red": 0}}, "not all 0"),
        ({"weights": {"red": float("nan")}}, "nan"),
    ],
)
def test_what_cannot_be_is_refused(scene, how, message):
    with pytest.raises(BandError, match=message):
        areca.pansharpen(opened(scene[0]), **how)
