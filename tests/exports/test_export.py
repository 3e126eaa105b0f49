"""What is refused before anything is written, and files that are whole or not there."""

import geopandas as gpd
import pytest
import shapely
from export_tables import draw_objects

import areca
from areca.errors import GridError, InputError
from areca.exports import FORMATS, export


def no_crs():
    return draw_objects(6).set_crs(None, allow_override=True)


def unfit_file(folder):
    (folder / "a.parquet").write_bytes(b"PAR1 and nothing more")
    return folder / "a.parquet"


def plain_parquet(folder):
    draw_objects(6).drop(columns="geometry").to_parquet(folder / "plain.parquet")
    return folder / "plain.parquet"


def text_file(folder):
    (folder / "a.txt").write_text("no table")
    return folder / "a.txt"


def csv_file(folder):
    (folder / "a.csv").write_text("x,y\n1,2\n")
    return folder / "a.csv"


def native(folder):
    draw_objects(6)[["geometry"]].to_parquet(
        folder / "n.parquet", geometry_encoding="geoarrow"
    )
    return folder / "n.parquet"


BAD = {
    "unknown format": (
        lambda _: draw_objects(6),
        {"format": "geopakage"},
        "did you mean",
    ),
    "unknown suffix": (
        lambda _: draw_objects(6),
        {"name": "a.shp"},
        "a.shp does not tell",
    ),
    "raster format": (
        lambda _: draw_objects(6),
        {"format": "cog", "name": "a.tif"},
        "export_raster",
    ),
    "no images": (
        lambda _: draw_objects(6),
        {"format": "coco", "name": "a.json"},
        "none is given",
    ),
    "another suffix": (
        lambda _: draw_objects(6),
        {"format": "csv"},
        "a.gpkg is called gpkg and the format is csv",
    ),
    "no such path": (lambda folder: folder / "nothing", {}, "there is no"),
    "empty folder": (lambda folder: folder, {}, "cannot be read as a table of shapes"),
    "damaged file": (unfit_file, {}, "cannot be read as GeoParquet"),
    "no geometry": (plain_parquet, {}, "cannot be read as GeoParquet"),
    "no table": (text_file, {}, "cannot be read as a table of shapes"),
    "no shapes": (csv_file, {}, "without shapes"),
    "no CRS": (lambda _: no_crs(), {}, "no CRS"),
    "no folder": (lambda _: draw_objects(6), {"name": "b/a.gpkg"}, "no folder .*b;"),
    "address": (
        lambda _: draw_objects(6),
        {"target": "s3://bucket/a.gpkg"},
        r"address \(s3:\)",
    ),
    "no column": (
        lambda _: draw_objects(6).drop(columns="score"),
        {"options": {"style": "score"}},
        "needs the column 'score'",
    ),
    "no item": (
        lambda _: draw_objects(6).drop(columns="item_id"),
        {"format": "coco", "name": "a.json", "options": {"images": (1,)}},
        "needs the column 'item_id'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, case):
    make, words, says = BAD[case]
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    target = words.get("target", tmp_path / "out" / words.get("name", "a.gpkg"))

    with pytest.raises(InputError, match=says):
        areca.export_objects(
            make(tmp_path / "in"),
            target,
            format=words.get("format"),
            options=areca.ExportOptions(**words.get("options", {})),
        )

    assert not list((tmp_path / "out").iterdir())


def test_a_file_that_is_there_stays_unless_it_may_go(tmp_path):
    target = tmp_path / "a.gpkg"
    target.write_text("precious")
    with pytest.raises(InputError, match="exists"):
        areca.export_objects(draw_objects(6), target)
    assert target.read_text() == "precious"

    options = areca.ExportOptions(overwrite=True)
    areca.export_objects(draw_objects(6), target, options=options)
    assert len(gpd.read_file(target, layer="objects")) == 6
    with pytest.raises(InputError, match="is a folder"):
        areca.export_objects(draw_objects(6), tmp_path, format="gpkg", options=options)


@pytest.mark.parametrize("name", ["gpkg", "flatgeobuf", "geojson", "csv", "geoparquet"])
def test_an_export_that_fails_leaves_what_was_there(tmp_path, monkeypatch, name):
    target = tmp_path / f"a{FORMATS[name].suffix}"
    target.write_text("precious")

    def broken(*_args, **_words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "_write", broken)
    with pytest.raises(OSError, match="No space"):
        areca.export_objects(
            draw_objects(6), target, options=areca.ExportOptions(overwrite=True)
        )
    assert target.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


def test_any_suffix_goes_with_a_named_format(tmp_path):
    for name in ("flatgeobuf",):  # GDAL warns of a GeoPackage that is not named so
        path = areca.export_objects(
            draw_objects(6), tmp_path / f"a.{name}x", format=name
        ).path
        assert path.is_file()
        assert len(gpd.read_file(path, layer=0)) == 6


def test_other_vector_files_are_read_too(tmp_path):
    draw_objects(6).to_file(tmp_path / "a.geojson")
    done = areca.export_objects(tmp_path / "a.geojson", tmp_path / "a.csv")
    assert done.count == 6


def test_a_file_without_a_named_crs_is_in_degrees_and_null_is_none(tmp_path):
    table = gpd.GeoDataFrame(
        {"name": ["a"]}, geometry=[shapely.Point(1, 2).buffer(0.1)], crs="OGC:CRS84"
    )
    areca.write_objects(table, tmp_path / "degrees.parquet")
    done = areca.export_objects(tmp_path / "degrees.parquet", tmp_path / "a.geojson")
    assert gpd.read_file(done.path).total_bounds == pytest.approx([0.9, 1.9, 1.1, 2.1])

    table.set_crs(None, allow_override=True).to_parquet(tmp_path / "bare.parquet")
    with pytest.raises(InputError, match="no CRS"):
        areca.export_objects(tmp_path / "bare.parquet", tmp_path / "b.geojson")


def test_shapes_in_another_encoding_are_read_too(tmp_path):
    done = areca.export_objects(native(tmp_path), tmp_path / "a.gpkg")

    back, table = gpd.read_file(done.path, layer="objects"), draw_objects(6)
    assert back.geom_equals(table.geometry).all()


def test_files_of_a_folder_must_be_alike(tmp_path):
    areca.write_objects(draw_objects(6), tmp_path / "parts" / "a.parquet")
    areca.write_objects(draw_objects(6).to_crs(3857), tmp_path / "parts" / "b.parquet")
    with pytest.raises(
        InputError, match=r"b\.parquet has other columns or another CRS"
    ):
        areca.export_objects(tmp_path / "parts", tmp_path / "a.gpkg")


def test_a_style_that_is_none_is_refused():
    with pytest.raises(InputError, match="'colour'"):
        areca.ExportOptions(style="colour")


def test_a_table_without_geometry_is_refused(tmp_path):
    with pytest.raises(GridError, match="no geometry column"):
        areca.export_objects(gpd.GeoDataFrame({"a": [1]}), tmp_path / "a.gpkg")
