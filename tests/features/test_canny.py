"""Canny edges: scikit-image's of the whole, whatever the blocks and chunks."""

import dask
import numpy as np
import pytest
from feature_cubes import counted, drawn_cube, random_chunks
from scipy import ndimage
from skimage import feature

import areca
from areca.errors import BandError
from areca.features import hysteresis as module

EDGES = {"low": 25.0, "high": 68.0, "sigma": 1.4}


@pytest.fixture(autouse=True)
def _one_thread():
    """Blocks here are small: threads would cost more than they bring."""
    with dask.config.set(scheduler="synchronous"):
        yield


def theirs(band, missing, *, low, high, sigma):
    values = np.where(missing, 0, band).astype(np.float64)
    found = feature.canny(values, sigma, low, high, mask=~missing)
    return np.where(missing, np.nan, found)


def whole(cube, **edges):
    edges = {**EDGES, **edges}
    missing = np.isnan(cube.values) if cube.dtype.kind == "f" else cube.values == 0
    pairs = zip(cube.values, missing, strict=True)
    return np.stack([theirs(band, gone, **edges) for band, gone in pairs])


def ours(cube, **edges):
    return areca.canny(cube, areca.fit_canny(cube, **{**EDGES, **edges}))


@pytest.mark.parametrize("edge", [23, 1024])
@pytest.mark.parametrize(
    ("drawn", "edges"),
    [
        ({"seed": 0}, {}),
        ({"seed": 1, "holes": False}, {"sigma": 0.6, "low": 60, "high": 115}),
        ({"seed": 2, "floats": True}, {"sigma": 2.5, "low": 12, "high": 55}),
        ({"seed": 3}, {"low": 50, "high": 50}),
    ],
)
def test_edges_are_those_of_scikit_image(monkeypatch, edge, drawn, edges):
    monkeypatch.setattr(module, "BLOCK_PX", edge)
    cube = drawn_cube(90, 100, **drawn)
    expected = whole(cube, **edges)
    assert 100 < np.nansum(expected) < 0.5 * expected.size
    np.testing.assert_array_equal(ours(cube, **edges), expected)


@pytest.mark.parametrize("seed", range(3))
def test_chunks_do_not_matter(monkeypatch, seed):
    monkeypatch.setattr(module, "BLOCK_PX", 32)
    cube, rng = drawn_cube(90, 100), np.random.default_rng(seed)
    cut = {
        "y": random_chunks(90, rng.integers(2, 6), rng),
        "x": random_chunks(100, rng.integers(2, 6), rng),
    }
    made = ours(cube.chunk(cut))
    assert made.chunks[1:] == ours(cube).chunks[1:]
    np.testing.assert_array_equal(made, whole(cube))


def spiral(size):
    """Ground with one line that winds inwards, bright at its inner end alone."""
    order, row, col, step = np.zeros((size, size)), 6, 6, (0, 1)
    for length in sorted(2 * [*range(8, size - 12, 8)], reverse=True):
        for _ in range(length):
            row, col = row + step[0], col + step[1]
            order[row, col] = order.max() + 1
        step = (step[1], -step[0])
    away, nearest = ndimage.distance_transform_edt(order == 0, return_indices=True)
    bright = np.where(order[tuple(nearest)] > order.max() - 12, 80.0, 40.0)
    return np.where(away <= 1.5, bright, 20.0)


@pytest.mark.parametrize("edge", [16, 31])
def test_a_line_that_is_strong_far_away_is_kept_over_all_blocks(monkeypatch, edge):
    monkeypatch.setattr(module, "BLOCK_PX", edge)
    cube = drawn_cube(100, 100, floats=True, holes=False)
    cube[:] = spiral(100)
    cube[1, 60:] = 20.0  # and another band of which the inner end is cut off
    edges = {"sigma": 1.0, "low": 20.0, "high": 150.0}
    expected = whole(cube, **edges)
    assert expected[0].sum() > 1000
    np.testing.assert_array_equal(ours(cube, **edges), expected)


NOTHING = np.empty((0, 2), np.int64)
MUTATIONS = {
    "blocks alone": ("_meet", lambda *_a, **_k: NOTHING),
    "no diagonals": ("_pairs", None),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_seam_that_is_not_looked_at_shows(monkeypatch, name):
    """Without one of the ways that lines meet, some drawing comes out otherwise."""
    attribute, wrong = MUTATIONS[name]
    real = module._pairs
    monkeypatch.setattr(module, "BLOCK_PX", 8)
    monkeypatch.setattr(module, attribute, wrong or (lambda beside: real(beside[:1])))
    for seed in range(4):
        cube = drawn_cube(45, 50, seed=seed)
        edges = {"low": 45.0, "high": 118.0, "sigma": 0.6}
        made = ours(cube, **edges).values
        if not np.array_equal(made, whole(cube, **edges), equal_nan=True):
            return
    pytest.fail("no drawing shows it")


@pytest.mark.parametrize("turned", [False, True])
def test_a_line_over_the_corner_of_four_blocks_is_one(monkeypatch, turned):
    monkeypatch.setattr(module, "BLOCK_PX", 10)
    codes = np.zeros((1, 20, 20), np.float32)
    for place in range(5, 15):
        codes[0, place, 19 - place if turned else place] = 1
    codes[0, 5, 14 if turned else 5] = 2
    monkeypatch.setattr(
        module.ThinEdges,
        "__call__",
        lambda stage, block: block[:, stage.halo_px : -stage.halo_px,
                                   stage.halo_px : -stage.halo_px],
    )  # fmt: skip
    cube = drawn_cube(20, 20, floats=True, holes=False)[:1].copy(data=codes)
    # To the lattice of blocks: its corner in the middle of the cube.
    left, top = 500_000.0, 4_000_000.0
    cube = cube.assign_coords(
        x=left + 10 * (np.arange(20) + 0.5), y=top - 10 * (np.arange(20) + 0.5)
    )
    cube = cube.rio.write_transform(cube.rio.transform(recalc=True))
    np.testing.assert_array_equal(ours(cube), codes > 0)
    monkeypatch.setattr(module, "_meet_at_corner", lambda *_a: NOTHING)
    assert ours(cube).sum() == 5


@pytest.mark.usefixtures("_one_thread", "no_compute")
def test_keeping_lines_computes_nothing():
    cube = drawn_cube().chunk(y=20)
    fitted = module.CannyEdges(
        **EDGES, bands=("red", "nir"), geobox=areca.tiles.cube_geobox(cube),
        block_px=64, lines=module.unite([], []),
    )  # fmt: skip
    made = areca.canny(cube, fitted)
    assert (made.dtype, made.rio.crs) == (np.float32, cube.rio.crs)
    assert made.rio.transform() == cube.rio.transform()
    said = areca.lineage(made)["nir"]["formula"]
    assert said == "canny(nir, low=25, high=68, sigma=1.4)"


def test_each_pass_reads_the_cube_once():
    watched, reads = counted(drawn_cube().chunk(y=20, x=35))
    fitted = areca.fit_canny(watched, **EDGES)
    assert len(reads) == 6
    areca.canny(watched, fitted).compute()
    assert len(reads) == 12


@pytest.mark.parametrize(
    "edges", [{"low": 0}, {"low": 90}, {"high": np.nan}, {"sigma": 0}]
)
def test_numbers_that_cannot_be_are_refused(edges):
    with pytest.raises(BandError, match="must be"):
        areca.fit_canny(drawn_cube(), **{**EDGES, **edges})


def test_edges_of_another_cube_are_refused():
    cube = drawn_cube()
    with pytest.raises(BandError, match="fit them on this cube"):
        areca.canny(cube[:, 1:], areca.fit_canny(cube, **EDGES))
