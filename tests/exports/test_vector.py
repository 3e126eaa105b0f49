import contextlib
import hashlib
import itertools
import json
import sqlite3
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from export_tables import LABELS, draw_objects, with_every_shape

import areca
from areca.exports import vector

FORMATS = {"gpkg": "a.gpkg", "flatgeobuf": "a.fgb", "geojson": "a.geojson"}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def by_id(table):
    return table.sort_values("object_id", ignore_index=True)


@pytest.mark.parametrize("name", FORMATS)
def test_a_second_reader_reads_the_same_rows(tmp_path, name):
    table = draw_objects()

    done = areca.export_objects(table, tmp_path / FORMATS[name])

    back = by_id(gpd.read_file(done.path, layer=0))
    assert done.count == len(back) == len(table)
    assert done.format == name
    expected = table if name != "geojson" else table.to_crs(4326)
    assert back.crs == expected.crs
    tolerance = 1e-8 if name == "geojson" else 0
    assert (
        back.geom_equals_exact(expected.geometry, tolerance).all()
        or shapely.equals_exact(
            shapely.normalize(back.geometry.to_numpy()),
            shapely.normalize(expected.geometry.to_numpy()),
            tolerance=1e-8,
        ).all()
    )
    for column in ("object_id", "label", "item_id"):
        known = table[column].notna()
        assert (back[column].notna() == known).all()
        assert (back.loc[known, column] == table.loc[known, column]).all()
    for column in ("score", "area_m2", "center_lon", "radius_m"):
        np.testing.assert_allclose(
            back[column].astype(float), table[column].astype(float), rtol=1e-7
        )
    times = pd.to_datetime(back["datetime"], utc=True)
    assert (times.isna() == table["datetime"].isna()).all()
    assert (times.dropna() == table["datetime"].dropna()).all()
    assert back["rank"].isna().sum() == len(table) // 2
    assert back["note"].isna().all()


@pytest.mark.parametrize("name", FORMATS)
def test_shapes_of_every_kind_come_through(tmp_path, name):
    table = with_every_shape(draw_objects())

    done = areca.export_objects(table, tmp_path / FORMATS[name])

    back = by_id(gpd.read_file(done.path, layer=0))
    if name == "flatgeobuf":  # an index has no place for what has none
        assert (done.count, done.left_out) == (len(table) - 1, 1)
        table = table[1:]
        back.index += 1
    assert len(back) == len(table) == done.count
    assert back.geometry.isna().tolist() == table.geometry.isna().tolist()
    assert not back.geometry.has_z.any()
    expected = (table if name != "geojson" else table.to_crs(4326)).geometry[1:]
    np.testing.assert_allclose(
        shapely.area(back.geometry[1:].to_numpy()),
        shapely.area(expected.to_numpy()),
        rtol=1e-4,
    )
    assert shapely.get_num_interior_rings(
        shapely.get_parts(back.geometry[2])
    ).tolist() == [1]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rows", [0, 1])
def test_a_table_with_few_rows_or_none_is_a_layer(tmp_path, name, rows):
    table = draw_objects().iloc[:rows]

    done = areca.export_objects(table, tmp_path / FORMATS[name])

    back = gpd.read_file(done.path, layer=0)
    assert len(back) == rows == done.count
    if name != "geojson":  # which has no columns without rows
        assert set(back.columns) == set(table.columns)
        assert back.crs == table.crs
        assert pyogrio.read_info(done.path, layer=0)["geometry_type"] == "Polygon"


@pytest.mark.parametrize("name", FORMATS)
def test_equal_tables_give_equal_files(tmp_path, name):
    for folder in ("one", "other", "third"):
        (tmp_path / folder).mkdir()
    for folder in ("one", "other"):
        areca.export_objects(draw_objects(), tmp_path / folder / FORMATS[name])
    areca.export_objects(draw_objects(seed=5), tmp_path / "third" / FORMATS[name])

    files = [tmp_path / folder / FORMATS[name] for folder in ("one", "other", "third")]
    assert digest(files[0]) == digest(files[1]) != digest(files[2])
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None


def test_a_layer_has_one_geometry_type(tmp_path):
    """QGIS opens it at once, without asking for the type."""
    kinds = {}
    for name, table in {
        "Polygon": draw_objects(),
        "MultiPolygon": with_every_shape(draw_objects()),
        "Point": draw_objects().set_geometry(draw_objects().centroid),
    }.items():
        path = areca.export_objects(table, tmp_path / f"{name}.gpkg").path
        kinds[name] = pyogrio.read_info(path, layer="objects")["geometry_type"]
    assert kinds == {name: name for name in kinds}


def test_geojson_follows_rfc_7946(tmp_path):
    table = with_every_shape(draw_objects()).to_crs(3857)
    path = areca.export_objects(table, tmp_path / "a.geojson").path

    document = json.loads(path.read_text())

    assert document["type"] == "FeatureCollection"
    assert "crs" not in document
    assert len(document["features"]) == len(table)
    degrees = with_every_shape(draw_objects()).to_crs(4326)
    for feature, shape in zip(document["features"], degrees.geometry, strict=True):
        assert feature["type"] == "Feature"
        if shape is None:
            assert feature["geometry"] is None
            continue
        for polygon in rings_of(feature["geometry"]):
            for number, ring in enumerate(polygon):
                assert ring[0] == ring[-1]
                assert all(len(position) == 2 for position in ring)
                assert turns_left(ring) == (number == 0)
        centre = shapely.geometry.shape(feature["geometry"]).centroid
        assert centre.distance(shape.centroid) < 1e-8
    assert (
        document["features"][0]["properties"]["datetime"] == "2024-05-01T10:20:30.500Z"
    )


def rings_of(geometry):
    coordinates = geometry["coordinates"]
    return coordinates if geometry["type"] == "MultiPolygon" else [coordinates]


def turns_left(ring):
    x, y = np.array(ring).T
    return np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0


def test_geojson_is_split_at_the_antimeridian(tmp_path):
    disc = shapely.Point(180.0, -17.0).buffer(0.001)
    table = gpd.GeoDataFrame({"name": ["fiji"]}, geometry=[disc], crs=4326)

    path = areca.export_objects(table, tmp_path / "a.geojson").path

    (feature,) = json.loads(path.read_text())["features"]
    assert feature["geometry"]["type"] == "MultiPolygon"
    lon = np.concatenate(
        [np.array(p[0])[:, 0] for p in feature["geometry"]["coordinates"]]
    )
    assert (np.abs(lon) <= 180).all()
    assert (np.abs(lon) > 179.99).all()
    assert shapely.geometry.shape(feature["geometry"]).area == pytest.approx(
        disc.area, rel=1e-3
    )


def style_of(path):
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.row_factory = sqlite3.Row
        (row,) = file.execute("SELECT * FROM layer_styles").fetchall()
        contents = file.execute(
            "SELECT data_type FROM gpkg_contents WHERE table_name = 'layer_styles'"
        ).fetchone()
        assert file.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    return dict(row), contents["data_type"]


def test_labels_that_look_like_markup_or_hold_what_xml_forbids_do_no_harm(tmp_path):
    labels = ('"/><script a="', "<b>&amp;</b>", "bell \x07", "palm")
    path = areca.export_objects(draw_objects(labels=labels), tmp_path / "a.gpkg").path

    root = ET.fromstring(style_of(path)[0]["styleQML"])
    values = {category.get("value") for category in root.iter("category")}
    assert values == {'"/><script a="', "<b>&amp;</b>", "bell \ufffd", "palm", ""}
    assert not list(root.iter("script"))
    assert set(gpd.read_file(path, layer="objects")["label"]) == set(labels)


def test_a_geopackage_carries_the_style_of_its_labels(tmp_path):
    path = areca.export_objects(draw_objects(), tmp_path / "a.gpkg").path

    row, kind = style_of(path)

    assert kind == "attributes"
    assert row["useAsDefault"] == 1
    assert row["f_table_name"] == "objects"
    with contextlib.closing(sqlite3.connect(path)) as file:
        columns = [c[1] for c in file.execute("PRAGMA table_info(objects)")]
    assert row["f_geometry_column"] in columns
    renderer = ET.fromstring(row["styleQML"]).find("renderer-v2")
    assert renderer.get("type") == "categorizedSymbol"
    assert renderer.get("attr") == "label"
    categories = renderer.find("categories")
    assert [c.get("value") for c in categories] == [*LABELS, ""]
    symbols = {s.get("name"): s for s in renderer.find("symbols")}
    assert [c.get("symbol") for c in categories] == list(symbols)
    assert {s.get("type") for s in symbols.values()} == {"fill"}
    colours = [
        s.find("layer/prop[@k='outline_color']").get("v") for s in symbols.values()
    ]
    assert len(set(colours)) == 3
    # The layers themselves are as they were.
    assert len(gpd.read_file(path, layer="objects")) == 240


def test_one_label_is_coloured_by_score(tmp_path):
    path = areca.export_objects(
        draw_objects(labels=("palm",)), tmp_path / "a.gpkg"
    ).path

    renderer = ET.fromstring(style_of(path)[0]["styleQML"]).find("renderer-v2")

    assert renderer.get("type") == "graduatedSymbol"
    assert renderer.get("attr") == "score"
    edges = [
        (float(r.get("lower")), float(r.get("upper"))) for r in renderer.find("ranges")
    ]
    assert edges[0][0] == 0
    assert edges[-1][1] == 1
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    assert len(renderer.find("symbols")) == len(edges)


@pytest.mark.parametrize(
    ("style", "columns", "kind"),
    [
        ("score", ["label", "score"], "graduatedSymbol"),
        ("label", ["label", "score"], "categorizedSymbol"),
        (None, ["score"], "graduatedSymbol"),
        (None, ["label"], "categorizedSymbol"),
        (None, [], "singleSymbol"),
    ],
)
def test_the_style_is_what_was_asked_for_or_what_there_is(
    tmp_path, style, columns, kind
):
    table = draw_objects()[[*columns, "geometry"]]
    options = areca.ExportOptions(style=style)

    path = areca.export_objects(table, tmp_path / "a.gpkg", options=options).path

    qml = ET.fromstring(style_of(path)[0]["styleQML"])
    assert qml.find("renderer-v2").get("type") == kind


def test_points_are_drawn_as_markers(tmp_path):
    table = draw_objects()
    points = table.set_geometry(table.centroid)
    path = areca.export_objects(points, tmp_path / "a.gpkg").path

    qml = ET.fromstring(style_of(path)[0]["styleQML"])
    assert {s.get("type") for s in qml.iter("symbol")} == {"marker"}


def test_lists_become_json_text(tmp_path):
    table = draw_objects()[["object_id", "geometry"]].iloc[:3]
    table = table.assign(sources=[["a", "b"], None, ["c"]])

    path = areca.export_objects(table, tmp_path / "a.gpkg").path

    assert gpd.read_file(path, layer="objects")["sources"].tolist() == [
        '["a", "b"]',
        None,
        '["c"]',
    ]


def test_the_date_of_a_geopackage_is_put_back_after_an_error(tmp_path, monkeypatch):
    def refuse(*_args, **_words):
        raise RuntimeError

    monkeypatch.setattr(vector.pyogrio, "write_arrow", refuse)
    with pytest.raises(RuntimeError):
        areca.export_objects(draw_objects(), tmp_path / "a.gpkg")

    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None
    assert list(tmp_path.iterdir()) == []
