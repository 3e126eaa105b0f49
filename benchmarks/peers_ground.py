"""The scenes and models of `peers.py`: real imagery, one set of weights for all arms.

A scene is laid so that every tool cuts the same tiles: whole cores on areca's lattice
and a rim of one halo, so that a grid of `tile` px with a stride of `core` px from the
first pixel gives areca's tiles, and no tile looks beyond the file.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import crowns
import numpy as np
import rasterio
import shapely
import torch
from affine import Affine
from pyproj import Transformer
from rasterio.windows import Window
from torch import nn

import areca
from areca.features import standardize
from areca.models.adapter import load_network
from areca.models.architectures import build_network
from areca.models.card import ModelCard
from areca.models.weights import save_model

if TYPE_CHECKING:
    from areca.models.handle import Model

KLUANG = Path("kluang_oil_palm/kluang_west.tif")
"""Below the folder of the data."""
CRS, PIXEL = "EPSG:32648", 0.21875
"""The imagery has 0.2154 m; this is exact in binary, and TorchGeo's sampler, which
counts tiles in CRS units, would add a row beyond the scene for a rounding error."""
EAST, NORTH = 309_000, 240_000
"""About where Kluang lies, m."""
BLOCK_TILES = 4
STEPS = 150
COMMON = {
    "version": "1", "bands": ("red", "green", "blue"), "resolution_m": PIXEL,
    "tile_px": 512, "mean": (45.896, 117.373, 65.63), "std": (22.252, 36.562, 25.515),
    "nms_iou": 0.3,
}  # fmt: skip
UNET = ModelCard(
    name="unet", task="semantic-segmentation", architecture="unet",
    architecture_options={"encoder": "resnet18"}, context_px=32, margin_px=0,
    max_object_px=0, labels=("ground", "crown"), background=0, score_threshold=0.5,
    **COMMON,
)  # fmt: skip
BOXES = ModelCard(
    name="boxes", architecture="fasterrcnn-mobilenet",
    architecture_options={"rpn_post_nms_top_n_test": 300},
    context_px=8, margin_px=4, max_object_px=40, labels=("palm",),
    score_threshold=0.5, **COMMON,
)  # fmt: skip
MODELS = {
    "unet": "U-Net ResNet-18",
    "oil-palm": "built-in detector oil-palm",
    "boxes": "torchvision Faster R-CNN MobileNetV3",
}


@dataclass(frozen=True)
class Case:
    """One model and its scene."""

    name: str
    folder: Path
    down: int
    across: int
    batch: int = 4
    """Tiles in one forward pass, of every arm that can."""

    @cached_property
    def model(self) -> Model:
        built_in = self.name == "oil-palm"
        return areca.load_model(self.name if built_in else self.folder / "model")

    @property
    def card(self) -> ModelCard:
        """The card; of "boxes" without its final threshold."""
        return {"unet": UNET, "boxes": BOXES}.get(self.name) or self.model.card

    @property
    def scene(self) -> Path:
        return self.folder / "scene.tif"

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the scene, px."""
        rim = 2 * self.card.halo_px
        core = self.card.core_px
        return self.down * core + rim, self.across * core + rim

    @property
    def corners(self) -> list[tuple[int, int]]:
        """Upper left pixel of every tile, row and column in the scene."""
        core = self.card.core_px
        return [
            (r * core, c * core) for r in range(self.down) for c in range(self.across)
        ]

    @property
    def ground_px(self) -> int:
        """Pixels that are predicted: the cores."""
        return self.down * self.across * self.card.core_px**2

    @property
    def origin(self) -> tuple[int, int]:
        """Absolute row and column of the first core: a corner of a block."""
        step = BLOCK_TILES * self.card.core_px
        row, col = -NORTH / PIXEL // step * step, EAST / PIXEL // step * step
        return int(row), int(col)

    @property
    def transform(self) -> Affine:
        row, col = (v - self.card.halo_px for v in self.origin)
        return Affine(PIXEL, 0, col * PIXEL, 0, -PIXEL, -row * PIXEL)

    def aoi(self, across: int = 0, down: int = 0) -> shapely.Polygon:
        """Return the ground of the cores, less what would call for other blocks.

        Args:
            across: Only as many tiles from the upper left; all when 0.
            down: As many tiles down.
        """
        card = self.card
        rim = card.halo_px + 2 * card.max_object_px + card.margin_px + 2
        part = replace(self, across=across or self.across, down=down or self.down)
        height, width = part.shape
        columns, rows = [rim, width - rim], [rim, height - rim]
        steps = [(x, y) for x in columns for y in rows]
        x, y = zip(*(self.transform * step for step in steps), strict=True)
        to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
        return shapely.MultiPoint(
            np.column_stack(to_degrees.transform(x, y))
        ).convex_hull

    def inside(self, bounds: np.ndarray) -> np.ndarray:
        """Tell which boxes (n, 4), scene pixels, have their centre in the area."""
        card = self.card
        rim = card.halo_px + 2 * card.max_object_px + card.margin_px + 2
        centre = (bounds[:, :2] + bounds[:, 2:]) / 2
        height, width = self.shape
        far = np.array([width - rim, height - rim])
        return ((centre > rim) & (centre < far)).all(axis=1)


def prepare(case: Case, data: Path, kept: Path | None = None) -> None:
    """Write the scene of a case, and its model where there is none.

    Args:
        case: The case.
        data: Folder of the data.
        kept: Where the trained U-Net is, or goes, so that it is trained once.
    """
    case.folder.mkdir(parents=True, exist_ok=True)
    write_scene(case, data / KLUANG)
    if case.name == "unet":
        fit_unet(case, data, kept)
    elif case.name == "boxes":
        draw_boxes(case)


def write_scene(case: Case, source: Path) -> None:
    """Write Kluang, mirrored where it ends, as tiled deflate."""
    height, width = case.shape
    with rasterio.open(source) as file:
        pixels = file.read()
    beyond = [(0, 0), (0, max(0, height - pixels.shape[1])),
              (0, max(0, width - pixels.shape[2]))]  # fmt: skip
    pixels = np.pad(pixels, beyond, mode="symmetric")[:, :height, :width]
    profile = {
        "driver": "GTiff", "count": 3, "height": height, "width": width,
        "dtype": "uint8", "crs": CRS, "tiled": True, "blockxsize": 512,
        "blockysize": 512, "compress": "deflate", "predictor": 2,
        "interleave": "pixel", "photometric": "rgb", "transform": case.transform,
    }  # fmt: skip
    with rasterio.open(case.scene, "w", **profile) as file:
        file.write(pixels)


def fit_unet(case: Case, data: Path, kept: Path | None) -> None:
    """Write a U-Net that has learnt crowns, or copy the one that an earlier call kept.

    With random weights the class raster would flicker, and outlines alone would cost
    more than the network.
    """
    if kept is None or not kept.exists():
        pixels, classes = crowns.ground(UNET, data)
        network = crowns.trained(UNET, pixels, classes, STEPS)
        save_model(network, UNET, kept or case.folder / "model")
    if kept is not None:
        shutil.copytree(kept, case.folder / "model")


def draw_boxes(case: Case) -> None:
    """Write a detector with random weights and a threshold of 60 boxes a tile."""
    torch.manual_seed(0)
    network = build_network(BOXES).eval()
    with torch.no_grad():
        # Square anchors of 32 px win; others are larger than the card's objects.
        network.rpn.head.cls_logits.bias[5] += 10
    tiles = batches(case, 4)[0]
    settle_norms(network.backbone, tiles)
    model = save_model(network.eval(), BOXES, case.folder / "model")
    scores = np.concatenate(load_network(model).forward(tiles)["scores"])
    score = torch.from_numpy(scores).double().logit()
    # Scores of random weights hardly differ: they get a deviation of one logit.
    last = network.roi_heads.box_predictor.cls_score
    with torch.no_grad():
        last.weight /= float(score.std())
        last.bias /= float(score.std())
        last.bias[1] -= float(score.mean() / score.std())
    model = save_model(network, BOXES, case.folder / "model")
    scores = np.concatenate(load_network(model).forward(tiles)["scores"])
    threshold = float(np.sort(scores)[-60 * len(tiles)])
    card = ModelCard(**BOXES.to_dict() | {"score_threshold": round(threshold, 4)})
    save_model(network, card, case.folder / "model")


def settle_norms(network: nn.Module, tiles: np.ndarray) -> None:
    """Give each BatchNorm the statistics of tiles: else random features vanish."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(tiles))


def batches(case: Case, size: int, most: int | None = 1) -> list[np.ndarray]:
    """Return the first tiles in batches, standardised; all where `most` is None."""
    card = case.card
    found, corners = [], case.corners
    with rasterio.open(case.scene) as file:
        for start in range(0, len(corners), size)[:most]:
            tiles = [
                file.read(window=Window(col, row, card.tile_px, card.tile_px))
                for row, col in corners[start : start + size]
            ]
            stack = np.stack(tiles).astype(np.float32)
            found.append(standardize(stack, card.mean, card.std))
    return found
