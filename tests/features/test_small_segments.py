"""Small segments joined block by block, against one merge of the whole array."""

from dataclasses import fields, replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import rasterio
from feature_cubes import drawn_cube
from rasterio.windows import Window as Crop
from scipy import ndimage

import areca
from areca.features import open_segments, settled_segments
from areca.features import segments as module
from areca.features.components import MISSING, Rule, components
from areca.features.open_segments import OpenSegments, merge_open
from areca.features.settled_segments import settle
from areca.features.small_segments import (
    BlockSegments,
    SmallRim,
    borders_at,
    inner_sides,
)
from areca.objects.groups import add_up, first_of_each, number_groups
from areca.tiles import Window

SCENE = Path(__file__).parents[3] / "shared/data/kluang_oil_palm/kluang_west.tif"
SIDE = 200
ROWS, COLS = np.mgrid[:SIDE, :SIDE]


def noise():
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE))


def waves():
    """Smooth ground with noise, a tenth of it missing."""
    rng = np.random.default_rng(1)
    ground = 90 * np.sin(ROWS / 31) * np.cos(COLS / 37) + rng.normal(0, 12, ROWS.shape)
    return np.where(rng.random(ROWS.shape) < 0.1, np.nan, ground.round())


def crowns():
    """Soft texture: segments of all sizes, large ones among them."""
    rng = np.random.default_rng(2)
    return ndimage.gaussian_filter(rng.normal(0, 60, ROWS.shape), 1.5).round() // 3


def chains():
    """Each row a chain over all blocks, whose borders grow lighter to the left."""
    return COLS**2 + 1000 * ROWS


def short_chains():
    """Chains of 48 pixels: over three blocks of 16, and less than 100 pixels."""
    return (COLS % 48) ** 2 + 7000 * (COLS // 48) + 100_000 * (ROWS % 3)


def ties():
    """All borders weigh the same."""
    return (ROWS + COLS) % 2


def few():
    return np.random.default_rng(3).integers(0, 3, (SIDE, SIDE))


def patches():
    """Squares of 5 pixels, which straddle edges and corners of blocks."""
    levels = np.random.default_rng(4).integers(0, 90, (41, 41))
    return np.kron(levels, np.ones((5, 5)))[2 : SIDE + 2, 2 : SIDE + 2]


def scene():
    """A drone's image of palms."""
    if not SCENE.exists():
        pytest.skip(f"the imagery {SCENE.name} of ../shared/data is not here")
    with rasterio.open(SCENE) as file:
        return file.read(1, window=Crop(2000, 2000, SIDE, SIDE)) // 4


PICTURES = [noise, waves, crowns, chains, short_chains, ties, few, patches, scene]


def segments_of(picture):
    """Pixels of one value that touch, and how many those are."""
    values = np.asarray(picture, np.float32)[None]
    window = Window(0, 0, *values.shape[1:])
    ids = components(values, window, Rule(within=0.0, cell_px=None, whole=window))
    _, number, count = np.unique(ids, return_inverse=True, return_counts=True)
    return values, ids, count[number.reshape(ids.shape)]


def merged_at_once(values, ids, pixels, least):
    """All borders of the whole array, round after round."""
    found = []
    for here, there in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1, :], np.s_[1:, :]),
    ):
        seen = (ids[here] != ids[there]) & (ids[here] >= 0) & (ids[there] >= 0)
        pair = np.sort([ids[here][seen], ids[there][seen]], axis=0)
        weight = (values[0][here][seen] - values[0][there][seen]) ** 2
        found.append([*pair, weight])
    one, other, weight = np.concatenate(found, axis=1)
    order = np.lexsort((other, one, weight))
    part, first, number = np.unique(ids, return_index=True, return_inverse=True)
    one, other = (np.searchsorted(part, each[order]) for each in (one, other))
    size = np.where(part == MISSING, least, pixels.ravel()[first])
    groups = np.arange(len(part))
    while True:
        ends = np.stack([groups[one], groups[other]], axis=1)
        rows = np.flatnonzero(ends[:, 0] != ends[:, 1])
        group, at = np.unique(ends[rows].ravel(), return_index=True)
        taken = rows[at[size[group] < least] // 2]
        if not len(taken):
            return part[first_of_each(groups)[groups]][number.reshape(ids.shape)]
        joined = number_groups(len(size), *ends[taken].T)
        groups, size = joined[groups], add_up(joined, size)


def merged_in_blocks(values, ids, pixels, least, edge):
    """As `areca.segment` does it; the first blocks are cut short."""
    height, width = ids.shape
    whole = Window(0, 0, height, width)
    rows = pairwise([0, *range(edge - 3, height, edge), height])
    cols = pairwise([0, *range(edge - 1, width, edge), width])
    blocks, rims, left = {}, {}, []
    for (row, down), (col, across) in product(enumerate(rows), list(enumerate(cols))):
        window = Window(down[0], across[0], down[1], across[1])
        at = np.s_[down[0] : down[1], across[0] : across[1]]
        here = values[:, *at], ids[at], pixels[at], least
        block = BlockSegments.of(*here, inner_sides(window, whole))
        blocks[row, col], rims[row, col] = (at, block), SmallRim.of(*here)
        left.append(OpenSegments.in_block(block, least))
    for (row, col), rim in rims.items():
        for beside, place in ((True, (row, col + 1)), (False, (row + 1, col))):
            if place in rims:
                borders = borders_at(rim, rims[place], beside=beside)
                left.append(OpenSegments.at_seam(borders))
    names = merge_open(left, least)
    found = np.empty_like(ids)
    for at, block in blocks.values():
        known = names.renamed(block.part[settle(block, least).group])
        found[at] = np.append(known, MISSING)[block.number]
    return found


def is_exact(least=20, edge=33):
    """Whether blocks name each pixel of all drawn pictures as the whole does."""
    drawn = (segments_of(draw()) for draw in PICTURES[:-1])
    return all(
        (merged_in_blocks(*each, least, edge) == merged_at_once(*each, least)).all()
        for each in drawn
    )


@pytest.mark.parametrize("least", [2, 5, 20, 100])
@pytest.mark.parametrize("draw", PICTURES)
def test_blocks_of_any_size_join_what_the_whole_does(draw, least):
    there = segments_of(draw())
    expected = merged_at_once(*there, least)
    for edge in (16, 33, 64):
        found = merged_in_blocks(*there, least, edge)
        np.testing.assert_array_equal(found, expected, err_msg=f"blocks of {edge}")
    assert (expected != there[1]).any() or there[2].min() >= least


def test_without_what_open_segments_reach_they_would_not(monkeypatch):
    """The mutation that the test above must catch."""
    nothing = np.empty(0, np.int64)
    monkeypatch.setattr(settled_segments, "_in_reach", lambda *_a: nothing)
    assert not is_exact()


@pytest.mark.parametrize(
    "change",
    [
        lambda found: {"opened": np.minimum(found.opened, 1)},
        lambda found: {"filled": found.filled[:0]},
    ],
    ids=["opened", "filled"],
)
def test_without_the_rounds_they_would_not(change, monkeypatch):
    """Mutations that the test above must catch."""
    seeing = open_segments.settle

    def blind(block, least):
        found = seeing(block, least)
        return replace(found, **change(found))

    monkeypatch.setattr(open_segments, "settle", blind)
    assert not is_exact()


def test_the_same_holds_for_the_features_themselves(monkeypatch):
    cube = drawn_cube(90, 100, holes=False)
    options = areca.SegmentOptions(
        spectral_radius=1.0, spatial_radius=1, iterations=1, min_segment_size=40
    )
    monkeypatch.setattr(module, "BLOCK_PX", 1000)
    whole = areca.segment(cube, areca.fit_segments(cube, options)).compute()
    for edge in (16, 45):
        monkeypatch.setattr(module, "BLOCK_PX", edge)
        blocks = areca.segment(cube, areca.fit_segments(cube, options))
        np.testing.assert_array_equal(blocks, whole)
    nothing = cube * np.nan
    assert (areca.segment(nothing, areca.fit_segments(nothing, options)) == -1).all()


def left_open(edge, least):
    """Borders and bytes that a block hands over, amid others on all sides."""
    rng = np.random.default_rng(5)
    values, ids, pixels = segments_of(rng.integers(0, 256, (edge, edge)))
    block = BlockSegments.of(values, ids, pixels, least, (True,) * 4)
    left = OpenSegments.in_block(block, least)
    arrays = [getattr(left, each.name) for each in fields(left)[1:]]
    arrays += [getattr(left.borders, each.name) for each in fields(left.borders)]
    return len(left.ends), sum(each.nbytes for each in arrays), len(block.borders.one)


@pytest.mark.parametrize("least", [5, 20, 100])
def test_what_is_handed_over_grows_with_edges_not_with_area(least):
    """In noise, where nearly all segments are small and all of them touch."""
    borders, size, all_small = left_open(150, least)
    more, larger, all_larger = left_open(600, least)
    assert all_larger > 15.5 * all_small
    assert 3 < more / borders < 4.5
    assert 3 < larger / size < 4.5
    assert more < 25 * 4 * 600


def test_a_region_of_one_block_hands_over_nothing():
    values, ids, pixels = segments_of(noise())
    block = BlockSegments.of(values, ids, pixels, 20, (False,) * 4)
    left = OpenSegments.in_block(block, 20)
    assert not len(left.ends)
    assert not len(merge_open([left], 20).part)
