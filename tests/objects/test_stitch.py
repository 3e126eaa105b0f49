from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import shapely
from class_rasters import class_rasters, drawn
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from areca.errors import InputError
from areca.objects import empty_pieces, polygonise_block, stitch
from areca.objects import stitch as stitch_function
from areca.tiles import Window

ORIGIN = (-7, 1000)


def window_of(labels, origin=ORIGIN):
    height, width = labels.shape
    return Window(origin[0], origin[1], origin[0] + height, origin[1] + width)


def confidence(labels):
    return np.random.default_rng(labels.size).random(labels.shape, dtype=np.float32)


def whole_of(labels, connectivity):
    return polygonise_block(
        labels,
        window_of(labels),
        skip=[0],
        connectivity=connectivity,
        score=confidence(labels),
    )


def blocks_of(labels, rows, cols, connectivity):
    """The pieces of each block between some row and column cuts, with its number."""
    score = confidence(labels)
    rows, cols = (
        [0, *sorted(cuts), end]
        for cuts, end in zip((rows, cols), labels.shape, strict=True)
    )
    blocks = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(cols):
            window = Window(
                ORIGIN[0] + top, ORIGIN[1] + left, ORIGIN[0] + bottom, ORIGIN[1] + right
            )
            at = slice(top, bottom), slice(left, right)
            pieces = polygonise_block(
                labels[at],
                window,
                skip=[0],
                connectivity=connectivity,
                score=score[at],
            )
            blocks.append(pieces.assign(block=len(blocks)))
    return blocks


def joined(blocks):
    return pd.concat(blocks, ignore_index=True)


def assert_same(stitched, whole):
    pd.testing.assert_frame_equal(stitched.drop(columns="block"), whole)


@st.composite
def cut_rasters(draw):
    """A raster of blobs and noise, and cuts into at least three by three blocks."""
    labels = draw(class_rasters(smallest=3, largest=14))
    cuts = [
        draw(st.sets(st.integers(1, size - 1), min_size=2, max_size=3))
        for size in labels.shape
    ]
    return labels, *cuts


@settings(deadline=None, max_examples=60)
@given(raster=cut_rasters(), connectivity=st.sampled_from([4, 8]))
def test_any_cut_into_blocks_gives_the_polygons_of_the_whole(raster, connectivity):
    labels, rows, cols = raster

    pieces = joined(blocks_of(labels, rows, cols, connectivity))
    stitched = stitch(pieces, connectivity=connectivity, window=window_of(labels))

    assert_same(stitched, whole_of(labels, connectivity))


def unstitched(blocks, _connectivity):
    return joined(blocks)


def without_corners(blocks, _connectivity):
    return stitch(joined(blocks), connectivity=4)


def three_at_a_time(blocks, connectivity):
    """Three blocks at a time, which never meet the others."""
    return joined(
        [
            stitch(joined(blocks[start : start + 3]), connectivity=connectivity)
            for start in range(0, len(blocks), 3)
        ]
    )


@pytest.mark.parametrize("mutation", [unstitched, without_corners, three_at_a_time])
def test_random_rasters_notice_a_seam_that_is_left_out(mutation):
    """What the test above would do to a `stitch` that is broken in this way."""

    def is_noticed(raster):
        labels, rows, cols = raster
        pieces = mutation(blocks_of(labels, rows, cols, 8), 8)
        whole = whole_of(labels, 8)
        return pieces["outline"].tolist() != whole["outline"].tolist()

    # The first example will do: nobody needs the smallest.
    generate = settings(deadline=None, derandomize=True, phases=[Phase.generate])
    assert find(cut_rasters(), is_noticed, settings=generate)


@settings(deadline=None, max_examples=60)
@given(raster=cut_rasters(), connectivity=st.sampled_from([4, 8]))
def test_outlines_are_the_union_that_shapely_finds(raster, connectivity):
    labels, rows, cols = raster

    pieces = joined(blocks_of(labels, rows, cols, connectivity))
    stitched = stitch(pieces, connectivity=connectivity)

    for label, regions in stitched.groupby("label"):
        shapes = shapely.from_wkb(regions["outline"].to_numpy(object))
        parts = pieces.loc[pieces["label"] == label, "outline"].to_numpy(object)
        united = shapely.union_all(shapely.from_wkb(parts))
        assert shapely.is_valid(shapes).all()
        assert shapely.union_all(shapes).equals(united)
        if connectivity == 4:
            assert len(shapes) == len(shapely.get_parts(united))


@settings(deadline=None, max_examples=60)
@given(
    raster=cut_rasters(),
    connectivity=st.sampled_from([4, 8]),
    groups=st.lists(st.integers(0, 2), min_size=16, max_size=16),
    most=st.integers(4, 60),
)
def test_steps_in_any_order_give_the_same_as_one_call(
    raster, connectivity, groups, most
):
    labels, rows, cols = raster
    blocks = blocks_of(labels, rows, cols, connectivity)

    steps = [
        stitch(joined(some), connectivity=connectivity, most_vertices=most)
        for number in (2, 0, 1)
        if (
            some := [
                b for b, group in zip(blocks, groups, strict=False) if group == number
            ]
        )
    ]
    stitched = stitch(
        joined(steps), connectivity=connectivity, window=window_of(labels)
    )

    at_once = stitch(
        joined(blocks), connectivity=connectivity, window=window_of(labels)
    )
    pd.testing.assert_frame_equal(stitched, at_once)


CORNER = drawn(
    "......",
    ".11...",
    ".11...",
    "...11.",
    "...11.",
    "......",
)
HOLE = drawn(
    "111111",
    "111111",
    "11..11",
    "11..11",
    "111111",
    "111111",
)
SNAKE = drawn(
    "111111111",
    "........1",
    "111111111",
    "1........",
    "111111111",
    "........1",
    "111111111",
    "1........",
    "111111111",
)
PLUS = drawn(
    "..22..",
    "..22..",
    "222222",
    "222222",
    "..22..",
    "..22..",
)
NODATA = drawn(
    "11#11.",
    "11#11.",
    "1##111",
    "###111",
    ".11#11",
    ".11#11",
)
RING = drawn(
    ".........",
    ".1111111.",
    ".1.....1.",
    ".1.222.1.",
    ".1.222.1.",
    ".1.222.1.",
    ".1.....1.",
    ".1111111.",
    ".........",
)
CROSSED = drawn(
    "1111.....",
    "1..1.....",
    "1..1.....",
    "111.11111",
    "....1...1",
    "....1...1",
    "....11111",
)


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(
    ("labels", "cuts", "regions"),
    [
        pytest.param(CORNER, [3], {4: 2, 8: 1}, id="touch where four blocks meet"),
        pytest.param(HOLE, [3], {4: 1, 8: 1}, id="hole across four blocks"),
        pytest.param(SNAKE, [3, 6], {4: 1, 8: 1}, id="snake through all blocks"),
        pytest.param(PLUS, [2, 4], {4: 1, 8: 1}, id="over four block corners"),
        pytest.param(NODATA, [2, 3], {4: 3, 8: 2}, id="beside nodata"),
        pytest.param(RING, [3, 6], {4: 2, 8: 2}, id="ring around a block"),
        pytest.param(CROSSED, [3, 4], {4: 2, 8: 1}, id="rings that touch"),
    ],
)
def test_drawn_regions_are_whole(labels, cuts, regions, connectivity):
    pieces = joined(blocks_of(labels, cuts, cuts, connectivity))

    stitched = stitch(pieces, connectivity=connectivity, window=window_of(labels))

    assert len(stitched) == regions[connectivity]
    assert shapely.is_valid(shapely.from_wkb(stitched["outline"].tolist())).all()
    assert stitched["pixels"].sum() == np.isin(labels, [0, 255], invert=True).sum()
    assert_same(stitched, whole_of(labels, connectivity))


def test_a_hole_across_four_blocks_is_one_hole():
    stitched = stitch(joined(blocks_of(HOLE, [3], [3], 4)))

    (shape,) = shapely.from_wkb(stitched["outline"].tolist())
    row, col = ORIGIN
    (hole,) = shape.interiors
    assert shapely.Polygon(hole).equals(shapely.box(col + 2, row + 2, col + 4, row + 4))
    assert shapely.get_num_coordinates(shape) == 10


@pytest.mark.parametrize(
    ("labels", "cuts"),
    [
        pytest.param(HOLE, [3], id="hole across four blocks"),
        pytest.param(SNAKE, [3, 6], id="snake through all blocks"),
        pytest.param(RING, [3, 6], id="ring around a block"),
    ],
)
def test_rows_of_blocks_that_never_meet_are_not_the_whole(labels, cuts):
    blocks, across = blocks_of(labels, cuts, cuts, 4), len(cuts) + 1

    rows = [
        stitch(joined(blocks[start : start + across]))
        for start in range(0, len(blocks), across)
    ]

    whole = whole_of(labels, 4)
    assert len(joined(rows)) > len(whole)
    assert_same(stitch(joined(rows), window=window_of(labels)), whole)


@pytest.mark.parametrize("labels", [CORNER, CORNER[:, ::-1]])
def test_pieces_left_unstitched_are_not_the_whole(labels):
    pieces = joined(blocks_of(labels, [3], [3], 8))

    assert len(pieces) == 2
    with pytest.raises(AssertionError):
        assert_same(pieces, whole_of(labels, 8))


@pytest.mark.parametrize("labels", [CORNER, CORNER[:, ::-1]])
def test_ignoring_corners_where_four_blocks_meet_is_not_the_whole(labels):
    pieces = joined(blocks_of(labels, [3], [3], 8))

    with_corners = stitch(pieces, connectivity=8, window=window_of(labels))
    without = stitch(pieces, connectivity=4, window=window_of(labels))

    assert_same(with_corners, whole_of(labels, 8))
    with pytest.raises(AssertionError):
        assert_same(without, whole_of(labels, 8))


def test_classes_that_touch_across_an_edge_stay_two():
    labels = drawn("1122", "1122")

    stitched = stitch(joined(blocks_of(labels, [1], [2], 4)))

    assert stitched["label"].tolist() == [1, 2]


def test_the_block_of_a_region_is_the_one_with_its_first_pixel():
    labels = drawn(
        "..1",
        "111",
        "1..",
    )

    stitched = stitch(joined(blocks_of(labels, [1, 2], [1, 2], 4)[::-1]))

    assert stitched["block"].tolist() == [2]
    assert stitched[["row", "col"]].to_numpy().tolist() == [[ORIGIN[0], ORIGIN[1] + 2]]


def test_only_the_edge_of_the_window_leaves_a_region_open():
    pieces = joined(blocks_of(RING, [3, 6], [3, 6], 4))

    unknown = stitch(pieces)
    known = stitch(pieces, window=window_of(RING))

    assert unknown["open"].tolist() == [True, True]
    assert known["open"].tolist() == [False, False]
    assert known["border"].tolist() == [b"", b""]


@pytest.mark.parametrize("connectivity", [4, 8])
def test_a_region_of_too_many_vertices_stays_listed_as_pieces(connectivity):
    blocks = blocks_of(SNAKE, [3, 6], [3, 6], connectivity)
    whole = whole_of(SNAKE, connectivity)
    vertices = shapely.get_num_coordinates(shapely.from_wkb(whole["outline"][0])) - 1
    options = {"connectivity": connectivity, "window": window_of(SNAKE)}

    united = stitch(joined(blocks), most_vertices=vertices, **options)
    apart = stitch(joined(blocks), most_vertices=vertices - 1, **options)

    assert_same(united, whole)
    assert len(apart) == sum(map(len, blocks)) > 1
    assert apart["is_piece"].all()
    assert apart[["row", "col"]].drop_duplicates().to_numpy().tolist() == [[*ORIGIN]]
    assert apart["pixels"].sum() == whole["pixels"].sum()
    assert apart["score_sum"].sum() == whole["score_sum"].sum()
    shapes = shapely.from_wkb(apart["outline"].tolist())
    assert shapely.union_all(shapes).equals(shapely.from_wkb(whole["outline"][0]))
    again = stitch(apart, most_vertices=vertices, **options)
    assert_same(again, whole)


def test_pieces_of_a_too_large_region_keep_their_identity_in_later_steps():
    blocks = blocks_of(SNAKE, [3, 6], [3, 6], 4)

    first = stitch(joined(blocks[3:]), most_vertices=5)
    last = stitch(joined([*blocks[:3], first]), most_vertices=5)

    assert first["is_piece"].any()
    assert set(zip(last["row"], last["col"], strict=True)) == {ORIGIN}
    assert last["is_piece"].all()
    assert last["pixels"].sum() == np.count_nonzero(SNAKE)


def test_batches_never_change_the_answer(monkeypatch):
    labels = np.random.default_rng(3).integers(0, 3, (40, 50), np.uint8)
    pieces = joined(blocks_of(labels, [10, 20, 30], [15, 35], 8))

    monkeypatch.setitem(stitch_function.__globals__, "_BATCH", 20)
    stitched = stitch(pieces, connectivity=8, window=window_of(labels))

    assert_same(stitched, whole_of(labels, 8))


@pytest.mark.parametrize("connectivity", [4, 8])
def test_stitching_twice_changes_nothing(connectivity):
    labels = np.random.default_rng(4).integers(0, 3, (20, 20), np.uint8)
    pieces = joined(blocks_of(labels, [7, 14], [5, 9], connectivity))

    once = stitch(pieces, connectivity=connectivity)

    pd.testing.assert_frame_equal(stitch(once, connectivity=connectivity), once)


def test_one_block_and_no_pieces_are_no_special_case():
    labels = drawn("11.", ".2.")

    assert_same(
        stitch(joined(blocks_of(labels, [], [], 4)), window=window_of(labels)),
        whole_of(labels, 4),
    )
    assert stitch(empty_pieces()).empty


def test_a_wrong_connectivity_is_named():
    with pytest.raises(InputError, match="connectivity=6"):
        stitch(empty_pieces(), connectivity=6)
