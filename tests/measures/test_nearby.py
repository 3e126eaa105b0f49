"""The local map of second order against PROJ, vertex by vertex."""

import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from outline_shapes import lobed

from areca.measures import nearby
from areca.measures.nearby import nearby_maps
from areca.measures.placing import in_metres
from areca.measures.rings import rings_of, sizes_of
from areca.tiles.earth import earth_of

PLACES = {
    4326: [(25.0, 0.0), (25.0, 60.0), (140.0, -80.0)],
    3857: [(25.0, 0.0), (25.0, 60.0), (140.0, -80.0)],
    3395: [(25.0, 0.0), (25.0, 60.0), (140.0, -80.0)],
    32635: [(25.0, 0.5), (25.0, 60.0), (33.0, 80.0)],
    3035: [(10.0, 52.0), (30.0, 65.0)],
    3413: [(-45.0, 70.0), (10.0, 89.0)],
    2263: [(-74.0, 40.7)],
}
ROWS = pd.RangeIndex(20)


def drawn(crs, longitude, latitude, radius):
    """Crowns around a place, in the CRS."""
    frame = pyproj.CRS.from_proj4(
        f"+proj=aeqd +lat_0={latitude} +lon_0={longitude} +datum=WGS84"
    )
    to_crs = pyproj.Transformer.from_crs(frame, crs, always_xy=True)
    crowns = lobed(20, radius=(0.8 * radius, radius))
    return shapely.transform(
        crowns, lambda xy: np.column_stack(to_crs.transform(xy[:, 0], xy[:, 1]))
    )


@pytest.mark.parametrize("crs", PLACES)
@pytest.mark.parametrize("radius", [0.5, 5.0, 50.0, 200.0])
def test_a_map_is_as_good_as_proj_where_it_says_so(crs, radius):
    earth = earth_of(pyproj.CRS(crs))
    for place in PLACES[crs]:
        geometry = drawn(crs, *place, radius)
        maps = nearby_maps(earth, shapely.bounds(geometry))
        sizes = sizes_of(maps.placed(rings_of(geometry)))
        local, _ = in_metres(geometry, earth, ROWS[: len(geometry)])

        # Crowns must not need PROJ for each vertex, but near a pole they do.
        assert maps.holds.all() or radius > 5 or place[1] > 85
        good = maps.holds
        for mine, exact in (
            (sizes.area, shapely.area(local)),
            (sizes.perimeter, shapely.length(local)),
        ):
            np.testing.assert_allclose(mine[good], exact[good], rtol=2e-8)


def test_without_its_second_order_a_map_would_be_off(monkeypatch):
    earth = earth_of(pyproj.CRS(3857))
    geometry = drawn(3857, 25.0, 60.0, 50.0)
    exact = shapely.area(in_metres(geometry, earth, ROWS[: len(geometry)])[0])

    def missed():
        maps = nearby_maps(earth, shapely.bounds(geometry))
        return np.abs(sizes_of(maps.placed(rings_of(geometry))).area / exact - 1).max()

    assert missed() < 1e-8
    terms = nearby._terms
    monkeypatch.setattr(
        nearby, "_terms", lambda at: terms(at) * [[[1], [1], [0], [0], [0]]]
    )
    assert missed() > 1e-7


def test_a_map_that_does_not_hold_says_so():
    degrees, mercator = (earth_of(pyproj.CRS(crs)) for crs in (4326, 3857))
    half = 20037508.0
    goode = pyproj.CRS.from_proj4("+proj=igh +datum=WGS84")  # torn in the oceans
    tear = pyproj.Transformer.from_crs(4326, goode, always_xy=True)
    x, y = tear.transform(-40.0, 30.0)

    for earth, bounds in (
        (degrees, (10, 50, 11, 51)),  # a hundred kilometres
        (degrees, (-179.99999, 5, 179.99999, 5.00001)),  # around the Earth, it seems
        (degrees, (10, 89.9999, 10.0001, 90.0)),  # beyond the pole there is nothing
        (mercator, (-half, 0, half, 10)),
        (earth_of(goode), (x - 20, y - 20, x + 20, y + 20)),
    ):
        assert not nearby_maps(earth, np.array([bounds])).holds[0], bounds
