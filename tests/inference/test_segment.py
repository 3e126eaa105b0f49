from dataclasses import replace

import dask
import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from rasterio.features import geometry_mask, shapes
from skimage.measure import label as label_regions
from worlds import CLASSES, draw_ground, mutate, noisy_segmenter, write_scene

import areca
from areca.errors import InputError
from areca.inference import Predictor, lazy_block, rows, segment
from areca.inference.fit import check_options
from areca.inference.session import session_of
from areca.inference.views import VIEWS
from areca.tiles import Lattice, Window, cube_geobox

BANDS = ["red", "green", "blue"]
NEAR = 2e-5
"""Of probabilities: tiles in batches round otherwise than one by one, by processor."""
HEIGHT, WIDTH = 210, 270


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A drawn scene of about 4 x 5 tiles, and a model that draws a patchwork on it."""
    folder = tmp_path_factory.mktemp("world")
    scene = write_scene(folder / "ground.tif", draw_ground(HEIGHT, WIDTH, seed=4))
    model = noisy_segmenter(folder / "model")
    return areca.open_cube(areca.search(scene), bands=BANDS), model


def segmented(cube, model, **options):
    aoi = options.pop("aoi", None)
    out = areca.predict(cube, model, aoi=aoi, options=areca.PredictOptions(**options))
    # Dask does not compute a table and arrays in one call; their parts it does.
    parts = out.objects.to_delayed()
    with dask.config.set(scheduler="threads"):
        tables, rasters = dask.compute(parts, out.rasters)
    objects = pd.concat([table for table in tables if len(table)] or tables[:1])
    return objects.sort_values("object_id", ignore_index=True), rasters


def whole_scores(cube, model, *, views="none"):
    """Class scores by another way: one tile after the other into one array."""
    card = model.card
    lattice = Lattice.of(cube_geobox(cube), core_px=card.core_px)
    window = lattice.window(cube_geobox(cube))
    network = session_of(model, areca.PredictOptions()).network
    halo = card.halo_px
    pixels = np.pad(
        (cube.to_numpy().astype(np.float32) - 110.0) / 60.0,
        ((0, 0), (300, 300), (300, 300)),
    )
    scores = np.zeros((len(card.labels), window.height, window.width), np.float32)
    for tile in lattice.tiles(window):
        core = lattice.core(tile)
        row, col = core.row0 - window.row0, core.col0 - window.col0
        top, left = row - halo + 300, col - halo + 300
        image = pixels[:, top : top + card.tile_px, left : left + card.tile_px]
        parts = []
        for view in VIEWS[views]:
            logits = network.forward(view.of(image[None]))["logits"]
            parts.append(view.undo(logits)[0][:, halo:-halo, halo:-halo])
        part = parts[0] if len(parts) == 1 else np.mean([_softmax(p) for p in parts], 0)
        rows0, cols0 = max(row, 0), max(col, 0)
        rows1, cols1 = min(row + 64, window.height), min(col + 64, window.width)
        scores[:, rows0:rows1, cols0:cols1] = part[
            :, rows0 - row : rows1 - row, cols0 - col : cols1 - col
        ]
    return scores


def _softmax(logits):
    power = np.exp(logits - logits.max(0))
    return power / power.sum(0)


def test_classes_are_those_of_a_plain_loop_over_all_tiles(world):
    cube, model = world
    expected = whole_scores(cube, model).argmax(0)

    _, rasters = segmented(cube, model, block_tiles=2)

    np.testing.assert_array_equal(rasters.label.to_numpy(), expected)
    assert rasters.label.dtype == np.uint8
    assert rasters.rio.crs == cube.rio.crs
    assert rasters.rio.transform() == cube.rio.transform()
    assert rasters.label.attrs["flag_meanings"].split() == list(CLASSES)
    assert len(np.unique(expected)) == len(CLASSES)


def test_objects_are_the_regions_of_the_whole_array(world):
    """Equal to polygonising once, and as many as another library counts."""
    cube, model = world
    objects, rasters = segmented(cube, model, block_tiles=1)
    labels = rasters.label.to_numpy()
    geobox = cube_geobox(cube)
    mine = {
        (row.label, shapely.normalize(row.geometry).wkt)
        for row in objects[["label", "geometry"]].itertuples()
    }
    theirs = set()
    for geometry, value in shapes(labels, mask=labels > 0, connectivity=4):
        placed = shapely.transform(
            shapely.geometry.shape(geometry),
            lambda points: np.column_stack(geobox.affine @ points.T),
        )
        theirs.add((CLASSES[int(value)], shapely.normalize(placed).wkt))

    assert len(objects) == len(mine) == len(theirs) > 50
    counted = sum(
        label_regions(labels == number, connectivity=1).max() for number in (1, 2, 3)
    )
    assert counted == len(objects)
    area = {wkt: shapely.from_wkt(wkt).area for _, wkt in theirs}
    assert objects.area.sum() == pytest.approx(sum(area.values()), rel=1e-8)
    assert {label for label, _ in mine} == {label for label, _ in theirs}
    for label in CLASSES[1:]:
        ours = shapely.union_all([shapely.from_wkt(w) for k, w in mine if k == label])
        other = shapely.union_all(
            [shapely.from_wkt(w) for k, w in theirs if k == label]
        )
        assert ours.symmetric_difference(other).area < 1e-6
    measured = areca.measure(objects)
    assert set(measured["radius_method"]) == {"mask"}


def test_regions_cross_every_border_and_many_corners(world):
    """What makes the invariance tests worth something."""
    cube, model = world
    objects, _ = segmented(cube, model, block_tiles=1)
    lattice = Lattice.of(cube_geobox(cube), core_px=model.card.core_px)
    window = lattice.window(cube_geobox(cube))
    x0, y0, x1, y1 = objects.bounds.to_numpy().T
    left, top = lattice.to_pixels(x0, y1)
    right, bottom = lattice.to_pixels(x1, y0)
    over = (left // 64 != (right - 0.01) // 64) & (top // 64 != (bottom - 0.01) // 64)

    assert over.sum() >= 5
    assert shapely.get_num_interior_rings(objects.geometry.to_numpy()).sum() > 5
    assert window.height // 64 >= 3


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(
    ("chunks", "options"),
    [
        ({"y": 90, "x": 111}, {"block_tiles": 1}),
        ({"y": 1000, "x": 50}, {"block_tiles": 2}),
        ({"y": 77, "x": 1000}, {"block_tiles": 3}),
    ],
)
def test_chunks_and_blocks_never_change_the_answer(
    world, chunks, options, connectivity
):
    cube, model = world
    asked = {
        "confidence": ("top1", "margin", "entropy"), "connectivity": connectivity,
    }  # fmt: skip
    objects, rasters = segmented(cube, model, block_tiles=20, **asked)

    again, others = segmented(cube.chunk(chunks), model, **options, **asked)

    pd.testing.assert_frame_equal(again, objects)
    for name in ("label", "top1", "margin", "entropy"):
        assert others[name].to_numpy().tobytes() == rasters[name].to_numpy().tobytes()
    assert objects["object_id"].is_unique


@pytest.mark.parametrize("augment", ["none", "d4"])
def test_blended_tiles_are_the_same_in_any_blocks(world, augment):
    cube, model = world
    asked = {"blend_px": 20, "augment": augment, "confidence": ("top1",)}
    if augment == "d4":
        cube = cube.isel(y=slice(0, 140), x=slice(0, 140))
    objects, rasters = segmented(cube, model, block_tiles=20, **asked)

    again, others = segmented(cube, model, block_tiles=1, **asked)
    plain, _ = segmented(cube, model)

    pd.testing.assert_frame_equal(again, objects)
    for name in ("label", "top1"):
        assert others[name].to_numpy().tobytes() == rasters[name].to_numpy().tobytes()
    assert not objects.equals(plain)


def test_blending_is_the_weighted_mean_of_all_tiles(world):
    """A second implementation: weights from the formula, tiles in one array."""
    cube, model = world
    card, blend = model.card, 16
    lattice = Lattice.of(cube_geobox(cube), core_px=card.core_px)
    window = lattice.window(cube_geobox(cube))
    network = session_of(model, areca.PredictOptions()).network
    pixels = np.pad(
        (cube.to_numpy().astype(np.float32) - 110.0) / 60.0,
        ((0, 0), (300, 300), (300, 300)),
    )
    total = np.zeros((4, window.height + 600, window.width + 600))
    weights = np.zeros(total.shape[1:])
    steps = np.arange(128) + 0.5 - 32  # from the edge of the core
    side = np.clip((np.minimum(steps, 64 - steps) + blend) / (2 * blend), 0, 1)
    weight = np.outer(*[np.sin(np.pi / 2 * side) ** 2] * 2)
    for tile in lattice.tiles(window.grow(blend)):
        core = lattice.core(tile)
        top, left = core.row0 - 32 - window.row0, core.col0 - 32 - window.col0
        here = np.s_[top + 300 : top + 428, left + 300 : left + 428]
        logits = network.forward(pixels[:, *here][None])["logits"][0]
        total[:, *here] += _softmax(logits) * weight
        weights[here] += weight
    share = (total / np.maximum(weights, 1e-9))[:, 300:-300, 300:-300]

    _, rasters = segmented(cube, model, blend_px=blend, confidence=("top1",))

    assert weights[300:-300, 300:-300].min() == pytest.approx(1.0)
    inner = np.s_[blend:-blend, blend:-blend]
    np.testing.assert_allclose(
        rasters.top1.to_numpy()[inner], share.max(0)[inner], atol=NEAR
    )
    same = rasters.label.to_numpy()[inner] == share.argmax(0)[inner]
    assert same.mean() > 0.9999


def test_augmentation_averages_the_views(world):
    cube, model = world
    share = whole_scores(cube, model, views="d4")

    _, rasters = segmented(cube, model, augment="d4", confidence=("top1",))

    np.testing.assert_allclose(rasters.top1.to_numpy(), share.max(0), atol=NEAR)
    assert (rasters.label.to_numpy() == share.argmax(0)).mean() > 0.9999


def test_confidence_is_what_its_formulas_say(world):
    cube, model = world
    share = _softmax(whole_scores(cube, model).astype(np.float64))
    ordered = np.sort(share, axis=0)

    _, rasters = segmented(cube, model, confidence=("top1", "margin", "entropy"))

    np.testing.assert_allclose(rasters.top1, ordered[-1], atol=NEAR)
    np.testing.assert_allclose(rasters.margin, ordered[-1] - ordered[-2], atol=NEAR)
    entropy = -(share * np.log(share)).sum(0) / np.log(4)
    np.testing.assert_allclose(rasters.entropy, entropy, atol=1e-5)


def test_the_score_of_an_object_is_the_mean_of_its_pixels(world):
    cube, model = world
    objects, rasters = segmented(cube, model, block_tiles=1, confidence=("top1",))
    largest = objects.loc[objects.area.idxmax()]
    inside = areca_mask(largest.geometry, cube)

    assert inside.sum() > 500
    assert largest.score == pytest.approx(
        rasters.top1.to_numpy()[inside].mean(), abs=1e-5
    )


def areca_mask(shape, cube):
    geobox = cube_geobox(cube)
    return geometry_mask([shape], geobox.shape, Affine(*geobox.affine[:6]), invert=True)


def test_missing_pixels_are_nodata_and_never_a_class(world):
    cube, model = world
    marked = cube.compute().astype("float32")
    marked[:, 60:140, 50:] = np.nan
    marked = marked.rio.write_nodata(np.nan)

    objects, rasters = segmented(
        marked.chunk(y=100, x=100), model, block_tiles=2, confidence=("top1",)
    )

    labels = rasters.label.to_numpy()
    assert (labels[60:140, 50:] == 255).all()
    assert (labels[:60] != 255).all()
    assert np.isnan(rasters.top1.to_numpy()[60:140, 50:]).all()
    hole = shapely.box(
        *(cube_geobox(cube).affine @ (50, 140)), *(cube_geobox(cube).affine @ (270, 60))
    )
    assert objects.intersection(hole).area.max() < 1e-6


def test_background_and_threshold(world):
    cube, model = world
    _, plain = segmented(cube, model, confidence=("top1",))
    _, without = segmented(cube, model, predict_background=False)
    _, strict = segmented(cube, model, threshold=0.6)
    label = plain.label.to_numpy()
    low = plain.top1.to_numpy() < 0.6

    assert (without.label.to_numpy() > 0).all()
    np.testing.assert_array_equal(without.label.to_numpy()[label > 0], label[label > 0])
    np.testing.assert_array_equal(strict.label.to_numpy(), np.where(low, 0, label))


def test_a_threshold_wants_a_class_of_the_background(world):
    _, model = world
    card = replace(model.card, background=None)

    check_options(card, areca.PredictOptions())
    check_options(model.card, areca.PredictOptions(threshold=0.6))
    with pytest.raises(
        InputError, match=r"threshold is 0\.6.* background, which is no"
    ):
        check_options(card, areca.PredictOptions(threshold=0.6))


def test_wanted_classes_limit_the_objects_and_not_the_raster(world):
    cube, model = world
    every, rasters = segmented(cube, model)
    some, same = segmented(cube, model, classes=("water",))

    pd.testing.assert_frame_equal(
        some, every[every["label"] == "water"].reset_index(drop=True)
    )
    assert (same.label == rasters.label).all()


def test_an_area_selects_whole_regions_by_centre(world):
    cube, model = world
    every, rasters = segmented(cube, model)
    west, south, east, north = every.to_crs("EPSG:4326").total_bounds
    area = shapely.box(
        west + 0.3 * (east - west), south + 0.3 * (north - south),
        west + 0.6 * (east - west), south + 0.7 * (north - south),
    )  # fmt: skip

    part, shown = segmented(cube, model, aoi=area, block_tiles=1)

    placed = every.to_crs("EPSG:4326")
    wanted = every.geometry.centroid.to_crs("EPSG:4326").within(area)
    expected = every[wanted & placed.intersects(area)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected)
    assert 0 < len(part) < len(every)
    seen = shown.label.to_numpy() != 255
    assert 0 < seen.mean() < 1
    np.testing.assert_array_equal(
        shown.label.to_numpy()[seen], rasters.label.to_numpy()[seen]
    )


@pytest.mark.parametrize(
    "mutation", ["no stitching", "halo 0", "tiles of a block only"]
)
def test_a_mutation_changes_the_answer(world, monkeypatch, mutation):
    cube, model = world
    asked = {"block_tiles": 1, "blend_px": 16}
    right, rasters = segmented(cube, model, **asked)
    if mutation == "no stitching":
        monkeypatch.setattr(rows, "stitch", lambda pieces, **_: pieces)
    elif mutation == "halo 0":
        mutate(monkeypatch, mutation, lazy_block)
    else:
        monkeypatch.setattr(
            Predictor, "tiles_around", lambda self, w: list(self.lattice.tiles(w))
        )

    wrong, others = segmented(cube, model, **asked)

    assert not wrong.equals(right) or not others.equals(rasters)


@pytest.mark.usefixtures("no_compute")
def test_a_segmentation_stays_lazy(world):
    cube, model = world

    out = areca.predict(
        cube, model, options=areca.PredictOptions(block_tiles=2, confidence=("top1",))
    )

    assert set(out.rasters.data_vars) == {"label", "top1"}
    assert out.rasters.label.chunks is not None
    assert out.rasters.label.shape == cube.shape[1:]
    blocks = [
        key for key in out.rasters.label.data.dask if "areca-predict-" in str(key)
    ]
    assert len(blocks) >= 4


def test_what_a_model_cannot_do_is_named_before_any_read(world):
    cube, model = world
    with pytest.raises(InputError, match="has no class palm; its classes are ground"):
        areca.predict(cube, model, options=areca.PredictOptions(classes=("palm",)))
    with pytest.raises(InputError, match="ask for entropy, margin, top1"):
        areca.predict(cube, model, options=areca.PredictOptions(confidence=("score",)))
    with pytest.raises(InputError, match=r"at most 32 \(its halo\)"):
        areca.predict(cube, model, options=areca.PredictOptions(blend_px=33))
    with pytest.raises(InputError, match="augment is 'd8'"):
        areca.PredictOptions(augment="d8")
    with pytest.raises(InputError, match="confidence is 'top1'"):
        areca.PredictOptions(confidence="top1")
    many = replace(model.card, labels=tuple(map(str, range(256))))
    with pytest.raises(InputError, match="has 256 classes"):
        areca.predict(cube, replace(model, card=many))


def test_another_tile_is_another_model(world):
    cube, model = world
    objects, _ = segmented(cube, model)
    others, _ = segmented(cube, model, tile_px=192)

    assert not set(objects["object_id"]) & set(others["object_id"])


def test_weights_of_neighbours_add_up_to_one():
    fade = segment._fade(64, 20)
    whole = np.zeros(64 * 3 + 40, np.float32)
    for start in (0, 64, 128):
        whole[start : start + 104] += fade

    np.testing.assert_allclose(whole[40:-40], 1, atol=1e-6)
    assert Window(0, 0, 1, len(fade)).width == 104
