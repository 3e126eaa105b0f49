"""One answer for every task: a hundred random divisions of the work, and one NMS."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import shapely
import torch
from model_families import calm, drawn_network, family_card, ground_card
from torchvision.ops import batched_nms
from worlds import (
    draw_ground,
    merged_by_hand,
    noisy_model,
    noisy_segmenter,
    predicted,
    write_scene,
)

import areca
from areca.inference import detect, rows, session
from areca.inference.session import Session, session_of
from areca.inference.views import VIEWS
from areca.models.weights import save_model
from areca.objects import box_candidates, settle_block, settle_seams
from areca.tiles import Lattice, Tile, Window, cube_geobox

BANDS = ["red", "green", "blue"]
HEIGHT, WIDTH = 190, 205
WORLDS = ("heatmap", "boxes", "yolov3", "masks", "logits")
TASKS = {
    "heatmap": ("score",),
    "boxes": ("score",),
    "masks": ("score",),
    "logits": ("top1", "margin", "entropy"),
}
DIVISIONS = 100


class Remembering:
    """A loaded model that runs each distinct batch once: a hundred divisions of one
    scene ask for the same tiles. The key is every byte of the batch, so that a tile
    that was cut or padded otherwise is predicted anew."""

    def __init__(self, network):
        self.network, self.card = network, network.card
        self.contract = network.contract
        self.known, self.decoded = {}, {}

    def forward(self, batch):
        key = hashlib.sha256(batch.tobytes()).digest()
        if key not in self.known:
            self.known[key] = self.network.forward(batch)
        return self.known[key]

    def decode(self, raw, threshold):
        key = id(raw)  # kept alive in `known`
        if key not in self.decoded:
            self.decoded[key] = list(map(Decoded, self.network.decode(raw, threshold)))
        return self.decoded[key]


class Decoded:
    """What a model found in a tile; outlines are walked once."""

    def __init__(self, found):
        self.found, self.tables = found, {}

    def candidates(self, corner, tile):
        if corner not in self.tables:
            self.tables[corner] = self.found.candidates(corner, tile)
        return self.tables[corner].assign(tile_row=tile.row, tile_col=tile.col)

    def __len__(self):
        return len(self.found)

    def touching_edge(self, tile_px, within_px):
        return self.found.touching_edge(tile_px, within_px)


def model_of(kind, folder):
    if kind == "heatmap":
        return noisy_model(folder)
    if kind == "logits":
        return noisy_segmenter(folder)
    if kind == "yolov3":
        return yolo_of(folder)
    name = {"boxes": "fasterrcnn-mobilenet", "masks": "maskrcnn"}[kind]
    few = {"rpn_post_nms_top_n_test": 12 if kind == "masks" else 40}
    few |= {"backbone": "resnet18"} if kind == "masks" else {}
    card = family_card(
        name,
        few,
        bands=tuple(BANDS),
        resolution_m=0.2,
        nms_iou=0.2,  # long chains of rivals over every seam
        max_object_px=56,
        context_px=0,
    )
    network = drawn_network(card)
    if kind == "masks":
        calm(network)
    return save_model(network, card, folder)


def yolo_of(folder):
    card = ground_card("yolov3", nms_iou=0.2)
    return save_model(drawn_network(card), card, folder)


@pytest.fixture(scope="module", params=WORLDS)
def world(request, tmp_path_factory):
    """A scene of at least 3 x 3 tiles, a model of one task that sees too much."""
    folder = tmp_path_factory.mktemp("world")
    scene = write_scene(folder / "ground.tif", draw_ground(HEIGHT, WIDTH, seed=2))
    cube = areca.open_cube(areca.search(scene), bands=BANDS)
    model = model_of(request.param, folder / "model")
    key = (model.card.digest, "cpu")
    network = session_of(model, areca.PredictOptions()).network
    session._LOADED[key] = Session(Remembering(network))
    yield model.card.contract, cube, model
    del session._LOADED[key]


def answer(world, *, chunks=None, workers=2, rasters=True, **options):
    contract, cube, model = world
    cube = cube if chunks is None else cube.chunk(chunks)
    confidence = TASKS[contract] if rasters else ()
    return predicted(cube, model, workers=workers, confidence=confidence, **options)


def equal(one, other):
    """Objects are equal, and so are the rasters that both have, byte for byte."""
    (objects, rasters), (others, layers) = one, other
    return objects.equals(others) and all(
        rasters[name].to_numpy().tobytes() == layers[name].to_numpy().tobytes()
        for name in rasters.data_vars
        if name in layers
    )


def test_a_hundred_divisions_of_the_work_give_one_answer(world):
    whole = answer(world, block_tiles=20)
    rng = np.random.default_rng(11)

    for number in range(DIVISIONS):
        chunks = {"y": int(rng.integers(20, 200)), "x": int(rng.integers(20, 200))}
        tiles, workers = int(rng.integers(1, 5)), int(rng.integers(1, 5))
        # A detector's raster costs the tiles around each block: every tenth time.
        asked = {"rasters": world[0] == "logits" or number % 10 == 0}
        asked |= {"chunks": chunks, "workers": workers, "block_tiles": tiles}
        part = answer(world, **asked)
        assert equal(part, whole), (chunks, tiles, workers)

    assert len(whole[0]) > 20
    assert whole[0]["object_id"].is_unique
    assert np.isfinite(whole[1][TASKS[world[0]][0]]).all()


def test_borders_and_corners_of_blocks_have_objects(world):
    """What makes the hundred divisions worth something."""
    _, cube, model = world
    objects, _ = answer(world, block_tiles=1)
    core = model.card.core_px
    lattice = Lattice.of(cube_geobox(cube), core_px=core)
    window = lattice.window(cube_geobox(cube))
    x0, y0, x1, y1 = objects.bounds.to_numpy().T
    left, top = lattice.to_pixels(x0, y1)
    right, bottom = lattice.to_pixels(x1, y0)
    over_column = left // core != (right - 0.01) // core
    over_row = top // core != (bottom - 0.01) // core

    assert over_column.sum() >= 8
    assert over_row.sum() >= 8
    assert (over_column & over_row).sum() >= 3
    assert len(list(lattice.tiles(window))) >= 9


@pytest.mark.parametrize("mutation", ["no seam step", "ownership off"])
def test_a_mutation_changes_the_answer(world, monkeypatch, mutation):
    contract, *_ = world
    right = answer(world, block_tiles=1)
    if contract == "logits":
        if mutation == "ownership off":
            pytest.skip("a pixel of a class raster has one tile by construction")
        monkeypatch.setattr(rows, "stitch", lambda pieces, **_: pieces)
    elif mutation == "no seam step":
        monkeypatch.setattr(
            rows, "settle_seams", lambda parts, **_: pd.concat(parts).assign(rank=0)
        )
    else:
        monkeypatch.setattr(
            detect, "centred_in", lambda found, _window: np.ones(len(found), bool)
        )

    assert not equal(answer(world, block_tiles=1), right)


def tile_candidates(world, tile, *, augment, policy):
    """What one tile offers, cut, turned and merged by hand."""
    _, cube, model = world
    card = model.card
    lattice = Lattice.of(cube_geobox(cube), core_px=card.core_px)
    window = lattice.window(cube_geobox(cube))
    network = session_of(model, areca.PredictOptions()).network
    pixels = np.pad(
        (cube.to_numpy().astype(np.float32) - card.mean[0]) / np.float32(card.std[0]),
        ((0, 0), (300, 300), (300, 300)),
    )
    corner = lattice.core(tile).grow(card.halo_px)
    top, left = corner.row0 - window.row0 + 300, corner.col0 - window.col0 + 300
    image = pixels[:, top : top + card.tile_px, left : left + card.tile_px]
    tables = []
    for number, view in enumerate(VIEWS[augment]):
        found = network.decode(
            network.forward(view.of(image[None])), card.score_threshold
        )[0]
        if not len(found):
            continue
        table = found.candidates(Window(0, 0, card.tile_px, card.tile_px), tile)
        table = view.undo_candidates(table, card.tile_px).assign(view=number)
        near = min(2.0, card.context_px)
        large = (extents(table) > card.max_object_px).any(axis=1)
        table["last"] = found.touching_edge(card.tile_px, near) | large
        steps = dict.fromkeys(("x", "x_min", "x_max"), corner.col0)
        steps |= dict.fromkeys(("y", "y_min", "y_max"), corner.row0)
        tables.append(table.assign(**{n: table[n] + step for n, step in steps.items()}))
    every = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    if policy == "max" or every.empty:
        return every
    objects = merged_by_hand(
        every, every["last"], len(VIEWS[augment]), card.nms_iou, policy == "min"
    )
    best, scores = zip(*objects, strict=True)
    merged = every.loc[list(best)].assign(score=np.float32(scores))
    return merged[merged["score"] >= card.score_threshold]


def extents(table):
    return table[["x_max", "y_max"]].to_numpy() - table[["x_min", "y_min"]].to_numpy()


@pytest.mark.parametrize(
    ("augment", "policy"),
    [("none", "max"), ("flips", "max"), ("flips", "mean"), ("flips", "min")],
)
def test_detections_are_those_of_one_suppression_over_all_tiles(world, augment, policy):
    contract, cube, model = world
    leave_out(world, policy, augment)
    if contract == "logits":
        pytest.skip("a segmentation has no boxes to suppress")
    card = model.card
    lattice = Lattice.of(cube_geobox(cube), core_px=card.core_px)
    window = lattice.window(cube_geobox(cube))
    tables = []
    for tile in lattice.tiles(window):
        table = tile_candidates(world, tile, augment=augment, policy=policy)
        if table.empty:
            continue
        x, y = table["x"], table["y"]
        mine = lattice.core(tile).grow(card.margin_px)
        keep = x.between(mine.col0, mine.col1, "left")
        keep &= y.between(mine.row0, mine.row1, "left")
        keep &= x.between(window.col0, window.col1, "left")
        keep &= y.between(window.row0, window.row1, "left")
        tables.append(table[keep & ~table["last"]])
    every = pd.concat(tables, ignore_index=True)
    every = every.sort_values(["score", "y", "x"], ascending=[False, True, True])
    kept = batched_nms(
        torch.from_numpy(every[["x_min", "y_min", "x_max", "y_max"]].to_numpy()),
        torch.from_numpy(every["score"].to_numpy(np.float64)),
        torch.from_numpy(every["label"].to_numpy(np.int64)),
        card.nms_iou,
    )
    expected = every.iloc[kept.numpy()]

    asked = {"augment": augment, "merge_policy": None if policy == "max" else policy}
    blocks = 1 if augment == "none" else 3
    objects, rasters = answer(world, block_tiles=blocks, **asked)

    assert len(objects) == len(expected) > (20 if augment == "none" else 3)
    np.testing.assert_array_equal(np.sort(objects["score"]), np.sort(expected["score"]))
    if contract == "boxes":
        left, top = lattice.to_crs(
            expected["x_min"].to_numpy(), expected["y_min"].to_numpy()
        )
        bounds = objects.bounds.to_numpy()
        np.testing.assert_allclose(np.sort(bounds[:, 0]), np.sort(left))
        np.testing.assert_allclose(np.sort(bounds[:, 3]), np.sort(top))
    if contract == "masks":
        outlines = shapely.from_wkb(expected["outline"].to_numpy(object))
        assert objects.is_valid.all()
        np.testing.assert_allclose(
            np.sort(objects.area), np.sort(shapely.area(outlines)) * 0.2 * 0.2
        )
    highest = every["score"].max()
    assert rasters["score"].to_numpy().max() == highest


def leave_out(world, policy, augment="flips"):
    if policy == "min" and world[2].card.architecture in {"yolov3", "maskrcnn"}:
        pytest.skip("random weights see hardly an object in all four views")
    if world[0] == "masks" and augment == "flips" and policy == "max":
        pytest.skip("minutes; masks are merged as boxes are, see the mean")


@pytest.mark.parametrize("policy", ["mean", "max", "min"])
def test_merged_views_are_one_answer_in_any_division(world, policy):
    leave_out(world, policy)
    asked = {"augment": "flips", "merge_policy": policy}
    if world[0] == "logits":
        asked |= {"blend_px": 16}
    asked["batch_size"] = 3  # another batch may change last bits
    whole = answer(world, block_tiles=20, **asked)

    divisions = ((1, 77), (2, 131), (3, 40))
    if world[0] == "masks":  # a minute each
        divisions = divisions[1:2]
    for tiles, chunks in divisions:
        again = {"block_tiles": tiles, "workers": tiles}
        # A detector's raster costs the tiles around each block.
        again["rasters"] = world[0] == "logits" or tiles == 3
        part = answer(world, chunks={"y": chunks, "x": chunks}, **asked, **again)
        assert equal(part, whole), (tiles, chunks)

    assert len(whole[0]) > 3


def test_views_merged_over_several_tiles_would_depend_on_the_blocks(world, monkeypatch):
    """The mutation of the test above: the tiles of a pass are merged as one."""
    if world[0] == "logits":
        pytest.skip("a pixel of a class raster is merged by itself")
    if world[0] == "masks":
        pytest.skip("minutes; masks are merged as boxes are, see the mean")
    asked = {"augment": "flips", "merge_policy": "mean", "batch_size": 4}
    asked["rasters"] = False
    right = answer(world, block_tiles=2, **asked)

    def by_pass(self, seen, done, how):
        views = VIEWS["flips"]
        number = views.index(done.view)
        tables = self._views.setdefault(None, [])
        tables += [found.assign(view=number) for _, found in seen]
        if done.view != views[-1] or not self._views.pop(None):
            return []
        merged = detect._one_of_views(tables, how[0])
        return [(tile, merged) for tile in done.tiles]

    monkeypatch.setattr(detect.Detected, "_merged", by_pass)

    wrong = [answer(world, block_tiles=tiles, **asked) for tiles in (1, 2)]

    assert not equal(wrong[1], right)
    assert not equal(wrong[1], wrong[0])


def test_three_touching_crowns_across_a_border_stay_three():
    """Merging by touch would chain them to one (detectree2 issue 226)."""
    core = 64
    crowns = [(52.0, 30.0), (64.0, 30.0), (76.0, 30.0)]
    blocks = []
    for col in (0, 1):
        window = Window(0, col * core, core, (col + 1) * core)
        seen = []
        for number, (x, y) in enumerate(crowns):
            if not window.col0 - 4 <= x < window.col1 + 4:
                continue
            # Both tiles see the middle crown, a little differently.
            shift = 0.4 * col
            box = np.array([[x - 6.5 + shift, y - 6.5, x + 6.5 + shift, y + 6.5]])
            score = np.array([0.9 - 0.1 * number - 0.01 * col], np.float32)
            seen.append(box_candidates(box, score, np.zeros(1, np.int32), Tile(0, col)))
        settled = settle_block(
            pd.concat(seen, ignore_index=True), window, reach_px=12, overlap=0.3
        )
        blocks.append((col, settled))
    seams = settle_seams(
        [part[part["open"]].assign(block=str(col)) for col, part in blocks],
        overlap=0.3,
    )

    rest = [part[~part["open"]] for _, part in blocks]
    objects = pd.concat([*rest, seams])

    assert sorted(objects["x"].round().astype(int)) == [52, 64, 76]
