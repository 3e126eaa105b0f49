"""What an arm of `peers.py` gives back, and how plain scripts settle what they find."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import rasterio
import torch
from torchvision.ops import batched_nms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from peers_ground import Case

    from areca.models.adapter import LoadedModel, Raw
    from areca.models.found import Found

THREADS = 2


@dataclass
class Done:
    """What an arm gives back."""

    seconds: float
    labels: np.ndarray | None = None
    """Class raster of the scene, 255 where nothing was predicted."""
    boxes: np.ndarray | None = None
    """Objects, (n, 4), scene pixels."""
    notes: dict[str, Any] = field(default_factory=dict)


class Answers:
    """Takes raw outputs tile by tile, as a plain script would."""

    def __init__(self, case: Case, network: LoadedModel) -> None:
        self.case, self.network, self.found = case, network, []
        dense = network.contract == "logits"
        self.labels = np.full(case.shape, 255, np.uint8) if dense else None

    def take(self, raw: Raw, corners: Sequence[tuple[int, int]]) -> None:
        card = self.case.card
        if self.labels is not None:
            halo, core = card.halo_px, card.core_px
            inner = (slice(halo, halo + core),) * 2
            for logits, (row, col) in zip(raw["logits"], corners, strict=True):
                here = (
                    slice(row + halo, row + halo + core),
                    slice(col + halo, col + halo + core),
                )
                self.labels[here] = logits.argmax(axis=0)[inner]
            return
        threshold = self.case.model.card.score_threshold
        for found, corner in zip(
            self.network.decode(raw, threshold), corners, strict=True
        ):
            self.found.append(scene_boxes(found, corner))

    def settle(self, out: Path) -> dict[str, np.ndarray]:
        """Write the raster, or suppress the objects of all tiles."""
        case = self.case
        if self.labels is not None:
            write_labels(case, self.labels, out / "labels.tif")
            return {"labels": self.labels}
        rows = np.concatenate(self.found)
        size = (rows[:, 2:4] - rows[:, :2]).max(axis=1)
        rows = torch.from_numpy(rows[size <= case.card.max_object_px])
        kept = batched_nms(rows[:, :4], rows[:, 4], rows[:, 5], case.card.nms_iou)
        boxes = rows[kept].numpy()
        names = ["x_min", "y_min", "x_max", "y_max", "score", "label"]
        pd.DataFrame(boxes, columns=names).to_parquet(out / "objects.parquet")
        return {"boxes": boxes[:, :4]}


def scene_boxes(found: Found, corner: tuple[int, int]) -> np.ndarray:
    """Return rows of left, top, right, bottom, score and label, scene pixels."""
    if hasattr(found, "radius"):
        x, y, r = found.x, found.y, found.radius
        edges = np.stack([x - r, y - r, x + r, y + r], axis=1)
    else:
        edges = found.bounds
    row, col = corner
    return np.column_stack(
        [edges + np.array([col, row, col, row]), found.score, found.label]
    ).astype(np.float64)


def write_labels(case: Case, labels: np.ndarray, path: Path) -> None:
    height, width = labels.shape
    profile = {
        "driver": "GTiff", "count": 1, "height": height, "width": width,
        "dtype": "uint8", "nodata": 255, "tiled": True, "blockxsize": 512,
        "blockysize": 512, "compress": "deflate", "crs": "EPSG:32648",
        "transform": case.transform,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(labels, 1)
