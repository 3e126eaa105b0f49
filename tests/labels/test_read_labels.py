"""Labels come onto the image's grid, and labels that cannot be used are named."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from odc.geo.geobox import GeoBox
from pyproj import Geod

from areca.errors import LabelError
from areca.labels import circles_of, pixel_size_m, read_area, read_labels

GRID = GeoBox.from_bbox(
    (500_000, 100_000, 500_100, 100_050), "EPSG:32648", resolution=0.5
)


def frame(*shapes, crs="EPSG:32648"):
    return gpd.GeoDataFrame(
        {"kind": list(range(len(shapes)))}, geometry=list(shapes), crs=crs
    )


def box(x, y, width, height):
    """A box by its centre in pixels of the grid."""
    east, north = 500_000 + x / 2, 100_050 - y / 2
    return shapely.box(
        east - width / 4, north - height / 4, east + width / 4, north + height / 4
    )


@pytest.mark.parametrize("name", ["labels.parquet", "labels.geojson", "labels.gpkg"])
def test_a_box_comes_back_as_its_circle_from_any_format(tmp_path, name):
    labels = frame(box(20, 30, 8, 8), box(50, 10, 8, 18)).to_crs(4326)
    path = tmp_path / name
    labels.to_parquet(path) if name.endswith("parquet") else labels.to_file(path)
    circles = circles_of(read_labels(path, GRID), GRID)
    np.testing.assert_allclose(circles.x, [20, 50], atol=1e-3)
    np.testing.assert_allclose(circles.y, [30, 10], atol=1e-3)
    np.testing.assert_allclose(circles.radius, [4, 6], atol=0.6)


def test_a_box_is_the_ellipse_within_it_and_a_polygon_its_own_area():
    disc = shapely.affinity.scale(shapely.Point(500_020, 100_020).buffer(4, 64), 1.2)
    circles = circles_of(
        frame(box(20, 30, 8, 18), disc, shapely.Point(500_030, 100_030)), GRID
    )
    assert circles.radius[0] == pytest.approx(np.sqrt(8 * 18) / 2)
    assert circles.radius[1] == pytest.approx(2 * 4 * np.sqrt(1.2), rel=1e-3)
    assert np.isnan(circles.radius[2])
    assert circles.xy[2] == pytest.approx([60, 40])


def test_labels_beside_the_image_are_left_out(tmp_path):
    frame(box(20, 30, 8, 8), box(900, 30, 8, 8)).to_parquet(tmp_path / "a.parquet")
    assert read_labels(tmp_path / "a.parquet", GRID)["kind"].tolist() == [0]


CORNERS = [(0, 0), (10, 10), (10, 0), (0, 10)]
BOWTIE = shapely.Polygon([(500_000 + x, 100_000 + y) for x, y in CORNERS])


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (frame(box(2, 3, 1, 1), crs=None), "no CRS"),
        (frame(), "0 rows"),
        (frame(box(2, 3, 1, 1), None), "1 of 2 geometries are null or empty"),
        (frame(box(2, 3, 1, 1), BOWTIE), "invalid, the first in row 1"),
        (frame(box(900, 30, 8, 8)), "none of 1 labels lies on the image"),
    ],
)
def test_labels_that_cannot_be_used_are_named(tmp_path, labels, said):
    labels.to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(LabelError, match=said):
        read_labels(tmp_path / "bad.parquet", GRID)


def test_a_file_that_is_no_vector_file_is_named(tmp_path):
    (tmp_path / "bad.geojson").write_text("nothing")
    with pytest.raises(LabelError, match=r"bad\.geojson cannot be read"):
        read_labels(tmp_path / "bad.geojson", GRID)
    with pytest.raises(LabelError, match=r"no label file .*gone\.gpkg"):
        read_labels(tmp_path / "gone.gpkg", GRID)


def test_an_area_must_be_polygons_and_a_label_no_line(tmp_path):
    frame(shapely.Point(500_010, 100_010)).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(LabelError, match="Point"):
        read_area(tmp_path / "p.parquet", GRID)
    line = shapely.LineString([(500_000, 100_000), (500_010, 100_010)])
    with pytest.raises(LabelError, match="LineString"):
        circles_of(frame(line), GRID)


def test_the_pixel_of_a_geographic_grid_is_measured_on_the_ground():
    grid = GeoBox.from_bbox(
        (103.28, 2.16, 103.281, 2.161), "EPSG:4326", resolution=2e-6
    )
    middle = (103.2805, 2.1605)
    geod = Geod(ellps="WGS84")
    _, _, east = geod.inv(*middle, middle[0] + 2e-6, middle[1])
    _, _, north = geod.inv(*middle, middle[0], middle[1] + 2e-6)
    assert pixel_size_m(grid) == pytest.approx(np.sqrt(east * north), rel=1e-6)
    # The scale of UTM on its central meridian: the grid's half metre is longer.
    assert pixel_size_m(GRID) == pytest.approx(0.5 / 0.9996, rel=1e-4)
