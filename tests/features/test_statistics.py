"""Statistics of a region and what they scale, against NumPy and scikit-image."""

import json
import pickle

import dask
import numpy as np
import pytest
import xarray as xr
from feature_cubes import drawn_cube, random_chunks
from skimage import exposure

import areca
from areca.errors import BandError
from areca.features import cells, statistics
from areca.tiles import cube_geobox


def seen(cube, band):
    values = cube.sel(band=band).values.astype(np.float64)
    nodata = cube.rio.nodata
    return values[np.isfinite(values) & (values != nodata)]


@pytest.fixture(autouse=True)
def small_cells(monkeypatch):
    """Cells of 16 pixels, so that a drawn cube has many."""
    monkeypatch.setattr(cells, "CELL_PX", 16)


def wide_cube():
    """Doubles of all sizes, whose sum depends on the order."""
    cube = drawn_cube().astype(np.float64)
    rng = np.random.default_rng(8)
    return cube.copy(data=rng.lognormal(0, 4, cube.shape))


CUBES = {
    "doubles": wide_cube,
    "bytes": drawn_cube,
    "floats": lambda: drawn_cube(floats=True),
    "signed": lambda: (
        drawn_cube(holes=False).astype(np.int16) * 40 - 5000
    ).rio.write_nodata(-5000 + 40 * 128, encoded=False),
}


@pytest.mark.parametrize("kind", CUBES)
def test_statistics_equal_numpy_on_what_is_there(kind):
    cube = CUBES[kind]()
    found = areca.fit_statistics(cube.chunk(y=17, x=23))
    for band in ("red", "nir"):
        values, one = seen(cube, band), found[band]
        assert one.count == len(values) == sum(one.counts)
        assert (one.minimum, one.maximum) == (values.min(), values.max())
        assert one.mean == pytest.approx(values.mean(), rel=1e-12)
        assert one.std == pytest.approx(values.std(), rel=1e-12)
        for percent in (0, 2, 50, 98, 100):
            expected = np.percentile(values, percent, method="inverted_cdf")
            width = (
                0
                if kind in {"bytes", "signed"}
                else (one.high - one.low) / len(one.counts)
            )
            assert one.percentile(percent) == pytest.approx(expected, abs=width)


@pytest.mark.parametrize("kind", CUBES)
@pytest.mark.parametrize("seed", range(5))
def test_chunks_change_no_digit(kind, seed):
    rng = np.random.default_rng(seed)
    cube = CUBES[kind]()
    chunked = cube.chunk(
        y=random_chunks(60, 4, rng), x=random_chunks(70, 5, rng), band=1 + seed % 2
    )
    with dask.config.set(scheduler="threads", num_workers=3):
        found = areca.fit_statistics(chunked)
    assert found == areca.fit_statistics(cube)


def test_sums_by_chunk_would_change_digits():
    """The mutation that the test above must catch: cells that follow the chunks."""
    whole = wide_cube().values[1]
    parts = [whole[start : start + 7].sum() for start in range(0, 60, 7)]
    assert sum(parts) != whole.sum()


def held_bytes(monkeypatch, cube):
    """Return the size of what comes to the caller while statistics are fitted."""
    held = []

    def compute(*tasks):
        found = dask.compute(*tasks)
        held.append(len(pickle.dumps(found)))
        return found

    monkeypatch.setattr(statistics, "compute", compute)
    areca.fit_statistics(cube.chunk(y=64, x=64))
    return max(held)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_the_caller_holds_one_histogram_however_large_the_region(monkeypatch, kind):
    few, many = (
        drawn_cube(edge, edge, holes=False).astype(kind) for edge in (100, 200)
    )
    bins = 65536 if kind == "uint16" else statistics.BINS
    held = held_bytes(monkeypatch, few)
    assert held < 1.2 * 8 * bins * few.sizes["band"]
    cells = (200 // 16 + 2) ** 2 * few.sizes["band"]
    assert held_bytes(monkeypatch, many) < held + 100 * cells


def test_a_sample_is_taken_by_place_and_not_by_block():
    cube = drawn_cube(holes=False)
    found = areca.fit_statistics(cube.chunk(y=7, x=9), step=3)
    row0, col0 = -(4_000_370 // 10), 50_013
    rows = [r for r in range(60) if (row0 + r) % 3 == 0]
    cols = [c for c in range(70) if (col0 + c) % 3 == 0]
    expected = cube.sel(band="nir").values[np.ix_(rows, cols)]
    assert found["nir"].count == expected.size
    assert found["nir"].mean == pytest.approx(expected.mean(), rel=1e-12)


def test_statistics_are_plain_data():
    found = areca.fit_statistics(drawn_cube(floats=True))
    again = areca.Statistics.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    with pytest.raises(BandError, match="no statistics of areca"):
        areca.Statistics.from_dict({"bands": {"red": {"count": 3}}, "step": 1})


def test_each_method_equals_its_definition():
    cube = drawn_cube()
    stats = areca.fit_statistics(cube)
    values = np.where(cube.values == 0, np.nan, cube.values.astype(np.float64))
    nir = values[1]
    with_cuts = np.nanpercentile(nir, [2, 98], method="inverted_cdf")
    expected = {
        "zscore": (nir - np.nanmean(nir)) / np.nanstd(nir),
        "minmax": (nir - np.nanmin(nir)) / (np.nanmax(nir) - np.nanmin(nir)),
        "percentile": np.clip((nir - with_cuts[0]) / np.ptp(with_cuts), 0, 1),
        "equalize": exposure.equalize_hist(
            np.nan_to_num(nir).astype(np.uint8), mask=np.isfinite(nir)
        ),
    }
    for method, formula in expected.items():
        found = areca.normalize(cube.chunk(y=13, x=17), stats, method)
        wanted = np.where(np.isfinite(nir), formula, np.nan)
        np.testing.assert_allclose(found.values[1], wanted, rtol=2e-6, atol=2e-6)
        assert cube_geobox(found) == cube_geobox(cube)


def test_dark_pixels_are_subtracted():
    cube = drawn_cube()
    stats = areca.fit_statistics(cube)
    found = areca.subtract_dark(cube.chunk(y=13, x=17), stats, percent=1).values
    for band, name in enumerate(("red", "nir")):
        values = cube.values[band].astype(np.float64)
        dark = np.percentile(seen(cube, name), 1, method="inverted_cdf")
        expected = np.where(values == 0, np.nan, np.maximum(values - dark, 0))
        np.testing.assert_array_equal(found[band], expected)


def test_matching_equals_scikit_image():
    cube = drawn_cube(holes=False)
    other = (drawn_cube(holes=False, seed=5) // 2 + 40).astype(np.uint8)
    found = areca.match_histograms(
        cube.chunk(y=13, x=17), areca.fit_statistics(cube), areca.fit_statistics(other)
    )
    expected = exposure.match_histograms(
        cube.values.astype(np.float64), other.values.astype(np.float64), channel_axis=0
    )
    np.testing.assert_allclose(found.values, expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["zscore", "minmax", "percentile", "equalize"])
def test_scaling_is_lazy_and_knows_no_chunk(method):
    cube = drawn_cube(floats=True)
    stats = areca.fit_statistics(cube)
    whole = areca.normalize(cube, stats, method).compute()
    with dask.config.set(scheduler=lambda *_a, **_k: 1 / 0):
        parts = areca.normalize(cube.chunk(y=7, x=9, band=1), stats, method)
    xr.testing.assert_identical(parts.compute(), whole)


def test_what_cannot_be_is_said():
    cube = drawn_cube()
    stats = areca.fit_statistics(cube)
    with pytest.raises(BandError, match="no method 'zcore'; choose zscore"):
        areca.normalize(cube, stats, "zcore")
    with pytest.raises(BandError, match="no statistics of band 'blue', only of red"):
        areca.normalize(cube.assign_coords(band=["red", "blue"]), stats)
    level = cube * 0 + np.uint8(7)
    level = level.rio.write_nodata(0, encoded=False)
    with pytest.raises(BandError, match="one value, 7"):
        areca.normalize(level, areca.fit_statistics(level))
    empty = (cube * 0).rio.write_nodata(0, encoded=False)
    with pytest.raises(BandError, match="no pixel of red, nir"):
        areca.fit_statistics(empty)
    with pytest.raises(BandError, match="step"):
        areca.fit_statistics(cube, step=0)


def test_a_cube_of_bytes_is_read_once_and_one_of_floats_twice():
    for kind, times in (("bytes", 1), ("floats", 2)):
        cube, reads = CUBES[kind]().chunk(y=20, x=35), []

        def read(block, reads=reads):
            reads.append(block.shape)
            return block

        data = cube.data.map_blocks(read, dtype=cube.dtype, meta=cube.data._meta)
        areca.fit_statistics(cube.copy(data=data))
        assert len(reads) == 6 * times
