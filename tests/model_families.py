"""Tiny cards and networks of every family, drawn from a seed."""

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, interpolate

from areca.models.architectures import build_network
from areca.models.card import ModelCard
from areca.models.contracts import FAMILIES, TASKS

BANDS = ("red", "green", "blue", "nir")
_ANCHORS = [[8], [16], [32], [64], [99]]
DETECTORS = {
    "fasterrcnn": {"backbone": "resnet18", "rpn_post_nms_top_n_test": 100},
    "fasterrcnn-mobilenet": {"rpn_post_nms_top_n_test": 100},
    "ssd": {},
    "ssd300": {},
    "retinanet": {
        "backbone": "resnet18",
        "anchor_sizes": [[8], [16], [32], [64], [99]],
    },
    "fcos": {"backbone": "resnet18"},
    "maskrcnn": {"backbone": "resnet18", "rpn_post_nms_top_n_test": 12},
    "yolov3": {
        "width": 0.0625,
        "blocks": [1, 1, 1, 1, 1],
        "anchors": [[[8, 8], [12, 10]], [[16, 16], [14, 20]], [[22, 22]]],
    },
}
SMALL_SAM = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "global_attn_indexes": [1],
    "output_channels": 32,
    "window_size": 3,
}
TORCHVISION = sorted(set(DETECTORS) - {"yolov3"})
"""The detectors that torchvision has."""
SEGMENTERS = {
    "deeplabv3": {"backbone": "mobilenet"},
    "unet": {"encoder": "tu-mobilenetv3_small_050"},
    "unetplusplus": {"encoder": "mobilenet_v2"},
    "deeplabv3plus": {"encoder": "resnet18"},
    "fpn": {"encoder": "resnet18"},
    "segformer": {"encoder": "mit_b0"},
    "sam-lora": {"encoder": SMALL_SAM, "lora_rank": 2},
}


def family_card(name, options=None, **change):
    """Return a card of a family for tiles of 128 px (ssd300: 288 px)."""
    known = DETECTORS | SEGMENTERS
    contract = FAMILIES[name].contract
    sizes = {"max_object_px": 24, "margin_px": 4, "context_px": 16}
    if contract == "logits":
        sizes = {"max_object_px": 0, "margin_px": 0, "context_px": 32}
    values = {
        "name": name,
        "version": "1",
        "architecture": name,
        "architecture_options": known[name] if options is None else options,
        "task": TASKS[contract],
        "bands": BANDS,
        "resolution_m": 0.5,
        "tile_px": 288 if name == "ssd300" else 128,
        "labels": ("palm", "shrub", "roof"),
        "score_threshold": 0.05,
        "nms_iou": 0.5,
    }
    values |= sizes | change
    bands = len(values["bands"])
    return ModelCard(**{"mean": (0.0,) * bands, "std": (1.0,) * bands} | values)


def ground_card(name, **change):
    """Return a card of a family for the drawn ground of `worlds`."""
    values = {"bands": BANDS[:3], "resolution_m": 0.2, "max_object_px": 56}
    values |= {"context_px": 0, "mean": (110.0,) * 3, "std": (60.0,) * 3}
    return family_card(name, **values | change)


def drawn_network(card, seed=4):
    """Return the card's network, its scores spread out so that it finds something."""
    torch.manual_seed(seed)
    network = build_network(card).eval()
    with torch.no_grad():
        for name, values in network.named_parameters():
            # Fresh heads of one-stage detectors start at a score of 0.01.
            if name.endswith("cls_logits.bias"):
                values.fill_(-2.0)
    if card.architecture == "yolov3":
        excite(network, drawn_tiles(card, 8, seed=3))
    return spread(network) if card.architecture == "sam-lora" else network


def spread(network):
    """Draw every weight as large as its inputs are many: fresh SAM answers 1e-5."""
    with torch.no_grad():
        for values in network.parameters():
            if values.ndim > 1:
                values.normal_(std=values[0].numel() ** -0.5)
    return network


def excite(network, tiles):
    """Give the norms of YOLOv3 the statistics of tiles, and heads an opinion, in place.

    Without it random layers damp each other, and every cell says the same. Half of the
    tiles are smoothed, because imagery is smoother than noise.
    """
    tiles = torch.from_numpy(tiles)
    smooth = interpolate(avg_pool2d(tiles[::2], 8), scale_factor=8.0, mode="bilinear")
    tiles = torch.cat([2 * smooth, tiles[1::2]])
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(tiles)
        for grid in network.grids:
            # Not x, y, width and height: boxes keep about the size of their anchors.
            shape = (-1, 5 + network.classes)
            grid.head.bias.view(shape)[:, 4] = -3.6
            weight = grid.head.weight
            weight.view(*shape, weight.shape[1])[:, 4:].mul_(3)
    network.eval()


def drawn_tiles(card, count, seed=0):
    """Return tiles (n, band, tile, tile) of noise with a bright disc in each."""
    rng = np.random.default_rng(seed)
    edge = card.tile_px
    tiles = rng.normal(size=(count, len(card.bands), edge, edge)).astype(np.float32)
    row, col = np.indices((edge, edge))
    for tile in tiles:
        y, x, radius = rng.uniform((40, 40, 8), (90, 90, 14))
        tile[:, np.hypot(row - y, col - x) < radius] += 3
    return tiles


def calm(network):
    """Keep random weights from blowing every box up to the whole tile."""
    with torch.no_grad():
        network.rpn.head.cls_logits.weight.mul_(1e-2)
        network.rpn.head.bbox_pred.weight.mul_(1e-3)
        network.roi_heads.box_predictor.cls_score.weight.mul_(1e-3)
        network.roi_heads.box_predictor.bbox_pred.weight.mul_(1e-4)
