"""How large a pixel is on the ground, against geodesics."""

import numpy as np
import pytest
from pyproj import CRS, Geod, Transformer

from areca.errors import GridError
from areca.tiles import Lattice, ground_axes_m


def lattice(crs, pixel, origin=(0.0, 0.0)):
    return Lattice(
        crs=crs, pixel_x=pixel, pixel_y=pixel, origin_x=origin[0], origin_y=origin[1],
        core_px=64,
    )  # fmt: skip


PLACES = [
    ("EPSG:32648", 0.3, 600_000.0, 200_000.0),
    ("EPSG:32633", 10.0, 900_000.0, 7_500_000.0),
    ("EPSG:3857", 0.5, 1_300_000.0, 8_400_000.0),
    ("EPSG:3395", 0.5, 1_300_000.0, -8_400_000.0),
    ("EPSG:4326", 1e-5, 12.0, 80.0),
    ("EPSG:4326", 2e-6, -179.999999, -16.5),
    ("EPSG:4807", 1e-5, 2.0, 52.0),  # grads, from Paris
    ("EPSG:3031", 25.0, 1_500_000.0, 700_000.0),
]


@pytest.mark.parametrize(("crs", "pixel", "x", "y"), PLACES)
def test_a_pixel_has_the_area_and_the_sides_that_geodesics_give(crs, pixel, x, y):
    grid = lattice(crs, pixel)
    col, row = grid.to_pixels(x, y)

    ((right, down),) = ground_axes_m(grid, np.array([col]), np.array([row]))

    steps = np.array([[-50, -50], [50, -50], [50, 50], [-50, 50]])
    corners = grid.to_crs(col + steps[:, 0], row + steps[:, 1])
    of_crs = CRS(crs)
    lon, lat = Transformer.from_crs(of_crs, of_crs.geodetic_crs, always_xy=True
                                    ).transform(*corners)  # fmt: skip
    unit = np.degrees(of_crs.geodetic_crs.axis_info[0].unit_conversion_factor)
    lon, lat = lon * unit, lat * unit
    geod = of_crs.get_geod() or Geod(ellps="WGS84")
    area = abs(geod.polygon_area_perimeter(lon, lat)[0]) / 100**2
    assert abs(np.linalg.det([right, down])) == pytest.approx(area, rel=2e-6)
    east, _, across = geod.inv(lon[0], lat[0], lon[1], lat[1])
    assert np.hypot(*right) == pytest.approx(across / 100, rel=1e-3)
    assert np.degrees(np.arctan2(*right)) % 360 == pytest.approx(east % 360, abs=0.1)


def test_places_outside_the_crs_are_named():
    grid = lattice("EPSG:32648", 1.0)
    with pytest.raises(GridError, match="not defined at all of 2 places"):
        ground_axes_m(grid, np.array([5e5, 1e9]), np.array([0.0, 0.0]))


def test_a_crs_without_a_place_on_the_earth_is_named():
    text = CRS.from_wkt(
        'ENGCRS["plan",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],'
        'AXIS["y",north],LENGTHUNIT["metre",1]]'
    ).to_wkt()
    with pytest.raises(GridError, match="names no place on the Earth"):
        ground_axes_m(lattice(text, 1.0), np.zeros(1), np.zeros(1))
