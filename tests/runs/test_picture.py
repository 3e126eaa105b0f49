import numpy as np
import pytest

from areca.runs.legend import round_length
from areca.runs.picture import (
    HOLE_RED,
    NO_DATA_GREY,
    draw_objects,
    overview,
    stretch_for_display,
)


def changed(picture, ground):
    return (np.asarray(picture, int) != ground).any(axis=-1)


def ground(height=400, width=600, value=120):
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize("value", [0, 120, 255])
@pytest.mark.parametrize("radius", [6.0, 23.4, 60.0])
def test_a_circle_lies_at_its_place_with_its_radius(value, radius):
    image = ground(value=value)

    drawn = draw_objects(
        image, np.array([[310.0, 120.5]]), np.array([radius]), metres_per_pixel=0.2
    )

    difference = np.abs(np.asarray(drawn, float) - value).max(axis=-1)
    difference[-60:] = 0  # the scale bar
    row, column = np.nonzero(difference > 60)
    distance = np.hypot(column + 0.5 - 310.0, row + 0.5 - 120.5)
    assert distance.size > 4 * radius  # all round, on dark and on bright ground
    assert np.abs(distance - radius).max() < 3.0
    assert distance.mean() == pytest.approx(radius, abs=0.25)
    angle = np.arctan2(row + 0.5 - 120.5, column + 0.5 - 310.0)
    assert len(np.unique(np.floor(angle / (np.pi / 8)) % 16)) == 16
    assert drawn.size == (600, 400)


def test_a_low_score_has_another_colour_than_a_high_one():
    centres, radii = np.array([[100.0, 100.0], [300.0, 100.0]]), np.array([30.0, 30.0])

    drawn = draw_objects(
        ground(), centres, radii, np.array([0.3, 0.9]), metres_per_pixel=0.2
    )

    pixels = np.asarray(drawn, int)
    low, high = pixels[100, 130], pixels[100, 330]
    assert low[0] > low[2] + 80  # orange
    assert high[2] > high[0] + 80  # cyan


def test_the_line_of_a_circle_grows_with_the_picture():
    widths = {}
    for wide in (600, 2400):
        drawn = draw_objects(
            ground(400, wide), np.array([[200.0, 150.0]]), np.array([90.0]),
            metres_per_pixel=0.2,
        )  # fmt: skip
        widths[wide] = changed(drawn, 120)[150, 250:340].sum()
    assert widths[2400] > 2.5 * widths[600]


def test_what_is_unknown_or_far_away_is_not_drawn():
    centres = np.array([[np.nan, 5.0], [50.0, 50.0], [5000.0, 50.0], [50.0, -900.0]])
    radii = np.array([5.0, np.nan, 10.0, 10.0])

    drawn = draw_objects(ground(), centres, radii, metres_per_pixel=0.2)

    assert not changed(drawn, 120)[:-60].any()


def test_a_circle_over_the_edge_is_drawn_as_far_as_it_is_seen():
    drawn = draw_objects(
        ground(), np.array([[-10.0, 100.0]]), np.array([30.0]), metres_per_pixel=0.2
    )

    assert changed(drawn, 120)[100, 18:22].any()


def test_an_image_without_objects_has_a_scale_all_the_same():
    drawn = draw_objects(
        ground(), np.empty((0, 2)), np.empty(0), np.empty(0), metres_per_pixel=0.2
    )

    white = (np.asarray(drawn)[-14] == 255).all(axis=-1).sum()
    # 600 px * 0.2 m / 4 = 30 m, so the bar shows 20 m = 100 px
    assert white == pytest.approx(100, abs=2)


def test_the_input_image_is_left_alone():
    image = ground()

    draw_objects(image, np.array([[50.0, 50.0]]), np.array([9.0]), metres_per_pixel=1.0)
    overview(image, np.array([[50.0, 50.0]]), metres_per_pixel=1.0)

    assert (image == 120).all()


@pytest.mark.parametrize(
    ("longest", "expected"),
    [
        (1.0, 1),
        (1.99, 1),
        (2.0, 2),
        (4.9, 2),
        (5.0, 5),
        (10.0, 10),
        (0.05, 0.05),
        (73, 50),
    ],
)
def test_a_scale_is_1_2_or_5(longest, expected):
    assert round_length(longest) == pytest.approx(expected)


def test_dots_lie_on_their_objects_and_warm_up_with_density():
    rng = np.random.default_rng(1)
    dense = rng.uniform([20, 20], [120, 120], (300, 2))
    sparse = np.array([[400.5, 150.5], [450.5, 60.5]])
    bare = np.asarray(overview(ground(), np.empty((0, 2)), metres_per_pixel=2.0), int)

    drawn = overview(ground(), np.vstack([dense, sparse]), metres_per_pixel=2.0)

    pixels = np.asarray(drawn, int)
    dots = (pixels != bare).any(axis=-1)
    dots[-60:] = False
    row, column = np.nonzero(dots[:, 300:])
    assert {(350 < c + 300 < 460) for c in column} == {True}
    assert dots[150, 400]
    assert dots[60, 450]
    assert len(row) < 200
    warm = pixels[70, 60:80].max(axis=0)
    assert warm[0] > 180 > 150 > pixels[150, 400, 0]  # yellow against violet


def test_a_sample_has_the_density_of_all():
    rng = np.random.default_rng(4)
    places = np.unique(rng.integers([5, 5], [595, 300], (20_000, 2)), axis=0) + 0.5

    whole = overview(ground(), np.repeat(places, 4, axis=0), metres_per_pixel=2.0)
    sample = overview(ground(), places, metres_per_pixel=2.0, weight=4.0)
    unweighted = overview(ground(), places, metres_per_pixel=2.0)

    legend = np.s_[-40:, 300:]
    np.testing.assert_array_equal(np.asarray(sample)[legend], np.asarray(whole)[legend])
    assert (np.asarray(unweighted)[legend] != np.asarray(whole)[legend]).any()
    column, row = places.astype(int).T
    np.testing.assert_array_equal(
        np.asarray(sample)[row, column], np.asarray(whole)[row, column]
    )


def test_a_hole_is_red_inside_and_nowhere_else():
    ring = np.array([[100, 100], [200, 100], [200, 200], [100, 200]])

    plain = np.asarray(overview(ground(), np.empty((0, 2)), metres_per_pixel=1.0), int)
    drawn = np.asarray(
        overview(ground(), np.empty((0, 2)), metres_per_pixel=1.0, holes_px=[ring]), int
    )

    different = (drawn != plain).any(axis=-1)
    assert different[101:199, 101:199].all()
    different[98:203, 98:203] = False
    assert not different.any()
    assert (drawn[101:199, 101:199] == HOLE_RED).all(axis=-1).mean() > 0.2


def test_many_objects_are_dots_of_one_pixel():
    rng = np.random.default_rng(2)
    points = rng.uniform([0, 0], [600, 400], (200_000, 2))

    drawn = overview(ground(), points, metres_per_pixel=5.0, scores=rng.random(200_000))

    assert drawn.size == (600, 400)


def test_a_stretch_fills_the_range_and_shows_gaps_grey():
    ramp = np.linspace(0.02, 0.4, 10_000, dtype=np.float32).reshape(1, 100, 100)
    cube = np.concatenate([ramp, 2 * ramp, 3 * ramp, np.full_like(ramp, np.nan)])
    cube[0, :10, :10] = np.nan

    shown = stretch_for_display(cube)

    assert shown.shape == (100, 100, 3)
    assert shown.dtype == np.uint8
    assert (shown[:10, :10] == NO_DATA_GREY).all()
    assert shown[99, 99].tolist() == [255, 255, 255]
    assert (np.diff(shown[50, 20:80].astype(int), axis=0) >= 0).all()
    # each band is stretched on its own: a factor between bands does not show
    assert np.abs(np.diff(shown[50].astype(int), axis=-1)).max() <= 1


@pytest.mark.parametrize("bands", [1, 2])
def test_one_band_is_grey(bands):
    ramp = np.linspace(0, 1, 100, dtype=np.float32).reshape(1, 10, 10)

    shown = stretch_for_display(np.repeat(ramp, bands, axis=0))

    assert (np.diff(shown.astype(int), axis=-1) == 0).all()
    assert shown.max() == 255


def test_a_raster_of_nothing_and_a_flat_one_make_a_picture():
    nothing = stretch_for_display(np.full((3, 4, 5), np.nan, np.float32))
    flat = stretch_for_display(np.full((3, 4, 5), 7.0, np.float32))

    assert (nothing == NO_DATA_GREY).all()
    assert (flat == 128).all()
