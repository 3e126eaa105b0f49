import numpy as np
import pytest
import rasterio.features
import shapely
from class_rasters import class_rasters, drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label as components

from areca.errors import InputError
from areca.objects import canonical, empty_pieces, polygonise_block
from areca.objects import pieces as pieces_module
from areca.objects.borders import BORDER, unpack_borders
from areca.objects.pieces import DTYPES, SCORE_UNIT
from areca.tiles import Window


def around(labels, row0=0, col0=0):
    height, width = labels.shape
    return Window(row0, col0, row0 + height, col0 + width)


def outlines(pieces):
    return shapely.from_wkb(pieces["outline"].to_numpy(object))


def by_other_tools(labels, connectivity):
    """Regions by scikit-image and their outlines by GDAL."""
    kept = np.where((labels == 0) | (labels == 255), 0, labels).astype(np.int32)
    numbers = components(kept, background=0, connectivity=connectivity // 4)
    shapes = {}
    for shape, number in rasterio.features.shapes(
        numbers.astype(np.int32), mask=numbers > 0, connectivity=4
    ):
        shapes.setdefault(int(number), []).append(shapely.geometry.shape(shape))
    found = []
    for number, parts in shapes.items():
        row, col = np.argwhere(numbers == number)[0]
        pixels = np.count_nonzero(numbers == number)
        found.append((row, col, labels[row, col], pixels, shapely.union_all(parts)))
    return sorted(found, key=lambda region: region[:2])


@settings(deadline=None, max_examples=100)
@given(
    labels=class_rasters(smallest=1, largest=14), connectivity=st.sampled_from([4, 8])
)
def test_regions_and_outlines_are_those_of_other_tools(labels, connectivity):
    pieces = polygonise_block(
        labels, around(labels), skip=[0], connectivity=connectivity
    )

    expected = by_other_tools(labels, connectivity)
    numbers = pieces[["row", "col", "label", "pixels"]].to_numpy().tolist()
    assert numbers == [list(region[:4]) for region in expected]
    shapes = outlines(pieces)
    assert shapely.is_valid(shapes).all()
    assert (shapely.area(shapes) == pieces["pixels"]).all()
    for ours, theirs in zip(shapes, expected, strict=True):
        assert ours.equals(theirs[4])
        assert canonical([theirs[4]])[0].wkb == ours.wkb


def test_a_region_has_its_outline_in_absolute_pixels():
    labels = drawn(
        "....",
        ".22.",
        ".2..",
    )

    (piece,) = polygonise_block(labels, around(labels, -10, 100), skip=[0]).itertuples()

    shape = shapely.from_wkb(piece.outline)
    assert shape.wkt == (
        "POLYGON ((101 -9, 101 -7, 102 -7, 102 -8, 103 -8, 103 -9, 101 -9))"
    )
    assert (piece.label, piece.pixels, piece.row, piece.col) == (2, 3, -9, 101)
    assert piece.open
    assert not piece.is_piece


def test_rings_run_counter_clockwise_on_a_map():
    labels = drawn("1111", "1..1", "1111")

    (shape,) = outlines(polygonise_block(labels, around(labels), skip=[0]))

    upright = shapely.transform(shape, lambda pixels: pixels * [1, -1])
    assert shapely.is_ccw(upright.exterior)
    assert not shapely.is_ccw(upright.interiors[0])


def test_pixels_that_touch_in_a_corner_are_two_regions_or_one():
    labels = drawn("1.", ".1")

    four = polygonise_block(labels, around(labels), skip=[0], connectivity=4)
    eight = polygonise_block(labels, around(labels), skip=[0], connectivity=8)

    assert [shape.geom_type for shape in outlines(four)] == ["Polygon"] * 2
    (shape,) = outlines(eight)
    assert shape.equals(
        shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(1, 1, 2, 2)])
    )
    assert shape.is_valid
    assert eight["pixels"].tolist() == [2]


@pytest.mark.parametrize("connectivity", [4, 8])
def test_a_ring_that_closes_in_a_corner_has_a_hole(connectivity):
    labels = drawn(
        "111",
        "1.1",
        "11.",
    )

    (shape,) = outlines(
        polygonise_block(labels, around(labels), skip=[0], connectivity=connectivity)
    )

    assert shape.is_valid
    assert shape.geom_type == "Polygon"
    assert [shapely.Polygon(hole).bounds for hole in shape.interiors] == [(1, 1, 2, 2)]


def test_holes_that_touch_in_a_corner_are_two():
    labels = drawn("1111", "1.11", "11.1", "1111")

    (shape,) = outlines(polygonise_block(labels, around(labels), skip=[0]))

    assert shape.is_valid
    holes = [shapely.Polygon(hole).bounds for hole in shape.interiors]
    assert holes == [(1, 1, 2, 2), (2, 2, 3, 3)]


def test_four_pixels_in_a_diamond_enclose_no_hole():
    labels = drawn(".1.", "1.1", ".1.")

    (shape,) = outlines(
        polygonise_block(labels, around(labels), skip=[0], connectivity=8)
    )

    assert shape.is_valid
    assert len(shape.geoms) == 4
    assert shape.area == 4


def test_nodata_is_no_object_and_other_classes_are_unless_skipped():
    labels = drawn("0#13", "0#13")

    every = polygonise_block(labels, around(labels))
    some = polygonise_block(labels, around(labels), skip={0, 3})

    assert every["label"].tolist() == [0, 1, 3]
    assert some["label"].tolist() == [1]


def test_confidence_adds_up_in_whole_units_however_it_is_cut():
    rng = np.random.default_rng(5)
    labels = np.ones((64, 64), np.uint8)
    score = rng.random((64, 64), dtype=np.float32)

    whole = polygonise_block(labels, around(labels), score=score)
    halves = [
        polygonise_block(labels[:, at], Window(0, 0, 64, 32), score=score[:, at])
        for at in (slice(32), slice(32, None))
    ]

    total = sum(round(float(value) * 2**20) for value in score.flat)
    assert whole["score_sum"].tolist() == [total]
    assert sum(half["score_sum"][0] for half in halves) == total
    assert total * SCORE_UNIT / 64**2 == pytest.approx(score.mean(), abs=1e-6)


def test_confidence_that_is_missing_counts_as_zero():
    labels = np.ones((1, 4), np.uint8)
    score = np.array([[0.5, np.nan, np.inf, 0.25]], np.float32)

    pieces = polygonise_block(labels, around(labels), score=score)

    assert (pieces["score_sum"] * SCORE_UNIT).tolist() == [0.75]


def test_only_what_touches_an_edge_is_open():
    labels = drawn(
        "1....",
        "..2..",
        "....3",
        ".4...",
    )

    pieces = polygonise_block(labels, around(labels), skip=[0])

    assert pieces["open"].tolist() == [True, False, True, True]


def test_the_border_names_the_pixels_on_each_side():
    labels = drawn("11.", "1.1", "...")

    pieces = polygonise_block(labels, around(labels, 10, 20), skip=[0], connectivity=8)

    runs = unpack_borders(pieces["border"])
    assert BORDER == ("side", "line", "start", "stop", "part")
    assert runs.tolist() == [
        [0, 0, 10, 20, 22, 0],
        [0, 1, 23, 11, 12, 1],
        [0, 3, 20, 10, 12, 0],
    ]


@pytest.mark.parametrize("labels", [drawn("...", "..."), drawn("##", "##")])
def test_a_block_without_objects_gives_an_empty_table(labels):
    pieces = polygonise_block(labels, around(labels), skip=[0])

    assert pieces.empty
    assert pieces.dtypes.equals(empty_pieces().dtypes)


def test_columns_have_the_promised_types():
    labels = drawn("12", "#1")

    pieces = polygonise_block(labels, around(labels))

    assert {name: pieces[name].dtype for name in pieces} == DTYPES


def test_batches_never_change_the_answer(monkeypatch):
    labels = np.random.default_rng(3).integers(0, 3, (40, 50), np.uint8)
    whole = polygonise_block(labels, around(labels), connectivity=8)

    monkeypatch.setattr(pieces_module, "_BATCH", 7)

    assert polygonise_block(labels, around(labels), connectivity=8).equals(whole)


def test_coordinates_far_from_the_origin_stay_exact():
    labels = drawn("1.1", "111")
    row0, col0 = 2**40, -(2**40)

    (shape,) = outlines(polygonise_block(labels, around(labels, row0, col0), skip=[0]))

    near = outlines(polygonise_block(labels, around(labels), skip=[0]))[0]
    moved = shapely.transform(shape, lambda pixels: pixels - [col0, row0])
    assert moved.wkb == near.wkb


def test_canonical_outlines_have_no_collinear_vertices_and_one_order():
    ring = [(3, 0), (0, 0), (0, 1), (0, 2), (3, 2), (3, 1)]
    holes = [[(2, 1), (2.0, 2.0), (1, 2), (1, 1)]]
    clumsy = shapely.Polygon([(x * 2, y * 2) for x, y in ring], holes)
    other = shapely.Polygon([(6, 4), (6, 0), (0, 0), (0, 4)], [holes[0][::-1]])

    first, second = canonical([clumsy, other])

    assert first.equals(clumsy)
    assert first.wkb == second.wkb
    assert shapely.get_num_coordinates(first) == 10


@pytest.mark.parametrize(
    "shape",
    [shapely.Polygon([(0, 0), (2, 0), (0, 2)]), shapely.box(0, 0, 1.5, 1)],
)
def test_outlines_off_the_pixel_edges_are_named(shape):
    with pytest.raises(InputError, match="does not follow pixel edges"):
        canonical([shape])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": Window(0, 0, 3, 2)}, r"labels have shape \(2, 2\).*\(3, 2\)"),
        ({"score": np.zeros((2, 3), np.float32)}, r"score have shape \(2, 3\)"),
        ({"connectivity": 6}, "connectivity=6"),
        (
            {"labels": np.zeros((2, 2), np.float32)},
            "labels are float32, expected whole",
        ),
        ({"labels": np.full((2, 2), 2**40)}, "classes go from 10995.* beyond 32 bits"),
    ],
)
def test_wrong_inputs_are_named(change, message):
    given_ = {"labels": drawn("11", "11"), "window": Window(0, 0, 2, 2)} | change
    with pytest.raises(InputError, match=message):
        polygonise_block(**given_)
