import geopandas as gpd
import pytest
from pyproj import Geod
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from areca.catalog import read_aoi
from areca.catalog.aoi import distance_km
from areca.errors import AoiError

SQUARE = box(10.0, 45.0, 11.0, 46.0)


@pytest.mark.parametrize(
    "aoi",
    ["10,45,11,46", " 10, 45.0 ,11,46", (10, 45, 11, 46), [10, 45, 11, 46], SQUARE],
)
def test_every_form_of_a_box_means_the_same(aoi):
    assert read_aoi(aoi).equals(SQUARE)


@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg", "a.parquet"])
def test_vector_files_are_read(tmp_path, name):
    halves = [box(10, 45, 10.5, 46), box(10.5, 45, 11, 46)]
    frame = gpd.GeoDataFrame({"n": [1, 2]}, geometry=halves, crs="EPSG:4326")
    path = tmp_path / name
    frame.to_parquet(path) if name.endswith("parquet") else frame.to_file(path)
    assert read_aoi(path).equals(SQUARE)
    assert read_aoi(str(path)).equals(SQUARE)


def test_other_crs_are_turned_into_degrees_along_their_own_straight_lines():
    series = gpd.GeoSeries(
        [box(300_000, 5_000_000, 700_000, 5_400_000)], crs="EPSG:32632"
    )
    fine = series.segmentize(500).to_crs("EPSG:4326").iloc[0]
    found = read_aoi(series)
    assert found.symmetric_difference(fine).area < 1e-4 * fine.area
    assert read_aoi(series.to_frame("geometry")).equals(found)


def test_a_bow_tie_is_repaired():
    found = read_aoi(Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]))
    assert found.is_valid
    assert found.area == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("aoi", "message"),
    [
        ("11,45,10,46", "empty or swapped"),
        ("10,46,11,45", "empty or swapped"),
        ("10,45,11", "not four numbers"),
        ("10,45,11,46,47", "not four numbers"),
        ("nan,45,11,46", "not four numbers"),
        ((1, 2), "not four numbers"),
        ("45,-100,46,100", "no degrees"),
        ("300000,5000000,300100,5000100", "Another CRS"),
        ("-180,-10,180,10", "more than half the globe"),
        (Point(1, 1), "no area"),
        (LineString([(0, 0), (1, 1)]), "no area"),
        (MultiPolygon(), "is empty"),
        ("nowhere.geojson", "there is no area of interest 'nowhere.geojson'"),
        (5, "cannot be a int"),
        (gpd.GeoSeries([SQUARE]), "no CRS"),
        (gpd.GeoSeries([], crs="EPSG:4326"), "no geometry"),
        (gpd.GeoSeries([None], crs="EPSG:4326"), "no geometry"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(aoi, message):
    with pytest.raises(AoiError, match=message):
        read_aoi(aoi)


def test_a_file_that_is_no_vector_file_is_named(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text("<html>")
    with pytest.raises(
        AoiError, match=r"cannot read the area of interest .*a\.geojson"
    ):
        read_aoi(path)


def test_distance_is_along_the_ellipsoid_to_the_nearest():
    near, far = box(12, 45, 13, 46), box(40, 45, 41, 46)
    _, _, metres = Geod(ellps="WGS84").inv(11, 45, 12, 45)
    assert distance_km(SQUARE, [far, near]) == pytest.approx(metres / 1000, rel=0.02)
    assert distance_km(SQUARE, [SQUARE]) == 0
