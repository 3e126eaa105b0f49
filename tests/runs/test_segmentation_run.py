"""A regional run of a segmentation: Zarr rasters, class regions, resume, areas."""

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import xarray as xr
from pyproj import Transformer
from worlds import (
    CLASSES,
    draw_ground,
    noisy_segmenter,
    quiet,
    run_request,
    write_scene,
)

import areca
from areca.inference import rows
from areca.runs import present, run_census
from areca.runtime import open_client

HEIGHT, WIDTH = 210, 330


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_scene(folder / "whole.tif", draw_ground(HEIGHT, WIDTH, seed=4))
    return folder, noisy_segmenter(folder / "model")


@pytest.fixture(scope="module")
def client():
    with open_client("threads") as client:
        yield client


def request_of(world, *, aoi=None, **options):
    folder, model = world
    options = {"block_tiles": 1, **options}
    return run_request(folder / "whole.tif", model, aoi=aoi, **options)


def objects_of(folder: Path) -> gpd.GeoDataFrame:
    return pd.concat([gpd.read_parquet(p) for p in sorted(folder.glob("objects/*"))])


def by_id(folder: Path) -> gpd.GeoDataFrame:
    return objects_of(folder).sort_values("object_id", ignore_index=True)


def rasters_of(folder: Path, cube=None) -> xr.Dataset:
    rasters = xr.open_zarr(folder / "rasters.zarr", mask_and_scale=False).load()
    return (
        rasters
        if cube is None
        else rasters.sel(x=cube.x, y=cube.y, method="nearest", tolerance=1e-6)
    )


@pytest.fixture(scope="module")
def reference(world, tmp_path_factory, client):
    folder = tmp_path_factory.mktemp("reference") / "run"
    asked = request_of(world, block_tiles=20, confidence=("top1",))
    run_census(asked, folder, client=client, progress=quiet)
    return folder


def test_the_run_gives_what_predict_gives(world, reference):
    folder, model = world
    cube = areca.open_cube(
        areca.search(folder / "whole.tif"), bands=["red", "green", "blue"]
    )
    out = areca.predict(cube, model, options=areca.PredictOptions(confidence=("top1",)))
    rasters = rasters_of(reference, cube)

    np.testing.assert_array_equal(rasters.label, out.rasters.label.compute())
    np.testing.assert_array_equal(rasters.top1, out.rasters.top1.compute())
    expected = out.objects.compute().sort_values("object_id")
    found = by_id(reference)
    assert found["object_id"].tolist() == expected["object_id"].tolist()
    assert found.geometry.tolist() == expected.geometry.tolist()


def test_polygons_of_its_raster_are_its_objects(reference):
    label = xr.open_zarr(reference / "rasters.zarr", decode_coords="all")["label"]

    options = areca.PolygonOptions(block_px=64)
    table = areca.polygonize(label, classes=CLASSES[1:], options=options).compute()

    found, objects = (
        t.sort_values("label", kind="stable").geometry.to_numpy()
        for t in (table, objects_of(reference))
    )
    assert len(found) == len(objects) > 100
    digits = shapely.set_precision(found, 1e-4), shapely.set_precision(objects, 1e-4)
    one, other = (sorted(shapely.to_wkb(shapely.normalize(d))) for d in digits)
    assert one == other


@pytest.mark.parametrize("block_tiles", [1, 2])
def test_blocks_never_change_rasters_or_objects(
    world, reference, tmp_path, client, block_tiles
):
    asked = request_of(world, block_tiles=block_tiles, confidence=("top1",))

    result = run_census(asked, tmp_path / "run", client=client, progress=quiet)

    pd.testing.assert_frame_equal(by_id(tmp_path / "run"), by_id(reference))
    mine, whole = rasters_of(tmp_path / "run"), rasters_of(reference)
    seen = (whole.label != 255).any("x"), (whole.label != 255).any("y")
    y, x = whole.y[seen[0]], whole.x[seen[1]]
    for name in ("label", "top1"):
        np.testing.assert_array_equal(
            mine[name].sel(y=y, x=x), whole[name].sel(y=y, x=x)
        )
    assert len(result.blocks) > 5
    assert set(CLASSES[1:]) == set(by_id(reference)["label"])


def test_without_stitching_the_regions_would_be_cut(
    world, reference, tmp_path, client, monkeypatch
):
    monkeypatch.setattr(rows, "stitch", lambda pieces, **_: pieces)

    run_census(
        request_of(world, confidence=("top1",)), tmp_path, client=client, progress=quiet
    )

    assert len(by_id(tmp_path)) > len(by_id(reference))


def test_rasters_lie_where_rioxarray_looks_for_them(world, reference):
    rasters = xr.open_zarr(
        reference / "rasters.zarr", decode_coords="all", mask_and_scale=False
    )
    cube = areca.open_cube(areca.search(world[0] / "whole.tif"), bands=["red"])

    assert rasters.rio.crs == cube.rio.crs
    assert rasters.label.rio.nodata == 255
    assert rasters.label.attrs["flag_meanings"] == " ".join(CLASSES)
    np.testing.assert_allclose(
        rasters.rio.transform()[:6][::4], cube.rio.transform()[:6][::4]
    )
    on_grid = rasters.sel(x=cube.x, y=cube.y, method="nearest", tolerance=1e-6)
    assert on_grid.label.shape == cube.shape[1:]


def test_a_finished_block_is_not_done_again(world, tmp_path, client):
    asked = request_of(world)
    run_census(asked, tmp_path, client=client, progress=quiet)
    before = by_id(tmp_path)
    names = sorted(path.name for path in (tmp_path / "blocks").iterdir())
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "blocks" / names[3] / "done.json").unlink()

    again = run_census(asked, tmp_path, client=client, progress=quiet)

    assert again.resumed == len(names) - 1
    pd.testing.assert_frame_equal(by_id(tmp_path), before)


def test_an_area_gives_whole_regions_also_where_they_leave_it(
    world, reference, tmp_path, client
):
    every = by_id(reference)
    west, south, east, north = every.to_crs("EPSG:4326").total_bounds
    area = shapely.box(
        west + 0.4 * (east - west), south + 0.4 * (north - south),
        west + 0.6 * (east - west), south + 0.6 * (north - south),
    )  # fmt: skip

    run_census(
        request_of(world, aoi=area, confidence=("top1",)),
        tmp_path,
        client=client,
        progress=quiet,
    )

    inside = every.geometry.centroid.to_crs("EPSG:4326").within(area)
    touches = every.to_crs("EPSG:4326").intersects(area)
    expected = every[inside & touches].reset_index(drop=True)
    part = by_id(tmp_path)
    assert part["object_id"].tolist() == expected["object_id"].tolist()
    assert part.geometry.tolist() == expected.geometry.tolist()
    assert 0 < len(part) < len(every)


def test_the_manifest_has_the_seam_audit_and_a_sound_run_passes(reference):
    manifest = json.loads((reference / "manifest.json").read_text())
    audit = manifest["checks"]["seams"]

    assert audit["passed"] is True
    assert {row["name"].split()[0] for row in audit["statistics"]}
    page = (reference / "report.html").read_text()
    assert 'id="seams"' in page
    assert "seams-fail" not in page


def test_the_report_tells_what_makes_an_object(reference, world, client, tmp_path):
    """The threshold of the card is of detectors, that of the options is not."""
    run_census(
        request_of(world, threshold=0.625), tmp_path / "r", client=client,
        progress=quiet,
    )  # fmt: skip

    page, other = ((p / "report.html").read_text() for p in (reference, tmp_path / "r"))
    below = f"below this, {CLASSES[0]}"
    assert below not in page
    assert below in other
    assert ">0.625<" in other
    assert "overlap of rivals" not in page + other
    assert "(label, top1) in <code>rasters.zarr</code>" in page


@pytest.mark.parametrize("block_tiles", [1, 2])
def test_the_ground_of_each_class_is_told(world, client, tmp_path, block_tiles):
    """Also of a part, where regions are followed beyond it."""
    folder, _ = world
    with rasterio.open(folder / "whole.tif") as file:
        left, top, pixel = file.bounds.left, file.bounds.top, file.transform.a
        to_degrees = Transformer.from_crs(file.crs, "EPSG:4326", always_xy=True)
    corners = [(61.2, 20.7), (250.4, 33.1), (170.9, 180.3)]
    area = shapely.Polygon(
        [to_degrees.transform(left + x * pixel, top - y * pixel) for x, y in corners]
    )
    found = run_census(
        request_of(world, aoi=area, block_tiles=block_tiles), tmp_path / "run",
        client=client, progress=quiet,
    )  # fmt: skip

    with xr.open_zarr(tmp_path / "run" / "rasters.zarr", mask_and_scale=False) as all_:
        label = all_.label.load()
    x, y = np.meshgrid((label.x - left) / pixel, (top - label.y) / pixel)
    inside = shapely.contains_xy(shapely.Polygon(corners), x, y)
    expected = [(label.values[inside] == k).sum() for k in range(len(CLASSES))]
    near = 3  # the sides of the area bend between the two CRSs, by less than a pixel
    counted = [found.class_px[name] for name in CLASSES]
    np.testing.assert_allclose(counted, expected, atol=near)
    assert min(counted) > 100
    assert sum(counted) == sum(block.seen_px for block in found.blocks)
    again = run_census(
        request_of(world, aoi=area, block_tiles=block_tiles), tmp_path / "run",
        client=client, progress=quiet,
    )  # fmt: skip
    assert list(again.class_px.items()) == list(found.class_px.items())
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["class_pixels"] == found.class_px
    assert 'id="classes"' in (tmp_path / "run" / "report.html").read_text()


def test_a_block_that_did_not_count_its_classes_is_done_again(world, client, tmp_path):
    """As of a run that an earlier version began."""
    asked, folder = request_of(world), tmp_path / "run"
    before = run_census(asked, folder, client=client, progress=quiet)
    marker = min(folder.glob("blocks/*/done.json"))
    told = json.loads(marker.read_text())
    del told["class_px"]
    marker.write_text(json.dumps(told))
    (folder / "manifest.json").unlink()

    after = run_census(asked, folder, client=client, progress=quiet)

    assert after.resumed == len(before.blocks) - 1
    assert after.class_px == before.class_px


def test_a_small_region_is_shown_enlarged(world, client, tmp_path, monkeypatch):
    height, width = 140, 90
    write_scene(tmp_path / "small.tif", draw_ground(height, width, seed=5))
    drawn, draw = [], present.overview

    def noted(image, points, **more):
        drawn.append((image.shape, points, more["metres_per_pixel"]))
        return draw(image, points, **more)

    monkeypatch.setattr(present, "overview", noted)
    request = run_request(tmp_path / "small.tif", world[1])
    run_census(request, tmp_path / "run", client=client, progress=quiet)

    ((shape, points, metres),) = drawn
    zoom = shape[0] // height
    assert shape[:2] == (zoom * height, zoom * width)
    assert 320 < max(shape) <= 640
    with rasterio.open(tmp_path / "small.tif") as file:
        inverse, pixel = ~file.transform, file.transform.a
    found = by_id(tmp_path / "run")
    expected = zoom * np.column_stack(inverse * (found.center_x, found.center_y))
    assert len(expected) > 20
    order = [np.lexsort(both.T.round(3)) for both in (points, expected)]
    np.testing.assert_allclose(points[order[0]], expected[order[1]], atol=1e-3)
    assert metres == pytest.approx(pixel / zoom, rel=0.01)
