"""What a tile found lands on the lattice: positions, outlines, and who is cut."""

import numpy as np
import shapely

from areca.models.found import Boxes, Detections, Masks
from areca.objects import disc_candidates
from areca.objects.candidates import DTYPES
from areca.tiles import Tile, Window

CORNER = Window(1000, -300, 1064, -236)
TILE = Tile(3, -2)


def boxes(bounds, **more):
    edges = np.asarray(bounds, np.float32).reshape(-1, 4).T
    names = ("x_min", "y_min", "x_max", "y_max")
    count = edges.shape[1]
    kind = Masks if more else Boxes
    return kind(
        **dict(zip(names, edges, strict=True)),
        score=np.linspace(0.9, 0.5, count, dtype=np.float32),
        label=np.arange(count, dtype=np.int32),
        **more,
    )


def masks(*drawn):
    stack = np.array(drawn, bool).reshape(len(drawn), 64, 64)
    bounds = [(c.min(), r.min(), c.max() + 1, r.max() + 1) for r, c in
              (np.nonzero(mask) for mask in stack)]  # fmt: skip
    return boxes(bounds, mask=stack)


def test_boxes_move_by_the_corner():
    table = boxes([(0.25, 2, 10.25, 8), (5, 5, 6, 60)]).candidates(CORNER, TILE)
    assert dict(table.dtypes) == {name: np.dtype(kind) for name, kind in DTYPES.items()}
    assert table[["x_min", "y_min", "x_max", "y_max"]].to_numpy().tolist() == [
        [-299.75, 1002.0, -289.75, 1008.0],
        [-295.0, 1005.0, -294.0, 1060.0],
    ]
    assert table[["x", "y"]].to_numpy().tolist() == [[-294.75, 1005], [-294.5, 1032.5]]
    assert table["label"].tolist() == [0, 1]
    assert table[["tile_row", "tile_col"]].drop_duplicates().to_numpy().tolist() == [
        [3, -2]
    ]


def test_circles_give_the_table_that_discs_give():
    rng = np.random.default_rng(5)
    x, y, radius, score = rng.uniform(0, 64, (4, 50)).astype(np.float32)
    label = np.zeros(50, np.int32)
    found = Detections(x=x, y=y, radius=radius, score=score, label=label)
    discs = np.column_stack([x, y, radius]).astype(float)
    discs += (-300.0, 1000.0, 0.0)
    expected = disc_candidates(discs, score, label, TILE)
    assert found.candidates(CORNER, TILE).equals(expected)


def test_masks_bring_outlines_in_absolute_pixels():
    ring = np.zeros((64, 64), bool)
    ring[10:20, 30:40] = True
    ring[13:15, 33:35] = False
    corners = np.zeros((64, 64), bool)
    corners[1:3, 1:3] = corners[3:5, 3:5] = True
    table = masks(ring, corners).candidates(CORNER, TILE)
    first, second = shapely.from_wkb(table["outline"].to_list())
    hole = shapely.box(-267, 1013, -265, 1015)
    assert first.equals(shapely.box(-270, 1010, -260, 1020) - hole)
    assert second.geom_type == "MultiPolygon"
    assert second.area == 8


def test_no_objects_give_an_empty_table_with_all_columns():
    nothing = boxes([], mask=np.zeros((0, 64, 64), bool))
    table = nothing.candidates(CORNER, TILE)
    assert len(table) == len(nothing) == 0
    assert list(table.columns) == [*DTYPES, "outline"]
    assert nothing.touching_edge(64, 1).shape == (0,)


def test_objects_at_the_edge_of_the_tile_are_told():
    bounds = [(0, 9, 9, 20), (2, 9, 9, 20), (9, 9, 20, 64), (9, 9, 20, 61.5)]
    assert boxes(bounds).touching_edge(64, 0).tolist() == [True, False, True, False]
    assert boxes(bounds).touching_edge(64, 2).tolist() == [True, True, True, False]
    circle = Detections(
        x=np.float32([5, 30]),
        y=np.float32([30, 30]),
        radius=np.float32([5, 5]),
        score=np.float32([1, 1]),
        label=np.int32([0, 0]),
    )
    assert circle.touching_edge(64, 0).tolist() == [True, False]


def test_a_mask_that_spills_over_its_box_to_the_edge_is_cut():
    spilled = np.zeros((64, 64), bool)
    spilled[20, :30] = True
    found = boxes([(10, 18, 30, 22)], mask=spilled[None])
    assert found.touching_edge(64, 1).tolist() == [True]
    assert boxes([(10, 18, 30, 22)]).touching_edge(64, 1).tolist() == [False]


def test_taking_keeps_fields_and_kind():
    drawn = np.eye(64, dtype=bool)
    three = masks(drawn, drawn, np.fliplr(drawn))
    one = three.take(np.array([2]))
    assert isinstance(one, Masks)
    np.testing.assert_array_equal(one.mask[0], np.fliplr(drawn))
    assert one.label.tolist() == [2]
