"""Mean shift and its segments, against plain NumPy and SciPy on the whole array."""

import math
from collections import Counter
from dataclasses import replace

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from feature_cubes import drawn_cube, random_chunks
from scipy import ndimage

import areca
from areca.errors import BandError
from areca.features import open_segments as opened
from areca.features import segments as module
from areca.features import small_segments as merging
from areca.features.components import Meetings
from areca.features.mean_shift import MeanShift
from areca.tiles import cube_geobox

RADII = {"spectral_radius": 24.0, "spatial_radius": 2, "iterations": 3}
OPTIONS = areca.SegmentOptions(**RADII)
FINE = {**RADII, "spectral_radius": 16.0}  # 700 segments of a few pixels
SIZED = areca.SegmentOptions(**FINE, min_segment_size=25, max_segment_size=400)
ROW0, COL0 = -(4_000_370 // 10), 50_013


def named(cube, options=OPTIONS):
    return areca.segment(cube, areca.fit_segments(cube, options)).compute()


def shifted(cube):
    """Mean shift by its definition, one pixel after the other, in float64."""
    values = np.where(cube == 0, np.nan, cube.values.astype(np.float64))
    values[:, np.isnan(values).any(axis=0)] = np.nan
    for _ in range(3):
        padded = np.pad(values, ((0, 0), (2, 2), (2, 2)), constant_values=np.nan)
        moved = np.full_like(values, np.nan)
        for row, col in zip(*np.nonzero(np.isfinite(values[0])), strict=True):
            around = padded[:, row : row + 5, col : col + 5].reshape(2, -1)
            off = around - values[:, row, col, None]
            alike = (off**2).sum(axis=0) <= 24**2
            moved[:, row, col] = around[:, alike].mean(axis=1)
        values = moved
    return values


def labelled(values, within, cell=None):
    """Components of the whole: pixels and the links between them, as one image."""
    height, width = values.shape[1:]
    image = np.zeros((2 * height - 1, 2 * width - 1), bool)
    image[::2, ::2] = np.isfinite(values[0])
    beside = (np.diff(values, axis=2) ** 2).sum(axis=0) <= within**2
    below = (np.diff(values, axis=1) ** 2).sum(axis=0) <= within**2
    if cell is not None:
        beside[:, (COL0 + np.arange(1, width)) % cell == 0] = False
        below[(ROW0 + np.arange(1, height)) % cell == 0] = False
    image[::2, 1::2] = beside
    image[1::2, ::2] = below
    found, _ = ndimage.label(image)
    return found[::2, ::2]


def by_first_pixel(labels):
    """Give each label the place of its first pixel, and -1 to 0."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.where(labels == 0, -1, first[inverse].reshape(labels.shape))


def merged(ids, values, least):
    """Small segments to their neighbours, by plain loops over all borders."""
    lightest = {}
    for axis in (1, 2):
        weight = (np.diff(values, axis=axis) ** 2).sum(axis=0)
        here = np.delete(ids, -1, axis=axis - 1)
        there = np.delete(ids, 0, axis=axis - 1)
        seen = (here != there) & (here >= 0) & (there >= 0)
        for pair in zip(here[seen], there[seen], weight[seen], strict=True):
            key = tuple(sorted(map(int, pair[:2])))
            lightest[key] = min(float(pair[2]), lightest.get(key, np.inf))
    order = sorted((weight, *pair) for pair, weight in lightest.items())
    now = {int(each): int(each) for each in np.unique(ids)}
    while True:
        size = Counter(now[each] for each in ids.ravel().tolist())
        picks = {}
        for _, one, other in order:
            ends = now[one], now[other]
            if ends[0] != ends[1]:
                for end in ends:
                    if size[end] < least:
                        picks.setdefault(end, (one, other))
        if not picks:
            return np.vectorize(now.get)(ids)
        for one, other in picks.values():
            new, old = sorted((now[one], now[other]))
            now = {each: new if of == old else of for each, of in now.items()}


@pytest.fixture(scope="module")
def whole():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_PX", 10**6)
        return named(drawn_cube())


@pytest.fixture(scope="module")
def sized():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_PX", 10**6)
        return named(drawn_cube(), SIZED)


def test_the_filter_is_mean_shift():
    cube = drawn_cube()
    found = areca.mean_shift(cube.chunk(y=17, x=23), **RADII)
    np.testing.assert_allclose(found.values, shifted(cube), rtol=1e-5)
    assert cube_geobox(found) == cube_geobox(cube)
    level = found.std(("y", "x")) < cube.where(cube != 0).std(("y", "x"))
    assert level.all()


def test_segments_are_the_components_of_the_whole(whole):
    values = areca.mean_shift(drawn_cube(), **RADII).values
    expected = by_first_pixel(labelled(values, 12))
    np.testing.assert_array_equal(whole.values, expected)
    ids, counts = np.unique(whole, return_counts=True)
    assert len(ids) > 20
    assert counts.max() > 500  # there are segments that cross many blocks
    assert (whole.dtype, whole.rio.nodata) == (np.int64, -1)
    assert cube_geobox(whole) == cube_geobox(drawn_cube())


@pytest.mark.parametrize("seed", range(10))
def test_neither_chunks_nor_blocks_change_an_id(sized, seed, monkeypatch):
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(module, "BLOCK_PX", int(rng.integers(9, 24)))
    parts = rng.integers(3, 7, 2)
    cube = drawn_cube().chunk(
        y=random_chunks(60, parts[0], rng),
        x=random_chunks(70, parts[1], rng),
        band=1 + seed % 2,
    )
    with dask.config.set(scheduler="threads", num_workers=1 + seed % 3):
        xr.testing.assert_identical(named(cube, SIZED), sized)
        even = areca.mean_shift(cube, **RADII).compute()
    xr.testing.assert_identical(even, areca.mean_shift(drawn_cube(), **RADII).compute())


def test_with_one_pixel_less_of_halo_they_would(whole, monkeypatch):
    """The mutation that the test above must catch."""
    monkeypatch.setattr(module, "BLOCK_PX", 11)

    def blind(self, block):
        short = block.copy()
        short[:, [0, -1]] = np.nan
        short[:, :, [0, -1]] = np.nan
        return seeing(self, short)

    seeing = MeanShift.__call__
    monkeypatch.setattr(MeanShift, "__call__", blind)
    assert not whole.identical(named(drawn_cube()))


def test_without_the_seams_they_would(whole, monkeypatch):
    """The mutation that the tests above must catch."""
    monkeypatch.setattr(module, "BLOCK_PX", 11)
    monkeypatch.setattr(Meetings, "renamed", lambda _self, ids: ids)
    assert not whole.identical(named(drawn_cube()))


def test_without_the_borders_at_seams_they_would(sized, monkeypatch):
    """The mutation that the tests above must catch."""
    monkeypatch.setattr(module, "BLOCK_PX", 11)
    seen = opened.OpenSegments.at_seam
    none = merging.Borders(*[np.empty(0, np.int64)] * 3)
    monkeypatch.setattr(opened.OpenSegments, "at_seam", lambda _borders: seen(none))
    assert not sized.identical(named(drawn_cube(), SIZED))


@pytest.mark.parametrize("most", [None, 400])
@pytest.mark.parametrize("block", [17, 10**6])
def test_small_segments_go_to_the_neighbour_across_the_lightest_border(
    most, block, monkeypatch
):
    monkeypatch.setattr(module, "BLOCK_PX", block)
    before = areca.SegmentOptions(**FINE, max_segment_size=most)
    options = replace(before, min_segment_size=25)
    cube = drawn_cube().chunk(y=13, x=29)
    values = areca.mean_shift(drawn_cube(), **FINE).values
    expected = merged(named(cube, before).values, values, 25)
    found = named(cube, options).values
    np.testing.assert_array_equal(found, expected)
    assert np.unique(found[found >= 0], return_counts=True)[1].min() >= 25


@pytest.mark.parametrize("most", [400, 50, 1])
@pytest.mark.parametrize("block", [17, 10**6])
def test_large_segments_are_cut_at_lines_of_the_lattice(most, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_PX", block)
    options = areca.SegmentOptions(**RADII, max_segment_size=most)
    cube = drawn_cube().chunk(y=13, x=29)
    values = areca.mean_shift(drawn_cube(), **RADII).values
    labels = labelled(values, 12)
    large = np.bincount(labels.ravel())[labels] > most
    cut = labelled(values, 12, cell=math.isqrt(most))
    expected = np.where(large & (labels > 0), labels.max() + cut, labels)
    found = named(cube, options).values
    np.testing.assert_array_equal(found, by_first_pixel(expected))
    assert large.any()
    assert np.unique(found[found >= 0], return_counts=True)[1].max() <= most


def test_what_is_missing_has_no_segment_and_its_value_never_shows(whole):
    cube = drawn_cube()
    np.testing.assert_array_equal(whole.values == -1, (cube == 0).values[0])
    wild = cube.astype(np.float32).where(cube != 0, -9999.0)
    wild = wild.rio.write_nodata(-9999.0, encoded=False)
    xr.testing.assert_identical(named(wild), whole)
    half = cube.astype(np.float32).where(cube != 0)
    half[0, :5] = np.nan  # one band is missing
    half = half.rio.write_nodata(np.nan, encoded=False)
    assert (named(half)[:5] == -1).all()
    assert np.isnan(areca.mean_shift(half, **RADII)[:, :5]).all()
    assert (named(half * np.nan) == -1).all()


def test_naming_computes_nothing(whole, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_PX", 16)
    cube = drawn_cube().chunk(y=20, x=30)
    fitted = areca.fit_segments(cube, OPTIONS)
    with dask.config.set(scheduler=lambda *_a, **_k: 1 / 0):
        lazy = areca.segment(cube, fitted)
        assert isinstance(areca.mean_shift(cube, **RADII).data, da.Array)
    assert lazy.chunksizes["y"][1:3] == (16, 16)
    part = lazy.isel(y=slice(30, 40), x=slice(7, 50))
    np.testing.assert_array_equal(part, whole[30:40, 7:50])


def test_what_cannot_be_is_said():
    cube = drawn_cube()
    with pytest.raises(BandError, match="spectral_radius must be more than 0, got 0"):
        areca.SegmentOptions(spectral_radius=0)
    with pytest.raises(BandError, match="spatial_radius must be a whole number"):
        areca.mean_shift(cube, spectral_radius=5, spatial_radius=0)
    with pytest.raises(BandError, match="iterations must be a whole number"):
        areca.SegmentOptions(spectral_radius=5, iterations=0)
    with pytest.raises(BandError, match="join_distance must be more than 0, got -1"):
        areca.SegmentOptions(spectral_radius=5, join_distance=-1)
    with pytest.raises(BandError, match="max_segment_size must be 1 pixel or more"):
        areca.SegmentOptions(spectral_radius=5, max_segment_size=0)
    with pytest.raises(BandError, match="min_segment_size must be 1 pixel or more"):
        areca.SegmentOptions(spectral_radius=5, min_segment_size=0)
    with pytest.raises(BandError, match="max_segment_size=9 is less than"):
        areca.SegmentOptions(spectral_radius=5, min_segment_size=10, max_segment_size=9)
    fitted = areca.fit_segments(cube, OPTIONS)
    with pytest.raises(BandError, match="fit them on this cube"):
        areca.segment(cube.isel(x=slice(1, None)), fitted)
    with pytest.raises(BandError, match="segments are of bands red, nir"):
        areca.segment(cube.assign_coords(band=["nir", "red"]), fitted)
