"""Iso Cluster and maximum likelihood, against scikit-learn."""

import json
from dataclasses import replace

import dask
import numpy as np
import pytest
import xarray as xr
from feature_cubes import drawn_cube, random_chunks
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

import areca
from areca.errors import BandError
from areca.features import SignatureClass, cells, clusters
from areca.tiles import cube_geobox

OPTIONS = areca.ClusterOptions(classes=5, sample_interval=2)


@pytest.fixture(autouse=True)
def small_cells(monkeypatch):
    """Cells of 16 pixels, so that a drawn cube has many."""
    monkeypatch.setattr(cells, "CELL_PX", 16)
    monkeypatch.setattr(cells, "CELLS_ASIDE", 2)


def ground():
    """Four bands whose sums depend on the order, with holes."""
    cube = drawn_cube(floats=True)
    cube = cube.where(cube.band != "nir", 255 - cube)  # bright in red, bright in all
    more = (cube**2 / 255).assign_coords(band=["green", "blue"])
    return xr.concat([cube, more], "band").transpose("band", "y", "x")


def sampled(cube, step=2):
    """Rows of the pixels that stand for the cube, by their place on the grid."""
    row0, col0 = -(4_000_370 // 10), 50_013
    rows = [r for r in range(cube.sizes["y"]) if (row0 + r) % step == 0]
    cols = [c for c in range(cube.sizes["x"]) if (col0 + c) % step == 0]
    pixels = cube.values[:, rows][:, :, cols].reshape(len(cube.band), -1).T
    return pixels[np.isfinite(pixels).all(axis=1)].astype(np.float64)


def start(pixels, classes):
    places = np.linspace(-1, 1, classes)[:, None]
    return pixels.mean(axis=0) + places * pixels.std(axis=0)


@pytest.fixture(scope="module")
def signature():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "CELL_PX", 16)
        return areca.fit_clusters(ground(), OPTIONS)


def test_means_are_those_of_scikit_learn(signature):
    pixels = sampled(ground())
    peer = KMeans(
        5, init=start(pixels, 5), n_init=1, max_iter=20, tol=0, algorithm="lloyd"
    ).fit(pixels)
    means = np.array([one.mean for one in signature.classes])
    order = np.argsort((peer.cluster_centers_ / pixels.std(axis=0)).sum(axis=1))
    assert peer.n_iter_ < 20
    np.testing.assert_allclose(means, peer.cluster_centers_[order], rtol=1e-6)
    for one, number in zip(signature.classes, order, strict=True):
        mine = pixels[peer.labels_ == number]
        assert one.count == len(mine)
        np.testing.assert_allclose(one.covariance, np.cov(mine.T), rtol=1e-9, atol=1e-9)


def test_classes_are_those_of_scikit_learn(signature):
    pixels = sampled(ground())
    means = np.array([one.mean for one in signature.classes])
    labels = 1 + ((pixels[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    peer = QuadraticDiscriminantAnalysis(priors=[0.2] * 5, store_covariance=True)
    peer.fit(pixels, labels)
    # It may divide by the count of a class, where a signature divides by one less.
    same = [
        replace(one, covariance=tuple(map(tuple, covariance)))
        for one, covariance in zip(signature.classes, peer.covariance_, strict=True)
    ]
    theirs = replace(signature, classes=tuple(same))
    cube = ground().chunk(y=17, x=23)
    found = areca.classify(cube, theirs)
    classes = found.values.ravel()
    sure = areca.classify(cube, theirs, confidence=True).values.ravel()
    every = cube.values.reshape(4, -1).T.astype(np.float64)
    there = np.isfinite(every).all(axis=1)
    chances = peer.predict_proba(every[there])
    np.testing.assert_array_equal(classes[there], peer.predict(every[there]))
    np.testing.assert_allclose(sure[there], chances.max(axis=1), rtol=1e-5)
    assert (classes[~there] == 255).all()
    assert np.isnan(sure[~there]).all()
    assert (found.dtype, found.rio.nodata) == (np.uint8, 255)
    assert cube_geobox(found) == cube_geobox(cube)
    assert found.attrs["flag_meanings"].split()[0] == "class_1"


@pytest.mark.parametrize("seed", range(10))
def test_chunks_change_no_digit_and_no_class(signature, seed):
    rng = np.random.default_rng(seed)
    parts = rng.integers(3, 7, 2)
    cube = ground().chunk(
        y=random_chunks(60, parts[0], rng),
        x=random_chunks(70, parts[1], rng),
        band=1 + seed % 4,
    )
    with dask.config.set(scheduler="threads", num_workers=1 + seed % 3):
        assert areca.fit_clusters(cube, OPTIONS) == signature
        found = areca.classify(cube, signature).compute()
    xr.testing.assert_identical(found, areca.classify(ground(), signature).compute())


def test_sums_of_other_cells_would_change_digits(signature, monkeypatch):
    """The mutation that the test above must catch: cells that follow a chunk."""
    monkeypatch.setattr(cells, "CELL_PX", 13)
    assert areca.fit_clusters(ground(), OPTIONS) != signature


def test_a_sample_from_the_corner_of_a_part_would_be_another(signature, monkeypatch):
    """The mutation that the tests above must catch."""

    def from_corner(_cell, start, stop, step):
        return slice(0, stop - start, step)

    monkeypatch.setattr(cells, "_sampled", from_corner)
    assert areca.fit_clusters(ground(), OPTIONS) != signature


def test_a_sample_too_large_to_keep_gives_the_same(signature, monkeypatch):
    monkeypatch.setattr(clusters, "KEEP_BYTES", 0)
    assert areca.fit_clusters(ground().chunk(y=20, x=35), OPTIONS) == signature


@pytest.mark.usefixtures("no_compute")
def test_classifying_computes_nothing(signature):
    found = areca.classify(ground().chunk(y=20, x=30), signature)
    assert found.chunks == ((20, 20, 20), (30, 30, 10))


def test_bands_are_found_by_name_and_bytes_are_pixels_too(signature):
    expected = areca.classify(ground(), signature).values
    turned = ground().isel(band=[3, 1, 0, 2])
    np.testing.assert_array_equal(areca.classify(turned, signature), expected)
    options = areca.ClusterOptions(classes=3, sample_interval=1)
    by_bytes = areca.fit_clusters(drawn_cube(), options)
    floats = drawn_cube().where(drawn_cube() != 0).astype(np.float32)
    assert by_bytes == areca.fit_clusters(floats, options)


def test_classes_that_are_too_small_are_given_up():
    """Forty bright pixels are a class of their own, until forty are too few."""
    cube = drawn_cube(holes=False, floats=True)
    cube[:, :4, :10] += 300
    few = areca.ClusterOptions(classes=3, sample_interval=1, min_class_size=41)
    enough = areca.ClusterOptions(classes=3, sample_interval=1, min_class_size=40)
    assert [one.count for one in areca.fit_clusters(cube, enough).classes][-1] == 40
    found = areca.fit_clusters(cube, few)
    assert len(found.classes) == 2
    assert sum(one.count for one in found.classes) == 60 * 70


def test_a_class_of_one_value_can_be_told_apart():
    cube = drawn_cube(holes=False, floats=True)
    cube[:, :10, :10] = 3000
    options = areca.ClusterOptions(classes=2, sample_interval=1)
    found = areca.classify(cube, areca.fit_clusters(cube, options))
    assert (found[:10, :10] == 2).all()
    assert (found == 2).sum() == 100


@pytest.mark.parametrize("kind", ["json", "gsg"])
def test_files_hold_every_digit(signature, kind, tmp_path):
    path = signature.write(tmp_path / f"land.{kind}")
    assert areca.Signature.read(path) == signature


GSG = """\
# Signatures Produced by ClassSig from Zone-Grid redsamp5 and Stack redlands
# Number of selected grids
/*        2
# Layer-Number        Grid-name
/*        1            redlands3
/*        2            redlands1

# Type  Number of Classes  Number of Layers  Number of Parametric Layers
    1          2                2                  2
# ----------------------------------------------------------------------

# Class ID     Number of Cells     Class Name
       3            88             water
# Layers        1          2
# Means
             35.99       21.68
# Covariance
  1          12.50        2.25
  2           2.25        9.00
# ----------------------------------------------------------------------

# Class ID     Number of Cells     Class Name
       7           120
# Layers        1          2
# Means
             80.00       90.00
# Covariance
  1          30.00        1.00
  2           1.00       40.00
"""


def test_a_file_as_arcgis_writes_it_is_read(tmp_path):
    path = tmp_path / "redlands.gsg"
    path.write_text(GSG)
    found = areca.Signature.read(path)
    assert found.bands == ("redlands3", "redlands1")
    assert found.classes[0] == SignatureClass(
        value=3,
        name="water",
        count=88,
        mean=(35.99, 21.68),
        covariance=((12.5, 2.25), (2.25, 9.0)),
    )
    assert (found.classes[1].value, found.classes[1].name) == (7, "class_7")
    cube = drawn_cube().assign_coords(band=["redlands1", "redlands3"])
    cube = cube.where(cube != 0)
    cube[:, :5] = 30.0
    assert set(np.unique(areca.classify(cube, found))) == {3, 7, 255}


def test_what_is_no_signature_is_said(tmp_path, signature):
    path = tmp_path / "land.gsg"
    head = "    1          2                2                  "
    means_only = GSG.replace(head + "2", head + "0")
    for text in (means_only, GSG[:-40], "hello", ""):
        path.write_text(text)
        with pytest.raises(BandError, match=r"land\.gsg is no signature file"):
            areca.Signature.read(path)
    other = path.with_suffix(".json")
    other.write_text("hello")
    with pytest.raises(BandError, match="is no JSON"):
        areca.Signature.read(other)
    other.write_text(json.dumps({"bands": ["red"], "classes": 3}))
    with pytest.raises(BandError, match="no signature of areca"):
        areca.Signature.read(other)
    with pytest.raises(BandError, match=r"\.json or \.gsg, got land\.txt"):
        signature.write(tmp_path / "land.txt")
    data = signature.to_dict()
    with pytest.raises(BandError, match="means and covariances"):
        areca.Signature.from_dict({**data, "bands": ["red"]})
    with pytest.raises(BandError, match="growing values"):
        areca.Signature.from_dict({**data, "classes": data["classes"][::-1]})


def test_what_cannot_be_is_said(signature):
    cube = ground()
    with pytest.raises(BandError, match="classes must be 2 to 254, got 1"):
        areca.ClusterOptions(classes=1)
    with pytest.raises(BandError, match="sample_interval must be 1 or more, got 0"):
        areca.ClusterOptions(classes=2, sample_interval=0)
    with pytest.raises(BandError, match="42 pixels are too few for 5 classes of 40"):
        areca.fit_clusters(cube, areca.ClusterOptions(classes=5, sample_interval=10))
    with pytest.raises(BandError, match="min_class_size=4 is too small for 4 bands"):
        areca.fit_clusters(cube, areca.ClusterOptions(classes=2, min_class_size=4))
    with pytest.raises(BandError, match="0 pixels are too few"):
        areca.fit_clusters(cube * np.nan, OPTIONS)
    level = cube.where(cube.band != "green", 7.0).where(cube.notnull())
    with pytest.raises(BandError, match="one value in green"):
        areca.fit_clusters(level, OPTIONS)
    with pytest.raises(BandError, match="the cube has no green, blue: it has red, nir"):
        areca.classify(drawn_cube(), signature)
    data = signature.to_dict()
    data["classes"][1]["covariance"] = np.ones((4, 4)).tolist()
    with pytest.raises(BandError, match=r"covariance of class 2 \(class_2\)"):
        areca.classify(cube, areca.Signature.from_dict(data))
