"""What the pipeline adds to the device: a census against a device of fixed speed.

    python benchmarks/pipeline.py [--rounds 5]

The device is a lock and a sleep; it stands for a GPU that does nothing else. The census
reads, standardises, predicts, decodes, settles and writes its blocks inside
dask.distributed (one process); the window loop does it tile by tile. Arms in turn.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from affine import Affine
from arms import options, print_table, reported, spread
from rasterio.windows import Window as RasterioWindow

import areca
from areca.catalog import normalise_items
from areca.features import standardize
from areca.inference import session
from areca.models.architectures import build_network
from areca.models.card import ModelCard
from areca.models.found import Detections
from areca.models.weights import save_model
from areca.runs import RunFolder, RunRequest
from areca.runs.ledger import BlockDone, Ledger
from areca.runs.raster_store import RasterStore
from areca.runs.schedule import run_blocks
from areca.runtime import open_client

if TYPE_CHECKING:
    from distributed import Client

    from areca.models.handle import Model

TILES = 32
"""Tiles along each side of the scene."""
TILE, HALO = 512, 32
CORE = TILE - 2 * HALO
RATES = (100, 200)


class Device:
    """A device that takes `1 / rate` seconds a tile and finds nothing."""

    contract = "heatmap"

    def __init__(self, card: ModelCard, rate: int) -> None:
        self.card, self.rate, self.lock, self.tiles = card, rate, threading.Lock(), 0

    def forward(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        with self.lock:
            time.sleep(len(batch) / self.rate)
            self.tiles += len(batch)
        return {"tiles": np.empty(len(batch))}

    def decode(self, raw: dict[str, np.ndarray], _threshold: float) -> list[Detections]:
        none = np.empty(0, np.float32)
        found = Detections(
            x=none, y=none, radius=none, score=none, label=none.astype(np.int32)
        )
        return [found] * len(raw["tiles"])


def draw(path: Path, tiles: int = TILES) -> None:
    """Write a scene of smooth noise, tiles x tiles cores; by default 206 Mpx."""
    rng = np.random.default_rng(0)
    patch = rng.uniform(60, 160, (3, 256, 256)).repeat(8, axis=1).repeat(8, axis=2)
    patch = (patch + rng.normal(0, 3, patch.shape)).astype(np.uint8)
    edge = tiles * CORE
    profile = {
        "driver": "GTiff", "count": 3, "height": edge, "width": edge,
        "dtype": "uint8", "crs": "EPSG:32648", "tiled": True, "blockxsize": 512,
        "blockysize": 512, "compress": "deflate", "predictor": 2, "zlevel": 1,
        "interleave": "pixel", "photometric": "rgb", "num_threads": "all_cpus",
        "transform": Affine(0.2, 0, 0, 0, -0.2, 0),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, edge, 2048):
            for col in range(0, edge, 2048):
                height, width = min(2048, edge - row), min(2048, edge - col)
                window = RasterioWindow(col, row, width, height)
                file.write(patch[:, :height, :width], window=window)


def small_model(folder: Path) -> Model:
    card = ModelCard(
        name="simulated", version="1",
        architecture_options={"width": 8, "deep_width": 8, "deep_blocks": 1},
        bands=("red", "green", "blue"), resolution_m=0.2, tile_px=TILE, context_px=8,
        margin_px=4, max_object_px=40, mean=(110.0,) * 3, std=(50.0,) * 3,
        labels=("palm",), score_threshold=0.5, nms_iou=0.3,
    )  # fmt: skip
    return save_model(build_network(card), card, folder)


def request_of(scene: Path, model: Model, **options: object) -> RunRequest:
    """Return a run over a scene, in blocks of 4 x 4 tiles if nothing else is said."""
    return RunRequest(
        recipe="benchmark",
        title="Benchmark",
        command="",
        scenes=tuple(normalise_items(areca.search(scene), catalog_href=scene)),
        model=model,
        options=areca.PredictOptions(**{"block_tiles": 4, **options}),
    )


def run_all(client: Client, request: RunRequest) -> tuple[list[BlockDone], float]:
    """Run all blocks, whose models are loaded already; no table is published.

    Returns:
        The report of each block, and the seconds from the first to the last.
    """
    plan = request.plan
    with tempfile.TemporaryDirectory() as run:
        ledger = Ledger(folder=RunFolder(Path(run)), key=request.digest)
        store = RasterStore.of(ledger.folder.rasters, plan.grid)
        if plan.predictor.rasters:
            store.create(plan.grid, plan.predictor)
        start = time.perf_counter()
        done, _ = run_blocks(client, plan, ledger, lambda *_, **__: None)
        seconds = time.perf_counter() - start
    failed = [block.error for block in done if block.error]
    if failed:
        raise SystemExit(f"{len(failed)} blocks failed: {failed[0]}")
    return done, seconds


def census(folder: Path, model: Model, device: Device) -> float:
    """Return the seconds that all blocks took, after the cluster has started."""
    session._LOADED[model.card.digest, "cpu"] = session.Session(device)  # noqa: SLF001
    with open_client("threads") as client:
        request = request_of(folder / "scene.tif", model, batch_size=4)
        done, seconds = run_all(client, request)
    if sum(block.tiles for block in done) != TILES * TILES:
        raise SystemExit("not all tiles were predicted")
    return seconds


def window_loop(folder: Path, model: Model, device: Device) -> float:
    """Return the seconds of a plain loop over windows, batches of four."""
    card = model.card
    start = time.perf_counter()
    with rasterio.open(folder / "scene.tif") as file:
        batch = []
        for row in range(TILES):
            for col in range(TILES):
                window = RasterioWindow(
                    col * CORE - HALO, row * CORE - HALO, TILE, TILE
                )
                pixels = file.read(window=window, boundless=True, fill_value=0)
                batch.append(
                    standardize(pixels.astype(np.float32), card.mean, card.std)
                )
                if len(batch) == 4:
                    device.decode(device.forward(np.stack(batch)), 0.5)
                    batch = []
    return time.perf_counter() - start


def main() -> None:
    rounds = options(__doc__).parse_args().rounds
    rows = []
    with (
        tempfile.TemporaryDirectory() as name,
        reported(f"{TILES**2} tiles of {TILE} px"),
    ):
        folder = Path(name)
        draw(folder / "scene.tif")
        model = small_model(folder / "model")
        census(folder, model, Device(model.card, 10_000))  # imports, page cache
        for rate in RATES:
            limit = TILES**2 / rate
            ratios = [
                [arm(folder, model, Device(model.card, rate)) / limit
                 for arm in (census, window_loop)]
                for _ in range(rounds)
            ]  # fmt: skip
            words = [spread(part, ".3f") for part in zip(*ratios, strict=True)]
            rows.append((rate, f"{limit:.2f}", *words))
        print_table(
            ("device, tiles/s", "limit, s", "census / limit", "window loop / limit"),
            rows,
        )


if __name__ == "__main__":
    main()
