"""YOLOv3: boxes by the formulas of its paper, whatever shares the batch."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_families import drawn_network, drawn_tiles, family_card

from areca.errors import ModelError, PredictError
from areca.models import checks
from areca.models.adapter_yolo import YoloDetector
from areca.models.architectures import build_network, widen
from areca.models.weights import save_model
from areca.models.yolo import ANCHORS, LeakyConv, YoloV3, decode_cells

RGB = ("red", "green", "blue")


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def boxes_of(values, anchors, stride, lowest):
    """Return boxes of one grid of one tile, one cell, anchor and class at a time."""
    classes = values.shape[0] // len(anchors) - 5
    rows, cols = values.shape[1:]
    boxes = {}
    for row in range(rows):
        for col in range(cols):
            for number, (p_w, p_h) in enumerate(anchors):
                own = values[number * (5 + classes) :][: 5 + classes, row, col]
                t_x, t_y, t_w, t_h, t_o = own[:5].astype(np.float64)
                x, y = (sigmoid(t_x) + col) * stride, (sigmoid(t_y) + row) * stride
                w, h = p_w * np.exp(t_w), p_h * np.exp(t_h)
                edges = (
                    max(x - w / 2, 0),
                    max(y - h / 2, 0),
                    min(x + w / 2, cols * stride),
                    min(y + h / 2, rows * stride),
                )
                for label in range(classes):
                    score = sigmoid(t_o) * sigmoid(np.float64(own[5 + label]))
                    if score >= lowest:
                        boxes[number, row, col, label] = (*edges, score)
    return boxes


def test_the_backbone_is_darknet_53():
    with torch.device("meta"):
        network = YoloV3()
    backbone = [network.stem, *network.stages]
    convs = [m for part in backbone for m in part.modules() if isinstance(m, LeakyConv)]
    # Table 1 of the paper: 52 convolutions before the last layer, which is for classes.
    assert len(convs) == 52
    assert [c.conv.out_channels for c in convs if c.conv.stride == (2, 2)] == [
        64,
        128,
        256,
        512,
        1024,
    ]


def test_there_are_three_grids():
    network = YoloV3(width=0.0625).eval()
    with torch.inference_mode():
        cells = network(torch.zeros(1, 3, 96, 128))
    assert [tuple(values.shape) for values in cells] == [
        (1, 255, 3, 4),
        (1, 255, 6, 8),
        (1, 255, 12, 16),
    ]


def test_folded_norms_say_what_the_network_says():
    card = family_card("yolov3")
    tiles = drawn_tiles(card, 2)
    with torch.inference_mode():
        expected = drawn_network(card)(torch.from_numpy(tiles))
        model = YoloDetector(drawn_network(card), card)
        found = model._network(torch.from_numpy(tiles))
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-3)
        assert other.std() > 0.5


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_cells_decode_as_the_formulas_of_the_paper_say(stride):
    rng = np.random.default_rng(stride)
    anchors = np.float32(ANCHORS[1])
    values = rng.normal(0, 1.5, (2, 3 * (5 + 4), 5, 7)).astype(np.float32)
    found = decode_cells(
        torch.from_numpy(values), torch.from_numpy(anchors), stride, 0.3
    )
    for tile in range(2):
        expected = boxes_of(values[tile], anchors, stride, 0.3)
        assert 20 < len(expected) < 3 * 4 * 35
        mine = found.tile.numpy() == tile
        got = np.column_stack([found.bounds.numpy(), found.score.numpy()])[mine]
        by_class = found.label.numpy()[mine]
        # Anchor, class, row, column: the order of the values in memory.
        order = sorted(expected, key=lambda key: (key[0], key[3], key[1], key[2]))
        assert by_class.tolist() == [key[3] for key in order]
        wanted = np.array([expected[key] for key in order])
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-4)


def test_each_class_of_a_box_is_a_candidate():
    values = torch.full((1, 8, 1, 1), -9.0)
    values[0, 4:, 0, 0] = torch.tensor([9.0, 2.0, -9.0, 1.0])
    found = decode_cells(values, torch.tensor([[4.0, 4.0]]), 8, 0.5)
    assert found.label.tolist() == [0, 2]
    assert torch.equal(found.bounds[0], found.bounds[1])


def hand_set(card, grid, x, y, width, height):
    """Return a network that sees nothing and says one box in each cell of a grid."""
    network = build_network(card)
    with torch.no_grad():
        for one in network.grids:
            one.head.weight.zero_()
            one.head.bias.fill_(-20.0)
        bias = network.grids[grid].head.bias.view(-1, 5 + len(card.labels))[-1]
        anchor = card.architecture_options["anchors"][::-1][grid][-1]
        bias[:2] = torch.logit(torch.tensor([x, y]))
        bias[2:4] = torch.log(torch.tensor([width / anchor[0], height / anchor[1]]))
        bias[4], bias[6] = 4.0, 3.0
    return network


@pytest.mark.parametrize("grid", [0, 1, 2])
def test_a_hand_set_network_gives_the_boxes_it_was_set_to(grid):
    card = family_card("yolov3")
    stride = (32, 16, 8)[grid]
    network = hand_set(card, grid, 0.25, 0.625, 12.0, 6.0)
    model = YoloDetector(network, card)
    (found,) = model.decode(model.forward(drawn_tiles(card, 1)), 0.5)
    corner = np.arange(128 // stride) * stride
    x, y = corner + 0.25 * stride, corner + 0.625 * stride
    expected = np.array([[c - 6, r - 3, c + 6, r + 3] for r in y for c in x])
    np.testing.assert_allclose(found.bounds, expected.clip(0, 128), atol=1e-3)
    np.testing.assert_allclose(found.score, sigmoid(4.0) * sigmoid(3.0), rtol=1e-5)
    assert set(found.label) == {1}


def test_a_width_that_overflows_is_the_tile_and_counts_as_cut():
    card = family_card("yolov3")
    network = hand_set(card, 1, 0.5, 0.5, 12.0, 12.0)
    with torch.no_grad():
        network.grids[1].head.bias.view(-1, 8)[-1, 2] = 200.0
    model = YoloDetector(network, card)
    (found,) = model.decode(model.forward(drawn_tiles(card, 1)), 0.5)
    assert set(found.x_min) == {0.0}
    assert set(found.x_max) == {128.0}
    assert found.touching_edge(128, 0.0).all()


def test_a_box_that_vanishes_is_none():
    card = family_card("yolov3")
    model = YoloDetector(hand_set(card, 0, 0.5, 0.5, 1e-12, 9.0), card)
    assert len(model.decode(model.forward(drawn_tiles(card, 1)), 0.5)[0]) == 0


def batched(model, tiles):
    """Return what a model finds in the first tile, beside others and beside zeros."""
    other = np.stack([tiles[0], np.zeros_like(tiles[1])])
    return [model.decode(model.forward(pair), 0.05)[0] for pair in (tiles, other)]


def test_norms_that_look_at_the_batch_would_change_a_tile():
    """The mutation of the claim in test_adapters that a tile stands alone."""
    card = family_card("yolov3")
    tiles = drawn_tiles(card, 2)
    model = YoloDetector(drawn_network(card), card)
    full, padded = batched(model, tiles)
    np.testing.assert_array_equal(full.bounds, padded.bounds)
    assert len(full) > 20
    model._network = drawn_network(card).train()
    full, padded = batched(model, tiles)
    assert not np.array_equal(full.bounds, padded.bounds)


def test_boxes_go_to_the_tiles_that_have_them():
    card = family_card("yolov3")
    model = YoloDetector(drawn_network(card), card)
    tiles = drawn_tiles(card, 3)
    together = model.decode(model.forward(tiles), 0.05)
    for tile, found in zip(tiles, together, strict=True):
        (alone,) = model.decode(model.forward(tile[None]), 0.05)
        np.testing.assert_allclose(found.bounds, alone.bounds, atol=1e-3)
    assert len({len(found) for found in together}) > 1


def test_a_card_of_more_bands_takes_widened_weights():
    rgb = drawn_network(family_card("yolov3", bands=RGB))
    card = family_card("yolov3")
    tiles = torch.from_numpy(drawn_tiles(card, 1))
    tiles[:, 3] = 0
    with torch.inference_mode():
        expected = rgb(tiles[:, :3])
        wide = widen(rgb, card.bands)
        found = wide(tiles)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    assert wide.stem.conv.in_channels == 4
    assert wide.state_dict().keys() == build_network(card).state_dict().keys()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"anchors": [[[8, 8]], [[16, 16]]]}, "three lists"),
        ({"anchors": [[[8, 8]], [], [[16, 16]]]}, "three lists"),
        ({"anchors": [[[8]], [[9, 9]], [[16, 16]]]}, "three lists"),
        ({"anchors": [[[8, 0]], [[9, 9]], [[16, 16]]]}, "above zero"),
        ({"anchors": [8, 16, 32]}, "do not fit yolov3"),
        ({"width": 0}, "width is 0"),
        ({"width": "half"}, "do not fit yolov3"),
        ({"blocks": [1, 2, 8]}, "five numbers"),
        ({"blocks": [1, 2, 8, 8, -1]}, "0 or more"),
        ({"classes": 7}, "classes are none of yolov3"),
    ],
)
def test_an_option_of_which_no_network_can_be_made_is_named(options, said):
    with pytest.raises(ModelError, match=said):
        build_network(family_card("yolov3", options))


def test_row_25_too_many_boxes_are_counted(monkeypatch):
    monkeypatch.setattr(checks, "MOST_BOXES", 10)
    card = family_card("yolov3")
    model = YoloDetector(drawn_network(card), card)
    with pytest.raises(PredictError, match=r"gave \d+ boxes in one tile.* 10;"):
        model.forward(drawn_tiles(card, 1))


def test_a_threshold_that_the_network_has_cut_already_is_refused():
    card = family_card("yolov3")
    network = drawn_network(card)
    model = YoloDetector(network, card)
    with pytest.raises(ModelError, match=r"0\.01 is below 0\.05"):
        model.decode({"scores": []}, 0.01)
    lower = replace(card, score_threshold=0.01)
    tiles = drawn_tiles(card, 1)
    more = YoloDetector(drawn_network(card), lower)
    (found,) = more.decode(more.forward(tiles), 0.01)
    assert found.score.min() < 0.05
    assert model.forward(tiles)["scores"][0].min() >= 0.05


ALONE = """
import sys
sys.modules["torchvision"] = sys.modules["segmentation_models_pytorch"] = None
import numpy as np
from areca.models.adapter import load_network
from areca.models.handle import load_model
model = load_network(load_model(sys.argv[1]))
raw = model.forward(np.random.default_rng(0).normal(size=(1, 4, 128, 128)).astype("f4"))
print(len(model.decode(raw, 0.05)[0]))
"""


def test_it_runs_where_torchvision_is_not_installed(tmp_path):
    card = family_card("yolov3")
    save_model(drawn_network(card), card, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) > 0
