"""A U-Net ResNet-18 that has learnt crowns: its regions are regions, not flicker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import rasterio
import torch
from rasterio.features import rasterize
from torch.nn import functional

from areca.features import standardize
from areca.models.architectures import build_network

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from areca.models.card import ModelCard

EDGE, BATCH = 256, 4


def ground(card: ModelCard, data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return Kluang west, (band, row, column) standardised, and its classes."""
    with rasterio.open(data / "kluang_oil_palm/kluang_west.tif") as file:
        pixels = file.read([1, 2, 3]).astype(np.float32)
        boxes = gpd.read_parquet(data / "kluang_oil_palm/kluang_west_boxes.parquet")
        boxes = boxes.to_crs(file.crs)
        centres, sizes = boxes.geometry.centroid, boxes.geometry.bounds
        # Half of the radius: whole crowns leave no ground between them.
        radius = (sizes.maxx - sizes.minx + sizes.maxy - sizes.miny) / 8
        crowns = centres.buffer(radius)
        classes = rasterize(
            crowns, file.shape, transform=file.transform, default_value=1
        )
    return standardize(pixels, card.mean, card.std), classes.astype(np.int64)


def trained(
    card: ModelCard, pixels: np.ndarray, classes: np.ndarray, steps: int
) -> nn.Module:
    """Return the network after some steps on the western 60 % of the ground."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = build_network(card).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    rows, cols = pixels.shape[1] - EDGE, int(pixels.shape[2] * 0.6) - EDGE
    for step in range(steps):
        places = [(rng.integers(rows), rng.integers(cols)) for _ in range(BATCH)]
        cuts = [(slice(r, r + EDGE), slice(c, c + EDGE)) for r, c in places]
        tiles = torch.from_numpy(np.stack([pixels[:, r, c] for r, c in cuts]))
        wanted = torch.from_numpy(np.stack([classes[r, c] for r, c in cuts]))
        loss = functional.cross_entropy(network(tiles), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step + 1}: loss {loss.item():.3f}", flush=True)
    return network.eval()
