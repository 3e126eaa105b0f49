"""Is the memory of a worker flat, from a tenth of a gigapixel to four?

    python benchmarks/memory.py [--rounds 5] [--sizes 0.1 0.5 1 2 4]

Whole runs, request to report, on two worker processes, each run in processes of its
own. The free devices cost nothing and go the whole way of a census: the detector
answers 64 discs a tile, the segmenter the class of what it sees. U-Net ResNet-18 with
random weights is real. The scenes are files of one repeated pattern of discs, so they
are small on disk; in memory a pixel is a pixel.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pipeline
import rasterio
from affine import Affine
from arms import in_turn, options, print_table, reported, spread
from networks import calm_unet, unet_card
from rasterio.windows import Window

from areca.inference import session
from areca.models.architectures import build_network
from areca.models.found import Detections
from areca.models.handle import load_model
from areca.models.weights import save_model
from areca.runs import run_census
from areca.runtime import open_client, peak_memory_bytes

CORE, PATCH = pipeline.CORE, 8 * pipeline.CORE
SPACING = 56
"""Pixels from disc to disc: 8 x 8 of them in the core of a tile."""
RADIUS = 20
FLAT = 1.1


class FreeDetector(pipeline.Device):
    """A device that takes no time and finds the discs where they were drawn."""

    def __init__(self, card: pipeline.ModelCard) -> None:
        super().__init__(card, rate=1_000_000_000)
        at = (pipeline.HALO + SPACING * (np.arange(8) + 0.5)).astype(np.float32)
        x, y = (axis.ravel() for axis in np.meshgrid(at, at))
        self.found = Detections(
            x=x, y=y, radius=np.full(64, RADIUS, np.float32),
            score=np.full(64, 0.9, np.float32), label=np.zeros(64, np.int32),
        )  # fmt: skip

    def decode(self, raw: dict[str, np.ndarray], _threshold: float) -> list[Detections]:
        return [self.found] * len(raw["tiles"])


class FreeSegmenter:
    """A device whose logits are a band of the image, so that discs are a class."""

    contract = "logits"

    def __init__(self, card: pipeline.ModelCard) -> None:
        self.card = card

    def forward(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        logits = np.zeros((len(batch), len(self.card.labels), *batch.shape[2:]), "f4")
        logits[:, 1] = batch[:, 0]
        logits[:, 2] = -1
        return {"logits": logits}


DEVICES = {"free detector": FreeDetector, "free segmenter": FreeSegmenter}


def install(folder: Path, device: str) -> None:
    """Give this process a device in place of a network."""
    card = load_model(folder).card
    ready = session.Session(DEVICES[device](card))
    session._LOADED[card.digest, "cpu"] = ready  # noqa: SLF001


class Run(NamedTuple):
    """What one run took and left."""

    seconds: float
    tiles: int
    objects: int
    workers: list[int]
    """Peak memory of each worker, bytes."""
    client: int
    blocks: int
    """Peak memory of a worker when the last block was done, before publication."""


class Progress:
    """Says every minute how far a run is."""

    def __init__(self) -> None:
        self.done, self.said = 0, time.monotonic()

    def __call__(self, _done: object, *, total: int, resumed: bool) -> None:  # noqa: ARG002
        self.done += 1
        if time.monotonic() - self.said > 60:
            self.said = time.monotonic()
            print(f"{self.done} of {total} blocks", file=sys.stderr, flush=True)


def draw_discs(path: Path, gigapixels: float) -> None:
    """Write bright discs on dark ground, one pattern over and over."""
    tiles = round((gigapixels * 1e9) ** 0.5 / CORE)
    rows, cols = np.indices((PATCH, PATCH)) % SPACING + 0.5 - SPACING / 2
    disc = np.hypot(rows, cols) < RADIUS
    patch = np.stack([np.where(disc, 160, 30).astype(np.uint8)] * 3)
    profile = {
        "driver": "GTiff", "count": 3, "height": tiles * CORE, "width": tiles * CORE,
        "dtype": "uint8", "crs": "EPSG:32648", "tiled": True, "blockxsize": 512,
        "blockysize": 512, "compress": "deflate", "predictor": 2, "zlevel": 1,
        "interleave": "pixel", "photometric": "rgb", "bigtiff": "yes",
        "num_threads": "all_cpus", "transform": Affine(0.2, 0, 0, 0, -0.2, 0),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, tiles * CORE, PATCH):
            for col in range(0, tiles * CORE, PATCH):
                window = Window(
                    col,
                    row,
                    min(PATCH, file.width - col),
                    min(PATCH, file.height - row),
                )
                file.write(patch[:, : window.height, : window.width], window=window)


def census(scene: Path, folder: Path, device: str) -> Run:
    """Run a whole census; returns what it took."""
    request = pipeline.request_of(scene, load_model(folder))
    with open_client("local", workers=2) as client, tempfile.TemporaryDirectory() as d:
        if device in DEVICES:
            client.run(install, folder, device)
        result = run_census(
            request, Path(d) / "run", client=client, progress=Progress()
        )
        workers = list(client.run(peak_memory_bytes).values())
    if result.holes:
        raise SystemExit(f"holes: {result.holes[0].error}")
    tiles = sum(block.tiles for block in result.blocks)
    if device in DEVICES and result.summary.count != 64 * tiles:
        raise SystemExit(
            f"{result.summary.count} objects in {tiles} tiles, not 64 each"
        )
    blocks = max(block.peak_memory_bytes for block in result.blocks)
    return Run(
        result.wall_s, tiles, result.summary.count, workers, peak_memory_bytes(), blocks
    )  # fmt: skip


def rows_of(device: str, seen: dict[float, list[Run]]) -> list[tuple]:
    """Return a row for each size; peaks against those of the smallest, in pairs."""
    rows = []
    for size, runs in seen.items():
        peaks = [max(run.workers) for run in runs]
        ratio = [p / max(s.workers)
                 for p, s in zip(peaks, seen[min(seen)], strict=True)]  # fmt: skip
        rows.append((
            device, size, f"{runs[0].tiles:,}", f"{runs[0].objects:,}",
            spread((run.seconds for run in runs), ".0f"),
            spread((run.blocks / 1e9 for run in runs), ".3f"),
            spread((p / 1e9 for p in peaks), ".3f"), spread(ratio),
            spread((run.client / 1e9 for run in runs), ".3f"),
            "yes" if max(ratio) <= FLAT else "NO",
        ))  # fmt: skip
    return rows


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sizes", type=float, nargs="*", default=[0.1, 0.5, 1, 2, 4])
    parser.add_argument("--network-sizes", type=float, nargs="*", default=[0.1, 0.5])
    parser.add_argument("--network-rounds", type=int, default=1)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name, reported("Memory"):
        folder = Path(name)
        for size in {*given.sizes, *given.network_sizes}:
            draw_discs(folder / f"{size}.tif", size)
        card = unet_card()
        models = {
            "free detector": pipeline.small_model(folder / "detector").folder,
            "free segmenter": save_model(
                build_network(card), card, folder / "segmenter"
            ).folder,
            "U-Net ResNet-18": calm_unet(folder / "unet").folder,
        }
        for device, model in models.items():
            sizes = given.sizes if device in DEVICES else given.network_sizes
            rounds = given.rounds if device in DEVICES else given.network_rounds
            seen = in_turn(
                {str(size): (census, folder / f"{size}.tif", model, device)
                 for size in sizes}, rounds,
            )  # fmt: skip
            if seen:
                rows += rows_of(device, {float(k): v for k, v in seen.items()})
        print_table(
            ("device", "gigapixels", "tiles", "objects", "request to report, s",
             "GB a worker, blocks", "GB a worker, run", "against the smallest",
             "GB the client", "flat to 10 %"),
            rows,
        )  # fmt: skip


if __name__ == "__main__":
    main()
