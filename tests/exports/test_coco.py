import contextlib
import io
import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from rasterio.features import rasterize

import areca
from areca.exports import ImageGrid

# pycocotools 2.0 was written for NumPy 1.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't:DeprecationWarning"
)


PIXEL = 0.5


def image(name, *, origin=(400_000.0, 2_000.0), size=(200, 160), crs="EPSG:32648"):
    width, height = size
    return ImageGrid(
        item_id=name,
        file_name=f"{name}.tif",
        width=width,
        height=height,
        crs=crs,
        transform=(PIXEL, 0.0, origin[0], 0.0, -PIXEL, origin[1]),
    )


IMAGES = (image("a"), image("b", origin=(400_100.0, 2_000.0)))


def draw(seed=2, count=60):
    """Discs on two images, one with a hole, one in two parts, some over the rim."""
    rng = np.random.default_rng(seed)
    items = rng.choice(["a", "b"], count)
    x = 400_000 + rng.uniform(2, 98, count) + 100 * (items == "b")
    y = 2_000 - rng.uniform(2, 78, count)
    shapes = shapely.buffer(shapely.points(x, y), rng.uniform(1, 5, count), quad_segs=8)
    shapes[0] = (
        shapely.Point(400_050, 1_950)
        .buffer(8)
        .difference(shapely.Point(400_050, 1_950).buffer(4))
    )
    shapes[1] = shapely.MultiPolygon(
        [
            shapely.box(400_010, 1_980, 400_014, 1_990),
            shapely.box(400_020, 1_980, 400_024, 1_985),
        ]
    )
    items[:2] = "a"
    return gpd.GeoDataFrame(
        {
            "object_id": [f"{n:03d}" for n in range(count)],
            "label": rng.choice(["palm", "tank"], count),
            "score": rng.uniform(0.5, 1, count),
            "item_id": items,
        },
        geometry=shapes,
        crs=32648,
    )


def export(table, path, images=IMAGES):
    options = areca.ExportOptions(images=images)
    return areca.export_objects(table, path / "a.json", format="coco", options=options)


def load(path):
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
        return COCO(str(path))


def in_pixels(shape, grid):
    inverse = ~Affine(*grid.transform)
    pixels = shapely.transform(shape, lambda xy: np.column_stack(inverse @ tuple(xy.T)))
    return pixels.intersection(shapely.box(0, 0, grid.width, grid.height))


def test_pycocotools_reads_images_categories_and_annotations(tmp_path):
    table = draw()
    done = export(table, tmp_path)

    coco = load(done.path)

    assert done.count == len(coco.anns) == len(table)
    assert [
        (i["id"], i["file_name"], i["width"], i["height"]) for i in coco.imgs.values()
    ] == [
        (1, "a.tif", 200, 160),
        (2, "b.tif", 200, 160),
    ]
    assert {c["id"]: c["name"] for c in coco.cats.values()} == {1: "palm", 2: "tank"}
    rows = table.set_index("object_id")
    for annotation in coco.anns.values():
        row = rows.loc[annotation["object_id"]]
        grid = IMAGES[annotation["image_id"] - 1]
        expected = in_pixels(row["geometry"], grid)
        west, north, east, south = expected.bounds
        assert grid.item_id == row["item_id"]
        assert coco.cats[annotation["category_id"]]["name"] == row["label"]
        assert annotation["score"] == row["score"]
        assert annotation["area"] == pytest.approx(expected.area, abs=1e-2)
        assert annotation["bbox"] == pytest.approx(
            [west, north, east - west, south - north], abs=2e-3
        )
    assert len(coco.getAnnIds(imgIds=[2])) == (table["item_id"] == "b").sum()


def test_masks_are_those_of_gdal(tmp_path):
    table = draw()
    coco = load(export(table, tmp_path).path)
    rows = table.set_index("object_id")

    for annotation in coco.anns.values():
        grid = IMAGES[annotation["image_id"] - 1]
        shape = in_pixels(rows.loc[annotation["object_id"], "geometry"], grid)
        drawn = rasterize([shape], (grid.height, grid.width), dtype="uint8")
        found = coco.annToMask(annotation)
        # pycocotools draws pixels that an outline touches, GDAL those it holds.
        assert np.abs(found.astype(int) - drawn).sum() <= shape.length
        assert found[drawn > 0].mean() > 0.9


def test_a_hole_is_a_run_length_mask_with_the_very_pixels(tmp_path):
    table = draw()
    coco = load(export(table, tmp_path).path)

    (annotation,) = [a for a in coco.anns.values() if a["object_id"] == "000"]

    shape = in_pixels(table.geometry[0], IMAGES[0])
    drawn = rasterize([shape], (160, 200), dtype="uint8")
    assert isinstance(annotation["segmentation"], dict)
    np.testing.assert_array_equal(coco.annToMask(annotation), drawn)
    assert coco_mask.area(coco.annToRLE(annotation)) == drawn.sum()
    assert drawn[100, 100] == 0  # the hole


def test_parts_are_rings_of_one_annotation(tmp_path):
    coco = load(export(draw(), tmp_path).path)
    (annotation,) = [a for a in coco.anns.values() if a["object_id"] == "001"]

    assert len(annotation["segmentation"]) == 2
    assert annotation["area"] == (4 * 10 + 4 * 5) / PIXEL**2


def test_what_reaches_over_the_rim_is_cut(tmp_path):
    table = gpd.GeoDataFrame(
        {"item_id": ["a", "a"]},
        geometry=[shapely.box(399_990, 1_990, 400_010, 2_010), shapely.box(0, 0, 5, 5)],
        crs=32648,
    )
    done = export(table, tmp_path)

    (annotation,) = json.loads(done.path.read_text())["annotations"]
    assert annotation["bbox"] == [0, 0, 20, 20]
    assert (done.count, done.left_out) == (1, 1)


def test_what_has_no_image_or_area_is_left_out_and_counted(tmp_path):
    table = draw()
    table.loc[5:9, "item_id"] = None
    table.loc[10, "item_id"] = "c"
    table.loc[11, "geometry"] = None
    table.loc[12, "geometry"] = shapely.Point(400_010, 1_990)

    done = export(table, tmp_path)

    assert (done.count, done.left_out) == (52, 8)
    written = {a["object_id"] for a in json.loads(done.path.read_text())["annotations"]}
    assert written == set(table["object_id"]) - {f"{n:03d}" for n in range(5, 13)}


def test_objects_in_another_crs_than_their_image_find_their_pixels(tmp_path):
    table = draw()[2:]
    (tmp_path / "deg").mkdir()
    one = json.loads(export(table, tmp_path).path.read_text())
    other = json.loads(export(table.to_crs(4326), tmp_path / "deg").path.read_text())

    boxes = [np.array([a["bbox"] for a in d["annotations"]]) for d in (one, other)]
    np.testing.assert_allclose(boxes[0], boxes[1], atol=0.01)


def test_objects_without_labels_have_one_category(tmp_path):
    document = json.loads(
        export(draw().drop(columns="label"), tmp_path).path.read_text()
    )
    assert document["categories"] == [{"id": 1, "name": "unlabelled"}]
    assert {a["category_id"] for a in document["annotations"]} == {1}


def test_a_table_without_rows_is_a_document(tmp_path):
    coco = load(export(draw().iloc[:0], tmp_path).path)
    assert (len(coco.anns), len(coco.imgs)) == (0, 2)


def test_equal_tables_give_equal_files(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    texts = [export(draw(), tmp_path / name).path.read_bytes() for name in "ab"]
    assert texts[0] == texts[1]
