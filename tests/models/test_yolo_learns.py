"""A small YOLOv3 learns drawn discs, and finds them where they are."""

import numpy as np
import pytest
import torch
from model_families import family_card
from torch.nn.functional import binary_cross_entropy_with_logits as crossed
from torchvision.ops import batched_nms, box_iou

from areca.models.adapter import load_network
from areca.models.architectures import build_network
from areca.models.weights import save_model
from areca.models.yolo import STRIDES

TILE, STRIP = 96, 32
STEPS = 250
BANDS = ("red", "green", "blue")
CLASSES = ("bright", "dark")
ANCHORS = [[[10, 10], [14, 14]], [[19, 19]], [[26, 26]]]
SIZES = np.array([shape for level in ANCHORS for shape in level])
LEVEL = np.repeat(range(3), [len(level) for level in ANCHORS])
OPTIONS = {"width": 0.125, "blocks": [1, 1, 1, 1, 1], "anchors": ANCHORS}


def drawn(rng, count):
    """Return tiles (count, 3, tile, tile), and for each its objects (n, 5): left, top,
    right, bottom, class."""
    tiles = rng.normal(0, 0.3, (count, 3, TILE, TILE)).astype(np.float32)
    row, col = np.indices((TILE, TILE)) + 0.5
    truth = np.zeros((count, 3, 5))
    for tile, objects in zip(tiles, truth, strict=True):
        # Each in a strip of its own, so that none hides another.
        for strip, one in enumerate(objects):
            half, label = rng.uniform(4, 14), rng.integers(len(CLASSES))
            y, x = rng.uniform(half, [TILE - half, STRIP - half])
            x += strip * STRIP
            tile[:, np.hypot(row - y, col - x) < half] += (1.5, -1.5)[label]
            one[:] = x - half, y - half, x + half, y + half, label
    return tiles, truth


def loss_of(cells, truth):
    """Return the loss of section 2.1 of the paper: the anchor whose shape overlaps an
    object most answers for it; others that overlap it by half are not asked."""
    tile = np.repeat(np.arange(len(truth)), truth.shape[1])
    objects = truth.reshape(-1, 5)
    size = objects[:, 2:4] - objects[:, :2]
    common = np.minimum(SIZES, size[:, None]).prod(2)
    overlap = common / (SIZES.prod(1) + size.prod(1)[:, None] - common)
    best = overlap.argmax(1)
    total = torch.zeros(())
    for level, grid in enumerate(cells[::-1]):
        (own,) = np.nonzero(LEVEL == level)  # noqa: SIM300 - an array
        values = grid.view(len(truth), len(own), -1, *grid.shape[2:])
        place = (objects[:, :2] + size / 2) / STRIDES[level]
        col, row = place.astype(int).T
        counted = torch.ones_like(values[:, :, 4])
        number, anchor = np.nonzero(overlap[:, own] > 0.5)
        counted[tile[number], anchor, row[number], col[number]] = 0
        mine = LEVEL[best] == level
        where = tile[mine], best[mine] - own[0], row[mine], col[mine]
        counted[where] = 1
        wanted = torch.zeros_like(counted)
        wanted[where] = 1
        total += crossed(values[:, :, 4], wanted, weight=counted, reduction="sum")
        seen = values.permute(0, 1, 3, 4, 2)[where]
        right = np.hstack([place % 1, np.log(size / SIZES[best])])[mine]
        said = torch.cat([seen[:, :2].sigmoid(), seen[:, 2:4]], dim=1)
        total += ((said - torch.from_numpy(right)) ** 2).sum()
        one_hot = torch.eye(len(CLASSES))[objects[mine, 4].astype(int)]
        total += crossed(seen[:, 5:], one_hot, reduction="sum")
    return total / len(truth)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A model that has seen 2,000 drawn tiles."""
    card = family_card(
        "yolov3", OPTIONS, tile_px=TILE, bands=BANDS, labels=CLASSES, resolution_m=0.2,
        max_object_px=28, margin_px=2, context_px=16, score_threshold=0.3, nms_iou=0.4,
    )  # fmt: skip
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = build_network(card).train()
    solver = torch.optim.Adam(network.parameters())
    plan = torch.optim.lr_scheduler.OneCycleLR(solver, 4e-3, total_steps=STEPS)
    for _ in range(STEPS):
        tiles, truth = drawn(rng, 8)
        solver.zero_grad()
        loss_of(network(torch.from_numpy(tiles)), truth).backward()
        solver.step()
        plan.step()
    return save_model(network, card, tmp_path_factory.mktemp("learned"))


def matched(bounds, labels, truth):
    """Return for each true object how well the best box of its class covers it."""
    overlap = box_iou(torch.from_numpy(truth[:, :4]), torch.from_numpy(bounds)).numpy()
    return (overlap * (truth[:, 4:] == labels)).max(axis=1, initial=0)


@pytest.mark.slow
def test_objects_of_new_tiles_are_found_where_they_are(learned):
    model = load_network(learned)
    tiles, truth = drawn(np.random.default_rng(9), 50)
    overlaps, found = [], 0
    for one, objects in zip(
        model.decode(model.forward(tiles), 0.3), truth, strict=True
    ):
        bounds, labels = torch.from_numpy(one.bounds), torch.from_numpy(one.label)
        kept = batched_nms(bounds, torch.from_numpy(one.score).double(), labels, 0.4)
        overlaps.extend(matched(bounds[kept].numpy(), one.label[kept], objects))
        found += len(kept)
    assert np.mean(np.array(overlaps) > 0.5) >= 0.9
    assert found <= 1.15 * len(overlaps)
