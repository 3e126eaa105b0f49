import numpy as np
import pandas as pd
import pytest
import shapely

from areca.inference.views import VIEWS, View


@pytest.mark.parametrize("view", VIEWS["d4"])
def test_what_a_view_shows_is_found_where_it_lay(view):
    """A single bright pixel, seen on every view, comes back to its place."""
    tile = np.zeros((2, 12, 12), np.float32)
    tile[0, 3, 8] = 1.0

    seen = view.of(tile)

    np.testing.assert_array_equal(view.undo(seen), tile)
    row, col = np.argwhere(seen[0] == 1)[0]
    x, y = view.undo_points(np.array([[col + 0.25, row + 0.75]]), 12)[0]
    assert (int(y), int(x)) == (3, 8)


def test_the_eight_views_are_eight_and_the_first_is_the_tile():
    tile = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    views = {view.of(tile).tobytes() for view in VIEWS["d4"]}

    assert len(views) == 8
    assert VIEWS["none"] == VIEWS["d4"][:1] == (View(mirrored=False, quarters=0),)
    assert {view.of(tile).tobytes() for view in VIEWS["flips"]} <= views


@pytest.mark.parametrize("view", VIEWS["d4"])
def test_boxes_and_outlines_turn_with_their_centres(view):
    box = shapely.box(7.0, 2.0, 9.5, 4.0)
    turned = shapely.transform(
        box, lambda p: np.column_stack(_forward(view, p[:, 0], p[:, 1], 12))
    )
    x0, y0, x1, y1 = turned.bounds
    found = pd.DataFrame(
        {
            "x": [(x0 + x1) / 2], "y": [(y0 + y1) / 2],
            "x_min": [x0], "y_min": [y0], "x_max": [x1], "y_max": [y1],
            "outline": [shapely.to_wkb(turned)],
        }
    )  # fmt: skip

    back = view.undo_candidates(found, 12).iloc[0]

    assert (back.x, back.y) == (8.25, 3.0)
    assert (back.x_min, back.y_min, back.x_max, back.y_max) == (7.0, 2.0, 9.5, 4.0)
    assert shapely.from_wkb(back.outline).equals(box)


def _forward(view, x, y, edge):
    """Points as the view shows them, written down apart from the code under test."""
    if view.mirrored:
        x = edge - x
    for _ in range(view.quarters):
        x, y = y, edge - x
    return x, y
