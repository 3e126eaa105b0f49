"""`areca summary`: figures that plain geopandas confirms, maps, and what is refused."""

import json
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely
from affine import Affine
from finished_runs import call, check_refused, copy_run, demo_run, unfinished_copy
from PIL import Image
from plantations import draw_plantation, hits, in_metres, on_the_ground
from scipy.spatial import cKDTree

import areca
from areca.measures import CountCalibration, gaps, neighbours
from areca.measures.planting import fit_lattices
from areca_pipelines.console import OUT, print_summary
from areca_pipelines.summary_map import GAP_RED

UTM = "EPSG:32648"
SPACING = 9.0


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return demo_run(tmp_path_factory.mktemp("demo") / "crowns")


@pytest.fixture(scope="module")
def objects(demo):
    return gpd.read_parquet(demo / "objects")


@pytest.fixture(scope="module")
def quarters(objects, tmp_path_factory):
    """Four zones that hold most of the crowns, in degrees, and the file of them."""
    west, south, east, north = objects.total_bounds + [9, 0, 0, 0]
    x, y = (west + east) / 2, (south + north) / 2
    shapes = shapely.box([west, x, west, x], [y, y, south, south],
                         [x, east, x, east], [north, north, y, y])  # fmt: skip
    zones = gpd.GeoDataFrame({"plot": ["a", "b", "c", "d"]}, geometry=shapes)
    zones = zones.set_crs(objects.crs).to_crs(4326)
    path = tmp_path_factory.mktemp("zones") / "quarters.geojson"
    zones.to_file(path)
    return path


@pytest.fixture(scope="module")
def plantation(tmp_path_factory):
    """Drawn palms with known gaps, as a table of discs, and the missing ones, m."""
    plants, gone, _ = draw_plantation("triangular", half_width_m=120)
    discs = on_the_ground(plants).to_crs(UTM)
    discs["geometry"] = discs.buffer(4.0)
    path = tmp_path_factory.mktemp("plantation") / "palms.parquet"
    areca.write_objects(areca.measure(discs), path)
    return path, plants, gone


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def geodesic_area_ha(shapes):
    geod = pyproj.Geod(ellps="WGS84")
    return [abs(geod.geometry_area_perimeter(s)[0]) / 1e4 for s in shapes.to_crs(4326)]


def test_zones_have_the_figures_that_geopandas_has(demo, objects, quarters, capsys):
    words = ("--zones", quarters, "--name", "plot", "--out", "plots.gpkg")
    assert call("summary", demo, *words) == 0

    table = gpd.read_file("plots.gpkg", layer=0).set_index("zone")
    zones = gpd.read_file(quarters)
    centres = gpd.GeoSeries.from_xy(objects["center_lon"], objects["center_lat"],
                                    crs=4326)  # fmt: skip
    placed = gpd.GeoDataFrame(objects.drop(columns="geometry"), geometry=centres)
    joined = gpd.sjoin(placed, zones, predicate="within").groupby("plot")
    assert joined["radius_m"].count().min() > 1
    for plot, part in joined:
        row = table.loc[plot]
        assert row["count"] == len(part)
        assert row["area_m2"] == pytest.approx(part["area_m2"].sum(), abs=1e-5)
        assert row["radius_mean_m"] == pytest.approx(part["radius_m"].mean(), abs=1e-5)
        median = part["radius_m"].median()
        assert row["radius_median_m"] == pytest.approx(median, abs=1e-3)
    hectares = geodesic_area_ha(zones.geometry)
    inside = table.loc[zones["plot"]]
    np.testing.assert_allclose(inside["zone_area_ha"], hectares, rtol=1e-5)
    np.testing.assert_allclose(inside["density_per_ha"], inside["count"] / hectares,
                               rtol=1e-5)  # fmt: skip
    outside = len(objects) - sum(map(len, joined.groups.values()))
    assert table.loc["outside all zones", "count"] == outside > 0
    out = capsys.readouterr().out
    assert "per ha" in out
    assert f"{table.loc['a', 'density_per_ha']:,.1f}" in out


def test_counts_carry_the_interval_of_the_model_of_the_run(demo, quarters, capsys):
    assert call("summary", demo, "--zones", quarters, "--out", "plots.csv") == 0

    table = pd.read_csv("plots.csv")
    card = areca.load_model("tree-crown").card
    low, high = CountCalibration.of_scores(card.scores).interval(table["count"])
    assert table["count_low"].tolist() == low.tolist()
    assert table["count_high"].tolist() == high.tolist()
    shown = capsys.readouterr()
    assert "counts: 95%, if this ground is like the test ground of tree" in shown.err
    assert "of 72 objects that the model found there 52 have a label" in shown.err
    assert "of 93 labels that count 54 were found" in shown.err
    assert f"{low[0]} to {high[0]}" in shown.out


def test_a_run_folder_is_measured_as_its_objects(demo, objects, capsys):
    assert call("measure", demo, "--out", "again.parquet") == 0

    again = areca.read_objects("again.parquet").set_index("object_id")
    expected = objects.set_index("object_id")["area_m2"][again.index]
    np.testing.assert_allclose(again["area_m2"], expected, rtol=1e-9)
    shown = capsys.readouterr().out
    assert "replaced the file's own area_m2, perimeter_m, center_x" in shown
    assert "radius_method" not in shown


def with_options(demo, folder, **options):
    """Return a copy of a run that says it had other options."""
    copy_run(demo, folder)
    request = json.loads((folder / "run.json").read_text())
    request["options"] |= options
    (folder / "run.json").write_text(json.dumps(request))
    return folder


@pytest.mark.parametrize(
    ("options", "words", "says"),
    [
        (
            {"threshold": 0.9},
            [],
            "scores of the model do not hold for another threshold",
        ),
        ({"augment": "d4"}, [], "scores of the model do not hold for another augment"),
        ({}, ["--model", "oil-palm"], "run used another 'tree-crown' than this"),
    ],
)
def test_no_interval_where_the_scores_do_not_hold(
    demo, tmp_path, capsys, options, words, says
):
    run = with_options(demo, tmp_path / "run", **options)

    assert call("summary", run, "--cells", 20, "--out", "a.csv", *words) == 0

    assert "count_low" not in pd.read_csv("a.csv")
    assert f"no interval of counts: the {says}" in capsys.readouterr().err


def test_a_run_whose_model_is_gone_has_no_interval(demo, tmp_path, capsys):
    run = copy_run(demo, tmp_path / "run")
    request = json.loads((run / "run.json").read_text())
    request["model"]["name"] = "gone"
    (run / "run.json").write_text(json.dumps(request))

    assert call("summary", run, "--cells", 20) == 0

    note = "no interval of counts: the model 'gone' is not at hand; name its folder"
    assert note in capsys.readouterr().err


def test_a_run_that_holds_its_own_summary_stays_a_run(demo, tmp_path, capsys):
    run = copy_run(demo, tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    holes = [{"block": "000_000", "error": "unreadable"}]
    (run / "manifest.json").write_text(json.dumps(manifest | {"holes": holes}))
    assert call("summary", run, "--cells", 20, "--out", run / "cells.parquet") == 0
    first = capsys.readouterr()

    assert call("summary", run, "--cells", 20, "--out", "again.parquet") == 0

    second = capsys.readouterr()
    assert "interval of counts: 95%" in first.err
    assert "PARTIAL: 1 of 2" in first.err
    assert second.err == first.err
    one, other = map(gpd.read_parquet, (run / "cells.parquet", "again.parquet"))
    pd.testing.assert_frame_equal(one, other)


def test_square_cells_have_the_figures_that_pandas_has(demo, objects):
    assert call("summary", demo, "--cells", 12.5, "--out", "cells.parquet") == 0

    table = gpd.read_parquet("cells.parquet")
    to_utm = pyproj.Transformer.from_crs(4326, objects.crs, always_xy=True)
    x, y = to_utm.transform(objects["center_lon"], objects["center_lat"])
    names = [f"{int(a // 12.5)}_{int(b // 12.5)}" for a, b in zip(x, y, strict=True)]
    expected = objects.groupby(np.array(names, object))
    table = table.set_index("cell").drop("without a place")
    assert len(table) > 5
    assert table["count"].to_dict() == expected.size().to_dict()
    np.testing.assert_allclose(
        table["area_m2"], expected["area_m2"].sum()[table.index], atol=1e-5
    )
    np.testing.assert_allclose(
        table["cell_area_ha"], geodesic_area_ha(table.geometry), rtol=1e-5
    )
    corner = np.array([name.split("_") for name in table.index], float) * 12.5
    np.testing.assert_allclose(table.bounds[["minx", "miny"]], corner)


def test_h3_cells_have_the_objects_that_lie_in_them(demo, objects):
    assert call("summary", demo, "--h3", 13, "--out", "cells.geojson") == 0

    table = gpd.read_file("cells.geojson")
    centres = shapely.points(objects["center_lon"], objects["center_lat"])
    cells = table[table["cell"] != "without a place"]
    found = [shapely.contains(cell, centres).sum() for cell in cells.geometry]
    assert cells["count"].tolist() == found
    assert cells["count"].sum() == len(objects)
    assert cells["cell_area_ha"].between(0.003, 0.006).all()  # 44 m², H3's own table


def test_a_plantation_has_spacing_and_gaps(plantation, capsys):
    path, plants, gone = plantation
    words = ("--cells", 100, "--plantation", "--gaps", "missing.gpkg")
    assert call("summary", path, *words, "--out", "cells.csv") == 0

    table, missing = pd.read_csv("cells.csv"), gpd.read_file("missing.gpkg", layer=0)
    found = in_metres(missing)
    assert len(gone) > 20
    assert hits(gone, found, 0.4 * SPACING).mean() > 0.9
    assert table["gaps"].sum() <= len(missing)
    nearest = cKDTree(plants).query(plants, k=2)[0][:, 1]
    cell = table.loc[table["count"].idxmax()]
    assert cell["nearest_median_m"] == pytest.approx(np.median(nearest), rel=0.03)
    at = missing.to_crs(UTM).geometry
    cells = np.floor(np.column_stack([at.x, at.y]) / 100)
    column, row = map(int, cell["cell"].split("_"))
    assert cell["gaps"] == (cells == [column, row]).all(axis=1).sum() > 0
    assert cell["plant_spacing_median_m"] == pytest.approx(SPACING, rel=0.02)
    assert cell["nearest_median_m"] < cell["plant_spacing_median_m"] - 0.2
    assert (cell["pattern"], cell["pattern_share"] > 0.8) == ("triangular", True)
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("gaps", "planting", "nearest"))
    assert f"{cell['plant_spacing_median_m']:.2f}" in shown
    assert "triangular" in shown
    assert f"{cell['pattern_share']:.0%}" in shown


def test_gaps_in_cells_without_plants_are_told(plantation, capsys):
    path, *_ = plantation
    assert call("summary", path, "--cells", 5, "--gaps", "a.csv", "--out", "b.csv") == 0

    missing, cells = pd.read_csv("a.csv"), pd.read_csv("b.csv")
    elsewhere = len(missing) - cells["gaps"].sum()
    assert elsewhere > 10  # most cells of 5 m hold one palm or none
    note = f"{elsewhere} gaps lie in cells without objects"
    assert note in capsys.readouterr().err
    assert {"center_lon", "center_lat", "spacing_m", "support"} <= set(missing.columns)


def test_a_table_of_outlines_alone_is_measured(plantation):
    path, *_ = plantation
    bare = gpd.read_parquet(path)[["geometry"]].to_crs(4326)
    bare.to_file("bare.geojson")
    words = ("--cells", 100, "--plantation")

    assert call("summary", "bare.geojson", *words, "--out", "bare.csv") == 0
    assert call("summary", path, *words, "--out", "measured.csv") == 0

    one, other = pd.read_csv("bare.csv"), pd.read_csv("measured.csv")
    pd.testing.assert_frame_equal(one, other, rtol=1e-5, atol=2e-3)


@pytest.mark.parametrize("index", [[], ["score"], [None, "score"]])
def test_a_filtered_table_with_an_index_is_summed_up(plantation, index):
    path, *_ = plantation
    table = gpd.read_parquet(path).assign(score=0.5)
    kept = table[table["center_lon"] > table["center_lon"].median()]
    if index:
        kept = kept.set_index("score", append=None in index)
    kept.to_parquet("kept.parquet")
    words = ("--cells", 100, "--plantation", "--map", "a.png")

    assert call("summary", "kept.parquet", *words, "--out", "cells.csv") == 0
    assert call("export", "kept.parquet", "--out", "kept.csv") == 0

    assert pd.read_csv("cells.csv")["count"].sum() == len(kept) > 100
    assert not any("index" in name for name in pd.read_csv("kept.csv").columns)


def without_bounds(table, path):
    """Write GeoParquet whose metadata tell no bounds, as the format allows."""
    table.to_parquet(path)
    plain = pq.read_table(path)
    metadata = dict(plain.schema.metadata)
    geo = json.loads(metadata[b"geo"])
    geo["columns"]["geometry"].pop("bbox")
    metadata[b"geo"] = json.dumps(geo)
    pq.write_table(plain.replace_schema_metadata(metadata), path)


def test_cells_of_a_table_in_degrees_lie_in_its_utm_zone(plantation):
    path, plants, _ = plantation
    degrees = gpd.read_parquet(path).drop(columns="bbox", errors="ignore").to_crs(4326)
    without_bounds(degrees, "degrees.parquet")
    words = ("--cells", 100, "--out")

    assert call("summary", "degrees.parquet", *words, "one.gpkg") == 0
    assert call("summary", path, *words, "other.gpkg") == 0

    one, other = (gpd.read_file(name, layer=0) for name in ("one.gpkg", "other.gpkg"))
    assert one.crs == other.crs == UTM
    assert one["cell"].tolist() == other["cell"].tolist()
    assert one["count"].sum() == len(plants)


@pytest.mark.parametrize("words", [("--cells", 100), ("--h3", 9)])
def test_a_table_in_degrees_without_any_place_has_no_cells(words):
    nothing = gpd.GeoDataFrame(geometry=[None, None], crs=4326)
    for name, table in (("empty", nothing.iloc[:0]), ("null", nothing)):
        table.to_parquet(f"{name}.parquet")
        assert call("summary", f"{name}.parquet", *words, "--out", f"{name}.csv") == 0
        [row] = pd.read_csv(f"{name}.csv").to_dict("records")
        assert (row["cell"], row["count"]) == ("without a place", len(table))


def test_all_columns_fit_a_line_of_80(demo, quarters, capsys, monkeypatch):
    monkeypatch.setattr(OUT, "width", 80)

    words = ("--zones", quarters, "--name", "plot", "--plantation")
    assert call("summary", demo, *words) == 0

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    shown = " ".join(lines)
    assert all(word in shown for word in ("interval", "gaps", "planting", "nearest"))
    names = [line.split("  ")[0].split()[0] for line in lines if line[0] != " "]
    assert [n for n in names if len(n) == 1 or n == "outside"] == [*"abcd", "outside"]
    assert "without a place" not in shown


def test_how_plants_stand_fits_a_line_of_80(capsys, monkeypatch):
    monkeypatch.setattr(OUT, "width", 80)
    figures = {"count": 12_345, "count_low": 11_111, "count_high": 12_222,
               "gaps": 1_436, "zone_area_ha": 1_102.45, "density_per_ha": 122.5,
               "radius_median_m": 4.31, "plant_spacing_median_m": 9.1,
               "pattern": "triangular", "pattern_share": 0.98,
               "nearest_median_m": 8.74}  # fmt: skip

    print_summary(pd.DataFrame({"zone": ["North", "South"]} | figures), [], [])

    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for figure in ("12,345", "9.10", "triangular", "98%", "8.74"):
        assert shown.count(figure) == 2


def test_zones_without_objects_and_names_are_told(plantation, capsys):
    path, plants, _ = plantation
    west, south, east, _ = gpd.read_parquet(path).to_crs(4326).total_bounds
    corners = gpd.GeoDataFrame(  # the planting is round
        {"block": ["a", "b"], "planted": ["x", "y"]},
        geometry=shapely.box([west, east - 1e-5], south, [west + 1e-5, east],
                             south + 1e-5), crs=4326,
    )  # fmt: skip
    corners.to_file("corners.geojson")

    assert call("summary", path, "--zones", "corners.geojson") == 0

    told = capsys.readouterr().err
    assert f"no object lies in any zone: {len(plants):,} lie outside all zones" in told
    assert "numbered; name them with --name (columns: block, planted)" in told


def test_cells_across_the_antimeridian_lie_in_its_utm_zone():
    discs = gpd.GeoSeries.from_xy([179.9990, -179.9990, 179.9], [-17.0] * 3, crs=4326)
    table = gpd.GeoDataFrame(geometry=discs.to_crs(3832).buffer(5.0)).to_crs(4326)
    table.to_parquet("fiji.parquet")

    assert call("summary", "fiji.parquet", "--cells", 100, "--out", "fiji.gpkg") == 0

    cells = gpd.read_file("fiji.gpkg", layer=0)
    assert cells.crs == "EPSG:32760"  # the middle lies at 179.95 degrees east
    assert cells["count"].sum() == 3
    assert cells["cell_area_ha"].iloc[:3].to_numpy() == pytest.approx(1.0, abs=2e-3)


NAMES = ["Block 17 north of the river", "Süd[2]", "Utara-Timur-Laut", "D"]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_names_and_figures_of_zones_are_shown_whole(width, capsys, monkeypatch):
    monkeypatch.setattr(OUT, "width", width)
    figures = {"count": 123_456, "count_low": 111_111, "count_high": 122_222,
               "gaps": 23_456, "zone_area_ha": 12_345.678, "density_per_ha": 1_234.5,
               "radius_median_m": 12.34, "nearest_median_m": 1_357.9,
               "shared": 77_777}  # fmt: skip
    table = pd.DataFrame({"zone": NAMES} | figures)

    print_summary(table, [], [])

    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert width < 80 or max(map(len, lines)) <= width
    assert shown.count("123,456") == shown.count("77,777") == len(NAMES)
    assert shown.count("111,111 to") == shown.count("1,357.90") == len(NAMES)
    # A long name goes on at the start of the next line.
    column = "".join(re.split(r" {2,}| \d[\d,]{5}| $", line)[0] for line in lines)
    for name in NAMES:
        assert name.replace(" ", "") in column.replace(" ", ""), shown


def test_spacing_is_computed_once_for_table_and_map(plantation, monkeypatch):
    """Once for the spacing itself, and once where gaps are looked for."""
    calls = []

    def noted(places, reach_m):
        calls.append(len(places))
        return fit_lattices(places, reach_m)

    for module in (neighbours, gaps):
        monkeypatch.setattr(module, "fit_lattices", noted)
    path, plants, _ = plantation
    words = ("--cells", 100, "--plantation", "--map", "a.png", "--gaps", "a.csv")
    assert call("summary", path, *words) == 0

    # Templates of lazy tables are fitted to nothing.
    assert [count for count in calls if count] == [len(plants)] * 2


def test_a_real_plantation_has_its_density_spacing_and_gaps(shared_data):
    """9 ha of the Kluang set, against its labels and what is known of it."""
    data = shared_data / "kluang_oil_palm"
    west, south, east, north = area = (103.2892, 2.1602, 103.2919, 2.1629)
    x, y = (west + east) / 2, (south + north) / 2
    shapes = shapely.box([west, x, west, x], [y, y, south, south],
                         [x, east, x, east], [north, north, y, y])  # fmt: skip
    blocks = gpd.GeoDataFrame({"name": ["NW", "NE", "SW", "SE"]}, geometry=shapes)
    blocks.set_crs(4326).to_file("blocks.geojson")
    words = ("--catalog", data / "kluang_west.tif", "--cluster", "threads")
    aoi = ",".join(map(str, area))
    assert call("run", "oil_palm_census", *words, "--aoi", aoi, "--out", "farm") == 0

    words = ("--zones", "blocks.geojson", "--plantation", "--gaps", "gaps.parquet")
    assert call("summary", "farm", *words, "--map", "a.png", "--out", "a.csv") == 0

    table, missing = pd.read_csv("a.csv").iloc[:4], gpd.read_parquet("gaps.parquet")
    assert table["density_per_ha"].between(100, 140).all()  # 105 to 130, SOURCE.md
    assert table["nearest_median_m"].between(8.3, 9.1).all()  # 8.6 m, SOURCE.md
    assert missing["spacing_m"].median() == pytest.approx(9.0, abs=0.2)
    assert 0.02 < table["gaps"].sum() / table["count"].sum() < 0.2
    assert missing.within(shapely.box(*area)).all()
    labels = gpd.read_parquet(data / "kluang_west_boxes.parquet").to_crs(UTM).centroid
    here = missing.to_crs(UTM).geometry
    tree = cKDTree(np.column_stack([labels.x, labels.y]))
    near, _ = tree.query(np.column_stack([here.x, here.y]))
    assert (near < 3.6).mean() < 0.03
    with Image.open("a.png") as picture:
        assert red(picture).sum() > 500


def red(picture):
    return (np.asarray(picture) == GAP_RED).all(axis=-1)


def test_a_map_shows_objects_where_they_are(demo, objects, quarters):
    words = ("--zones", quarters, "--name", "plot", "--map", "farm.png")
    assert call("summary", demo, *words) == 0

    item = json.loads((demo / "run.json").read_text())["items"][0]
    zoom = 2400 / max(item["shape"])
    to_pixels = Affine.scale(zoom) @ ~Affine(*item["transform"])
    at = gpd.GeoSeries.from_xy(objects["center_lon"], objects["center_lat"], crs=4326)
    at = at.to_crs(item["crs"]).affine_transform(to_pixels.to_shapely())
    with Image.open("farm.png") as picture:
        assert (picture.mode, max(picture.size)) == ("RGB", 2400)
        assert not red(picture).any()
        colour = np.ptp(np.asarray(picture, int), axis=-1)
    rows, cols = (np.rint(v.to_numpy()).astype(int) for v in (at.y, at.x))
    # Words of a zone may hide some; hardly anything else has a colour.
    assert (colour[rows, cols] > 60).mean() > 0.8
    assert (colour > 60).mean() < 0.02


def test_a_map_of_a_table_shows_gaps_as_red_rings(plantation):
    path, *_ = plantation
    words = ("--cells", 100, "--plantation")
    assert call("summary", path, *words, "--map", "with.png") == 0
    assert call("summary", path, "--cells", 100, "--map", "without.png") == 0

    with Image.open("with.png") as one, Image.open("without.png") as other:
        assert red(one).sum() > 500
        assert not red(other).any()


BAD = {
    "no division": (["{demo}"], "--zones FILE, --cells METRES or --h3"),
    "two": (["{demo}", "--cells", "9", "--h3", "9"], "one of them"),
    "name alone": (["{demo}", "--cells", "9", "--name", "plot"], "goes with --zones"),
    "no zones": (["{demo}", "--zones", "none.gpkg"], "no file none.gpkg of zones"),
    "text": (["{demo}", "--zones", "words.txt"], "cannot be read as zones"),
    "points": (["{demo}", "--zones", "points.gpkg"], "2 of 2 zones are no polygons"),
    "zone name": (["{demo}", "--zones", "{zones}", "--name", "x"], "no column 'x'"),
    "size": (["{demo}", "--cells", "0"], "--cells is 0.* at least 0.01 m"),
    "zones elsewhere": (
        ["{demo}", "--zones", "far.geojson"],
        r"zones of far.geojson .* nearest image of the run is [\d,.]+ km away.* CRS",
    ),
    "zones far from a table": (
        ["{demo}/objects", "--zones", "far.geojson"],
        r"nearest object is [\d,.]+ km away",
    ),
    "swapped": (["far.geojson", "--zones", "{demo}"], "is a run, .* comes first"),
    "around the globe": (["globe.gpkg", "--cells", "9"], "half the globe.* --h3"),
    "negative": (["{demo}", "--cells", "-5"], "at least 0.01 m"),
    "near a pole": (["pole.gpkg", "--cells", "9"], "no UTM zone .* take --h3"),
    "no such model": (["{demo}", "--cells", "9", "--model", "typo"], "model 'typo'"),
    "model of a table": (
        ["{demo}/objects", "--cells", "9", "--model", "tree-crown"],
        "--model tree-crown is for runs",
    ),
    "one file twice": (
        ["{demo}", "--cells", "9", "--out", "a.csv", "--gaps", "empty/../a.csv"],
        "both a.csv",
    ),
    "resolution": (["{demo}", "--h3", "16"], "--h3 is 16"),
    "no run": (["empty", "--cells", "9"], "empty is no run folder"),
    "nothing": (["nowhere", "--cells", "9"], "there is no nowhere"),
    "unfinished": (["stopped", "--cells", "9"], "stopped has not ended"),
    "no shapes": (["words.csv", "--cells", "9"], "without shapes"),
    "plain": (["plain.parquet", "--cells", "9"], "cannot be read as GeoParquet"),
    "file there": (["{demo}", "--cells", "9", "--out", "words.csv"], "exists"),
    "map there": (["{demo}", "--cells", "9", "--map", "words.txt"], "exists"),
    "gaps there": (["{demo}", "--cells", "9", "--gaps", "words.csv"], "exists"),
    "no table": (["{demo}", "--cells", "9", "--out", "a.tif"], "a.tif is no table"),
    "no suffix": (["{demo}", "--cells", "9", "--gaps", "a.shp"], "does not tell"),
    "no folder": (["{demo}", "--cells", "9", "--gaps", "no/a.csv"], "no folder no;"),
    "no CRS": (["bare.parquet", "--cells", "9"], "bare.parquet has no.* ogr2ogr -a_s"),
    "zones, no CRS": (["{demo}", "--zones", "bare.parquet"], "bare.parquet has no CRS"),
    "no picture": (["{demo}", "--cells", "9", "--map", "a.jpg"], "a map is a PNG"),
}


@pytest.fixture
def places(demo, quarters, tmp_path):
    (tmp_path / "empty").mkdir()
    unfinished_copy(demo, tmp_path / "stopped")
    (tmp_path / "words.txt").write_text("no table")
    (tmp_path / "words.csv").write_text("a\n1\n")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "plain.parquet")
    points = gpd.GeoSeries.from_xy([1, 2], [1, 2], crs=4326)
    points.to_file(tmp_path / "points.gpkg")
    bare = gpd.GeoDataFrame(geometry=[shapely.box(1, 1, 2, 2)])
    bare.to_parquet(tmp_path / "bare.parquet")
    pole = gpd.GeoSeries([shapely.box(9, 88, 9.01, 88.01)], crs=4326)
    pole.to_file(tmp_path / "pole.gpkg")
    far = gpd.GeoSeries([shapely.box(29.68, -82.0, 29.69, -81.9)], crs=4326)
    far.to_file(tmp_path / "far.geojson")  # latitude first
    globe = gpd.GeoSeries.from_xy([-100, 10, 90], [1, 2, 3], crs=4326)
    globe.to_file(tmp_path / "globe.gpkg")
    return {"demo": demo, "zones": quarters}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(places, tmp_path, capsys, case):
    words, says = BAD[case]
    given = ["summary", *(word.format(**places) for word in words)]
    check_refused(given, says, tmp_path, capsys)
