"""Every family answers for a tile what its network says, whatever shares the batch."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from model_families import (
    DETECTORS,
    SEGMENTERS,
    TORCHVISION,
    drawn_network,
    drawn_tiles,
    family_card,
)
from torch.nn import functional
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import batched_nms

from areca.errors import ModelError, PredictError
from areca.models import checks
from areca.models.adapter import _peaks
from areca.models.adapter_boxes import BoxDetector
from areca.models.adapter_dense import DenseSegmenter
from areca.models.adapter_yolo import YoloDetector
from areca.models.boxes import draw_masks
from areca.models.found import Masks
from areca.tiles import Tile, Window


def adapt(network, card):
    kinds = {"boxes": BoxDetector, "masks": BoxDetector, "logits": DenseSegmenter}
    kind = {"yolov3": YoloDetector}.get(card.architecture, kinds[card.contract])
    return kind(network, card)


@cache
def loaded(name):
    card = family_card(name)
    return adapt(drawn_network(card), card)


@pytest.mark.parametrize("name", sorted(set(DETECTORS) - {"ssd300"}))
def test_a_detector_finds_boxes_in_its_tile_whatever_shares_the_batch(name):
    model = loaded(name)
    card = model.card
    mine, other = drawn_tiles(card, 2)
    zeros = np.zeros_like(mine)
    full, padded = (
        model.decode(model.forward(np.stack([mine, second])), 0.05)
        for second in (other, zeros)
    )
    assert len(full[0]) > 0
    for field in full[0].__dataclass_fields__:
        np.testing.assert_array_equal(
            getattr(full[0], field), getattr(padded[0], field)
        )
    bounds = full[0].bounds
    assert ((bounds >= 0) & (bounds <= card.tile_px)).all()
    assert set(full[0].label) <= {0, 1, 2}
    assert (full[0].score >= 0.05).all()


@pytest.mark.parametrize("name", SEGMENTERS)
def test_a_segmenter_gives_logits_of_the_tile_whatever_shares_the_batch(name):
    model = loaded(name)
    mine, other = drawn_tiles(model.card, 2)
    full = model.forward(np.stack([mine, other]))["logits"]
    padded = model.forward(np.stack([mine, np.zeros_like(mine)]))["logits"]
    alone = model.forward(mine[None])["logits"]
    assert full.shape == (2, 3, 128, 128)
    assert full.dtype == np.float32
    np.testing.assert_array_equal(full[0], padded[0])
    np.testing.assert_allclose(full[0], alone[0], atol=1e-4)
    assert np.ptp(full[0]) > 0


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_detector_answers_what_torchvision_answers(name):
    card = family_card(name)
    network = drawn_network(card)
    tiles = drawn_tiles(card, 1, seed=1)
    raw = adapt(network, card).forward(tiles)
    bands = len(card.bands)
    network.transform = GeneralizedRCNNTransform(
        card.tile_px, card.tile_px, [0.0] * bands, [1.0] * bands
    ).eval()
    with torch.inference_mode():
        (expected,) = network([torch.from_numpy(tiles[0])])
    assert len(expected["scores"])
    for key in ("boxes", "scores", "labels"):
        np.testing.assert_allclose(raw[key][0], expected[key].numpy(), atol=2e-3)
    if "masks" in expected:
        drawn = draw_masks(raw["masks"][0], raw["boxes"][0], card.tile_px)
        np.testing.assert_array_equal(drawn, expected["masks"][:, 0].numpy() > 0.5)


@pytest.mark.parametrize("name", ["fasterrcnn", "ssd", "retinanet", "fcos"])
def test_near_copies_are_left_for_the_suppression_over_all_tiles(name):
    kept = {}
    for overlap in (None, 0.3):
        option = "box_nms_thresh" if name == "fasterrcnn" else "nms_thresh"
        asked = {} if overlap is None else {option: overlap}
        card = family_card(name, DETECTORS[name] | asked)
        model = BoxDetector(drawn_network(card), card)
        (found,) = model.decode(model.forward(drawn_tiles(card, 1)), 0.05)
        boxes = torch.from_numpy(found.bounds).float()
        label = torch.from_numpy(found.label)
        best = batched_nms(boxes, torch.from_numpy(found.score), label, 0.3)
        kept[overlap] = (len(found), len(best))
    assert kept[None][0] > kept[None][1]
    # Told to, the same network suppresses by itself and leaves nothing to do.
    assert kept[0.3][0] == kept[0.3][1]


@pytest.mark.parametrize("name", sorted(set(DETECTORS) - {"ssd300"}))
def test_no_box_is_without_area(name):
    model = loaded(name)
    (found,) = model.decode(model.forward(drawn_tiles(model.card, 1)), 0.05)
    left, top, right, bottom = found.bounds.T
    assert min((right - left).min(), (bottom - top).min()) > 0


def test_masks_come_with_outlines_on_the_lattice():
    model = loaded("maskrcnn")
    (found,) = model.decode(model.forward(drawn_tiles(model.card, 1)), 0.05)
    assert isinstance(found, Masks)
    assert found.mask.any(axis=(1, 2)).all()
    table = found.candidates(Window(64, -64, 192, 64), Tile(1, -1))
    assert len(table) == len(found) > 0
    assert table["outline"].map(type).eq(bytes).all()


def test_a_full_mask_is_drawn_as_the_pixels_of_its_box():
    boxes = np.float32([[10, 20, 30, 50], [0, 0, 5, 128]])
    drawn = draw_masks(np.ones((2, 28, 28), np.float32), boxes, 128)
    expected = np.zeros((2, 128, 128), bool)
    expected[0, 20:50, 10:30] = True
    expected[1, :, :5] = True
    # One pixel of tolerance along the edges: the network's mask is interpolated.
    for mine, box in zip(drawn, expected, strict=True):
        assert (mine & ~box).sum() + (box & ~mine).sum() <= 2 * 128
        assert mine.sum() == pytest.approx(box.sum(), rel=0.25)


def test_an_object_without_a_drawn_pixel_is_dropped():
    model = loaded("maskrcnn")
    masks = np.stack([np.ones((28, 28)), np.zeros((28, 28))]).astype(np.float32)
    raw = {
        "boxes": [np.float32([[10, 20, 30, 50], [60, 60, 90, 90]])],
        "scores": [np.float32([0.9, 0.8])],
        "labels": [np.array([1, 2])],
        "masks": [masks],
    }
    (found,) = model.decode(raw, 0.5)
    assert found.label.tolist() == [0]


def test_scores_below_the_threshold_and_the_background_are_dropped():
    model = loaded("fasterrcnn")
    raw = {
        "boxes": [np.float32([[1, 2, 3, 4], [5, 6, 9, 8], [0, 0, 9, 9]])],
        "scores": [np.float32([0.5, 0.49, 0.9])],
        "labels": [np.array([3, 1, 0])],
    }
    (found,) = model.decode(raw, 0.5)
    assert found.label.tolist() == [2]
    assert found.bounds.tolist() == [[1, 2, 3, 4]]


def test_a_threshold_that_the_network_has_cut_already_is_refused():
    model = loaded("fasterrcnn")
    with pytest.raises(ModelError, match=r"0\.01 is below 0\.05"):
        model.decode({"scores": []}, 0.01)
    lower = replace(model.card, score_threshold=0.01)
    assert BoxDetector(drawn_network(lower), lower).decode({"scores": []}, 0.01) == []


# Reliability, row 25: not finite, of another shape, too many boxes.
HEADS = {
    "fasterrcnn": "roi_heads.box_predictor.bbox_pred.bias",
    "ssd": "head.regression_head.module_list.0.1.bias",
    "retinanet": "head.classification_head.cls_logits.bias",
    "fcos": "head.regression_head.bbox_ctrness.bias",
    "maskrcnn": "roi_heads.mask_predictor.mask_fcn_logits.bias",
    "yolov3": "grids.2.head.bias",
    "deeplabv3": "classifier.4.bias",
    "unet": "segmentation_head.0.bias",
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_row_25_an_output_that_is_not_finite_is_counted(name, value):
    card = family_card(name)
    network = drawn_network(card)
    with torch.no_grad():
        network.get_parameter(HEADS[name])[0] = value
    with pytest.raises(PredictError, match=r"gave \d+ of \d+ outputs .* not finite"):
        adapt(network, card).forward(drawn_tiles(card, 1))


def test_row_25_a_refused_pass_leaves_the_next_one_alone():
    model = loaded("ssd")
    tiles = drawn_tiles(model.card, 1)
    with pytest.raises(PredictError, match="not finite"):
        model.forward(np.full_like(tiles, np.nan))
    assert len(model.forward(tiles)["scores"][0])


def test_row_25_too_many_boxes_are_counted(monkeypatch):
    monkeypatch.setattr(checks, "MOST_BOXES", 10)
    model = loaded("fasterrcnn")
    with pytest.raises(PredictError, match=r"gave \d+ boxes in one tile.* 10;"):
        model.forward(drawn_tiles(model.card, 1))


def test_row_25_an_output_of_another_shape_is_refused():
    card = family_card("unet")
    more = replace(card, labels=("palm", "shrub"))
    with pytest.raises(PredictError, match=r"\(1, 3, 128, 128\).*\(1, 2, 128, 128\)"):
        DenseSegmenter(drawn_network(card), more).forward(drawn_tiles(card, 1))


@pytest.mark.parametrize("name", ["ssd", "unet"])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((1, 3, 128, 128), "f4"), ((1, 4, 64, 128), "f4"), ((1, 4, 128, 128), "f8")],
)
def test_row_24_a_batch_of_another_shape_or_type_is_refused(name, shape, dtype):
    with pytest.raises(PredictError, match="4, 128, 128"):
        loaded(name).forward(np.zeros(shape, dtype))


def test_logits_are_not_decoded_to_objects():
    with pytest.raises(PredictError, match="no objects"):
        loaded("unet").decode({"logits": np.zeros(1)}, 0.5)


@pytest.mark.parametrize("shape", [(4, 1, 32, 48), (3, 2, 17, 5), (1, 1, 1, 1)])
@pytest.mark.parametrize("score", [0.02, 0.5, 0.97])
def test_peaks_are_those_of_a_maximum_over_all_windows(shape, score):
    """Rounded, so that many neighbours are equal; at the edges of the tile too."""
    heat = np.round(np.random.default_rng(0).random(shape), 2).astype(np.float32)
    tensor = torch.from_numpy(heat)
    pooled = functional.max_pool2d(tensor, 3, stride=1, padding=1)
    wanted = np.nonzero(((pooled == tensor) & (tensor >= score)).numpy())
    np.testing.assert_array_equal(_peaks(heat, score), wanted)
