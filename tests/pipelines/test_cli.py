import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import geopandas as gpd
import pystac
import pytest
import shapely
from catalog_rasters import make_item
from servers import serve_files, serve_stac
from worlds import PIXEL, draw_ground, noisy_model, write_scene

import areca
from areca_pipelines import recipe as recipes
from areca_pipelines.cli import main


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A static catalogue and its four files behind an HTTP server, and a recipe."""
    folder = tmp_path_factory.mktemp("served")
    pixels = draw_ground(330, 470)
    with serve_files(folder) as files:
        items = []
        for name, row, col in [
            ("a", 0, 0),
            ("b", 0, 250),
            ("c", 200, 0),
            ("d", 200, 250),
        ]:
            part = pixels[
                :, row : (200 if row == 0 else None), col : (250 if col == 0 else None)
            ]
            corner = (700_000 + col * PIXEL, 240_000 - row * PIXEL)
            path = write_scene(folder / f"{name}.tif", part, origin=corner, nodata=0)
            items.append(make_item(path, href=f"{files.url}/{path.name}?sig=CANARY"))
        catalog = pystac.Catalog("drawn", "Drawn scenes")
        collection = pystac.Collection(
            "drawn",
            "Drawn scenes",
            pystac.Extent(
                pystac.SpatialExtent([[-180, -90, 180, 90]]),
                pystac.TemporalExtent([[None, None]]),
            ),
        )
        collection.add_items(items)
        catalog.add_child(collection)
        catalog.normalize_and_save(
            str(folder / "stac"), pystac.CatalogType.SELF_CONTAINED
        )
        noisy_model(folder / "model")
        write_recipe(folder / "census.toml", folder / "model")
        yield files, folder


def write_recipe(path: Path, model: Path, *lines: str):
    path.write_text(
        f'kind = "census"\ntitle = "Drawn"\nabout = "A test"\nmodel = "{model}"\n'
        'collections = ["drawn"]\n'
        + "\n".join(lines)
        + "\n[options]\nblock_tiles = 2\n"
    )
    return path


def call(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def tile_reads(files):
    return [
        path for _, path, _ in files.requests if path.split("?")[0].endswith(".tif")
    ]


def run_words(served, out, **changes):
    files, folder = served
    given = {
        "recipe": folder / "census.toml",
        "catalog": f"{files.url}/stac/catalog.json",
        "aoi": None,
    } | changes
    words = ["run", given["recipe"], "--catalog", given["catalog"], "--out", out]
    words += ["--cluster", "threads"]
    return [*words, "--aoi", given["aoi"]] if given["aoi"] else words


def test_a_run_from_a_catalogue_to_a_report(served, tmp_path, capsys):
    assert call(*run_words(served, tmp_path / "run")) == 0

    out = capsys.readouterr().out
    objects = areca.read_objects(tmp_path / "run" / "objects")
    assert f"{len(objects):,} objects, DONE" in out
    assert f"{objects['radius_m'].mean():.2f} m" in out
    assert f"{objects['area_m2'].sum():,.0f} m²" in out
    page = (tmp_path / "run" / "report.html").read_text()
    assert f'data-value="{len(objects)}"' in page
    assert "http://" not in page.replace("http://127.0.0.1", "").replace(
        "http://www.w3.org", ""
    )

    assert call(*run_words(served, tmp_path / "run")) == 0
    assert "15 blocks; the run was finished" in capsys.readouterr().out


BAD = {
    "empty search": (
        {"recipe": "no collection.toml"},
        "no items in",
    ),
    "area outside": ({"aoi": "10,50,10.1,50.1"}, "km away"),
    "swapped area": ({"aoi": "10,50,9,51"}, "swapped"),
    "unknown key": (
        {"recipe": "typo.toml"},
        "unknown key 'colections'; the nearest is 'collections'",
    ),
    "unknown option": (
        {"recipe": "option.toml"},
        "'options.treshold'; the nearest is 'options.threshold'",
    ),
    "bad value": ({"recipe": "value.toml"}, "options.batch_size is 0"),
    "unknown recipe": ({"recipe": "oil_palm_cencus"}, "did you mean oil_palm_census"),
    "begun recipe": ({"recipe": "oil_palm"}, "did you mean oil_palm_census"),
    "swapped": ({"recipe": "scene.tif"}, "is an image, and the recipe comes first"),
    "missing band": ({"recipe": "bands.toml"}, "nir"),
    "no catalogue": ({"catalog": "nowhere/catalog.json"}, "nowhere/catalog.json"),
    "no JSON": ({"catalog": "broken.json"}, "broken.json"),
    "wrong weights": ({"recipe": "damaged.toml"}, "SHA-256"),
    "unknown model": ({"recipe": "model.toml"}, "there is no model"),
}


@pytest.fixture(scope="module")
def bad_recipes(served):
    _, folder = served
    model = folder / "model"
    write_recipe(folder / "no collection.toml", model).write_text(
        (folder / "census.toml").read_text().replace('["drawn"]', '["nothing"]')
    )
    write_recipe(folder / "typo.toml", model, 'colections = ["drawn"]')
    (folder / "option.toml").write_text(
        (folder / "census.toml").read_text() + "treshold = 0.5\n"
    )
    (folder / "value.toml").write_text(
        (folder / "census.toml").read_text() + "batch_size = 0\n"
    )
    noisy_model(folder / "four bands", bands=("red", "green", "blue", "nir"))
    write_recipe(folder / "bands.toml", folder / "four bands")
    shutil.copytree(model, folder / "damaged")
    with (folder / "damaged" / "weights.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    write_recipe(folder / "damaged.toml", folder / "damaged")
    write_recipe(folder / "model.toml", Path("oil-plam"))
    (folder / "broken.json").write_text('{"type": "Catalog"')


@pytest.mark.usefixtures("bad_recipes")
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_code_2_before_any_tile_is_read(
    served, tmp_path, capsys, case
):
    files, folder = served
    changes, words = BAD[case]
    changes = dict(changes)
    for key in ("recipe", "catalog"):
        if key in changes and (folder / changes[key]).exists():
            changes[key] = folder / changes[key]
    files.requests.clear()

    code = call(*run_words(served, tmp_path / "run", **changes))

    error = capsys.readouterr().err
    assert code == 2
    assert words in error
    assert len(error.strip().splitlines()) == 1
    assert error.startswith("areca: ")
    assert tile_reads(files) == []
    assert not (tmp_path / "run").exists()


def test_a_missing_asset_is_a_hole_with_code_3(served, tmp_path, capsys):
    files, _ = served
    call(*run_words(served, tmp_path / "clean"))
    files.faults["b.tif"] = "404"
    try:
        code = call(*run_words(served, tmp_path / "run"))
    finally:
        files.faults.clear()

    text = capsys.readouterr().out
    holes = json.loads((tmp_path / "run" / "holes.geojson").read_text())["features"]
    assert code == 3
    assert "CANARY" not in text + json.dumps(holes)
    assert "PARTIAL" in text
    assert "hole" in text
    assert len(holes) >= 3
    assert all("item 'b'" in hole["properties"]["error"] for hole in holes)
    assert (
        json.loads((tmp_path / "run" / "manifest.json").read_text())["state"]
        == "PARTIAL"
    )
    assert "PARTIAL" in (tmp_path / "run" / "report.html").read_text().upper()


def test_secrets_in_addresses_are_written_nowhere(served, tmp_path, capfd):
    files, _ = served
    catalog = f"{files.url}/stac/catalog.json?sig=CANARY"
    call(*run_words(served, tmp_path / "run", catalog=catalog))
    secret = f"catalog={files.url}/stac/catalog.json?sig=CANARY"
    words = ["run", served[1] / "census.toml", "--set", secret]
    call(*words, "--cluster", "threads", "--out", tmp_path / "run" / "set")

    streams = capfd.readouterr()
    assert "CANARY" not in streams.out + streams.err
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or b"CANARY" not in path.read_bytes(), path


def test_a_plan_reads_no_tile(served, capsys):
    files, folder = served
    files.requests.clear()
    assert (
        call(
            "plan",
            folder / "census.toml",
            "--catalog",
            f"{files.url}/stac/catalog.json",
        )
        == 0
    )

    text = " ".join(capsys.readouterr().out.split())
    assert "items 4" in text
    assert "blocks 15" in text
    assert tile_reads(files) == []


def test_a_folder_and_a_file_need_no_collection(served, tmp_path, capsys):
    _, folder = served
    words = run_words(served, tmp_path / "one", catalog=folder / "a.tif")
    assert call(*words) == 0
    (tmp_path / "two").mkdir()
    for name in "ab":
        shutil.copy(folder / f"{name}.tif", tmp_path / "two")
    assert call(*run_words(served, tmp_path / "run", catalog=tmp_path / "two")) == 0
    assert capsys.readouterr().out.count("DONE") == 2


def test_settings_replace_values_of_the_recipe(served, tmp_path):
    words = run_words(served, tmp_path / "run")
    assert call(*words, "--set", "threshold=0.9", "--set", "options.block_tiles=3") == 0

    request = json.loads((tmp_path / "run" / "run.json").read_text())
    assert request["options"]["threshold"] == 0.9
    assert request["options"]["block_tiles"] == 3
    objects = areca.read_objects(tmp_path / "run" / "objects")
    assert objects["score"].min() >= 0.9


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "oil_palm_census"], "--out"),
        (["run", "oil_palm_census", "--out", "x"], "--catalog"),
        (["frobnicate"], "frobnicate"),
        (["run", "tree_crown_demo", "--out", "x", "--cluster", "cuda"], "NVIDIA"),
        (
            ["run", "tree_crown_demo", "--out", "x", "--cluster", "locla"],
            "unknown cluster",
        ),
        (["run", "tree_crown_demo", "--out", "x", "--set", "threshold"], "key=value"),
        (["run", "train_oil_palm", "--out", "x"], "areca train train_oil_palm"),
        (["run", "tree_crown_demo", "--out", "x", "--set", "aoi=1"], "with --aoi"),
        (["run", "tree_crown_demo", "--out", "s3://bucket/run"], "object store"),
        (["measure", "nothing.gpkg"], "no file"),
        (["measure", "nothing.gpkg", "--pixel", "-1"], "--pixel is -1"),
    ],
)
def test_words_that_make_no_sense_are_one_line_and_code_2(words, says, capsys):
    assert call(*words) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.strip().splitlines()) == 1


def test_a_table_without_shapes_cannot_be_measured(tmp_path, capsys):
    (tmp_path / "points.csv").write_text("x,y\n1,2\n")
    assert call("measure", tmp_path / "points.csv") == 2
    assert "without shapes" in capsys.readouterr().err


def test_a_recipe_without_a_key_names_it(served, tmp_path, capsys):
    text = (served[1] / "census.toml").read_text().replace('title = "Drawn"\n', "")
    (tmp_path / "census.toml").write_text(text)
    words = run_words(served, tmp_path / "run", recipe=tmp_path / "census.toml")
    assert call(*words) == 2
    assert "the key 'title' is missing" in capsys.readouterr().err


def test_names_that_look_like_markup_are_printed_as_they_are(served, tmp_path, capsys):
    assert call(*run_words(served, tmp_path / "a[/b]" / "[bold]c")) == 0
    assert "a[/b]/[bold]c" in capsys.readouterr().out


def test_debug_shows_the_traceback(capsys):
    assert call("measure", "nothing.gpkg", "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_measure_writes_the_measures_of_any_vector_file(tmp_path, capsys, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    discs = gpd.GeoDataFrame(
        geometry=[shapely.Point(500_000, 5_000_000).buffer(5, quad_segs=64)],
        crs="EPSG:32632",
    )
    discs.to_file(tmp_path / "discs.gpkg")
    assert call("measure", tmp_path / "discs.gpkg") == 0

    out = areca.read_objects("discs.measured.parquet")
    assert out["radius_m"][0] == pytest.approx(5 / 0.9996, rel=1e-3)
    shown = capsys.readouterr().out
    assert "1 objects" in shown
    assert "replaced" not in shown


@pytest.fixture
def disc(tmp_path, monkeypatch):
    """A file with one disc, in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    shape = shapely.Point(500_000, 5_000_000).buffer(5)
    gpd.GeoSeries([shape], crs="EPSG:32632").to_file("disc.gpkg")
    return Path("disc.gpkg")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "a.gpkg"], "a.gpkg does not end in .parquet.* areca export"),
        (["--out", "a"], "does not end in .parquet"),
        (["--out", "no/where/a.parquet"], "no folder no/where; make it first"),
    ],
)
def test_measure_writes_no_file_of_a_wrong_name_or_place(disc, words, says, capsys):
    assert call("measure", disc, *words) == 2

    error = capsys.readouterr().err
    assert re.search(says, error), error
    assert error.count("\n") == 1
    assert list(Path().iterdir()) == [disc]


@pytest.mark.parametrize("there", ["disc.measured.parquet", "a.circles.parquet"])
def test_measure_replaces_a_file_only_where_that_is_asked_for(disc, there, capsys):
    words = ["--circles", "--out", "a.parquet"] if there.startswith("a") else []
    Path(there).write_text("precious")

    assert call("measure", disc, *words) == 2
    assert f"{there} exists" in capsys.readouterr().err
    assert Path(there).read_text() == "precious"
    assert call("measure", disc, *words, "--overwrite") == 0
    assert len(gpd.read_parquet(there)) == 1


def test_models_and_recipes_are_listed(capsys):
    assert call("models") == 0
    assert call("recipes") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in recipes.list_recipes())


def test_help_loads_nothing_heavy():
    """`areca --help` answers at once because these stay outside."""
    script = (
        "import sys, areca_pipelines.cli as c\n"
        "try: c.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'dask', 'pandas', 'rasterio', 'xarray', 'pydantic'}\n"
        "heavy |= {'transformers', 'peft'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert "LOADED []" in out
    assert "runs/demo" in out


def test_a_run_from_a_real_stac_api(served, tmp_path):
    """Search, paging aside, to measured objects, through `rustac serve`."""
    files, folder = served
    drawn = folder / "stac" / "drawn"
    documents = []
    for path in [drawn / "collection.json", *sorted(drawn.glob("*/*.json"))]:
        document = json.loads(path.read_text()) | {"links": []}
        documents.append(tmp_path / path.name)
        documents[-1].write_text(json.dumps(document))
    files.requests.clear()
    with serve_stac(*documents) as url:
        assert call(*run_words(served, tmp_path / "api", catalog=url)) == 0
    assert {path.split("?")[0] for path in tile_reads(files)} == {
        "/a.tif", "/b.tif", "/c.tif", "/d.tif",
    }  # fmt: skip
    assert call(*run_words(served, tmp_path / "static")) == 0

    from_api = areca.read_objects(tmp_path / "api" / "objects")
    static = areca.read_objects(tmp_path / "static" / "objects")
    assert from_api.equals(static)
    assert len(from_api) > 300


def test_a_script_without_a_main_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import areca_pipelines\nareca_pipelines.run('tree_crown_demo', out='run')\n"
    )
    ended = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("areca.errors.InputError")
    assert "__main__" in ended.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_ctrl_c_ends_in_one_line(served, tmp_path):
    """The terminal sends it to the command and to all of its workers."""
    words = run_words(served, tmp_path / "run")[:-2]
    command = [sys.executable, "-m", "areca_pipelines.cli", *map(str, words)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("done.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=60)

    assert running.returncode == 1
    lines = [line for line in errors.decode().splitlines() if "candidates" not in line]
    assert lines == [
        "areca: interrupted; finished blocks are kept: run the same command to resume"
    ]


def test_measure_drops_duplicates_first_when_asked(tmp_path, capsys):
    boxes = shapely.box([0, 1, 50], [0, 0, 0], [10, 11, 60], [10, 10, 10])
    table = gpd.GeoDataFrame(
        {"score": [0.5, 0.9, 0.4]}, geometry=boxes, crs="EPSG:32648"
    )
    table.to_file(tmp_path / "boxes.gpkg")
    out = str(tmp_path / "measured.parquet")

    with pytest.raises(SystemExit) as ended:
        main(["measure", str(tmp_path / "boxes.gpkg"), "--nms", "0.4", "--out", out])

    assert ended.value.code == 0
    assert "2 objects" in capsys.readouterr().out
    assert gpd.read_parquet(out)["score"].tolist() == [0.9, 0.4]


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert not ended.value.code
    assert capsys.readouterr().out == f"areca {areca.__version__}\n"
    assert areca.__version__ == version("areca")
