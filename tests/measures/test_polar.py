"""Frames on a pole against geodesics, and against the angles they came from."""

import numpy as np
import pyproj
import pytest
from outline_shapes import WGS84

from areca.measures.frames import frames_around
from areca.measures.polar import around_poles, polar_angles, polar_metres
from areca.tiles.earth import earth_of

EARTH = earth_of(pyproj.CRS(4326))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("reach", [1e-3, 5.0, 2e3, 6e5])
def test_distances_from_the_pole_are_those_of_geodesics(sign, reach):
    azimuth = np.linspace(0, 359, 50)
    lon, lat, _ = WGS84.fwd(
        np.zeros(50), np.full(50, sign * 90.0), azimuth, np.full(50, reach)
    )
    pole = np.full(50, sign)

    x, y = polar_metres(EARTH, np.radians(lon), np.radians(lat), pole)

    np.testing.assert_allclose(np.hypot(x, y), reach, rtol=2.5e-9, atol=3e-9)
    again = polar_angles(EARTH, x, y, pole)
    np.testing.assert_allclose(again[1], np.radians(lat), atol=1e-15)
    turn = (again[0] - np.radians(lon) + np.pi) % (2 * np.pi) - np.pi
    np.testing.assert_allclose(turn * reach, 0, atol=1e-8 * max(1, reach))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_y_is_true_north_and_x_is_east_along_the_meridian_of_the_frame(sign):
    latitude = sign * np.radians([89.0, 89.001, 89.0])
    longitude = np.array([0.0, 0.0, 1e-6])

    x, y = polar_metres(EARTH, longitude, latitude, np.full(3, sign))

    assert x[0] == x[1] == 0
    assert sign * (y[1] - y[0]) == pytest.approx(111.69, abs=0.01)
    assert x[2] > 0
    assert abs(y[2] - y[0]) < 1e-6


def test_only_what_is_at_a_pole_gets_its_frame_there():
    places = np.array(
        [(10, 50), (10, 89.99999), (200, -89.99999), (10, 89.0), (-70, 60)]
    )
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 4e-5
    vertices = (places[:, None] + half * [[[1, 0.1]]]).reshape(-1, 2)
    vertices[4:8, 0] = 10 + np.array([-60, 60, 60, -60])
    vertices[8:12, 0] = 200 + np.array([-60, 60, 60, -60])
    longitude, latitude = np.radians(vertices).T
    starts = 4 * np.arange(len(places))

    pole, _ = around_poles(longitude, latitude, starts)
    frames = frames_around(
        EARTH, longitude, latitude, np.repeat(np.arange(len(places)), 4)
    )

    assert pole.tolist() == [0, 1, -1, 0, 0]
    assert frames.pole.tolist() == pole.tolist()
    there = frames.metres(longitude, latitude, np.repeat(np.arange(len(places)), 4))
    back = frames.angles(*there, np.repeat(np.arange(len(places)), 4))
    np.testing.assert_allclose(back[1], latitude, atol=1e-15)
    np.testing.assert_allclose(np.cos(back[0] - longitude), 1, atol=1e-15)
